//! The page of what came to nothing: by reason, with what it means, what to do, and a button that puts its images back.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{Data, Form, Query};
use serde::Deserialize;
use serde_json::{Value, json};

use super::kept::Told;
use super::page::{NoPage, page};
use super::routes::No;
use super::{Pages, kept};
use crate::domain::ids::ImageId;
use crate::domain::layout::Layout;
use crate::domain::reasons;
use crate::ledger::LedgerError;
use crate::ledger::moves::ImageState;
use crate::ledger::reader::{Failure, Reader, ReasonCount};
use crate::ops::review::{Entry, NotNoted};
use crate::ops::{explain, report, retry};

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
    /// So many were seen there; no more of them are asked again. All of them, if nobody says.
    #[serde(default)]
    at_most: Option<u64>,
}

/// What the page is asked for.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    /// One reason alone, in a list.
    state: Option<String>,
    reason: Option<String>,
    /// The list goes on behind this image.
    after: Option<i64>,
    /// What was put back just now, and why not all of it was, as [`PutBack`] has it.
    asked: Option<u64>,
    edited: Option<u64>,
    unmeasured: Option<u64>,
    moved_on: Option<u64>,
    more: Option<bool>,
    /// The word of [`stop_word`].
    stopped: Option<String>,
}

/// What a button did.
#[derive(Debug, Default)]
pub(super) struct PutBack {
    /// Images that are owed again.
    pub(super) images: u64,
    /// Images that keep a person's text.
    pub(super) edited: u64,
    /// Images whose file has to be mended first.
    pub(super) unmeasured: u64,
    /// Images that were asked for already when it came to them.
    pub(super) moved_on: u64,
    /// Whether there are more than were seen, which are left.
    pub(super) more: bool,
    /// Why it broke off, with what was put back by then.
    pub(super) stopped: Option<NotNoted>,
}

/// All reasons, or the images of one.
pub(super) async fn failures(pages: Data<Pages>, wanted: Query<Wanted>) -> Result<HttpResponse, NoPage> {
    let pages = pages.into_inner();
    let found = Arc::clone(&pages).apart(Pages::standing).await?.found;
    let reasons = reasons(&pages, found).await?;
    let view = pages.apart(move |pages| {
        let reader = pages.reader()?;
        let mut view = match &wanted.state {
            Some(state) => {
                let reason = wanted.reason.as_deref().unwrap_or("");
                one(&reader, &reasons.what, (state_of(state)?, reason), wanted.after)?
            }
            None => all(&reader, &reasons.what)?,
        };
        view["name"] = pages.name().into();
        view["here"] = "failures".into();
        view["read_only"] = pages.read_only.into();
        view["is_kept"] = (found > kept::FEW).into();
        view["counted"] = report::utc(reasons.at).into();
        view["is_renewed"] = reasons.is_renewed.into();
        view["did"] = did(&wanted);
        Ok(view)
    });
    Ok(page(FAILURES, view.await?)?)
}

/// What the button did, for the page that comes after it.
fn did(wanted: &Wanted) -> Value {
    let Wanted { asked: Some(asked), edited, unmeasured, moved_on, more, stopped, .. } = wanted else {
        return Value::Null;
    };
    json!({
        "asked": asked, "edited": edited.unwrap_or(0), "unmeasured": unmeasured.unwrap_or(0),
        "moved_on": moved_on.unwrap_or(0), "more": more.unwrap_or(false), "stopped": stopped,
    })
}

/// The button: what `retry --where` does for one reason. Then the page is shown anew, so that loading it again does nothing.
pub(super) async fn again(pages: Data<Pages>, group: Form<Group>) -> Result<HttpResponse, NoPage> {
    let told = pages.into_inner().apart(move |pages| put_back(pages, &group)).await?;
    Ok(HttpResponse::SeeOther().insert_header((header::LOCATION, address(&told))).finish())
}

