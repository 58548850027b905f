//! The pages for people: how far the work is, and image and text side by side.
//!
//! *Job*: HTTP in, what `ops` knows and does out. *In*: requests of one person's browser. *Out*: pages, pictures, JSON; texts and
//! notes of the ledger by way of `ops`. *Owns*: one listening address unless it is a guest of another server, one session. *Bound*: one picture is made
//! at a time; lists by page; what takes a walk over all images is made by one at a time, and of many images once a minute. *If it crashes here*: an edited text is absent or whole, a note was made or not.
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

use std::sync::{Arc, Mutex};

use actix_web::web;
use serde_json::Value;

pub use self::dashboard::Dashboard;
use self::kept::Kept;
use self::routes::No;
pub use self::server::{Server, Visit, start};
use crate::domain::ids::ImageId;
use crate::domain::layout::Layout;
use crate::kit::clock::Clock;
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
    /// Who writes into the ledger.
    notebook: Box<dyn Notebook>,
    /// The images to be looked at: a list that is read in stretches is one list.
    order: Kept<Vec<Listed>>,
    /// The facts of a report.
    counted: Kept<Counted>,
    /// The bill by folder and by attempt.
    bill: Kept<Value>,
    /// How many images ended for which reason, and whether any of them was ever measured.
    reasons: Kept<Vec<(ReasonCount, bool)>>,
    /// Held while a picture is made: it may take 8 bytes of memory for each of its pixels.
    easel: Mutex<()>,
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
            notebook,
            order: Kept::default(),
            counted: Kept::default(),
            bill: Kept::default(),
            reasons: Kept::default(),
            easel: Mutex::new(()),
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

    /// The images to be looked at, as they were told last if that is wanted; `found` images are in the ledger.
    fn order(&self, found: u64, as_told: bool) -> Result<Arc<Vec<Listed>>, No> {
        if let Some(told) = self.order.as_told().filter(|_| as_told) {
            return Ok(told);
        }
        self.order.told(&self.clock, found, || {
            let reader = self.reader()?;
            let order = match &self.only {
                Some(images) => review::order_of(&reader, images),
                None => review::order(&reader, self.sample),
            };
            order.map_err(No::ledger)
        })
    }

    /// Writes what a person did, after which lists and counts are others.
    fn note(&self, entry: Entry) -> Result<u64, NotNoted> {
        let noted = self.notebook.write(entry);
        // Whoever could not write has changed nothing, and is no reason to walk over all images again.
        if !matches!(noted, Err(NotNoted::Locked(_) | NotNoted::Between)) {
            self.order.forget();
            self.counted.forget();
            self.reasons.forget();
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
    fn counted(&self, found: u64) -> Result<Arc<Counted>, No> {
        self.counted.told(&self.clock, found, || {
            let (reader, settings) = (self.reader()?, self.settings());
            let report = Report {
                reader: &reader,
                layout: &self.layout,
                models: &settings.models,
                name: self.name(),
                max_pixels: settings.encode.max_pixels,
                now: self.clock.now(),
            };
            report.counted().map_err(|error| No::Broken(error.to_string()))
        })
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
