//! What became of every image and what all its answers cost together: the rows of a report.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row, params};

use super::images::{all_flags, flag_columns};
use super::{Reader, Result, rel_path, usage};
use crate::domain::batch::Usage;
use crate::domain::ids::{BatchId, ImageId};
use crate::domain::image::RelPath;
use crate::domain::money::Money;
use crate::kit::hash::Short;
use crate::ledger::moves::ImageState;
use crate::ledger::sqlite::fault::Outcome;
use crate::ledger::sqlite::{column, count, word};

/// An image or a page of one, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageResult {
    /// Its row: pass the last one to get the next page.
    pub id: ImageId,
    /// The corpus root.
    pub root: Vec<u8>,
    /// Where it lies below the root.
    pub path: RelPath,
    /// Where it stands.
    pub state: ImageState,
    /// Why it ended, if it ended without a text.
    pub reason: Option<String>,
    /// Flags of its last answer, of the picture that was sent, and of the text that stands.
    pub flags: Vec<String>,
    /// What a person thought of its text.
    pub review: Option<String>,
    /// Answers that counted: the last one, and those before it that were asked for again.
    pub attempts: u32,
    /// Tries that count against the image, as `retry` looks at them.
    pub asked: u32,
    /// Uncounted returns so far.
    pub gaps: u32,
    /// `txt`, `api`, `page` or `kept`, once there is a text.
    pub text: Option<String>,
    /// BLAKE3 of the text.
    pub text_hash: Option<Short>,
    /// Its last request, if it was ever asked.
    pub last: Option<LastAsked>,
    /// What all its answers cost.
    pub spent: Spent,
}

/// The last request for an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastAsked {
    /// Model asked.
    pub model: String,
    /// Hash of the recipe.
    pub recipe: Short,
    /// The batch that answered, or will.
    pub batch: Option<BatchId>,
    /// When the answers of that batch were written (unix milliseconds).
    pub settled_at: Option<i64>,
}

/// What the answers for one image cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Tokens of all answers that told them; `None` where none did.
    pub usage: Option<Usage>,
    /// Their cost. `None`: there are tokens without a price. Never rounded to zero.
    pub cost: Option<Money>,
}

impl Reader {
    /// Images by row, at most `limit` after `after`, with what all answers to them cost.
    ///
    /// # Errors
    /// The ledger's.
    pub fn results(&self, after: Option<ImageId>, limit: u32) -> Result<Vec<ImageResult>> {
        self.told(page(&self.connection, after.map_or(0, |image| image.0), limit))
    }

    /// The same without what was spent, for which every shard is looked into.
    ///
    /// # Errors
    /// The ledger's.
    pub fn results_without_costs(&self, after: Option<ImageId>, limit: u32) -> Result<Vec<ImageResult>> {
        self.told(rows(&self.connection, after.map_or(0, |image| image.0), limit))
    }
}

const SQL: &str = concat!(
    "SELECT i.id, c.root, d.path, i.name, i.page, i.state, i.reason, ",
    flag_columns!(),
    ", o.review, i.gaps,
        i.asked, i.asked + coalesce(y.image_id IS NULL AND l.verdict <> 'ask_again', 0) AS attempts, i.text_hash, r.model, r.hash, b.batch_id, b.settled_at
        FROM image i NOT INDEXED CROSS JOIN directory d ON d.id = i.directory_id CROSS JOIN corpus c ON c.id = d.corpus_id
        LEFT JOIN shard s ON s.id = i.shard_id LEFT JOIN recipe r ON r.id = s.recipe_id
        LEFT JOIN copy y ON y.image_id = i.id AND y.stands = 'served'
        LEFT JOIN line l ON l.shard_id = i.shard_id AND l.image_id = coalesce(y.original_id, i.id) LEFT JOIN note o ON o.image_id = i.id
        LEFT JOIN batch b ON b.shard_id = i.shard_id AND b.stray = 0 AND b.state NOT IN ('refused', 'void')
        WHERE i.id > ?1 ORDER BY i.id LIMIT ?2"
);

fn rows(connection: &Connection, after: i64, limit: u32) -> Outcome<Vec<ImageResult>> {
    connection.prepare_cached(SQL)?.query_and_then(params![after, limit], row)?.collect()
}

