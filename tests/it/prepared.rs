//! Pictures that cannot go as they are: converted, turned, shrunk, page by page; and what is left of them afterwards.

use std::io::Cursor;
use std::time::Duration;

use batchscribe::kit::stop::StopLevel;
use batchscribe::pipeline::mission::{Mode, Notice, Outcome};
use image::{ExtendedColorType, ImageEncoder as _, ImageFormat, RgbImage};

use crate::cancel::call;
use crate::kill::{command, live};
use crate::oracle;
use crate::sandbox::{Sandbox, Weather, png};

/// A TIFF of so many pages, 24 by 18 pixels of grey each, uncompressed; the grey of a page tells which one it is.
pub(crate) fn tiff(greys: &[u8]) -> Vec<u8> {
    const PIXELS: usize = 24 * 18;
    let mut file = b"II*\0\x08\0\0\0".to_vec();
    for (n, grey) in greys.iter().enumerate() {
        let directory = file.len();
        let entries: [(u16, u16, u32); 8] = [
            (256, 3, 24),
            (257, 3, 18),
            (258, 3, 8),
            (259, 3, 1),
            (262, 3, 1),
            (273, 4, (directory + 2 + 8 * 12 + 4) as u32),
            (278, 3, 18),
            (279, 4, PIXELS as u32),
        ];
        file.extend((entries.len() as u16).to_le_bytes());
        for (tag, kind, value) in entries {
            file.extend(tag.to_le_bytes());
            file.extend(kind.to_le_bytes());
            file.extend(1u32.to_le_bytes());
            file.extend(value.to_le_bytes());
        }
        let end = directory + 2 + 8 * 12 + 4 + PIXELS;
        let next = if n + 1 < greys.len() { end as u32 } else { 0 };
        file.extend(next.to_le_bytes());
        file.extend(std::iter::repeat_n(*grey, PIXELS));
    }
    file
}

/// A JPEG that lies on its side, and says so.
fn sideways() -> Vec<u8> {
    let mut plain = Vec::new();
    let picture = RgbImage::from_fn(40, 20, |x, y| image::Rgb([(x * 6) as u8, (y * 12) as u8, 0]));
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut plain, 90)
        .write_image(picture.as_raw(), 40, 20, ExtendedColorType::Rgb8)
        .expect("memory");
    let mut exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0".to_vec();
    let mut file = vec![0xff, 0xd8, 0xff, 0xe1];
    file.extend((exif.len() as u16 + 2).to_be_bytes());
    file.append(&mut exif);
    file.extend(&plain[2..]);
    file
}

fn bmp() -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    RgbImage::from_pixel(30, 20, image::Rgb([9, 99, 199])).write_to(&mut bytes, ImageFormat::Bmp).expect("memory");
    bytes.into_inner()
}

fn write(sandbox: &Sandbox, name: &str, bytes: &[u8]) {
    std::fs::write(sandbox.corpus().join(name), bytes).expect("file");
}

/// Two pages in one file, one picture on its side, one of a format that is converted, two that go as they are.
pub(crate) fn archive() -> Sandbox {
    let sandbox = Sandbox::new(2);
    write(&sandbox, "deed.tif", &tiff(&[10, 200]));
    write(&sandbox, "sideways.jpg", &sideways());
    write(&sandbox, "plan.bmp", &bmp());
    sandbox
}

/// Its six images are paid for once each, its five files have their texts, and no picture of ours is left.
pub(crate) fn six_of_five(sandbox: &Sandbox) {
    oracle::done_once(&sandbox.workspace(), &sandbox.bill(), 6);
    let names = ["deed.tif", "sideways.jpg", "plan.bmp", "tray_0/page0000.png", "tray_1/page0001.png"];
    assert!(names.iter().all(|name| sandbox.text(name).is_some()));
    assert_eq!(sandbox.text("deed.tif").map(|text| text.split('\u{c}').count()), Some(2));
    assert_eq!(std::fs::read_dir(sandbox.workspace().join("batch/prepared")).map_or(0, Iterator::count), 0);
}

fn ends_well(outcome: &Outcome, images: u64) {
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert!(outcome.standing.closes() && outcome.standing.done == images, "{:?}", outcome.standing);
}

