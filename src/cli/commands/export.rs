//! `export`: what is known, in a form for other programs.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::{Value, json};

use crate::cli::args::{Export, ExportFormat};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Fail, cannot_write_there};
use crate::cli::out::Out;
use crate::cli::{finish, words};
use crate::domain::layout::Layout;
use crate::kit::atomic_file::{self, Access, Draft, Durability};
use crate::ledger::reader::Reader;
use crate::ops::conditions::Conditions;
use crate::ops::explain;
use crate::ops::export::{Error, LIST_NAME, Named, Source, Told};
use crate::ops::known;
use crate::settings::Problem;

use super::{known as shown, status};

/// Writes a file or a tree of files, each complete or not at all, or lines to the standard output.
pub(super) fn export(context: &Context, flags: &Export) -> Result<Exit, Fail> {
    let is_iiif = flags.format == ExportFormat::Iiif;
    match &flags.base {
        None if is_iiif => return Err(lacks_base()),
        Some(_) if !is_iiif => return Err(needs_no_base()),
        _ => {}
    }
    let settings = context.settings()?;
    let layout = settings.layout();
    let conditions =
        Conditions::read(&flags.conditions, settings.retry.max_attempts, explain::reason_of).map_err(Fail::usage)?;
    let Some(reader) = status::reader(context, &layout)? else {
        if let Some(out) = flags.out.as_ref().filter(|_| context.out.json) {
            context.out.data(&document(&context.current_dir.join(out), false, &Told::default()))?;
        }
        return Ok(Exit::Done);
    };
    let source = Source::new(&reader, &layout).map_err(failed)?.of_those(conditions);
    let out = flags.out.as_ref().map(|out| context.current_dir.join(out));
    let whole = match (flags.format, &out) {
        (ExportFormat::Provenance, _) if !flags.conditions.is_empty() => return Err(all_requests()),
        (ExportFormat::Provenance, _) => return provenance(context, &reader, &layout, out.as_deref()),
        (ExportFormat::Jsonl, _) => lines(context, out.as_deref(), ["line", "lines"], |to| source.jsonl(to))?,
        (ExportFormat::Csv, _) => lines(context, out.as_deref(), ["row", "rows"], |to| source.csv(to))?,
        (ExportFormat::Tropy, _) => lines(context, out.as_deref(), ["photo", "photos"], |to| source.tropy(to))?,
        (ExportFormat::Iiif, _) => {
            let base = flags.base.as_deref().ok_or_else(lacks_base)?;
            lines(context, out.as_deref(), ["canvas", "canvases"], |to| source.iiif(to, base))?
        }
        #[cfg(feature = "parquet")]
        (ExportFormat::Parquet, Some(out)) => parquet(context, &source, out)?,
        #[cfg(not(feature = "parquet"))]
        (ExportFormat::Parquet, _) => return Err(not_built()),
        (ExportFormat::TxtZip, Some(out)) => archive(context, &source, out)?,
        (ExportFormat::Alto, Some(out)) => tree(context, out, source.alto(out))?,
        (ExportFormat::Page, Some(out)) => tree(context, out, source.page_xml(out))?,
        (ExportFormat::Tei, Some(out)) => tree(context, out, source.tei(out))?,
        (ExportFormat::Hocr, Some(out)) => tree(context, out, source.hocr(out))?,
        #[cfg(feature = "parquet")]
        (ExportFormat::Parquet, None) => return Err(lacks_out("a file", "--out all.parquet")),
        (ExportFormat::TxtZip, None) => return Err(lacks_out("a file", "--out texts.zip")),
        (ExportFormat::Alto | ExportFormat::Page | ExportFormat::Tei | ExportFormat::Hocr, None) => {
            return Err(lacks_out("a folder", "--out FOLDER"));
        }
    };
    Ok(whole)
}

fn lacks_base() -> Fail {
    Fail::usage(
        Problem::new("", "a IIIF manifest names its images by their addresses")
            .hint("say where they will be found: --base https://example.org/letters"),
    )
}

fn needs_no_base() -> Fail {
    Problem::new("E103", "--base is for export iiif alone")
        .hint("leave --base out: no other form names addresses of images")
        .into()
}

fn all_requests() -> Fail {
    Fail::usage(
        Problem::new("", "--where contradicts provenance, which tells every request")
            .hint("leave --where out, or choose a form of images"),
    )
}

fn lacks_out(what: &str, example: &str) -> Fail {
    Fail::usage(Problem::new("", format!("this form is {what}, not lines")).hint(format!("say where: {example}")))
}

