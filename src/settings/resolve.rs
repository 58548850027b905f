//! Precedence: flag, variable, workspace file, user file, provider profile, compiled-in default. The first that speaks
//! wins.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::limits;
use super::models::{self, Models};
use super::problem::{Problem, cause_alone};
use super::raw::{self, Entry, Flag, Layer, Origin};
use super::{Address, ProviderKind, Settings, build, own_models, profile, rules};

/// Name of the settings file in a workspace.
pub const WORKSPACE_FILE: &str = "batchscribe.toml";
/// Name of the settings file in the user's folder.
const USER_FILE: &str = "config.toml";

/// The text of the compiled-in defaults, comments included.
#[must_use]
pub fn default_text() -> &'static str {
    include_str!("../../config/default.toml")
}

/// Everything that settings are made from.
#[derive(Clone)]
pub struct Sources {
    /// The workspace; absolute.
    pub workspace: PathBuf,
    /// The folder in which the user typed; absolute. `image_dir` given by flag is relative to it.
    pub current_dir: PathBuf,
    /// A settings file in the place of the workspace's own; it has to exist.
    pub config: Option<PathBuf>,
    /// Read no settings file.
    pub no_config: bool,
    /// Flags in the order of the command line.
    pub flags: Vec<Flag>,
    /// The variables.
    pub environment: Environment,
}

/// Settings and what is to be said about them.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The settings.
    pub settings: Settings,
    /// Sentences that do not stop anything.
    pub warnings: Vec<String>,
}

/// The values in force, by key.
#[derive(Debug, Default)]
pub(super) struct Book {
    entries: BTreeMap<&'static str, Entry>,
}

impl Book {
    fn add(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            self.entries.insert(entry.key.path, entry);
        }
    }

    pub(super) fn get(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// Whether nobody but the compiled-in file spoke about `path`.
    pub(super) fn is_default(&self, path: &str) -> bool {
        self.get(path).is_none_or(|entry| entry.origin == Origin::Default)
    }
}

/// Resolves the settings.
///
/// # Errors
/// Every mistake in every place: by code, then those of lower precedence first.
pub fn resolve(sources: &Sources) -> Result<Resolved, Vec<Problem>> {
    let mut book = Book::default();
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    let mut wrong = Vec::new();
    for layer in layers(sources) {
        let Layer { mut entries, problems: mistakes, warnings: remarks, wrong: keys } = layer;
        entries.retain(|entry| !keys.contains(&entry.key.path));
        book.add(entries);
        problems.extend(mistakes);
        warnings.extend(remarks);
        wrong.extend(keys);
    }
    let name = profile::provider(&book, sources);
    let kind = if name == "local" { ProviderKind::Local } else { ProviderKind::OpenAi };
    let profile = profile::of(name, &book);
    problems.extend(profile.problems);
    book.add(profile.entries);
    warnings.extend(profile.warnings);
    let found = rules::contradictions(&book).into_iter().filter(|found| !found.keys.iter().any(|k| wrong.contains(k)));
    problems.extend(found.map(|found| found.problem));
    let models = known_models(sources, &mut problems);
    if !problems.is_empty() {
        // What is not understood comes first: a wrong name often explains the rest.
        problems.sort_by_key(|problem| problem.code);
        return Err(problems);
    }
    Ok(Resolved { settings: build::settings(&book, sources, kind, models), warnings })
}

/// The table of models: the user's rows before the compiled-in ones, the workspace's before both.
fn known_models(sources: &Sources, problems: &mut Vec<Problem>) -> Models {
    let mut known = Models::built_in();
    for path in tables(sources) {
        let name = path.strip_prefix(&sources.workspace).unwrap_or(&path).display().to_string();
        match own_models::read(&known, &path, &name) {
            Ok(more) => known = more,
            Err(mistakes) => problems.extend(mistakes),
        }
    }
    known
}

/// Tables of models in the order of reading, whether they are there or not.
#[must_use]
pub fn tables(sources: &Sources) -> Vec<PathBuf> {
    if sources.no_config {
        return Vec::new();
    }
    let user = sources.environment.user_folder();
    user.into_iter().chain([sources.workspace.clone()]).map(|folder| folder.join(models::FILE)).collect()
}

