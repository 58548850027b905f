//! What left the building: who was handed pages, by the service's address or by the engine of the built-in provider.

use serde_json::{Value, json};

use crate::ledger::reader::{EngineRow, RunRow};
use crate::settings::Engine;

/// Pages of a run that were handed to another computer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    /// The run, for people.
    run: String,
    /// Who was handed them.
    host: String,
    /// How many requests; at most, where pages were asked for one by one.
    requests: u64,
    /// Their bytes.
    bytes: u64,
    /// Whether they were asked for one by one, through the built-in provider.
    relayed: bool,
}

/// All of it, oldest run first.
pub(super) fn sent(runs: &[RunRow], engines: &[EngineRow]) -> Vec<Sent> {
    let of_run = |run: &RunRow| {
        let own = (is_remote(run) && run.requests > 0).then(|| Sent {
            run: run.name.clone(),
            host: host(&run.base_url).to_owned(),
            requests: run.requests,
            bytes: run.bytes,
            relayed: false,
        });
        let name = run.name.clone();
        own.into_iter().chain(engines.iter().filter(move |row| row.run == name && row.requests > 0).filter_map(relayed))
    };
    runs.iter().flat_map(of_run).collect()
}

fn relayed(row: &EngineRow) -> Option<Sent> {
    let EngineRow { run, engine, requests, bytes } = row;
    let host = Engine::named(engine).elsewhere()?.to_owned();
    Some(Sent { run: run.clone(), host, requests: *requests, bytes: *bytes, relayed: true })
}

impl Sent {
    /// For programs, and for the page.
    pub(super) fn told(&self) -> Value {
        let Self { run, host, requests, bytes, relayed } = self;
        json!({"run": run, "host": host, "requests": requests, "bytes": bytes, "relayed": relayed})
    }
}

/// Whether a run was read by a service, rather than by the built-in provider.
fn is_remote(run: &RunRow) -> bool {
    run.base_url != "local"
}

/// Who has read a run, for people.
pub(super) fn read_by(run: &RunRow, engines: &[EngineRow]) -> String {
    if is_remote(run) {
        return run.base_url.clone();
    }
    let words = |row: &EngineRow| match Engine::named(&row.engine) {
        Engine::Url(url) => url,
        Engine::Echo => "the echo engine, which makes its texts up".to_owned(),
        Engine::Ocr => BUILT_IN.to_owned(),
    };
    let all: Vec<String> = engines.iter().filter(|row| row.run == run.name && row.requests > 0).map(words).collect();
    if all.is_empty() { BUILT_IN.to_owned() } else { all.join("; ") }
}

const BUILT_IN: &str = "the built-in engine, on this computer";

/// The host of an address.
fn host(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_was_handed_pages_is_named() {
        let run = |name: &str, base_url: &str, requests| RunRow {
            name: name.to_owned(),
            version: String::new(),
            started_at: 0,
            base_url: base_url.to_owned(),
            requests,
            bytes: 10,
        };
        let row = |run: &str, engine: &str, requests| EngineRow {
            run: run.to_owned(),
            engine: engine.to_owned(),
            requests,
            bytes: 7,
        };
        let runs = [run("a", "local", 5), run("b", "https://api.openai.com/v1", 3), run("c", "https://x.org/v1", 0)];
        let (far, near) = ("https://gpu.example.org/v1", "http://127.0.0.1:1/v1");
        let engines = [row("a", "ocr", 5), row("a", far, 2), row("a", near, 4), row("a", "https://never.org", 0)];
        let told = sent(&runs, &engines).into_iter().map(|one| (one.run, one.host, one.requests, one.relayed));
        let expected = |run: &str, host: &str, requests, relayed| (run.to_owned(), host.to_owned(), requests, relayed);
        let both = [expected("a", "gpu.example.org", 2, true), expected("b", "api.openai.com", 3, false)];
        assert_eq!(told.collect::<Vec<_>>(), both);
        assert_eq!(read_by(&runs[0], &engines), format!("{BUILT_IN}; {far}; {near}"));
        assert_eq!(read_by(&runs[0], &[]), BUILT_IN);
        assert_eq!(read_by(&runs[1], &engines), "https://api.openai.com/v1");
    }
}
