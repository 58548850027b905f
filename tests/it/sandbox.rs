//! One workspace, one corpus of tiny images, one emulator that outlives every run.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use batchscribe::emulator::engine::Engine;
use batchscribe::emulator::engine::echo::Echo;
use batchscribe::emulator::scenario::Scenario;
use batchscribe::emulator::{self, Pace, Server, ServerOptions};
use batchscribe::kit::clock::Clock;
use batchscribe::kit::stop::{StopSwitch, stop_switch};
use batchscribe::pipeline::mission::{Mission, Mode, Outcome, Tally};
use batchscribe::settings::{Environment, Flag, Settings, Sources, resolve, texts};
use tempfile::TempDir;

use crate::oracle;

/// Everything a story needs; removed at its end.
pub(crate) struct Sandbox {
    folder: TempDir,
    server: Option<Server>,
    flags: Vec<(String, String)>,
    clock: Clock,
}

/// How the emulator behaves.
pub(crate) struct Weather {
    /// What goes wrong.
    pub(crate) scenario: Scenario,
    /// Think time of each line.
    pub(crate) line_delay: Duration,
    /// Models that exist there; empty = every name is taken.
    pub(crate) models: Vec<String>,
    /// Tokens that may be enqueued.
    pub(crate) enqueued_tokens: Option<u64>,
    /// How long batches stay in each status.
    pub(crate) pace: Pace,
    /// The time of the emulator and of all runs.
    pub(crate) clock: Clock,
    /// Where the folders lie.
    pub(crate) disk: PathBuf,
    /// What answers.
    pub(crate) engine: Arc<dyn Engine>,
}

impl Default for Weather {
    fn default() -> Self {
        Self {
            scenario: Scenario::default(),
            line_delay: Duration::ZERO,
            models: Vec::new(),
            enqueued_tokens: None,
            pace: Pace::default(),
            clock: Clock::wall(),
            disk: std::env::temp_dir(),
            engine: Arc::new(Echo::new()),
        }
    }
}

impl Sandbox {
    /// A sandbox with `images` tiny images in two folders.
    pub(crate) fn new(images: usize) -> Self {
        Self::with(images, Weather::default())
    }

    /// The same in other weather.
    pub(crate) fn with(images: usize, weather: Weather) -> Self {
        let folder = tempfile::tempdir_in(&weather.disk).expect("temp dir");
        let mut sandbox = Self { folder, server: None, flags: Vec::new(), clock: weather.clock.clone() };
        std::fs::create_dir_all(sandbox.corpus()).expect("corpus");
        for n in 0..images {
            sandbox.image(&format!("tray_{}/page{n:04}.png", n % 2), u32::try_from(n).expect("few"));
        }
        let mut options = ServerOptions::new(sandbox.folder.path().join("server"), weather.engine);
        options.bill = Some(sandbox.bill());
        options.scenario = weather.scenario;
        options.limits.models = weather.models;
        options.limits.enqueued_tokens = weather.enqueued_tokens;
        options.pace = Pace { line_delay: weather.line_delay, ..weather.pace };
        options.clock = weather.clock;
        sandbox.server = Some(emulator::start(options).expect("the emulator starts"));
        for (key, value) in [
            ("provider.name", "openai"),
            // Stories about batches; the canary has its own.
            ("run.canary", "off"),
            ("provider.settle", "200ms"),
            ("batch.poll_interval", "50ms"),
            ("batch.max_poll_interval", "100ms"),
            ("max_images_per_batch", "4"),
            ("image_dir", "in"),
        ] {
            sandbox.set(key, value);
        }
        sandbox
    }

