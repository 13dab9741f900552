//! A gzipped file as it reads unpacked: its members one behind the other, as `cat` joins them, perhaps
//! with zeros behind them, as tapes and block devices leave them.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

/// The content of all members.
pub(crate) struct Members<R> {
    /// The one that is read, or the last; none only while it makes room for the next.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Members<R> {
    pub(crate) fn new(packed: R) -> Self {
        Self { member: Some(GzDecoder::new(packed)) }
    }

    /// What is read from.
    pub(crate) fn packed(&self) -> Option<&R> {
        self.member.as_ref().map(GzDecoder::get_ref)
    }

    /// Goes on with the next member, if what follows is not nothing but zeros. A read that fails may
    /// be tried again: nothing is given up before.
    fn next(&mut self) -> io::Result<bool> {
        let Some(packed) = self.member.as_mut().map(GzDecoder::get_mut) else { return Ok(false) };
        loop {
            let buffer = packed.fill_buf()?;
            let zeros = buffer.iter().take_while(|&&byte| byte == 0).count();
            let (is_end, is_other) = (buffer.is_empty(), zeros < buffer.len());
            packed.consume(zeros);
            if is_end {
                return Ok(false);
            }
            if is_other {
                self.member = self.member.take().map(|last| GzDecoder::new(last.into_inner()));
                return Ok(true);
            }
        }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let count = member.read(into)?;
            if count > 0 || into.is_empty() {
                return Ok(count);
            }
            if !self.next()? {
                break;
            }
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

    /// Is interrupted before every byte.
    struct Interrupted<'a>(&'a [u8], bool);

    impl Read for Interrupted<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            match self.1 {
                true => Err(io::ErrorKind::Interrupted.into()),
                false => (&mut self.0).take(1).read(into),
            }
        }
    }

    #[test]
    fn an_interrupted_read_loses_nothing() {
        let packed = [member("a,b\n"), vec![0; 3], member("c\n")].concat();
        let mut text = String::new();
        let mut members = Members::new(BufReader::new(Interrupted(&packed, false)));
        members.read_to_string(&mut text).unwrap();
        assert_eq!(text, "a,b\nc\n");
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
