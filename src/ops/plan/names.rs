//! Names that a drive may not tell apart: texts beside such images would share a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use unicode_normalization::UnicodeNormalization as _;

use crate::domain::image::RelPath;
use crate::kit::alike::Alike;
use crate::kit::folder::{Entry, Folder, Sort};
use crate::kit::hash;

/// Names of the folders that the walk has not left yet, as hashes: a few bytes for each file of the largest folder.
pub(super) struct Names {
    root: PathBuf,
    alike: Alike,
    open: Vec<Open>,
}

struct Open {
    folder: Vec<u8>,
    /// Names in it, and whether a second one was met.
    seen: BTreeMap<u64, bool>,
    /// Whether it, or one above it, is one with another folder.
    is_merged: bool,
}

impl Names {
    /// No name was seen; `alike` says which are one.
    pub(super) fn below(root: &Path, alike: Alike) -> Self {
        Self { root: root.to_owned(), alike, open: Vec::new() }
    }

    /// How many images this one makes that share a text: none, the two of a pair, or one more.
    pub(super) fn meets(&mut self, path: &RelPath) -> u64 {
        self.enter(&path.folder);
        let key = key(b"", &path.name, self.alike);
        let Some(open) = self.open.last_mut() else { return 0 };
        match open.seen.get_mut(&key) {
            Some(met) => 2 - u64::from(std::mem::replace(met, true)),
            None => {
                open.seen.insert(key, false);
                // The other folder was left and forgotten; such folders are rare, and lie on the disk.
                let is_pair = open.is_merged && first_alike(&self.root, path, self.alike).is_some();
                2 * u64::from(is_pair)
            }
        }
    }

    fn enter(&mut self, folder: &[u8]) {
        while self.open.last().is_some_and(|open| !is_within(folder, &open.folder)) {
            drop(self.open.pop());
        }
        if self.open.is_empty() {
            self.open.push(Open { folder: Vec::new(), seen: BTreeMap::new(), is_merged: false });
        }
        while let Some(upper) = self.open.last_mut().filter(|upper| upper.folder != folder) {
            let from = upper.folder.len() + usize::from(!upper.folder.is_empty());
            let end = memchr::memchr(b'/', &folder[from..]).map_or(folder.len(), |at| from + at);
            // A folder is no file: it never shares a name with one.
            let is_other = upper.seen.insert(key(b"/", &folder[from..end], self.alike), true).is_some();
            let is_merged = upper.is_merged || is_other;
            self.open.push(Open { folder: folder[..end].to_vec(), seen: BTreeMap::new(), is_merged });
        }
    }
}

fn key(kind: &[u8], name: &[u8], alike: Alike) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = hash::short(&[kind, folded(name, alike).as_bytes()].concat());
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// A name as such a drive sees it.
fn folded(name: &[u8], alike: Alike) -> String {
    let name = String::from_utf8_lossy(name);
    let name = if alike.form { name.nfc().collect() } else { name.into_owned() };
    if alike.case { name.to_lowercase() } else { name }
}

fn is_within(folder: &[u8], upper: &[u8]) -> bool {
    upper.is_empty() || folder.strip_prefix(upper).is_some_and(|rest| rest.first().is_none_or(|byte| *byte == b'/'))
}

/// The first other file on the disk, in the order of names, whose text would be that of `path`.
pub(super) fn first_alike(root: &Path, path: &RelPath, alike: Alike) -> Option<RelPath> {
    let mut folders = vec![Vec::new()];
    for part in path.folder.split(|byte| *byte == b'/').filter(|part| !part.is_empty()) {
        let below = |folder: &Vec<u8>| {
            let names = names_like(root, folder, part, Sort::Folder, alike);
            names.into_iter().map(|name| joined(folder, &name)).collect::<Vec<_>>()
        };
        folders = folders.iter().flat_map(below).collect();
    }
    let files = folders.iter().flat_map(|folder| {
        let names = names_like(root, folder, &path.name, Sort::File, alike);
        names.into_iter().map(|name| RelPath { folder: folder.clone(), name, page: 1 })
    });
    files.filter(|other| *other != path.with_page(1)).min_by_key(RelPath::joined)
}

/// Names in a folder that are one with `name` for the drive; none where the folder cannot be listed.
fn names_like(root: &Path, folder: &[u8], name: &[u8], sort: Sort, alike: Alike) -> Vec<Vec<u8>> {
    let parts: Vec<&[u8]> = folder.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).collect();
    let listed = Folder::open(root).and_then(|root| root.below(&parts)?.entries());
    let wanted = folded(name, alike);
    let is_like = |entry: &Entry| entry.sort == sort && folded(&entry.name, alike) == wanted;
    listed.into_iter().flatten().flatten().filter(is_like).map(|entry| entry.name).collect()
}

fn joined(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(path: &str) -> RelPath {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        RelPath { folder: folder.into(), name: name.into(), page: 1 }
    }

    fn met<const N: usize>(alike: Alike, paths: [&str; N]) -> [u64; N] {
        let mut names = Names::below(Path::new("nowhere"), alike);
        paths.map(|one| names.meets(&path(one)))
    }

    #[test]
    fn names_that_differ_by_case_or_form_alone() {
        let paths = [
            "a/1.png",
            "a/2.png",
            "a/b/1.png",
            "a/2.PNG",
            "a/2.Png",
            "c/1.png",
            "c/\u{e9}.png",
            "c/e\u{301}.png",
            "2.png",
        ];
        assert_eq!(met(Alike::ANY, paths), [0, 0, 0, 2, 1, 0, 0, 2, 0]);
        assert_eq!(met(Alike { case: true, form: false }, paths), [0, 0, 0, 2, 1, 0, 0, 0, 0]);
        assert_eq!(met(Alike { case: false, form: true }, paths), [0, 0, 0, 0, 0, 0, 0, 2, 0]);
        assert_eq!(met(Alike::default(), paths), [0; 9]);
        let mut names = Names::below(Path::new("nowhere"), Alike::ANY);
        for one in ["a/1.png", "a/b/1.png", "c/1.png"] {
            names.meets(&path(one));
        }
        assert_eq!(names.open.len(), 2, "folders that the walk has left are forgotten");
    }

    #[test]
    fn folders_that_are_one_share_the_names_in_them() {
        let place = tempfile::tempdir().expect("temp dir");
        let paths = ["Box/a/1.png", "Box/a/2.png", "Box/b.png", "box/A/1.PNG", "box/A/3.png", "box/c.png"];
        for one in paths {
            let file = place.path().join(one);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            #[expect(clippy::disallowed_methods, reason = "the test writes the files")]
            std::fs::write(file, "").expect("a file");
        }
        let mut names = Names::below(place.path(), Alike::ANY);
        assert_eq!(paths.map(|one| names.meets(&path(one))), [0, 0, 0, 2, 0, 0]);
        assert_eq!(first_alike(place.path(), &path("box/A/1.PNG"), Alike::ANY), Some(path("Box/a/1.png")));
        assert_eq!(first_alike(place.path(), &path("Box/b.png"), Alike::ANY), None);
    }
}
