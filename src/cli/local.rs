//! Provider `local`: the emulator, started in this process.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::emulator::engine;
use crate::emulator::scenario::Scenario;
use crate::emulator::{self, Server, ServerOptions};
use crate::settings::{Engine, Problem, Settings};

use super::exit::{Fail, cannot_write};

/// What a server of ours is to be.
pub(super) struct Wanted {
    /// Address and port; port 0 takes a free one.
    pub(super) listen: SocketAddr,
    /// What reads the pages.
    pub(super) engine: Engine,
    /// Pages read at once; None means one per core.
    pub(super) threads: Option<u32>,
    /// Where files and batches are kept.
    pub(super) state: PathBuf,
    /// File of what would be charged.
    pub(super) bill: Option<PathBuf>,
    /// Faults to be played.
    pub(super) scenario: Scenario,
    /// Time that each line takes.
    pub(super) line_delay: Duration,
    /// Bytes a second that uploads may take.
    pub(super) upload_rate: Option<u64>,
}

impl Wanted {
    /// The server of provider `local` for these settings: a free port of this computer, no faults.
    pub(super) fn for_run(settings: &Settings) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            engine: settings.provider.engine.clone(),
            threads: settings.provider.engine_threads,
            state: settings.layout().local_provider(),
            bill: None,
            scenario: Scenario::default(),
            line_delay: Duration::ZERO,
            upload_rate: None,
        }
    }
}

/// Starts the server; it ends when the value is dropped.
pub(super) fn start(wanted: Wanted) -> Result<Server, Fail> {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let workers = wanted.threads.map_or_else(cores, |threads| usize::try_from(threads).unwrap_or(1));
    let engine = load(&wanted.engine, workers)?;
    let mut options = ServerOptions::new(wanted.state, engine);
    options.listen = wanted.listen;
    options.workers = workers;
    options.bill = wanted.bill;
    options.scenario = wanted.scenario;
    options.pace.line_delay = wanted.line_delay;
    options.upload_bytes_per_second = wanted.upload_rate;
    emulator::start(options).map_err(|cause| refused(wanted.listen, &cause))
}

fn refused(listen: SocketAddr, cause: &io::Error) -> Fail {
    let address = |sentence: String| {
        Fail::usage(Problem::new("", sentence).hint("choose another one with --listen; port 0 takes a free port"))
    };
    match cause.kind() {
        io::ErrorKind::AddrInUse => address(format!("another program listens on {listen} already")),
        io::ErrorKind::AddrNotAvailable => address(format!("{listen} is no address of this computer")),
        io::ErrorKind::StorageFull | io::ErrorKind::FileTooLarge => cannot_write(cause).into(),
        _ => Problem::new("", "the built-in Batch API server cannot be started")
            .detail(cause.to_string())
            .hint("batchscribe doctor  tells what this computer has")
            .into(),
    }
}

fn load(engine: &Engine, workers: usize) -> Result<Arc<dyn engine::Engine>, Problem> {
    let word = engine.word();
    // No key goes along: the user's key is the provider's affair, not that of a server of their own.
    engine::by_name(word, None, workers).map_err(|cause| match cause.kind() {
        io::ErrorKind::Unsupported => {
            Problem::new("E103", format!("`provider.engine` = \"{word}\" contradicts this build: {cause}"))
                .hint("set provider.engine to the URL of an OpenAI-compatible server, or give a key")
        }
        io::ErrorKind::InvalidInput => {
            let sentence = format!("`provider.engine` is \"{word}\"; allowed: ocr, echo or the URL of a server");
            Problem::new("E102", sentence).detail(cause.to_string()).hint("such as http://127.0.0.1:11434/v1")
        }
        _ => Problem::new("", format!("the engine {word} cannot be loaded"))
            .detail(cause.to_string())
            .hint("this is a mistake of the program or of its build: please report it"),
    })
}
