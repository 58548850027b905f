//! The text beside an image, as a person sees and mends it.
//!
//! A person's edit is written where our text lies, and stands there for ever: what is neither ours by hash nor equal to what we
//! would write is a person's to every later run, whether the ledger was told or not.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};

use crate::corpus::beneath::Root;
use crate::domain::layout::Layout;
use crate::kit::atomic_file::Mark;
use crate::kit::clock::Clock;
use crate::kit::crash;
use crate::kit::folder::Folder;
use crate::kit::hash::{self, Short};
use crate::kit::pending::{self, Pending};
use crate::ledger::reader::ImageResult;
use crate::ops::text_file::{self, Whose};

/// Longest text in bytes that is shown, and taken: a hundred times what stands on a page.
pub const MOST_BYTES: usize = 1 << 20;

/// A text as it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// The text; empty where there is none.
    pub text: String,
    /// BLAKE3 of the file that was shown; none where there is none. Whoever saves has to name it.
    pub hash: Option<Short>,
    /// Whether it is a rough text: what is saved goes beside it.
    pub is_rough: bool,
    /// Why it cannot be edited, if it cannot.
    pub fixed: Option<String>,
}

/// Why an edit was not saved. The words are for people.
#[derive(Debug, thiserror::Error)]
pub enum Unsaved {
    /// What stands there is not what was shown.
    #[error("the text has changed since it was shown; nothing was saved")]
    Changed,
    /// It is no text that can be edited here.
    #[error("{0}")]
    Fixed(String),
    /// The folder or the disk refuses.
    #[error("{0}")]
    Disk(#[from] io::Error),
}

/// The text of an image: the finished one, or else the rough one.
#[must_use]
pub fn shown(layout: &Layout, image: &ImageResult) -> Shown {
    if image.text.as_deref() == Some("page") {
        let fixed = Some("The text of this file is written once all its pages are read.".to_owned());
        return Shown { fixed, ..Shown::default() };
    }
    match open(layout, image, "txt") {
        Err(cause) if cause.kind() == ErrorKind::NotFound && image.text.as_deref() == Some("api") => {
            Shown { is_rough: true, ..read(open(layout, image, "api")) }
        }
        file => read(file),
    }
}

fn open(layout: &Layout, image: &ImageResult, kind: &str) -> io::Result<File> {
    text_file::open(layout, &image.root, &image.path, kind)
}

fn read(file: io::Result<File>) -> Shown {
    let mut bytes = Vec::new();
    let read = file.and_then(|file| file.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes));
    let fixed = match (read, std::str::from_utf8(&bytes)) {
        (Err(cause), _) if cause.kind() == ErrorKind::NotFound => return Shown::default(),
        (Err(cause), _) => Some(format!("The text cannot be read: {cause}.")),
        (Ok(read), _) if read > MOST_BYTES => {
            Some("The text is too long to be edited here; this is its beginning.".to_owned())
        }
        (Ok(_), Err(_)) => Some("The text is not UTF-8 and cannot be edited here.".to_owned()),
        (Ok(_), Ok(_)) => None,
    };
    bytes.truncate(MOST_BYTES);
    let hash = fixed.is_none().then(|| hash::short(&bytes));
    Shown { text: String::from_utf8_lossy(&bytes).into_owned(), hash, is_rough: false, fixed }
}

/// Saves an edit of what was `shown_hash` when it was shown; tells the hash of the text that stands now, and whether that is
/// another one than before.
///
/// # Errors
/// [`Unsaved`]; nothing was changed then.
pub fn save(
    layout: &Layout,
    image: &ImageResult,
    text: &str,
    shown_hash: Option<Short>,
) -> Result<(Short, bool), Unsaved> {
    let stands = shown(layout, image);
    if let Some(fixed) = stands.fixed {
        return Err(Unsaved::Fixed(fixed));
    }
    if stands.hash != shown_hash {
        return Err(Unsaved::Changed);
    }
    let text = as_file(text);
    if text.len() > MOST_BYTES {
        return Err(Unsaved::Fixed("The text is too long to be edited here.".to_owned()));
    }
    let hash = hash::short(text.as_bytes());
    let replaces = stands.hash.is_some() && !stands.is_rough;
    if replaces && stands.hash == Some(hash) {
        return Ok((hash, false));
    }
    place(layout, image, text.as_bytes(), replaces)?;
    Ok((hash, true))
}

