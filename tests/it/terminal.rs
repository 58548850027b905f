//! The program at a real terminal: its questions answered by a person, Ctrl-C, narrow and plain terminals.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::oracle;
use crate::sandbox::{Sandbox, Weather};

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(90);

/// A program at a terminal of its own.
struct Seat {
    child: Child,
    keyboard: File,
    seen: Arc<Mutex<Vec<u8>>>,
    reading: JoinHandle<()>,
}

impl Seat {
    /// Sits down before `batchscribe` with these words, at a terminal of so many columns.
    fn take(sandbox: &Sandbox, columns: u16, environment: &[(&str, &str)], words: &[&str]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&master).expect("it is ours");
        unlockpt(&master).expect("it is open");
        let name = ptsname(&master, Vec::new()).expect("its name");
        let size = Winsize { ws_row: 30, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).expect("its size");
        let end = || {
            let opened = rustix::fs::open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty());
            Stdio::from(opened.expect("its other end"))
        };
        // Only a process with a controlling terminal hears Ctrl-C; `setsid` becomes the program once it has one.
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(env!("CARGO_BIN_EXE_batchscribe"));
        command.arg("--workspace").arg(sandbox.workspace()).arg("--no-config");
        for (key, value) in sandbox.flags() {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        command.args(words).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("TERM", "xterm-256color").env("LANG", "C.UTF-8").envs(environment.iter().copied());
        command.current_dir(sandbox.workspace()).stdin(end()).stdout(end()).stderr(end());
        let child = command.spawn().expect("setsid of util-linux");
        // The command holds ends of the terminal, too: it hangs up when the last one is closed.
        drop(command);
        let keyboard = File::from(master);
        let (mut screen, seen) = (keyboard.try_clone().expect("a handle"), Arc::new(Mutex::new(Vec::new())));
        let kept = Arc::clone(&seen);
        let reading = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // A terminal without a program ends with an error.
            while let Ok(read @ 1..) = screen.read(&mut bytes) {
                kept.lock().expect("nobody panics").extend_from_slice(&bytes[..read]);
            }
        });
        Self { child, keyboard, seen, reading }
    }

    fn seen(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().expect("nobody panics")).into_owned()
    }

    /// Waits until these words stand there.
    fn until(&self, words: &str) {
        let begun = Instant::now();
        while !self.seen().contains(words) {
            assert!(begun.elapsed() < PATIENCE, "{words:?} never came: {}", self.seen());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("typed");
    }

    /// Types, and again as long as nothing comes of it: what is typed while the echo is being switched off is dropped.
    fn types_until(&mut self, keys: &str, words: &str) {
        let begun = Instant::now();
        while !self.seen().contains(words) {
            assert!(begun.elapsed() < PATIENCE, "{words:?} never came: {}", self.seen());
            self.types(keys);
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// The exit code, and everything that was seen.
    fn leave(mut self) -> (Option<i32>, String) {
        let begun = Instant::now();
        let code = loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                break status.code();
            }
            if begun.elapsed() > PATIENCE {
                self.child.kill().expect("killed");
                self.child.wait().expect("a child");
                panic!("it never ends: {}", self.seen());
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        self.reading.join().expect("the reader");
        (code, String::from_utf8_lossy(&self.seen.lock().expect("nobody panics")).into_owned())
    }
}

/// A model with a price, so that there is something to ask.
fn priced(images: usize, weather: Weather) -> Sandbox {
    let mut sandbox = Sandbox::with(images, weather);
    sandbox.set("request.model", "gpt-5.6-luna");
    sandbox
}

fn creates(sandbox: &Sandbox) -> usize {
    oracle::count(&sandbox.bill(), "create")
}

/// The same without escape sequences of the kind that move and colour: `ESC [ … letter`.
fn plain(screen: &str) -> String {
    let mut parts = screen.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let end = part.find(|c: char| c.is_ascii_alphabetic()).map_or(part.len(), |at| at + 1);
        text + &part[end..]
    })
}

#[test]
fn yes_goes_on() {
    let sandbox = priced(2, Weather::default());
    let mut seat = Seat::take(&sandbox, 120, &[], &["run"]);
    seat.until("Go? [y/N] ");
    assert_eq!(creates(&sandbox), 0, "nothing before the answer");
    seat.types("y\n");
    let (code, seen) = seat.leave();
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains("2 images, about $") && seen.contains("worst case $"), "{seen}");
    assert!(sandbox.text("tray_0/page0000.png").is_some() && creates(&sandbox) == 1, "{seen}");
}

#[test]
fn anything_else_stops_before_anything_is_paid() {
    let sandbox = priced(2, Weather::default());
    for keys in ["N\n", "\n", "ja\n", "\u{4}"] {
        let mut seat = Seat::take(&sandbox, 120, &[], &["run"]);
        seat.until("Go? [y/N] ");
        seat.types(keys);
        let (code, seen) = seat.leave();
        assert_eq!(code, Some(0), "{keys:?}: {seen}");
        assert!(seen.contains("Nothing was sent."), "{keys:?}: {seen}");
        assert_eq!((creates(&sandbox), oracle::count(&sandbox.bill(), "upload")), (0, 0), "{keys:?}: {seen}");
    }
}

