//! `recover`: builds the ledger again, from what the workspace and the provider still tell.
//!
//! Nothing is asked and nothing is judged here: each lost shard is brought back to where it stood, its batches open, in doubt
//! or with their answers on disk, and the ordinary run takes it up from there. What cannot be brought back yet stays in the
//! journal, and the ledger is not worked on before it is.

mod disk;
mod ground;
mod input;
mod remote;
mod report;
mod request;
mod trace;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::disk::Known;
pub use self::ground::Ground;
pub use self::remote::Remote;
pub use self::report::{Report, Waiting, Why};
use self::trace::{Found, Trace, Tracer};
use crate::corpus::{Corpus, Walked};
use crate::domain::batch::Usage;
use crate::domain::ids::{CorpusId, FileId, Tag};
use crate::domain::layout::Layout;
use crate::domain::money::Charges;
use crate::domain::recipe::Recipe;
use crate::domain::tokens::Counting;
use crate::kit::clock::Clock;
use crate::kit::crash;
use crate::kit::exit_guard::ExitGuard;
use crate::kit::path_bytes::from_name;
use crate::kit::runtime::Runtime;
use crate::ledger::LedgerError;
use crate::ledger::journal::{Account, Entry, Event, Journal, Stand};
use crate::ledger::lost::{LostShard, RunOrigin};
use crate::ledger::reader::Reader;
use crate::ledger::records::{Allowed, NewRun};
use crate::ledger::sqlite::SqliteStore;
use crate::ledger::store::{Frame as _, Store as _};
use crate::provider::failure::Failure;
use crate::provider::wire::Batch;

/// The table of names while it is needed; a temporary file like any other, should this process die.
const NAMES: &str = ".bs-recovery.tmp";

/// What is to be built, and from what.
pub struct Wanted {
    /// Names of files.
    pub layout: Layout,
    /// The clock.
    pub clock: Clock,
    /// Root of the images, links resolved.
    pub root: PathBuf,
    /// The same as the user writes it: custom ids were made from it.
    pub given: String,
    /// How lines are asked as things are now.
    pub recipe: Recipe,
    /// How their tokens are estimated.
    pub counting: Counting,
    /// What they were charged, as far as that is known.
    pub charges: Charges,
    /// Where the images lie.
    pub corpus: Arc<dyn Corpus>,
    /// Whose money it is.
    pub run: NewRun,
    /// What the ledger allows an image.
    pub allowed: Allowed,
    /// The provider, if it may be asked.
    pub remote: Option<Remote>,
    /// A run of the account whose batches are ours, although nothing here tells of it.
    pub tag: Option<Tag>,
}

/// Why nothing was built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A file cannot be read or written.
    #[error(transparent)]
    Disk(#[from] io::Error),
    /// The image folder cannot be read.
    #[error("cannot read the image folder: {0}")]
    Corpus(io::Error),
    /// The provider does not answer, or refuses.
    #[error(transparent)]
    Provider(#[from] Failure),
    /// Nothing here names a run; these are in the account, with their batches.
    #[error("nothing here tells which runs of the account are of this workspace")]
    NoRun(BTreeMap<Tag, u64>),
}

/// What a batch object tells that is of use.
#[derive(Clone, Debug)]
struct Told {
    output: Option<FileId>,
    errors: Option<FileId>,
    expires_at: Option<i64>,
    usage: Option<Usage>,
    model: Option<String>,
}

impl Told {
    fn of(batch: &Batch) -> Self {
        Self {
            output: batch.output_file.clone(),
            errors: batch.error_file.clone(),
            expires_at: batch.expires_at,
            usage: batch.usage,
            model: batch.model.clone(),
        }
    }
}

/// Builds the ledger again, as far as what is left goes. The workspace's lock is the caller's affair.
///
/// # Errors
/// [`Error`]; the ledger is as it was then, unless it was whole and lacked something: then it lacks less.
pub fn recover(wanted: &Wanted) -> Result<Report, Error> {
    let layout = &wanted.layout;
    let runtime = Runtime::new().map_err(Error::Disk)?;
    let ground = ground::look(layout)?;
    let backup = if ground == Ground::Whole { None } else { ground::backup(layout)? };
    let base = if ground == Ground::Whole { Some(layout.ledger()) } else { backup.clone() };
    let reader = base.as_deref().map(Reader::open).transpose()?;
    let known = learn(wanted, &ground, reader.as_ref(), &runtime)?;
    let lacking = lacking(&known, reader.as_ref())?;
    let standing = reader.as_ref().map(Reader::standing).transpose()?.unwrap_or_default();
    drop(reader);
    let mut report = Report::new(ground, backup, standing);
    let nothing_known = report.ground == Ground::Missing && report.backup.is_none();
    if lacking.is_empty() && (report.ground == Ground::Whole || nothing_known) {
        return Ok(report);
    }
    let site = match report.ground {
        Ground::Whole => layout.ledger(),
        _ => ground::building_site(layout, report.backup.as_deref())?,
    };
    let mut tracer = Tracer { wanted, runtime: &runtime, known };
    let closed = build(&mut tracer, &site, lacking, &mut report)?;
    crash::point("recover.replayed");
    // A ledger in which nothing was brought back is no better than none.
    let useful = report.shards > 0 || report.waiting.is_empty() || report.backup.is_some();
    if report.ground != Ground::Whole {
        if !useful {
            ground::remove(&site).map_err(Error::Disk)?;
            return Ok(report);
        }
        report.kept_as = ground::swap(layout, &site, wanted.clock.now())?;
    }
    crash::point("recover.swapped");
    close(&Journal::at(&layout.journal()), &closed).map_err(Error::Disk)?;
    report.changed = true;
    Ok(report)
}

/// What a recovery would find on this disk. What came back of each shard shows only once it is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// How the ledger is.
    pub ground: Ground,
    /// The backup that would be built upon.
    pub backup: Option<PathBuf>,
    /// Shards that the ledger, or that backup, lacks.
    pub shards: u64,
    /// Lines of them, as far as that is told.
    pub lines: u64,
}

