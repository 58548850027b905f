//! The table at the end of a run: what became of the pages, what it took, what was left out and why.
//!
//! Every row bears its name, so that it reads without colour and through a pipe.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::{layout, reasons};
use crate::kit::hash;
use crate::ledger::moves::ImageState;
use crate::ledger::reader::{Books, CopyCount, Failure, Reader, ReasonCount};
use crate::ledger::records::{Rejudged, Standing};
use crate::pipeline::mission::{Mode, Outcome, Tally};
use crate::settings::units::show_bytes;
use crate::settings::{ProviderKind, Settings};

use super::{pages, words};

/// Failed images that are named; `status --list failed` names all.
pub(super) const NAMED: usize = 20;
/// Endings of other files that one row has room for.
const ENDINGS: usize = 8;
/// Texts looked at for one that can be shown as an example.
const LOOKED_AT: u32 = 16;

/// What the ledger adds to the counts.
#[derive(Debug, Default)]
pub(super) struct Facts {
    reasons: Vec<ReasonCount>,
    failed: Vec<Failure>,
    example: Option<String>,
    /// Money, flags, queue and times.
    pub(super) books: Books,
    /// The money in words.
    money: Option<String>,
    copies: CopyCount,
}

impl Facts {
    /// Asks the ledger. It was fine a moment ago; if it cannot be asked now, the counts alone have to do.
    pub(super) fn read(settings: &Settings) -> Self {
        let Ok(reader) = Reader::open(&settings.layout().ledger()) else { return Self::default() };
        let books = reader.books();
        let is_unpriced = books.as_ref().map_or(true, Books::is_unpriced);
        let mut books = books.unwrap_or_default();
        books.funds.limit = settings.run.max_cost;
        Self {
            money: words::money(&books.funds, is_unpriced),
            books,
            reasons: reader.reasons().unwrap_or_default(),
            copies: reader.copy_count().unwrap_or_default(),
            failed: pages::failed(&reader).filter_map(Result::ok).take(NAMED).collect(),
            example: example(&reader),
        }
    }

    /// Reasons of failed and skipped images, for `--json`.
    pub(super) fn reasons(&self) -> &[ReasonCount] {
        &self.reasons
    }
}

/// Where one text of ours lies, below the folder of the texts.
fn example(reader: &Reader) -> Option<String> {
    let texts = reader.texts(None, LOOKED_AT).ok()?;
    let mut path = texts.into_iter().find(|text| text.kind == "txt")?.path;
    path.name = layout::text_name(&path.name, |bytes| hash::hex(&hash::short(bytes)));
    Some(path.shown())
}

/// The rows between the progress and the balance.
pub(super) fn table(outcome: &Outcome, tally: &Tally, facts: &Facts, took: Duration) -> Vec<String> {
    let standing = &outcome.standing;
    let idle = is_idle(standing, tally);
    let mut lines = if idle { vec![nothing_to_do(standing)] } else { work_done(standing, tally, took) };
    lines.extend(words::copies(facts.copies).filter(|_| !idle).map(|copies| row("Copies", &copies)));
    if standing.rough > 0 && !idle {
        lines.push(row("Rough", &standing.rough.to_string()));
    }
    if facts.books.flagged > 0 && !idle {
        // Most of them have a text: they are among the rows above.
        lines.push(row("Flagged", &facts.books.flagged.to_string()));
    }
    lines.extend(ended(&facts.reasons, ImageState::Failed));
    lines.extend(facts.failed.iter().map(named));
    if standing.failed > NAMED as u64 {
        lines.push(row("", "all of them: batchscribe status --list failed"));
    }
    lines.extend(ended(&facts.reasons, ImageState::Skipped));
    lines.extend(others(&outcome.passed_over.by_ending, standing));
    lines.extend(links(outcome.passed_over.links).map(|links| row("Links", &links)));
    lines.extend(facts.money.as_ref().map(|money| row("Money", money)));
    lines
}

fn work_done(standing: &Standing, tally: &Tally, took: Duration) -> Vec<String> {
    let pages = words::count(tally.answers, "page", "pages");
    let mut lines = match u32::try_from(tally.answers) {
        Ok(answers) if answers > 0 => {
            let each = (took / answers).as_secs_f64();
            vec![row("Answered", &format!("{pages} in {}, {each:.2} s a page", words::took(took)))]
        }
        _ => vec![row("Answered", &format!("{pages} in {}", words::took(took)))],
    };
    if tally.batches_opened > 0 {
        let batches = words::count(tally.batches_opened, "batch", "batches");
        lines.push(row("Sent", &format!("{batches}, {}", show_bytes(tally.sent_bytes))));
    }
    lines.push(row("Done", &standing.done.to_string()));
    lines
}

