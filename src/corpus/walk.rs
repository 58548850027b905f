//! The listing of a tree: depth first, errors counted, memory bounded whatever the tree looks like.
//!
//! Order: by name within a folder of up to 10,000 entries, so that the pages of a book stay together; a larger folder comes
//! in sorted runs. A folder's handle is closed as soon as its names are known, so depth costs no open files.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;
use tokio::sync::mpsc;

use super::arrivals::{Arrivals, Look, Round, Seen};
use super::beneath::Root;
use super::local::{Listed, LocalCorpus, Measured, Place};
use super::names::{self, Promise};
use super::{Known, PAGE, PassedOver, Walked};
use crate::domain::image::{Fate, Found, Reason, RelPath, Stamp, shown};
use crate::kit::clock::Stopwatch;
use crate::kit::folder::{Entries, Entry, Sort};
use crate::kit::path_bytes;

/// Names held in memory, over all folders that are open.
const MOST_NAMES: usize = 10_000;
/// Names read at a time from a folder deep in a tree whose upper folders hold all the others.
const FEWEST_NAMES: usize = 64;

/// Nobody listens any more.
pub(super) struct Gone;

/// One walk, from root to [`Walked::Over`].
pub(super) struct Walk<'a> {
    corpus: &'a LocalCorpus,
    lane: &'a mpsc::Sender<Walked>,
    /// Working folders, as the system spells them.
    excluded: Vec<PathBuf>,
    root: PathBuf,
    page: Vec<Found>,
    /// Images of the page under way, how many it has room for, and since when it has one.
    images: usize,
    room: usize,
    begun: Stopwatch,
    passed_over: PassedOver,
    names_held: usize,
    known: Option<Known>,
    /// Files that may be known, and what their names told.
    stamped: Vec<(RelPath, Stamp)>,
    listed: Vec<Listed>,
    /// The folder whose files are being looked at.
    place: Option<(Vec<u8>, Place)>,
    /// What the walk before has seen, where there may have been one.
    round: Option<Round>,
}

/// A folder under way.
struct Level {
    folder: Vec<u8>,
    entries: Option<Entries>,
    run: std::vec::IntoIter<Entry>,
    /// Whether it, or a folder above, was changed lately; nobody asks where there is no round.
    young: bool,
    /// Whether a run of it was read.
    begun: bool,
    /// Since when all of its names lie in this run and none may be a text's, if that is so.
    textless: Option<Stopwatch>,
}

/// How long a listing without texts is believed: a text that is put there later must be seen, or its image is paid for.
const BELIEVED: Duration = Duration::from_secs(1);

/// Images of the first page; each further one has twice as many, up to [`PAGE`]. Whoever waits for the first image, to send it or
/// only to know that there is one, waits for few others.
const FIRST_PAGE: usize = 64;

/// How long a page is gathered.
const GATHERED: Duration = Duration::from_secs(1);

impl<'a> Walk<'a> {
    pub(super) fn new(corpus: &'a LocalCorpus, known: Option<Known>, lane: &'a mpsc::Sender<Walked>) -> Self {
        // Links in front of the root are resolved once, so that a working folder is known by whatever way it was named.
        let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        Self {
            corpus,
            lane,
            excluded: corpus.options().excluded_folders.iter().map(|folder| real(folder)).collect(),
            root: real(corpus.root()),
            page: Vec::with_capacity(FIRST_PAGE),
            images: 0,
            room: FIRST_PAGE,
            begun: Stopwatch::start(),
            passed_over: PassedOver::default(),
            names_held: 0,
            known,
            stamped: Vec::new(),
            listed: Vec::new(),
            place: None,
            round: corpus.options().arrivals.as_ref().map(Arrivals::begin),
        }
    }

    /// Lists everything.
    pub(super) fn run(mut self) -> Result<(), Gone> {
        let opened = Root::open(&self.root).and_then(|root| Ok((root.folder(b"")?.entries()?, root)));
        let (entries, root) = match opened {
            Ok(opened) => opened,
            Err(cause) => return self.send(Walked::Broken(cause)),
        };
        let mut levels = vec![Level::new(Vec::new(), entries, false)];
        while let Some(level) = levels.last_mut() {
            let Some(entry) = self.next(level) else {
                drop(levels.pop());
                continue;
            };
            if entry.sort == Sort::Folder {
                let folder = below(&level.folder, &entry.name);
                let young = level.young || self.is_young(&root, &level.folder, &entry.name);
                levels.extend(self.enter(&root, folder, young));
            } else {
                let path = RelPath { folder: level.folder.clone(), name: entry.name, page: 1 };
                let listed = Listed { textless: level.textless, ..self.corpus.listed(&path.name) };
                self.consider(&root, path, (entry.sort, listed), level.young)?;
            }
        }
        self.measure_strangers(&root)?;
        self.turn_page()?;
        if let (Some(arrivals), Some(round)) = (&self.corpus.options().arrivals, self.round.take()) {
            arrivals.end(round);
        }
        self.send(Walked::Over)
    }

