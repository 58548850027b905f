//! `/v1/chat/completions`, `/v1/responses` and `/v1/models`: the engine as an ordinary server.

use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};

use super::{answer, json, through};
use crate::emulator::desk::chat;
use crate::emulator::endpoint::Endpoint;
use crate::emulator::refusal::Refusal;
use crate::emulator::runner::Shared;
use crate::emulator::scenario::Door;

pub(crate) async fn complete(request: HttpRequest, shared: Data<Shared>, body: Bytes) -> HttpResponse {
    asked(request, shared, body, Endpoint::Chat).await
}

pub(crate) async fn respond(request: HttpRequest, shared: Data<Shared>, body: Bytes) -> HttpResponse {
    asked(request, shared, body, Endpoint::Responses).await
}

async fn asked(request: HttpRequest, shared: Data<Shared>, body: Bytes, endpoint: Endpoint) -> HttpResponse {
    through(&shared, &request, Door::Chat, async |_| {
        let (asker, question) = (Data::clone(&shared), body.clone());
        let said = shared.pool.run(move || chat::ask(&asker, endpoint, &question)).await;
        said.map_err(|_| Refusal::server_error())?.map(answer)
    })
    .await
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
