//! Images that are put back after they had ended: by order, as if never asked; or because their text turned out unusable.

use rusqlite::{OptionalExtension as _, params};

use super::SqliteStore;
use super::events;
use super::fault::{Fault, Outcome};
use super::rows::word;
use crate::domain::ids::ImageId;
use crate::domain::image::Reason;
use crate::domain::review::{Deed, Review};
use crate::kit::hash::Short;
use crate::ledger::moves::ImageState;

/// done, rough, failed or skipped → owed, in the order given; tells how many. What is owed or packed already stays as it is,
/// and so does an image that was never measured: the next walk measures it, and nothing can be asked before.
pub(super) fn ask_again(store: &mut SqliteStore, images: &[ImageId], model: Option<&str>) -> Outcome<u64> {
    let mut moved = 0;
    for image in images {
        if let Some(from) = ended(store, *image)? {
            put_back(store, *image, from)?;
            wish_for(store, *image, from, model)?;
            moved += 1;
        }
    }
    if moved > 0 {
        let model = model.map(|model| format!(", with {model}")).unwrap_or_default();
        events::append_to_run(store, "retry", &format!("{moved} images{model}"))?;
    }
    Ok(moved)
}

/// Where an image stands that has ended and can be asked.
fn ended(store: &SqliteStore, image: ImageId) -> Outcome<Option<ImageState>> {
    const SQL: &str = "SELECT state FROM image WHERE id = ?1 AND state IN ('done', 'rough', 'failed', 'skipped')
        AND format IS NOT NULL AND width IS NOT NULL AND height IS NOT NULL";
    let mut statement = store.connection.prepare_cached(SQL)?;
    let state: Option<String> = statement.query_row([image.0], |row| row.get(0)).optional()?;
    state.map(|state| word(&state, ImageState::from_word)).transpose()
}

/// Tries, returns and changes of the file begin anew, and nobody has looked at what will come; the text beside the image stays known as ours until its successor comes.
fn put_back(store: &mut SqliteStore, image: ImageId, from: ImageState) -> Outcome<()> {
    const SQL: &str = "UPDATE image SET state = 'owed', reason = NULL, asked = 0, gaps = 0, deep = 0, owed_seq = ?3
        WHERE id = ?1 AND state = ?2";
    let seq = store.books.next_seq();
    if store.connection.prepare_cached(SQL)?.execute(params![image.0, from.word(), seq])? != 1 {
        return Err(Fault::stale(format!("image {image} is no longer {}", from.word())));
    }
    store
        .connection
        .prepare_cached("UPDATE note SET changes = 0, review = NULL WHERE image_id = ?1")?
        .execute([image.0])?;
    store.books.images(Some(from), ImageState::Owed, 1)
}

/// What earlier answers wished for is over; a model that was ordered now is all that the next request changes. Of an image that
/// came to nothing before, an empty row remembers that it did.
fn wish_for(store: &SqliteStore, image: ImageId, from: ImageState, model: Option<&str>) -> Outcome<()> {
    const SQL: &str = "INSERT INTO wish (image_id, model) VALUES (?1, ?2)
        ON CONFLICT (image_id) DO UPDATE SET after = NULL, said = NULL, model = excluded.model";
    if model.is_some() || matches!(from, ImageState::Failed | ImageState::Rough) {
        store.connection.prepare_cached(SQL)?.execute(params![image.0, model])?;
    } else {
        store.connection.prepare_cached("DELETE FROM wish WHERE image_id = ?1")?.execute([image.0])?;
    }
    Ok(())
}

/// Notes a verdict, or that a person's text stands.
pub(super) fn person_did(store: &mut SqliteStore, image: ImageId, deed: Deed) -> Outcome<()> {
    const REVIEW: &str = "INSERT INTO note (image_id, review) VALUES (?1, ?2)
        ON CONFLICT (image_id) DO UPDATE SET review = excluded.review";
    const EDITED: &str = "INSERT INTO note (image_id, edited_at) VALUES (?1, ?2)
        ON CONFLICT (image_id) DO UPDATE SET edited_at = excluded.edited_at";
    match deed {
        Deed::Reviewed(review) => {
            store.connection.prepare_cached(REVIEW)?.execute(params![image.0, review.map(Review::word)])?;
            events::append(store, "review", image, review.map_or(Review::NONE, Review::word))
        }
        Deed::Edited(text) => {
            store.connection.prepare_cached(EDITED)?.execute(params![image.0, store.clock.now()])?;
            stands(store, image, text)?;
            events::append(store, "edited", image, "")
        }
    }
}

