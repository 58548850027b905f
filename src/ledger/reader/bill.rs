//! What answers and batches cost, as the provider told it: the rows that a bill is made of. What the built-in engine read is not
//! among them.

use rusqlite::Row;

use super::{Reader, Result, usage};
use crate::domain::batch::{BatchEnd, Usage};
use crate::domain::ids::{BatchId, BatchNo, ShardId};
use crate::domain::money::{Money, Price};
use crate::ledger::moves::BatchState;
use crate::ledger::sqlite::fault::Outcome;
use crate::ledger::sqlite::money;
use crate::ledger::sqlite::{column, count, word};

/// What is known of everything that one shard asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The shard.
    pub shard: ShardId,
    /// The run, for people.
    pub run: String,
    /// The model.
    pub model: String,
    /// Whether rough texts were cleaned, not pages read.
    pub deep: bool,
    /// The counted try that it was meant for.
    pub step: u32,
    /// Price of the day on which it was sealed, and that of the price list; `None` if none was kept.
    pub price: Option<(Price, String)>,
    /// Its lines.
    pub lines: u64,
    /// Prompt tokens that were estimated for all of them.
    pub estimated: u64,
}

/// Answers of one shard to images of one folder that ended alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswersRow {
    /// What was asked; pass the last shard to get the next page.
    pub asked: Asked,
    /// Folder of the images below their root.
    pub folder: Vec<u8>,
    /// Whether a text came of them.
    pub usable: bool,
    /// Answers whose tokens were told.
    pub answers: u64,
    /// Answers whose tokens nobody told.
    pub silent: u64,
    /// Sum of their tokens.
    pub usage: Usage,
}

/// What a batch told of its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldRow {
    /// Its row: pass the last one to get the next page.
    pub no: BatchNo,
    /// Its name at the provider.
    pub id: BatchId,
    /// What was asked.
    pub asked: Asked,
    /// Where it stands.
    pub state: BatchState,
    /// How it ended, once it has.
    pub end: Option<BatchEnd>,
    /// Whether it is a second batch of its shard.
    pub stray: bool,
    /// Its tokens, if it told them.
    pub usage: Option<Usage>,
}

/// What was asked directly, outside of all batches, of a provider that costs money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Direct {
    /// Answers that were kept.
    pub answers: u64,
    /// Their tokens, as far as they told them.
    pub usage: Usage,
    /// What they cost: the worst case of those whose bill is unknown.
    pub cost: Money,
}

/// Columns of [`Asked`] from shard `s`, run `n`, recipe `r`, price `p`.
const ASKED: &str = "s.id AS shard_id, s.lines, s.est_tokens, n.name AS run, r.model, r.kind = 'deep' AS deep, r.step,
    p.as_of, p.input_pusd, p.cached_pusd, p.output_pusd";
const SHARD: &str =
    "JOIN run n ON n.id = s.run_id JOIN recipe r ON r.id = s.recipe_id JOIN account a ON a.id = n.account_id
    LEFT JOIN price p ON p.id = s.price_id";

impl Reader {
    /// The answers of at most `limit` shards after `after`, by shard, folder and whether they are usable.
    ///
    /// # Errors
    /// The ledger's.
    pub fn answers(&self, after: Option<ShardId>, limit: u32) -> Result<Vec<AnswersRow>> {
        let sql = format!(
            "SELECT {ASKED}, d.path, coalesce(l.verdict IN ('accept', 'blank', 'deep_clean'), 0) AS usable,
            count(l.prompt_tokens) AS answers, sum(l.verdict IS NOT NULL AND l.prompt_tokens IS NULL) AS silent,
            coalesce(sum(l.prompt_tokens), 0) AS prompt_tokens, coalesce(sum(l.cached_tokens), 0) AS cached_tokens,
            coalesce(sum(l.output_tokens), 0) AS output_tokens, coalesce(sum(l.reasoning_tokens), 0) AS reasoning_tokens
            FROM (SELECT * FROM shard WHERE id > ?1 ORDER BY id LIMIT ?2) s {SHARD}
            CROSS JOIN line l ON l.shard_id = s.id CROSS JOIN image i ON i.id = l.image_id
            CROSS JOIN directory d ON d.id = i.directory_id
            WHERE a.base_url <> 'local' GROUP BY s.id, d.id, usable ORDER BY s.id, d.path, usable"
        );
        self.paged(&sql, after.map_or(0, |shard| shard.0), limit, |row| {
            Ok(AnswersRow {
                asked: asked(row)?,
                folder: column(row, "path")?,
                usable: column(row, "usable")?,
                answers: count(column(row, "answers")?),
                silent: count(column(row, "silent")?),
                usage: usage(row)?.unwrap_or_default(),
            })
        })
    }

