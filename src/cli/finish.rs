//! The end of a run in words: balance, failures by reason, what to do next, exit code.

use crate::kit::clock::Stopwatch;
use crate::ledger::LedgerError;
use crate::ledger::moves::ImageState;
use crate::ledger::reader::Reader;
use crate::ledger::records::Standing;
use crate::ops::refusal;
use crate::pipeline::mission::{Fault, Mode, Outcome, Tally};
use crate::settings::{Problem, Settings};

use super::attend::Ended;
use super::context::Context;
use super::events::Events;
use super::exit::{Exit, Fail, cannot_write};
use super::{pages, words};

/// Failed images that are named; `status --list failed` names all.
const NAMED: usize = 20;

/// What the words at the end are made from, beside the outcome.
pub(super) struct Telling<'a> {
    /// The settings of the run.
    pub(super) settings: &'a Settings,
    /// Where the key came from.
    pub(super) key_source: &'a str,
    /// Since the start.
    pub(super) watch: Stopwatch,
}

/// Tells how the run ended.
pub(super) fn finish(
    context: &Context,
    mode: &Mode,
    outcome: &Outcome,
    tally: &Tally,
    ended: Ended,
    told: &Telling<'_>,
) -> Result<Exit, Fail> {
    let settings = told.settings;
    if ended.signals > 1 {
        return Ok(Exit::Interrupted);
    }
    if let Some(fault) = &outcome.fault {
        context.out.say(&words::balance(&outcome.standing));
        return Err(fault_told(fault, told));
    }
    let walks = matches!(mode, Mode::Run { .. } | Mode::Upload | Mode::SpoolOnly(_));
    if walks && outcome.standing.found == 0 && ended.signals == 0 && !ended.timed_out {
        return Err(no_images(settings, outcome).into());
    }
    let exit = exit(mode, outcome, ended);
    summary(context, told, outcome, tally, ended);
    if context.out.json {
        let run = last_run(settings);
        context.out.data(&Events::new(context.clock.clone(), run).summary(&outcome.standing, exit))?;
    }
    Ok(exit)
}

fn exit(mode: &Mode, outcome: &Outcome, ended: Ended) -> Exit {
    let standing = &outcome.standing;
    let pending = standing.owed + standing.packed > 0;
    let one_shot = !matches!(mode, Mode::Run { once: false });
    match () {
        () if ended.timed_out && (pending || standing.batches_open > 0) => Exit::MaxDuration,
        () if ended.signals > 0 => Exit::Done,
        // Cron sends no mail while batches are pending.
        () if one_shot && pending => Exit::Done,
        () if standing.failed > 0 => Exit::SomeFailed,
        () => Exit::Done,
    }
}

fn summary(context: &Context, told: &Telling<'_>, outcome: &Outcome, tally: &Tally, ended: Ended) {
    let out = &context.out;
    let standing = &outcome.standing;
    if is_idle(standing, tally) {
        out.say(&idle(standing));
    } else {
        let pages = words::count(tally.answers, "page", "pages");
        out.say(&format!(
            "{pages} answered in {}: {} done, {} failed in all",
            words::seconds(told.watch.elapsed().as_secs()),
            standing.done,
            standing.failed
        ));
    }
    for line in failures(told.settings, standing) {
        out.say(&line);
    }
    for folder in outcome.passed_over.unreadable_folders.iter().take(NAMED) {
        out.warn(&format!("cannot read the folder {}", words::safe(folder)));
    }
    let open = standing.batches_open + standing.batches_ended;
    if open > 0 {
        let batches = words::count(open, "batch stays", "batches stay");
        out.say(&format!("{batches} open; run again to collect (batchscribe run, or batchscribe download)"));
    } else if ended.signals > 0 && standing.owed > 0 {
        out.say(&format!(
            "{} to be asked; the same command goes on",
            words::count(standing.owed, "image is", "images are")
        ));
    }
    out.say(&words::balance(standing));
    if !standing.closes() {
        out.warn("the balance does not close: batchscribe audit  tells why");
    }
}

/// Whether this process found nothing to do.
fn is_idle(standing: &Standing, tally: &Tally) -> bool {
    tally.answers == 0 && tally.batches_opened == 0 && standing.owed + standing.packed == 0
}

fn idle(standing: &Standing) -> String {
    let images = words::count(standing.found, "image", "images");
    if standing.done == standing.found {
        return format!("nothing to do: all {images} are done");
    }
    format!("nothing to do: of {images} {} are done, {} failed for good", standing.done, standing.failed)
}

