//! Enrolment: what a page of the walk means for what the ledger knows already.

use rusqlite::{OptionalExtension as _, Row, params};

use super::SqliteStore;
use super::events;
use super::fault::{Fault, Outcome};
use super::newcomers::{Plain, TOGETHER, insert, insert_all};
use super::rows::{column, int, last_look, last_look_columns, length};
use crate::domain::ids::{CorpusId, ImageId};
use crate::domain::image::{Fate, Format, Found, Looks, Reason, RelPath, Stamp};
use crate::ledger::moves::ImageState;
use crate::ledger::records::Enrolled;
use crate::ledger::second_look::{Act, LastLook, judge};

/// What the ledger knows of a file.
struct Known {
    id: ImageId,
    last: LastLook,
}

/// Records a page of the walk.
pub(super) fn page(store: &mut SqliteStore, corpus: CorpusId, page: &[Found]) -> Outcome<Enrolled> {
    let mut enrolled = Enrolled::default();
    // Files of one folder come one after another, so remembering the last folder spares nearly all look-ups.
    let mut folder: Option<(&[u8], i64)> = None;
    let mut waiting = Vec::with_capacity(TOGETHER);
    for found in page {
        let directory = match folder {
            Some((path, id)) if path == found.path.folder => id,
            _ => directory(store, corpus, &found.path.folder)?,
        };
        folder = Some((&found.path.folder, directory));
        match Plain::of(directory, found) {
            Some(plain) => waiting.push(plain),
            // Images are fed in the order of the walk.
            None => {
                one_by_one(store, &mut waiting, &mut enrolled)?;
                file(store, directory, found, &mut enrolled)?;
            }
        }
        if waiting.len() == TOGETHER {
            together(store, &mut waiting, &mut enrolled)?;
        }
    }
    one_by_one(store, &mut waiting, &mut enrolled)?;
    Ok(enrolled)
}

fn one_by_one(store: &mut SqliteStore, files: &mut Vec<Plain<'_>>, enrolled: &mut Enrolled) -> Outcome<()> {
    files.drain(..).try_for_each(|plain| file(store, plain.directory, plain.found, enrolled))
}

fn file(store: &mut SqliteStore, directory: i64, found: &Found, enrolled: &mut Enrolled) -> Outcome<()> {
    let pages = length(found.images());
    // A text that lies there is somebody's whom nobody knew before; where the first page was asked for, it is the file's own.
    let mut passed_over = found.text_present;
    for page in (1..=pages).map(|page| u32::try_from(page).unwrap_or(u32::MAX)) {
        // Nearly always it is new, or it would not have been looked into.
        if insert(store, directory, found, (page, passed_over), enrolled)? {
            continue;
        }
        let Some(known) = known(store, directory, &found.path.name, page)? else { continue };
        passed_over &= known.last.state == ImageState::Skipped;
        apply(store, &known, found, page, enrolled)?;
    }
    no_more_pages(store, directory, found, pages, enrolled)
}

/// The same for [`TOGETHER`] plain files. Where the ledger knows one of them, each is looked at by itself.
fn together(store: &mut SqliteStore, files: &mut Vec<Plain<'_>>, enrolled: &mut Enrolled) -> Outcome<()> {
    if insert_all(store, files, enrolled)? {
        files.clear();
        return Ok(());
    }
    one_by_one(store, files, enrolled)
}

