//! What a mission's actors share: ledger, provider, corpus, pools, budgets. Built once, before any actor.

use std::io;
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;

use super::edges::Meters;
use super::means;
use super::mission::{Fault, Ground, Happens, Mission, Mode};
use crate::corpus::Corpus;
use crate::domain::ids::{CorpusId, RunId};
use crate::domain::image;
use crate::domain::ladder::Ladder;
use crate::encode::bodies::{Bodies, BodyOptions, Spool};
use crate::encode::body::Makings;
use crate::encode::line::Framer;
use crate::encode::prepared::PreparedFiles;
use crate::encode::spool::Spooler;
use crate::encode::workshop::MEMORY_UNIT;
use crate::kit::atomic_file::{Mark, private_folder, sweep};
use crate::kit::bodies::ShardBodies;
use crate::kit::budget::Budget;
use crate::kit::ceiling::Ceiling;
use crate::kit::crash;
use crate::kit::exit_guard::{ExitGuard, ExitNotice};
use crate::kit::faults::Faults;
use crate::kit::news::News;
use crate::kit::path_bytes;
use crate::kit::pending;
use crate::kit::pool::Pool;
use crate::kit::staging;
use crate::kit::stop::{Stop, StopSwitch, stop_switch};
use crate::kit::traffic::Traffic;
use crate::ledger::journal::Journal;
use crate::ledger::keeper::{self, Ledger};
use crate::ledger::ours::OurRecipes;
use crate::ledger::records::Rejudged;
use crate::ledger::sqlite::SqliteStore;
use crate::provider::SharedProvider;
use crate::scan::scanner::SharedPassedOver;
use crate::settings::ProviderKind;

/// Plans of another account that are given up in one commit.
const UNSENT_AT_ONCE: u32 = 16;

/// Everything that outlives a single actor.
pub(super) struct World {
    pub(super) ledger: Ledger,
    pub(super) provider: SharedProvider,
    /// What the provider was asked.
    pub(super) traffic: Traffic,
    pub(super) corpus: Arc<dyn Corpus>,
    pub(super) bodies: Arc<dyn ShardBodies>,
    pub(super) spool: Option<Spool>,
    /// Parsing, judging, writing: one thread per core.
    pub(super) work: Pool,
    /// One thread per open body.
    pub(super) body_pool: Pool,
    pub(super) slots: Budget,
    pub(super) body_places: Budget,
    pub(super) news: News,
    pub(super) faults: Faults,
    pub(super) stop: Stop,
    /// Ends the feed alone, where one pass finds that nothing more can be opened.
    pub(super) feed_stop: StopSwitch,
    pub(super) meters: Meters,
    pub(super) notices: mpsc::Sender<ExitNotice>,
    pub(super) passed_over: SharedPassedOver,
    /// Bytes of a shard that the provider takes, as far as this run has learned.
    pub(super) ceiling: Ceiling,
    pub(super) run: RunId,
    /// What each image is asked with.
    pub(super) recipes: OurRecipes,
    /// The corpus as the user wrote it the first time.
    pub(super) given: Vec<u8>,
    pub(super) corpus_id: CorpusId,
    pub(super) mark: Mark,
    pub(super) makings: Makings,
    /// Memory for decoded pixels.
    pub(super) memory: Budget,
    /// Pictures that were made ready.
    pub(super) prepared: PreparedFiles,
    /// The largest picture whose line fits into a shard, in bytes.
    pub(super) max_image_bytes: u64,
    /// What judging again came to.
    pub(super) rejudged: Arc<Mutex<Rejudged>>,
    /// Nothing happens beside anything else.
    pub(super) in_step: bool,
}

/// The keeper's thread, to be waited for at the very end; a simulation has none.
pub(super) type KeeperThread = std::thread::JoinHandle<()>;

impl World {
    pub(super) fn guard(&self, who: &'static str) -> ExitGuard {
        ExitGuard::new(who, self.notices.clone())
    }

    /// Opens and starts everything but the actors. The keeper's thread is told of even where the rest cannot be built on it: it closes
    /// the ledger, and is to be waited for.
    pub(super) async fn build(
        mission: &Mission,
        ground: Ground,
        notices: mpsc::Sender<ExitNotice>,
    ) -> (Result<Self, Fault>, Option<KeeperThread>) {
        let in_step = matches!(ground, Ground::Simulated { .. });
        let footing = private_folder(&mission.layout.batch).map_err(Fault::Disk);
        match footing.and_then(|()| Footing::on(ground, mission, &notices)) {
            Ok((footing, keeper)) => (Self::upon(footing, mission, in_step, notices).await, keeper),
            Err(fault) => (Err(fault), None),
        }
    }

