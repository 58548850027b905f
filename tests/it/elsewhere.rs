//! A server elsewhere that reads for the built-in provider is handed pages as any other service is: asked about, named, by https.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::relay;
use crate::sandbox::{Sandbox, png};

/// No loopback address, and no other computer either: every connection is refused.
const FAR: &str = "0.0.0.0:9";

struct Desk(tempfile::TempDir);

impl Desk {
    fn new(images: u32) -> Self {
        let desk = Self(tempfile::tempdir().expect("temp dir"));
        std::fs::create_dir(desk.0.path().join("in")).expect("folder");
        for n in 0..images {
            std::fs::write(desk.0.path().join(format!("in/page{n}.png")), png(n)).expect("image");
        }
        desk
    }

    fn command(&self, words: &str, engine: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_batchscribe"));
        command.current_dir(self.0.path()).env_clear().env("LANG", "C.UTF-8").env("HOME", self.0.path());
        command.args(words.split_whitespace()).args(["--set", "image_dir=in", "--set", "provider.name=local"]);
        command.arg("--set").arg(format!("provider.engine={engine}")).stdin(Stdio::null());
        command
    }

    fn call(&self, words: &str, engine: &str) -> (Option<i32>, String, String) {
        let Output { status, stdout, stderr } = self.command(words, engine).output().expect("the program starts");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (status.code(), text(stdout), text(stderr))
    }

    fn json(&self, words: &str, engine: &str) -> Value {
        let (exit, out, err) = self.call(&format!("{words} --json"), engine);
        assert_eq!(exit, Some(0), "{err}");
        serde_json::from_str(&out).expect("one document")
    }

    fn report(&self) -> (Value, String) {
        let (exit, _, err) = self.call("report", "echo");
        assert_eq!(exit, Some(0), "{err}");
        let read = |name: &str| std::fs::read_to_string(self.0.path().join(name)).expect("a report");
        (serde_json::from_str(&read("report.json")).expect("JSON"), read("report.html"))
    }
}

fn far() -> String {
    format!("https://{FAR}/v1")
}

#[test]
fn it_is_asked_about_with_its_host_and_planned_by_its_name() {
    let desk = Desk::new(2);
    for verb in ["run in", "upload in", "serve in"] {
        let (exit, _, err) = desk.call(verb, &far());
        assert_eq!(exit, Some(2), "{verb}: {err}");
        assert!(err.contains("E109") && err.contains(&format!("to {FAR}")), "{verb}: {err}");
        assert!(!desk.0.path().join("batch").exists(), "{verb}: nothing was begun");
    }
    let plan = desk.json("plan in", &far());
    assert_eq!((&plan["host"], &plan["cost"]), (&Value::from(FAR), &Value::Null));
    let (_, out, err) = desk.call("plan in", &far());
    assert!(out.contains(&format!(" Sent to   {FAR} ")) && out.contains(" Cost      unknown"), "{out}{err}");
    let (_, out, _) = desk.call("doctor --online", &far());
    assert!(out.contains(&format!("at {FAR}; images are sent there")), "{out}");
    assert!(out.contains(&format!("connection   {FAR} cannot be reached")), "{out}");
    // One on this computer is nobody else.
    assert_eq!(desk.json("plan in", "http://127.0.0.1:9/v1")["host"], Value::Null);
    let (_, out, _) = desk.call("plan in", "http://127.0.0.1:9/v1");
    assert!(out.contains("nobody: read on this computer"), "{out}");
}

#[test]
fn it_is_spoken_to_by_https_alone() {
    let desk = Desk::new(1);
    for words in ["plan in", "run in --yes", "emulate --listen 127.0.0.1:0"] {
        let (exit, _, err) = desk.call(words, &format!("http://{FAR}/v1"));
        assert_eq!(exit, Some(2), "{words}: {err}");
        assert!(err.contains("E103") && err.contains("images travel encrypted"), "{words}: {err}");
    }
    let (exit, _, err) = desk.call(&format!("emulate --listen 127.0.0.1:0 --engine http://{FAR}/v1"), "echo");
    assert_eq!(exit, Some(2), "{err}");
    assert!(err.contains("E103") && err.contains("images travel encrypted"), "{err}");
}

