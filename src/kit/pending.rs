//! Notes of files that are being written into folders of others: what a process left there when it died is found by them, without a
//! walk. A note is locked as long as its process lives, however that ends, so nobody takes the file of a living one for rubbish.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use fs_err as fs;

use super::atomic_file::{Access, Draft, Durability, Mark, TEMPORARY_PREFIX, is_temporary, private_folder};
use super::clock::{Clock, Millis, millis};
use super::folder::{Entry, Folder, Sort};
use super::path_bytes;
use super::random;

/// Longest note that is read, in bytes: the beginning of a name, and a path.
const LONGEST: u64 = 64 * 1024;
/// How long the folder of a note may be away: it may lie on a drive that is not there today, but hardly on one that was not there
/// for a quarter of a year.
const AWAY_AT_MOST: Duration = Duration::from_secs(90 * 24 * 3600);
/// How old a note is that was never finished before it counts as left over: one that was begun this moment is not locked yet.
const UNFINISHED_FOR: Duration = Duration::from_secs(3600);

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
        let file = draft.file()?.try_clone()?;
        // Before it says anything, under whatever name.
        file.lock()?;
        draft.fill(&text)?;
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
/// removed now, or not be looked at, is warned of and tried again the next time: it is rubbish, and stops nobody's work.
pub fn sweep(notes: &Path, clock: &Clock) {
    let entries = match fs::read_dir(notes) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => return,
        Err(cause) => return tracing::warn!(%cause, "what dead processes were writing could not be looked for"),
        Ok(entries) => entries,
    };
    for entry in entries {
        // A share that went away says so again and again.
        let Ok(entry) =
            entry.inspect_err(|cause| tracing::warn!(%cause, "not all of what dead processes were writing is seen"))
        else {
            break;
        };
        if let Err(cause) = sweep_one(&entry.path(), clock.now()) {
            tracing::warn!(%cause, notes = %notes.display(), "what a dead process was writing could not be removed");
        }
    }
}

fn sweep_one(note: &Path, now: Millis) -> io::Result<()> {
    let mut file = match OpenOptions::new().read(true).write(true).open(note) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(()),
        file => file.map_err(|cause| named(&cause, note))?,
    };
    // Its process lives, or nobody can tell.
    if file.try_lock().is_err() {
        return Ok(());
    }
    let age = now.saturating_sub(written_at(&file)?);
    if note.file_name().is_some_and(|name| is_temporary(name.as_encoded_bytes())) {
        // It was being written when its process died: no file stands behind it yet.
        return if age > millis(UNFINISHED_FOR) { removed(fs::remove_file(note)) } else { Ok(()) };
    }
    let mut text = Vec::new();
    (&mut file).take(LONGEST).read_to_end(&mut text).map_err(|cause| named(&cause, note))?;
    match read(&text).map(|(beginning, folder)| remove(&folder, beginning)) {
        Some(Err(cause)) if !is_away(&cause) => return Err(cause),
        Some(Err(_)) if age <= millis(AWAY_AT_MOST) => return Ok(()),
        _ => {}
    }
    removed(fs::remove_file(note))
}

fn written_at(file: &File) -> io::Result<Millis> {
    let since = file.metadata()?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(millis(since))
}

/// Whether a folder is not there.
fn is_away(cause: &io::Error) -> bool {
    matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// What somebody else has removed meanwhile is removed.
fn removed(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

fn named(cause: &io::Error, note: &Path) -> io::Error {
    io::Error::new(cause.kind(), format!("{}: {cause}", note.display()))
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
            removed(folder.remove(&name))?;
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
        sweep(&notes, &Clock::wall());
        assert_eq!((names(&texts).len(), names(&notes).len()), (3, 1), "its process lives");

        // A process that is killed closes its files, and does nothing else.
        std::mem::forget(draft);
        let left = std::fs::read(&pending.path).expect("a note");
        drop(pending);
        put(&notes.join("left"), left);
        sweep(&notes, &Clock::wall());
        assert_eq!(names(&texts), [".bs-0a1bzzzzzother.tmp", "page.txt"]);
        assert_eq!(names(&notes), [""; 0]);
        sweep(&place.path().join("none"), &Clock::wall());
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
        sweep(&notes, &Clock::wall());
        assert_eq!(names(&texts), [".bs-0a1bxxxxbcdfghjk.tmp"]);
        assert_eq!(names(&notes), ["away"], "nothing stands behind the others");
    }

    #[test]
    fn a_folder_that_stays_away_is_awaited_for_a_quarter_of_a_year() {
        let place = tempfile::tempdir().expect("temp dir");
        let notes = place.path().join("notes");
        std::fs::create_dir(&notes).expect("a folder");
        put(&place.path().join("file"), "in the place of a folder");
        put(&notes.join("gone"), format!(".bs-0a1bxxxx\n{}/none", place.path().display()));
        put(&notes.join("replaced"), format!(".bs-0a1bxxxx\n{}/file", place.path().display()));
        let clock = Clock::manual(Clock::wall().now());
        clock.advance(AWAY_AT_MOST - Duration::from_secs(3600));
        sweep(&notes, &clock);
        assert_eq!(names(&notes), ["gone", "replaced"], "its drive may come back");
        clock.advance(Duration::from_secs(7200));
        sweep(&notes, &clock);
        assert_eq!(names(&notes), [""; 0]);
    }

    #[test]
    fn a_note_that_was_being_written_when_its_process_died_goes_and_that_of_a_living_one_stays() {
        let place = tempfile::tempdir().expect("temp dir");
        let notes = place.path();
        put(&notes.join(".bs-deaddead.tmp"), ".bs-0a1bxxxx\n/half a pa");
        put(&notes.join(".bs-livelive.tmp"), "");
        let living = File::open(notes.join(".bs-livelive.tmp")).expect("a note");
        living.lock().expect("locked");
        let clock = Clock::manual(Clock::wall().now());
        sweep(notes, &clock);
        assert_eq!(
            names(notes),
            [".bs-deaddead.tmp", ".bs-livelive.tmp"],
            "begun this moment, as far as anybody knows"
        );
        clock.advance(UNFINISHED_FOR * 2);
        sweep(notes, &clock);
        assert_eq!(names(notes), [".bs-livelive.tmp"]);
    }

    #[test]
    fn two_who_sweep_at_once_take_nothing_amiss() {
        assert!(removed(Err(ErrorKind::NotFound.into())).is_ok());
        assert!(removed(Err(ErrorKind::PermissionDenied.into())).is_err());
        let place = tempfile::tempdir().expect("temp dir");
        assert!(sweep_one(&place.path().join("none"), 0).is_ok());
    }

    #[test]
    fn notes_are_written_while_others_sweep() {
        let place = tempfile::tempdir().expect("temp dir");
        let (notes, mark) = (place.path().join("notes"), Mark::new(place.path()).expect("a mark"));
        private_folder(&notes).expect("a folder");
        std::thread::scope(|scope| {
            let writing = scope.spawn(|| (0..200).all(|_| Pending::note(&notes, place.path(), &mark).is_ok()));
            while !writing.is_finished() {
                sweep(&notes, &Clock::wall());
            }
            assert!(writing.join().expect("it ends"), "each was noted");
        });
        assert_eq!(names(&notes), [""; 0]);
    }

    #[test]
    fn notes_that_cannot_be_read_stop_nobody() {
        let place = tempfile::tempdir().expect("temp dir");
        put(&place.path().join("notes"), "no folder");
        sweep(&place.path().join("notes"), &Clock::wall());
        assert_eq!(names(place.path()), ["notes"]);
    }
}
