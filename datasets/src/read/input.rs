//! The bytes of one file, decompressed on a thread of their own.
//!
//! ```text
//! file ─> (gunzip) ─> blocks of 256 KiB ─> bounded channel ─> Input (BufRead) ─> parser
//!        └──────── reading thread ─────┘                     └─ calling thread ─┘
//! ```
//!
//! Decompressing and parsing so take two cores. The channel holds [`BLOCKS_AHEAD`] blocks, which
//! bounds memory; an empty block marks the end, so a reading thread that dies is an error, not a
//! short file. Dropping the input ends its thread at the next block. Small files, of which there
//! may be thousands, are not worth a thread and are read where they are parsed.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use super::error::ReadError;
use super::gunzip::Members;

/// How far reading has come, in bytes of the files as they are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read so far, over all files.
    pub bytes_read: u64,
    /// Bytes of all files.
    pub bytes_total: u64,
}

const BLOCK_BYTES: usize = 256 * 1024;
const BLOCKS_AHEAD: usize = 8;
const FILE_BUFFER_BYTES: usize = 128 * 1024;
/// Files up to this size, as they are stored, get no thread.
const SMALL_BYTES: u64 = 128 * 1024;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

struct Block {
    bytes: Vec<u8>,
    /// Bytes of the file read when this block was complete.
    file_bytes: u64,
}

/// Gives one block after the other, an empty one at the end.
type NextBlock = Box<dyn FnMut() -> io::Result<Block>>;

/// The content of a file.
pub(crate) struct Input<'m, 'p> {
    next_block: NextBlock,
    block: Vec<u8>,
    next: usize,
    ended: bool,
    gzip: bool,
    meter: &'m mut Meter<'p>,
}

impl<'m, 'p> Input<'m, 'p> {
    /// Opens a file and skips its byte order mark, if it has one.
    pub(crate) fn open(path: &Path, meter: &'m mut Meter<'p>) -> Result<Self, ReadError> {
        let failed = |source| ReadError::read(path, false, source);
        let file = File::open(path).map_err(|source| ReadError::open(path, source))?;
        let stored = file.metadata().map_err(failed)?;
        let small = stored.is_file() && stored.len() <= SMALL_BYTES;
        let counted = Counted { from: file, bytes: 0 };
        let mut file = BufReader::with_capacity(FILE_BUFFER_BYTES, counted);
        let gzip = file.fill_buf().map_err(failed)?.starts_with(&GZIP_MAGIC);
        let next_block = if gzip {
            let file_bytes = |from: &Members<_>| from.packed().map_or(0, plain_bytes);
            blocks(Members::new(file), file_bytes, small)
        } else {
            blocks(file, plain_bytes, small)
        };
        let next_block = next_block.map_err(failed)?;
        let mut input = Self { next_block, block: Vec::new(), next: 0, ended: false, gzip, meter };
        let start = input.fill_buf().map_err(|source| ReadError::read(path, gzip, source))?;
        if start.starts_with(BYTE_ORDER_MARK) {
            input.consume(BYTE_ORDER_MARK.len());
        }
        Ok(input)
    }

    /// Whether the file is compressed.
    pub(crate) fn is_gzip(&self) -> bool {
        self.gzip
    }

    fn advance(&mut self) -> io::Result<()> {
        let block = (self.next_block)()?;
        self.ended = block.bytes.is_empty();
        self.meter.advance(block.file_bytes);
        self.block = block.bytes;
        self.next = 0;
        Ok(())
    }
}

impl BufRead for Input<'_, '_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.next == self.block.len() && !self.ended {
            self.advance()?;
        }
        Ok(&self.block[self.next..])
    }

    fn consume(&mut self, count: usize) {
        self.next += count;
        debug_assert!(self.next <= self.block.len(), "consumed more than there was");
    }
}

impl Read for Input<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(into)?;
        self.consume(count);
        Ok(count)
    }
}

/// The blocks of a stream: read when they are asked for if it is small, ahead otherwise.
fn blocks<R: Read + Send + 'static>(
    mut from: R,
    file_bytes: fn(&R) -> u64,
    small: bool,
) -> io::Result<NextBlock> {
    if small {
        return Ok(Box::new(move || read_block(&mut from, file_bytes)));
    }
    let (to, blocks) = sync_channel(BLOCKS_AHEAD);
    let thread = thread::Builder::new().name("read".to_owned());
    thread.spawn(move || read_ahead(from, file_bytes, &to))?;
    let died = || io::Error::other("the reading thread died");
    Ok(Box::new(move || blocks.recv().unwrap_or_else(|_| Err(died()))))
}

/// Sends every block until the end, an error, or nobody listens.
fn read_ahead<R: Read>(mut from: R, file_bytes: fn(&R) -> u64, to: &SyncSender<io::Result<Block>>) {
    loop {
        let block = read_block(&mut from, file_bytes);
        let more = block.as_ref().is_ok_and(|block| !block.bytes.is_empty());
        if to.send(block).is_err() || !more {
            return;
        }
    }
}

fn read_block<R: Read>(from: &mut R, file_bytes: fn(&R) -> u64) -> io::Result<Block> {
    let mut bytes = Vec::with_capacity(BLOCK_BYTES);
    from.by_ref().take(BLOCK_BYTES as u64).read_to_end(&mut bytes)?;
    Ok(Block { bytes, file_bytes: file_bytes(from) })
}

fn plain_bytes(file: &BufReader<Counted>) -> u64 {
    file.get_ref().bytes
}

struct Counted {
    from: File,
    bytes: u64,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(into)?;
        self.bytes += count as u64;
        Ok(count)
    }
}

/// Reports progress, once per mebibyte at most.
pub(crate) struct Meter<'p> {
    report: &'p mut dyn FnMut(Progress),
    /// The share of all bytes that is read.
    share: &'p Cell<f64>,
    bytes_total: u64,
    bytes_of_earlier_files: u64,
    bytes_of_this_file: u64,
    bytes_reported: u64,
}

const REPORT_BYTES: u64 = 1 << 20;

impl<'p> Meter<'p> {
    pub(crate) fn new(
        bytes_total: u64,
        report: &'p mut dyn FnMut(Progress),
        share: &'p Cell<f64>,
    ) -> Self {
        Self {
            report,
            share,
            bytes_total,
            bytes_of_earlier_files: 0,
            bytes_of_this_file: 0,
            bytes_reported: 0,
        }
    }

    /// One file is done.
    pub(crate) fn end_file(&mut self) {
        self.bytes_of_earlier_files += self.bytes_of_this_file;
        self.bytes_of_this_file = 0;
    }

    /// All files are done.
    pub(crate) fn end(&mut self) {
        (self.report)(Progress { bytes_read: self.bytes_total, bytes_total: self.bytes_total });
    }

    fn advance(&mut self, bytes_of_this_file: u64) {
        self.bytes_of_this_file = bytes_of_this_file;
        let bytes_read = self.bytes_of_earlier_files + bytes_of_this_file;
        self.share.set(bytes_read as f64 / self.bytes_total as f64);
        if bytes_read >= self.bytes_reported + REPORT_BYTES {
            self.bytes_reported = bytes_read;
            (self.report)(Progress { bytes_read, bytes_total: self.bytes_total });
        }
    }
}
