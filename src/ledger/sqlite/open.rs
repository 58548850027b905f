//! Opening: look first, write later. A file that is newer or not ours is left exactly as it is.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, params};

use super::books::Books;
use super::fault::{Fault, Outcome};
use super::rows::count;
use super::{SqliteStore, money};
use crate::kit::clock::Clock;
use crate::kit::crash;
use crate::kit::{hash, random};
use crate::ledger::machine::Machine;
use crate::ledger::records::{Allowed, Standing};
use crate::ledger::{BLANK, LedgerError};

/// The schema as it stands in the file.
pub(in crate::ledger) const SCHEMA: &str = include_str!("schema.sql");
/// `BSCR`.
const APPLICATION: i64 = 1_112_752_978;
/// Version of [`SCHEMA`].
const VERSION: i64 = 6;
/// From each version before to the next one, oldest first. The outcome is compared with [`SCHEMA`] before it is kept.
const UPGRADES: [&str; 5] = [
    include_str!("upgrade_1.sql"),
    include_str!("upgrade_2.sql"),
    include_str!("upgrade_3.sql"),
    include_str!("upgrade_4.sql"),
    include_str!("upgrade_5.sql"),
];
/// Before it, two connections that checkpointed could lose pages.
const OLDEST_LIBRARY: i32 = 3_051_003;
/// How long a connection waits for another one, such as a backup.
const BUSY: Duration = Duration::from_secs(5);
/// More than there are statements, so that none is ever prepared twice.
const STATEMENTS: usize = 128;

/// The pragmas of every connection. No memory map: an I/O error must come as an error, not as a signal.
const EVERYWHERE: &str = "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;
    PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -2048;";
/// The pragmas of the keeper beyond them: one setting of durability that nobody toggles.
const KEEPER: &str = "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON;
    PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864;";

/// What a file that bears the ledger's name turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Nothing in it yet: new, or its first opener died before the schema was in.
    Blank,
    /// A ledger of this version.
    Ours,
    /// One of an earlier version, to be brought up to date before it is used.
    Older(i64),
}

/// Opens for writing.
pub(super) fn at(path: &Path, clock: Clock, allowed: Allowed) -> Outcome<SqliteStore> {
    library_is_new_enough(path)?;
    create_private(path).map_err(|cause| io_fault(path, &cause.to_string()))?;
    let looked = read_only(path).and_then(|connection| look(&connection, path));
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    prepare(&connection)?;
    let kind = match looked {
        // A connection that may write takes back what was half written, and then sees what there is.
        Err(fault) if is_cut_short(&fault) => look(&connection, path)?,
        looked => looked?,
    };
    let journal = |pragma| connection.query_row(pragma, [], |row| row.get::<_, String>(0));
    // Asked again: after an I/O error the answer was seen to be the wish.
    let (told, real) = (journal("PRAGMA journal_mode = WAL")?, journal("PRAGMA journal_mode")?);
    if told != "wal" || real != "wal" {
        return Err(io_fault(path, "no write-ahead log on this file system"));
    }
    connection.execute_batch(KEEPER)?;
    let kind = match kind {
        Kind::Older(version) => upgraded(&connection, path, version)?,
        kind => kind,
    };
    taken(connection, path, kind, clock, allowed)
}

/// A ledger that is forgotten.
pub(super) fn in_memory(clock: Clock, allowed: Allowed) -> Outcome<SqliteStore> {
    let connection = Connection::open_in_memory()?;
    prepare(&connection)?;
    taken(connection, Path::new(":memory:"), Kind::Blank, clock, allowed)
}

/// A connection that can only read, on a file that was found to be a ledger of this version.
pub(in crate::ledger) fn inspected(path: &Path) -> Outcome<Connection> {
    library_is_new_enough(path)?;
    let looked = read_only(path).and_then(|connection| Ok((look(&connection, path)?, connection)));
    match looked {
        Ok((Kind::Ours, connection)) => Ok(connection),
        Ok((Kind::Blank, _)) => Err(Fault::damaged(BLANK)),
        Ok((Kind::Older(version), _)) => Err(LedgerError::Older { path: path.display().to_string(), version }.into()),
        Err(fault) if is_cut_short(&fault) => Err(Fault::damaged(BLANK)),
        Err(fault) => Err(fault),
    }
}

/// Whether a journal lies beside the file that has to be rolled back first, which a connection that only reads cannot do.
/// A ledger has one in its very first write alone, which makes it one with a write-ahead log: nothing is in it then.
fn is_cut_short(fault: &Fault) -> bool {
    let Fault::Sql(error) = fault else { return false };
    error.sqlite_error().is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_READONLY_ROLLBACK)
}

