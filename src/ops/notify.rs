//! Who is told when a run ends or a person is needed: a program, and an address by POST. Neither ever stops a run.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::kit::child;
use crate::kit::runtime::Runtime;
use crate::ledger::records::Standing;
use crate::provider::http::webhook;
use crate::settings::{Notify, Problem};

/// Variables of ours that hold a key, or lead to one.
const SECRETS: [&str; 2] = ["OPENAI_API_KEY", "CREDENTIALS_DIRECTORY"];

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A run came to its end.
    Ended,
    /// Money, the key, a limit or most of the answers: without a person nothing goes on.
    NeedsYou,
}

impl Event {
    /// One word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::NeedsYou => "needs_you",
        }
    }
}

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    event: Event,
    exit: u8,
    workspace: String,
    code: &'static str,
    text: String,
    hint: String,
    standing: Standing,
}

impl Message {
    /// About a workspace; `exit` is the number that a run ends with, `problem` what is in the way.
    #[must_use]
    pub fn new(event: Event, exit: u8, workspace: String, problem: Option<&Problem>, standing: &Standing) -> Self {
        Self {
            event,
            exit,
            workspace,
            code: problem.map_or("", |problem| problem.code),
            text: problem.map(|problem| problem.sentence.clone()).unwrap_or_default(),
            hint: problem.map(|problem| problem.hints.join("; ")).unwrap_or_default(),
            standing: *standing,
        }
    }

    /// The facts by name, as a program finds them in its variables.
    fn variables(&self) -> Vec<(&'static str, String)> {
        let Standing { found, owed, packed, done, rough, failed, skipped, .. } = &self.standing;
        vec![
            ("BATCHSCRIBE_EVENT", self.event.word().to_owned()),
            ("BATCHSCRIBE_EXIT", self.exit.to_string()),
            ("BATCHSCRIBE_WORKSPACE", self.workspace.clone()),
            ("BATCHSCRIBE_CODE", self.code.to_owned()),
            ("BATCHSCRIBE_TEXT", self.text.clone()),
            ("BATCHSCRIBE_HINT", self.hint.clone()),
            ("BATCHSCRIBE_FOUND", found.to_string()),
            ("BATCHSCRIBE_OWED", owed.to_string()),
            ("BATCHSCRIBE_IN_FLIGHT", packed.to_string()),
            ("BATCHSCRIBE_DONE", done.to_string()),
            ("BATCHSCRIBE_ROUGH", rough.to_string()),
            ("BATCHSCRIBE_FAILED", failed.to_string()),
            ("BATCHSCRIBE_SKIPPED", skipped.to_string()),
        ]
    }

    /// The same as one JSON object.
    #[must_use]
    pub fn document(&self) -> Value {
        let Standing { found, owed, packed, done, rough, failed, skipped, .. } = &self.standing;
        json!({
            "schema": 1,
            "type": "notice",
            "event": self.event.word(),
            "exit": self.exit,
            "workspace": self.workspace,
            "code": self.code,
            "text": self.text,
            "hint": self.hint,
            "images": {"found": found, "owed": owed, "in_flight": packed, "done": done, "rough": rough, "failed": failed, "skipped": skipped},
        })
    }
}

/// Tells whoever wants to know, one after the other; gives what did not work, in sentences.
#[must_use]
pub fn tell(notify: &Notify, message: &Message) -> Vec<String> {
    let mut mistakes = Vec::new();
    if !notify.command.is_empty() {
        mistakes.extend(call(&notify.command, notify.time_limit, message).err());
    }
    if let Some(url) = &notify.webhook {
        mistakes.extend(post(url, notify.time_limit, message).err());
    }
    mistakes
}

/// Calls a program without a shell: facts in variables, the document on its input; whatever it prints on stderr is seen.
fn call(command: &[String], limit: Duration, message: &Message) -> Result<(), String> {
    let Some((program, arguments)) = command.split_first() else { return Ok(()) };
    let failed = |how: String| format!("notify.command: {program} {how}");
    let mut called = Command::new(program);
    called.args(arguments).envs(message.variables()).stdin(Stdio::piped()).stdout(Stdio::null());
    for secret in SECRETS {
        called.env_remove(secret);
    }
    let mut child = called.spawn().map_err(|cause| failed(format!("cannot be called: {cause}")))?;
    if let Some(mut input) = child.stdin.take() {
        // A few hundred bytes, which fit into any pipe; a program that reads none of them is none the worse for it.
        drop(writeln!(input, "{}", message.document()));
    }
    match child::ended(&mut child, limit).map_err(|cause| failed(format!("cannot be waited for: {cause}")))? {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(failed(format!("ended with {status}"))),
        None => Err(failed(format!("was stopped: it took longer than notify.time_limit ({} s)", limit.as_secs()))),
    }
}

