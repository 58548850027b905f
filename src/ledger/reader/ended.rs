//! The images behind one reason: a stretch of a list, read by the index and by nothing else.

use rusqlite::params;

use super::{Failure, Reader, Result, failure};
use crate::domain::ids::ImageId;
use crate::ledger::moves::ImageState;

/// The words of the states stand in it once more because the index holds these states alone.
const SQL: &str = "SELECT i.id, c.root, d.path, i.name, i.page, i.state, coalesce(i.reason, '') AS reason
    FROM image i INDEXED BY image_ended CROSS JOIN directory d ON d.id = i.directory_id CROSS JOIN corpus c ON c.id = d.corpus_id
    WHERE i.state = ?1 AND i.reason IS nullif(?2, '') AND i.id > ?3 AND (i.state = 'rough' OR i.state = 'failed' OR i.state = 'skipped')
    ORDER BY i.id LIMIT ?4";

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
mod tests {
    use super::*;
    use crate::ledger::sqlite::tests::Desk;

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
