//! One moment of a run, and its forms: a block for a terminal, a line for a log. Nothing here prints, waits or reads a clock.

use std::time::Duration;

use crate::domain::money::{Funds, Money};
use crate::kit::clock::Millis;
use crate::pipeline::mission::Tally;
use crate::settings::units::show_bytes;
use crate::settings::{ProviderKind, Settings};

use super::eta::{self, Eta, Known, coarse};
use super::words;

/// Cells of a bar.
const BAR: usize = 20;
/// Columns below which bars are left out.
const NARROW: usize = 60;

/// What does not change while a run goes on.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    /// What Ctrl-C does: at length, and in two words.
    pub(super) parting: [&'static str; 2],
    /// Whether the pages are read on this computer.
    pub(super) is_local: bool,
    /// The provider's window.
    pub(super) window: Duration,
    /// The most that may be spent.
    pub(super) max_cost: Option<Money>,
    /// The limit of enqueued tokens that the settings name.
    pub(super) max_enqueued: Option<u64>,
}

impl Terms {
    /// Those of a run with these settings.
    pub(super) fn of(settings: &Settings) -> Self {
        let is_local = settings.provider.name == ProviderKind::Local;
        let parting = if is_local {
            "Ctrl-C stops cleanly; the same command goes on"
        } else {
            "Ctrl-C stops cleanly; open batches go on without this computer"
        };
        Self {
            parting: [parting, "Ctrl-C stops cleanly"],
            is_local,
            window: settings.provider.window_length(),
            max_cost: settings.run.max_cost,
            max_enqueued: settings.batch.max_enqueued_tokens,
        }
    }
}

/// One moment of a run: everything that any form of its progress is made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Snapshot<'a> {
    /// Counts, and what the books say.
    pub(super) tally: &'a Tally,
    /// What does not change.
    pub(super) terms: &'a Terms,
    /// How long this process has been working.
    pub(super) elapsed: Duration,
    /// The time.
    pub(super) now: Millis,
    /// The last problem in words.
    pub(super) problem: Option<&'a str>,
}

impl Snapshot<'_> {
    /// Money, under the limit of the settings.
    pub(super) fn funds(&self) -> Funds {
        Funds { limit: self.terms.max_cost, ..self.tally.books.funds }
    }

    /// Tokens in the provider's queue, and its limit.
    pub(super) fn queue(&self) -> (u64, Option<u64>) {
        let books = &self.tally.books;
        (books.queue_used, self.terms.max_enqueued.or(books.queue_limit))
    }

    /// Age of the oldest open batch in seconds.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.tally.books.oldest.map(|at| u64::try_from(self.now - at).unwrap_or(0) / 1000)
    }

    /// When it will be over.
    pub(super) fn eta(&self) -> Option<Eta> {
        let Self { tally, terms, elapsed, now, .. } = *self;
        eta::eta(&Known {
            standing: &tally.standing,
            batch_times: &tally.books.batch_times,
            youngest: tally.books.youngest,
            is_limited: self.queue().1.is_some(),
            window: terms.window,
            answers: tally.answers,
            elapsed,
            is_local: terms.is_local,
            now,
        })
    }

    fn finished(&self) -> u64 {
        let standing = &self.tally.standing;
        standing.done + standing.rough + standing.failed + standing.skipped
    }

    fn age(&self) -> Option<String> {
        let age = self.oldest().filter(|_| !self.terms.is_local)?;
        Some(format!("oldest {} of {}", coarse(age), coarse(self.terms.window.as_secs())))
    }

    fn queued(&self) -> Option<String> {
        let (used, limit) = self.queue();
        let limit = limit.filter(|_| !self.terms.is_local)?;
        Some(format!("{} of {} tokens", words::tokens(used), words::tokens(limit)))
    }
}

/// A row of the block: its name, and what it tells, the most important first.
struct Row {
    name: &'static str,
    fields: Vec<String>,
}

