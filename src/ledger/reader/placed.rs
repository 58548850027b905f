//! Images in the order of their places, so that the pages of a file stand together: for the exports that follow the tree.

use rusqlite::{Connection, Row, params};

use super::images::{all_flags, flag_columns};
use super::{Reader, Result, rel_path};
use crate::domain::ids::ImageId;
use crate::domain::image::{Pixels, RelPath};
use crate::kit::hash::Short;
use crate::ledger::moves::ImageState;
use crate::ledger::sqlite::fault::Outcome;
use crate::ledger::sqlite::{column, word};

/// An image or a page of one, and what made its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedImage {
    /// Its row.
    pub id: ImageId,
    /// The row of its folder; with name and page the place to go on from.
    pub directory: i64,
    /// The corpus root.
    pub root: Vec<u8>,
    /// Where it lies below the root.
    pub path: RelPath,
    /// Its size, turned as its EXIF says, if it was measured.
    pub pixels: Option<Pixels>,
    /// Where it stands.
    pub state: ImageState,
    /// Counted tries so far.
    pub asked: u32,
    /// Flags of its last answer, of the picture that was sent, and of the text that stands; of a copy, those of its original.
    pub flags: Vec<String>,
    /// Why it ended, if it ended without a text.
    pub reason: Option<String>,
    /// `txt`, `api`, `page` or `kept`, once there is a text.
    pub text: Option<String>,
    /// BLAKE3 of the text.
    pub text_hash: Option<Short>,
    /// Model that the text came from, where that is known.
    pub model: Option<String>,
    /// Hash of the recipe that it was asked with.
    pub recipe: Option<Short>,
}

/// Images behind a place, in its order.
const BEHIND: &str = concat!(
    "SELECT i.id, i.directory_id, c.root, d.path, i.name, i.page, i.width, i.height, i.reason, i.text_hash, r.model, r.hash,
    i.state, i.asked, ",
    flag_columns!(),
    "
    FROM image i CROSS JOIN directory d ON d.id = i.directory_id CROSS JOIN corpus c ON c.id = d.corpus_id
    LEFT JOIN shard s ON s.id = i.shard_id LEFT JOIN recipe r ON r.id = s.recipe_id
    LEFT JOIN copy y ON y.image_id = i.id AND y.stands = 'served'
    LEFT JOIN line l ON l.shard_id = i.shard_id AND l.image_id = coalesce(y.original_id, i.id)
    WHERE (i.directory_id, i.name, i.page) > (?1, ?2, ?3) ORDER BY i.directory_id, i.name, i.page LIMIT ?4"
);

impl Reader {
    /// Images folder by folder, by name and page; at most `limit` behind `after`.
    ///
    /// # Errors
    /// The ledger's.
    pub fn placed(&self, after: Option<&PlacedImage>, limit: u32) -> Result<Vec<PlacedImage>> {
        self.told(page(&self.connection, after, limit))
    }

    /// Corpora that have images.
    ///
    /// # Errors
    /// The ledger's.
    pub fn corpora_with_images(&self) -> Result<u32> {
        const SQL: &str =
            "SELECT count(*) FROM corpus c WHERE EXISTS (SELECT 1 FROM directory d WHERE d.corpus_id = c.id)";
        let read = || -> Outcome<u32> { Ok(self.connection.prepare_cached(SQL)?.query_row([], |row| row.get(0))?) };
        self.told(read())
    }

    /// Pages that the file of an image has, as far as the ledger knows; those that it had once and has no more do not count.
    ///
    /// # Errors
    /// The ledger's.
    pub fn pages_of(&self, image: ImageId) -> Result<u32> {
        const SQL: &str = "SELECT count(*) FROM image i JOIN image o
            ON o.directory_id = i.directory_id AND o.name = i.name WHERE i.id = ?1 AND NOT (o.state = 'failed' AND o.reason = 'missing_file' AND o.page > 1)";
        let read =
            || -> Outcome<u32> { Ok(self.connection.prepare_cached(SQL)?.query_row([image.0], |row| row.get(0))?) };
        self.told(read())
    }
}