    fn next(&mut self, level: &mut Level) -> Option<Entry> {
        if level.run.len() == 0 {
            let room = MOST_NAMES.saturating_sub(self.names_held).max(FEWEST_NAMES);
            if let Err(cause) = level.fill(room) {
                self.passed_over.add_unreadable(shown(cause.to_string().as_bytes()));
            }
            self.names_held += level.run.len();
        }
        let entry = level.run.next()?;
        self.names_held -= 1;
        Some(entry)
    }

    /// The level of a folder, unless it is left out or cannot be read.
    fn enter(&mut self, root: &Root, folder: Vec<u8>, young: bool) -> Option<Level> {
        let name = folder.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        if names::is_left_out(name) || self.is_excluded(&folder) {
            self.passed_over.folders += 1;
            return None;
        }
        match root.folder(&folder).and_then(|folder| folder.entries()) {
            Ok(entries) => Some(Level::new(folder, entries, young)),
            Err(cause) => {
                self.passed_over.add_unreadable(shown(cause.to_string().as_bytes()));
                None
            }
        }
    }

    /// Whether the folder `name` of `folder` was changed lately; only a walk that others go before and after asks.
    fn is_young(&mut self, root: &Root, folder: &[u8], name: &[u8]) -> bool {
        if self.round.is_none() {
            return false;
        }
        let changed = self.place(root, folder).and_then(|place| place.images.facts(name)).map(|facts| facts.changed_ms);
        // What cannot be looked at passes for changed.
        let Ok(Some(changed)) = changed else { return true };
        self.round.as_ref().is_some_and(|round| !round.is_old(changed))
    }

    /// Whether a file is to be looked at now.
    fn arrived(&mut self, root: &Root, path: &RelPath, promise: Promise, in_young_folder: bool) -> Look {
        if self.round.is_none() || promise == Promise::Other {
            return Look::Measure;
        }
        let facts = self.place(root, &path.folder).and_then(|place| place.images.facts(&path.name));
        // What cannot be looked at here has its own end further on.
        let (Ok(facts), Some(round)) = (facts, &mut self.round) else { return Look::Measure };
        round.look(path, &Seen { stamp: facts.stamp(), changed_ms: facts.changed_ms, in_young_folder })
    }

    fn is_excluded(&self, folder: &[u8]) -> bool {
        !self.excluded.is_empty() && self.excluded.contains(&self.root.join(path_bytes::to_path(folder)))
    }

    /// Finds what becomes of one entry that is no folder.
    fn consider(
        &mut self,
        root: &Root,
        path: RelPath,
        (sort, listed): (Sort, Listed),
        in_young_folder: bool,
    ) -> Result<(), Gone> {
        if sort == Sort::File && self.corpus.options().mark.is_left_over(&path.name) {
            // An earlier life of this workspace was killed while it wrote a text. What cannot be removed does no harm.
            drop(self.place(root, &path.folder).and_then(|place| place.images.remove(&path.name)));
            return Ok(());
        }
        match self.arrived(root, &path, listed.promise, in_young_folder) {
            Look::Measure => {}
            Look::Known => return Ok(()),
            Look::Wait => {
                self.passed_over.arriving += 1;
                return Ok(());
            }
        }
        match (sort, listed.promise) {
            (Sort::Link, _) | (Sort::Odd, Promise::Other) => self.passed_over.links += 1,
            (_, Promise::Other) => self.passed_over.add_files(names::ending(&path.name), 1),
            (Sort::Odd, _) | (_, Promise::Excluded) => {
                return self.ended(root, path, Fate::Skipped(Reason::Excluded));
            }
            (_, Promise::Image | Promise::Unsendable) if self.known.is_some() => return self.meet(root, path, listed),
            (_, Promise::Image | Promise::Unsendable) => return self.measure(root, path, listed),
        }
        Ok(())
    }

    /// Asks for the stamp alone, which tells whether a file is known.
    fn meet(&mut self, root: &Root, path: RelPath, listed: Listed) -> Result<(), Gone> {
        match self.place(root, &path.folder).and_then(|place| place.images.facts(&path.name)) {
            Ok(facts) if facts.sort == Sort::File => {
                self.stamped.push((path, facts.stamp()));
                self.listed.push(listed);
            }
            // Whatever is odd about it shows when it is opened.
            _ => return self.measure(root, path, listed),
        }
        if self.stamped.len() == PAGE { self.measure_strangers(root) } else { Ok(()) }
    }

