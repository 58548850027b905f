//! Any server with an OpenAI-compatible `/v1/chat/completions` or `/v1/responses` as an engine: vLLM, llama.cpp, Ollama.
//!
//! The request body is handed on unchanged. Each of a fixed number of lines has its own small runtime and connection
//! pool; a worker takes a free line, asks, and gives it back, so no more requests are under way than there are lines.

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use reqwest::redirect::Policy;
use reqwest::{Client, Url, header};
use serde::Deserialize;
use tokio::runtime::{Builder, Runtime};

use super::{Answered, ChatRequest, Engine, Refusal, Said};
use crate::emulator::endpoint::Endpoint;

/// Longest wait for a connection, and for the next bytes of an answer: a page on a small machine takes minutes.
const CONNECT: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(900);

/// An engine at a URL.
#[derive(Debug)]
pub struct Upstream {
    /// The base, with a slash at its end.
    url: Url,
    name: String,
    free: Receiver<Line>,
    give_back: Sender<Line>,
}

#[derive(Debug)]
struct Line {
    runtime: Runtime,
    client: Client,
}

#[derive(Deserialize)]
struct Completion {
    model: Option<String>,
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    message: Option<Message>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
    refusal: Option<String>,
}

#[derive(Deserialize)]
struct Response {
    model: Option<String>,
    #[serde(default)]
    output: Vec<Item>,
    incomplete_details: Option<Incomplete>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Item {
    content: Option<Vec<Part>>,
}

#[derive(Deserialize)]
struct Part {
    text: Option<String>,
    refusal: Option<String>,
}

#[derive(Deserialize)]
struct Incomplete {
    reason: Option<String>,
}

/// In the words of either endpoint.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    prompt_tokens_details: Option<Details>,
    completion_tokens_details: Option<Details>,
    input_tokens: u64,
    output_tokens: u64,
    input_tokens_details: Option<Details>,
    output_tokens_details: Option<Details>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Details {
    cached_tokens: u64,
    reasoning_tokens: u64,
}

impl Upstream {
    /// An engine at `url` (the base, with or without `/v1`), asked by at most `lines` requests at once.
    ///
    /// # Errors
    /// A URL that is none, a key that no header can carry, or the system's refusal of a runtime.
    pub fn new(url: &str, key: Option<&str>, lines: usize) -> std::io::Result<Self> {
        let url = base(url)?;
        // Fails if somebody has installed one already, which serves as well.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut headers = header::HeaderMap::new();
        if let Some(key) = key {
            let mut value = header::HeaderValue::from_str(&format!("Bearer {key}")).map_err(std::io::Error::other)?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        let (give_back, free) = bounded(lines.max(1));
        for _ in 0..lines.max(1) {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let dressed = || {
                // Pages go to the server that was named, and nowhere else.
                let builder = Client::builder().default_headers(headers.clone()).redirect(Policy::none());
                let builder = builder.connect_timeout(CONNECT).read_timeout(SILENCE);
                // Nor by way of a proxy, which would be handed what is to stay on this computer.
                if is_loopback(&url) { builder.no_proxy() } else { builder }
            };
            // A small container may have no list of authorities; without TLS none is needed.
            let client = match dressed().build() {
                Err(_) if url.scheme() == "http" => dressed().tls_certs_only([]).build(),
                built => built,
            };
            let client = client.map_err(std::io::Error::other)?;
            // Cannot fail: there is room for all lines.
            drop(give_back.send(Line { runtime, client }));
        }
        let name = format!("batchscribe-upstream-{}", url.host_str().unwrap_or("unnamed"));
        Ok(Self { url, name, free, give_back })
    }

    async fn ask(&self, client: &Client, endpoint: Endpoint, body: String) -> Answered {
        let odd = |_| Refusal::server_error().code("server_error");
        let url = self.url.join(endpoint.path().trim_start_matches('/')).map_err(odd)?;
        let request = client.post(url).header(header::CONTENT_TYPE, "application/json").body(body);
        let answer = request.send().await.map_err(|cause| unreachable_upstream(&cause))?;
        let status = answer.status().as_u16();
        let bytes = answer.bytes().await.map_err(|cause| unreachable_upstream(&cause))?;
        match (status, endpoint) {
            (200, Endpoint::Chat) => self.read(&bytes),
            (200, Endpoint::Responses) => self.read_response(&bytes),
            _ => Err(refused(status, &bytes)),
        }
    }

    fn read(&self, bytes: &[u8]) -> Answered {
        let odd = || not_readable("chat completion");
        let completion: Completion = serde_json::from_slice(bytes).map_err(|_| odd())?;
        let choice = completion.choices.into_iter().next().ok_or_else(odd)?;
        let message = choice.message.ok_or_else(odd)?;
        let usage = completion.usage.unwrap_or_default();
        Ok(Said {
            model: completion.model.unwrap_or_else(|| self.name.clone()),
            content: message.content,
            refusal: message.refusal,
            finish_reason: choice.finish_reason.unwrap_or_else(|| "stop".to_owned()),
            prompt_tokens: usage.prompt_tokens,
            cached_tokens: usage.prompt_tokens_details.map_or(0, |details| details.cached_tokens),
            completion_tokens: usage.completion_tokens,
            reasoning_tokens: usage.completion_tokens_details.map_or(0, |details| details.reasoning_tokens),
        })
    }

    fn read_response(&self, bytes: &[u8]) -> Answered {
        let response: Response = serde_json::from_slice(bytes).map_err(|_| not_readable("response"))?;
        let mut said = Said::text(response.model.as_deref().unwrap_or(&self.name), String::new(), 0);
        (said.content, said.refusal) = (None, None);
        for part in response.output.into_iter().flat_map(|item| item.content.unwrap_or_default()) {
            for (told, heard) in [(part.text, &mut said.content), (part.refusal, &mut said.refusal)] {
                if let Some(told) = told {
                    heard.get_or_insert_default().push_str(&told);
                }
            }
        }
        match response.incomplete_details.and_then(|details| details.reason).as_deref() {
            Some("max_output_tokens") => "length".clone_into(&mut said.finish_reason),
            Some(reason) => reason.clone_into(&mut said.finish_reason),
            None => {}
        }
        let usage = response.usage.unwrap_or_default();
        (said.prompt_tokens, said.completion_tokens) = (usage.input_tokens, usage.output_tokens);
        said.cached_tokens = usage.input_tokens_details.map_or(0, |details| details.cached_tokens);
        said.reasoning_tokens = usage.output_tokens_details.map_or(0, |details| details.reasoning_tokens);
        Ok(said)
    }
}

impl Engine for Upstream {
    fn model(&self) -> &str {
        &self.name
    }

