//! Copies: files with the same bytes as another one, the *original*. One request pays for all of them.
//!
//! The feed of owed images looks for them (`scan/copies.rs`): files of one length get a hash of some of their bytes (*sample*),
//! those of one sample a hash of all of them, each at most once as long as the file stays the same. A copy stays owed and is
//! never planned. When its original has ended, it ends the same way: `clean/copies.rs` writes the text that the original has,
//! then this ledger calls it done; or it fails for the same reason. Where that reason is about the original's path, or either
//! file has changed, or the original's text is not ours any more, the copy is asked by itself.
//!
//! ```text
//! – ──the feed finds it──► waiting ──original ends, or either file changes──► ended ──original has a text──► ready ──text written──► served
//!                             ▲                                                 │ └──failed for what is in the picture──► served
//!                             └──original is asked again────────────────────────┤
//!                                          original of no use──► alone ◄────────┘   served ──`retry`, `validate`, a new file──► alone
//! ```
//!
//! A copy that is *alone* is an image like any other. It may become a copy again only of an original whose answer is still to come:
//! so several files that are put back together are paid for once again, and one that is put back alone is really asked.

use crate::domain::ids::{ImageId, RecipeId};
use crate::domain::image::{Reason, RelPath, Stamp};
use crate::kit::hash::Short;
use crate::ledger::moves::ImageState;

/// A file that has to be looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// The image.
    pub image: ImageId,
    /// Where it lies.
    pub path: RelPath,
    /// Length and time as measured.
    pub stamp: Stamp,
}

/// What makes files alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Their length.
    Length,
    /// Length and sample.
    Sample,
}

/// Owed images that may be copies, by their length or by their samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alike {
    /// They.
    pub images: Vec<ImageId>,
    /// What has to be known of them and of their originals before more can be said.
    pub unread: Vec<Unread>,
    /// What the originals were asked with.
    pub recipes: Vec<RecipeId>,
}

/// What was seen in a file; kept only as long as the file has this stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The image.
    pub image: ImageId,
    /// Length and time when it was read.
    pub stamp: Stamp,
    /// What was read of it.
    pub hash: SeenHash,
}

/// A hash of a file, or of parts of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeenHash {
    /// Of its first, middle and last bytes; never negative.
    Sample(i64),
    /// BLAKE3 of all of it.
    Content(Short),
}

/// A copy whose text can be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyCopy {
    /// The copy.
    pub image: ImageId,
    /// Where it lies.
    pub path: RelPath,
    /// Hash of the text that we wrote beside it last, if any.
    pub known: Option<Short>,
    /// Where the original lies.
    pub original: RelPath,
    /// Hash of the original's text.
    pub text: Short,
    /// Whether that is a rough one.
    pub rough: bool,
}

/// A copy whose text is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedCopy {
    /// As it was when the text was read.
    pub copy: ReadyCopy,
    /// Whose text stands beside it now, and its hash.
    pub stands: (super::records::TextOwner, Short),
}

/// Where a copy and its original stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Whether both files are known to have the same bytes still.
    pub same: bool,
    /// The original's state.
    pub original: ImageState,
    /// Whether the original's text is one that we wrote for it alone.
    pub ours: bool,
    /// Why the original failed, if it did and the reason is known here.
    pub reason: Option<Reason>,
}

/// What becomes of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lot {
    /// It waits on.
    Waits,
    /// It gets the original's text.
    Text,
    /// It fails for the original's reason.
    Fails(Reason),
    /// It is asked by itself.
    Alone,
}

/// Whether another file with the same bytes would fail for the same reason: it lies in the picture, its answer or its request, and
/// not in the path or the moment at which this file was read.
#[must_use]
pub fn is_of_content(reason: Reason) -> bool {
    use Reason::{Excluded, KeepsChanging, Missing, TextPresent, Unreadable};
    !matches!(reason, Unreadable | KeepsChanging | Missing | TextPresent | Excluded)
}

/// Decides what becomes of a copy.
#[must_use]
pub fn lot(pair: Pair) -> Lot {
    match pair.original {
        _ if !pair.same => Lot::Alone,
        ImageState::Owed | ImageState::Packed => Lot::Waits,
        ImageState::Done | ImageState::Rough if pair.ours => Lot::Text,
        ImageState::Failed => pair.reason.filter(|reason| is_of_content(*reason)).map_or(Lot::Alone, Lot::Fails),
        ImageState::Done | ImageState::Rough | ImageState::Skipped => Lot::Alone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_that_a_copy_does_not_share() {
        use Reason::{Excluded, KeepsChanging, Missing, TextPresent, Unreadable};
        let own: Vec<Reason> = Reason::ALL.into_iter().filter(|reason| !is_of_content(*reason)).collect();
        assert_eq!(own, [Unreadable, KeepsChanging, Missing, TextPresent, Excluded]);
    }

    #[test]
    fn what_becomes_of_a_copy() {
        use ImageState::{Done, Failed, Owed, Packed, Rough, Skipped};
        let pair = |original| Pair { same: true, original, ours: true, reason: None };
        assert_eq!([Owed, Packed].map(|state| lot(pair(state))), [Lot::Waits; 2]);
        assert_eq!([Done, Rough].map(|state| lot(pair(state))), [Lot::Text; 2]);
        assert_eq!(lot(Pair { ours: false, ..pair(Done) }), Lot::Alone, "a person's text is the original's alone");
        assert_eq!(lot(pair(Skipped)), Lot::Alone);
        let failed = |reason| lot(Pair { reason: Some(reason), ..pair(Failed) });
        assert_eq!(failed(Reason::Refused), Lot::Fails(Reason::Refused), "the same picture would be refused again");
        assert_eq!(failed(Reason::Missing), Lot::Alone, "this file is there");
        assert_eq!(lot(pair(Failed)), Lot::Alone, "a reason of a later version");
        for state in ImageState::ALL {
            assert_eq!(lot(Pair { same: false, ..pair(*state) }), Lot::Alone, "{state:?}");
        }
    }
}
