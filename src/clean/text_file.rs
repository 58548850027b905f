//! The only writer of texts. It knows whether a person was there: what is neither ours by hash nor equal to what we would
//! write is a person's, and is never overwritten.

use std::io::{self, ErrorKind, Read as _};
use std::ops::Deref;
use std::sync::Arc;

use crate::kit::atomic_file::Mark;
use crate::kit::crash;
use crate::kit::folder::{Folder, NewFile, Sort};
use crate::kit::hash::{Short, ShortHasher, short};
use crate::ledger::records::TextOwner;

/// How often a race with somebody who writes the same file is run before giving up.
const ROUNDS: usize = 3;
/// Bytes read at a time of a text that stands there.
const CHUNK: usize = 64 << 10;

/// What becomes of a text of ours that nobody has edited, where a new reading differs from it. A person's text is kept in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// The new reading takes its place.
    #[default]
    Replace,
    /// It stays; the new reading is in the saved answer.
    Keep,
}

/// Puts `text` into its folder under `name`. `known` is the hash of what we wrote there last. Tells whose text stands there
/// afterwards, and its hash. The folder is not synced: the caller does that once for many texts.
///
/// # Errors
/// The operating system's, with the path.
pub fn place(
    folder: &Folder,
    name: &[u8],
    text: &[u8],
    known: Option<Short>,
    existing: Existing,
    mark: &Mark,
) -> io::Result<(TextOwner, Short)> {
    for _ in 0..ROUNDS {
        let begin = || folder.draft(mark);
        match begin_with(begin, folder, name, text, known, existing)? {
            Begun::Stands(owner, hash) => return Ok((owner, hash)),
            Begun::Written(written) => match written.publish(name)? {
                Some(hash) => return Ok((TextOwner::Ours, hash)),
                None => continue,
            },
        }
    }
    let path = folder.path_of(&[name]);
    Err(io::Error::new(ErrorKind::AlreadyExists, format!("{}: appears and vanishes", path.display())))
}

/// The first half of [`place`], for whoever writes many texts: what is [`Begun::Written`] gets its name by
/// [`Written::publish`], once its bytes are on disk.
///
/// # Errors
/// The operating system's, with the path.
pub fn begin(
    folder: &Arc<Folder>,
    name: &[u8],
    text: &[u8],
    known: Option<Short>,
    existing: Existing,
    mark: &Mark,
) -> io::Result<Begun<Arc<Folder>>> {
    let draft = || folder.draft_held(mark);
    if known.is_none() {
        // Nearly always nothing stands there yet; where something does, the name is not given, and it is looked at then.
        return write(draft, text, short(text), None);
    }
    begin_with(draft, folder, name, text, known, existing)
}

/// A text that is on its way into its place.
pub enum Begun<F: Deref<Target = Folder>> {
    /// Nothing has to be written: whose text stands there, and its hash.
    Stands(TextOwner, Short),
    /// It is written under a temporary name.
    Written(Written<F>),
}

/// A text under a temporary name.
pub struct Written<F: Deref<Target = Folder>> {
    file: NewFile<F>,
    hash: Short,
    /// Hash of the text of ours whose place it takes.
    instead_of: Option<Short>,
}

impl<F: Deref<Target = Folder>> Written<F> {
    /// The file, to make its bytes durable.
    pub fn file(&mut self) -> &mut NewFile<F> {
        &mut self.file
    }

    /// Gives the text its name, and tells its hash; `None` if something else stands there than when it was begun.
    ///
    /// # Errors
    /// The operating system's, with the path.
    pub fn publish(mut self, name: &[u8]) -> io::Result<Option<Short>> {
        // On disk before anybody looks whether it may have its name: the look is worth little when it is old.
        self.file.close()?;
        let Some(known) = self.instead_of else {
            return match self.file.publish_new(name) {
                // Somebody was faster: look at what he wrote.
                Err(cause) if cause.kind() == ErrorKind::AlreadyExists => Ok(None),
                written => {
                    crash::point("text.renamed");
                    written.map(|()| Some(self.hash))
                }
            };
        };
        match standing(self.file.folder(), name)? {
            Standing::Text(hash) if hash == known => {
                self.file.publish(name)?;
                crash::point("text.replaced");
                Ok(Some(self.hash))
            }
            _ => Ok(None),
        }
    }
}

