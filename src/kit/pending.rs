//! Notes of files that are being written into folders of others: what a process left there when it died is found by them, without a
//! walk. A note is locked as long as its process lives, however that ends, so nobody takes the file of a living one for rubbish.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::atomic_file::{Access, Draft, Durability, Mark, TEMPORARY_PREFIX, is_temporary, private_folder};
use super::folder::{Entry, Folder, Sort};
use super::path_bytes;
use super::random;

/// Longest note that is read, in bytes: the beginning of a name, and a path.
const LONGEST: u64 = 64 * 1024;

/// A note; gone when dropped.
#[derive(Debug)]
pub struct Pending {
    path: PathBuf,
    /// Locked until it is closed.
    _file: File,
}

impl Pending {
    /// Notes in the folder `notes` of our own, which is made if need be, that a file is about to be written in `folder` under a
    /// temporary name that bears `mark`.
    ///
    /// # Errors
    /// The operating system's, with the path; nothing is noted then.
    pub fn note(notes: &Path, folder: &Path, mark: &Mark) -> io::Result<Self> {
        private_folder(notes)?;
        let text = [mark.beginning().as_bytes(), b"\n", &path_bytes::from_name(folder.as_os_str())].concat();
        let path = notes.join(random::letters(12)?);
        let mut draft = Draft::create(notes, Access::Private)?;
        draft.fill(&text)?;
        let file = draft.file()?.try_clone()?;
        // Before it bears a name that anybody looks at.
        file.lock()?;
        draft.publish_new(&path, Durability::Synced)?;
        Ok(Self { path, _file: file })
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // Where it cannot be removed, whoever sweeps finds nothing behind it.
        drop(std::fs::remove_file(&self.path));
    }
}

/// Removes the files that dead processes were writing when they noted it in the folder `notes`, and their notes. What cannot be
/// removed now is tried again the next time.
///
/// # Errors
/// The operating system's, with the path, where the notes cannot be read; one that is not there holds none.
pub fn sweep(notes: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(notes) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        // A note that is being written has no file behind it yet.
        if path.file_name().is_some_and(|name| is_temporary(name.as_encoded_bytes())) {
            continue;
        }
        if let Err(cause) = sweep_one(&path) {
            tracing::warn!(%cause, note = %path.display(), "what a dead process was writing could not be removed");
        }
    }
    Ok(())
}

fn sweep_one(note: &Path) -> io::Result<()> {
    let mut file = match OpenOptions::new().read(true).write(true).open(note) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    // Its process lives, or nobody can tell.
    if file.try_lock().is_err() {
        return Ok(());
    }
    let mut text = Vec::new();
    (&mut file).take(LONGEST).read_to_end(&mut text)?;
    if let Some((beginning, folder)) = read(&text) {
        match remove(&folder, beginning) {
            // It may lie on a drive that is not there today.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
            removed => removed?,
        }
    }
    fs::remove_file(note)
}

/// The beginning of the names, and the folder; nothing where the note is none of ours.
fn read(text: &[u8]) -> Option<(&[u8], PathBuf)> {
    let end = memchr::memchr(b'\n', text)?;
    let (beginning, folder) = (&text[..end], &text[end + 1..]);
    // Anything shorter would mean the files of others as well.
    let is_ours = beginning.starts_with(TEMPORARY_PREFIX.as_bytes()) && beginning.len() == Mark::BEGINNING;
    is_ours.then(|| (beginning, path_bytes::to_path(folder)))
}

/// Removes the temporary files in `folder` whose names begin so.
fn remove(folder: &Path, beginning: &[u8]) -> io::Result<()> {
    let folder = Folder::open(folder)?;
    for entry in folder.below(&[])?.entries()? {
        let Entry { name, sort } = entry?;
        if sort == Sort::File && is_temporary(&name) && name.starts_with(beginning) {
            folder.remove(&name)?;
        }
    }
    folder.sync()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::atomic_file::write;

    fn put(path: &Path, text: impl AsRef<[u8]>) {
        write(path, text.as_ref(), Access::Private, Durability::Derived).expect("a file");
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_a_dead_process_left_goes_and_what_a_living_one_writes_stays() {
        let place = tempfile::tempdir().expect("temp dir");
        let (notes, texts) = (place.path().join("notes"), place.path().join("texts"));
        std::fs::create_dir(&texts).expect("a folder");
        put(&texts.join("page.txt"), "kept");
        put(&texts.join(".bs-0a1bzzzzzother.tmp"), "another life's");
        let mark = Mark::new(&notes).expect("a mark");
        let folder = Folder::open(&texts).expect("the folder");

        let pending = Pending::note(&notes, &texts, &mark).expect("noted");
        let draft = folder.draft(&mark).expect("begun");
        sweep(&notes).expect("swept");
        assert_eq!((names(&texts).len(), names(&notes).len()), (3, 1), "its process lives");

        // A process that is killed closes its files, and does nothing else.
        std::mem::forget(draft);
        let left = std::fs::read(&pending.path).expect("a note");
        drop(pending);
        put(&notes.join("left"), left);
        sweep(&notes).expect("swept");
        assert_eq!(names(&texts), [".bs-0a1bzzzzzother.tmp", "page.txt"]);
        assert_eq!(names(&notes), [""; 0]);
        sweep(&place.path().join("none")).expect("nothing to sweep");
    }

    #[test]
    fn a_note_that_is_none_of_ours_removes_nothing() {
        let place = tempfile::tempdir().expect("temp dir");
        let (notes, texts) = (place.path().join("notes"), place.path().join("texts"));
        for folder in [&notes, &texts] {
            std::fs::create_dir(folder).expect("a folder");
        }
        put(&texts.join(".bs-0a1bxxxxbcdfghjk.tmp"), "a draft");
        for (at, beginning) in ["", ".bs-", ".bs-0a1b", "0a1bxxxx"].iter().enumerate() {
            let note = format!("{beginning}\n{}", texts.display());
            put(&notes.join(format!("note{at}")), note);
        }
        put(&notes.join("away"), format!(".bs-0a1bxxxx\n{}/none", texts.display()));
        put(&notes.join("torn"), ".bs-0a1b");
        sweep(&notes).expect("swept");
        assert_eq!(names(&texts), [".bs-0a1bxxxxbcdfghjk.tmp"]);
        assert_eq!(names(&notes), ["away"], "nothing stands behind the others");
    }
}
