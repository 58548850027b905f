//! Lost shards: brought back to where they stood, whatever else is known of their images.

use super::*;
use crate::domain::shard::ShardState;
use crate::domain::tokens::Counting;
use crate::ledger::journal::{Entry, Event, Journal};
use crate::ledger::lost::{LostLine, LostShard, LostTry, Restored, RunOrigin, Saved, UNDATED};
use crate::ledger::reader::Reader;
use crate::ledger::records::RawFile;

/// A ledger in `folder` whose six images have names, and no shard.
fn emptied(folder: &Path) -> Desk {
    let mut desk = Desk::at(&folder.join("ledger.sqlite"));
    desk.enrol(0, 6);
    desk.store.name_images(desk.corpus, IdStyle::Path, &folder.join("names")).expect("names");
    desk
}

fn open(id: &str) -> LostTry {
    let input = FileId(format!("file-{id}"));
    LostTry { attempt: 1, batch: Some(BatchId(id.into())), input, expires_at: Some(9), saved: None }
}

fn saved(id: &str) -> LostTry {
    let output = Some((FileId(format!("out-{id}")), RawFile { bytes: 5, sha256: [1; 32] }));
    LostTry { saved: Some(Saved { output, ..Saved::default() }), ..open(id) }
}

/// A shard sealed at `at` over `pages`, whose answers `came`.
fn lost(desk: &Desk, at: i64, pages: &[usize], came: bool, tries: Vec<LostTry>) -> LostShard {
    let line = |page: &usize| LostLine { custom_id: format!("pages|tray|page{page}.png"), bytes: 100, came };
    LostShard {
        tag: Tag(format!("tag{at:09}")),
        run: desk.run,
        recipe: desk.recipe,
        at,
        input_created: 5,
        body_hash: BODY,
        counting: Counting::default(),
        charge: None,
        prompt_bytes: 10,
        lines: pages.iter().map(line).collect(),
        tries,
    }
}

fn restore(desk: &mut Desk, lost: &LostShard) -> Restored {
    desk.done(|store| store.restore_shard(lost))
}

fn is_sound(folder: &Path) {
    let audit = Reader::open(&folder.join("ledger.sqlite")).and_then(|reader| reader.audit()).expect("audit");
    assert_eq!(audit.findings, Vec::<String>::new());
}

fn tries_of(desk: &Desk, image: i64) -> (i64, i64) {
    let sql = "SELECT asked, gaps FROM image WHERE id = ?1";
    desk.store.connection.query_row(sql, [image], |row| Ok((row.get(0)?, row.get(1)?))).expect("image")
}

#[test]
fn each_try_stands_where_it_stood() {
    let folder = tempfile::tempdir().expect("temp dir");
    let mut desk = emptied(folder.path());
    let doubt = LostTry { batch: None, ..open("x") };
    for (at, tries, pages) in
        [(1, vec![open("a"), open("second")], [0, 1]), (2, vec![saved("b")], [2, 3]), (3, vec![doubt], [4, 5])]
    {
        let shard = lost(&desk, at, &pages, true, tries);
        let expected = Restored { known: 2, packed: 2, batches: u32::try_from(shard.tries.len()).expect("few") };
        assert_eq!(restore(&mut desk, &shard), expected);
        assert_eq!(restore(&mut desk, &shard), Restored { packed: 0, batches: 0, ..expected }, "once more");
    }
    let standing = desk.store.standing();
    assert_eq!((standing.packed, standing.batches_open, standing.batches_ended, standing.shards_waiting), (6, 2, 1, 1));
    let shard = |id| ShardId(id);
    let states = [1, 2, 3].map(|id| desk.done(|store| store.shard(shard(id))).state);
    assert_eq!(states, [ShardState::Spent, ShardState::Spent, ShardState::Opening]);
    assert_eq!(desk.done(|store| store.intent(shard(3))).input, FileId("file-x".into()));
    let plan = desk.done(|store| store.plan(shard(1)));
    assert_eq!(plan.lines.iter().map(|line| (line.pos, line.bytes)).collect::<Vec<_>>(), [(1, 100), (2, 100)]);
    is_sound(folder.path());
}

#[test]
fn an_image_belongs_to_the_newest_shard_in_whatever_order_they_come_back() {
    for newest_first in [true, false] {
        let folder = tempfile::tempdir().expect("temp dir");
        let mut desk = emptied(folder.path());
        let old = lost(&desk, 10, &[0, 1], true, vec![saved("old")]);
        let new = lost(&desk, 20, &[1, 2], true, vec![open("new")]);
        let order = if newest_first { [&new, &old] } else { [&old, &new] };
        for shard in order {
            restore(&mut desk, shard);
        }
        let holder = |image: i64| -> String {
            let sql = "SELECT s.tag FROM image i JOIN shard s ON s.id = i.shard_id WHERE i.id = ?1";
            desk.store.connection.query_row(sql, [image], |row| row.get(0)).expect("image")
        };
        assert_eq!([1, 2, 3].map(holder), [&old.tag, &new.tag, &new.tag].map(Tag::to_string), "{newest_first}");
        assert_eq!([1, 2, 3].map(|image| tries_of(&desk, image)), [(0, 0), (1, 0), (0, 0)], "{newest_first}");
        is_sound(folder.path());
    }
}

