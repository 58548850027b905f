//! Files that are absent or complete: temporary name in the same folder, fsync, rename.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::random;

/// Prefix and suffix of temporary names; what a dead process left is known by them.
pub const TEMPORARY_PREFIX: &str = ".bs-";
/// See [`TEMPORARY_PREFIX`].
pub const TEMPORARY_SUFFIX: &str = ".tmp";

/// Whether a file name is one of our temporary ones.
#[must_use]
pub fn is_temporary(name: &[u8]) -> bool {
    name.starts_with(TEMPORARY_PREFIX.as_bytes()) && name.ends_with(TEMPORARY_SUFFIX.as_bytes())
}

/// Says of a temporary file whose it is, where several programs write into one folder: four digits of the workspace, four
/// letters of this life. What an earlier life of the same workspace left is rubbish; anybody else's is not ours to touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    workspace: String,
    life: String,
}

impl Mark {
    /// The mark of this life of the program in the workspace whose state lies in `state_folder`.
    ///
    /// # Errors
    /// The operating system's, if it has no randomness to give.
    pub fn new(state_folder: &Path) -> io::Result<Self> {
        let workspace = super::hash::hex_digits(state_folder.as_os_str().as_encoded_bytes(), 4);
        Ok(Self { workspace, life: random::letters(4)? })
    }

    /// Length of [`Self::beginning`] in bytes.
    pub(super) const BEGINNING: usize = TEMPORARY_PREFIX.len() + 8;

    /// What the names of this life's temporary files begin with.
    pub(super) fn beginning(&self) -> String {
        format!("{TEMPORARY_PREFIX}{}", self.stem(""))
    }

    /// What the name of a temporary file is made of: whose it is, and letters that tell it from others.
    pub(super) fn stem(&self, letters: &str) -> String {
        format!("{}{}{letters}", self.workspace, self.life)
    }

    /// Whether `name` is a temporary file that an earlier life of this workspace left.
    #[must_use]
    pub fn is_left_over(&self, name: &[u8]) -> bool {
        let own = name
            .strip_prefix(TEMPORARY_PREFIX.as_bytes())
            .and_then(|rest| rest.strip_prefix(self.workspace.as_bytes()));
        is_temporary(name) && own.is_some_and(|rest| rest.len() > 4 && !rest.starts_with(self.life.as_bytes()))
    }
}

/// Removes the temporary files in a folder that belongs to this process alone; a folder that is not there has none.
///
/// # Errors
/// The operating system's, with the path.
pub fn sweep(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if is_temporary(entry.file_name().as_encoded_bytes()) && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Who may read a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// As the umask says: texts, which belong to the user.
    Umask,
    /// The owner alone (0600): state, raw answers, logs.
    Private,
}

/// Whether the bytes must survive a power cut before the name appears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// fsync before the rename; the folder is synced by the caller, once for many files.
    Synced,
    /// No fsync: the file can be made again.
    Derived,
}

/// A file being written under a temporary name; removed when dropped before [`Draft::publish`].
#[derive(Debug)]
pub struct Draft {
    file: Option<File>,
    temporary: PathBuf,
}

impl Draft {
    /// Creates a new temporary file in `folder`; never follows or opens an existing one.
    ///
    /// # Errors
    /// The operating system's, with the path.
    pub fn create(folder: &Path, access: Access) -> io::Result<Self> {
        let stem = random::letters(8)?;
        let temporary = folder.join(format!("{TEMPORARY_PREFIX}{stem}{TEMPORARY_SUFFIX}"));
        let file = create_new(&temporary, access)?;
        Ok(Self { file: Some(file), temporary })
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// The operating system's, with the path.
    pub fn fill(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = self.file()?.write_all(bytes);
        written.map_err(|cause| named(&cause, &self.temporary))
    }

    /// The open file.
    ///
    /// # Errors
    /// Only after `publish`, which consumes the draft: never in practice.
    pub fn file(&mut self) -> io::Result<&mut File> {
        self.file.as_mut().ok_or_else(|| io::Error::other("the draft is closed"))
    }

    /// Gives the file its name, replacing what bears it.
    ///
    /// # Errors
    /// The operating system's, with the path; the temporary file is gone then.
    pub fn publish(mut self, target: &Path, durability: Durability) -> io::Result<()> {
        self.finish(durability)?;
        rename(&self.temporary, target)?;
        self.bears_its_name();
        Ok(())
    }

    /// Gives the file its name unless something bears it already: then `AlreadyExists`.
    ///
    /// # Errors
    /// The operating system's, with the path; the temporary file is gone then.
    pub fn publish_new(mut self, target: &Path, durability: Durability) -> io::Result<()> {
        self.finish(durability)?;
        rename_new(&self.temporary, target)?;
        self.bears_its_name();
        Ok(())
    }

    /// Nothing is left under the temporary name.
    fn bears_its_name(&mut self) {
        self.temporary.clear();
    }

    /// Closes the file; its bytes are on disk before anybody sees its name.
    fn finish(&mut self, durability: Durability) -> io::Result<()> {
        match self.file.take() {
            Some(file) if durability == Durability::Synced => {
                file.sync_all().map_err(|cause| named(&cause, &self.temporary))
            }
            _ => Ok(()),
        }
    }
}

/// As [`Draft::fill`], for whoever copies.
impl io::Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.fill(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.temporary.as_os_str().is_empty() {
            // Where it cannot be removed, the next start sweeps it.
            drop(std::fs::remove_file(&self.temporary));
        }
    }
}

