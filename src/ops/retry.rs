//! `retry`: which images are meant, and putting them back to owed. Nothing is paid and no text is touched here: ours stands
//! until its successor comes, and the next run names the price.

use std::collections::BTreeMap;
use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};

use super::conditions::{Conditions, STATES, Traits};
use super::{known, text_file};
use crate::domain::ids::ImageId;
use crate::domain::image::RelPath;
use crate::domain::layout::Layout;
use crate::kit::path_bytes::to_path;
use crate::ledger::LedgerError;
use crate::ledger::moves::ImageState;
use crate::ledger::reader::{ImageRow, Reader};
use crate::settings::Problem;

/// Rows of the ledger read at once, and images moved in one transaction.
const PAGE: u32 = 512;
/// Texts of people that are named.
const EXAMPLES: usize = 10;

/// A pattern of paths: below the image folder, or as seen from where the user stands.
#[derive(Clone, Debug)]
struct Pattern {
    typed: String,
    below: GlobMatcher,
    absolute: GlobMatcher,
    /// Without a slash it is about names, in whatever folder.
    names: bool,
    current_dir: std::path::PathBuf,
}

impl Pattern {
    fn read(typed: &str, current_dir: &Path) -> Result<Self, Problem> {
        let here = globset::escape(&current_dir.to_string_lossy());
        let matcher =
            |glob: &str| GlobBuilder::new(glob).literal_separator(true).build().map(|glob| glob.compile_matcher());
        let wrong = |cause: globset::Error| {
            Problem::new("", format!("--path {typed} is no pattern: {}", cause.kind()))
                .hint("* stands for anything within a name, ** for folders too, as in --path 'box-03/**'")
        };
        let typed = typed.strip_prefix("./").unwrap_or(typed);
        let absolute = if Path::new(typed).is_absolute() { typed.to_owned() } else { format!("{here}/{typed}") };
        Ok(Self {
            typed: typed.to_owned(),
            below: matcher(typed).map_err(wrong)?,
            absolute: matcher(&absolute).map_err(wrong)?,
            names: !typed.contains('/'),
            current_dir: current_dir.to_owned(),
        })
    }

    fn matches(&self, image: &ImageRow) -> bool {
        let below = to_path(&image.path.joined());
        self.below.is_match(&below)
            || self.names && self.below.is_match(to_path(&image.path.name))
            || self.absolute.is_match(to_path(&image.root).join(below))
            || self.names_exactly(image)
    }

    /// Whether it is this image's path and nothing else, letter for letter.
    fn names_exactly(&self, image: &ImageRow) -> bool {
        let path = image.path.joined();
        self.typed.as_bytes() == path || self.current_dir.join(&self.typed) == to_path(&image.root).join(to_path(&path))
    }
}

/// Which images are meant.
#[derive(Clone, Debug)]
pub struct Selection {
    conditions: Conditions,
    path: Option<Pattern>,
}

impl Selection {
    /// Reads conditions such as `code=E501|E502` and a pattern of paths; `reason_of` knows the reason behind a code.
    ///
    /// # Errors
    /// What is wrong with one of them, and what would be right.
    pub fn read(
        conditions: &[String],
        path: Option<&str>,
        current_dir: &Path,
        attempts: u32,
        reason_of: impl Fn(&str) -> Option<&'static str>,
    ) -> Result<Self, Problem> {
        let conditions = Conditions::read(conditions, attempts, reason_of)?;
        let path = path.map(|path| Pattern::read(path, current_dir)).transpose()?;
        Ok(Self { conditions, path })
    }

    /// Whether an image is meant. Without a condition those that failed are, and one that is named exactly.
    fn means(&self, image: &ImageRow) -> bool {
        if self.path.as_ref().is_some_and(|path| !path.matches(image)) {
            return false;
        }
        if self.conditions.is_empty() {
            return image.state == ImageState::Failed || self.names(image);
        }
        let ImageRow { state, reason, flags, asked, .. } = image;
        self.conditions.hold(&Traits { state: *state, reason: reason.as_deref(), flags, asked: *asked })
    }

    /// Whether an image is left for the one reason that it did not fail, and nobody has said which others are meant.
    fn leaves(&self, image: &ImageRow) -> bool {
        self.conditions.is_empty() && self.path.as_ref().is_some_and(|path| path.matches(image))
    }

    /// Whether its path names this image and no other.
    fn names(&self, image: &ImageRow) -> bool {
        self.path.as_ref().is_some_and(|path| path.names_exactly(image))
    }
}

/// A person's text that stays although its image is asked again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stays {
    /// The image, below its folder.
    pub image: String,
    /// The text, below the folder of the texts.
    pub text: String,
}

