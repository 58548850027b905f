//! Enrolment: what a page of the walk means for what the ledger knows already.

use rusqlite::{OptionalExtension as _, Row, params};

use super::SqliteStore;
use super::events;
use super::fault::{Fault, Outcome};
use super::newcomers::{Plain, TOGETHER, insert, insert_all};
use super::rows::{column, int, length, word};
use crate::domain::ids::{CorpusId, ImageId};
use crate::domain::image::{Fate, Format, Found, Looks, Reason, RelPath, Stamp};
use crate::ledger::moves::ImageState;
use crate::ledger::records::Enrolled;

/// What the ledger knows of a file.
struct Known {
    id: ImageId,
    stamp: Stamp,
    state: ImageState,
    reason: Option<Reason>,
    /// Failed after its answer came: that was paid for and lies raw, so that only a person asks again.
    answered: bool,
    /// Its header was read and told what it is.
    measured: bool,
}

/// What has to be done about a known file.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Act {
    /// Nothing.
    Leave,
    /// It is owed with what was measured now; its tries begin anew.
    Ask { changed: bool },
    /// It ends, or goes on having ended, for this reason.
    End(ImageState, Reason),
    /// Its text stands although the file is no longer what it was: only a person can tell what that means.
    Tell(Reason),
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
        passed_over &= known.state == ImageState::Skipped;
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
/// Where the file is the same, they are there still, and nobody wants them any more: what came of them stands.
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
        if known.state != ImageState::Owed {
            // The only way from a text to an end leads over asking again.
            ask(store, &known, found.stamp, None)?;
        }
        enrolled.failed += 1;
        let owed = Known { state: ImageState::Owed, ..known };
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
    const SQL: &str = "SELECT id, bytes, mtime_ms, state, reason, state = 'failed' AND reason = ?3 AND EXISTS (
        SELECT 1 FROM line l WHERE l.shard_id = image.shard_id AND l.image_id = image.id AND l.verdict IS NOT NULL) AS answered,
        format IS NOT NULL AS measured
        FROM image WHERE directory_id = ?1 AND name = ?2 AND page = ?4";
    let mut statement = store.connection.prepare_cached(SQL)?;
    let mut rows = statement.query(params![directory, name, Reason::Missing.word(), page])?;
    rows.next()?.map(read_known).transpose()
}

fn read_known(row: &Row<'_>) -> Outcome<Known> {
    let bytes = super::rows::count(column(row, "bytes")?);
    let state: String = column(row, "state")?;
    let reason: Option<String> = column(row, "reason")?;
    Ok(Known {
        id: ImageId(column(row, "id")?),
        stamp: Stamp { bytes, mtime_ms: column(row, "mtime_ms")? },
        state: word(&state, ImageState::from_word)?,
        // A reason of a later version is none of those that are measured anew, which is all that is asked here.
        reason: reason.as_deref().and_then(Reason::from_word),
        answered: column::<Option<bool>>(row, "answered")?.unwrap_or_default(),
        measured: column(row, "measured")?,
    })
}

/// Decides, and touches nothing.
fn judge(known: &Known, found: &Found) -> Act {
    use ImageState::{Done, Failed, Packed, Rough, Skipped};
    let same = known.stamp == found.stamp;
    match (known.state, &found.fate) {
        // Its stamp is frozen: the plan that holds it was made with it, and the body compares.
        (Packed, _) => Act::Leave,
        // The text that it was skipped for still stands.
        (Skipped, Fate::Owed(_)) if found.text_present => Act::Leave,
        (_, Fate::Owed(_)) if !same || may_be_measured_anew(known) => Act::Ask { changed: !same },
        (_, _) if same => Act::Leave,
        (Failed, Fate::Failed(reason)) => Act::End(Failed, *reason),
        (Skipped, Fate::Skipped(reason)) => Act::End(Skipped, *reason),
        (Done | Rough, Fate::Failed(reason) | Fate::Skipped(reason)) => Act::Tell(*reason),
        // No move leads there. What is owed may lie in an open plan already; the body that reads it ends it by name.
        (_, _) => Act::Leave,
    }
}

