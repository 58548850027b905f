//! The end of a run in words: balance, failures by reason, what to do next, exit code.

use std::collections::BTreeMap;

use crate::domain::money::Shortage;
use crate::kit::clock::Stopwatch;
use crate::ledger::LedgerError;
use crate::ledger::reader::Reader;
use crate::ledger::records::Standing;
use crate::ops::refusal;
use crate::pipeline::mission::{Fault, Mode, NotSeen, Outcome, Refused, Tally};
use crate::settings::{Problem, Settings};

use super::attend::Ended;
use super::closing::{self, Facts, NAMED};
use super::context::Context;
use super::events::Summary;
use super::exit::{Exit, Fail, cannot_write};
use super::{pages, pilot, words};

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
        if matches!(fault, Fault::NoMoney(_)) && outcome.standing.found > 0 {
            // The end that the limit was set for: with everything in place that was paid for.
            tell(context, mode, told, outcome, tally, &Facts::read(settings), ended);
        } else if outcome.standing.found > 0 {
            // What was not even counted has no balance to show.
            context.out.say(&words::balance(&outcome.standing));
        }
        return Err(fault_told(fault, told));
    }
    let walks = matches!(mode, Mode::Run { .. } | Mode::Pilot(_) | Mode::Upload | Mode::SpoolOnly(_));
    if walks && outcome.standing.found == 0 && ended.signals == 0 && !ended.timed_out {
        return Err(no_images(settings, &outcome.passed_over.by_ending, outcome.passed_over.links).into());
    }
    let exit = exit(mode, outcome, ended);
    let facts = Facts::read(settings);
    tell(context, mode, told, outcome, tally, &facts, ended);
    if matches!(mode, Mode::Pilot(_)) && ended == (Ended { signals: 0, timed_out: false }) {
        tell_pilot(context, settings, &outcome.standing)?;
    }
    if context.out.json {
        let summary = Summary {
            standing: &outcome.standing,
            reasons: facts.reasons(),
            by_ending: &outcome.passed_over.by_ending,
            answers: tally.answers,
            took: told.watch.elapsed(),
            books: &facts.books,
        };
        context.out.data(&context.events.summary(&summary, exit))?;
    }
    Ok(exit)
}

/// The last line of `--json` for a verb that asked and read nothing: how all of it stands.
pub(super) fn as_it_stands(context: &Context, settings: &Settings, watch: Stopwatch) -> Result<(), Fail> {
    let reader = pages::ledger(&settings.layout()).map_err(|error| ledger(&error))?;
    let standing = reader.map_or_else(|| Ok(Standing::default()), |reader| reader.standing());
    let (standing, facts) = (standing.map_err(|error| ledger(&error))?, Facts::read(settings));
    let summary = Summary {
        standing: &standing,
        reasons: facts.reasons(),
        by_ending: &BTreeMap::new(),
        answers: 0,
        took: watch.elapsed(),
        books: &facts.books,
    };
    context.out.data(&context.events.summary(&summary, Exit::Done))
}

fn exit(mode: &Mode, outcome: &Outcome, ended: Ended) -> Exit {
    let standing = &outcome.standing;
    let pending = standing.owed + standing.packed > 0;
    let one_shot = !matches!(mode, Mode::Run { once: false } | Mode::Serve);
    match () {
        () if ended.timed_out && (pending || standing.batches_open > 0) => Exit::MaxDuration,
        () if ended.signals > 0 => Exit::Done,
        // Cron sends no mail while batches are pending.
        () if one_shot && pending => Exit::Done,
        () if standing.failed > 0 => Exit::SomeFailed,
        () => Exit::Done,
    }
}

fn tell(
    context: &Context,
    mode: &Mode,
    told: &Telling<'_>,
    outcome: &Outcome,
    tally: &Tally,
    facts: &Facts,
    ended: Ended,
) {
    let out = &context.out;
    let standing = &outcome.standing;
    for line in closing::table(outcome, tally, facts, told.watch.elapsed()) {
        out.say(&line);
    }
    for folder in outcome.passed_over.unreadable_folders.iter().take(NAMED) {
        out.warn(&format!("cannot read the folder {}", words::safe(folder)));
    }
    if let Some(line) = closing::whereabouts(told.settings, tally, facts) {
        out.say(&line);
    }
    let interrupted = ended.signals > 0 || ended.timed_out;
    for line in closing::farewell(mode, told.settings, standing, interrupted) {
        out.say(&line);
    }
    for line in closing::rejudged(mode, outcome) {
        out.say(&line);
    }
    out.say(&words::balance(standing));
    if !standing.closes() {
        out.warn("the balance does not close: batchscribe audit  tells why");
    }
}

/// What the pilot says of the rest.
fn tell_pilot(context: &Context, settings: &Settings, standing: &Standing) -> Result<(), Fail> {
    let reader = Reader::open(&settings.layout().ledger()).map_err(|error| ledger(&error))?;
    let Some(pilot) = reader.pilot().map_err(|error| ledger(&error))? else { return Ok(()) };
    let findings = pilot::findings(&pilot, standing.owed);
    for line in pilot::lines(&pilot, &findings, settings) {
        context.out.say(&line);
    }
    if context.out.json {
        context.out.data(&context.events.pilot(pilot::document(&pilot, &findings)))?;
    }
    Ok(())
}

