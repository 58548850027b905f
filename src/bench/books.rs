//! The ledger: every move that the life of an image takes, each durable before the next.

use std::io;

use super::figures::Sample;
use super::ground::{ALLOWED, Ground, IMAGES, new_run, sample, walk};
use super::meter::Meter;
use super::stage::Stage;
use crate::domain::answer::MOST_TOGETHER;
use crate::domain::batch::{Admission, BatchEnd};
use crate::domain::ids::{BatchId, CorpusId, FileId, RecipeId, RunId, TAG_LENGTH, Tag};
use crate::domain::shard::{NewLine, NewShard, SealReason};
use crate::domain::verdict::Verdict;
use crate::kit::clock::Clock;
use crate::kit::random;
use crate::ledger::LedgerError;
use crate::ledger::records::{Cursor, Ending, ImageVerdict, OwedPage, RawFile, TextOwner};
use crate::ledger::sqlite::SqliteStore;
use crate::ledger::store::{Frame as _, Store};

/// Images of a shard.
const SHARD: u32 = 400;

/// Enrols the corpus, then takes each shard through its life: fed, sealed, uploaded, intended, opened, ended, fetched, judged,
/// settled.
pub(super) fn ledger(ground: &Ground) -> io::Result<Sample> {
    let mut books = Books::open(ground)?;
    let (mut meter, mut images) = (Meter::default(), 0);
    let corpus = ground.corpus(&ground.settings(&[])?)?;
    let mut enrolled = Ok(());
    walk(&*corpus, |page| {
        images += page.len() as u64;
        let id = books.corpus;
        if enrolled.is_ok() {
            enrolled = meter.window(|| books.commit(|store| store.enrol(id, &page).map(drop)));
        }
    })?;
    enrolled?;
    meter.window(|| {
        let mut cursor = Cursor::default();
        loop {
            let id = books.corpus;
            let page = books.commit(|store| store.take_owed(id, cursor, SHARD))?;
            if page.images.is_empty() {
                return io::Result::Ok(());
            }
            cursor = page.next;
            books.live(&page)?;
        }
    })?;
    books.store.close().map_err(told)?;
    Ok(sample(Stage::Ledger, images, 0, &meter, &[]))
}

struct Books {
    store: SqliteStore,
    run: RunId,
    recipe: RecipeId,
    corpus: CorpusId,
}

impl Books {
    fn open(ground: &Ground) -> io::Result<Self> {
        let recipe = ground.recipe(&ground.settings(&[])?)?;
        let path = ground.scratch().join("ledger.sqlite");
        let mut store = SqliteStore::open(&path, Clock::wall(), ALLOWED).map_err(told)?;
        store.begin().map_err(told)?;
        let run = store.begin_run(&new_run()).map_err(told)?.id;
        let recipe = store.recipe(&recipe).map_err(told)?;
        let corpus = store.corpus(b"/bench", IMAGES.as_bytes()).map_err(told)?.id;
        store.commit().map_err(told)?;
        Ok(Self { store, run, recipe, corpus })
    }

    fn commit<T>(&mut self, verb: impl FnOnce(&mut dyn Store) -> Result<T, LedgerError>) -> io::Result<T> {
        self.store.begin().map_err(told)?;
        let value = verb(&mut self.store).map_err(told)?;
        self.store.commit().map_err(told)?;
        Ok(value)
    }

    /// One shard, from its plan to closed books; every answer is accepted.
    fn live(&mut self, page: &OwedPage) -> io::Result<()> {
        let line = |id| NewLine { image: id, bytes: 400_000, prepared: None, ink: None };
        let lines = page.images.iter().map(|image| line(image.id)).collect();
        let tag = Tag(random::letters(TAG_LENGTH)?);
        let (run, recipe, est_tokens) = (self.run, self.recipe, 1);
        let shard = NewShard { tag, run, recipe, seal: SealReason::Lines, lines, est_tokens, charge: None };
        let facts = self.commit(|store| store.seal(&shard))?;
        let file = |what: &str| FileId(format!("file-{what}-{}", facts.id));
        self.commit(|store| store.uploaded(facts.id, &file("in"), 1, [7; 16]))?;
        let Admission::Granted(intent) = self.commit(|store| store.intend(facts.id))? else {
            return Err(io::Error::other("the ledger admits no batch"));
        };
        let id = BatchId(format!("batch_{}", facts.id));
        let batch = self.commit(|store| store.opened(intent.no, &id, None, false))?.no;
        let ending = Ending {
            end: BatchEnd::Completed,
            output: Some(file("out")),
            errors: None,
            usage: None,
            model: None,
            refusal: None,
            named: Vec::new(),
        };
        self.commit(|store| store.ended(batch, &ending))?;
        self.commit(|store| store.fetched(batch, Some(RawFile { bytes: 1, sha256: [7; 32] }), None))?;
        let verdicts: Vec<ImageVerdict> = page.images.iter().map(|image| accepted(image.id)).collect();
        for chunk in verdicts.chunks(MOST_TOGETHER) {
            self.commit(|store| store.verdicts(batch, chunk))?;
        }
        self.commit(|store| store.settle(batch)).map(drop)
    }
}

fn accepted(image: crate::domain::ids::ImageId) -> ImageVerdict {
    let text = Some((TextOwner::Ours, crate::kit::hash::short(&image.0.to_le_bytes())));
    ImageVerdict { text, ..ImageVerdict::bare(image, Verdict::Accept) }
}

fn told(cause: LedgerError) -> io::Error {
    io::Error::other(cause.to_string())
}