impl Stays {
    /// All pages of a file have one text.
    fn of(image: &ImageRow) -> Self {
        let kind = if image.text.as_deref() == Some("api") { "api" } else { "txt" };
        let text = RelPath { name: text_file::name(&image.path, kind), ..image.path.with_page(1) };
        Self { image: image.path.with_page(1).shown(), text: text.shown() }
    }
}

/// What was found, and put back unless only looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Images that are owed again, by where they stood and why.
    pub moved: BTreeMap<(ImageState, String), u64>,
    /// Texts of people that are left as they are.
    pub edited: u64,
    /// The first of their images.
    pub examples: Vec<String>,
    /// Images that cannot be asked before the next walk has measured them.
    pub unmeasured: u64,
    /// Images named exactly that are put back although a person's text stands beside them: it stays, whatever is answered.
    pub stays: Vec<Stays>,
    /// Images that a pattern fits and that have not failed, where no condition says which are meant.
    pub unfailed: u64,
}

impl Found {
    /// Images that are owed again.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.moved.values().sum()
    }

    /// Counts an image, and tells its row if it is put back. A person's text is left, unless the image `is_named` exactly.
    fn sort(&mut self, image: &ImageRow, layout: &Layout, is_named: bool) -> Option<ImageId> {
        if !image.measured {
            self.unmeasured += 1;
        } else if !is_named && known::is_a_persons(image, layout) {
            self.leave(image);
        } else {
            // More than one image is named exactly only where several folders hold one of that path.
            if is_named && self.stays.len() < EXAMPLES && known::is_a_persons(image, layout) {
                let stays = Stays::of(image);
                if self.stays.last() != Some(&stays) {
                    self.stays.push(stays);
                }
            }
            self.note(image);
            return Some(image.id);
        }
        None
    }

    fn note(&mut self, image: &ImageRow) {
        *self.moved.entry((image.state, image.reason.clone().unwrap_or_default())).or_default() += 1;
    }

    fn leave(&mut self, image: &ImageRow) {
        self.edited += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(image.path.shown());
        }
    }
}

/// Looks for the images that stand in `state` for `reason` and would be put back by a selection of that reason, and hands them to
/// `put_back` page by page; they are found by the index, whatever else the ledger holds. Images that are put back meanwhile are not
/// seen again, whatever comes of them: each page begins behind the last one. After `most` images, where somebody has seen no more,
/// it ends, and tells whether there are others. `found` is whole even where it breaks off.
///
/// # Errors
/// The ledger's, and those of `put_back`; what was put back by then stays so.
pub fn ended<E: From<LedgerError>>(
    reader: &Reader,
    layout: &Layout,
    (state, reason): (ImageState, &str),
    most: Option<u64>,
    found: &mut Found,
    mut put_back: impl FnMut(&[ImageId]) -> Result<(), E>,
) -> Result<bool, E> {
    let (mut left, mut after) = (most.unwrap_or(u64::MAX), None);
    loop {
        let limit = u32::try_from(left).unwrap_or(u32::MAX).min(PAGE);
        // The one behind the last of them tells whether there are others.
        let page = reader.ended(state, reason, after, limit.max(1))?;
        let Some(last) = page.last() else { return Ok(false) };
        if limit == 0 {
            return Ok(true);
        }
        after = Some(last.image);
        let mut chosen = Vec::new();
        for failure in &page {
            let before = ImageId(failure.image.0.saturating_sub(1));
            let image = reader.images(Some(before), 1)?.pop().filter(|image| image.id == failure.image);
            // What has moved on since the page was read is nobody's failure any more.
            let still = image.filter(|image| image.state == state && image.reason.as_deref().unwrap_or("") == reason);
            if let Some(image) = still {
                left -= 1;
                chosen.extend(found.sort(&image, layout, false));
            }
        }
        if !chosen.is_empty() {
            put_back(&chosen)?;
        }
    }
}

/// Flags an image whose text a person has changed where it lies.
fn look(image: &mut ImageRow, layout: &Layout) {
    let ImageRow { root, path, text, text_hash, flags, .. } = image;
    if text_file::is_changed(layout, root, path, text.as_deref(), *text_hash) {
        text_file::flag_edited(flags);
    }
}

