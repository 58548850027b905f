//! Progress: a block on a terminal, lines elsewhere, objects with `--json`. It only ever reads the tally.

use std::time::Duration;

use crate::kit::clock::{Clock, Millis, Stopwatch, millis};
use crate::pipeline::mission::{Notice, Tally};
use crate::settings::units::show_bytes;

use super::events::Events;
use super::out::Out;
use super::words;

/// Time between two drawings of the block: at most four a second.
pub(super) const FRAME: Duration = Duration::from_millis(250);
/// Cells of a bar.
const BAR: usize = 20;

enum Style {
    Block {
        term: console::Term,
        drawn: usize,
    },
    /// `last`: the line that is not said twice, where nobody waits for a sign of life.
    Lines {
        every: Millis,
        next: Millis,
        last: Option<String>,
    },
    Events {
        events: Events,
        every: Millis,
        next: Millis,
    },
}

/// Shows a run while it goes on.
pub(super) struct Screen {
    style: Style,
    out: Out,
    clock: Clock,
    watch: Stopwatch,
    shown: Shown,
    /// What Ctrl-C does, for the last line of the block.
    parting: &'static str,
    last_warning: Option<String>,
}

impl Screen {
    pub(super) fn new(out: &Out, clock: &Clock, stats: Duration, events: Events, parting: &'static str) -> Self {
        let every = millis(stats);
        let next = clock.now() + every;
        let style = match (out.json, out.live) {
            (true, _) => Style::Events { events, every, next },
            (false, true) => Style::Block { term: console::Term::buffered_stderr(), drawn: 0 },
            (false, false) => Style::Lines { every, next, last: None },
        };
        let (out, clock) = (out.clone(), clock.clone());
        Self { style, out, clock, watch: Stopwatch::start(), shown: Shown::default(), parting, last_warning: None }
    }

    /// Shows what is new.
    pub(super) fn update(&mut self, tally: &Tally) {
        let fresh = self.fresh(tally);
        let now = self.clock.now();
        match &mut self.style {
            Style::Block { term, drawn } => {
                // A terminal that does not answer is no reason to stop: the next frame tries again.
                drop(term.clear_last_lines(std::mem::take(drawn)));
                let width = usize::from(term.size().1).max(20);
                for notice in &fresh {
                    drop(term.write_line(&self.out.signs(&notice_line(notice))));
                }
                for line in block(tally, self.watch.elapsed(), self.last_warning.as_deref(), self.parting, width) {
                    drop(term.write_line(&console::truncate_str(&self.out.signs(&line), width - 1, "")));
                    *drawn += 1;
                }
                drop(term.flush());
            }
            Style::Lines { every, next, last } => {
                for notice in &fresh {
                    self.out.say(&format!("{} {}", words::time_of_day(now), notice_line(notice)));
                }
                if now >= *next {
                    *next = now + *every;
                    let line = snapshot(tally);
                    if last.as_ref() != Some(&line) {
                        self.out.say(&format!("{} {line}", words::time_of_day(now)));
                    }
                    *last = last.is_some().then_some(line);
                }
            }
            Style::Events { events, every, next } => {
                for notice in &fresh {
                    emit(&self.out, &events.notice(notice));
                }
                if now >= *next {
                    *next = now + *every;
                    emit(&self.out, &events.status(tally));
                }
            }
        }
    }

    /// For days without news: a line of progress is not said twice in a row.
    pub(super) fn that_says_nothing_twice(mut self) -> Self {
        if let Style::Lines { last, .. } = &mut self.style {
            *last = Some(String::new());
        }
        self
    }

    /// Says how it stands, because somebody asked.
    pub(super) fn tell(&mut self, tally: &Tally) {
        let line = format!("{} {}", words::time_of_day(self.clock.now()), snapshot(tally));
        self.interject(&line);
    }

    /// Says something between two updates.
    pub(super) fn interject(&mut self, text: &str) {
        if let Style::Block { term, drawn } = &mut self.style {
            drop(term.clear_last_lines(std::mem::take(drawn)));
            drop(term.flush());
        }
        self.out.say(text);
    }

