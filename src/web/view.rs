//! What is told of images: the documents of the API, which the pages use as well.

use serde_json::{Value, json};

use crate::domain::image::shown;
use crate::domain::layout::Layout;
use crate::domain::review::Review;
use crate::kit::hash;
use crate::ledger::reader::ImageResult;
use crate::ops::review::{self, Listed, Shown, Why};

/// One image with its text.
pub(super) fn image(layout: &Layout, image: &ImageResult) -> Value {
    of(image, &review::shown(layout, image))
}

fn of(image: &ImageResult, text: &Shown) -> Value {
    let edited = text.hash.is_some() && text.hash != image.text_hash || image.text.as_deref() == Some("kept");
    json!({
        "schema": 1,
        "id": image.id.0,
        "path": image.path.shown(),
        "folder": shown(&image.path.folder),
        "page": image.path.page,
        "state": image.state.word(),
        "reason": image.reason,
        "flags": image.flags,
        "review": image.review.as_deref().unwrap_or(Review::NONE),
        "attempts": image.attempts,
        "model": image.last.as_ref().map(|last| last.model.as_str()),
        "text": text.text,
        "hash": text.hash.map(|hash| hash::hex(&hash)),
        "is_there": text.hash.is_some() || text.fixed.is_some(),
        "rough": text.is_rough,
        "edited": edited,
        "fixed": text.fixed,
    })
}

/// A stretch of the images to be looked at: at most `limit`, which is one at least, behind the one of row `after`. `next` is what to ask for then.
pub(super) fn list(order: &[Listed], after: Option<i64>, limit: usize) -> Value {
    let begin =
        after.map_or(0, |after| order.iter().position(|image| image.id.0 == after).map_or(order.len(), |at| at + 1));
    let end = begin.saturating_add(limit).min(order.len());
    let next = (end < order.len()).then(|| order[end - 1].id.0);
    json!({
        "schema": 1,
        "total": order.len(),
        "images": order[begin..end].iter().map(row).collect::<Vec<_>>(),
        "next": next,
    })
}

fn row(image: &Listed) -> Value {
    let review = image.review.as_deref().unwrap_or(Review::NONE);
    json!({"id": image.id.0, "path": image.path, "why": image.why.word(), "review": review})
}

/// How many are to be looked at, and how many of them were.
pub(super) fn counts(order: &[Listed]) -> Value {
    let of = |why: Why| order.iter().filter(|image| image.why == why).count();
    let seen = order.iter().filter(|image| image.review.is_some()).count();
    json!({"total": order.len(), "doubtful": of(Why::Doubtful), "failed": of(Why::Failed), "drawn": of(Why::Drawn), "seen": seen})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::ImageId;

    #[test]
    fn a_list_is_read_to_its_end() {
        let listed = |id| Listed { id: ImageId(id), path: format!("{id}.png"), why: Why::Doubtful, review: None };
        let order: Vec<Listed> = [7, 3, 9, 1, 4].map(listed).into();
        let mut after = None;
        let mut ids = Vec::new();
        for _ in 0..order.len() {
            let page = list(&order, after, 2);
            ids.extend(page["images"].as_array().expect("images").iter().filter_map(|image| image["id"].as_i64()));
            after = page["next"].as_i64();
            if after.is_none() {
                break;
            }
        }
        assert_eq!(ids, [7, 3, 9, 1, 4]);
        assert_eq!(list(&order, Some(99), 2)["images"], json!([]), "a row that is not in the list");
        assert_eq!(list(&[], None, 2), json!({"schema": 1, "total": 0, "images": [], "next": null}));
    }
}
