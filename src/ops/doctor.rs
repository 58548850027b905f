//! What is missing on this computer, in plain words. Sends nothing unless asked to.

use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::kit::atomic_file::{Access, Draft};
use crate::ops::keys::{Said, check};
use crate::ops::plan::{self, Ask};
use crate::settings::keys::{self, Key};
use crate::settings::units::show_bytes;
use crate::settings::{Engine, Environment, Problem, ProviderKind, Settings, texts};

/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Below this a run may fill the disk with results.
const LITTLE: u64 = 1_000_000_000;
/// Below this nothing can be begun: ledger, journal and a first batch of answers need as much.
#[cfg(unix)]
const LEAST: u64 = 20_000_000;

/// How one thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Good.
    Good,
    /// Works, but should be known.
    Odd,
    /// Has to be put right first.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// What.
    pub name: &'static str,
    /// How it stands.
    pub state: State,
    /// In words.
    pub words: String,
}

fn look(name: &'static str, state: State, words: impl Into<String>) -> Look {
    Look { name, state, words: words.into() }
}

/// Looks at everything; `online` lets the provider list its batches with the key, which costs nothing, or opens one connection
/// and sends nothing over it where there is no key.
#[must_use]
pub fn examine(settings: &Settings, environment: &Environment, online: bool) -> Vec<Look> {
    let mut looks = vec![workspace(settings), disk(&settings.workspace), images(settings), prompt(settings)];
    looks.extend(no_place_for_texts(settings));
    looks.extend(file_system(&settings.workspace));
    looks.push(provider(settings));
    let found = keys::find(settings, environment);
    looks.push(key(settings, environment, &found));
    if online {
        looks.push(connection(settings, environment, found.ok().flatten().as_ref()));
    }
    looks
}

fn workspace(settings: &Settings) -> Look {
    const NAME: &str = "workspace";
    let path = settings.workspace.display();
    // The draft vanishes again with its drop.
    match Draft::create(&settings.workspace, Access::Private) {
        Ok(_) => look(NAME, State::Good, format!("{path} can be written")),
        Err(cause) => {
            look(NAME, State::Bad, format!("{path} cannot be written ({cause}); name another with --workspace"))
        }
    }
}

fn images(settings: &Settings) -> Look {
    const NAME: &str = "images";
    let path = settings.image_dir.display();
    if let Err(cause) = std::fs::read_dir(&settings.image_dir) {
        return look(NAME, State::Bad, format!("{path} cannot be read ({cause}); check image_dir"));
    }
    match has_images(settings) {
        Some(false) => {
            look(NAME, State::Odd, format!("none under {path} yet; put some there, or name their folder: image_dir"))
        }
        _ => look(NAME, State::Good, format!("{path} can be read")),
    }
}

/// Whether there is an image to read; `None` where the folder cannot be listed, or a mistake that is told elsewhere is in the
/// way.
fn has_images(settings: &Settings) -> Option<bool> {
    let prompt = texts::prompt(settings).ok()?;
    let recipe = texts::recipe(settings, &prompt.text).ok()?;
    // Nothing is priced here.
    let ask = Ask { settings, root: &settings.image_dir, recipe: &recipe, today: "" };
    plan::without_images(&ask).ok().map(|others| others.is_none())
}

/// Whether texts cannot be written where they belong; where they can, there is nothing to tell.
fn no_place_for_texts(settings: &Settings) -> Option<Look> {
    let prompt = texts::prompt(settings).ok()?;
    let recipe = texts::recipe(settings, &prompt.text).ok()?;
    // Nothing is priced here.
    let ask = Ask { settings, root: &settings.image_dir, recipe: &recipe, today: "" };
    let no_place = plan::no_place(&ask, None).ok()??;
    let words = format!("cannot be written to {} ({})", no_place.folder.display(), no_place.why());
    Some(look("texts", State::Bad, format!("{words}; text.out_dir names another folder for them (E405)")))
}

fn prompt(settings: &Settings) -> Look {
    const NAME: &str = "prompt";
    match (texts::prompt(settings), &settings.prompt_file) {
        (Ok(prompt), Some(path)) if !prompt.built_in => {
            let characters = prompt.text.chars().count();
            look(NAME, State::Good, format!("{}, {characters} characters", path.display()))
        }
        (Ok(_), _) => look(NAME, State::Good, "the built-in one; batchscribe init  writes it down to be edited"),
        (Err(problem), _) => look(NAME, State::Bad, problem.sentence),
    }
}

