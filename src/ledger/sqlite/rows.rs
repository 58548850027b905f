//! From rows to values and back.

use rusqlite::Row;
use rusqlite::types::FromSql;

use super::fault::{Fault, Outcome};
use crate::domain::batch::{BatchEnd, EndedBatch, OpenBatch, Refusal, Usage};
use crate::domain::ids::{BatchId, BatchNo, FileId, RecipeId, ShardId};
use crate::domain::image::{Format, Needs, Reason, Stamp};
use crate::ledger::moves::ImageState;
use crate::ledger::second_look::LastLook;

/// A count as SQLite keeps it. Nothing here comes near the limit; a value that did would be cut to it.
pub(super) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A count that SQLite kept; a negative one cannot have been written by us and reads as zero.
pub(in crate::ledger) fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// A length in rows or lines as SQLite keeps it.
pub(super) fn length(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The value behind a word of the ledger.
pub(in crate::ledger) fn word<T>(text: &str, from_word: impl FnOnce(&str) -> Option<T>) -> Outcome<T> {
    from_word(text).ok_or_else(|| Fault::damaged(format!("unknown word '{text}'")))
}

/// The format of an image that is owed or packed: enrolment has measured it.
pub(super) fn format(text: Option<String>) -> Outcome<Format> {
    let text = text.ok_or_else(|| Fault::damaged("an image without a format is to be asked"))?;
    word(&text, Format::from_word)
}

/// What has to be done to an image that is owed.
pub(super) fn needs(text: Option<String>) -> Outcome<Needs> {
    let unknown = || Fault::damaged(format!("an image needs '{}'", text.as_deref().unwrap_or_default()));
    Needs::from_word(text.as_deref()).ok_or_else(unknown)
}

/// A column, under the ledger's error.
pub(in crate::ledger) fn column<T: FromSql>(row: &Row<'_>, name: &str) -> Outcome<T> {
    Ok(row.get(name)?)
}

/// Columns of [`last_look`], of an image `i`.
macro_rules! last_look_columns {
    () => {
        "i.bytes, i.mtime_ms, i.state, i.reason, i.format IS NOT NULL AS measured,
        i.state = 'failed' AND i.reason = 'missing_file' AND EXISTS (SELECT 1 FROM line l
            WHERE l.shard_id = i.shard_id AND l.image_id = i.id AND l.verdict IS NOT NULL) AS answered"
    };
}
pub(in crate::ledger) use last_look_columns;

/// Reads [`last_look_columns`].
pub(in crate::ledger) fn last_look(row: &Row<'_>) -> Outcome<LastLook> {
    let state: String = column(row, "state")?;
    let reason: Option<String> = column(row, "reason")?;
    Ok(LastLook {
        stamp: Stamp { bytes: count(column(row, "bytes")?), mtime_ms: column(row, "mtime_ms")? },
        state: word(&state, ImageState::from_word)?,
        reason: reason.as_deref().and_then(Reason::from_word),
        answered: column::<Option<bool>>(row, "answered")?.unwrap_or_default(),
        measured: column(row, "measured")?,
    })
}

/// Columns of [`open_batch`].
pub(super) const OPEN_BATCH: &str =
    "SELECT b.id, b.batch_id, b.shard_id, s.lines, b.opened_at, b.intent_at, b.input_file_id
    FROM batch b JOIN shard s ON s.id = b.shard_id";

/// Reads a row of [`OPEN_BATCH`].
pub(super) fn open_batch(row: &Row<'_>) -> Outcome<OpenBatch> {
    let opened_at: Option<i64> = column(row, "opened_at")?;
    Ok(OpenBatch {
        no: BatchNo(column(row, "id")?),
        id: BatchId(column(row, "batch_id")?),
        shard: ShardId(column(row, "shard_id")?),
        lines: column(row, "lines")?,
        opened_at: opened_at.map_or_else(|| column(row, "intent_at"), Ok)?,
        input: FileId(column(row, "input_file_id")?),
    })
}

/// Columns of [`ended_batch`].
pub(super) const ENDED_BATCH: &str =
    "SELECT b.id, b.batch_id, b.shard_id, s.lines, s.recipe_id, b.state, b.ending, b.refusal,
    b.output_file_id, b.error_file_id, b.opened_at, b.intent_at, b.input_file_id,
    s.seal = 'import' AS restored FROM batch b JOIN shard s ON s.id = b.shard_id";

/// Reads a row of [`ENDED_BATCH`].
pub(super) fn ended_batch(row: &Row<'_>) -> Outcome<EndedBatch> {
    let state: String = column(row, "state")?;
    let ending: String = column(row, "ending")?;
    let opened_at: Option<i64> = column(row, "opened_at")?;
    Ok(EndedBatch {
        no: BatchNo(column(row, "id")?),
        id: BatchId(column(row, "batch_id")?),
        shard: ShardId(column(row, "shard_id")?),
        lines: column(row, "lines")?,
        recipe: RecipeId(column(row, "recipe_id")?),
        opened_at: opened_at.map_or_else(|| column(row, "intent_at"), Ok)?,
        input: FileId(column(row, "input_file_id")?),
        end: word(&ending, BatchEnd::from_word)?,
        output: column::<Option<String>>(row, "output_file_id")?.map(FileId),
        errors: column::<Option<String>>(row, "error_file_id")?.map(FileId),
        fetched: state == "fetched",
        refusal: column::<Option<String>>(row, "refusal")?.as_deref().map(refusal).transpose()?,
        restored: column(row, "restored")?,
    })
}

/// A refusal as the ledger keeps it.
pub(super) fn refusal_text(refusal: &Refusal) -> Outcome<String> {
    serde_json::to_string(refusal).map_err(|cause| Fault::damaged(cause.to_string()))
}

/// The refusal of an ended batch, with every line that it names.
pub(super) fn ending_text(refusal: &Refusal, named: &[u32]) -> Outcome<String> {
    let mut text = serde_json::to_value(refusal).map_err(|cause| Fault::damaged(cause.to_string()))?;
    if !named.is_empty() {
        text["named"] = named.into();
    }
    Ok(text.to_string())
}

/// The lines that a refusal names, as one JSON array.
pub(super) fn named_lines(text: &str) -> Outcome<Option<String>> {
    let told: serde_json::Value =
        serde_json::from_str(text).map_err(|cause| Fault::damaged(format!("refusal: {cause}")))?;
    let one = told.get("line").filter(|line| line.is_u64()).map(|line| serde_json::json!([line]));
    Ok(told.get("named").cloned().or(one).map(|lines| lines.to_string()))
}

/// A refusal that the ledger kept.
pub(super) fn refusal(text: &str) -> Outcome<Refusal> {
    serde_json::from_str(text).map_err(|cause| Fault::damaged(format!("refusal: {cause}")))
}

/// Tokens that one batch may be told to have had. The largest queues hold some ten thousand millions, and whoever tells more than
/// ten times as many tells nothing: sums of such numbers would overflow.
const MOST_TOKENS: u64 = 100_000_000_000;

/// Usage in the order of the columns: prompt, cached, output, reasoning. What cannot be true was not told.
pub(super) fn usage(usage: Option<Usage>) -> [Option<i64>; 4] {
    let Some(Usage { prompt, cached, output, reasoning }) = usage else { return [None; 4] };
    let all = [prompt, cached, output, reasoning];
    if all.iter().any(|tokens| *tokens > MOST_TOKENS) {
        return [None; 4];
    }
    all.map(|tokens| Some(int(tokens)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_reason_that_is_spelled_in_sql_is_the_one_that_is_meant() {
        let spelled = format!("i.reason = '{}' AND EXISTS", Reason::Missing.word());
        assert!(last_look_columns!().contains(&spelled), "an answer that was paid for would be asked again");
    }
}
