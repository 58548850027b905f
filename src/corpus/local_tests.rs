//! The walk over trees that were made to mislead it.

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::super::{PAGE, PassedOver};
use super::*;
use crate::domain::image::{Format, Needs, Pixels};
use crate::domain::recipe::Preparation;
use crate::kit::atomic_file::{Access, Durability, write};
use crate::kit::exit_guard::{Exit, ExitNotice};
use crate::kit::path_bytes;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x03\0\0\0\x02\x08\x02\0\0\0crc.\0\0\0\0IEND\xaeB\x60\x82";
/// A frame header, one empty scan, the end.
const JPEG: &[u8] = b"\xff\xd8\xff\xe0\0\x02\xff\xc0\0\x0b\x08\0\x05\0\x04\x01\0\0\0\xff\xda\0\x02\xff\xd9";
/// A million pixels and a thousand more.
const BOMB: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x03\xe9\0\0\x03\xe8\x08\x02\0\0\0crc.\0\0\0\0IEND\xaeB\x60\x82";
/// A page of 4 x 5 pixels, as far as its directory.
const TIFF: &[u8] = b"II*\0\x08\0\0\0\x02\0\0\x01\x03\0\x01\0\0\0\x04\0\0\0\x01\x01\x03\0\x01\0\0\0\x05\0\0\0\0\0\0\0";

struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("temp dir"))
    }

    fn put(&self, name: &[u8], bytes: &[u8]) -> &Self {
        let path = self.0.path().join(path_bytes::to_path(name));
        std::fs::create_dir_all(path.parent().expect("parent")).expect("folder");
        write(&path, bytes, Access::Umask, Durability::Derived).expect("file");
        self
    }

    fn corpus(&self) -> LocalCorpus {
        let options = LocalOptions {
            valid_endings: [".jpg", ".jpeg", ".png", ".tif", ".bmp"].map(str::to_owned).to_vec(),
            excluded_folders: vec![self.0.path().join("batch")],
            max_image_bytes: 1_000,
            max_pixels: 1_000_000,
            preparation: Preparation::default(),
            pages: Pages::Each,
            texts: TextsLocation::Beside,
            mark: Mark::new(Path::new("batch")).expect("randomness"),
            arrivals: None,
        };
        LocalCorpus::new(self.0.path().to_path_buf(), options)
    }
}

/// Everything the walk says, in its order.
fn walked(corpus: &LocalCorpus) -> (Vec<Found>, PassedOver, ExitNotice) {
    walked_by(corpus, None)
}

fn walked_by(corpus: &LocalCorpus, known: Option<Known>) -> (Vec<Found>, PassedOver, ExitNotice) {
    let (sender, mut notices) = mpsc::channel(4);
    let mut lane = corpus.walk(known, ExitGuard::new("walk", sender)).expect("thread");
    let (mut found, mut passed_over) = (Vec::new(), PassedOver::default());
    loop {
        match lane.blocking_recv().expect("over comes last") {
            Walked::Page(page, others) => {
                assert!(page.len() <= PAGE);
                found.extend(page);
                passed_over.add(others);
            }
            Walked::Over => break,
            Walked::Broken(cause) => panic!("{cause}"),
        }
    }
    (found, passed_over, notices.blocking_recv().expect("notice"))
}

fn fates(corpus: &LocalCorpus) -> BTreeMap<Vec<u8>, Fate> {
    walked(corpus).0.into_iter().map(|found| (found.path.joined(), found.fate)).collect()
}

fn owed(format: Format, width: u32, height: u32) -> Fate {
    Fate::Owed(Looks::plain(format, Pixels { width, height }))
}

/// To be sent as a picture that is made of it.
fn made_ready(format: Format, needs: Needs, pages: &[(u32, u32)]) -> Fate {
    let pages = pages.iter().map(|&(width, height)| Pixels { width, height }).collect();
    Fate::Owed(Looks { format, needs, pages })
}

