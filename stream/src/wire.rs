//! The bytes of records, messages and states.
//!
//! Values are written by [postcard](https://postcard.jamesmunns.com/wire-format): small, without
//! field names, the same on every machine. Where bytes leave the care of a checksumming log, in
//! checkpoints, they travel in a frame:
//!
//! ```text
//! "DUNL" · format version u32 · length u64 · CRC-32C u32 · payload          (integers little-endian)
//! ```

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Version of everything that is framed; a change of any state's format raises it.
pub const FORMAT_VERSION: u32 = 2;

const MAGIC: [u8; 4] = *b"DUNL";
const HEADER_BYTES: usize = 20;

/// Why bytes are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes do not begin a frame.
    #[error("not written by Dunlin")]
    Magic,
    /// The frame has a format that this build does not read.
    #[error("format version {0}; this build reads version {FORMAT_VERSION}")]
    Version(u32),
    /// Bytes are missing, or there are too many.
    #[error("{found} bytes where {expected} were written")]
    Length {
        /// What the header says.
        expected: u64,
        /// What there is.
        found: u64,
    },
    /// The payload is not what was written.
    #[error("the checksum does not fit: the bytes were damaged")]
    Checksum,
    /// The payload is no such value.
    #[error("not a value of the expected kind: {0}")]
    Value(String),
}

/// The bytes of a value.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).expect("columns and numbers always serialize")
}

/// Appends the bytes of a value.
pub fn encode_into<T: Serialize + ?Sized>(value: &T, bytes: &mut Vec<u8>) {
    let taken = postcard::to_extend(value, std::mem::take(bytes));
    *bytes = taken.expect("columns and numbers always serialize");
}

/// A value that becomes bytes when it is asked for, perhaps by another thread.
pub struct Frozen(Box<Write>);

type Write = dyn FnOnce(&mut Chunks<'_>) -> Result<(), Stopped> + Send;

impl Frozen {
    /// Bytes to be made later.
    pub fn new(
        write: impl FnOnce(&mut Chunks<'_>) -> Result<(), Stopped> + Send + 'static,
    ) -> Self {
        Self(Box::new(write))
    }

    /// A value whose bytes are made later.
    pub fn of<T: Serialize + Send + 'static>(value: T) -> Self {
        Self::new(move |chunks| chunks.encode(&value))
    }

    /// Makes the bytes.
    ///
    /// # Errors
    /// Whoever takes them wants no more.
    pub fn write(self, chunks: &mut Chunks<'_>) -> Result<(), Stopped> {
        self.0(chunks)
    }

    /// The bytes.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut take = |chunk: &[u8]| {
            bytes.extend_from_slice(chunk);
            Ok(())
        };
        let mut chunks = Chunks::new(&mut take);
        let written = self.write(&mut chunks).and_then(|()| chunks.finish());
        written.expect("memory takes all");
        bytes
    }
}

impl From<Vec<u8>> for Frozen {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(move |chunks| chunks.extend(&bytes))
    }
}

/// Whoever takes bytes wants no more of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

/// Bytes are handed on in chunks of so many, but for longer ones that lie side by side already.
const CHUNK_BYTES: usize = 64 << 10;

/// Bytes on their way, so that a state is never in memory twice.
pub struct Chunks<'a> {
    chunk: Vec<u8>,
    take: &'a mut dyn FnMut(&[u8]) -> Result<(), Stopped>,
}

impl<'a> Chunks<'a> {
    /// Hands all bytes to `take`, in order.
    pub fn new(take: &'a mut dyn FnMut(&[u8]) -> Result<(), Stopped>) -> Self {
        Self { chunk: Vec::with_capacity(CHUNK_BYTES), take }
    }

    /// Adds the bytes of a value.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn encode<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stopped> {
        match postcard::serialize_with_flavor(value, &mut *self) {
            Ok(()) => Ok(()),
            Err(postcard::Error::SerializeBufferFull) => Err(Stopped),
            Err(error) => panic!("columns and numbers always serialize: {error}"),
        }
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn extend(&mut self, bytes: &[u8]) -> Result<(), Stopped> {
        if self.chunk.len() + bytes.len() <= CHUNK_BYTES {
            self.chunk.extend_from_slice(bytes);
            return Ok(());
        }
        self.hand_on()?;
        match bytes.len() {
            0..CHUNK_BYTES => self.chunk.extend_from_slice(bytes),
            _ => bytes.chunks(CHUNK_BYTES).try_for_each(&mut self.take)?,
        }
        Ok(())
    }

    /// Hands on what is left.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn finish(mut self) -> Result<(), Stopped> {
        self.hand_on()
    }

    fn hand_on(&mut self) -> Result<(), Stopped> {
        let result = if self.chunk.is_empty() { Ok(()) } else { (self.take)(&self.chunk) };
        self.chunk.clear();
        result
    }
}

impl Flavor for &mut Chunks<'_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        if self.chunk.len() == CHUNK_BYTES {
            self.try_extend(&[byte])
        } else {
            self.chunk.push(byte);
            Ok(())
        }
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.extend(bytes).map_err(|Stopped| postcard::Error::SerializeBufferFull)
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// The value that `bytes` begin with, and what follows it.
///
/// # Errors
/// [`DecodeError::Value`].
pub fn decode_first<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8]), DecodeError> {
    postcard::take_from_bytes(bytes).map_err(|error| DecodeError::Value(error.to_string()))
}

