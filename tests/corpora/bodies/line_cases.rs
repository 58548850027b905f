//! The table of hostile result lines.

use serde_json::{Value, json};

/// The ids that a case may name.
pub(crate) struct Ids {
    /// The image that the line is about.
    pub(crate) own: String,
    /// One of the same batch that has its answer already.
    pub(crate) neighbour: String,
    /// One of another shard.
    pub(crate) foreign: String,
}

/// What has to come of the line's image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Done, with this text.
    Text(String),
    /// Done, and the page is blank.
    Blank,
    /// A rough text was written, and no other.
    Rough,
    /// Failed for this reason.
    Failed(String),
    /// Nothing was read of it: kept raw and told as an event; the image is asked again.
    SetAside,
    /// Read, and no answer: the image is asked again.
    Again,
}

/// Makes the line of an image.
type Line = Box<dyn Fn(&Ids) -> Vec<u8> + Send + Sync>;

/// A hostile line; it may hold several.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) line: Line,
    pub(crate) expect: Expect,
}

/// The line of an ordinary answer.
pub(crate) fn answer(id: &str, text: &str) -> String {
    around(id, &completion(json!(text)))
}

fn completion(content: Value) -> Value {
    chosen(json!({"finish_reason": "stop", "message": {"role": "assistant", "content": content, "refusal": null}}))
}

fn chosen(choice: Value) -> Value {
    json!({"choices": [choice], "usage": {"prompt_tokens": 10, "completion_tokens": 5}})
}

fn around(id: &str, body: &Value) -> String {
    json!({"id": "x", "custom_id": id, "response": {"status_code": 200, "request_id": "r", "body": body}, "error": null})
        .to_string()
}

fn text(text: &str) -> Expect {
    Expect::Text(text.to_owned())
}

fn failed(reason: &str) -> Expect {
    Expect::Failed(reason.to_owned())
}

fn case<T: Into<Vec<u8>>>(
    name: &'static str,
    expect: Expect,
    line: impl Fn(&Ids) -> T + Send + Sync + 'static,
) -> Case {
    Case { name, line: Box::new(move |ids| line(ids).into()), expect }
}

/// The answer `content` with something replaced in its line.
fn spoiled(name: &'static str, expect: Expect, content: &'static str, from: &'static str, to: &'static [u8]) -> Case {
    case(name, expect, move |ids: &Ids| {
        let line = answer(&ids.own, content).into_bytes();
        let at = line.windows(from.len()).position(|window| window == from.as_bytes()).expect("what is replaced");
        [&line[..at], to, &line[at + from.len()..]].concat()
    })
}

/// The answer "read" under another id.
fn id(name: &'static str, id: impl Fn(&Ids) -> Value + Send + Sync + 'static) -> Case {
    case(name, Expect::SetAside, move |ids: &Ids| {
        let mut line: Value = serde_json::from_str(&answer("", "read")).expect("JSON");
        line["custom_id"] = id(ids);
        line.to_string()
    })
}

/// A line with this `response`.
fn response(name: &'static str, expect: Expect, response: Value) -> Case {
    case(name, expect, move |ids: &Ids| json!({"custom_id": ids.own, "response": response, "error": null}).to_string())
}

fn status(name: &'static str, expect: Expect, status: &'static str) -> Case {
    case(name, expect, move |ids: &Ids| {
        answer(&ids.own, "read").replace("\"status_code\":200", &format!("\"status_code\":{status}"))
    })
}

fn body(name: &'static str, expect: Expect, body: Value) -> Case {
    case(name, expect, move |ids: &Ids| around(&ids.own, &body))
}

fn content(name: &'static str, expect: Expect, content: Value) -> Case {
    body(name, expect, completion(content))
}

fn choice(name: &'static str, expect: Expect, choice: Value) -> Case {
    body(name, expect, chosen(choice))
}

fn usage(name: &'static str, usage: &'static str) -> Case {
    case(name, text("read\n"), move |ids: &Ids| {
        let body = r#"{"choices":[{"finish_reason":"stop","message":{"content":"read"}}],"usage":USAGE}"#;
        format!(
            r#"{{"custom_id":{},"response":{{"status_code":200,"body":{}}}}}"#,
            json!(ids.own),
            body.replace("USAGE", usage)
        )
    })
}

/// An answer in the words of the Responses API.
fn object(name: &'static str, expect: Expect, members: Value) -> Case {
    let mut object = json!({"object": "response", "status": "completed", "error": null, "output": []});
    for (key, value) in members.as_object().expect("members") {
        object[key] = value.clone();
    }
    body(name, expect, object)
}

