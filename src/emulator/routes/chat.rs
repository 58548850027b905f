//! `/v1/chat/completions` and `/v1/models`: the engine as an ordinary server.

use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::value::RawValue;

use super::{json, through};
use crate::emulator::answer::ask;
use crate::emulator::bill::{Entry, print_of};
use crate::emulator::engine::{Answered, ChatRequest};
use crate::emulator::refusal::Refusal;
use crate::emulator::runner::Shared;
use crate::emulator::scenario::Door;
use crate::emulator::wire::{ChatCompletion, seconds};
use crate::kit::hash;

pub(crate) async fn complete(request: HttpRequest, shared: Data<Shared>, body: Bytes) -> HttpResponse {
    through(&shared, &request, Door::Chat, async |_| {
        let (asker, question) = (Data::clone(&shared), body.clone());
        let answered = shared.pool.run(move || answer(&asker, &question)).await;
        let (answered, images) = answered.map_err(|_| Refusal::server_error())?;
        let said = answered?;
        let tokens = said.tokens();
        let (mut books, now) = shared.books();
        let entry = Entry::Chat { images: &images, prompt_tokens: tokens.prompt, output_tokens: tokens.output };
        books.bill(now, &entry)?;
        let mut tag = format!("{now}").into_bytes();
        tag.extend_from_slice(&body);
        Ok(json(&ChatCompletion::new(&hash::hex_digits(&tag, 29), seconds(now), &said)))
    })
    .await
}

/// On the pool: the engine's answer, and the SHA-256 of each picture.
fn answer(shared: &Shared, body: &[u8]) -> (Answered, Vec<String>) {
    let Ok(raw) = serde_json::from_slice::<&RawValue>(body) else {
        return (Err(Refusal::new(400, "We could not parse the JSON body of your request.")), Vec::new());
    };
    match ChatRequest::read(raw) {
        Ok(request) => {
            let prints = request.images.iter().map(|image| print_of(&image.bytes)).collect();
            (ask(shared.engine.as_ref(), &request), prints)
        }
        Err(refusal) => (Err(refusal), Vec::new()),
    }
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
