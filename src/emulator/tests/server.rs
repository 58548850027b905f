//! The server over HTTP with the echo engine: the whole path, refusals, faults, restart.

use std::io::Write as _;
use std::path::Path;

use reqwest::multipart::{Form, Part};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use super::*;
use crate::emulator::engine::echo::Echo;
use crate::emulator::engine::tests::{body, png};
use crate::kit::clock::{Stopwatch, io_pause};

#[path = "habits.rs"]
mod habits;
#[path = "scenarios.rs"]
mod scenarios;

/// A server in a folder of its own, and a client of it.
struct Site {
    folder: tempfile::TempDir,
    server: Option<Server>,
    client: Client,
    base: String,
}

fn options(folder: &Path) -> ServerOptions {
    let mut options = ServerOptions::new(folder.join("state"), Arc::new(Echo::new()));
    options.bill = Some(folder.join("bill.jsonl"));
    options
}

impl Site {
    fn new(change: impl FnOnce(&mut ServerOptions)) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let folder = tempfile::tempdir().expect("temp dir");
        let mut options = options(folder.path());
        change(&mut options);
        let server = start(options).expect("server");
        let base = server.base_url();
        Self { folder, server: Some(server), client: Client::new(), base }
    }

    fn with_scenario(text: &str) -> Self {
        let scenario = Scenario::read(text).expect("scenario");
        Self::new(|options| options.scenario = scenario)
    }

    /// Stops the server, lets `meanwhile` do its worst, and starts it again.
    fn restart(&mut self, meanwhile: impl FnOnce(&Path), change: impl FnOnce(&mut ServerOptions)) {
        self.server.take().expect("running").stop();
        meanwhile(&self.folder.path().join("state"));
        let mut options = options(self.folder.path());
        change(&mut options);
        let server = start(options).expect("server");
        self.base = server.base_url();
        self.server = Some(server);
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        let answer = self.client.get(format!("{}{path}", self.base)).send().await.expect("answer");
        let status = answer.status();
        (status, serde_json::from_str(&answer.text().await.expect("text")).unwrap_or_default())
    }

    async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let request = self.client.post(format!("{}{path}", self.base)).body(body.to_string());
        let answer = request.send().await.expect("answer");
        (answer.status(), answer.json().await.expect("JSON"))
    }

    async fn text(&self, file: &Value) -> String {
        let url = format!("{}/files/{}/content", self.base, file.as_str().expect("a file id"));
        self.client.get(url).send().await.expect("answer").text().await.expect("text")
    }

    async fn upload(&self, name: &'static str, bytes: Vec<u8>) -> (StatusCode, Value) {
        let form = Form::new()
            .text("expires_after[anchor]", "created_at")
            .part("file", Part::bytes(bytes).file_name(name))
            .text("purpose", "batch")
            .text("expires_after[seconds]", "3600");
        let answer = self.client.post(format!("{}/files", self.base)).multipart(form).send().await.expect("answer");
        (answer.status(), answer.json().await.unwrap_or_default())
    }

    async fn create(&self, file: &Value) -> (StatusCode, Value) {
        let batch = json!({
            "input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h",
            "metadata": {"run": "r1"},
        });
        self.post("/batches", &batch).await
    }

    /// Uploads `input` and creates its batch.
    async fn begin(&self, input: Vec<u8>) -> Value {
        let (_, file) = self.upload("a.jsonl", input).await;
        self.create(&file["id"]).await.1["id"].clone()
    }

    /// The batch once `done` holds of it.
    async fn until(&self, id: &Value, done: impl Fn(&Value) -> bool) -> Value {
        let watch = Stopwatch::start();
        loop {
            let (_, batch) = self.get(&format!("/batches/{}", id.as_str().expect("id"))).await;
            if done(&batch) {
                return batch;
            }
            assert!(watch.elapsed() < Duration::from_secs(20), "{batch}");
            io_pause(Duration::from_millis(5)).await;
        }
    }

    async fn until_status(&self, id: &Value, status: &str) -> Value {
        self.until(id, |batch| batch["status"] == status).await
    }

    fn bill(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("bill.jsonl")).expect("bill");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

fn input(pages: u8) -> Vec<u8> {
    (0..pages).flat_map(|page| line(&format!("rolls|page{page}.png"), &png(page))).collect()
}