fn taken(connection: Connection, path: &Path, kind: Kind, clock: Clock, allowed: Allowed) -> Outcome<SqliteStore> {
    let machine = Machine::here();
    if kind == Kind::Blank {
        crash::point("keeper.blank");
        create(&connection)?;
        crash::point("keeper.created");
    } else if lost_power(&connection, &machine)? {
        tracing::warn!(path = %path.display(), "the ledger was not closed before the system went down: checking it");
        check(&connection)?;
    }
    let epoch = take(&connection, &machine, clock.now())?;
    crash::point("keeper.epoch_taken");
    let books = derive(&connection)?;
    Ok(SqliteStore {
        connection,
        path: path.to_owned(),
        clock,
        allowed,
        epoch,
        owner: machine.owner(),
        books,
        at_begin: books,
        at_savepoint: books,
        journal: None,
        unwritten: Vec::new(),
        unwritten_at_savepoint: 0,
    })
}

fn library_is_new_enough(path: &Path) -> Outcome<()> {
    if rusqlite::version_number() >= OLDEST_LIBRARY {
        return Ok(());
    }
    Err(io_fault(path, &format!("SQLite {} loses pages; 3.51.3 or later is needed", rusqlite::version())))
}

fn io_fault(path: &Path, cause: &str) -> Fault {
    Fault::Ledger(LedgerError::Io { path: path.display().to_string(), cause: cause.to_owned() })
}

/// Makes the file for the owner alone *before* SQLite sees it: the log beside it inherits the mode.
pub(super) fn create_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_created) => Ok(()),
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(cause) => Err(cause),
    }
}

fn read_only(path: &Path) -> Outcome<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    prepare(&connection)?;
    connection.execute_batch("PRAGMA query_only = ON")?;
    Ok(connection)
}

/// What every connection has in common.
fn prepare(connection: &Connection) -> Outcome<()> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    Ok(connection.execute_batch(EVERYWHERE)?)
}

/// Tells a ledger from anything else, by number and by every word of its schema.
fn look(connection: &Connection, path: &Path) -> Outcome<Kind> {
    let number = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, i64>(0));
    let (application, version) = (number("PRAGMA application_id")?, number("PRAGMA user_version")?);
    let found = objects(connection)?;
    if application == 0 && version == 0 && found.is_empty() {
        return Ok(Kind::Blank);
    }
    if application != APPLICATION {
        return Err(Fault::damaged(format!("application id {application} is not the ledger's")));
    }
    if version > VERSION {
        let path = path.display().to_string();
        return Err(LedgerError::Newer { path, version }.into());
    }
    if (1..VERSION).contains(&version) {
        return Ok(Kind::Older(version));
    }
    let pattern = Connection::open_in_memory()?;
    pattern.execute_batch(SCHEMA)?;
    let wanted = objects(&pattern)?;
    let differs = |name: &&String| found.get(*name) != wanted.get(*name);
    match found.keys().chain(wanted.keys()).find(differs) {
        Some(name) => Err(Fault::damaged(format!("its schema is not version {VERSION}: '{name}'"))),
        None => Ok(Kind::Ours),
    }
}

/// Brings the ledger at `path` up to date and leaves it as it was otherwise: nobody takes it.
pub(super) fn upgrade(path: &Path) -> Outcome<()> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    prepare(&connection)?;
    connection.execute_batch(KEEPER)?;
    match look(&connection, path)? {
        Kind::Older(version) => upgraded(&connection, path, version).map(|_| ()),
        Kind::Blank | Kind::Ours => Ok(()),
    }
}

/// Brings a ledger of an earlier version up to date, or leaves it exactly as it is.
fn upgraded(connection: &Connection, path: &Path, from: i64) -> Outcome<Kind> {
    let steps = usize::try_from(from - 1).ok().and_then(|at| UPGRADES.get(at..)).unwrap_or_default();
    // A step may write what SQLite keeps of the schema; what it has written is compared word for word.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false)?;
    let transaction = connection.unchecked_transaction()?;
    for step in steps {
        transaction.execute_batch(step)?;
    }
    let kind = look(&transaction, path)?;
    transaction.commit()?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    tracing::info!(path = %path.display(), from, to = VERSION, "the ledger was brought up to date");
    Ok(kind)
}

