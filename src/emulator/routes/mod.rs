//! The routes: HTTP in, decisions of the books out. Each meets its door's faults first.

pub(super) mod batches;
pub(super) mod chat;
pub(super) mod files;

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use super::refusal::Refusal;
use super::runner::Shared;
use super::scenario::{Act, Door, DoorRule};
use super::wire::ErrorObject;
use crate::kit::clock;

/// Longest JSON body in bytes: a chat request with its pictures.
pub(crate) const MOST_JSON: usize = 64 * 1024 * 1024;

/// Hangs all routes into the server.
pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .app_data(web::PayloadConfig::new(MOST_JSON))
        .route("/v1/files", web::post().to(files::upload))
        .route("/v1/files", web::get().to(files::list))
        .route("/v1/files/{id}", web::get().to(files::get))
        .route("/v1/files/{id}", web::delete().to(files::delete))
        .route("/v1/files/{id}/content", web::get().to(files::content))
        .route("/v1/batches", web::post().to(batches::create))
        .route("/v1/batches", web::get().to(batches::list))
        .route("/v1/batches/{id}", web::get().to(batches::get))
        .route("/v1/batches/{id}/cancel", web::post().to(batches::cancel))
        .route("/v1/chat/completions", web::post().to(chat::complete))
        .route("/v1/models", web::get().to(chat::models))
        .default_service(web::route().to(nowhere));
}

async fn nowhere(request: HttpRequest) -> HttpResponse {
    refuse(&Refusal::no_route(request.method().as_str(), request.path()))
}

/// An error answer.
pub(crate) fn refuse(refusal: &Refusal) -> HttpResponse {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    HttpResponse::build(status).json(ErrorObject::from(refusal))
}

/// A JSON answer, or the error.
fn reply(answer: Result<HttpResponse, Refusal>) -> HttpResponse {
    answer.unwrap_or_else(|refusal| refuse(&refusal))
}

fn json(value: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok().json(value)
}

/// The connection of a request, kept so that a fault can close it without an answer.
#[derive(Debug)]
pub(crate) struct Connection(pub(crate) std::net::TcpStream);

/// Meets the faults of `door`, and answers with what `act` says unless one of them speaks instead.
///
/// `act` is run at most once and gets the rule that it has to obey itself: a cut content, an upload that is cut.
async fn through(
    shared: &Data<Shared>,
    request: &HttpRequest,
    door: Door,
    act: impl AsyncFnOnce(Option<&DoorRule>) -> Result<HttpResponse, Refusal>,
) -> HttpResponse {
    if shared.require_key && !has_key(request) {
        return refuse(&Refusal::no_key());
    }
    let Some(rule) = shared.faults.at(door) else { return reply(act(None).await) };
    tracing::info!(?door, act = ?rule.act, "a fault of the scenario");
    match rule.act {
        Act::Refuse | Act::Drop => {
            // An upload is read in vain first: to its end, so that the refusal is not lost in a broken connection, or
            // into its middle, where it is cut.
            if door == Door::UploadFile {
                drop(act(Some(rule)).await);
            }
            if rule.act == Act::Drop { close(request) } else { error(rule) }
        }
        Act::ActThenRefuse => {
            drop(act(None).await);
            error(rule)
        }
        Act::ActThenDrop => {
            drop(act(None).await);
            close(request)
        }
        Act::Cut => reply(act(Some(rule)).await),
        Act::Delay => {
            clock::io_pause(Duration::from_millis(rule.delay_ms)).await;
            reply(act(None).await)
        }
    }
}

fn has_key(request: &HttpRequest) -> bool {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    header.and_then(|value| value.strip_prefix("Bearer ")).is_some_and(|key| !key.trim().is_empty())
}

fn error(rule: &DoorRule) -> HttpResponse {
    let refusal = rule.refusal();
    let mut response = refuse(&refusal);
    if rule.html {
        let page = format!("<html><body><h1>{}</h1></body></html>", refusal.status);
        response = HttpResponse::build(response.status()).insert_header((CONTENT_TYPE, "text/html")).body(page);
    }
    if let Some(seconds) = rule.retry_after_seconds {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// Closes the connection; the answer that is built here reaches nobody.
fn close(request: &HttpRequest) -> HttpResponse {
    if let Some(Connection(stream)) = request.conn_data::<Connection>() {
        // Fails if the caller was faster, which comes to the same.
        drop(stream.shutdown(std::net::Shutdown::Both));
    }
    HttpResponse::InternalServerError().finish()
}
