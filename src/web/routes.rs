//! The routes of the pages and their API.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::ContentType;
use actix_web::web::{self, Data};

use super::{Pages, api, batches, cost, failures, page, picture};

/// Longest body of a request in bytes: a text and what names it.
pub(super) const MOST_JSON: usize = 8 << 20;

/// Adds the routes of the pages to a server, but for the status, which a server may tell in its own way. Who may come in is not their
/// affair: a [`super::gate`] has to stand before them.
pub(super) fn mount(config: &mut web::ServiceConfig, pages: &Data<Pages>) {
    config
        .app_data(Data::clone(pages))
        .app_data(web::PayloadConfig::new(MOST_JSON))
        .route("/", web::get().to(page::overview))
        .route("/review", web::get().to(page::review))
        .route("/failures", web::get().to(failures::failures))
        .route("/failures/again", web::post().to(failures::again))
        .route("/batches", web::get().to(batches::batches))
        .route("/cost", web::get().to(cost::cost))
        .route("/style.css", web::get().to(page::style))
        .route("/review.js", web::get().to(page::script))
        .route("/picture/{id}", web::get().to(picture::picture))
        .route("/picture/{id}/original", web::get().to(picture::original))
        .route("/api/v1/images", web::get().to(api::images))
        .route("/api/v1/images/{id}", web::get().to(api::image))
        .route("/api/v1/batches", web::get().to(batches::document))
        .route("/api/v1/review", web::post().to(api::review))
        .route("/api/v1/text", web::post().to(api::text))
        .route("/api/v1/retry", web::post().to(api::retry))
        .default_service(web::to(page::nowhere));
}

/// Adds the status as these pages tell it.
pub(super) fn mount_status(config: &mut web::ServiceConfig) {
    config.route("/api/v1/status", web::get().to(api::status));
}

/// Why there is no answer, and how it is said.
#[derive(Debug, thiserror::Error)]
pub(super) enum No {
    /// The request makes no sense.
    #[error("{0}")]
    Senseless(String),
    /// There is no such image, or nothing was begun here.
    #[error("{0}")]
    Nothing(String),
    /// It is not possible as things stand.
    #[error("{0}")]
    Conflict(String),
    /// Another process writes the ledger.
    #[error("{0}")]
    Locked(String),
    /// Disk, ledger or a bug.
    #[error("{0}")]
    Broken(String),
}

impl actix_web::ResponseError for No {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Senseless(_) => StatusCode::BAD_REQUEST,
            Self::Nothing(_) => StatusCode::NOT_FOUND,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Locked(_) => StatusCode::LOCKED,
            Self::Broken(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let body = serde_json::json!({"schema": 1, "error": self.to_string()});
        HttpResponse::build(self.status_code()).insert_header(ContentType::json()).json(body)
    }
}