/// Writes `bytes` as `target`, replacing what is there; absent or complete at every moment.
///
/// # Errors
/// The operating system's, with the path.
pub fn write(target: &Path, bytes: &[u8], access: Access, durability: Durability) -> io::Result<()> {
    let mut draft = Draft::create(folder_of(target), access)?;
    draft.fill(bytes)?;
    draft.publish(target, durability)
}

/// Writes `bytes` as `target` unless something bears that name: then `AlreadyExists`.
///
/// # Errors
/// The operating system's, with the path.
pub fn write_new(target: &Path, bytes: &[u8], access: Access, durability: Durability) -> io::Result<()> {
    let mut draft = Draft::create(folder_of(target), access)?;
    draft.fill(bytes)?;
    draft.publish_new(target, durability)
}

/// Gives a file another name, replacing what bears it.
///
/// # Errors
/// The operating system's, with the path; `NotFound` if there is no such file.
pub fn move_file(from: &Path, to: &Path) -> io::Result<()> {
    rename(from, to)
}

/// Gives a file its name once its bytes are on disk; for one that somebody else wrote, without having synced it.
///
/// # Errors
/// The operating system's, with the path.
pub fn publish_unsynced(file: &Path, target: &Path) -> io::Result<()> {
    fs::File::open(file)?.sync_all()?;
    rename(file, target)
}

/// The folder a file lies in; `.` for a bare name.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes the names in `folder` survive a power cut.
///
/// # Errors
/// The operating system's, with the path.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    // Windows cannot open a folder as a file, and syncs names with the files.
    if cfg!(unix) { fs::File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Creates `folder` and its parents, readable by the owner alone where they are new.
///
/// # Errors
/// The operating system's, with the path.
pub fn private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|cause| named(&cause, folder))
}

/// Creates `folder` and its parents, readable by whom the system's habit allows.
///
/// # Errors
/// The operating system's, with the path.
pub fn open_folder(folder: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).create(folder).map_err(|cause| named(&cause, folder))
}

/// Opens `path` for appending, creating it for the owner alone.
///
/// # Errors
/// The operating system's, with the path.
pub fn append_private(path: &Path) -> io::Result<File> {
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|cause| named(&cause, path))
}

/// Cuts what stands behind the last newline of a file of lines: a crash tore it. Tells whether there was anything to cut.
///
/// # Errors
/// The operating system's, with the path. A file that is not there has nothing to cut.
pub fn cut_torn_line(path: &Path) -> io::Result<bool> {
    const STEP: u64 = 64 * 1024;
    let mut file = match std::fs::OpenOptions::new().read(true).write(true).open(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened.map_err(|cause| named(&cause, path))?,
    };
    let length = file.metadata()?.len();
    let mut end = length;
    while end > 0 {
        let begin = end.saturating_sub(STEP);
        let mut chunk = Vec::new();
        file.seek(SeekFrom::Start(begin))?;
        (&mut file).take(end - begin).read_to_end(&mut chunk)?;
        if let Some(last) = memchr::memrchr(b'\n', &chunk) {
            end = begin + last as u64 + 1;
            break;
        }
        end = begin;
    }
    if end == length {
        return Ok(false);
    }
    file.set_len(end).and_then(|()| file.sync_data()).map_err(|cause| named(&cause, path))?;
    Ok(true)
}

