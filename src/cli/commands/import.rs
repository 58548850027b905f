//! `import`: a workspace of the scripts before this program is taken over. Answers on disk are collected at once; nothing is
//! asked.

use serde_json::{Value, json};

use crate::cli::args::{Import, Old};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Fail};
use crate::cli::work::{self, Job};
use crate::cli::{finish, folder, logs, pages, words};
use crate::kit::atomic_file::private_folder;
use crate::kit::clock::Stopwatch;
use crate::ops::import::{self, Report, Wanted};
use crate::pipeline::mission::Mode;
use crate::settings::{Problem, texts};

use super::recover::refused;

/// Takes over what the scripts left.
pub(super) fn import(context: &Context, flags: &Import) -> Result<Exit, Fail> {
    let watch = Stopwatch::start();
    let mut settings = context.settings()?;
    logs::start(&context.global, &settings)?;
    let layout = settings.layout();
    if let Ok(Some(reader)) = pages::ledger(&layout) {
        drop(folder::take_folder(&mut settings, &reader));
    }
    let from = flags.dir.as_ref().map_or_else(|| context.workspace.clone(), |dir| context.current_dir.join(dir));
    if !from.is_dir() {
        let sentence = format!("{} is no folder", from.display());
        return Err(Fail::usage(Problem::new("", sentence).hint("name the folder that the scripts worked in")));
    }
    let root = folder::image_root(&settings)?;
    let prompt = texts::prompt(&settings)?;
    let recipe = texts::recipe(&settings, &prompt.text)?;
    let disk = |cause| crate::cli::exit::cannot_write(&cause);
    let lock = if flags.dry_run {
        None
    } else {
        private_folder(&layout.batch).map_err(disk)?;
        Some(work::lock(&layout.lock(), "import")?)
    };
    let means = work::means(context, &settings, root.clone(), recipe.clone(), None)?;
    let wanted = Wanted {
        from,
        recover: crate::ops::recover::Wanted {
            layout,
            clock: context.clock.clone(),
            root,
            given: settings.image_dir_given.clone(),
            counting: settings.models.counting(&recipe.model, &recipe.parameters.detail),
            // What the scripts have paid is not this program's to count.
            charges: std::sync::Arc::new(|_| None),
            recipe,
            corpus: means.corpus,
            run: means.run,
            allowed: means.allowed,
            remote: None,
            tag: None,
        },
        rebuild: flags.rebuild_texts,
        dry_run: flags.dry_run,
    };
    let report = import::import(wanted).map_err(|error| refused(error, &settings, ""))?;
    drop(lock);
    tell(context, flags, &report)?;
    let waits = report.cut > 0 && !flags.rebuild_texts;
    if flags.dry_run || waits || !report.open.is_empty() {
        if context.out.json {
            finish::as_it_stands(context, &settings, watch)?;
        }
        return Ok(Exit::Done);
    }
    work::work(context, Job { verb: "import", mode: Mode::Collect, old: Old::KEPT })
}

fn tell(context: &Context, flags: &Import, report: &Report) -> Result<(), Fail> {
    if context.out.json {
        context.out.data(&context.events.event("import", document(flags, report)))?;
    }
    for line in lines(flags, report) {
        context.out.say(&words::safe(&line));
    }
    Ok(())
}

fn lines(flags: &Import, report: &Report) -> Vec<String> {
    let verb = if flags.dry_run { "Would take over" } else { "Taken over" };
    let finished = words::count(report.finished, "batch", "batches");
    let mut lines = vec![
        format!("{verb} {finished} with answers ({} put together from single lines)", report.put_together),
        format!(" Images        {} found, {} not found; they lay in {}", report.found, report.not_found, report.given),
        format!(
            " Texts         {} whole, {} cut, {} a person's, {} missing",
            report.whole, report.cut, report.edited, report.missing
        ),
    ];
    lines.extend(report.strangers.iter().map(|id| format!(" Not found     {id}")));
    lines.extend(report.edits.iter().map(|path| format!(" Left          the text of {path}: it is a person's")));
    lines.extend(report.empty.iter().map(|id| format!(" No answers    {id}: what it asked for is owed")));
    lines.extend(report.open.iter().map(|id| format!(" Open          {id}")));
    if report.cut > 0 {
        let texts = words::count(report.cut, "text", "texts");
        lines.push(match (flags.rebuild_texts, flags.dry_run) {
            (true, false) => format!("{texts} that the scripts cut are built again from the saved answers."),
            (true, true) => format!("Would build again {texts} that the scripts cut."),
            (false, _) => format!(
                "{texts} that the scripts cut: batchscribe import --rebuild-texts  builds them again, free; do so before download or run, which keep them as they are"
            ),
        });
    }
    if !report.open.is_empty() {
        lines.push(
            "Only the provider knows what open batches asked for: batchscribe recover IMAGES --from-account, with the key and the image \
             folder named as the scripts named it, then batchscribe download"
                .to_owned(),
        );
    }
    lines
}

fn document(flags: &Import, report: &Report) -> Value {
    json!({
        "dry_run": flags.dry_run, "given": report.given,
        "batches": {"finished": report.finished, "put_together": report.put_together, "open": report.open, "empty": report.empty},
        "images": {"found": report.found, "not_found": report.not_found, "examples": report.strangers},
        "texts": {"whole": report.whole, "cut": report.cut, "edited": report.edited, "missing": report.missing,
            "edits": report.edits, "rebuild": flags.rebuild_texts},
    })
}