fn line(custom_id: &str, picture: &[u8]) -> Vec<u8> {
    let body = body(picture, "");
    format!("{{\"custom_id\":\"{custom_id}\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{body}}}\n")
        .into_bytes()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a line")).collect()
}

fn of_what<'a>(bill: &'a [Value], what: &str) -> Vec<&'a Value> {
    bill.iter().filter(|line| line["what"] == what).collect()
}

#[actix_web::test]
async fn a_batch_is_uploaded_run_fetched_and_billed() {
    let site = Site::new(|_| {});
    let mut input = input(3);
    input.extend(line("bad", b"no picture"));
    let (status, file) = site.upload("a.jsonl", input.clone()).await;
    assert_eq!(
        (status, file["bytes"].as_u64(), &file["status"]),
        (StatusCode::OK, Some(input.len() as u64), &json!("processed"))
    );
    assert_eq!(file["expires_at"].as_i64(), file["created_at"].as_i64().map(|created| created + 3600));
    assert_eq!(site.text(&file["id"]).await.as_bytes(), input);
    let (_, created) = site.create(&file["id"]).await;
    assert_eq!((&created["status"], &created["metadata"]["run"]), (&json!("validating"), &json!("r1")));
    let batch = site.until_status(&created["id"], "completed").await;
    assert_eq!(batch["request_counts"], json!({"total": 4, "completed": 3, "failed": 1}));
    let output = site.text(&batch["output_file_id"]).await;
    for answer in lines(&output) {
        let page: u8 = answer["custom_id"].as_str().expect("id")["rolls|page".len()..][..1].parse().expect("a number");
        let body = &answer["response"]["body"];
        assert_eq!(body["choices"][0]["message"]["content"], Echo::text_of(&png(page)));
        assert_eq!(body["model"], "batchscribe-echo");
    }
    let errors = lines(&site.text(&batch["error_file_id"]).await);
    assert_eq!(errors[0]["response"]["body"]["error"]["code"], "invalid_image_format");
    let bill = site.bill();
    let billed = of_what(&bill, "line");
    assert_eq!(billed.len(), 3);
    assert_eq!((&billed[0]["batch"], &billed[0]["file"]), (&created["id"], &file["id"]));
    let prints: Vec<String> = (0..3).map(|page| crate::emulator::bill::print_of(&png(page))).collect();
    assert!(billed.iter().all(|line| prints.contains(&line["images"][0].as_str().expect("a hash").to_owned())));
    let tokens: u64 = billed.iter().filter_map(|line| line["prompt_tokens"].as_u64()).sum();
    assert_eq!(batch["usage"]["input_tokens"].as_u64(), Some(tokens));
    // A part of the content, and the end of all.
    let url = format!("{}/files/{}/content", site.base, batch["output_file_id"].as_str().expect("id"));
    let part = site.client.get(&url).header("range", "bytes=10-").send().await.expect("answer");
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.headers()["content-range"], format!("bytes 10-{}/{}", output.len() - 1, output.len()));
    assert_eq!(part.text().await.expect("text"), output[10..]);
    let none = site.client.get(&url).header("range", "bytes=999999-").send().await.expect("answer");
    assert_eq!(none.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    let deleted = site.client.delete(url.trim_end_matches("/content")).send().await.expect("answer");
    assert_eq!(deleted.json::<Value>().await.expect("JSON")["deleted"], true);
    assert_eq!(site.get(&format!("/files/{}", batch["output_file_id"].as_str().expect("id"))).await.0, 404);
    site.server.expect("running").stop();
}