#[test]
fn a_plan_that_newer_shards_have_robbed_is_never_paid_for() {
    let folder = tempfile::tempdir().expect("temp dir");
    let mut desk = emptied(folder.path());
    let plan = desk.plan_of(1, &[1, 2]);
    let old = desk.done(|store| store.seal(&plan)).id;
    let new = lost(&desk, 999_999_999, &[1], false, vec![open("new")]);
    assert_eq!(restore(&mut desk, &new).packed, 1);
    desk.done(|store| store.uploaded(old, &FileId("file-old".into()), 5, BODY));
    assert!(matches!(desk.act(|store| store.intend(old)), Err(LedgerError::Stale(_))), "the last guard");
    assert_eq!(desk.done(|store| store.dissolve_robbed()), 1);
    assert_eq!(desk.done(|store| store.shard(old)).state, ShardState::Dissolved);
    assert_eq!([1, 2].map(|image| desk.state(image)), ["owed", "packed"]);
    assert_eq!(desk.done(|store| store.dissolve_robbed()), 0);
    is_sound(folder.path());
}

#[test]
fn what_ended_since_is_taken_up_again_only_by_a_newer_shard() {
    let folder = tempfile::tempdir().expect("temp dir");
    let mut desk = emptied(folder.path());
    desk.store
        .connection
        .execute("UPDATE image SET state = 'failed', reason = 'unreadable', owed_seq = NULL WHERE id = 1", [])
        .expect("failed");
    desk.store
        .connection
        .execute(
            "UPDATE image SET format = NULL, state = 'failed', reason = 'damaged', owed_seq = NULL WHERE id = 2",
            [],
        )
        .expect("damaged");
    let shard = lost(&desk, 10, &[0, 1, 2], true, vec![open("a")]);
    assert_eq!(
        restore(&mut desk, &shard),
        Restored { known: 2, packed: 2, batches: 1 },
        "what cannot be measured stays"
    );
    assert_eq!(desk.state(2), "failed damaged");
    let unknown = LostLine { custom_id: "../../etc/passwd".into(), bytes: 1, came: true };
    let foreign = LostShard { lines: vec![unknown], ..lost(&desk, 11, &[], true, vec![open("f")]) };
    assert_eq!(restore(&mut desk, &foreign), Restored::default(), "an id that names nothing is no path");
}

#[test]
fn a_journal_that_knows_more_is_told() {
    let folder = tempfile::tempdir().expect("temp dir");
    let path = folder.path().join("ledger.sqlite");
    let journal = Journal::at(&folder.path().join("batches.jsonl"));
    let mut desk = Desk::at(&path);
    desk.open_shard(1, 2);
    let lines = |journal: &Journal| {
        let mut lines = Vec::new();
        journal.read(|line| lines.push(line)).expect("journal");
        lines
    };
    drop(desk);
    let attach = || {
        SqliteStore::open(&path, Clock::manual(2_000), ALLOWED).and_then(|store| store.with_journal(journal.clone()))
    };
    drop(attach().expect("what it lacks is appended"));
    let written = lines(&journal);
    assert_eq!(written.iter().map(|line| line.ev).collect::<Vec<_>>(), [Event::Intent, Event::Open]);
    drop(attach().expect("nothing is lacking"));
    assert_eq!(lines(&journal), written);
    let more = |ev, batch: &str| Entry { ev, batch: Some(BatchId(batch.into())), ..written[0].clone() };
    journal.append(&[more(Event::Settled, "batch-1")]).expect("append");
    let refusal = attach().expect_err("an older copy").to_string();
    assert!(refusal.ends_with("it lacks a batch that batches.jsonl knows"), "{refusal}");
    journal.append(&[more(Event::Closed, "")]).expect("append");
    drop(attach().expect("nobody waits for it"));
}

#[test]
fn moves_that_are_taken_back_leave_no_line() {
    let folder = tempfile::tempdir().expect("temp dir");
    let journal = Journal::at(&folder.path().join("batches.jsonl"));
    let store = SqliteStore::open(&folder.path().join("ledger.sqlite"), Clock::manual(1_000), ALLOWED).expect("file");
    let mut desk = Desk::around(store.with_journal(journal.clone()).expect("journal"));
    let (_, batch) = desk.open_shard(1, 2);
    let id = BatchId("again".into());
    assert!(desk.act(|store| store.opened(batch, &id, None, false)).is_err(), "it is open");
    let taken_back = desk.act(|store| {
        store.stray(ShardId(1), &FileId("f".into()), &id)?;
        Err::<(), _>(LedgerError::Stale("in this test".into()))
    });
    assert!(taken_back.is_err());
    let mut events = Vec::new();
    journal.read(|line| events.push(line.ev)).expect("journal");
    assert_eq!(events, [Event::Intent, Event::Open]);
}

