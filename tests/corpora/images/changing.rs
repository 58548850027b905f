//! Files that are not what they were: between the look that planned them and the first byte, and between the first byte and
//! the last.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use batchscribe::corpus::local::{LocalCorpus, LocalOptions, TextsLocation};
use batchscribe::corpus::{Corpus, Known, Walked};
use batchscribe::domain::ids::{ImageId, RecipeId, ShardId, Tag};
use batchscribe::domain::image::{Fate, Found, Looks, Pages, Reason, RelPath, Stamp};
use batchscribe::domain::recipe::{Preparation, Recipe};
use batchscribe::domain::shard::{Plan, PlanLine, ShardFacts, ShardState};
use batchscribe::encode::body::{self, Lane, Makings};
use batchscribe::encode::line::Framer;
use batchscribe::kit::atomic_file::Mark;
use batchscribe::kit::bodies::{BodyDone, BodyError};
use batchscribe::kit::exit_guard::ExitGuard;
use batchscribe::kit::folder::Folder;
use batchscribe::pipeline::mission::Mode;
use batchscribe::settings::texts;
use bytes::Bytes;
use tokio::sync::mpsc;

use super::made::{chunk, noise, plain, png, png_of};
use crate::scene::End::{Done, Failed};
use crate::scene::{self, Case, End, Tally, put, top};

type Change = fn(&Path);

/// Every file is planned as a good PNG, then changed before a byte of it is sent.
const PLANNED: [(&str, Change, End); 14] = [
    ("grows", |path| write(path, &[png(1), png(2)].concat()), Done),
    ("shrinks", |path| write(path, &plain((3, 3), 2_002)), Done),
    ("loses-its-end", |path| write(path, &png(2_003)[..2_000]), Failed("damaged")),
    ("is-emptied", |path| write(path, b""), Failed("empty_file")),
    ("becomes-a-page", |path| write(path, b"<html>gone</html>"), Failed("not_an_image")),
    ("becomes-a-bomb", |path| write(path, &plain((50_000, 50_000), 2_006)), Failed("too_large")),
    ("is-touched", touch, Done),
    ("is-replaced-under-its-stamp", |path| same_stamp(path, &png(2_008)), Done),
    ("is-removed", |path| std::fs::remove_file(path).expect("removed"), Failed("missing_file")),
    ("loses-its-folder", |path| std::fs::remove_dir_all(folder(path)).expect("removed"), Failed("missing_file")),
    ("becomes-a-folder", becomes_a_folder, Failed("unreadable")),
    ("becomes-a-link", |path| replaced(path, |path| symlink("/etc/hostname", path)), Failed("unreadable")),
    ("becomes-a-pipe", |path| replaced(path, pipe), Failed("unreadable")),
    ("has-its-folder-swapped", swap_the_folder, Failed("missing_file")),
];

pub(super) fn planned(tally: &mut Tally) {
    let sandbox = scene::sandbox();
    let mut cases: Vec<Case> = Vec::new();
    for (n, (name, _, end)) in PLANNED.iter().enumerate() {
        let seed = 2_100 + u32::try_from(n).expect("few");
        cases.push(Case::file("changed", format!("{name}/page.png"), png(seed), *end));
        cases.push(Case::file("changed", format!("good/{name}.png"), png(seed + 100), Done));
    }
    scene::lay_out(&sandbox, &cases);
    let spooled = scene::watched(&sandbox, Mode::SpoolOnly(top(&sandbox).join("jsonl")), tally);
    assert_eq!(spooled.standing.packed, cases.len() as u64, "{:?}", spooled.standing);
    // What lies outside, with a picture of the same name.
    std::fs::create_dir_all(top(&sandbox).join("outside")).expect("folder");
    write(&top(&sandbox).join("outside/page.png"), &png(2_999));
    for (name, change, _) in PLANNED {
        change(&sandbox.corpus().join(name).join("page.png"));
    }
    let before = scene::Disk::look(top(&sandbox));
    let outcome = scene::watched(&sandbox, Mode::Run { once: false }, tally);
    // The two that are links now.
    scene::compare(&sandbox, &cases, &outcome, 2, tally);
    scene::stayed_inside(&sandbox, &before, tally);
    tally.count("changed", cases.len());
}

fn folder(path: &Path) -> &Path {
    path.parent().expect("a folder")
}

fn write(path: &Path, bytes: &[u8]) {
    put(bytes.to_vec())(path);
}

fn touch(path: &Path) {
    let file = OpenOptions::new().append(true).open(path).expect("a file");
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)).expect("touched");
}