    /// Batches that exist or existed at the provider, by row, at most `limit` after `after`.
    ///
    /// # Errors
    /// The ledger's.
    pub fn told_batches(&self, after: Option<BatchNo>, limit: u32) -> Result<Vec<ToldRow>> {
        let sql = format!(
            "SELECT b.id, b.batch_id, b.state, b.ending, b.stray, b.prompt_tokens, b.cached_tokens, b.output_tokens,
            b.reasoning_tokens, {ASKED} FROM batch b JOIN shard s ON s.id = b.shard_id {SHARD}
            WHERE b.id > ?1 AND b.batch_id IS NOT NULL AND a.base_url <> 'local' ORDER BY b.id LIMIT ?2"
        );
        self.paged(&sql, after.map_or(0, |batch| batch.0), limit, |row| {
            let state: String = column(row, "state")?;
            let end: Option<String> = column(row, "ending")?;
            Ok(ToldRow {
                no: BatchNo(column(row, "id")?),
                id: BatchId(column(row, "batch_id")?),
                asked: asked(row)?,
                state: word(&state, BatchState::from_word)?,
                end: end.map(|end| word(&end, BatchEnd::from_word)).transpose()?,
                stray: column(row, "stray")?,
                usage: usage(row)?,
            })
        })
    }

    /// What was asked directly; nothing where none of it had a price.
    ///
    /// # Errors
    /// The ledger's.
    pub fn direct(&self) -> Result<Direct> {
        const PAID: &str = "SELECT coalesce(sum(CAST(detail AS INTEGER) * iif(what = ?1, 1, -1)), 0),
            coalesce(min(id), -1) FROM event WHERE what IN (?1, ?2)";
        // An answer that was too long to be kept whole is no JSON, and tells nothing.
        const TOLD: &str = "SELECT count(*), coalesce(sum(coalesce(u ->> 'prompt_tokens', u ->> 'input_tokens')), 0),
            coalesce(sum(coalesce(u ->> '$.prompt_tokens_details.cached_tokens', u ->> '$.input_tokens_details.cached_tokens')), 0),
            coalesce(sum(coalesce(u ->> 'completion_tokens', u ->> 'output_tokens')), 0), coalesce(sum(coalesce(
            u ->> '$.completion_tokens_details.reasoning_tokens', u ->> '$.output_tokens_details.reasoning_tokens')), 0)
            FROM (SELECT iif(json_valid(detail), detail, '{}') -> 'usage' AS u FROM event WHERE what = 'canary' AND id > ?1)";
        let asked = || -> Outcome<Direct> {
            let (cost, first): (i64, i64) =
                self.connection
                    .query_row(PAID, [money::ASKED, money::GIVEN_BACK], |row| Ok((row.get(0)?, row.get(1)?)))?;
            if first < 0 {
                return Ok(Direct::default());
            }
            let told: [i64; 5] = self.connection.query_row(TOLD, [first], |row| {
                Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?])
            })?;
            let [answers, prompt, cached, output, reasoning] = told.map(count);
            let usage = Usage { prompt, cached, output, reasoning };
            Ok(Direct { answers, usage, cost: Money::from_picos(count(cost)) })
        };
        self.told(asked())
    }

    /// The largest row of a shard; 0 if there is none.
    ///
    /// # Errors
    /// The ledger's.
    pub fn last_shard(&self) -> Result<ShardId> {
        let sql = "SELECT coalesce(max(id), 0) FROM shard";
        let last = self.connection.query_row(sql, [], |row| row.get(0)).map_err(Into::into);
        self.told(last.map(ShardId))
    }
}

fn asked(row: &Row<'_>) -> Outcome<Asked> {
    let price = |name: &str| Ok::<_, crate::ledger::sqlite::fault::Fault>(column::<Option<i64>>(row, name)?.map(count));
    let as_of: Option<String> = column(row, "as_of")?;
    let price = match (price("input_pusd")?, price("cached_pusd")?, price("output_pusd")?) {
        (Some(input), Some(cached), Some(output)) => Some(Price { input, cached, output }),
        _ => None,
    };
    Ok(Asked {
        shard: ShardId(column(row, "shard_id")?),
        run: column(row, "run")?,
        model: column(row, "model")?,
        deep: column(row, "deep")?,
        step: column(row, "step")?,
        price: price.zip(as_of),
        lines: count(column(row, "lines")?),
        estimated: count(column(row, "est_tokens")?),
    })
}
