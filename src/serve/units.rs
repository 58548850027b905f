//! Files and commands by which other programs start `serve`: each says what it allows, and quotes paths by its own rules.

use std::path::{Path, PathBuf};

use crate::kit::path_bytes::of_shell;

/// What a unit is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// This program.
    pub program: PathBuf,
    /// The workspace; absolute.
    pub workspace: PathBuf,
    /// Folder of images; absolute.
    pub images: PathBuf,
    /// Who works; empty if that is not known.
    pub user: String,
    /// File with the key, if there is one.
    pub key_file: Option<PathBuf>,
}

impl Facts {
    /// What is called: `--yes` was said by whoever puts the unit in its place.
    fn words(&self) -> [String; 6] {
        let path = |path: &Path| path.display().to_string();
        [
            path(&self.program),
            "--workspace".into(),
            path(&self.workspace),
            "--yes".into(),
            "serve".into(),
            path(&self.images),
        ]
    }

    fn user(&self) -> &str {
        if self.user.is_empty() { "batchscribe" } else { &self.user }
    }
}

/// Fills the places `{name}` of a template.
fn filled(template: &str, places: &[(&str, String)]) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        let place =
            places.iter().find(|(name, _)| from[1..].starts_with(name) && from[1 + name.len()..].starts_with('}'));
        text.push_str(before);
        match place {
            Some((name, value)) => {
                text.push_str(value);
                rest = &from[name.len() + 2..];
            }
            None => {
                text.push('{');
                rest = &from[1..];
            }
        }
    }
    text + rest
}

/// A service of systemd (`systemctl edit --full --force batchscribe.service`).
#[must_use]
pub fn systemd(facts: &Facts) -> String {
    let words: Vec<String> = facts.words().iter().map(|word| of_systemd(word, true)).collect();
    let key = match &facts.key_file {
        Some(path) => format!("LoadCredential=openai_key:{}", of_systemd_path(path)),
        None => "# LoadCredential=openai_key:/etc/batchscribe/openai_key".to_owned(),
    };
    filled(
        include_str!("units/systemd.service"),
        &[
            ("command", words.join(" ")),
            ("user", facts.user().to_owned()),
            ("key", key),
            ("workspace", of_systemd(&facts.workspace.display().to_string(), false)),
            ("images", of_systemd(&facts.images.display().to_string(), false)),
        ],
    )
}

/// A word as systemd reads it: quoted, its own signs doubled or behind a backslash. Source: systemd.service(5), "Command lines",
/// and systemd.unit(5), "Specifiers". In a command line, a dollar sign is doubled as well.
fn of_systemd(word: &str, in_command: bool) -> String {
    let word = word.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
    let word = if in_command { word.replace('$', "$$") } else { word };
    let plain = |c: char| c.is_ascii_alphanumeric() || "/.-_+@:,=".contains(c);
    if word.chars().all(plain) { word } else { format!("\"{word}\"") }
}

/// A path that ends its line is taken as it stands.
fn of_systemd_path(path: &Path) -> String {
    path.display().to_string().replace('%', "%%")
}

/// A daemon of launchd (`~/Library/LaunchAgents/org.batchscribe.serve.plist`).
#[must_use]
pub fn launchd(facts: &Facts) -> String {
    let words = facts.words();
    let words: Vec<String> = words.iter().map(|word| format!("    <string>{}</string>", of_xml(word))).collect();
    filled(
        include_str!("units/launchd.plist"),
        &[("arguments", words.join("\n")), ("workspace", of_xml(&facts.workspace.display().to_string()))],
    )
}

/// A task of Windows (`schtasks /Create /TN batchscribe /XML batchscribe.xml`).
#[must_use]
pub fn taskscheduler(facts: &Facts) -> String {
    let words = facts.words();
    let arguments: Vec<String> = words[1..].iter().map(|word| of_windows(word)).collect();
    filled(
        include_str!("units/task.xml"),
        &[
            ("program", of_xml(&words[0])),
            ("arguments", of_xml(&arguments.join(" "))),
            ("workspace", of_xml(&facts.workspace.display().to_string())),
        ],
    )
}

fn of_xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A word of a command line as programs for Windows take it apart: backslashes count only in front of a quotation mark.
/// Source: Microsoft, "Parsing C command-line arguments".
fn of_windows(word: &str) -> String {
    if !word.is_empty() && !word.contains([' ', '\t', '"']) {
        return word.to_owned();
    }
    let mut quoted = String::from("\"");
    let mut backslashes = 0;
    for letter in word.chars() {
        if letter == '"' {
            quoted.push_str(&"\\".repeat(backslashes + 1));
        }
        backslashes = if letter == '\\' { backslashes + 1 } else { 0 };
        quoted.push(letter);
    }
    quoted.push_str(&"\\".repeat(backslashes));
    quoted.push('"');
    quoted
}

/// A job of Slurm (`sbatch batchscribe.sh`).
#[must_use]
pub fn slurm(facts: &Facts) -> String {
    let words: Vec<String> = facts.words().iter().map(|word| of_shell(word)).collect();
    let log = facts.workspace.join("slurm-%j.log").display().to_string();
    filled(include_str!("units/slurm.sh"), &[("command", words.join(" ")), ("log", of_slurm(&log))])
}