/// Other bytes, as many, and the old time.
fn same_stamp(path: &Path, bytes: &[u8]) {
    let old = std::fs::metadata(path).expect("a file");
    let mut bytes = bytes.to_vec();
    bytes.resize(usize::try_from(old.len()).expect("small"), 0);
    // Behind the end of a picture anything may lie; a shorter one would have lost its own.
    write(path, &bytes);
    let file = OpenOptions::new().append(true).open(path).expect("a file");
    file.set_modified(old.modified().expect("a time")).expect("touched");
}

fn replaced(path: &Path, make: impl FnOnce(&Path) -> io::Result<()>) {
    std::fs::remove_file(path).expect("removed");
    make(path).expect("replaced");
}

fn becomes_a_folder(path: &Path) {
    replaced(path, |path| std::fs::create_dir(path));
}

fn pipe(path: &Path) -> io::Result<()> {
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o600.into(), 0).map_err(io::Error::from)
}

/// The folder is now a link to one outside, which holds a picture of the same name.
fn swap_the_folder(path: &Path) {
    std::fs::remove_dir_all(folder(path)).expect("removed");
    symlink("../../outside", folder(path)).expect("a link");
}

/// What a change while the bytes are on their way comes to.
#[derive(Debug, PartialEq, Eq)]
enum Came {
    /// All bytes came, those that were planned.
    Whole,
    /// The file is named as changed, and is a good image now.
    Changed,
    /// The file is named, and ends for this reason.
    Ended(Reason),
}

/// Changes between the first byte and the last.
const READ: [(&str, Change, Came); 9] = [
    ("grows", |path| appended(path, b"more"), Came::Changed),
    ("shrinks-to-half", |path| truncated(path, 2), Came::Ended(Reason::Damaged)),
    ("shrinks-to-nothing", |path| truncated(path, u64::MAX), Came::Ended(Reason::EmptyFile)),
    ("loses-its-last-byte", |path| shortened(path, 1), Came::Ended(Reason::Damaged)),
    ("is-touched", touch, Came::Changed),
    ("is-written-over", written_over, Came::Changed),
    ("becomes-a-page", |path| write(path, b"<html>gone</html>"), Came::Ended(Reason::NotAnImage)),
    // The open file is still what was planned, and all of it is sent.
    ("is-removed", |path| std::fs::remove_file(path).expect("removed"), Came::Whole),
    ("is-replaced", |path| replaced(path, |path| std::fs::write(path, png(3_000))), Came::Whole),
];

fn appended(path: &Path, bytes: &[u8]) {
    OpenOptions::new().append(true).open(path).expect("a file").write_all(bytes).expect("written");
}

fn shortened(path: &Path, by: u64) {
    let file = OpenOptions::new().append(true).open(path).expect("a file");
    file.set_len(file.metadata().expect("facts").len() - by).expect("cut");
}

fn truncated(path: &Path, by: u64) {
    let file = OpenOptions::new().append(true).open(path).expect("a file");
    file.set_len(file.metadata().expect("facts").len() / by).expect("cut");
}

/// The same length, other bytes in the middle, another time.
fn written_over(path: &Path) {
    let file = OpenOptions::new().write(true).open(path).expect("a file");
    file.write_all_at(b"other bytes", 500_000).expect("written");
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000)).expect("touched");
}

pub(super) fn while_read(tally: &mut Tally) {
    let recipe = texts::recipe(&scene::sandbox().settings(), "Transcribe.").expect("a recipe");
    for (name, change, expected) in READ {
        for (when, chunk) in [("after the first chunk", 1), ("before the last", 5)] {
            let place = tempfile::tempdir().expect("temp dir");
            let target = place.path().join("page.png");
            write(&target, &large());
            let corpus = corpus(place.path());
            let plan = plan(&corpus, &recipe);
            let mut lane = Meddler { after: chunk, taken: 0, bytes: 0, change, target };
            let ended = body::run(&plan, &corpus, &Makings::new(true, 1), &mut lane);
            let came = came(ended, lane.bytes, plan.shard.bytes);
            let outcome = if came == expected { Ok(()) } else { Err(format!("{came:?}, expected {expected:?}")) };
            tally.case("while-read", &format!("{name}, {when}"), outcome);
        }
    }
    let place = tempfile::tempdir().expect("temp dir");
    write(&place.path().join("page.png"), &large());
    let broken = Broken(corpus(place.path()), place.path().to_path_buf());
    let mut lane = Meddler { after: 0, taken: 0, bytes: 0, change: |_| {}, target: PathBuf::new() };
    let ended = body::run(&plan(&broken.0, &recipe), &broken, &Makings::new(true, 1), &mut lane);
    let told = matches!(&ended, Err(BodyError::Spoiled(spoiler)) if spoiler.what.starts_with("cannot be read"));
    tally.case("while-read", "a disk that fails", if told { Ok(()) } else { Err(ended) });
}