    /// Looks into those of the files met that nobody knows.
    fn measure_strangers(&mut self, root: &Root) -> Result<(), Gone> {
        let (met, listed) = (std::mem::take(&mut self.stamped), std::mem::take(&mut self.listed));
        let known = self.known.as_ref().map(|known| known(met.clone())).unwrap_or_default();
        let known = known.into_iter().chain(std::iter::repeat(false));
        let strangers = met.into_iter().zip(listed).zip(known).filter(|(_, known)| !known);
        strangers.map(|(met, _)| met).try_for_each(|((path, _), listed)| self.measure(root, path, listed))
    }

    fn measure(&mut self, root: &Root, path: RelPath, listed: Listed) -> Result<(), Gone> {
        let corpus = self.corpus;
        let listed = listed.believed_for(BELIEVED);
        match look(|| corpus.measure_in(self.place(root, &path.folder)?, &path, listed)) {
            Looked::Measured(measured) => self.push(measured.of(path)),
            Looked::Gone => Ok(()),
            Looked::Ended(fate) => self.ended(root, path, fate),
        }
    }

    /// The folder that is being listed, opened when its first file asks for it.
    fn place(&mut self, root: &Root, folder: &[u8]) -> io::Result<&Place> {
        let open = match self.place.take() {
            Some(open) if open.0 == folder => open,
            _ => (folder.to_vec(), self.corpus.place(root, folder)?),
        };
        Ok(&self.place.insert(open).1)
    }

    fn ended(&mut self, root: &Root, path: RelPath, fate: Fate) -> Result<(), Gone> {
        let facts = self.place(root, &path.folder).and_then(|place| place.images.facts(&path.name));
        let stamp = facts.map_or(Stamp { bytes: 0, mtime_ms: 0 }, |facts| facts.stamp());
        self.push(Found { path, stamp, fate, text_present: false })
    }

    fn push(&mut self, found: Found) -> Result<(), Gone> {
        if self.page.is_empty() {
            (self.images, self.begun) = (0, Stopwatch::start());
        }
        self.images += found.images();
        self.page.push(found);
        if is_full(self.images, self.room, self.begun.elapsed()) { self.turn_page() } else { Ok(()) }
    }

    fn turn_page(&mut self) -> Result<(), Gone> {
        self.room = PAGE.min(2 * self.room);
        let page = std::mem::replace(&mut self.page, Vec::with_capacity(self.room));
        let passed_over = std::mem::take(&mut self.passed_over);
        if page.is_empty() && passed_over == PassedOver::default() {
            return Ok(());
        }
        self.send(Walked::Page(page, passed_over))
    }

    fn send(&self, walked: Walked) -> Result<(), Gone> {
        self.lane.blocking_send(walked).map_err(|_| Gone)
    }
}

/// Whether a page goes on its way: a file may have many images, and where each takes its time, those found wait for no others.
fn is_full(images: usize, room: usize, age: Duration) -> bool {
    images >= room || age >= GATHERED
}

/// What came of looking at one file.
#[derive(Debug, PartialEq, Eq)]
enum Looked {
    Measured(Measured),
    /// Gone between listing and looking: as if it had never been listed.
    Gone,
    Ended(Fate),
}

/// Looks at one file; a panic costs that file, by name, and no other.
fn look(measure: impl FnOnce() -> io::Result<Measured>) -> Looked {
    use io::ErrorKind::{InvalidInput, NotADirectory, NotFound};
    // Looking changes nothing that could be left half done.
    match catch_unwind(AssertUnwindSafe(measure)) {
        Ok(Ok(measured)) => Looked::Measured(measured),
        Ok(Err(cause)) if matches!(cause.kind(), NotFound | NotADirectory) => Looked::Gone,
        // No file any more.
        Ok(Err(cause)) if cause.kind() == InvalidInput => Looked::Ended(Fate::Skipped(Reason::Excluded)),
        Ok(Err(_)) => Looked::Ended(Fate::Failed(Reason::Unreadable)),
        Err(_) => {
            tracing::error!("looking at a file panicked");
            Looked::Ended(Fate::Failed(Reason::ProgramError))
        }
    }
}

impl Level {
    fn new(folder: Vec<u8>, entries: Entries, young: bool) -> Self {
        Self { folder, entries: Some(entries), run: Vec::new().into_iter(), young, begun: false, textless: None }
    }

