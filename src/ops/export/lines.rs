//! JSON lines: one object for each image or page, for scripts and data frames. The names are those of the report's table.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::texts::{Of, PageText};
use super::{Error, PAGE, Source, Told, because};
use crate::domain::image::shown;
use crate::kit::clock::utc;
use crate::kit::hash;
use crate::ledger::reader::ImageResult;
use crate::ops::text_file;

/// What every row says of itself. It rises if the meaning of a name ever changes.
pub(super) const SCHEMA: u32 = 1;

/// Writes a line for every image of the ledger.
pub(super) fn write(source: &Source<'_>, to: &mut dyn Write) -> Result<Told, Error> {
    each(source, &mut |image, text| {
        serde_json::to_writer(&mut *to, &line(&image, text.as_ref())).map_err(io::Error::from)?;
        Ok(to.write_all(b"\n")?)
    })
}

/// Hands over every image of the ledger with its text, and counts what has none.
pub(super) fn each(
    source: &Source<'_>,
    row: &mut dyn FnMut(ImageResult, Option<PageText>) -> Result<(), Error>,
) -> Result<Told, Error> {
    let (mut told, mut texts, mut after) = (Told::default(), source.texts(), None);
    loop {
        let images = source.reader.results(after, PAGE)?;
        let Some(last) = images.last() else { return Ok(told) };
        after = Some(last.id);
        for mut image in images.into_iter().filter(|image| source.has_result(image)) {
            let text = match texts.of(Of::result(&image))? {
                Ok(text) => {
                    told.without += u64::from(text.is_none());
                    text
                }
                Err(cause) => {
                    told.unread.add(because(&image.path, &cause));
                    None
                }
            };
            // What was there before its image was ever asked for is no text of ours that was changed.
            if image.text.is_some() && text.as_ref().is_some_and(|text| !text.ours) {
                text_file::flag_edited(&mut image.flags);
            }
            told.written += 1;
            row(image, text)?;
        }
    }
}

/// An object; what is not known is null, never zero.
pub(super) fn line(image: &ImageResult, text: Option<&PageText>) -> Value {
    let ImageResult { path, spent, last, .. } = image;
    let batch = last.as_ref().and_then(|last| last.batch.as_ref());
    let usage = spent.usage;
    json!({
        "schema": SCHEMA,
        "path": shown(&path.with_page(1).joined()),
        "page": path.page,
        "state": image.state.word(),
        "reason": image.reason,
        "flags": image.flags,
        "review": image.review,
        "text": text.map(|text| &text.text),
        "edited": text.map(|text| !text.ours),
        "text_file": Of::result(image).file().map(|file| shown(&file.joined())),
        "model": last.as_ref().map(|last| &last.model),
        "recipe": last.as_ref().map(|last| hash::hex(&last.recipe)),
        "batch": batch.map(|batch| &batch.0),
        "finished_at": last.as_ref().and_then(|last| last.settled_at).map(utc),
        "attempts": image.attempts,
        "returns": image.gaps,
        "tokens_in": usage.map(|usage| usage.prompt),
        "tokens_cached": usage.map(|usage| usage.cached),
        "tokens_out": usage.map(|usage| usage.output),
        "tokens_reasoning": usage.map(|usage| usage.reasoning),
        "cost_usd": usage.and(spent.cost).map(|cost| dollars(cost.picos())),
    })
}

/// What it cost, as near as a float comes.
#[expect(clippy::cast_precision_loss, reason = "dollars for people; the table has every digit")]
pub(super) fn dollars(picos: u64) -> f64 {
    picos as f64 / 1e12
}