#[test]
fn content_decides_and_names_only_invite() {
    let tree = Tree::new();
    tree.put(b"a.JPG", JPEG).put(b"scan.tif", JPEG).put(b"b.png", PNG).put(b"real.tif", TIFF);
    tree.put(b"error.jpg", b"<html>404</html>").put(b"empty.jpg", b"").put(b"cut.png", &PNG[..12]);
    tree.put(b"big.png", &[PNG, &[0; 1_000]].concat())
        .put(b"bomb.png", BOMB)
        .put(b"c.heic", b"x")
        .put(b"._a.jpg", b"x");
    let fates = fates(&tree.corpus());
    let expected = [
        ("._a.jpg", Fate::Skipped(Reason::Excluded)),
        ("a.JPG", owed(Format::Jpeg, 4, 5)),
        ("b.png", owed(Format::Png, 3, 2)),
        ("big.png", Fate::Failed(Reason::TooLarge)),
        ("bomb.png", Fate::Failed(Reason::TooLarge)),
        ("c.heic", Fate::Failed(Reason::UnsupportedFormat)),
        ("cut.png", Fate::Failed(Reason::Damaged)),
        ("empty.jpg", Fate::Failed(Reason::EmptyFile)),
        ("error.jpg", Fate::Failed(Reason::NotAnImage)),
        ("real.tif", made_ready(Format::Tiff, Needs::Converting, &[(4, 5)])),
        ("scan.tif", owed(Format::Jpeg, 4, 5)),
    ];
    assert_eq!(fates, expected.map(|(name, fate)| (name.as_bytes().to_vec(), fate)).into());
}

#[test]
fn hostile_names_come_through_unchanged() {
    let tree = Tree::new();
    let names: [&[u8]; 7] =
        [b"line\nbreak.jpg", b"\xff\xfe.jpg", b"a|b.jpg", b"-rf.jpg", b" .jpg", b"x.jpg/inner.jpg", b"e\xcc\x81.jpg"];
    for name in names {
        tree.put(name, JPEG);
    }
    let corpus = tree.corpus();
    let (found, _, notice) = walked(&corpus);
    assert_eq!(notice.exit, Exit::Drained);
    let mut expected: Vec<Vec<u8>> = names.iter().map(|name| name.to_vec()).collect();
    expected.sort();
    assert_eq!(found.iter().map(|found| found.path.joined()).collect::<Vec<_>>(), expected, "sorted by name");
    for one in found {
        let (_, stamp) = corpus.open(&one.path).expect("open");
        assert_eq!((stamp, one.stamp.bytes), (one.stamp, JPEG.len() as u64));
        assert!(stamp.mtime_ms > 1_600_000_000_000);
    }
}

#[test]
fn links_pipes_and_loops_are_counted_or_skipped() {
    let tree = Tree::new();
    tree.put(b"in/a.jpg", JPEG).put(b"notes.txt", b"x").put(b"Thumbs.db", b"x");
    symlink("..", tree.0.path().join("in/loop")).expect("link");
    symlink("a.jpg", tree.0.path().join("in/b.jpg")).expect("link");
    symlink("/nowhere", tree.0.path().join("broken.jpg")).expect("link");
    let pipe = tree.0.path().join("pipe.jpg");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("pipe");
    let (found, passed_over, _) = walked(&tree.corpus());
    let fates: Vec<_> = found.into_iter().map(|found| (found.path.joined(), found.fate)).collect();
    assert_eq!(
        fates,
        [(b"in/a.jpg".to_vec(), owed(Format::Jpeg, 4, 5)), (b"pipe.jpg".to_vec(), Fate::Skipped(Reason::Excluded))]
    );
    assert_eq!(passed_over.links, 3);
    assert_eq!(passed_over.by_ending, BTreeMap::from([("txt".into(), 1), ("db".into(), 1)]));
    let pipe = RelPath { folder: vec![], name: b"pipe.jpg".to_vec(), page: 1 };
    assert_eq!(tree.corpus().open(&pipe).map(drop).map_err(|e| e.kind()), Err(io::ErrorKind::InvalidInput));
}

#[test]
fn folders_of_systems_and_of_ours_are_not_walked() {
    let tree = Tree::new();
    for folder in ["__MACOSX", "@eaDir", ".git", "batch", "$RECYCLE.BIN", "kept/batch"] {
        tree.put(format!("{folder}/a.jpg").as_bytes(), JPEG);
    }
    let (found, passed_over, _) = walked(&tree.corpus());
    assert_eq!(found.iter().map(|found| found.path.joined()).collect::<Vec<_>>(), [b"kept/batch/a.jpg"]);
    assert_eq!(passed_over.folders, 5);
}

