//! The page of what came to nothing: by reason, with what it means, what to do, and a button that puts its images back.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{Data, Form, Query};
use serde::Deserialize;
use serde_json::{Value, json};

use super::page::page;
use super::routes::No;
use super::{Pages, kept};
use crate::domain::ids::ImageId;
use crate::ledger::LedgerError;
use crate::ledger::moves::ImageState;
use crate::ledger::reader::{Failure, Reader, ReasonCount};
use crate::ops::explain;
use crate::ops::retry;
use crate::ops::review::{Entry, NotNoted};

const FAILURES: &str = include_str!("assets/failures.html");
/// Images shown of each reason; all of them have a page of their own.
const SHOWN: u32 = 5;
/// Images on a page of one reason.
const LIST: u32 = 100;

/// Counts by reason, each with whether any of its images was ever measured.
type Reasons = Vec<(ReasonCount, bool)>;

/// The images that stand in one state for one reason.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Group {
    /// `failed` or `rough`.
    state: String,
    /// The word of the ledger; empty for rough texts.
    #[serde(default)]
    reason: String,
}

/// What the page is asked for.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    /// One reason alone, in a list.
    state: Option<String>,
    reason: Option<String>,
    /// The list goes on behind this image.
    after: Option<i64>,
    /// How many images were put back just now, and how many were left.
    asked: Option<u64>,
    left: Option<u64>,
    /// Somebody else holds the ledger, so that nothing was put back.
    busy: Option<bool>,
}

/// What a button did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PutBack {
    /// Images that are owed again.
    pub(super) images: u64,
    /// Images that keep a person's text.
    pub(super) edited: u64,
    /// Images whose file has to be mended first.
    pub(super) unmeasured: u64,
}

/// All reasons, or the images of one.
pub(super) async fn failures(pages: Data<Pages>, wanted: Query<Wanted>) -> Result<HttpResponse, No> {
    let view = pages.into_inner().apart(move |pages| {
        let reader = pages.reader()?;
        let found = reader.standing().map_err(No::ledger)?.found;
        let reasons = reasons(pages, &reader, found)?;
        let mut view = match &wanted.state {
            Some(state) => {
                one(&reader, &reasons, state_of(state)?, wanted.reason.as_deref().unwrap_or(""), wanted.after)?
            }
            None => all(&reader, &reasons)?,
        };
        view["name"] = pages.name().into();
        view["here"] = "failures".into();
        view["read_only"] = pages.read_only.into();
        view["is_kept"] = (found > kept::FEW).into();
        view["asked"] = wanted.asked.into();
        view["left"] = wanted.left.into();
        view["busy"] = wanted.busy.into();
        Ok(view)
    });
    page(FAILURES, view.await?)
}

/// The button: what `retry --where` does for one reason. Then the page is shown anew, so that loading it again does nothing.
pub(super) async fn again(pages: Data<Pages>, group: Form<Group>) -> Result<HttpResponse, No> {
    let address = match pages.into_inner().apart(move |pages| put_back(pages, &group)).await {
        Ok(told) => format!("/failures?asked={}&left={}", told.images, told.edited + told.unmeasured),
        Err(No::Locked(_)) => "/failures?busy=true".to_owned(),
        Err(other) => return Err(other),
    };
    Ok(HttpResponse::SeeOther().insert_header((header::LOCATION, address)).finish())
}

/// Puts the images of one reason back; those with a person's text, and those that nobody could measure, are left.
pub(super) fn put_back(pages: &Pages, group: &Group) -> Result<PutBack, No> {
    let state = state_of(&group.state)?;
    if !can_be_asked(state) {
        return Err(No::Senseless("state is failed or rough".to_owned()));
    }
    let mut images = 0;
    let found = retry::ended(&pages.reader()?, &pages.layout, state, &group.reason, |some| {
        match pages.note(Entry::AskAgain(some.to_vec())) {
            Ok(many) => images += many,
            // Somebody else was faster.
            Err(NotNoted::NotAsked) => {}
            Err(error) => return Err(No::from(error)),
        }
        Ok(())
    });
    let found = found?;
    Ok(PutBack { images, edited: found.edited, unmeasured: found.unmeasured })
}

fn state_of(word: &str) -> Result<ImageState, No> {
    let ended = [ImageState::Failed, ImageState::Rough, ImageState::Skipped];
    let state = ended.into_iter().find(|state| state.word() == word);
    state.ok_or_else(|| No::Senseless("state is failed, rough or skipped".to_owned()))
}

