//! The keeper: who shares a commit, who is told what, and how it ends.

use super::*;
use crate::domain::ids::{CorpusId, FileId, ShardId};
use crate::kit::clock::Clock;
use crate::kit::exit_guard::{Exit, ExitNotice, NOTICES};
use crate::ledger::records::Cursor;
use crate::ledger::sqlite::SqliteStore;
use crate::ledger::sqlite::tests::{ALLOWED, BODY, Desk, found, owed};
use crate::ledger::store::Frame as _;

/// A keeper without a thread: a test drives it transaction by transaction.
fn by_hand(store: SqliteStore) -> (Ledger, Keeper) {
    Keeper::of(Box::new(store))
}

/// Runs one transaction over what waits; the callers were polled before, so all of it lies in the queue.
async fn one_transaction(keeper: &mut Keeper) -> Result<()> {
    let first = keeper.queue.recv().await.expect("a command");
    keeper.transaction(first)
}

fn page(name: &str) -> Vec<crate::domain::image::Found> {
    vec![found(name, 1, owed())]
}

fn guard() -> (ExitGuard, mpsc::Receiver<ExitNotice>) {
    let (sender, notices) = mpsc::channel(NOTICES);
    (ExitGuard::new("keeper", sender), notices)
}

#[tokio::test]
async fn who_waits_together_is_committed_together() {
    let desk = Desk::in_memory();
    let corpus = desk.corpus;
    let (ledger, mut keeper) = by_hand(desk.store);
    let mut standing = ledger.standing();
    let (first, second, fed, end) = tokio::join!(
        ledger.enrol(corpus, page("a")),
        ledger.enrol(corpus, page("b")),
        ledger.take_owed(corpus, Cursor::default(), 9),
        one_transaction(&mut keeper)
    );
    assert_eq!((first.map(|told| told.owed), second.map(|told| told.owed), end), (Ok(1), Ok(1), Ok(())));
    assert_eq!(fed.map(|page| page.images.len()), Ok(2));
    assert!(standing.has_changed());
    assert_eq!(standing.borrow_and_update().owed, 2);
    assert!(ledger.waited_micros() > 0);
    assert_eq!(ledger.commits(), 1);
}

#[tokio::test]
async fn a_refused_move_takes_no_neighbour_with_it() {
    let desk = Desk::in_memory();
    let corpus = desk.corpus;
    let (ledger, mut keeper) = by_hand(desk.store);
    let (before, refused, after, end) = tokio::join!(
        ledger.enrol(corpus, page("a")),
        ledger.walk_over(CorpusId(99)),
        ledger.enrol(corpus, page("b")),
        one_transaction(&mut keeper)
    );
    assert!(before.is_ok() && after.is_ok() && end.is_ok());
    assert!(matches!(refused, Err(LedgerError::Stale(_))));
    assert_eq!(ledger.standing().borrow().owed, 2);
}

#[tokio::test]
async fn money_does_not_wait_for_neighbours() {
    let mut desk = Desk::in_memory();
    desk.enrol(0, 1);
    let plan = desk.plan_of(1, &[1]);
    let shard = desk.done(|store| store.seal(&plan)).id;
    let corpus = desk.corpus;
    let (ledger, mut keeper) = by_hand(desk.store);
    let two_transactions = async {
        one_transaction(&mut keeper).await.expect("commit");
        let left = keeper.queue.len();
        one_transaction(&mut keeper).await.expect("commit");
        left
    };
    let (before, paid, after, left) = tokio::join!(
        ledger.enrol(corpus, page("a")),
        ledger.uploaded(shard, FileId("f".into()), 5, BODY),
        ledger.enrol(corpus, page("b")),
        two_transactions
    );
    assert!(before.is_ok() && paid.is_ok() && after.is_ok());
    assert_eq!(left, 1, "what came after the money was left for the next commit");
}

#[tokio::test]
async fn a_full_disk_is_told_to_everybody_and_ends_the_keeper() {
    let folder = tempfile::tempdir().expect("temp dir");
    let desk = Desk::at(&folder.path().join("ledger.sqlite"));
    let corpus = desk.corpus;
    let (ledger, mut keeper) = by_hand(desk.cramped());
    let many = (0..5_000).map(|number| found(&format!("{number:0200}"), 1, owed())).collect();
    let (small, big, end) =
        tokio::join!(ledger.enrol(corpus, page("a")), ledger.enrol(corpus, many), one_transaction(&mut keeper));
    assert!(matches!(end, Err(LedgerError::Full { .. })), "{end:?}");
    assert!(matches!(small, Err(LedgerError::Full { .. })), "{small:?}");
    assert!(matches!(big, Err(LedgerError::Full { .. })), "{big:?}");
    assert_eq!(ledger.standing().borrow().found, 0);
    drop(keeper);
    assert_eq!(ledger.enrol(corpus, page("b")).await, Err(LedgerError::Closed));
}

#[tokio::test]
async fn the_thread_ends_with_its_last_handle() {
    let folder = tempfile::tempdir().expect("temp dir");
    let path = folder.path().join("ledger.sqlite");
    let desk = Desk::at(&path);
    let corpus = desk.corpus;
    let (guard, mut notices) = guard();
    let (ledger, thread) = start(Box::new(desk.store), guard).expect("thread");
    let other = ledger.clone();
    ledger.enrol(corpus, page("a")).await.expect("enrolled");
    drop(ledger);
    assert_eq!(other.take_owed(corpus, Cursor::default(), 9).await.map(|page| page.images.len()), Ok(1));
    assert!(matches!(other.plan(ShardId(1)).await, Err(LedgerError::Stale(_))));
    drop(other);
    thread.join().expect("no panic");
    assert_eq!(notices.recv().await.map(|notice| notice.exit), Some(Exit::Drained));
    let again = SqliteStore::open(&path, Clock::wall(), ALLOWED).expect("again");
    assert_eq!(again.standing().owed, 1);
}

#[tokio::test]
async fn a_keeper_that_was_taken_over_writes_nothing_more() {
    let folder = tempfile::tempdir().expect("temp dir");
    let path = folder.path().join("ledger.sqlite");
    let desk = Desk::at(&path);
    let corpus = desk.corpus;
    let (guard, mut notices) = guard();
    let (ledger, thread) = start(Box::new(desk.store), guard).expect("thread");
    ledger.enrol(corpus, page("a")).await.expect("enrolled");
    let second = SqliteStore::open(&path, Clock::wall(), ALLOWED).expect("taken");
    assert_eq!(ledger.enrol(corpus, page("b")).await, Err(LedgerError::TakenOver));
    thread.join().expect("no panic");
    assert_eq!(ledger.enrol(corpus, page("c")).await, Err(LedgerError::Closed));
    assert_eq!(ledger.failure(), Some(LedgerError::TakenOver), "whoever asks learns why");
    let notice = notices.recv().await.expect("notice");
    assert_eq!((notice.exit, notice.why.is_some()), (Exit::Died, true));
    assert_eq!(second.standing().found, 1);
}