    async fn upon(
        footing: Footing,
        mission: &Mission,
        in_step: bool,
        notices: mpsc::Sender<ExitNotice>,
    ) -> Result<Self, Fault> {
        let died = |why: String| Fault::Died { who: "start", why };
        let Footing { provider, traffic, ledger } = footing;
        sweep_working_folders(mission).map_err(Fault::Disk)?;
        let mark = Mark::new(&mission.layout.batch).map_err(Fault::Disk)?;
        let begun = begin(mission, &ledger).await?;
        // Custom ids are made from what the ledger keeps, not from how the folder was named this time.
        let framer = Framer::new(&mission.recipe, &begun.given).map_err(|cause| died(cause.to_string()))?;
        let corpus = means::corpus(mission, &framer, mark.clone());
        let bodies = usize::try_from(mission.settings.shard.max_bodies).unwrap_or(1);
        let (work, body_pool) = pools(in_step, bodies).map_err(Fault::Disk)?;
        let spool = spool(mission, &notices).map_err(Fault::Disk)?;
        let (body_places, news) = (Budget::new(mission.settings.shard.max_bodies), first_news(mission));
        let prepared = prepared(mission, &ledger).await?;
        let makings = Makings::new(mission.settings.encode.hash_images, bodies).with_prepared(prepared.clone());
        let made = {
            let spool = spool.clone().filter(|_| mission.settings.shard.spool);
            let options = BodyOptions { makings: makings.clone(), spool };
            let (pool, places) = (body_pool.clone(), body_places.clone());
            Bodies::new(ledger.clone(), Arc::clone(&corpus), pool, places, news.clone(), options)
        };
        Ok(Self {
            ledger,
            provider,
            traffic,
            corpus,
            bodies: Arc::new(made),
            spool,
            work,
            body_pool,
            slots: Budget::new(mission.settings.batch.max_open_batches),
            body_places,
            news,
            faults: Faults::new(mission.stop.clone()),
            stop: mission.stop.watcher(),
            feed_stop: stop_switch().0,
            meters: Meters::default(),
            notices,
            passed_over: Arc::new(Mutex::default()),
            ceiling: begun.ceiling,
            run: begun.run,
            recipes: begun.recipes,
            given: begun.given,
            corpus_id: begun.corpus,
            mark,
            makings,
            memory: Budget::new(memory_units(mission)),
            prepared,
            max_image_bytes: means::max_image_bytes(mission, &framer),
            rejudged: Arc::default(),
            in_step,
        })
    }

    /// Wakes whoever waits for a lease.
    pub(super) fn close_budgets(&self) {
        self.slots.close();
        self.memory.close();
        self.body_places.close();
    }
}

/// The service and the ledger that a mission stands on.
struct Footing {
    provider: SharedProvider,
    traffic: Traffic,
    ledger: Ledger,
}

impl Footing {
    /// The keeper is started last: whatever fails before it leaves no thread behind.
    fn on(
        ground: Ground,
        mission: &Mission,
        notices: &mpsc::Sender<ExitNotice>,
    ) -> Result<(Self, Option<KeeperThread>), Fault> {
        let guard = ExitGuard::new("keeper", notices.clone());
        match ground {
            Ground::Real(place) => {
                let journal = Journal::at(&mission.layout.journal());
                journal.nothing_lost(&mission.layout).map_err(Fault::Ledger)?;
                let (provider, traffic) = means::provider(mission)?;
                let store = SqliteStore::open(&mission.layout.ledger(), mission.clock.clone(), means::allowed(mission))
                    .and_then(|store| store.with_journal(journal));
                let (ledger, keeper) =
                    keeper::start(Box::new(store.map_err(Fault::Ledger)?), guard).map_err(Fault::Disk)?;
                place.here(&ledger);
                Ok((Self { provider, traffic, ledger }, Some(keeper)))
            }
            Ground::Simulated { provider, store } => {
                let (ledger, serving) = keeper::in_step(store, guard);
                beside(serving);
                Ok((Self { provider, traffic: Traffic::default(), ledger }, None))
            }
        }
    }
}

/// Memory for decoded pixels, as its budget counts it.
fn memory_units(mission: &Mission) -> u32 {
    u32::try_from(mission.settings.shard.max_memory / MEMORY_UNIT).unwrap_or(u32::MAX)
}

/// For parsing, judging, writing, a thread per core; and a thread for each of so many bodies.
fn pools(in_step: bool, bodies: usize) -> io::Result<(Pool, Pool)> {
    if in_step {
        return Ok((Pool::in_step(), Pool::in_step()));
    }
    Ok((Pool::new("work", 0)?, Pool::new("bodies", bodies)?))
}

