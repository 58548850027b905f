//! What a report tells, counted while the images pass by once.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::draw::Draw;
use super::sent::{self, Sent};
use super::timeline::{self, Bar};
use super::{Error, Report};
use crate::domain::batch::Usage;
use crate::domain::image::shown;
use crate::kit::clock::Millis;
use crate::kit::hash;
use crate::ledger::moves::ImageState;
use crate::ledger::reader::{BatchRow, CorpusRoot, EDITED, EngineRow, ImageResult, Reader, RecipeRow, RunRow};
use crate::ledger::records::Standing;
use crate::ops::bill::{self, Bill, By, Sum};

/// Pages of each kind that the page shows side by side with their texts.
const SHOWN: usize = 12;
/// Images named for each reason; the table has them all.
const NAMED: usize = 50;
/// Flags of a text that nobody has to look at.
const HARMLESS: [&str; 7] = ["blank", "fenced", "escapes_decoded", "deep_cleaned", EDITED, "rotated", "shrunk"];
/// Batches asked for at once.
const BATCHES: u32 = 256;

/// What the ledger tells without its images.
#[derive(Debug)]
pub(super) struct Surroundings {
    pub(super) name: String,
    pub(super) now: Millis,
    pub(super) standing: Standing,
    pub(super) folders: Vec<CorpusRoot>,
    pub(super) runs: Vec<RunRow>,
    pub(super) engines: Vec<EngineRow>,
    pub(super) sent: Vec<Sent>,
    pub(super) recipes: Vec<RecipeRow>,
    pub(super) bill: Bill,
    pub(super) batches: u64,
    pub(super) bars: Vec<Bar>,
}

/// The images that ended for one reason.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Failures {
    /// How many.
    pub(super) images: u64,
    /// The first of them.
    pub(super) named: Vec<String>,
}

/// Everything that a report tells.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) around: Surroundings,
    /// Of failed and skipped images, by state and reason.
    pub(super) failures: BTreeMap<(&'static str, String), Failures>,
    /// How often each flag was given.
    pub(super) flags: BTreeMap<String, u64>,
    /// What people thought of texts.
    pub(super) reviews: BTreeMap<String, u64>,
    /// Texts that any flag makes doubtful.
    pub(super) doubts: u64,
    /// Texts drawn from all.
    pub(super) random: Draw<ImageResult>,
    /// Texts drawn from the doubtful ones.
    pub(super) doubtful: Draw<ImageResult>,
}

impl Surroundings {
    /// Reads it.
    pub(super) fn of(report: &Report<'_>) -> Result<Self, Error> {
        let reader = report.reader;
        let (batches, newest) = newest(reader)?;
        let (runs, engines) = (reader.runs()?, reader.engines()?);
        Ok(Self {
            name: report.name.clone(),
            now: report.now,
            standing: reader.standing()?,
            folders: reader.corpora()?,
            sent: sent::sent(&runs, &engines),
            runs,
            engines,
            recipes: reader.recipes_sent()?,
            bill: bill::bill(reader, report.models, By::Model)?,
            batches,
            bars: timeline::bars(&newest, report.now),
        })
    }
}

/// How many batches were opened, and the newest of them.
fn newest(reader: &Reader) -> Result<(u64, Vec<BatchRow>), Error> {
    let (mut count, mut newest, mut after) = (0, Vec::new(), None);
    loop {
        let page = reader.batches(after, BATCHES)?;
        let Some(last) = page.last() else { return Ok((count, newest)) };
        after = Some(last.no);
        newest.extend(page.into_iter().filter(|batch| batch.opened_at.is_some()).inspect(|_| count += 1));
        let too_many = newest.len().saturating_sub(timeline::SHOWN);
        newest.drain(..too_many);
    }
}

impl Facts {
    /// Nothing counted yet.
    pub(super) fn new(around: Surroundings) -> Self {
        Self {
            around,
            failures: BTreeMap::new(),
            flags: BTreeMap::new(),
            reviews: BTreeMap::new(),
            doubts: 0,
            random: Draw::new(SHOWN),
            doubtful: Draw::new(SHOWN),
        }
    }

