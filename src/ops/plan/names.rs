//! Names that a drive may not tell apart: texts beside such images would share a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use unicode_normalization::UnicodeNormalization as _;

use crate::domain::image::RelPath;
use crate::kit::alike::Alike;
use crate::kit::folder::{Entry, Folder, Sort};
use crate::kit::hash;

/// Names of the folders that the walk has not left yet, as hashes: a few bytes for each file of the largest folder. Where folders
/// are one for the drive, those of the earlier ones are read once more when the later one is entered.
pub(super) struct Names {
    root: PathBuf,
    alike: Alike,
    open: Vec<Open>,
}

/// Names under the hash of what such a drive takes them for.
type ByKey = BTreeMap<u64, Vec<Vec<u8>>>;

#[derive(Default)]
struct Open {
    folder: Vec<u8>,
    /// Names in it and in its twins, and whether a second one was met; of folders in it, the names as they are as well.
    seen: BTreeMap<u64, bool>,
    /// Paths of the folders in its twins.
    beside: ByKey,
    /// Folders in it that are not told apart; nobody has looked while no second one was met.
    doubles: Option<ByKey>,
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
                0
            }
        }
    }

    fn enter(&mut self, folder: &[u8]) {
        while self.open.last().is_some_and(|open| !is_within(folder, &open.folder)) {
            drop(self.open.pop());
        }
        if self.open.is_empty() {
            self.open.push(Open::default());
        }
        while let Some(upper) = self.open.last_mut().filter(|upper| upper.folder != folder) {
            let from = upper.folder.len() + usize::from(!upper.folder.is_empty());
            let end = memchr::memchr(b'/', &folder[from..]).map_or(folder.len(), |at| from + at);
            let twins = upper.twins(&self.root, &folder[from..end], self.alike);
            let mut open = Open { folder: folder[..end].to_vec(), ..Open::default() };
            twins.iter().for_each(|twin| open.take(&self.root, twin, self.alike));
            self.open.push(open);
        }
    }
}

impl Open {
    /// Paths of the folders that were walked before and are one with the folder `name` in this one. Such folders are rare, and
    /// what was in them was forgotten, but lies on the disk.
    fn twins(&mut self, root: &Path, name: &[u8], alike: Alike) -> Vec<Vec<u8>> {
        // A folder is no file: it never shares a name with one.
        let key = key(b"/", name, alike);
        let mut twins = self.beside.get(&key).cloned().unwrap_or_default();
        self.seen.insert(exact(name), true);
        if self.seen.insert(key, true).is_some() {
            let doubles = self.doubles.get_or_insert_with(|| doubles(root, &self.folder, alike));
            let others = doubles.get(&key).into_iter().flatten();
            // Another one that the walk comes to later will look for this one then.
            let walked = others.filter(|other| *other != name && self.seen.contains_key(&exact(other)));
            twins.extend(walked.map(|other| joined(&self.folder, other)));
        }
        twins
    }

    /// Takes in the names of a twin. Of two files that are one among the twins, both were counted when the second was met.
    fn take(&mut self, root: &Path, twin: &[u8], alike: Alike) {
        for entry in listed(root, twin) {
            match entry.sort {
                Sort::File => {
                    let key = key(b"", &entry.name, alike);
                    self.seen.entry(key).and_modify(|met| *met = true).or_insert(false);
                }
                Sort::Folder => {
                    let key = key(b"/", &entry.name, alike);
                    self.beside.entry(key).or_default().push(joined(twin, &entry.name));
                }
                Sort::Link | Sort::Odd => {}
            }
        }
    }
}

/// Names of the folders in `folder` that share theirs with another one.
fn doubles(root: &Path, folder: &[u8], alike: Alike) -> ByKey {
    let mut names = ByKey::new();
    for entry in listed(root, folder).filter(|entry| entry.sort == Sort::Folder) {
        names.entry(key(b"/", &entry.name, alike)).or_default().push(entry.name);
    }
    names.retain(|_, alike| alike.len() > 1);
    names
}

