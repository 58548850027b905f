//! The store against its promises: single verbs, opening, and random commands beside a model.

mod admission;
mod asking;
mod copies;
mod listed;
mod model;
mod money;
mod newcomers;
mod opening;
mod pages;
mod property;
mod restore;
mod verbs;

use std::path::Path;

use super::SqliteStore;
use crate::domain::batch::{Admission, Intent};
use crate::domain::ids::{BatchId, BatchNo, CorpusId, FileId, ImageId, RecipeId, RunId, ShardId, Tag};
use crate::domain::image::{Fate, Format, Found, Looks, Pixels, RelPath, Stamp};
use crate::domain::recipe::{AnswerFormat, IdStyle, Kind, Parameters, Recipe};
use crate::domain::shard::{NewLine, NewShard, SealReason};
use crate::kit::clock::Clock;
use crate::ledger::LedgerError;
use crate::ledger::records::{Allowed, NewRun};
use crate::ledger::store::{Frame as _, Store};

/// Bounds small enough to be reached.
pub(in crate::ledger) const ALLOWED: Allowed =
    Allowed { attempts: 3, returns: 2, deep_clean: false, enqueued_tokens: None, max_cost: None };
/// Hash of every body.
pub(in crate::ledger) const BODY: [u8; 16] = [7; 16];

/// A store with a run, a recipe and a corpus.
pub(in crate::ledger) struct Desk {
    pub(in crate::ledger) store: SqliteStore,
    pub(in crate::ledger) run: RunId,
    pub(in crate::ledger) recipe: RecipeId,
    pub(in crate::ledger) corpus: CorpusId,
}

impl Desk {
    pub(in crate::ledger) fn in_memory() -> Self {
        let store = SqliteStore::in_memory(Clock::manual(1_000), ALLOWED).expect("memory");
        Self::around(store)
    }

    pub(in crate::ledger) fn at(path: &Path) -> Self {
        let store = SqliteStore::open(path, Clock::manual(1_000), ALLOWED).expect("file");
        Self::around(store)
    }

    fn around(mut store: SqliteStore) -> Self {
        store.begin().expect("begin");
        let run = store.begin_run(&new_run()).expect("run").id;
        let recipe = store.recipe(&recipe()).expect("recipe");
        let corpus = store.corpus(b"/pages", b"pages").expect("corpus").id;
        store.commit().expect("commit");
        Self { store, run, recipe, corpus }
    }

    /// One verb in a transaction of its own, taken back if it is refused.
    pub(in crate::ledger) fn act<T>(
        &mut self,
        verb: impl FnOnce(&mut SqliteStore) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        self.store.begin()?;
        self.store.savepoint()?;
        let told = verb(&mut self.store);
        self.store.release(told.is_ok())?;
        self.store.commit()?;
        told
    }

    /// A verb that must succeed.
    pub(in crate::ledger) fn done<T>(&mut self, verb: impl FnOnce(&mut SqliteStore) -> Result<T, LedgerError>) -> T {
        self.act(verb).expect("a legal move")
    }

    /// Enrols `many` new owed images, `page<from>.png` and on.
    pub(in crate::ledger) fn enrol(&mut self, from: usize, many: usize) {
        let page: Vec<_> = (from..from + many).map(|number| found(&format!("page{number}.png"), 1, owed())).collect();
        let corpus = self.corpus;
        self.done(|store| store.enrol(corpus, &page));
    }

    /// A plan over these images.
    pub(in crate::ledger) fn plan_of(&self, tag: usize, images: &[i64]) -> NewShard {
        let lines =
            images.iter().map(|id| NewLine { image: ImageId(*id), bytes: 100, prepared: None, ink: None }).collect();
        let tag = Tag(format!("tag{tag:09}"));
        NewShard { tag, run: self.run, recipe: self.recipe, seal: SealReason::Dry, lines, est_tokens: 10, charge: None }
    }

    /// The intent of an uploaded shard whose queue has room.
    pub(in crate::ledger) fn intend(&mut self, shard: ShardId) -> Intent {
        match self.done(|store| store.intend(shard)) {
            Admission::Granted(intent) => intent,
            other => panic!("not admitted: {other:?}"),
        }
    }

    /// Enrols, seals, uploads and opens a shard of `many` images; its tag is `shard`.
    pub(in crate::ledger) fn open_shard(&mut self, shard: usize, many: usize) -> (ShardId, BatchNo) {
        let first = usize::try_from(self.store.standing().found).expect("small");
        self.enrol(first, many);
        let ids: Vec<_> = (first..first + many).map(|index| i64::try_from(index + 1).expect("small")).collect();
        let plan = self.plan_of(shard, &ids);
        let facts = self.done(|store| store.seal(&plan));
        let input = FileId(format!("file-{shard}"));
        self.done(|store| store.uploaded(facts.id, &input, 5, BODY));
        let intent = self.intend(facts.id);
        let id = BatchId(format!("batch-{shard}"));
        self.done(|store| store.opened(intent.no, &id, Some(9_000), false));
        (facts.id, intent.no)
    }

    /// The same store on a disk that is nearly full.
    pub(in crate::ledger) fn cramped(self) -> SqliteStore {
        let pages: i64 = self.store.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).expect("pages");
        let sql = format!("PRAGMA max_page_count = {}", pages + 20);
        self.store.connection.query_row(&sql, [], |_| Ok(())).expect("bound");
        self.store
    }

    /// State of one image, as the file says.
    pub(in crate::ledger) fn state(&self, image: i64) -> String {
        let sql = "SELECT state || coalesce(' ' || reason, '') FROM image WHERE id = ?1";
        self.store.connection.query_row(sql, [image], |row| row.get(0)).expect("image")
    }

    /// Words of all events, in order.
    pub(in crate::ledger) fn events(&self) -> Vec<String> {
        let mut statement = self.store.connection.prepare("SELECT what FROM event ORDER BY id").expect("sql");
        statement.query_map([], |row| row.get(0)).expect("events").collect::<Result<_, _>>().expect("words")
    }
}

pub(in crate::ledger) fn new_run() -> NewRun {
    NewRun {
        base_url: "https://api.example/v1".into(),
        identity: "id".into(),
        settings: "{}".into(),
        day: "2026-11-22".into(),
        offline: false,
    }
}

pub(in crate::ledger) fn recipe() -> Recipe {
    let parameters = Parameters {
        preparation: None,
        system: None,
        detail: "high".into(),
        max_output_tokens: Some(4000),
        reasoning_effort: None,
        temperature: Some(0.0),
        answer_format: AnswerFormat::Text,
    };
    Recipe {
        id: None,
        kind: Kind::Read,
        id_style: IdStyle::Path,
        step: 1,
        model: "m".into(),
        endpoint: "/v1/chat/completions".into(),
        prompt: "Read.".into(),
        parameters,
    }
}

pub(in crate::ledger) fn owed() -> Fate {
    Fate::Owed(Looks::plain(Format::Png, Pixels { width: 3, height: 4 }))
}

pub(in crate::ledger) fn found(name: &str, mtime_ms: i64, fate: Fate) -> Found {
    let path = RelPath { folder: b"tray".to_vec(), name: name.as_bytes().to_vec(), page: 1 };
    Found { path, stamp: Stamp { bytes: 10, mtime_ms }, fate, text_present: false }
}