    /// Reads the next run of up to `room` names and sorts it; at the end, or at an error, the folder is closed.
    fn fill(&mut self, room: usize) -> io::Result<()> {
        let Some(entries) = &mut self.entries else { return Ok(()) };
        let is_first = !std::mem::replace(&mut self.begun, true);
        let since = Stopwatch::start();
        let mut run = Vec::new();
        let mut outcome = Ok(());
        while run.len() < room {
            match entries.next() {
                Some(Ok(entry)) => run.push(entry),
                Some(Err(cause)) => {
                    outcome = Err(cause);
                    self.entries = None;
                    break;
                }
                None => {
                    self.entries = None;
                    break;
                }
            }
        }
        run.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        let is_whole = is_first && self.entries.is_none() && outcome.is_ok();
        self.textless = (is_whole && !run.iter().any(|entry| names::may_be_text(&entry.name))).then_some(since);
        self.run = run.into_iter();
        outcome
    }
}

fn below(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::local::{LocalOptions, TextsLocation};
    use crate::domain::image::Pages;
    use crate::domain::recipe::Preparation;
    use crate::kit::atomic_file::Mark;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test writes the files")]
    fn only_a_folder_that_was_listed_at_once_is_known_to_have_no_text() {
        let place = tempfile::tempdir().expect("temp dir");
        let put = |name: &str| std::fs::write(place.path().join(name), b"x").expect("file");
        let runs = |room: usize| {
            let entries = Root::open(place.path()).and_then(|root| root.folder(b"")?.entries()).expect("a folder");
            let mut level = Level::new(Vec::new(), entries, false);
            let mut told = Vec::new();
            for _ in 0..3 {
                level.fill(room).expect("listed");
                told.push((std::mem::take(&mut level.run).len(), level.textless.is_some()));
            }
            told.retain(|(names, _)| *names > 0);
            told
        };
        ["a.jpg", "b.jpg", "c.jpg"].into_iter().for_each(put);
        assert_eq!(runs(10), [(3, true)]);
        assert_eq!(runs(2), [(2, false), (1, false)], "what one run lacks may lie in another");
        put("C.JPG.TXT");
        assert_eq!(runs(10), [(4, false)]);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test writes the files")]
    fn a_folder_without_texts_is_asked_again_once_its_listing_is_a_second_old() {
        let place = tempfile::tempdir().expect("temp dir");
        std::fs::write(
            place.path().join("a.jpg"),
            b"\xff\xd8\xff\xe0\0\x02\xff\xc0\0\x0b\x08\0\x05\0\x04\x01\0\0\0\xff\xda\0\x02\xff\xd9",
        )
        .expect("an image");
        let options = LocalOptions {
            valid_endings: vec![".jpg".to_owned()],
            excluded_folders: Vec::new(),
            max_image_bytes: 1_000,
            max_pixels: 1_000,
            preparation: Preparation::default(),
            pages: Pages::Each,
            texts: TextsLocation::Beside,
            mark: Mark::new(place.path()).expect("a mark"),
            arrivals: None,
        };
        let corpus = LocalCorpus::new(place.path().to_path_buf(), options);
        let root = Root::open(place.path()).expect("a folder");
        let (lane, _listening) = mpsc::channel(1);
        let looked = |age: Duration| {
            let mut walk = Walk::new(&corpus, None, &lane);
            let path = RelPath { folder: Vec::new(), name: b"a.jpg".to_vec(), page: 1 };
            let textless = Some(Stopwatch::started_before(age));
            let listed = Listed { textless, ..corpus.listed(&path.name) };
            assert!(walk.measure(&root, path, listed).is_ok());
            walk.page.pop().expect("it was found").text_present
        };
        assert!(!looked(Duration::ZERO) && !looked(BELIEVED));
        // Written behind the listing, by somebody else.
        std::fs::write(place.path().join("a.jpg.txt"), "a person's").expect("a text");
        assert!(looked(BELIEVED), "it would have been paid for");
        assert!(BELIEVED <= Duration::from_secs(1));
    }

    #[test]
    fn a_page_is_full_by_its_images_or_its_age() {
        let late = GATHERED - Duration::from_millis(1);
        let cases = [(1, late), (PAGE - 1, late), (PAGE, Duration::ZERO), (1, GATHERED)];
        let full = cases.map(|(images, age)| is_full(images, PAGE, age));
        assert_eq!(full, [false, false, true, true]);
    }

    #[test]
    fn a_file_that_cannot_be_looked_at_ends_alone() {
        let failing = |kind: io::ErrorKind| look(|| Err(kind.into()));
        assert_eq!(look(|| panic!("expected by this test")), Looked::Ended(Fate::Failed(Reason::ProgramError)));
        assert_eq!(failing(io::ErrorKind::PermissionDenied), Looked::Ended(Fate::Failed(Reason::Unreadable)));
        assert_eq!(failing(io::ErrorKind::InvalidInput), Looked::Ended(Fate::Skipped(Reason::Excluded)));
        assert_eq!(failing(io::ErrorKind::NotFound), Looked::Gone);
        assert_eq!(failing(io::ErrorKind::NotADirectory), Looked::Gone);
    }
}