/// What the ledger says was sent of each image that was made ready: name, page, and the facts as JSON.
fn sent(sandbox: &Sandbox) -> Vec<(String, u32, serde_json::Value)> {
    let ledger = rusqlite::Connection::open(sandbox.workspace().join("batch/ledger.sqlite")).expect("the ledger");
    let sql = "SELECT CAST(i.name AS TEXT), i.page, l.prepared FROM line l JOIN image i ON i.id = l.image_id
        WHERE l.prepared IS NOT NULL ORDER BY 1, 2";
    let mut rows = ledger.prepare(sql).expect("a query");
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?));
    let all = rows.query_map([], read).expect("rows").collect::<Result<Vec<_>, _>>().expect("rows");
    let parsed = |text: &str| serde_json::from_str(text).expect("JSON");
    all.into_iter().map(|(name, page, facts)| (name, page, parsed(&facts))).collect()
}

#[test]
fn what_cannot_go_as_it_is_is_made_ready_and_nothing_of_it_is_left() {
    let sandbox = archive();
    ends_well(&sandbox.run(), 6);
    oracle::done_once(&sandbox.workspace(), &sandbox.bill(), 6);
    let sent = sent(&sandbox);
    let told: Vec<_> = sent
        .iter()
        .map(|(name, page, facts)| (name.as_str(), *page, facts["width"].as_u64(), facts["turned"].as_bool()))
        .collect();
    assert_eq!(
        told,
        [
            ("deed.tif", 1, Some(24), Some(false)),
            ("deed.tif", 2, Some(24), Some(false)),
            ("plan.bmp", 1, Some(30), Some(false)),
            ("sideways.jpg", 1, Some(20), Some(true)),
        ]
    );
    let left = std::fs::read_dir(sandbox.workspace().join("batch/prepared")).expect("the folder").count();
    assert_eq!(left, 0, "prepared pictures go with their batches");
    let text = sandbox.text("deed.tif").expect("one text for both pages");
    let pages: Vec<&str> = text.split('\u{c}').collect();
    assert!(pages.len() == 2 && pages[0] != pages[1] && pages.iter().all(|page| page.ends_with('\n')), "{text:?}");
    let tree = sandbox.tree();
    assert!(tree.iter().any(|file| file.ends_with("/in|deed.tif#2.json")), "{tree:?}");
    let again = sandbox.run();
    ends_well(&again, 6);
    assert_eq!(oracle::billed(&sandbox.bill()).len(), 6, "nothing is asked twice");
}

#[test]
fn a_longest_side_shrinks_what_is_longer_and_nothing_else() {
    let mut sandbox = archive();
    sandbox.set("encode.longest_side", "25");
    ends_well(&sandbox.run(), 6);
    let sent = sent(&sandbox);
    let shrunk: Vec<_> = sent.iter().filter(|(.., facts)| facts["shrunk"] == true).map(|(name, ..)| name).collect();
    assert_eq!(shrunk, ["plan.bmp", "sideways.jpg"]);
    assert!(sent.iter().all(|(.., facts)| facts["width"].as_u64().max(facts["height"].as_u64()) <= Some(25)));
    // Whoever is told of the texts is told of the pictures that were sent.
    let flagged = |flag: &str| {
        let (exit, out, err) = call(&sandbox, &format!("export jsonl --where flag={flag}"));
        assert_eq!(exit, Some(0), "{err}");
        let line = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON");
        let path = |line: serde_json::Value| line["path"].as_str().expect("a path").to_owned();
        out.lines().map(line).map(path).collect::<Vec<_>>()
    };
    assert_eq!(flagged("shrunk"), ["plan.bmp", "sideways.jpg"]);
    assert_eq!(flagged("rotated"), ["sideways.jpg"]);
    assert_eq!(call(&sandbox, "status --list flagged").1, "", "no answer bears a flag");
}

/// A picture of 900 by 700, of which a model sees 512 by 399 at detail low.
fn large(quality: u8, seed: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let light = |x: u32, y: u32| (x.wrapping_mul(2_654_435_761).wrapping_add(y * 40_503 + seed) >> 13) as u8;
    let picture = RgbImage::from_fn(900, 700, |x, y| image::Rgb([light(x, y); 3]));
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, quality).encode_image(&picture).expect("memory");
    bytes
}

