//! A folder of real files, each with the handling that people expect of it, against what the program makes of them.
//!
//! `MANIFEST_CORPUS=dir cargo test --release --locked --test corpora manifest -- --ignored --nocapture`, with `dir/MANIFEST.tsv`:
//! a line of headings, then a line for each file: path, SHA-256, bytes, source, licence, what it is, expected handling, and the
//! path of its true text or `-`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use batchscribe::domain::image::Reason;

use super::super::scene;

/// Signs that a built-in engine may believe to see in a picture without text.
const NEAR_EMPTY: usize = 200;
/// Percent of the words of a true text that are found if the page stood upright; on its head or side nearly none are.
const UPRIGHT: usize = 50;

/// A line of the manifest.
struct Row {
    path: String,
    what: String,
    expected: String,
    truth: Option<String>,
}

/// What the program made of one page of a file.
#[derive(Debug)]
struct Page {
    state: String,
    reason: Option<String>,
    /// What was made of it in order to be sent, if it did not go as it was.
    prepared: Option<serde_json::Value>,
}

/// What the program made of a file.
#[derive(Debug, Default)]
struct Outcome {
    pages: Vec<Page>,
    text: Option<String>,
    /// Percent of the words of the true text that stand in it.
    found: Option<usize>,
}

#[test]
#[ignore = "needs a folder of images with a manifest in MANIFEST_CORPUS"]
fn manifest_is_met() {
    let corpus = PathBuf::from(std::env::var("MANIFEST_CORPUS").expect("MANIFEST_CORPUS"));
    let rows = rows(&std::fs::read_to_string(corpus.join("MANIFEST.tsv")).expect("a manifest"));
    let folder = tempfile::tempdir().expect("temp dir");
    let workspace = folder.path().join("work");
    for row in &rows {
        let target = workspace.join("in").join(&row.path);
        std::fs::create_dir_all(target.parent().expect("a folder")).expect("folder");
        std::fs::copy(corpus.join(&row.path), target).expect("a file of the manifest");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_batchscribe"));
    command.arg("--workspace").arg(&workspace).args(["--no-config", "--yes", "--plain"]);
    command.args(["--set", "provider.name=local", "--set", "provider.engine=ocr"]);
    command.args(["--set", "batch.poll_interval=250ms", "--set", "batch.max_poll_interval=2s", "run", "in"]);
    let (ended, most) = scene::held(command.env_clear().current_dir(&workspace));
    let said = format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    // 3: done, and some images have no text.
    assert_eq!(ended.status.code(), Some(3), "{said}");
    let mut ledger = pages(&workspace);
    let mut unmet = Vec::new();
    println!("| file | expected | what happened | met |\n|---|---|---|---|");
    for row in &rows {
        let outcome = outcome(row, &corpus, &workspace, ledger.remove(&row.path).unwrap_or_default());
        let verdict = judged(row, &outcome);
        let (told, met) = (told(&outcome), verdict.as_ref().map_or_else(|why| why.as_str(), |()| "yes"));
        println!("| {} | {} | {told} | {met} |", row.path, row.expected);
        if verdict.is_err() {
            unmet.push(format!("{}: {met}", row.path));
        }
    }
    println!("{} files, {} not met; the program held {most} MiB at most\n{said}", rows.len(), unmet.len());
    assert!(ledger.is_empty(), "in no manifest: {ledger:#?}");
    assert!(unmet.is_empty(), "{unmet:#?}");
}

fn rows(manifest: &str) -> Vec<Row> {
    let row = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [path, _, _, _, _, what, expected, truth] = fields[..] else { panic!("not eight fields: {line}") };
        let truth = Some(truth.to_owned()).filter(|truth| truth != "-");
        Row { path: path.to_owned(), what: what.to_owned(), expected: expected.to_owned(), truth }
    };
    manifest.lines().skip(1).map(row).collect()
}

/// Every page in the ledger, by the path of its file.
fn pages(workspace: &Path) -> BTreeMap<String, Vec<Page>> {
    let ledger = rusqlite::Connection::open(workspace.join("batch/ledger.sqlite")).expect("the ledger");
    let sql = "SELECT CAST(d.path AS TEXT) || '/' || CAST(i.name AS TEXT), i.state, i.reason, l.prepared FROM image i
        JOIN directory d ON d.id = i.directory_id LEFT JOIN line l ON l.shard_id = i.shard_id AND l.image_id = i.id
        ORDER BY i.page";
    let mut query = ledger.prepare(sql).expect("a query");
    let read = query.query_map([], |row| {
        let prepared: Option<String> = row.get(3)?;
        let prepared = prepared.map(|facts| serde_json::from_str(&facts).expect("JSON"));
        Ok((row.get::<_, String>(0)?, Page { state: row.get(1)?, reason: row.get(2)?, prepared }))
    });
    let mut pages: BTreeMap<String, Vec<Page>> = BTreeMap::new();
    for row in read.expect("rows") {
        let (path, page) = row.expect("a row");
        pages.entry(path).or_default().push(page);
    }
    pages
}