/// What was skipped was never to be asked.
fn can_be_asked(state: ImageState) -> bool {
    matches!(state, ImageState::Failed | ImageState::Rough)
}

/// How many images ended for which reason, and whether any of them was ever measured.
fn reasons(pages: &Pages, reader: &Reader, found: u64) -> Result<Arc<Reasons>, No> {
    let count = || {
        let reasons = reader.reasons()?.into_iter().map(|count| {
            // Nobody asks it of those that were never to be asked, and they may be many.
            let is_measured = can_be_asked(count.state) && reader.has_measured(count.state, &count.reason)?;
            Ok((count, is_measured))
        });
        reasons.collect::<Result<Reasons, LedgerError>>()
    };
    pages.reasons.told(&pages.clock, found, count).map_err(No::ledger)
}

fn all(reader: &Reader, reasons: &Reasons) -> Result<Value, No> {
    let groups = reasons.iter().map(|(count, is_measured)| {
        let images = reader.ended(count.state, &count.reason, None, SHOWN)?;
        Ok(group(count, *is_measured, &images))
    });
    let groups: Vec<Value> = groups.collect::<Result<_, _>>().map_err(No::ledger)?;
    Ok(json!({"groups": groups}))
}

fn one(reader: &Reader, reasons: &Reasons, state: ImageState, reason: &str, after: Option<i64>) -> Result<Value, No> {
    let Some((count, is_measured)) = reasons.iter().find(|(count, _)| count.state == state && count.reason == reason)
    else {
        return Ok(json!({"groups": [], "alone": true}));
    };
    let images = reader.ended(state, reason, after.map(ImageId), LIST).map_err(No::ledger)?;
    let next = images.last().filter(|_| images.len() == LIST as usize).map(|image| image.image.0);
    Ok(json!({"groups": [group(count, *is_measured, &images)], "alone": true, "after": after, "next": next}))
}

fn group(count: &ReasonCount, is_measured: bool, images: &[Failure]) -> Value {
    let state = count.state.word();
    let word = if count.reason.is_empty() { state } else { count.reason.as_str() };
    let cause = explain::cause(word);
    json!({
        "state": state,
        "reason": count.reason,
        "words": word.replace('_', " "),
        "code": cause.map(|cause| cause.code),
        "meaning": cause.map(|cause| cause.meaning),
        "advice": cause.map(|cause| pieces(cause.advice)),
        "images": count.images,
        "can_be_asked": can_be_asked(count.state) && is_measured,
        "is_unmeasured": can_be_asked(count.state) && !is_measured,
        "shown": images.iter().map(|image| json!({"id": image.image.0, "path": image.path.shown()})).collect::<Vec<_>>(),
    })
}

/// A sentence in pieces, of which those between backticks are commands.
fn pieces(sentence: &str) -> Vec<Value> {
    let pieces = sentence.split('`').enumerate().filter(|(_, piece)| !piece.is_empty());
    pieces.map(|(at, piece)| json!({"text": piece, "is_command": at % 2 == 1})).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_tells_what_happened_and_what_to_do() {
        let count = |state, reason: &str| ReasonCount { state, reason: reason.to_owned(), images: 7 };
        let told = group(&count(ImageState::Failed, "reasoning_ate_budget"), true, &[]);
        assert_eq!([&told["code"], &told["words"]], ["E504", "reasoning ate budget"]);
        assert_eq!((&told["can_be_asked"], &told["images"]), (&json!(true), &json!(7)));
        let rough = group(&count(ImageState::Rough, ""), true, &[]);
        assert_eq!([&rough["code"], &rough["words"]], ["E507", "rough"]);
        let empty = group(&count(ImageState::Failed, "empty_file"), false, &[]);
        assert_eq!([&empty["can_be_asked"], &empty["is_unmeasured"]], [false, true], "the file has to be mended first");
        let skipped = group(&count(ImageState::Skipped, "text_present"), true, &[]);
        assert_eq!((&skipped["code"], &skipped["can_be_asked"]), (&Value::Null, &json!(false)), "that is no failure");
    }

    #[test]
    fn commands_stand_apart_from_words() {
        let told = pieces("`batchscribe review` shows it.");
        assert_eq!(told[0], json!({"text": "batchscribe review", "is_command": true}));
        assert_eq!(told[1], json!({"text": " shows it.", "is_command": false}));
        assert_eq!(pieces("Plain.").len(), 1);
    }
}
