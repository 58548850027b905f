//! `bench`: the real binary with its other processes, on a corpus so small that nothing is said of speed.

#[path = "../../benches/table/verdict.rs"]
mod verdict;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use batchscribe::bench::ground::Ground;
use batchscribe::bench::sink::{Answers, Sink};
use batchscribe::bench::{pages, whole};
use batchscribe::pipeline;
use batchscribe::pipeline::mission::{Mode, Tally};
use rustls::{ServerConnection, StreamOwned};
use serde_json::Value;

use crate::front::{Authority, Certified};

const STAGES: [&str; 8] = ["scan", "pack", "encode", "upload", "download", "write", "ledger", "pipeline"];

fn bench(folder: &Path, words: &str) -> Output {
    command(folder, words).output().expect("the program starts")
}

fn command(folder: &Path, words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_batchscribe"));
    command.current_dir(folder).env_clear().env("LANG", "C.UTF-8").env("HOME", folder).stdin(Stdio::null());
    command.arg("bench").args(words.split_whitespace());
    command
}

fn document(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one document")
}

#[test]
fn every_stage_sees_every_image_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("temp dir");
    let output = bench(folder.path(), "--json --images 7 --bytes 3000 --rounds 1");
    let told = document(&output);
    assert_eq!((&told["schema"], &told["images"], &told["image_bytes"]), (&1.into(), &7.into(), &3000.into()));
    assert!(told["machine"]["cores"].as_u64() > Some(0), "{told}");
    let rows = told["stages"].as_array().expect("rows");
    let names: Vec<&str> = rows.iter().filter_map(|row| row["stage"].as_str()).collect();
    assert_eq!(names, STAGES);
    for row in rows {
        assert_eq!((&row["items"], &row["rounds"]), (&7.into(), &1.into()), "{row}");
        assert!(row["items_per_s"]["median"].as_f64() > Some(0.0), "{row}");
    }
    let bytes = |stage: &str| rows.iter().find(|row| row["stage"] == stage).and_then(|row| row["bytes"].as_u64());
    assert_eq!(bytes("scan"), Some(7 * 3000));
    // The same bodies, whether they are dropped at once, sent to a sink, or sent to the built-in server.
    assert!(bytes("encode") > Some(7 * 4000));
    assert_eq!([bytes("upload"), bytes("pipeline")], [bytes("encode"); 2]);
    let waits = rows.last().and_then(|row| row["waits"].as_array()).expect("edges");
    assert!(waits.iter().any(|wait| wait["edge"] == "slot_wait"), "{waits:?}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("list").count(), 0, "the made-up pages are removed");
}

#[test]
fn a_result_is_compared_with_an_earlier_one_of_the_same_corpus() {
    let folder = tempfile::tempdir().expect("temp dir");
    let first = bench(folder.path(), "--json --images 3 --bytes 1000 --rounds 1 --stage pack --stage encode");
    document(&first);
    std::fs::write(folder.path().join("then.json"), &first.stdout).expect("file");
    let again = "--json --rounds 1 --stage pack --against then.json --images 3";
    let told = document(&bench(folder.path(), &format!("{again} --bytes 1000")));
    let against = told["against"].as_array().expect("a list");
    assert_eq!((against.len(), &against[0]["stage"]), (1, &"pack".into()));
    assert!(against[0]["ratio"].as_f64() > Some(0.0), "{told}");
    let told = document(&bench(folder.path(), &format!("{again} --bytes 2000")));
    assert_eq!(told["not_comparable"], "its corpus had 3 images of 1000 bytes");
}

#[test]
fn what_cannot_be_measured_is_told_before_anything_is_made() {
    let folder = tempfile::tempdir().expect("temp dir");
    for words in ["--stage everything", "--images 0", "--against gone.json"] {
        let output = bench(folder.path(), words);
        assert!(!output.status.success() && output.stdout.is_empty(), "{words}");
    }
    let refused =
        bench(folder.path(), "--images 3 --bytes 1000 --rounds 1 --stage upload --sink http://127.0.0.1:1/v1");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("the stage upload could not be measured"));
    assert_eq!(std::fs::read_dir(folder.path()).expect("list").count(), 0);
}

#[test]
fn a_sink_that_answers_gives_every_page_its_text() {
    let folder = tempfile::tempdir().expect("temp dir");
    let sink = Sink::start(Answers::Each).expect("a port");
    let ground = Ground { folder: folder.path().to_path_buf(), server: Some(sink.base_url().to_owned()) };
    assert!(pages::make(&ground, 7, 3_000, 1, &|| true).expect("pages"));
    ground.clear().expect("room");
    let tally = tokio::sync::watch::Sender::new(Tally::default());
    let outcome = pipeline::run(whole::mission(&ground, Mode::Run { once: false }, tally).expect("a mission"));
    assert_eq!((outcome.standing.found, outcome.standing.done), (7, 7), "{:?}", outcome.fault);
    let text = ground.scratch().join("texts").join(format!("{}.txt", pages::name(6)));
    assert!(std::fs::read_to_string(text).expect("a text").split_whitespace().count() > 100);
}

#[test]
fn uploads_go_to_a_sink_with_tls_that_is_trusted() {
    let folder = tempfile::tempdir().expect("temp dir");
    let authority = Authority::new("An authority of this test");
    let config = authority.server(&Certified { name: "127.0.0.1", until: 2199 });
    let sink = Sink::start_wrapped(Answers::None, "https", move |stream| {
        let connection = ServerConnection::new(Arc::clone(&config)).map_err(std::io::Error::other)?;
        Ok(StreamOwned::new(connection, stream))
    });
    let words = format!(
        "--json --images 3 --bytes 100000 --rounds 1 --stage upload --sink {}",
        sink.expect("a port").base_url()
    );
    let trusted = folder.path().join("trusted.pem");
    std::fs::write(&trusted, authority.pem()).expect("a file");
    let told = document(&command(folder.path(), &words).env("SSL_CERT_FILE", &trusted).output().expect("it starts"));
    let row = &told["stages"][0];
    assert!(row["items"] == 3 && row["bytes"].as_u64() > Some(400_000), "{row}");
    std::fs::write(&trusted, Authority::new("Another").pem()).expect("a file");
    let refused = command(folder.path(), &words).env("SSL_CERT_FILE", &trusted).output().expect("it starts");
    assert!(!refused.status.success());
}

#[test]
fn a_figure_is_judged_by_its_target() {
    use verdict::Verdict::{Goal, Missed, Must};
    use verdict::{Target, Verdict, Wanted};
    let (more, less) = (Target::at_least(0.75, 1.0), Target::at_most(1.6, 1.15));
    assert_eq!((more.wanted, less.wanted), (Wanted::AtLeast, Wanted::AtMost));
    assert_eq!([1.0, 0.75, 0.74, f64::NAN].map(|figure| more.judge(figure)), [Goal, Must, Missed, Missed]);
    assert_eq!([1.15, 1.6, 1.61, f64::NAN].map(|figure| less.judge(figure)), [Goal, Must, Missed, Missed]);
    assert_eq!((more.words().as_str(), less.words().as_str()), ("≥ 0.75, goal ≥ 1", "≤ 1.6, goal ≤ 1.15"));
    let words = [Goal, Must, Missed, Verdict::NotMeasured("no TLS".into())].map(|verdict| verdict.words());
    assert_eq!(words, ["goal met", "must met", "MUST MISSED", "not measured: no TLS"]);
}