fn begin_with<F: Deref<Target = Folder>>(
    draft: impl FnOnce() -> io::Result<NewFile<F>>,
    folder: &Folder,
    name: &[u8],
    text: &[u8],
    known: Option<Short>,
    existing: Existing,
) -> io::Result<Begun<F>> {
    let ours = short(text);
    let instead_of = match standing(folder, name)? {
        Standing::Nothing => None,
        Standing::Text(hash) if hash == ours => return Ok(Begun::Stands(TextOwner::Ours, ours)),
        Standing::Text(hash) if known == Some(hash) && existing == Existing::Keep => {
            return Ok(Begun::Stands(TextOwner::Ours, hash));
        }
        Standing::Text(hash) if known == Some(hash) || crash::without("edited") => Some(hash),
        Standing::Text(hash) => return Ok(Begun::Stands(TextOwner::Kept, hash)),
        Standing::Other => return Ok(Begun::Stands(TextOwner::Kept, short(b""))),
    };
    write(draft, text, ours, instead_of)
}

fn write<F: Deref<Target = Folder>>(
    draft: impl FnOnce() -> io::Result<NewFile<F>>,
    text: &[u8],
    hash: Short,
    instead_of: Option<Short>,
) -> io::Result<Begun<F>> {
    let mut file = draft()?;
    file.fill(text)?;
    crash::point("text.half");
    Ok(Begun::Written(Written { file, hash, instead_of }))
}

/// Removes a text of ours that is one no more; whatever else bears its name stays.
///
/// # Errors
/// The operating system's, with the path.
pub fn remove_ours(folder: &Folder, name: &[u8], known: Option<Short>) -> io::Result<()> {
    let Some(known) = known else { return Ok(()) };
    match standing(folder, name)? {
        Standing::Text(hash) if hash == known => {
            folder.remove(name).map_err(|cause| told(&cause, folder, name))?;
            crash::point("text.removed");
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Hash of the text that bears this name, if one does.
///
/// # Errors
/// The operating system's, with the path.
pub fn hash_there(folder: &Folder, name: &[u8]) -> io::Result<Option<Short>> {
    match standing(folder, name)? {
        Standing::Text(hash) => Ok(Some(hash)),
        Standing::Nothing | Standing::Other => Ok(None),
    }
}

/// Whether a text was not written because of its folder alone, so that the others can be: nothing new is begun, but what is
/// on its way is finished.
#[must_use]
pub fn is_of_one_folder(cause: &io::Error) -> bool {
    matches!(cause.kind(), ErrorKind::PermissionDenied | ErrorKind::NotADirectory)
}

/// What bears the name of a text.
enum Standing {
    Nothing,
    /// A file, by its hash: however long it is, it is read in pieces.
    Text(Short),
    /// A folder, a link, a pipe, or a file that we may not read: not ours, whatever it is.
    Other,
}

fn standing(folder: &Folder, name: &[u8]) -> io::Result<Standing> {
    // Looked at before it is opened: a device may do something when it is opened.
    match folder.facts(name) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(Standing::Nothing),
        Ok(facts) if facts.sort == Sort::File => {}
        Ok(_) => return Ok(Standing::Other),
        Err(cause) => return Err(told(&cause, folder, name)),
    }
    let mut file = match folder.file(&[name]) {
        Ok(file) if file.metadata()?.is_file() => file,
        Ok(_) => return Ok(Standing::Other),
        Err(cause) => match cause.kind() {
            ErrorKind::NotFound => return Ok(Standing::Nothing),
            ErrorKind::InvalidInput | ErrorKind::PermissionDenied => return Ok(Standing::Other),
            _ => return Err(told(&cause, folder, name)),
        },
    };
    let mut hasher = ShortHasher::default();
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk).map_err(|cause| told(&cause, folder, name))? {
            0 => return Ok(Standing::Text(hasher.finish())),
            read => hasher.update(&chunk[..read]),
        }
    }
}

