//! A batch as it is stored: a header, then the payload.
//!
//! ```text
//! version u8 | stamp i64 | order u64 | bytes u32 | crc32c u32 | payload
//! ```
//!
//! Integers are little-endian. The checksum covers the lane, the batch's number and everything but
//! itself, so a value that stands under another key does not pass. `order` numbers the batches of
//! all lanes together, without gaps: it shows where one was lost.

use crate::Timestamp;

/// The version that is written, and the only one read so far.
const VERSION: u8 = 1;
const STAMP: usize = 1;
const ORDER: usize = 9;
const BYTES: usize = 17;
const CHECKSUM: usize = 21;
const HEADER_BYTES: usize = 25;

/// A batch's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) stamp: Timestamp,
    /// Its number among the batches of all lanes.
    pub(super) order: u64,
    pub(super) payload: &'a [u8],
}

impl<'a> Record<'a> {
    /// The value of batch `sequence` of lane `lane`. The payload is shorter than 4 GiB.
    pub(super) fn encode(&self, lane: u32, sequence: u64) -> Vec<u8> {
        let bytes = u32::try_from(self.payload.len()).expect("a payload is 1 MiB at most");
        let mut value = Vec::with_capacity(HEADER_BYTES + self.payload.len());
        value.push(VERSION);
        value.extend(self.stamp.as_millis().to_le_bytes());
        value.extend(self.order.to_le_bytes());
        value.extend(bytes.to_le_bytes());
        let checksum = checksum(lane, sequence, &value, self.payload);
        value.extend(checksum.to_le_bytes());
        value.extend_from_slice(self.payload);
        value
    }

    /// Reads a value back, or says what is wrong with it.
    pub(super) fn decode(lane: u32, sequence: u64, value: &'a [u8]) -> Result<Self, &'static str> {
        let Some((header, payload)) = value.split_at_checked(HEADER_BYTES) else {
            return Err("it is shorter than its header");
        };
        if header[0] != VERSION {
            return Err("its format is of another version");
        }
        if u32::from_le_bytes(field(header, CHECKSUM))
            != checksum(lane, sequence, &header[..CHECKSUM], payload)
        {
            return Err("its checksum is another");
        }
        if usize::try_from(u32::from_le_bytes(field(header, BYTES))) != Ok(payload.len()) {
            return Err("its length is another");
        }
        let millis = i64::from_le_bytes(field(header, STAMP));
        let stamp = match Timestamp::from_millis(millis) {
            Ok(stamp) => stamp,
            Err(_) if millis == Timestamp::END.as_millis() => Timestamp::END,
            Err(_) => return Err("its stamp is no time"),
        };
        Ok(Self { stamp, order: u64::from_le_bytes(field(header, ORDER)), payload })
    }
}

/// The `N` bytes of a header from `start` on.
fn field<const N: usize>(header: &[u8], start: usize) -> [u8; N] {
    std::array::from_fn(|i| header[start + i])
}

fn checksum(lane: u32, sequence: u64, header: &[u8], payload: &[u8]) -> u32 {
    let key = crc32c::crc32c_append(crc32c::crc32c(&lane.to_le_bytes()), &sequence.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(key, header), payload)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stamps() -> impl Strategy<Value = Timestamp> {
        let range = Timestamp::MIN.as_millis()..=Timestamp::MAX.as_millis();
        prop_oneof![
            9 => range.prop_map(|millis| Timestamp::from_millis(millis).unwrap()),
            1 => Just(Timestamp::END),
        ]
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            (lane, sequence, order) in any::<(u32, u64, u64)>(),
            stamp in stamps(),
            payload in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let record = Record { stamp, order, payload: &payload };
            let value = record.encode(lane, sequence);
            prop_assert_eq!(value.len(), HEADER_BYTES + payload.len());
            prop_assert_eq!(Record::decode(lane, sequence, &value), Ok(record));
        }

        #[test]
        fn no_flipped_bit_passes(
            payload in prop::collection::vec(any::<u8>(), 0..300),
            position in any::<prop::sample::Index>(),
            bit in 0..8,
        ) {
            let record = Record { stamp: Timestamp::default(), order: 3, payload: &payload };
            let mut value = record.encode(1, 2);
            let position = position.index(value.len());
            value[position] ^= 1 << bit;
            prop_assert!(Record::decode(1, 2, &value).is_err());
        }

        #[test]
        fn no_cut_or_grown_value_passes(
            payload in prop::collection::vec(any::<u8>(), 0..300),
            bytes in 0..400_usize,
        ) {
            let record = Record { stamp: Timestamp::default(), order: 3, payload: &payload };
            let mut value = record.encode(1, 2);
            prop_assume!(bytes != value.len());
            value.resize(bytes, 0);
            prop_assert!(Record::decode(1, 2, &value).is_err());
        }

        /// The decoder borrows, so it allocates nothing; that it does not panic is asked here, also
        /// of bytes that get past the checksum.
        #[test]
        fn arbitrary_bytes_do_no_harm(
            (lane, sequence) in any::<(u32, u64)>(),
            mut value in prop::collection::vec(any::<u8>(), 0..100),
            mend in any::<bool>(),
        ) {
            if mend && value.len() >= HEADER_BYTES {
                value[0] = VERSION;
                let sum = checksum(lane, sequence, &value[..CHECKSUM], &value[HEADER_BYTES..]);
                value[CHECKSUM..HEADER_BYTES].copy_from_slice(&sum.to_le_bytes());
            }
            if let Ok(record) = Record::decode(lane, sequence, &value) {
                prop_assert_eq!(record.encode(lane, sequence), value);
            }
        }
    }

    #[test]
    fn a_value_under_another_key_does_not_pass() {
        let record = Record { stamp: Timestamp::default(), order: 3, payload: b"here" };
        let value = record.encode(1, 2);
        assert_eq!(Record::decode(1, 2, &value), Ok(record));
        assert_eq!(Record::decode(1, 3, &value), Err("its checksum is another"));
        assert_eq!(Record::decode(2, 2, &value), Err("its checksum is another"));
    }
}
