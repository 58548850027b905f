//! What a run would ask and cost: the folder is walked, each file is looked up in the ledger, sums are kept and no list.
//! Nothing is written, and no connection is opened.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use unicode_normalization::UnicodeNormalization as _;

use crate::corpus::local::{LocalCorpus, LocalOptions, Pages, TextsLocation};
use crate::corpus::{Corpus as _, PassedOver, Walked};
use crate::domain::image::{Fate, Found, Pixels, Reason, RelPath};
use crate::domain::money::Money;
use crate::domain::recipe::Recipe;
use crate::domain::stale;
use crate::domain::tokens::Counting;
use crate::kit::atomic_file::Mark;
use crate::kit::exit_guard::ExitGuard;
use crate::kit::hash;
use crate::kit::path_bytes::from_name;
use crate::ledger::LedgerError;
use crate::ledger::moves::ImageState;
use crate::ledger::reader::{KnownImage, Made, Reader};
use crate::settings::{self, ProviderKind, Settings};

/// Output tokens of a page before any was seen: at least, as expected.
const GUESS: [u64; 2] = [150, 600];
/// Bytes of a line around prompt and image.
const AROUND: u64 = 512;

/// What a plan is made from.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The settings in force.
    pub settings: &'a Settings,
    /// The folder, links resolved.
    pub root: &'a Path,
    /// Today's recipe.
    pub recipe: &'a Recipe,
}

/// One image, for lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It would be asked.
    Owed,
    /// It would not, for this reason.
    Skipped(String),
    /// Its text was made by another recipe: what differs.
    Stale(Vec<&'static str>),
    /// Its text bears the name of another one where case and Unicode forms do not count.
    Collides,
}

/// The sums.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Images in the folder.
    pub found: u64,
    /// To be asked.
    pub owed: u64,
    /// In a shard or batch.
    pub in_flight: u64,
    /// With a text, or known to be blank.
    pub done: u64,
    /// Of them, made by another recipe.
    pub stale: u64,
    /// Of them, read by the built-in engine while another provider is named.
    pub built_in: u64,
    /// With a rough text.
    pub rough: u64,
    /// Failed, by reason.
    pub failed: BTreeMap<String, u64>,
    /// Never to be asked, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// Images whose texts would share a name where case and Unicode forms do not count.
    pub collisions: u64,
    /// Files and folders that are no images of this corpus.
    pub passed_over: PassedOver,
    /// Bytes of all lines.
    pub bytes: u64,
    /// Batches that they make.
    pub batches: u64,
    /// Prompt tokens, estimated from image sizes.
    pub tokens_in: u64,
    /// Output tokens: at least, as expected, at most.
    pub tokens_out: [u64; 3],
    /// Whether answers in the ledger stand behind the expectation.
    pub measured: bool,
    /// At the Batch price: at least, as expected, at most; `None` where no price is known.
    pub cost: Option<[Money; 3]>,
}

/// Why no plan came about.
#[derive(Debug, thiserror::Error)]
pub enum PlanError<E> {
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The folder cannot be listed.
    #[error("{0}")]
    Folder(std::io::Error),
    /// Whoever listens to the list has had enough.
    #[error("the list was given up")]
    Listener(E),
}

/// Walks the folder and adds everything up; `each` hears of every image.
///
/// # Errors
/// The ledger's, the folder's, and whatever `each` says.
pub fn plan<E>(
    ask: &Ask<'_>,
    reader: Option<&Reader>,
    mut each: impl FnMut(&RelPath, &Told) -> Result<(), E>,
) -> Result<Plan, PlanError<E>> {
    let made = reader.map(Reader::made).transpose()?.unwrap_or_default();
    let root = from_name(ask.root.as_os_str());
    let mut sums = Sums::new(ask);
    let mut names = Names::default();
    let mut lane = corpus(ask).and_then(|corpus| corpus.walk(ExitGuard::unheard("walk"))).map_err(PlanError::Folder)?;
    while let Some(walked) = lane.blocking_recv() {
        let (page, passed) = match walked {
            Walked::Page(page, passed) => (page, passed),
            Walked::Over => break,
            Walked::Broken(cause) => return Err(PlanError::Folder(cause)),
        };
        sums.plan.passed_over.add(passed);
        for found in &page {
            let known = reader.map(|reader| reader.known(&root, &found.path)).transpose()?.flatten();
            let told = sums.take(found, known.as_ref(), &made);
            if let Some(told) = told {
                each(&found.path, &told).map_err(PlanError::Listener)?;
            }
            if names.collides(&found.path) {
                sums.plan.collisions += 1;
                each(&found.path, &Told::Collides).map_err(PlanError::Listener)?;
            }
        }
    }
    let mean = reader.map(|reader| reader.mean_output(&ask.recipe.model)).transpose()?.flatten();
    Ok(sums.close(mean))
}