/// The same kind of error, with the path in its words.
fn told(cause: &io::Error, folder: &Folder, name: &[u8]) -> io::Error {
    io::Error::new(cause.kind(), format!("{}: {cause}", folder.path_of(&[name]).display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn place(target: &Path, text: &[u8], known: Option<Short>) -> io::Result<(TextOwner, Short)> {
        let folder = Folder::open(target.parent().expect("a folder")).expect("a folder");
        let name = target.file_name().expect("a name").as_encoded_bytes();
        super::place(&folder, name, text, known, Existing::Replace, &Mark::new(target).expect("randomness"))
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test is the person who edits")]
    fn a_persons_text_stands() {
        let folder = tempfile::tempdir().expect("temp dir");
        let target = folder.path().join("page.jpg.txt");
        let on_disk = || std::fs::read(&target).expect("text");
        assert_eq!(place(&target, b"one\n", None).expect("absent"), (TextOwner::Ours, short(b"one\n")));
        // The same again, as after a crash before the verdict was recorded.
        assert_eq!(place(&target, b"one\n", None).expect("equal"), (TextOwner::Ours, short(b"one\n")));
        // Ours and untouched: replaced.
        let known = Some(short(b"one\n"));
        assert_eq!(place(&target, b"two\n", known).expect("ours"), (TextOwner::Ours, short(b"two\n")));
        assert_eq!(on_disk(), b"two\n");
        // Kept by order: the new reading stays in its answer.
        let (folder, known) = (Folder::open(folder.path()).expect("a folder"), Some(short(b"two\n")));
        let mark = Mark::new(&target).expect("randomness");
        let kept = super::place(&folder, b"page.jpg.txt", b"new\n", known, Existing::Keep, &mark).expect("kept");
        assert_eq!((kept, on_disk()), ((TextOwner::Ours, short(b"two\n")), b"two\n".to_vec()));
        // Edited by a person: kept, whatever the new reading says.
        std::fs::write(&target, b"two, corrected\n").expect("edit");
        let kept = place(&target, b"three\n", Some(short(b"two\n"))).expect("edited");
        assert_eq!(kept, (TextOwner::Kept, short(b"two, corrected\n")));
        assert_eq!(on_disk(), b"two, corrected\n");
    }

    #[test]
    fn a_blank_page_is_a_file_of_no_bytes() {
        let folder = tempfile::tempdir().expect("temp dir");
        let target = folder.path().join("page.jpg.txt");
        place(&target, b"", None).expect("blank");
        assert_eq!(std::fs::metadata(&target).expect("file").len(), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn whatever_else_bears_the_name_is_not_ours_and_is_not_waited_for() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().expect("temp dir");
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("folder.txt")).expect("folder");
        symlink("/etc/hostname", path("link.txt")).expect("link");
        symlink("nowhere", path("broken.txt")).expect("link");
        rustix::fs::mknodat(rustix::fs::CWD, path("pipe.txt"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
            .expect("pipe");
        for name in ["folder.txt", "link.txt", "broken.txt", "pipe.txt"] {
            let before = std::fs::symlink_metadata(path(name)).expect("there").file_type();
            assert_eq!(place(&path(name), b"", None).expect(name), (TextOwner::Kept, short(b"")), "{name}");
            assert_eq!(std::fs::symlink_metadata(path(name)).expect("there").file_type(), before, "{name}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).expect("list").count(), 4);
    }
}
