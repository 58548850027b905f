//! A folder of the corpus is swapped for a link to a folder outside, and back, thousands of times a second, while texts are
//! written into it and images are read from it. Nothing may be written outside, and nothing outside may be sent.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use batchscribe::clean::text_file::{self, Existing};
use batchscribe::corpus::Corpus as _;
use batchscribe::corpus::local::{LocalCorpus, LocalOptions, TextsLocation};
use batchscribe::domain::image::{Pages, RelPath};
use batchscribe::domain::recipe::Preparation;
use batchscribe::kit::atomic_file::Mark;
use batchscribe::kit::hash::short;
use batchscribe::ledger::records::TextOwner;
use batchscribe::pipeline::mission::{Fault, Mode};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::oracle;
use crate::sandbox::png;
use crate::scene::{self, Tally, top};

/// Texts that are written while the folder comes and goes; each waits for the disk.
const WRITES: u64 = 300;
/// The same before a release.
const MANY_WRITES: u64 = 10_000;
/// Texts that the control writes by their paths.
const CONTROL_WRITES: u64 = 2_000;

/// Runs `work` while the folder at `inside` is swapped with a link to `outside`; tells how often it was.
fn swapping<T>(inside: &Path, outside: &Path, work: impl FnOnce() -> T) -> (T, u64) {
    let other = outside.with_file_name("link");
    symlink(outside, &other).expect("a link");
    let (over, swaps) = (AtomicBool::new(false), AtomicU64::new(0));
    let done = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) || swaps.load(Ordering::Relaxed) % 2 == 1 {
                renameat_with(CWD, inside, CWD, &other, RenameFlags::EXCHANGE).expect("swapped");
                swaps.fetch_add(1, Ordering::Relaxed);
            }
        });
        // Whatever becomes of the work, the other thread comes to its end.
        let _end = scene::Over(&over);
        work()
    });
    (done, swaps.into_inner())
}

struct Scene {
    place: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let scene = Self { place: tempfile::tempdir().expect("temp dir") };
        std::fs::create_dir_all(scene.inside()).expect("folder");
        std::fs::create_dir_all(scene.outside()).expect("folder");
        scene
    }

    fn root(&self) -> PathBuf {
        self.place.path().join("in")
    }

    fn inside(&self) -> PathBuf {
        self.root().join("tray/box")
    }

    fn outside(&self) -> PathBuf {
        self.place.path().join("outside")
    }

    fn escaped(&self) -> usize {
        std::fs::read_dir(self.outside()).expect("list").count()
    }

    fn corpus(&self, texts: TextsLocation) -> LocalCorpus {
        let options = LocalOptions {
            valid_endings: vec![".png".to_owned()],
            excluded_folders: Vec::new(),
            max_image_bytes: u64::MAX,
            max_pixels: u64::MAX,
            preparation: Preparation::default(),
            pages: Pages::Each,
            texts,
            mark: self.mark(),
            arrivals: None,
        };
        LocalCorpus::new(self.root(), options)
    }

    fn mark(&self) -> Mark {
        Mark::new(self.place.path()).expect("randomness")
    }
}

fn image(n: u64) -> RelPath {
    RelPath { folder: b"tray/box".to_vec(), name: format!("{}.png", n % 50).into_bytes(), page: 1 }
}