/// Every table, index, trigger and view by name, with its text. Tables of SQLite itself (statistics) are not ours to judge.
fn objects(connection: &Connection) -> Outcome<BTreeMap<String, Option<String>>> {
    let sql = "SELECT type || ' ' || name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// All of the schema and the keeper's row, or nothing.
fn create(connection: &Connection) -> Outcome<()> {
    let seed = random::letters(24).map_err(|cause| io_fault(Path::new("randomness"), &cause.to_string()))?;
    let ledger = hash::hex_digits(seed.as_bytes(), 16);
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(SCHEMA)?;
    transaction.execute("INSERT INTO keeper (one, ledger, epoch) VALUES (1, ?1, 0)", [ledger])?;
    Ok(transaction.commit()?)
}

/// Whether the last keeper neither closed nor merely died: a killed process leaves a sound file, a dead system may not.
fn lost_power(connection: &Connection, machine: &Machine) -> Outcome<bool> {
    let sql = "SELECT boot, closed_at IS NOT NULL OR since IS NULL FROM keeper";
    let row = connection.query_row(sql, [], |row| Ok((row.get::<_, Option<String>>(0)?, row.get::<_, bool>(1)?)));
    let Some((boot, in_order)) = row.optional()? else { return Err(Fault::damaged("no keeper's row")) };
    let same_boot = boot.is_some() && boot == machine.boot;
    Ok(!in_order && !same_boot)
}

fn check(connection: &Connection) -> Outcome<()> {
    let told: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if told == "ok" { Ok(()) } else { Err(Fault::damaged(told)) }
}

fn take(connection: &Connection, machine: &Machine, now: i64) -> Outcome<i64> {
    const SQL: &str = "UPDATE keeper SET epoch = epoch + 1, host = ?1, pid = ?2, boot = ?3, version = ?4, since = ?5,
        closed_at = NULL RETURNING epoch";
    let values = params![machine.host, machine.pid, machine.boot, env!("CARGO_PKG_VERSION"), now];
    // A transaction of its own: a statement that returns a row commits when it is reset, and its failure is told to nobody.
    let transaction = connection.unchecked_transaction()?;
    let epoch =
        transaction.query_row(SQL, values, |row| row.get(0)).map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => Fault::damaged(format!("the keeper's row: {error}")),
            _ => error.into(),
        })?;
    transaction.commit()?;
    Ok(epoch)
}

/// Counts from partial indexes. Images are never deleted, so their number is the highest id, and `done` is the rest.
/// `walking` is false until this process begins to list: a listing that a dead one cut short must not keep a run alive.
fn derive(connection: &Connection) -> Outcome<Books> {
    let owed_seq = connection.query_row("SELECT owed_seq FROM keeper", [], |row| row.get(0))?;
    Ok(Books { standing: standing(connection)?, owed_seq, spent: money::spent(connection)? })
}

/// Counts as the file tells them, without reading every image. `walking` is left to the caller.
pub(in crate::ledger) fn standing(connection: &Connection) -> Outcome<Standing> {
    let number = |sql: &str| -> Outcome<u64> { Ok(count(connection.query_row(sql, [], |row| row.get(0))?)) };
    let found = number("SELECT coalesce(max(id), 0) FROM image")?;
    let owed = number("SELECT count(*) FROM image WHERE state = 'owed'")?;
    let packed = number("SELECT count(*) FROM image WHERE state = 'packed'")?;
    // Word for word the conditions of the partial indexes: otherwise SQLite would read the whole table.
    let ended = by_state(connection, "image WHERE state = 'rough' OR state = 'failed' OR state = 'skipped'")?;
    let shards = by_state(connection, "shard WHERE state IN ('sealed', 'uploaded', 'opening')")?;
    let batches = by_state(connection, "batch WHERE state IN ('opening', 'open', 'ended', 'fetched')")?;
    let of = |counts: &BTreeMap<String, i64>, state: &str| count(counts.get(state).copied().unwrap_or(0));
    let (rough, failed, skipped) = (of(&ended, "rough"), of(&ended, "failed"), of(&ended, "skipped"));
    let (copies, copies_ended, copies_ready) = copies(connection)?;
    Ok(Standing {
        walking: false,
        found,
        owed,
        packed,
        done: found.saturating_sub(owed + packed + rough + failed + skipped),
        rough,
        failed,
        skipped,
        shards_waiting: count(shards.values().sum()),
        sealed: of(&shards, "sealed"),
        uploaded: of(&shards, "uploaded"),
        opening: of(&shards, "opening"),
        shards_returned: 0,
        queue_left: 0,
        batches_open: of(&batches, "open"),
        batches_ended: of(&batches, "ended") + of(&batches, "fetched"),
        batches_fetched: of(&batches, "fetched"),
        copies,
        copies_ended,
        copies_ready,
    })
}

/// Copies that wait, and of them those whose original has ended and those whose text can be written.
pub(super) fn copies(connection: &Connection) -> Outcome<(u64, u64, u64)> {
    let mut statement = connection.prepare_cached("SELECT waiting, ended, ready FROM copies")?;
    let read = |row: &rusqlite::Row<'_>| Ok((count(row.get(0)?), count(row.get(1)?), count(row.get(2)?)));
    Ok(statement.query_row([], read)?)
}

fn by_state(connection: &Connection, rows: &str) -> Outcome<BTreeMap<String, i64>> {
    let mut statement = connection.prepare(&format!("SELECT state, count(*) FROM {rows} GROUP BY state"))?;
    let counts = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(counts.collect::<rusqlite::Result<_>>()?)
}
