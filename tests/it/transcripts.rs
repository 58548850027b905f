//! The first ten minutes and the long wait, as a newcomer types them: the real binary, every word that it says, kept in
//! `tests/data/transcripts`. Times, rates and names that differ from day to day are redacted there.
//!
//! `BLESS=1 cargo test --test it transcripts` writes the transcripts anew; the difference is then read by a person.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use batchscribe::emulator::engine::{Answered, ChatRequest, Engine, Said};
use batchscribe::kit::clock::Clock;
use rustix::process::{Pid, Signal, kill_process};

use crate::sandbox::{Sandbox, Weather};

/// What is typed, folder by folder, and what came of it.
struct Transcript<'a> {
    name: &'static str,
    folder: PathBuf,
    /// Replaced wherever they are said.
    redacted: Vec<(String, &'static str)>,
    /// The provider's time, which passes while a command waits for it.
    clock: Option<&'a Clock>,
    text: String,
}

/// How a command is left.
enum Leave {
    /// It ends by itself.
    Ends,
    /// Ctrl-C, once it has told of an open batch.
    Interrupted,
}

impl<'a> Transcript<'a> {
    fn new(name: &'static str, folder: &Path, clock: Option<&'a Clock>) -> Self {
        let folder = folder.canonicalize().expect("a folder");
        let here = folder.to_string_lossy().into_owned();
        Self { name, folder, redacted: vec![(here, "HERE")], clock, text: String::new() }
    }

    /// Types a command.
    fn types(&mut self, line: &str) {
        self.call(line, "", &Leave::Ends);
    }

    /// Types a command that waits, and leaves it to itself.
    fn leaves(&mut self, line: &str) {
        self.call(line, "", &Leave::Interrupted);
    }

    /// What a person does between two commands.
    fn does(&mut self, what: &str, done: impl FnOnce(&Path)) {
        done(&self.folder);
        writeln!(self.text, "# {what}\n").expect("memory");
    }

    fn call(&mut self, line: &str, typed: &str, leave: &Leave) {
        let words = line.strip_prefix("batchscribe").expect("our command").split_whitespace();
        // One pipe for both, so that the words come in the order in which a terminal shows them.
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let mut command = Command::new(env!("CARGO_BIN_EXE_batchscribe"));
        command.args(words).current_dir(&self.folder).env_clear();
        command.env("HOME", &self.folder).env("LANG", "C.UTF-8").env("TZ", "UTC");
        // A busy machine must not add a line.
        command.env("BATCHSCRIBE_SHOW_STATS", "1h").stdin(Stdio::piped());
        command.stdout(writer.try_clone().expect("a pipe")).stderr(writer);
        let mut child = command.spawn().expect("the program starts");
        // Only the child's ends are left, so that the pipe ends with it.
        drop(command);
        child.stdin.take().expect("stdin").write_all(typed.as_bytes()).expect("a reader");
        let told = self.heard(&mut child, BufReader::new(reader), leave);
        let exit = child.wait().expect("a child").code().expect("an exit code");
        let told = redacted(&told, &self.redacted);
        write!(self.text, "$ {line}\n{told}[exit {exit}]\n\n").expect("memory");
    }

    fn heard(&self, child: &mut Child, mut reader: BufReader<std::io::PipeReader>, leave: &Leave) -> String {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            if let (Some(clock), Leave::Ends) = (self.clock, leave) {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        clock.advance(Duration::from_secs(60));
                        std::thread::sleep(Duration::from_millis(5));
                    }
                });
            }
            let (mut told, mut left) = (String::new(), false);
            while reader.read_line(&mut told).expect("text") > 0 {
                if matches!(leave, Leave::Interrupted) && !left && told.contains(" open, ") {
                    left = true;
                    told.push_str("^C\n");
                    kill_process(Pid::from_child(child), Signal::INT).expect("it is there");
                }
            }
            over.store(true, Ordering::Relaxed);
            told
        })
    }

    /// Compared word for word with what was written down.
    fn holds(self) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/transcripts/{}.txt", self.name));
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, &self.text).expect("written");
        }
        let written = std::fs::read_to_string(&path).expect("a transcript");
        let same = written.lines().zip(self.text.lines()).take_while(|(written, told)| written == told).count();
        let [written_line, told] = [&written, &self.text].map(|text| text.lines().nth(same).unwrap_or("(its end)"));
        assert_eq!(
            written,
            self.text,
            "{}, line {}: written down is `{written_line}`, told was `{told}`",
            path.display(),
            same + 1
        );
    }
}

