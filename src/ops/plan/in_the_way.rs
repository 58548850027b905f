//! What has to be known of all images before any is sent: names that would share a text, and texts that are there.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::names::{Names, first_alike};
use super::sums::is_real;
use super::{Ask, PlanError, corpus, page_of, pages_of};
use crate::corpus::{Corpus as _, Walked};
use crate::domain::image::{Found, Reason, RelPath, Stamp};
use crate::kit::alike::Alike;
use crate::kit::exit_guard::ExitGuard;
use crate::kit::path_bytes::from_name;
use crate::ledger::moves::ImageState;
use crate::ledger::reader::{KnownImage, Reader};
use crate::ledger::second_look::{Act, judge};

/// Images that are named.
const NAMED: usize = 3;

/// Images whose texts would be one file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Shared {
    /// How many.
    pub images: u64,
    /// The first pairs.
    pub first: Vec<[RelPath; 2]>,
}

/// Looks for images whose texts would be one file on a drive that takes names for one like this. Files are listed, and not opened.
///
/// # Errors
/// The folder's.
pub fn shared(ask: &Ask<'_>, alike: Alike) -> io::Result<Shared> {
    let seen = Arc::new(Mutex::new((Names::below(ask.root, alike), Shared::default())));
    let (taken, root) = (Arc::clone(&seen), ask.root.to_owned());
    // Whoever is asked which files are known hears of every name, and a known one is not looked into.
    let known = move |met: Vec<(RelPath, Stamp)>| {
        let (names, shared) = &mut *taken.lock().unwrap_or_else(PoisonError::into_inner);
        met.iter().for_each(|(path, _)| shared.take(names.meets(path), || first_alike(&root, path, alike), path));
        vec![true; met.len()]
    };
    let mut lane = corpus(ask)?.walk(Some(Box::new(known)), ExitGuard::unheard("walk"))?;
    while let Some(walked) = lane.blocking_recv() {
        match walked {
            Walked::Page(..) => {}
            Walked::Broken(cause) => return Err(cause),
            Walked::Over => break,
        }
    }
    Ok(std::mem::take(&mut seen.lock().unwrap_or_else(PoisonError::into_inner).1))
}

impl Shared {
    fn take(&mut self, images: u64, other: impl FnOnce() -> Option<RelPath>, path: &RelPath) {
        self.images += images;
        if images > 0 && self.first.len() < NAMED {
            self.first.extend(other().map(|other| [other, path.clone()]));
        }
    }
}

/// Texts that stand where a run would write or had to leave an image out.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct There {
    /// How many.
    pub texts: u64,
    /// The first images that have one.
    pub first: Vec<RelPath>,
}

/// Looks for texts that are there although their images are still to be asked, or were never ours to ask; `failed_again`: images
/// that failed are put back first.
///
/// # Errors
/// The ledger's and the folder's.
pub fn there<E>(ask: &Ask<'_>, reader: Option<&Reader>, failed_again: bool) -> Result<There, PlanError<E>> {
    let by = By { real: is_real(ask.settings), failed_again };
    let root = from_name(ask.root.as_os_str());
    let mut there = There::default();
    let mut lane =
        corpus(ask).and_then(|corpus| corpus.walk(None, ExitGuard::unheard("walk"))).map_err(PlanError::Folder)?;
    while let Some((page, _)) = page_of(lane.blocking_recv())? {
        for found in page.iter().filter(|found| found.text_present) {
            if is_in_the_way(by, reader, &root, found)? {
                there.texts += 1;
                if there.first.len() < NAMED {
                    there.first.push(found.path.clone());
                }
            }
        }
    }
    Ok(there)
}

/// What a run would ask by.
#[derive(Clone, Copy)]
struct By {
    /// A real provider, no built-in engine.
    real: bool,
    /// What failed is asked again.
    failed_again: bool,
}

