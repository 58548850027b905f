//! A file of lines that does not grow for ever: when it is full it is put away as `<file>.1`, what lay there as `<file>.2`, and so
//! on; the oldest is removed.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::atomic_file::{append_private, move_file};

/// The file; each write is one line or more, and is never torn apart.
#[derive(Debug)]
pub struct RollingFile {
    path: PathBuf,
    most_bytes: u64,
    /// Files that are kept, the one being written among them.
    files: u32,
    file: File,
    bytes: u64,
}

impl RollingFile {
    /// Goes on with the file at `path`, readable by its owner alone; of `files` files none grows much beyond `most_bytes`.
    ///
    /// # Errors
    /// The operating system's, with the path.
    pub fn open(path: &Path, most_bytes: u64, files: u32) -> io::Result<Self> {
        let file = append_private(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path: path.to_path_buf(), most_bytes, files, file, bytes })
    }

    fn put_away(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }

    /// Begins another file. Whatever cannot be put away is written on: a log is no reason to stop.
    fn roll(&mut self) {
        let oldest = self.files.saturating_sub(1);
        for number in (1..oldest).rev() {
            // Fails where there are not that many yet.
            drop(move_file(&self.put_away(number), &self.put_away(number + 1)));
        }
        let away = match oldest {
            0 => std::fs::remove_file(&self.path),
            _ => move_file(&self.path, &self.put_away(1)),
        };
        if let Ok(file) = away.and_then(|()| append_private(&self.path)) {
            self.file = file;
        }
        // Also where it failed: the next try comes after as many bytes again.
        self.bytes = 0;
    }
}

impl Write for RollingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let more = bytes.len() as u64;
        if self.bytes > 0 && self.bytes + more > self.most_bytes {
            self.roll();
        }
        self.file.write_all(bytes)?;
        self.bytes += more;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> Vec<(String, String)> {
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .expect("folder")
            .map(|entry| {
                let path = entry.expect("entry").path();
                let name = path.file_name().expect("a name").to_string_lossy().into_owned();
                (name, std::fs::read_to_string(path).expect("text"))
            })
            .collect();
        files.sort();
        files
    }

    fn pair(name: &str, text: &str) -> (String, String) {
        (name.to_owned(), text.to_owned())
    }

    #[test]
    fn a_full_file_is_put_away_and_the_oldest_goes() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.log");
        let mut log = RollingFile::open(&path, 8, 3).expect("file");
        for line in ["one\n", "two\n", "three\n", "four\n", "five and more\n"] {
            log.write_all(line.as_bytes()).expect("written");
        }
        let expected = [pair("a.log", "five and more\n"), pair("a.log.1", "four\n"), pair("a.log.2", "three\n")];
        assert_eq!(files(folder.path()), expected);
        // Another life goes on where this one ended.
        let mut log = RollingFile::open(&path, 8, 3).expect("file");
        log.write_all(b"six\n").expect("written");
        let expected = [pair("a.log", "six\n"), pair("a.log.1", "five and more\n"), pair("a.log.2", "four\n")];
        assert_eq!(files(folder.path()), expected);
    }

    #[test]
    fn one_file_alone_begins_anew() {
        let folder = tempfile::tempdir().expect("folder");
        let mut log = RollingFile::open(&folder.path().join("a.log"), 4, 1).expect("file");
        log.write_all(b"one\n").expect("written");
        log.write_all(b"two\n").expect("written");
        assert_eq!(files(folder.path()), [pair("a.log", "two\n")]);
    }
}
