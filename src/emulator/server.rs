//! The doors: actix-web on its own thread with its own System, so that a busy engine never holds up who asks.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::dev::Extensions;
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use tokio::sync::mpsc;

use super::bill::Bill;
use super::books::Books;
use super::core::{Rules, Service};
use super::engine::Engine;
use super::faults::Faults;
use super::folder::Folder;
use super::journal::Journal;
use super::record::Event;
use super::routes::{self, Connection};
use super::runner::{Fittings, Shared, hire};
use super::scenario::Scenario;
use super::validate::Limits;
use crate::kit::clock::Clock;
use crate::kit::exit_guard::{ExitGuard, ExitNotice, NOTICES};
use crate::kit::http_thread::{End, HttpThread};
use crate::kit::pool::Pool;
use crate::kit::random;
use crate::kit::stop::{Stop, StopLevel, StopSwitch, stop_switch};

/// Threads that speak HTTP; the work is done elsewhere.
const HTTP_THREADS: usize = 2;
/// How long a connection may take for the head of a request, and may linger at the end.
const HEAD: Duration = Duration::from_secs(120);
const LINGER_SECONDS: u64 = 2;

/// How fast things happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Completion window of a batch.
    pub window: Duration,
    /// Shortest time in `validating`.
    pub validating: Duration,
    /// Time in `finalizing`.
    pub finalizing: Duration,
    /// Shortest time in `cancelling`.
    pub cancelling: Duration,
    /// Think time of each line, beside what the engine takes.
    pub line_delay: Duration,
    /// Life of files without an `expires_after` of their own.
    pub files_live: Duration,
}

impl Default for Pace {
    /// The real window and life of files, and no waiting beside the engine's own time.
    fn default() -> Self {
        Self {
            window: Duration::from_secs(24 * 3600),
            validating: Duration::ZERO,
            finalizing: Duration::ZERO,
            cancelling: Duration::ZERO,
            line_delay: Duration::ZERO,
            files_live: Duration::from_secs(30 * 24 * 3600),
        }
    }
}

impl Pace {
    /// As the real service: minutes in each status.
    #[must_use]
    pub fn real() -> Self {
        Self {
            validating: Duration::from_secs(95),
            finalizing: Duration::from_secs(180),
            cancelling: Duration::from_secs(300),
            ..Self::default()
        }
    }

    /// Everything but the life of files `times` as fast; nothing changes for a number that is not positive.
    #[must_use]
    pub fn faster(self, times: f64) -> Self {
        let scaled = |duration: Duration| {
            Duration::try_from_secs_f64(duration.as_secs_f64() / times).ok().filter(|_| times > 0.0).unwrap_or(duration)
        };
        Self {
            window: scaled(self.window),
            validating: scaled(self.validating),
            finalizing: scaled(self.finalizing),
            cancelling: scaled(self.cancelling),
            line_delay: scaled(self.line_delay),
            files_live: self.files_live,
        }
    }
}

/// What a server needs to know.
#[derive(Clone)]
pub struct ServerOptions {
    /// Where it listens; port 0 = the system's choice.
    pub listen: SocketAddr,
    /// Its state folder, created if need be; a second server on it is refused.
    pub state: PathBuf,
    /// What answers.
    pub engine: Arc<dyn Engine>,
    /// Lines of batches that are asked at once; as many synchronous requests beside them.
    pub workers: usize,
    /// The auditor's file; none = no bill.
    pub bill: Option<PathBuf>,
    /// What goes wrong.
    pub scenario: Scenario,
    /// How fast things happen.
    pub pace: Pace,
    /// Limits of input files and of what is enqueued.
    pub limits: Limits,
    /// Reads uploads no faster than this.
    pub upload_bytes_per_second: Option<u64>,
    /// Refuses requests without a key; any key will do.
    pub require_key: bool,
    /// Closes connections that are idle for this long.
    pub keep_alive: Duration,
    /// A journal longer than this is compacted at start.
    pub compact_above_bytes: u64,
    /// The time.
    pub clock: Clock,
    /// Who hears of the ends of its threads; none = nobody.
    pub notices: Option<mpsc::Sender<ExitNotice>>,
}

impl std::fmt::Debug for ServerOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { listen, state, workers, .. } = self;
        let mut text = f.debug_struct("ServerOptions");
        text.field("listen", listen).field("state", state).field("engine", &self.engine.model());
        text.field("workers", workers).finish_non_exhaustive()
    }
}

impl ServerOptions {
    /// A server on a free port of the loopback address with `engine` behind two workers, without faults.
    #[must_use]
    pub fn new(state: PathBuf, engine: Arc<dyn Engine>) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            state,
            engine,
            workers: 2,
            bill: None,
            scenario: Scenario::default(),
            pace: Pace::default(),
            limits: Limits::default(),
            upload_bytes_per_second: None,
            require_key: false,
            keep_alive: Duration::from_secs(75),
            compact_above_bytes: 16 * 1024 * 1024,
            clock: Clock::wall(),
            notices: None,
        }
    }
}

/// A running server; dropping it stops it, too.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub addr: SocketAddr,
    stop: StopSwitch,
    http: Option<HttpThread>,
    workers: Vec<JoinHandle<()>>,
    shared: Arc<Shared>,
    // Kept open for guards whose notices nobody else wants.
    _notices: Option<mpsc::Receiver<ExitNotice>>,
}

