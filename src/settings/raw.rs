//! What was written where: files, variables and flags, each value with its place.

use std::fmt;

use toml::de::{DeTable, DeValue};

use super::environment::Environment;
use super::limits::{self, Key};
use super::problem::Problem;
use super::value::{Value, Written};

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The compiled-in `default.toml`.
    Default,
    /// A provider's profile.
    Profile(&'static str),
    /// A file and the line in it, from 1.
    File {
        /// Name for people.
        name: String,
        /// Line.
        line: usize,
    },
    /// A variable.
    Variable(String),
    /// A flag.
    Flag(String),
}

impl Origin {
    /// Where it was set, as a hint says it. What stands on the command line without a flag has no name that people know.
    #[must_use]
    pub fn told(&self) -> String {
        match self {
            Self::Flag(name) if !name.starts_with('-') => "named on the command line".to_owned(),
            origin => format!("set in {origin}"),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Profile(name) => write!(f, "profile {name}"),
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Variable(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// One value in its place.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: &'static Key,
    pub(super) value: Value,
    pub(super) shown: String,
    pub(super) origin: Origin,
}

/// What a layer gave: values and mistakes, in the order of reading.
#[derive(Debug, Default)]
pub(super) struct Layer {
    pub(super) entries: Vec<Entry>,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<String>,
    /// Keys whose value was wrong: nothing more is concluded from them.
    pub(super) wrong: Vec<&'static str>,
}

impl Layer {
    /// Takes one value of a known key, or notes why it is none.
    pub(super) fn take(&mut self, key: &'static Key, written: Written<'_>, origin: Origin) {
        let shown = written.shown(key.kind);
        if let Some(value) = written.read(key.kind) {
            self.entries.push(Entry { key, value, shown, origin });
            return;
        }
        let sentence = format!("`{}` is {shown}; allowed: {}", key.path, key.kind.allowed());
        let mut problem = Problem::new("E102", sentence);
        if let Some(near) = key.kind.meant(shown.trim_matches('"')) {
            problem = problem.hint(format!("did you mean `{near}`?"));
        }
        self.problems.push(problem.hint(origin.told()));
        self.wrong.push(key.path);
    }

    fn unknown(&mut self, path: &str, place: &str) {
        let shown = crate::domain::image::shown(path.as_bytes());
        let problem = Problem::new("E101", format!("unknown setting `{shown}` in {place}"));
        self.problems.push(match limits::nearest(path) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.hint("batchscribe config show  lists every setting"),
        });
    }
}

/// A settings file. `name` is what messages call it.
pub(super) fn file(name: &str, text: &str, origin: impl Fn(usize) -> Origin) -> Layer {
    let mut layer = Layer::default();
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let (line, column) = place(text, error.span().map_or(0, |span| span.start));
        let key = key_in_line(text, line).map(|key| format!(", at `{key}`")).unwrap_or_default();
        let sentence = format!("{name}:{line}:{column} is not TOML{key}: {}", one_line(error.message()));
        layer.problems.push(Problem::new("E101", sentence).hint("a line is written  key = \"text\"  or  key = 12"));
    }
    // What a broken file seems to say is not trusted.
    if !errors.is_empty() {
        return layer;
    }
    for (key, value) in table.get_ref() {
        let (line, _) = place(text, key.span().start);
        let section = key.get_ref();
        match value.get_ref() {
            DeValue::Table(inner) if limits::find(section).is_none() => {
                for (key, value) in inner {
                    let (line, _) = place(text, key.span().start);
                    let path = format!("{section}.{}", key.get_ref());
                    group(&mut layer, &path, value.get_ref(), text, name, line, &origin);
                }
                if inner.is_empty() && !limits::KEYS.iter().any(|key| key.path.starts_with(&format!("{section}."))) {
                    layer.unknown(section, &format!("{name}, line {line}"));
                }
            }
            value => entry(&mut layer, section, value, name, line, &origin),
        }
    }
    layer
}

/// What stands before `=` in a line, if it is a key; what stands behind it may be secret and is not shown.
fn key_in_line(text: &str, line: usize) -> Option<&str> {
    let (key, _) = text.lines().nth(line.checked_sub(1)?)?.split_once('=')?;
    let key = key.trim();
    let is_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    (!key.is_empty() && key.chars().all(is_key)).then_some(key)
}

/// A value of a section, or a group of values such as `loop = { copies = 6 }`.
fn group(
    layer: &mut Layer,
    path: &str,
    value: &DeValue<'_>,
    text: &str,
    name: &str,
    line: usize,
    origin: &impl Fn(usize) -> Origin,
) {
    let is_group =
        || limits::KEYS.iter().any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')));
    match value {
        DeValue::Table(inner) if is_group() => {
            for (key, value) in inner {
                let (line, _) = place(text, key.span().start);
                entry(layer, &format!("{path}.{}", key.get_ref()), value.get_ref(), name, line, origin);
            }
        }
        value => entry(layer, path, value, name, line, origin),
    }
}

fn entry(
    layer: &mut Layer,
    path: &str,
    value: &DeValue<'_>,
    name: &str,
    line: usize,
    origin: impl Fn(usize) -> Origin,
) {
    match limits::find(path) {
        Some(key) => layer.take(key, Written::Toml(value), origin(line)),
        None => layer.unknown(path, &format!("{name}, line {line}")),
    }
}

/// Line and column of a byte, both from 1.
pub(super) fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

pub(super) fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Our variables.
pub(super) fn variables(environment: &Environment) -> Layer {
    // An order of the crash tests, never a setting.
    const NO_SETTING: &str = "BATCHSCRIBE_CRASH";
    let mut layer = Layer::default();
    for (name, value) in environment.ours().filter(|(name, _)| *name != NO_SETTING) {
        match limits::KEYS.iter().find(|key| limits::variable(key.path) == name) {
            Some(key) => layer.take(key, Written::Text(value), Origin::Variable(name.to_owned())),
            None => layer.warnings.push(unknown_variable(name)),
        }
    }
    layer
}

fn unknown_variable(name: &str) -> String {
    let shown = crate::domain::image::shown(name.as_bytes());
    let near = limits::KEYS.iter().map(|key| limits::variable(key.path));
    let near = near.min_by_key(|variable| strsim::damerau_levenshtein(variable, name));
    match near.filter(|variable| strsim::damerau_levenshtein(variable, name) <= 3) {
        Some(variable) => format!("the variable {shown} is no setting and is ignored; did you mean {variable}?"),
        None => format!("the variable {shown} is no setting and is ignored"),
    }
}

/// A value given on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// As the user typed it, such as `--limit` or `--set`.
    pub flag: String,
    /// Path of the key.
    pub key: String,
    /// The value as text.
    pub value: String,
}

