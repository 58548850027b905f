//! From the book of values to the struct: names meet fields here and nowhere else.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::domain::image::Pages;
use crate::domain::money::Money;
use crate::domain::recipe::{IdStyle, Preparation, Reencode};
use crate::domain::sight::Sight;

use super::models::Models;
use super::raw::Origin;
use super::resolve::{Book, Sources};
use super::value::Value;
use super::{
    Address, AnswerChoice, Batch, Canary, Clean, Duplicates, Encode, Engine, Fence, Judge, KeyHeader, Notify, Provider,
    ProviderKind, Request, Retry, Run, Serve, Settings, Shard, Show, Sourced, Text, TextFrom, Unicode, limits,
};

/// The workspace as it is seen from the folder that the call came from.
fn named(sources: &Sources) -> Option<PathBuf> {
    let Sources { workspace, current_dir, .. } = sources;
    let below = workspace.strip_prefix(current_dir).unwrap_or(workspace);
    (!below.as_os_str().is_empty()).then(|| below.to_owned())
}

/// The struct of the values in force. The book holds every key with a value of its kind: `default.toml` names them all,
/// and a test proves it.
pub(super) fn settings(book: &Book, sources: &Sources, kind: ProviderKind, models: Models) -> Settings {
    let get = Getter { book, workspace: &sources.workspace };
    let batch_dir = get.folder("batch_dir");
    let api_url = Address::new(&get.text("api_url"));
    let request = request(&get, kind, &api_url, &models);
    Settings {
        workspace: sources.workspace.clone(),
        workspace_named: named(sources),
        api_key_file: get.path("api_key_file"),
        api_key_command: get.optional("api_key_command"),
        image_dir: image_dir(&get, sources),
        image_dir_given: get.text("image_dir"),
        prompt_file: get.path("prompt_file"),
        jsonl_file_base: get.text("jsonl_file_base"),
        api_url,
        description: get.text("description"),
        valid_image_types: get.list("valid_image_types"),
        max_images_per_batch: get.small("max_images_per_batch"),
        completed_dir: completed_dir(&get, &batch_dir),
        batch_dir,
        output_dir: get.folder("output_dir"),
        extraction_base_dir: get.folder("extraction_base_dir"),
        run: run(&get),
        provider: provider(&get, kind),
        encode: encode(&get, sight(kind, &request, &models)),
        request,
        shard: shard(&get),
        batch: Batch {
            max_open_batches: get.small("batch.max_open_batches"),
            max_enqueued_tokens: Some(get.count("batch.max_enqueued_tokens")).filter(|tokens| *tokens > 0),
            poll_interval: get.span("batch.poll_interval"),
            max_poll_interval: get.span("batch.max_poll_interval"),
            results_expire_after: get.optional_span("batch.results_expire_after"),
        },
        retry: Retry {
            max_attempts: get.small("retry.max_attempts"),
            max_returns: get.small("retry.max_returns"),
            stall_timeout: get.span("retry.stall_timeout"),
        },
        judge: judge(&get),
        clean: clean(&get),
        text: text(&get),
        show: show(&get),
        serve: serve(&get),
        notify: notify(&get),
        models,
        sources: sourced(book),
    }
}

/// A folder typed on the command line lies where the user is; one from a file or variable lies in the workspace.
fn image_dir(get: &Getter<'_>, sources: &Sources) -> PathBuf {
    let typed = matches!(get.book.get("image_dir").map(|entry| &entry.origin), Some(Origin::Flag(_)));
    let base = if typed { &sources.current_dir } else { &sources.workspace };
    tidy(&base.join(get.text("image_dir")))
}

/// A bare name lies in `batch_dir`, as the origin had it.
fn completed_dir(get: &Getter<'_>, batch_dir: &Path) -> PathBuf {
    let given = get.text("completed_dir");
    let bare = !given.contains(['/', '\\']);
    if bare { batch_dir.join(given) } else { get.folder("completed_dir") }
}

fn run(get: &Getter<'_>) -> Run {
    Run {
        max_cost: Money::parse(&get.text("run.max_cost")).filter(|cost| *cost > Money::ZERO),
        max_duration: get.optional_span("run.max_duration"),
        limit: Some(get.count("run.limit")).filter(|limit| *limit > 0),
        pilot_images: get.small("run.pilot_images"),
        give_up_after: get.span("run.give_up_after"),
        canary: match get.text("run.canary").as_str() {
            "batch" => Canary::Batch,
            "off" => Canary::Off,
            _ => Canary::Sync,
        },
        max_failures_percent: get.number("run.max_failures_percent"),
        keep_remote: get.switch("run.keep_remote"),
        rescan_interval: get.span("run.rescan_interval"),
    }
}