#[test]
fn a_key_that_is_there_is_replaced_only_after_a_yes() {
    const OLD: &str = "sk-test-old-0123456789-abcdefgh\n";
    let sandbox = priced(0, Weather::default());
    let file = sandbox.workspace().join("api_key.txt");
    std::fs::write(&file, OLD).expect("a file");
    let kept = || std::fs::read_to_string(&file).expect("a file");
    let mut seat = Seat::take(&sandbox, 120, &[], &["keys", "set"]);
    seat.until("api_key.txt holds a key already. Replace it? [y/N] ");
    seat.types("n\n");
    let (code, seen) = seat.leave();
    assert!(code == Some(0) && seen.contains("Nothing was changed.") && kept() == OLD, "{seen}");
    for (words, asks) in [(&["keys", "set"][..], true), (&["--yes", "keys", "set"], false)] {
        std::fs::write(&file, OLD).expect("a file");
        let mut seat = Seat::take(&sandbox, 120, &[], words);
        if asks {
            seat.until("Replace it? [y/N] ");
            seat.types("y\n");
        }
        seat.until("Paste your key");
        seat.types_until("sk-test-new-0123456789-abcdefgh\n", "Checking with ");
        let (code, seen) = seat.leave();
        assert!(code == Some(0) && seen.contains("Replace it?") == asks, "{seen}");
        assert!(seen.contains("Checking with ") && kept() == "sk-test-new-0123456789-abcdefgh\n", "{seen}");
    }
}

#[test]
fn another_recipe_is_told_with_both_ways_on_and_nothing_is_sent() {
    let mut sandbox = priced(2, Weather::default());
    assert!(sandbox.run().fault.is_none());
    let before = creates(&sandbox);
    sandbox.set("request.detail", "low");
    let (code, seen) = Seat::take(&sandbox, 120, &[], &["run"]).leave();
    assert_eq!(code, Some(2), "{seen}");
    assert!(seen.contains("E108") && seen.contains("--keep-old") && seen.contains("--redo stale"), "{seen}");
    let mut seat = Seat::take(&sandbox, 120, &[], &["run", "--redo", "stale"]);
    seat.until("Go? [y/N] ");
    seat.types("n\n");
    let (_, seen) = seat.leave();
    assert_eq!(creates(&sandbox), before, "{seen}");
}

#[test]
fn ctrl_c_leaves_open_batches_and_ends_well() {
    let sandbox = priced(2, Weather { line_delay: Duration::from_secs(600), ..Weather::default() });
    let mut seat = Seat::take(&sandbox, 120, &[], &["--yes", "run"]);
    sandbox.await_batches(1);
    seat.until("1 batch open");
    seat.types("\u{3}");
    let (code, seen) = seat.leave();
    assert_eq!(code, Some(0), "{seen}");
    assert!(
        seen.contains("1 batch (2 pages) goes on at the provider") && seen.contains("batchscribe download"),
        "{seen}"
    );
    let states = oracle::states(&sandbox.workspace());
    assert_eq!(states, [("packed".to_owned(), 2)].into(), "{seen}");
}

#[test]
fn a_narrow_terminal_wraps_no_line_of_the_block() {
    let sandbox = priced(6, Weather { line_delay: Duration::from_millis(200), ..Weather::default() });
    let (code, seen) = Seat::take(&sandbox, 40, &[], &["--yes", "run"]).leave();
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains("\u{1b}["), "it is drawn again and again: {seen}");
    let seen = plain(&seen);
    let heads = [" Scan ", " Send ", " Wait ", " Write ", " Money ", " Left ", " Queue "];
    // The table at the end is no part of the block.
    let end = seen.find(" Answered ").unwrap_or(seen.len());
    let rows: Vec<&str> =
        seen[..end].split(['\r', '\n']).filter(|row| heads.iter().any(|head| row.starts_with(head))).collect();
    assert!(rows.len() > 6, "{seen}");
    for row in rows {
        assert!(row.chars().count() < 40, "{row:?}");
    }
}

#[test]
fn who_wants_no_colours_and_who_cannot_show_them_get_no_escape_sequences() {
    let mut sandbox = priced(2, Weather::default());
    for (n, environment) in (10..).zip([&[("NO_COLOR", "1")][..], &[("TERM", "dumb")]]) {
        sandbox.image(&format!("more{n}.png"), n);
        let (code, seen) = Seat::take(&sandbox, 80, environment, &["--yes", "run"]).leave();
        assert_eq!(code, Some(0), "{environment:?}: {seen}");
        assert!(
            !seen.contains('\u{1b}') && seen.contains("batch_") && seen.contains(" Answered "),
            "{environment:?}: {seen:?}"
        );
    }
    let (_, seen) = Seat::take(&sandbox, 80, &[], &["--color", "never", "--yes", "run"]).leave();
    assert!(!seen.contains('\u{1b}'), "{seen:?}");
    for words in
        [&["--color", "never", "--help"][..], &["run", "--help", "--color=never"], &["--color", "never", "--odd"]]
    {
        let (_, seen) = Seat::take(&sandbox, 80, &[], words).leave();
        assert!(!seen.contains('\u{1b}') && seen.contains("Usage: batchscribe"), "{words:?}: {seen:?}");
    }
    let (_, seen) = Seat::take(&sandbox, 80, &[], &["--help"]).leave();
    assert!(seen.contains('\u{1b}'), "it is coloured elsewhere: {seen:?}");
    // A mistake is coloured elsewhere.
    sandbox.set("request.detail", "low");
    let (_, seen) = Seat::take(&sandbox, 80, &[("NO_COLOR", "1")], &["run"]).leave();
    assert!(seen.contains("error[E108]") && !seen.contains('\u{1b}'), "{seen:?}");
    let (_, seen) = Seat::take(&sandbox, 80, &[], &["run"]).leave();
    assert!(seen.contains('\u{1b}'), "{seen:?}");
}