/// All layers but the profile, lowest first.
fn layers(sources: &Sources) -> Vec<Layer> {
    let mut layers = vec![raw::file("default.toml", default_text(), |_| Origin::Default)];
    layers.extend(base_url(&sources.environment));
    if !sources.no_config {
        layers.extend(sources.environment.user_folder().and_then(|folder| {
            let path = folder.join(USER_FILE);
            settings_file(&path, &path.display().to_string(), false)
        }));
        let own = sources.workspace.join(WORKSPACE_FILE);
        layers.extend(match &sources.config {
            Some(path) => settings_file(&sources.current_dir.join(path), &path.display().to_string(), true),
            None => settings_file(&own, WORKSPACE_FILE, false),
        });
    }
    layers.push(raw::variables(&sources.environment));
    layers.push(raw::flags(&sources.flags));
    layers
}

/// `OPENAI_BASE_URL` speaks for every program on this computer: anything said to this one outweighs it.
fn base_url(environment: &Environment) -> Option<Layer> {
    const NAME: &str = "OPENAI_BASE_URL";
    let address = Address::below(environment.get(NAME)?);
    let mut layer = Layer::default();
    if let Some(key) = limits::find("api_url") {
        layer.take(key, super::value::Written::Text(address.as_str()), Origin::Variable(NAME.to_owned()));
    }
    Some(layer)
}

fn settings_file(path: &Path, name: &str, required: bool) -> Option<Layer> {
    match fs_err::read_to_string(path) {
        Ok(text) => Some(raw::file(name, &text, |line| Origin::File { name: name.to_owned(), line })),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound && !required => None,
        Err(cause) => {
            let problem = Problem::new("E101", format!("cannot read the settings file {name}"))
                .detail(cause_alone(&cause))
                .hint("batchscribe config path  shows which files are read");
            Some(Layer { problems: vec![problem], ..Layer::default() })
        }
    }
}

