//! Orders to ask again that are under way.

use rusqlite::{OptionalExtension as _, params};

use super::{Reader, Result};
use crate::kit::clock::Millis;
use crate::ledger::records::{REDO, REDO_OVER};

impl Reader {
    /// When the last `--redo` of this word was ordered (unix milliseconds), if it is not over.
    ///
    /// # Errors
    /// The ledger's.
    pub fn redo_since(&self, word: &str) -> Result<Option<Millis>> {
        const EVENT: &str =
            "SELECT at, what FROM event WHERE what IN (?1, ?2) AND detail = ?3 ORDER BY id DESC LIMIT 1";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, String>(1)?));
        let last = self.connection.query_row(EVENT, params![REDO, REDO_OVER, word], read).optional();
        let last: Option<(Millis, String)> = self.told(last.map_err(Into::into))?;
        Ok(last.filter(|(_, what)| what == REDO).map(|(at, _)| at))
    }
}
