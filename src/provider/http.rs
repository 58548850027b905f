//! HTTP without retries: three clients, answers of bounded size, failures that name the host and never the key.
//!
//! No client follows redirects: a create must not wander, and the library would carry an `api-key` header to another host.
//! Only [`download`] follows them, by hand. The one client that pays is [`CreateClient`], a type of its own.

mod counted;
pub mod download;
mod reach;
pub mod upload;
pub mod webhook;

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, ClientBuilder, Method, RequestBuilder, Response, Url, redirect};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde_json::Value;

use self::counted::op;
use super::failure::{Failure, Hints, Kind, classify, has_error_object};
use crate::kit::redact::redacted;
use crate::kit::traffic::Traffic;

/// Largest answer read into memory.
pub const ANSWER_MAX: usize = 1 << 20;
/// Largest page of a list: 100 refused batches carry long lists of reasons.
pub const LIST_MAX: usize = 4 << 20;
/// What is read of a refusal.
const REFUSAL_MAX: usize = 64 << 10;

/// Time to find the host, connect and agree on TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for a request whose question and answer are both small.
const SMALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Time for a question to a model.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(120);
/// Many servers close idle connections after 5 s without a word; a request on such a one is lost.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// Shortest key that is looked for in whole answers: a shorter one (servers on this machine take any word) may stand in an
/// id by chance, and an id that is changed is a batch that is lost.
const TELLING_KEY: usize = 16;

type Result<T> = std::result::Result<T, Failure>;

/// Where the service is and how we introduce ourselves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Base URL, ending in `/v1` as a rule; a query in it goes with every request (`?api-version=…`).
    pub base_url: String,
    /// The key, unless the service needs none.
    pub key: Option<SecretString>,
    /// Header that carries the key: `Authorization: Bearer`, or `api-key:` for Azure.
    pub key_header: String,
    /// `OpenAI-Organization`.
    pub organization: Option<String>,
    /// `OpenAI-Project`.
    pub project: Option<String>,
    /// How long an upload or download may stand still.
    pub stall_timeout: Duration,
    /// `User-Agent`.
    pub user_agent: String,
}

/// The ordinary clients, the address, the key.
pub struct Http {
    host: String,
    base: Url,
    /// What every request carries, the key apart.
    plain: HeaderMap,
    /// What only requests to `base`'s own host carry.
    secret: HeaderMap,
    key: Option<SecretString>,
    /// Host and port of the proxy on the way, for people.
    proxy: Option<String>,
    /// Small questions and answers.
    small: Client,
    /// Bodies and result files: HTTP/1.1, because the window of HTTP/2 throttles them; no total time limit.
    large: Client,
    stall_timeout: Duration,
    /// Every request, and what came of it.
    traffic: Traffic,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http").field("host", &self.host).finish_non_exhaustive()
    }
}

/// The client that creates batches. It cannot do anything else, and nothing else can be done with it: no retry policy, no
/// redirect, no reused connection (the library resends on a reused one), HTTP/1.1, one minute in all.
pub struct CreateClient(Client);

impl std::fmt::Debug for CreateClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CreateClient")
    }
}

/// An answer that was read, whole or up to its cap.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
    /// Whether more would have come.
    cut: bool,
}

impl Http {
    /// Checks the options and builds the clients; nothing is sent.
    ///
    /// # Errors
    /// `Refused` for a URL that cannot be used or would send the key in the clear, `Key` for a key that no header can carry.
    pub fn new(options: &Options) -> Result<Self> {
        let base = base_url(&options.base_url)?;
        let host = shown_host(&base);
        let secret = secret_headers(options, &host)?;
        let plain = plain_headers(options, &host)?;
        let small = build(&base, &host, |builder| builder.timeout(SMALL_TIMEOUT))?;
        let large = build(&base, &host, ClientBuilder::http1_only)?;
        let proxy = if is_loopback(&base) { None } else { reach::proxy_of(&base) };
        let (key, stall_timeout) = (options.key.clone(), options.stall_timeout);
        let traffic = Traffic::default();
        Ok(Self { host, base, plain, secret, key, proxy, small, large, stall_timeout, traffic })
    }

