//! The store in SQLite; all SQL of the writing side stands in this folder.
//!
//! Statements are prepared once and cached, values are bound. A move is `UPDATE … WHERE id = ? AND state = ?` and must
//! change exactly one row; the table of moves is asked as well (`books`), and the schema's triggers are the last guard.

mod admission;
mod asking;
mod books;
mod collecting;
mod copies;
mod enrol;
mod events;
pub(in crate::ledger) mod fault;
mod images;
pub(in crate::ledger) mod journal;
mod listed;
pub(in crate::ledger) mod money;
mod newcomers;
mod open;
mod pages;
mod paying;
mod rejudging;
mod restore;
mod rows;
mod runs;
mod settling;
mod shards;
mod verbs;
mod verdicts;

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use self::books::Books;
use self::fault::{Fault, Outcome};
#[cfg(test)]
pub(super) use self::open::SCHEMA;
pub(super) use self::open::{inspected, standing};
pub(super) use self::rows::{column, count, last_look, last_look_columns, word};
pub(in crate::ledger) use self::runs::recipe_row;
use super::LedgerError;
use super::journal::{Account, Entry, Journal};
use super::records::{Allowed, Standing};
use super::store::Frame;
use crate::domain::ids::CorpusId;
use crate::domain::recipe::IdStyle;
use crate::kit::clock::Clock;

/// The ledger's one writing connection.
pub struct SqliteStore {
    connection: Connection,
    path: PathBuf,
    clock: Clock,
    allowed: Allowed,
    /// Ours as long as the file says the same.
    epoch: i64,
    /// Host and process, for the rows of shards and batches.
    owner: String,
    books: Books,
    at_begin: Books,
    at_savepoint: Books,
    journal: Option<Journal>,
    /// Lines of money moves that are not committed yet.
    unwritten: Vec<Entry>,
    unwritten_at_savepoint: usize,
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.path).field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens the ledger at `path` for writing, making it if there is none. From here on any earlier keeper of the file
    /// finds itself [`LedgerError::TakenOver`].
    ///
    /// # Errors
    /// [`LedgerError::Newer`] and [`LedgerError::Damaged`] before anything is written; otherwise what the system says.
    pub fn open(path: &Path, clock: Clock, allowed: Allowed) -> Result<Self, LedgerError> {
        open::at(path, clock, allowed).map_err(|fault| fault.told(path))
    }

    /// Keeps `journal` beside this ledger from here on; what it lacks is appended.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] if the journal knows of paid work that this ledger lacks: `recover` brings it back. Otherwise
    /// what the system says.
    pub fn with_journal(mut self, journal: Journal) -> Result<Self, LedgerError> {
        match journal::attach(&mut self, journal) {
            Ok(()) => Ok(self),
            Err(fault) => Err(self.told(fault)),
        }
    }

    /// A ledger that lives in memory and is forgotten, for tests.
    ///
    /// # Errors
    /// None are known.
    pub fn in_memory(clock: Clock, allowed: Allowed) -> Result<Self, LedgerError> {
        open::in_memory(clock, allowed).map_err(|fault| fault.told(Path::new(":memory:")))
    }

    /// Whether the ledger at `path` holds together, down to its last page.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] with what does not hold; [`LedgerError::Newer`]; otherwise what the system says.
    pub fn is_sound(path: &Path) -> Result<(), LedgerError> {
        restore::is_sound(path).map_err(|fault| fault.told(path))
    }

    /// Brings the ledger at `path` up to the version of this program, and changes nothing else. The caller holds the workspace's
    /// lock.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    pub fn upgrade(path: &Path) -> Result<(), LedgerError> {
        open::upgrade(path).map_err(|fault| fault.told(path))
    }

    /// Copies the ledger at `path` to `target`, as it was at one moment, while its keeper works. What is written is not synced.
    ///
    /// # Errors
    /// What the system says; what was written by then stays.
    pub fn copy(path: &Path, target: &Path) -> Result<(), LedgerError> {
        restore::copy(path, target).map_err(|fault| fault.told(path))
    }

    /// Makes the table that custom ids are looked up in by [`Store::restore_shard`](super::store::Store::restore_shard): made
    /// by rule from every image of `corpus`, kept in a file at `scratch`, which the caller removes. Not within a transaction.
    ///
    /// # Errors
    /// What the system says.
    pub fn name_images(&self, corpus: CorpusId, style: IdStyle, scratch: &Path) -> Result<(), LedgerError> {
        restore::name_images(self, corpus, style, scratch).map_err(|fault| self.told(fault))
    }

    /// Closes a ledger that was built in this process: all of it lies in its one file then, whatever that is renamed to.
    ///
    /// # Errors
    /// What the system says.
    pub fn finish(mut self) -> Result<(), LedgerError> {
        self.close()?;
        restore::gather(&self).map_err(|fault| self.told(fault))
    }

    /// Whether it lacks something of what the journal tells of a shard.
    ///
    /// # Errors
    /// What the system says.
    pub fn lacks(&self, account: &Account) -> Result<bool, LedgerError> {
        let lacks = account.is_lacked(|one| journal::stand(&self.connection, &account.shard, one));
        lacks.map_err(|fault| self.told(fault))
    }

    fn told(&self, fault: Fault) -> LedgerError {
        fault.told(&self.path)
    }

    fn run_cached(&self, sql: &str) -> Outcome<()> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    fn begin_as_owner(&mut self) -> Outcome<()> {
        self.run_cached("BEGIN IMMEDIATE")?;
        let epoch =
            self.connection.prepare_cached("SELECT epoch FROM keeper")?.query_row([], |row| row.get::<_, i64>(0))?;
        if epoch == self.epoch { Ok(()) } else { Err(LedgerError::TakenOver.into()) }
    }

    fn keep_everything(&mut self) -> Outcome<()> {
        if self.books.owed_seq != self.at_begin.owed_seq {
            let seq = self.books.owed_seq;
            self.connection.prepare_cached("UPDATE keeper SET owed_seq = ?1")?.execute([seq])?;
        }
        // The triggers of the schema count them.
        let standing = &mut self.books.standing;
        (standing.copies, standing.copies_ended, standing.copies_ready) = open::copies(&self.connection)?;
        self.run_cached("COMMIT")
    }

    fn end_savepoint(&self, keep: bool) -> Outcome<()> {
        if !keep {
            self.run_cached("ROLLBACK TO command")?;
        }
        self.run_cached("RELEASE command")
    }

    fn sign_off(&self) -> Outcome<()> {
        let sql = "UPDATE keeper SET closed_at = ?1 WHERE epoch = ?2";
        self.connection.execute(sql, [self.clock.now(), self.epoch])?;
        self.connection.execute_batch("PRAGMA optimize")?;
        Ok(())
    }
}

