//! The routes: HTTP in, decisions of the books out. Each meets its door's faults first.

pub(super) mod batches;
pub(super) mod chat;
pub(super) mod files;

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, ContentType, RETRY_AFTER};
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use super::desk::Json;
use super::habits::ErrorForm;
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
        .route("/v1/responses", web::post().to(chat::respond))
        .route("/v1/models", web::get().to(chat::models))
        .default_service(web::route().to(nowhere));
}

async fn nowhere(request: HttpRequest, shared: Data<Shared>) -> HttpResponse {
    refuse(&Refusal::no_route(request.method().as_str(), request.path()), shared.faults.habits().errors)
}

/// An error answer.
fn refuse(refusal: &Refusal, form: ErrorForm) -> HttpResponse {
    let status = if form == ErrorForm::Detail && refusal.status == 400 { 422 } else { refusal.status };
    let mut answer = HttpResponse::build(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    let words = &refusal.message;
    match form {
        ErrorForm::Json => answer.json(ErrorObject::from(refusal)),
        ErrorForm::Html => answer
            .insert_header((CONTENT_TYPE, "text/html"))
            .body(format!("<html><body><h1>{status}</h1></body></html>")),
        ErrorForm::Text => answer.insert_header((CONTENT_TYPE, "text/plain")).body(words.clone()),
        ErrorForm::Detail => answer.json(serde_json::json!({ "detail": words })),
        ErrorForm::Message => answer.json(serde_json::json!({ "message": words })),
        ErrorForm::Empty => answer.finish(),
    }
}

fn json(value: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok().json(value)
}

/// What a desk has said, as JSON.
fn answer(json: Json) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).body(json)
}

/// The connection of a request, kept so that a fault can close it without an answer.
#[derive(Debug)]
pub(crate) struct Connection(pub(crate) std::net::TcpStream);

/// No to a request, and how it is said.
struct No {
    refusal: Refusal,
    form: Option<ErrorForm>,
    retry_after_seconds: Option<u32>,
}

impl From<Refusal> for No {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, form: None, retry_after_seconds: None }
    }
}

impl From<&DoorRule> for No {
    fn from(rule: &DoorRule) -> Self {
        Self { refusal: rule.refusal(), form: rule.worded(), retry_after_seconds: rule.retry_after_seconds }
    }
}

/// Answers at `door` with what `act` says, unless a fault of the scenario speaks instead.
///
/// `act` is run at most once and gets the rule that it has to obey itself: a cut content, an upload that is cut.
async fn through(
    shared: &Data<Shared>,
    request: &HttpRequest,
    door: Door,
    act: impl AsyncFnOnce(Option<&DoorRule>) -> Result<HttpResponse, Refusal>,
) -> HttpResponse {
    let No { mut refusal, form, retry_after_seconds } = match meet(shared, request, door, act).await {
        Ok(answer) => return answer,
        Err(no) => no,
    };
    let habits = shared.faults.habits();
    let of_batches = matches!(door, Door::CreateBatch | Door::ListBatches | Door::GetBatch | Door::CancelBatch);
    if habits.batch_errors_are_500 && of_batches && refusal.status < 500 {
        refusal = Refusal::server_error();
    }
    let mut answer = refuse(&refusal, form.unwrap_or(habits.errors));
    if let Some(seconds) = retry_after_seconds {
        answer.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    if habits.closes_after_errors {
        // Nothing more is heard on this connection, so the server closes it once the answer is out.
        shut(request, std::net::Shutdown::Read);
    }
    answer
}

/// The faults of `door` and what they leave of the answer.
async fn meet(
    shared: &Data<Shared>,
    request: &HttpRequest,
    door: Door,
    act: impl AsyncFnOnce(Option<&DoorRule>) -> Result<HttpResponse, Refusal>,
) -> Result<HttpResponse, No> {
    if shared.require_key && !has_key(request) {
        return Err(Refusal::no_key().into());
    }
    let Some(rule) = shared.faults.at(door) else { return Ok(act(None).await?) };
    tracing::info!(?door, act = ?rule.act, "a fault of the scenario");
    match rule.act {
        Act::Refuse | Act::Drop => {
            // An upload is read in vain first: to its end, so that the refusal is not lost in a broken connection, or
            // into its middle, where it is cut.
            if door == Door::UploadFile {
                drop(act(Some(rule)).await);
            }
            if rule.act == Act::Drop { Ok(close(request)) } else { Err(rule.into()) }
        }
        Act::ActThenRefuse => {
            drop(act(None).await);
            Err(rule.into())
        }
        Act::ActThenDrop => {
            drop(act(None).await);
            Ok(close(request))
        }
        Act::ActTwiceThenDrop => {
            drop(act(Some(rule)).await);
            Ok(close(request))
        }
        Act::Cut => Ok(act(Some(rule)).await?),
        Act::Delay => {
            clock::io_pause(Duration::from_millis(rule.delay_ms)).await;
            Ok(act(None).await?)
        }
    }
}

fn has_key(request: &HttpRequest) -> bool {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    header.and_then(|value| value.strip_prefix("Bearer ")).is_some_and(|key| !key.trim().is_empty())
}

/// Closes the connection; the answer that is built here reaches nobody.
fn close(request: &HttpRequest) -> HttpResponse {
    shut(request, std::net::Shutdown::Both);
    HttpResponse::InternalServerError().finish()
}

fn shut(request: &HttpRequest, side: std::net::Shutdown) {
    if let Some(Connection(stream)) = request.conn_data::<Connection>() {
        // Fails if the caller was faster, which comes to the same.
        drop(stream.shutdown(side));
    }
}
