//! Ctrl-C twice: the second one ends at once, whatever is still waited for. A terminal that goes away is like the first one.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::oracle;
use crate::sandbox::{Sandbox, Weather, png};

/// How often the program is looked at, and how many times, before it counts as one that does not end.
const LOOK: Duration = Duration::from_millis(20);
const LOOKS: u32 = 3_000;

#[test]
fn the_second_ctrl_c_ends_at_once_while_an_engine_reads() {
    let folder = tempfile::tempdir().expect("temp dir");
    std::fs::write(folder.path().join("page.png"), png(1)).expect("an image");
    // An engine that is asked and never answers.
    let engine = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = engine.local_addr().expect("an address");
    let (tell, asked) = mpsc::channel();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in engine.incoming() {
            let mut stream = stream.expect("a connection");
            let mut some = [0; 16];
            let read = stream.read(&mut some).expect("a request");
            held.push(stream);
            if read > 0 && tell.send(()).is_err() {
                return;
            }
        }
    });
    let mut child = Command::new(env!("CARGO_BIN_EXE_batchscribe"))
        .args(["run", "--set", "provider.name=local", "--set", &format!("provider.engine=http://{address}/v1")])
        .current_dir(folder.path())
        .env_clear()
        .env("HOME", folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    asked.recv_timeout(LOOK * LOOKS).expect("the engine is asked");
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::INT).expect("it is there");
    let mut told = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let stopping = told.any(|line| line.expect("text").contains("Ctrl-C again ends at once"));
    assert!(stopping, "the first signal is heard");
    // Long enough for the pipeline to end, so that only the engine is waited for; correct as well if it has not.
    std::thread::sleep(Duration::from_millis(800));
    kill_process(pid, Signal::INT).expect("it is there");
    let ended = (0..LOOKS).find_map(|_| {
        std::thread::sleep(LOOK);
        child.try_wait().expect("a child")
    });
    let Some(ended) = ended else {
        child.kill().expect("it is there");
        panic!("the second signal is not heard");
    };
    assert_eq!(ended.code(), Some(130));
}

/// A run whose batch does not end before anybody is tired of it.
fn waiting() -> Sandbox {
    Sandbox::with(2, Weather { line_delay: Duration::from_secs(3600), ..Weather::default() })
}

/// The program in a sandbox, as a shell starts it after `before`; its words come through a pipe.
fn started(sandbox: &Sandbox, before: &str, verb: &str) -> Child {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{before} exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_batchscribe")]);
    command.args(verb.split(' ')).args(["--yes", "--stats", "1s"]);
    for (key, value) in sandbox.flags() {
        command.args(["--set", &format!("{key}={value}")]);
    }
    command.current_dir(sandbox.workspace()).env_clear().env("HOME", sandbox.workspace()).env("PATH", "/usr/bin:/bin");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("a shell")
}

/// Reads what the program says until a line holds `words`; all of it up to then.
fn heard(told: &mut impl std::io::BufRead, words: &str) -> String {
    let mut all = String::new();
    while told.read_line(&mut all).expect("text") > 0 {
        if all.lines().last().is_some_and(|line| line.contains(words)) {
            return all;
        }
    }
    panic!("it never says {words:?}: {all}");
}

#[test]
fn a_terminal_that_goes_away_drains_a_run_however_often_it_is_told() {
    let sandbox = waiting();
    for verb in ["run", "download --wait"] {
        let mut child = started(&sandbox, "", verb);
        let mut told = BufReader::new(child.stderr.take().expect("a pipe"));
        heard(&mut told, "batches 1 open");
        let pid = Pid::from_child(&child);
        kill_process(pid, Signal::HUP).expect("it is there");
        let said = heard(&mut told, "Stopping");
        assert!(said.contains("1 batch stays open; run again to collect"), "{said}");
        // From the shell and from the system; whoever is gone by now needs no second one.
        let _may_be_over = kill_process(pid, Signal::HUP);
        let mut rest = String::new();
        told.read_to_string(&mut rest).expect("text");
        assert_eq!(child.wait().expect("a child").code(), Some(0), "{verb}: {rest}");
        assert!(rest.contains("Detached. 1 batch (2 pages) goes on"), "{verb}: {rest}");
        assert_eq!(oracle::count(&sandbox.bill(), "create"), 1, "nothing is paid for twice");
    }
}

// Only Linux tells whether a signal is ignored.
#[cfg(target_os = "linux")]
#[test]
fn who_ignores_the_end_of_the_terminal_works_on() {
    let sandbox = waiting();
    let mut child = started(&sandbox, "trap '' HUP;", "run");
    let mut told = BufReader::new(child.stderr.take().expect("a pipe"));
    heard(&mut told, "batches 1 open");
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::HUP).expect("it is there");
    // Had the first one been listened to, it would be told before the next line.
    kill_process(pid, Signal::USR1).expect("it is there");
    let said = heard(&mut told, "batches 1 open");
    assert!(!said.contains("Stopping"), "{said}");
    kill_process(pid, Signal::TERM).expect("it is there");
    let said = heard(&mut told, "Stopping");
    assert!(said.contains("1 batch stays open"), "{said}");
    drop(told);
    assert_eq!(child.wait().expect("a child").code(), Some(0));
}
