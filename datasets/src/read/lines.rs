//! Lines with their numbers, borrowed from the input where they lie in one block.
//!
//! A line longer than [`LINE_BYTES_MAX`] is passed over and marked, so no input can fill memory.

use std::io::{self, BufRead};

/// The longest line, and the longest row of several lines: 1 MiB.
pub(crate) const LINE_BYTES_MAX: usize = 1 << 20;

/// One line without its line feed.
pub(crate) struct Line<'a> {
    /// Physical line number, from 1.
    pub(crate) number: u64,
    /// The line as it stands in the file, perhaps with a carriage return at its end.
    pub(crate) raw: &'a [u8],
    /// Whether `raw` is all of it.
    pub(crate) whole: bool,
}

impl<'a> Line<'a> {
    /// The line without its carriage return.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.raw.strip_suffix(b"\r").unwrap_or(self.raw)
    }

    /// Whether there is nothing in the line.
    pub(crate) fn is_empty(&self) -> bool {
        self.whole && self.bytes().is_empty()
    }

    /// Whether there is nothing but white space in the line.
    pub(crate) fn is_blank(&self) -> bool {
        self.whole && self.raw.trim_ascii().is_empty()
    }
}

/// A stretch of whole lines that is done with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passed {
    pub(crate) bytes: usize,
    pub(crate) lines: u64,
}

/// The lines of an input: [`Lines::advance`] to the next one, then look at [`Lines::line`].
pub(crate) struct Lines<R> {
    input: R,
    number: u64,
    current: Current,
    spill: Vec<u8>,
}

/// Where the current line lies.
#[derive(Clone, Copy)]
enum Current {
    /// In the input's block, so many bytes long; consumed when the next line is asked for.
    Lent(usize),
    /// Copied together in `spill`.
    Spilled { whole: bool },
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, number: 0, current: Current::Spilled { whole: true }, spill: Vec::new() }
    }

    /// Goes to the next line and says whether there is one.
    pub(crate) fn advance(&mut self) -> io::Result<bool> {
        self.give_up_line();
        let buffer = self.input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(false);
        }
        self.number += 1;
        self.current = match memchr::memchr(b'\n', buffer) {
            Some(length) if length <= LINE_BYTES_MAX => Current::Lent(length),
            _ => self.spill_line()?,
        };
        Ok(true)
    }

    /// The current line.
    pub(crate) fn line(&mut self) -> Line<'_> {
        let number = self.number;
        match self.current {
            Current::Spilled { whole } => Line { number, raw: &self.spill, whole },
            Current::Lent(length) => {
                let buffer = self.input.fill_buf().expect("the line lies in the buffer");
                Line { number, raw: &buffer[..length], whole: true }
            }
        }
    }

    /// How long the stretch of whole lines is that lies ahead in one block and has no `stop` in it, if
    /// there is one.
    ///
    /// The current line is given up: look at the stretch with [`Lines::stretch`], then either pass
    /// over it or advance.
    pub(crate) fn ahead(&mut self, stop: Option<u8>) -> io::Result<usize> {
        self.give_up_line();
        let block = self.input.fill_buf()?;
        let end = stop.and_then(|stop| memchr::memchr(stop, block)).unwrap_or(block.len());
        Ok(memchr::memrchr(b'\n', &block[..end]).map_or(0, |last| last + 1))
    }

    /// The first `length` bytes that lie ahead.
    pub(crate) fn stretch(&mut self, length: usize) -> &[u8] {
        &self.input.fill_buf().expect("the stretch lies in the buffer")[..length]
    }

    /// The number of the line that is next.
    pub(crate) fn next_number(&self) -> u64 {
        self.number + 1
    }

    /// Goes on behind a stretch.
    pub(crate) fn pass(&mut self, stretch: Passed) {
        self.input.consume(stretch.bytes);
        self.number += stretch.lines;
    }

    fn give_up_line(&mut self) {
        if let Current::Lent(length) = self.current {
            self.input.consume(length + 1);
        }
        self.current = Current::Spilled { whole: true };
        self.spill.clear();
    }

    /// Copies a line that goes on in the next block.
    #[cold]
    fn spill_line(&mut self) -> io::Result<Current> {
        let mut whole = true;
        loop {
            let buffer = self.input.fill_buf()?;
            let end = memchr::memchr(b'\n', buffer);
            let part = &buffer[..end.unwrap_or(buffer.len())];
            whole &= self.spill.len() + part.len() <= LINE_BYTES_MAX;
            if whole {
                self.spill.extend_from_slice(part);
            }
            let (count, at_end) = (part.len(), end.is_some() || buffer.is_empty());
            self.input.consume(count + usize::from(end.is_some()));
            if at_end {
                return Ok(Current::Spilled { whole });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    /// All lines with their numbers, read through blocks of `block` bytes.
    fn lines(text: &str, block: usize) -> Vec<(u64, String)> {
        let mut lines = Lines::new(BufReader::with_capacity(block, text.as_bytes()));
        let mut all = Vec::new();
        while lines.advance().unwrap() {
            let line = lines.line();
            assert!(line.whole);
            all.push((line.number, String::from_utf8(line.bytes().to_vec()).unwrap()));
        }
        all
    }

    #[test]
    fn blocks_do_not_show() {
        let text = "one\r\ntwo\n\nfour\r\r\nno end";
        let expected = ["one", "two", "", "four\r", "no end"];
        for block in 1..30 {
            let lines = lines(text, block);
            assert!(lines.iter().map(|(_, line)| line.as_str()).eq(expected), "{block}: {lines:?}");
            assert!(lines.iter().map(|(number, _)| *number).eq(1..=5));
        }
        assert_eq!(lines("", 8), []);
        assert_eq!(lines("\n", 8), [(1, String::new())]);
    }

    #[test]
    fn a_huge_line_is_passed_over() {
        let text = format!("{}\nshort\n", "x".repeat(LINE_BYTES_MAX + 1));
        for block in [1 << 16, 1 << 22] {
            let mut lines = Lines::new(BufReader::with_capacity(block, text.as_bytes()));
            assert!(lines.advance().unwrap() && !lines.line().whole);
            assert!(lines.advance().unwrap());
            let line = lines.line();
            assert_eq!((line.number, line.bytes(), line.whole), (2, b"short".as_slice(), true));
        }
    }
}