/// A text as texts are kept: `\n` ends a line, one stands at the end; nothing but blanks is a blank page, a file of 0 bytes.
fn as_file(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let text = text.trim_end_matches('\n');
    if text.trim().is_empty() { String::new() } else { format!("{text}\n") }
}

/// Removes a rough text of ours beside which a person's text stands: nothing is to be cleaned of it any more.
///
/// # Errors
/// The operating system's, with the path.
pub fn remove_rough(layout: &Layout, image: &ImageResult) -> io::Result<()> {
    let whose = |ours| text_file::whose(layout, &image.root, &image.path, "api", ours);
    if image.text.as_deref() != Some("api") || image.text_hash.map(whose) != Some(Whose::Ours) {
        return Ok(());
    }
    text_file::folder(layout, &image.root, &image.path)?.remove(&text_file::name(&image.path, "api"))
}

/// Removes what an earlier life of the pages has left beside images when it was killed, and nothing of one that lives.
pub fn sweep(layout: &Layout, clock: &Clock) {
    pending::sweep(&layout.drafts(), clock);
}

/// A mark of its own: a run beside this sweeps what earlier lives of it have left, and would take a draft of its mark for such.
fn mark(layout: &Layout) -> io::Result<Mark> {
    Mark::new(&layout.batch.join("review"))
}

/// Writes a text whole or not at all.
fn place(layout: &Layout, image: &ImageResult, text: &[u8], replaces: bool) -> Result<(), Unsaved> {
    let folder = folder(layout, image)?;
    let name = text_file::name(&image.path, "txt");
    let mark = mark(layout)?;
    // A text that cannot be noted is saved all the same: what a crash left of it would be a hidden file too many.
    let noted = Pending::note(&layout.drafts(), &folder.path_of(&[]), &mark);
    let _pending = noted.inspect_err(|cause| tracing::warn!(%cause, "a text that is being saved was not noted"));
    let mut draft = folder.draft(&mark)?;
    draft.fill(text)?;
    crash::point("review.filled");
    if replaces {
        draft.publish(&name)?;
    } else {
        draft.publish_new(&name).map_err(|cause| match cause.kind() {
            ErrorKind::AlreadyExists => Unsaved::Changed,
            _ => cause.into(),
        })?;
    }
    Ok(folder.sync()?)
}

/// The folder of the text; one of the mirror tree is made if need be.
fn folder(layout: &Layout, image: &ImageResult) -> io::Result<Folder> {
    match &layout.texts {
        Some(texts) => {
            fs_err::create_dir_all(texts)?;
            Root::open(texts)?.make_folder(&image.path.folder)
        }
        None => text_file::folder(layout, &image.root, &image.path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_beside_leaves_a_persons_draft_alone() {
        let place = tempfile::tempdir().expect("temp dir");
        let at = |name: &str| place.path().join(name);
        let layout = Layout {
            batch: at("batch"),
            completed: at("batch/completed"),
            output: at("batch_return"),
            extraction: at("batch_json_results"),
            texts: None,
        };
        let folder = Folder::open(place.path()).expect("a folder");
        let draft = folder.draft(&mark(&layout).expect("a mark")).expect("begun");
        let names: Vec<_> =
            std::fs::read_dir(place.path()).expect("list").flatten().map(|one| one.file_name()).collect();
        let pipeline = Mark::new(&layout.batch).expect("a mark");
        assert!(names.len() == 1 && !pipeline.is_left_over(names[0].as_encoded_bytes()), "{names:?}");
        drop(draft);
    }
}
