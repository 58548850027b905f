//! Everything that is known of a request and its answer, as one document: the provenance of a text. What the ledger does not
//! keep (request id, fingerprint, finish) is read from the saved result files when it is wanted.

use std::collections::BTreeMap;
use std::io;

use serde_json::{Value, json};

use super::raw_answer::{self, RawAnswer};
use super::text_file::{self, Whose};
use crate::domain::ids::Tag;
use crate::domain::image::Reason;
use crate::domain::layout::{self, Layout};
use crate::kit::clock::utc;
use crate::kit::hash;
use crate::ledger::LedgerError;
use crate::ledger::reader::{ImageDetails, ImageRow, Reader, RecipeText, Request};

/// Rows of the ledger read at once.
const PAGE: u32 = 512;

/// A request, and what its saved answer tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// What the ledger knows.
    pub request: Request,
    /// Its recipe in full.
    pub recipe: Option<RecipeText>,
    /// Its line of a saved result file.
    pub raw: Option<RawAnswer>,
}

/// Why something could not be told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A saved file cannot be read.
    #[error(transparent)]
    Disk(#[from] io::Error),
}

/// Whose text stands beside an image: `ours`, `edited`, `gone`, or nothing where there never was one.
#[must_use]
pub fn text_stands(layout: &Layout, image: &ImageDetails) -> Option<&'static str> {
    let (kind, hash) = (image.text.as_deref()?, image.text_hash?);
    Some(match (kind, text_file::whose(layout, &image.root, &image.path, kind, hash)) {
        ("kept", Whose::Ours | Whose::Theirs) => "edited",
        (_, Whose::Ours) => "ours",
        (_, Whose::Theirs) => "edited",
        (_, Whose::Nobody) => "gone",
    })
}

/// Every request for an image, oldest first.
///
/// # Errors
/// [`Error`].
pub fn of_image(reader: &Reader, layout: &Layout, image: &ImageDetails) -> Result<Vec<Known>, Error> {
    let mut all = Vec::new();
    for request in reader.requests_of(image.id)? {
        let recipe = reader.recipe_text(request.recipe.hash)?;
        let id = custom_id(&request);
        let raw = saved(reader, layout, &request, |found| found == id)?.remove(&id);
        all.push(Known { request, recipe, raw });
    }
    Ok(all)
}

/// Every request of the ledger as a document, shard by shard; each recipe is told in full before its first request. Then every
/// copy, with the name of the image whose answer it has.
///
/// # Errors
/// [`Error`], or what `each` says.
pub fn export<E: From<Error>>(
    reader: &Reader,
    layout: &Layout,
    each: &mut dyn FnMut(&Value) -> Result<(), E>,
) -> Result<(), E> {
    let mut recipes = BTreeMap::new();
    let mut after = None;
    loop {
        let shards = reader.shards(after, PAGE).map_err(Error::from)?;
        let Some(last) = shards.last() else { return copies(reader, each) };
        after = Some(*last);
        for shard in shards {
            let (mut image, mut answers) = (None, None);
            loop {
                let page = reader.requests_in(shard, image, PAGE).map_err(Error::from)?;
                let Some(last) = page.last() else { break };
                image = Some(last.image);
                if answers.is_none() {
                    answers = Some(saved(reader, layout, last, |_| true)?);
                }
                for request in page {
                    let recipe = told(reader, &request, &mut recipes, each)?;
                    let raw = answers.as_mut().and_then(|answers| answers.remove(&custom_id(&request)));
                    each(&document(&Known { request, recipe, raw }))?;
                }
            }
        }
    }
}

/// Images that have the answer of another one.
fn copies<E: From<Error>>(reader: &Reader, each: &mut dyn FnMut(&Value) -> Result<(), E>) -> Result<(), E> {
    let mut after = None;
    loop {
        let page = reader.copies(after, PAGE).map_err(Error::from)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.id);
        for copy in page {
            each(&json!({
                "schema": 1,
                "type": "copy",
                "path": copy.path.shown(),
                "of": copy.original.shown(),
                "blake3_128": copy.content.map(|hash| hash::hex(&hash)),
                "shard": copy.shard.as_ref().map(Tag::as_str),
                "state": copy.state.word(),
                "reason": copy.reason,
                "text": copy.text.as_ref().map(|(kind, hash)| json!({"kind": kind, "blake3_128": hash::hex(hash)})),
            }))?;
        }
    }
}

/// The recipe of a request; the first time it is told in full.
fn told<E: From<Error>>(
    reader: &Reader,
    request: &Request,
    recipes: &mut BTreeMap<hash::Short, Option<RecipeText>>,
    each: &mut dyn FnMut(&Value) -> Result<(), E>,
) -> Result<Option<RecipeText>, E> {
    if let Some(known) = recipes.get(&request.recipe.hash) {
        return Ok(known.clone());
    }
    let recipe = reader.recipe_text(request.recipe.hash).map_err(Error::from)?;
    if let Some(recipe) = &recipe {
        let mut document = recipe_json(request, Some(recipe));
        document["schema"] = 1.into();
        document["type"] = "recipe".into();
        document["prompt"] = recipe.prompt.as_str().into();
        each(&document)?;
    }
    recipes.insert(request.recipe.hash, recipe.clone());
    Ok(recipe)
}