/// An option in a comment of a job: words in quotes, as a shell has them.
fn of_slurm(word: &str) -> String {
    if word.contains(char::is_whitespace) { format!("\"{}\"", word.replace('"', "\\\"")) } else { word.to_owned() }
}

/// A container (`docker compose up -d`): this very program, in a plain image.
#[must_use]
pub fn compose(facts: &Facts) -> String {
    let words = facts.words();
    let command: Vec<String> = words.iter().map(|word| format!("      - {}", of_yaml(word))).collect();
    let mount = |path: &Path, read_only| {
        let path = path.display().to_string();
        let end = if read_only { "\n        read_only: true" } else { "" };
        format!("      - type: bind\n        source: {0}\n        target: {0}{end}", of_yaml(&path))
    };
    let mut mounts =
        vec![mount(&facts.program, true), mount(Path::new("/etc/ssl/certs"), true), mount(&facts.workspace, false)];
    if !facts.images.starts_with(&facts.workspace) {
        mounts.push(mount(&facts.images, false));
    }
    let key = facts.key_file.as_ref().map_or_else(String::new, |path| {
        let path = of_yaml(&path.display().to_string());
        format!("\nsecrets:\n  openai_key:\n    file: {path}\n")
    });
    let use_key = if facts.key_file.is_some() {
        "    secrets: [openai_key]\n    environment:\n      CREDENTIALS_DIRECTORY: /run/secrets\n"
    } else {
        ""
    };
    filled(
        include_str!("units/compose.yaml"),
        &[
            ("command", command.join("\n")),
            ("mounts", mounts.join("\n")),
            ("use_key", use_key.to_owned()),
            ("key", key),
            ("workspace", of_yaml(&facts.workspace.display().to_string())),
        ],
    )
}

/// A text in quotes: those of JSON are YAML's as well; Compose fills in variables, unless the dollar sign is doubled.
fn of_yaml(text: &str) -> String {
    serde_json::Value::from(text.replace('$', "$$")).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> Facts {
        Facts {
            program: "/usr/local/bin/batchscribe".into(),
            workspace: "/srv/letters".into(),
            images: "/srv/letters/scans".into(),
            user: "archive".to_owned(),
            key_file: Some("/srv/letters/api_key.txt".into()),
        }
    }

    /// Everything that a path may hold and a file of settings may stumble over.
    fn odd() -> Facts {
        Facts {
            program: "/opt/a b/batchscribe".into(),
            workspace: "/srv/50% \"off\" & <more> {user}".into(),
            images: "/mnt/it's $HOME\\x".into(),
            user: String::new(),
            key_file: None,
        }
    }

    #[test]
    fn units_are_as_they_were_written_down() {
        for (name, made, golden) in [
            ("systemd", systemd(&plain()), include_str!("../../tests/data/units/systemd.service")),
            ("launchd", launchd(&plain()), include_str!("../../tests/data/units/launchd.plist")),
            ("task", taskscheduler(&plain()), include_str!("../../tests/data/units/task.xml")),
            ("slurm", slurm(&plain()), include_str!("../../tests/data/units/slurm.sh")),
            ("compose", compose(&plain()), include_str!("../../tests/data/units/compose.yaml")),
        ] {
            assert_eq!(made, golden, "{name}");
        }
    }

    #[test]
    fn odd_paths_arrive_as_they_are() {
        let has = |unit: &str, part: &str| assert!(unit.contains(part), "{part} is not in\n{unit}");
        let unit = systemd(&odd());
        has(
            &unit,
            "ExecStart=\"/opt/a b/batchscribe\" --workspace \"/srv/50%% \\\"off\\\" & <more> {user}\" --yes serve",
        );
        has(&unit, "serve \"/mnt/it's $$HOME\\\\x\"\n");
        has(&unit, "ReadWritePaths=\"/srv/50%% \\\"off\\\" & <more> {user}\" \"/mnt/it's $HOME\\\\x\"\n");
        has(&unit, "User=batchscribe\n");
        has(&launchd(&odd()), "<string>/srv/50% &quot;off&quot; &amp; &lt;more&gt; {user}</string>");
        has(&slurm(&odd()), "'/srv/50% \"off\" & <more> {user}' --yes serve '/mnt/it'\\''s $HOME\\x'\n");
        let unit = compose(&odd());
        has(&unit, "\n      - \"/mnt/it's $$HOME\\\\x\"\n");
        has(&unit, "        source: \"/srv/50% \\\"off\\\" & <more> {user}\"\n");
        assert!(!unit.contains("secrets"), "{unit}");
    }

    #[test]
    fn words_for_windows_are_taken_apart_again() {
        for (word, quoted) in [
            ("C:\\Scans", "C:\\Scans"),
            ("C:\\My Scans", "\"C:\\My Scans\""),
            ("C:\\My Scans\\", "\"C:\\My Scans\\\\\""),
            ("a\"b", "\"a\\\"b\""),
            ("a\\\"b", "\"a\\\\\\\"b\""),
            ("", "\"\""),
        ] {
            assert_eq!(of_windows(word), quoted, "{word}");
        }
    }
}