fn nested(depth: usize) -> impl Fn(&Ids) -> String + Send + Sync {
    move |ids| {
        // The line itself is one level.
        let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
        answer(&ids.own, "read").replacen('{', &format!("{{\"more\":{open}{close},"), 1)
    }
}

/// All of them.
pub(crate) fn cases() -> Vec<Case> {
    [framing(), ids(), pairs(), responses(), statuses(), contents(), endings(), usages(), objects(), errors()]
        .into_iter()
        .flatten()
        .collect()
}

fn framing() -> Vec<Case> {
    let read = || text("read\n");
    let aside = || Expect::SetAside;
    vec![
        case("an empty line", Expect::Again, |_: &Ids| ""),
        case("a line of spaces", Expect::Again, |_: &Ids| " \t  "),
        case("a byte order mark", read(), |ids: &Ids| format!("\u{feff}{}", answer(&ids.own, "read"))),
        case("CRLF", read(), |ids: &Ids| answer(&ids.own, "read") + "\r"),
        case("blanks around", read(), |ids: &Ids| format!("  {}\t ", answer(&ids.own, "read"))),
        case("NUL behind the line", aside(), |ids: &Ids| answer(&ids.own, "read") + "\0"),
        case("only NUL", aside(), |_: &Ids| "\0".repeat(100)),
        spoiled("NUL in the text", text("read\n"), "re-ad", "re-ad", b"re\0ad"),
        spoiled("NUL in the text, escaped", text("read\n"), "re-ad", "re-ad", b"re\\u0000ad"),
        spoiled("a tab in the text, unescaped", text("re\tad\n"), "re-ad", "re-ad", b"re\tad"),
        spoiled("invalid UTF-8 in the text", text("re\u{fffd}ad\n"), "re-ad", "re-ad", b"re\xffad"),
        spoiled("Latin-1 in the text", text("re\u{fffd}ad\n"), "re-ad", "re-ad", b"re\xe9ad"),
        spoiled("invalid UTF-8 in the id", aside(), "read", "in|", b"in\xff|"),
        spoiled("a lone high surrogate", text("re\u{fffd}ad\n"), "re-ad", "re-ad", b"re\\ud800ad"),
        spoiled("a lone low surrogate", text("re\u{fffd}ad\n"), "re-ad", "re-ad", b"re\\udc00ad"),
        spoiled("surrogates in the wrong order", text("\u{fffd}\u{fffd}\n"), "re-ad", "re-ad", b"\\udc00\\ud800"),
        spoiled("a pair of surrogates", text("\u{1f600}\n"), "re-ad", "re-ad", b"\\ud83d\\ude00"),
        spoiled("a lone surrogate in the id", aside(), "read", "in|", b"in\\ud800|"),
        spoiled("a broken escape", aside(), "re-ad", "re-ad", b"re\\xad"),
        spoiled("an escape without digits", aside(), "re-ad", "re-ad", b"re\\u00"),
        case("half a line", aside(), |ids: &Ids| {
            let line = answer(&ids.own, "read");
            line[..line.len() / 2].to_owned()
        }),
        case("all but the last byte", aside(), |ids: &Ids| {
            let line = answer(&ids.own, "read");
            line[..line.len() - 1].to_owned()
        }),
        case("two objects in one line", aside(), |ids: &Ids| answer(&ids.own, "read").repeat(2)),
        case("an array", aside(), |ids: &Ids| format!("[{}]", answer(&ids.own, "read"))),
        case("a number", aside(), |_: &Ids| "7"),
        case("a string", aside(), |ids: &Ids| json!(ids.own).to_string()),
        case("null", aside(), |_: &Ids| "null"),
        case("an empty object", aside(), |_: &Ids| "{}"),
        case("a page of HTML", aside(), |_: &Ids| "<html><body>502 Bad Gateway</body></html>"),
        case("depth 64", read(), nested(64)),
        case("depth 65", aside(), nested(65)),
        case("depth 10,000", aside(), nested(10_000)),
        case("10,000 brackets", aside(), |_: &Ids| "[".repeat(10_000)),
        case("a comma too many", aside(), |ids: &Ids| answer(&ids.own, "read").replace("200}", "200,}")),
        case("not a number", read(), |ids: &Ids| answer(&ids.own, "read").replace("\"r\"", "NaN")),
        case("minus infinity", read(), |ids: &Ids| answer(&ids.own, "read").replace("\"r\"", "-Infinity")),
        case("number 1e400", read(), |ids: &Ids| answer(&ids.own, "read").replace("\"r\"", "-1e400")),
        case("a member doubled, equal", read(), |ids: &Ids| {
            let line = answer(&ids.own, "read");
            line.replacen('{', &format!("{{\"custom_id\":{},", json!(ids.own)), 1)
        }),
        case("two ids in one line", aside(), |ids: &Ids| {
            answer(&ids.own, "read").replacen('{', &format!("{{\"custom_id\":{},", json!(ids.neighbour)), 1)
        }),
        case("two ids in one line, ours first", aside(), |ids: &Ids| {
            let line = answer(&ids.neighbour, "read");
            line.replacen('{', &format!("{{\"custom_id\":{},", json!(ids.own)), 1)
        }),
        spoiled("the text doubled: the last", text("last\n"), "read", "\"read\"", b"\"read\",\"content\":\"last\""),
    ]
}