#[actix_web::test]
async fn what_is_wrong_is_refused_at_once() {
    let site = Site::new(|options| {
        options.require_key = false;
        options.limits.file_bytes = 1000;
    });
    let refused = async |name, bytes: &[u8]| {
        let (status, body) = site.upload(name, bytes.to_vec()).await;
        (status.as_u16(), body["error"]["message"].as_str().unwrap_or_default().to_owned())
    };
    let text = |text: &str| text.to_owned();
    assert_eq!(refused("a.json", b"{}").await, (400, text("Invalid file format for Batch API. Must be .jsonl")));
    assert_eq!(refused("a.jsonl", b"").await.0, 400);
    assert_eq!(refused("a.jsonl", &[b'x'; 3_000_000]).await, (413, text("File is too large.")));
    let plain = site.client.post(format!("{}/files", site.base)).body("{}").send().await.expect("answer");
    assert_eq!(plain.status(), 400);
    let form = Form::new().text("purpose", "assistants").part("file", Part::bytes(&b"{}"[..]).file_name("a.jsonl"));
    let other = site.client.post(format!("{}/files", site.base)).multipart(form).send().await.expect("answer");
    assert_eq!(other.json::<Value>().await.expect("JSON")["error"]["param"], "purpose");
    let (status, body) = site.create(&json!("file-none")).await;
    assert_eq!((status.as_u16(), &body["error"]["param"]), (400, &json!("file_id")));
    assert_eq!(site.post("/batches", &json!({})).await.1["error"]["code"], "missing_required_parameter");
    assert_eq!(site.get("/batches?limit=0").await.1["error"]["code"], "integer_below_min_value");
    assert_eq!(site.get("/batches/batch_none").await.0, 404);
    assert_eq!(site.post("/batches/batch_none/cancel", &json!({})).await.0, 404);
    assert_eq!(site.get("/files/../../etc/passwd").await.0, 404);
    let (status, body) = site.get("/nowhere").await;
    assert_eq!((status.as_u16(), &body["error"]["message"]), (404, &json!("Invalid URL (GET /v1/nowhere)")));
    // A line that is wrong shows later.
    let id = site.begin(b"{}\n".to_vec()).await;
    let batch = site.until_status(&id, "failed").await;
    assert_eq!(batch["errors"]["data"][0]["line"], 1);
    assert_eq!(site.bill().iter().filter(|line| line["refused"].is_string()).count(), 2);
    assert_eq!(std::fs::read_dir(site.folder.path().join("state/files")).expect("files").count(), 1, "no leavings");
}

#[actix_web::test]
async fn a_key_is_asked_for_only_if_told() {
    let site = Site::new(|options| options.require_key = true);
    assert_eq!(site.get("/models").await.0, 401);
    let models = site.client.get(format!("{}/models", site.base)).bearer_auth("any").send().await.expect("answer");
    assert_eq!(models.json::<Value>().await.expect("JSON")["data"][0]["id"], "batchscribe-echo");
}

#[actix_web::test]
async fn a_cancelled_batch_tells_what_never_ran() {
    let site = Site::new(|options| options.pace.line_delay = Duration::from_millis(20));
    let id = site.begin(input(40)).await;
    let path = format!("/batches/{}/cancel", id.as_str().expect("id"));
    site.until(&id, |batch| batch["request_counts"]["completed"].as_u64() >= Some(3)).await;
    assert_eq!(site.post(&path, &json!({})).await.1["status"], "cancelling");
    let batch = site.until_status(&id, "cancelled").await;
    let answered = lines(&site.text(&batch["output_file_id"]).await).len();
    let rest = lines(&site.text(&batch["error_file_id"]).await);
    assert_eq!(answered + rest.len(), 40);
    assert!(answered >= 3 && rest.iter().all(|line| line["error"]["code"] == "batch_cancelled"));
    assert_eq!(site.post(&path, &json!({})).await.0, 200, "a second time is harmless");
    assert_eq!(of_what(&site.bill(), "line").len(), answered);
}