/// Pages that the file had and has no more. A file of one page never had others, and of nearly all files nothing is asked here.
/// Where the file is the same, they are there still, and nobody wants them any more: what came of them stands. One that is owed
/// may lie in an open plan, which is sealed without it.
fn no_more_pages(
    store: &mut SqliteStore,
    directory: i64,
    found: &Found,
    pages: i64,
    enrolled: &mut Enrolled,
) -> Outcome<()> {
    if !matches!(&found.fate, Fate::Owed(looks) if looks.format.may_have_pages()) {
        return Ok(());
    }
    const SQL: &str = "SELECT page FROM image WHERE directory_id = ?1 AND name = ?2 AND page > ?3
        AND state NOT IN ('packed', 'failed') AND (state = 'owed' OR (bytes, mtime_ms) <> (?4, ?5))";
    let mut statement = store.connection.prepare_cached(SQL)?;
    let Stamp { bytes, mtime_ms } = found.stamp;
    let gone: Vec<u32> = statement
        .query_map(params![directory, found.path.name, pages, int(bytes), mtime_ms], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    drop(statement);
    for page in gone {
        let Some(known) = known(store, directory, &found.path.name, page)? else { continue };
        if known.last.state != ImageState::Owed {
            // The only way from a text to an end leads over asking again.
            ask(store, &known, found.stamp, None)?;
        }
        enrolled.failed += 1;
        let owed = Known { last: LastLook { state: ImageState::Owed, ..known.last }, ..known };
        end(store, &owed, found.stamp, ImageState::Failed, Reason::Missing)?;
    }
    Ok(())
}

/// Of each file, whether [`page`] would leave its image as it is, whatever is found out about it.
pub(super) fn are_known(store: &SqliteStore, corpus: CorpusId, files: &[(RelPath, Stamp)]) -> Outcome<Vec<bool>> {
    const SQL: &str = "SELECT format FROM image WHERE directory_id = ?1 AND name = ?2 AND page = 1
        AND bytes = ?3 AND mtime_ms = ?4 AND state NOT IN ('failed', 'skipped')";
    let mut statement = store.connection.prepare_cached(SQL)?;
    let mut folder: Option<(&[u8], Option<i64>)> = None;
    let mut known = Vec::with_capacity(files.len());
    for (path, stamp) in files {
        let directory = match folder {
            Some((last, id)) if last == path.folder => id,
            _ => known_directory(store, corpus, &path.folder)?,
        };
        folder = Some((&path.folder, directory));
        let same = params![directory, path.name, int(stamp.bytes), stamp.mtime_ms];
        let format: Option<Option<String>> = statement.query_row(same, |row| row.get(0)).optional()?;
        // How many pages are wanted is a matter of settings, so files that may have several are looked into each time.
        known.push(format.flatten().and_then(|word| Format::from_word(&word)).is_some_and(|is| !is.may_have_pages()));
    }
    Ok(known)
}

fn known_directory(store: &SqliteStore, corpus: CorpusId, path: &[u8]) -> Outcome<Option<i64>> {
    let mut find = store.connection.prepare_cached("SELECT id FROM directory WHERE corpus_id = ?1 AND path = ?2")?;
    Ok(find.query_row(params![corpus.0, path], |row| row.get(0)).optional()?)
}

fn directory(store: &SqliteStore, corpus: CorpusId, path: &[u8]) -> Outcome<i64> {
    if let Some(id) = known_directory(store, corpus, path)? {
        return Ok(id);
    }
    let mut insert = store.connection.prepare_cached("INSERT INTO directory (corpus_id, path) VALUES (?1, ?2)")?;
    Ok(insert.insert(params![corpus.0, path])?)
}

fn known(store: &SqliteStore, directory: i64, name: &[u8], page: u32) -> Outcome<Option<Known>> {
    const SQL: &str = concat!(
        "SELECT i.id, ",
        last_look_columns!(),
        " FROM image i WHERE directory_id = ?1 AND name = ?2 AND page = ?3"
    );
    let mut statement = store.connection.prepare_cached(SQL)?;
    let mut rows = statement.query(params![directory, name, page])?;
    rows.next()?.map(read_known).transpose()
}

fn read_known(row: &Row<'_>) -> Outcome<Known> {
    Ok(Known { id: ImageId(column(row, "id")?), last: last_look(row)? })
}

fn apply(store: &mut SqliteStore, known: &Known, found: &Found, page: u32, enrolled: &mut Enrolled) -> Outcome<()> {
    match judge(&known.last, found) {
        Act::Leave => enrolled.unchanged += 1,
        Act::Ask { changed } => {
            let new = if changed { &mut enrolled.changed } else { &mut enrolled.owed };
            *new += 1;
            let looks = if let Fate::Owed(looks) = &found.fate { Some((looks, page)) } else { None };
            ask(store, known, found.stamp, looks)?;
        }
        Act::End(state, reason) => {
            let ended = if state == ImageState::Failed { &mut enrolled.failed } else { &mut enrolled.skipped };
            *ended += 1;
            end(store, known, found.stamp, state, reason)?;
        }
        Act::Tell(reason) => {
            enrolled.unchanged += 1;
            events::append(store, "changed_after_done", known.id, reason.word())?;
        }
    }
    Ok(())
}

/// An image that is still owed keeps its place in the feed: with a new one it would be fed twice in one life.
fn ask(store: &mut SqliteStore, known: &Known, stamp: Stamp, looks: Option<(&Looks, u32)>) -> Outcome<()> {
    const SQL: &str =
        "UPDATE image SET state = 'owed', reason = NULL, asked = 0, gaps = 0, deep = 0, bytes = ?3, mtime_ms = ?4,
        format = ?5, width = ?6, height = ?7, content = CASE WHEN (bytes, mtime_ms) = (?3, ?4) THEN content END,
        sample = CASE WHEN sample = -1 OR (bytes, mtime_ms) = (?3, ?4) THEN sample END,
        owed_seq = coalesce(owed_seq, ?8), needs = ?9 WHERE id = ?1 AND state = ?2";
    let pixels = looks.and_then(|(looks, page)| looks.of_page(page));
    let new_seq = if known.last.state == ImageState::Owed { None } else { Some(store.books.next_seq()) };
    let values = params![
        known.id.0,
        known.last.state.word(),
        int(stamp.bytes),
        stamp.mtime_ms,
        looks.map(|(looks, _)| looks.format.word()),
        pixels.map(|pixels| pixels.width),
        pixels.map(|pixels| pixels.height),
        new_seq,
        looks.and_then(|(looks, _)| looks.needs.word())
    ];
    one(store.connection.prepare_cached(SQL)?.execute(values)?, known)?;
    // What was wrong with an answer to another picture changes nothing.
    store.connection.prepare_cached("DELETE FROM wish WHERE image_id = ?1")?.execute([known.id.0])?;
    if known.last.reason == Some(Reason::KeepsChanging) {
        let sql = "UPDATE note SET changes = 0 WHERE image_id = ?1";
        store.connection.prepare_cached(sql)?.execute([known.id.0])?;
    }
    if known.last.state == ImageState::Owed {
        return Ok(());
    }
    store.books.images(Some(known.last.state), ImageState::Owed, 1)
}

/// What was measured of the file before no longer holds of it.
fn end(store: &mut SqliteStore, known: &Known, stamp: Stamp, state: ImageState, reason: Reason) -> Outcome<()> {
    const SQL: &str =
        "UPDATE image SET state = ?3, reason = ?4, bytes = ?5, mtime_ms = ?6, content = NULL, sample = NULL, format = NULL,
        width = NULL, height = NULL, needs = NULL, asked = 0, gaps = 0, owed_seq = NULL WHERE id = ?1 AND state = ?2";
    let values =
        params![known.id.0, known.last.state.word(), state.word(), reason.word(), int(stamp.bytes), stamp.mtime_ms];
    one(store.connection.prepare_cached(SQL)?.execute(values)?, known)?;
    if known.last.state == state {
        return Ok(());
    }
    store.books.images(Some(known.last.state), state, 1)
}

fn one(changed: usize, known: &Known) -> Outcome<()> {
    if changed == 1 {
        return Ok(());
    }
    Err(Fault::stale(format!("image {} is no longer {}", known.id, known.last.state.word())))
}