fn ids() -> Vec<Case> {
    vec![
        case("id missing", Expect::SetAside, |ids: &Ids| answer(&ids.own, "read").replace("custom_id", "custom")),
        id("id null", |_| json!(null)),
        id("id a number", |_| json!(7)),
        id("id an array", |ids| json!([ids.own])),
        id("id empty", |_| json!("")),
        id("id of 10 MB", |_| json!("x".repeat(10_000_000))),
        id("id with a newline", |ids| json!(format!("{}\n", ids.own))),
        id("id with a blank", |ids| json!(format!(" {}", ids.own))),
        id("id with NUL", |ids| json!(format!("{}\0", ids.own))),
        id("id that climbs", |_| json!("../../x")),
        id("id of dots", |_| json!("..")),
        id("id an absolute path", |_| json!("/etc/passwd")),
        id("id of Windows", |_| json!("C:\\x")),
        id("id a URL", |_| json!("file:///etc/passwd")),
        id("id with slashes", |ids| json!(ids.own.replace('|', "/"))),
        id("id percent-encoded", |ids| json!(ids.own.replace('|', "%7C"))),
        id("id in other case", |ids| json!(ids.own.to_uppercase())),
        id("id in NFD", |ids| json!(ids.own.replace('é', "e\u{301}"))),
        id("id of another shard", |ids| json!(ids.foreign)),
        id("id unknown", |_| json!("in|elsewhere|1.png")),
        id("id a question", |_| json!("' OR 1=1 --")),
        id("id an option", |_| json!("--help")),
        case("id of its neighbour", Expect::Again, |ids: &Ids| answer(&ids.neighbour, "other")),
    ]
}

/// Several lines about one image.
fn pairs() -> Vec<Case> {
    let both = |one: String, other: String| format!("{one}\n{other}");
    let error = |ids: &Ids| {
        json!({"custom_id": ids.own, "response": {"status_code": 400, "body": {"error": {"message": "no"}}}})
            .to_string()
    };
    let expired = |ids: &Ids| json!({"custom_id": ids.own, "error": {"code": "batch_expired"}}).to_string();
    vec![
        case("twice equal", text("read\n"), move |ids: &Ids| both(answer(&ids.own, "read"), answer(&ids.own, "read"))),
        case("twice different", text("read\n"), move |ids: &Ids| {
            both(answer(&ids.own, "read"), answer(&ids.own, "other"))
        }),
        case("success and error", text("read\n"), move |ids: &Ids| both(answer(&ids.own, "read"), error(ids))),
        case("error and success", text("read\n"), move |ids: &Ids| both(error(ids), answer(&ids.own, "read"))),
        case("expired and success", text("read\n"), move |ids: &Ids| both(expired(ids), answer(&ids.own, "read"))),
        case("half a line and a whole one", text("read\n"), move |ids: &Ids| {
            both(answer(&ids.own, "read")[..40].to_owned(), answer(&ids.own, "read"))
        }),
    ]
}