#[test]
fn pictures_are_fitted_to_what_the_model_sees_where_that_saves_bytes() {
    let mut sandbox = Sandbox::new(1);
    write(&sandbox, "coarse.jpg", &large(1, 1));
    write(&sandbox, "fine.jpg", &large(90, 2));
    sandbox.set("request.detail", "low");
    sandbox.set("encode.fit", "true");
    let (mission, _) = sandbox.mission(Mode::Run { once: false });
    let how = mission.recipe.parameters.preparation.expect("it is a part of the recipe");
    assert_eq!(how.fit.map(|sight| (sight.longer, sight.shorter, sight.patches)), Some((512, 0, 0)));
    ends_well(&sandbox.run(), 3);
    let told: Vec<_> = sent(&sandbox)
        .into_iter()
        .map(|(name, _, facts)| (name, facts["width"].as_u64(), facts["height"].as_u64(), facts["shrunk"].as_bool()))
        .collect();
    assert_eq!(
        told,
        [
            ("coarse.jpg".to_owned(), Some(900), Some(700), Some(false)),
            ("fine.jpg".to_owned(), Some(512), Some(399), Some(true)),
        ],
        "of the coarse one, a better copy would be longer"
    );
}

#[test]
fn a_model_that_nothing_is_known_of_is_sent_whole_pictures_and_that_is_told_once() {
    let mut sandbox = Sandbox::with(0, Weather { models: vec!["ours".to_owned()], ..Weather::default() });
    for seed in [1, 2] {
        write(&sandbox, &format!("{seed}.jpg"), &large(90, seed));
    }
    for (key, value) in [("request.model", "ours"), ("encode.fit", "true"), ("max_images_per_batch", "1")] {
        sandbox.set(key, value);
    }
    let (mission, _) = sandbox.mission(Mode::Run { once: false });
    assert_eq!(mission.recipe.parameters.preparation, None, "the recipe is the one without it");
    let tally = mission.tally.subscribe();
    let outcome = std::thread::spawn(move || batchscribe::pipeline::run(mission)).join().expect("an end");
    ends_well(&outcome, 2);
    assert_eq!(sent(&sandbox), []);
    let warned = |notice: &&Notice| matches!(notice, Notice::Warning { code: "E114", .. });
    assert_eq!(tally.borrow().notices.iter().filter(warned).count(), 1, "{:?}", tally.borrow().notices);
}

#[test]
fn what_may_not_be_made_anew_is_refused_by_name_or_sent_as_it_is() {
    let mut sandbox = archive();
    sandbox.set("encode.reencode", "never");
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!((outcome.standing.done, outcome.standing.failed), (3, 2), "{:?}", outcome.standing);
    assert_eq!(sent(&sandbox), []);
}

#[test]
fn of_a_file_of_pages_the_first_alone_or_none_may_be_asked() {
    for (word, done, failed) in [("first", 5, 0), ("refuse", 4, 1)] {
        let mut sandbox = archive();
        sandbox.set("encode.pages", word);
        let outcome = sandbox.run();
        assert_eq!((outcome.standing.done, outcome.standing.failed), (done, failed), "{word}: {:?}", outcome.standing);
        assert_eq!(sandbox.text("deed.tif").is_some(), word == "first");
    }
}

#[test]
fn pages_that_come_and_go_are_accounted_for() {
    let sandbox = archive();
    ends_well(&sandbox.run(), 6);
    let before = sandbox.text("deed.tif").expect("text");
    write(&sandbox, "deed.tif", &tiff(&[10, 200, 90]));
    ends_well(&sandbox.run(), 7);
    let text = sandbox.text("deed.tif").expect("text");
    assert_eq!((before.split('\u{c}').count(), text.split('\u{c}').count()), (2, 3), "{text:?}");
    write(&sandbox, "deed.tif", &tiff(&[30]));
    let outcome = sandbox.run();
    assert_eq!((outcome.standing.done, outcome.standing.failed), (5, 2), "{:?}", outcome.standing);
    assert!(outcome.standing.closes());
    assert_eq!(sandbox.text("deed.tif").expect("text").split('\u{c}').count(), 1);
}

