//! A workspace of its own for one run of the real program, and what is found there afterwards.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use batchscribe::kit::clock::Clock;
use batchscribe::kit::stop::stop_switch;
use batchscribe::pipeline::mission::{Mission, Mode, Outcome, Tally};
use batchscribe::settings::{Environment, Flag, Sources, resolve, texts};
use tempfile::TempDir;

/// The folder of one run: `work/` is the workspace, everything else must stay as it is.
pub(crate) struct Desk {
    folder: TempDir,
}

/// How a run went.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    /// On stdout and stderr.
    pub(crate) said: String,
    /// The most memory that it held, in MiB.
    pub(crate) most_mib: u64,
}

impl Ran {
    /// Panics that it logged.
    pub(crate) fn panics(&self) -> usize {
        self.said.matches("panicked").count()
    }
}

/// An image of an ended ledger.
#[derive(Debug)]
pub(crate) struct Image {
    /// Path below the root.
    pub(crate) path: String,
    pub(crate) state: String,
    pub(crate) reason: String,
}

impl Desk {
    /// A desk with these images below `work/in`, each of a few pixels of a colour of its own.
    pub(crate) fn new(images: impl IntoIterator<Item = String>) -> Self {
        let desk = Self { folder: tempfile::tempdir().expect("temp dir") };
        for (number, image) in (0_u32..).zip(images) {
            let [_, red, green, blue] = number.to_be_bytes();
            let pixels = image::RgbImage::from_pixel(4, 4, image::Rgb([red, green, blue]));
            let mut png = std::io::Cursor::new(Vec::new());
            pixels.write_to(&mut png, image::ImageFormat::Png).expect("memory");
            let target = desk.corpus().join(image);
            std::fs::create_dir_all(target.parent().expect("a folder")).expect("folder");
            std::fs::write(target, png.get_ref()).expect("image");
        }
        for folder in ["home", "tmp"] {
            std::fs::create_dir(desk.folder.path().join(folder)).expect("folder");
        }
        desk
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    pub(crate) fn corpus(&self) -> PathBuf {
        self.workspace().join("in")
    }

    /// Files beside the workspace: there must never be one.
    pub(crate) fn outside(&self) -> Vec<String> {
        self.all_files().into_iter().filter(|path| !path.starts_with("work/")).collect()
    }

    /// Every file of the desk, relative to it.
    pub(crate) fn all_files(&self) -> Vec<String> {
        let mut files = BTreeSet::new();
        list(self.folder.path(), self.folder.path(), &mut files);
        files.into_iter().collect()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_batchscribe"));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("OPENAI_API_KEY", "a-key-that-is-long-enough");
        command.env("HOME", self.folder.path().join("home")).env("TMPDIR", self.folder.path().join("tmp"));
        command.current_dir(self.workspace()).stdin(Stdio::null());
        command
    }

    /// Runs the real program to its end against `base`.
    pub(crate) fn run(&self, base: &str, more: &[(&str, &str)]) -> Ran {
        let mut command = self.command();
        command.args(["run", "--no-config", "--yes", "-v"]);
        let url = format!("{base}/chat/completions");
        let always = [
            ("api_url", url.as_str()),
            ("provider.name", "openai"),
            ("provider.settle", "200ms"),
            ("batch.poll_interval", "50ms"),
            ("batch.max_poll_interval", "100ms"),
            ("image_dir", "in"),
        ];
        for (key, value) in always.iter().chain(more) {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        watch(command)
    }

    /// Runs another verb.
    pub(crate) fn call(&self, words: &[&str]) -> Ran {
        let mut command = self.command();
        command.args(words).args(["--no-config"]);
        watch(command)
    }

    /// Runs the pipeline in this process, on a clock of its own that stands still while an answer is awaited: it goes from one
    /// moment that somebody sleeps for to the next, so that no load of this machine makes a look take long.
    pub(crate) fn run_fast(&self, base: &str, a_batch: usize) -> Result<Outcome, String> {
        let clock = Clock::manual(Clock::wall().now());
        let mission = mission(self, base, a_batch, &clock);
        let (sender, outcome) = mpsc::channel();
        std::thread::spawn(move || drop(sender.send(batchscribe::pipeline::run(mission))));
        for _ in 0..6_000 {
            match outcome.recv_timeout(Duration::from_millis(5)) {
                Ok(outcome) => return Ok(outcome),
                // Nobody may be asleep at this moment, and then no time passes.
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    clock.skip();
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => return Err("it panicked".to_owned()),
            }
        }
        Err("it does not end".to_owned())
    }

    /// All images with how they ended.
    pub(crate) fn images(&self) -> Vec<Image> {
        let ledger = rusqlite::Connection::open(self.workspace().join("batch/ledger.sqlite")).expect("ledger");
        let sql = "SELECT d.path, i.name, i.state, coalesce(i.reason, '') FROM image i
            JOIN directory d ON d.id = i.directory_id";
        let mut rows = ledger.prepare(sql).expect("query");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let images = rows.query_map([], |row| {
            let path = format!("{}/{}", text(row.get(0)?), text(row.get(1)?));
            Ok(Image { path, state: row.get(2)?, reason: row.get(3)? })
        });
        images.expect("rows").map(|row| row.expect("a row")).collect()
    }

    /// Batches that have an event of the kind, by the provider's id.
    pub(crate) fn batches_with(&self, what: &str) -> BTreeSet<String> {
        let ledger = rusqlite::Connection::open(self.workspace().join("batch/ledger.sqlite")).expect("ledger");
        let sql = "SELECT b.batch_id FROM event e JOIN batch b ON b.id = e.batch WHERE e.what = ?1";
        let mut rows = ledger.prepare(sql).expect("query");
        let ids = rows.query_map([what], |row| row.get(0)).expect("rows");
        ids.map(|row| row.expect("a row")).collect()
    }
}

fn list(root: &Path, folder: &Path, files: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            list(root, &path, files);
        } else {
            files.insert(path.strip_prefix(root).expect("below").to_string_lossy().into_owned());
        }
    }
}

