//! The stored form of one batch.
//!
//! ```text
//! version u8 | checksum u32 | lane u32 | sequence u64 | stamp i64 | payload          big endian
//!                             `------------------ under the checksum -----------'
//! ```
//!
//! The checksum (CRC-32C) begins with the record's position, so that a record in a wrong place is
//! as wrong as a record of wrong bytes. The position after a record is its own plus its length.

use crate::Timestamp;
use crate::log::LaneId;

/// What stands before the payload.
pub(super) const HEADER_BYTES: usize = 25;
const VERSION: u8 = 1;
const CHECKSUM_END: usize = 5;

/// A batch as it is stored.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) lane: LaneId,
    pub(super) sequence: u64,
    pub(super) stamp: Timestamp,
    pub(super) payload: &'a [u8],
}

impl<'a> Record<'a> {
    /// The bytes of the record at a position of the log.
    pub(super) fn encode(&self, position: u64) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + self.payload.len());
        bytes.push(VERSION);
        bytes.extend([0; CHECKSUM_END - 1]);
        bytes.extend(self.lane.0.to_be_bytes());
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.stamp.as_millis().to_be_bytes());
        bytes.extend(self.payload);
        let checksum = checksum(position, &bytes[CHECKSUM_END..]);
        bytes[1..CHECKSUM_END].copy_from_slice(&checksum.to_be_bytes());
        bytes
    }

    /// Reads a record back; allocates nothing.
    ///
    /// # Errors
    /// In which way the bytes are no record of this position.
    pub(super) fn decode(position: u64, bytes: &'a [u8]) -> Result<Self, &'static str> {
        let (&[version, ref stored @ ..], rest) =
            bytes.split_first_chunk::<CHECKSUM_END>().ok_or("it is cut short")?;
        if version != VERSION {
            return Err("its format is not known");
        }
        if u32::from_be_bytes(*stored) != checksum(position, rest) {
            return Err("its checksum does not fit");
        }
        let (lane, rest) = rest.split_first_chunk().ok_or("it is cut short")?;
        let (sequence, rest) = rest.split_first_chunk().ok_or("it is cut short")?;
        let (stamp, payload) = rest.split_first_chunk().ok_or("it is cut short")?;
        Ok(Self {
            lane: LaneId(u32::from_be_bytes(*lane)),
            sequence: u64::from_be_bytes(*sequence),
            stamp: Timestamp::from_millis_unchecked(i64::from_be_bytes(*stamp)),
            payload,
        })
    }
}

fn checksum(position: u64, rest: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&position.to_be_bytes()), rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(payload: &[u8]) -> Record<'_> {
        let stamp = Timestamp::from_millis_unchecked(-7);
        Record { lane: LaneId(3), sequence: 1 << 40, stamp, payload }
    }

    #[test]
    fn the_format_stays() {
        let bytes = record(b"dunlin").encode(258);
        let expected = b"\x01\xc1\x07\x37\xac\0\0\0\x03\0\0\x01\0\0\0\0\0\
                         \xff\xff\xff\xff\xff\xff\xff\xf9dunlin";
        assert_eq!(bytes, expected);
    }

    #[test]
    fn a_record_of_a_later_format_says_so() {
        let mut bytes = record(b"").encode(0);
        bytes[0] = 2;
        assert_eq!(Record::decode(0, &bytes), Err("its format is not known"));
    }

    /// A fuzz target; see `stream/tests/fuzz_decoders.rs`.
    #[test]
    fn fuzz_record() {
        bolero::check!().with_type::<(u64, bool, Vec<u8>)>().for_each(
            |(position, is_summed, bytes)| {
                let mut bytes = bytes.clone();
                if *is_summed && bytes.len() >= CHECKSUM_END {
                    bytes[0] = VERSION;
                    let sum = checksum(*position, &bytes[CHECKSUM_END..]);
                    bytes[1..CHECKSUM_END].copy_from_slice(&sum.to_be_bytes());
                }
                if let Ok(record) = Record::decode(*position, &bytes) {
                    assert_eq!(record.encode(*position), bytes);
                }
            },
        );
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(
            lane: u32, sequence: u64, millis: i64, position: u64, payload: Vec<u8>,
        ) {
            let stamp = Timestamp::from_millis_unchecked(millis);
            let record = Record { lane: LaneId(lane), sequence, stamp, payload: &payload };
            let bytes = record.encode(position);
            prop_assert_eq!(bytes.len(), HEADER_BYTES + payload.len());
            prop_assert_eq!(Record::decode(position, &bytes), Ok(record));
        }

        #[test]
        fn a_flipped_bit_is_noticed(payload: Vec<u8>, flip: prop::sample::Index) {
            let mut bytes = record(&payload).encode(9);
            let bit = flip.index(8 * bytes.len());
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(Record::decode(9, &bytes).is_err());
        }

        #[test]
        fn a_record_in_another_place_is_noticed(position: u64, other: u64) {
            prop_assume!(position != other);
            let bytes = record(b"dunlin").encode(position);
            prop_assert!(Record::decode(other, &bytes).is_err());
        }

        #[test]
        fn a_cut_record_is_noticed(payload: Vec<u8>, cut: prop::sample::Index) {
            let bytes = record(&payload).encode(9);
            prop_assert!(Record::decode(9, &bytes[..cut.index(bytes.len())]).is_err());
        }
    }
}
