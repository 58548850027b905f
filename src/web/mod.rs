//! The pages for people: how far the work is, and image and text side by side.
//!
//! *Job*: HTTP in, what `ops` knows and does out. *In*: requests of one person's browser. *Out*: pages, pictures, JSON; texts and
//! notes of the ledger by way of `ops`. *Owns*: one listening address unless it is a guest of another server, one session. *Bound*: one picture is made
//! at a time; lists by page; each thing that takes a walk over all images is made by one thread, and of many images once a minute. *If it crashes here*: an edited text is absent or whole, a note was made or not.
//!
//! A server that has other addresses, too, takes a [`Dashboard`].

mod api;
mod batches;
mod cost;
mod dashboard;
mod failures;
mod gate;
mod kept;
mod page;
mod picture;
mod routes;
mod server;
mod view;

use std::sync::Arc;

use actix_web::web;
use futures_util::lock::Mutex;
use serde_json::Value;

pub use self::dashboard::Dashboard;
use self::kept::{Kept, Told};
use self::routes::No;
pub use self::server::{Server, Visit, start};
use crate::domain::ids::ImageId;
use crate::domain::layout::Layout;
use crate::domain::review::Deed;
use crate::kit::clock::{Clock, Millis};
use crate::ledger::LedgerError;
use crate::ledger::reader::{ImageResult, Reader, ReasonCount};
use crate::ledger::records::Standing;
use crate::ops::report::{Counted, Report};
use crate::ops::review::{self, Entry, Listed, NotNoted, Notebook};
use crate::settings::{InForce, Settings};

/// What the pages are made from, shared by all requests.
pub struct Pages {
    settings: InForce,
    layout: Layout,
    clock: Clock,
    /// Texts drawn by lot that are shown after the doubtful ones.
    sample: usize,
    /// The only images to be looked at, if not all of them take part.
    only: Option<Vec<ImageId>>,
    /// Whether nothing may be changed.
    read_only: bool,
    /// What is in the way of the work, where a server works behind the pages.
    held: Box<dyn Fn() -> Option<InTheWay> + Send + Sync>,
    /// Who writes into the ledger.
    notebook: Box<dyn Notebook>,
    /// The images to be looked at: a list that is read in stretches is one list.
    order: Kept<Vec<Listed>>,
    /// The facts of a report.
    counted: Kept<Counted>,
    /// The bill by folder and by attempt. Nothing that a person does here changes what was paid.
    bill: Kept<Value>,
    /// How many images are flagged.
    flagged: Kept<u64>,
    /// How many images ended for which reason, and whether any of them was ever measured.
    reasons: Kept<Vec<(ReasonCount, bool)>>,
    /// Held while a picture is made: it may take 8 bytes of memory for each of its pixels. Whoever waits for it holds no thread.
    easel: Arc<Mutex<()>>,
}

/// What is in the way of a server, such as a key that was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InTheWay {
    /// What it is, in one sentence.
    pub why: String,
    /// What a person may do about it.
    pub advice: Vec<String>,
    /// When it is tried again (unix milliseconds); `None`: when somebody asks for it.
    pub until: Option<Millis>,
}

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { sample, read_only, .. } = self;
        f.debug_struct("Pages").field("sample", sample).field("read_only", read_only).finish_non_exhaustive()
    }
}

impl Pages {
    /// The pages of the workspace of `settings`; `notebook` writes what a person does, unless nothing may be changed.
    #[must_use]
    pub fn new(settings: InForce, clock: Clock, notebook: Box<dyn Notebook>) -> Self {
        let layout = settings.now().layout();
        Self {
            settings,
            layout,
            clock,
            sample: SAMPLE,
            only: None,
            read_only: false,
            held: Box::new(|| None),
            notebook,
            order: Kept::default(),
            counted: Kept::default(),
            bill: Kept::default(),
            flagged: Kept::default(),
            reasons: Kept::default(),
            easel: Arc::default(),
        }
    }

    /// The same, with as many texts drawn by lot.
    #[must_use]
    pub fn with_sample(self, sample: usize) -> Self {
        Self { sample, ..self }
    }

    /// The same, with these images alone to be looked at.
    #[must_use]
    pub fn with_only(self, only: Option<Vec<ImageId>>) -> Self {
        Self { only, ..self }
    }

    /// The same, before a server that may be held.
    #[must_use]
    pub fn held_by(self, held: impl Fn() -> Option<InTheWay> + Send + Sync + 'static) -> Self {
        Self { held: Box::new(held), ..self }
    }

    /// The same, to be looked at only.
    #[must_use]
    pub fn read_only(self, read_only: bool) -> Self {
        Self { read_only, ..self }
    }
}