#[test]
fn what_cannot_be_read_is_said_and_the_rest_goes_on() {
    let tree = Tree::new();
    tree.put(b"a.jpg", JPEG).put(b"locked/b.jpg", JPEG).put(b"z.jpg", JPEG);
    let locked = tree.0.path().join("locked");
    std::fs::set_permissions(&locked, PermissionsExt::from_mode(0o000)).expect("mode");
    let is_root = std::fs::read_dir(&locked).is_ok();
    let (found, passed_over, _) = walked(&tree.corpus());
    std::fs::set_permissions(&locked, PermissionsExt::from_mode(0o700)).expect("mode");
    if !is_root {
        assert_eq!(found.len(), 2);
        assert_eq!(passed_over.unreadable, 1);
        assert!(passed_over.unreadable_folders[0].contains("locked"), "{passed_over:?}");
    }
    let missing = LocalCorpus::new(tree.0.path().join("none"), tree.corpus().options().clone());
    let (sender, _notices) = mpsc::channel(4);
    let mut lane = missing.walk(None, ExitGuard::new("walk", sender)).expect("thread");
    assert!(matches!(lane.blocking_recv(), Some(Walked::Broken(cause)) if cause.kind() == io::ErrorKind::NotFound));
}

#[test]
fn no_page_is_too_long_and_a_deaf_listener_ends_the_walk() {
    let tree = Tree::new();
    for n in 0..(PAGE * 4 + 1) {
        tree.put(format!("f{}/p{n:05}.jpg", n % 7).as_bytes(), JPEG);
    }
    let (found, _, _) = walked(&tree.corpus());
    assert_eq!(found.len(), PAGE * 4 + 1);
    assert!(found.windows(2).all(|pair| pair[0].path.joined() < pair[1].path.joined()));
    let (sender, mut notices) = mpsc::channel(4);
    let mut lane = tree.corpus().walk(None, ExitGuard::new("walk", sender)).expect("thread");
    assert!(
        matches!(lane.blocking_recv(), Some(Walked::Page(page, _)) if (1..PAGE).contains(&page.len())),
        "the first is short"
    );
    drop(lane);
    assert_eq!(notices.blocking_recv().map(|notice| notice.exit), Some(Exit::Drained));
}

#[test]
fn a_text_is_whatever_bears_its_name() {
    let tree = Tree::new();
    tree.put(b"x/a.jpg", JPEG).put(b"x/a.jpg.txt", b"text").put(b"x/b.jpg", JPEG).put(b"x/c.jpg", JPEG);
    symlink("/nowhere", tree.0.path().join("x/c.jpg.txt")).expect("link");
    let corpus = tree.corpus();
    let at = |name: &str| RelPath { folder: b"x".to_vec(), name: name.into(), page: 1 };
    let has = |name: &str| corpus.measure(&at(name)).expect("an image").text_present;
    assert_eq!((has("a.jpg"), has("b.jpg"), has("c.jpg")), (true, false, true));
    let mirror = Tree::new();
    mirror.put(b"x/b.jpg.txt", b"text");
    let texts = TextsLocation::Mirror(mirror.0.path().to_path_buf());
    let mirrored = LocalCorpus::new(tree.0.path().to_path_buf(), LocalOptions { texts, ..corpus.options().clone() });
    let has = |name: &str| mirrored.measure(&at(name)).expect("an image").text_present;
    assert_eq!((has("a.jpg"), has("b.jpg")), (false, true));
}

#[test]
fn a_walk_meets_the_texts_beside_images() {
    let tree = Tree::new();
    for name in ["bare/a.jpg", "few/a.jpg", "few/b.jpg", "odd/a.jpg", "odd/b.jpg"] {
        tree.put(name.as_bytes(), JPEG);
    }
    tree.put(b"few/b.jpg.txt", b"text").put(b"odd/b.jpg.txt/inner.jpg", JPEG);
    symlink("/nowhere", tree.0.path().join("odd/a.jpg.txt")).expect("link");
    let corpus = tree.corpus();
    let strangers = || -> Option<Known> { Some(Box::new(|files| vec![false; files.len()])) };
    for known in [None, strangers()] {
        let (found, _, _) = walked_by(&corpus, known);
        let present: Vec<_> =
            found.iter().filter(|found| found.text_present).map(|found| found.path.joined()).collect();
        assert_eq!(present, ["few/b.jpg", "odd/a.jpg", "odd/b.jpg"].map(|name| name.as_bytes().to_vec()));
    }
}

