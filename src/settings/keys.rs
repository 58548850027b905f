//! The key: where it is looked for, and in which order. It is never printed, logged or kept; only its source is named.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use super::Settings;
use super::environment::Environment;
use super::problem::Problem;
use super::raw::Origin;
use crate::kit::atomic_file::{self, Access, Durability};
use crate::kit::child;

const VARIABLE: &str = "OPENAI_API_KEY";
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
const CREDENTIAL: &str = "openai_key";
/// How long a command may take, and how much of its output is kept: a key is one line.
const LIMIT: Duration = Duration::from_secs(60);
const MOST: usize = 64 * 1024;

/// A key and where it came from.
#[derive(Debug)]
pub struct Key {
    /// The key itself; its `Debug` is redacted.
    pub secret: SecretString,
    /// Where it came from, for messages: `the variable OPENAI_API_KEY`.
    pub source: String,
}

impl Key {
    /// The last four signs of a key that is long enough to spare them, for people who have several: `, ends …7Qx2`.
    #[must_use]
    pub fn ending(&self) -> String {
        let secret = self.secret.expose_secret();
        match secret.char_indices().nth_back(3) {
            Some((at, _)) if secret.len() >= 20 => format!(", ends …{}", &secret[at..]),
            _ => String::new(),
        }
    }

    /// Whether it came from this file.
    #[must_use]
    pub fn is_of(&self, file: &Path) -> bool {
        self.source == Place::File(file.to_owned()).shown()
    }
}

/// Writes a key to a file that its owner alone can read, whole or not at all.
///
/// # Errors
/// The operating system's.
pub fn keep(file: &Path, key: &Key) -> io::Result<()> {
    let line = format!("{}\n", key.secret.expose_secret());
    atomic_file::write(file, line.as_bytes(), Access::Private, Durability::Synced)
}

/// What lies at a place.
#[derive(Debug)]
pub enum Lies {
    /// A key.
    Key,
    /// Nothing.
    Nothing,
    /// Something that is no key, or that others can read: a run stops there.
    Wrong(Problem),
    /// What a command would say is not known: nothing is run.
    Unknown,
}

/// Every place in the order in which it is looked at, and what lies there.
#[must_use]
pub fn looked_at(settings: &Settings, environment: &Environment) -> Vec<(String, Lies)> {
    let lies = |place: &Place| match place {
        Place::Command(_) => Lies::Unknown,
        _ => match read(place, environment).and_then(|text| text.map(|text| plain(text, &place.shown())).transpose()) {
            Ok(Some(_)) => Lies::Key,
            Ok(None) => Lies::Nothing,
            Err(problem) => Lies::Wrong(problem),
        },
    };
    places(settings, environment).iter().map(|place| (place.shown(), lies(place))).collect()
}

/// A place where a key may lie.
enum Place {
    Command(String),
    Credential(PathBuf),
    Variable,
    File(PathBuf),
}

impl Place {
    fn shown(&self) -> String {
        match self {
            Self::Command(_) => "api_key_command".to_owned(),
            Self::Credential(path) => format!("${CREDENTIALS} ({})", path.display()),
            Self::Variable => format!("the variable {VARIABLE}"),
            Self::File(path) => format!("the file {}", path.display()),
        }
    }
}

/// Finds the key; the first place that has one wins. None if no place has.
///
/// # Errors
/// A place that was set up and fails is told rather than passed over: E303 for a command or file that cannot be read or
/// holds no key, and for a file that was named in this very call and is not there; E304 for a key file that others can read.
pub fn find(settings: &Settings, environment: &Environment) -> Result<Option<Key>, Problem> {
    for place in places(settings, environment) {
        match (read(&place, environment)?, &place) {
            (Some(text), _) => {
                let source = place.shown();
                return Ok(Some(Key { secret: SecretString::from(plain(text, &source)?), source }));
            }
            (None, Place::File(path)) if is_named_now(settings) => return Err(gone(settings, path)),
            (None, _) => {}
        }
    }
    Ok(None)
}

/// Whether this very call names a key file.
fn is_named_now(settings: &Settings) -> bool {
    matches!(settings.origin("api_key_file"), Some(Origin::Flag(_) | Origin::Variable(_)))
}

