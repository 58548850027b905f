//! The environment, read once: the only place of the program that looks at variables.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Prefix of our own variables.
pub(super) const PREFIX: &str = "BATCHSCRIBE_";

/// A copy of the process's variables. It may hold a key: no `Debug`.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The variables of this process; names or values that are not UTF-8 are none of ours.
    #[must_use]
    pub fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(text).collect())
    }

    /// The value of a variable that is set and not empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Our own variables, in the order of their names; empty ones included, because `""` is a value of many keys.
    pub fn ours(&self) -> impl Iterator<Item = (&str, &str)> {
        let own = self.0.iter().filter(|(name, _)| name.starts_with(PREFIX));
        own.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Folder of the user's own settings, as the platform places it.
    #[must_use]
    pub fn user_folder(&self) -> Option<PathBuf> {
        let home = || self.get("HOME").map(PathBuf::from);
        let base = if cfg!(windows) {
            self.get("APPDATA").map(PathBuf::from)
        } else if cfg!(target_os = "macos") {
            home().map(|home| home.join("Library/Application Support"))
        } else {
            self.get("XDG_CONFIG_HOME").map(PathBuf::from).or_else(|| home().map(|home| home.join(".config")))
        };
        base.map(|base| base.join("batchscribe"))
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_counts_as_unset_and_ours_are_told_apart() {
        let environment =
            Environment::from([("OPENAI_API_KEY", ""), ("BATCHSCRIBE_IMAGE_DIR", "in"), ("PATH", "/bin")]);
        assert_eq!(environment.get("OPENAI_API_KEY"), None);
        assert_eq!(environment.ours().collect::<Vec<_>>(), [("BATCHSCRIBE_IMAGE_DIR", "in")]);
    }
}