fn came(ended: Result<BodyDone, BodyError>, sent: u64, planned: u64) -> Came {
    match ended {
        Ok(_) if sent == planned => Came::Whole,
        Err(BodyError::Spoiled(spoiler)) if sent < planned => match spoiler.now {
            Ok(Found { fate: Fate::Owed(_), .. }) => Came::Changed,
            Ok(Found { fate: Fate::Failed(reason), .. }) | Err(reason) => Came::Ended(reason),
            other => panic!("{other:?}"),
        },
        other => panic!("{sent} of {planned} bytes: {other:?}"),
    }
}

/// A PNG of six chunks of a body.
fn large() -> Vec<u8> {
    png_of((600, 400), [8, 2], &[chunk(b"IDAT", &noise(3_001, 6 * 126 * 1024 - 1_000))])
}

fn corpus(root: &Path) -> LocalCorpus {
    let options = LocalOptions {
        valid_endings: vec![".png".to_owned()],
        excluded_folders: Vec::new(),
        max_image_bytes: 50_000_000,
        max_pixels: 200_000_000,
        preparation: Preparation::default(),
        pages: Pages::Each,
        texts: TextsLocation::Beside,
        mark: Mark::new(root).expect("a mark"),
        arrivals: None,
    };
    LocalCorpus::new(root.to_path_buf(), options)
}

fn image() -> RelPath {
    RelPath { folder: Vec::new(), name: b"page.png".to_vec(), page: 1 }
}

/// A plan of one line, as the feed would make it.
fn plan(corpus: &LocalCorpus, recipe: &Recipe) -> Plan {
    let found = corpus.measure(&image()).expect("measured");
    let Fate::Owed(Looks { format, .. }) = found.fate else { panic!("{found:?}") };
    let bytes = Framer::new(recipe, b"in").expect("json").frame(&image(), format).line_bytes(found.stamp.bytes);
    let line = PlanLine {
        image: ImageId(1),
        pos: 1,
        bytes,
        path: image(),
        stamp: found.stamp,
        format,
        prepared: None,
        attempt: 1,
        rough: None,
    };
    let shard = ShardFacts {
        id: ShardId(1),
        tag: Tag("bcdfgh".to_owned()),
        run: Tag("bcdfgh".to_owned()),
        recipe: RecipeId(1),
        state: ShardState::Sealed,
        lines: 1,
        bytes,
        est_tokens: 1,
        worst: None,
        endpoint: recipe.endpoint.clone(),
        input: None,
        body_hash: None,
        not_before: 0,
        next_attempt: 1,
    };
    Plan { shard, recipe: recipe.clone(), given: b"in".to_vec(), root: Vec::new(), lines: vec![line] }
}

/// Takes the chunks of a body, and changes the file after one of them.
struct Meddler {
    after: usize,
    taken: usize,
    bytes: u64,
    change: Change,
    target: PathBuf,
}

impl Lane for Meddler {
    fn push(&mut self, chunk: Bytes) -> bool {
        self.taken += 1;
        self.bytes += chunk.len() as u64;
        if self.taken == self.after {
            (self.change)(&self.target);
        }
        true
    }
}

/// A corpus whose files can be opened and not read, as on a disk that fails.
struct Broken(LocalCorpus, PathBuf);

impl Corpus for Broken {
    fn open(&self, path: &RelPath) -> io::Result<(File, Stamp)> {
        // A folder is opened like a file, and fails at the first byte.
        let (_, stamp) = self.0.open(path)?;
        Ok((File::open(&self.1)?, stamp))
    }

    fn walk(&self, known: Option<Known>, guard: ExitGuard) -> io::Result<mpsc::Receiver<Walked>> {
        self.0.walk(known, guard)
    }

    fn measure(&self, path: &RelPath) -> io::Result<Found> {
        self.0.measure(path)
    }

    fn ink(&self, path: &RelPath, sparse: bool) -> io::Result<Option<f64>> {
        self.0.ink(path, sparse)
    }

    fn text_name(&self, path: &RelPath) -> Vec<u8> {
        self.0.text_name(path)
    }

    fn text_folder(&self, path: &RelPath) -> io::Result<Option<Folder>> {
        self.0.text_folder(path)
    }
}