impl Row {
    fn new(name: &'static str, fields: impl IntoIterator<Item = Option<String>>) -> Self {
        Self { name, fields: fields.into_iter().flatten().collect() }
    }

    /// As many fields as there is room for; the first one in any case. A row never wraps: whoever draws it cuts it.
    fn fit(&self, width: usize) -> String {
        let mut line = format!(" {:<6} ", self.name);
        for (number, field) in self.fields.iter().enumerate() {
            let gap = if number == 0 { "" } else { " · " };
            if number > 0
                && console::measure_text_width(&line) + gap.chars().count() + console::measure_text_width(field) > width
            {
                break;
            }
            line.push_str(gap);
            line.push_str(field);
        }
        line
    }
}

/// The block: at most ten lines of at most `width` columns, without what there is no room for.
pub(super) fn block(snapshot: &Snapshot<'_>, width: usize) -> Vec<String> {
    let rows = [
        scan(snapshot),
        send(snapshot),
        wait(snapshot),
        queue(snapshot),
        write(snapshot, width),
        money(snapshot),
        time(snapshot),
    ];
    let mut lines: Vec<String> = rows.into_iter().flatten().map(|row| cut(&row.fit(width), width)).collect();
    lines.extend(snapshot.problem.map(|text| cut(&format!(" ! {text}"), width)));
    let took = words::seconds(snapshot.elapsed.as_secs());
    let parting = snapshot.terms.parting.iter().map(|parting| format!(" {took} · {parting}"));
    lines.extend(parting.into_iter().find(|line| console::measure_text_width(line) <= width));
    lines
}

fn cut(line: &str, width: usize) -> String {
    console::truncate_str(line, width, "…").into_owned()
}

fn scan(snapshot: &Snapshot<'_>) -> Option<Row> {
    let images = words::count(snapshot.tally.standing.found, "image", "images");
    Some(Row::new("Scan", [Some(if snapshot.tally.walked { images } else { format!("{images} so far …") })]))
}

fn send(snapshot: &Snapshot<'_>) -> Option<Row> {
    let tally = snapshot.tally;
    let standing = &tally.standing;
    if standing.owed + standing.sealed == 0 && tally.sent_bytes == 0 {
        return None;
    }
    let sent = format!("{}, {}", words::count(tally.batches_opened, "batch", "batches"), show_bytes(tally.sent_bytes));
    Some(Row::new(
        "Send",
        [Some(sent), (standing.owed > 0).then(|| format!("{} to send", standing.owed)), rate(snapshot)],
    ))
}

/// Bytes a second over the whole run, while something is still to be sent.
fn rate(snapshot: &Snapshot<'_>) -> Option<String> {
    let standing = &snapshot.tally.standing;
    let seconds = snapshot.elapsed.as_secs();
    let sending = standing.owed + standing.sealed + standing.shards_waiting > 0;
    (sending && seconds > 0 && snapshot.tally.sent_bytes > 0)
        .then(|| format!("{}/s", show_bytes(snapshot.tally.sent_bytes / seconds)))
}

fn wait(snapshot: &Snapshot<'_>) -> Option<Row> {
    let standing = &snapshot.tally.standing;
    if standing.packed == 0 {
        return None;
    }
    let open = format!("{} open", words::count(standing.batches_open, "batch", "batches"));
    let ended = (standing.batches_ended > 0).then(|| format!("{} ended", standing.batches_ended));
    Some(Row::new("Wait", [Some(open), Some(format!("{} in flight", standing.packed)), snapshot.age(), ended]))
}

fn queue(snapshot: &Snapshot<'_>) -> Option<Row> {
    snapshot.queued().map(|queued| Row::new("Queue", [Some(queued)]))
}