fn responses() -> Vec<Case> {
    let again = || Expect::Again;
    vec![
        response("no response, no error", again(), json!(null)),
        response("response a string", again(), json!("done")),
        response("response a number", again(), json!(200)),
        response("response an array", again(), json!([200])),
        response("response empty", again(), json!({})),
        case("neither response nor error", again(), |ids: &Ids| json!({"custom_id": ids.own}).to_string()),
        case("only an error of words", again(), |ids: &Ids| {
            json!({"custom_id": ids.own, "response": null, "error": "no"}).to_string()
        }),
        case("error an empty list", text("read\n"), |ids: &Ids| {
            answer(&ids.own, "read").replace("\"error\":null", "\"error\":[]")
        }),
        body("body null", again(), json!(null)),
        body("body empty", again(), json!({})),
        body("body an array", again(), json!([])),
        body("body true", again(), json!(true)),
        body("body of bare words", text("read\n"), json!("read")),
        body("body of blanks", again(), json!("  ")),
        body("body in a string", text("read\n"), json!(completion(json!("read")).to_string())),
        body("body a page of HTML", again(), json!("<!DOCTYPE html><html><body>Bad Gateway</body></html>")),
        body("body an error under 200", again(), json!({"error": {"code": "server_error", "message": "no"}})),
        body(
            "body an error beside a choice",
            text("read\n"),
            json!({"error": {"code": "content_filter"}, "choices":
            [{"finish_reason": "stop", "message": {"content": "read"}}]}),
        ),
    ]
}

fn statuses() -> Vec<Case> {
    vec![
        status("status a string", text("read\n"), "\"200\""),
        status("status 200.0", text("read\n"), "200.0"),
        status("status 0", Expect::Again, "0"),
        status("status -1", Expect::Again, "-1"),
        status("status 1e99", Expect::Again, "1e99"),
        status("status 200.5", Expect::Again, "200.5"),
        status("status null", Expect::Again, "null"),
        status("status a word", Expect::Again, "\"OK\""),
        status("status 2^64", Expect::Again, "18446744073709551616"),
    ]
}

fn contents() -> Vec<Case> {
    // The pages of this corpus are without ink: silence that ended well says that they are blank.
    let again = || Expect::Again;
    let kept = |name, raw: &str| content(name, text(&format!("{raw}\n")), json!(raw));
    vec![
        body("choices missing", again(), json!({"object": "chat.completion"})),
        body("choices empty", again(), json!({"choices": []})),
        body("choices an object", again(), json!({"choices": {"message": {"content": "read"}}})),
        choice("choice null", again(), json!(null)),
        choice("message missing", again(), json!({"finish_reason": "stop"})),
        choice("message a string", again(), json!({"finish_reason": "stop", "message": "read"})),
        body(
            "two choices: the first",
            text("read\n"),
            json!({"choices": [
            {"finish_reason": "stop", "message": {"content": "read"}},
            {"finish_reason": "stop", "message": {"content": "other"}}]}),
        ),
        content("content of parts", text("read\n"), json!([{"type": "text", "text": "re"}, {"text": "ad"}])),
        content("content of odd parts", text("read\n"), json!([null, 7, {"text": 7}, {"text": "read"}])),
        content("content a number", again(), json!(7)),
        content("content null", again(), json!(null)),
        content("content an object", again(), json!({"text": "read"})),
        content("content of no bytes", Expect::Blank, json!("")),
        content("content of white space", Expect::Blank, json!(" \n\t\r\n\u{a0}")),
        content("content of control characters", Expect::Blank, json!("\u{1b}\u{7}\u{0}")),
        content("a blank page", Expect::Blank, json!("[blank page]")),
        content("one line 100,000 times", again(), json!("again\n".repeat(100_000))),
        content("a fence", text("read\n"), json!("```text\nread\n```")),
        kept("a fence unclosed", "```\nread"),
        content("two fences", Expect::Rough, json!("```\n```text\nread\n```\n```")),
        content("a fence with prose around", Expect::Rough, json!("Here:\n```\nread\n```\nDone.")),
        kept("JSON inside JSON", "{\"text\": \"He said \\\"hello\\\" to me\"}"),
        kept("quotes", "He said \"hello\" and \"goodbye\". Then he left."),
        kept("a literal \\n", "C:\\new\\table"),
    ]
}

fn endings() -> Vec<Case> {
    let ended = |finish: Value, content: Value, refusal: Value| json!({"finish_reason": finish, "message": {"content": content, "refusal": refusal}});
    let null = || json!(null);
    vec![
        choice("an unknown finish", text("read\n"), ended(json!("tired"), json!("read"), null())),
        choice("no finish", text("read\n"), json!({"message": {"content": "read"}})),
        choice("finish a number", text("read\n"), ended(json!(7), json!("read"), null())),
        choice("cut, with text", Expect::Again, ended(json!("length"), json!("re"), null())),
        choice("cut, without", Expect::Again, ended(json!("length"), json!(""), null())),
        choice("cut, null", Expect::Again, ended(json!("length"), null(), null())),
        choice("filtered, with text", failed("content_filter"), ended(json!("content_filter"), json!("re"), null())),
        choice("a refusal", Expect::Again, ended(json!("stop"), null(), json!("I cannot"))),
        choice("a refusal and text", Expect::Again, ended(json!("stop"), json!("read"), json!("I cannot"))),
        choice("a refusal of no words", text("read\n"), ended(json!("stop"), json!("read"), json!(""))),
        choice("a refusal that is no text", text("read\n"), ended(json!("stop"), json!("read"), json!(false))),
        choice(
            "members nobody knows",
            text("read\n"),
            json!({"finish_reason": "stop", "stop": [[]], "index": "?",
            "message": {"content": "read", "audio": {"data": "x"}, "tool_calls": [{}], "role": 9}}),
        ),
    ]
}