fn page(connection: &Connection, after: Option<&PlacedImage>, limit: u32) -> Outcome<Vec<PlacedImage>> {
    let (directory, name, page) =
        after.map_or((0, &[][..], 0), |image| (image.directory, &image.path.name[..], image.path.page));
    connection.prepare_cached(BEHIND)?.query_and_then(params![directory, name, page, limit], row)?.collect()
}

fn row(row: &Row<'_>) -> Outcome<PlacedImage> {
    let state = word(&column::<String>(row, "state")?, ImageState::from_word)?;
    // Where it is being asked again, or that failed, an older text stands, and the last shard is not the one it came from.
    let is_of_text = matches!(state, ImageState::Done | ImageState::Rough);
    let (width, height): (Option<u32>, Option<u32>) = (column(row, "width")?, column(row, "height")?);
    Ok(PlacedImage {
        id: ImageId(column(row, "id")?),
        directory: column(row, "directory_id")?,
        root: column(row, "root")?,
        path: rel_path(row)?,
        pixels: width.zip(height).map(|(width, height)| Pixels { width, height }),
        state,
        asked: column(row, "asked")?,
        flags: all_flags(row)?,
        reason: column(row, "reason")?,
        text: column(row, "text")?,
        text_hash: column(row, "text_hash")?,
        model: if is_of_text { column(row, "model")? } else { None },
        recipe: if is_of_text { column(row, "hash")? } else { None },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::image::{Fate, Format, Found, Looks, Needs};
    use crate::ledger::sqlite::tests::{Desk, found, owed};
    use crate::ledger::store::Store as _;

    fn deed(pages: usize, mtime_ms: i64) -> Found {
        let pages = vec![Pixels { width: 3, height: 4 }; pages];
        found("deed.tif", mtime_ms, Fate::Owed(Looks { format: Format::Tiff, pages, needs: Needs::Converting }))
    }

    #[test]
    fn images_come_by_place_and_the_pages_of_a_file_together() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("ledger.sqlite");
        let mut desk = Desk::at(&path);
        let corpus = desk.corpus;
        // Pages are found after another image was, and the last is gone again.
        for file in [deed(1, 1), found("a.png", 1, owed()), deed(3, 2), deed(2, 3)] {
            desk.done(|store| store.enrol(corpus, std::slice::from_ref(&file)));
        }
        let reader = Reader::open(&path).expect("reader");
        let (mut seen, mut after) = (Vec::new(), None);
        while let Some(next) = reader.placed(after.as_ref(), 1).expect("a page").pop() {
            seen.push(next.path.shown());
            after = Some(next);
        }
        assert_eq!(seen, ["tray/a.png", "tray/deed.tif", "tray/deed.tif#2", "tray/deed.tif#3"]);
        assert_eq!(reader.corpora_with_images().expect("corpora"), 1);
        let all = reader.placed(None, 9).expect("all");
        assert_eq!(all[1].pixels, Some(Pixels { width: 3, height: 4 }));
        assert_eq!(reader.pages_of(all[1].id).expect("pages"), 2, "a page that is gone does not count");
    }

    #[test]
    fn no_page_of_images_is_sorted_or_scanned_for() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("ledger.sqlite");
        let _desk = Desk::at(&path);
        let reader = Reader::open(&path).expect("reader");
        let mut explain = reader.connection.prepare(&format!("EXPLAIN QUERY PLAN {BEHIND}")).expect("a plan");
        let lines = explain.query_map(params![0, &b""[..], 0, 9], |row| row.get(3)).expect("lines");
        let plan: Vec<String> = lines.collect::<rusqlite::Result<_>>().expect("lines");
        assert!(plan[0].starts_with("SEARCH i USING INDEX sqlite_autoindex_image_"), "{plan:?}");
        assert!(plan.iter().all(|line| line.starts_with("SEARCH")), "{plan:?}");
    }
}
