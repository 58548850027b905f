//! `docs/refusals.md` shows the tables that the code decides by, and each documented refusal runs through them.

use batchscribe::domain::batch::Refusal;
use batchscribe::provider::errors::{ERRORS, IMAGE, SETTINGS, SLOW, Then};
use batchscribe::provider::failure::{Failure, Hints, Kind, classify};
use batchscribe::provider::policy::{
    ANSWERS, Blame, Body, MONEY, NO_FILE, QUEUE, SETTING, TOO_LARGE, Topic, VALIDATIONS, blame,
};

const PAGE: &str = include_str!("../../docs/refusals.md");

/// A topic by its name; the names are explained in a table of their own.
fn named(topic: &Topic) -> &'static str {
    let topics = [
        ("money", &MONEY),
        ("queue full", &QUEUE),
        ("no such file", &NO_FILE),
        ("too large", &TOO_LARGE),
        ("a setting", &SETTING),
        ("the image", &IMAGE),
        ("slow image", &SLOW),
    ];
    let same = |known: &Topic| known.codes == topic.codes && known.words == topic.words;
    let found = topics.iter().find(|(_, known)| same(known)).map(|(name, _)| *name);
    found.unwrap_or_else(|| {
        assert!(topic.codes.is_empty() && topic.words.is_empty(), "{topic:?} has no name");
        "anything"
    })
}

fn topics() -> String {
    let mut text = "| topic | codes | words in the message |\n|---|---|---|\n".to_owned();
    for topic in [&MONEY, &QUEUE, &NO_FILE, &TOO_LARGE, &SETTING, &IMAGE, &SLOW] {
        let codes: Vec<String> = topic.codes.iter().map(|code| format!("`{code}`")).collect();
        let words: Vec<String> = topic.words.iter().map(|words| format!("“{words}”")).collect();
        text.push_str(&format!("| {} | {} | {} |\n", named(topic), codes.join(" "), words.join(", ")));
    }
    text
}

fn answers() -> String {
    let mut text = "| status | body | speaks of | is |\n|---|---|---|---|\n".to_owned();
    for row in &ANSWERS {
        let body = match row.body {
            Body::Any => "any",
            Body::Explained => "an `error` object",
            Body::NoPage => "no HTML",
        };
        text.push_str(&format!("| {} | {body} | {} | {:?} |\n", row.statuses, named(&row.about), row.kind));
    }
    text
}

const KINDS: [Kind; 12] = [
    Kind::Unreached,
    Kind::Doubt,
    Kind::Busy,
    Kind::QueueFull,
    Kind::Money,
    Kind::Key,
    Kind::Forbidden,
    Kind::NotFound,
    Kind::TooLarge,
    Kind::NoSuchFile,
    Kind::Refused,
    Kind::Body,
];

fn kinds() -> String {
    let mut text = "| kind | a create: surely nothing was created | may be asked again | a person has to act |\n\
                    |---|---|---|---|\n"
        .to_owned();
    let word = |yes: bool| if yes { "yes" } else { "no" };
    for kind in KINDS {
        let failure = Failure::new(kind, "host", "");
        let [sure, passing, stops] =
            [failure.surely_not_created(), failure.is_passing(), failure.stops_the_run()].map(word);
        text.push_str(&format!("| {kind:?} | {sure} | {passing} | {stops} |\n"));
    }
    text
}

fn validations() -> String {
    let mut text = "| speaks of | then |\n|---|---|\n".to_owned();
    for (about, blame) in &VALIDATIONS {
        let then = match blame {
            Blame::Moment => "the same file is opened again later",
            Blame::Run => "the run stops; all images stay owed",
            Blame::Line => {
                "the image of the named line ends `provider_error`, the others are asked again; without a line the run stops"
            }
        };
        text.push_str(&format!("| {} | {then} |\n", named(about)));
    }
    text
}

fn lines() -> String {
    let mut text = "| status | speaks of | names | then |\n|---|---|---|---|\n".to_owned();
    for row in &ERRORS {
        let names = if row.of_setting { "a parameter of the settings" } else { "" };
        let then = match row.then {
            Then::Stop => "the run stops; the image stays owed".to_owned(),
            Then::Again => "asked again, uncounted".to_owned(),
            Then::End(reason) => format!("the image ends `{}`", reason.word()),
        };
        let statuses = row.statuses.to_string().replace("any other", "any").replace("500–65535", "from 500");
        text.push_str(&format!("| {statuses} | {} | {names} | {then} |\n", named(&row.about)));
    }
    let settings: Vec<String> = SETTINGS.iter().map(|name| format!("`{name}`")).collect();
    text + &format!("\nParameters of the settings: {}, `….detail`.\n", settings.join(", "))
}

#[test]
fn the_page_shows_the_tables_that_the_code_has() {
    for (name, table) in [
        ("topics", topics()),
        ("answers", answers()),
        ("kinds", kinds()),
        ("validations", validations()),
        ("lines", lines()),
    ] {
        let begin = format!("<!-- {name}: held by a test -->\n");
        let shown = PAGE.split(&begin).nth(1).and_then(|rest| rest.split(&format!("<!-- /{name} -->")).next());
        assert_eq!(shown, Some(table.as_str()), "copy the table {name} into docs/refusals.md");
    }
}

