//! Columns of numbers and their bytes: numbers of eight bytes lie side by side, little-endian, so
//! that a column is read in one pass.

use serde::de::{Error, Visitor};
use serde::{Deserializer, Serializer};

/// A number of eight bytes.
pub(crate) trait EightBytes: Copy {
    /// Its bytes, little-endian.
    fn to_eight(self) -> [u8; 8];
    /// The number of these bytes.
    fn of_eight(bytes: [u8; 8]) -> Self;
}

impl EightBytes for f64 {
    fn to_eight(self) -> [u8; 8] {
        self.to_le_bytes()
    }

    fn of_eight(bytes: [u8; 8]) -> Self {
        Self::from_le_bytes(bytes)
    }
}

impl EightBytes for dunlin_stream::Timestamp {
    fn to_eight(self) -> [u8; 8] {
        self.as_millis().to_le_bytes()
    }

    fn of_eight(bytes: [u8; 8]) -> Self {
        Self::from_millis_unchecked(i64::from_le_bytes(bytes))
    }
}

/// A column of numbers of eight bytes, side by side.
pub(crate) mod eights {
    use super::{Deserializer, EightBytes, EightsVisitor, Serializer};

    pub(crate) fn serialize<T: EightBytes, Z: Serializer>(
        column: &[T],
        serializer: Z,
    ) -> Result<Z::Ok, Z::Error> {
        let mut bytes = vec![0; column.len() * 8];
        let places = bytes.as_chunks_mut::<8>().0.iter_mut();
        places.zip(column).for_each(|(place, number)| *place = number.to_eight());
        serializer.serialize_bytes(&bytes)
    }

    pub(crate) fn deserialize<'de, T: EightBytes, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<T>, D::Error> {
        deserializer.deserialize_bytes(EightsVisitor(std::marker::PhantomData))
    }
}

struct EightsVisitor<T>(std::marker::PhantomData<T>);

impl<T: EightBytes> Visitor<'_> for EightsVisitor<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("numbers of eight bytes")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<T>, E> {
        let (numbers, rest) = bytes.as_chunks::<8>();
        if rest.is_empty() {
            Ok(numbers.iter().map(|&bytes| T::of_eight(bytes)).collect())
        } else {
            Err(E::invalid_length(bytes.len(), &self))
        }
    }
}

/// A column of times, each as the difference from the one before: a byte or two where they are near
/// each other.
pub(crate) mod deltas {
    use dunlin_stream::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<Z: Serializer>(
        times: &[Timestamp],
        serializer: Z,
    ) -> Result<Z::Ok, Z::Error> {
        let mut last = 0i64;
        serializer.collect_seq(times.iter().map(|time| {
            let before = std::mem::replace(&mut last, time.as_millis());
            time.as_millis().wrapping_sub(before)
        }))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Timestamp>, D::Error> {
        let deltas = Vec::<i64>::deserialize(deserializer)?;
        let mut time = 0i64;
        Ok(deltas
            .into_iter()
            .map(|delta| {
                time = time.wrapping_add(delta);
                Timestamp::from_millis_unchecked(time)
            })
            .collect())
    }
}
