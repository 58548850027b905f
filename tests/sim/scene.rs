//! One thread's stage: a corpus that every play uses, and a folder that each play begins anew.

use std::cell::Cell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use batchscribe::domain::money::Money;
use batchscribe::domain::recipe::Recipe;
use batchscribe::emulator::ServerOptions;
use batchscribe::emulator::direct::Direct;
use batchscribe::emulator::engine::echo::Echo;
use batchscribe::emulator::scenario::Scenario;
use batchscribe::kit::clock::{Clock, Millis};
use batchscribe::kit::random;
use batchscribe::kit::stop::stop_switch;
use batchscribe::ledger::journal::Journal;
use batchscribe::ledger::records::Allowed;
use batchscribe::ledger::sqlite::SqliteStore;
use batchscribe::pipeline::mission::{Fault, Ground, Mission, Mode, Outcome, Tally};
use batchscribe::settings::{Environment, Flag, Settings, Sources, models::Models, resolve, texts};
use tempfile::TempDir;

use crate::fate::{Doom, Fate, Log};
use crate::oracle::{self, Agreement};
use crate::plan::{Life, Plan};
use crate::provider::{self, Wire};
use crate::{store, turn};

/// Images of a play.
const IMAGES: u32 = 200;
/// Every image of this number is a copy of the one so many before it.
const COPIED: u32 = 9;
/// Spring of 2027.
const START: Millis = 1_800_000_000_000;
/// Once the faults have stopped: three windows and an hour.
const PATIENCE: Millis = (3 * 24 + 1) * 3_600_000;
/// Lives beyond those of the plan, each ended by a fault of the provider that needs a person, who comes after a while.
const MORE_LIVES: usize = 40;
const UNTIL_A_PERSON_COMES: Millis = 2 * 3_600_000;

pub(crate) struct Scene {
    folder: TempDir,
    settings: Settings,
    /// Which picture is which, by SHA-256: the same in every play.
    prints: HashMap<String, String>,
}

/// What came of a play.
pub(crate) struct Tale {
    pub(crate) lives: u64,
    pub(crate) kills: u64,
    pub(crate) stops: u64,
    pub(crate) days: f64,
    /// What bill, ledger and disk say.
    pub(crate) found: Agreement,
    /// Everything that happened.
    pub(crate) log: Vec<String>,
}

/// How the processes of a play fared.
#[derive(Default)]
struct Course {
    lives: u64,
    kills: u64,
    stops: u64,
}

/// How a life ended.
enum End {
    Doomed(Doom),
    Came(Box<Outcome>),
}

fn is_copy(image: u32) -> bool {
    image % (COPIED + 1) == COPIED
}

impl Scene {
    pub(crate) fn new() -> Self {
        // Memory where there is such a disk: thousands of small files come and go.
        let memory = Some(PathBuf::from("/dev/shm")).filter(|memory| memory.is_dir());
        let folder = tempfile::tempdir_in(memory.unwrap_or_else(std::env::temp_dir)).expect("temp dir");
        let workspace = folder.path().join("play/work");
        for n in 0..IMAGES {
            let target = workspace.join(format!("in/tray_{}/page{n:03}.png", n % 4));
            std::fs::create_dir_all(target.parent().expect("a folder")).expect("folder");
            // Some are the same scan once more.
            std::fs::write(target, png(if is_copy(n) { n - COPIED } else { n })).expect("image");
        }
        Self { settings: settings(&workspace), prints: oracle::prints(&workspace), folder }
    }

    fn play_folder(&self) -> PathBuf {
        self.folder.path().join("play")
    }

    fn workspace(&self) -> PathBuf {
        self.play_folder().join("work")
    }

