//! What a name alone says: whose file it is, and whether it should be an image.

use crate::kit::atomic_file;

/// Endings of images and pages that are never sent, lower case. Their files are reported, not passed over.
pub const UNSENDABLE: [&str; 18] = [
    ".heic", ".heif", ".avif", ".pdf", ".jxl", ".psd", ".svg", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2",
    ".raf", ".jxr", ".djvu", ".jbig2",
];
/// Files that systems leave beside images.
const SYSTEM_FILES: [&str; 3] = ["thumbs.db", "desktop.ini", "ehthumbs.db"];
/// Folders that systems keep for themselves; what lies in them are copies and waste.
const SYSTEM_FOLDERS: [&str; 4] = ["__macosx", "@eadir", "$recycle.bin", "system volume information"];
/// How the name of every text ends.
const TEXT_ENDING: &[u8] = b".txt";
/// Longest ending that is counted by itself; a dot in a name is not always one before an ending.
const LONGEST_ENDING: usize = 10;

/// What a name promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// An image that is to be measured.
    Image,
    /// An image or page that is never sent.
    Unsendable,
    /// Hidden, of the system or our own temporary one, with an image's ending.
    Excluded,
    /// Something else.
    Other,
}

/// What the file `name` promises, `valid` being the lower-case endings, with their dots, of images to be sent.
#[must_use]
pub fn promise(name: &[u8], valid: &[String]) -> Promise {
    let ends = |ending: &str| has_ending(name, ending);
    let is_image = valid.iter().any(|ending| ends(ending));
    let is_unsendable = UNSENDABLE.iter().any(|ending| ends(ending));
    match (is_image, is_unsendable) {
        (false, false) => Promise::Other,
        _ if is_hidden(name) || is_one_of(name, &SYSTEM_FILES) || atomic_file::is_temporary(name) => Promise::Excluded,
        (true, _) => Promise::Image,
        (false, true) => Promise::Unsendable,
    }
}

/// Whether a text may be reached under a name that was listed as this one. Some systems take no notice of the case of letters, or
/// of signs that nobody sees; a name that ends in four plain bytes and not like a text is none for any of them.
#[must_use]
pub fn may_be_text(name: &[u8]) -> bool {
    let end = name.len().checked_sub(TEXT_ENDING.len()).and_then(|stem| name.get(stem..));
    end.is_some_and(|end| !end.is_ascii() || end.eq_ignore_ascii_case(TEXT_ENDING))
}

/// Whether a folder of this name is not walked.
#[must_use]
pub fn is_left_out(folder: &[u8]) -> bool {
    is_hidden(folder) || is_one_of(folder, &SYSTEM_FOLDERS)
}

/// The ending that a passed-over file is counted under: lower case, without the dot; empty for none.
#[must_use]
pub fn ending(name: &[u8]) -> String {
    let Some(dot) = name.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0) else { return String::new() };
    let ending = &name[dot + 1..];
    if ending.len() > LONGEST_ENDING || !ending.iter().all(u8::is_ascii_alphanumeric) {
        return String::new();
    }
    String::from_utf8_lossy(ending).to_ascii_lowercase()
}

fn has_ending(name: &[u8], ending: &str) -> bool {
    let Some(stem) = name.len().checked_sub(ending.len()) else { return false };
    name[stem..].eq_ignore_ascii_case(ending.as_bytes())
}

fn is_hidden(name: &[u8]) -> bool {
    name.starts_with(b".")
}

fn is_one_of(name: &[u8], names: &[&str]) -> bool {
    names.iter().any(|other| name.eq_ignore_ascii_case(other.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_by_what_they_promise() {
        let valid = [".jpg".to_owned(), ".tif".to_owned()];
        for (name, expected) in [
            (&b"a.jpg"[..], Promise::Image),
            (b"A.JPG", Promise::Image),
            (b"-rf.Tif", Promise::Image),
            (b"\xff\n|.jpg", Promise::Image),
            (b".jpg", Promise::Excluded),
            (b"._a.jpg", Promise::Excluded),
            (b"a.HEIC", Promise::Unsendable),
            (b"a.png", Promise::Other),
            (b".DS_Store", Promise::Other),
            (b"Thumbs.db", Promise::Other),
            (b".bs-x.tmp", Promise::Other),
            (b"jpg", Promise::Other),
            (b"a.jpg.txt", Promise::Other),
        ] {
            assert_eq!(promise(name, &valid), expected, "{}", String::from_utf8_lossy(name));
        }
    }

    #[test]
    fn what_may_be_a_text_ends_like_one_for_some_system() {
        for (name, expected) in [
            (&b"a.jpg.txt"[..], true),
            (b"A.JPG.TXT", true),
            (b".txt", true),
            ("a.jpg.t\u{200d}xt".as_bytes(), true),
            ("a.jpg.txt\u{200d}".as_bytes(), true),
            (b"txt", false),
            (b"a.jpg", false),
            (b"a.jpg.txt.api", false),
            (b"", false),
        ] {
            assert_eq!(may_be_text(name), expected, "{}", String::from_utf8_lossy(name));
        }
        let ours =
            |name: &[u8]| crate::domain::layout::text_name(name, |bytes| crate::kit::hash::hex_digits(bytes, 64));
        assert!([b"a".to_vec(), vec![b'x'; 300], vec![0xff; 255]].iter().all(|name| may_be_text(&ours(name))));
    }

    #[test]
    fn endings_are_short_plain_words() {
        for (name, expected) in
            [("a.TXT", "txt"), ("a", ""), (".hidden", ""), ("letter no. 5 of june", ""), ("a.b.c1", "c1"), ("a.é", "")]
        {
            assert_eq!(ending(name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn folders_of_systems_are_left_out() {
        for (name, expected) in [
            ("@eaDir", true),
            ("__MACOSX", true),
            (".git", true),
            ("x.jpg", false),
            ("System Volume Information", true),
        ] {
            assert_eq!(is_left_out(name.as_bytes()), expected, "{name}");
        }
    }
}