/// The page that tells what the button did.
fn address(told: &PutBack) -> String {
    let mut address = format!("/failures?asked={}", told.images);
    for (name, many) in [("edited", told.edited), ("unmeasured", told.unmeasured), ("moved_on", told.moved_on)] {
        if many > 0 {
            address += &format!("&{name}={many}");
        }
    }
    if told.more {
        address += "&more=true";
    }
    if let Some(why) = &told.stopped {
        address += &format!("&stopped={}", stop_word(why));
    }
    address
}

/// The page has words of its own: what a link says is nothing that a page of ours repeats.
fn stop_word(why: &NotNoted) -> &'static str {
    match why {
        NotNoted::Locked(_) => "held",
        NotNoted::Between => "between",
        NotNoted::NotAsked | NotNoted::Ledger(_) => "broken",
    }
}

/// Puts the images of one reason back; those with a person's text, and those that nobody could measure, are left.
pub(super) fn put_back(pages: &Pages, group: &Group) -> Result<PutBack, No> {
    let state = state_of(&group.state)?;
    if !can_be_asked(state) {
        return Err(No::Senseless("state is failed or rough".to_owned()));
    }
    let note = |some: &[ImageId]| pages.note(Entry::AskAgain(some.to_vec()));
    let told = each_put_back(&pages.reader()?, &pages.layout, (state, &group.reason), group.at_most, note);
    if let Some(why) = &told.stopped {
        tracing::warn!(%why, images = told.images, "asking again broke off");
    }
    let (reason, images) = (group.reason.clone(), told.images);
    pages.reasons.mend(move |reasons| less(reasons, state, &reason, images));
    Ok(told)
}

/// The same of a ledger, page by page; `note` writes one.
fn each_put_back(
    reader: &Reader,
    layout: &Layout,
    which: (ImageState, &str),
    most: Option<u64>,
    mut note: impl FnMut(&[ImageId]) -> Result<u64, NotNoted>,
) -> PutBack {
    let (mut told, mut found) = (PutBack::default(), retry::Found::default());
    let ended = retry::ended(reader, layout, which, most, &mut found, |some| {
        let put = match note(some) {
            // Somebody else was faster.
            Err(NotNoted::NotAsked) => 0,
            noted => noted?,
        };
        told.images += put;
        told.moved_on += (some.len() as u64).saturating_sub(put);
        Ok(())
    });
    match ended {
        Ok(more) => told.more = more,
        Err(why) => told.stopped = Some(why),
    }
    PutBack { edited: found.edited, unmeasured: found.unmeasured, ..told }
}

/// So many images of one reason are counted no more.
fn less(reasons: &mut Reasons, state: ImageState, reason: &str, images: u64) {
    for (count, _) in reasons.iter_mut().filter(|(count, _)| count.state == state && count.reason == reason) {
        count.images = count.images.saturating_sub(images);
    }
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
async fn reasons(pages: &Arc<Pages>, found: u64) -> Result<Told<Reasons>, No> {
    let count = |pages: &Pages| {
        let reader = pages.reader()?;
        let reasons = reader.reasons()?.into_iter().map(|count| {
            // Nobody asks it of those that were never to be asked, and they may be many.
            let is_measured = can_be_asked(count.state) && reader.has_measured(count.state, &count.reason)?;
            Ok((count, is_measured))
        });
        reasons.collect::<Result<Reasons, LedgerError>>().map_err(No::ledger)
    };
    pages.kept(&pages.reasons, found, count).await
}

/// What is told of the images of one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stock {
    state: ImageState,
    reason: String,
    images: u64,
    /// Whether there may be more of them.
    is_at_least: bool,
    /// Whether nobody has counted them yet.
    is_uncounted: bool,
    is_measured: bool,
}

