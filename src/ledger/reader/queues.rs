//! The provider's queues of enqueued tokens, for people: what is in them, what fits, and how long the rest takes.

use rusqlite::Row;

use super::super::sqlite::fault::Outcome;
use super::super::sqlite::{column, count};
use super::{Reader, Result};

/// The queue of one model.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueRow {
    /// The model.
    pub model: String,
    /// Estimated tokens that are enqueued.
    pub used: u64,
    /// The limit that the provider named.
    pub limit: Option<u64>,
    /// Nothing of this model is opened before then (unix milliseconds); 0 = no refusal yet.
    pub held_until: i64,
    /// Estimated tokens of a line.
    pub tokens_a_line: f64,
    /// How long its batches took lately, in milliseconds; `None` before the first one has ended.
    pub batch_ms: Option<i64>,
}

/// A batch takes the whole window until one has shown otherwise.
const WINDOW_MS: f64 = 24.0 * 3_600_000.0;
const DAY_MS: f64 = 24.0 * 3_600_000.0;

impl QueueRow {
    /// Lines in flight when `limit` tokens are enqueued, and the days, begun ones included, that `left` lines take at that
    /// rate.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a forecast"
    )]
    pub fn forecast(&self, limit: u64, left: u64) -> (u64, u64) {
        let at_once = (limit as f64 / self.tokens_a_line.max(1.0)).floor().max(1.0);
        let batch_ms = self.batch_ms.map_or(WINDOW_MS, |ms| ms.max(1) as f64);
        (at_once as u64, (left as f64 / at_once * batch_ms / DAY_MS).ceil() as u64)
    }
}

impl Reader {
    /// The queue of every model that something is or was enqueued for.
    ///
    /// # Errors
    /// The ledger's.
    pub fn queues(&self) -> Result<Vec<QueueRow>> {
        const SQL: &str = "SELECT r.model, sum(s.est_tokens) * 1.0 / sum(s.lines) AS tokens_a_line,
            max(a.limit_tokens) AS limit_tokens, coalesce(max(a.penalty_until), 0) AS penalty_until,
            (SELECT coalesce(sum(t.est_tokens), 0) FROM batch b JOIN shard t ON t.id = b.shard_id JOIN recipe q ON q.id = t.recipe_id
                WHERE b.state IN ('opening', 'open') AND q.model = r.model) AS used,
            (SELECT avg(took) FROM (SELECT b.ended_at - b.opened_at AS took FROM batch b JOIN shard t ON t.id = b.shard_id
                JOIN recipe q ON q.id = t.recipe_id WHERE b.ending = 'completed' AND q.model = r.model AND b.opened_at IS NOT NULL
                ORDER BY b.id DESC LIMIT 20)) AS took
            FROM shard s JOIN run n ON n.id = s.run_id JOIN recipe r ON r.id = s.recipe_id
            LEFT JOIN allowance a ON a.account_id = n.account_id AND a.model = r.model
            WHERE s.id > ?1 GROUP BY r.model ORDER BY r.model LIMIT ?2";
        self.paged(SQL, 0, 100, queue_row)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "milliseconds")]
fn queue_row(row: &Row<'_>) -> Outcome<QueueRow> {
    Ok(QueueRow {
        model: column(row, "model")?,
        used: count(column(row, "used")?),
        limit: column::<Option<i64>>(row, "limit_tokens")?.map(count),
        held_until: column(row, "penalty_until")?,
        tokens_a_line: column(row, "tokens_a_line")?,
        batch_ms: column::<Option<f64>>(row, "took")?.map(|ms| ms as i64),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_the_rest_takes() {
        let queue =
            QueueRow { model: "m".into(), used: 0, limit: None, held_until: 0, tokens_a_line: 1_405.0, batch_ms: None };
        let (pages, days) = queue.forecast(90_000, 6_400);
        assert_eq!((pages, days), (64, 100), "the first tier of gpt-4o");
        let faster = QueueRow { batch_ms: Some(3_600_000), ..queue };
        assert_eq!(faster.forecast(90_000, 6_400).1, 5);
        assert_eq!(faster.forecast(0, 1).0, 1, "never nothing");
    }
}
