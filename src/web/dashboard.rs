//! The pages within a server that has other addresses, too: its door has looked at `Host` and `Origin` already, and whoever wants to
//! see the pages needs a session.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, Form, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::json;

use super::Pages;
use super::gate::{self, Gate};
use super::page::page;
use super::routes::{self, No};
use crate::kit::clock::Millis;
use crate::kit::throttle::{Secret, retry_after};

const LOGIN: &str = include_str!("assets/login.html");

/// Pages and the gate before them.
#[derive(Clone, Debug)]
pub struct Dashboard {
    pages: Data<Pages>,
    gate: Data<Gate>,
}

impl Dashboard {
    /// `pages` for whoever knows `token`; without one, for whoever opens the link of [`Self::invitation`].
    ///
    /// # Errors
    /// The operating system's, if it has no randomness to give.
    pub fn new(pages: Pages, token: Option<Arc<Secret>>) -> io::Result<Self> {
        let gate = Gate::behind_a_door(token, pages.read_only, pages.clock.clone())?;
        Ok(Self { pages: Data::new(pages), gate: Data::new(gate) })
    }

    /// What follows the address of the server in a link that works once: the one that was not used yet, or a new one. `None` where
    /// a token is the way in.
    ///
    /// # Errors
    /// The operating system's, if it has no randomness to give.
    pub fn invitation(&self) -> io::Result<Option<String>> {
        Ok(self.gate.invitation()?.map(|query| format!("/{query}")))
    }

    /// How many images are flagged, and when they were counted (unix milliseconds): of many images, as they were counted last.
    ///
    /// # Errors
    /// Why nobody knows, in words.
    pub async fn flagged(&self) -> Result<(u64, Millis), String> {
        let pages = Data::clone(&self.pages).into_inner();
        let told = async {
            let found = Arc::clone(&pages).apart(Pages::standing).await?.found;
            pages.flagged(found).await
        };
        told.await.map(|told| (*told.what, told.at)).map_err(|error: No| error.to_string())
    }

    /// Hangs the pages into a server, behind everything that it answers itself.
    pub fn mount(&self, config: &mut ServiceConfig) {
        let pages = Data::clone(&self.pages);
        config.app_data(Data::clone(&self.gate)).service(
            web::scope("")
                .wrap(from_fn(gate::keep))
                .configure(move |config| routes::mount(config, &pages))
                .route(gate::LOGIN, web::get().to(login))
                .route(gate::LOGIN, web::post().to(enter)),
        );
    }
}

/// What a person types.
#[derive(Deserialize)]
struct Entrance {
    token: String,
}

async fn login() -> Result<HttpResponse, No> {
    page(LOGIN, json!({"wrong": false, "wait": null}))
}

async fn enter(request: HttpRequest, gate: Data<Gate>, entrance: Form<Entrance>) -> Result<HttpResponse, No> {
    let place = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
    match gate.enter(place, entrance.token.trim()) {
        Ok(Some(cookie)) => Ok(HttpResponse::SeeOther()
            .insert_header((header::LOCATION, "/"))
            .insert_header((header::SET_COOKIE, cookie))
            .finish()),
        Ok(None) => {
            let mut answer = page(LOGIN, json!({"wrong": true, "wait": null}))?;
            *answer.status_mut() = StatusCode::FORBIDDEN;
            Ok(answer)
        }
        Err(pause) => {
            let seconds = retry_after(pause);
            let mut answer = page(LOGIN, json!({"wrong": false, "wait": seconds}))?;
            *answer.status_mut() = StatusCode::TOO_MANY_REQUESTS;
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            Ok(answer)
        }
    }
}