/// Settings files in the order of reading, whether they are there or not.
#[must_use]
pub fn files(sources: &Sources) -> Vec<PathBuf> {
    if sources.no_config {
        return Vec::new();
    }
    let user = sources.environment.user_folder().map(|folder| folder.join(USER_FILE));
    let own = match &sources.config {
        Some(path) => sources.current_dir.join(path),
        None => sources.workspace.join(WORKSPACE_FILE),
    };
    user.into_iter().chain([own]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{AnswerChoice, Engine};

    struct Room(tempfile::TempDir);

    impl Room {
        fn new(file: &str) -> Self {
            let room = Self(tempfile::tempdir().expect("temp dir"));
            room.write(WORKSPACE_FILE, file);
            room
        }

        fn write(&self, name: &str, text: &str) {
            use crate::kit::atomic_file::{Access, Durability, write};
            write(&self.0.path().join(name), text.as_bytes(), Access::Umask, Durability::Derived).expect("file");
        }

        fn sources(&self, environment: Environment, flags: &[(&str, &str)]) -> Sources {
            let flag = |(key, value): &(&str, &str)| Flag {
                flag: "--set".to_owned(),
                key: (*key).to_owned(),
                value: (*value).to_owned(),
            };
            Sources {
                workspace: self.0.path().to_owned(),
                current_dir: self.0.path().to_owned(),
                config: None,
                no_config: false,
                flags: flags.iter().map(flag).collect(),
                environment,
            }
        }

        fn settings(&self, environment: Environment, flags: &[(&str, &str)]) -> Settings {
            let text = |problems: Vec<Problem>| problems.iter().map(ToString::to_string).collect::<Vec<_>>();
            resolve(&self.sources(environment, flags)).map_err(text).expect("settings").settings
        }

        fn messages(&self, flags: &[(&str, &str)]) -> Vec<String> {
            let problems = resolve(&self.sources(Environment::default(), flags)).expect_err("mistakes");
            problems.iter().map(ToString::to_string).collect()
        }
    }

    #[test]
    fn default_toml_names_every_key_in_order() {
        let layer = raw::file("default.toml", default_text(), |line| Origin::File { name: "d".to_owned(), line });
        assert_eq!(layer.problems.iter().map(ToString::to_string).collect::<Vec<_>>(), Vec::<String>::new());
        let line = |entry: &Entry| match entry.origin {
            Origin::File { line, .. } => line,
            _ => 0,
        };
        let mut entries = layer.entries;
        entries.sort_by_key(line);
        let named: Vec<_> = entries.iter().map(|entry| entry.key.path).collect();
        let known: Vec<_> = limits::KEYS.iter().map(|key| key.path).collect();
        assert_eq!(named, known);
        for (entry, text) in entries.iter().map(|e| (e, default_text().lines().nth(line(e) - 1).unwrap_or_default())) {
            assert!(text.contains(" # "), "{} is not explained", entry.key.path);
        }
    }

    #[test]
    fn the_example_files_are_right() {
        for text in [include_str!("../../config/local.toml"), include_str!("../../config/openai.toml")] {
            let room = Room::new(text);
            room.settings(Environment::default(), &[]);
        }
    }

    #[test]
    fn the_first_that_speaks_wins() {
        let room = Room::new("[request]\nmodel = \"from-file\"\ndetail = \"low\"\nmax_output_tokens = 100\n");
        let user = room.0.path().join("user");
        crate::kit::atomic_file::private_folder(&user.join("batchscribe")).expect("folder");
        room.write("user/batchscribe/config.toml", "[request]\nmodel = \"from-user\"\n[shard]\nmax_bodies = 2\n");
        let home = user.display().to_string();
        let environment = Environment::from([
            ("XDG_CONFIG_HOME", home.as_str()),
            ("BATCHSCRIBE_REQUEST_DETAIL", "original"),
            ("BATCHSCRIBE_REQUEST_MAX_OUTPUT_TOKENS", "200"),
            ("OPENAI_API_KEY", "k"),
        ]);
        let settings = room.settings(environment, &[("request.max_output_tokens", "300")]);
        assert_eq!(settings.request.model, "from-file");
        assert_eq!(settings.request.detail, "original");
        assert_eq!(settings.request.max_output_tokens, 300);
        let origin = |key: &str| settings.origin(key).map(ToString::to_string).unwrap_or_default();
        assert_eq!(origin("request.model"), "batchscribe.toml:2");
        assert_eq!(origin("request.detail"), "BATCHSCRIBE_REQUEST_DETAIL");
        assert_eq!(origin("request.max_output_tokens"), "--set");
        assert_eq!(origin("retry.max_attempts"), "default");
        if cfg!(target_os = "linux") {
            assert_eq!(settings.shard.max_bodies, 2);
        }
    }

    #[test]
    fn paths_belong_to_the_workspace_and_completed_to_batch() {
        let room = Room::new("image_dir = \"./in\"\noutput_dir = \"/raw\"\n[text]\nout_dir = \"texts\"\n");
        let settings = room.settings(Environment::default(), &[]);
        let base = room.0.path();
        assert_eq!(settings.image_dir, base.join("in"));
        assert_eq!(settings.image_dir_given, "./in");
        assert_eq!(settings.completed_dir, base.join("batch/completed"));
        assert_eq!(settings.output_dir, PathBuf::from("/raw"));
        assert_eq!(settings.text.out_dir, Some(base.join("texts")));
        assert_eq!(settings.run.max_duration, None);
        assert_eq!(settings.run.limit, None);
        assert_eq!(settings.request.answer_format, AnswerChoice::Auto);
    }

    #[test]
    fn without_a_key_the_built_in_engine_reads() {
        let room = Room::new("[batch]\npoll_interval = \"10s\"\n");
        let settings = room.settings(Environment::default(), &[]);
        assert_eq!(settings.provider.name, ProviderKind::Local);
        assert_eq!(settings.request.model, "ppocrv6-tiny");
        assert_eq!(settings.max_images_per_batch, 25);
        assert_eq!(settings.request.reasoning_effort, None);
        assert_eq!(settings.provider.engine, Engine::Ocr);
        assert_eq!(settings.batch.poll_interval.as_secs(), 10);
        assert_eq!(settings.batch.max_poll_interval.as_secs(), 300, "the profile does not contradict the user");
    }

    #[test]
    fn with_a_key_or_another_address_it_does_not() {
        let room = Room::new("");
        let key = room.settings(Environment::from([("OPENAI_API_KEY", "k")]), &[]);
        assert_eq!(key.provider.name, ProviderKind::OpenAi);
        assert_eq!(key.request.reasoning_effort.as_deref(), Some("none"));
        assert_eq!(key.max_images_per_batch, 400);
        let base = room.settings(Environment::from([("OPENAI_BASE_URL", "https://gateway.example/v1/")]), &[]);
        assert_eq!(base.provider.name, ProviderKind::OpenAi);
        assert_eq!(base.api_url.as_str(), "https://gateway.example/v1/chat/completions");
        assert_eq!(base.request.reasoning_effort, None, "nothing is known of another host's models");
        let named = room.settings(Environment::from([("OPENAI_API_KEY", "k")]), &[("provider.name", "local")]);
        assert_eq!(named.provider.name, ProviderKind::Local);
        assert!(named.provider.named);
    }

    #[test]
    fn contradictions_are_told_with_their_places() {
        let room = Room::new(
            "max_images_per_batch = 500\n[provider]\nname = \"openai\"\nmax_lines = 400\n[batch]\npoll_interval = \"10m\"\n",
        );
        let expected = [
            "error[E103]: `max_images_per_batch` = 500 (batchscribe.toml:1) contradicts `provider.max_lines` = 400 \
             (batchscribe.toml:4)\nhint: a batch cannot hold more images than the provider takes lines",
            "error[E103]: `batch.poll_interval` = \"10m\" (batchscribe.toml:6) contradicts `batch.max_poll_interval` = \
             \"300s\" (default)\nhint: the first interval is the shortest; it grows to the longest",
        ];
        assert_eq!(room.messages(&[]), expected);
    }

    #[test]
    fn addresses_that_this_version_cannot_serve() {
        let room = Room::new("");
        let expected = "error[E103]: `api_url` = \"http://api.example.org/v1/chat/completions\" (--set) contradicts the \
                        rule that keys and images travel encrypted\nhint: use https://; http:// is for this computer \
                        (127.0.0.1, localhost) only\n      or leave out  --set api_url=http://api.example.org/v1/chat/completions";
        assert_eq!(room.messages(&[("api_url", "http://api.example.org/v1/chat/completions")]), [expected]);
        let message = room.messages(&[("provider.engine", "http://10.0.0.7:11434/v1")]).remove(0);
        let expected = "error[E103]: `provider.engine` = \"http://10.0.0.7:11434/v1\" (--set) contradicts the rule that \
                        images travel encrypted\nhint: use https://; http:// is for this computer (127.0.0.1, localhost) \
                        only";
        assert!(message.starts_with(expected), "{message}");
        let expected = "error[E103]: `api_url` = \"https://api.openai.com/v1/embeddings\" (--set) contradicts the \
                        endpoints of this version, /chat/completions and /responses\nhint: end it in one of them, such as \
                        https://api.openai.com/v1/chat/completions\n      or leave out  \
                        --set api_url=https://api.openai.com/v1/embeddings";
        assert_eq!(room.messages(&[("api_url", "https://api.openai.com/v1/embeddings")]), [expected]);
        let both = [("api_url", "https://host.example/v1/responses"), ("provider.endpoint", "/v4/chat/completions")];
        assert!(room.messages(&both)[0].contains("both name the same endpoint"), "{:?}", room.messages(&both));
        let azure = [
            ("provider.name", "azure"),
            ("request.model", "m"),
            ("api_url", "https://res.openai.azure.com/openai/v1/responses"),
        ];
        let azure = resolve(&room.sources(Environment::default(), &azure));
        let azure = azure.expect("a profile's name of the endpoint is no choice").settings;
        assert_eq!(azure.api_url.endpoint_named(azure.provider.endpoint.as_deref()), "/v1/responses");
    }

    #[test]
    fn a_missing_config_file_is_told() {
        let room = Room::new("");
        let mut sources = room.sources(Environment::default(), &[]);
        sources.config = Some("other.toml".into());
        let problems = resolve(&sources).expect_err("no such file");
        assert_eq!(problems[0].sentence, "cannot read the settings file other.toml");
        sources.no_config = true;
        assert!(resolve(&sources).is_ok());
    }
}
