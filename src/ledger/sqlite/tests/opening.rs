//! Opening: what is made, what is refused, and who owns the file.

use rusqlite::Connection;

use super::*;
use crate::kit::atomic_file::{self, Access, Durability};
use crate::ledger::reader::Reader;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("temp dir")
}

fn open(path: &Path) -> Result<SqliteStore, LedgerError> {
    SqliteStore::open(path, Clock::manual(0), ALLOWED)
}

fn doctored(sql: &str) -> (LedgerError, LedgerError) {
    let folder = folder();
    let path = folder.path().join("ledger.sqlite");
    drop(open(&path).expect("new"));
    let file = Connection::open(&path).expect("open");
    file.execute_batch(sql).expect("doctoring");
    drop(file);
    let before = std::fs::read(&path).expect("bytes");
    let refusals = (open(&path).expect_err("refused"), Reader::open(&path).expect_err("refused"));
    assert_eq!(before, std::fs::read(&path).expect("bytes"), "a refused file was written to");
    refusals
}

#[test]
fn a_file_that_is_no_ledger_of_ours_is_named_and_left_alone() {
    let damaged = [
        ("DROP TRIGGER image_move", "trigger image_move"),
        ("CREATE TRIGGER extra AFTER INSERT ON image BEGIN SELECT 1; END", "trigger extra"),
        ("ALTER TABLE note ADD COLUMN more TEXT", "table note"),
        ("PRAGMA application_id = 5", "application id 5"),
    ];
    for (sql, name) in damaged {
        let (writer, reader) = doctored(sql);
        for refusal in [writer, reader] {
            assert!(matches!(&refusal, LedgerError::Damaged { check, .. } if check.contains(name)), "{sql}: {refusal}");
        }
    }
    let (writer, reader) = doctored("PRAGMA user_version = 7");
    for refusal in [writer, reader] {
        assert!(matches!(refusal, LedgerError::Newer { version: 7, .. }), "{refusal}");
    }
    let folder = folder();
    let text = folder.path().join("text");
    std::fs::copy("Cargo.toml", &text).expect("some other file");
    let refusal = open(&text).expect_err("refused");
    assert!(matches!(refusal, LedgerError::Damaged { .. }), "{refusal}");
}

#[test]
fn a_ledger_of_an_earlier_version_is_brought_up_to_date_or_left_as_it_is() {
    const FIRST: &str = include_str!("schema_1.sql");
    const ROWS: &str = "INSERT INTO keeper (one, ledger, epoch) VALUES (1, '0123456789abcdef', 4);
        INSERT INTO corpus VALUES (1, x'2f', x'2e', 0); INSERT INTO directory VALUES (1, 1, x'');
        INSERT INTO image (directory_id, name, bytes, mtime_ms, state, reason) VALUES (1, x'61', 1, 1, 'failed', 'refused');";
    let older = |path: &Path, more: &str| {
        let file = Connection::open(path).expect("new");
        file.execute_batch(&[FIRST, ROWS, more].concat()).expect("a ledger of version 1");
    };
    let folder = folder();
    let path = folder.path().join("ledger.sqlite");
    older(&path, "");
    let refusal = Reader::open(&path).expect_err("a reader writes nothing");
    assert!(matches!(refusal, LedgerError::Older { version: 1, .. }), "{refusal}");
    let store = open(&path).expect("brought up to date");
    assert_eq!((store.standing().found, store.standing().failed, store.epoch), (1, 1, 5));
    drop(store);
    assert!(Reader::open(&path).is_ok());
    let path = folder.path().join("other.sqlite");
    older(&path, "CREATE TABLE extra (x);");
    let refusal = open(&path).expect_err("not ours");
    assert!(matches!(&refusal, LedgerError::Damaged { check, .. } if check.contains("table extra")), "{refusal}");
    let version = |path: &Path| -> i64 {
        Connection::open(path).expect("file").query_row("PRAGMA user_version", [], |row| row.get(0)).expect("version")
    };
    assert_eq!(version(&path), 1);
    let path = folder.path().join("upgraded.sqlite");
    older(&path, "");
    SqliteStore::upgrade(&path).expect("upgraded");
    assert_eq!((version(&path), open(&path).expect("opens").epoch), (6, 5));
}