fn usages() -> Vec<Case> {
    vec![
        usage("usage null", "null"),
        usage("usage a string", "\"many\""),
        usage("usage empty", "{}"),
        usage("usage negative", "{\"prompt_tokens\":-5,\"completion_tokens\":-1}"),
        usage("usage as text", "{\"prompt_tokens\":\"10\",\"completion_tokens\":\"5\"}"),
        usage("usage 2^63", "{\"prompt_tokens\":9223372036854775808,\"completion_tokens\":1}"),
        usage("usage 2^64 - 1", "{\"prompt_tokens\":18446744073709551615,\"completion_tokens\":18446744073709551615}"),
        usage("usage 1e400", "{\"prompt_tokens\":1e400,\"completion_tokens\":1}"),
        usage("usage 1e30", "{\"prompt_tokens\":1e30,\"completion_tokens\":1}"),
        usage("details a list", "{\"prompt_tokens\":1,\"completion_tokens\":1,\"prompt_tokens_details\":[]}"),
    ]
}

fn objects() -> Vec<Case> {
    let message = |text: &str| json!({"type": "message", "content": [{"type": "output_text", "text": text}]});
    let refusal = json!({"type": "message", "content": [{"type": "refusal", "refusal": "I cannot"}]});
    vec![
        object("two messages, the first empty", text("read\n"), json!({"output": [message(""), message("read")]})),
        object("two messages", text("read\n"), json!({"output": [message("re"), message("ad")]})),
        object("no message", Expect::Again, json!({"output": []})),
        object("odd items", text("read\n"), json!({"output": [null, 7, {"content": 7}, message("read")]})),
        object("a refusal part", Expect::Again, json!({"output": [refusal.clone()]})),
        object("a refusal part and text", Expect::Again, json!({"output": [message("read"), refusal]})),
        object(
            "incomplete",
            Expect::Again,
            json!({"output": [message("re")], "status": "incomplete",
            "incomplete_details": {"reason": "max_output_tokens"}}),
        ),
        object(
            "filtered",
            failed("content_filter"),
            json!({"output": [message("re")], "status": "incomplete",
            "incomplete_details": {"reason": "content_filter"}}),
        ),
        object("failed by the server", Expect::Again, json!({"status": "failed", "error": {"code": "server_error"}})),
        object(
            "failed by the image",
            Expect::Again,
            json!({"status": "failed",
            "error": {"code": "invalid_image"}}),
        ),
    ]
}

fn errors() -> Vec<Case> {
    let answered = |name, expect, status: u16, error: Value| {
        response(name, expect, json!({"status_code": status, "body": {"error": error}}))
    };
    let never = |name, error: Value| {
        case(name, Expect::Again, move |ids: &Ids| {
            json!({"custom_id": ids.own, "response": null, "error": error}).to_string()
        })
    };
    vec![
        // A picture that we make of it may be taken.
        answered("an image code", Expect::Again, 400, json!({"code": "invalid_image", "message": "no"})),
        answered("a 400 of nothing known", failed("provider_error"), 400, json!({"message": "no"})),
        answered("a 400 of words", failed("provider_error"), 400, json!("no picture")),
        answered("a 429", Expect::Again, 429, json!({"code": "rate_limit_exceeded"})),
        answered("a 500", Expect::Again, 500, json!({"message": "\u{1b}]0;owned\u{7}"})),
        answered("status 65,535", Expect::Again, 65_535, json!({"message": "no"})),
        response("status 2^40", Expect::Again, json!({"status_code": 1_u64 << 40, "body": {"error": {}}})),
        never("expired", json!({"code": "batch_expired", "message": "too late"})),
        never("an error without words", json!({})),
        never("an error whose code is a number", json!({"code": 7, "message": null})),
        case("an error beside an answer", Expect::Again, |ids: &Ids| {
            answer(&ids.own, "read").replace("\"error\":null", "\"error\":{\"code\":\"request_timeout\"}")
        }),
    ]
}
