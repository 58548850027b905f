//! Names that a drive may not tell apart: texts beside such images would share a file.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization as _;

use crate::domain::image::RelPath;
use crate::kit::hash;

/// Names of the folders that the walk has not left yet, as hashes: a few bytes for each file of the largest folder.
#[derive(Default)]
pub(super) struct Names {
    open: Vec<(Vec<u8>, BTreeSet<u64>)>,
}

impl Names {
    /// Whether a file of this folder was seen whose name differs by case or Unicode form alone.
    pub(super) fn collides(&mut self, path: &RelPath) -> bool {
        while self.open.last().is_some_and(|(folder, _)| !is_within(&path.folder, folder)) {
            drop(self.open.pop());
        }
        if self.open.last().is_none_or(|(folder, _)| *folder != path.folder) {
            self.open.push((path.folder.clone(), BTreeSet::new()));
        }
        let folded = String::from_utf8_lossy(&path.name).nfc().collect::<String>().to_lowercase();
        let [a, b, c, d, e, f, g, h, ..] = hash::short(folded.as_bytes());
        let seen = self.open.last_mut().map(|(_, names)| names);
        seen.is_some_and(|names| !names.insert(u64::from_le_bytes([a, b, c, d, e, f, g, h])))
    }
}

fn is_within(folder: &[u8], upper: &[u8]) -> bool {
    upper.is_empty() || folder.strip_prefix(upper).is_some_and(|rest| rest.first().is_none_or(|byte| *byte == b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_by_case_or_form_alone() {
        let mut names = Names::default();
        let collides =
            ["a/1.png", "a/2.png", "a/b/1.png", "a/2.PNG", "c/1.png", "c/\u{e9}.png", "c/e\u{301}.png"].map(|path| {
                let (folder, name) = path.rsplit_once('/').expect("a folder");
                names.collides(&RelPath { folder: folder.into(), name: name.into(), page: 1 })
            });
        assert_eq!(collides, [false, false, false, true, false, false, true]);
        assert_eq!(names.open.len(), 1, "folders that the walk has left are forgotten");
    }
}