/// Writes texts as the Cleaner does, each again until it found its folder; counts those written and those refused.
fn write_texts(scene: &Scene, corpus: &LocalCorpus, writes: u64) -> (u64, u64) {
    let (mark, mut written, mut refused) = (scene.mark(), 0, 0);
    while written < writes {
        let known = Some(short(format!("text {}\n", written.wrapping_sub(50)).as_bytes()));
        let text = format!("text {written}\n");
        let image = image(written);
        let placed = corpus.text_folder(&image).map(|folder| {
            let folder = folder?;
            Some(text_file::place(&folder, &corpus.text_name(&image), text.as_bytes(), known, Existing::Replace, &mark))
        });
        match placed {
            Ok(Some(Ok((owner, _)))) => {
                assert_eq!(owner, TextOwner::Ours, "what stands there is ours, always");
                written += 1;
            }
            Ok(None) => refused += 1,
            Err(cause) if matches!(cause.kind(), ErrorKind::InvalidInput | ErrorKind::NotADirectory) => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    (written, refused)
}

#[test]
fn texts_never_follow_a_swapped_folder() {
    beside_the_images(WRITES);
}

#[test]
fn texts_of_a_mirror_never_follow_a_swapped_folder() {
    in_a_mirror(WRITES);
}

#[test]
#[ignore = "minutes: every text waits for the disk"]
fn ten_thousand_texts_never_follow_a_swapped_folder() {
    beside_the_images(MANY_WRITES);
    in_a_mirror(MANY_WRITES);
}

fn beside_the_images(writes: u64) {
    let scene = Scene::new();
    let corpus = scene.corpus(TextsLocation::Beside);
    let ((written, refused), swaps) =
        swapping(&scene.inside(), &scene.outside(), || write_texts(&scene, &corpus, writes));
    println!("T3 beside: {written} texts written, {refused} refused, {swaps} swaps, {} escaped", scene.escaped());
    assert!(refused > 0, "the swaps came in between");
    assert_eq!(scene.escaped(), 0);
}

fn in_a_mirror(writes: u64) {
    let scene = Scene::new();
    let mirror = scene.place.path().join("mirror");
    let swapped = mirror.join("tray/box");
    std::fs::create_dir_all(&swapped).expect("folder");
    let corpus = scene.corpus(TextsLocation::Mirror(mirror));
    let ((written, refused), swaps) = swapping(&swapped, &scene.outside(), || write_texts(&scene, &corpus, writes));
    println!("T3 mirror: {written} texts written, {refused} refused, {swaps} swaps, {} escaped", scene.escaped());
    assert!(refused > 0, "the swaps came in between");
    assert_eq!(scene.escaped(), 0);
}

/// What the test is worth: the same by paths goes astray.
#[test]
fn texts_written_by_their_paths_do_go_astray() {
    let scene = Scene::new();
    let (_, swaps) = swapping(&scene.inside(), &scene.outside(), || {
        for n in 0..CONTROL_WRITES {
            let target = scene.inside().join(format!("{n}.png.txt"));
            let temporary = scene.inside().join(".bs-control.tmp");
            let written = std::fs::write(&temporary, "text\n").and_then(|()| std::fs::rename(&temporary, &target));
            let _astray = written;
        }
    });
    println!("T3 control: {} of {CONTROL_WRITES} texts escaped, {swaps} swaps", scene.escaped());
    assert!(scene.escaped() > 0, "the swaps would be noticed");
}

#[test]
fn a_whole_run_beside_a_swapped_folder_stays_inside() {
    run_beside(None);
}

/// Here every image was found and paid for while the folder was in its place.
#[test]
fn texts_of_a_run_beside_a_swapped_folder_stay_inside() {
    run_beside(Some(Mode::Upload));
}

fn run_beside(before: Option<Mode>) {
    let mut tally = Tally::default();
    let sandbox = scene::sandbox();
    let outside = top(&sandbox).join("outside");
    std::fs::create_dir_all(&outside).expect("folder");
    for n in 0..60 {
        sandbox.image(&format!("swapped/{n:02}.png"), n);
        sandbox.image(&format!("quiet/{n:02}.png"), n + 100);
        std::fs::write(outside.join(format!("{n:02}.png")), png(n + 200)).expect("a file");
    }
    before.map(|mode| scene::watched(&sandbox, mode, &mut tally));
    let untouched = scene::Disk::look(outside.clone());
    let (outcome, swaps) = swapping(&sandbox.corpus().join("swapped"), &outside, || {
        scene::watched(&sandbox, Mode::Run { once: false }, &mut tally)
    });
    assert!(outcome.fault.is_none() && outcome.standing.closes(), "{outcome:?}");
    assert!(scene::Disk::look(outside.clone()) == untouched, "nothing outside was touched");
    let theirs: BTreeSet<String> = (0..60).map(|n| print_of(&png(n + 200))).collect();
    let billed = oracle::billed(&sandbox.bill());
    assert!(billed.keys().all(|picture| !theirs.contains(picture)), "nothing outside was sent");
    let ends = scene::ends(&sandbox.workspace());
    let done = |folder: &str| {
        ends.iter().filter(|(path, (state, _))| path.starts_with(folder.as_bytes()) && state == "done").count()
    };
    println!("T3 run: {swaps} swaps, {} of 60 done in the swapped folder, 60 beside", done("swapped/"));
    assert_eq!(done("quiet/"), 60, "the neighbours are done");
    let named = ends.values().all(|(state, reason)| state == "done" || reason.is_some());
    assert!(named, "each other one ends by name: {ends:?}");
    // Left in peace, nothing is in its way.
    let outcome = scene::watched(&sandbox, Mode::Run { once: false }, &mut tally);
    assert!(outcome.fault.is_none() && outcome.standing.closes(), "{outcome:?}");
    assert!(oracle::billed(&sandbox.bill()).values().all(|times| *times == 1), "nothing is paid for twice");
}

#[test]
fn a_link_in_the_place_of_a_batchs_results_is_not_followed() {
    let mut tally = Tally::default();
    let sandbox = scene::sandbox();
    (0..3).for_each(|n| sandbox.image(&format!("{n}.png"), 300 + n));
    scene::watched(&sandbox, Mode::Upload, &mut tally);
    let notices = std::fs::read_dir(sandbox.workspace().join("batch")).expect("list").flatten();
    let notice = notices.map(|entry| entry.path()).find(|path| path.extension().is_some_and(|ending| ending == "txt"));
    let results = sandbox.workspace().join("batch_json_results");
    let planted = results.join(notice.as_deref().and_then(Path::file_stem).expect("an open batch"));
    let outside = top(&sandbox).join("outside");
    std::fs::create_dir_all(&outside).expect("folder");
    std::fs::create_dir_all(&results).expect("folder");
    symlink(&outside, &planted).expect("a link");
    let outcome = scene::watched(&sandbox, Mode::Run { once: false }, &mut tally);
    assert!(matches!(outcome.fault, Some(Fault::Disk(_))), "{outcome:?}");
    assert_eq!(std::fs::read_dir(&outside).expect("list").count(), 0);
    std::fs::remove_file(&planted).expect("removed");
    let outcome = scene::watched(&sandbox, Mode::Run { once: false }, &mut tally);
    assert!(outcome.fault.is_none(), "{outcome:?}");
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 3);
}

fn print_of(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