fn page(connection: &Connection, after: i64, limit: u32) -> Outcome<Vec<ImageResult>> {
    let mut images = rows(connection, after, limit)?;
    let Some(last) = images.last().map(|image| image.id.0) else { return Ok(images) };
    let mut spent = spent(connection, after, last)?;
    for image in &mut images {
        image.spent = spent.remove(&image.id).unwrap_or_default();
    }
    Ok(images)
}

/// What was paid for the images of a range of rows. Lines are kept by shard, so every shard is looked into once for a whole page.
/// What the built-in engine read costs nothing.
fn spent(connection: &Connection, after: i64, last: i64) -> Outcome<BTreeMap<ImageId, Spent>> {
    const SQL: &str = "SELECT l.image_id, sum(l.prompt_tokens) AS prompt_tokens, sum(l.cached_tokens) AS cached_tokens,
        sum(l.output_tokens) AS output_tokens, sum(l.reasoning_tokens) AS reasoning_tokens,
        sum(a.base_url <> 'local' AND l.prompt_tokens IS NOT NULL AND p.id IS NULL) AS unpriced,
        coalesce(sum((l.prompt_tokens - coalesce(l.cached_tokens, 0)) * p.input_pusd
            + coalesce(l.cached_tokens, 0) * p.cached_pusd + l.output_tokens * p.output_pusd), 0) AS pusd
        FROM shard s CROSS JOIN line l ON l.shard_id = s.id AND l.image_id > ?1 AND l.image_id <= ?2
        JOIN run n ON n.id = s.run_id JOIN account a ON a.id = n.account_id LEFT JOIN price p ON p.id = s.price_id
        GROUP BY l.image_id";
    let read = |row: &Row<'_>| {
        let unpriced: i64 = column(row, "unpriced")?;
        let cost = Money::from_picos(count(column(row, "pusd")?));
        let spent = Spent { usage: usage(row)?, cost: (unpriced == 0).then_some(cost) };
        Ok((ImageId(column(row, "image_id")?), spent))
    };
    connection.prepare_cached(SQL)?.query_and_then([after, last], read)?.collect()
}

fn row(row: &Row<'_>) -> Outcome<ImageResult> {
    let state: String = column(row, "state")?;
    Ok(ImageResult {
        id: ImageId(column(row, "id")?),
        root: column(row, "root")?,
        path: rel_path(row)?,
        state: word(&state, ImageState::from_word)?,
        reason: column(row, "reason")?,
        flags: all_flags(row)?,
        review: column(row, "review")?,
        attempts: column(row, "attempts")?,
        asked: column(row, "asked")?,
        gaps: column(row, "gaps")?,
        text: column(row, "text")?,
        text_hash: column(row, "text_hash")?,
        last: last(row)?,
        spent: Spent::default(),
    })
}

fn last(row: &Row<'_>) -> Outcome<Option<LastAsked>> {
    let Some(model) = column(row, "model")? else { return Ok(None) };
    let batch: Option<String> = column(row, "batch_id")?;
    Ok(Some(LastAsked {
        model,
        recipe: column(row, "hash")?,
        batch: batch.map(BatchId),
        settled_at: column(row, "settled_at")?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::sqlite::tests::Desk;

    /// An image is found by its row, and all that is told of it by the rows that it names.
    #[test]
    fn no_image_costs_a_look_into_other_images_or_shards() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("ledger.sqlite");
        let _desk = Desk::at(&path);
        let reader = Reader::open(&path).expect("reader");
        let mut explain = reader.connection.prepare(&format!("EXPLAIN QUERY PLAN {SQL}")).expect("a plan");
        let lines = explain.query_map(params![0, 9], |row| row.get("detail")).expect("lines");
        let plan: Vec<String> = lines.collect::<rusqlite::Result<_>>().expect("lines");
        assert_eq!(plan[0], "SEARCH i USING INTEGER PRIMARY KEY (rowid>?)", "{plan:?}");
        assert!(plan.iter().all(|line| line.starts_with("SEARCH")), "{plan:?}");
    }
}
