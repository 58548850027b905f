//! Settings that are right one by one and wrong together (E103).

use super::address::endpoint_of;
use super::problem::Problem;
use super::raw::{Entry, Origin};
use super::resolve::Book;
use super::value::Value;
use super::{Address, Engine};

/// A contradiction and the keys it was concluded from.
pub(super) struct Contradiction {
    pub(super) keys: Vec<&'static str>,
    pub(super) problem: Problem,
}

/// All contradictions among the values in force.
pub(super) fn contradictions(book: &Book) -> Vec<Contradiction> {
    let mut found = Vec::new();
    let mut pair = |bad: bool, a: &'static str, b: &'static str, rule: &str| {
        if bad {
            let sentence = format!("{} contradicts {}", said(book, a), said(book, b));
            found.push(Contradiction { keys: vec![a, b], problem: Problem::new("E103", sentence).hint(rule) });
        }
    };
    let more = |a: &str, b: &str| amount(book, a) > amount(book, b);
    let (a, b) = ("max_images_per_batch", "provider.max_lines");
    pair(more(a, b), a, b, "a batch cannot hold more images than the provider takes lines");
    let (a, b) = ("shard.max_shard_bytes", "provider.max_file_bytes");
    pair(more(a, b), a, b, "a shard cannot be larger than the provider's largest file");
    let (a, b) = ("shard.max_shard_bytes", "shard.max_prepared");
    pair(
        amount(book, a).saturating_mul(2) > amount(book, b),
        a,
        b,
        "one shard is sent while the next one is prepared, so that there is room for two",
    );
    let (a, b) = ("encode.longest_side", "encode.reencode");
    pair(
        amount(book, a) > 0 && text(book, b) == "never",
        a,
        b,
        "a picture cannot be made smaller and be left as it is",
    );
    let a = "encode.fit";
    pair(is_on(book, a) && text(book, b) == "never", a, b, "a picture cannot be made smaller and be left as it is");
    let (a, b) = ("batch.poll_interval", "batch.max_poll_interval");
    pair(more(a, b), a, b, "the first interval is the shortest; it grows to the longest");
    let (a, b) = ("request.answer_format", "request.schema_file");
    let (format, schema) = (text(book, a), text(book, b));
    pair(format == "json_schema" && schema.is_empty(), a, b, "json_schema needs a schema_file");
    pair(
        matches!(format, "text" | "json") && !schema.is_empty(),
        a,
        b,
        "a schema is sent with json_schema or auto only",
    );
    let (a, b) = ("text.from", "request.answer_format");
    let field = text(book, a) != "content";
    pair(field && text(book, b) == "text", a, b, "plain text has no members; ask for json or json_schema");
    let (a, b) = ("api_url", "provider.endpoint");
    let (ours, named) = (endpoint_of(text(book, a).trim_end_matches('/')), endpoint_of(text(book, b)));
    // A profile knows how its service names the endpoints, and does not choose between them.
    let said_both =
        matches!(book.get(b).map(|entry| &entry.origin), Some(origin) if !matches!(origin, Origin::Profile(_)));
    pair(
        said_both && named.is_some() && ours != named,
        a,
        b,
        "both name the same endpoint, chat completions or responses",
    );
    for (a, b) in FOLDERS {
        pair(text(book, a) == text(book, b), a, b, "each working folder is a folder of its own");
    }
    found.extend(address(book).into_iter().chain(engine(book)).chain(open_address(book)));
    found.into_iter().map(|one| one.with_flags(book)).collect()
}

impl Contradiction {
    /// With the flags of this very call that are to be left out, if the keys were set by any.
    fn with_flags(mut self, book: &Book) -> Self {
        let named: Vec<String> = self.keys.iter().filter_map(|key| flag(key, book.get(key)?)).collect();
        if !named.is_empty() {
            self.problem = self.problem.hint(format!("or leave out  {}", named.join("  or  ")));
        }
        self
    }
}

/// A server that others reach asks for a token.
fn open_address(book: &Book) -> Option<Contradiction> {
    let (a, b) = ("serve.listen", "serve.token_file");
    let is_open = text(book, a).parse().is_ok_and(|address: std::net::SocketAddr| !address.ip().is_loopback());
    (is_open && text(book, b).is_empty()).then(|| Contradiction {
        keys: vec![a, b],
        problem: Problem::new("E103", format!("{} contradicts {}", said(book, a), said(book, b)))
            .hint("an address that others reach needs a file with a token"),
    })
}

const FOLDERS: [(&str, &str); 5] = [
    ("batch_dir", "output_dir"),
    ("batch_dir", "extraction_base_dir"),
    ("output_dir", "extraction_base_dir"),
    ("image_dir", "batch_dir"),
    ("image_dir", "output_dir"),
];

fn address(book: &Book) -> Option<Contradiction> {
    const KEY: &str = "api_url";
    let address = Address::new(text(book, KEY));
    let told = |rule: &str, hint: &str| {
        let problem = Problem::new("E103", format!("{} contradicts {rule}", said(book, KEY))).hint(hint);
        Some(Contradiction { keys: vec![KEY], problem })
    };
    if !address.has_endpoint() {
        return told(
            "the endpoints of this version, /chat/completions and /responses",
            "end it in one of them, such as https://api.openai.com/v1/chat/completions",
        );
    }
    if !address.is_encrypted() && !address.is_loopback() {
        return told("the rule that keys and images travel encrypted", ENCRYPTED);
    }
    None
}

const ENCRYPTED: &str = "use https://; http:// is for this computer (127.0.0.1, localhost) only";

/// Whoever reads for the built-in provider is handed the images as any other service is.
fn engine(book: &Book) -> Option<Contradiction> {
    const KEY: &str = "provider.engine";
    Engine::named(text(book, KEY)).is_open_to_all().then(|| Contradiction {
        keys: vec![KEY],
        problem: Problem::new("E103", format!("{} contradicts the rule that images travel encrypted", said(book, KEY)))
            .hint(ENCRYPTED)
            .hint("a tunnel makes another computer's port one of this: ssh -L 11434:localhost:11434 HOST"),
    })
}

/// A flag with its key, as it was typed.
fn flag(key: &str, entry: &Entry) -> Option<String> {
    match &entry.origin {
        Origin::Flag(name) if name == "--set" => Some(format!("--set {key}={}", entry.shown.trim_matches('"'))),
        Origin::Flag(name) if name.starts_with('-') => Some(name.clone()),
        _ => None,
    }
}

/// A key, its value and its place.
fn said(book: &Book, path: &str) -> String {
    match book.get(path) {
        Some(entry) => format!("`{path}` = {} ({})", entry.shown, entry.origin),
        None => format!("`{path}`"),
    }
}

/// A count, size or duration as a number.
fn amount(book: &Book, path: &str) -> u128 {
    match book.get(path).map(|entry| &entry.value) {
        Some(Value::Count(amount) | Value::Bytes(amount)) => u128::from(*amount),
        Some(Value::Span(Some(span))) => span.as_millis(),
        _ => 0,
    }
}

fn is_on(book: &Book, path: &str) -> bool {
    matches!(book.get(path).map(|entry| &entry.value), Some(Value::Switch(true)))
}

fn text<'a>(book: &'a Book, path: &str) -> &'a str {
    match book.get(path).map(|entry| &entry.value) {
        Some(Value::Text(text)) => text,
        _ => "",
    }
}