#[test]
fn a_robbed_shard_in_doubt_ends_with_the_doubt() {
    let folder = tempfile::tempdir().expect("temp dir");
    let mut desk = emptied(folder.path());
    let doubt = LostTry { batch: None, ..open("x") };
    let (old, new) = (lost(&desk, 1, &[0, 1], false, vec![doubt]), lost(&desk, 2, &[0], false, vec![open("new")]));
    restore(&mut desk, &old);
    restore(&mut desk, &new);
    assert_eq!(desk.done(|store| store.dissolve_robbed()), 0, "it may have been created");
    let no = desk.done(|store| store.intent(ShardId(1))).no;
    desk.done(|store| store.fenced(no));
    desk.done(|store| store.voided(no));
    assert_eq!(desk.done(|store| store.shard(ShardId(1))).state, ShardState::Dissolved);
    assert_eq!([1, 2].map(|image| desk.state(image)), ["packed", "owed"], "the one that nobody else asks for is owed");
    is_sound(folder.path());
}

#[test]
fn what_nobody_knows_the_age_of_takes_no_image_from_anybody() {
    let folder = tempfile::tempdir().expect("temp dir");
    let mut desk = emptied(folder.path());
    let own = lost(&desk, 5, &[0, 1, 2, 3], true, vec![open("own")]);
    restore(&mut desk, &own);
    let ends =
        "UPDATE image SET state = CASE id WHEN 2 THEN 'done' ELSE 'failed' END, reason = iif(id = 2, NULL, 'refused'),
        text = iif(id = 2, 'txt', NULL), text_hash = iif(id = 2, zeroblob(16), NULL) WHERE id IN (2, 3, 4)";
    desk.store.connection.execute(ends, []).expect("ended");
    let mut imported = lost(&desk, UNDATED, &[0, 1, 2, 4], true, vec![saved("old")]);
    imported.lines.push(LostLine { came: false, ..lost(&desk, 0, &[3], false, Vec::new()).lines.remove(0) });
    assert_eq!(restore(&mut desk, &imported).packed, 2);
    let holder = |image: i64| -> String {
        let sql = "SELECT s.tag FROM image i JOIN shard s ON s.id = i.shard_id WHERE i.id = ?1";
        desk.store.connection.query_row(sql, [image], |row| row.get(0)).expect("image")
    };
    let (own, other) = (own.tag.to_string(), imported.tag.to_string());
    assert_eq!([1, 2, 3, 4, 5].map(holder), [own.clone(), own.clone(), other.clone(), own, other]);
    assert_eq!([2, 3, 4].map(|image| desk.state(image)), ["done", "packed", "failed refused"]);
}

#[test]
fn of_two_of_one_age_the_one_that_was_answered_holds_the_image() {
    for answered_first in [true, false] {
        let folder = tempfile::tempdir().expect("temp dir");
        let mut desk = emptied(folder.path());
        let one = |desk: &Desk, tag: &str, came| LostShard {
            tag: Tag(format!("tag{tag:>9}")),
            ..lost(desk, UNDATED, &[0], came, vec![saved(tag)])
        };
        for came in [answered_first, !answered_first] {
            let shard = one(&desk, if came { "good" } else { "bad" }, came);
            restore(&mut desk, &shard);
        }
        let sql = "SELECT s.tag FROM image i JOIN shard s ON s.id = i.shard_id WHERE i.id = 1";
        let holder: String = desk.store.connection.query_row(sql, [], |row| row.get(0)).expect("image");
        assert!(holder.ends_with("good"), "{answered_first}: {holder}");
    }
}

#[test]
fn no_run_of_somebody_else_goes_on() {
    let mut desk = Desk::in_memory();
    let (new, begun) = (new_run(), desk.run);
    let theirs = desk.done(|store| store.restore_run(&Tag("theirs000000".into()), &new, RunOrigin::Import));
    assert!(theirs != begun && desk.done(|store| store.begin_run(&new)).id == begun);
    let ours = desk.done(|store| store.restore_run(&Tag("ours00000000".into()), &new, RunOrigin::Own));
    assert_eq!(desk.done(|store| store.begin_run(&new)).id, ours, "the newest of our own");
}

#[test]
fn a_life_that_speaks_to_no_provider_reads_with_nothing() {
    let mut desk = Desk::in_memory();
    let new = new_run();
    desk.done(|store| store.begin_run(&NewRun { offline: true, ..new.clone() }));
    assert_eq!(desk.events().last().map(String::as_str), Some("run_read"));
    desk.done(|store| store.begin_run(&new));
    assert_eq!(desk.events().last().map(String::as_str), Some("run_resumed"));
}
