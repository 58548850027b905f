//! What lies in the way of a whole run is told before anything is sent: images whose texts would be one file, and texts that are
//! there where none was expected.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::path::Path;

use crate::domain::layout;
use crate::domain::recipe::Recipe;
use crate::kit::alike::Alike;
use crate::kit::hash;
use crate::ops::plan::{self, Ask, NoPlace, Shared, There};
use crate::settings::{Problem, Settings};

use super::args::{Old, Redo};
use super::exit::{Fail, cannot_write};
use super::{consent, finish, pages, words};

/// Looks for what lies in the way of a run that asks about the images below `root`.
pub(super) fn look(settings: &Settings, root: &Path, recipe: &Recipe, old: &Old) -> Result<(), Fail> {
    // Nothing is priced here.
    let ask = Ask { settings, root, recipe, today: "" };
    // Beside the images lie the texts of no two that their own drive does not tell apart.
    if let Some(folder) = &settings.text.out_dir {
        // Where it cannot be written today, that is told by whoever writes there.
        let alike = Alike::of_drive(folder).unwrap_or_default();
        if alike != Alike::default() {
            one_text(&ask, alike)?;
        }
    }
    texts_there(settings, root, recipe, old)
}

/// The part of it that is found out by reading alone.
pub(super) fn texts_there(settings: &Settings, root: &Path, recipe: &Recipe, old: &Old) -> Result<(), Fail> {
    let ask = Ask { settings, root, recipe, today: "" };
    if settings.text.stop_at_existing {
        if let Some(word) = with_texts(old.redo) {
            return Err(Problem::new("E103", format!("`--redo {word}` contradicts `text.existing` = \"stop\""))
                .hint("what is asked again has a text: --existing ours  replaces those of ours, --existing keep  none")
                .hint(format!("or leave out  --redo {word}"))
                .into());
        }
        let reader = pages::ledger(&settings.layout()).map_err(|error| finish::ledger(&error))?;
        let there = plan::there::<Infallible>(&ask, reader.as_ref(), old.redo == Some(Redo::Failed));
        return are_there(&there.map_err(|error| consent::plan_failed(error, root))?);
    }
    Ok(())
}

/// The word of a `--redo` that asks images again which have a text; one that failed has none, unless somebody has put it there.
fn with_texts(redo: Option<Redo>) -> Option<&'static str> {
    match redo {
        Some(Redo::Stale) => Some("stale"),
        Some(Redo::All) => Some("all"),
        Some(Redo::Failed) | None => None,
    }
}

/// Tries to write where the first text would come to lie (E405): found out after the first batch, it would have been paid for.
pub(super) fn texts_have_a_place(settings: &Settings, root: &Path, recipe: &Recipe) -> Result<(), Fail> {
    let reader = pages::ledger(&settings.layout()).map_err(|error| finish::ledger(&error))?;
    // Nothing is priced here.
    let ask = Ask { settings, root, recipe, today: "" };
    match plan::no_place(&ask, reader.as_ref()).map_err(|error| consent::plan_failed(error, root))? {
        Some(no_place) => Err(has_no_place(&no_place).into()),
        None => Ok(()),
    }
}

fn has_no_place(no_place: &NoPlace) -> Problem {
    let NoPlace { folder, cause } = no_place;
    if matches!(cause.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge) {
        return cannot_write(cause);
    }
    Problem::new("E405", format!("cannot write texts to {}: {}", folder.display(), no_place.why()))
        .hint("text.out_dir names another folder for them; nothing was sent")
}

fn one_text(ask: &Ask<'_>, alike: Alike) -> Result<(), Fail> {
    let shared = plan::shared(ask, alike).map_err(|cause| consent::unlisted(cause, ask.root))?;
    if shared.images == 0 { Ok(()) } else { Err(one_file(&shared, alike).into()) }
}

/// Images would write to one file (E107).
fn one_file(shared: &Shared, alike: Alike) -> Problem {
    let images = words::count(shared.images, "image", "images");
    let sees = match (alike.case, alike.form) {
        (true, true) => "upper and lower case, and Unicode forms",
        (true, false) => "upper and lower case",
        _ => "Unicode forms",
    };
    let mut problem = Problem::new("E107", format!("{images} would write to the same text file"));
    for [one, other] in &shared.first {
        let mut text = one.clone();
        text.name = layout::text_name(&one.name, |bytes| hash::hex_digits(bytes, 64));
        problem = problem.detail(format!("{} and {}  ->  {}", one.shown(), other.shown(), text.shown()));
    }
    problem
        .detail(format!("the drive of text.out_dir ignores {sees}"))
        .hint("rename one of them, or name a folder on another drive: text.out_dir; nothing was sent")
        .hint("full list: batchscribe plan --list collisions        more: batchscribe help E107")
}

/// Texts are there, and the settings say that this is to be told first (E103).
fn are_there(there: &There) -> Result<(), Fail> {
    if there.texts == 0 {
        return Ok(());
    }
    let texts = words::count(there.texts, "text that is there", "texts that are there");
    let mut problem = Problem::new("E103", format!("`text.existing` = \"stop\" contradicts {texts}"));
    for path in &there.first {
        problem = problem.detail(path.shown());
    }
    if there.texts > there.first.len() as u64 {
        problem = problem.detail("…");
    }
    Err(problem
        .hint("move them away; or go on with --existing ours, which replaces texts of ours that nobody has edited, or")
        .hint(
            "--existing keep, which replaces none; images with a text that is not ours are left out; nothing was sent",
        )
        .into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::image::RelPath;

    #[test]
    fn names_that_are_one_are_told_in_pairs_with_their_text() {
        let path = |name: &str| RelPath { folder: b"box-07".to_vec(), name: name.into(), page: 1 };
        let shared = Shared { images: 3, first: vec![[path("Scan.TIF"), path("Scan.tif")]] };
        let told = one_file(&shared, Alike { case: true, form: false }).to_string();
        let expected = "error[E107]: 3 images would write to the same text file\n  \
                        box-07/Scan.TIF and box-07/Scan.tif  ->  box-07/Scan.TIF.txt\n  \
                        the drive of text.out_dir ignores upper and lower case\n\
                        hint: rename one of them, or name a folder on another drive: text.out_dir; nothing was sent\n      \
                        full list: batchscribe plan --list collisions        more: batchscribe help E107";
        assert_eq!(told, expected);
    }
}