#[test]
fn a_missing_folder_is_an_io_error_with_its_path() {
    let refusal = open(Path::new("/nonexistent/ledger.sqlite")).expect_err("no folder");
    assert!(matches!(&refusal, LedgerError::Io { path, .. } if path.contains("/nonexistent")), "{refusal}");
    let refusal = Reader::open(Path::new("/nonexistent/ledger.sqlite")).expect_err("no file");
    assert!(matches!(&refusal, LedgerError::Io { .. }), "{refusal}");
}

/// A ledger that died in its first write: what was written already is to be taken back by the journal beside it.
fn cut_short(path: &Path) {
    let folder = folder();
    let made = folder.path().join("ledger.sqlite");
    let file = Connection::open(&made).expect("file");
    // So little memory that pages go to the file before the end of the transaction.
    let sql = "PRAGMA cache_size = 1; BEGIN; CREATE TABLE half (x);
        INSERT INTO half SELECT zeroblob(4096) FROM json_each('[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]');";
    file.execute_batch(sql).expect("under way");
    for (from, to) in [(made.clone(), path.to_owned()), (beside(&made, "-journal"), beside(path, "-journal"))] {
        assert!(std::fs::copy(from, to).expect("copied") > 0);
    }
}

fn beside(path: &Path, ending: &str) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

#[test]
fn a_file_that_was_cut_short_in_its_first_write_is_taken() {
    let folder = folder();
    let path = folder.path().join("ledger.sqlite");
    cut_short(&path);
    let before = std::fs::read(&path).expect("bytes");
    let told = Reader::open(&path).expect_err("nothing to read");
    assert!(told.is_blank(), "{told}");
    assert_eq!(before, std::fs::read(&path).expect("bytes"), "a reader writes nothing");
    let store = open(&path).expect("taken");
    assert_eq!(store.standing().found, 0);
    drop(store);
    assert!(Reader::open(&path).is_ok());
    assert!(!beside(&path, "-journal").is_file(), "what was half is gone");
}

#[test]
fn a_file_left_blank_by_a_dead_process_is_taken() {
    let folder = folder();
    let path = folder.path().join("ledger.sqlite");
    std::fs::File::create_new(&path).expect("blank");
    assert!(open(&path).is_ok());
    let half = folder.path().join("half.sqlite");
    let file = Connection::open(&half).expect("file");
    file.execute_batch("PRAGMA journal_mode = WAL").expect("died before the schema");
    drop(file);
    assert!(open(&half).is_ok());
}

#[cfg(unix)]
#[test]
fn others_may_not_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = folder();
    let path = folder.path().join("ledger.sqlite");
    let desk = Desk::at(&path);
    for entry in std::fs::read_dir(folder.path()).expect("list") {
        let entry = entry.expect("entry");
        let mode = entry.metadata().expect("metadata").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?}", entry.file_name());
    }
    drop(desk);
}

#[test]
fn the_second_keeper_makes_the_first_stop() {
    let folder = folder();
    let path = folder.path().join("ledger.sqlite");
    let mut first = Desk::at(&path);
    first.enrol(0, 1);
    let mut second = open(&path).expect("second");
    let before = first.store.standing();
    assert_eq!(first.store.begin(), Err(LedgerError::TakenOver));
    assert_eq!(first.store.standing(), before);
    second.begin().expect("the second may");
    second.commit().expect("commit");
    assert_eq!(second.standing().owed, 1);
}

