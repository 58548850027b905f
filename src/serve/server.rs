//! The HTTP server.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{App, HttpServer};

use super::board::Board;
use super::door::Door;
use super::routes::{self, Shared};
use crate::kit::clock::Millis;
use crate::kit::exit_guard::ExitGuard;
use crate::kit::http_thread::{End, HttpThread};

/// How long a connection may take for the head of a request.
const HEAD: Duration = Duration::from_secs(10);
/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Connections at once; a monitor needs one.
const MOST_CONNECTIONS: usize = 256;

/// Gives the status as one JSON document in which so many images are flagged, or says why there is none.
pub type Status = Arc<dyn Fn(Flagged) -> Result<String, String> + Send + Sync>;

/// How many images are flagged, which takes a look at each of them, and when they were counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flagged {
    /// How many.
    pub images: u64,
    /// When (unix milliseconds).
    pub at: Millis,
}

/// Tells how many images are flagged, as they were counted last, or says why nobody knows. Whoever waits holds no thread.
pub type Counting = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<Flagged, String>>>> + Send + Sync>;

/// Hangs the routes of another room into the server, behind our own ones. The door looks at `Host` and `Origin` for them, too; who
/// is let in is their own affair.
pub type Mount = Arc<dyn Fn(&mut ServiceConfig) + Send + Sync>;

/// What a server is made with.
pub struct ServerOptions {
    /// Where it listens; port 0 = the system's choice.
    pub listen: SocketAddr,
    /// Who is let in.
    pub door: Door,
    /// What it shows.
    pub board: Board,
    /// Gives the document of `/api/v1/status`.
    pub status: Status,
    /// Gives what that begins with.
    pub flagged: Counting,
    /// Other rooms' routes.
    pub mounts: Vec<Mount>,
}

/// A running server; dropping it stops it.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub addr: SocketAddr,
    _http: HttpThread,
}

/// Starts a server.
///
/// # Errors
/// The operating system's, its kind kept: `AddrInUse`, `AddrNotAvailable` and `PermissionDenied` for the address.
pub fn start(options: ServerOptions) -> io::Result<Server> {
    let listener = TcpListener::bind(options.listen)?;
    let addr = listener.local_addr()?;
    let guard = ExitGuard::unheard("serve-http");
    let http = HttpThread::start("serve-http", guard, End::Cut, move || build(listener, options))?;
    Ok(Server { addr, _http: http })
}

fn build(listener: TcpListener, options: ServerOptions) -> io::Result<actix_web::dev::Server> {
    let ServerOptions { door, board, status, flagged, mounts, .. } = options;
    let shared = Data::new(Shared { board, door, status, flagged });
    Ok(HttpServer::new(move || {
        let mounts = mounts.clone();
        App::new()
            .app_data(Data::clone(&shared))
            .wrap(from_fn(routes::at_the_door))
            .configure(routes::configure)
            .configure(move |config| mounts.iter().for_each(|mount| mount(config)))
    })
    .workers(1)
    .max_connections(MOST_CONNECTIONS)
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(HEAD)
    .disable_signals()
    .listen(listener)?
    .run())
}