fn provider(get: &Getter<'_>, kind: ProviderKind) -> Provider {
    let header = get.text("provider.key_header");
    let (name, scheme) = header.split_once(':').unwrap_or((&header, ""));
    Provider {
        name: kind,
        named: get.text("provider.name") != "auto",
        key_header: KeyHeader { name: name.trim().to_owned(), scheme: scheme.trim().to_owned() },
        query: get.optional("provider.query"),
        endpoint: get.optional("provider.endpoint"),
        organization: get.optional("provider.organization"),
        project: get.optional("provider.project"),
        window: get.text("provider.window"),
        max_lines: get.small("provider.max_lines"),
        max_file_bytes: get.count("provider.max_file_bytes"),
        wait_for_file: get.switch("provider.wait_for_file"),
        fence: if get.text("provider.fence") == "wait" { Fence::Wait } else { Fence::Delete },
        settle: get.span("provider.settle"),
        engine: Engine::named(&get.text("provider.engine")),
        engine_threads: Some(get.small("provider.engine_threads")).filter(|threads| *threads > 0),
    }
}

fn request(get: &Getter<'_>, kind: ProviderKind, api_url: &Address, models: &Models) -> Request {
    let model = get.text("request.model");
    let effort = match get.text("request.reasoning_effort").as_str() {
        "unset" => None,
        // Of OpenAI's own models alone do we know what they take, and of those that the user wrote a row for; a wrong word would
        // fail every line of a batch.
        "lowest" if kind == ProviderKind::OpenAi => {
            models.lookup(api_url.is_openai())(&model).efforts.into_iter().next()
        }
        "lowest" => None,
        effort => Some(effort.to_owned()),
    };
    Request {
        detail: get.text("request.detail"),
        reasoning_effort: effort,
        max_output_tokens: get.small("request.max_output_tokens"),
        temperature: get.number("request.temperature"),
        answer_format: match get.text("request.answer_format").as_str() {
            "text" => AnswerChoice::Text,
            "json" => AnswerChoice::Json,
            "json_schema" => AnswerChoice::JsonSchema,
            _ => AnswerChoice::Auto,
        },
        schema_file: get.path("request.schema_file"),
        system_file: get.path("request.system_file"),
        escalate_model: get.optional("request.escalate_model"),
        model,
    }
}

fn judge(get: &Getter<'_>) -> Judge {
    let share = |path: &str| get.number(path).unwrap_or_default();
    Judge {
        loop_copies: get.small("judge.loop.copies"),
        loop_characters: get.small("judge.loop.characters"),
        loop_deflate_ratio: share("judge.loop.deflate_ratio"),
        loop_line_share: share("judge.loop.line_share"),
        blank_ink: share("judge.blank.ink"),
        blank_letters: get.small("judge.blank.letters"),
        length_short: share("judge.length.short"),
        length_long: share("judge.length.long"),
        length_pages: get.small("judge.length.pages"),
    }
}

fn clean(get: &Getter<'_>) -> Clean {
    Clean {
        unicode: if get.text("clean.unicode") == "keep" { Unicode::Keep } else { Unicode::Nfc },
        strip_chatter: get.switch("clean.strip_chatter"),
        skip_rules: get.list("clean.skip_rules"),
        deep_clean: get.switch("clean.deep_clean"),
        deep_clean_model: get.optional("clean.deep_clean_model"),
        deep_prompt_file: get.path("clean.deep_prompt_file"),
        deep_changed_words: get.number("clean.deep_changed_words").unwrap_or_default(),
    }
}

fn text(get: &Getter<'_>) -> Text {
    Text {
        from: match get.text("text.from").strip_prefix("field:") {
            Some(name) => TextFrom::Field(name.trim().to_owned()),
            None => TextFrom::Content,
        },
        // One that appears after a run has begun stays as well.
        keep_existing: get.text("text.existing") != "ours",
        stop_at_existing: get.text("text.existing") == "stop",
        out_dir: get.path("text.out_dir"),
        custom_id: if get.text("text.custom_id") == "opaque" { IdStyle::Opaque } else { IdStyle::Path },
    }
}

fn show(get: &Getter<'_>) -> Show {
    Show {
        stats: get.span("show.stats"),
        log_level: get.text("show.log_level"),
        log_file: get.path("show.log_file"),
        log_max_bytes: get.count("show.log_max_bytes"),
        log_files: get.small("show.log_files"),
    }
}

fn serve(get: &Getter<'_>) -> Serve {
    Serve {
        listen: get.text("serve.listen").parse().unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        token_file: get.path("serve.token_file"),
        host_names: get.list("serve.host_names"),
        metrics_file: get.path("serve.metrics_file"),
    }
}

fn notify(get: &Getter<'_>) -> Notify {
    Notify {
        command: get.words("notify.command"),
        webhook: get.optional("notify.webhook"),
        heartbeat: get.optional("notify.heartbeat"),
        time_limit: get.span("notify.time_limit"),
    }
}

