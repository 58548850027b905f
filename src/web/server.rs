//! The server of the pages.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::web::Data;
use actix_web::{App, HttpServer};

use super::Pages;
use super::gate::{self, Gate};
use super::routes;
use crate::kit::exit_guard::ExitGuard;
use crate::kit::http_thread::{End, HttpThread};

/// One person's browser: one thread reads requests, a few wait for ledger, disk and pictures.
const HTTP_THREADS: usize = 1;
const BLOCKING_THREADS: usize = 4;
/// How long a connection may take for the head of a request, and may linger at the end.
const HEAD: Duration = Duration::from_secs(30);
const LINGER_SECONDS: u64 = 1;

/// A running server; dropping it stops it, too.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    _http: HttpThread,
}

/// The way in for its one visitor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// Address of the review page with the token; it works once.
    pub url: String,
}

/// Listens at `listen` (port 0 takes a free one) and serves `pages`.
///
/// # Errors
/// The operating system's, with the address.
pub fn start(listen: SocketAddr, pages: Pages) -> io::Result<(Server, Visit)> {
    let named = |cause: io::Error| io::Error::new(cause.kind(), format!("{listen}: {cause}"));
    let listener = TcpListener::bind(listen).map_err(named)?;
    let address = listener.local_addr().map_err(named)?;
    let gate = Gate::at(address, pages.read_only, pages.clock.clone())?;
    let query = gate.invitation()?.unwrap_or_default();
    let visit = Visit { url: format!("http://{address}/review{query}") };
    let (pages, gate) = (Data::new(pages), Data::new(gate));
    let guard = ExitGuard::unheard("review");
    let http = HttpThread::start("review-http", guard, End::Answer, move || build(listener, pages, gate))?;
    Ok((Server { address, _http: http }, visit))
}

fn build(listener: TcpListener, pages: Data<Pages>, gate: Data<Gate>) -> io::Result<actix_web::dev::Server> {
    let server = HttpServer::new(move || {
        App::new()
            .app_data(Data::clone(&gate))
            .configure(|config| routes::mount(config, &pages))
            .configure(routes::mount_status)
            .wrap(from_fn(gate::keep))
    });
    Ok(server
        .workers(HTTP_THREADS)
        .worker_max_blocking_threads(BLOCKING_THREADS)
        .client_request_timeout(HEAD)
        .client_disconnect_timeout(Duration::from_secs(LINGER_SECONDS))
        .shutdown_timeout(LINGER_SECONDS)
        .disable_signals()
        .listen(listener)?
        .run())
}

impl Server {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
