use super::*;
use crate::ledger::reader::Books;
use crate::ledger::records::Standing;

const HOUR: u64 = 3_600_000;

fn tally() -> Tally {
    let standing =
        Standing { found: 415, owed: 10, packed: 380, done: 20, failed: 5, batches_open: 10, ..Standing::default() };
    let funds =
        Funds { spent: Money::from_micros(10_000), reserved: Money::from_micros(1_080_000), ..Funds::default() };
    let books = Books {
        funds,
        flagged: 3,
        queue_used: 29_700_000,
        queue_limit: Some(40_000_000),
        oldest: Some(0),
        youngest: Some(600_000),
        batch_times: vec![2 * HOUR, 3 * HOUR, 4 * HOUR],
        ..Books::default()
    };
    Tally {
        standing,
        walked: true,
        answers: 25,
        batches_opened: 10,
        sent_bytes: 1_400_000_000,
        books,
        ..Tally::default()
    }
}

fn snapshot<'a>(tally: &'a Tally, terms: &'a Terms) -> Snapshot<'a> {
    Snapshot {
        tally,
        terms,
        elapsed: Duration::from_secs(720),
        now: 720_000,
        problem: Some(
            "E310: api.openai.com cannot be reached: the connection was reset by the other side; nothing is lost",
        ),
    }
}

#[test]
fn the_block_at_120_columns() {
    let (tally, terms) = (tally(), terms_of_a_test());
    let expected = [
        " Scan   415 images",
        " Send   10 batches, 1.4 GB · 10 to send · 1.9 MB/s",
        " Wait   10 batches open · 380 in flight · oldest 12 min of 24 h",
        " Queue  29.70 M of 40.00 M tokens",
        " Write  █░░░░░░░░░░░░░░░░░░░  25/415 · 20 done · 3 flagged · 5 failed · 2.1/min",
        " Money  $0.010 spent · $1.08 reserved · limit $2.00",
        " Left   about 5 h 58 ± 2 h, from 3 batches",
        " ! E310: api.openai.com cannot be reached: the connection was reset by the other side; nothing is lost",
        " 12 min 0 s · Ctrl-C stops cleanly; open batches go on without this computer",
    ];
    assert_eq!(block(&snapshot(&tally, &terms), 120), expected);
}

#[test]
fn the_block_at_80_columns_cuts_the_problem_alone() {
    let (tally, terms) = (tally(), terms_of_a_test());
    let lines = block(&snapshot(&tally, &terms), 80);
    assert_eq!(lines[7], " ! E310: api.openai.com cannot be reached: the connection was reset by the othe…");
    assert_eq!(lines[8], " 12 min 0 s · Ctrl-C stops cleanly; open batches go on without this computer");
    let wide = block(&snapshot(&tally, &terms), 120);
    assert_eq!(lines[..7], wide[..7]);
}

#[test]
fn the_block_at_40_columns_drops_fields() {
    let (tally, terms) = (tally(), terms_of_a_test());
    let expected = [
        " Scan   415 images",
        " Send   10 batches, 1.4 GB · 10 to send",
        " Wait   10 batches open · 380 in flight",
        " Queue  29.70 M of 40.00 M tokens",
        " Write  20 done · 3 flagged · 5 failed",
        " Money  $0.010 spent · $1.08 reserved",
        " Left   about 5 h 58 ± 2 h, from 3 batc…",
        " ! E310: api.openai.com cannot be reach…",
        " 12 min 0 s · Ctrl-C stops cleanly",
    ];
    assert_eq!(block(&snapshot(&tally, &terms), 40), expected);
}

#[test]
fn no_line_is_wider_than_the_terminal_and_no_block_higher_than_twelve() {
    let terms = terms_of_a_test();
    for tally in [tally(), Tally::default(), Tally { walked: false, ..tally() }] {
        for width in 20..=130 {
            let lines = block(&snapshot(&tally, &terms), width);
            assert!(lines.len() <= 12, "{lines:?}");
            assert!(lines.iter().all(|line| console::measure_text_width(line) <= width), "{width}: {lines:?}");
        }
    }
}

#[test]
fn the_line_of_a_log_has_everything() {
    let (tally, terms) = (tally(), terms_of_a_test());
    assert_eq!(
        line(&snapshot(&tally, &terms)),
        "found 415 · owed 10 · in flight 380 · done 20 · flagged 3 · failed 5 · batches 10 open 0 ended · sent 1.4 GB · \
         oldest 12 min of 24 h · queue 29.70 M of 40.00 M tokens · $0.010 spent · $1.08 reserved · limit $2.00 · \
         left about 5 h 58 ± 2 h, from 3 batches"
    );
}

#[test]
fn pages_that_are_read_on_this_computer_cost_nothing_and_wait_for_nobody() {
    let (tally, terms) = (tally(), Terms { is_local: true, max_cost: None, ..terms_of_a_test() });
    let lines = block(&snapshot(&tally, &terms), 100).join("\n");
    assert!(!lines.contains("Money") && !lines.contains("oldest") && !lines.contains("Queue"), "{lines}");
    assert!(lines.contains(" Left   about 3 h 07 ± 37 min, from 25 answers"), "{lines}");
}

#[test]
fn a_bar_is_full_only_at_the_end() {
    assert_eq!(bar(414, 415), format!("{}░", "█".repeat(19)));
    assert_eq!(bar(415, 415), "█".repeat(20));
    assert_eq!(bar(0, 0), "░".repeat(20));
}
