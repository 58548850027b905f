//! What a provider implies where the user said nothing.

use super::limits;
use super::raw::{Layer, Origin};
use super::resolve::{Book, Sources};
use super::value::{Value, Written};
use super::{Address, ProviderKind, keys};

/// Model name of the embedded recogniser.
const RECOGNISER: &str = "ppocrv6-tiny";
const PROFILE: &str = "local";

/// Who reads the pages: the one that was named, or what key and address suggest.
pub(super) fn provider(book: &Book, sources: &Sources) -> ProviderKind {
    match text(book, "provider.name") {
        "local" => ProviderKind::Local,
        "openai" => ProviderKind::OpenAi,
        _ if !Address::new(text(book, "api_url")).is_openai() || has_key(book, sources) => ProviderKind::OpenAi,
        _ => ProviderKind::Local,
    }
}

fn has_key(book: &Book, sources: &Sources) -> bool {
    let file = Some(text(book, "api_key_file")).filter(|file| !file.is_empty());
    let command = !text(book, "api_key_command").is_empty();
    command || keys::lies_somewhere(file.map(|file| sources.workspace.join(file)).as_deref(), &sources.environment)
}

fn text<'a>(book: &'a Book, path: &str) -> &'a str {
    match book.get(path).map(|entry| &entry.value) {
        Some(Value::Text(text)) => text,
        _ => "",
    }
}

/// The values of a provider's profile that the user left open.
pub(super) fn of(kind: ProviderKind, book: &Book) -> Layer {
    match kind {
        ProviderKind::OpenAi => Layer::default(),
        ProviderKind::Local => local(book),
    }
}

fn local(book: &Book) -> Layer {
    let mut layer = Layer::default();
    let mut set = |path: &str, value: &str| {
        if let Some(key) = limits::find(path) {
            layer.take(key, Written::Text(value), Origin::Profile(PROFILE));
        }
    };
    for (path, value) in
        [("max_images_per_batch", "25"), ("provider.settle", "2s"), ("request.reasoning_effort", "unset")]
    {
        if book.is_default(path) {
            set(path, value);
        }
    }
    // The pair moves together: half of a profile would contradict the user's half.
    if book.is_default("batch.poll_interval") && book.is_default("batch.max_poll_interval") {
        set("batch.poll_interval", "250ms");
        set("batch.max_poll_interval", "2s");
    }
    let built_in = match text(book, "provider.engine") {
        "ocr" => RECOGNISER,
        "echo" => "echo",
        // A server of the user's own has models to choose from.
        _ => return layer,
    };
    // A fact, no choice: a ledger that named another model would lie about where its texts come from.
    set("request.model", built_in);
    let asked = text(book, "request.model");
    if !book.is_default("request.model") && asked != built_in {
        layer
            .warnings
            .push(format!("the built-in engine is {built_in}; request.model = \"{asked}\" waits for a real provider"));
    }
    layer
}