/// A form of lines: to a file, or to the standard output.
fn lines(
    context: &Context,
    out: Option<&Path>,
    [one, many]: [&str; 2],
    write: impl FnOnce(&mut dyn Write) -> Result<Told, Error>,
) -> Result<Exit, Fail> {
    let told = match out {
        Some(out) => to_file(context, out, |file| {
            let mut file = BufWriter::new(file);
            let told = write(&mut file).map_err(failed)?;
            file.flush()?;
            Ok(told)
        })?,
        None => {
            let mut to = Out::bytes();
            let told = write(&mut to).map_err(failed)?;
            to.flush()?;
            told
        }
    };
    if let Some(out) = out {
        context.out.say(&format!("Wrote {} to {}", words::count(told.written, one, many), out.display()));
    }
    say(context, &told, out)
}

#[cfg(feature = "parquet")]
fn parquet(context: &Context, source: &Source<'_>, out: &Path) -> Result<Exit, Fail> {
    let told = to_file(context, out, |file| source.parquet(file).map_err(failed))?;
    context.out.say(&format!("Wrote {} to {}", words::count(told.written, "row", "rows"), out.display()));
    say(context, &told, Some(out))
}

#[cfg(not(feature = "parquet"))]
fn not_built() -> Fail {
    Problem::new("E103", "`export parquet` contradicts this build: it cannot write Parquet")
        .hint("build it with cargo install --path . --locked --features parquet; or export jsonl, which has the same columns")
        .into()
}

fn archive(context: &Context, source: &Source<'_>, out: &Path) -> Result<Exit, Fail> {
    let told = to_file(context, out, |file| {
        // Never published: it goes with the draft.
        let mut scratch = Draft::create(atomic_file::folder_of(out), Access::Private)?;
        source.archive(file, &mut &*scratch.file()?).map_err(failed)
    })?;
    let texts = words::count(told.written, "text", "texts");
    context.out.say(&format!("Wrote {texts} and {LIST_NAME} to {}", out.display()));
    say(context, &told, Some(out))
}

fn tree(context: &Context, out: &Path, told: Result<Told, Error>) -> Result<Exit, Fail> {
    let told = told.map_err(failed)?;
    let pages = words::count(told.written, "page", "pages");
    context.out.say(&format!("Wrote {pages} and {LIST_NAME} below {}", out.display()));
    say(context, &told, Some(out))
}

/// Tells what is not in the export, and why; and how the program ends for it. A text that is there and could not be handed over is a
/// failure; one that was never written is none, and neither is a file that a person's hand keeps. With `--json` a document tells the
/// same, where the standard output is not the export itself.
fn say(context: &Context, told: &Told, out: Option<&Path>) -> Result<Exit, Fail> {
    if let Some(out) = out.filter(|_| context.out.json) {
        context.out.data(&document(out, true, told))?;
    }
    if told.without > 0 {
        let images = words::count(told.without, "image has", "images have");
        context.out.say(&format!("{images} no text, or only a rough one; see: batchscribe status"));
    }
    if told.unread.count > 0 {
        let texts = words::count(told.unread.count, "text", "texts");
        context.out.warn(&format!("{texts} cannot be read: {}", list(&told.unread)));
    }
    if told.unfit.count > 0 {
        let images = words::count(told.unfit.count, "image", "images");
        let why = "of unknown size, or with a path that is no text";
        context.out.warn(&format!("{images} cannot be told in this form ({why}): {}", list(&told.unfit)));
    }
    if told.kept.count > 0 {
        let files = words::count(told.kept.count, "file", "files");
        let why = "no export wrote them, or somebody changed them";
        context.out.warn(&format!("{files} left as they are ({why}): {}", list(&told.kept)));
    }
    Ok(if told.unread.count + told.unfit.count > 0 { Exit::SomeFailed } else { Exit::Done })
}

/// What was written where; `out` is null where nothing was, because nothing was begun.
fn document(out: &Path, is_there: bool, told: &Told) -> String {
    json!({
        "schema": 1, "out": is_there.then(|| out.display().to_string()), "written": told.written, "without": told.without,
        "unread": told.unread.count, "unfit": told.unfit.count, "kept": told.kept.count,
    })
    .to_string()
}

/// The first of some, and a sign that there are more.
fn list(named: &Named) -> String {
    let more = if named.count > named.first.len() as u64 { ", …" } else { "" };
    format!("{}{more}", named.first.join(", "))
}

/// Why no page is left that a manifest could have: of each kind how many there are, and the first of them.
fn why_none(told: &Told) -> String {
    let mut why = Vec::new();
    if told.unfit.count > 0 {
        let images = words::count(told.unfit.count, "image", "images");
        why.push(format!("no size is known of {images}: {}", list(&told.unfit)));
    }
    if told.unread.count > 0 {
        let texts = words::count(told.unread.count, "text", "texts");
        why.push(format!("{texts} cannot be read: {}", list(&told.unread)));
    }
    if why.is_empty() { "no image that was chosen has a text".to_owned() } else { why.join("; ") }
}

