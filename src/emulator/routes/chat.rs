//! `/v1/chat/completions`, `/v1/responses` and `/v1/models`: the engine as an ordinary server.

use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::value::RawValue;

use super::{json, through};
use crate::emulator::answer::{directly, spoken};
use crate::emulator::bill::{Entry, print_of};
use crate::emulator::endpoint::Endpoint;
use crate::emulator::engine::ChatRequest;
use crate::emulator::record::Tokens;
use crate::emulator::refusal::Refusal;
use crate::emulator::runner::Shared;
use crate::emulator::scenario::Door;
use crate::emulator::wire::seconds;
use crate::kit::hash;

pub(crate) async fn complete(request: HttpRequest, shared: Data<Shared>, body: Bytes) -> HttpResponse {
    asked(request, shared, body, Endpoint::Chat).await
}

pub(crate) async fn respond(request: HttpRequest, shared: Data<Shared>, body: Bytes) -> HttpResponse {
    asked(request, shared, body, Endpoint::Responses).await
}

async fn asked(request: HttpRequest, shared: Data<Shared>, body: Bytes, endpoint: Endpoint) -> HttpResponse {
    through(&shared, &request, Door::Chat, async |_| {
        let (asker, question) = (Data::clone(&shared), body.clone());
        let answered = shared.pool.run(move || answer(&asker, endpoint, &question)).await;
        let Direct { tokens, images, spoken } = answered.map_err(|_| Refusal::server_error())??;
        let (mut books, now) = shared.books();
        let entry = Entry::Chat { images: &images, prompt_tokens: tokens.prompt, output_tokens: tokens.output };
        books.bill(now, &entry)?;
        Ok(json(&spoken))
    })
    .await
}

/// An answer and what it costs.
struct Direct {
    tokens: Tokens,
    /// SHA-256 of each picture.
    images: Vec<String>,
    spoken: Box<RawValue>,
}

/// On the pool. The models and the outcomes of the lines hold for direct requests, too.
fn answer(shared: &Shared, endpoint: Endpoint, body: &[u8]) -> Result<Direct, Refusal> {
    let raw: &RawValue = serde_json::from_slice(body)
        .map_err(|_| Refusal::new(400, "We could not parse the JSON body of your request."))?;
    let request = ChatRequest::read(endpoint, raw)?;
    let models = &shared.limits.models;
    if !models.is_empty() && !models.contains(&request.model) {
        return Err(Refusal::no_such_model(&request.model));
    }
    let said = directly(shared.engine.as_ref(), shared.faults.of_line(""), &request)?;
    let now = shared.clock.now();
    let mut tag = format!("{now}").into_bytes();
    tag.extend_from_slice(body);
    Ok(Direct {
        tokens: said.tokens(),
        images: request.images.iter().map(|image| print_of(&image.bytes)).collect(),
        spoken: spoken(&request, (&hash::hex_digits(&tag, 29), seconds(now)), &said),
    })
}

pub(crate) async fn models(request: HttpRequest, shared: Data<Shared>) -> HttpResponse {
    through(&shared, &request, Door::Models, async |_| {
        let model = serde_json::json!({
            "id": shared.engine.model(), "object": "model", "created": 0, "owned_by": "batchscribe",
        });
        Ok(json(&serde_json::json!({ "object": "list", "data": [model] })))
    })
    .await
}
