//! Framing one request line, and base64 of one chunk: the crate's SIMD engine, as used, against its table engine.
//!
//! `cargo bench --bench encode_line`

use std::hint::black_box;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use batchscribe::domain::image::{Format, RelPath};
use batchscribe::domain::recipe::{AnswerFormat, IdStyle, Kind, Parameters, Recipe};
use batchscribe::encode::line::Framer;
use batchscribe::kit::base64::{CHUNK_IN, CHUNK_OUT, Encoder};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn framer() -> Framer {
    let parameters = Parameters {
        preparation: None,
        system: None,
        detail: "high".into(),
        max_output_tokens: Some(4000),
        reasoning_effort: Some("none".into()),
        temperature: None,
        answer_format: AnswerFormat::Text,
    };
    let recipe = Recipe {
        id: None,
        kind: Kind::Read,
        id_style: IdStyle::Path,
        step: 1,
        model: "gpt-5.6-luna".into(),
        endpoint: "/v1/chat/completions".into(),
        prompt: "Transcribe this page exactly as it stands.\n".repeat(10),
        parameters,
    };
    Framer::new(&recipe, b"rolls").expect("a recipe is JSON")
}

fn lines(criterion: &mut Criterion) {
    let framer = framer();
    let path = RelPath { folder: b"box-03/tray_1".to_vec(), name: b"page3986.png".to_vec(), page: 1 };
    let mut group = criterion.benchmark_group("line");
    group.throughput(Throughput::Elements(1));
    group.bench_function("frame", |bench| {
        bench.iter(|| framer.frame(black_box(&path), Format::Png).line_bytes(1_000_000))
    });
    group.finish();
}

fn chunks(criterion: &mut Criterion) {
    let chunk: Vec<u8> = (0..CHUNK_IN).map(|n| (n % 251) as u8).collect();
    let mut group = criterion.benchmark_group("base64 of 126 KiB");
    group.throughput(Throughput::Bytes(CHUNK_IN as u64));
    let engine = Encoder::new();
    let mut out = Vec::with_capacity(CHUNK_OUT);
    group.bench_function("simd, as used", |bench| {
        bench.iter(|| {
            out.clear();
            engine.append(black_box(&chunk), &mut out);
        });
    });
    let mut slice = vec![0u8; CHUNK_OUT];
    group.bench_function("the constant STANDARD", |bench| {
        bench.iter(|| STANDARD.encode_slice(black_box(&chunk), &mut slice));
    });
    group.finish();
}

criterion_group!(benches, lines, chunks);
criterion_main!(benches);