fn write(snapshot: &Snapshot<'_>, width: usize) -> Option<Row> {
    let standing = &snapshot.tally.standing;
    let finished = snapshot.finished();
    let bar = (width >= NARROW && snapshot.tally.walked).then(|| format!("{}  ", bar(finished, standing.found)));
    let share = Some(format!("{}{finished}/{}", bar.unwrap_or_default(), standing.found));
    // Where there is little room, what became of the pages comes before their number, which the first row tells as well.
    let (share, behind) = if width < NARROW { (None, share) } else { (share, None) };
    let rough = (standing.rough > 0).then(|| format!("{} rough", standing.rough));
    Some(Row::new(
        "Write",
        [
            share,
            Some(format!("{} done", standing.done)),
            Some(format!("{} flagged", snapshot.tally.books.flagged)),
            Some(format!("{} failed", standing.failed)),
            behind,
            rough,
            pace(snapshot.tally, snapshot.elapsed),
        ],
    ))
}

fn money(snapshot: &Snapshot<'_>) -> Option<Row> {
    let funds = snapshot.funds();
    let nothing = funds.limit.is_none() && funds.spent + funds.reserved == Money::ZERO;
    if nothing || snapshot.terms.is_local {
        return None;
    }
    let least = if snapshot.tally.books.is_unpriced() { "at least " } else { "" };
    Some(Row::new(
        "Money",
        [
            Some(format!("{least}{} spent", funds.spent)),
            Some(format!("{} reserved", funds.reserved)),
            funds.limit.map(|limit| format!("limit {limit}")),
        ],
    ))
}

fn time(snapshot: &Snapshot<'_>) -> Option<Row> {
    snapshot.eta().map(|eta| Row::new("Left", [Some(eta::told(&eta))]))
}

fn pace(tally: &Tally, elapsed: Duration) -> Option<String> {
    if tally.answers == 0 || elapsed.is_zero() {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
    let rate = tally.answers as f64 / elapsed.as_secs_f64();
    Some(if rate >= 1.0 { format!("{rate:.1}/s") } else { format!("{:.1}/min", rate * 60.0) })
}

/// Full only when everything is written.
fn bar(done: u64, of: u64) -> String {
    let cells = done.saturating_mul(BAR as u64).checked_div(of).unwrap_or(0);
    let filled = usize::try_from(cells).unwrap_or(BAR).min(BAR);
    format!("{}{}", "█".repeat(filled), "░".repeat(BAR - filled))
}

/// One line with everything, for logs.
pub(super) fn line(snapshot: &Snapshot<'_>) -> String {
    let tally = snapshot.tally;
    let s = &tally.standing;
    let walk = if tally.walked { "" } else { " so far" };
    let mut line = format!(
        "found {}{walk} · owed {} · in flight {} · done {} · flagged {} · failed {} · batches {} open {} ended · sent {}",
        s.found,
        s.owed,
        s.packed,
        s.done,
        tally.books.flagged,
        s.failed,
        s.batches_open,
        s.batches_ended,
        show_bytes(tally.sent_bytes)
    );
    let longest = tally.waits.first().filter(|(_, micros)| *micros >= 1_000_000);
    let more = [
        snapshot.age(),
        snapshot.queued().map(|queued| format!("queue {queued}")),
        money(snapshot).map(|row| row.fields.join(" · ")),
        snapshot.eta().map(|eta| format!("left {}", eta::told(&eta))),
        longest.map(|(edge, micros)| format!("longest wait {edge} {}", words::seconds(micros / 1_000_000))),
    ];
    for field in more.into_iter().flatten() {
        line.push_str(" · ");
        line.push_str(&field);
    }
    line
}

/// A provider, a limit of $2, a window of 24 h.
#[cfg(test)]
pub(super) fn terms_of_a_test() -> Terms {
    Terms {
        parting: ["Ctrl-C stops cleanly; open batches go on without this computer", "Ctrl-C stops cleanly"],
        is_local: false,
        window: Duration::from_secs(24 * 3600),
        max_cost: Money::parse("2"),
        max_enqueued: None,
    }
}

#[cfg(test)]
#[path = "progress_tests.rs"]
mod tests;