/// done, rough or failed → done: a person's text stands. What is owed or packed stays so, and its answer meets that text. The pages
/// of one file share a text that is made of theirs; they stay what they are, and whoever writes it sees whose it is.
fn stands(store: &mut SqliteStore, image: ImageId, text: Short) -> Outcome<()> {
    const FROM: &str = "SELECT state FROM image i WHERE id = ?1 AND state IN ('done', 'rough', 'failed') AND text IS NOT 'page'
        AND NOT EXISTS (SELECT 1 FROM image o WHERE o.directory_id = i.directory_id AND o.name = i.name AND o.id <> i.id)";
    const KEPT: &str =
        "UPDATE image SET state = 'done', reason = NULL, deep = 0, text = 'kept', text_hash = ?2 WHERE id = ?1";
    let state: Option<String> =
        store.connection.prepare_cached(FROM)?.query_row([image.0], |row| row.get(0)).optional()?;
    let Some(from) = state.map(|state| word(&state, ImageState::from_word)).transpose()? else { return Ok(()) };
    store.connection.prepare_cached(KEPT)?.execute(params![image.0, text])?;
    if from == ImageState::Done { Ok(()) } else { store.books.images(Some(from), ImageState::Done, 1) }
}

/// done → owed with one try more, or → failed by way of owed, where that was the last one.
pub(super) fn unusable(store: &mut SqliteStore, image: ImageId, text: Short, reason: Reason) -> Outcome<bool> {
    const OWED: &str = "UPDATE image SET state = 'owed', asked = asked + 1, deep = 0, owed_seq = ?3
        WHERE id = ?1 AND state = 'done' AND text = 'txt' AND text_hash = ?2 RETURNING asked";
    const WISH: &str = "INSERT INTO wish (image_id, after) VALUES (?1, ?2)
        ON CONFLICT (image_id) DO UPDATE SET after = excluded.after, said = NULL";
    const FAILED: &str =
        "UPDATE image SET state = 'failed', reason = ?2, owed_seq = NULL WHERE id = ?1 AND state = 'owed'";
    let seq = store.books.next_seq();
    let mut moved = store.connection.prepare_cached(OWED)?;
    let asked: Option<u32> = moved.query_row(params![image.0, text, seq], |row| row.get(0)).optional()?;
    drop(moved);
    let Some(asked) = asked else { return Err(no_text_of_ours(image)) };
    store.books.images(Some(ImageState::Done), ImageState::Owed, 1)?;
    events::append(store, "unusable", image, reason.word())?;
    if asked < store.allowed.attempts {
        store.connection.prepare_cached(WISH)?.execute(params![image.0, reason.word()])?;
        return Ok(true);
    }
    store.connection.prepare_cached(FAILED)?.execute(params![image.0, reason.word()])?;
    store.books.images(Some(ImageState::Owed), ImageState::Failed, 1)?;
    Ok(false)
}

/// done → rough, the text staying what it is, or the part of it that is this page's.
pub(super) fn only_copy(store: &mut SqliteStore, image: ImageId, text: Short, part: Short) -> Outcome<()> {
    const SQL: &str = "UPDATE image SET state = 'rough', text = 'api', text_hash = ?3 WHERE id = ?1 AND state = 'done' AND text = 'txt'
        AND text_hash = ?2";
    if store.connection.prepare_cached(SQL)?.execute(params![image.0, text, part])? != 1 {
        return Err(no_text_of_ours(image));
    }
    events::append(store, "only_copy", image, "")?;
    store.books.images(Some(ImageState::Done), ImageState::Rough, 1)
}

fn no_text_of_ours(image: ImageId) -> Fault {
    Fault::stale(format!("image {image} is not done with this text of ours"))
}
