//! `review` in a real browser: paged by keyboard, a text mended, a verdict given. Skipped where there is no Chromium.
//!
//! The browser is spoken to over its debugging pipe: JSON ended by NUL, in through descriptor 3, out through descriptor 4 (Chrome
//! DevTools Protocol, `--remote-debugging-pipe`). Pictures of the pages are left in `target/tmp/pages`.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use base64::Engine as _;
use batchscribe::emulator::scenario::Scenario;
use batchscribe::pipeline::mission::Mode;
use serde_json::{Value, json};

use crate::cancel::call;
use crate::oracle;
use crate::sandbox::{Sandbox, Weather};
use crate::visitor::Visitor;

/// How long anything may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);
const CHROMIUM: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// A browser with one page.
struct Browser {
    child: Child,
    orders: File,
    told: Receiver<Value>,
    session: Value,
    number: u64,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts it; `None` where there is none.
    fn start() -> Option<Self> {
        let has = |name: &&str| Command::new(name).arg("--version").stderr(Stdio::null()).output().is_ok();
        let name = CHROMIUM.into_iter().find(has)?;
        let profile = tempfile::tempdir().expect("temp dir");
        let pipe = |name: &str| {
            let path = profile.path().join(name);
            let kind = rustix::fs::FileType::Fifo;
            rustix::fs::mknodat(rustix::fs::CWD, &path, kind, 0o600.into(), 0).expect("a pipe");
            // For both ways, so that opening it waits for nobody.
            OpenOptions::new().read(true).write(true).open(path).expect("a pipe")
        };
        let (orders, words) = (pipe("in"), pipe("out"));
        let script = format!(
            "exec {name} --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
             --disable-background-networking --disable-extensions --hide-scrollbars --remote-debugging-pipe \
             --user-data-dir=profile about:blank 3<in 4>out"
        );
        let mut command = Command::new("sh");
        command.args(["-c", &script]).current_dir(profile.path()).stdin(Stdio::null());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a shell");
        let told = listen(words);
        let mut browser = Self { child, orders, told, session: Value::Null, number: 0, _profile: profile };
        let targets = browser.order("Target.getTargets", json!({}));
        let mut targets = targets["targetInfos"].as_array().expect("targets").iter();
        let page = targets.find(|target| target["type"] == "page").expect("a page")["targetId"].clone();
        let attached = browser.order("Target.attachToTarget", json!({"targetId": page, "flatten": true}));
        browser.session = attached["sessionId"].clone();
        Some(browser)
    }

    /// Gives an order and waits for what comes of it.
    fn order(&mut self, method: &str, params: Value) -> Value {
        self.number += 1;
        let mut order = json!({"id": self.number, "method": method, "params": params});
        if !self.session.is_null() {
            order["sessionId"] = self.session.clone();
        }
        self.orders.write_all(format!("{order}\0").as_bytes()).expect("it listens");
        loop {
            let mut told = self.told.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no answer to {method}"));
            if told["id"] == self.number {
                assert!(told["error"].is_null(), "{method}: {told}");
                return told["result"].take();
            }
        }
    }

    /// The value of an expression in the page.
    fn value(&mut self, expression: &str) -> Value {
        let mut told = self.order("Runtime.evaluate", json!({"expression": expression, "returnByValue": true}));
        assert!(told["exceptionDetails"].is_null(), "{expression}: {told}");
        told["result"]["value"].take()
    }

    /// Waits until an expression holds.
    fn until(&mut self, expression: &str) {
        let since = Instant::now();
        while self.value(expression) != true {
            let seen = "document.body.innerText + ' | ' + (document.getElementById('text') || {}).value";
            assert!(since.elapsed() < PATIENCE, "not in time: {expression}; {}", self.value(seen));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn visit(&mut self, url: &str, until: &str) {
        self.order("Page.navigate", json!({"url": url}));
        self.until(&format!("document.readyState === 'complete' && ({until})"));
    }

    /// Presses a key; `modifiers` 2 is Ctrl.
    fn press(&mut self, key: &str, modifiers: u32) {
        let types = modifiers == 0 && key.chars().count() == 1;
        let mut down =
            json!({"type": if types { "keyDown" } else { "rawKeyDown" }, "key": key, "modifiers": modifiers});
        if types {
            down["text"] = key.into();
        }
        self.order("Input.dispatchKeyEvent", down);
        self.order("Input.dispatchKeyEvent", json!({"type": "keyUp", "key": key, "modifiers": modifiers}));
    }

    /// A picture of the page as it is, at a width.
    fn picture(&mut self, name: &str, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500});
        self.order("Emulation.setDeviceMetricsOverride", size);
        self.until("[...document.images].every((it) => it.complete)");
        let too_wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth";
        assert_eq!(self.value(too_wide), false, "{name} has to be scrolled sideways at {width} pixels");
        let told = self.order("Page.captureScreenshot", json!({"format": "png"}));
        let engine = base64::engine::general_purpose::STANDARD;
        let png = engine.decode(told["data"].as_str().expect("a picture")).expect("base64");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
        std::fs::create_dir_all(&folder).expect("folder");
        std::fs::write(folder.join(format!("{name}-{width}.png")), png).expect("picture");
    }
}