/// Times, rates, sizes of the disk and names of the day.
fn redacted(told: &str, names: &[(String, &'static str)]) -> String {
    let told = names.iter().fold(told.to_owned(), |told, (name, shown)| told.replace(name, shown));
    told.lines().map(|line| redacted_line(line) + "\n").collect()
}

fn redacted_line(line: &str) -> String {
    if let Some((told, _)) = line.split_once(" drawn with seed ").filter(|_| line.starts_with("Pilot")) {
        return format!("{told} drawn with seed SEED{}", &line[line.rfind(':').expect("what came of it")..]);
    }
    if let Some((told, _)) = line.split_once(" such as tray_") {
        return format!("{told} such as PAGE");
    }
    if let Some((mark, _)) = line.split_once(" file system  ") {
        return format!("{mark} file system  KIND");
    }
    let mut words: Vec<String> = line.split(' ').map(redacted_word).collect();
    for at in 0..words.len().saturating_sub(1) {
        let unit = words[at + 1].trim_end_matches([',', '.', ';', ')']);
        let is_time = matches!(unit, "s" | "min" | "h" | "s/page") || unit.ends_with("/s");
        let is_room = unit == "GB" && words.get(at + 2).is_some_and(|word| word == "free");
        if (is_time || is_room) && words[at].trim_start_matches('(').parse::<f64>().is_ok() {
            words[at] = "#".to_owned();
        }
    }
    // `2 min 15 s` of a slow machine is `15 s` of a fast one.
    words.join(" ").replace("# h # min", "# s").replace("# min # s", "# s")
}

fn redacted_word(word: &str) -> String {
    let shape: String = word.chars().map(|sign| if sign.is_ascii_digit() { '9' } else { sign }).collect();
    if shape == "99:99:99" {
        return "TIME".to_owned();
    }
    if let Some(at) = shape.find("9999-99-99") {
        return format!("{}DAY{}", &word[..at], &word[at + "9999-99-99".len()..]);
    }
    let Some(at) = word.find("batch_").filter(|_| word.len() > 20) else { return word.to_owned() };
    let rest = word[at + "batch_".len()..].trim_start_matches(|sign: char| sign.is_ascii_hexdigit());
    format!("{}batch_ID{rest}", &word[..at])
}

/// A few lines of clear print, cut from a page, so that reading them takes a moment.
#[cfg(feature = "ocr")]
fn print(path: &Path) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pages/print/05dracula.pdf_page_51.png");
    let page = image::open(page).expect("a page");
    let lines = page.crop_imm(0, page.height() / 3, page.width(), page.height() / 12);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("folder");
    lines.save(path).expect("an image");
}

/// Answers of one length, each of its own text.
struct Letters;

impl Engine for Letters {
    fn model(&self) -> &str {
        "gpt-5.6-luna"
    }

    fn answer(&self, request: &ChatRequest<'_>) -> Answered {
        let bytes = request.images.iter().flat_map(|image| &image.bytes);
        let number = bytes.fold(0u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte)));
        let text =
            format!("My dear sister, your letter of the fourth came today, and I read it twice. No {number:010}");
        Ok(Said::text(self.model(), text, request.prompt_tokens()))
    }
}

#[cfg(feature = "ocr")]
#[test]
fn a_newcomer_without_a_key() {
    let folder = tempfile::tempdir().expect("temp dir");
    let letters = folder.path().join("letters");
    std::fs::create_dir(&letters).expect("folder");
    let mut told = Transcript::new("newcomer", &letters, None);
    for line in ["", " doctor", " plan", " run", " status", " init", " init", " keys path", " keys check"] {
        told.types(&format!("batchscribe{line}"));
    }
    told.does("two scans are copied into the folder, and an empty file", |folder| {
        print(&folder.join("box-1/page-1.png"));
        print(&folder.join("box-1/page-2.png"));
        std::fs::write(folder.join("box-1/page-2.png.txt"), "typed by hand\n").expect("a text");
        std::fs::write(folder.join("box-1/page-3.jpg"), "").expect("a file");
        print(&folder.join("box-2/page-4.png"));
        let mut other = std::fs::OpenOptions::new().append(true).open(folder.join("box-2/page-4.png")).expect("image");
        other.write_all(&[0; 5]).expect("image");
    });
    for line in
        ["doctor", "plan", "run --limit 1", "status", "run", "run", "status --list failed", "help E202", "report"]
    {
        told.types(&format!("batchscribe {line}"));
    }
    told.holds();
}

#[test]
fn a_provider_a_pilot_and_the_long_wait() {
    let clock = Clock::manual(Clock::wall().now());
    let weather = Weather {
        clock: clock.clone(),
        line_delay: Duration::from_secs(600),
        engine: Arc::new(Letters),
        ..Weather::default()
    };
    let sandbox = Sandbox::with(0, weather);
    for n in 0..12 {
        sandbox.image(&format!("tray_{}/page{n:04}.png", n % 2), n);
        let path = sandbox.corpus().join(format!("tray_{}/page{n:04}.png", n % 2));
        // All of one size, so that which pages are drawn by lot makes no difference.
        let mut page = std::fs::read(&path).expect("image");
        page.resize(1000, 0);
        std::fs::write(path, page).expect("image");
    }
    let mut told = Transcript::new("provider", &sandbox.workspace(), Some(&clock));
    let url = sandbox.base_url();
    let host = url.trim_start_matches("http://").trim_end_matches("/v1").to_owned();
    told.redacted.push((host, "HOST"));
    let settings = format!(
        "image_dir = \"in\"\napi_url = \"{url}/chat/completions\"\n[provider]\nname = \"openai\"\nsettle = \"200ms\"\n\
         [batch]\npoll_interval = \"50ms\"\nmax_poll_interval = \"100ms\"\n"
    );
    std::fs::write(sandbox.workspace().join("batchscribe.toml"), settings).expect("settings");
    told.types("batchscribe doctor");
    told.call("batchscribe keys set", "sk-of-the-emulator-0123456789\n", &Leave::Ends);
    told.types("batchscribe keys check");
    told.types("batchscribe plan");
    told.types("batchscribe run");
    told.types("batchscribe run --pilot 4 --yes --budget 2");
    told.leaves("batchscribe run --yes --budget 2");
    told.types("batchscribe status");
    told.types("batchscribe plan");
    told.types("batchscribe run --yes --budget 2");
    told.types("batchscribe status");
    told.types("batchscribe run --yes --budget 2");
    told.types("batchscribe report");
    told.holds();
}
