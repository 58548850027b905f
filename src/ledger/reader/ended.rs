//! The images behind one reason: a stretch of a list, read by the index and by nothing else.

use rusqlite::{OptionalExtension as _, params};

use super::{Failure, Reader, Result, failure};
use crate::domain::ids::ImageId;
use crate::ledger::moves::ImageState;

/// The words of the states stand in it once more because the index holds these states alone.
const SQL: &str = "SELECT i.id, c.root, d.path, i.name, i.page, i.state, coalesce(i.reason, '') AS reason
    FROM image i INDEXED BY image_ended CROSS JOIN directory d ON d.id = i.directory_id CROSS JOIN corpus c ON c.id = d.corpus_id
    WHERE i.state = ?1 AND i.reason IS nullif(?2, '') AND i.id > ?3 AND (i.state = 'rough' OR i.state = 'failed' OR i.state = 'skipped')
    ORDER BY i.id LIMIT ?4";

/// The first reason behind another one, and whether there are images without one.
const NEXT: &str = "SELECT i.reason FROM image i INDEXED BY image_ended WHERE i.state = ?1 AND i.reason > ?2
    AND (i.state = 'rough' OR i.state = 'failed' OR i.state = 'skipped') ORDER BY i.reason LIMIT 1";
const NAMELESS: &str =
    "SELECT EXISTS (SELECT 1 FROM image i INDEXED BY image_ended WHERE i.state = ?1 AND i.reason IS NULL
    AND (i.state = 'rough' OR i.state = 'failed' OR i.state = 'skipped'))";

impl Reader {
    /// Images that stand in `state` (rough, failed or skipped; of others there are none) for `reason`, which is empty for a rough
    /// text: by row, at most `limit` after `after`.
    ///
    /// # Errors
    /// The ledger's.
    pub fn ended(&self, state: ImageState, reason: &str, after: Option<ImageId>, limit: u32) -> Result<Vec<Failure>> {
        let read = || {
            let mut rows = self.connection.prepare_cached(SQL)?;
            let after = after.map_or(0, |image| image.0);
            rows.query_and_then(params![state.word(), reason, after, limit], failure)?.collect()
        };
        self.told(read())
    }

    /// The states and reasons for which any image has ended, in the order of their words; by one look into the index for each.
    ///
    /// # Errors
    /// The ledger's.
    pub fn reasons_there(&self) -> Result<Vec<(ImageState, String)>> {
        let read = || {
            let mut there = Vec::new();
            for state in [ImageState::Failed, ImageState::Rough, ImageState::Skipped] {
                // A rough text has no reason.
                let is_nameless = |row: &rusqlite::Row<'_>| row.get::<_, bool>(0);
                if self.connection.prepare_cached(NAMELESS)?.query_row([state.word()], is_nameless)? {
                    there.push((state, String::new()));
                }
                let mut next = self.connection.prepare_cached(NEXT)?;
                let mut last = String::new();
                while let Some(reason) = next.query_row([state.word(), &last], |row| row.get(0)).optional()? {
                    last = reason;
                    there.push((state, last.clone()));
                }
            }
            Ok(there)
        };
        self.told(read())
    }

    /// Whether any of these images was ever measured: without that none can be asked before a walk has looked at it anew.
    ///
    /// # Errors
    /// The ledger's.
    pub fn has_measured(&self, state: ImageState, reason: &str) -> Result<bool> {
        const SQL: &str = "SELECT EXISTS (SELECT 1 FROM image i INDEXED BY image_ended WHERE i.state = ?1 AND i.reason IS nullif(?2, '')
            AND (i.state = 'rough' OR i.state = 'failed' OR i.state = 'skipped') AND i.format IS NOT NULL)";
        let read = || Ok(self.connection.prepare_cached(SQL)?.query_row([state.word(), reason], |row| row.get(0))?);
        self.told(read())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::ledger::sqlite::tests::Desk;

    /// The ledger of a folder, in which so many more images have failed for one reason.
    pub(crate) fn with_failed(folder: &std::path::Path, images: u32, reason: &str) -> Reader {
        let path = folder.join("ledger.sqlite");
        drop(Desk::at(&path));
        let ledger = rusqlite::Connection::open(&path).expect("a ledger");
        let there = "INSERT OR IGNORE INTO directory (id, corpus_id, path) SELECT 1, min(id), x'' FROM corpus";
        ledger.execute(there, []).expect("a folder");
        let sql = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1)
            INSERT INTO image (directory_id, name, bytes, mtime_ms, width, height, format, state, reason)
            SELECT 1, CAST(?2 || n AS BLOB), 1, 1, 9, 9, 'png', 'failed', ?2 FROM n";
        assert_eq!(ledger.execute(sql, params![images, reason]).expect("rows"), images as usize);
        Reader::open(&path).expect("a ledger")
    }

    #[test]
    fn reasons_are_named_without_a_count() {
        let folder = tempfile::tempdir().expect("temp dir");
        with_failed(folder.path(), 3, "empty");
        let reader = with_failed(folder.path(), 2, "damaged");
        let failed = |reason: &str| (ImageState::Failed, reason.to_owned());
        assert_eq!(reader.reasons_there().expect("reasons"), [failed("damaged"), failed("empty")]);
        let mut explain = reader.connection.prepare(&format!("EXPLAIN QUERY PLAN {NEXT}")).expect("a plan");
        let steps = explain.query_map(["failed", ""], |row| row.get::<_, String>("detail")).expect("a plan");
        let steps: Vec<String> = steps.map(|step| step.expect("a step")).collect();
        assert_eq!(steps, ["SEARCH i USING COVERING INDEX image_ended (state=? AND reason>?)"]);
    }

    /// Whatever the corpus holds, a stretch of the list costs as many rows as it tells.
    #[test]
    fn a_stretch_is_read_by_the_index_in_its_order() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("ledger.sqlite");
        let _desk = Desk::at(&path);
        let reader = Reader::open(&path).expect("a ledger");
        let mut explain = reader.connection.prepare(&format!("EXPLAIN QUERY PLAN {SQL}")).expect("a plan");
        let steps = explain.query_map(params!["failed", "empty", 0, 5], |row| row.get::<_, String>("detail"));
        let steps: Vec<String> = steps.expect("a plan").map(|step| step.expect("a step")).collect();
        assert_eq!(steps[0], "SEARCH i USING INDEX image_ended (state=? AND reason=? AND rowid>?)", "{steps:?}");
        assert!(steps.iter().all(|step| step.starts_with("SEARCH")), "nothing is sorted or scanned: {steps:?}");
    }
}