impl Pages {
    /// Does `work` on a thread that may wait for the disk.
    async fn apart<T: Send + 'static>(
        self: Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, No> + Send + 'static,
    ) -> Result<T, No> {
        let done = web::block(move || work(&self)).await;
        done.unwrap_or_else(|_| Err(No::Broken("the program broke off while it answered".to_owned())))
    }

    /// The ledger, opened anew for each request: a run may take it over at any time.
    fn reader(&self) -> Result<Reader, No> {
        let path = self.layout.ledger();
        match fs_err::metadata(&path) {
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
                Err(No::Nothing("Nothing was begun here: batchscribe run  comes first.".to_owned()))
            }
            _ => Reader::open(&path).map_err(No::ledger),
        }
    }

    /// The settings in force.
    fn settings(&self) -> Arc<Settings> {
        self.settings.now()
    }

    /// What `make` makes of all images, or has made before; `found` images are in the ledger.
    async fn kept<T: Send + Sync + 'static>(
        self: &Arc<Self>,
        kept: &Kept<T>,
        found: u64,
        make: impl FnOnce(&Self) -> Result<T, No> + Send + 'static,
    ) -> Result<Told<T>, No> {
        let pages = Arc::clone(self);
        kept.told(&self.clock, found, move || make(&pages).map_err(|error| error.to_string())).await.map_err(No::Broken)
    }

    /// The images to be looked at; `found` images are in the ledger.
    async fn order(self: &Arc<Self>, found: u64) -> Result<Told<Vec<Listed>>, No> {
        self.kept(&self.order, found, |pages| {
            let reader = pages.reader()?;
            let order = match &pages.only {
                Some(images) => review::order_of(&reader, images),
                None => review::order(&reader, pages.sample),
            };
            order.map_err(No::ledger)
        })
        .await
    }

    /// How many images are flagged; `found` images are in the ledger.
    async fn flagged(self: &Arc<Self>, found: u64) -> Result<Told<u64>, No> {
        self.kept(&self.flagged, found, |pages| pages.reader()?.flagged().map_err(No::ledger)).await
    }

    /// Writes what a person did, after which lists and counts are others.
    fn note(&self, entry: Entry) -> Result<u64, NotNoted> {
        let did = entry.clone();
        let noted = self.notebook.write(entry);
        // Whoever could not write has changed nothing, and is no reason to walk over all images again.
        if matches!(noted, Err(NotNoted::Locked(_) | NotNoted::Between)) {
            return noted;
        }
        match did {
            // The list tells it at once; how many verdicts there are is told of the moment of the last walk.
            Entry::Did(image, Deed::Reviewed(verdict)) => {
                self.order.mend(move |order| order.iter_mut().for_each(|listed| listed.judge(image, verdict)));
            }
            Entry::Did(_, Deed::Edited(_)) | Entry::AskAgain(_) => {
                self.order.outdate();
                self.counted.outdate();
                self.reasons.outdate();
                self.flagged.outdate();
            }
        }
        noted
    }

    /// Where all of it stands; by indexes, so it may be asked each time.
    fn standing(&self) -> Result<Standing, No> {
        self.reader()?.standing().map_err(No::ledger)
    }

    fn image(&self, reader: &Reader, id: i64) -> Result<ImageResult, No> {
        let image = review::image(reader, ImageId(id)).map_err(No::ledger)?;
        image.ok_or_else(|| No::Nothing("There is no such image.".to_owned()))
    }

    /// The facts of a report; `found` images are in the ledger.
    async fn counted(self: &Arc<Self>, found: u64) -> Result<Told<Counted>, No> {
        self.kept(&self.counted, found, |pages| {
            let (reader, settings) = (pages.reader()?, pages.settings());
            let report = Report {
                reader: &reader,
                layout: &pages.layout,
                models: &settings.models,
                name: pages.name(),
                max_pixels: settings.encode.max_pixels,
                now: pages.clock.now(),
            };
            report.counted().map_err(|error| No::Broken(error.to_string()))
        })
        .await
    }

    /// What the workspace is called.
    fn name(&self) -> String {
        let settings = self.settings();
        let workspace = &settings.workspace;
        let name = workspace.file_name().unwrap_or(workspace.as_os_str());
        crate::domain::image::shown(name.as_encoded_bytes())
    }
}

impl From<LedgerError> for No {
    fn from(error: LedgerError) -> Self {
        Self::ledger(error)
    }
}

impl No {
    /// The ledger's error as an answer.
    fn ledger(error: LedgerError) -> Self {
        Self::Broken(error.to_string())
    }
}

/// Texts drawn by lot where nobody says how many: enough to see a fault that every tenth page has.
pub const SAMPLE: usize = 30;
