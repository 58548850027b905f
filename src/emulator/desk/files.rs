//! `/v1/files`, once the bytes are here.

use std::fs::File;
use std::io;
use std::time::Duration;

use serde_json::Value;

use super::{Json, json};
use crate::emulator::bill::Entry;
use crate::emulator::core::Request;
use crate::emulator::disguise;
use crate::emulator::parse::{ListQuery, byte_range};
use crate::emulator::record::{Event, FileRecord};
use crate::emulator::refusal::Refusal;
use crate::emulator::runner::Shared;
use crate::emulator::wire::{DeletedFile, FileObject, ListObject};
use crate::kit::atomic_file::Draft;

/// Takes in an uploaded file.
pub(crate) fn add(
    shared: &Shared,
    draft: Draft,
    bytes: u64,
    filename: String,
    lives: Option<Duration>,
) -> Result<Json, Refusal> {
    let (mut books, now) = shared.books();
    books.still_open()?;
    let request = Request::AddFile { filename, bytes, lives };
    // The name is given before the fact is written: a file that nobody knows of is removed at the next start.
    let events = books.service.decide(now, request)?;
    let Some(Event::FileAdded { file }) = events.first().cloned() else { return Err(Refusal::server_error()) };
    shared.folder.keep(draft, &file.id).map_err(|cause| disk(&cause))?;
    books.record(&events)?;
    books.bill(now, &Entry::Upload { file: &file.id, name: &file.filename, bytes: file.bytes })?;
    Ok(show(shared, &file))
}

/// A file object, as the scenario shows it if it does.
fn show(shared: &Shared, file: &FileRecord) -> Json {
    if shared.faults.has_habits() {
        return json(&disguise::file(file, shared.faults.habits()));
    }
    json(&FileObject::from(file))
}

/// A state folder that cannot be used.
pub(crate) fn disk(cause: &io::Error) -> Refusal {
    tracing::error!(%cause, "the emulator cannot write its state folder");
    Refusal::disk(cause)
}

/// A page of the list.
pub(crate) fn list(shared: &Shared, query: &ListQuery) -> Result<Json, Refusal> {
    let habits = shared.faults.habits();
    if habits.no_file_list {
        return Err(Refusal::new(405, "Method Not Allowed"));
    }
    let (mut books, now) = shared.books();
    books.settle(now)?;
    let limit = query.limit(10_000, 10_000)?;
    let after = query.after().filter(|_| !habits.lists_repeat);
    let mut page = books.service.files(query.purpose.as_deref(), after, limit, query.newest_first()?)?;
    page.has_more |= habits.lists_repeat;
    let list = ListObject::<FileObject<'_>>::new(&page, |file: &FileRecord| &file.id);
    if !shared.faults.has_habits() {
        return Ok(json(&list));
    }
    let mut list = serde_json::to_value(list).unwrap_or_default();
    let files: Vec<Value> = page.records.iter().map(|file| disguise::file(file, habits)).collect();
    list["data"] = files.into();
    Ok(json(&list))
}

/// One file; `keep`: tells only that share of its length.
pub(crate) fn get(shared: &Shared, id: &str, keep: Option<f64>) -> Result<Json, Refusal> {
    let (mut books, now) = shared.books();
    books.settle(now)?;
    let early = shared.faults.habits().early_results;
    let mut file = books.readable(id, early).ok_or_else(|| Refusal::no_such_file(id))?;
    file.bytes = keep.map_or(file.bytes, |keep| part_of(file.bytes, keep));
    Ok(show(shared, &file))
}

/// Deletes a file.
pub(crate) fn delete(shared: &Shared, id: &str) -> Result<Json, Refusal> {
    let (mut books, now) = shared.books();
    books.settle(now)?;
    books.commit(now, Request::RemoveFile { id: id.to_owned() })?;
    books.bill(now, &Entry::Delete { file: id })?;
    Ok(json(&DeletedFile::new(id)))
}

/// Which part of a file is to be read.
#[derive(Debug)]
pub(crate) enum Content {
    /// The range that was asked for lies outside of a file of so many bytes.
    Outside(u64),
    /// These bytes.
    Part {
        /// The file, at `begin`; none for an empty one.
        file: Option<File>,
        begin: u64,
        end: u64,
        /// Length of the file.
        bytes: u64,
        /// Whether a range was asked for and honoured.
        ranged: bool,
    },
}

/// The content of a file, or the part of it that `range` names.
pub(crate) fn content(shared: &Shared, id: &str, range: Option<&str>) -> Result<Content, Refusal> {
    let (mut books, now) = shared.books();
    books.settle(now)?;
    let habits = shared.faults.habits();
    let file = books.readable(id, habits.early_results).ok_or_else(|| Refusal::no_such_file(id))?;
    let (bytes, range) = (file.bytes, range.filter(|_| !habits.chunked));
    let asked = match range.map_or(Ok(None), |range| byte_range(range, bytes)) {
        Ok(asked) => asked,
        Err(()) => return Ok(Content::Outside(bytes)),
    };
    let (begin, end) = asked.unwrap_or((0, bytes));
    books.bill(now, &Entry::Fetch { file: id, offset: begin })?;
    // An empty result file has a name and nothing else.
    let file = (bytes > 0).then(|| shared.folder.read(id, begin)).transpose().map_err(|cause| disk(&cause))?;
    Ok(Content::Part { file, begin, end, bytes, ranged: asked.is_some() })
}

/// A share of a length.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a fault")]
pub(crate) fn part_of(length: u64, share: f64) -> u64 {
    (length as f64 * share.clamp(0.0, 1.0)) as u64
}
