//! What is answered at which address. Nothing here changes anything.

use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    AUTHORIZATION, CACHE_CONTROL, ContentType, HOST, HeaderName, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE,
};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, Bytes, Data};
use actix_web::{Error, HttpResponse};
use futures_util::stream;

use super::board::Board;
use super::door::{Asked, Door, No};
use super::events::{Listener, form};
use super::metrics::MEDIA_TYPE;
use super::server::{Counting, Status};
use crate::kit::clock::io_pause;
use crate::kit::throttle::retry_after;

/// A connection that says nothing for longer is taken for dead by proxies.
const STILL_HERE: Duration = Duration::from_secs(15);

/// What all routes share.
pub(super) struct Shared {
    pub(super) board: Board,
    pub(super) door: Door,
    pub(super) status: Status,
    pub(super) flagged: Counting,
}

/// Hangs the routes of this room into the server.
pub(super) fn configure(config: &mut web::ServiceConfig) {
    config
        .route("/health/livez", web::get().to(livez))
        .route("/health/readyz", web::get().to(readyz))
        .service(web::resource("/metrics").wrap(from_fn(with_token)).route(web::get().to(metrics)))
        .service(web::resource("/api/v1/status").wrap(from_fn(with_token)).route(web::get().to(status)))
        .service(web::resource("/events").wrap(from_fn(with_token)).route(web::get().to(events)))
        .service(web::resource("/api/v1/events").wrap(from_fn(with_token)).route(web::get().to(events)));
}

/// Before every route: the names alone. Whoever starts and stops programs has no token, and what other rooms have hung in has a gate
/// of its own.
pub(super) async fn at_the_door(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match verdict(&request, Door::knows) {
        Ok(()) => Ok(next.call(request).await?.map_into_boxed_body()),
        Err(no) => Ok(request.into_response(refusal(no))),
    }
}

/// Before each route that wants the token, where there is one: at the route, because an address can be written in many ways.
async fn with_token(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match verdict(&request, Door::lets_in) {
        Ok(()) => Ok(next.call(request).await?.map_into_boxed_body()),
        Err(no) => Ok(request.into_response(refusal(no))),
    }
}

fn verdict(request: &ServiceRequest, judge: fn(&Door, &Asked<'_>) -> Result<(), No>) -> Result<(), No> {
    let header = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let asked = Asked {
        host: header(HOST),
        origin: header(ORIGIN),
        authorization: header(AUTHORIZATION),
        place: request.peer_addr().map(|peer| peer.ip()),
    };
    request.app_data::<Data<Shared>>().map_or(Err(No::Host), |shared| judge(&shared.door, &asked))
}

fn refusal(no: No) -> HttpResponse {
    let (status, words) = match no {
        No::Host => (
            StatusCode::MISDIRECTED_REQUEST,
            "this server has another name; serve.host_names lists those it may be asked by\n",
        ),
        No::Origin => (StatusCode::FORBIDDEN, "pages of other sites are not answered\n"),
        No::Token => (StatusCode::UNAUTHORIZED, "this server asks for a token: Authorization: Bearer TOKEN\n"),
        No::Wait(_) => (StatusCode::TOO_MANY_REQUESTS, "too many wrong tokens came from there; wait a little\n"),
    };
    let mut answer = HttpResponse::build(status);
    if no == No::Token {
        answer.insert_header((WWW_AUTHENTICATE, "Bearer"));
    }
    if let No::Wait(pause) = no {
        answer.insert_header((RETRY_AFTER, retry_after(pause)));
    }
    answer.content_type(ContentType::plaintext()).body(words)
}

fn said(is_well: Result<(), String>) -> HttpResponse {
    match is_well {
        Ok(()) => HttpResponse::Ok().content_type(ContentType::plaintext()).body("ok\n"),
        Err(why) => HttpResponse::ServiceUnavailable().content_type(ContentType::plaintext()).body(format!("{why}\n")),
    }
}

async fn livez(shared: Data<Shared>) -> HttpResponse {
    let alive = shared.board.is_alive();
    said(if alive { Ok(()) } else { Err("the loop that attends the server does not come by any more".to_owned()) })
}

async fn readyz(shared: Data<Shared>) -> HttpResponse {
    said(shared.board.is_ready())
}

async fn metrics(shared: Data<Shared>) -> HttpResponse {
    // The ledger is a file: it is read beside the thread that answers.
    match web::block(move || shared.board.metrics()).await {
        Ok(text) => HttpResponse::Ok().content_type(MEDIA_TYPE).body(text),
        Err(_) => HttpResponse::ServiceUnavailable().finish(),
    }
}

async fn status(shared: Data<Shared>) -> HttpResponse {
    let flagged = match (shared.flagged)().await {
        Ok(flagged) => flagged,
        Err(why) => return said(Err(why)),
    };
    match web::block(move || (shared.status)(flagged)).await {
        Ok(Ok(document)) => HttpResponse::Ok().content_type(ContentType::json()).body(document),
        Ok(Err(why)) => said(Err(why)),
        Err(_) => HttpResponse::ServiceUnavailable().finish(),
    }
}

async fn events(shared: Data<Shared>) -> HttpResponse {
    let hub = shared.board.hub();
    let Some(listener) = hub.listen() else {
        return said(Err("too many listen already".to_owned()));
    };
    let first = hub.latest().map(|line| form(&line));
    let lines = stream::unfold((first, listener), |(first, mut listener)| async move {
        let line = match first {
            Some(line) => line,
            None => heard(&mut listener).await?,
        };
        Some((Ok::<_, Error>(Bytes::from(line)), (None, listener)))
    });
    HttpResponse::Ok().content_type("text/event-stream").insert_header((CACHE_CONTROL, "no-cache")).streaming(lines)
}

/// The next event, or a sign of life after a while.
async fn heard(listener: &mut Listener) -> Option<String> {
    tokio::select! {
        line = listener.next() => line,
        () = io_pause(STILL_HERE) => Some(": still here\n\n".to_owned()),
    }
}
