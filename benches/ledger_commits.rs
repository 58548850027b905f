//! The ledger on disk: enrol, seal, verdicts in images a second, and one durable move at a time.
//!
//! `cargo bench --bench ledger_commits -- --images 20000`

#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a bench reads the clock and prints its table")]

mod support;

use std::time::Instant;

use batchscribe::bench::ground::{ALLOWED, new_run};
use batchscribe::domain::ids::{FileId, Tag};
use batchscribe::domain::image::{Fate, Format, Found, Looks, Pixels, RelPath, Stamp};
use batchscribe::domain::recipe::{AnswerFormat, IdStyle, Kind, Parameters, Recipe};
use batchscribe::domain::shard::{NewLine, NewShard, SealReason};
use batchscribe::kit::clock::Clock;
use batchscribe::kit::random;
use batchscribe::ledger::records::Cursor;
use batchscribe::ledger::sqlite::SqliteStore;
use batchscribe::ledger::store::{Frame as _, Store};

fn main() {
    let images = support::argument("images", 20_000);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("temp dir");
    let mut store =
        SqliteStore::open(&folder.path().join("ledger.sqlite"), Clock::wall(), ALLOWED).expect("a new ledger");
    let (run, recipe, corpus) = committed(&mut store, |store| {
        let run = store.begin_run(&new_run()).expect("run").id;
        (run, store.recipe(&recipe()).expect("recipe"), store.corpus(b"/pages", b"pages").expect("corpus").id)
    });

    let begun = Instant::now();
    for page in (0..images).collect::<Vec<_>>().chunks(256) {
        let found: Vec<Found> = page.iter().map(|n| found(*n)).collect();
        committed(&mut store, |store| store.enrol(corpus, &found).expect("enrol"));
    }
    report("enrol, a page of 256 a commit", images, begun);

    let mut cursor = Cursor::default();
    let begun = Instant::now();
    let mut moves = Vec::new();
    let mut sealed = 0;
    loop {
        let page = committed(&mut store, |store| store.take_owed(corpus, cursor, 400).expect("feed"));
        if page.images.is_empty() {
            break;
        }
        cursor = page.next;
        sealed += page.images.len();
        let lines = page
            .images
            .iter()
            .map(|image| NewLine { image: image.id, bytes: 400_000, prepared: None, ink: None })
            .collect();
        let tag = Tag(random::letters(12).expect("randomness"));
        let shard = NewShard { tag, run, recipe, seal: SealReason::Lines, lines, est_tokens: 1, charge: None };
        let facts = committed(&mut store, |store| store.seal(&shard).expect("seal"));
        let one = Instant::now();
        let file = FileId(format!("file-{}", facts.id.0));
        committed(&mut store, |store| store.uploaded(facts.id, &file, 1, [7; 16]).expect("uploaded"));
        moves.push(support::seconds(one.elapsed()) * 1e3);
    }
    report("feed and seal, 400 images a commit", sealed, begun);
    moves.sort_by(f64::total_cmp);
    let at = |part: f64| moves[((moves.len() - 1) as f64 * part) as usize];
    println!("one durable move: median {:.2} ms, 99 % below {:.2} ms ({} moves)", at(0.5), at(0.99), moves.len());
    println!("peak memory {:.0} MB", support::peak_mb());
}

fn committed<T>(store: &mut SqliteStore, verb: impl FnOnce(&mut dyn Store) -> T) -> T {
    store.begin().expect("begin");
    let value = verb(store);
    store.commit().expect("commit");
    value
}

fn report(what: &str, images: usize, begun: Instant) {
    let rate = images as f64 / support::seconds(begun.elapsed());
    println!("{what}: {rate:.0} images/s");
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

fn recipe() -> Recipe {
    Recipe {
        id: None,
        kind: Kind::Read,
        id_style: IdStyle::Path,
        step: 1,
        model: "bench".into(),
        endpoint: "/v1/chat/completions".into(),
        prompt: "Transcribe.".into(),
        parameters: Parameters {
            preparation: None,
            system: None,
            detail: "high".into(),
            max_output_tokens: None,
            reasoning_effort: None,
            temperature: None,
            answer_format: AnswerFormat::Text,
        },
    }
}
