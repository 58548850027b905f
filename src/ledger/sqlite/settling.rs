//! Settling: closing a batch's books. Every image that no answer reached goes somewhere, in one move.

use rusqlite::params;
use rusqlite::types::Value;

use super::events::{self, About};
use super::fault::{Fault, Outcome};
use super::paying::move_shard;
use super::rows::{column, count, length, named_lines, word};
use super::shards::{moved, release};
use super::verdicts::{Rules, release_held};
use super::{SqliteStore, journal, money};
use crate::domain::batch::BatchEnd;
use crate::domain::ids::{BatchNo, ShardId};
use crate::domain::image::Reason;
use crate::ledger::journal::Event;
use crate::ledger::moves::{BatchFacts, BatchState, ImageState, ShardState};
use crate::ledger::records::Settled;

/// A batch that has ended, as its closing needs it.
pub(super) struct Closing {
    pub(super) batch: BatchNo,
    pub(super) shard: ShardId,
    pub(super) stray: bool,
    pub(super) state: BatchState,
    end: Option<BatchEnd>,
    /// Lines that a refusal names, as a JSON array.
    named: Option<String>,
    files: bool,
}

impl Closing {
    /// Reads it.
    pub(super) fn of(store: &SqliteStore, batch: BatchNo) -> Outcome<Self> {
        const SQL: &str = "SELECT shard_id, stray, state, ending, refusal,
            coalesce(output_file_id, error_file_id) IS NOT NULL AS files FROM batch WHERE id = ?1";
        let mut statement = store.connection.prepare_cached(SQL)?;
        let mut rows = statement.query([batch.0])?;
        let row = rows.next()?.ok_or_else(|| Fault::stale(format!("there is no batch {batch}")))?;
        let state: String = column(row, "state")?;
        let end: Option<String> = column(row, "ending")?;
        let told: Option<String> = column(row, "refusal")?;
        Ok(Self {
            batch,
            shard: ShardId(column(row, "shard_id")?),
            stray: column(row, "stray")?,
            state: word(&state, BatchState::from_word)?,
            end: end.map(|end| word(&end, BatchEnd::from_word)).transpose()?,
            named: told.as_deref().map(named_lines).transpose()?.flatten(),
            files: column(row, "files")?,
        })
    }

    /// Moves the batch to its end.
    pub(super) fn move_to(&self, store: &mut SqliteStore, to: BatchState) -> Outcome<()> {
        const SQL: &str = "UPDATE batch SET state = ?3, settled_at = CASE ?3 WHEN 'settled' THEN ?4 END, epoch = ?5
            WHERE id = ?1 AND state = ?2";
        let facts = BatchFacts { files: self.files, turned_away: self.end == Some(BatchEnd::TurnedAway) };
        store.books.batch(Some(self.state), to, facts)?;
        let values = params![self.batch.0, self.state.word(), to.word(), store.clock.now(), store.epoch];
        let changed = store.connection.prepare_cached(SQL)?.execute(values)?;
        moved(changed, || format!("batch {} is no longer {}", self.batch, self.state.word()))
    }
}

/// What is counted against an image that no line answered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Counting {
    /// One of its uncounted returns, of which there are only so many.
    Returns,
    /// Nothing: the run was refused, not the image.
    Nothing,
    /// One of its tries: it may have been answered by a line that names no image.
    Tries,
}

/// ended or fetched → settled, shard gone. A stray closes its own books only: the images wait for the shard's batch.
pub(super) fn settle(store: &mut SqliteStore, batch: BatchNo, counting: Counting) -> Outcome<Settled> {
    let closing = Closing::of(store, batch)?;
    if !closing.stray {
        no_strays_left(store, closing.shard)?;
    }
    closing.move_to(store, BatchState::Settled)?;
    money::settled(store, batch)?;
    journal::note(store, Event::Settled, batch)?;
    let settled = if closing.stray { Settled::default() } else { close(store, &closing, counting)? };
    let about = About { shard: Some(closing.shard), batch: Some(batch), image: None };
    events::append(store, "settled", about, &format!("owed {} failed {}", settled.owed, settled.failed))?;
    Ok(settled)
}

