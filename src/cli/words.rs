//! Numbers and times in words; nothing here prints.

use crate::domain::money::{Funds, Money};
use crate::kit::clock::Millis;
pub(super) use crate::kit::clock::utc;
use crate::kit::path_bytes::of_shell;
pub(in crate::cli) use crate::kit::plural::count;
use crate::ledger::reader::CopyCount;
use crate::ledger::records::Standing;
use crate::ops::plan::Correction;
use crate::settings::Settings;

/// The line that every exit prints.
pub(super) fn balance(standing: &Standing) -> String {
    let Standing { found, done, rough, failed, skipped, owed, packed, .. } = standing;
    let ended = format!("{done} done + {rough} rough + {failed} failed + {skipped} skipped");
    format!("found {found} = {ended} + {owed} owed + {packed} in flight")
}

/// What is not answered yet, by the names that the balance has for it.
pub(super) fn left(standing: &Standing) -> String {
    let Standing { owed, packed, .. } = standing;
    let images = count(owed + packed, "image is", "images are");
    if *packed == 0 {
        format!("{images} still to be asked")
    } else {
        format!("{images} left, {owed} owed and {packed} in flight")
    }
}

/// How many files are copies of others; nothing where none is.
pub(super) fn copies(copies: CopyCount) -> Option<String> {
    let are = count(copies.all(), "image is a copy of another", "images are copies of others");
    let waiting = match copies.waiting {
        0 => String::new(),
        waiting => format!("; {} for the answer", count(waiting, "waits", "wait")),
    };
    (copies.all() > 0).then(|| format!("{are}: paid for once{waiting}"))
}

/// The day of a moment in UTC: `2026-11-22`.
pub(super) fn day(at: Millis) -> String {
    utc(at).chars().take("2026-11-22".len()).collect()
}

/// A number of tokens: `983`, `98304`, `1.30 M`.
pub(super) fn tokens(tokens: u64) -> String {
    if tokens < 100_000 {
        return tokens.to_string();
    }
    let hundredths = tokens.saturating_add(5_000) / 10_000;
    format!("{}.{:02} M", hundredths / 100, hundredths % 100)
}

/// What earlier batches say of the estimate of tokens.
pub(super) fn counted(correction: Correction) -> String {
    let from = count(correction.batches, "batch", "batches");
    match correction.percent() {
        0 => format!("images counted as estimated, from {from}"),
        more @ 1.. => format!("images counted {more} % more than estimated, from {from}"),
        less => format!("images counted {} % less than estimated, from {from}", less.abs()),
    }
}

/// The time of day where the user is.
pub(super) fn time_of_day(at: Millis) -> String {
    let format = |time: jiff::Timestamp| time.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S").to_string();
    jiff::Timestamp::from_millisecond(at).map_or_else(|_| at.to_string(), format)
}

/// A stretch of seconds: `42 s`, `5 min 3 s`, `2 h 4 min`, `24 h`.
pub(super) fn seconds(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, 0, _) => format!("{h} h"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

/// `$0.01 spent · $1.08 reserved · limit $2.00`; nothing where there is neither a cost nor a limit.
pub(super) fn money(funds: &Funds, is_unpriced: bool) -> Option<String> {
    let Funds { limit, spent, reserved, .. } = *funds;
    if limit.is_none() && spent + reserved == Money::ZERO {
        return None;
    }
    let least = if is_unpriced { "at least " } else { "" };
    let limit = limit.map(|limit| format!(" · limit {limit}")).unwrap_or_default();
    Some(format!("{least}{spent} spent · {reserved} reserved{limit}"))
}

/// What is said of a workspace without a ledger.
pub(super) fn nothing_begun(workspace: &std::path::Path) -> String {
    format!("Nothing was begun in {} yet: batchscribe run --limit 20", workspace.display())
}

/// A command of this program, for whoever is to call it: with the workspace, where that is not the folder that he is in.
pub(super) fn command(settings: &Settings, words: &str) -> String {
    let named = settings.workspace_named.as_ref();
    let workspace = named.map(|folder| format!(" --workspace {}", safe(&of_shell(&folder.display().to_string()))));
    format!("batchscribe {words}{}", workspace.unwrap_or_default())
}

/// What a piece of work took: a tenth of a second is told as long as it matters.
pub(super) fn took(took: std::time::Duration) -> String {
    if took.as_secs() < 10 { format!("{:.1} s", took.as_secs_f64()) } else { seconds(took.as_secs()) }
}

/// Text from models, servers and files, harmless on a terminal, on one line.
pub(super) fn safe(text: &str) -> String {
    crate::domain::image::shown(text.replace(['\n', '\t'], " ").as_bytes())
}

/// A word of a command that a person may copy: quoted where a shell would take it apart.
pub(super) fn argument(word: &str) -> String {
    let is_plain = |sign: char| sign.is_alphanumeric() || "/.-_+@:,=~".contains(sign);
    if !word.is_empty() && word.chars().all(is_plain) {
        safe(word)
    } else {
        safe(&format!("'{}'", word.replace('\'', "'\\''")))
    }
}

/// The same of a text that may have several lines.
pub(super) fn harmless(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(|line| crate::domain::image::shown(line.as_bytes())).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let standing = Standing { found: 9, done: 3, failed: 1, owed: 2, packed: 3, ..Standing::default() };
        let expected = "found 9 = 3 done + 0 rough + 1 failed + 0 skipped + 2 owed + 3 in flight";
        assert_eq!(balance(&standing), expected);
        assert_eq!(left(&standing), "5 images are left, 2 owed and 3 in flight", "as the balance calls them");
        assert_eq!(left(&Standing { owed: 1, ..Standing::default() }), "1 image is still to be asked");
        assert_eq!(count(1, "image", "images"), "1 image");
        let spent =
            Funds { spent: Money::from_micros(10_000), reserved: Money::from_micros(1_080_000), ..Funds::default() };
        let limited = Funds { limit: Money::parse("2"), ..spent };
        assert_eq!(money(&limited, false).as_deref(), Some("$0.010 spent · $1.08 reserved · limit $2.00"));
        assert_eq!(money(&spent, true).as_deref(), Some("at least $0.010 spent · $1.08 reserved"));
        assert_eq!(money(&Funds::default(), true), None);
        assert_eq!(utc(1_795_336_202_000), "2026-11-22T08:30:02Z");
        assert_eq!(day(1_795_336_202_000), "2026-11-22");
        assert_eq!([tokens(99_999), tokens(100_000), tokens(1_304_999)], ["99999", "0.10 M", "1.30 M"]);
        assert_eq!(
            [seconds(42), seconds(303), seconds(7_440), seconds(86_400)],
            ["42 s", "5 min 3 s", "2 h 4 min", "24 h"]
        );
        let told = |thousandths| counted(Correction { thousandths, batches: 12 });
        assert_eq!(told(1_040), "images counted 4 % more than estimated, from 12 batches");
        assert_eq!(told(880), "images counted 12 % less than estimated, from 12 batches");
        assert_eq!(
            [argument("../box-1"), argument("my box"), argument("it's")],
            ["../box-1", "'my box'", r"'it'\''s'"]
        );
        assert_eq!(safe("a\nb\u{1b}[2J"), "a b\u{fffd}[2J");
    }
}