/// The flags, in the order of the command line; the last one wins.
pub(super) fn flags(flags: &[Flag]) -> Layer {
    let mut layer = Layer::default();
    for Flag { flag, key, value } in flags {
        match limits::find(key) {
            Some(key) => layer.take(key, Written::Text(value), Origin::Flag(flag.clone())),
            None => layer.unknown(key, flag),
        }
    }
    layer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Layer {
        file("batchscribe.toml", text, |line| Origin::File { name: "batchscribe.toml".to_owned(), line })
    }

    fn messages(layer: &Layer) -> Vec<String> {
        layer.problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn values_know_their_lines() {
        let layer = read("image_dir = \"in\"\n\n[request]\nmodel = \"m\"\ndetail = \"low\"\n[shard]\nmax_bodies = 2\n");
        let mut seen: Vec<_> = layer.entries.iter().map(|e| (e.key.path, e.origin.to_string())).collect();
        seen.sort_unstable();
        let expected = [
            ("image_dir", "batchscribe.toml:1"),
            ("request.detail", "batchscribe.toml:5"),
            ("request.model", "batchscribe.toml:4"),
            ("shard.max_bodies", "batchscribe.toml:7"),
        ];
        assert_eq!(seen, expected.map(|(path, origin)| (path, origin.to_owned())));
        assert!(layer.problems.is_empty());
    }

    #[test]
    fn all_mistakes_at_once() {
        let layer = read(
            "image_dri = \"in\"\nmax_images_per_batch = 0\n[request]\ndetail = \"hgh\"\n[batch]\npoll_interval = 60\n",
        );
        let expected = [
            "error[E101]: unknown setting `image_dri` in batchscribe.toml, line 1\nhint: did you mean `image_dir`?",
            "error[E102]: `batch.poll_interval` is 60; allowed: 50ms to 1h, such as \"60s\"\nhint: set in batchscribe.toml:6",
            "error[E102]: `max_images_per_batch` is 0; allowed: 1 to 50000\nhint: set in batchscribe.toml:2",
            "error[E102]: `request.detail` is \"hgh\"; allowed: low, high, original, auto\nhint: did you mean `high`?\n      set in batchscribe.toml:4",
        ];
        let mut messages = messages(&layer);
        messages.sort_unstable();
        assert_eq!(messages, expected);
    }

    #[test]
    fn broken_toml_is_named_by_line_and_column() {
        let layer = read("image_dir = \"in\"\nprompt_file = \n");
        let messages = messages(&layer);
        assert_eq!(messages.len(), 1, "{messages:?}");
        assert!(messages[0].starts_with("error[E101]: batchscribe.toml:2:1"), "{}", messages[0]);
        assert!(layer.entries.is_empty());
    }

    #[test]
    fn a_section_in_the_wrong_place() {
        let layer = read("request = 3\n[nonsense]\n[image_dir]\nx = 1\n");
        let mut messages = messages(&layer);
        messages.sort_unstable();
        assert_eq!(messages.len(), 3, "{messages:?}");
        assert!(messages[0].contains("`nonsense`"), "{}", messages[0]);
    }

    #[test]
    fn unknown_variables_warn_and_unknown_flags_do_not_pass() {
        let environment = Environment::from([
            ("BATCHSCRIBE_SERVICE_HOST", "10.0.0.1"),
            ("BATCHSCRIBE_REQUEST_MODLE", "m"),
            ("BATCHSCRIBE_CRASH", "x:1"),
        ]);
        let expected = [
            "the variable BATCHSCRIBE_REQUEST_MODLE is no setting and is ignored; did you mean BATCHSCRIBE_REQUEST_MODEL?",
            "the variable BATCHSCRIBE_SERVICE_HOST is no setting and is ignored",
        ];
        assert_eq!(variables(&environment).warnings, expected);
        let typed = Flag { flag: "--set".into(), key: "request.modle".into(), value: "m".into() };
        let expected = "error[E101]: unknown setting `request.modle` in --set\nhint: did you mean `request.model`?";
        assert_eq!(messages(&flags(&[typed])), [expected]);
    }
}