/// Failed images by reason, the first ones by name.
fn failures(settings: &Settings, standing: &Standing) -> Vec<String> {
    if standing.failed == 0 {
        return Vec::new();
    }
    // The ledger was fine a moment ago; if it cannot be asked now, the counts above have to do.
    let Ok(reader) = Reader::open(&settings.layout().ledger()) else { return Vec::new() };
    let mut lines = Vec::new();
    for reason in reader.reasons().unwrap_or_default().into_iter().filter(|reason| reason.state == ImageState::Failed) {
        lines.push(format!(
            "failed: {} {}",
            words::count(reason.images, "image", "images"),
            words::safe(&reason.reason)
        ));
    }
    let named = pages::failed(&reader).filter_map(Result::ok).take(NAMED);
    lines.extend(named.map(|failure| format!("  {}  {}", failure.path.shown(), words::safe(&failure.reason))));
    if standing.failed > NAMED as u64 {
        lines.push("  all of them: batchscribe status --list failed".to_owned());
    }
    lines
}

fn last_run(settings: &Settings) -> Option<String> {
    let reader = Reader::open(&settings.layout().ledger()).ok()?;
    pages::batches(&reader).filter_map(Result::ok).last().map(|batch| batch.run)
}

fn no_images(settings: &Settings, outcome: &Outcome) -> Problem {
    let others: u64 = outcome.passed_over.by_ending.values().sum();
    let mut endings: Vec<(&String, &u64)> = outcome.passed_over.by_ending.iter().collect();
    endings.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let shown = |(ending, count): &(&String, &u64)| {
        let ending = if ending.is_empty() { "no ending".to_owned() } else { format!(".{}", words::safe(ending)) };
        format!("{ending} {count}")
    };
    let list: Vec<String> = endings.iter().take(8).map(shown).collect();
    let files = words::count(others, "file", "files");
    let dir = settings.image_dir.display();
    let sentence = if list.is_empty() {
        format!("no images under {dir}; there are no other files either")
    } else {
        format!("no images under {dir}; {files} with other endings ({})", list.join(", "))
    };
    Problem::new("E106", sentence)
        .hint(format!("images are {}", settings.valid_image_types.join(" ")))
        .hint("add endings to valid_image_types, or name another folder: batchscribe run DIR")
}

/// A fault as the user reads it.
fn fault_told(fault: &Fault, told: &Telling<'_>) -> Fail {
    let settings = told.settings;
    match fault {
        Fault::Provider(failure) => refusal::told(failure, told.key_source).into(),
        Fault::Unreachable(failure) => {
            Problem::new("E310", format!("{} cannot be reached: {}", failure.host, words::safe(&failure.message)))
                .hint("nothing is lost: the same command goes on; behind a proxy, set HTTPS_PROXY")
                .into()
        }
        Fault::SettingRefused(text) => {
            let host = settings.api_url.host();
            Problem::new("E307", format!("{} refuses a setting: {}", settings.request.model, words::safe(text)))
                .hint(format!("remove or change it; {host} would refuse every page"))
                .into()
        }
        Fault::Corpus(text) => Problem::new(
            "E104",
            format!("cannot read the image folder {}: {}", settings.image_dir.display(), words::safe(text)),
        )
        .hint("check image_dir, and whether the drive is still there")
        .into(),
        Fault::OtherCorpus(root) => {
            Problem::new("E113", format!("this workspace still has unfinished images of {}", words::safe(root)))
                .hint("finish them first (batchscribe run with that folder), or take another --workspace for this one")
                .into()
        }
        Fault::OtherAccount(base_url) => Problem::new(
            "E410",
            format!("this ledger has unfinished batches of another account ({})", words::safe(base_url)),
        )
        .hint("finish them with its key and provider, or take another --workspace")
        .into(),
        Fault::Ledger(error) => ledger(error).into(),
        Fault::Disk(cause) => cannot_write(cause).into(),
        Fault::Died { who, why } => {
            let problem = Problem::new("E411", format!("a part of the program died: {who}"))
                .detail(words::safe(why))
                .hint("what was done is safe; the same command goes on. Please report this, with --log-file");
            Fail::Told(vec![problem], Exit::Died)
        }
    }
}