    fn answer(&self, request: &ChatRequest<'_>) -> Answered {
        let gone = || Refusal::new(500, "The upstream engine is closed.").code("server_error");
        let line = self.free.recv().map_err(|_| gone())?;
        let answered = line.runtime.block_on(self.ask(&line.client, request.endpoint, request.body.get().to_owned()));
        // Cannot fail: the place it came from is still empty.
        drop(self.give_back.send(line));
        answered
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        // A runtime that is dropped on a thread of another one panics unless it need not wait for its own threads.
        while let Ok(line) = self.free.try_recv() {
            line.runtime.shutdown_background();
        }
    }
}

fn base(url: &str) -> std::io::Result<Url> {
    let base = url.trim_end_matches('/');
    let base = ["/chat/completions", "/responses"].into_iter().find_map(|path| base.strip_suffix(path)).unwrap_or(base);
    let base = base.strip_suffix("/v1").unwrap_or(base);
    let invalid = |cause| std::io::Error::new(std::io::ErrorKind::InvalidInput, format!("{url}: {cause}"));
    Url::parse(&format!("{base}/")).map_err(invalid)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

fn not_readable(what: &str) -> Refusal {
    Refusal::new(502, format!("The upstream server's answer is not a {what}.")).code("bad_gateway")
}

fn unreachable_upstream(cause: &reqwest::Error) -> Refusal {
    Refusal::new(503, format!("The upstream server cannot be reached: {cause}.")).code("upstream_unreachable")
}

/// The upstream's own error where it is an error object, otherwise its words.
fn refused(status: u16, bytes: &[u8]) -> Refusal {
    let value: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
    let error = value.get("error").unwrap_or(&value);
    let text = |name: &str| error.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
    let words = || String::from_utf8_lossy(&bytes[..bytes.len().min(2048)]).into_owned();
    let mut refusal = Refusal::new(status, text("message").unwrap_or_else(words));
    refusal.kind = text("type").unwrap_or(refusal.kind);
    refusal.param = text("param");
    refusal.code = text("code");
    refusal
}
