//! The database's journals, cut behind their last whole batch.
//!
//! A machine that stops may have written the pages of a journal in any order, so a batch can have an
//! end and no middle. The database refuses such a journal, and takes lengths as they stand. So each
//! journal is read here first.
//!
//! ```text
//! batch   start: 1 | items u32 | seqno u64          items as they are counted
//!         item:  2 | type u8 | compression u8 | table u64 | key u16 | value u32 | stored u32 | ...
//!         clear: 4 | table u64
//!         end:   3 | checksum of all items, XXH3 u64 | FJL 3           little endian
//! ```

use std::fs::OpenOptions;
use std::io::{self, BufReader, Read};
use std::path::Path;

use xxhash_rust::xxh3::Xxh3;

use super::verify::{MAGIC, number};

/// Of an item, what follows its first byte up to its key.
const ITEM_HEADER_BYTES: u64 = 20;

/// Cuts a journal behind its last whole batch.
pub(super) fn cut(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let len = file.metadata()?.len();
    let whole = whole_batches(BufReader::with_capacity(1 << 16, &file), len)?;
    if whole < len {
        file.set_len(whole)?;
        file.sync_all()?;
    }
    Ok(())
}

/// The length of the whole batches at the beginning of a journal of `len` bytes.
fn whole_batches(reader: impl Read, len: u64) -> io::Result<u64> {
    let mut journal = Journal { reader, position: 0, len, bytes: Vec::new() };
    let mut whole = 0;
    while journal.batch()?.is_some() {
        whole = journal.position;
    }
    Ok(whole)
}

struct Journal<R> {
    reader: R,
    position: u64,
    len: u64,
    /// What was read last.
    bytes: Vec<u8>,
}

impl<R: Read> Journal<R> {
    /// Passes a batch; nothing if there is no whole one.
    fn batch(&mut self) -> io::Result<Option<()>> {
        let Some([1, start @ ..]) = self.read(13)? else { return Ok(None) };
        let (mut items, mut checksum) = (number(&start[..4]), Xxh3::new());
        while items > 0 {
            if self.item(&mut checksum)?.is_none() {
                return Ok(None);
            }
            items -= 1;
        }
        let Some([3, end @ ..]) = self.read(13)? else { return Ok(None) };
        let fits = end[..8] == checksum.digest().to_le_bytes() && end[8..] == *MAGIC;
        Ok(fits.then_some(()))
    }

    fn item(&mut self, checksum: &mut Xxh3) -> io::Result<Option<()>> {
        let Some(&[tag]) = self.read(1)? else { return Ok(None) };
        checksum.update(&[tag]);
        let header_len = match tag {
            2 => ITEM_HEADER_BYTES,
            4 => 8,
            _ => return Ok(None),
        };
        let Some(header) = self.read(header_len)? else { return Ok(None) };
        checksum.update(header);
        if tag == 2 {
            let body_len = number(&header[10..12]) + number(&header[16..20]);
            let Some(body) = self.read(body_len)? else { return Ok(None) };
            checksum.update(body);
        }
        Ok(Some(()))
    }

    /// The next `len` bytes, if there are so many.
    fn read(&mut self, len: u64) -> io::Result<Option<&[u8]>> {
        if self.len - self.position < len {
            return Ok(None);
        }
        self.bytes.clear();
        self.position += (&mut self.reader).take(len).read_to_end(&mut self.bytes)? as u64;
        Ok((self.bytes.len() as u64 == len).then_some(&self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A table, a key and a value.
    type Item = (u64, Vec<u8>, Vec<u8>);

    /// Batches as the database writes them.
    fn journal(batches: &[Vec<Item>]) -> Vec<Vec<u8>> {
        let item = |(table, key, value): &Item| {
            let (key_len, len) = (key.len() as u16, value.len() as u32);
            let mut bytes = vec![2, 0, 0];
            bytes.extend(table.to_le_bytes());
            bytes.extend(key_len.to_le_bytes());
            bytes.extend([len.to_le_bytes(), len.to_le_bytes()].concat());
            bytes.extend([&key[..], value].concat());
            bytes
        };
        let batch = |items: &Vec<Item>| {
            let body: Vec<u8> = items.iter().flat_map(item).collect();
            let mut bytes = vec![1];
            bytes.extend((items.len() as u32).to_le_bytes());
            bytes.extend(7_u64.to_le_bytes());
            bytes.extend(&body);
            bytes.push(3);
            bytes.extend(xxhash_rust::xxh3::xxh3_64(&body).to_le_bytes());
            bytes.extend(MAGIC);
            bytes
        };
        batches.iter().map(batch).collect()
    }

    fn whole(bytes: &[u8]) -> u64 {
        whole_batches(bytes, bytes.len() as u64).expect("memory can be read")
    }

    fn batches() -> impl Strategy<Value = Vec<Vec<Item>>> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..30);
        prop::collection::vec(prop::collection::vec((any::<u64>(), bytes(), bytes()), 1..4), 1..5)
    }

    proptest! {
        #[test]
        fn a_torn_or_damaged_journal_is_cut_behind_its_last_whole_batch(
            batches in batches(), at: prop::sample::Index, zeros in 0..40_usize, flip: bool,
        ) {
            let encoded = journal(&batches);
            let mut bytes = encoded.concat();
            prop_assert_eq!(whole(&bytes), bytes.len() as u64);
            let at = at.index(bytes.len());
            if flip {
                bytes[at] ^= 0x10;
            } else {
                bytes.truncate(at);
            }
            bytes.resize(bytes.len() + zeros, 0);
            let ends = encoded.iter().scan(0, |end, batch| {
                *end += batch.len();
                Some(*end)
            });
            let expected = ends.filter(|end| *end <= at).last().unwrap_or(0);
            let found = whole(&bytes) as usize;
            // The number of a batch is not under its checksum.
            let in_number = flip && (5..13).contains(&(at - expected));
            prop_assert!(found == expected || in_number, "{} of {}", found, expected);
        }

        #[test]
        fn any_bytes_have_an_end(bytes: Vec<u8>, start: bool) {
            let bytes = if start { [vec![1, 1, 0, 0, 0], bytes].concat() } else { bytes };
            prop_assert!(whole(&bytes) <= bytes.len() as u64);
        }
    }
}
