//! Settings of the headless server, and of who is told when something ends.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{Settings, Sourced};

/// `[serve]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serve {
    /// Address and port of the server; port 0 takes a free one.
    pub listen: SocketAddr,
    /// File with the token that requests have to carry; none on an address of this computer alone.
    pub token_file: Option<PathBuf>,
    /// Names, beside this computer's own, by which the server may be asked, in lower case.
    pub host_names: Vec<String>,
    /// File that the metrics are written to, for a collector that reads files.
    pub metrics_file: Option<PathBuf>,
}

/// `[notify]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// A program and its arguments; empty: none.
    pub command: Vec<String>,
    /// URL that is told by POST.
    pub webhook: Option<String>,
    /// URL that is asked by GET after each successful look at open batches.
    pub heartbeat: Option<String>,
    /// How long each may take.
    pub time_limit: Duration,
}

impl Notify {
    /// Whether anybody is to be told of an end, or that a person is needed.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        !self.command.is_empty() || self.webhook.is_some()
    }
}

/// Keys that a running server takes over when it is asked to read its settings again: limits, who is told, the log. The others
/// say what is read, where, by whom and how: they belong to the whole life of a server.
const TAKEN_OVER: [&str; 8] =
    ["run.", "batch.", "retry.", "shard.", "notify.", "max_images_per_batch", "show.log_level", "show.stats"];

impl Settings {
    /// These settings with what a running server can take over of `new`; and the keys that were taken over, and those that were
    /// changed and have to wait for the next start.
    #[must_use]
    pub fn taking_over(&self, new: &Self) -> (Self, Vec<&'static str>, Vec<&'static str>) {
        let is_taken = |key: &str| TAKEN_OVER.iter().any(|taken| key.starts_with(taken));
        let changed = |(old, new): &(&Sourced, &Sourced)| old.key == new.key && old.value != new.value;
        let pairs = self.sources.iter().zip(&new.sources).filter(changed);
        let (taken, left): (Vec<_>, Vec<_>) = pairs.map(|(old, _)| old.key).partition(|key| is_taken(key));
        let mut settings = self.clone();
        settings.run = new.run.clone();
        settings.batch = new.batch;
        settings.retry = new.retry;
        settings.shard = new.shard;
        settings.notify = new.notify.clone();
        settings.max_images_per_batch = new.max_images_per_batch;
        settings.show.log_level.clone_from(&new.show.log_level);
        settings.show.stats = new.show.stats;
        for (old, new) in settings.sources.iter_mut().zip(&new.sources) {
            if old.key == new.key && is_taken(old.key) {
                old.clone_from(new);
            }
        }
        (settings, taken, left)
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::{Environment, Flag, Settings, Sources, resolve};

    fn sources(pairs: &[(&str, &str)]) -> Sources {
        let flag =
            |(key, value): &(&str, &str)| Flag { flag: "--set".into(), key: (*key).into(), value: (*value).into() };
        Sources {
            workspace: "/w".into(),
            current_dir: "/w".into(),
            config: None,
            no_config: true,
            flags: pairs.iter().map(flag).collect(),
            environment: Environment::default(),
        }
    }

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        resolve(&sources(pairs)).map_err(|problems| format!("{problems:?}")).expect("settings").settings
    }

    #[test]
    fn limits_are_taken_over_and_the_rest_is_named() {
        let old = settings(&[]);
        let new = settings(&[
            ("batch.max_open_batches", "7"),
            ("run.max_cost", "3"),
            ("notify.command", "tell,me"),
            ("show.log_level", "debug"),
            ("request.detail", "low"),
            ("image_dir", "elsewhere"),
            ("serve.listen", "127.0.0.1:1"),
        ]);
        let (now, taken, left) = old.taking_over(&new);
        assert_eq!(now.batch.max_open_batches, 7);
        assert_eq!(now.run.max_cost, new.run.max_cost);
        assert_eq!(now.notify.command, ["tell", "me"]);
        assert_eq!(now.show.log_level, "debug");
        assert_eq!(now.request.detail, old.request.detail);
        assert_eq!(taken, ["run.max_cost", "batch.max_open_batches", "show.log_level", "notify.command"]);
        assert_eq!(left, ["image_dir", "request.detail", "serve.listen"]);
        assert!(now.to_json().contains("\"run.max_cost\":\"3\""), "{}", now.to_json());
        assert_eq!(now.taking_over(&now.clone()).1, Vec::<&str>::new());
    }

    #[test]
    fn an_open_address_needs_a_token() {
        let problems = resolve(&sources(&[("serve.listen", "0.0.0.0:80")])).expect_err("refused");
        assert_eq!(problems.iter().map(|problem| problem.code).collect::<Vec<_>>(), ["E103"]);
        assert!(resolve(&sources(&[("serve.listen", "0.0.0.0:80"), ("serve.token_file", "t")])).is_ok());
        assert!(resolve(&sources(&[("serve.listen", "[::1]:0")])).is_ok());
    }
}