#[test]
fn pragmas_and_owner_are_as_the_sheet_says() {
    let folder = folder();
    let path = folder.path().join("ledger.sqlite");
    let mut store = open(&path).expect("new");
    let pragma = |store: &SqliteStore, name: &str| {
        store.connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0)).expect("pragma")
    };
    let wanted = [
        ("foreign_keys", 1),
        ("trusted_schema", 0),
        ("synchronous", 2),
        ("cache_size", -2048),
        ("mmap_size", 0),
        ("wal_autocheckpoint", 4000),
        ("fullfsync", 1),
    ];
    for (name, value) in wanted {
        if name == "mmap_size" && cfg!(not(target_os = "linux")) {
            continue;
        }
        assert_eq!(pragma(&store, name), value, "{name}");
    }
    let closed = |store: &SqliteStore| {
        let sql = "SELECT closed_at IS NOT NULL, epoch FROM keeper";
        store.connection.query_row(sql, [], |row| Ok((row.get::<_, bool>(0)?, row.get::<_, i64>(1)?))).expect("keeper")
    };
    assert_eq!(closed(&store), (false, 1));
    store.close().expect("close");
    assert_eq!(closed(&store), (true, 1));
    drop(store);
    assert_eq!(closed(&open(&path).expect("again")), (false, 2));
}

#[test]
fn after_a_power_cut_the_file_is_checked() {
    let folder = folder();
    let path = folder.path().join("ledger.sqlite");
    let mut desk = Desk::at(&path);
    desk.enrol(0, 2000);
    drop(desk);
    let file = Connection::open(&path).expect("file");
    file.execute_batch("UPDATE keeper SET boot = 'another'; PRAGMA wal_checkpoint(TRUNCATE)").expect("another boot");
    drop(file);
    let mut bytes = std::fs::read(&path).expect("bytes");
    let page = bytes.len() / 4096 / 2 * 4096;
    bytes[page..page + 4096].fill(0xff);
    atomic_file::write(&path, &bytes, Access::Private, Durability::Derived).expect("a torn page");
    let refusal = open(&path).expect_err("damaged");
    assert!(matches!(refusal, LedgerError::Damaged { .. }), "{refusal}");
}

#[test]
fn counting_reads_indexes_only() {
    let desk = Desk::in_memory();
    for sql in [
        "SELECT count(*) FROM image WHERE state = 'owed'",
        "SELECT count(*) FROM image WHERE state = 'packed'",
        "SELECT state, count(*) FROM image WHERE state = 'rough' OR state = 'failed' OR state = 'skipped' GROUP BY state",
        "SELECT state, count(*) FROM shard WHERE state IN ('sealed', 'uploaded', 'opening') GROUP BY state",
        "SELECT state, count(*) FROM batch WHERE state IN ('opening', 'open', 'ended', 'fetched') GROUP BY state",
    ] {
        let explained: String = desk
            .store
            .connection
            .query_row(&format!("EXPLAIN QUERY PLAN {sql}"), [], |row| row.get("detail"))
            .expect("plan");
        assert!(explained.contains("COVERING INDEX"), "{sql}: {explained}");
    }
}

#[test]
fn lists_of_living_batches_read_no_settled_ones() {
    let desk = Desk::in_memory();
    for sql in [super::super::collecting::open_sql(), super::super::collecting::ended_sql()] {
        let sql = format!("EXPLAIN QUERY PLAN {sql}");
        let mut statement = desk.store.connection.prepare(&sql).expect("sql");
        let steps = statement.query_map([], |row| row.get::<_, String>("detail")).expect("plan");
        let steps: Vec<_> = steps.collect::<Result<_, _>>().expect("steps");
        assert!(steps.iter().any(|step| step.contains("batch_todo")), "{steps:?}");
    }
}

#[test]
fn what_a_killed_process_left_is_whole() {
    let folder = folder();
    let (path, left) = (folder.path().join("ledger.sqlite"), folder.path().join("left.sqlite"));
    let mut desk = Desk::at(&path);
    desk.enrol(0, 300);
    // The next one is in the middle of a move when it dies: what the disk holds now is the file and its log, no index.
    let plan = desk.plan_of(1, &[1, 2]);
    desk.store.begin().expect("begin");
    desk.store.seal(&plan).expect("sealed, never committed");
    std::fs::copy(&path, &left).expect("file");
    std::fs::copy(folder.path().join("ledger.sqlite-wal"), folder.path().join("left.sqlite-wal")).expect("log");
    let next = open(&left).expect("opened without repair");
    assert_eq!((next.standing().owed, next.standing().packed), (300, 0));
    assert!(Reader::open(&left).expect("reader").audit().expect("audit").clean());
}