fn outcome(row: &Row, corpus: &Path, workspace: &Path, pages: Vec<Page>) -> Outcome {
    let text = std::fs::read_to_string(workspace.join("in").join(format!("{}.txt", row.path))).ok();
    let truth = row.truth.as_ref().map(|truth| std::fs::read_to_string(corpus.join(truth)).expect("a true text"));
    let found = text.as_ref().zip(truth).map(|(text, truth)| {
        let (read, wanted) = (words(text), words(&truth));
        wanted.intersection(&read).count() * 100 / wanted.len().max(1)
    });
    Outcome { pages, text, found }
}

/// The words of a text, each once, in lower case and with the long s of old prints as the round one.
fn words(text: &str) -> BTreeSet<String> {
    let plain = text.to_lowercase().replace('ſ', "s");
    plain.split(|sign: char| !sign.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Whether a file was handled as its line expects; otherwise what is wrong.
fn judged(row: &Row, outcome: &Outcome) -> Result<(), String> {
    let expects = |words: &str| row.expected.contains(words);
    if expects("skipped") {
        let is_skipped = outcome.pages.iter().all(|page| page.state == "skipped");
        return wanted(is_skipped && outcome.text.is_none(), "it was not skipped");
    }
    let has_failed = !outcome.pages.is_empty() && outcome.pages.iter().all(|page| page.state == "failed");
    if has_failed || expects("fails with a reason") {
        let reasons = outcome.pages.iter().all(|page| page.reason.as_deref().and_then(Reason::from_word).is_some());
        wanted(has_failed && outcome.text.is_none(), "it did not fail")?;
        wanted(reasons, "it failed without a reason")?;
        return wanted(expects("fails with a reason") || expects("refuse"), "it failed");
    }
    let is_done = !outcome.pages.is_empty() && outcome.pages.iter().all(|page| page.state == "done");
    wanted(is_done, "some of it is not done")?;
    let pages = if expects("split pages") { pages_of(&row.what) } else { 1 };
    wanted(outcome.pages.len() == pages, &format!("{pages} pages are expected"))?;
    let Some(text) = &outcome.text else { return Err("it is done without a text".to_owned()) };
    wanted(text.split('\u{c}').count() == pages, "its text has other pages")?;
    wanted(as_prepared(row, outcome), "it was not made ready as it has to be")?;
    let signs = text.split_whitespace().map(|word| word.chars().count()).sum::<usize>();
    if expects("empty") {
        return wanted(signs <= NEAR_EMPTY, "a long text where there is none");
    }
    wanted(signs > 0 || !expects("transcribe") || !has_writing(row), "its text is empty")?;
    let is_upright = !expects("orient") || outcome.found.is_none_or(|found| found >= UPRIGHT);
    wanted(is_upright, "it was not read upright")
}

fn wanted(met: bool, otherwise: &str) -> Result<(), String> {
    if met { Ok(()) } else { Err(otherwise.to_owned()) }
}

/// Whether something can be read in it at all: test images of decoders show a face.
fn has_writing(row: &Row) -> bool {
    row.truth.is_some() || !row.path.starts_with("broken/")
}

/// What is converted was, what is turned was, and what can go as it is went so.
fn as_prepared(row: &Row, outcome: &Outcome) -> bool {
    let expects = |words: &str| row.expected.contains(words);
    let turned = |page: &Page| page.prepared.as_ref().is_some_and(|facts| facts["turned"] == true);
    let is_made = expects("convert") || expects("orient") || expects("split pages") || expects("first frame");
    // A picture in front of another one in the same file may go with it.
    let is_free = expects("first image") || expects("refuse") && !expects("convert");
    outcome
        .pages
        .iter()
        .all(|page| (is_free || page.prepared.is_some() == is_made) && turned(page) == expects("orient"))
}

/// How many pages a description tells of.
fn pages_of(what: &str) -> usize {
    let counts = [("two-page", 2), ("three-page", 3), ("three-frame", 3)];
    let told = |(words, _): &&(&str, usize)| what.contains(words);
    counts.iter().find(told).map_or_else(|| panic!("no number of pages: {what}"), |(_, count)| *count)
}

fn told(outcome: &Outcome) -> String {
    let one = |page: &Page| {
        let mut told = page.state.clone();
        if let Some(reason) = &page.reason {
            told += &format!(": {reason}");
        }
        if let Some(facts) = &page.prepared {
            let turned = if facts["turned"] == true { ", turned" } else { "" };
            told += &format!(" as {} {} x {}{turned}", facts["format"], facts["width"], facts["height"]);
        }
        told
    };
    let mut parts: Vec<String> = outcome.pages.iter().map(one).collect();
    parts.dedup();
    if outcome.pages.len() > 1 {
        parts.push(format!("{} pages", outcome.pages.len()));
    }
    if outcome.pages.is_empty() {
        parts.push("passed over".to_owned());
    }
    parts.extend(outcome.text.as_ref().map(|text| format!("text of {} signs", text.trim().chars().count())));
    parts.extend(outcome.found.map(|found| format!("{found} % of its words")));
    parts.join(", ").replace('"', "")
}
