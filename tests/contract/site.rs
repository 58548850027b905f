//! An emulator of its own for each test, and a client that sees its answers as they are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use batchscribe::emulator::engine::echo::Echo;
use batchscribe::emulator::{self, Server, ServerOptions};
use reqwest::multipart::{Form, Part};
use reqwest::{Client, Method};
use serde_json::{Value, json};

pub(crate) const ENDPOINT: &str = "/v1/chat/completions";
pub(crate) const RESPONSES: &str = "/v1/responses";

/// A server, and its folder that goes with it.
pub(crate) struct Site {
    pub(crate) base: String,
    client: Client,
    _server: Server,
    _folder: tempfile::TempDir,
}

impl Site {
    /// A server that `change` has made its own.
    pub(crate) fn start(change: impl FnOnce(&mut ServerOptions)) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let folder = tempfile::tempdir().expect("temp dir");
        let mut options = ServerOptions::new(folder.path().join("state"), Arc::new(Echo::new()));
        change(&mut options);
        let server = emulator::start(options).expect("the emulator starts");
        let client = Client::builder().no_proxy().build().expect("a client");
        Self { base: server.base_url(), client, _server: server, _folder: folder }
    }

    /// Drives `story` to its end.
    pub(crate) fn run<T>(&self, story: impl AsyncFnOnce(&Self) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(story(self))
    }

    /// One request: status and JSON of the answer.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.ask(Method::GET, path, None).await.1
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.ask(Method::POST, path, Some(body)).await
    }

    /// The content of a file, line by line.
    pub(crate) async fn content(&self, id: &Value) -> Vec<Value> {
        let url = format!("{}/files/{}/content", self.base, id.as_str().expect("an id"));
        let text = self.client.get(url).send().await.expect("an answer").text().await.expect("a text");
        text.lines().map(|line| serde_json::from_str(line).expect("a line")).collect()
    }

    pub(crate) async fn upload_as(&self, name: &str, purpose: &str, bytes: &[u8]) -> (u16, Value) {
        let part = Part::bytes(bytes.to_vec()).file_name(name.to_owned());
        let form = Form::new().text("purpose", purpose.to_owned()).part("file", part);
        let request = self.client.post(format!("{}/files", self.base)).multipart(form);
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    pub(crate) async fn upload(&self, bytes: &[u8]) -> Value {
        let (status, file) = self.upload_as("input.jsonl", "batch", bytes).await;
        assert_eq!(status, 200, "{file}");
        file
    }

    pub(crate) async fn create(&self, file: &Value) -> Value {
        self.create_at(ENDPOINT, file).await
    }

    pub(crate) async fn create_at(&self, endpoint: &str, file: &Value) -> Value {
        let asked = json!({"input_file_id": file["id"], "endpoint": endpoint, "completion_window": "24h",
            "metadata": {"run": "r-1", "shard": "000001"}});
        let (status, batch) = self.post("/batches", &asked).await;
        assert_eq!(status, 200, "{batch}");
        batch
    }

    /// The batch as soon as it has this status.
    pub(crate) async fn until(&self, batch: &Value, status: &str) -> Value {
        let patience = Instant::now() + Duration::from_secs(60);
        let path = format!("/batches/{}", batch["id"].as_str().expect("an id"));
        loop {
            let now = self.get(&path).await;
            if now["status"] == status {
                return now;
            }
            assert!(Instant::now() < patience, "not {status}: {now}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
