//! What the database does not look at itself, before it opens a folder: who else has it open,
//! whether it was ever finished, its journals (`journal.rs`) and the heads of its other files
//! (`archive.rs`). All this knows version 3 of the database's files, and leaves other versions to
//! the database.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::store::{damaged, open_elsewhere};
use super::{archive, journal};
use crate::log::LogError;

/// What the version file holds, and how a batch of a journal ends.
pub(super) const MAGIC: &[u8; 4] = b"FJL\x03";

/// Makes a folder fit to be opened, or says why it is not.
pub(super) fn prepare(folder: &Path) -> Result<(), LogError> {
    let Some(_lock) = try_lock(&folder.join("lock"))? else { return Ok(()) };
    if !is_made(folder)? {
        return clear_half_made(folder);
    }
    if fs::read(folder.join("version"))? != MAGIC {
        return Ok(());
    }
    for keyspace in entries(&folder.join("keyspaces"))? {
        archive::check_keyspace(&keyspace)?;
    }
    journals(folder)?.iter().try_for_each(|journal| Ok(journal::cut(journal)?))
}

/// The journals of a folder.
pub(super) fn journals(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let is_journal = |path: &PathBuf| path.extension().is_some_and(|found| found == "jnl");
    Ok(entries(folder)?.into_iter().filter(is_journal).collect())
}

/// Takes the database's lock; it ends with the file. There is none before the database is made.
fn try_lock(path: &Path) -> Result<Option<File>, LogError> {
    let file = match OpenOptions::new().write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(open_elsewhere()),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Whether the database got as far as to have its version written and its tables listed.
fn is_made(folder: &Path) -> Result<bool, LogError> {
    if folder.join("keyspaces/0/current").try_exists()? {
        return Ok(true);
    }
    match entries(&folder.join("keyspaces")) {
        Ok(keyspaces) if keyspaces.iter().any(|path| !path.ends_with("0")) => {
            Err(damaged("the list of tables is gone"))
        }
        _ => Ok(false),
    }
}

/// Removes what a process left that ended while it made the database: nothing was in it yet.
fn clear_half_made(folder: &Path) -> Result<(), LogError> {
    let version = folder.join("version");
    if version.try_exists()? {
        if !MAGIC.starts_with(&fs::read(&version)?) {
            return Ok(()); // not ours
        }
        fs::remove_file(version)?;
    }
    if folder.join("0.jnl").try_exists()? {
        fs::remove_file(folder.join("0.jnl"))?;
    }
    if folder.join("keyspaces").try_exists()? {
        fs::remove_dir_all(folder.join("keyspaces"))?;
    }
    Ok(())
}

pub(super) fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
}

/// A little-endian number of up to eight bytes.
pub(super) fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}
