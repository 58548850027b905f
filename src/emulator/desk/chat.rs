//! `/v1/chat/completions` and `/v1/responses`.

use serde_json::value::RawValue;

use super::{Json, json};
use crate::emulator::answer::{directly, spoken};
use crate::emulator::bill::{Entry, print_of};
use crate::emulator::endpoint::Endpoint;
use crate::emulator::engine::ChatRequest;
use crate::emulator::refusal::Refusal;
use crate::emulator::runner::Shared;
use crate::emulator::wire::seconds;
use crate::kit::hash;

/// Asks the engine, which takes its time. The models and the outcomes of all lines hold for direct requests, too.
pub(crate) fn ask(shared: &Shared, endpoint: Endpoint, body: &[u8]) -> Result<Json, Refusal> {
    let raw: &RawValue = serde_json::from_slice(body)
        .map_err(|_| Refusal::new(400, "We could not parse the JSON body of your request."))?;
    let request = ChatRequest::read(endpoint, raw)?;
    let models = &shared.limits.models;
    if !models.is_empty() && !models.contains(&request.model) {
        return Err(Refusal::no_such_model(&request.model));
    }
    let said = directly(shared.engine.as_ref(), shared.faults.of_line(""), &request)?;
    let images: Vec<String> = request.images.iter().map(|image| print_of(&image.bytes)).collect();
    let tokens = said.tokens();
    let (mut books, now) = shared.books();
    let entry = Entry::Chat { images: &images, prompt_tokens: tokens.prompt, output_tokens: tokens.output };
    books.bill(now, &entry)?;
    let mut tag = format!("{now}").into_bytes();
    tag.extend_from_slice(body);
    Ok(json(&spoken(&request, (&hash::hex_digits(&tag, 29), seconds(now)), &said)))
}
