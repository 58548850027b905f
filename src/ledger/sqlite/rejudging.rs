//! Judging again: what newer rules make of answers that were settled long ago. Nothing is asked and nothing is paid; a text
//! that stands becomes a better one or a rough one, and what is found wanting is only noted, because asking again costs money.

use rusqlite::{OptionalExtension as _, params};

use super::SqliteStore;
use super::fault::{Fault, Outcome};
use super::rows::{ENDED_BATCH, ended_batch, word};
use super::shards::moved;
use super::verdicts::{flags, keep_beside};
use crate::domain::batch::EndedBatch;
use crate::domain::ids::{BatchNo, ShardId};
use crate::domain::verdict::Verdict;
use crate::kit::hash::Short;
use crate::ledger::moves::ImageState;
use crate::ledger::records::{Became, ImageVerdict, Rejudged, TextOwner};

/// Settled batches after `after`, oldest first.
pub(super) fn settled_batches(store: &SqliteStore, after: BatchNo, limit: u32) -> Outcome<Vec<EndedBatch>> {
    let sql = format!("{ENDED_BATCH} WHERE b.state = 'settled' AND b.id > ?1 ORDER BY b.id LIMIT ?2");
    store.connection.prepare_cached(&sql)?.query_and_then(params![after.0, limit], ended_batch)?.collect()
}

/// Records a chunk; an image that another shard holds by now, or that is asked again, is left as it is.
pub(super) fn record(
    store: &mut SqliteStore,
    batch: BatchNo,
    verdicts: &[ImageVerdict],
) -> Outcome<(Rejudged, Became)> {
    let sql = "SELECT shard_id FROM batch WHERE id = ?1 AND state = 'settled'";
    let shard: Option<i64> = store.connection.prepare_cached(sql)?.query_row([batch.0], |row| row.get(0)).optional()?;
    let shard = ShardId(shard.ok_or_else(|| Fault::stale(format!("batch {batch} is not settled")))?);
    let (mut rejudged, mut became) = (Rejudged::default(), Became::with_capacity(verdicts.len()));
    for judged in verdicts {
        let Some(state) = state(store, shard, judged)? else {
            became.push(None);
            continue;
        };
        let mut now = state;
        match (&judged.verdict, judged.text) {
            (Verdict::Accept | Verdict::Blank, Some(text)) => {
                rejudged.texts += 1;
                now = ImageState::Done;
                ends(store, judged, state, ImageState::Done, text)?;
                note(store, shard, judged, Some(judged.verdict.word()))?;
            }
            // A person's text stands where the rough one stood.
            (Verdict::DeepClean, Some((TextOwner::Kept, _))) if state == ImageState::Done => {
                note(store, shard, judged, None)?;
            }
            (Verdict::DeepClean, Some(text)) => {
                rejudged.rough += 1;
                now = ImageState::Rough;
                ends(store, judged, state, ImageState::Rough, text)?;
                note(store, shard, judged, Some(judged.verdict.word()))?;
            }
            _ => {
                rejudged.wanting += u32::from(state != ImageState::Failed);
                note(store, shard, judged, None)?;
            }
        }
        became.push(Some(now));
    }
    Ok((rejudged, became))
}

/// Where the image stands, if its answer may be judged again.
fn state(store: &SqliteStore, shard: ShardId, judged: &ImageVerdict) -> Outcome<Option<ImageState>> {
    const SQL: &str = "SELECT state FROM image WHERE id = ?1 AND shard_id = ?2 AND (state = 'done' OR state = 'rough' OR state = 'failed')";
    let mut statement = store.connection.prepare_cached(SQL)?;
    let found: Option<String> = statement.query_row([judged.image.0, shard.0], |row| row.get(0)).optional()?;
    found.map(|found| word(&found, ImageState::from_word)).transpose()
}

fn ends(
    store: &mut SqliteStore,
    judged: &ImageVerdict,
    from: ImageState,
    to: ImageState,
    (owner, text): (TextOwner, Short),
) -> Outcome<()> {
    const SQL: &str =
        "UPDATE image SET state = ?2, reason = NULL, text = CASE WHEN ?3 = 'page' AND text = 'txt' THEN text ELSE ?3 END,
        text_hash = CASE WHEN ?3 = 'page' AND text = 'txt' THEN text_hash ELSE ?4 END WHERE id = ?1 AND state = ?5";
    let owner = match (owner, to) {
        (TextOwner::Kept, _) => "kept",
        (TextOwner::Ours, ImageState::Rough) => "api",
        (TextOwner::Ours, _) => "txt",
        (TextOwner::Page, _) => "page",
    };
    let values = params![judged.image.0, to.word(), owner, text, from.word()];
    let changed = store.connection.prepare_cached(SQL)?.execute(values)?;
    moved(changed, || format!("image {} is no longer {}", judged.image, from.word()))?;
    if from == to { Ok(()) } else { store.books.images(Some(from), to, 1) }
}

fn note(store: &SqliteStore, shard: ShardId, judged: &ImageVerdict, verdict: Option<&str>) -> Outcome<()> {
    const SQL: &str =
        "UPDATE line SET verdict = coalesce(?3, verdict), flags = ?4 WHERE shard_id = ?1 AND image_id = ?2";
    let values = params![shard.0, judged.image.0, verdict, flags(judged)];
    store.connection.prepare_cached(SQL)?.execute(values)?;
    keep_beside(store, shard, judged)
}