    /// The client for creating batches at the same address.
    ///
    /// # Errors
    /// `Refused` if the system's trust or proxy settings cannot be used.
    pub fn create_client(&self) -> Result<CreateClient> {
        let once = |builder: ClientBuilder| builder.http1_only().pool_max_idle_per_host(0).timeout(SMALL_TIMEOUT);
        build(&self.base, &self.host, once).map(CreateClient)
    }

    /// Host and port, for people.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// `GET`, answered by JSON of at most `cap` bytes.
    ///
    /// # Errors
    /// As [`classify`]; `Unreached` without a connection, `Doubt` for a lost or unreadable answer.
    pub async fn get(&self, path: &[&str], query: &[(&str, &str)], cap: usize) -> Result<Value> {
        let url = self.url(path, query)?;
        self.judge(self.ask(op(&Method::GET, path), self.small.request(Method::GET, url), cap).await?)
    }

    /// `POST` of JSON, answered by JSON. Not for creating batches.
    ///
    /// # Errors
    /// As [`Http::get`].
    pub async fn post(&self, path: &[&str], body: &(impl Serialize + Sync)) -> Result<Value> {
        let url = self.url(path, &[])?;
        let request = self.small.request(Method::POST, url).json(body);
        self.judge(self.ask(op(&Method::POST, path), request, ANSWER_MAX).await?)
    }

    /// `POST` of a model's question as it stands, answered by JSON; a model may think for longer than a file list.
    ///
    /// # Errors
    /// As [`Http::get`].
    pub async fn question(&self, path: &[&str], body: Bytes) -> Result<Value> {
        let url = self.url(path, &[])?;
        let request = self.small.request(Method::POST, url).timeout(QUESTION_TIMEOUT);
        let request = request.header(CONTENT_TYPE, "application/json").body(body);
        self.judge(self.ask(op(&Method::POST, path), request, ANSWER_MAX).await?)
    }

    /// `DELETE`; an answer without content is null.
    ///
    /// # Errors
    /// As [`Http::get`].
    pub async fn delete(&self, path: &[&str]) -> Result<Value> {
        let url = self.url(path, &[])?;
        let request = self.small.request(Method::DELETE, url);
        let answer = self.ask(op(&Method::DELETE, path), request, ANSWER_MAX).await?;
        if answer.status == 204 { Ok(Value::Null) } else { self.judge(answer) }
    }

    /// The URL below the base; each part is one segment, whatever signs a server has put into its ids.
    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Url> {
        // A segment of dots would climb, an empty one would name the list instead of the thing.
        if let Some(odd) = path.iter().find(|part| matches!(**part, "" | "." | "..")) {
            return Err(Failure::new(Kind::Refused, &self.host, format!("{odd:?} cannot be part of an address")));
        }
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    async fn ask(&self, op: &'static str, request: RequestBuilder, cap: usize) -> Result<Answer> {
        let request = request.headers(self.plain.clone()).headers(self.secret.clone());
        let response = self.send(op, request).await?;
        self.receive(response, cap).await
    }

    /// Reads an answer; a key that the server repeats in it is cut out before anybody keeps it.
    async fn receive(&self, response: Response, cap: usize) -> Result<Answer> {
        let mut answer = self.read(response, cap).await?;
        if let Some(key) = self.key.as_ref().map(|key| key.expose_secret()).filter(|key| key.len() >= TELLING_KEY) {
            without(&mut answer.body, key.as_bytes());
        }
        Ok(answer)
    }

    /// Refusals are read up to a smaller cap.
    async fn read(&self, mut response: Response, cap: usize) -> Result<Answer> {
        let status = response.status();
        let cap = if status.is_success() { cap } else { REFUSAL_MAX };
        let mut answer =
            Answer { status: status.as_u16(), headers: response.headers().clone(), body: Vec::new(), cut: false };
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if answer.body.len() + chunk.len() > cap => {
                    answer.body.extend_from_slice(&chunk[..cap - answer.body.len()]);
                    answer.cut = true;
                    return Ok(answer);
                }
                Ok(Some(chunk)) => answer.body.extend_from_slice(&chunk),
                Ok(None) => return Ok(answer),
                // The status of a refusal says enough; what is lost of a success is in doubt.
                Err(_) if !status.is_success() => return Ok(answer),
                Err(cause) => return Err(self.lost(cause)),
            }
        }
    }

    /// The JSON of a success, or what a refusal means.
    fn judge(&self, answer: Answer) -> Result<Value> {
        let doubt =
            |words: &str| Failure { status: Some(answer.status), ..Failure::new(Kind::Doubt, &self.host, words) };
        match answer.status {
            200..=299 if answer.cut => Err(doubt("the answer is longer than an answer may be")),
            200..=299 => serde_json::from_slice(&answer.body).map_err(|_| doubt("the answer is no JSON")),
            _ => Err(self.refused(&answer)),
        }
    }

    fn refused(&self, answer: &Answer) -> Failure {
        let header = |name| answer.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let hints = Hints {
            retry_after: header("retry-after"),
            retry_after_ms: header("retry-after-ms"),
            date: header("date"),
        };
        let mut failure = classify(&self.host, answer.status, hints, &answer.body);
        for words in [&mut failure.message, &mut failure.code, &mut failure.param] {
            *words = self.without_key(words);
        }
        failure
    }

    /// No answer: either no connection came about, or nobody knows what happened.
    fn lost(&self, cause: reqwest::Error) -> Failure {
        let kind = if cause.is_connect() { Kind::Unreached } else { Kind::Doubt };
        let cause = cause.without_url();
        let advice = reach::advice(&cause, self.proxy.as_deref()).filter(|_| kind == Kind::Unreached);
        let words = advice.unwrap_or_else(|| reach::chain(&cause));
        Failure::new(kind, &self.host, self.without_key(&redacted(&words)))
    }

    /// The last net: servers repeat keys in their messages, and not every key begins with `sk-`.
    fn without_key(&self, text: &str) -> String {
        match self.key.as_ref().map(|key| key.expose_secret()) {
            Some(key) if !key.is_empty() => text.replace(key, "…"),
            _ => text.to_owned(),
        }
    }
}