    /// Counts an image.
    pub(super) fn add(&mut self, image: ImageResult) {
        for flag in &image.flags {
            *self.flags.entry(flag.clone()).or_default() += 1;
        }
        if let Some(review) = &image.review {
            *self.reviews.entry(review.clone()).or_default() += 1;
        }
        match (image.state, &image.reason) {
            (state @ (ImageState::Failed | ImageState::Skipped), Some(reason)) => {
                let failures = self.failures.entry((state.word(), reason.clone())).or_default();
                failures.images += 1;
                if failures.named.len() < NAMED {
                    failures.named.push(image.path.shown());
                }
            }
            (ImageState::Done | ImageState::Rough, _) if image.text.as_deref() != Some("page") => self.draw(image),
            _ => {}
        }
    }

    fn draw(&mut self, image: ImageResult) {
        let name = image.path.joined();
        if is_doubtful(&image) {
            self.doubts += 1;
            self.doubtful.put(&name, || image.clone());
        }
        self.random.put(&name, || image);
    }

    /// All of it for programs.
    pub(super) fn document(&self) -> Value {
        let Surroundings { name, now, standing, folders, runs, sent, recipes, bill, batches, .. } = &self.around;
        let Standing { found, done, rough, failed, skipped, owed, packed, .. } = *standing;
        let failures = self.failures.iter().map(|((state, reason), failures)| {
            json!({"state": state, "reason": reason, "images": failures.images, "first": failures.named})
        });
        let drawn = |draw: &Draw<ImageResult>| draw.drawn().map(|image| image.path.shown()).collect::<Vec<_>>();
        json!({
            "schema": 1,
            "type": "report",
            "workspace": name,
            "written_at": super::table::utc(*now),
            "program_version": env!("CARGO_PKG_VERSION"),
            "folders": folders.iter().map(|folder| shown(&folder.root)).collect::<Vec<_>>(),
            "images": {"found": found, "done": done, "rough": rough, "failed": failed, "skipped": skipped, "owed": owed,
                "in_flight": packed, "doubtful": self.doubts},
            "balance_closed": standing.closes(),
            "reasons": failures.collect::<Vec<_>>(),
            "flags": self.flags,
            "reviews": self.reviews,
            "runs": runs.iter().map(run).collect::<Vec<_>>(),
            "sent": sent.iter().map(Sent::told).collect::<Vec<_>>(),
            "recipes": recipes.iter().map(recipe).collect::<Vec<_>>(),
            "batches": {"opened": batches, "open": bill.open, "without_usage": bill.silent_batches},
            "cost": cost(&bill.total),
            "models": bill.rows.iter().map(|(model, sum)| json!({"model": model, "cost": cost(sum)})).collect::<Vec<_>>(),
            "price_days": bill.price_days,
            "sample": {"random": drawn(&self.random), "doubtful": drawn(&self.doubtful)},
        })
    }
}

/// Whether somebody should look at a text before it is trusted.
pub(in crate::ops) fn is_doubtful(image: &ImageResult) -> bool {
    image.state == ImageState::Rough || image.flags.iter().any(|flag| !HARMLESS.contains(&flag.as_str()))
}

fn run(run: &RunRow) -> Value {
    json!({"name": run.name, "began_at": super::table::utc(run.started_at), "program_version": run.version,
        "provider": run.base_url, "requests": run.requests, "bytes": run.bytes})
}

fn recipe(recipe: &RecipeRow) -> Value {
    let parameters: Value =
        serde_json::from_str(&recipe.parameters).unwrap_or_else(|_| recipe.parameters.as_str().into());
    json!({"blake3_128": hash::hex(&recipe.hash), "kind": recipe.kind, "step": recipe.step, "model": recipe.model,
        "prompt": recipe.prompt, "parameters": parameters, "requests": recipe.requests})
}

fn cost(sum: &Sum) -> Value {
    let Usage { prompt, cached, output, reasoning } = sum.usage;
    json!({"currency": "USD", "spent": sum.known_cost().map(|cost| cost.usd()), "at_least": sum.is_at_least(),
        "retries": sum.retries_cost.usd(), "answers": sum.answers, "estimated_in": sum.estimated,
        "tokens": {"in": prompt, "cached": cached, "out": output, "reasoning": reasoning}})
}
