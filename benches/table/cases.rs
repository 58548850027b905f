//! What is measured in a process of its own: `table --case NAME WORDS`, figures as JSON on stdout.

use std::io::{BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use batchscribe::bench::ground::{ALLOWED, Ground, new_run};
use batchscribe::bench::meter::{self, Meter};
use batchscribe::bench::whole::mission;
use batchscribe::corpus::{Corpus, Known, Walked};
use batchscribe::domain::ids::{BatchId, FileId, Tag};
use batchscribe::domain::image::{Fate, Format, Found, Looks, Pixels, RelPath, Stamp};
use batchscribe::domain::shard::{NewLine, NewShard, SealReason};
use batchscribe::extract::write::ResultWriters;
use batchscribe::kit::atomic_file::Mark;
use batchscribe::kit::clock::Clock;
use batchscribe::kit::disks::Disks;
use batchscribe::kit::exit_guard::ExitGuard;
use batchscribe::kit::folder::Folder;
use batchscribe::kit::lines;
use batchscribe::kit::random;
use batchscribe::kit::stop::StopLevel;
use batchscribe::ledger::records::Cursor;
use batchscribe::ledger::sqlite::SqliteStore;
use batchscribe::ledger::store::{Frame as _, Store};
use batchscribe::pipeline;
use batchscribe::pipeline::mission::{Mode, Tally};
use batchscribe::provider::Provider as _;
use batchscribe::provider::http::Options;
use batchscribe::provider::openai::OpenAi;
use batchscribe::provider::wire::NewBatch;
use tokio::sync::watch;

use crate::scene::Told;
use crate::support::bodies::{Source, corpus, plan, push};

/// Does the case and prints what it took.
pub(crate) fn run(name: &str, words: &[String]) {
    let word = |at: usize| words.get(at).map(String::as_str).expect("a word");
    let number = |at: usize| word(at).parse::<usize>().expect("a number");
    let told = match name {
        "memcpy" => memcpy(),
        "push-ready" => push_ready(Path::new(word(0)), word(1), number(2)),
        "push-body" => push_body(Path::new(word(0)), number(1), word(2), number(3)),
        "upload-run" => upload_run(Path::new(word(0)), word(1)),
        "walk" => walk(Path::new(word(0)), word(1) == "known"),
        "enrol" => enrol(Path::new(word(0)), word(1)),
        "commits" => commits(Path::new(word(0)), number(1), number(2)),
        "files" => files(Path::new(word(0)), Path::new(word(1))),
        "polls" => polls(word(0), number(1), number(2)),
        "idle" => idle(Path::new(word(0)), word(1), number(2)),
        other => panic!("there is no case {other}"),
    };
    let text = serde_json::to_string(&told).expect("figures");
    writeln!(std::io::stdout().lock(), "{text}").expect("told");
}

/// What the windows of `meter` took, and this process's memory.
fn told(meter: &Meter, items: usize, bytes: u64) -> Told {
    Told {
        wall_s: meter.wall_s(),
        cpu_s: meter.cpu_s().expect("Linux tells"),
        peak_bytes: meter::peak_bytes().expect("Linux tells") as f64,
        disk_bytes: meter::disk_bytes().unwrap_or(0) as f64,
        bytes: bytes as f64,
        items: items as f64,
        ..Told::default()
    }
}

/// Copies of 256 MB within memory: how fast this machine is just now.
fn memcpy() -> Told {
    const BYTES: usize = 256_000_000;
    const TIMES: usize = 8;
    let (from, mut to) = (vec![1u8; BYTES], vec![2u8; BYTES]);
    let mut meter = Meter::default();
    meter.window(|| {
        for _ in 0..TIMES {
            to.copy_from_slice(std::hint::black_box(&from));
            std::hint::black_box(&mut to);
        }
    });
    told(&meter, TIMES, (BYTES * TIMES) as u64)
}

fn push_ready(file: &Path, url: &str, times: usize) -> Told {
    let length = std::fs::metadata(file).expect("file").len();
    let mut meter = Meter::default();
    for _ in 0..times {
        meter.window(|| push(url, Source::File(file.to_path_buf()), length));
    }
    told(&meter, times, length * times as u64)
}

/// The second processor time is that of every body opened a second time, as a retry does.
fn push_body(root: &Path, images: usize, url: &str, times: usize) -> Told {
    let corpus: Arc<dyn Corpus> = Arc::new(corpus(root));
    let plan = Arc::new(plan(&*corpus, images));
    let length = plan.shard.bytes;
    let (mut first, mut again) = (Meter::default(), Meter::default());
    let body = || push(url, Source::Body(Arc::clone(&plan), Arc::clone(&corpus), false), length);
    for _ in 0..times {
        first.window(body);
        again.window(body);
    }
    let second_cpu_s = again.cpu_s().expect("Linux tells");
    Told { second_cpu_s, ..told(&first, times, length * times as u64) }
}

fn ground(folder: &Path, url: &str) -> Ground {
    let ground = Ground { folder: folder.to_path_buf(), server: Some(url.to_owned()) };
    std::fs::create_dir_all(ground.scratch()).expect("folder");
    ground
}

/// `upload` of a corpus.
fn upload_run(folder: &Path, url: &str) -> Told {
    let tally = watch::Sender::new(Tally::default());
    let mission = mission(&ground(folder, url), Mode::Upload, tally.clone()).expect("a mission");
    let mut meter = Meter::default();
    let outcome = meter.window(|| pipeline::run(mission));
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    let sent = tally.borrow().sent_bytes;
    told(&meter, outcome.standing.found as usize, sent)
}

/// Every image of a folder, as the walk finds and measures it; `known` is a later walk, of which the ledger knows every file:
/// then length and time are all that is asked for.
fn walk(root: &Path, known: bool) -> Told {
    let corpus = corpus(root);
    let seen: Arc<(AtomicUsize, AtomicU64)> = Arc::default();
    let count = |files: usize, bytes: u64| {
        seen.0.fetch_add(files, Ordering::Relaxed);
        seen.1.fetch_add(bytes, Ordering::Relaxed);
    };
    let all_known = known.then(|| -> Known {
        let seen = Arc::clone(&seen);
        Box::new(move |files| {
            seen.0.fetch_add(files.len(), Ordering::Relaxed);
            seen.1.fetch_add(files.iter().map(|(_, stamp)| stamp.bytes).sum(), Ordering::Relaxed);
            vec![true; files.len()]
        })
    });
    let mut meter = Meter::default();
    meter.window(|| {
        let mut lane = corpus.walk(all_known, ExitGuard::unheard("walk")).expect("a thread");
        loop {
            match lane.blocking_recv() {
                Some(Walked::Page(found, _)) => count(found.len(), found.iter().map(|found| found.stamp.bytes).sum()),
                Some(Walked::Over) => return,
                ended => panic!("the walk ended early: {ended:?}"),
            }
        }
    });
    told(&meter, seen.0.load(Ordering::Relaxed), seen.1.load(Ordering::Relaxed))
}

/// Walks a corpus into the ledger of a workspace, page by page, each in a durable commit, as a run does it.
fn enrol(folder: &Path, url: &str) -> Told {
    let mission = mission(&ground(folder, url), Mode::Upload, watch::Sender::new(Tally::default())).expect("a mission");
    let from = corpus(&mission.image_root);
    let mut store = SqliteStore::open(&mission.layout.ledger(), Clock::wall(), ALLOWED).expect("a new ledger");
    let root = mission.image_root.as_os_str().as_encoded_bytes();
    let id = committed(&mut store, |store| {
        let id = store.corpus(root, mission.image_dir_given.as_bytes()).expect("corpus").id;
        store.walk_begins(id).expect("begun");
        id
    });
    let (mut meter, mut images) = (Meter::default(), 0);
    meter.window(|| {
        let mut lane = from.walk(None, ExitGuard::unheard("walk")).expect("a thread");
        while let Some(Walked::Page(found, _)) = lane.blocking_recv() {
            images += found.len();
            committed(&mut store, |store| store.enrol(id, &found).expect("enrol"));
        }
        committed(&mut store, |store| store.walk_over(id).expect("over"));
    });
    store.close().expect("closed");
    told(&meter, images, 0)
}

/// Shards of 400 images, each sealed in a durable commit of its own: what the last `counted` of the images take. The second
/// processor time is that of enrolling these, page by page.
fn commits(folder: &Path, images: usize, counted: usize) -> Told {
    let mut store = SqliteStore::open(&folder.join("ledger.sqlite"), Clock::wall(), ALLOWED).expect("a new ledger");
    let recipe = ground(folder, "http://127.0.0.1/v1");
    let recipe = recipe.recipe(&recipe.settings(&[]).expect("settings")).expect("a recipe");
    let (run, recipe, corpus) = committed(&mut store, |store| {
        let run = store.begin_run(&new_run()).expect("run").id;
        (run, store.recipe(&recipe).expect("recipe"), store.corpus(b"/pages", b"pages").expect("corpus").id)
    });
    let (mut enrolling, mut sealing, mut uncounted) = (Meter::default(), Meter::default(), Meter::default());
    for first in (0..images).step_by(250) {
        let found: Vec<Found> = (first..images.min(first + 250)).map(found).collect();
        let meter = if first + counted < images { &mut uncounted } else { &mut enrolling };
        meter.window(|| committed(&mut store, |store| store.enrol(corpus, &found).expect("enrol")));
    }
    let (mut cursor, mut before, mut sealed) = (Cursor::default(), 0, 0);
    loop {
        let page = committed(&mut store, |store| store.take_owed(corpus, cursor, 400).expect("feed"));
        if page.images.is_empty() {
            let second_cpu_s = enrolling.cpu_s().expect("Linux tells");
            return Told { second_cpu_s, ..told(&sealing, sealed, 0) };
        }
        cursor = page.next;
        let counts = before + counted >= images;
        before += page.images.len();
        sealed += if counts { page.images.len() } else { 0 };
        let line = |id| NewLine { image: id, bytes: 400_000, prepared: None, ink: None };
        let lines = page.images.iter().map(|image| line(image.id)).collect();
        let tag = Tag(random::letters(12).expect("randomness"));
        let shard = NewShard { tag, run, recipe, seal: SealReason::Lines, lines, est_tokens: 1, charge: None };
        let meter = if counts { &mut sealing } else { &mut uncounted };
        meter.window(|| committed(&mut store, |store| store.seal(&shard).expect("seal")));
    }
}

fn committed<T>(store: &mut SqliteStore, verb: impl FnOnce(&mut dyn Store) -> T) -> T {
    store.begin().expect("begin");
    let value = verb(store);
    store.commit().expect("commit");
    value
}

fn found(n: usize) -> Found {
    let path = RelPath {
        folder: format!("box/tray_{:04}", n / 250).into_bytes(),
        name: format!("page{n:07}_left.png").into_bytes(),
        page: 1,
    };
    let fate = Fate::Owed(Looks::plain(Format::Png, Pixels { width: 2480, height: 3508 }));
    Found { path, stamp: Stamp { bytes: 300_000, mtime_ms: 1_700_000_000_000 }, fate, text_present: false }
}

/// The files that the answers of a result file become, made the same way, without anything being read in them: the line, and
/// about as many bytes as its text has.
fn files(results: &Path, out: &Path) -> Told {
    const TEXT: usize = 1_200;
    /// Lines of a batch, whose JSON files have a folder, and texts of a folder.
    const TOGETHER: usize = 400;
    let mark = Mark::new(out).expect("randomness");
    let writers = ResultWriters::start(|| ExitGuard::unheard("results")).expect("threads");
    let texts = Folder::open(out).and_then(|out| out.make_below(&[b"texts"])).expect("folder");
    let mut reader = BufReader::with_capacity(256 * 1024, std::fs::File::open(results).expect("file"));
    let (mut meter, mut made) = (Meter::default(), 0);
    meter.window(|| {
        for batch in 0.. {
            let (mut chunk, mut line) = (Vec::with_capacity(TOGETHER), Vec::new());
            while chunk.len() < TOGETHER && lines::next(&mut reader, &mut line).expect("read").is_some() {
                chunk.push((made + chunk.len(), std::mem::take(&mut line)));
            }
            if chunk.is_empty() {
                return;
            }
            made += chunk.len();
            let batch_name = format!("batch_{batch:05}");
            let json = writers.folder(&out.join("json"), batch_name.as_bytes(), batch).expect("folder");
            let folder = Arc::new(texts.make_below(&[batch_name.as_bytes()]).expect("folder"));
            let mut files = json.chunk(chunk.len());
            let name = |n: usize, end: &str| format!("images|tray_{:05}|page{n:07}.png.{end}", n / 250).into_bytes();
            for (n, line) in &chunk {
                files.write(name(*n, "json"), line.clone()).expect("handed over");
            }
            files.wait().expect("written");
            json.publish().expect("a new name");
            let disks = Disks::new(chunk.len());
            let written = chunk.into_iter().map(|(n, line)| {
                let mut draft = folder.draft_held(&mark).expect("draft");
                draft.fill(&line[..TEXT.min(line.len())]).expect("filled");
                disks.close(&mut draft).expect("closed");
                (n, draft)
            });
            let written: Vec<_> = written.collect();
            disks.sync().expect("synced");
            for (n, draft) in written {
                draft.publish_new(&name(n, "txt")).expect("a new name");
            }
            folder.sync().expect("synced");
        }
    });
    told(&meter, made, 0)
}

fn client(url: &str) -> OpenAi {
    let options = Options {
        base_url: url.to_owned(),
        key: None,
        key_header: "Authorization: Bearer".into(),
        organization: None,
        project: None,
        stall_timeout: Duration::from_secs(60),
        user_agent: "bench".into(),
    };
    OpenAi::new(&options).expect("client")
}

/// The whole list of `batches` open batches, page after page on a kept connection, `times` times; the second processor time is
/// that of as many looks at one batch.
fn polls(url: &str, batches: usize, times: usize) -> Told {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let provider = client(url);
    let list = async || {
        let (mut after, mut seen): (Option<BatchId>, usize) = (None, 0);
        loop {
            let page = provider.list_batches(after.as_ref()).await.expect("a page");
            seen += page.batches.len();
            after = page.batches.last().map(|batch| batch.id.clone());
            if !page.has_more {
                return (seen, after);
            }
        }
    };
    runtime.block_on(async {
        for n in list().await.0..batches {
            let new = NewBatch {
                input_file_id: FileId(format!("file-{n}")),
                endpoint: "/v1/chat/completions".into(),
                completion_window: "24h".into(),
                metadata: [("run".to_owned(), "bcdfghjkmnpq".to_owned())].into(),
                output_expires_after: None,
            };
            provider.create_batch(&new).await.expect("created");
        }
    });
    let oldest = runtime.block_on(list()).1.expect("a batch");
    let (mut lists, mut looks) = (Meter::default(), Meter::default());
    for _ in 0..times {
        let seen = lists.window(|| runtime.block_on(list())).0;
        assert_eq!(seen, batches, "every batch is listed");
        looks.window(|| runtime.block_on(provider.batch(&oldest)).expect("a batch"));
    }
    let second_cpu_s = looks.cpu_s().expect("Linux tells");
    Told { second_cpu_s, ..told(&lists, times, 0) }
}

/// A run that has sent everything and waits for batches that never end, looked at as often as by default: what it uses in
/// `seconds`.
fn idle(folder: &Path, url: &str, seconds: usize) -> Told {
    let tally = watch::Sender::new(Tally::default());
    let mut mission = mission(&ground(folder, url), Mode::Run { once: false }, tally.clone()).expect("a mission");
    mission.settings.batch.poll_interval = Duration::from_secs(60);
    mission.settings.batch.max_poll_interval = Duration::from_secs(300);
    let stop = mission.stop.clone();
    let watcher = std::thread::spawn(move || {
        let pause = |seconds| std::thread::sleep(Duration::from_secs(seconds));
        while tally.borrow().standing.packed == 0 || tally.borrow().standing.owed > 0 {
            pause(1);
        }
        pause(2);
        let (cpu, begun) = (meter::cpu().expect("Linux tells"), Instant::now());
        pause(seconds as u64);
        let used = meter::cpu().expect("Linux tells") - cpu;
        let wall = begun.elapsed();
        stop.raise(StopLevel::Drain);
        (used, wall)
    });
    let outcome = pipeline::run(mission);
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    let (used, wall) = watcher.join().expect("it ends");
    Told { wall_s: wall.as_secs_f64(), cpu_s: used.as_secs_f64(), ..Told::default() }
}

/// A folder that a case can take for its ground: the images are another name of `images`.
pub(crate) fn stand_on(folder: &Path, images: &Path) -> PathBuf {
    let ground = Ground { folder: folder.to_path_buf(), server: None };
    std::os::unix::fs::symlink(images, ground.images()).expect("link");
    ground.folder
}