/// A key file that somebody named is not there (E303).
fn gone(settings: &Settings, path: &Path) -> Problem {
    let problem = Problem::new("E303", format!("there is no key file {}", path.display()))
        .hint("batchscribe keys set  writes one there; or name the right one: api_key_file");
    match settings.origin("api_key_file") {
        Some(origin) => problem.hint(origin.told()),
        None => problem,
    }
}

/// The mistake of having no key (E303): says where it was looked for.
#[must_use]
pub fn missing(settings: &Settings, environment: &Environment) -> Problem {
    if let Some(path) = settings.api_key_file.as_deref().filter(|_| settings.is_set("api_key_file")) {
        return gone(settings, path);
    }
    let mut looked: Vec<String> = Vec::new();
    if settings.api_key_command.is_none() {
        looked.push("api_key_command (not set)".to_owned());
    }
    if environment.get(CREDENTIALS).is_none() {
        looked.push(format!("${CREDENTIALS} (not set)"));
    }
    looked.extend(places(settings, environment).iter().map(Place::shown));
    Problem::new("E303", format!("no key found for {}", settings.api_url.host()))
        .hint(format!("looked in {}", looked.join(", ")))
        .hint("or let the built-in engine read: --set provider.name=local")
}

/// Whether a key lies somewhere, without reading it and without running anything.
pub(super) fn lies_somewhere(file: Option<&Path>, environment: &Environment) -> bool {
    let is_file = |path: &Path| path.metadata().is_ok_and(|facts| facts.is_file());
    environment.get(VARIABLE).is_some()
        || credential(environment).is_some_and(|path| is_file(&path))
        || file.is_some_and(is_file)
}

fn credential(environment: &Environment) -> Option<PathBuf> {
    environment.get(CREDENTIALS).map(|folder| Path::new(folder).join(CREDENTIAL))
}

/// All places, in the order in which they are asked.
fn places(settings: &Settings, environment: &Environment) -> Vec<Place> {
    let command = settings.api_key_command.clone().map(Place::Command);
    let credential = credential(environment).map(Place::Credential);
    let file = settings.api_key_file.clone().map(Place::File);
    // A file that was named in this very call is meant, whatever else lies around.
    let named = is_named_now(settings);
    let usual = [command, credential, Some(Place::Variable)].into_iter().flatten();
    if named { file.into_iter().chain(usual).collect() } else { usual.chain(file).collect() }
}

fn read(place: &Place, environment: &Environment) -> Result<Option<String>, Problem> {
    match place {
        Place::Command(command) => run(command, LIMIT).map(Some),
        Place::Variable => Ok(environment.get(VARIABLE).map(str::to_owned)),
        // Whoever provides credentials has set their mode; 0440 is usual there.
        Place::Credential(path) => read_file(path),
        Place::File(path) => {
            private(path)?;
            read_file(path)
        }
    }
}

fn read_file(path: &Path) -> Result<Option<String>, Problem> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => {
            let problem = Problem::new("E303", format!("cannot read the key file {}", path.display()));
            Err(problem
                .detail(cause.to_string())
                .hint("it has to be a file that you alone can read (chmod 600); api_key_file names another one"))
        }
    }
}

/// Refuses a key file that group or others can read.
#[cfg(unix)]
fn private(path: &Path) -> Result<(), Problem> {
    use std::os::unix::fs::PermissionsExt as _;
    let Ok(facts) = path.metadata() else { return Ok(()) };
    // A folder is told when it is read; no mode makes a key file of it.
    if facts.is_dir() {
        return Ok(());
    }
    let mode = facts.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let path = path.display();
    Err(Problem::new("E304", format!("key file {path} can be read by others (mode {mode:04o})"))
        .hint(format!("chmod 600 {path}")))
}

#[cfg(not(unix))]
fn private(_path: &Path) -> Result<(), Problem> {
    Ok(())
}