/// Whether this process found nothing to do.
fn is_idle(standing: &Standing, tally: &Tally) -> bool {
    tally.answers == 0 && tally.batches_opened == 0 && standing.owed + standing.packed == 0
}

fn nothing_to_do(standing: &Standing) -> String {
    let images = words::count(standing.found, "image", "images");
    let parts: Vec<String> = [
        (standing.done, "done"),
        (standing.rough, "rough"),
        (standing.failed, "failed"),
        (standing.skipped, "skipped"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, word)| if number == standing.found { word.to_owned() } else { format!("{number} {word}") })
    .collect();
    format!("Nothing to do: {images}, {}{}", if parts.len() == 1 { "all " } else { "" }, parts.join(", "))
}

/// One row of the images that ended in `state`, by reason; none if there are none.
pub(super) fn ended(reasons: &[ReasonCount], state: ImageState) -> Option<String> {
    let of_state = || reasons.iter().filter(|reason| reason.state == state);
    let total: u64 = of_state().map(|reason| reason.images).sum();
    if total == 0 {
        return None;
    }
    let name = match state {
        ImageState::Rough => "Rough",
        ImageState::Skipped => "Skipped",
        _ => "Failed",
    };
    let all: Vec<String> =
        of_state().filter(|reason| !reason.reason.is_empty()).map(|reason| share(reason, total)).collect();
    let colon = if all.is_empty() { "" } else { ": " };
    Some(row(name, &format!("{total}{colon}{}", all.join(", "))))
}

fn share(reason: &ReasonCount, total: u64) -> String {
    let word = words::safe(&reasons::words(&reason.reason));
    if reason.images == total { word } else { format!("{} {word}", reason.images) }
}

fn named(failure: &Failure) -> String {
    row("", &format!("{}  {}", failure.path.shown(), words::safe(&reasons::words(&failure.reason))))
}

/// Files that are no images, by ending: the commonest first.
fn others(by_ending: &BTreeMap<String, u64>, standing: &Standing) -> Option<String> {
    let total: u64 = by_ending.values().sum();
    if total == 0 {
        return None;
    }
    let files = words::count(total, "file that is no image", "files that are no images");
    // Texts of ours are files, too: a second run would seem to have found something.
    let texts = by_ending.contains_key("txt") && standing.done + standing.rough + standing.skipped > 0;
    let note = if texts { " (texts of images among them)" } else { "" };
    Some(row("Other", &format!("{files}: {}{note}", endings(by_ending))))
}

/// Links that the walk passed over. None is followed: it may lead out of the folder, or round in it.
pub(super) fn links(links: u64) -> Option<String> {
    let are = words::count(links, "link or special file is", "links or special files are");
    let advice = "no setting follows them: name the folder that they lead to, or copy the files";
    (links > 0).then(|| format!("{are} passed over; {advice}"))
}

/// What judging again came to, and what a person may do about it.
pub(super) fn rejudged(mode: &Mode, outcome: &Outcome) -> Vec<String> {
    let Mode::Clean { deep, .. } = mode else { return Vec::new() };
    let Rejudged { texts, rough, wanting } = outcome.rejudged;
    let mut lines = vec![format!(
        "judged again from saved answers: {} as today's rules make them, {rough} rough, {wanting} whose answers today's rules would reject",
        words::count(u64::from(texts), "text", "texts")
    )];
    if wanting > 0 {
        lines.push("  those stay as they are: batchscribe status --list flagged, batchscribe retry".to_owned());
    }
    if *deep {
        let wanted = words::count(outcome.deep_wanted, "rough text is", "rough texts are");
        lines.push(format!("{wanted} owed for deep cleaning; batchscribe run sends them, as text alone"));
    } else if outcome.standing.rough > 0 {
        lines.push("  rough texts go back to the model with: batchscribe clean --deep".to_owned());
    }
    lines
}

/// What goes on without this process, what is left, and the commands for it.
pub(super) fn farewell(mode: &Mode, settings: &Settings, standing: &Standing, interrupted: bool) -> Vec<String> {
    let open = standing.batches_open + standing.batches_ended;
    let left = standing.owed + standing.packed;
    let is_local = settings.provider.name == ProviderKind::Local;
    match mode {
        // What is open or owed is another verb's affair.
        Mode::Clean { .. } => Vec::new(),
        _ if open > 0 && !is_local => {
            let head = if interrupted { "Detached. " } else { "" };
            let batches = words::count(open, "batch", "batches");
            let (go, cost) = if open == 1 { ("goes", "costs what it costs") } else { ("go", "cost what they cost") };
            vec![
                format!(
                    "{head}{batches} ({}) {go} on at the provider without this computer, and {cost}.",
                    words::count(standing.packed, "page", "pages")
                ),
                format!(
                    "  fetch what is ready: {} · go on with everything: {}",
                    words::command(settings, "download"),
                    words::command(settings, "run")
                ),
                format!("  stop paying: {}", words::command(settings, "cancel --all")),
            ]
        }
        Mode::Pilot(_) => Vec::new(),
        _ if left > 0 => {
            let mut lines = vec![format!("{}; the same command goes on", words::left(standing))];
            if is_local && !settings.provider.named {
                lines.push("For a real model: batchscribe init, batchscribe keys set, batchscribe plan".to_owned());
            }
            lines
        }
        _ => Vec::new(),
    }
}