/// Waits for the program's end and looks at its memory meanwhile.
fn watch(mut command: Command) -> Ran {
    let mut said = tempfile::tempfile().expect("a file");
    let handle = || said.try_clone().expect("a handle");
    command.stdout(handle()).stderr(handle());
    let mut child = command.spawn().expect("it starts");
    let (begun, mut most_mib) = (Instant::now(), 0);
    let status = loop {
        most_mib = most_mib.max(high_water(child.id()));
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        if begun.elapsed() > Duration::from_secs(120) {
            child.kill().expect("killed");
            panic!("the program does not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    std::io::Seek::rewind(&mut said).expect("a file");
    let said = std::io::read_to_string(said).expect("text");
    Ran { code: status.code(), said, most_mib }
}

/// `VmHWM`: the most memory that a process has held, in MiB; 0 where nobody tells.
fn high_water(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap_or(0) / 1024
}

/// What the program does at `base`, on a clock of its own.
fn mission(desk: &Desk, base: &str, a_batch: usize, clock: &Clock) -> Mission {
    let (url, a_batch) = (format!("{base}/chat/completions"), a_batch.to_string());
    let flags = [
        ("api_url", url.as_str()),
        ("provider.name", "openai"),
        ("provider.settle", "60s"),
        ("batch.poll_interval", "30s"),
        ("batch.max_poll_interval", "60s"),
        ("max_images_per_batch", a_batch.as_str()),
        ("image_dir", "in"),
    ];
    let flag = |(key, value): (&str, &str)| Flag { flag: "--set".into(), key: key.into(), value: value.into() };
    let sources = Sources {
        workspace: desk.workspace(),
        current_dir: desk.workspace(),
        config: None,
        no_config: true,
        flags: flags.into_iter().map(flag).collect(),
        environment: Environment::default(),
    };
    let settings = resolve(&sources).expect("good settings").settings;
    let prompt = texts::prompt(&settings).expect("a prompt").text;
    let recipe = texts::recipe(&settings, &prompt).expect("a recipe");
    Mission {
        mode: Mode::Run { once: false },
        layout: settings.layout(),
        image_root: desk.corpus(),
        image_dir_given: "in".to_owned(),
        base_url: base.to_owned(),
        key: None,
        key_source: String::new(),
        deep: texts::deep_recipe(&settings, &recipe).expect("a recipe"),
        recipe,
        stop: stop_switch().0,
        clock: clock.clone(),
        tally: tokio::sync::watch::Sender::new(Tally::default()),
        listener: None,
        settings,
    }
}