/// The value of all of `bytes`.
///
/// # Errors
/// [`DecodeError::Value`].
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let (value, rest) = decode_first(bytes)?;
    if rest.is_empty() {
        Ok(value)
    } else {
        Err(DecodeError::Value(format!("{} bytes too many", rest.len())))
    }
}

/// Puts a payload in a frame.
#[must_use]
pub fn frame(payload: &[u8]) -> Vec<u8> {
    [&frame_header(payload)[..], payload].concat()
}

/// What stands before a payload in its frame.
#[must_use]
pub fn frame_header(payload: &[u8]) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..4].copy_from_slice(&MAGIC);
    header[4..8].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    header[8..16].copy_from_slice(&(payload.len() as u64).to_le_bytes());
    header[16..].copy_from_slice(&checksum(payload).to_le_bytes());
    header
}

/// The payload of a frame.
///
/// # Errors
/// Any [`DecodeError`] but [`DecodeError::Value`].
pub fn unframe(bytes: &[u8]) -> Result<&[u8], DecodeError> {
    let found = bytes.len() as u64;
    let Some((header, payload)) = bytes.split_at_checked(HEADER_BYTES) else {
        return Err(DecodeError::Length { expected: HEADER_BYTES as u64, found });
    };
    let (magic, version) = (&header[..4], number(&header[4..8]) as u32);
    let (length, crc) = (number(&header[8..16]), number(&header[16..]) as u32);
    if magic != MAGIC {
        Err(DecodeError::Magic)
    } else if version != FORMAT_VERSION {
        Err(DecodeError::Version(version))
    } else if length != payload.len() as u64 {
        Err(DecodeError::Length { expected: length, found: payload.len() as u64 })
    } else if crc != checksum(payload) {
        Err(DecodeError::Checksum)
    } else {
        Ok(payload)
    }
}

/// The checksum of bytes, as frames and manifests have it: CRC-32C.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// A little-endian number of up to eight bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn another_version_is_named() {
        let mut bytes = frame(b"state");
        bytes[4] = 9;
        assert_eq!(unframe(&bytes), Err(DecodeError::Version(9)));
        assert_eq!(unframe(b"PNG"), Err(DecodeError::Length { expected: 20, found: 3 }));
        assert_eq!(unframe(&[0; 30]), Err(DecodeError::Magic));
    }

    #[test]
    fn what_follows_a_value_is_an_error() {
        let mut bytes = encode(&(7u32, "x"));
        assert_eq!(decode::<(u32, String)>(&bytes), Ok((7, "x".to_owned())));
        bytes.push(0);
        assert!(decode::<(u32, String)>(&bytes).is_err());
    }

    #[test]
    fn chunks_are_what_encode_says() {
        let long = "x".repeat(3 * CHUNK_BYTES + 7);
        let value = (vec![1u64 << 60; 20_000], long, vec!["a", "b"], 3u8);
        let mut sizes = Vec::new();
        let mut bytes = Vec::new();
        let mut take = |chunk: &[u8]| {
            sizes.push(chunk.len());
            bytes.extend_from_slice(chunk);
            Ok(())
        };
        let mut chunks = Chunks::new(&mut take);
        chunks.encode(&value).unwrap();
        chunks.encode(&value).unwrap();
        chunks.finish().unwrap();
        assert_eq!(bytes, [encode(&value), encode(&value)].concat());
        assert!(sizes.len() > 10 && sizes.iter().all(|&it| 0 < it && it <= CHUNK_BYTES));
        assert_eq!(Frozen::of(vec![7u8; 200_000]).encode(), encode(&vec![7u8; 200_000]));
    }

    #[test]
    fn who_takes_chunks_may_stop() {
        let mut taken = 0;
        let mut take = |_: &[u8]| {
            taken += 1;
            if taken == 3 { Err(Stopped) } else { Ok(()) }
        };
        let numbers = Frozen::of(vec![u64::MAX; 100_000]);
        assert_eq!(numbers.write(&mut Chunks::new(&mut take)), Err(Stopped));
        assert_eq!(taken, 3);
    }

    proptest! {
        #[test]
        fn a_frame_gives_its_payload_or_an_error(
            payload in proptest::collection::vec(any::<u8>(), 0..60),
            flip in 0usize..640,
            cut in 0usize..80,
        ) {
            let bytes = frame(&payload);
            prop_assert_eq!(unframe(&bytes), Ok(&payload[..]));
            let mut flipped = bytes.clone();
            if flip / 8 < bytes.len() {
                flipped[flip / 8] ^= 1 << (flip % 8);
                prop_assert!(unframe(&flipped).is_err());
            }
            if cut < bytes.len() {
                prop_assert!(unframe(&bytes[..cut]).is_err());
            }
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = unframe(&bytes);
            let _ = decode::<(Vec<String>, Vec<u64>, Option<f64>)>(&bytes);
        }
    }
}