/// Starts a server: reads its state folder, listens, and goes on with the batches that were open.
///
/// # Errors
/// The operating system's, its kind kept: `AddrInUse` and `PermissionDenied` for the address, `ResourceBusy` for a state
/// folder in use; `InvalidData` for a journal or a bill that cannot be read.
pub fn start(options: ServerOptions) -> io::Result<Server> {
    let habits = &options.scenario.habits;
    let limits = habits.limits(options.limits.clone());
    let keep_alive = habits.keep_alive_ms.map_or(options.keep_alive, Duration::from_millis);
    // The address first: a second server must not touch the state of the first.
    let listener = TcpListener::bind(options.listen)
        .map_err(|cause| io::Error::new(cause.kind(), format!("{}: {cause}", options.listen)))?;
    let addr = listener.local_addr()?;
    let books = open_books(&options, limits.enqueued_tokens)?;
    let (stop, watcher) = stop_switch();
    let (notices, kept) = match &options.notices {
        Some(notices) => (notices.clone(), None),
        None => {
            let (sender, receiver) = mpsc::channel(NOTICES);
            (sender, Some(receiver))
        }
    };
    let workers = options.workers;
    let pool = Pool::new("emulator-chat", workers.max(1))?;
    let shared = Arc::new(Shared::new(books, fittings(options, limits, watcher, pool)));
    let (guard, served) = (ExitGuard::new("emulator", notices.clone()), Arc::clone(&shared));
    let http = HttpThread::start("emulator-http", guard, End::Answer, move || build(listener, served, keep_alive))?;
    // Whatever fails from here on: its drop stops what runs.
    let mut server = Server { addr, stop, http: Some(http), workers: Vec::new(), shared, _notices: kept };
    server.workers = hire(&server.shared, workers, &notices)?;
    tracing::info!(%addr, engine = server.shared.engine.model(), "the emulator listens");
    Ok(server)
}

/// What a server is fitted out with beside its books.
pub(super) fn fittings(options: ServerOptions, limits: Limits, stop: Stop, pool: Pool) -> Fittings {
    Fittings {
        clock: options.clock,
        engine: options.engine,
        faults: Faults::new(options.scenario),
        limits,
        line_delay: options.pace.line_delay,
        upload_bytes_per_second: options.upload_bytes_per_second,
        require_key: options.require_key,
        stop,
        pool,
    }
}

/// The books as the state folder of `options` has them.
pub(super) fn open_books(options: &ServerOptions, enqueued_tokens: Option<u64>) -> io::Result<Books> {
    let folder = Arc::new(Folder::open(&options.state)?);
    let pace = &options.pace;
    let mut service = Service::new(Rules {
        window: pace.window,
        validating: pace.validating,
        finalizing: pace.finalizing,
        cancelling: pace.cancelling,
        files_live: pace.files_live,
        enqueued_tokens,
        habits: options.scenario.habits.clone(),
    });
    let mut journal = Journal::open(&folder.journal(), |event| service.apply(event))?;
    if service.is_new() {
        let began = Event::Began { seed: random::letters(16)? };
        journal.append(std::slice::from_ref(&began))?;
        service.apply(began);
    }
    if journal.length()? > options.compact_above_bytes {
        journal = Journal::rewrite(&folder.journal(), service.snapshot())?;
    }
    folder.agree_with(&service)?;
    let bill = options.bill.as_deref().map(Bill::open).transpose()?;
    Ok(Books::new(service, folder, journal, bill))
}

fn build(listener: TcpListener, shared: Arc<Shared>, keep_alive: Duration) -> io::Result<actix_web::dev::Server> {
    let closes = shared.faults.closes_connections();
    let data = Data::from(shared);
    Ok(HttpServer::new(move || App::new().app_data(Data::clone(&data)).configure(routes::configure))
        .on_connect(move |io, extensions| {
            if closes {
                keep_connection(io, extensions);
            }
        })
        .workers(HTTP_THREADS)
        .keep_alive(keep_alive)
        .client_request_timeout(HEAD)
        .client_disconnect_timeout(Duration::from_secs(LINGER_SECONDS))
        .shutdown_timeout(LINGER_SECONDS)
        .disable_signals()
        .listen(listener)?
        .run())
}

/// Keeps a second handle on the connection, by which a fault can close it.
fn keep_connection(io: &dyn std::any::Any, extensions: &mut Extensions) {
    let Some(stream) = io.downcast_ref::<actix_web::rt::net::TcpStream>() else { return };
    #[cfg(unix)]
    let handle = std::os::fd::AsFd::as_fd(stream).try_clone_to_owned();
    #[cfg(windows)]
    let handle = std::os::windows::io::AsSocket::as_socket(stream).try_clone_to_owned();
    match handle {
        Ok(handle) => drop(extensions.insert(Connection(handle.into()))),
        Err(cause) => tracing::warn!(%cause, "a connection cannot be closed by the scenario"),
    }
}

impl Server {
    /// The base URL for clients: `http://127.0.0.1:8080/v1`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    /// Stops: no new requests, lines under way are finished, threads joined. Open batches go on at the next start.
    pub fn stop(mut self) {
        self.shut();
    }

    fn shut(&mut self) {
        self.stop.raise(StopLevel::Drain);
        self.shared.ring();
        drop(self.http.take());
        // A thread that panicked has told its guard.
        self.workers.drain(..).for_each(|thread| drop(thread.join()));
        // The HTTP threads let go of what they share at their leisure; the state folder is free from now on.
        self.shared.books().0.close();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shut();
    }
}

#[cfg(test)]
#[path = "tests/server.rs"]
mod tests;