fn create_new(path: &Path, access: Access) -> io::Result<File> {
    let mut options = std::fs::OpenOptions::new();
    // Also for reading: what is put together from parts is read again before it has its name.
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    if access == Access::Private {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    #[cfg(not(unix))]
    let _umask_only = access;
    options.open(path).map_err(|cause| named(&cause, path))
}

#[expect(clippy::disallowed_methods, reason = "the one place that renames")]
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to).map_err(|cause| named(&cause, to))
}

#[cfg(target_os = "linux")]
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        // Some network file systems know no such rename; a hard link refuses to replace, too.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => link_new(from, to),
        Err(cause) => Err(named(&cause.into(), to)),
    }
}

#[cfg(not(target_os = "linux"))]
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    link_new(from, to)
}

fn link_new(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::hard_link(from, to).map_err(|cause| named(&cause, to))?;
    std::fs::remove_file(from).map_err(|cause| named(&cause, from))
}

/// The same kind of error, with the path in its words.
fn named(cause: &io::Error, path: &Path) -> io::Error {
    io::Error::new(cause.kind(), format!("{}: {cause}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_replaces_nothing_and_leaves_no_temporary() {
        let folder = tempfile::tempdir().expect("temp dir");
        let target = folder.path().join("page.txt");
        let write_new = |text: &[u8]| {
            let mut draft = Draft::create(folder.path(), Access::Umask)?;
            draft.fill(text)?;
            draft.publish_new(&target, Durability::Synced)
        };
        write_new(b"one").expect("first");
        let second = write_new(b"two");
        assert_eq!(second.map_err(|e| e.kind()), Err(io::ErrorKind::AlreadyExists));
        assert_eq!(std::fs::read(&target).expect("text"), b"one");
        write(&target, b"three", Access::Umask, Durability::Derived).expect("replace");
        assert_eq!(std::fs::read(&target).expect("text"), b"three");
        assert_eq!(std::fs::read_dir(folder.path()).expect("list").count(), 1);
    }

    #[test]
    fn only_what_an_earlier_life_of_this_workspace_left_is_rubbish() {
        let mark = |workspace: &str, life: &str| Mark { workspace: workspace.into(), life: life.into() };
        let ours = mark("0a1b", "xxxx");
        let left_over = |name: &str| ours.is_left_over(name.as_bytes());
        assert!(left_over(".bs-0a1byyyybcdfghjk.tmp"));
        assert!(!left_over(".bs-0a1bxxxxbcdfghjk.tmp"), "this life's");
        assert!(!left_over(".bs-9999yyyybcdfghjk.tmp"), "another workspace's");
        assert!(!left_over("0a1byyyy.tmp") && !left_over(".bs-0a1byyyy.txt"));
    }

    #[test]
    fn a_swept_folder_keeps_everything_else() {
        let folder = tempfile::tempdir().expect("temp dir");
        write(&folder.path().join("kept.txt"), b"kept", Access::Umask, Durability::Derived).expect("kept");
        let draft = Draft::create(folder.path(), Access::Private).expect("draft");
        std::mem::forget(draft);
        sweep(folder.path()).expect("swept");
        sweep(&folder.path().join("none")).expect("nothing to sweep");
        let left: Vec<_> =
            std::fs::read_dir(folder.path()).expect("list").map(|entry| entry.expect("entry").file_name()).collect();
        assert_eq!(left, ["kept.txt"]);
    }

    #[test]
    fn a_torn_line_is_cut_behind_the_last_whole_one() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("lines");
        assert!(!cut_torn_line(&path).expect("no file"));
        let long = "x".repeat(70_000);
        for (text, whole) in [("", ""), ("a\n", "a\n"), ("a", ""), ("a\nb", "a\n"), (&format!("a\n{long}"), "a\n")] {
            write(&path, text.as_bytes(), Access::Private, Durability::Derived).expect("file");
            assert_eq!(cut_torn_line(&path).expect("cut"), text != whole, "{}", text.len());
            assert_eq!(std::fs::read_to_string(&path).expect("text"), whole);
        }
    }

    #[test]
    fn a_dropped_draft_vanishes() {
        let folder = tempfile::tempdir().expect("temp dir");
        let draft = Draft::create(folder.path(), Access::Private).expect("draft");
        drop(draft);
        assert_eq!(std::fs::read_dir(folder.path()).expect("list").count(), 0);
    }
}
