//! The visitor of a `review`: its process, its one link, and plain HTTP.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::sandbox::Sandbox;

/// A running `review`; killed at its end.
pub(crate) struct Visitor {
    child: Child,
    /// `127.0.0.1:41234`.
    pub(crate) host: String,
    /// The link that was printed.
    pub(crate) url: String,
    /// What is sent as the session; empty before [`Self::enter`].
    pub(crate) cookie: String,
}

/// What the server said.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|cause| panic!("{cause}: {}", self.text()))
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(told, _)| told.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Visitor {
    /// Starts `review` in a sandbox and reads its link.
    pub(crate) fn new(sandbox: &Sandbox, flags: &[&str]) -> Self {
        Self::with(sandbox, flags, &[])
    }

    /// The same of a program that finds these variables.
    pub(crate) fn with(sandbox: &Sandbox, flags: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_batchscribe"));
        command.env_clear().env("LANG", "C.UTF-8").env("HOME", sandbox.workspace()).current_dir(sandbox.workspace());
        command.args(["review", "--no-config", "--no-open"]).args(flags);
        command.envs(variables.iter().copied());
        for (key, value) in sandbox.flags() {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the program starts");
        let mut url = String::new();
        BufReader::new(child.stdout.take().expect("stdout")).read_line(&mut url).expect("a link");
        let url = url.trim().to_owned();
        let host = url.strip_prefix("http://").and_then(|rest| rest.split('/').next()).expect("a link").to_owned();
        Self { child, host, url, cookie: String::new() }
    }

    /// The same, let in by its link.
    pub(crate) fn entered(sandbox: &Sandbox, flags: &[&str]) -> Self {
        let mut visitor = Self::new(sandbox, flags);
        visitor.enter();
        visitor
    }

    /// Follows the link.
    pub(crate) fn enter(&mut self) {
        let answer = self.ask("GET", &self.link(), &[], "");
        self.cookie = answer.header("set-cookie").and_then(|it| it.split(';').next()).expect("a cookie").to_owned();
    }

    /// Saves a text by a request that the program does not live to answer.
    pub(crate) fn save_and_die(&mut self, body: &Value) {
        let (host, body) = (&self.host, body.to_string());
        let head = format!(
            "POST /api/v1/text HTTP/1.1\r\nhost: {host}\r\ncookie: {}\r\norigin: http://{host}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.cookie,
            body.len()
        );
        let mut stream = TcpStream::connect(host).expect("it listens");
        stream.write_all(format!("{head}{body}").as_bytes()).expect("sent");
        assert!(!self.child.wait().expect("a child").success(), "it was killed");
    }

    /// The link without its host.
    pub(crate) fn link(&self) -> String {
        self.url.split_once(&self.host).expect("its host").1.to_owned()
    }

    /// One request, with these headers and no others.
    pub(crate) fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.host).expect("it listens");
        let mut head = format!("{method} {target} HTTP/1.1\r\nconnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "host") {
            head += &format!("host: {}\r\n", self.host);
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() {
            head += &format!("content-length: {}\r\n", body.len());
            if !headers.iter().any(|(name, _)| *name == "content-type") {
                head += "content-type: application/json\r\n";
            }
        }
        stream.write_all(format!("{head}\r\n{body}").as_bytes()).expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        let end = answer.windows(4).position(|it| it == b"\r\n\r\n").expect("a head") + 4;
        let head = String::from_utf8(answer[..end].to_vec()).expect("a head of text");
        let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("a status");
        let body = answer[end..].to_vec();
        Answer { status, head, body }
    }

    /// Looks at something as the page does.
    pub(crate) fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, &[("cookie", &self.cookie)], "")
    }

    /// Changes something as the page does.
    pub(crate) fn post(&self, target: &str, body: &Value) -> Answer {
        let origin = format!("http://{}", self.host);
        self.ask("POST", target, &[("cookie", &self.cookie), ("origin", &origin)], &body.to_string())
    }

    /// What is told of the image at `path`.
    pub(crate) fn image(&self, path: &str) -> Value {
        let list = self.get("/api/v1/images").json();
        let mut images = list["images"].as_array().expect("a list").iter();
        let id = images.find(|image| image["path"] == path).map(|image| image["id"].to_string());
        self.get(&format!("/api/v1/images/{}", id.unwrap_or_else(|| panic!("{path} in {list}")))).json()
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        // Gone already, if it has died; then a request has told so.
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}