/// There is nothing to do in the folder; `by_ending` counts its other files, `links` what else was passed over.
pub(super) fn no_images(settings: &Settings, by_ending: &BTreeMap<String, u64>, links: u64) -> Problem {
    let dir = settings.image_dir.display();
    let sentence = if by_ending.is_empty() && links > 0 {
        format!("no images under {dir}")
    } else if by_ending.is_empty() {
        format!("no images under {dir}; there are no other files either")
    } else {
        let files = words::count(by_ending.values().sum(), "file", "files");
        format!("no images under {dir}; {files} with other endings ({})", closing::endings(by_ending))
    };
    let problem = Problem::new("E106", sentence);
    let problem = match closing::links(links) {
        Some(links) => problem.detail(links),
        None => problem,
    };
    problem
        .hint(format!("images are {}", settings.valid_image_types.join(" ")))
        .hint("add endings to valid_image_types, or name another folder: batchscribe run DIR")
}

/// A fault as the user reads it.
pub(super) fn fault_told(fault: &Fault, told: &Telling<'_>) -> Fail {
    let settings = told.settings;
    match fault {
        Fault::Provider(failure) => refusal::told(failure, told.key_source).into(),
        Fault::Unreachable(failure) => {
            let problem =
                Problem::new("E310", format!("{} cannot be reached: {}", failure.host, reached(&failure.message)));
            let hint = if ["its certificate", "TLS", "the proxy "].iter().any(|told| failure.message.contains(told)) {
                "nothing is lost: the same command goes on"
            } else if settings.api_url.is_loopback() {
                "start the server there (api_url), then the same command goes on; nothing is lost"
            } else {
                "nothing is lost: the same command goes on; behind a proxy, set HTTPS_PROXY"
            };
            problem.hint(hint).into()
        }
        Fault::SettingRefused(Refused { code, param, message }) => {
            let (model, host) = (&settings.request.model, settings.api_url.host());
            refusal::of_a_setting(code, param, message, model, host).into()
        }
        Fault::NoMoney(shortage) => no_money(shortage).into(),
        Fault::NoPrice(model) => no_price(model).into(),
        Fault::TooManyRejected(told) => Problem::new("E316", told.to_string())
            .detail("more than run.max_failures_percent allows; batchscribe status --list failed  names the pages")
            .hint("stopped before more money was spent; fix the cause, then: batchscribe retry, and the same command")
            .into(),
        Fault::MostlyUnknown(told) => Problem::new("E318", words::safe(&told.to_string()))
            .detail("they are paid for, and kept in batch_return; what they may have answered counts as asked")
            .hint("see there what stands in custom_id: a gateway on the way must leave it as it is")
            .hint("stopped before more money was spent; the same command goes on")
            .into(),
        Fault::Corpus(text) => Problem::new(
            "E104",
            format!("cannot read the image folder {}: {}", settings.image_dir.display(), words::safe(text)),
        )
        .hint("check image_dir, and whether the drive is still there")
        .into(),
        Fault::OtherCorpus(root) => {
            Problem::new("E113", format!("this workspace still has unfinished images of {}", words::safe(root)))
                .hint(format!(
                    "finish them first: {}",
                    words::command(settings, &format!("run {}", words::argument(root)))
                ))
                .hint("or take another workspace for this folder: --workspace DIR")
                .into()
        }
        Fault::OtherAccount(base_url) => other_account(base_url).into(),
        Fault::NoneKnown { host, batches } => none_known(host, *batches).into(),
        Fault::NotSeen { host, what } => not_seen(host, what).into(),
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

/// The limit does not pay for the next page: not even for the first one (E111), or no more (E306).
fn no_money(shortage: &Shortage) -> Problem {
    let Shortage { spent, reserved, limit, need } = shortage;
    if need > limit {
        let sentence = format!("run.max_cost {limit} cannot pay the worst case of one page, {need}");
        return Problem::new("E111", sentence).hint("raise it, or lower request.max_output_tokens");
    }
    let sentence = format!("money limit reached: {spent} spent + {reserved} reserved of {limit}");
    Problem::new("E306", sentence)
        .detail(format!("the next page may cost up to {need}"))
        .hint("the same command goes on with a higher --budget, or with a lower request.max_output_tokens")
}

/// A limit cannot be kept where nobody knows what is charged.
pub(super) fn no_price(model: &str) -> Problem {
    let sentence = format!("no price is known for {}, so the limit cannot be kept", words::safe(model));
    Problem::new("E110", sentence).hint(
        "a row in models.toml, in the workspace, names one; or set run.max_cost = 0 and confirm the question instead",
    )
}

/// Batches of this ledger belong to whoever opened them.
pub(super) fn other_account(base_url: &str) -> Problem {
    Problem::new("E410", format!("this ledger has unfinished batches of another account ({})", words::safe(base_url)))
        .hint("finish them with its key and provider, or take another --workspace")
}

/// None of our batches is known there.
pub(super) fn none_known(host: &str, batches: usize) -> Problem {
    let batches = words::count(batches as u64, "open batch", "open batches");
    Problem::new("E410", format!("{host} knows none of the {batches} of this ledger with this key"))
        .hint("take the key of the account and project that opened them (see provider.project)")
        .hint("nothing is given up and nothing was lost; the same command goes on")
}

/// What was begun with another key, as it seems.
fn not_seen(host: &str, what: &NotSeen) -> Problem {
    let key = "take the key of the account and project that it was opened with (see provider.project)";
    match what {
        NotSeen::Create { run, shard } => {
            let named = format!("run = {}, shard = {}", words::safe(run), words::safe(shard));
            Problem::new(
                "E410",
                format!("{host} shows this key nothing of what the batch of a shard was asked for with"),
            )
            .detail("whether that batch exists, and is paid for, is unknown; it is not asked for a second time")
            .hint(key)
            .hint(format!("is it this key? then look in its account for a batch with the metadata {named}"))
            .hint("if there is none, read the images that are left from another --workspace")
        }
        NotSeen::Answers { batch } => {
            Problem::new("E410", format!("{host} does not know the batch {} with this key", words::safe(batch)))
                .detail("it has ended, and its answers are not fetched yet")
                .hint(key)
                .hint("nothing is given up and nothing was lost; the same command goes on")
        }
    }
}

/// Why a host was not reached, without the names of the layers that noticed.
fn reached(message: &str) -> String {
    let layers = ["error sending request: ", "client error (Connect): ", "tcp connect error: "];
    let words = layers.into_iter().fold(message, |words, layer| words.strip_prefix(layer).unwrap_or(words));
    words::safe(words)
}

/// A ledger's error as the user reads it.
pub(super) fn ledger(error: &LedgerError) -> Problem {
    match error {
        LedgerError::Newer { .. } => {
            Problem::new("E402", error.to_string()).hint("update batchscribe; nothing was changed")
        }
        LedgerError::Older { .. } => {
            Problem::new("E402", error.to_string()).hint("end the batchscribe that works here, then the same command")
        }
        LedgerError::Damaged { .. } => Problem::new("E403", error.to_string())
            .hint("batchscribe recover IMAGE_DIR  builds it again from what was saved; the damaged file is kept")
            .hint("name folder, provider and key as for the runs before")
            .hint("a file that is not ours has no place there: move it away, or set batch_dir"),
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
pub(super) mod tests {
    use super::*;
    use crate::clean::breaker::{MostlyUnknown, TooManyRejected};
    use crate::corpus::PassedOver;
    use crate::domain::ids::BatchId;
    use crate::domain::image::Reason;
    use crate::ledger::records::Rejudged;
    use crate::provider::failure::{Failure, Kind};
    use crate::settings::{Environment, Sources, resolve};

    const RUN: Mode = Mode::Run { once: false };
    const UNDISTURBED: Ended = Ended { signals: 0, timed_out: false };

    /// The defaults of a workspace `/w`.
    pub(in crate::cli) fn settings() -> Settings {
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
        Outcome {
            run: None,
            standing,
            passed_over: PassedOver::default(),
            stopped: false,
            fault: None,
            rejudged: Rejudged::default(),
            deep_wanted: 0,
            waits: Vec::new(),
        }
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
        let rejected = TooManyRejected { reason: Reason::Refused, rejected: 21, answers: 100 };
        let unknown = MostlyUnknown { batch: BatchId("b\u{1b}[2J".to_owned()), unknown: 9, lines: 10 };
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let refused = |code: &str| {
            Fault::SettingRefused(Refused { code: code.into(), param: "temperature".into(), message: "no".into() })
        };
        let not_seen = |what| Fault::NotSeen { host: "h".to_owned(), what };
        let settings = settings();
        let told = Telling { settings: &settings, key_source: "the variable X", watch: Stopwatch::start() };
        for (fault, code, exit) in [
            (Fault::Provider(failure(Kind::Key)), "E301", 6),
            (Fault::Provider(failure(Kind::Forbidden)), "E302", 6),
            (Fault::Provider(failure(Kind::Money)), "E305", 7),
            (Fault::Unreachable(failure(Kind::Unreached)), "E310", 5),
            (refused("unsupported_value"), "E307", 2),
            (refused("model_not_found"), "E308", 2),
            (Fault::NoneKnown { host: "h".to_owned(), batches: 2 }, "E410", 6),
            (not_seen(NotSeen::Create { run: "r".to_owned(), shard: "s\u{1b}[2J".to_owned() }), "E410", 6),
            (not_seen(NotSeen::Answers { batch: "b".to_owned() }), "E410", 6),
            (Fault::TooManyRejected(rejected), "E316", 9),
            (Fault::MostlyUnknown(unknown), "E318", 9),
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
        let problem = no_images(&settings(), &none.passed_over.by_ending, 0);
        assert_eq!(problem.sentence, "no images under /w; 4 files with other endings (.pdf 3, no ending 1)");
    }
}
