//! What a run would ask and cost: the folder is walked, each file is looked up in the ledger, sums are kept and no list.
//! Nothing is written, and no connection is opened.

mod copies;
mod forecast;
mod in_the_way;
mod names;
mod others;
mod packing;
mod place;
mod sums;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::corpus::local::{LocalCorpus, LocalOptions, TextsLocation};
use crate::corpus::{Corpus as _, PassedOver, Walked};
use crate::domain::image::{Fate, Found, RelPath};
use crate::domain::money::Money;
use crate::domain::recipe::Recipe;
use crate::domain::stale;
use crate::encode::line::Framer;
use crate::kit::alike::Alike;
use crate::kit::atomic_file::Mark;
use crate::kit::exit_guard::ExitGuard;
use crate::kit::path_bytes::from_name;
use crate::ledger::LedgerError;
use crate::ledger::moves::ImageState;
use crate::ledger::reader::{EstimateRow, KnownImage, Made, Reader};
use crate::ledger::second_look::{Act, judge};
use crate::settings::{Duplicates, Settings};

use self::copies::Copies;
pub use self::forecast::{Correction, Time};
pub use self::in_the_way::{Shared, There, shared, there};
use self::names::Names;
pub use self::others::{Change, Other, SIDE};
pub use self::packing::Bound;
pub use self::place::{NoPlace, no_place};
use self::sums::Sums;

/// Bytes of a line around prompt and image, about.
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
    /// Today, as `2026-11-22`: models that have ended by then are not proposed.
    pub today: &'a str,
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
    /// Of them, made ready first: converted, turned or shrunk.
    pub converted: u64,
    /// Copies of images that are to be asked or in flight: one of each is paid for.
    pub copies: u64,
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
    /// What fills them; `None` while one batch holds everything.
    pub binds: Option<Bound>,
    /// Tokens that may be enqueued for the model; `None`: nobody has told yet.
    pub queue_limit: Option<u64>,
    /// Prompt tokens, estimated from image sizes and corrected.
    pub tokens_in: u64,
    /// How far the estimate was off so far.
    pub correction: Option<Correction>,
    /// Tokens that the largest page may come to, its longest answer included.
    pub largest_page: u64,
    /// Output tokens: at least, as expected, at most.
    pub tokens_out: [u64; 3],
    /// Whether answers in the ledger stand behind the expectation.
    pub measured: bool,
    /// At the Batch price: at least, as expected, at most; `None` where no price is known.
    pub cost: Option<[Money; 3]>,
    /// How long it will take.
    pub time: Option<Time>,
    /// What other settings would change.
    pub others: Vec<Other>,
}

/// What the ledger teaches, all of it empty before the first batch.
#[derive(Default)]
struct Lessons {
    made: Vec<Made>,
    estimates: Vec<EstimateRow>,
    /// Sum of output tokens, and the answers they are of.
    output: Option<[u64; 2]>,
    queue_limit: Option<u64>,
}