impl Frame for SqliteStore {
    fn begin(&mut self) -> Result<(), LedgerError> {
        self.at_begin = self.books;
        self.at_savepoint = self.books;
        self.begin_as_owner().map_err(|fault| {
            self.rollback();
            self.told(fault)
        })
    }

    fn commit(&mut self) -> Result<(), LedgerError> {
        let kept = self.keep_everything().and_then(|()| journal::write(self));
        kept.map_err(|fault| self.told(fault))
    }

    fn rollback(&mut self) {
        // A full disk or an I/O error has made SQLite roll back already; then there is nothing left to take back, and an
        // error here would only hide the first one.
        if !self.connection.is_autocommit() {
            drop(self.connection.execute_batch("ROLLBACK"));
        }
        self.books = self.at_begin;
        self.unwritten.clear();
    }

    fn savepoint(&mut self) -> Result<(), LedgerError> {
        self.at_savepoint = self.books;
        self.unwritten_at_savepoint = self.unwritten.len();
        self.run_cached("SAVEPOINT command").map_err(|fault| self.told(fault))
    }

    fn release(&mut self, keep: bool) -> Result<(), LedgerError> {
        if !keep {
            self.books = self.at_savepoint;
            self.unwritten.truncate(self.unwritten_at_savepoint);
        }
        self.end_savepoint(keep).map_err(|fault| self.told(fault))
    }

    fn standing(&self) -> Standing {
        self.books.standing
    }

    fn close(&mut self) -> Result<(), LedgerError> {
        self.sign_off().map_err(|fault| self.told(fault))
    }
}

#[cfg(test)]
pub(in crate::ledger) mod tests;
