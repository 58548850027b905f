//! What there is to build on: the ledger as it is, its newest sound backup, or nothing; and the swap at the end.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::Error;
use crate::domain::layout::Layout;
use crate::kit::atomic_file::{Access, Draft, Durability, move_file, sync_folder};
use crate::kit::clock::Millis;
use crate::kit::crash;
use crate::ledger::LedgerError;
use crate::ledger::backup::Backups;
use crate::ledger::sqlite::SqliteStore;

/// The files of a ledger beside itself.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

/// How the ledger was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ground {
    /// It holds together.
    Whole,
    /// There is none.
    Missing,
    /// It is damaged: what does not hold.
    Damaged(String),
}

/// Looks at the ledger down to its last page.
pub(super) fn look(layout: &Layout) -> Result<Ground, Error> {
    let path = layout.ledger();
    if path.metadata().is_err_and(|cause| cause.kind() == ErrorKind::NotFound) {
        return Ok(Ground::Missing);
    }
    match SqliteStore::is_sound(&path) {
        Ok(()) => Ok(Ground::Whole),
        Err(error) if error.is_blank() => Ok(Ground::Missing),
        Err(LedgerError::Damaged { check, .. }) => Ok(Ground::Damaged(check)),
        Err(other) => Err(other.into()),
    }
}

/// The newest backup that holds together.
pub(super) fn backup(layout: &Layout) -> Result<Option<PathBuf>, Error> {
    let copies = Backups::new(layout.ledger(), layout.backups()).list().map_err(Error::Disk)?;
    Ok(copies.into_iter().rev().find(|copy| match SqliteStore::is_sound(copy) {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(%error, "a backup of no use");
            false
        }
    }))
}

/// Where a ledger is built anew: complete or not, it counts for nothing before it bears the ledger's name.
pub(super) fn building_site(layout: &Layout, base: Option<&Path>) -> Result<PathBuf, Error> {
    let site = beside(&layout.ledger(), ".recovering");
    remove(&site).map_err(Error::Disk)?;
    if let Some(base) = base {
        let mut draft = Draft::create(&layout.batch, Access::Private).map_err(Error::Disk)?;
        let mut from = fs_err::File::open(base).map_err(Error::Disk)?;
        let copied = draft.file().and_then(|to| io::copy(&mut from, to));
        copied.and_then(|_| draft.publish(&site, Durability::Synced)).map_err(Error::Disk)?;
    }
    Ok(site)
}

/// Gives what was built the ledger's name. The damaged one is kept; tells where.
pub(super) fn swap(layout: &Layout, site: &Path, now: Millis) -> Result<Option<PathBuf>, Error> {
    let ledger = layout.ledger();
    fs_err::File::open(site).and_then(|file| file.sync_all()).map_err(Error::Disk)?;
    let kept = beside(&ledger, &format!(".damaged-{now}"));
    let had_one = ledger.metadata().is_ok_and(|file| file.len() > 0);
    for companion in COMPANIONS {
        // Before the file itself: a log must never be taken for that of another ledger.
        move_if_there(&beside(&ledger, companion), &beside(&kept, companion))?;
    }
    if had_one {
        move_file(&ledger, &kept).map_err(Error::Disk)?;
    }
    crash::point("recover.kept");
    move_file(site, &ledger).and_then(|()| sync_folder(&layout.batch)).map_err(Error::Disk)?;
    Ok(had_one.then_some(kept))
}

/// Removes a ledger that never came to be, and the table of names.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let companions = COMPANIONS.into_iter().map(|companion| beside(path, companion));
    for path in std::iter::once(path.to_owned()).chain(companions) {
        match std::fs::remove_file(&path) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => return Err(cause),
            _ => {}
        }
    }
    Ok(())
}

fn move_if_there(from: &Path, to: &Path) -> Result<(), Error> {
    match move_file(from, to) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => Err(Error::Disk(cause)),
        _ => Ok(()),
    }
}

fn beside(path: &Path, more: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(more);
    PathBuf::from(name)
}
