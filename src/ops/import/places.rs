//! From a custom id of the scripts back to an image: here alone a pipe is a separator, and what comes out has to be a file
//! inside the image folder.

use std::collections::BTreeMap;

use crate::corpus::beneath::Root;
use crate::domain::image::RelPath;

/// Folders that ids may begin with and that are counted; the scripts had one.
const MOST_HEADS: usize = 256;

/// The parts of an id; `None` where it could name something outside, or nothing that has a name.
fn parts(id: &str) -> Option<Vec<&str>> {
    if id.contains(['\\', '/']) || id.contains(char::is_control) {
        return None;
    }
    let mut parts: Vec<&str> = id.split('|').collect();
    // An absolute path began with a separator; only its end is looked for.
    if parts.first() == Some(&"") {
        parts.remove(0);
    }
    let odd = |part: &&str| part.is_empty() || *part == "." || *part == "..";
    (!parts.iter().any(odd)).then_some(parts)
}

fn path(parts: &[&str]) -> Option<RelPath> {
    let (name, folder) = parts.split_last()?;
    Some(RelPath { folder: folder.join("/").into_bytes(), name: name.as_bytes().to_vec(), page: 1 })
}

fn exists(root: &Root, path: &RelPath) -> bool {
    root.file(path).is_ok()
}

/// Where the images lay for the scripts, by what most ids begin with before the longest end that exists.
#[derive(Debug, Default)]
pub(super) struct Heads(BTreeMap<String, u64>);

impl Heads {
    /// Takes in an id.
    pub(super) fn hear(&mut self, root: &Root, id: &str) {
        let Some(parts) = parts(id) else { return };
        let found = (0..parts.len()).find(|from| path(&parts[*from..]).is_some_and(|path| exists(root, &path)));
        let Some(from) = found else { return };
        let absolute = if id.starts_with('|') { "/" } else { "" };
        let head = format!("{absolute}{}", parts[..from].join("/"));
        if self.0.len() < MOST_HEADS || self.0.contains_key(&head) {
            *self.0.entry(head).or_default() += 1;
        }
    }

    /// The folder as it was given to the scripts.
    pub(super) fn most(&self) -> Option<&str> {
        self.0.iter().max_by_key(|(_, ids)| **ids).map(|(head, _)| head.as_str())
    }
}

/// The image that an id names below `given`; `None` if there is none, or if it could be two.
pub(super) fn image(root: &Root, given: &str, id: &str) -> Option<RelPath> {
    parts(id)?;
    let head = given.strip_prefix("./").unwrap_or(given).trim_end_matches('/').replace('/', "|");
    let rest = match head.as_str() {
        "" if given.starts_with('/') => id.strip_prefix('|')?,
        "" | "." => id,
        head => id.strip_prefix(head)?.strip_prefix('|')?,
    };
    let found = path(&parts(rest).filter(|_| !rest.starts_with('|'))?)?;
    let literal = RelPath { folder: Vec::new(), name: rest.as_bytes().to_vec(), page: 1 };
    let two = rest.contains('|') && exists(root, &literal);
    (exists(root, &found) && !two).then_some(found)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests set the scene themselves")]
mod tests {
    use super::*;

    #[test]
    fn o5_an_id_names_a_file_inside_or_nothing() {
        let folder = tempfile::tempdir().expect("temp dir");
        std::fs::create_dir_all(folder.path().join("in/tray")).expect("folder");
        for name in ["outside.jpg", "in/top.jpg", "in/tray/a.1.jpg"] {
            std::fs::write(folder.path().join(name), b"x").expect("file");
        }
        let root = Root::open(&folder.path().join("in")).expect("a root");
        let named =
            |given: &str, id: &str| image(&root, given, id).map(|path| String::from_utf8(path.joined()).expect("text"));
        assert_eq!(named("rolls", "rolls|tray|a.1.jpg").as_deref(), Some("tray/a.1.jpg"));
        assert_eq!(named("/old/rolls", "|old|rolls|top.jpg").as_deref(), Some("top.jpg"));
        assert_eq!(named(".", "top.jpg").as_deref(), Some("top.jpg"));
        for id in
            ["..|outside.jpg", "|..|outside.jpg", "tray|..|top.jpg", "top.jpg\0", "tray\\a.1.jpg", "", "|", "tray"]
        {
            assert_eq!(named(".", id), None, "{id:?}");
        }
        let mut heads = Heads::default();
        for id in ["|old|rolls|top.jpg", "|old|rolls|tray|a.1.jpg", "x|top.jpg", "..|outside.jpg"] {
            heads.hear(&root, id);
        }
        assert_eq!(heads.most(), Some("/old/rolls"));
    }

    #[cfg(unix)]
    #[test]
    fn o5_what_could_be_two_images_is_not_guessed_and_no_link_leads_out() {
        let folder = tempfile::tempdir().expect("temp dir");
        std::fs::create_dir_all(folder.path().join("in/a")).expect("folder");
        for name in ["in/a/b.jpg", "in/a|b.jpg", "in/a/c.jpg", "out.jpg"] {
            std::fs::write(folder.path().join(name), b"x").expect("file");
        }
        std::os::unix::fs::symlink("../out.jpg", folder.path().join("in/link.jpg")).expect("link");
        let root = Root::open(&folder.path().join("in")).expect("a root");
        assert_eq!(image(&root, ".", "a|b.jpg"), None);
        assert!(image(&root, ".", "a|c.jpg").is_some());
        assert_eq!(image(&root, ".", "link.jpg"), None);
    }
}