fn is_in_the_way<E>(by: By, reader: Option<&Reader>, root: &[u8], found: &Found) -> Result<bool, PlanError<E>> {
    let Some(reader) = reader else { return Ok(true) };
    for page in pages_of(found) {
        let known = reader.known(root, &found.path.with_page(page))?;
        if known.is_none_or(|known| is_to_be_asked(&known, found, by)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether an image with a text will be asked, or was left out because of it. A real provider takes the place of the built-in engine.
fn is_to_be_asked(known: &KnownImage, found: &Found, by: By) -> bool {
    if matches!(judge(&known.last, found), Act::Ask { .. }) {
        return true;
    }
    match known.last.state {
        ImageState::Owed => true,
        ImageState::Skipped => known.reason.as_deref() == Some(Reason::TextPresent.word()),
        ImageState::Done => by.real && known.built_in,
        ImageState::Failed => by.failed_again,
        ImageState::Packed | ImageState::Rough => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::image::{Fate, Format, Looks, Pixels};
    use crate::kit::atomic_file::{Access, Durability, write};
    use crate::ledger::second_look::LastLook;
    use crate::settings::{Environment, Sources, resolve, texts};

    #[test]
    fn images_that_would_share_a_text_are_named_in_pairs() {
        let place = tempfile::tempdir().expect("temp dir");
        let (root, workspace) = (place.path().join("in"), place.path().join("work"));
        for one in ["a/1.png", "a/1.PNG", "a/1.Png", "b/Scan.tif", "b/scan.tif", "b/scan.TIF.txt", "other.png"] {
            let file = root.join(one);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            write(&file, b"none is opened", Access::Umask, Durability::Derived).expect("a file");
        }
        let sources = Sources {
            workspace: workspace.clone(),
            current_dir: workspace,
            config: None,
            no_config: true,
            flags: Vec::new(),
            environment: Environment::default(),
        };
        let settings = resolve(&sources).expect("the defaults").settings;
        let recipe = texts::recipe(&settings, "a prompt").expect("a recipe");
        let ask = Ask { settings: &settings, root: &root, recipe: &recipe, today: "" };
        let path = |folder: &str, name: &str| RelPath { folder: folder.into(), name: name.into(), page: 1 };
        let found = shared(&ask, Alike::ANY).expect("listed");
        assert_eq!(found.images, 5);
        let named = [
            [path("a", "1.PNG"), path("a", "1.Png")],
            [path("a", "1.PNG"), path("a", "1.png")],
            [path("b", "Scan.tif"), path("b", "scan.tif")],
        ];
        assert_eq!(found.first, named);
        assert_eq!(shared(&ask, Alike::default()).expect("listed"), Shared::default());
    }

    #[test]
    fn texts_of_images_that_are_finished_are_in_nobodys_way() {
        let stamp = Stamp { bytes: 10, mtime_ms: 1 };
        let known = |state, reason: Option<Reason>, built_in| KnownImage {
            last: LastLook { stamp, state, reason, answered: false, measured: false },
            reason: reason.map(|reason| reason.word().to_owned()),
            made_by: None,
            built_in,
            copy: false,
        };
        let found = |stamp| Found {
            path: RelPath { folder: Vec::new(), name: b"a.png".to_vec(), page: 1 },
            stamp,
            fate: Fate::Owed(Looks::plain(Format::Png, Pixels { width: 3, height: 4 })),
            text_present: true,
        };
        let asked = |known: &KnownImage| {
            [false, true].map(|real| is_to_be_asked(known, &found(stamp), By { real, failed_again: false }))
        };
        assert_eq!(asked(&known(ImageState::Owed, None, false)), [true; 2]);
        assert_eq!(asked(&known(ImageState::Skipped, Some(Reason::TextPresent), false)), [true; 2]);
        assert_eq!(asked(&known(ImageState::Done, None, true)), [false, true]);
        assert_eq!(asked(&known(ImageState::Done, None, false)), [false; 2]);
        assert_eq!(asked(&known(ImageState::Packed, None, false)), [false; 2]);
        assert_eq!(asked(&known(ImageState::Failed, Some(Reason::Refused), false)), [false; 2]);
        let again = By { real: true, failed_again: true };
        assert!(is_to_be_asked(&known(ImageState::Failed, Some(Reason::Refused), false), &found(stamp), again));
        // What the walk of a run looks at anew has a text in its way.
        assert_eq!(asked(&known(ImageState::Failed, Some(Reason::Unreadable), false)), [true; 2]);
        let by = By { real: false, failed_again: false };
        let changed = Stamp { mtime_ms: 2, ..stamp };
        for (state, is_asked) in [(ImageState::Done, true), (ImageState::Rough, true), (ImageState::Packed, false)] {
            assert_eq!(is_to_be_asked(&known(state, None, false), &found(changed), by), is_asked, "{state:?}");
        }
    }
}