#[test]
fn what_another_engine_was_to_read_is_asked_about_before_it_goes_elsewhere() {
    let desk = Desk::new(3);
    let (exit, _, err) = desk.call("upload in", "echo");
    assert_eq!(exit, Some(0), "{err}");
    let notices = std::fs::read_dir(desk.0.path().join("batch")).expect("a folder");
    let names = notices.map(|entry| entry.expect("an entry").file_name().into_string().expect("text"));
    let mut open = names.filter(|name| name.starts_with("batch_")).map(|name| name.replace(".txt", ""));
    let cancel = format!("cancel --batch {}", open.next().expect("a batch"));
    for verb in ["download", "run in", "recover --from-account", &cancel] {
        let (exit, _, err) = desk.call(verb, &far());
        assert_eq!(exit, Some(2), "{verb}: {err}");
        assert!(
            err.contains("E109") && err.contains("3 images") && err.contains(&format!("to {FAR}")),
            "{verb}: {err}"
        );
    }
    let (exit, _, err) = desk.call("download --wait", "echo");
    assert_eq!(exit, Some(0), "{err}");
    assert!(desk.0.path().join("in/page0.png.txt").exists());
}

#[test]
fn the_report_names_it_for_the_runs_that_it_read() {
    let desk = Desk::new(3);
    assert_eq!(desk.call("run in --limit 2", "echo").0, Some(0));
    let (report, page) = desk.report();
    assert_eq!(report["sent"], Value::Array(Vec::new()));
    assert!(page.contains("Nothing. All pages were read on this computer."), "{page}");
    // The same run goes on with another engine.
    let (exit, _, err) = desk.call("upload in --yes --keep-old", &far());
    assert_eq!(exit, Some(0), "{err}");
    let (report, page) = desk.report();
    let sent = report["sent"].as_array().expect("a list");
    assert_eq!(
        (sent.len(), &sent[0]["host"], &sent[0]["requests"]),
        (1, &Value::from(FAR), &Value::from(1)),
        "{report}"
    );
    assert_eq!(sent[0]["run"], report["runs"][0]["name"]);
    assert!(page.contains("at most 1 request of ") && page.contains(&format!(" to {FAR}, each")), "{page}");
    assert!(page.contains(&format!("What {FAR} charged for them is not known here.")), "{page}");
    assert!(page.contains("the echo engine, which makes its texts up; https:&#x2f;&#x2f;0.0.0.0:9&#x2f;v1"), "{page}");
}

/// Whether `path` is there after a run through this engine, with these variables.
fn reads(engine: &str, variables: &[(&str, &str)]) -> bool {
    let desk = Desk::new(1);
    let words = "run in --set retry.max_attempts=1 --set retry.max_returns=0";
    let output = desk.command(words, engine).envs(variables.iter().copied()).output().expect("the program starts");
    assert!(output.status.code().is_some(), "{output:?}");
    desk.0.path().join("in/page0.png.txt").exists()
}

#[test]
fn pages_for_this_computer_pass_no_proxy_and_follow_no_redirect() {
    let reader = Sandbox::new(0);
    let engine = reader.base_url();
    assert!(reads(&engine, &[]));
    assert!(reads(&engine, &[("HTTP_PROXY", "http://127.0.0.1:1"), ("http_proxy", "http://127.0.0.1:1")]));
    let seen = Arc::new(AtomicUsize::new(0));
    let (counted, target) =
        (Arc::clone(&seen), engine.trim_start_matches("http://").trim_end_matches("/v1").to_owned());
    let other = relay::serve(move |stream, head, rest| {
        counted.fetch_add(1, Ordering::SeqCst);
        drop(relay::hand_on(stream, &head, &rest, &target));
    });
    let sends_on = relay::serve(move |mut stream, _, _| {
        let answer = format!(
            "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{other}/v1/chat/completions\r\nContent-Length: 0\r\n\
             Connection: close\r\n\r\n"
        );
        drop(stream.write_all(answer.as_bytes()));
    });
    assert!(!reads(&format!("http://{sends_on}/v1"), &[]));
    assert_eq!(seen.load(Ordering::SeqCst), 0, "the page went to the server that was named, and to no other");
}