/// What differs between today's recipe and the ones behind done images, and how many images that touches.
#[must_use]
pub fn stale(made: &[Made], today: &Recipe, real_provider: bool) -> (BTreeSet<&'static str>, u64) {
    let mut whole = (BTreeSet::new(), 0);
    // Whoever has gone on once, or has ordered another model for some, knows that there are two.
    if made.iter().any(|one| one.recipe.step == 1 && stale::changed(&one.recipe, today).is_empty()) {
        return whole;
    }
    // Texts of the built-in engine give way to a real provider by themselves; that is no change of the recipe.
    for one in made.iter().filter(|one| one.built_in != real_provider) {
        let parts = stale::changed(&one.recipe, today);
        whole.1 += if parts.is_empty() { 0 } else { one.images };
        whole.0.extend(parts);
    }
    whole
}

fn corpus(ask: &Ask<'_>) -> std::io::Result<LocalCorpus> {
    let (settings, layout) = (ask.settings, ask.settings.layout());
    let own = [&layout.batch, &layout.completed, &layout.output, &layout.extraction];
    let options = LocalOptions {
        valid_endings: settings.valid_image_types.clone(),
        excluded_folders: own.into_iter().chain(layout.texts.as_ref()).cloned().collect(),
        max_image_bytes: most_bytes(settings).saturating_sub(line_bytes(ask.recipe, 0)) / 4 * 3,
        max_pixels: settings.encode.max_pixels,
        preparation: ask.recipe.preparation(),
        pages: match settings.encode.pages {
            settings::Pages::Each => Pages::Each,
            settings::Pages::First => Pages::First,
            settings::Pages::Refuse => Pages::Refuse,
        },
        texts: layout.texts.clone().map_or(TextsLocation::Beside, TextsLocation::Mirror),
        // The mark of no workspace: the walk removes nothing, whoever left it.
        mark: Mark::new(&layout.batch.join("plan"))?,
    };
    Ok(LocalCorpus::new(ask.root.to_owned(), options))
}

fn most_bytes(settings: &Settings) -> u64 {
    settings.shard.max_shard_bytes.min(settings.provider.max_file_bytes)
}

fn text_bytes(recipe: &Recipe) -> u64 {
    (recipe.prompt.len() + recipe.parameters.system.as_ref().map_or(0, String::len)) as u64
}

fn line_bytes(recipe: &Recipe, image: u64) -> u64 {
    image.div_ceil(3) * 4 + text_bytes(recipe) + AROUND
}

/// Sums under way.
struct Sums<'a> {
    ask: &'a Ask<'a>,
    counting: Counting,
    plan: Plan,
    /// Lines, bytes and tokens of the batch that is being filled.
    batch: [u64; 3],
}

impl<'a> Sums<'a> {
    fn new(ask: &'a Ask<'a>) -> Self {
        let counting = ask.settings.models.counting(&ask.recipe.model, &ask.recipe.parameters.detail);
        Self { ask, counting, plan: Plan::default(), batch: [0; 3] }
    }

    /// Counts one file; what a list says of it.
    fn take(&mut self, found: &Found, known: Option<&KnownImage>, made: &[Made]) -> Option<Told> {
        self.plan.found += 1;
        let Some(known) = known else { return Some(self.new_one(found)) };
        let reason = || known.reason.clone().unwrap_or_default();
        match known.state {
            ImageState::Owed => Some(self.by_fate(found)),
            ImageState::Packed => {
                self.plan.in_flight += 1;
                None
            }
            ImageState::Done => self.done(known, made),
            ImageState::Rough => {
                self.plan.rough += 1;
                None
            }
            ImageState::Failed => Some(ended(&mut self.plan.failed, reason())),
            ImageState::Skipped => Some(ended(&mut self.plan.skipped, reason())),
        }
    }

    fn new_one(&mut self, found: &Found) -> Told {
        if found.text_present && matches!(found.fate, Fate::Owed(_)) {
            return ended(&mut self.plan.skipped, Reason::TextPresent.word().to_owned());
        }
        self.by_fate(found)
    }

    fn by_fate(&mut self, found: &Found) -> Told {
        match &found.fate {
            Fate::Owed(looks) => {
                let pages = looks.pages.len() as u64;
                for page in &looks.pages {
                    self.owed(found.stamp.bytes / pages.max(1), *page);
                }
                Told::Owed
            }
            Fate::Failed(reason) => ended(&mut self.plan.failed, reason.word().to_owned()),
            Fate::Skipped(reason) => ended(&mut self.plan.skipped, reason.word().to_owned()),
        }
    }