fn provider(settings: &Settings) -> Look {
    const NAME: &str = "provider";
    let model = &settings.request.model;
    match (settings.provider.name, &settings.provider.engine) {
        (ProviderKind::OpenAi, _) => {
            look(NAME, State::Good, format!("{model} at {}; images are sent there", settings.api_url.host()))
        }
        (ProviderKind::Local, Engine::Ocr) if !cfg!(feature = "ocr") => {
            look(NAME, State::Bad, "this build has no engine of its own; set provider.engine to the URL of a server")
        }
        (ProviderKind::Local, Engine::Ocr) => look(
            NAME,
            State::Good,
            format!("the built-in engine ({model}), on this computer, for clear print and type"),
        ),
        (ProviderKind::Local, Engine::Echo) => look(NAME, State::Odd, "the echo engine: its texts are made up"),
        // Not the whole address: what is told here is handed on in bug reports.
        (ProviderKind::Local, engine @ Engine::Url(_)) => match engine.elsewhere() {
            Some(host) => look(NAME, State::Good, format!("{model} at {host}; images are sent there")),
            None => look(NAME, State::Good, format!("{model} at a server on this computer")),
        },
    }
}

fn key(settings: &Settings, environment: &Environment, found: &Result<Option<Key>, Problem>) -> Look {
    const NAME: &str = "key";
    let local = settings.provider.name == ProviderKind::Local;
    match found {
        Ok(Some(key)) => look(NAME, State::Good, format!("set ({}{})", key.source, key.ending())),
        Ok(None) if local => look(NAME, State::Good, "none, and none is needed for the built-in engine"),
        Ok(None) if settings.api_url.is_loopback() => {
            look(NAME, State::Odd, "none; the server on this computer may want one")
        }
        Ok(None) => {
            let problem = keys::missing(settings, environment);
            look(NAME, State::Bad, format!("{}; {}", problem.sentence, problem.hints.join("; ")))
        }
        Err(problem) => {
            let state = if local { State::Odd } else { State::Bad };
            look(NAME, state, format!("{}; {}", problem.sentence, problem.hints.join("; ")))
        }
    }
}

const CONNECTION: &str = "connection";

fn connection(settings: &Settings, environment: &Environment, key: Option<&Key>) -> Look {
    const NAME: &str = CONNECTION;
    let Some(host) = settings.receiver() else { return look(NAME, State::Good, "none is needed") };
    let is_service = settings.provider.name == ProviderKind::OpenAi;
    // The key is the service's affair, not that of a server that reads for the built-in provider.
    let key = key.filter(|_| is_service);
    match key.map(|key| check(settings, key)) {
        Some(Ok(Said::Taken)) => return look(NAME, State::Good, format!("{host} takes the key, and lists batches")),
        Some(Ok(Said::Refused(problem)) | Err(problem)) => return refused(&problem),
        // Whether it is there at all is to be seen without a key, too.
        Some(Ok(Said::Nothing(_))) | None => {}
    }
    let proxy = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"].into_iter().find_map(|name| environment.get(name));
    if proxy.is_some() && !(is_service && settings.api_url.is_loopback()) {
        return look(
            NAME,
            State::Odd,
            format!("a proxy is set; whether {host} is reached behind it shows with the first request"),
        );
    }
    // A server elsewhere is spoken to by https alone.
    let is_encrypted = !is_service || settings.api_url.as_str().starts_with("https://");
    match connect(host, if is_encrypted { 443 } else { 80 }) {
        Ok(()) if key.is_some() => look(NAME, State::Odd, format!("{host} answers, but says nothing of the key yet")),
        Ok(()) => look(NAME, State::Good, format!("{host} answers")),
        Err(cause) => look(NAME, State::Bad, format!("{host} cannot be reached ({cause})")),
    }
}

/// A key that lies there and is not taken leaves a run with nothing to do; a server that stumbles may be well in a minute.
fn refused(problem: &Problem) -> Look {
    let Problem { code, sentence, hints, .. } = problem;
    let state = if matches!(*code, "E301" | "E302" | "E305") { State::Bad } else { State::Odd };
    look(CONNECTION, state, format!("{sentence} ({code}); {}", hints.join("; ")))
}