impl CreateClient {
    /// Sends `body` once.
    ///
    /// # Errors
    /// As [`Http::get`], but stricter: a refusal for size that no error object explains is a doubt.
    pub async fn send(&self, http: &Http, body: &(impl Serialize + Sync)) -> Result<Value> {
        let url = http.url(&["batches"], &[])?;
        let request = self.0.request(Method::POST, url).json(body);
        let answer = http.ask(op(&Method::POST, &["batches"]), request, ANSWER_MAX).await?;
        let explained = has_error_object(&answer.body);
        http.judge(answer).map_err(|failure| match failure.kind {
            Kind::TooLarge if !explained => Failure { kind: Kind::Doubt, ..failure },
            _ => failure,
        })
    }
}

/// Cuts every `key` out of a body.
fn without(body: &mut Vec<u8>, key: &[u8]) {
    const MARK: &[u8] = "…".as_bytes();
    let places: Vec<usize> = memchr::memmem::find_iter(body, key).collect();
    for at in places.into_iter().rev() {
        drop(body.splice(at..at + key.len(), MARK.iter().copied()));
    }
}

fn builder(base: &Url) -> ClientBuilder {
    // Fails if somebody installed a provider before: then there is one, which is all we need.
    drop(rustls::crypto::ring::default_provider().install_default());
    let builder = Client::builder()
        .retry(reqwest::retry::never())
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .referer(false);
    // A proxy cannot reach our own machine's loopback.
    if is_loopback(base) { builder.no_proxy() } else { builder }
}

fn build(base: &Url, host: &str, special: impl Fn(ClientBuilder) -> ClientBuilder) -> Result<Client> {
    let with_system = || special(builder(base)).build();
    let with_none = || special(builder(base)).tls_certs_only([]).build();
    let built = match base.scheme() {
        // Nothing on the way speaks TLS, and to read the system's list of authorities takes some milliseconds.
        "http" if is_loopback(base) => with_none(),
        // A proxy may; but a small container has no such list, and most need none.
        "http" => with_system().or_else(|_| with_none()),
        _ => with_system(),
    };
    built.map_err(|cause| Failure::new(Kind::Refused, host, reach::missing(&cause)))
}

fn base_url(text: &str) -> Result<Url> {
    // The failure does not repeat the text: it may hold a password.
    let refused = |words: String| Failure::new(Kind::Refused, "base_url", words);
    let url = Url::parse(text).map_err(|cause| refused(format!("no usable URL: {cause}")))?;
    if url.password().is_some() || !url.username().is_empty() {
        return Err(refused("a URL must not hold a user or password".to_owned()));
    }
    if !is_safe(&url) {
        return Err(refused("only https:// keeps the key secret; http:// is for this machine alone".to_owned()));
    }
    Ok(url)
}

