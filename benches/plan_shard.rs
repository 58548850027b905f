//! Planning: framed lines into plans of 400 images and 150 MB. No byte of an image is read.
//!
//! `cargo bench --bench plan_shard`

use std::hint::black_box;

use batchscribe::domain::ids::ImageId;
use batchscribe::domain::image::Pixels;
use batchscribe::domain::money::Money;
use batchscribe::domain::shard::SealReason;
use batchscribe::domain::tokens::Counting;
use batchscribe::encode::pack::{Candidate, Limits, OpenPlan};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const LIMITS: Limits = Limits { lines: 400, bytes: 150_000_000, tokens: 0, money: None, age_ms: 600_000 };
const IMAGES: i64 = 10_000;

fn plan() -> usize {
    let mut open = OpenPlan::default();
    let mut closed = 0;
    for id in 0..IMAGES {
        let tokens = Counting::default().line(Pixels { width: 2480, height: 3508 }, 600);
        let bytes = 300_000 + (id as u64 % 7) * 90_000;
        let next = Candidate { image: ImageId(id), bytes, tokens, worst: Money::ZERO, first: true };
        if let Some(seal) = open.full_for(&next, &LIMITS) {
            closed += usize::from(open.close(seal).is_some());
        }
        open.push(&next, None, 0);
    }
    closed + usize::from(open.close(SealReason::Drain).is_some())
}

fn plans(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("plan");
    group.throughput(Throughput::Elements(IMAGES as u64));
    group.bench_function("10,000 lines", |bench| bench.iter(|| black_box(plan())));
    group.finish();
}

criterion_group!(benches, plans);
criterion_main!(benches);
