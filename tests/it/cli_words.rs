//! What the program says to the commonest mistakes: the path or the key is named, and what to do about it; the exit code is
//! the one of the contract.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::sandbox::png;

/// Exit code, stdout and stderr of one call; the folder of the test is shown as `~`.
fn said(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_batchscribe"));
    command.args(args).env_clear().current_dir(folder).stdin(Stdio::null());
    let output = command.output().expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&*folder.to_string_lossy(), "~");
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("temp dir");
    std::fs::create_dir(folder.path().join("in")).expect("folder");
    std::fs::write(folder.path().join("in/page.png"), png(1)).expect("image");
    folder
}

/// Asks for `expected` in what is said, and for the exit code.
fn complains(setting: &[(&str, &str)], args: &[&str], code: i32, expected: &[&str]) {
    let folder = folder();
    for (name, content) in setting {
        std::fs::write(folder.path().join(name), content).expect("file");
    }
    let (exit, _, stderr) = said(folder.path(), args);
    assert_eq!(exit, code, "{args:?}\n{stderr}");
    for words in expected {
        assert!(stderr.contains(words), "{args:?} does not say {words:?}:\n{stderr}");
    }
    assert!(stderr.contains("hint:") || code == 2 && stderr.contains("Usage"), "no hint:\n{stderr}");
}

#[test]
fn wrong_folders() {
    complains(&[], &["run", "missing"], 2, &["error[E104]: cannot read the image folder ~/missing", "image_dir"]);
    complains(&[("in/page.png", "")], &["run", "in/page.png"], 2, &["error[E104]", "~/in/page.png"]);
    let empty = tempfile::tempdir().expect("temp dir");
    std::fs::create_dir(empty.path().join("in")).expect("folder");
    std::fs::write(empty.path().join("in/letter.docx"), "x").expect("file");
    let (exit, _, stderr) = said(empty.path(), &["run", "in", "--set", "provider.engine=echo"]);
    assert_eq!(exit, 2, "{stderr}");
    assert!(stderr.contains("error[E106]: no images under ~/in; 1 file with other endings (.docx 1)"), "{stderr}");
}

#[test]
fn wrong_settings() {
    let run = ["run", "in"];
    let toml = "batchscribe.toml";
    complains(
        &[(toml, "[run]\nlimti = 3\n")],
        &run,
        2,
        &["E101", "`run.limti` in batchscribe.toml, line 2", "`run.limit`"],
    );
    complains(
        &[(toml, "[batch]\npoll_interval = \"0s\"\n")],
        &run,
        2,
        &["E102", "`batch.poll_interval`", "batchscribe.toml:2"],
    );
    complains(&[(toml, "description = = 3\n")], &run, 2, &["E101", "batchscribe.toml:1:15"]);
    complains(&[], &["run", "in", "--set", "prompt_file=none.txt"], 2, &["E105", "~/none.txt"]);
    complains(&[("p.txt", " \n")], &["run", "in", "--set", "prompt_file=p.txt"], 2, &["E105", "~/p.txt"]);
}

#[test]
fn wrong_keys_and_providers() {
    let openai = ["run", "in", "--yes", "--set", "provider.name=openai"];
    complains(&[], &openai, 6, &["E303", "OPENAI_API_KEY", "~/api_key.txt", "provider.name=local"]);
    let closed = "api_url=http://127.0.0.1:1/v1/chat/completions";
    let args = [&openai[..], &["--set", closed, "--set", "run.give_up_after=1s"]].concat();
    complains(&[], &args, 5, &["E310", "127.0.0.1:1 cannot be reached", "nothing is lost"]);
}

#[cfg(unix)]
#[test]
fn a_key_that_others_can_read() {
    let folder = folder();
    let key = folder.path().join("api_key.txt");
    std::fs::write(&key, "sk-canary-7Qx2").expect("key");
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("mode");
    let (exit, stdout, stderr) = said(folder.path(), &["run", "in", "--yes", "--set", "provider.name=openai"]);
    assert_eq!(exit, 2, "{stderr}");
    assert!(stderr.contains("error[E304]: key file ~/api_key.txt can be read by others (mode 0644)"), "{stderr}");
    assert!(!stderr.contains("canary") && !stdout.contains("canary"), "the key is told");
}

#[test]
fn a_foreign_or_newer_ledger_is_not_touched() {
    let folder = folder();
    let run = ["run", "in", "--set", "provider.engine=echo"];
    assert_eq!(said(folder.path(), &run).0, 0);
    let path = folder.path().join("batch/ledger.sqlite");
    let ledger = rusqlite::Connection::open(&path).expect("ledger");
    ledger.pragma_update(None, "user_version", 99).expect("version");
    drop(ledger);
    let before = std::fs::read(&path).expect("ledger");
    let (exit, _, stderr) = said(folder.path(), &run);
    assert_eq!(exit, 2, "{stderr}");
    assert!(stderr.contains("error[E402]") && stderr.contains("99"), "{stderr}");
    assert_eq!(std::fs::read(&path).expect("ledger"), before, "nothing was written");
}

#[test]
fn a_second_one_learns_who_works_here() {
    let folder = folder();
    let server = ["emulate", "--listen", "127.0.0.1:0", "--engine", "echo", "--state", "server", "--line-delay", "5s"];
    let mut serving = Command::new(env!("CARGO_BIN_EXE_batchscribe"))
        .args(server)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the emulator starts");
    let mut line = String::new();
    let mut words = std::io::BufReader::new(serving.stdout.take().expect("stdout"));
    std::io::BufRead::read_line(&mut words, &mut line).expect("an address");
    let url = line.trim().rsplit(' ').next().expect("a URL").to_owned() + "/chat/completions";
    let url = format!("api_url={url}");
    let run = ["run", "in", "--yes", "--plain", "--set", "provider.name=openai", "--set", &url];
    let mut first = Command::new(env!("CARGO_BIN_EXE_batchscribe"))
        .args(run)
        .env_clear()
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the first one");
    let lock = folder.path().join("batch/ledger.lock");
    while std::fs::read_to_string(&lock).map_or(true, |text| text.is_empty()) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let (exit, _, stderr) = said(folder.path(), &run);
    first.kill().expect("killed");
    serving.kill().expect("killed");
    let pid = first.id();
    drop((first.wait(), serving.wait()));
    assert_eq!(exit, 11, "{stderr}");
    assert!(stderr.contains("error[E401]") && stderr.contains(&format!("pid {pid}")), "{stderr}");
}

#[test]
fn a_port_that_is_taken() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let folder = folder();
    let (exit, _, stderr) = said(folder.path(), &["emulate", "--engine", "echo", "--listen", &address]);
    assert_eq!(exit, 1, "{stderr}");
    assert!(stderr.contains(&address) && stderr.contains("hint:"), "{stderr}");
}