/// Looks, and changes nothing; nobody but this disk is asked.
///
/// # Errors
/// [`Error`].
pub fn look(layout: &Layout) -> Result<Seen, Error> {
    let ground = ground::look(layout)?;
    let is_whole = ground == Ground::Whole;
    let backup = if is_whole { None } else { ground::backup(layout)? };
    let base = if is_whole { Some(layout.ledger()) } else { backup.clone() };
    let reader = base.as_deref().map(Reader::open).transpose()?;
    let mut known = Known::default();
    disk::journal(layout, &mut known).map_err(Error::Disk)?;
    if !is_whole {
        disk::notices(layout, &mut known).map_err(Error::Disk)?;
        disk::orphans(layout, &mut known).map_err(Error::Disk)?;
    }
    let lacking = lacking(&known, reader.as_ref())?;
    let lines = lacking.iter().map(|one| u64::from(one.account.lines)).sum();
    Ok(Seen { ground, backup, shards: lacking.len() as u64, lines })
}

/// Everything that disk and provider tell.
fn learn(wanted: &Wanted, ground: &Ground, reader: Option<&Reader>, runtime: &Runtime) -> Result<Known, Error> {
    let mut known = Known::default();
    disk::journal(&wanted.layout, &mut known).map_err(Error::Disk)?;
    let lost = *ground != Ground::Whole;
    if lost {
        disk::notices(&wanted.layout, &mut known).map_err(Error::Disk)?;
    }
    if let Some(remote) = &wanted.remote {
        let runs = runs(wanted, &known, reader)?;
        let others = runtime.wait(remote.list(&runs, &mut known))?;
        if runs.is_empty() && !others.is_empty() {
            return Err(Error::NoRun(others));
        }
    }
    if lost {
        disk::orphans(&wanted.layout, &mut known).map_err(Error::Disk)?;
    }
    Ok(known)
}

/// Every run that is of this workspace.
fn runs(wanted: &Wanted, known: &Known, reader: Option<&Reader>) -> Result<BTreeSet<Tag>, Error> {
    let mut runs: BTreeSet<Tag> = known.accounts.all().map(|account| account.run.clone()).collect();
    runs.extend(reader.map(Reader::run_tags).transpose()?.unwrap_or_default());
    runs.extend(wanted.tag.clone());
    Ok(runs)
}

/// An account of which the ledger lacks something.
struct Lacking {
    account: Account,
    /// Whether the ledger has its shard.
    planted: bool,
}

/// What the ledger lacks, newest first: an image belongs to the newest shard that asked for it.
fn lacking(known: &Known, reader: Option<&Reader>) -> Result<Vec<Lacking>, LedgerError> {
    let mut lacking = Vec::new();
    for account in known.accounts.living() {
        let (lacks, planted) = match reader {
            Some(reader) => (reader.lacks(account)?, reader.knows_shard(&account.shard)?),
            None => (true, false),
        };
        if lacks {
            lacking.push(Lacking { account: account.clone(), planted });
        }
    }
    lacking.sort_by_key(|one| std::cmp::Reverse(one.account.at));
    Ok(lacking)
}

