//! Copies among the files that would be asked, told by length and sample. What only a run finds out, such as copies of what was
//! asked long ago, is not counted: the plan is rather too dear than too cheap.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use crate::corpus::{Corpus, look};
use crate::domain::image::{Found, RelPath, Stamp};

/// Files among which copies are looked for, so that memory does not grow with the folder.
const MOST: usize = 50_000;

/// What was seen of the files so far.
#[derive(Default)]
pub(super) struct Copies {
    files: usize,
    lengths: HashMap<u64, First>,
    samples: HashSet<(u64, i64)>,
}

/// The first file of a length: looked into once another one has its length.
enum First {
    Unread(RelPath, Stamp),
    Read,
}

impl Copies {
    /// Whether a file has the bytes of one that came before, as far as its sample tells.
    pub(super) fn is_copy(&mut self, corpus: &dyn Corpus, found: &Found) -> bool {
        if self.files == MOST {
            return false;
        }
        self.files += 1;
        let bytes = found.stamp.bytes;
        let mut first = match self.lengths.entry(bytes) {
            Entry::Vacant(place) => {
                place.insert(First::Unread(found.path.clone(), found.stamp));
                return false;
            }
            Entry::Occupied(first) => first,
        };
        if let First::Unread(path, stamp) = first.insert(First::Read) {
            self.samples.extend(sample(corpus, &path, stamp));
        }
        sample(corpus, &found.path, found.stamp).is_some_and(|sample| !self.samples.insert(sample))
    }
}

fn sample(corpus: &dyn Corpus, path: &RelPath, stamp: Stamp) -> Option<(u64, i64)> {
    // What cannot be read is no copy; a run tells why.
    let sample = look::sample(corpus, path, stamp).ok().flatten()?;
    Some((stamp.bytes, sample))
}