#[test]
fn real_odd_files_meet_their_reasons() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/odd");
    let options = LocalOptions {
        valid_endings: [".jpg", ".png", ".gif", ".webp", ".tif", ".j2k"].map(str::to_owned).to_vec(),
        excluded_folders: Vec::new(),
        max_image_bytes: 50_000_000,
        max_pixels: 100_000_000,
        preparation: Preparation::default(),
        pages: Pages::Each,
        texts: TextsLocation::Beside,
        mark: Mark::new(Path::new("batch")).expect("randomness"),
        arrivals: None,
    };
    let fates = fates(&LocalCorpus::new(folder, options));
    let fate = |name: &str| fates.get(name.as_bytes()).cloned();
    assert_eq!(fate("hopper_orientation_6.webp"), Some(made_ready(Format::Webp, Needs::Turning, &[(128, 128)])));
    assert_eq!(fate("hopper_16bit_qtables.jpg"), Some(owed(Format::Jpeg, 128, 128)));
    assert_eq!(fate("zero_width.gif"), Some(Fate::Failed(Reason::Damaged)));
    assert_eq!(fate("zero_height.j2k"), Some(Fate::Failed(Reason::Damaged)));
    let Some(Fate::Owed(deed)) = fate("g4-multi.tif") else { panic!("{:?}", fate("g4-multi.tif")) };
    assert_eq!((deed.format, deed.needs, deed.pages.len()), (Format::Tiff, Needs::Converting, 3));
    assert_eq!(fate("hopper.avif"), Some(Fate::Failed(Reason::UnsupportedFormat)));
    assert_eq!(fate("error-page.jpg"), Some(Fate::Failed(Reason::NotAnImage)));
    assert_eq!(fate("empty.jpg"), Some(Fate::Failed(Reason::EmptyFile)));
}

#[test]
fn a_directory_that_no_file_could_reach_is_damage_on_every_disk() {
    let tree = Tree::new();
    // File systems differ in how far they let anybody seek, and none of them says why a file is bad.
    let places = [1 << 20, 1 << 44, 1 << 60, i64::MAX.unsigned_abs() - 7, i64::MAX.unsigned_abs(), 1 << 63, u64::MAX];
    for (number, place) in places.into_iter().enumerate() {
        let big = [&b"II+\0\x08\0\0\0"[..], &u64::to_le_bytes(place)].concat();
        tree.put(format!("{number}.tif").as_bytes(), &big);
    }
    let fates = fates(&tree.corpus());
    assert_eq!(fates.len(), places.len());
    for (path, fate) in fates {
        assert_eq!(fate, Fate::Failed(Reason::Damaged), "{}", path.escape_ascii());
    }
}

#[test]
fn what_is_known_is_asked_about_and_not_looked_into() {
    let tree = Tree::new();
    for number in 0..PAGE + 40 {
        tree.put(format!("box{}/page{number:04}.png", number / 100).as_bytes(), b"no image");
    }
    tree.put(b"note.txt", b"").put(b"box1/scan.xcf", b"x");
    let (sender, asked) = std::sync::mpsc::channel();
    let known: Known = Box::new(move |files| {
        let stranger = |path: &RelPath| path.name.ends_with(b"7.png") || path.name == b"scan.xcf";
        let known = files.iter().map(|(path, _)| !stranger(path)).collect();
        sender.send(files).expect("somebody listens");
        known
    });
    let (found, passed_over, notice) = walked_by(&tree.corpus(), Some(known));
    let asked: Vec<Vec<(RelPath, Stamp)>> = asked.into_iter().collect();
    let all = walked(&tree.corpus());
    assert!(asked.iter().all(|files| files.len() <= PAGE) && asked.len() == 2, "page by page");
    let stamped: Vec<(RelPath, Stamp)> = all.0.iter().map(|found| (found.path.clone(), found.stamp)).collect();
    assert_eq!(asked.concat(), stamped, "every one, with its stamp, in order");
    let strangers: Vec<Found> = all
        .0
        .into_iter()
        .filter(|found| found.path.name.ends_with(b"7.png") || found.path.name == b"scan.xcf")
        .collect();
    assert_eq!((found, passed_over, notice.exit), (strangers, all.1, all.2.exit));
}
