//! `clean`: the saved answers of this workspace are judged again, and their texts written. `clean DIR`: the texts of a tree are
//! cleaned by rules; what stood there before is kept.

use std::path::Path;

use serde_json::json;

use crate::cli::args::{Clean, Old};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Fail, cannot_write};
use crate::cli::work::Job;
use crate::cli::{finish, pages, words, work};
use crate::domain::image::RelPath;
use crate::kit::atomic_file::private_folder;
use crate::ledger::LedgerError;
use crate::pipeline::clean_tree::{Became, Error, Report, clean_tree};
use crate::pipeline::mission::Mode;
use crate::settings::{Problem, texts};

use super::clean_trial;

fn told(error: LedgerError) -> Fail {
    finish::ledger(&error).into()
}

/// Cleans a tree, and lists what was not clean.
pub(super) fn clean(context: &Context, flags: &Clean) -> Result<Exit, Fail> {
    let Some(dir) = &flags.dir else {
        if flags.dry_run {
            return clean_trial::try_out(context);
        }
        let mode = Mode::Clean { rebuild: flags.rebuild, deep: flags.deep };
        return work::work(context, Job { verb: "clean", mode, old: Old::KEPT });
    };
    let dir = context.current_dir.join(dir);
    if !dir.is_dir() {
        let problem = Problem::new("E104", format!("{} is no folder", dir.display()));
        return Err(problem.hint("name the folder whose texts are to be cleaned").into());
    }
    let settings = context.settings()?;
    let layout = settings.layout();
    let reader = pages::ledger(&layout).map_err(told)?;
    let prompt = texts::prompt(&settings).map(|prompt| prompt.text).unwrap_or_default();
    let _lock = if flags.dry_run {
        None
    } else {
        private_folder(&layout.batch).map_err(|cause| Fail::from(cannot_write(&cause)))?;
        Some(work::lock(&layout.lock(), "clean")?)
    };
    // Whoever reads may go away: what was begun is finished all the same.
    let mut heard: Result<(), Fail> = Ok(());
    let mut each = |path: &RelPath, became: &Became| {
        if heard.is_ok() && !context.out.json {
            heard = context.out.data(&line(path, became, flags.dry_run));
        }
    };
    let report = clean_tree(&settings, reader.as_ref(), &dir, &prompt, flags.dry_run, &mut each);
    let report = report.map_err(|error| match error {
        Error::Ledger(error) => told(error),
        Error::Disk(cause) => cannot_write(&cause).into(),
    })?;
    heard?;
    conclude(context, flags, &layout.before(), &report)
}

fn line(path: &RelPath, became: &Became, dry_run: bool) -> String {
    let would = if dry_run { "would be " } else { "" };
    let words = match became {
        Became::Cleaned(rules) => format!("{would}cleaned: {}", rules.join(", ")),
        Became::Rough(why) => format!("{would}kept as .txt.api: {}", why.join(", ")),
        Became::Left(why) => format!("left: {}", why.replace('_', " ")),
    };
    words::safe(&format!("{}: {words}", path.shown()))
}

fn conclude(context: &Context, flags: &Clean, before: &Path, report: &Report) -> Result<Exit, Fail> {
    let left: u64 = report.left.values().sum::<u64>() + report.unreadable_folders;
    let exit = if left > 0 { Exit::SomeFailed } else { Exit::Done };
    let Report { texts, clean, cleaned, rough, known, .. } = report;
    if context.out.json {
        let document = json!({
            "schema": 1, "type": "summary", "dry_run": flags.dry_run, "texts": texts, "clean": clean, "cleaned": cleaned,
            "rough": rough, "known": known, "left": report.left, "rules": report.rules, "passed_over": report.passed_over,
            "unreadable_folders": report.unreadable_folders, "exit": exit.number(),
        });
        context.out.data(&document.to_string())?;
    }
    let all = words::count(*texts, "text", "texts");
    context
        .out
        .say(&format!("{all}: {clean} were clean, {cleaned} cleaned, {rough} rough, {known} known, {left} left"));
    for (rule, texts) in &report.rules {
        context.out.say(&format!("  {rule}: {}", words::count(*texts, "text", "texts")));
    }
    if report.passed_over > 0 {
        let others = words::count(report.passed_over, "other text was", "other texts were");
        context
            .out
            .say(&format!("{others} passed over: only those named after an image are cleaned, such as page.jpg.txt"));
    }
    if *known > 0 {
        context.out.say("Texts that this workspace has asked for are left to batchscribe clean without a folder.");
    }
    if flags.dry_run {
        context.out.say("Nothing was changed.");
    } else if cleaned + rough > 0 {
        context.out.say(&format!("The texts as they were: {}", before.display()));
    }
    Ok(exit)
}