/// Those that were counted, and behind them those that have come since, by name.
fn all(reader: &Reader, reasons: &Reasons) -> Result<Value, No> {
    let mut groups = Vec::new();
    let mut add = |state: ImageState, reason: &str, counted: Option<&(ReasonCount, bool)>| {
        let images = reader.ended(state, reason, None, SHOWN)?;
        let told = told(reader, (state, reason), counted, images.len() as u64)?;
        groups.extend((told.images > 0).then(|| group(&told, &images)));
        Ok::<_, LedgerError>(())
    };
    for counted in reasons {
        add(counted.0.state, &counted.0.reason, Some(counted))?;
    }
    for (state, reason) in reader.reasons_there()? {
        if find(reasons, state, &reason).is_none() {
            add(state, &reason, None)?;
        }
    }
    Ok(json!({"groups": groups}))
}

fn one(
    reader: &Reader,
    reasons: &Reasons,
    (state, reason): (ImageState, &str),
    after: Option<i64>,
) -> Result<Value, No> {
    let first = reader.ended(state, reason, None, SHOWN)?;
    let told = told(reader, (state, reason), find(reasons, state, reason), first.len() as u64)?;
    if told.images == 0 {
        return Ok(json!({"groups": [], "alone": true}));
    }
    let images = reader.ended(state, reason, after.map(ImageId), LIST)?;
    let next = images.last().filter(|_| images.len() == LIST as usize).map(|image| image.image.0);
    Ok(json!({"groups": [group(&told, &images)], "alone": true, "after": after, "next": next}))
}

fn find<'a>(reasons: &'a Reasons, state: ImageState, reason: &str) -> Option<&'a (ReasonCount, bool)> {
    reasons.iter().find(|(count, _)| count.state == state && count.reason == reason)
}

/// What is told of a reason of which `there` images are there now, as far as one looks: where that is not far enough, the count of
/// the last walk is told.
fn told(
    reader: &Reader,
    (state, reason): (ImageState, &str),
    counted: Option<&(ReasonCount, bool)>,
    there: u64,
) -> Result<Stock, LedgerError> {
    let are_few = there < u64::from(SHOWN);
    let is_measured = match counted {
        // They are so few that all of them can be asked.
        _ if are_few => can_be_asked(state) && reader.has_measured(state, reason)?,
        Some((_, is_measured)) => *is_measured,
        None => false,
    };
    let images = if are_few { there } else { counted.map_or(there, |(count, _)| count.images.max(there)) };
    let is_at_least = !are_few && counted.is_none();
    Ok(Stock { state, reason: reason.to_owned(), images, is_at_least, is_uncounted: counted.is_none(), is_measured })
}

