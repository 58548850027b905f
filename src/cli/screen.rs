//! Progress: a block on a terminal, lines elsewhere, objects with `--json`. It only ever reads the tally.

use std::time::Duration;

use crate::kit::clock::{Clock, Millis, Stopwatch, millis};
use crate::kit::news::BatchChange;
use crate::pipeline::mission::{Notice, Tally};
use crate::settings::units::show_bytes;

use super::out::Out;
use super::progress::{self, Snapshot, Terms};
use super::stream::Stream;
use super::words;

/// Time between two drawings of the block: at most four a second.
pub(super) const FRAME: Duration = Duration::from_millis(250);
/// Columns of a terminal that does not tell them.
const NARROWEST: usize = 20;

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
    /// What happens is told by whoever follows the run; here it is told how all of it stands.
    Events {
        stream: Stream,
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
    /// What does not change while the run goes on.
    terms: Terms,
    last_warning: Option<String>,
}

impl Screen {
    /// Tells `stream`, if there is one; otherwise people.
    pub(super) fn new(out: &Out, clock: &Clock, stats: Duration, stream: Option<Stream>, terms: Terms) -> Self {
        let every = millis(stats);
        let next = clock.now() + every;
        let style = match (stream, out.live) {
            (Some(stream), _) => Style::Events { stream, every, next },
            (None, true) => Style::Block { term: console::Term::buffered_stderr(), drawn: 0 },
            (None, false) => Style::Lines { every, next, last: None },
        };
        let (out, clock) = (out.clone(), clock.clone());
        Self { style, out, clock, watch: Stopwatch::start(), shown: Shown::default(), terms, last_warning: None }
    }

    /// Shows what is new.
    pub(super) fn update(&mut self, tally: &Tally) {
        let fresh = self.fresh(tally);
        let now = self.clock.now();
        let snapshot = Snapshot {
            tally,
            terms: &self.terms,
            elapsed: self.watch.elapsed(),
            now,
            problem: self.last_warning.as_deref(),
        };
        match &mut self.style {
            Style::Block { term, drawn } => {
                // A terminal that does not answer is no reason to stop: the next frame tries again.
                drop(term.clear_last_lines(std::mem::take(drawn)));
                for notice in &fresh {
                    drop(term.write_line(&self.out.signs(&notice_line(notice))));
                }
                // The last column stays free: terminals differ in whether a full line moves the cursor.
                let width = usize::from(term.size().1).max(NARROWEST) - 1;
                for line in progress::block(&snapshot, width) {
                    drop(term.write_line(&console::truncate_str(&self.out.signs(&line), width, "")));
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
                    let line = progress::line(&snapshot);
                    if last.as_ref() != Some(&line) {
                        self.out.say(&format!("{} {line}", words::time_of_day(now)));
                    }
                    *last = last.is_some().then_some(line);
                }
            }
            Style::Events { stream, every, next } => {
                if now >= *next && stream.has_begun() {
                    *next = now + *every;
                    stream.tell(stream.events().status(&snapshot));
                }
            }
        }
    }

    /// Other settings hold from now on.
    pub(super) fn agree(&mut self, terms: Terms) {
        self.terms = terms;
    }

    /// This moment, for whoever else tells of it.
    pub(super) fn snapshot<'a>(&'a self, tally: &'a Tally) -> Snapshot<'a> {
        let (now, elapsed) = (self.clock.now(), self.watch.elapsed());
        Snapshot { tally, terms: &self.terms, elapsed, now, problem: self.last_warning.as_deref() }
    }

    /// For days without news: a line of progress is not said twice in a row.
    pub(super) fn that_says_nothing_twice(mut self) -> Self {
        if let Style::Lines { last, .. } = &mut self.style {
            *last = Some(String::new());
        }
        self
    }

    /// Says how it stands, because somebody asked: with `--quiet` as well.
    pub(super) fn tell(&mut self, tally: &Tally) {
        let snapshot = self.snapshot(tally);
        let line = format!("{} {}", words::time_of_day(snapshot.now), progress::line(&snapshot));
        self.answer(&line);
    }

    /// Says something between two updates.
    pub(super) fn interject(&mut self, text: &str) {
        self.clear();
        self.out.say(text);
    }

    /// The same, for whoever has asked for it: with `--quiet` as well.
    pub(super) fn answer(&mut self, text: &str) {
        self.clear();
        self.out.tell(text);
    }

    fn clear(&mut self) {
        if let Style::Block { term, drawn } = &mut self.style {
            drop(term.clear_last_lines(std::mem::take(drawn)));
            drop(term.flush());
        }
    }

    /// Shows the last of it and leaves the terminal to others.
    pub(super) fn close(&mut self, tally: &Tally) {
        self.update(tally);
        match &mut self.style {
            Style::Block { term, drawn } => {
                drop(term.clear_last_lines(std::mem::take(drawn)));
                drop(term.flush());
            }
            Style::Events { stream, .. } => {
                // A run that did not even begin was begun by nobody before.
                stream.begin(false);
                let (terms, problem) = (&self.terms, self.last_warning.as_deref());
                let elapsed = self.watch.elapsed();
                let snapshot = Snapshot { tally, terms, elapsed, now: self.clock.now(), problem };
                stream.tell(stream.events().status(&snapshot));
            }
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
struct Shown(u64);

impl Shown {
    /// Those that are new, each once.
    fn fresh(&mut self, tally: &Tally) -> Vec<Notice> {
        let all = tally.notices_dropped + tally.notices.len() as u64;
        // Fewer than were shown: another mission counts from the beginning.
        let before = if all < self.0 { 0 } else { self.0 };
        self.0 = all;
        let told = usize::try_from(before.saturating_sub(tally.notices_dropped)).unwrap_or(usize::MAX);
        tally.notices.iter().skip(told).cloned().collect()
    }
}

fn warning(notice: &Notice) -> Option<String> {
    match notice {
        Notice::Warning { code, text, .. } => Some(format!("{code}: {}", words::safe(text))),
        Notice::Batch(_) | Notice::Canary { .. } | Notice::Spooled { .. } => None,
    }
}

fn notice_line(notice: &Notice) -> String {
    match notice {
        Notice::Batch(change) => {
            let BatchChange { id, to, lines, detail, .. } = &**change;
            let lines = words::count(u64::from(*lines), "image", "images");
            let detail = if detail.is_empty() { String::new() } else { format!(": {}", words::safe(detail)) };
            format!("batch {} {to}, {lines}{detail}", words::safe(id))
        }
        Notice::Canary { text } => format!("canary: {}", words::safe(text)),
        Notice::Spooled { path, lines, bytes } => {
            let images = words::count(u64::from(*lines), "image", "images");
            format!("wrote {}, {images}, {}", words::safe(path), show_bytes(*bytes))
        }
        Notice::Warning { code, text, hint } => {
            let hint = if hint.is_empty() { String::new() } else { format!(" ({})", words::safe(hint)) };
            format!("warning[{code}]: {}{hint}", words::safe(text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::progress::terms_of_a_test;

    #[test]
    fn every_notice_is_shown_once_though_old_ones_are_dropped() {
        let out = Out::silent();
        let clock = Clock::manual(0);
        let mut screen = Screen::new(&out, &clock, FRAME, None, terms_of_a_test());
        let notice = |id: &str| Notice::Canary { text: id.to_owned() };
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
    }
}