/// `.pdf 3, no ending 1`: the commonest first.
pub(super) fn endings(by_ending: &BTreeMap<String, u64>) -> String {
    let mut endings: Vec<(&String, &u64)> = by_ending.iter().collect();
    endings.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let shown = |(ending, count): &(&String, &u64)| {
        let ending = if ending.is_empty() { "no ending".to_owned() } else { format!(".{}", words::safe(ending)) };
        format!("{ending} {count}")
    };
    let more = if endings.len() > ENDINGS { ", …" } else { "" };
    format!("{}{more}", endings.iter().take(ENDINGS).map(shown).collect::<Vec<_>>().join(", "))
}

/// Where the texts lie, once this process has written some.
pub(super) fn whereabouts(settings: &Settings, tally: &Tally, facts: &Facts) -> Option<String> {
    let example = facts.example.as_ref().filter(|_| tally.answers > 0)?;
    Some(match &settings.text.out_dir {
        Some(folder) => format!("The texts lie in {}, such as {example}", folder.display()),
        None => format!("The texts lie beside their images, such as {example}"),
    })
}

fn row(name: &str, text: &str) -> String {
    format!(" {name:<9} {text}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::PassedOver;
    use crate::domain::ids::ImageId;
    use crate::domain::image::RelPath;

    fn outcome(standing: Standing) -> Outcome {
        let passed_over =
            PassedOver { by_ending: [("pdf".to_owned(), 3), (String::new(), 1)].into(), ..PassedOver::default() };
        Outcome {
            run: None,
            standing,
            passed_over,
            stopped: false,
            fault: None,
            rejudged: Rejudged::default(),
            deep_wanted: 0,
            waits: Vec::new(),
        }
    }

    fn facts() -> Facts {
        let reason = |state, reason: &str, images| ReasonCount { state, reason: reason.to_owned(), images };
        let failed = Failure {
            image: ImageId(1),
            root: Vec::new(),
            path: RelPath { folder: b"b".to_vec(), name: b"x.jpg".to_vec(), page: 1 },
            state: ImageState::Failed,
            reason: "damaged".to_owned(),
        };
        Facts {
            reasons: vec![
                reason(ImageState::Failed, "damaged", 1),
                reason(ImageState::Failed, "empty_file", 2),
                reason(ImageState::Skipped, "text_present", 4),
            ],
            failed: vec![failed],
            example: Some("a/1.jpg.txt".to_owned()),
            money: Some("$0.01 spent · $0.00 reserved".to_owned()),
            books: Books { flagged: 6, ..Books::default() },
            ..Facts::default()
        }
    }

    #[test]
    fn the_table_of_a_run() {
        let standing = Standing { found: 27, done: 20, failed: 3, skipped: 4, ..Standing::default() };
        let tally = Tally { answers: 20, batches_opened: 2, sent_bytes: 1_400_000, ..Tally::default() };
        let lines = table(&outcome(standing), &tally, &facts(), Duration::from_secs(5));
        let expected = [
            " Answered  20 pages in 5.0 s, 0.25 s a page",
            " Sent      2 batches, 1.4 MB",
            " Done      20",
            " Flagged   6",
            " Failed    3: 1 damaged, 2 empty file",
            "           b/x.jpg  damaged",
            " Skipped   4: text is there already",
            " Other     4 files that are no images: .pdf 3, no ending 1",
            " Money     $0.01 spent · $0.00 reserved",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_second_run_says_that_there_is_nothing_to_do() {
        for (standing, expected) in [
            (Standing { found: 3, done: 3, ..Standing::default() }, "Nothing to do: 3 images, all done"),
            (Standing { found: 2, skipped: 2, ..Standing::default() }, "Nothing to do: 2 images, all skipped"),
            (
                Standing { found: 6, done: 3, failed: 1, skipped: 2, ..Standing::default() },
                "Nothing to do: 6 images, 3 done, 1 failed, 2 skipped",
            ),
        ] {
            let lines = table(&outcome(standing), &Tally::default(), &Facts::default(), Duration::ZERO);
            assert_eq!(lines[0], expected);
        }
    }
}
