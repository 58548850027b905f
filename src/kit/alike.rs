//! What a drive takes for one name: it may ignore upper and lower case, or the form in which a letter with a mark is written.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::path::Path;

use fs_err as fs;

use super::atomic_file::{Access, Draft, Durability, TEMPORARY_PREFIX, TEMPORARY_SUFFIX};
use super::random;

/// A letter with its mark, as one sign and as two.
const FORMS: [&str; 2] = ["\u{e9}", "e\u{301}"];

/// Differences between names that a drive does not see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Alike {
    /// Upper and lower case.
    pub case: bool,
    /// Unicode forms.
    pub form: bool,
}

impl Alike {
    /// What a drive may fail to see, whichever it is.
    pub const ANY: Self = Self { case: true, form: true };

    /// Asks the drive of `folder` by a file that is gone again at the end; a folder that is not there is made for it, and goes with it.
    ///
    /// # Errors
    /// The operating system's, with the path.
    pub fn of_drive(folder: &Path) -> io::Result<Self> {
        let made = missing(folder)?;
        let told = fs::create_dir_all(folder).and_then(|()| ask(folder));
        // Also where only some of them came about.
        for folder in made {
            // Somebody may have put something there meanwhile.
            drop(std::fs::remove_dir(folder));
        }
        told
    }
}

/// The folder and those above it that are not there, the deepest first.
fn missing(folder: &Path) -> io::Result<Vec<&Path>> {
    let mut missing = Vec::new();
    for folder in folder.ancestors().filter(|folder| !folder.as_os_str().is_empty()) {
        if is_there(folder)? {
            break;
        }
        missing.push(folder);
    }
    Ok(missing)
}

fn ask(folder: &Path) -> io::Result<Alike> {
    let stem = format!("{TEMPORARY_PREFIX}{}", random::letters(8)?);
    let name = |stem: &str, form: &str| OsString::from(format!("{stem}{form}{TEMPORARY_SUFFIX}"));
    let path = folder.join(name(&stem, FORMS[0]));
    Draft::create(folder, Access::Private)?.publish_new(&path, Durability::Derived)?;
    let upper = is_there(&folder.join(name(&stem.to_uppercase(), FORMS[0])));
    let other = is_there(&folder.join(name(&stem, FORMS[1])));
    fs::remove_file(&path)?;
    Ok(Alike { case: upper? || pretended("case"), form: other? || pretended("form") })
}

/// Whether a test wants the drive to be one that few computers of tests have; never in a release build.
#[cfg(debug_assertions)]
#[expect(clippy::disallowed_methods, reason = "an order of a test, never a setting")]
fn pretended(what: &str) -> bool {
    std::env::var("BATCHSCRIBE_ALIKE").is_ok_and(|alike| alike == what)
}

#[cfg(not(debug_assertions))]
fn pretended(_what: &str) -> bool {
    false
}

fn is_there(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(false),
        facts => facts.map(|_| true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> usize {
        std::fs::read_dir(folder).expect("a folder").count()
    }

    #[test]
    fn a_drive_is_asked_and_nothing_stays_behind() {
        let place = tempfile::tempdir().expect("temp dir");
        let told = Alike::of_drive(place.path()).expect("told");
        if cfg!(target_os = "linux") {
            assert_eq!(told, Alike::default(), "a usual drive tells all names apart");
        }
        assert_eq!(Alike::of_drive(&place.path().join("texts/of/letters")).expect("told"), told);
        assert_eq!(names(place.path()), 0);
        std::fs::create_dir_all(place.path().join("texts/mine")).expect("a folder");
        assert_eq!(Alike::of_drive(&place.path().join("texts/ours")).expect("told"), told);
        assert_eq!(names(&place.path().join("texts")), 1, "what was there before stays");
        // The first of the folders can be made, and the second one cannot.
        let too_long = "x".repeat(300);
        Alike::of_drive(&place.path().join("half").join(too_long)).expect_err("no drive takes such a name");
        assert_eq!(names(place.path()), 1, "the first one is gone again");
    }
}