    /// Sets a key for all runs from now on.
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        self.flags.push((key.to_owned(), value.to_owned()));
    }

    /// Writes an image of its own content.
    pub(crate) fn image(&self, path: &str, seed: u32) {
        let target = self.corpus().join(path);
        std::fs::create_dir_all(target.parent().expect("a folder")).expect("folder");
        std::fs::write(target, png(seed)).expect("image");
    }

    /// The workspace.
    pub(crate) fn workspace(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// The root of the images.
    pub(crate) fn corpus(&self) -> PathBuf {
        self.workspace().join("in")
    }

    /// The auditor's file.
    pub(crate) fn bill(&self) -> PathBuf {
        self.folder.path().join("bill.jsonl")
    }

    /// Waits until the emulator has opened as many batches.
    pub(crate) fn await_batches(&self, batches: usize) {
        let patience = Instant::now() + Duration::from_secs(60);
        while oracle::count(&self.bill(), "create") < batches {
            assert!(Instant::now() < patience, "there are no {batches} batches");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Where a process of its own writes what it says.
    pub(crate) fn words(&self) -> PathBuf {
        self.folder.path().join("stderr.txt")
    }

    /// Base URL of the emulator.
    pub(crate) fn base_url(&self) -> String {
        self.server.as_ref().map(Server::base_url).expect("the emulator runs")
    }

    /// Every key set, and where the emulator listens.
    pub(crate) fn flags(&self) -> Vec<(String, String)> {
        // First, so that a story may name another endpoint.
        let url = ("api_url".to_owned(), format!("{}/chat/completions", self.base_url()));
        std::iter::once(url).chain(self.flags.iter().cloned()).collect()
    }

    /// The settings of the next run.
    pub(crate) fn settings(&self) -> Settings {
        let sources = Sources {
            workspace: self.workspace(),
            current_dir: self.workspace(),
            config: None,
            no_config: true,
            flags: self.flags().into_iter().map(|(key, value)| Flag { flag: "--set".into(), key, value }).collect(),
            environment: Environment::default(),
        };
        resolve(&sources).expect("good settings").settings
    }

    /// A mission, and the switch that stops it.
    pub(crate) fn mission(&self, mode: Mode) -> (Mission, StopSwitch) {
        let settings = self.settings();
        let (stop, _) = stop_switch();
        let prompt = texts::prompt(&settings).expect("a prompt").text;
        let recipe = texts::recipe(&settings, &prompt).expect("a recipe");
        let mission = Mission {
            mode,
            layout: settings.layout(),
            image_root: self.corpus(),
            image_dir_given: "in".to_owned(),
            base_url: self.base_url(),
            key: None,
            key_source: String::new(),
            deep: texts::deep_recipe(&settings, &recipe).expect("a recipe"),
            recipe,
            stop: stop.clone(),
            clock: self.clock.clone(),
            tally: tokio::sync::watch::Sender::new(Tally::default()),
            listener: None,
            settings,
        };
        (mission, stop)
    }

    /// Works off a mission in this process.
    pub(crate) fn work(&self, mode: Mode) -> Outcome {
        let (mission, _) = self.mission(mode);
        std::thread::spawn(move || batchscribe::pipeline::run(mission)).join().expect("the pipeline comes back")
    }

    /// `run`, to its end.
    pub(crate) fn run(&self) -> Outcome {
        self.work(Mode::Run { once: false })
    }

    /// The text of an image.
    pub(crate) fn text(&self, image: &str) -> Option<String> {
        std::fs::read_to_string(self.corpus().join(format!("{image}.txt"))).ok()
    }

    /// Every file below the workspace, relative, sorted; ids of batches replaced by their place.
    pub(crate) fn tree(&self) -> Vec<String> {
        let mut files = Vec::new();
        list(&self.workspace(), &self.workspace(), &mut files);
        files.sort();
        files
    }
}

fn list(root: &Path, folder: &Path, files: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            list(root, &path, files);
        } else {
            files.push(path.strip_prefix(root).expect("below").to_string_lossy().into_owned());
        }
    }
}

/// A small PNG whose pixels say which one it is.
pub(crate) fn png(seed: u32) -> Vec<u8> {
    let [a, b, c, d] = seed.to_le_bytes();
    let image = image::RgbImage::from_fn(12, 9, |x, y| image::Rgb([a ^ (x as u8), b ^ (y as u8), c ^ d]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).expect("memory");
    bytes.into_inner()
}