impl Lessons {
    fn of(reader: &Reader, model: &str) -> Result<Self, LedgerError> {
        let queue = reader.queues()?.into_iter().find(|queue| queue.model == model);
        Ok(Self {
            made: reader.made()?,
            estimates: reader.estimates()?,
            output: reader.output_so_far(model)?,
            queue_limit: queue.and_then(|queue| queue.limit),
        })
    }
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

/// What else lies in the folder where there is no image in it at all; looks no further than the first images.
///
/// # Errors
/// The folder's.
pub fn without_images(ask: &Ask<'_>) -> std::io::Result<Option<PassedOver>> {
    let mut lane = corpus(ask)?.walk(None, ExitGuard::unheard("walk"))?;
    let mut others = PassedOver::default();
    while let Some(walked) = lane.blocking_recv() {
        match walked {
            Walked::Page(page, passed) if page.is_empty() => others.add(passed),
            Walked::Page(..) => return Ok(None),
            Walked::Over => break,
            Walked::Broken(cause) => return Err(cause),
        }
    }
    Ok(Some(others))
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
    let lessons = reader.map(|reader| Lessons::of(reader, &ask.recipe.model)).transpose()?.unwrap_or_default();
    let root = from_name(ask.root.as_os_str());
    let mut sums = Sums::new(ask, &lessons);
    let mut names = Names::below(ask.root, Alike::ANY);
    let mut copies = (ask.settings.encode.duplicates == Duplicates::Once).then(Copies::default);
    let corpus = corpus(ask).map_err(PlanError::Folder)?;
    let mut lane = corpus.walk(None, ExitGuard::unheard("walk")).map_err(PlanError::Folder)?;
    while let Some((page, passed)) = page_of(lane.blocking_recv())? {
        sums.plan.passed_over.add(passed);
        for found in &page {
            let mut passed_over = found.text_present;
            for page in pages_of(found) {
                let path = found.path.with_page(page);
                let known = reader.map(|reader| reader.known(&root, &path)).transpose()?.flatten();
                let is_copy = known.as_ref().is_some_and(|known| known.copy && known.last.stamp == found.stamp)
                    || is_asked(found, known.as_ref())
                        && copies.as_mut().is_some_and(|copies| copies.is_copy(&corpus, found));
                if let Some(told) = sums.take(found, (page, passed_over), known.as_ref(), &lessons.made, is_copy) {
                    each(&path, &told).map_err(PlanError::Listener)?;
                }
                // A text beside a file whose first page was asked for is the file's own, and leaves no new page out.
                passed_over &= known.is_none_or(|known| known.last.state == ImageState::Skipped);
            }
            if names.meets(&found.path) > 0 {
                sums.plan.collisions += 1;
                each(&found.path, &Told::Collides).map_err(PlanError::Listener)?;
            }
        }
    }
    let mut plan = sums.close();
    let (deliveries, times) = match reader {
        Some(reader) => (reader.deliveries()?, reader.batch_times()?),
        None => (Vec::new(), Vec::new()),
    };
    plan.time = (plan.owed > 0).then(|| Time::of(plan.bytes, &deliveries, times));
    Ok(plan)
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

/// Whether a file of one page would be asked.
fn is_asked(found: &Found, known: Option<&KnownImage>) -> bool {
    matches!(&found.fate, Fate::Owed(looks) if looks.pages.len() == 1) && is_wanted(found, known)
}

/// Whether the walk leaves an image of the file owed, as far as its first page tells.
fn is_wanted(found: &Found, known: Option<&KnownImage>) -> bool {
    known.map_or(!found.text_present, |known| {
        known.last.state == ImageState::Owed || matches!(judge(&known.last, found), Act::Ask { .. })
    })
}

/// The page that a walk hands on; none when it is over.
fn page_of<E>(walked: Option<Walked>) -> Result<Option<(Vec<Found>, PassedOver)>, PlanError<E>> {
    match walked {
        Some(Walked::Page(page, passed)) => Ok(Some((page, passed))),
        Some(Walked::Broken(cause)) => Err(PlanError::Folder(cause)),
        Some(Walked::Over) | None => Ok(None),
    }
}

/// Pages that are asked for one by one; a file that cannot be asked for is told once.
fn pages_of(found: &Found) -> std::ops::RangeInclusive<u32> {
    1..=u32::try_from(found.images()).unwrap_or(u32::MAX)
}

/// The images as a run would see them.
fn corpus(ask: &Ask<'_>) -> std::io::Result<LocalCorpus> {
    let (settings, layout) = (ask.settings, ask.settings.layout());
    let framer = Framer::new(ask.recipe, settings.image_dir_given.as_bytes())?;
    let options = LocalOptions {
        valid_endings: settings.valid_image_types.clone(),
        excluded_folders: layout.own_folders(),
        max_image_bytes: framer.largest_image(settings.most_shard_bytes()),
        max_pixels: settings.encode.max_pixels,
        preparation: ask.recipe.preparation(),
        pages: settings.encode.pages,
        texts: layout.texts.clone().map_or(TextsLocation::Beside, TextsLocation::Mirror),
        // The mark of no workspace: the walk removes nothing, whoever left it.
        mark: Mark::new(&layout.batch.join("plan"))?,
        arrivals: None,
    };
    Ok(LocalCorpus::new(ask.root.to_owned(), options))
}

fn text_bytes(recipe: &Recipe) -> u64 {
    (recipe.prompt.len() + recipe.parameters.system.as_ref().map_or(0, String::len)) as u64
}

fn line_bytes(recipe: &Recipe, image: u64) -> u64 {
    image.div_ceil(3) * 4 + text_bytes(recipe) + AROUND
}