/// Enrols the images, then brings back shard after shard; tells of which ones nothing is left.
fn build(
    tracer: &mut Tracer<'_>,
    site: &Path,
    lacking: Vec<Lacking>,
    report: &mut Report,
) -> Result<Vec<Account>, Error> {
    let wanted = tracer.wanted;
    let mut store = SqliteStore::open(site, wanted.clock.clone(), wanted.allowed)?;
    let corpus = enrol(&mut store, wanted)?;
    crash::point("recover.walked");
    let names = wanted.layout.batch.join(NAMES);
    ground::remove(&names).map_err(Error::Disk)?;
    store.name_images(corpus, wanted.recipe.id_style, &names)?;
    let mut closed = Vec::new();
    for one in rows(&mut store, wanted, lacking)? {
        let settled = one.lacking.account.tries.iter().all(|one| matches!(one.stand, Stand::Settled | Stand::Nothing));
        match tracer.trace(&one.lacking)? {
            Trace::Waits(why) => report.waits(&one.lacking.account, why),
            Trace::Nothing => {
                report.nothing_left_of(&one.lacking.account);
                closed.push(one.lacking.account);
            }
            Trace::Found(found) => {
                let Found { shard, asked_as } = *found;
                let (lost, restored) = acted(&mut store, |store| {
                    let recipe = asked_as.as_ref().map_or(Ok(one.recipe), |recipe| store.recipe(recipe))?;
                    let lost = LostShard { run: one.run, recipe, ..shard };
                    store.restore_shard(&lost).map(|restored| (lost, restored))
                })?;
                if restored.known == 0 && !settled {
                    report.waits(&one.lacking.account, Why::NoImages);
                    continue;
                }
                if restored.known > 0 {
                    report.brought_back(&lost, restored);
                } else {
                    report.nothing_left_of(&one.lacking.account);
                }
                // What it still lacks is nowhere any more: nobody is to wait for it.
                if store.lacks(&one.lacking.account)? {
                    closed.push(one.lacking.account);
                }
            }
        }
    }
    acted(&mut store, SqliteStore::dissolve_robbed)?;
    report.standing = store.standing();
    store.finish()?;
    ground::remove(&names).map_err(Error::Disk)?;
    Ok(closed)
}

/// A lacking account with the rows that its shard refers to.
struct Rowed {
    lacking: Lacking,
    run: crate::domain::ids::RunId,
    recipe: crate::domain::ids::RecipeId,
}

/// Makes runs and recipe again, oldest run first: the newest one of our own is the one that goes on.
fn rows(store: &mut SqliteStore, wanted: &Wanted, lacking: Vec<Lacking>) -> Result<Vec<Rowed>, LedgerError> {
    acted(store, |store| {
        let recipe = store.recipe(&wanted.recipe)?;
        let own: BTreeSet<&Tag> =
            lacking.iter().filter(|one| one.account.is_own()).map(|one| &one.account.run).collect();
        let mut runs = BTreeMap::new();
        for one in lacking.iter().rev() {
            let run = &one.account.run;
            if !runs.contains_key(run) {
                let origin = if own.contains(run) { RunOrigin::Own } else { RunOrigin::Import };
                runs.insert(run.clone(), store.restore_run(run, &wanted.run, origin)?);
            }
        }
        Ok(lacking.into_iter().map(|lacking| Rowed { run: runs[&lacking.account.run], recipe, lacking }).collect())
    })
}

/// The images as a run would enrol them.
fn enrol(store: &mut SqliteStore, wanted: &Wanted) -> Result<CorpusId, Error> {
    let root = from_name(wanted.root.as_os_str());
    let corpus = acted(store, |store| {
        let corpus = store.corpus(&root, wanted.given.as_bytes())?.id;
        store.walk_begins(corpus).map(|()| corpus)
    })?;
    let mut walk = wanted.corpus.walk(None, ExitGuard::unheard("walk")).map_err(Error::Disk)?;
    loop {
        match walk.blocking_recv() {
            Some(Walked::Page(page, _)) => drop(acted(store, |store| store.enrol(corpus, &page))?),
            Some(Walked::Over) => break,
            Some(Walked::Broken(cause)) => return Err(Error::Corpus(cause)),
            None => return Err(Error::Corpus(io::Error::other("the listing broke off"))),
        }
    }
    acted(store, |store| store.walk_over(corpus))?;
    Ok(corpus)
}

/// A transaction of its own.
fn acted<T>(
    store: &mut SqliteStore,
    act: impl FnOnce(&mut SqliteStore) -> Result<T, LedgerError>,
) -> Result<T, LedgerError> {
    store.begin()?;
    match act(store) {
        Ok(done) => store.commit().map(|()| done),
        Err(error) => {
            store.rollback();
            Err(error)
        }
    }
}

/// Writes down of which shards nothing is left, so that nobody waits for them.
fn close(journal: &Journal, closed: &[Account]) -> io::Result<()> {
    let line = |account: &Account| {
        let last = account.tries.last();
        Entry {
            at: account.at,
            ev: Event::Closed,
            run: account.run.clone(),
            shard: account.shard.clone(),
            attempt: last.map_or(1, |one| one.attempt),
            file: last.map_or_else(|| FileId(String::new()), |one| one.file.clone()),
            batch: None,
            lines: account.lines,
            bytes: account.bytes,
            xxh3: account.body_hash.map(Entry::hash_text).unwrap_or_default(),
        }
    };
    journal.mend()?;
    journal.append(&closed.iter().map(line).collect::<Vec<_>>())
}
