//! What goes into a bug report: a ZIP of a few texts, none of them a key, a page or a page's name.

use std::io::{self, Cursor, Write as _};
use std::path::Path;

use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{CompressionMethod, DateTime};

use crate::kit::atomic_file::{Access, Durability, write_new};
use crate::kit::redact::redacted;
use crate::settings::{Settings, Sourced};

/// Settings whose values are nobody's business: they may hold a secret, or tell who somebody is.
const PRIVATE: [&str; 9] = [
    "api_key_command",
    "description",
    // Addresses of such services are secrets: whoever knows one may write to it.
    "notify.command",
    "notify.heartbeat",
    "notify.webhook",
    "provider.organization",
    "provider.project",
    "provider.query",
    "provider.key_header",
];

/// Bytes of a private word that may stand in other places by chance.
const SHORT: usize = 6;

/// Lines of the log that go into it, if it is asked for.
const LOG_LINES: usize = 200;
/// Bytes of the log that are looked at for them.
const LOG_BYTES: usize = 256 * 1024;

/// One file of the bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub name: &'static str,
    /// What is in it, in a few words.
    pub what: &'static str,
    /// Its text.
    pub text: String,
}

/// The settings as they are in force, with their sources; private values are told to be set or not.
#[must_use]
pub fn settings_part(settings: &Settings) -> Part {
    let line = |sourced: &Sourced| {
        let value = if is_private(sourced) { "(set)" } else { &sourced.value };
        format!("{} = {value}   # {}\n", sourced.key, sourced.origin)
    };
    let text = settings.sources.iter().map(line).collect();
    Part { name: "settings.txt", what: "settings in force, without what may be private", text }
}

/// Whether a value is set and nobody's business.
fn is_private(sourced: &Sourced) -> bool {
    let Sourced { key, value, .. } = sourced;
    let is_set = !matches!(value.as_str(), "\"\"" | "[]" | "");
    // The names of the built-in engines are no secret.
    let is_address = *key == "provider.engine" && value.contains("://");
    is_address || (is_set && PRIVATE.contains(key))
}

/// Private values that any part may name, such as a log; each with what stands in its place.
#[must_use]
pub fn private_values(settings: &Settings) -> Vec<(String, &'static str)> {
    let Settings { api_key_command, provider, notify, .. } = settings;
    let engine = Some(provider.engine.word().to_owned()).filter(|word| word.contains("://"));
    let texts = [api_key_command, &provider.organization, &provider.project, &provider.query, &notify.webhook];
    let texts = texts.into_iter().chain([&notify.heartbeat, &engine]).flatten().chain(&notify.command);
    let mut values: Vec<String> = texts.chain([&settings.description]).cloned().collect();
    // Of a short word any text is full. The longest first: one may hold another.
    values.retain(|value| value.len() > SHORT);
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    values.into_iter().map(|value| (value, "(set)")).collect()
}

/// The program and the computer.
#[must_use]
pub fn versions_part() -> Part {
    let text = format!(
        "batchscribe {}\nsystem {} {}\nbuilt-in engine {}\nParquet {}\n",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH,
        if cfg!(feature = "ocr") { "yes" } else { "no" },
        if cfg!(feature = "parquet") { "yes" } else { "no" }
    );
    Part { name: "versions.txt", what: "version and system", text }
}

/// The last lines of the log; they may name images, so they are in the bundle only if that was asked for.
///
/// # Errors
/// The operating system's.
pub fn log_part(log: &Path) -> io::Result<Part> {
    let bytes = fs_err::read(log)?;
    let tail = &bytes[bytes.len().saturating_sub(LOG_BYTES)..];
    let text = String::from_utf8_lossy(tail);
    let lines: Vec<&str> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n") + "\n";
    Ok(Part { name: "log.txt", what: "last lines of the log, which may name images", text: last })
}

/// Writes the bundle to a new file that its owner alone can read. Keys are taken out of every part, and folders and
/// values of `private` are called by their second names.
///
/// # Errors
/// The operating system's; `AlreadyExists` where something bears that name.
pub fn write(to: &Path, parts: &[Part], private: &[(String, &str)]) -> io::Result<()> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    // No time of day: it would be the computer's, in nobody's zone.
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default());
    for part in parts {
        archive.start_file(part.name, options).map_err(io::Error::other)?;
        archive.write_all(without(&part.text, private).as_bytes())?;
    }
    let bytes = archive.finish().map_err(io::Error::other)?.into_inner();
    write_new(to, &bytes, Access::Private, Durability::Synced)
}

