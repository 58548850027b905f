//! The only writer of texts. It knows whether a person was there: what is neither ours by hash nor equal to what we would
//! write is a person's, and is never overwritten.

use std::io::{self, ErrorKind};
use std::path::Path;

use fs_err as fs;

use crate::kit::atomic_file::{Access, Draft, Durability, Mark, folder_of};
use crate::kit::crash;
use crate::kit::hash::{Short, short};
use crate::ledger::records::TextOwner;

/// How often a race with somebody who writes the same file is run before giving up.
const ROUNDS: usize = 3;

/// Puts `text` beside its image. `known` is the hash of what we wrote there last. Tells whose text stands there afterwards,
/// and its hash. The folder is not synced: the caller does that once for many texts.
///
/// # Errors
/// The operating system's, with the path.
pub fn place(target: &Path, text: &[u8], known: Option<Short>, mark: &Mark) -> io::Result<(TextOwner, Short)> {
    let ours = short(text);
    for _ in 0..ROUNDS {
        match fs::read(target) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => {
                match draft(target, text, mark)?.publish_new(target, Durability::Synced) {
                    // Somebody was faster: look at what he wrote.
                    Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {}
                    written => {
                        crash::point("text.renamed");
                        return written.map(|()| (TextOwner::Ours, ours));
                    }
                }
            }
            Err(cause) => return Err(cause),
            Ok(standing) if standing == text => return Ok((TextOwner::Ours, ours)),
            Ok(standing) if known == Some(short(&standing)) || crash::without("edited") => {
                draft(target, text, mark)?.publish(target, Durability::Synced)?;
                crash::point("text.replaced");
                return Ok((TextOwner::Ours, ours));
            }
            Ok(standing) => return Ok((TextOwner::Kept, short(&standing))),
        }
    }
    Err(io::Error::new(ErrorKind::AlreadyExists, format!("{}: appears and vanishes", target.display())))
}

fn draft(target: &Path, text: &[u8], mark: &Mark) -> io::Result<Draft> {
    let mut draft = Draft::create_marked(folder_of(target), Access::Umask, mark)?;
    draft.fill(text)?;
    crash::point("text.half");
    Ok(draft)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(target: &Path, text: &[u8], known: Option<Short>) -> io::Result<(TextOwner, Short)> {
        super::place(target, text, known, &Mark::new(target).expect("randomness"))
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

    #[test]
    fn a_folder_in_the_texts_place_is_told_by_name() {
        let folder = tempfile::tempdir().expect("temp dir");
        let target = folder.path().join("page.jpg.txt");
        std::fs::create_dir(&target).expect("folder");
        let error = place(&target, b"text", None).expect_err("a folder");
        assert!(error.to_string().contains("page.jpg.txt"), "{error}");
    }
}
