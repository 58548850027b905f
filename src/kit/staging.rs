//! A folder of files that can be made again, which appears with all of them at once.

use std::io::{self, ErrorKind};
use std::path::Path;

use super::atomic_file::{self, TEMPORARY_PREFIX, TEMPORARY_SUFFIX, is_temporary, private_folder};
use super::folder::Folder;

/// A folder that is being filled. One that was there before, from a reading that came to its end, is written over file by file.
#[derive(Debug)]
pub struct Staging {
    parent: Folder,
    folder: Folder,
    name: Vec<u8>,
    /// What it is called until it gets its name.
    temporary: Option<Vec<u8>>,
}

impl Staging {
    /// Begins the folder `name` in `parent`. What a process that died had begun of it is thrown away.
    ///
    /// # Errors
    /// The operating system's, with the path; `NotADirectory` for a link in its place.
    pub fn begin(parent: Folder, name: &[u8]) -> io::Result<Self> {
        let temporary = [TEMPORARY_PREFIX.as_bytes(), name, TEMPORARY_SUFFIX.as_bytes()].concat();
        let path = parent.path_of(&[&temporary]);
        match fs_err::remove_dir_all(&path) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => return Err(cause),
            _ => {}
        }
        match parent.below(&[name]) {
            Ok(folder) => {
                atomic_file::sweep(&parent.path_of(&[name]))?;
                return Ok(Self { parent, folder, name: name.to_vec(), temporary: None });
            }
            Err(cause) if cause.kind() == ErrorKind::NotFound => {}
            Err(cause) => return Err(cause),
        }
        private_folder(&path)?;
        let folder = parent.below(&[&temporary])?;
        Ok(Self { parent, folder, name: name.to_vec(), temporary: Some(temporary) })
    }

    /// Writes a file for its user alone, replacing what bears its name.
    ///
    /// # Errors
    /// The operating system's, with the path.
    pub fn write_private(&self, name: &[u8], bytes: &[u8]) -> io::Result<()> {
        if self.temporary.is_some() {
            match self.folder.write_private_new(name, bytes) {
                Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {}
                written => return written,
            }
        }
        self.folder.write_private(name, bytes)
    }

    /// Gives the folder its name, if it has none yet.
    ///
    /// # Errors
    /// The operating system's, with the path.
    pub fn publish(&self) -> io::Result<()> {
        self.temporary.as_ref().map_or(Ok(()), |temporary| self.parent.rename(temporary, &self.name))
    }
}

/// Removes the folders that a process which died was filling in `parent`, which belongs to this process alone.
///
/// # Errors
/// The operating system's, with the path.
pub fn sweep(parent: &Path) -> io::Result<()> {
    let entries = match fs_err::read_dir(parent) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if is_temporary(entry.file_name().as_encoded_bytes()) && entry.file_type()?.is_dir() {
            fs_err::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_appears_whole_and_is_written_over_file_by_file() {
        let place = tempfile::tempdir().expect("temp dir");
        let begin = || Staging::begin(Folder::open(place.path()).expect("parent"), b"batch_1").expect("begun");
        let names = |path: &str| {
            let mut names: Vec<_> = std::fs::read_dir(place.path().join(path))
                .expect("list")
                .map(|entry| entry.expect("entry").file_name().into_string().expect("a name"))
                .collect();
            names.sort();
            names
        };
        begin().write_private(b"lost.json", b"of a reading that died").expect("written");
        assert_eq!(names(""), [".bs-batch_1.tmp"]);

        let first = begin();
        for (name, bytes) in [("a.json", "1"), ("b.json", "2"), ("a.json", "twice")] {
            first.write_private(name.as_bytes(), bytes.as_bytes()).expect("written");
        }
        assert_eq!(names(""), [".bs-batch_1.tmp"]);
        first.publish().expect("named");
        assert_eq!((names(""), names("batch_1")), (vec!["batch_1".into()], vec!["a.json".into(), "b.json".into()]));
        let read = |name: &str| std::fs::read_to_string(place.path().join("batch_1").join(name)).expect("file");
        assert_eq!(read("a.json"), "twice");

        let again = begin();
        again.write_private(b"b.json", b"new").expect("written");
        again.publish().expect("nothing to do");
        assert_eq!((names("batch_1"), read("b.json")), (vec!["a.json".into(), "b.json".into()], "new".into()));

        let lost = Staging::begin(Folder::open(place.path()).expect("parent"), b"batch_2").expect("begun");
        lost.write_private(b"a.json", b"1").expect("written");
        sweep(place.path()).expect("swept");
        assert_eq!(names(""), ["batch_1"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_its_place_is_not_followed() {
        let (place, outside) = (tempfile::tempdir().expect("temp dir"), tempfile::tempdir().expect("temp dir"));
        std::os::unix::fs::symlink(outside.path(), place.path().join("batch_1")).expect("link");
        let begun = Staging::begin(Folder::open(place.path()).expect("parent"), b"batch_1");
        assert_eq!(begun.map_err(|cause| cause.kind()).err(), Some(ErrorKind::NotADirectory));
    }
}