/// Without keys and without names of folders.
fn without(text: &str, private: &[(String, &str)]) -> String {
    private
        .iter()
        .filter(|(folder, _)| folder.len() > 1)
        .fold(redacted(text), |text, (folder, shown)| text.replace(folder.as_str(), shown))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::settings::{Environment, Flag, Sources, resolve};

    #[test]
    fn what_may_be_private_is_told_to_be_set_and_no_more() {
        let flag = |key: &str, value: &str| Flag { flag: "--set".into(), key: key.into(), value: value.into() };
        let sources = Sources {
            workspace: "/w".into(),
            current_dir: "/w".into(),
            config: None,
            no_config: true,
            flags: vec![flag("api_key_command", "pass show openai"), flag("provider.project", "proj_diaries")],
            environment: Environment::default(),
        };
        let settings = resolve(&sources).map_err(|problems| format!("{problems:?}")).expect("settings").settings;
        let text = settings_part(&settings).text;
        assert!(text.contains("api_key_command = (set)   # --set\n"), "{text}");
        assert!(!text.contains("pass show") && !text.contains("proj_diaries"), "{text}");
        assert!(text.contains("description = \"\""), "{text}");
    }

    #[test]
    fn addresses_and_programs_that_are_told_are_in_no_part() {
        let flag = |(key, value): (&str, &str)| Flag { flag: "--set".into(), key: key.into(), value: value.into() };
        let secrets = [
            ("notify.webhook", "https://hooks.example.org/T0/B0/hush-1"),
            ("notify.heartbeat", "https://hc.example.org/hush-2?rid=hush-3"),
            ("notify.command", "[\"curl-hush-4\", \"-H\", \"X: hush-5\"]"),
            ("provider.engine", "https://gpu.example.org/hush-6/v1"),
            ("provider.query", "code=hush-7"),
        ];
        let sources = Sources {
            workspace: "/w".into(),
            current_dir: "/w".into(),
            config: None,
            no_config: true,
            flags: secrets.into_iter().map(flag).collect(),
            environment: Environment::default(),
        };
        let settings = resolve(&sources).map_err(|problems| format!("{problems:?}")).expect("settings").settings;
        let part = settings_part(&settings);
        for key in ["notify.webhook", "notify.heartbeat", "notify.command", "provider.engine"] {
            assert!(part.text.contains(&format!("{key} = (set)   # --set\n")), "{}", part.text);
        }
        let said = secrets.map(|(_, value)| value).join(" ") + " curl-hush-4 X: hush-5";
        let log = Part { name: "log.txt", what: "", text: format!("asked {said}\n") };
        let folder = tempfile::tempdir().expect("temp dir");
        let to = folder.path().join("bundle.zip");
        let mut private = private_values(&settings);
        // A list is not told in one word.
        private.push((secrets[2].1.to_owned(), "(set)"));
        write(&to, &[part, log], &private).expect("written");
        let mut archive = zip::ZipArchive::new(fs_err::File::open(&to).expect("a file")).expect("a ZIP");
        for at in 0..archive.len() {
            let mut read = String::new();
            archive.by_index(at).expect("a part").read_to_string(&mut read).expect("text");
            assert!(!read.contains("hush"), "{read}");
        }
        let none = Sources { flags: Vec::new(), ..sources };
        let settings = resolve(&none).map_err(|problems| format!("{problems:?}")).expect("settings").settings;
        let text = settings_part(&settings).text;
        assert!(text.contains("notify.command = []") && text.contains("provider.engine = \"ocr\""), "{text}");
    }

    #[test]
    fn neither_keys_nor_folders_get_into_it_and_no_file_is_overwritten() {
        let folder = tempfile::tempdir().expect("temp dir");
        let to = folder.path().join("bundle.zip");
        let text = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789 in /home/ann/letters/box\n".to_owned();
        let part = Part { name: "doctor.txt", what: "", text };
        let private = [("/home/ann/letters".to_owned(), "WORKSPACE"), ("/".to_owned(), "never")];
        write(&to, std::slice::from_ref(&part), &private).expect("written");
        let mut archive = zip::ZipArchive::new(fs_err::File::open(&to).expect("a file")).expect("a ZIP");
        let mut read = String::new();
        archive.by_index(0).expect("a part").read_to_string(&mut read).expect("text");
        assert!(read.contains(" in WORKSPACE/box") && !read.contains("abcdefghijklmnop"), "{read}");
        let again = write(&to, &[part], &[]).expect_err("it is there");
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn the_last_lines_of_a_log() {
        let folder = tempfile::tempdir().expect("temp dir");
        let log = folder.path().join("run.log");
        fs_err::write(&log, (0..500).map(|n| format!("line {n}\n")).collect::<String>()).expect("a log");
        let text = log_part(&log).expect("a part").text;
        assert!(text.starts_with("line 300\n") && text.ends_with("line 499\n"));
    }
}