/// A ledger's error as the user reads it.
pub(super) fn ledger(error: &LedgerError) -> Problem {
    match error {
        LedgerError::Newer { .. } => {
            Problem::new("E402", error.to_string()).hint("update batchscribe; nothing was changed")
        }
        LedgerError::Damaged { .. } => Problem::new("E403", error.to_string())
            .hint("keep the file; batch_return and batch_json_results hold what was paid for"),
        LedgerError::Full { .. } => {
            Problem::new("E409", error.to_string()).hint("make room, then the same command again")
        }
        LedgerError::TakenOver => {
            Problem::new("E401", error.to_string()).hint("batchscribe status  shows how far it is")
        }
        LedgerError::Io { .. } | LedgerError::Stale(_) | LedgerError::Closed => {
            Problem::new("E405", error.to_string()).hint("the same command goes on where the ledger ends")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::PassedOver;
    use crate::provider::failure::{Failure, Kind};
    use crate::settings::{Environment, Sources, resolve};

    const RUN: Mode = Mode::Run { once: false };
    const UNDISTURBED: Ended = Ended { signals: 0, timed_out: false };

    fn settings() -> Settings {
        let sources = Sources {
            workspace: "/w".into(),
            current_dir: "/w".into(),
            config: None,
            no_config: true,
            flags: Vec::new(),
            environment: Environment::default(),
        };
        resolve(&sources).map_err(|problems| format!("{problems:?}")).expect("settings").settings
    }

    fn outcome(standing: Standing) -> Outcome {
        Outcome { standing, passed_over: PassedOver::default(), stopped: false, fault: None, waits: Vec::new() }
    }

    #[test]
    fn exit_codes_of_a_run() {
        let done = outcome(Standing { found: 2, done: 2, ..Standing::default() });
        let failed = outcome(Standing { found: 2, done: 1, failed: 1, ..Standing::default() });
        let pending = outcome(Standing { found: 3, packed: 2, failed: 1, batches_open: 1, ..Standing::default() });
        let once = Mode::Run { once: true };
        let late = Ended { signals: 0, timed_out: true };
        let signalled = Ended { signals: 1, timed_out: false };
        for (mode, outcome, ended, expected) in [
            (&RUN, &done, UNDISTURBED, Exit::Done),
            (&RUN, &failed, UNDISTURBED, Exit::SomeFailed),
            (&once, &failed, UNDISTURBED, Exit::SomeFailed),
            (&once, &pending, UNDISTURBED, Exit::Done),
            (&Mode::Upload, &pending, UNDISTURBED, Exit::Done),
            (&RUN, &pending, late, Exit::MaxDuration),
            (&RUN, &done, late, Exit::Done),
            (&RUN, &pending, signalled, Exit::Done),
        ] {
            assert_eq!(exit(mode, outcome, ended), expected, "{mode:?} {ended:?}");
        }
    }

    #[test]
    fn faults_end_the_program_as_the_contract_says() {
        let failure = |kind| Failure {
            kind,
            status: Some(401),
            code: "insufficient_quota".to_owned(),
            param: String::new(),
            message: "no\u{1b}[2J".to_owned(),
            host: "api.openai.com".to_owned(),
            retry_after: None,
        };
        let newer = LedgerError::Newer { path: "l".to_owned(), version: 9 };
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let settings = settings();
        let told = Telling { settings: &settings, key_source: "the variable X", watch: Stopwatch::start() };
        for (fault, code, exit) in [
            (Fault::Provider(failure(Kind::Key)), "E301", 6),
            (Fault::Provider(failure(Kind::Forbidden)), "E302", 6),
            (Fault::Provider(failure(Kind::Money)), "E305", 7),
            (Fault::Unreachable(failure(Kind::Unreached)), "E310", 5),
            (Fault::SettingRefused("detail".to_owned()), "E307", 2),
            (Fault::Corpus("gone".to_owned()), "E104", 2),
            (Fault::Ledger(newer), "E402", 2),
            (Fault::Disk(full), "E409", 1),
            (Fault::Disk(std::io::Error::other("x")), "E405", 1),
            (Fault::Died { who: "poller", why: "y".to_owned() }, "E411", 70),
        ] {
            let Fail::Told(problems, ends) = fault_told(&fault, &told) else { panic!("{fault:?}") };
            assert_eq!((problems[0].code, ends.number()), (code, exit), "{fault:?}");
            assert!(!problems[0].to_string().contains('\u{1b}'));
        }
    }

    #[test]
    fn no_images_names_what_there_is() {
        let mut none = outcome(Standing::default());
        none.passed_over.by_ending = [("pdf".to_owned(), 3), (String::new(), 1)].into();
        let problem = no_images(&settings(), &none);
        assert_eq!(problem.sentence, "no images under /w; 4 files with other endings (.pdf 3, no ending 1)");
    }

    #[test]
    fn a_second_run_says_that_there_is_nothing_to_do() {
        let standing = Standing { found: 3, done: 3, ..Standing::default() };
        assert!(is_idle(&standing, &Tally::default()));
        assert_eq!(idle(&standing), "nothing to do: all 3 images are done");
        let standing = Standing { found: 3, done: 2, failed: 1, ..Standing::default() };
        assert_eq!(idle(&standing), "nothing to do: of 3 images 2 are done, 1 failed for good");
    }
}
