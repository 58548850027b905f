//! What a provider implies where the user said nothing: `config/providers.toml`, compiled in.

use toml::de::{DeTable, DeValue};

use super::limits::{self, PROVIDERS};
use super::problem::Problem;
use super::raw::{Layer, Origin};
use super::resolve::{Book, Sources};
use super::value::{Value, Written};
use super::{Address, keys};

/// Model name of the embedded recogniser.
const RECOGNISER: &str = "ppocrv6-tiny";
const LOCAL: &str = "local";
const OPENAI: &str = "openai";
/// Settings that move together: half of a profile would contradict the user's half.
const PAIR: [&str; 2] = ["batch.poll_interval", "batch.max_poll_interval"];
/// The member of a profile that is no setting.
const NEEDS: &str = "needs";

fn profiles() -> &'static str {
    include_str!("../../config/providers.toml")
}

/// Who reads the pages: the one that was named, or what key and address suggest.
pub(super) fn provider(book: &Book, sources: &Sources) -> &'static str {
    let named = PROVIDERS.into_iter().find(|name| *name == text(book, "provider.name") && *name != "auto");
    match named {
        Some(name) => name,
        None if !Address::new(text(book, "api_url")).is_openai() || has_key(book, sources) => OPENAI,
        None => LOCAL,
    }
}

/// Whether a key lies somewhere, or was meant to: a place that was named and holds none is told, and never passed over for the
/// built-in engine.
fn has_key(book: &Book, sources: &Sources) -> bool {
    let file = Some(text(book, "api_key_file")).filter(|file| !file.is_empty());
    let command = !text(book, "api_key_command").is_empty();
    let named = file.is_some() && !book.is_default("api_key_file");
    command
        || named
        || keys::lies_somewhere(file.map(|file| sources.workspace.join(file)).as_deref(), &sources.environment)
}

fn text<'a>(book: &'a Book, path: &str) -> &'a str {
    match book.get(path).map(|entry| &entry.value) {
        Some(Value::Text(text)) => text,
        _ => "",
    }
}

/// The values of a provider's profile that the user left open, and what it needs and has not got.
pub(super) fn of(name: &'static str, book: &Book) -> Layer {
    let mut layer = Layer::default();
    let (table, _) = DeTable::parse_recoverable(profiles());
    let profile = table.get_ref().iter().find(|(key, _)| key.get_ref() == name);
    let Some(DeValue::Table(members)) = profile.map(|(_, value)| value.get_ref()) else { return layer };
    for (path, value) in members {
        let path = path.get_ref().as_ref();
        match (path, value.get_ref()) {
            (NEEDS, DeValue::Table(needs)) => {
                let missing = needs.iter().filter(|(path, _)| book.is_default(path.get_ref()));
                layer.problems.extend(missing.map(|(path, example)| {
                    let example = example.get_ref().as_str().unwrap_or_default();
                    Problem::new("E103", format!("provider `{name}` needs `{}`", path.get_ref()))
                        .hint(format!("such as {example}"))
                }));
            }
            (path, value) if is_open(book, path) => {
                if let Some(key) = limits::find(path) {
                    layer.take(key, Written::Toml(value), Origin::Profile(name));
                }
            }
            _ => {}
        }
    }
    if name == LOCAL {
        model_of_engine(book, &mut layer);
    }
    layer
}

/// Whether the user has said nothing about a setting. `OPENAI_BASE_URL` was said to every program on this computer; a
/// provider that was named outweighs it.
fn is_open(book: &Book, path: &str) -> bool {
    let everybodys = |path: &str| {
        let origin = book.get(path).map(|entry| &entry.origin);
        matches!(origin, Some(Origin::Variable(name)) if name == "OPENAI_BASE_URL")
    };
    if PAIR.contains(&path) {
        PAIR.iter().all(|path| book.is_default(path))
    } else {
        book.is_default(path) || everybodys(path)
    }
}

