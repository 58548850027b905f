//! Says whether the promises hold, by reading the bill, the ledger (plain SQL) and the folders. It imports nothing of the
//! program, so that a mistake cannot hide on both sides.

mod agreement;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

pub(crate) use agreement::*;

/// Billed lines per image, by the SHA-256 of the picture.
pub(crate) fn billed(bill: &Path) -> BTreeMap<String, u32> {
    let mut images = BTreeMap::new();
    for entry in entries(bill) {
        if entry["what"] == "line" {
            for image in entry["images"].as_array().into_iter().flatten() {
                *images.entry(image.as_str().unwrap_or_default().to_owned()).or_default() += 1;
            }
        }
    }
    images
}

/// How many entries of one kind the bill has.
pub(crate) fn count(bill: &Path, what: &str) -> usize {
    entries(bill).iter().filter(|entry| entry["what"] == what).count()
}

/// Why images failed, by their names.
pub(crate) fn reasons(workspace: &Path) -> BTreeMap<String, String> {
    let ledger = rusqlite::Connection::open(workspace.join("batch/ledger.sqlite")).expect("ledger");
    let mut rows =
        ledger.prepare("SELECT CAST(name AS TEXT), reason FROM image WHERE state = 'failed'").expect("query");
    let told = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
    told.map(|row| row.expect("a row")).collect()
}

/// The kinds of all entries of the bill, in their order.
pub(crate) fn order(bill: &Path) -> Vec<String> {
    entries(bill).iter().map(|entry| entry["what"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Uncounted returns of all images.
pub(crate) fn gaps(workspace: &Path) -> i64 {
    let ledger = rusqlite::Connection::open(workspace.join("batch/ledger.sqlite")).expect("ledger");
    ledger.query_row("SELECT total(gaps) FROM image", [], |row| row.get::<_, f64>(0)).expect("query") as i64
}

/// The largest sum of enqueued tokens at any moment, and the number of batches that were enqueued.
pub(crate) fn most_enqueued(bill: &Path) -> (u64, usize) {
    let sums: Vec<u64> = entries(bill).iter().filter_map(|entry| entry["sum"].as_u64()).collect();
    (sums.iter().copied().max().unwrap_or_default(), sums.len())
}

/// Prompt and output tokens that were charged: of batches, and of questions asked directly.
pub(crate) fn tokens(bill: &Path) -> [(u64, u64); 2] {
    let entries = entries(bill);
    let sum = |what: &str, key: &str| {
        entries.iter().filter(|entry| entry["what"] == what).filter_map(|entry| entry[key].as_u64()).sum()
    };
    ["line", "chat"].map(|what| (sum(what, "prompt_tokens"), sum(what, "output_tokens")))
}

/// Every whole line of the bill.
pub(crate) fn entries(bill: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(bill).unwrap_or_default();
    // The last line may be on its way.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).expect("a line of the bill")).collect()
}

/// Images by state, counted in the ledger.
pub(crate) fn states(workspace: &Path) -> BTreeMap<String, u64> {
    let ledger = rusqlite::Connection::open(workspace.join("batch/ledger.sqlite")).expect("ledger");
    let mut rows = ledger.prepare("SELECT state, count(*) FROM image GROUP BY state").expect("query");
    let counted = rows
        .query_map([], |row| Ok((row.get(0)?, u64::try_from(row.get::<_, i64>(1)?).expect("a count"))))
        .expect("rows");
    counted.map(|row| row.expect("a row")).collect()
}

/// Everything that has to hold once a corpus of `images` images is finished without faults of its own.
pub(crate) fn finished(workspace: &Path, bill: &Path, images: usize) {
    finished_with(workspace, bill, images, images);
}

/// The same where so many of the images were changed and asked again that there are `answers` answers.
pub(crate) fn finished_with(workspace: &Path, bill: &Path, images: usize, answers: usize) {
    let expected = BTreeMap::from([("done".to_owned(), images as u64)]);
    assert_eq!(states(workspace), expected, "every image is done");
    let billed = billed(bill);
    let twice: Vec<_> = billed.iter().filter(|(_, times)| **times != 1).collect();
    assert!(twice.is_empty(), "paid more than once: {twice:?}");
    assert_eq!(billed.len(), answers, "every image was paid for");
    let texts = all_files(&workspace.join("in")).into_iter().filter(|name| name.ends_with(".txt")).count();
    assert_eq!(texts, images, "every image has its text");
    nothing_torn(workspace);
    raw_answers_are_kept(workspace, answers);
}

/// The same where a second batch of a shard may have been paid for by somebody else: every image ends, and nothing is torn.
pub(crate) fn finished_beside_strays(workspace: &Path, images: usize) {
    assert_eq!(states(workspace), BTreeMap::from([("done".to_owned(), images as u64)]), "every image is done");
    let texts = all_files(&workspace.join("in")).into_iter().filter(|name| name.ends_with(".txt")).count();
    assert_eq!(texts, images, "every image has its text");
    nothing_torn(workspace);
}

/// Every image is done, and none was paid for twice, whatever lines were refused on the way.
pub(crate) fn done_once(workspace: &Path, bill: &Path, images: usize) {
    assert_eq!(states(workspace), BTreeMap::from([("done".to_owned(), images as u64)]), "every image is done");
    let billed = billed(bill);
    assert!(billed.len() == images && billed.values().all(|times| *times == 1), "paid once each: {billed:?}");
    nothing_torn(workspace);
}

/// No temporary file is left, no notice of an open batch, and the journal tells every intent and batch.
fn nothing_torn(workspace: &Path) {
    let untold = agreement::untold(workspace);
    assert!(untold.is_empty(), "the journal lacks: {untold:?}");
    let left: Vec<String> = all_files(workspace)
        .into_iter()
        .filter(|name| name.contains(".bs-") || name.ends_with(".part") || (name.starts_with("batch/batch_")))
        .collect();
    assert!(left.is_empty(), "left over: {left:?}");
}

/// Each billed answer lies raw in `batch_return/`, and as a file of its own.
fn raw_answers_are_kept(workspace: &Path, images: usize) {
    let raw: usize = std::fs::read_dir(workspace.join("batch_return"))
        .expect("raw files")
        .map(|entry| std::fs::read_to_string(entry.expect("entry").path()).expect("raw").lines().count())
        .sum();
    assert_eq!(raw, images, "raw lines");
    assert_eq!(all_files(&workspace.join("batch_json_results")).len(), images, "per-line files");
}

/// Every file below `folder`, relative to it.
pub(crate) fn all_files(folder: &Path) -> Vec<String> {
    fn walk(root: &Path, folder: &Path, files: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                walk(root, &path, files);
            } else {
                files.push(path.strip_prefix(root).expect("below").to_string_lossy().into_owned());
            }
        }
    }
    let mut files = Vec::new();
    walk(folder, folder, &mut files);
    files
}