#[test]
fn pages_whose_last_sibling_ends_without_being_asked_get_their_text() {
    let mut sandbox = Sandbox::new(0);
    write(&sandbox, "deed.tif", &tiff(&[10, 200, 90]));
    sandbox.set("run.limit", "2");
    let outcome = sandbox.run();
    assert_eq!((outcome.standing.done, outcome.standing.owed), (2, 1), "{:?}", outcome.standing);
    assert_eq!(sandbox.text("deed.tif"), None, "the third page is still to come");
    // Nobody wants it any more, and no answer will ever bring its siblings up again.
    sandbox.set("encode.pages", "first");
    let outcome = sandbox.run();
    assert_eq!((outcome.standing.done, outcome.standing.failed), (2, 1), "{:?}", outcome.standing);
    let text = sandbox.text("deed.tif").expect("a text of the pages that there are");
    assert_eq!(text.split('\u{c}').count(), 2, "{text:?}");
}

/// States and reasons of all pages of all images.
fn ends(sandbox: &Sandbox) -> Vec<String> {
    let ledger = rusqlite::Connection::open(sandbox.workspace().join("batch/ledger.sqlite")).expect("the ledger");
    let sql = "SELECT state || coalesce(' ' || reason, '') FROM image ORDER BY name, page";
    let mut rows = ledger.prepare(sql).expect("a query");
    rows.query_map([], |row| row.get(0)).expect("rows").collect::<Result<_, _>>().expect("rows")
}

#[test]
fn no_owed_page_stays_in_the_feed_whatever_its_file_has_become() {
    const CHANGED: &str = "failed changed";
    let cut = &tiff(&[10, 200, 90])[..900];
    let cases: [(&str, Option<&[u8]>, &str); 4] = [
        ("a picture of another format", Some(&png(7)), CHANGED),
        ("no image", Some(b"moved to the attic"), CHANGED),
        ("cut", Some(cut), CHANGED),
        ("gone", None, "failed missing_file"),
    ];
    let first_of_three = || {
        let mut sandbox = Sandbox::new(0);
        write(&sandbox, "deed.tif", &tiff(&[10, 200, 90]));
        sandbox.set("run.limit", "1");
        assert_eq!(sandbox.run().standing.owed, 2);
        sandbox.set("run.limit", "0");
        sandbox
    };
    for (what, bytes, expected) in cases {
        let sandbox = first_of_three();
        match bytes {
            Some(bytes) => write(&sandbox, "deed.tif", bytes),
            None => std::fs::remove_file(sandbox.corpus().join("deed.tif")).expect("a file"),
        }
        let outcome = sandbox.run();
        assert!(outcome.fault.is_none() && outcome.standing.closes(), "{what}: {outcome:?}");
        assert_eq!(ends(&sandbox), ["done", expected, expected], "{what}");
    }
    let mut sandbox = first_of_three();
    sandbox.set("encode.pages", "refuse");
    ends_well(&sandbox.run(), 3);
    assert!(sandbox.text("deed.tif").is_some(), "a file that was begun is read to its end");
}

#[test]
fn a_persons_text_of_a_file_of_pages_stands() {
    let sandbox = archive();
    ends_well(&sandbox.run(), 6);
    write(&sandbox, "deed.tif.txt", b"read by a person\n");
    write(&sandbox, "deed.tif", &tiff(&[11, 201]));
    ends_well(&sandbox.run(), 6);
    assert_eq!(sandbox.text("deed.tif").as_deref(), Some("read by a person\n"));
}

#[test]
fn a_prepared_picture_that_is_lost_or_torn_is_made_again() {
    let sandbox = archive();
    // Plans are sealed, and nothing is sent.
    let outcome = sandbox.work(Mode::SpoolOnly(sandbox.workspace().join("jsonl")));
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    let folder = sandbox.workspace().join("batch/prepared");
    let mut files: Vec<_> =
        std::fs::read_dir(&folder).expect("folder").map(|file| file.expect("file").path()).collect();
    files.sort();
    assert_eq!(files.len(), 4);
    std::fs::remove_file(&files[0]).expect("lost");
    let mut torn = std::fs::read(&files[1]).expect("file");
    torn.reverse();
    std::fs::write(&files[1], torn).expect("torn");
    std::fs::write(folder.join("99-orphan.jpeg"), b"of nobody").expect("orphan");
    ends_well(&sandbox.run(), 6);
    oracle::done_once(&sandbox.workspace(), &sandbox.bill(), 6);
    assert_eq!(std::fs::read_dir(&folder).expect("folder").count(), 0);
}