fn shard(get: &Getter<'_>) -> Shard {
    Shard {
        max_shard_bytes: get.count("shard.max_shard_bytes"),
        max_shard_tokens: Some(get.count("shard.max_shard_tokens")).filter(|tokens| *tokens > 0),
        seal_age: get.span("shard.seal_age"),
        max_bodies: get.small("shard.max_bodies"),
        max_memory: get.count("shard.max_memory"),
        max_prepared: get.count("shard.max_prepared"),
        spool: get.switch("shard.spool"),
    }
}

/// What the model sees of a picture, if that is known; the built-in engine reads every pixel.
fn sight(kind: ProviderKind, request: &Request, models: &Models) -> Option<Sight> {
    models.sight(&request.model, &request.detail).filter(|_| kind != ProviderKind::Local)
}

fn encode(get: &Getter<'_>, sight: Option<Sight>) -> Encode {
    let fit = get.switch("encode.fit");
    Encode {
        fit,
        hash_images: get.switch("encode.hash_images"),
        preparation: Preparation {
            longest_side: get.small("encode.longest_side"),
            percent: 100,
            fit: sight.filter(|_| fit),
            jpeg_quality: u8::try_from(get.count("encode.jpeg_quality")).unwrap_or(100),
            reencode: match get.text("encode.reencode").as_str() {
                "never" => Reencode::Never,
                "always" => Reencode::Always,
                _ => Reencode::WhenNeeded,
            },
        },
        max_pixels: get.count("encode.max_pixels"),
        pages: match get.text("encode.pages").as_str() {
            "first" => Pages::First,
            "refuse" => Pages::Refuse,
            _ => Pages::Each,
        },
        duplicates: if get.text("encode.duplicates") == "each" { Duplicates::Each } else { Duplicates::Once },
    }
}

fn sourced(book: &Book) -> Vec<Sourced> {
    let one = |key: &'static limits::Key| {
        let entry = book.get(key.path)?;
        Some(Sourced { key: key.path, value: entry.shown.clone(), origin: entry.origin.clone() })
    };
    limits::KEYS.iter().filter_map(one).collect()
}

/// Without `.` parts, so that messages show the path people would type.
fn tidy(path: &Path) -> PathBuf {
    path.components().filter(|part| !matches!(part, std::path::Component::CurDir)).collect()
}

/// Reads typed values; what is missing is a mistake of this program that the tests of `default.toml` find.
struct Getter<'a> {
    book: &'a Book,
    workspace: &'a Path,
}

impl Getter<'_> {
    fn value(&self, path: &str) -> Option<&Value> {
        let value = self.book.get(path).map(|entry| &entry.value);
        debug_assert!(value.is_some(), "no value for {path}");
        value
    }

    fn text(&self, path: &str) -> String {
        if let Some(Value::Text(text)) = self.value(path) { text.clone() } else { String::new() }
    }

    fn optional(&self, path: &str) -> Option<String> {
        Some(self.text(path)).filter(|text| !text.is_empty())
    }

    fn folder(&self, path: &str) -> PathBuf {
        tidy(&self.workspace.join(self.text(path)))
    }

    fn path(&self, path: &str) -> Option<PathBuf> {
        self.optional(path).map(|text| tidy(&self.workspace.join(text)))
    }

    fn list(&self, path: &str) -> Vec<String> {
        self.words(path).iter().map(|item| item.to_lowercase()).collect()
    }

    /// A list whose letters stay as they were written.
    fn words(&self, path: &str) -> Vec<String> {
        if let Some(Value::List(items)) = self.value(path) { items.clone() } else { Vec::new() }
    }

    fn count(&self, path: &str) -> u64 {
        if let Some(Value::Count(count) | Value::Bytes(count)) = self.value(path) { *count } else { 0 }
    }

    /// A count whose bound in the table fits 32 bits.
    fn small(&self, path: &str) -> u32 {
        u32::try_from(self.count(path)).unwrap_or(u32::MAX)
    }

    fn number(&self, path: &str) -> Option<f64> {
        if let Some(Value::Number(number)) = self.value(path) { *number } else { None }
    }

    fn switch(&self, path: &str) -> bool {
        matches!(self.value(path), Some(Value::Switch(true)))
    }

    fn optional_span(&self, path: &str) -> Option<Duration> {
        if let Some(Value::Span(span)) = self.value(path) { *span } else { None }
    }

    fn span(&self, path: &str) -> Duration {
        self.optional_span(path).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_reaches_a_field() {
        let source = include_str!("build.rs");
        for key in limits::KEYS {
            assert!(source.contains(&format!("(\"{}\")", key.path)), "{} is accepted and ignored", key.path);
        }
    }

    #[test]
    fn paths_are_tidied() {
        assert_eq!(tidy(Path::new("/a/./b/.")), PathBuf::from("/a/b"));
        assert_eq!(tidy(Path::new("/a/../b")), PathBuf::from("/a/../b"));
    }
}