/// First line of the command's output. Its questions reach the terminal, its output does not; where there is no terminal nobody
/// could answer them.
fn run(command: &str, limit: Duration) -> Result<String, Problem> {
    let (shell, flag) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let failed = |how: String| {
        Problem::new("E303", format!("api_key_command gave no key: {how}"))
            .hint("it has to print the key on the first line and end with status 0; try it in a terminal")
    };
    let mut asked = Command::new(shell);
    // A key that lies in the environment is none of the command's affair.
    asked.args([flag, command]).env_remove(VARIABLE).stderr(Stdio::inherit());
    let said = child::output(&mut asked, limit, MOST).map_err(|cause| failed(cause.to_string()))?;
    let Some(child::Said { status, output }) = said else {
        return Err(failed(format!("it took longer than {} s and was stopped", limit.as_secs())).hint(
            "a password manager that is locked waits for its password: unlock it first, or name a file (api_key_file)",
        ));
    };
    if !status.success() {
        return Err(failed(status.to_string()));
    }
    let text = String::from_utf8(output).map_err(|_| failed("its output is no text".to_owned()))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Without the line break that editors leave; a key is one word that fits into a header.
///
/// # Errors
/// E303 for anything else; `source` is where it came from.
pub fn plain(text: String, source: &str) -> Result<String, Problem> {
    let key = text.trim();
    if !key.is_empty() && key.chars().all(|c| c.is_ascii_graphic()) {
        return Ok(key.to_owned());
    }
    let what = if key.is_empty() { "is empty" } else { "holds spaces, line breaks or characters that no key has" };
    Err(Problem::new("E303", format!("no key found: {source} {what}")).hint("put the key there, alone on one line"))
}

/// What requests to a server of ours have to carry, from a file that nobody else can read.
///
/// # Errors
/// E303 for a file that is missing or holds no single word, E304 for one that others can read.
pub fn token(path: &Path) -> Result<String, Problem> {
    private(path)?;
    let source = format!("the file {}", path.display());
    let missing = || {
        Problem::new("E303", format!("there is no token: {source} is missing"))
            .hint("write one there: 32 random characters or more, as from  openssl rand -hex 32")
    };
    plain(read_file(path)?.ok_or_else(missing)?, &source)
}

#[cfg(test)]
mod tests {
    use super::super::{Flag, Sources, resolve};
    use super::*;

    fn write(path: &Path, text: &str) {
        atomic_file::write(path, text.as_bytes(), Access::Private, Durability::Derived).expect("key file");
    }

    fn settings(folder: &Path, environment: &Environment, flags: &[(&str, &str)]) -> Settings {
        let flag = |(key, value): &(&str, &str)| Flag {
            flag: "--set".to_owned(),
            key: (*key).to_owned(),
            value: (*value).to_owned(),
        };
        let sources = Sources {
            workspace: folder.to_owned(),
            current_dir: folder.to_owned(),
            config: None,
            no_config: false,
            flags: flags.iter().map(flag).collect(),
            environment: environment.clone(),
        };
        resolve(&sources).map_err(|problems| format!("{problems:?}")).expect("settings").settings
    }

    fn found(folder: &Path, environment: &Environment, flags: &[(&str, &str)]) -> Option<(String, String)> {
        let key = find(&settings(folder, environment, flags), environment).expect("no mistake")?;
        Some((key.secret.expose_secret().to_owned(), key.source))
    }

    #[test]
    fn the_order_of_places() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path();
        let nothing = Environment::default();
        assert_eq!(found(path, &nothing, &[]), None);
        write(&path.join("api_key.txt"), "from-file\n");
        let file = format!("the file {}", path.join("api_key.txt").display());
        assert_eq!(found(path, &nothing, &[]), Some(("from-file".into(), file.clone())));
        let variable = Environment::from([(VARIABLE, "from-variable")]);
        assert_eq!(found(path, &variable, &[]), Some(("from-variable".into(), format!("the variable {VARIABLE}"))));
        let named = found(path, &variable, &[("api_key_file", "api_key.txt")]);
        assert_eq!(named, Some(("from-file".into(), file)));
        write(&path.join("openai_key"), "from-systemd");
        let shown = path.display().to_string();
        let systemd = Environment::from([(VARIABLE, "from-variable"), (CREDENTIALS, shown.as_str())]);
        assert_eq!(found(path, &systemd, &[]).map(|found| found.0), Some("from-systemd".into()));
    }

    #[cfg(unix)]
    #[test]
    fn a_command_is_asked_first_and_its_failure_is_told() {
        let folder = tempfile::tempdir().expect("temp dir");
        let environment = Environment::from([(VARIABLE, "from-variable")]);
        let command = [("api_key_command", "printf 'from-command\\nmore\\n'")];
        assert_eq!(found(folder.path(), &environment, &command).map(|f| f.0), Some("from-command".into()));
        let broken = settings(folder.path(), &environment, &[("api_key_command", "exit 3")]);
        let problem = find(&broken, &environment).expect_err("exit 3");
        assert_eq!(problem.sentence, "api_key_command gave no key: exit status: 3");
    }

    #[cfg(unix)]
    #[test]
    fn a_command_that_never_ends_is_told() {
        let problem = run("sleep 600", Duration::from_millis(50)).expect_err("too long");
        assert_eq!((problem.code, problem.hints.len()), ("E303", 2));
        assert_eq!(problem.sentence, "api_key_command gave no key: it took longer than 0 s and was stopped");
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("api_key.txt");
        write(&path, "secret-key");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("mode");
        let environment = Environment::default();
        let problem = find(&settings(folder.path(), &environment, &[]), &environment).expect_err("0644");
        let shown = path.display();
        let expected =
            format!("error[E304]: key file {shown} can be read by others (mode 0644)\nhint: chmod 600 {shown}");
        assert_eq!(problem.to_string(), expected);
    }

    #[test]
    fn what_is_no_key_is_not_sent() {
        for (text, good) in [("sk-abc\r\n", true), ("", false), ("\n", false), ("two words", false), ("clé", false)] {
            assert_eq!(plain(text.to_owned(), "the file x").is_ok(), good, "{text:?}");
        }
    }

    #[test]
    fn a_missing_key_says_where_it_was_looked_for() {
        let folder = tempfile::tempdir().expect("temp dir");
        let environment = Environment::default();
        let settings = settings(folder.path(), &environment, &[("provider.name", "openai")]);
        let expected = format!(
            "error[E303]: no key found for api.openai.com\nhint: looked in api_key_command (not set), \
             $CREDENTIALS_DIRECTORY (not set), the variable OPENAI_API_KEY, the file {}\n      or let the built-in engine \
             read: --set provider.name=local",
            folder.path().join("api_key.txt").display()
        );
        assert_eq!(missing(&settings, &environment).to_string(), expected);
    }

    #[test]
    fn a_key_file_that_is_named_and_missing_is_told_and_not_passed_over() {
        let folder = tempfile::tempdir().expect("temp dir");
        let file = folder.path().join("mine.txt");
        let nothing = Environment::default();
        let variable = Environment::from([(VARIABLE, "from-variable")]);
        let told = |settings: &Settings, environment: &Environment| match find(settings, environment) {
            Ok(None) => missing(settings, environment).to_string(),
            Ok(Some(key)) => key.source,
            Err(problem) => problem.to_string(),
        };
        let expected = |origin: &str| {
            format!(
                "error[E303]: there is no key file {}\nhint: batchscribe keys set  writes one there; or name the right \
                 one: api_key_file\n      set in {origin}",
                file.display()
            )
        };
        // In this very call: whatever else lies around is not meant.
        let named = settings(folder.path(), &variable, &[("api_key_file", "mine.txt")]);
        assert_eq!(told(&named, &variable), expected("--set"));
        // In a file: a place before it counts, and nothing else does.
        write(&folder.path().join("batchscribe.toml"), "api_key_file = \"mine.txt\"\n");
        let lasting = settings(folder.path(), &variable, &[]);
        assert_eq!(told(&lasting, &variable), format!("the variable {VARIABLE}"));
        let lasting = settings(folder.path(), &nothing, &[]);
        assert_eq!(lasting.provider.name, super::super::ProviderKind::OpenAi, "the built-in engine is not meant");
        assert_eq!(told(&lasting, &nothing), expected("batchscribe.toml:1"));
        write(&file, "from-file");
        assert_eq!(told(&lasting, &nothing), format!("the file {}", file.display()));
    }

    #[test]
    fn only_long_keys_show_their_end() {
        let key = |text: &str| Key { secret: SecretString::from(text.to_owned()), source: String::new() };
        assert_eq!(key("sk-0123456789abcdef7Qx2").ending(), ", ends …7Qx2");
        assert_eq!(key("short").ending(), "");
    }

    #[test]
    fn a_key_is_redacted() {
        let key = Key { secret: SecretString::from("sk-secret"), source: "here".to_owned() };
        assert!(!format!("{key:?}").contains("sk-secret"));
    }
}