/// The saved answers of a request's shard, by custom id; those of its batch before those of strays.
fn saved(
    reader: &Reader,
    layout: &Layout,
    request: &Request,
    wanted: impl Fn(&str) -> bool,
) -> Result<BTreeMap<String, RawAnswer>, Error> {
    let own = request.batch.as_ref().map(|batch| batch.id.clone());
    let mut batches = reader.batches_of_shard(request.shard_no)?;
    batches.sort_by_key(|batch| Some(batch) != own.as_ref());
    let mut answers = BTreeMap::new();
    for batch in &batches {
        raw_answer::each(layout, batch, |id, answer| {
            if wanted(&id) {
                answers.entry(id).or_insert(answer);
            }
        })?;
    }
    Ok(answers)
}

/// The custom id under which a request was sent.
#[must_use]
pub fn custom_id(request: &Request) -> String {
    let by_rule = || {
        let full = |bytes: &[u8]| hash::hex_digits(bytes, 64);
        layout::custom_id(request.recipe.id_style, &request.given, &request.path, full)
    };
    request.custom_id.clone().unwrap_or_else(by_rule)
}

/// Dollars of an answer, if its tokens and its price are known.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "dollars for people")]
pub fn cost_usd(request: &Request) -> Option<f64> {
    request.cost.as_ref().map(|(millionths, _)| *millionths as f64 / 1e12)
}

/// Everything about a request; unknown is said, never rounded to zero.
#[must_use]
pub fn document(known: &Known) -> Value {
    let Known { request, recipe, raw } = known;
    let batch = request.batch.as_ref();
    let raw_file = raw.as_ref().map(|raw| {
        let name = raw.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let file =
            if name.ends_with(".errors.jsonl") { batch.and_then(|b| b.errors) } else { batch.and_then(|b| b.output) };
        json!({"file": name, "line": raw.line, "sha256": file.map(|file| hash::hex(&file.sha256))})
    });
    json!({
        "schema": 1,
        "type": "attempt",
        "path": request.path.shown(),
        "page": request.page,
        "image": {"bytes": request.stamp.bytes, "modified": utc(request.stamp.mtime_ms),
            "blake3_128": request.content.map(|hash| hash::hex(&hash))},
        "sent": request.prepared.as_deref().map(parsed),
        "recipe": recipe_json(request, recipe.as_ref()),
        "model_returned": raw.as_ref().and_then(|raw| raw.model.clone()).or_else(|| batch.and_then(|b| b.model.clone())),
        "system_fingerprint": raw.as_ref().and_then(|raw| raw.fingerprint.clone()),
        "run": request.run,
        "program_version": request.version,
        "shard": request.shard.as_str(),
        "line": request.pos,
        "batch": batch.map(|batch| batch.id.as_str()),
        "custom_id": custom_id(request),
        "request_id": raw.as_ref().and_then(|raw| raw.request_id.clone()),
        "raw": raw_file,
        "asked_at": batch.and_then(|batch| batch.opened_at).map(utc),
        "answered_at": batch.and_then(|batch| batch.ended_at).map(utc),
        "written_at": batch.and_then(|batch| batch.settled_at).map(utc),
        "usage": request.usage.map(|usage| json!({"in": usage.prompt, "cached": usage.cached, "out": usage.output,
            "reasoning": usage.reasoning})),
        "cost_usd": cost_usd(request).map_or_else(|| "unknown".into(), Value::from),
        "price_date": request.cost.as_ref().map(|(_, date)| date),
        "finish": raw.as_ref().and_then(|raw| raw.finish.clone()),
        "verdict": request.verdict,
        "flags": request.flags,
        "cleaning": request.cleaning.as_deref().map(parsed),
        "text": request.text.as_ref().map(|(kind, hash)| json!({"kind": kind, "blake3_128": hash::hex(hash)})),
    })
}

fn recipe_json(request: &Request, text: Option<&RecipeText>) -> Value {
    let recipe = &request.recipe;
    json!({
        "blake3_128": hash::hex(&recipe.hash),
        "kind": recipe.kind,
        "step": recipe.step,
        "model": recipe.model,
        "endpoint": recipe.endpoint,
        "prompt_blake3_128": text.map(|text| hash::hex(&hash::short(text.prompt.as_bytes()))),
        "parameters": text.map(|text| parsed(&text.parameters)),
    })
}

/// JSON of the ledger; what is none is told as it is.
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

/// Whether a person's text stands beside an image: a new reading would not be written there.
#[must_use]
pub fn is_a_persons(image: &ImageRow, layout: &Layout) -> bool {
    if image.edited || image.reason.as_deref() == Some(Reason::TextPresent.word()) {
        return true;
    }
    match (image.text.as_deref(), image.text_hash) {
        (Some("kept"), _) => true,
        (Some(kind @ ("txt" | "api")), Some(hash)) => {
            text_file::whose(layout, &image.root, &image.path, kind, hash) == Whose::Theirs
        }
        _ => false,
    }
}