/// A simulation's keeper lives beside the actors, on their thread, and ends with their system.
#[expect(clippy::disallowed_methods, reason = "it belongs to no actor, and ends with the system")]
fn beside(serving: impl Future<Output = ()> + 'static) {
    let _ends_with_the_system = actix::spawn(serving);
}

/// Removes what a dead process was writing; the workspace's lock says that no living one is.
fn sweep_working_folders(mission: &Mission) -> io::Result<()> {
    let layout = &mission.layout;
    staging::sweep(&layout.extraction)?;
    pending::sweep(&layout.drafts(), &mission.clock);
    [&layout.batch, &layout.completed, &layout.output, &layout.spool()].into_iter().try_for_each(|folder| sweep(folder))
}

/// The rows under which this life works.
struct Begun {
    run: RunId,
    recipes: OurRecipes,
    corpus: CorpusId,
    given: Vec<u8>,
    /// What earlier lives learned of the provider's upload limit.
    ceiling: Ceiling,
}

async fn begin(mission: &Mission, ledger: &Ledger) -> Result<Begun, Fault> {
    let run = ledger.begin_run(means::new_run(mission)).await.map_err(Fault::Ledger)?;
    if let Some(listener) = &mission.listener {
        listener.hear(Happens::Run { name: &run.name, resumed: run.resumed });
    }
    mission.tally.send_modify(|tally| tally.run = Some(run.name.clone()));
    // Whose money it was does not matter to answers that are on disk.
    if let Some(base_url) = run.foreign.filter(|_| !matches!(mission.mode, Mode::Collect | Mode::Clean { .. })) {
        return Err(Fault::OtherAccount(base_url));
    }
    let root = path_bytes::from_name(mission.image_root.as_os_str());
    let given = mission.image_dir_given.clone().into_bytes();
    let corpus = ledger.corpus(root, given).await.map_err(Fault::Ledger)?;
    if let Some(other) = corpus.unfinished {
        return Err(Fault::OtherCorpus(image::shown(&other)));
    }
    tracing::info!(run = run.name, resumed = run.resumed, "the run begins");
    if mission.mode.feeds() {
        // What another account was never sent is owed to this one.
        while ledger.dissolve_unsent(run.id, UNSENT_AT_ONCE).await.map_err(Fault::Ledger)? > 0 {
            crash::point("unsent.dissolved");
        }
    }
    let settings = &mission.settings;
    let is_openai = settings.provider.name == ProviderKind::OpenAi && settings.api_url.is_openai();
    let escalate = settings.request.escalate_model.clone();
    let ladder = Ladder::new(mission.recipe.clone(), mission.deep.clone(), escalate, settings.models.lookup(is_openai));
    let recipes = OurRecipes::new(ledger.clone(), ladder);
    if settings.clean.deep_clean && mission.mode.feeds() {
        ledger.want_deep().await.map_err(Fault::Ledger)?;
    }
    let ceiling = Ceiling::default();
    if let Some(bytes) = ledger.smallest_too_large(run.id).await.map_err(Fault::Ledger)? {
        ceiling.lower(bytes / 2);
    }
    Ok(Begun { run: run.id, recipes, corpus: corpus.id, given: corpus.given, ceiling })
}

/// What is told once, before the first picture is sent: that those that were to be fitted are not.
fn first_news(mission: &Mission) -> News {
    let news = News::heard_by(mission.listener.clone());
    if let Some(why) = mission.settings.why_no_fit().filter(|_| mission.mode.feeds()) {
        let text = format!("encode.fit changes nothing: {why}");
        news.warn("E114", text, "a row of models.toml can tell how a model counts; encode.longest_side needs none");
    }
    news
}

/// The prepared pictures, those of an earlier life that a plan still names among them.
async fn prepared(mission: &Mission, ledger: &Ledger) -> Result<PreparedFiles, Fault> {
    let files = PreparedFiles::new(mission.layout.prepared(), mission.settings.shard.max_prepared);
    let left_over = files.left_over().map_err(Fault::Disk)?;
    if !left_over.is_empty() {
        let living = ledger.prepared_files().await.map_err(Fault::Ledger)?.into_iter().collect();
        files.take_over(left_over, &living).map_err(Fault::Disk)?;
    }
    Ok(files)
}

fn spool(mission: &Mission, notices: &mpsc::Sender<ExitNotice>) -> io::Result<Option<Spool>> {
    let folder = match &mission.mode {
        Mode::SpoolOnly(folder) => folder.clone(),
        _ if mission.settings.shard.spool => mission.layout.spool(),
        _ => return Ok(None),
    };
    private_folder(&folder)?;
    let spooler = Spooler::start(ExitGuard::new("spool", notices.clone()))?;
    Ok(Some(Spool { spooler, folder, base: mission.settings.jsonl_file_base.clone() }))
}