    /// Shows the last of it and leaves the terminal to others.
    pub(super) fn close(&mut self, tally: &Tally) {
        self.update(tally);
        match &mut self.style {
            Style::Block { term, drawn } => {
                drop(term.clear_last_lines(std::mem::take(drawn)));
                drop(term.flush());
            }
            Style::Events { events, .. } => emit(&self.out, &events.status(tally)),
            Style::Lines { .. } => {}
        }
    }

    fn fresh(&mut self, tally: &Tally) -> Vec<Notice> {
        let fresh = self.shown.fresh(tally);
        if let Some(text) = fresh.iter().rev().find_map(warning) {
            self.last_warning = Some(text);
        }
        fresh
    }
}

/// How many notices one reader has shown, those that were dropped included.
#[derive(Debug, Default)]
pub(super) struct Shown(u64);

impl Shown {
    /// Those that are new, each once.
    pub(super) fn fresh(&mut self, tally: &Tally) -> Vec<Notice> {
        let all = tally.notices_dropped + tally.notices.len() as u64;
        // Fewer than were shown: another mission counts from the beginning.
        let before = if all < self.0 { 0 } else { self.0 };
        self.0 = all;
        let told = usize::try_from(before.saturating_sub(tally.notices_dropped)).unwrap_or(usize::MAX);
        tally.notices.iter().skip(told).cloned().collect()
    }
}

/// Progress that nobody reads any more is no reason to stop the work.
fn emit(out: &Out, line: &str) {
    drop(out.data(line));
}

fn warning(notice: &Notice) -> Option<String> {
    match notice {
        Notice::Warning { code, text, .. } => Some(format!("{code}: {}", words::safe(text))),
        Notice::Batch { .. } | Notice::Canary { .. } => None,
    }
}

fn notice_line(notice: &Notice) -> String {
    match notice {
        Notice::Batch { id, to, lines, detail } => {
            let lines = words::count(u64::from(*lines), "image", "images");
            let detail = if detail.is_empty() { String::new() } else { format!(": {}", words::safe(detail)) };
            format!("batch {} {to}, {lines}{detail}", words::safe(id))
        }
        Notice::Canary { text } => format!("canary: {}", words::safe(text)),
        Notice::Warning { code, text, hint } => {
            let hint = if hint.is_empty() { String::new() } else { format!(" ({})", words::safe(hint)) };
            format!("warning[{code}]: {}{hint}", words::safe(text))
        }
    }
}

/// One line with everything, for logs.
pub(super) fn snapshot(tally: &Tally) -> String {
    let s = &tally.standing;
    let walk = if tally.walked { "" } else { " so far" };
    let mut line = format!(
        "found {}{walk} · owed {} · in flight {} · done {} · failed {} · batches {} open {} ended · sent {}",
        s.found,
        s.owed,
        s.packed,
        s.done,
        s.failed,
        s.batches_open,
        s.batches_ended,
        show_bytes(tally.sent_bytes)
    );
    if let Some((edge, micros)) = tally.waits.first().filter(|(_, micros)| *micros >= 1_000_000) {
        line.push_str(&format!(" · longest wait {edge} {}", words::seconds(micros / 1_000_000)));
    }
    line
}

/// The block, at most 12 lines; fields are dropped rather than wrapped on narrow terminals.
fn block(tally: &Tally, elapsed: Duration, last_warning: Option<&str>, parting: &str, width: usize) -> Vec<String> {
    let s = &tally.standing;
    let wide = width >= 60;
    let images = words::count(s.found, "image", "images");
    let mut lines =
        vec![if tally.walked { format!(" Scan   {images}") } else { format!(" Scan   {images} so far …") }];
    if s.owed + s.sealed > 0 || tally.sent_bytes > 0 {
        let opened = words::count(tally.batches_opened, "batch", "batches");
        let owed = if wide { format!(" · {} to send", s.owed) } else { String::new() };
        lines.push(format!(" Send   {opened}, {}{owed}", show_bytes(tally.sent_bytes)));
    }
    if s.packed > 0 {
        let ended = if wide { format!(" · {} ended", s.batches_ended) } else { String::new() };
        lines.push(format!(
            " Wait   {} open · {} in flight{ended}",
            words::count(s.batches_open, "batch", "batches"),
            s.packed
        ));
    }
    let finished = s.done + s.rough + s.failed + s.skipped;
    let bar = if wide && tally.walked { format!("{}  ", bar(finished, s.found)) } else { String::new() };
    lines.push(format!(
        " Write  {bar}{finished}/{}  {} done · {} failed{}",
        s.found,
        s.done,
        s.failed,
        pace(tally, elapsed)
    ));
    lines.extend(last_warning.map(|text| format!(" ! {text}")));
    if wide {
        let took = words::seconds(elapsed.as_secs());
        lines.push(format!(" {took} · {parting}"));
    }
    lines
}

