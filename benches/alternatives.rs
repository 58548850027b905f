//! Ways that were not taken, beside those that were: images whole in memory against chunks, JSON written over finished
//! base64 against framing, a sync of each text against one sync of the disk.
//!
//! `cargo bench --bench alternatives`

#![expect(clippy::disallowed_methods, reason = "what the benches share writes images and starts threads by itself")]

mod support;

use std::hint::black_box;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use batchscribe::corpus::Corpus as _;
use batchscribe::corpus::local::LocalCorpus;
use batchscribe::domain::shard::Plan;
use batchscribe::encode::body::{self, Lane as _};
use batchscribe::encode::line::Framer;
use batchscribe::kit::atomic_file::Mark;
use batchscribe::kit::base64::Encoder;
use batchscribe::kit::disks::Disks;
use batchscribe::kit::folder::Folder;
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::json;
use support::bodies::{Nothing, corpus, makings, plan};

/// Images of a body.
const IMAGES: usize = 16;
/// Texts that are made durable together, as in a run, and bytes of each.
const TEXTS: usize = 256;
const TEXT: usize = 1_200;

fn image(corpus: &LocalCorpus, plan: &Plan, at: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    corpus.open(&plan.lines[at].path).expect("an image").0.read_to_end(&mut bytes).expect("read");
    bytes
}

/// Frames around base64 of the whole image, which lies in memory beside it.
fn whole_images(corpus: &LocalCorpus, plan: &Plan, framer: &Framer, engine: &Encoder) {
    for (at, line) in plan.lines.iter().enumerate() {
        let image = image(corpus, plan, at);
        let frame = framer.frame(&line.path, line.format);
        let mut text = Vec::with_capacity(frame.line_bytes(image.len() as u64) as usize);
        text.extend_from_slice(&frame.prefix);
        engine.append(&image, &mut text);
        text.extend_from_slice(&frame.suffix);
        assert!(Nothing.push(Bytes::from(text)));
    }
}

/// A document of the whole request, written by a JSON library: it looks at each letter of the base64 for what has to be escaped.
fn whole_documents(corpus: &LocalCorpus, plan: &Plan) {
    for (at, line) in plan.lines.iter().enumerate() {
        let url = format!("data:{};base64,{}", line.format.media_type(), STANDARD.encode(image(corpus, plan, at)));
        let content = json!([
            {"type": "text", "text": plan.recipe.prompt},
            {"type": "image_url", "image_url": {"url": url, "detail": "high"}},
        ]);
        let body = json!({"model": plan.recipe.model, "messages": [{"role": "user", "content": content}],
            "max_completion_tokens": 4000});
        let id = String::from_utf8_lossy(&line.path.name);
        let line = json!({"custom_id": id, "method": "POST", "url": plan.recipe.endpoint, "body": body});
        assert!(Nothing.push(Bytes::from(line.to_string())));
    }
}

fn bodies(criterion: &mut Criterion) {
    for (bytes, name) in [(300_000, "body of images of 300 kB"), (5_000_000, "body of images of 5 MB")] {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("temp dir");
        support::corpus(folder.path(), IMAGES, bytes);
        let corpus = corpus(folder.path());
        let plan = plan(&corpus, IMAGES);
        let (framer, engine) = (Framer::new(&plan.recipe, &plan.given).expect("JSON"), Encoder::new());
        let mut group = criterion.benchmark_group(name);
        group.sample_size(20).throughput(Throughput::Bytes(plan.shard.bytes));
        group.bench_function("chunks, as used", |bench| {
            bench.iter(|| body::run(&plan, &corpus, &makings(false), &mut Nothing).expect("a body"));
        });
        group.bench_function("each image whole", |bench| {
            bench.iter(|| whole_images(&corpus, &plan, &framer, &engine));
        });
        group.bench_function("each request a JSON document", |bench| {
            bench.iter(|| whole_documents(&corpus, &plan));
        });
        group.finish();
    }
}

/// Writes texts into a new folder below `root`; every text is synced before its name appears, by itself or with the disk.
fn texts(root: &Path, mark: &Mark, disk: bool) {
    let folder = tempfile::tempdir_in(root).expect("temp dir").keep();
    let folder = Arc::new(Folder::open(&folder).expect("folder"));
    // Of a single file nobody would sync the disk.
    let disks = Disks::new(if disk { TEXTS } else { 1 });
    let write = |_| {
        let mut draft = folder.draft_held(mark).expect("draft");
        draft.fill(black_box(&[b'a'; TEXT])).expect("filled");
        disks.close(&mut draft).expect("closed");
        draft
    };
    let written: Vec<_> = (0..TEXTS).map(write).collect();
    disks.sync().expect("synced");
    for (number, draft) in written.into_iter().enumerate() {
        draft.publish_new(format!("{number}.txt").as_bytes()).expect("a name");
    }
    folder.sync().expect("synced");
}

fn syncs(criterion: &mut Criterion) {
    // What is written stays until the end: ext4 does not use the inodes of removed files again for minutes.
    let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("temp dir");
    let mark = Mark::new(root.path()).expect("randomness");
    let mut group = criterion.benchmark_group("256 texts made durable");
    group.sample_size(10).measurement_time(Duration::from_secs(3)).throughput(Throughput::Elements(TEXTS as u64));
    for (name, disk) in [("one sync of the disk, as used", true), ("a sync of each", false)] {
        group.bench_function(name, |bench| {
            bench.iter(|| texts(root.path(), &mark, disk));
        });
    }
    group.finish();
}

criterion_group!(benches, bodies, syncs);
criterion_main!(benches);