#[test]
fn every_row_of_the_table_of_answers_decides_something() {
    for (place, row) in ANSWERS.iter().enumerate() {
        let words = row.about.words.first().copied().unwrap_or("words");
        let code = row.about.codes.first().map_or("null".to_owned(), |code| format!("{code:?}"));
        let body = format!(r#"{{"error":{{"message":"{words}","code":{code}}}}}"#);
        let statuses = if row.statuses.0.is_empty() { &[(302, 302), (409, 409), (425, 599)] } else { row.statuses.0 };
        for status in statuses.iter().flat_map(|(first, last)| [*first, *last]) {
            let kind = classify("host", status, Hints::default(), body.as_bytes()).kind;
            assert_eq!(kind, row.kind, "row {place}: {status} {body}");
        }
    }
}

/// Section 4.2 of the reference: code, message, and what is to be blamed.
const DOCUMENTED: [(&str, &str, Blame); 19] = [
    ("invalid_json_line", "This line is not parseable as valid JSON.", Blame::Line),
    ("missing_required_parameter", "Missing required parameter: 'custom_id'.", Blame::Line),
    ("missing_required_parameter", "Missing required parameter: 'method'.", Blame::Run),
    ("missing_required_parameter", "Missing required parameter: 'url'.", Blame::Run),
    ("missing_required_parameter", "Missing required parameter: 'body'.", Blame::Run),
    ("invalid_url", "The URL provided for this request does not match the batch endpoint.", Blame::Run),
    ("model_not_found", "The provided model 'X' is not supported by the Batch API.", Blame::Run),
    ("invalid_request", "Model parameter is required.", Blame::Run),
    ("invalid_request", "Messages parameter is required.", Blame::Run),
    ("streaming_unsupported", "Chat Completions: Streaming is not supported in the Batch API.", Blame::Run),
    ("duplicate_custom_id", "The custom_id 'x' for this request is a duplicate of another request.", Blame::Line),
    ("mismatched_model", "The model 'x' for this request does not match the rest of the batch.", Blame::Run),
    ("empty_file", "", Blame::Line),
    ("invalid_request", "Cannot find file file-1, or organization org-1 does not have access to it.", Blame::Moment),
    ("token_limit_exceeded", "Enqueued token limit reached for gpt-4o-mini in organization org-1.", Blame::Moment),
    ("", "Enqueued request limit reached for text-embedding-3-small.", Blame::Moment),
    (
        "",
        "The number of enqueued tokens has surpassed the configured limit of 30K for the deployment 'x'.",
        Blame::Moment,
    ),
    ("", "The batch input file is larger than the 209715200 maximum for the gpt-4.1-nano model.", Blame::Line),
    ("too_many_tasks", "The number of requests in the input file exceeds the maximum of 100000.", Blame::Line),
];

#[test]
fn documented_refusals_by_validation_are_blamed_rightly() {
    for (code, message, expected) in DOCUMENTED {
        let refusal = Refusal { code: code.to_owned(), message: message.to_owned(), line: None };
        assert_eq!(blame(&refusal), expected, "{code} {message}");
    }
}

/// Section 4.1 of the reference, and what the promises say of creates: status, body, kind.
#[test]
fn documented_refusals_at_once_are_what_is_documented() {
    let error = |message: &str, code: &str| format!(r#"{{"error":{{"message":"{message}","code":{code}}}}}"#);
    let page = "<html><body>Bad Gateway</body></html>".to_owned();
    for (status, body, expected) in [
        (400, error("Invalid file format for Batch API. Must be .jsonl", "null"), Kind::Refused),
        (400, error("File is too large.", "null"), Kind::TooLarge),
        (413, page.clone(), Kind::TooLarge),
        (400, error("Missing required parameter: 'input_file_id'.", "\"missing_required_parameter\""), Kind::Refused),
        (
            400,
            error("Cannot find file file-1, or project proj_1 does not have access to it.", "null"),
            Kind::NoSuchFile,
        ),
        (401, error("Incorrect API key provided.", "\"invalid_api_key\""), Kind::Key),
        (429, error("Rate limit reached for requests", "\"rate_limit_exceeded\""), Kind::Busy),
        (429, error("", "\"organization_spend_limit_exceeded\""), Kind::Money),
        (429, r#"{"error":{"message":"no","type":"insufficient_quota"}}"#.to_owned(), Kind::Money),
        (400, error("", "\"token_limit_exceeded\""), Kind::QueueFull),
        (400, error("too many", "\"too_many_tasks\""), Kind::Refused),
        (403, error("no", "\"unsupported_country_region_territory\""), Kind::Forbidden),
        (400, page.clone(), Kind::Doubt),
        (400, r#"{"detail":"no"}"#.to_owned(), Kind::Doubt),
        (404, error("no", "null"), Kind::NotFound),
        (404, page.clone(), Kind::Doubt),
        (408, error("no", "null"), Kind::Doubt),
        (409, error("no", "null"), Kind::Doubt),
        (425, error("no", "null"), Kind::Doubt),
        (307, String::new(), Kind::Doubt),
        (502, page, Kind::Doubt),
        (500, error("no", "\"server_error\""), Kind::Doubt),
    ] {
        let failure = classify("host", status, Hints::default(), body.as_bytes());
        assert_eq!(failure.kind, expected, "{status} {body}");
    }
    for kind in [Kind::Doubt, Kind::NotFound, Kind::Body] {
        assert!(!Failure::new(kind, "host", "").surely_not_created(), "{kind:?} is doubt for a create");
    }
}