/// The built-in engines are models of their own.
fn model_of_engine(book: &Book, layer: &mut Layer) {
    let built_in = match text(book, "provider.engine") {
        "ocr" => RECOGNISER,
        "echo" => "echo",
        // A server of the user's own has models to choose from.
        _ => return,
    };
    // A fact, no choice: a ledger that named another model would lie about where its texts come from.
    if let Some(key) = limits::find("request.model") {
        layer.take(key, Written::Text(built_in), Origin::Profile(LOCAL));
    }
    let asked = text(book, "request.model");
    if !book.is_default("request.model") && asked != built_in {
        layer
            .warnings
            .push(format!("the built-in engine is {built_in}; request.model = \"{asked}\" waits for a real provider"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Environment, Fence, Flag, ProviderKind, Settings, resolve};
    use super::*;

    fn resolved(environment: Environment, flags: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
        let flag = |(key, value): &(&str, &str)| Flag {
            flag: "--set".to_owned(),
            key: (*key).to_owned(),
            value: (*value).to_owned(),
        };
        let sources = Sources {
            workspace: "/nowhere".into(),
            current_dir: "/nowhere".into(),
            config: None,
            no_config: true,
            flags: flags.iter().map(flag).collect(),
            environment,
        };
        let words = |problems: Vec<Problem>| problems.iter().map(ToString::to_string).collect();
        resolve(&sources).map(|resolved| resolved.settings).map_err(words)
    }

    fn tables() -> Vec<String> {
        let (table, errors) = DeTable::parse_recoverable(profiles());
        assert!(errors.is_empty(), "{errors:?}");
        table.get_ref().iter().map(|(key, _)| key.get_ref().to_string()).collect()
    }

    #[test]
    fn every_name_has_its_table_and_every_member_is_a_setting() {
        let mut names = tables();
        let mut known: Vec<String> = PROVIDERS.iter().skip(1).map(|name| (*name).to_owned()).collect();
        names.sort_unstable();
        known.sort_unstable();
        assert_eq!(names, known);
        assert_eq!(PROVIDERS[0], "auto");
        let (table, _) = DeTable::parse_recoverable(profiles());
        for (name, profile) in table.get_ref() {
            let DeValue::Table(members) = profile.get_ref() else { panic!("{name:?} is no table") };
            assert!(members.contains_key(NEEDS), "{name:?} does not say what it needs");
            for (path, value) in members {
                let (path, value) = (path.get_ref().as_ref(), value.get_ref());
                let DeValue::Table(needs) = value else {
                    let key = limits::find(path).unwrap_or_else(|| panic!("{path} is no setting"));
                    assert!(Written::Toml(value).read(key.kind).is_some(), "{name:?}: {path}");
                    continue;
                };
                assert_eq!(path, NEEDS);
                for (path, _) in needs {
                    assert!(limits::find(path.get_ref()).is_some(), "{path:?} is no setting");
                }
            }
        }
        for name in PROVIDERS {
            assert!(super::super::default_text().contains(&format!(" {name} |")) || name == "custom", "{name}");
        }
    }

    #[test]
    fn every_profile_resolves() {
        for name in PROVIDERS.into_iter().skip(1) {
            let mut flags = vec![("provider.name", name), ("request.model", "m")];
            if matches!(name, "azure" | "litellm" | "aibrix" | "custom") {
                let told = resolved(Environment::default(), &flags).expect_err("no address");
                assert!(
                    told[0].starts_with(&format!(
                        "error[E103]: provider `{name}` needs `api_url`\nhint: such as https://"
                    ))
                );
                flags.push(("api_url", "https://host.example/v1/chat/completions"));
            }
            let settings = resolved(Environment::default(), &flags).unwrap_or_else(|told| panic!("{name}: {told:?}"));
            assert_eq!(settings.provider.name == ProviderKind::Local, name == LOCAL, "{name}");
            assert!(settings.provider.named && settings.api_url.has_endpoint(), "{name}");
            let trusted = matches!(name, "openai" | "azure" | "local");
            assert_eq!(settings.provider.fence == Fence::Delete, trusted, "{name}");
        }
    }

    #[test]
    fn what_providers_imply_and_what_the_user_says() {
        let flags = [
            ("provider.name", "azure"),
            ("api_url", "https://res.openai.azure.com/openai/v1/chat/completions"),
            ("request.model", "batch-deployment"),
        ];
        let azure = resolved(Environment::default(), &flags).expect("settings");
        let header = (azure.provider.key_header.name.as_str(), azure.provider.key_header.scheme.as_str());
        assert_eq!((header, azure.provider.max_lines, azure.provider.wait_for_file), (("api-key", ""), 100_000, true));
        assert_eq!(azure.provider.endpoint.as_deref(), Some("/v1/chat/completions"));
        assert_eq!(azure.origin("provider.key_header").map(ToString::to_string).as_deref(), Some("profile azure"));
        let own = [flags[0], flags[1], flags[2], ("provider.max_lines", "500"), ("provider.wait_for_file", "false")];
        let own = resolved(Environment::default(), &own).expect("settings");
        assert_eq!((own.provider.max_lines, own.provider.wait_for_file), (500, false));

        let groq = [("provider.name", "groq"), ("request.model", "m")];
        let everywhere = Environment::from([("OPENAI_BASE_URL", "https://gateway.example/v1")]);
        let groq = resolved(everywhere, &groq).expect("settings");
        assert_eq!(groq.api_url.base(), "https://api.groq.com/openai/v1");
        assert_eq!((groq.batch.results_expire_after, groq.shard.max_shard_bytes), (None, 95_000_000));
        let missing = resolved(Environment::default(), &[("provider.name", "groq")]).expect_err("no model");
        assert_eq!(
            missing,
            ["error[E103]: provider `groq` needs `request.model`\nhint: such as a model of Groq that sees"]
        );
    }

    #[test]
    fn an_unknown_name_is_told_with_the_one_that_was_meant() {
        let told = resolved(Environment::default(), &[("provider.name", "azur")]).expect_err("no such name");
        assert_eq!(
            told,
            [format!(
                "error[E102]: `provider.name` is \"azur\"; allowed: {}\nhint: did you mean `azure`?\n      set in --set",
                PROVIDERS.join(", ")
            )]
        );
    }
}
