//! The server: actix-web on its own thread with its own System.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::rt::System;
use actix_web::web::Data;
use actix_web::{App, HttpServer};

use super::Pages;
use super::gate::{self, Gate};
use super::routes;
use crate::kit::exit_guard::ExitGuard;
use crate::kit::thread;

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
    http: Option<(ServerHandle, JoinHandle<()>)>,
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
    let gate = Gate::new(address, &[], pages.read_only)?;
    let visit = Visit { url: format!("http://{address}/review{}", gate.token_query()) };
    let http = speak(listener, Data::new(pages), Data::new(gate))?;
    Ok((Server { address, http: Some(http) }, visit))
}

/// Starts the thread that speaks HTTP, and waits until it does.
fn speak(listener: TcpListener, pages: Data<Pages>, gate: Data<Gate>) -> io::Result<(ServerHandle, JoinHandle<()>)> {
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    let thread = thread::spawn("review-http", ExitGuard::unheard("review"), move |guard| {
        let ended = System::new().block_on(async {
            let server = HttpServer::new(move || {
                App::new()
                    .app_data(Data::clone(&gate))
                    .configure(|config| routes::mount(config, &pages))
                    .wrap(from_fn(gate::keep))
            });
            let server = server
                .workers(HTTP_THREADS)
                .worker_max_blocking_threads(BLOCKING_THREADS)
                .client_request_timeout(HEAD)
                .client_disconnect_timeout(Duration::from_secs(LINGER_SECONDS))
                .shutdown_timeout(LINGER_SECONDS)
                .disable_signals()
                .listen(listener)?
                .run();
            // Fails if the starter has given up, which stops nothing: its drop of the handle is not a stop.
            drop(sender.send(server.handle()));
            server.await
        });
        match ended {
            Ok(()) => guard.drained(),
            Err(cause) => guard.failed(cause.to_string()),
        }
    })?;
    let handle = receiver.recv().map_err(|_| io::Error::other("the HTTP server did not start"))?;
    Ok((handle, thread))
}

impl Server {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some((handle, thread)) = self.http.take() {
            // The order to stop is given by the call; its future only waits, and the join does that.
            drop(handle.stop(true));
            // A thread that panicked has told its guard.
            drop(thread.join());
        }
    }
}