fn connect(host: &str, default_port: u16) -> std::io::Result<()> {
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let address = if has_port { host.to_owned() } else { format!("{host}:{default_port}") };
    let mut last = std::io::Error::other("the name is not known");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(_) => return Ok(()),
            Err(cause) => last = cause,
        }
    }
    Err(last)
}

/// How much room that is: with less than the least, not even the ledger can grow.
#[cfg(unix)]
fn room(free: u64) -> State {
    match free {
        0..LEAST => State::Bad,
        LEAST..LITTLE => State::Odd,
        _ => State::Good,
    }
}

#[cfg(unix)]
fn disk(folder: &Path) -> Look {
    const NAME: &str = "disk";
    match rustix::fs::statvfs(near(folder)) {
        Ok(facts) => {
            let free = facts.f_bavail.saturating_mul(facts.f_frsize);
            look(NAME, room(free), format!("{} free", show_bytes(free)))
        }
        Err(cause) => look(NAME, State::Odd, format!("free space is unknown ({cause})")),
    }
}

#[cfg(not(unix))]
fn disk(_folder: &Path) -> Look {
    look("disk", State::Good, "free space is not looked at on this system")
}

/// The nearest folder that is there: a workspace may still have to be made.
fn near(folder: &Path) -> PathBuf {
    folder.ancestors().find(|folder| folder.metadata().is_ok()).unwrap_or(folder).to_owned()
}

/// File systems by their number; source: statfs(2) and the kernel's magic.h.
#[cfg(target_os = "linux")]
const FILE_SYSTEMS: [(u64, &str, bool); 13] = [
    (0xEF53, "ext4", false),
    (0x9123_683E, "btrfs", false),
    (0x5846_5342, "xfs", false),
    (0x2FC1_2FC1, "zfs", false),
    (0x0102_1994, "tmpfs", false),
    (0x794C_7630, "overlay", false),
    (0x4D44, "FAT", true),
    (0x2011_BAB0, "exFAT", true),
    (0x6969, "NFS", true),
    (0xFF53_4D42, "SMB", true),
    (0xFE53_4D42, "SMB", true),
    (0x0102_1997, "9p", true),
    (0x6573_5546, "FUSE", true),
];

#[cfg(target_os = "linux")]
fn file_system(folder: &Path) -> Option<Look> {
    let facts = rustix::fs::statfs(near(folder)).ok()?;
    let number = u64::try_from(facts.f_type).ok()?;
    let (_, name, weak) = FILE_SYSTEMS.into_iter().find(|(known, ..)| *known == number)?;
    let (state, words) = if weak {
        let advice = "keep the workspace on a local disk and point image_dir at this drive";
        (State::Odd, format!("{name}: locks and renames are weaker here; {advice}"))
    } else {
        (State::Good, name.to_owned())
    };
    Some(look("file system", state, words))
}

#[cfg(not(target_os = "linux"))]
fn file_system(_folder: &Path) -> Option<Look> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Sources, resolve};

    fn settings(folder: &Path) -> Settings {
        let sources = Sources {
            workspace: folder.to_owned(),
            current_dir: folder.to_owned(),
            config: None,
            no_config: true,
            flags: Vec::new(),
            environment: Environment::default(),
        };
        resolve(&sources).map_err(|problems| format!("{problems:?}")).expect("settings").settings
    }

    #[test]
    fn an_empty_folder_without_a_key_is_fine() {
        let folder = tempfile::tempdir().expect("temp dir");
        let looks = examine(&settings(folder.path()), &Environment::default(), false);
        let bad: Vec<_> = looks.iter().filter(|look| look.state == State::Bad).collect();
        assert!(bad.is_empty() || !cfg!(feature = "ocr"), "{bad:?}");
        assert_eq!(std::fs::read_dir(folder.path()).expect("list").count(), 0, "doctor leaves nothing behind");
    }

    #[cfg(unix)]
    #[test]
    fn a_full_disk_is_bad() {
        let states = [0, LEAST - 1, LEAST, LITTLE - 1, LITTLE].map(room);
        assert_eq!(states, [State::Bad, State::Bad, State::Odd, State::Odd, State::Good]);
    }

    #[test]
    fn a_missing_image_folder_is_bad() {
        let folder = tempfile::tempdir().expect("temp dir");
        let mut settings = settings(folder.path());
        settings.image_dir = folder.path().join("nowhere");
        assert_eq!(images(&settings).state, State::Bad);
    }
}