#[test]
fn a_picture_that_no_queue_takes_leaves_no_prepared_file() {
    let mut sandbox = archive();
    sandbox.set("batch.max_enqueued_tokens", "20");
    let outcome = sandbox.run();
    assert_eq!((outcome.standing.failed, outcome.fault.is_none()), (6, true), "{outcome:?}");
    let left = std::fs::read_dir(sandbox.workspace().join("batch/prepared")).expect("the folder").count();
    assert_eq!(left, 0, "it is freed at once");
}

/// Pictures whose JPEGs are too many for the disk that they may have.
fn crowded(pictures: u32) -> Sandbox {
    let mut sandbox = Sandbox::with(0, Weather { line_delay: Duration::from_millis(500), ..Weather::default() });
    for (key, value) in [("shard.max_shard_bytes", "64 kB"), ("shard.max_prepared", "128 kB")] {
        sandbox.set(key, value);
    }
    for seed in 0..pictures {
        // What no JPEG makes small.
        let noise = |x: u32, y: u32| (x * 7_919 + y * 104_729 + seed).wrapping_mul(2_654_435_761).to_be_bytes();
        let picture = RgbImage::from_fn(90, 90, |x, y| {
            let [red, green, blue, _] = noise(x, y);
            image::Rgb([red, green, blue])
        });
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, ImageFormat::Bmp).expect("memory");
        write(&sandbox, &format!("noise{seed}.bmp"), &bytes.into_inner());
    }
    sandbox
}

#[test]
fn pictures_that_are_being_made_count_for_the_disk_that_they_may_have() {
    let sandbox = crowded(80);
    let (mission, stop) = sandbox.mission(Mode::Run { once: false });
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || drop(done.send(batchscribe::pipeline::run(mission))));
    sandbox.await_batches(1);
    let files = std::fs::read_dir(sandbox.workspace().join("batch/prepared")).expect("the folder");
    let lengths = files.filter_map(|file| Some(file.ok()?.metadata().ok()?.len()));
    let bytes: u64 = lengths.sum();
    stop.raise(StopLevel::Drain);
    ended.recv_timeout(Duration::from_secs(60)).expect("it drains");
    assert!(bytes > 0 && bytes < 128_000 + 3 * 90 * 90, "{bytes} bytes lie there");
}

#[test]
fn a_run_without_room_for_another_picture_drains_when_it_is_asked_to() {
    let sandbox = crowded(16);
    let (mission, stop) = sandbox.mission(Mode::Run { once: false });
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || drop(done.send(batchscribe::pipeline::run(mission))));
    sandbox.await_batches(3);
    stop.raise(StopLevel::Drain);
    let outcome = ended.recv_timeout(Duration::from_secs(60)).expect("it drains");
    assert!(outcome.fault.is_none() && outcome.standing.batches_open > 0, "{outcome:?}");
    ends_well(&sandbox.run(), 16);
    oracle::done_once(&sandbox.workspace(), &sandbox.bill(), 16);
}

#[test]
fn a_page_that_was_cleaned_deeply_survives_a_death_before_its_verdict() {
    let rough = "[[bad]]\nhow = [\"model_voice\"]\ntimes = 1\n";
    let mut sandbox =
        Sandbox::with(0, Weather { scenario: toml::from_str(rough).expect("a scenario"), ..Weather::default() });
    sandbox.set("clean.deep_clean", "true");
    write(&sandbox, "deed.tif", &tiff(&[10, 200]));
    let mut life = command(&sandbox);
    // Both rough texts were written at the first visit.
    life.env("BATCHSCRIBE_CRASH", "text.folder_synced:2");
    assert!(live(life, None).is_some_and(|status| !status.success()), "it died there");
    ends_well(&sandbox.run(), 2);
    let text = sandbox.text("deed.tif").expect("one text of both pages");
    assert_eq!(text.split('\u{c}').count(), 2, "{text:?}");
    let rough = sandbox.tree().into_iter().filter(|name| name.ends_with(".txt.api")).count();
    assert_eq!((rough, oracle::count(&sandbox.bill(), "line")), (0, 4), "each is read once and cleaned once");
}