/// Whether a request to `url` stays secret on its way.
fn is_safe(url: &Url) -> bool {
    url.host_str().is_some() && (url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url)))
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

fn shown_host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn plain_headers(options: &Options, host: &str) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    let given = [
        ("user-agent", Some(&options.user_agent)),
        ("openai-organization", options.organization.as_ref()),
        ("openai-project", options.project.as_ref()),
    ];
    for (name, value) in given.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        let value = HeaderValue::from_str(value)
            .map_err(|_| Failure::new(Kind::Refused, host, format!("{name} holds signs that no header can carry")))?;
        headers.insert(HeaderName::from_static(name), value);
    }
    Ok(headers)
}

fn secret_headers(options: &Options, host: &str) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    let Some(key) = &options.key else { return Ok(headers) };
    let (name, scheme) = options.key_header.split_once(':').unwrap_or((&options.key_header, ""));
    let name = HeaderName::try_from(name.trim())
        .map_err(|_| Failure::new(Kind::Refused, host, format!("{:?} names no header", options.key_header)))?;
    let value = format!("{} {}", scheme.trim(), key.expose_secret());
    let mut value = HeaderValue::from_str(value.trim())
        .map_err(|_| Failure::new(Kind::Key, host, "the key holds signs that no header can carry"))?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::super::mock::options;
    use super::*;

    #[test]
    fn the_key_never_travels_in_the_clear() {
        for (url, good) in [
            ("https://api.openai.com/v1", true),
            ("http://127.0.0.1:8080/v1", true),
            ("http://localhost/v1", true),
            ("http://[::1]/v1", true),
            ("http://api.openai.com/v1", false),
            ("http://127.0.0.1.evil.example/v1", false),
            ("https://user:pw@host/v1", false),
            ("http://user:pw@host/v1", false),
            ("ftp://localhost/v1", false),
            ("v1", false),
        ] {
            assert_eq!(Http::new(&options(url)).is_ok(), good, "{url}");
        }
        let failure = Http::new(&options("http://user:pw@host/v1")).expect_err("refused");
        assert!(!failure.to_string().contains("pw"));
    }

    #[test]
    fn ids_cannot_leave_their_place_in_the_address() {
        let http = Http::new(&options("https://host/openai/v1/?api-version=1")).expect("client");
        let url = |parts: &[&str], query: &[(&str, &str)]| http.url(parts, query).map(String::from).map_err(|e| e.kind);
        assert_eq!(
            url(&["files", "a/../b?c"], &[]),
            Ok("https://host/openai/v1/files/a%2F..%2Fb%3Fc?api-version=1".into())
        );
        assert_eq!(
            url(&["batches"], &[("after", "x&y")]),
            Ok("https://host/openai/v1/batches?api-version=1&after=x%26y".into())
        );
        assert_eq!(url(&["files", ".."], &[]), Err(Kind::Refused));
        assert_eq!(url(&["files", ""], &[]), Err(Kind::Refused));
    }

    #[test]
    fn a_key_in_an_answer_is_cut_out() {
        let mut body = br#"{"a":"KEY-KEYKEY","b":["KEY"]}"#.to_vec();
        without(&mut body, b"KEY");
        assert_eq!(String::from_utf8(body).expect("text"), r#"{"a":"…-……","b":["…"]}"#);
    }

    #[test]
    fn the_key_is_in_one_header_and_in_no_debug_text() {
        let azure = Options { key_header: "api-key:".into(), ..options("https://host/v1") };
        let http = Http::new(&azure).expect("client");
        assert_eq!(
            http.secret.get("api-key").map(|value| (value.to_str().ok(), value.is_sensitive())),
            Some((Some("sk-test-key"), true))
        );
        let bearer = Http::new(&options("https://host/v1")).expect("client");
        assert_eq!(bearer.secret["authorization"], "Bearer sk-test-key");
        assert!(!format!("{http:?} {azure:?} {:?}", http.secret).contains("test-key"));
        assert_eq!(http.without_key("bad key sk-test-key."), "bad key ….");
    }
}
