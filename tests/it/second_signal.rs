//! Ctrl-C twice: the second one ends at once, whatever is still waited for.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::sandbox::png;

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
