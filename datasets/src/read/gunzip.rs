//! A gzipped file as it reads unpacked: its members one behind the other, as `cat` joins them, perhaps
//! with zeros behind them, as tapes and block devices leave them.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

/// The content of all members.
pub(crate) struct Members<R> {
    state: State<R>,
}

enum State<R> {
    Member(Box<GzDecoder<R>>),
    Ended(R),
    /// While it goes from one to the other, or after that has failed.
    Lost,
}

impl<R: BufRead> Members<R> {
    pub(crate) fn new(packed: R) -> Self {
        Self { state: State::Member(Box::new(GzDecoder::new(packed))) }
    }

    /// What is read from, unless reading has failed.
    pub(crate) fn packed(&self) -> Option<&R> {
        match &self.state {
            State::Member(member) => Some(member.get_ref()),
            State::Ended(packed) => Some(packed),
            State::Lost => None,
        }
    }

    /// Goes on with what follows a member: another, or nothing but zeros.
    fn next(&mut self) -> io::Result<()> {
        let State::Member(member) = std::mem::replace(&mut self.state, State::Lost) else {
            return Ok(());
        };
        let mut packed = member.into_inner();
        loop {
            let buffer = packed.fill_buf()?;
            let zeros = buffer.iter().take_while(|&&byte| byte == 0).count();
            let (is_end, is_other) = (buffer.is_empty(), zeros < buffer.len());
            packed.consume(zeros);
            if is_end {
                self.state = State::Ended(packed);
                return Ok(());
            }
            if is_other {
                self.state = State::Member(Box::new(GzDecoder::new(packed)));
                return Ok(());
            }
        }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while let State::Member(member) = &mut self.state {
            let count = member.read(into)?;
            if count > 0 || into.is_empty() {
                return Ok(count);
            }
            self.next()?;
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::{BufReader, Write};

    fn member(text: &str) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(text.as_bytes()).unwrap();
        packed.finish().unwrap()
    }

    fn read(packed: &[u8], block: usize) -> io::Result<String> {
        let mut text = String::new();
        Members::new(BufReader::with_capacity(block, packed)).read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn members_are_joined_and_zeros_behind_them_passed_over() {
        let two = [member("a,b\n"), member(""), member("c\n")].concat();
        let zeros = |count: usize| vec![0; count];
        for block in [1, 7, 4_096] {
            for packed in [
                two.clone(),
                [two.clone(), zeros(512)].concat(),
                [member("a,b\n"), zeros(3), member("c\n"), zeros(9_000)].concat(),
            ] {
                assert_eq!(read(&packed, block).unwrap(), "a,b\nc\n");
            }
            let cut = &two[..two.len() - 3];
            assert!(read(cut, block).is_err());
            assert!(read(&[two.clone(), b"more".to_vec()].concat(), block).is_err());
            assert!(read(b"", block).is_err());
        }
    }
}
