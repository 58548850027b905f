//! Servers in processes of their own: sinks that drop what they are sent.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use batchscribe::bench::sink::{Answers, Sink};

use crate::scene::clean;
use crate::support;

/// A server, which ends with this value.
pub(crate) struct Server {
    child: Child,
    pub(crate) base_url: String,
}

impl Server {
    /// Drops what it is sent; batches never end.
    pub(crate) fn sink() -> Self {
        Self::start(&["drops"])
    }

    /// Drops what it is sent, and answers each request by its id.
    pub(crate) fn answering() -> Self {
        Self::start(&["answers"])
    }

    fn start(words: &[&str]) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("a name"));
        clean(command.arg("--serve").args(words)).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("it tells where it listens");
        Self { child, base_url: line.trim().to_owned() }
    }

    /// Processor seconds that it took so far.
    pub(crate) fn cpu(&self) -> f64 {
        support::cpu_of(&self.child.id().to_string())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Is such a server until the standard input ends: with whoever started it.
pub(crate) fn serve(words: &[String]) {
    let sink = match words {
        [word] if word == "drops" => Sink::start(Answers::None),
        [word] if word == "answers" => Sink::start(Answers::Each),
        other => panic!("there is no server {other:?}"),
    };
    let sink = sink.expect("a port");
    writeln!(std::io::stdout().lock(), "{}", sink.base_url()).expect("told");
    std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink()).expect("the end of the input");
}
