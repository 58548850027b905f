//! The API behind the pages: JSON in, JSON out.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path, Query};
use actix_web::{HttpResponse, ResponseError as _};
use futures_util::future::join;
use serde::Deserialize;
use serde_json::{Value, json};

use super::failures::{self, Group, PutBack};
use super::routes::No;
use super::{Pages, view};
use crate::domain::review::{Deed, Review};
use crate::kit::hash;
use crate::ledger::moves::ImageState;
use crate::ops::review::{self, Entry, NotNoted, Unsaved};

/// Images told at once, unless fewer are asked for.
const LIST: usize = 2_000;

/// Which stretch of the list is asked for.
#[derive(Debug, Deserialize)]
pub(super) struct Stretch {
    /// The last image of the stretch before, by its row.
    after: Option<i64>,
    limit: Option<usize>,
}

/// A verdict.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Verdict {
    image: i64,
    review: String,
}

/// An edited text.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Edit {
    image: i64,
    text: String,
    /// Hash of the text that was shown and edited; null where there was none.
    hash: Option<String>,
}

/// What is to be asked again: one image, or all that ended for one reason.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Again {
    Image(AgainImage),
    Group(Group),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AgainImage {
    image: i64,
}

/// How far the work is.
pub(super) async fn status(pages: Data<Pages>) -> Result<HttpResponse, No> {
    let pages = pages.into_inner();
    let found = Arc::clone(&pages).apart(Pages::standing).await?.found;
    let (counted, order) = join(pages.counted(found), pages.order(found)).await;
    let mut document = counted?.what.document();
    document["type"] = "status".into();
    document["to_review"] = view::counts(&order?.what);
    document["read_only"] = pages.read_only.into();
    Ok(HttpResponse::Ok().json(document))
}

/// The images to be looked at, in their order.
pub(super) async fn images(pages: Data<Pages>, stretch: Query<Stretch>) -> Result<HttpResponse, No> {
    let pages = pages.into_inner();
    // A list that is read in stretches is one list.
    let order = match pages.order.as_told().filter(|_| stretch.after.is_some()) {
        Some(told) => told,
        None => {
            let found = Arc::clone(&pages).apart(Pages::standing).await?.found;
            pages.order(found).await?
        }
    };
    let list = view::list(&order.what, stretch.after, stretch.limit.unwrap_or(LIST).clamp(1, LIST));
    Ok(HttpResponse::Ok().json(list))
}

/// One image with its text.
pub(super) async fn image(pages: Data<Pages>, id: Path<i64>) -> Result<HttpResponse, No> {
    let image =
        pages.into_inner().apart(move |pages| Ok(view::image(&pages.layout, &pages.image(&pages.reader()?, *id)?)));
    Ok(HttpResponse::Ok().json(image.await?))
}

/// Notes a verdict.
pub(super) async fn review(pages: Data<Pages>, verdict: Json<Verdict>) -> Result<HttpResponse, No> {
    let Verdict { image, review } = verdict.into_inner();
    let verdict = Review::from_word(&review)
        .ok_or_else(|| No::Senseless("review is good, needs_work, unreadable or unreviewed".to_owned()))?;
    let told = pages.into_inner().apart(move |pages| {
        let id = pages.image(&pages.reader()?, image)?.id;
        pages.note(Entry::Did(id, Deed::Reviewed(verdict)))?;
        Ok(json!({"schema": 1, "image": image, "review": review}))
    });
    Ok(HttpResponse::Ok().json(told.await?))
}

/// Saves an edit. Where a run holds the ledger, the text is saved all the same: every run sees that it is a person's.
pub(super) async fn text(pages: Data<Pages>, edit: Json<Edit>) -> Result<HttpResponse, No> {
    let edit = edit.into_inner();
    let told = pages.into_inner().apart(move |pages| saved(pages, &edit));
    Ok(HttpResponse::Ok().json(told.await?))
}

fn saved(pages: &Pages, edit: &Edit) -> Result<Value, No> {
    let shown = match &edit.hash {
        Some(hex) => Some(hash::unhex(hex).ok_or_else(|| No::Senseless("hash is 32 hex digits or null".to_owned()))?),
        None => None,
    };
    let image = pages.image(&pages.reader()?, edit.image)?;
    let (hash, is_new) = review::save(&pages.layout, &image, &edit.text, shown)?;
    let mut why_not = None;
    if is_new {
        match pages.note(Entry::Did(image.id, Deed::Edited(hash))) {
            Ok(_) => {
                // One that is under way is still wanted there: its end is what the books go on with.
                let now = pages.image(&pages.reader()?, edit.image)?;
                if now.state == ImageState::Done {
                    review::remove_rough(&pages.layout, &image).map_err(|cause| No::Broken(cause.to_string()))?;
                }
            }
            Err(error @ (NotNoted::Locked(_) | NotNoted::Between)) => why_not = Some(error.to_string()),
            Err(error) => return Err(error.into()),
        }
    }
    let mut told = view::image(&pages.layout, &pages.image(&pages.reader()?, edit.image)?);
    told["noted"] = why_not.is_none().into();
    told["why_not_noted"] = why_not.into();
    Ok(told)
}

/// Puts images back to be asked again.
pub(super) async fn retry(pages: Data<Pages>, again: Json<Again>) -> Result<HttpResponse, No> {
    let again = again.into_inner();
    let told = pages.into_inner().apart(move |pages| match again {
        Again::Image(AgainImage { image }) => {
            let id = pages.image(&pages.reader()?, image)?.id;
            pages.note(Entry::AskAgain(vec![id]))?;
            Ok((StatusCode::OK, json!({"schema": 1, "image": image, "state": "owed"})))
        }
        Again::Group(group) => Ok(told(failures::put_back(pages, &group)?)),
    });
    let (status, document) = told.await?;
    Ok(HttpResponse::build(status).json(document))
}

/// What was put back; where it broke off it is told beside the error.
fn told(put_back: PutBack) -> (StatusCode, Value) {
    let PutBack { images, edited, unmeasured, moved_on, more, stopped } = put_back;
    let mut document = json!({
        "schema": 1, "images": images, "edited": edited, "unmeasured": unmeasured, "moved_on": moved_on, "more": more,
    });
    let Some(why) = stopped.map(No::from) else { return (StatusCode::OK, document) };
    document["error"] = why.to_string().into();
    (why.status_code(), document)
}

impl From<NotNoted> for No {
    fn from(error: NotNoted) -> Self {
        match error {
            NotNoted::Locked(_) | NotNoted::Between => Self::Locked(error.to_string()),
            NotNoted::NotAsked => Self::Conflict(error.to_string()),
            NotNoted::Ledger(error) => Self::ledger(error),
        }
    }
}

impl From<Unsaved> for No {
    fn from(error: Unsaved) -> Self {
        match error {
            Unsaved::Changed | Unsaved::Fixed(_) => Self::Conflict(error.to_string()),
            Unsaved::Disk(_) => Self::Broken(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_broke_off_tells_what_it_did_before() {
        let some = PutBack { images: 512, edited: 1, ..PutBack::default() };
        let (status, document) = told(some);
        assert_eq!((status.as_u16(), &document["images"], &document["error"]), (200, &json!(512), &Value::Null));
        let held = NotNoted::Locked("another batchscribe works here".to_owned());
        let (status, document) = told(PutBack { images: 512, stopped: Some(held), ..PutBack::default() });
        assert_eq!((status.as_u16(), &document["images"], document["error"].is_string()), (423, &json!(512), true));
    }
}