/// The answers of strays are paid for: they must find their images packed, so the shard waits for them.
fn no_strays_left(store: &SqliteStore, shard: ShardId) -> Outcome<()> {
    const SQL: &str = "SELECT id FROM batch INDEXED BY batch_todo
        WHERE state IN ('opening', 'open', 'ended', 'fetched') AND stray = 1 AND shard_id = ?1";
    if store.connection.prepare_cached(SQL)?.exists([shard.0])? {
        return Err(Fault::stale(format!("shard {shard} has a stray that is not settled")));
    }
    Ok(())
}

fn close(store: &mut SqliteStore, closing: &Closing, counting: Counting) -> Outcome<Settled> {
    let shard = closing.shard;
    let (again, rejected) = release_held(store, shard)?;
    let failed = match (closing.end, closing.named.as_deref()) {
        (Some(BatchEnd::Vanished), _) => fail(store, shard, Failing::All)?,
        _ if counting == Counting::Nothing => 0,
        (Some(BatchEnd::Refused), Some(lines)) => {
            fail(store, shard, Failing::Named(lines))? + fail(store, shard, Failing::WornOut)?
        }
        _ if counting == Counting::Tries => fail(store, shard, Failing::Exhausted)?,
        _ => fail(store, shard, Failing::WornOut)?,
    };
    let [gaps, asked] = [Counting::Returns, Counting::Tries].map(|of| u32::from(counting == of));
    let owed = release(store, shard, gaps, asked)?;
    move_shard(store, shard, ShardState::Spent, ShardState::Gone)?;
    let cut = |many: u64| u32::try_from(many).unwrap_or(u32::MAX);
    Ok(Settled { owed: cut(owed + again), failed: cut(failed + rejected) })
}

/// Whether a shard's lines send rough texts.
pub(super) fn is_deep(store: &SqliteStore, shard: ShardId) -> Outcome<bool> {
    const SQL: &str = "SELECT r.kind = 'deep' FROM shard s JOIN recipe r ON r.id = s.recipe_id WHERE s.id = ?1";
    Ok(store.connection.prepare_cached(SQL)?.query_row([shard.0], |row| row.get(0))?)
}

/// Which of the images that no line answered are not asked again.
#[derive(Clone, Copy)]
enum Failing<'a> {
    /// Every one: they may have been paid for.
    All,
    /// Those of the lines that the provider named, a JSON array.
    Named(&'a str),
    /// Those that were returned as often as is allowed.
    WornOut,
    /// Those that were asked as often as is allowed.
    Exhausted,
}

/// Ends those images of a shard that are still packed and are not to be asked again.
fn fail(store: &mut SqliteStore, shard: ShardId, failing: Failing<'_>) -> Outcome<u64> {
    const NAMED: &str =
        "id IN (SELECT image_id FROM line WHERE shard_id = ?1 AND pos IN (SELECT value FROM json_each(?4)))";
    let (reason, [gaps, asked], condition, value) = match failing {
        Failing::All => (Reason::ResultsGone, [0, 0], "gaps >= ?4", Value::Integer(0)),
        Failing::Named(lines) => (Reason::ProviderError, [0, 0], NAMED, Value::Text(lines.to_owned())),
        Failing::WornOut => (Reason::NeverRan, [1, 0], "gaps >= ?4", Value::Integer(store.allowed.returns.into())),
        Failing::Exhausted => {
            let attempts = Rules::of(store, shard)?.attempts();
            (Reason::ProviderError, [0, 1], "asked + 1 >= ?4", Value::Integer(attempts.into()))
        }
    };
    let deep = is_deep(store, shard)?;
    // A rough text whose deep cleaning came to nothing is what it was.
    let (to, reason) = if deep { (ImageState::Rough, None) } else { (ImageState::Failed, Some(reason.word())) };
    let sql = format!(
        "UPDATE image INDEXED BY image_packed SET state = '{}', reason = ?2, gaps = gaps + ?3, asked = asked + ?5, deep = 0
         WHERE shard_id = ?1 AND state = 'packed' AND {condition}",
        to.word()
    );
    let values = params![shard.0, reason, gaps, value, asked];
    let many = count(length(store.connection.prepare_cached(&sql)?.execute(values)?));
    store.books.images(Some(ImageState::Packed), to, many)?;
    Ok(many)
}
