//! What an answer costs between the result file and its text: its line read, its text polished, judged.
//!
//! `cargo bench --bench judge_answer`; for a profile `… --bench judge_answer -- --profile-time 10 'judged/print'`

use std::hint::black_box;

use batchscribe::clean::content::{Reading, TextFrom};
use batchscribe::clean::judge::{Limits, Question, judge};
use batchscribe::clean::polish::{PolishOptions, polish};
use batchscribe::clean::repetition::{LoopLimits, is_repetitive, runs_away};
use batchscribe::clean::{chatter, refusal};
use batchscribe::domain::answer::Answer;
use batchscribe::domain::ids::ImageId;
use batchscribe::domain::image::RelPath;
use batchscribe::extract::parse;
use batchscribe::settings::texts::BUILT_IN_PROMPT;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde_json::json;

/// True pages of 1.3 to 1.8 kB. Drawn words would not do: they repeat themselves, and a loop is looked at more closely.
fn pages() -> [(&'static str, &'static str); 3] {
    [
        ("english", include_str!("../tests/data/truth/print/05dracula.pdf_page_51.png.txt")),
        ("german", include_str!("../tests/data/truth/german/EHRI-BF-19381105_DE_01.jpg.txt")),
        ("czech", include_str!("../tests/data/truth/czech/EHRI-BF-19380314-CZ_02.jpg.txt")),
    ]
}

fn line(text: &str) -> Vec<u8> {
    let body = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_750_000_000, "model": "gpt-5.6-luna",
        "choices": [{"index": 0, "finish_reason": "stop", "logprobs": null,
            "message": {"role": "assistant", "content": text, "refusal": null, "annotations": []}}],
        "usage": {"prompt_tokens": 1_100, "completion_tokens": 600, "total_tokens": 1_700,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0}}
    });
    let line = json!({"id": "batch_req_1", "custom_id": "box-03|page-0001.png", "error": null,
        "response": {"status_code": 200, "request_id": "r1", "body": body}});
    line.to_string().into_bytes()
}

fn answers(criterion: &mut Criterion) {
    let (from, how, limits) = (TextFrom::Content, PolishOptions::default(), Limits::default());
    let reading = Reading { json: false, schema: None, from: &from, polish: &how, prompt: BUILT_IN_PROMPT };
    for (name, text) in pages() {
        let line = line(text);
        let mut group = criterion.benchmark_group("answer");
        group.throughput(Throughput::Bytes(line.len() as u64));
        let read = parse::read(&line).expect("a result line");
        group.bench_function(BenchmarkId::new("read", name), |bench| bench.iter(|| parse::read(black_box(&line))));
        let path = RelPath { folder: Vec::new(), name: b"page-0001.png".to_vec(), page: 1 };
        let answer = Answer { image: ImageId(1), path, attempt: 1, outcome: read.outcome, usage: read.usage };
        let question = Question::alone(reading, &limits);
        assert!(judge(&answer, &question).flags.is_empty(), "a good page");
        group.bench_function(BenchmarkId::new("judged", name), |bench| {
            bench.iter(|| judge(black_box(&answer), &question));
        });
        group.finish();
    }
}

fn parts(criterion: &mut Criterion) {
    let (how, limits) = (PolishOptions::default(), LoopLimits::default());
    for (name, text) in pages() {
        let mut group = criterion.benchmark_group("part");
        group.throughput(Throughput::Bytes(text.len() as u64));
        let mut part = |what: &str, job: &dyn Fn(&str) -> bool| {
            group.bench_function(BenchmarkId::new(what, name), |bench| bench.iter(|| job(black_box(text))));
        };
        part("polished", &|text| polish(text, &how, BUILT_IN_PROMPT).steps.is_empty());
        part("edges", &|text| chatter::edge(text).is_some() || chatter::echoed_edge(text, BUILT_IN_PROMPT).is_some());
        part("rough", &|text| chatter::rough(text, BUILT_IN_PROMPT).is_empty());
        part("refusal", &refusal::is_refusal);
        part("runs away", &|text| runs_away(text, &limits));
        part("repetitive", &|text| is_repetitive(text, &limits));
        group.finish();
    }
}

criterion_group!(benches, answers, parts);
criterion_main!(benches);
