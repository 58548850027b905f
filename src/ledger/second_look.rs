//! What a second look at a file means for what the ledger knows of it: one rule for the walk that acts on it and for the plan that
//! tells beforehand what it will come to.

use super::moves::ImageState;
use crate::domain::image::{Fate, Found, Reason, Stamp};

/// How a file, or a page of one, was left by the last look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastLook {
    /// The file as it was then.
    pub stamp: Stamp,
    /// Where its image stands.
    pub state: ImageState,
    /// Why it ended. One of a later version is none of those that are measured anew, and is left out here.
    pub reason: Option<Reason>,
    /// Failed after its answer came: that was paid for and lies raw, so that only a person asks again.
    pub answered: bool,
    /// Its header was read and told what it is.
    pub measured: bool,
}

/// What has to be done about a known file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Nothing.
    Leave,
    /// It is owed with what was measured now; its tries begin anew.
    Ask {
        /// The file is another one.
        changed: bool,
    },
    /// It ends, or goes on having ended, for this reason.
    End(ImageState, Reason),
    /// Its text stands although the file is no longer what it was: only a person can tell what that means.
    Tell(Reason),
}

/// Decides, and touches nothing.
#[must_use]
pub fn judge(last: &LastLook, found: &Found) -> Act {
    use ImageState::{Done, Failed, Packed, Rough, Skipped};
    let same = last.stamp == found.stamp;
    match (last.state, &found.fate) {
        // Its stamp is frozen: the plan that holds it was made with it, and the body compares.
        (Packed, _) => Act::Leave,
        // The text that it was skipped for still stands.
        (Skipped, Fate::Owed(_)) if found.text_present => Act::Leave,
        (_, Fate::Owed(_)) if !same || may_be_measured_anew(last) => Act::Ask { changed: !same },
        (_, _) if same => Act::Leave,
        (Failed, Fate::Failed(reason)) => Act::End(Failed, *reason),
        (Skipped, Fate::Skipped(reason)) => Act::End(Skipped, *reason),
        (Done | Rough, Fate::Failed(reason) | Fate::Skipped(reason)) => Act::Tell(*reason),
        // No move leads there. What is owed may lie in an open plan already; the body that reads it ends it by name.
        (_, _) => Act::Leave,
    }
}

/// Whether an end may have been the file's, a setting's or the folder's doing, so that it may be over although the file is
/// the same.
fn may_be_measured_anew(last: &LastLook) -> bool {
    use Reason::{
        Damaged, EmptyFile, Excluded, KeepsChanging, Missing, NotAnImage, TextPresent, TooLarge, Unreadable,
        UnsupportedFormat,
    };
    match last.state {
        ImageState::Failed if last.answered => false,
        // What its header tells was known: it failed when it was decoded, and the same bytes would fail again.
        ImageState::Failed if last.measured && matches!(last.reason, Some(Damaged | UnsupportedFormat)) => false,
        ImageState::Failed => matches!(
            last.reason,
            Some(
                Unreadable | EmptyFile | NotAnImage | Damaged | TooLarge | UnsupportedFormat | KeepsChanging | Missing
            )
        ),
        ImageState::Skipped => matches!(last.reason, Some(TextPresent | Excluded)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::image::{Format, Looks, Pixels, RelPath};

    const OLD: Stamp = Stamp { bytes: 10, mtime_ms: 1 };
    const NEW: Stamp = Stamp { bytes: 10, mtime_ms: 2 };

    fn judged(state: ImageState, reason: Option<Reason>, stamp: Stamp, fate: Fate) -> Act {
        let path = RelPath { folder: Vec::new(), name: b"a".to_vec(), page: 1 };
        judge(
            &LastLook { stamp: OLD, state, reason, answered: false, measured: false },
            &Found { path, stamp, fate, text_present: false },
        )
    }

    #[test]
    fn what_a_second_look_comes_to() {
        use ImageState::{Done, Failed, Owed, Packed, Skipped};
        let owed = || Fate::Owed(Looks::plain(Format::Png, Pixels { width: 3, height: 4 }));
        let ask = |changed| Act::Ask { changed };
        let damaged = || Fate::Failed(Reason::Damaged);
        let cases = [
            (judged(Packed, None, NEW, owed()), Act::Leave, "packed is frozen"),
            (judged(Done, None, OLD, owed()), Act::Leave, "same file"),
            (judged(Done, None, NEW, owed()), ask(true), "another picture"),
            (judged(Owed, None, NEW, owed()), ask(true), "measured anew"),
            (judged(Owed, None, OLD, damaged()), Act::Leave, "a hiccup of the disk"),
            (judged(Owed, None, NEW, damaged()), Act::Leave, "broken now: the body tells"),
            (judged(Done, None, NEW, damaged()), Act::Tell(Reason::Damaged), "its text stands"),
            (judged(Failed, Some(Reason::Unreadable), OLD, owed()), ask(false), "readable now"),
            (judged(Failed, Some(Reason::Refused), OLD, owed()), Act::Leave, "the model's doing"),
            (judged(Failed, Some(Reason::Refused), NEW, owed()), ask(true), "another picture"),
            (judged(Skipped, Some(Reason::TextPresent), OLD, owed()), ask(false), "the text is gone"),
            (judged(Skipped, Some(Reason::Excluded), NEW, damaged()), Act::Leave, "no such move"),
        ];
        for (judged, wanted, why) in cases {
            assert_eq!(judged, wanted, "{why}");
        }
    }
}
