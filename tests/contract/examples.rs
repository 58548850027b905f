//! Every documented shape, and what the program makes of it. A file of the manifest without a row here fails.

use std::collections::BTreeSet;
use std::fmt::Debug;

use batchscribe::clean::content::{Reading, TextFrom};
use batchscribe::clean::judge::{Judgement, Limits, Question, against_the_run, judge};
use batchscribe::clean::polish::PolishOptions;
use batchscribe::domain::answer::Answer;
use batchscribe::domain::batch::BatchEnd::{self, Cancelled, Completed, Expired, Refused, TurnedAway};
use batchscribe::domain::ids::ImageId;
use batchscribe::domain::image::{Reason, RelPath};
use batchscribe::domain::verdict::Verdict;
use batchscribe::extract::parse;
use batchscribe::poll::status;
use batchscribe::provider::failure::{Failure, Hints, Kind, classify};
use batchscribe::provider::wire::{Batch, BatchPage, FilePage, RemoteFile};
use serde_json::{Value, json};

use crate::samples::{bytes, json, lines, manifest, on_disk};
use crate::site::{ENDPOINT, RESPONSES, Site};

/// A batch: its status, how it ended, which result files it names, the codes of its refusals and their lines.
struct BatchRow {
    file: &'static str,
    status: &'static str,
    end: Option<BatchEnd>,
    results: (bool, bool),
    counts: Option<(u64, u64, u64)>,
    refusals: &'static [(&'static str, Option<u64>)],
}

const fn running(file: &'static str, status: &'static str, counts: (u64, u64, u64)) -> BatchRow {
    BatchRow { file, status, end: None, results: (false, false), counts: Some(counts), refusals: &[] }
}

const fn ended(file: &'static str, end: BatchEnd, results: (bool, bool), counts: (u64, u64, u64)) -> BatchRow {
    let status = match end {
        Completed => "completed",
        Expired => "expired",
        Cancelled => "cancelled",
        _ => "failed",
    };
    BatchRow { file, status, end: Some(end), results, counts: Some(counts), refusals: &[] }
}

