//! The heads of the database's archives: manifests and tables.
//!
//! A manifest has to fit the checksum that `current` has of it, and of each table that it names the
//! contents list has to fit its own. The rest of a table is checked as it is read. Tables without a
//! name are left-overs that the database clears away.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use xxhash_rust::xxh3::xxh3_128;

use super::store::damaged;
use super::verify::number;
use crate::log::LogError;

/// The end of an archive: `SFA!`, version 1, checksum type 0.
const MAGIC: &[u8; 6] = b"SFA!\x01\x00";
const TRAILER_BYTES: u64 = 38;
/// What a manifest has of a table: id u64, checksum type u8, checksum u128, sequence number u64.
const TABLE_BYTES: u64 = 33;

/// Checks the manifest of a keyspace and the contents lists of its tables.
pub(super) fn check_keyspace(folder: &Path) -> Result<(), LogError> {
    let current = match fs::read(folder.join("current")) {
        Ok(current) => current,
        // Half made: the database clears it away.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let what = |path: &Path| damaged(&format!("{} is not what was written", path.display()));
    let [version @ .., 0] = &current[..] else { return Err(what(&folder.join("current"))) };
    let Some((version, checksum)) = version.split_first_chunk() else {
        return Err(what(&folder.join("current")));
    };
    let manifest = folder.join(format!("v{}", u64::from_le_bytes(*version)));
    if !manifest.try_exists()? || checksum != xxh3_128(&fs::read(&manifest)?).to_le_bytes() {
        return Err(what(&manifest));
    }
    for table in tables(&manifest)? {
        let table = folder.join("tables").join(table.to_string());
        if !has_contents(&table)? {
            return Err(what(&table));
        }
    }
    Ok(())
}

/// The numbers of the tables of a manifest that is as it was written: by level, by run.
fn tables(manifest: &Path) -> Result<Vec<u64>, LogError> {
    let archive = sfa::Reader::new(manifest).map_err(|error| damaged(&error.to_string()))?;
    let section = archive.toc().section(b"tables").ok_or_else(|| damaged("no tables"))?;
    let mut list = section.buf_reader(manifest)?;
    let mut read = |len: u64| {
        let mut bytes = Vec::new();
        (&mut list).take(len).read_to_end(&mut bytes).map(|_| number(&bytes[..bytes.len().min(8)]))
    };
    let mut tables = Vec::new();
    for _level in 0..read(1)? {
        for _run in 0..read(1)? {
            for _table in 0..read(4)? {
                tables.push(read(TABLE_BYTES)?);
            }
        }
    }
    Ok(tables)
}

/// Whether an archive's contents list fits its checksum.
fn has_contents(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    if len < TRAILER_BYTES {
        return Ok(false);
    }
    let mut trailer = [0; TRAILER_BYTES as usize];
    file.seek(SeekFrom::End(-(TRAILER_BYTES as i64)))?;
    file.read_exact(&mut trailer)?;
    let (magic, rest) = trailer.split_at(MAGIC.len());
    let (checksum, rest) = rest.split_at(16);
    let [start, contents_len] = [&rest[..8], &rest[8..]].map(number);
    let end = start.checked_add(contents_len);
    if magic != MAGIC || end.is_none_or(|end| end > len - TRAILER_BYTES) {
        return Ok(false);
    }
    let mut contents = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.take(contents_len).read_to_end(&mut contents)?;
    Ok(checksum == xxh3_128(&contents).to_le_bytes())
}
