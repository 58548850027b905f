//! Programs that are called. None is waited for longer than it may take, and none can fill the memory.

use std::io::{self, IsTerminal as _, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::clock::{Stopwatch, io_pause};
use super::exit_guard::ExitGuard;
use super::runtime::Runtime;
use super::thread::spawn;

/// How often a program is asked whether it has ended.
const LOOK: Duration = Duration::from_millis(20);
/// What a program that has ended wrote is there by then; what it left running may hold its output open for ever.
const GRACE: Duration = Duration::from_millis(500);

/// How a program ended, and the beginning of what it wrote.
#[derive(Debug)]
pub struct Said {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote on its output, cut at the length that was asked for.
    pub output: Vec<u8>,
}

/// How a program ended; `None` if it had to be stopped.
///
/// # Errors
/// The operating system's.
pub fn ended(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let status = within(child, limit)?;
    if status.is_none() {
        child.kill()?;
        child.wait()?;
    }
    Ok(status)
}

/// Calls a program and takes at most `most` bytes of its output; `None` if it had to be stopped. It can ask its questions where
/// there is a terminal, and finds an empty input where there is none: nobody would ever answer.
///
/// # Errors
/// The operating system's.
pub fn output(command: &mut Command, limit: Duration, most: usize) -> io::Result<Option<Said>> {
    let is_attended = io::stdin().is_terminal();
    command.stdin(if is_attended { Stdio::inherit() } else { Stdio::null() }).stdout(Stdio::piped());
    // In a group of its own it would be stopped when it reads from the terminal.
    #[cfg(unix)]
    if !is_attended {
        std::os::unix::process::CommandExt::process_group(command, 0);
    }
    let mut child = command.spawn()?;
    let heard = Arc::new(Mutex::new(Vec::new()));
    let over = listen(&mut child, &heard, most)?;
    let Some(status) = within(&mut child, limit)? else {
        stop(&mut child, !is_attended)?;
        return Ok(None);
    };
    // Either way what the program itself has written was read.
    let _is_over = over.recv_timeout(GRACE);
    let output = std::mem::take(&mut *heard.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Some(Said { status, output }))
}

fn within(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let (runtime, watch) = (Runtime::new()?, Stopwatch::start());
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if watch.elapsed() >= limit {
            return Ok(None);
        }
        runtime.wait(io_pause(LOOK));
    }
}

/// Stops a program; where it has a group of its own, what it has started as well.
fn stop(child: &mut Child, has_group: bool) -> io::Result<()> {
    #[cfg(unix)]
    if has_group {
        // Fails only if it is gone.
        let _is_gone =
            rustix::process::kill_process_group(rustix::process::Pid::from_child(child), rustix::process::Signal::KILL);
    }
    #[cfg(not(unix))]
    let _ = has_group;
    child.kill()?;
    child.wait().map(drop)
}

/// Reads on another thread, to the end: a program whose output nobody takes would stand still.
fn listen(child: &mut Child, heard: &Arc<Mutex<Vec<u8>>>, most: usize) -> io::Result<Receiver<()>> {
    const NAME: &str = "child-output";
    let (end, over) = sync_channel(1);
    let Some(mut output) = child.stdout.take() else { return Ok(over) };
    let heard = Arc::clone(heard);
    spawn(NAME, ExitGuard::unheard(NAME), move |guard| {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = output.read(&mut buffer) {
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            let room = most.saturating_sub(heard.len());
            heard.extend_from_slice(&buffer[..count.min(room)]);
        }
        guard.drained();
        drop(end);
    })?;
    Ok(over)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn call(script: &str, limit: Duration, most: usize) -> Option<(bool, String)> {
        let said = output(Command::new("sh").args(["-c", script]), limit, most).expect("called")?;
        Some((said.status.success(), String::from_utf8(said.output).expect("text")))
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn the_beginning_of_the_output_is_kept_and_the_rest_is_read() {
        assert_eq!(call("echo one; echo two", MINUTE, 100), Some((true, "one\ntwo\n".to_owned())));
        assert_eq!(call("echo one; exit 3", MINUTE, 100), Some((false, "one\n".to_owned())));
        // More than any pipe holds.
        let much = "i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789; i=$((i+1)); done";
        assert_eq!(call(much, MINUTE, 5), Some((true, "01234".to_owned())));
    }

    #[test]
    fn what_it_leaves_running_is_not_waited_for() {
        assert_eq!(call("echo key; sleep 20 &", MINUTE, 100), Some((true, "key\n".to_owned())));
    }

    #[test]
    fn what_takes_too_long_is_stopped_with_all_that_it_has_started() {
        let folder = tempfile::tempdir().expect("folder");
        let pid = folder.path().join("pid");
        let script = format!("sleep 600 & echo $! > '{}'; wait", pid.display());
        let watch = Stopwatch::start();
        let mut limit = Duration::from_millis(100);
        // On a machine that is busy the shell may not have come that far.
        let inner = loop {
            assert_eq!(call(&script, limit, 100), None);
            match std::fs::read_to_string(&pid).unwrap_or_default().trim().parse::<i32>() {
                Ok(inner) => break inner,
                Err(_) => limit *= 2,
            }
        };
        assert!(watch.elapsed() < MINUTE * 5);
        // A test with a terminal shares its group with what it calls.
        if !io::stdin().is_terminal() {
            let inner = rustix::process::Pid::from_raw(inner).expect("a process");
            while rustix::process::test_kill_process(inner).is_ok() {
                assert!(watch.elapsed() < MINUTE * 5, "it runs on");
                Runtime::new().expect("a runtime").wait(io_pause(LOOK));
            }
        }
    }

    /// A password manager that asks waits for ever where nobody can answer.
    #[test]
    fn nothing_is_read_where_nobody_answers() {
        if !io::stdin().is_terminal() {
            assert_eq!(call("read -r line || echo nobody", MINUTE, 100), Some((true, "nobody\n".to_owned())));
        }
    }
}