    fn owed(&mut self, image: u64, pixels: Pixels) {
        let settings = self.ask.settings;
        let line = [1, line_bytes(self.ask.recipe, image), self.counting.line(pixels, text_bytes(self.ask.recipe))];
        let bounds = [
            u64::from(settings.max_images_per_batch.min(settings.provider.max_lines)),
            most_bytes(settings),
            settings.shard.max_shard_tokens.unwrap_or(u64::MAX),
        ];
        let full = self.batch.iter().zip(line).zip(bounds).any(|((held, more), bound)| held + more > bound);
        if full || self.plan.owed == 0 {
            self.plan.batches += 1;
            self.batch = [0; 3];
        }
        for (held, more) in self.batch.iter_mut().zip(line) {
            *held += more;
        }
        self.plan.owed += 1;
        self.plan.bytes += line[1];
        self.plan.tokens_in += line[2];
    }

    fn done(&mut self, known: &KnownImage, made: &[Made]) -> Option<Told> {
        self.plan.done += 1;
        let row = known.made_by?;
        let real = self.ask.settings.provider.name == ProviderKind::OpenAi;
        if known.built_in == real {
            self.plan.built_in += u64::from(real);
            return None;
        }
        let recipe = &made.iter().find(|one| one.row == row)?.recipe;
        let changed = stale::changed(recipe, self.ask.recipe);
        if changed.is_empty() {
            return None;
        }
        self.plan.stale += 1;
        Some(Told::Stale(changed))
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an estimate"
    )]
    fn close(mut self, mean: Option<f64>) -> Plan {
        let most = u64::from(self.ask.settings.request.max_output_tokens);
        let pages = self.plan.owed;
        self.plan.measured = mean.is_some();
        self.plan.tokens_out = match mean {
            Some(mean) => [(mean * pages as f64) as u64, (mean * pages as f64) as u64, most * pages],
            None => [GUESS[0].min(most) * pages, GUESS[1].min(most) * pages, most * pages],
        };
        let real = self.ask.settings.provider.name == ProviderKind::OpenAi;
        let price = self.ask.settings.models.price(&self.ask.recipe.model).filter(|_| real);
        self.plan.cost = price.map(|price| self.plan.tokens_out.map(|tokens| price.of(self.plan.tokens_in, tokens)));
        self.plan
    }
}

fn ended(reasons: &mut BTreeMap<String, u64>, reason: String) -> Told {
    *reasons.entry(reason.clone()).or_default() += 1;
    Told::Skipped(reason)
}

/// Names of the folders that the walk has not left yet, as hashes: a few bytes for each file of the largest folder.
#[derive(Default)]
struct Names {
    open: Vec<(Vec<u8>, BTreeSet<u64>)>,
}

impl Names {
    /// Whether a file of this folder was seen whose name differs by case or Unicode form alone.
    fn collides(&mut self, path: &RelPath) -> bool {
        while self.open.last().is_some_and(|(folder, _)| !is_within(&path.folder, folder)) {
            drop(self.open.pop());
        }
        if self.open.last().is_none_or(|(folder, _)| *folder != path.folder) {
            self.open.push((path.folder.clone(), BTreeSet::new()));
        }
        let folded = String::from_utf8_lossy(&path.name).nfc().collect::<String>().to_lowercase();
        let [a, b, c, d, e, f, g, h, ..] = hash::short(folded.as_bytes());
        let seen = self.open.last_mut().map(|(_, names)| names);
        seen.is_some_and(|names| !names.insert(u64::from_le_bytes([a, b, c, d, e, f, g, h])))
    }
}

fn is_within(folder: &[u8], upper: &[u8]) -> bool {
    upper.is_empty() || folder.strip_prefix(upper).is_some_and(|rest| rest.first().is_none_or(|byte| *byte == b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_by_case_or_form_alone() {
        let mut names = Names::default();
        let collides =
            ["a/1.png", "a/2.png", "a/b/1.png", "a/2.PNG", "c/1.png", "c/\u{e9}.png", "c/e\u{301}.png"].map(|path| {
                let (folder, name) = path.rsplit_once('/').expect("a folder");
                names.collides(&RelPath { folder: folder.into(), name: name.into(), page: 1 })
            });
        assert_eq!(collides, [false, false, false, true, false, false, true]);
        assert_eq!(names.open.len(), 1, "folders that the walk has left are forgotten");
    }
}