    /// Every image, and nothing else.
    fn set(&self) {
        for folder in [self.play_folder(), self.workspace()] {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("entry").path();
                if path.is_file() {
                    std::fs::remove_file(path).expect("a file");
                } else if !path.ends_with("work") && !path.ends_with("in") {
                    std::fs::remove_dir_all(path).expect("a folder");
                }
            }
        }
        for name in oracle::all_files(&self.workspace()).iter().filter(|name| !name.ends_with(".png")) {
            std::fs::remove_file(self.workspace().join(name)).expect("a text");
        }
    }

    /// Plays `plan` to its end.
    ///
    /// # Errors
    /// Which promise was broken, and everything that happened before.
    pub(crate) fn play(&self, plan: &Plan) -> Result<Tale, (String, Vec<String>)> {
        self.set();
        random::seed(Some(plan.seed));
        let log = Log::default();
        let played = Play::new(self, plan, log.clone()).and_then(|play| play.to_the_end());
        random::seed(None);
        let log = log.take();
        match played.and_then(|(course, days)| Ok((course, days, self.judge(plan)?))) {
            Ok((Course { lives, kills, stops }, days, found)) => Ok(Tale { lives, kills, stops, days, found, log }),
            Err(why) => Err((why, log)),
        }
    }

    /// Asks the oracle.
    fn judge(&self, plan: &Plan) -> Result<Agreement, String> {
        let bill = self.play_folder().join("bill.jsonl");
        let found = oracle::agreement_about(&self.prints, &self.workspace(), &bill, plan.gone);
        let failed: usize = found.failed.values().sum();
        let mut wrong = Vec::new();
        if found.images != IMAGES as usize || found.done + failed != found.images {
            wrong.push(format!("{} texts and {failed} named failures of {} images", found.done, found.images));
        }
        // A create that arrives late and is then missing from the first list that could show it is hidden for longer than
        // `settle`: that a list is believed by then is an assumption about the service, and the dice break it here.
        let is_hidden = plan.late.percent > 0 && plan.scenario.contains("hide_from_lists");
        if found.paid_twice + found.lost > 0 && !is_hidden {
            wrong.push(format!("{} paid twice, {} paid answers lost", found.paid_twice, found.lost));
        }
        wrong.extend(found.odd.iter().take(3).cloned());
        if let Some(limit) = plan.enqueued_tokens {
            let (most, _) = oracle::most_enqueued(&bill);
            if most > limit {
                wrong.push(format!("{most} tokens enqueued, {limit} allowed"));
            }
        }
        if wrong.is_empty() { Ok(found) } else { Err(wrong.join("; ")) }
    }
}

/// A play under way.
struct Play<'a> {
    scene: &'a Scene,
    plan: &'a Plan,
    wire: Arc<Wire>,
    time: Clock,
    /// The client's own, which may go wrong.
    clock: Clock,
    log: Log,
    /// What may be spent now, in millionths of a USD.
    limit: Cell<Option<u64>>,
}

impl<'a> Play<'a> {
    fn new(scene: &'a Scene, plan: &'a Plan, log: Log) -> Result<Self, String> {
        let time = Clock::manual(START);
        let mut options = ServerOptions::new(scene.play_folder().join("server"), Arc::new(Echo::new()));
        options.bill = Some(scene.play_folder().join("bill.jsonl"));
        options.scenario = Scenario::read(&plan.scenario).map_err(|cause| format!("no scenario: {cause}"))?;
        options.limits.enqueued_tokens = plan.enqueued_tokens;
        options.pace = plan.pace.clone();
        options.clock = time.clone();
        let service = Direct::open(options).map_err(|cause| format!("no service: {cause}"))?;
        let wire = Wire::new(service, time.clone(), START + plan.quiet_after, plan.late, plan.seed);
        Ok(Self { scene, plan, wire, clock: time.another(), time, log, limit: Cell::new(plan.max_cost) })
    }

    /// One process after the other, until one ends with nothing left to do; and how many days that took.
    fn to_the_end(&self) -> Result<(Course, f64), String> {
        let mut course = Course::default();
        let planned = self.plan.lives.iter().copied().map(Some).chain(std::iter::repeat_n(None, MORE_LIVES));
        for life in planned {
            course.lives += 1;
            let last = life.is_none();
            let life = life.unwrap_or_default();
            let end = self.live(&life)?;
            self.kept_to_the_limit()?;
            match end {
                End::Doomed(Doom::Killed) => {
                    course.kills += 1;
                    self.pass(life.pause);
                }
                End::Doomed(doom) => return Err(format!("{doom:?} in life {}", course.lives)),
                End::Came(outcome) => {
                    let left = outcome.standing.owed + outcome.standing.packed;
                    if let Some(fault) = outcome.fault {
                        if matches!(fault, Fault::NoMoney(_)) {
                            self.limit.set(self.limit.get().map(|limit| limit * 2));
                        }
                        course.stops += 1;
                        self.log.note(self.time.now(), &format!("stopped: {fault:?}"));
                        self.pass(UNTIL_A_PERSON_COMES);
                    } else if last && left == 0 {
                        return Ok((course, (self.time.now() - START) as f64 / 86_400_000.0));
                    } else {
                        self.pass(life.pause);
                    }
                }
            }
        }
        Err(format!("{} stops, and no end", course.stops))
    }

    /// Whether the bill is within the limit. A second batch of a shard, which nobody asked for, is paid for all the same.
    fn kept_to_the_limit(&self) -> Result<(), String> {
        let Some(limit) = self.limit.get() else { return Ok(()) };
        if strays(&self.scene.workspace()) > 0 {
            return Ok(());
        }
        let model = &self.scene.settings.request.model;
        let price = Models::built_in().price(model).ok_or_else(|| format!("no price of {model}"))?;
        let [batches, directly] = oracle::tokens(&self.scene.play_folder().join("bill.jsonl"));
        let spent = price.of(batches.0, batches.1) + price.of(directly.0, directly.1).times(2);
        if spent <= Money::from_micros(limit) { Ok(()) } else { Err(format!("{spent} of {limit} millionths spent")) }
    }