const fn failed(file: &'static str, end: BatchEnd, refusals: &'static [(&'static str, Option<u64>)]) -> BatchRow {
    BatchRow { refusals, ..ended(file, end, (false, false), (0, 0, 0)) }
}

const BATCHES: [BatchRow; 19] = [
    running("batches/validating.json", "validating", (0, 0, 0)),
    running("batches/in_progress.json", "in_progress", (400, 131, 2)),
    running("batches/finalizing.json", "finalizing", (400, 398, 2)),
    running("batches/cancelling.json", "cancelling", (400, 92, 1)),
    ended("batches/completed_mixed.json", Completed, (true, true), (400, 398, 2)),
    ended("batches/completed_clean.json", Completed, (true, false), (400, 400, 0)),
    ended("batches/completed_clean_empty_string.json", Completed, (true, false), (2, 2, 0)),
    ended("batches/completed_all_failed.json", Completed, (false, true), (9, 0, 9)),
    ended("batches/completed_counts_disagree.json", Completed, (true, true), (1000, 1000, 0)),
    ended("batches/expired.json", Expired, (true, true), (400, 260, 140)),
    ended("batches/cancelled.json", Cancelled, (true, true), (400, 104, 296)),
    failed(
        "batches/failed_validation.json",
        Refused,
        &[
            ("missing_required_parameter", Some(1)),
            ("missing_required_parameter", Some(2)),
            ("missing_required_parameter", Some(3)),
            ("missing_required_parameter", Some(4)),
            ("invalid_url", Some(5)),
            ("model_not_found", Some(6)),
            ("invalid_request", Some(7)),
            ("invalid_request", Some(8)),
            ("streaming_unsupported", Some(9)),
            ("invalid_json_line", Some(10)),
        ],
    ),
    failed("batches/failed_duplicate_custom_id.json", Refused, &[("duplicate_custom_id", Some(9))]),
    failed("batches/failed_mismatched_model.json", Refused, &[("mismatched_model", Some(2))]),
    failed("batches/failed_token_limit.json", TurnedAway, &[("token_limit_exceeded", None)]),
    failed("batches/failed_file_not_found.json", TurnedAway, &[("invalid_request", None)]),
    failed("batches/failed_file_too_large.json", Refused, &[("file_too_large", None)]),
    BatchRow { counts: None, ..running("azure/created.json", "validating", (0, 0, 0)) },
    BatchRow { results: (true, true), ..failed("azure/failed_empty_file.json", Refused, &[("empty_file", None)]) },
];

/// Files outside the tables, each read by a test of its own below.
const OTHERS: [&str; 16] = [
    "batches/list_page.json",
    "batches/list_empty.json",
    "files/created.json",
    "files/batch_output.json",
    "files/list_page.json",
    "files/deleted.json",
    "uploads/pending.json",
    "uploads/part.json",
    "uploads/completed.json",
    "uploads/cancelled.json",
    "azure/file_processed.json",
    "azure/token_limit.json",
    "input-lines/chat_vision_base64.jsonl",
    "input-lines/chat_vision_reasoning_model.jsonl",
    "input-lines/chat_json_schema.jsonl",
    "input-lines/responses_vision.jsonl",
];

/// What one result line comes to.
#[derive(Debug, PartialEq)]
enum Comes {
    /// A text is written; with these flags.
    Text(&'static str, &'static [&'static str]),
    /// The image ends with this reason, and asking the same again would buy the same.
    Ends(Reason),
    /// Nobody's fault: asked again, uncounted.
    Again,
    /// The run stops: a setting is wrong for every line.
    Setting,
    /// The run stops: a person has to pay or allow something.
    Money,
}

/// Result lines; the flag says whether the prompt asked for JSON.
const LINES: [(&str, bool, Comes); 21] = [
    (
        "output-lines/chat_success.jsonl",
        true,
        Comes::Text("{\"text\":\"Feb. 10, 1909. Dear Sir and Brother: ...\",\"legible\":true}\n", &["high_reasoning"]),
    ),
    ("output-lines/chat_success_fenced_json.jsonl", true, Comes::Text("{\n    \"ocr_text\": \"1027", &["fenced"])),
    ("output-lines/chat_refusal.jsonl", true, Comes::Ends(Reason::Refused)),
    ("output-lines/chat_length_empty.jsonl", true, Comes::Ends(Reason::ReasoningAteBudget)),
    ("output-lines/chat_length_cut.jsonl", true, Comes::Ends(Reason::Truncated)),
    ("output-lines/chat_content_filter.jsonl", true, Comes::Ends(Reason::ContentFilter)),
    ("output-lines/responses_two_messages.jsonl", false, Comes::Text("", &[])),
    ("output-lines/responses_incomplete_empty.jsonl", false, Comes::Ends(Reason::ReasoningAteBudget)),
    ("output-lines/responses_refusal.jsonl", false, Comes::Ends(Reason::Refused)),
    ("error-lines/http_400_invalid_type.jsonl", false, Comes::Ends(Reason::ProviderError)),
    ("error-lines/http_400_context_length.jsonl", false, Comes::Ends(Reason::ProviderError)),
    ("error-lines/http_400_max_tokens.jsonl", false, Comes::Setting),
    ("error-lines/http_400_temperature.jsonl", false, Comes::Setting),
    ("error-lines/http_400_image_url_timeout.jsonl", false, Comes::Again),
    ("error-lines/http_429_rate_limit.jsonl", false, Comes::Again),
    ("error-lines/http_429_insufficient_quota.jsonl", false, Comes::Money),
    ("error-lines/http_500_server_error.jsonl", false, Comes::Again),
    ("error-lines/status_zero.jsonl", false, Comes::Again),
    ("error-lines/batch_expired.jsonl", false, Comes::Again),
    ("error-lines/batch_cancelled.jsonl", false, Comes::Again),
    ("error-lines/request_timeout.jsonl", false, Comes::Again),
];

/// What a refusal says about a create that met it, and about everything else.
#[derive(Debug, PartialEq)]
enum Policy {
    /// Surely nothing was created; wait, then once more with the same file.
    Wait,
    /// Surely nothing was created, and a person has to act.
    Stop,
    /// Nobody knows: look it up, adopt or fence, never send again.
    Doubt,
}

const REFUSALS: [(&str, Kind, Policy); 11] = [
    ("http-errors/400_cannot_find_file.json", Kind::NoSuchFile, Policy::Wait),
    ("http-errors/400_file_too_large.json", Kind::TooLarge, Policy::Stop),
    ("http-errors/400_invalid_endpoint.json", Kind::Refused, Policy::Stop),
    ("http-errors/400_missing_parameter.json", Kind::Refused, Policy::Stop),
    ("http-errors/400_not_jsonl.json", Kind::Refused, Policy::Stop),
    ("http-errors/401_invalid_api_key.json", Kind::Key, Policy::Stop),
    ("http-errors/404_no_batch.json", Kind::NotFound, Policy::Doubt),
    ("http-errors/404_no_file.json", Kind::NotFound, Policy::Doubt),
    ("http-errors/409_cannot_cancel.json", Kind::Doubt, Policy::Doubt),
    ("http-errors/429_insufficient_quota.json", Kind::Money, Policy::Stop),
    ("http-errors/500_server_error.json", Kind::Doubt, Policy::Doubt),
];

fn same<T: PartialEq + Debug>(file: &str, got: T, expected: T) {
    assert_eq!(got, expected, "{file}");
}

#[test]
fn every_file_of_the_manifest_is_read_here() {
    let mut read: Vec<&str> = OTHERS.to_vec();
    read.extend(BATCHES.iter().map(|row| row.file));
    read.extend(LINES.iter().map(|(file, ..)| *file));
    read.extend(REFUSALS.iter().map(|(file, ..)| *file));
    assert_eq!(read.len(), read.iter().collect::<BTreeSet<_>>().len(), "a file has two rows");
    read.sort_unstable();
    let mut listed: Vec<String> = manifest().into_iter().map(|row| row.file).collect();
    listed.sort_unstable();
    assert_eq!(listed, on_disk(), "the manifest and the folder are one");
    assert_eq!(read, listed, "every file of the manifest has its row");
}

#[test]
fn batches_are_read_with_their_end_their_files_and_their_refusals() {
    for row in BATCHES {
        let raw = json(row.file);
        let batch = Batch::from_json(raw.clone()).unwrap_or_else(|| panic!("{}", row.file));
        same(row.file, batch.status.as_str(), row.status);
        same(row.file, (batch.output_file.is_some(), batch.error_file.is_some()), row.results);
        if row.counts.is_none_or(|(total, ..)| total != 0) || raw["request_counts"]["failed"].is_u64() {
            same(row.file, batch.counts, row.counts);
        }
        let told: Vec<(&str, Option<u64>)> =
            batch.refusals.iter().map(|why| (why.code.as_str(), why.line.map(u64::from))).collect();
        same(row.file, told.as_slice(), row.refusals);
        assert!(batch.created_at > 1_700_000_000, "{}", row.file);
        assert!(batch.expires_at.is_some_and(|end| end > batch.created_at), "{}", row.file);
        same(row.file, Some(batch.id.to_string()), raw["id"].as_str().map(str::to_owned));
        let ending = status::read(&batch);
        same(row.file, ending.as_ref().map(|ending| ending.end), row.end);
        let told = ending.and_then(|ending| ending.refusal).map(|why| why.code);
        same(row.file, told.as_deref(), row.refusals.first().map(|(code, _)| *code));
    }
}

#[test]
fn a_full_queue_at_azure_turns_the_batch_away() {
    let errors = json("azure/token_limit.json");
    let batch = json!({"id": "batch_1", "status": "Failed", "errors": errors});
    let ending = Batch::from_json(batch).as_ref().and_then(status::read).expect("an end");
    assert_eq!(ending.end, TurnedAway);
    assert!(ending.refusal.is_some_and(|why| why.message.contains("limit of 30K")));
}

#[test]
fn lists_and_files_are_read() {
    let page = BatchPage::from_json(&json("batches/list_page.json")).expect("a page");
    assert_eq!((page.batches.len(), page.has_more), (2, true));
    let page = BatchPage::from_json(&json("batches/list_empty.json")).expect("a page");
    assert_eq!((page.batches.len(), page.has_more), (0, false));
    let page = FilePage::from_json(&json("files/list_page.json")).expect("a page");
    assert_eq!((page.files.len(), page.has_more), (1, false));
    for file in ["files/created.json", "files/batch_output.json", "azure/file_processed.json"] {
        let raw = json(file);
        let read = RemoteFile::from_json(&raw).unwrap_or_else(|| panic!("{file}"));
        assert!(read.ready, "{file}");
        same(file, read.bytes, raw["bytes"].as_u64());
        same(file, Some(read.created_at), raw["created_at"].as_i64());
        same(file, Some(read.filename.as_str()), raw["filename"].as_str());
    }
    let deleted = json("files/deleted.json");
    assert_eq!(deleted["deleted"], true, "what a fence waits for");
}

/// Nothing is sent through Uploads; the file that a completed one holds is a file like any other.
#[test]
fn only_a_completed_upload_holds_a_file() {
    for (file, holds) in [
        ("uploads/pending.json", false),
        ("uploads/part.json", false),
        ("uploads/cancelled.json", false),
        ("uploads/completed.json", true),
    ] {
        let raw = json(file);
        let inner = RemoteFile::from_json(&raw["file"]);
        same(file, inner.is_some_and(|file| file.ready && file.bytes == raw["bytes"].as_u64()), holds);
    }
}

#[test]
fn input_lines_are_accepted_at_their_own_endpoint_only() {
    for (file, endpoint, status, refusal) in [
        ("input-lines/chat_vision_base64.jsonl", ENDPOINT, "completed", None),
        ("input-lines/chat_vision_reasoning_model.jsonl", ENDPOINT, "completed", None),
        ("input-lines/chat_json_schema.jsonl", ENDPOINT, "completed", None),
        ("input-lines/responses_vision.jsonl", RESPONSES, "completed", None),
        ("input-lines/responses_vision.jsonl", ENDPOINT, "failed", Some("invalid_url")),
        ("input-lines/chat_json_schema.jsonl", RESPONSES, "failed", Some("invalid_url")),
    ] {
        let site = Site::start(|_| ());
        let batch = site.run(async |site| {
            let file = site.upload(&bytes(file)).await;
            let batch = site.create_at(endpoint, &file).await;
            site.until(&batch, status).await
        });
        let batch = Batch::from_json(batch).expect("a batch");
        let told = batch.refusals.first().map(|why| (why.code.as_str(), why.line));
        same(file, told, refusal.map(|code| (code, Some(1))));
    }
}

/// What becomes of the image, and whether a person has to pay if the run stops.
fn judged(line: &[u8], as_json: bool) -> (Judgement, Option<bool>) {
    let read = parse::read(line).expect("a line with an id");
    let path = RelPath { folder: Vec::new(), name: b"page.jpg".to_vec(), page: 1 };
    let answer = Answer { image: ImageId(1), path, attempt: 1, outcome: read.outcome, usage: read.usage };
    let stop = against_the_run(&answer.outcome).map(|stop| stop.is_about_money());
    (alone(&answer, as_json), stop)
}

fn comes((judgement, stop): &(Judgement, Option<bool>), expected: &Comes) -> bool {
    let uncounted = judgement.verdict == Verdict::AskAgain { reason: Reason::NeverRan, counted: false };
    match expected {
        Comes::Text(text, flags) => {
            let begins =
                judgement.text.as_deref().is_some_and(|told| !told.trim().is_empty() && told.starts_with(text));
            judgement.verdict == Verdict::Accept && begins && judgement.flags == *flags
        }
        Comes::Ends(reason) => judgement.verdict == Verdict::Reject(*reason) && judgement.text.is_none(),
        Comes::Again => uncounted && stop.is_none(),
        Comes::Setting => uncounted && *stop == Some(false),
        Comes::Money => uncounted && *stop == Some(true),
    }
}

#[test]
fn result_lines_come_to_what_is_documented() {
    for (file, as_json, expected) in LINES {
        for line in lines(file) {
            let judgement = judged(&line, as_json);
            assert!(comes(&judgement, &expected), "{file}: {judgement:?}, not {expected:?}");
            let raw: Value = serde_json::from_slice(&line).expect("JSON");
            let told = raw["response"]["body"]["usage"].is_object();
            assert_eq!(parse::read(&line).expect("a line").usage.is_some(), told, "{file}: usage");
        }
    }
}

/// What a create may conclude from a refusal.
fn policy(failure: &Failure) -> Policy {
    let waits = matches!(failure.kind, Kind::Unreached | Kind::Busy | Kind::QueueFull | Kind::NoSuchFile);
    match (failure.surely_not_created(), waits) {
        (true, true) => Policy::Wait,
        (true, false) => Policy::Stop,
        (false, _) => Policy::Doubt,
    }
}

#[test]
fn refusals_are_what_is_documented() {
    for (file, kind, expected) in REFUSALS {
        let status: u16 = file["http-errors/".len()..][..3].parse().expect("status in the name");
        let failure = classify("host", status, Hints::default(), &serde_json::to_vec(&json(file)).expect("JSON"));
        same(file, failure.kind, kind);
        same(file, policy(&failure), expected);
        assert!(!failure.message.contains("without a readable reason"), "{file}");
        let human = matches!(kind, Kind::Key | Kind::Money);
        same(file, failure.stops_the_run(), human);
    }
}

/// Judges an answer by itself.
fn alone(answer: &Answer, json: bool) -> Judgement {
    let polish = PolishOptions::default();
    let reading = Reading { json, schema: None, from: &TextFrom::Content, polish: &polish, prompt: "Transcribe." };
    judge(answer, &Question::alone(reading, &Limits::default()))
}