/// A lane with everything that the browser says. The thread ends with the process.
fn listen(words: File) -> Receiver<Value> {
    let (sender, told) = channel();
    std::thread::spawn(move || {
        for message in BufReader::new(words).split(0) {
            let Ok(message) = message else { return };
            let Ok(told) = serde_json::from_slice(&message) else { return };
            if sender.send(told).is_err() {
                return;
            }
        }
    });
    told
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It takes its helpers along.
        let _gone = self.orders.write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(5) && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _killed = self.child.kill();
        let _status = self.child.wait();
    }
}

const WEATHER: &str = r#"
[[line]]
custom_id_contains = "page-b"
outcome = "content_filter"
when = { times = 1 }
"#;

/// Three pages that look like pages; one of them was refused.
fn pages() -> Sandbox {
    let scenario = Scenario::read(WEATHER).expect("a scenario");
    let sandbox = Sandbox::with(0, Weather { scenario, ..Weather::default() });
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pages");
    let files = [
        ("french/Jean_Giono_Colline_II_Dactylographie_[...]Giono_Jean_btv1b10515736n_21.jpeg", "box-1/page-a.jpg"),
        ("french/0_4a125_default.jpg", "box-1/page-b.jpg"),
        ("french/Pierre_et_Marie_Curie_Papiers_[...]Curie_Pierre_btv1b90802629_12.jpeg", "box-2/page-c.jpg"),
    ];
    for (from, to) in files {
        let to = sandbox.corpus().join(to);
        std::fs::create_dir_all(to.parent().expect("a folder")).expect("folder");
        std::fs::copy(source.join(from), to).expect("a page");
    }
    assert!(sandbox.run().fault.is_none());
    sandbox
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that did not happen says so")]
fn a_person_pages_mends_and_judges_by_keyboard() {
    let Some(mut browser) = Browser::start() else {
        eprintln!("skipped: there is no Chromium on this computer");
        return;
    };
    let sandbox = pages();
    let visitor = Visitor::new(&sandbox, &[]);
    browser.visit(&visitor.url, "document.body.dataset.ready === 'true'");
    assert_eq!(browser.value("location.pathname + location.search"), "/review?image=2");
    assert_eq!(
        browser.value("document.getElementById('path').textContent"),
        "box-1/page-b.jpg",
        "what failed is first"
    );
    assert_eq!(browser.value("document.cookie"), "", "no script reads the session");
    browser.until("document.getElementById('picture').naturalWidth > 500");
    // What failed has no text: a person types one. The letters are no orders while one types.
    browser.press("e", 0);
    browser.until("document.activeElement.id === 'text'");
    for letter in "Read: 1 j x".chars() {
        browser.press(&letter.to_string(), 0);
    }
    browser.press("Escape", 0);
    browser.until("document.activeElement.id !== 'text'");
    assert_eq!(browser.value("document.getElementById('text').value"), "Read: 1 j x");
    browser.press("s", 2);
    browser.until("document.getElementById('told').textContent === 'Saved.'");
    browser.press("2", 0);
    browser.until("document.getElementById('place').textContent.startsWith('2 of 3')");
    browser.press("j", 0);
    browser.until("document.getElementById('place').textContent.startsWith('3 of 3')");
    browser.press("k", 0);
    browser.until("document.getElementById('place').textContent.startsWith('2 of 3')");
    browser.until("document.getElementById('picture').naturalWidth > 500");
    browser.picture("review", 1280, 800);
    browser.picture("review", 400, 800);
    let path = browser.value("document.getElementById('path').textContent");
    let path = path.as_str().expect("a path").to_owned();
    browser.press("r", 0);
    browser.press("i", 0);
    browser.press("+", 0);
    browser.until("document.getElementById('stage').classList.contains('inverted')");
    browser.picture("turned", 1280, 800);
    // A text is mended and left by j: it is saved on the way.
    browser.press("e", 0);
    browser.until("document.activeElement.id === 'text'");
    browser.press("!", 0);
    browser.press("Escape", 0);
    browser.press("j", 0);
    browser.until("document.getElementById('place').textContent.startsWith('3 of 3')");
    let mended = sandbox.text(&path).expect("a text");
    assert!(mended.starts_with('!') && mended.len() > 2, "{mended}");
    browser.press("1", 0);
    browser.until("document.querySelector('[data-review=good]').ariaPressed === 'true'");
    browser.visit(&format!("http://{}/", visitor.host), "document.querySelector('.balance') !== null");
    browser.picture("overview", 1280, 900);
    browser.picture("overview", 400, 900);
    assert!(call(&sandbox, "report").0 == Some(0));
    let report = sandbox.workspace().join("report.html");
    browser.visit(&format!("file://{}", report.display()), "document.querySelector('.balance') !== null");
    browser.picture("report", 1280, 900);
    browser.picture("report", 400, 900);
    let notes = std::fs::read_to_string(sandbox.workspace().join("report.csv")).expect("a table");
    assert!(notes.contains("needs_work") && notes.contains("good"), "{notes}");
    assert!(
        std::fs::read_to_string(&report).expect("a page").contains("needs work 1"),
        "words, not names of the table"
    );
    // Whatever is asked again: a person's texts stand.
    drop(visitor);
    let (exit, _, err) = call(&sandbox, "retry --where state=done|failed");
    assert_eq!(exit, Some(0), "{err}");
    assert!(sandbox.run().fault.is_none());
    assert_eq!(sandbox.text(&path), Some(mended));
    assert_eq!(sandbox.text("box-1/page-b.jpg").as_deref(), Some("Read: 1 j x\n"));
}

/// Batches that ended and one that is open, three kinds of failures, a limit.
fn troubles() -> Sandbox {
    let scenario = "[[line]]\ncustom_id_contains = \"page000\"\noutcome = \"content_filter\"\nwhen = { times = 7 }\n";
    let scenario = Scenario::read(scenario).expect("a scenario");
    let mut sandbox = Sandbox::with(12, Weather { scenario, ..Weather::default() });
    std::fs::write(sandbox.corpus().join("tray_0/not an image.png"), b"<html>404</html>").expect("a file");
    std::fs::write(sandbox.corpus().join("tray_0/empty.png"), b"").expect("a file");
    sandbox.set("run.max_cost", "0.05");
    let outcome = sandbox.run();
    assert_eq!(outcome.standing.failed, 9, "{:?}", outcome.standing);
    sandbox.image("tray_1/late.png", 77);
    assert!(sandbox.work(Mode::Upload).fault.is_none());
    sandbox
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that did not happen says so")]
fn a_person_sees_what_failed_and_asks_again_by_one_button() {
    let Some(mut browser) = Browser::start() else {
        eprintln!("skipped: there is no Chromium on this computer");
        return;
    };
    let sandbox = troubles();
    let visitor = Visitor::new(&sandbox, &[]);
    browser.visit(&visitor.url, "document.body.dataset.ready === 'true'");
    for (name, height) in [("failures", 900), ("batches", 700), ("cost", 800)] {
        let here = format!("document.querySelector('[aria-current=page]').getAttribute('href') === '/{name}'");
        browser.visit(&format!("http://{}/{name}", visitor.host), &here);
        browser.picture(name, 1280, height);
        browser.picture(name, 400, height);
    }
    browser.visit(&format!("http://{}/failures", visitor.host), "document.forms.length > 0");
    // By keyboard, and without a script of ours: the browser sends the form, and names the page that it comes from.
    browser.value("document.querySelector('form button').focus()");
    browser.order(
        "Input.dispatchKeyEvent",
        json!({"type": "keyDown", "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}),
    );
    browser.until("document.querySelector('[role=status]') !== null");
    let told = browser.value("document.querySelector('[role=status]').textContent");
    assert!(told.as_str().is_some_and(|told| told.contains("7 images are owed again")), "{told}");
    browser.picture("asked", 400, 900);
    assert_eq!(oracle::states(&sandbox.workspace())["owed"], 7);
}
