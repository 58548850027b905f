//! Paths as bytes, whatever the system calls text.
//!
//! On Unix a name is bytes and passes through unchanged. Elsewhere names are UTF-16; what is no text there becomes `U+FFFD`
//! and then names no file, so such an image is reported as missing instead of being mistaken for another one.

use std::ffi::OsStr;
use std::path::PathBuf;

use crate::domain::image::RelPath;

/// A path of the system from our bytes.
#[cfg(unix)]
#[must_use]
pub fn to_path(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    PathBuf::from(OsStr::from_bytes(bytes))
}

/// A path of the system from our bytes.
#[cfg(not(unix))]
#[must_use]
pub fn to_path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}

/// Our bytes from a name of the system.
#[cfg(unix)]
#[must_use]
pub fn from_name(name: &OsStr) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt as _;
    name.as_bytes().to_vec()
}

/// Our bytes from a name of the system.
#[cfg(not(unix))]
#[must_use]
pub fn from_name(name: &OsStr) -> Vec<u8> {
    name.to_string_lossy().into_owned().into_bytes()
}

/// The parts of a path below the root, `None` if one of them would leave it: a ledger may be foreign or damaged.
#[must_use]
pub fn parts(path: &RelPath) -> Option<Vec<&[u8]>> {
    let mut parts = folder_parts(&path.folder)?;
    parts.push(&path.name);
    (!climbs(&path.name)).then_some(parts)
}

/// The parts of a folder below the root, none for the root itself; `None` if one of them would leave it.
#[must_use]
pub fn folder_parts(folder: &[u8]) -> Option<Vec<&[u8]>> {
    if folder.is_empty() {
        return Some(Vec::new());
    }
    let parts: Vec<&[u8]> = folder.split(|byte| *byte == b'/').collect();
    (!parts.iter().any(|part| climbs(part))).then_some(parts)
}

fn climbs(part: &[u8]) -> bool {
    matches!(part, b"" | b"." | b"..") || part.contains(&0) || part.contains(&b'/')
}

/// A word as a shell reads it.
#[must_use]
pub fn of_shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/.-_+@:,=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_below_the_root_have_parts() {
        let path = |folder: &str, name: &str| RelPath { folder: folder.into(), name: name.into(), page: 1 };
        assert_eq!(parts(&path("", "a.jpg")), Some(vec![&b"a.jpg"[..]]));
        assert_eq!(parts(&path("x/y", "a.jpg")).map(|parts| parts.len()), Some(3));
        for (folder, name) in [
            ("..", "a"),
            ("x/../..", "a"),
            ("/etc", "a"),
            ("x//y", "a"),
            ("x", ".."),
            ("x", ""),
            ("x", "a/b"),
            ("x", "a\0"),
        ] {
            assert_eq!(parts(&path(folder, name)), None, "{folder} {name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_no_text_come_back_unchanged() {
        let odd = b"\xff\xfe \n|.jpg";
        assert_eq!(from_name(to_path(odd).as_os_str()), odd);
    }
}
