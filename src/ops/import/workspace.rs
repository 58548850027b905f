//! What the scripts left in their working folder: which batches there were, and where their answers lie.

use std::collections::BTreeMap;
use std::io;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::domain::ids::{BatchId, FileId};

/// A notice is a few kilobytes.
const LONGEST_NOTICE: u64 = 1 << 20;
/// How ids of batches begin.
const BATCH: &str = "batch_";
/// How ids of files begin.
const FILE: &str = "file-";

/// A batch of the scripts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    /// Whether its notice lay among the completed ones.
    pub(super) completed: bool,
    /// Its input file, if its notice tells.
    pub(super) input: Option<FileId>,
    /// Its result file.
    pub(super) raw: Option<PathBuf>,
    /// The folder with one JSON file a line.
    pub(super) lines: Option<PathBuf>,
}

impl Left {
    /// Whether answers of it are on disk.
    pub(super) fn answered(&self) -> bool {
        self.raw.is_some() || self.lines.is_some()
    }
}

/// What a notice tells: an id alone, a batch object as JSON, or as Python prints it. The file's name counts last.
fn notice(stem: &str, text: &str) -> (BatchId, Option<FileId>) {
    let told: Option<Value> = serde_json::from_str(text).ok();
    let field = |key: &str| told.as_ref()?.get(key)?.as_str().map(str::to_owned);
    let id = field("id").or_else(|| word(text, BATCH)).unwrap_or_else(|| stem.to_owned());
    let printed = || word(&text[text.find("input_file_id")?..], FILE);
    (BatchId(id), field("input_file_id").or_else(printed).map(FileId))
}

/// The first word that begins so.
fn word(text: &str, start: &str) -> Option<String> {
    let of_word = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '-' | '_');
    let mut words = text.split(|sign: char| !of_word(sign));
    words.find(|word| word.len() > start.len() && word.starts_with(start)).map(str::to_owned)
}

/// Reads the folder.
pub(super) fn read(folder: &Path) -> io::Result<BTreeMap<BatchId, Left>> {
    let mut batches: BTreeMap<BatchId, Left> = BTreeMap::new();
    for (place, completed) in [("batch", false), ("batch/completed", true)] {
        for (name, path) in entries(&folder.join(place))? {
            let Some(stem) = name.strip_suffix(".txt") else { continue };
            let mut text = Vec::new();
            fs_err::File::open(path)?.take(LONGEST_NOTICE).read_to_end(&mut text)?;
            let (id, input) = notice(stem, &String::from_utf8_lossy(&text));
            let left = batches.entry(id).or_default();
            left.completed |= completed;
            left.input = left.input.take().or(input);
        }
    }
    for (name, path) in entries(&folder.join("batch_return"))? {
        let Some(stem) = name.strip_suffix(".jsonl").filter(|stem| !stem.ends_with(".errors")) else { continue };
        let bare = stem.strip_prefix(BATCH).unwrap_or(stem);
        let doubled = bare.starts_with(BATCH) || batches.contains_key(&BatchId(bare.to_owned()));
        let id = BatchId(if doubled { bare } else { stem }.to_owned());
        batches.entry(id).or_default().raw = Some(path);
    }
    for (name, path) in entries(&folder.join("batch_json_results"))? {
        let some = path.is_dir() && entries(&path)?.iter().any(|(name, _)| name.ends_with(".json"));
        if some {
            batches.entry(BatchId(name)).or_default().lines = Some(path);
        }
    }
    Ok(batches)
}

/// What a folder holds, sorted; links and hidden names are left out.
pub(super) fn entries(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let list = match fs_err::read_dir(folder) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        list => list?,
    };
    let mut entries = Vec::new();
    for entry in list {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && !entry.file_type()?.is_symlink() {
            entries.push((name, entry.path()));
        }
    }
    entries.sort();
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_read_however_it_was_written() {
        let cases = [
            ("batch_1\n", "batch_1", None),
            (r#"{"id": "batch_1", "input_file_id": "file-9"}"#, "batch_1", Some("file-9")),
            ("Batch(id='batch_1', endpoint='/v1/x', input_file_id='file-9', errors=None)", "batch_1", Some("file-9")),
            ("", "batch_name", None),
        ];
        for (text, id, input) in cases {
            let expected = (BatchId(id.to_owned()), input.map(|input: &str| FileId(input.to_owned())));
            assert_eq!(notice("batch_name", text), expected, "{text}");
        }
    }
}