fn group(told: &Stock, images: &[Failure]) -> Value {
    let state = told.state.word();
    let word = if told.reason.is_empty() { state } else { told.reason.as_str() };
    let cause = explain::cause(word);
    let can_be_asked = can_be_asked(told.state);
    json!({
        "state": state,
        "reason": told.reason,
        "words": reasons::words(word),
        "code": cause.map(|cause| cause.code),
        "meaning": cause.map(|cause| cause.meaning),
        "advice": cause.map(|cause| pieces(cause.advice)),
        "images": told.images,
        "is_at_least": told.is_at_least,
        "is_uncounted": told.is_uncounted,
        "can_be_asked": can_be_asked && told.is_measured,
        "is_unmeasured": can_be_asked && !told.is_measured && !told.is_at_least,
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
    use std::path::Path;

    use super::*;
    use crate::ledger::reader::with_failed as failed;

    #[test]
    fn a_group_tells_what_happened_and_what_to_do() {
        let stock = |state, reason: &str, is_measured| Stock {
            state,
            reason: reason.to_owned(),
            images: 7,
            is_at_least: false,
            is_uncounted: false,
            is_measured,
        };
        let told = group(&stock(ImageState::Failed, "reasoning_ate_budget", true), &[]);
        assert_eq!([&told["code"], &told["words"]], ["E504", "all tokens spent on reasoning"]);
        assert_eq!((&told["can_be_asked"], &told["images"]), (&json!(true), &json!(7)));
        let rough = group(&stock(ImageState::Rough, "", true), &[]);
        assert_eq!([&rough["code"], &rough["words"]], ["E507", "rough"]);
        let empty = group(&stock(ImageState::Failed, "empty_file", false), &[]);
        assert_eq!([&empty["can_be_asked"], &empty["is_unmeasured"]], [false, true], "the file has to be mended first");
        let skipped = group(&stock(ImageState::Skipped, "text_present", true), &[]);
        assert_eq!((&skipped["code"], &skipped["can_be_asked"]), (&Value::Null, &json!(false)), "that is no failure");
    }

    fn layout(folder: &Path) -> Layout {
        let [batch, completed, output, extraction] = ["b", "c", "o", "e"].map(|name| folder.join(name));
        Layout { batch, completed, output, extraction, texts: None }
    }

    #[test]
    fn what_was_put_back_is_told_even_if_a_run_comes_between() {
        let folder = tempfile::tempdir().expect("temp dir");
        let reader = failed(folder.path(), 1_200, "empty");
        let at = layout(folder.path());
        let which = (ImageState::Failed, "empty");
        let mut pages = 0;
        let told = each_put_back(&reader, &at, which, None, |some| {
            pages += 1;
            match pages {
                1 => Ok(some.len() as u64 - 2),
                _ => Err(NotNoted::Locked("a run is at work".to_owned())),
            }
        });
        assert_eq!(address(&told), "/failures?asked=510&moved_on=2&stopped=held");
        let told = each_put_back(&reader, &at, which, None, |_| Err(NotNoted::Between));
        assert_eq!(address(&told), "/failures?asked=0&stopped=between");
        let told = each_put_back(&reader, &at, which, None, |_| Err(NotNoted::NotAsked));
        assert_eq!(address(&told), "/failures?asked=0&moved_on=1200");
    }

    #[test]
    fn no_more_is_put_back_than_was_seen() {
        let folder = tempfile::tempdir().expect("temp dir");
        let reader = failed(folder.path(), 1_200, "empty");
        for (most, images, more) in
            [(Some(700), 700, true), (Some(1_200), 1_200, false), (Some(0), 0, true), (None, 1_200, false)]
        {
            let told = each_put_back(&reader, &layout(folder.path()), (ImageState::Failed, "empty"), most, |some| {
                Ok(some.len() as u64)
            });
            assert_eq!((told.images, told.more), (images, more), "{most:?}");
        }
    }

    #[test]
    fn reasons_that_come_after_the_count_are_named_and_numbers_are_as_true_as_a_short_look_tells() {
        let folder = tempfile::tempdir().expect("temp dir");
        failed(folder.path(), 3, "damaged");
        let reader = failed(folder.path(), 9, "empty");
        let count =
            |reason: &str, images| (ReasonCount { state: ImageState::Failed, reason: reason.to_owned(), images }, true);
        let mut reasons = vec![count("damaged", 4), count("loop", 2)];
        let told = |reasons: &Reasons| {
            let groups = all(&reader, reasons).expect("groups")["groups"].take();
            let of = |group: &Value| {
                let is = |name: &str| group[name] == true;
                let reason = group["reason"].as_str().unwrap_or_default().to_owned();
                (
                    reason,
                    group["images"].as_u64().unwrap_or(0),
                    is("is_uncounted"),
                    is("is_at_least"),
                    is("can_be_asked"),
                )
            };
            groups.as_array().expect("a list").iter().map(of).collect::<Vec<_>>()
        };
        let damaged = ("damaged".to_owned(), 3, false, false, true);
        assert_eq!(told(&reasons), [damaged.clone(), ("empty".to_owned(), 5, true, true, false)]);
        reasons.push(count("empty", 700));
        less(&mut reasons, ImageState::Failed, "empty", 691);
        assert_eq!(told(&reasons), [damaged, ("empty".to_owned(), 9, false, false, true)]);
    }

    #[test]
    fn commands_stand_apart_from_words() {
        let told = pieces("`batchscribe review` shows it.");
        assert_eq!(told[0], json!({"text": "batchscribe review", "is_command": true}));
        assert_eq!(told[1], json!({"text": " shows it.", "is_command": false}));
        assert_eq!(pieces("Plain.").len(), 1);
    }
}