/// Looks for the images that `selection` means, page by page, and hands them to `put_back`.
///
/// # Errors
/// The ledger's.
pub fn retry(
    reader: &Reader,
    layout: &Layout,
    selection: &Selection,
    mut put_back: impl FnMut(&[ImageId]) -> Result<(), LedgerError>,
) -> Result<Found, LedgerError> {
    let mut found = Found::default();
    let mut after = None;
    loop {
        let mut page = reader.images(after, PAGE)?;
        let Some(last) = page.last() else { return Ok(found) };
        after = Some(last.id);
        if selection.conditions.look_for_edited() {
            page.iter_mut().for_each(|image| look(image, layout));
        }
        let mut chosen = Vec::new();
        for image in page.iter().filter(|image| STATES.contains(&image.state)) {
            if selection.means(image) {
                chosen.extend(found.sort(image, layout, selection.names(image)));
            } else {
                found.unfailed += u64::from(selection.leaves(image));
            }
        }
        if !chosen.is_empty() {
            put_back(&chosen)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(path: (&str, &str), state: ImageState, reason: Option<&str>, flags: &[&str], asked: u32) -> ImageRow {
        ImageRow {
            id: ImageId(1),
            root: b"/archive/in".to_vec(),
            given: b"in".to_vec(),
            path: RelPath { folder: path.0.into(), name: path.1.into(), page: 1 },
            state,
            reason: reason.map(str::to_owned),
            asked,
            measured: true,
            text: None,
            text_hash: None,
            edited: false,
            flagged: !flags.is_empty(),
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            asked_as: None,
            after: None,
        }
    }

    fn selection(conditions: &[&str], path: Option<&str>) -> Selection {
        let conditions: Vec<_> = conditions.iter().map(|condition| (*condition).to_owned()).collect();
        let reason_of = |code: &str| (code == "E501").then_some("refused");
        Selection::read(&conditions, path, Path::new("/archive"), 3, reason_of).expect("a selection")
    }

    #[test]
    fn conditions_hold_together_and_their_values_for_each_other() {
        use ImageState::{Done, Failed, Rough};
        let failed = |reason, asked| image(("box", "a.png"), Failed, Some(reason), &[], asked);
        let done = |flags: &[&str]| image(("box", "a.png"), Done, None, flags, 0);
        let rough = image(("box", "a.png"), Rough, None, &["chatter"], 0);
        for (conditions, image, means) in [
            (&[][..], failed("empty", 1), true),
            (&[], done(&["loop"]), false),
            (&["code=E501"], failed("refused", 1), true),
            (&["code=E501"], failed("empty", 1), false),
            (&["code=E507"], rough.clone(), true),
            (&["code=e513"], failed("empty", 3), true),
            (&["code=E513"], failed("empty", 2), false),
            (&["reason=refused|empty"], failed("empty", 1), true),
            (&["reason=refused", "state=done"], failed("refused", 1), false),
            (&["flag=too_short|loop"], done(&["blank", "loop"]), true),
            (&["flag=too_short", "flag=loop"], done(&["loop"]), false),
            (&["state=failed|rough"], rough, true),
        ] {
            assert_eq!(selection(conditions, None).means(&image), means, "{conditions:?} {image:?}");
        }
    }

    #[test]
    fn paths_are_seen_from_the_image_folder_and_from_the_user() {
        let at = |path| image(path, ImageState::Failed, Some("empty"), &[], 0);
        for (glob, path, means, exactly) in [
            ("box/*.png", ("box", "a.png"), true, false),
            ("box/*", ("box/deep", "a.png"), false, false),
            ("box/**", ("box/deep", "a.png"), true, false),
            ("a.png", ("box", "a.png"), true, false),
            ("a.png", ("", "a.png"), true, true),
            ("box/a.png", ("box", "a.png"), true, true),
            ("in/box/a.png", ("box", "a.png"), true, true),
            ("./in/box/*", ("box", "a.png"), true, false),
            ("/archive/in/box/a.png", ("box", "a.png"), true, true),
            ("box/[1].png", ("box", "[1].png"), true, true),
            ("box/[1].png", ("box", "1.png"), true, false),
            ("other/*", ("box", "a.png"), false, false),
        ] {
            let selection = selection(&[], Some(glob));
            let image = at(path);
            assert_eq!((selection.means(&image), selection.names(&image)), (means, exactly), "{glob} {path:?}");
        }
        let done = image(("box", "a.png"), ImageState::Done, None, &[], 0);
        assert!(selection(&[], Some("box/a.png")).means(&done) && !selection(&[], Some("box/*")).means(&done));
        for (conditions, path, leaves) in [
            (&[][..], Some("box/*"), true),
            (&[], Some("other/*"), false),
            (&[], None, false),
            (&["state=rough"], Some("box/*"), false),
        ] {
            assert_eq!(selection(conditions, path).leaves(&done), leaves, "{conditions:?} {path:?}");
        }
    }

    #[test]
    fn the_pages_of_a_file_have_one_text_and_each_its_rough_one() {
        let mut image = image(("box", "deed.tif"), ImageState::Done, None, &[], 1);
        image.path.page = 3;
        let stays = |text: &str| Stays { image: "box/deed.tif".to_owned(), text: text.to_owned() };
        assert_eq!(Stays::of(&image), stays("box/deed.tif.txt"));
        image.text = Some("api".to_owned());
        assert_eq!(Stays::of(&image), stays("box/deed.tif#3.txt.api"));
    }
}