fn key(kind: &[u8], name: &[u8], alike: Alike) -> u64 {
    hashed(kind, folded(name, alike).as_bytes())
}

/// Of the name of a folder as it is.
fn exact(name: &[u8]) -> u64 {
    hashed(b"//", name)
}

fn hashed(kind: &[u8], name: &[u8]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = hash::short(&[kind, name].concat());
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

/// Names in a folder that are one with `name` for the drive.
fn names_like(root: &Path, folder: &[u8], name: &[u8], sort: Sort, alike: Alike) -> Vec<Vec<u8>> {
    let wanted = folded(name, alike);
    let is_like = |entry: &Entry| entry.sort == sort && folded(&entry.name, alike) == wanted;
    listed(root, folder).filter(is_like).map(|entry| entry.name).collect()
}

/// What lies in a folder; nothing where it cannot be listed.
fn listed(root: &Path, folder: &[u8]) -> impl Iterator<Item = Entry> + use<> {
    let parts: Vec<&[u8]> = folder.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).collect();
    let listed = Folder::open(root).and_then(|root| root.below(&parts)?.entries());
    listed.into_iter().flatten().flatten()
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
        let paths = ["Box/a/1.png", "Box/a/2.png", "Box/b.png", "box/A/1.PNG", "box/A/3.png", "box/c.png"];
        let (place, counts) = walked(paths);
        assert_eq!(counts, [0, 0, 0, 2, 0, 0]);
        assert_eq!(first_alike(place.path(), &path("box/A/1.PNG"), Alike::ANY), Some(path("Box/a/1.png")));
        assert_eq!(first_alike(place.path(), &path("Box/b.png"), Alike::ANY), None);
    }

    #[test]
    fn each_file_of_folders_that_are_one_counts_once() {
        assert_eq!(walked(["Box/1.png", "box/1.PNG", "box/1.png"]).1, [0, 2, 1]);
        assert_eq!(walked(["Box/1.PNG", "Box/1.png", "box/1.png"]).1, [0, 2, 1]);
        assert_eq!(walked(["BOX/1.png", "Box/1.png", "Box/2.png", "box/1.png", "box/2.png"]).1, [0, 2, 0, 1, 2]);
        // The one that comes last is no twin of those before, for it has not been walked yet.
        assert_eq!(walked(["BOX/2.png", "Box/1.png", "box/1.png", "box/3.png"]).1, [0, 0, 2, 0]);
        // Folders in folders, of which one has a second one beside itself.
        let deep = ["BOX/x/1.png", "box/X/1.png", "box/X/2.png", "box/x/1.png", "box/x/2.png", "box/y/1.png"];
        assert_eq!(walked(deep).1, [0, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn a_twin_is_listed_once_and_not_for_each_file() {
        let (place, counts) = walked(["Box/1.png", "Box/2.png", "box/3.png", "box/1.png", "box/2.png"]);
        assert_eq!(counts, [0, 0, 0, 2, 2]);
        let mut names = Names::below(place.path(), Alike::ANY);
        for one in ["Box/1.png", "Box/2.png", "box/3.png"] {
            names.meets(&path(one));
        }
        // Whatever is wanted of the first folder is known by now.
        std::fs::remove_dir_all(place.path().join("Box")).expect("a folder");
        assert_eq!(["box/1.png", "box/2.png"].map(|one| names.meets(&path(one))), [2, 2]);
    }

    /// Files, and how many share a text with each when they are met in this order.
    fn walked<const N: usize>(paths: [&str; N]) -> (tempfile::TempDir, [u64; N]) {
        let place = tempfile::tempdir().expect("temp dir");
        for one in paths {
            let file = place.path().join(one);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            #[expect(clippy::disallowed_methods, reason = "the test writes the files")]
            std::fs::write(file, "").expect("a file");
        }
        let mut names = Names::below(place.path(), Alike::ANY);
        let counts = paths.map(|one| names.meets(&path(one)));
        (place, counts)
    }
}