#[actix_web::test]
async fn a_restart_goes_on_where_it_was_and_bills_nothing_twice() {
    let slow = |options: &mut ServerOptions| options.pace.line_delay = Duration::from_millis(20);
    let mut site = Site::new(slow);
    let id = site.begin(input(30)).await;
    let path = format!("/batches/{}", id.as_str().expect("id"));
    let half = site.until(&id, |batch| batch["request_counts"]["completed"].as_u64() >= Some(5)).await;
    let torn = |state: &Path| {
        // As a process leaves it that died between its writes.
        let append = |path: &Path| crate::kit::atomic_file::append_private(path).expect("a file");
        append(&state.join("state.jsonl")).write_all(b"{\"event\":\"line_ans").expect("torn");
        for file in std::fs::read_dir(state.join("files")).expect("files") {
            let path = file.expect("entry").path();
            if std::fs::metadata(&path).expect("length").len() < 30_000 && path.extension().is_none() {
                let text = std::fs::read_to_string(&path).expect("text");
                if text.starts_with("{\"id\":\"batch_req_") {
                    append(&path).write_all(b"{\"id\":\"batch_req_unknown").expect("torn");
                }
            }
        }
        append(&state.join("files/orphan")).write_all(b"x").expect("orphan");
    };
    site.restart(torn, |_| {});
    let (_, now) = site.get(&path).await;
    assert!(now["request_counts"]["completed"].as_u64() >= half["request_counts"]["completed"].as_u64());
    let batch = site.until_status(&id, "completed").await;
    let mut ids: Vec<String> = lines(&site.text(&batch["output_file_id"]).await)
        .iter()
        .map(|line| line["custom_id"].as_str().expect("id").to_owned())
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 30);
    assert_eq!(of_what(&site.bill(), "line").len(), 30);
    assert!(!std::fs::exists(site.folder.path().join("state/files/orphan")).expect("state"));
    site.restart(|_| {}, |options| options.compact_above_bytes = 0);
    let journal = std::fs::read_to_string(site.folder.path().join("state/state.jsonl")).expect("journal");
    assert!(!journal.contains("line_answered"), "a long journal is made short at start");
    assert_eq!(site.get(&path).await.1, batch, "an ended batch is the same after a restart");
}

#[actix_web::test]
async fn statuses_follow_the_clock_that_is_handed_in() {
    let clock = Clock::manual(1_000_000);
    let site = Site::new(|options| {
        options.clock = clock.clone();
        options.pace = Pace::real();
        options.pace.line_delay = Duration::from_secs(60);
    });
    let id = site.begin(input(3)).await;
    let validating = site.until(&id, |batch| batch["model"] == "m").await;
    assert_eq!((&validating["status"], &validating["request_counts"]["total"]), (&json!("validating"), &json!(0)));
    clock.advance(Duration::from_secs(95));
    site.until_status(&id, "in_progress").await;
    // As often as it takes: a worker may fall asleep only after the clock was moved.
    for _ in 0..200 {
        clock.advance(Duration::from_secs(61));
        io_pause(Duration::from_millis(20)).await;
        if site.get(&format!("/batches/{}", id.as_str().expect("id"))).await.1["status"] == "finalizing" {
            break;
        }
    }
    site.until_status(&id, "finalizing").await;
    clock.advance(Duration::from_secs(180));
    assert_eq!(site.until_status(&id, "completed").await["completed_at"].as_i64().map(|at| at > 1358), Some(true));
    // The window of a second one ends before its lines are through.
    let late = site.begin(input(3)).await;
    clock.advance(Duration::from_secs(95));
    site.until_status(&late, "in_progress").await;
    clock.advance(Duration::from_secs(24 * 3600));
    site.until_status(&late, "finalizing").await;
    clock.advance(Duration::from_secs(180));
    let batch = site.until_status(&late, "expired").await;
    let rest = lines(&site.text(&batch["error_file_id"]).await);
    assert!(!rest.is_empty() && rest.iter().all(|line| line["error"]["code"] == "batch_expired"));
}

#[actix_web::test]
async fn a_slow_server_reads_slowly() {
    let site = Site::new(|options| options.upload_bytes_per_second = Some(2_000_000));
    let watch = Stopwatch::start();
    let (status, _) = site.upload("a.jsonl", vec![b'x'; 1_000_000]).await;
    assert_eq!(status, 200);
    assert!(watch.elapsed() >= Duration::from_millis(450), "{:?}", watch.elapsed());
}

#[actix_web::test]
async fn address_and_state_folder_belong_to_one_server() {
    let site = Site::new(|_| {});
    let addr = site.server.as_ref().expect("running").addr;
    let mut second = options(&site.folder.path().join("other"));
    second.listen = addr;
    assert_eq!(start(second).map(drop).map_err(|cause| cause.kind()), Err(io::ErrorKind::AddrInUse));
    let same = options(site.folder.path());
    assert_eq!(start(same).map(drop).map_err(|cause| cause.kind()), Err(io::ErrorKind::ResourceBusy));
}