fn pace(tally: &Tally, elapsed: Duration) -> String {
    if tally.answers == 0 || elapsed.is_zero() {
        return String::new();
    }
    #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
    let rate = tally.answers as f64 / elapsed.as_secs_f64();
    if rate >= 1.0 { format!(" · {rate:.1}/s") } else { format!(" · {:.1}/min", rate * 60.0) }
}

/// Full only when everything is written.
fn bar(done: u64, of: u64) -> String {
    let cells = done.saturating_mul(BAR as u64).checked_div(of).unwrap_or(0);
    let filled = usize::try_from(cells).unwrap_or(BAR).min(BAR);
    format!("{}{}", "█".repeat(filled), "░".repeat(BAR - filled))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::records::Standing;

    fn tally() -> Tally {
        let standing = Standing {
            found: 415,
            owed: 10,
            packed: 380,
            done: 20,
            failed: 5,
            batches_open: 10,
            ..Standing::default()
        };
        Tally { standing, walked: true, answers: 25, batches_opened: 10, sent_bytes: 1_400_000_000, ..Tally::default() }
    }

    #[test]
    fn the_block_is_short_and_narrow_terminals_see_less() {
        let lines = block(&tally(), Duration::from_secs(50), Some("E310: cannot be reached"), "Ctrl-C stops", 100);
        let expected = [
            " Scan   415 images",
            " Send   10 batches, 1.4 GB · 10 to send",
            " Wait   10 batches open · 380 in flight · 0 ended",
            " Write  █░░░░░░░░░░░░░░░░░░░  25/415  20 done · 5 failed · 30.0/min",
            " ! E310: cannot be reached",
            " 50 s · Ctrl-C stops",
        ];
        assert_eq!(lines, expected);
        assert_eq!(block(&tally(), Duration::from_secs(50), None, "", 40).len(), 4);
    }

    #[test]
    fn a_bar_is_full_only_at_the_end() {
        assert_eq!(bar(414, 415), format!("{}░", "█".repeat(19)));
        assert_eq!(bar(415, 415), "█".repeat(20));
        assert_eq!(bar(0, 0), "░".repeat(20));
    }

    #[test]
    fn every_notice_is_shown_once_though_old_ones_are_dropped() {
        let out = Out::silent();
        let clock = Clock::manual(0);
        let mut screen = Screen::new(&out, &clock, FRAME, Events::new(clock.clone(), None), "");
        let notice = |id: &str| Notice::Batch { id: id.to_owned(), to: "open", lines: 1, detail: String::new() };
        let mut tally = Tally { notices: vec![notice("a"), notice("b")], ..Tally::default() };
        assert_eq!(screen.fresh(&tally).len(), 2);
        assert_eq!(screen.fresh(&tally).len(), 0);
        tally.notices = vec![notice("b"), notice("c")];
        tally.notices_dropped = 1;
        assert_eq!(screen.fresh(&tally), [notice("c")]);
    }

    #[test]
    fn words_of_servers_cannot_move_the_cursor() {
        let notice = Notice::Warning { code: "E310", text: "a\u{1b}[2Jb".to_owned(), hint: String::new() };
        assert_eq!(notice_line(&notice), "warning[E310]: a\u{fffd}[2Jb");
        assert_eq!(
            snapshot(&tally()),
            "found 415 · owed 10 · in flight 380 · done 20 · failed 5 · batches 10 open 0 ended · sent 1.4 GB"
        );
    }
}
