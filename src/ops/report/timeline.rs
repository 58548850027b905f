//! The batches as bars: when each was opened, how long it took.

use serde::Serialize;

use crate::kit::clock::{Millis, utc};
use crate::ledger::moves::BatchState;
use crate::ledger::reader::BatchRow;

/// Batches that the page shows: the newest.
pub(super) const SHOWN: usize = 200;

/// A batch of the timeline.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bar {
    /// Its row.
    pub no: i64,
    /// Its name at the provider.
    pub id: String,
    /// Its run, for people.
    pub run: String,
    /// Number of the try to have its shard answered.
    pub attempt: u32,
    /// Whether it has not ended.
    pub is_open: bool,
    /// How it ended, or where it stands.
    pub what: &'static str,
    /// Its requests.
    pub lines: u32,
    /// When it was opened, in UTC.
    pub opened: String,
    /// Hours that it took, or has taken by now.
    pub hours: f64,
    /// Where its bar begins, in percent of the timeline.
    pub left: f64,
    /// How long its bar is, in percent of the timeline.
    pub width: f64,
}

/// The bars of the batches that were opened, in the order given.
#[must_use]
pub fn bars(batches: &[BatchRow], now: Millis) -> Vec<Bar> {
    let opened: Vec<(&BatchRow, &str, Millis, Millis)> = batches.iter().filter_map(|batch| span(batch, now)).collect();
    let first = opened.iter().map(|(_, _, from, _)| *from).min().unwrap_or(now);
    let last = opened.iter().map(|(_, _, _, to)| *to).max().unwrap_or(now);
    let whole = milliseconds(first, last).max(1.0);
    let bar = |(batch, id, from, to): &(&BatchRow, &str, Millis, Millis)| Bar {
        no: batch.no.0,
        id: (*id).to_owned(),
        run: batch.run.clone(),
        attempt: batch.attempt,
        is_open: batch.ended_at.is_none(),
        what: what(batch),
        lines: batch.lines,
        opened: utc(*from),
        hours: (milliseconds(*from, *to) / 360_000.0).round() / 10.0,
        left: rounded(100.0 * milliseconds(first, *from) / whole),
        width: rounded(100.0 * milliseconds(*from, *to) / whole),
    };
    opened.iter().map(bar).collect()
}

fn span(batch: &BatchRow, now: Millis) -> Option<(&BatchRow, &str, Millis, Millis)> {
    let (id, from) = (batch.id.as_ref()?, batch.opened_at?);
    // A clock that was put back makes no bar of less than nothing.
    Some((batch, id.0.as_str(), from, batch.ended_at.unwrap_or(now).max(from)))
}

fn what(batch: &BatchRow) -> &'static str {
    match batch.end {
        Some(end) => end.word(),
        None if batch.state == BatchState::Open => "open",
        None => batch.state.word(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "places on a page")]
fn milliseconds(from: Millis, to: Millis) -> f64 {
    to.saturating_sub(from) as f64
}

fn rounded(percent: f64) -> f64 {
    (percent * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::batch::BatchEnd;
    use crate::domain::ids::{BatchId, BatchNo, Tag};

    const HOUR: Millis = 3_600_000;

    fn batch(no: i64, opened_at: Option<Millis>, ended_at: Option<Millis>) -> BatchRow {
        BatchRow {
            no: BatchNo(no),
            id: Some(BatchId(format!("batch_{no}"))),
            shard: Tag("t".to_owned()),
            run: "r".to_owned(),
            attempt: 1,
            state: if ended_at.is_some() { BatchState::Settled } else { BatchState::Open },
            end: ended_at.map(|_| BatchEnd::Completed),
            stray: false,
            doubted: false,
            lines: 40,
            bytes: 1,
            intent_at: 0,
            opened_at,
            ended_at,
            usage: None,
            output: None,
            errors: None,
        }
    }

    #[test]
    fn bars_fill_the_time_from_the_first_to_now() {
        let batches = [batch(1, Some(0), Some(2 * HOUR)), batch(2, Some(HOUR), None), batch(3, None, None)];
        let bars = bars(&batches, 4 * HOUR);
        let places: Vec<_> = bars.iter().map(|bar| (bar.what, bar.hours, bar.left, bar.width)).collect();
        assert_eq!(places, [("completed", 2.0, 0.0, 50.0), ("open", 3.0, 25.0, 75.0)]);
    }

    #[test]
    fn one_batch_and_a_clock_that_was_put_back() {
        let bars = bars(&[batch(1, Some(HOUR), Some(0))], 0);
        assert_eq!((bars[0].hours, bars[0].left, bars[0].width), (0.0, 0.0, 0.0));
    }
}