    fn pass(&self, pause: Millis) {
        self.time.advance(Duration::from_millis(u64::try_from(pause).unwrap_or(0)));
    }

    /// One process, from its start to its end.
    fn live(&self, life: &Life) -> Result<End, String> {
        let until = self.time.now().max(START + self.plan.quiet_after) + PATIENCE;
        let fate = Fate::new(life.kill_at, life.step, self.clock.clone(), until, self.log.clone());
        self.log.note(self.time.now(), &format!("a life: {life:?}"));
        let mission = self.mission(life);
        let path = mission.layout.ledger();
        std::fs::create_dir_all(&mission.layout.batch).map_err(|cause| cause.to_string())?;
        let retry = &mission.settings.retry;
        let allowed = Allowed {
            deep_clean: false,
            attempts: retry.max_attempts,
            returns: retry.max_returns,
            enqueued_tokens: mission.settings.batch.max_enqueued_tokens,
            max_cost: mission.settings.run.max_cost,
        };
        let store = SqliteStore::open(&path, self.clock.clone(), allowed)
            .and_then(|store| store.with_journal(Journal::at(&mission.layout.journal())))
            .map_err(|cause| cause.to_string())?;
        let ground = Ground::Simulated {
            provider: Arc::new(provider::Mortal { wire: Arc::clone(&self.wire), fate: fate.clone() }),
            store: Box::new(store::Mortal { store, fate: fate.clone() }),
        };
        let life = async {
            tokio::select! {
                biased;
                doom = fate.ended() => End::Doomed(doom),
                (outcome, _) = batchscribe::pipeline::work(&mission, ground) => End::Came(Box::new(outcome)),
            }
        };
        Ok(turn::to_the_end(life, || fate.skip(&self.time)))
    }

    fn mission(&self, life: &Life) -> Mission {
        let mut settings = self.scene.settings.clone();
        settings.max_images_per_batch = self.plan.images_per_batch.try_into().expect("small");
        settings.batch.max_enqueued_tokens = self.plan.enqueued_tokens.filter(|_| self.plan.limit_is_known);
        settings.run.canary = self.plan.canary;
        if self.plan.max_cost.is_some() {
            // The worst case of a page is a few times what it costs, so that the limit is met by bills, too.
            settings.request.max_output_tokens = 200;
        }
        settings.run.max_cost = self.limit.get().map(Money::from_micros);
        let prompt = texts::prompt(&settings).expect("a prompt").text;
        let endpoint = self.plan.endpoint.to_owned();
        let recipe = Recipe { endpoint, ..texts::recipe(&settings, &prompt).expect("a recipe") };
        let (stop, _) = stop_switch();
        Mission {
            mode: Mode::Run { once: life.once },
            layout: settings.layout(),
            image_root: self.scene.workspace().join("in"),
            image_dir_given: "in".to_owned(),
            base_url: "http://simulation/v1".to_owned(),
            key: None,
            key_source: String::new(),
            deep: texts::deep_recipe(&settings, &recipe).expect("a recipe"),
            recipe,
            stop,
            clock: self.clock.clone(),
            tally: tokio::sync::watch::Sender::new(Tally::default()),
            listener: None,
            settings,
        }
    }
}

/// Second batches of a shard that the ledger knows.
fn strays(workspace: &Path) -> i64 {
    let ledger = rusqlite::Connection::open(workspace.join("batch/ledger.sqlite")).expect("ledger");
    ledger.query_row("SELECT count(*) FROM batch WHERE stray = 1", [], |row| row.get(0)).expect("query")
}

fn settings(workspace: &Path) -> Settings {
    let flags = [
        ("provider.name", "openai"),
        ("provider.settle", "10m"),
        ("batch.poll_interval", "10m"),
        ("batch.max_poll_interval", "60m"),
        ("image_dir", "in"),
        ("api_url", "http://127.0.0.1:9/v1/chat/completions"),
    ];
    let flag =
        |(key, value): &(&str, &str)| Flag { flag: "--set".into(), key: (*key).to_owned(), value: (*value).to_owned() };
    let sources = Sources {
        workspace: workspace.to_owned(),
        current_dir: workspace.to_owned(),
        config: None,
        no_config: true,
        flags: flags.iter().map(flag).collect(),
        environment: Environment::default(),
    };
    resolve(&sources).expect("good settings").settings
}

/// A small PNG whose pixels say which one it is.
fn png(seed: u32) -> Vec<u8> {
    let [a, b, ..] = seed.to_le_bytes();
    let image = image::RgbImage::from_fn(4, 3, |x, y| image::Rgb([a ^ (x as u8), b ^ (y as u8), a.wrapping_mul(7)]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).expect("memory");
    bytes.into_inner()
}
