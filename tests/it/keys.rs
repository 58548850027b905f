//! A key comes from a pipe, is tried out, lies where its owner alone can read it, and is shown nowhere.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use batchscribe::emulator::scenario::Scenario;

use crate::sandbox::{Sandbox, Weather};

const KEY: &str = "sk-test-0123456789-abcdefgh-7Qx2";
const NOT_TAKEN: &str = "
[[door]]
at = 'list_batches'
act = 'refuse'
status = 401
";

fn weather(scenario: &str) -> Weather {
    Weather { scenario: Scenario::read(scenario).expect("a scenario"), ..Weather::default() }
}

/// The real binary with something to read; what it prints holds no key.
fn call(sandbox: &Sandbox, words: &str, typed: &str, variable: Option<&str>) -> (Option<i32>, String) {
    std::fs::create_dir_all(sandbox.workspace()).expect("workspace");
    let mut command = Command::new(env!("CARGO_BIN_EXE_batchscribe"));
    command.env_clear().env("LANG", "C.UTF-8").env("HOME", sandbox.workspace()).current_dir(sandbox.workspace());
    command.envs(variable.map(|key| ("OPENAI_API_KEY", key))).args(words.split_whitespace());
    for (key, value) in sandbox.flags() {
        command.arg("--set").arg(format!("{key}={value}"));
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    // Verbs that read nothing may have ended by now.
    drop(child.stdin.take().expect("a pipe").write_all(typed.as_bytes()));
    let Output { status, stdout, stderr } = child.wait_with_output().expect("an end");
    let told = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(!told.contains(KEY), "{told}");
    (status.code(), told)
}

fn file(sandbox: &Sandbox) -> PathBuf {
    sandbox.workspace().join("api_key.txt")
}

#[test]
fn a_key_that_is_taken_is_kept() {
    let sandbox = Sandbox::new(0);
    let (exit, told) = call(&sandbox, "keys set", &format!("{KEY}\n"), None);
    assert_eq!(exit, Some(0), "{told}");
    assert!(told.contains("lists batches. Saved in"), "{told}");
    assert_eq!(std::fs::read_to_string(file(&sandbox)).expect("a file"), format!("{KEY}\n"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = file(&sandbox).metadata().expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    assert!(!told.contains("holds a key already"), "{told}");
    let (exit, told) = call(&sandbox, "keys set", &format!("{KEY}\n"), None);
    assert_eq!(exit, Some(0), "a pipe has answered: {told}");
    assert!(told.contains("api_key.txt holds a key already; the new one replaces it."), "{told}");
    let (checking, saved) = (told.find("Checking with"), told.find("Ok: "));
    assert!(checking.is_some() && checking < saved, "{told}");
    let (exit, told) = call(&sandbox, "keys check", "", None);
    assert_eq!(exit, Some(0), "{told}");
    assert!(told.contains("api_key.txt, ends …7Qx2, and lists batches"), "{told}");
    let (_, told) = call(&sandbox, "keys path", "", None);
    assert!(told.contains("- the variable OPENAI_API_KEY") && told.contains("✓ the file "), "{told}");
    let (exit, _) = call(&sandbox, "keys forget", "", None);
    assert_eq!((exit, file(&sandbox).exists()), (Some(0), false));
    let (exit, told) = call(&sandbox, "keys check", "", None);
    assert_eq!(exit, Some(6), "{told}");
    assert!(told.contains("E303") && told.contains("api_key.txt"), "{told}");
}

#[test]
fn a_key_that_is_refused_is_not_kept() {
    let sandbox = Sandbox::with(0, weather(NOT_TAKEN));
    let (exit, told) = call(&sandbox, "keys set", KEY, None);
    assert_eq!((exit, file(&sandbox).exists()), (Some(6), false), "{told}");
    assert!(told.contains("E301") && told.contains("the key was not saved"), "{told}");
    let (exit, told) = call(&sandbox, "keys set", "two words\n", None);
    assert_eq!((exit, file(&sandbox).exists()), (Some(6), false), "{told}");
    assert!(told.contains("what was typed holds spaces"), "{told}");
    let (exit, told) = call(&sandbox, "keys set", "", None);
    assert_eq!((exit, file(&sandbox).exists()), (Some(6), false), "{told}");
}

#[test]
fn doctor_tells_a_key_that_is_refused() {
    let sandbox = Sandbox::with(0, weather(NOT_TAKEN));
    let (exit, told) = call(&sandbox, "doctor --online", "", Some(KEY));
    let line = told.lines().find(|line| line.contains(" connection ")).unwrap_or_default();
    assert!(line.starts_with('✗') && line.contains("(E301)") && line.contains("batchscribe keys path"), "{told}");
    assert_eq!(exit, Some(2), "{told}");
    let sandbox = Sandbox::new(0);
    let (_, told) = call(&sandbox, "doctor --online", "", Some(KEY));
    assert!(told.contains("takes the key, and lists batches"), "{told}");
}

#[test]
fn a_key_file_that_no_run_would_take_has_no_tick() {
    let sandbox = Sandbox::new(0);
    for (text, why) in
        [("", "is empty (E303)"), ("one\ntwo\n", "holds spaces, line breaks or characters that no key has (E303)")]
    {
        let (exit, told) = call(&sandbox, "keys set", KEY, None);
        assert_eq!(exit, Some(0), "{told}");
        std::fs::write(file(&sandbox), text).expect("a file");
        let (exit, told) = call(&sandbox, "keys path", "", None);
        assert_eq!(exit, Some(0), "{told}");
        assert!(told.contains("✗ the file ") && told.contains(why) && !told.contains('✓'), "{told}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::write(file(&sandbox), KEY).expect("a file");
        std::fs::set_permissions(file(&sandbox), std::fs::Permissions::from_mode(0o644)).expect("a mode");
        let (_, told) = call(&sandbox, "keys path", "", None);
        assert!(told.contains("✗ the file ") && told.contains("(mode 0644) (E304); chmod 600"), "{told}");
    }
}

#[test]
fn a_key_that_would_not_be_used_is_said_to_be_so() {
    let sandbox = Sandbox::new(0);
    let (exit, told) = call(&sandbox, "keys set", KEY, Some("sk-another-key-of-the-environment"));
    assert_eq!((exit, file(&sandbox).exists()), (Some(0), true), "{told}");
    assert!(told.contains("OPENAI_API_KEY is looked at first"), "{told}");
}

#[test]
fn there_is_a_man_page_for_every_verb() {
    let sandbox = Sandbox::new(0);
    let (exit, told) = call(&sandbox, "man pages", "", None);
    assert_eq!(exit, Some(0), "{told}");
    let page = |name: &str| std::fs::read_to_string(sandbox.workspace().join("pages").join(name)).expect("a page");
    assert!(page("batchscribe.1").contains(".TH batchscribe 1"));
    let (_, help) = call(&sandbox, "--help", "", None);
    let verbs = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let verbs: Vec<&str> =
        verbs.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next()).collect();
    assert!(verbs.len() > 20 && verbs.contains(&"report"), "{verbs:?}");
    for verb in verbs {
        assert!(page(&format!("batchscribe-{verb}.1")).contains(".SH"), "{verb}");
    }
}
