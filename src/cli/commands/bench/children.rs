//! The other processes: a stage that is measured, and the servers that it needs.

use std::ffi::OsStr;
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::bench::figures::Sample;
use crate::bench::ground::Ground;
use crate::bench::sink::{Answers, Sink};
use crate::bench::stage::Stage;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Fail, cannot_write};
use crate::settings::Problem;

/// What a server says once it listens, before its address.
const LISTENING: &str = "listening on ";

/// A server in a process of its own, which ends with this value.
pub(super) struct Server {
    child: Child,
    base_url: String,
}

impl Server {
    /// One that drops what it is sent, and whose result file is `results`.
    pub(super) fn sink(results: &Path) -> Result<Self, Fail> {
        Self::start(this_program()?.arg("bench").arg("--be-sink").arg(results))
    }

    /// The built-in server, which answers without reading; its files lie in `state`.
    pub(super) fn provider(state: &Path) -> Result<Self, Fail> {
        let mut command = this_program()?;
        command.args(["emulate", "--no-config", "--listen", "127.0.0.1:0", "--engine", "echo", "--state"]).arg(state);
        Self::start(&mut command)
    }

    fn start(command: &mut Command) -> Result<Self, Fail> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|cause| cannot_start(&cause))?;
        let mut line = String::new();
        let told = child.stdout.take().map(|stdout| BufReader::new(stdout).read_line(&mut line));
        let mut server = Self { child, base_url: String::new() };
        match (told, line.trim().strip_prefix(LISTENING)) {
            (Some(Ok(_)), Some(base_url)) => server.base_url = base_url.to_owned(),
            (Some(Err(cause)), _) => return Err(cannot_start(&cause).into()),
            _ => return Err(cannot_start(&io::Error::other("it ended at once")).into()),
        }
        Ok(server)
    }

    pub(super) fn base_url(&self) -> &str {
        &self.base_url
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by the signal that ends this process.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The program that runs now, without what the user's variables say about it.
fn this_program() -> Result<Command, Problem> {
    let program = std::env::current_exe().map_err(|cause| cannot_start(&cause))?;
    let mut command = Command::new(program);
    let ours = |name: &OsStr| name.as_encoded_bytes().starts_with(b"BATCHSCRIBE_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| ours(name)) {
        command.env_remove(name);
    }
    // A proxy would stand between two processes of one computer.
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(name);
    }
    Ok(command)
}

fn cannot_start(cause: &io::Error) -> Problem {
    Problem::new("", "cannot start another process of this program").detail(cause.to_string())
}

/// Measures a stage once in a process of its own.
pub(super) fn sample(stage: Stage, ground: &Ground, server: Option<&str>) -> Result<Sample, Fail> {
    let mut command = this_program()?;
    command.args(["bench", "--stage", stage.name(), "--inside"]).arg(&ground.folder);
    if let Some(server) = server {
        command.args(["--server", server]);
    }
    let output = command.stdin(Stdio::null()).output().map_err(|cause| cannot_start(&cause))?;
    let failed = |why: &str| Problem::new("", format!("the stage {} could not be measured", stage.name())).detail(why);
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim()).into());
    }
    serde_json::from_slice(&output.stdout).map_err(|cause| failed(&cause.to_string()).into())
}

/// Serves until the standard input ends: with whoever started it.
pub(super) fn be_sink(context: &Context, results: &Path) -> Result<Exit, Fail> {
    let sink = Sink::start(Answers::File(results.to_path_buf())).map_err(|cause| cannot_start(&cause))?;
    context.out.data(&format!("{LISTENING}{}", sink.base_url()))?;
    io::copy(&mut io::stdin().lock(), &mut io::sink()).map_err(|cause| cannot_write(&cause))?;
    Ok(Exit::Done)
}