/// Posts the document; once more if that fails.
fn post(url: &str, limit: Duration, message: &Message) -> Result<(), String> {
    let failed = |how: String| format!("notify.webhook: {how}");
    let runtime = Runtime::new().map_err(|cause| failed(cause.to_string()))?;
    let document = message.document();
    let first = runtime.wait(webhook::post(url, &document, limit));
    first.or_else(|_| runtime.wait(webhook::post(url, &document, limit))).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        let problem = Problem::new("E305", "the host wants money").hint("add credit");
        let standing = Standing { found: 3, done: 2, owed: 1, ..Standing::default() };
        Message::new(Event::NeedsYou, 7, "/w".to_owned(), Some(&problem), &standing)
    }

    fn notify(command: &[&str], limit: Duration) -> Notify {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        Notify { command, webhook: None, heartbeat: None, time_limit: limit }
    }

    #[cfg(unix)]
    #[test]
    fn a_program_finds_the_facts_in_its_variables_and_on_its_input() {
        let folder = tempfile::tempdir().expect("folder");
        let (facts, input) = (folder.path().join("facts"), folder.path().join("in put"));
        let script =
            r#"echo "$BATCHSCRIBE_EVENT $BATCHSCRIBE_EXIT $BATCHSCRIBE_CODE $BATCHSCRIBE_DONE" > "$1"; cat > "$2""#;
        let words = ["sh", "-c", script, "sh", &facts.to_string_lossy(), &input.to_string_lossy()];
        let mistakes = tell(&notify(&words, Duration::from_secs(30)), &message());
        assert_eq!(mistakes, Vec::<String>::new());
        assert_eq!(std::fs::read_to_string(facts).expect("facts"), "needs_you 7 E305 2\n");
        let document: Value = serde_json::from_str(&std::fs::read_to_string(input).expect("input")).expect("JSON");
        assert_eq!(document, message().document());
        assert_eq!(document["images"]["owed"], 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_program_that_fails_or_hangs_is_told_and_stops_nothing() {
        let mistakes = |words: &[&str], limit| tell(&notify(words, limit), &message());
        let minute = Duration::from_secs(60);
        assert_eq!(mistakes(&["sh", "-c", "exit 3"], minute), ["notify.command: sh ended with exit status: 3"]);
        assert!(
            mistakes(&["/nowhere/at/all"], minute)[0].starts_with("notify.command: /nowhere/at/all cannot be called")
        );
        let stopped = mistakes(&["sleep", "600"], Duration::from_millis(50));
        assert_eq!(stopped, ["notify.command: sleep was stopped: it took longer than notify.time_limit (0 s)"]);
    }

    /// Answers each request with the next status line, and gives the bodies.
    #[expect(clippy::disallowed_methods, reason = "a thread of the test, which waits for it")]
    fn hook(answers: &'static [&'static str]) -> (String, std::thread::JoinHandle<Vec<String>>) {
        use std::io::{BufRead as _, BufReader, Read as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("address");
        let url = format!("http://{}/hook", listener.local_addr().expect("address"));
        let bodies = move || {
            let mut bodies = Vec::new();
            for answer in answers {
                let (stream, _) = listener.accept().expect("a connection");
                let mut reader = BufReader::new(&stream);
                let mut length = 0;
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).expect("a head");
                    let line = line.trim().to_ascii_lowercase();
                    if let Some(bytes) = line.strip_prefix("content-length:") {
                        length = bytes.trim().parse().expect("a number");
                    }
                    if line.is_empty() {
                        break;
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).expect("a body");
                bodies.push(String::from_utf8(body).expect("text"));
                write!(&stream, "HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                    .expect("answered");
            }
            bodies
        };
        (url, std::thread::spawn(bodies))
    }

    #[test]
    fn an_address_is_told_and_once_more_if_it_fails() {
        let told = |answers| {
            let (url, hook) = hook(answers);
            let notify = Notify {
                command: Vec::new(),
                webhook: Some(url),
                heartbeat: None,
                time_limit: Duration::from_secs(30),
            };
            let mistakes = tell(&notify, &message());
            let bodies = hook.join().expect("the hook ends");
            let document = message().document().to_string();
            assert!(bodies.iter().all(|body| *body == document), "{bodies:?}");
            (mistakes, bodies.len())
        };
        assert_eq!(told(&["204 No Content"]), (Vec::new(), 1));
        assert_eq!(told(&["500 Oh", "200 OK"]), (Vec::new(), 2));
        let (mistakes, tries) = told(&["500 Oh", "502 Oh"]);
        assert_eq!((mistakes[0].contains("502"), tries), (true, 2), "{mistakes:?}");
    }
}
