//! `status FILE`: everything that is known of an image, so that nobody has to open the ledger.

use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Fail, cannot_write};
use crate::cli::{finish, words};
use crate::domain::image::RelPath;
use crate::domain::layout::Layout;
use crate::domain::reasons;
use crate::kit::hash;
use crate::ledger::reader::{ImageDetails, Reader};
use crate::ops::known::{self, Known};

use super::status::state;

/// The mistake behind what could not be told.
pub(super) fn failed(error: known::Error) -> Fail {
    match error {
        known::Error::Ledger(error) => finish::ledger(&error).into(),
        known::Error::Disk(cause) => cannot_write(&cause).into(),
    }
}

/// Prints an image: itself, its text, and every request for it.
pub(super) fn show(context: &Context, reader: &Reader, layout: &Layout, image: &ImageDetails) -> Result<Exit, Fail> {
    let requests = known::of_image(reader, layout, image).map_err(failed)?;
    let stands = known::text_stands(layout, image);
    if context.out.json {
        context.out.data(&document(image, stands, &requests).to_string())?;
        return Ok(Exit::Done);
    }
    for line in head(image, stands, requests.first()).into_iter().chain(requests.iter().flat_map(request)) {
        context.out.data(&words::safe(&line))?;
    }
    Ok(Exit::Done)
}

fn head(image: &ImageDetails, stands: Option<&str>, first: Option<&Known>) -> Vec<String> {
    let reason = image.reason.as_deref().map(|reason| format!(" ({})", reasons::words(reason))).unwrap_or_default();
    let pixels =
        image.pixels.map(|pixels| format!(", {} x {} pixels", pixels.width, pixels.height)).unwrap_or_default();
    let format = image.format.map_or("unknown format", |format| format.word());
    let content = first.and_then(|known| known.request.content).map(|hash| format!(", BLAKE3 {}", hash::hex(&hash)));
    let mut lines = vec![
        format!("{}: {}{reason}", image.path.shown(), state(image.state).replace('_', " ")),
        format!(
            " {} bytes, {format}{pixels}, changed {}{}",
            image.stamp.bytes,
            words::utc(image.stamp.mtime_ms),
            content.unwrap_or_default()
        ),
    ];
    if let (Some(stands), Some(hash)) = (stands, image.text_hash) {
        let stands = match stands {
            "ours" => "as it was written",
            "edited" => "edited by a person",
            _ => "gone",
        };
        lines.push(format!(" text {stands}, BLAKE3 {}", hash::hex(&hash)));
    }
    if let Some(original) = &image.copy_of {
        lines.push(format!(
            " the same bytes as {}: what becomes of that becomes of this, paid for once",
            original.shown()
        ));
    }
    lines.push(format!(" {}", tries(image)));
    lines
}

fn tries(image: &ImageDetails) -> String {
    let mut words = match image.lines.len() as u64 {
        0 => return "never asked".to_owned(),
        asked => format!("asked {}", words::count(asked, "time", "times")),
    };
    if image.asked > 0 {
        words.push_str(&format!(", {} without a good answer", image.asked));
    }
    if image.gaps > 0 {
        words.push_str(&format!(", {} never run by the provider", image.gaps));
    }
    words
}

fn request(known: &Known) -> Vec<String> {
    let Known { request, recipe, raw } = known;
    let batch = request.batch.as_ref().map_or("no batch yet", |batch| batch.id.as_str());
    let verdict = request.verdict.as_deref().unwrap_or("no answer yet");
    let flags = if request.flags.is_empty() { String::new() } else { format!(" [{}]", request.flags.join(", ")) };
    let asked = &request.recipe;
    let mut lines = vec![
        format!("  line {} of {batch} ({}), {}: {verdict}{flags}", request.pos, request.shard, asked.model),
        format!("    run {}, begun with version {}", request.run, request.version),
        format!("    recipe {} ({}, step {}) at {}", hash::hex(&asked.hash), asked.kind, asked.step, asked.endpoint),
    ];
    if let Some(recipe) = recipe {
        let prompt = hash::hex(&hash::short(recipe.prompt.as_bytes()));
        lines.push(format!("    prompt BLAKE3 {prompt}, parameters {}", recipe.parameters));
    }
    if let Some(raw) = raw {
        let part = |name: &str, value: &Option<String>| value.as_ref().map(|value| format!("{name} {value}"));
        let parts = [
            part("answered by", &raw.model),
            part("fingerprint", &raw.fingerprint),
            part("finish", &raw.finish),
            part("request", &raw.request_id),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        lines.extend((!parts.is_empty()).then(|| format!("    {}", parts.join(", "))));
        let name = raw.file.file_name().unwrap_or_default().to_string_lossy();
        lines.push(format!("    raw answer in {name}, line {}", raw.line));
    }
    if let Some(usage) = request.usage {
        let cost = known::cost_usd(request).map_or_else(|| "cost unknown".to_owned(), |usd| format!("${usd:.6}"));
        lines.push(format!(
            "    tokens: {} in, {} out ({} reasoning), {cost}",
            usage.prompt, usage.output, usage.reasoning
        ));
    }
    lines.extend(request.cleaning.as_ref().map(|cleaning| format!("    cleaning took {cleaning}")));
    lines
}

fn document(image: &ImageDetails, stands: Option<&str>, requests: &[Known]) -> Value {
    let request = |known: &Known| {
        let mut document = known::document(known);
        // The word of the first version, beside that of the provenance.
        document["model"] = known.request.recipe.model.as_str().into();
        document
    };
    json!({
        "schema": 1,
        "path": image.path.shown(),
        "state": state(image.state),
        "reason": image.reason,
        "bytes": image.stamp.bytes,
        "modified": words::utc(image.stamp.mtime_ms),
        "format": image.format.map(|format| format.word()),
        "pixels": image.pixels.map(|pixels| json!({"width": pixels.width, "height": pixels.height})),
        "attempts": image.asked,
        "returns": image.gaps,
        "text": image.text,
        "text_blake3_128": image.text_hash.map(|hash| hash::hex(&hash)),
        "text_stands": stands,
        "copy_of": image.copy_of.as_ref().map(RelPath::shown),
        "requests": requests.iter().map(request).collect::<Vec<_>>(),
    })
}