/// Every request, as lines of JSON.
fn provenance(context: &Context, reader: &Reader, layout: &Layout, out: Option<&Path>) -> Result<Exit, Fail> {
    let Some(out) = out else {
        told_requests(reader, layout, &mut |line| context.out.data(&line.to_string()))?;
        return Ok(Exit::Done);
    };
    let mut lines = 0_u64;
    to_file(context, out, |file| {
        let mut file = BufWriter::new(file);
        told_requests(reader, layout, &mut |line| {
            lines += 1;
            Ok(writeln!(file, "{line}")?)
        })?;
        Ok(file.flush()?)
    })?;
    context.out.say(&format!("Wrote {} to {}", words::count(lines, "line", "lines"), out.display()));
    say(context, &Told { written: lines, ..Told::default() }, Some(out))
}

/// Writes a file, complete or not at all. One that is there is replaced only with leave: it may be somebody's work by now.
fn to_file<T>(context: &Context, target: &Path, fill: impl FnOnce(&mut &File) -> Result<T, Fail>) -> Result<T, Fail> {
    may_replace(context, target)?;
    let mut draft =
        Draft::create(atomic_file::folder_of(target), Access::Umask).map_err(|cause| cannot_write_there(&cause))?;
    let told = fill(&mut &*draft.file().map_err(|cause| cannot_write_there(&cause))?)?;
    draft.publish(target, Durability::Synced).map_err(|cause| cannot_write_there(&cause))?;
    Ok(told)
}

fn may_replace(context: &Context, target: &Path) -> Result<(), Fail> {
    let is_there = target.try_exists().map_err(|cause| cannot_write_there(&cause))?;
    if !is_there || context.global.yes {
        return Ok(());
    }
    let question = format!("{} is there already. Replace it?", target.display());
    if !context.out.can_ask {
        return Err(Problem::new("E109", "a question was asked, but this is no interactive terminal")
            .detail(question)
            .hint("add --yes if it may be replaced, or name another file; nothing was written")
            .into());
    }
    if context.out.confirmed(&question)? {
        return Ok(());
    }
    context.out.say("Nothing was written.");
    Err(Fail::Told(Vec::new(), Exit::Done))
}

fn failed(error: Error) -> Fail {
    match error {
        Error::Ledger(error) => finish::ledger(&error).into(),
        Error::Disk(cause) if cause.kind() == io::ErrorKind::BrokenPipe => Fail::ClosedPipe,
        Error::Disk(cause) => cannot_write_there(&cause).into(),
        Error::NothingToTell(told) => Fail::usage(
            Problem::new(
                "",
                format!("no page can go into the manifest, and it needs at least one: {}", why_none(&told)),
            )
            .hint("batchscribe status  tells how far the images are; nothing was written"),
        ),
        Error::NotOurs(path) => {
            Problem::new("E405", format!("{} is not the list of an earlier export", path.display()))
                .hint("name another folder, or move that file away; nothing was written")
                .into()
        }
    }
}

/// Either mistake on the way.
enum Stopped {
    Known(known::Error),
    Told(Fail),
}

impl From<known::Error> for Stopped {
    fn from(error: known::Error) -> Self {
        Self::Known(error)
    }
}

fn told_requests(
    reader: &Reader,
    layout: &Layout,
    write: &mut dyn FnMut(&Value) -> Result<(), Fail>,
) -> Result<(), Fail> {
    let told = known::export(reader, layout, &mut |line| write(line).map_err(Stopped::Told));
    told.map_err(|stopped| match stopped {
        Stopped::Known(error) => shown::failed(error),
        Stopped::Told(fail) => fail,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_without_a_page_says_of_how_many_images_why() {
        let named = |count: u64| Named { count, first: (1..=count.min(3)).map(|n| format!("{n}.tif")).collect() };
        let told = |unfit: u64, unread: u64| Told { unfit: named(unfit), unread: named(unread), ..Told::default() };
        for (told, why) in [
            (told(0, 0), "no image that was chosen has a text"),
            (told(1, 0), "no size is known of 1 image: 1.tif"),
            (told(1_200, 0), "no size is known of 1200 images: 1.tif, 2.tif, 3.tif, …"),
            (told(2, 5), "no size is known of 2 images: 1.tif, 2.tif; 5 texts cannot be read: 1.tif, 2.tif, 3.tif, …"),
        ] {
            assert_eq!(why_none(&told), why);
        }
    }
}