/// Whether an end may have been the file's, a setting's or the folder's doing, so that it may be over although the file is
/// the same.
fn may_be_measured_anew(known: &Known) -> bool {
    use Reason::{
        Damaged, EmptyFile, Excluded, KeepsChanging, Missing, NotAnImage, TextPresent, TooLarge, Unreadable,
        UnsupportedFormat,
    };
    match known.state {
        ImageState::Failed if known.answered => false,
        // What its header tells was known: it failed when it was decoded, and the same bytes would fail again.
        ImageState::Failed if known.measured && matches!(known.reason, Some(Damaged | UnsupportedFormat)) => false,
        ImageState::Failed => matches!(
            known.reason,
            Some(
                Unreadable | EmptyFile | NotAnImage | Damaged | TooLarge | UnsupportedFormat | KeepsChanging | Missing
            )
        ),
        ImageState::Skipped => matches!(known.reason, Some(TextPresent | Excluded)),
        _ => false,
    }
}

fn apply(store: &mut SqliteStore, known: &Known, found: &Found, page: u32, enrolled: &mut Enrolled) -> Outcome<()> {
    match judge(known, found) {
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
    let new_seq = if known.state == ImageState::Owed { None } else { Some(store.books.next_seq()) };
    let values = params![
        known.id.0,
        known.state.word(),
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
    if known.reason == Some(Reason::KeepsChanging) {
        let sql = "UPDATE note SET changes = 0 WHERE image_id = ?1";
        store.connection.prepare_cached(sql)?.execute([known.id.0])?;
    }
    if known.state == ImageState::Owed {
        return Ok(());
    }
    store.books.images(Some(known.state), ImageState::Owed, 1)
}

/// What was measured of the file before no longer holds of it.
fn end(store: &mut SqliteStore, known: &Known, stamp: Stamp, state: ImageState, reason: Reason) -> Outcome<()> {
    const SQL: &str =
        "UPDATE image SET state = ?3, reason = ?4, bytes = ?5, mtime_ms = ?6, content = NULL, sample = NULL, format = NULL,
        width = NULL, height = NULL, needs = NULL, asked = 0, gaps = 0, owed_seq = NULL WHERE id = ?1 AND state = ?2";
    let values = params![known.id.0, known.state.word(), state.word(), reason.word(), int(stamp.bytes), stamp.mtime_ms];
    one(store.connection.prepare_cached(SQL)?.execute(values)?, known)?;
    if known.state == state {
        return Ok(());
    }
    store.books.images(Some(known.state), state, 1)
}

fn one(changed: usize, known: &Known) -> Outcome<()> {
    if changed == 1 {
        return Ok(());
    }
    Err(Fault::stale(format!("image {} is no longer {}", known.id, known.state.word())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::image::Pixels;

    const OLD: Stamp = Stamp { bytes: 10, mtime_ms: 1 };
    const NEW: Stamp = Stamp { bytes: 10, mtime_ms: 2 };

    fn judged(state: ImageState, reason: Option<Reason>, stamp: Stamp, fate: Fate) -> Act {
        let path = RelPath { folder: Vec::new(), name: b"a".to_vec(), page: 1 };
        judge(
            &Known { id: ImageId(1), stamp: OLD, state, reason, answered: false, measured: false },
            &Found { path, stamp, fate, text_present: false },
        )
    }

    #[test]
    fn what_a_second_look_comes_to() {
        use ImageState::{Done, Failed, Owed, Packed, Skipped};
        let owed = || Fate::Owed(Looks::plain(Format::Png, Pixels { width: 3, height: 4 }));
        let ask = |changed| Act::Ask { changed };
        let damaged = || Fate::Failed(Reason::Damaged);
        let cases = [
            (judged(Packed, None, NEW, owed()), Act::Leave, "packed is frozen"),
            (judged(Done, None, OLD, owed()), Act::Leave, "same file"),
            (judged(Done, None, NEW, owed()), ask(true), "another picture"),
            (judged(Owed, None, NEW, owed()), ask(true), "measured anew"),
            (judged(Owed, None, OLD, damaged()), Act::Leave, "a hiccup of the disk"),
            (judged(Owed, None, NEW, damaged()), Act::Leave, "broken now: the body tells"),
            (judged(Done, None, NEW, damaged()), Act::Tell(Reason::Damaged), "its text stands"),
            (judged(Failed, Some(Reason::Unreadable), OLD, owed()), ask(false), "readable now"),
            (judged(Failed, Some(Reason::Refused), OLD, owed()), Act::Leave, "the model's doing"),
            (judged(Failed, Some(Reason::Refused), NEW, owed()), ask(true), "another picture"),
            (judged(Skipped, Some(Reason::TextPresent), OLD, owed()), ask(false), "the text is gone"),
            (judged(Skipped, Some(Reason::Excluded), NEW, damaged()), Act::Leave, "no such move"),
        ];
        for (judged, wanted, why) in cases {
            assert_eq!(judged, wanted, "{why}");
        }
    }
}
