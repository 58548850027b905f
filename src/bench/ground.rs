//! The folder that is measured in, and the parts of the program that every stage stands on.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::figures::{Sample, Wait};
use super::meter::{self, Meter};
use super::stage::Stage;
use crate::corpus::local::{LocalCorpus, LocalOptions, TextsLocation};
use crate::corpus::{Corpus, Walked};
use crate::domain::image::{Found, Pages};
use crate::domain::recipe::Recipe;
use crate::kit::atomic_file::{self, Mark};
use crate::kit::exit_guard::ExitGuard;
use crate::kit::random;
use crate::ledger::records::{Allowed, NewRun};
use crate::settings::{Environment, Flag, Problem, Settings, Sources, resolve, texts};

/// Name of the corpus below the folder, and what custom ids begin with.
pub const IMAGES: &str = "images";
/// The result file that answers for the whole corpus.
const RESULTS: &str = "results.jsonl";
/// Where one round of one stage may write.
const SCRATCH: &str = "scratch";

/// A folder with a corpus in it, for one round of one stage.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The folder.
    pub folder: PathBuf,
    /// Base URL of the server that the stage needs, up to `/v1`.
    pub server: Option<String>,
}

/// The run of a ledger that is measured by itself.
#[must_use]
pub fn new_run() -> NewRun {
    NewRun {
        base_url: "bench".into(),
        identity: String::new(),
        settings: "{}".into(),
        day: "2026-01-01".into(),
        offline: false,
    }
}

/// What such a ledger allows an image: the defaults of the settings.
pub const ALLOWED: Allowed =
    Allowed { attempts: 3, returns: 10, deep_clean: false, enqueued_tokens: None, max_cost: None };

impl Ground {
    /// The images.
    #[must_use]
    pub fn images(&self) -> PathBuf {
        self.folder.join(IMAGES)
    }

    /// The result file.
    #[must_use]
    pub fn results(&self) -> PathBuf {
        self.folder.join(RESULTS)
    }

    /// Where one round of one stage may write.
    #[must_use]
    pub fn scratch(&self) -> PathBuf {
        self.folder.join(SCRATCH)
    }

    /// Makes room for the next round. What the one before wrote is put aside and not removed: ext4 does not use the inodes
    /// of removed files again for minutes, and looks for others at the cost of whoever makes files next (`recently_deleted`
    /// in the kernel's `fs/ext4/ialloc.c`).
    ///
    /// # Errors
    /// The operating system's, with the path.
    pub fn clear(&self) -> io::Result<()> {
        let aside = self.folder.join(format!("{SCRATCH}-{}", random::letters(8)?));
        match atomic_file::move_file(&self.scratch(), &aside) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
            _ => {}
        }
        fs_err::create_dir_all(self.scratch())
    }

    pub(super) fn server(&self) -> io::Result<&str> {
        self.server.as_deref().ok_or_else(|| io::Error::other("this stage needs a server"))
    }

    /// The settings that everybody begins with, and these; no file and no variable of the user has a say.
    ///
    /// # Errors
    /// What is wrong with the settings given.
    pub fn settings(&self, more: &[(&str, String)]) -> io::Result<Settings> {
        // Without a server the lines are those that one on this computer would be sent.
        let base = self.server.as_deref().unwrap_or("http://127.0.0.1/v1");
        let usual = [
            ("provider.name", "openai".to_owned()),
            ("api_url", format!("{base}/chat/completions")),
            ("image_dir", self.images().display().to_string()),
        ];
        let flag = |(key, value): &(&str, String)| Flag {
            flag: "--set".to_owned(),
            key: (*key).to_owned(),
            value: value.clone(),
        };
        let workspace = self.scratch();
        let sources = Sources {
            current_dir: workspace.clone(),
            workspace,
            config: None,
            no_config: true,
            flags: usual.iter().chain(more).map(flag).collect(),
            environment: Environment::default(),
        };
        resolve(&sources).map(|resolved| resolved.settings).map_err(|problems| told(&problems))
    }

    /// How each page is asked.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn recipe(&self, settings: &Settings) -> io::Result<Recipe> {
        texts::recipe(settings, texts::BUILT_IN_PROMPT).map_err(|problem| told(&[problem]))
    }

    /// The corpus as a run sees it; its texts are written to a tree of their own.
    ///
    /// # Errors
    /// The operating system's.
    pub fn corpus(&self, settings: &Settings) -> io::Result<Arc<dyn Corpus>> {
        let options = LocalOptions {
            valid_endings: settings.valid_image_types.clone(),
            excluded_folders: Vec::new(),
            max_image_bytes: settings.shard.max_shard_bytes,
            max_pixels: settings.encode.max_pixels,
            preparation: settings.encode.preparation,
            pages: Pages::Each,
            texts: TextsLocation::Mirror(self.texts()),
            mark: Mark::new(&self.scratch())?,
            arrivals: None,
        };
        Ok(Arc::new(LocalCorpus::new(dunce::canonicalize(self.images())?, options)))
    }

    /// Where texts are written.
    pub(super) fn texts(&self) -> PathBuf {
        self.scratch().join("texts")
    }
}

/// Walks a corpus to its end and hands each page over.
pub(super) fn walk(corpus: &dyn Corpus, mut page: impl FnMut(Vec<Found>)) -> io::Result<()> {
    let mut lane = corpus.walk(None, ExitGuard::unheard("walk"))?;
    loop {
        match lane.blocking_recv() {
            Some(Walked::Page(found, _)) => page(found),
            Some(Walked::Over) => return Ok(()),
            Some(Walked::Broken(cause)) => return Err(cause),
            None => return Err(io::Error::other("the walk ended early")),
        }
    }
}

/// The sample of a stage: what `meter` saw, and this process's memory.
pub(super) fn sample(stage: Stage, items: u64, bytes: u64, meter: &Meter, waits: &[(&str, u64)]) -> Sample {
    let wait =
        |(edge, micros): &(&str, u64)| Wait { edge: (*edge).to_owned(), seconds: super::figures::count(*micros) / 1e6 };
    Sample {
        stage,
        items,
        bytes,
        wall_s: meter.wall_s(),
        cpu_s: meter.cpu_s(),
        peak_bytes: meter::peak_bytes(),
        waits: waits.iter().map(wait).collect(),
    }
}

/// Length of a file.
pub(super) fn length(path: &Path) -> io::Result<u64> {
    fs_err::metadata(path).map(|facts| facts.len())
}

fn told(problems: &[Problem]) -> io::Error {
    io::Error::other(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}
