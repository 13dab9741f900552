//! Columns of numbers and their bytes: numbers of eight bytes lie side by side, little-endian, so
//! that a column is read in one pass.

use serde::de::{Error, Visitor};
use serde::{Deserializer, Serialize, Serializer};

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

impl EightBytes for i64 {
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
        let bytes: Vec<[u8; 8]> = column.iter().map(|number| number.to_eight()).collect();
        serializer.serialize_bytes(bytes.as_flattened())
    }

    pub(crate) fn deserialize<'de, T: EightBytes, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<T>, D::Error> {
        deserializer.deserialize_bytes(EightsVisitor(std::marker::PhantomData))
    }
}

/// A column that serializes as one of [`eights`]; where numbers lie in memory as on the wire, without
/// being copied first.
pub(crate) struct Eights<'a, T>(pub(crate) &'a [T]);

impl<T: EightBytes + bytemuck::NoUninit> Serialize for Eights<'_, T> {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        if cfg!(target_endian = "little") {
            serializer.serialize_bytes(bytemuck::cast_slice(self.0))
        } else {
            eights::serialize(self.0, serializer)
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use dunlin_stream::wire;

    #[derive(Serialize)]
    struct Column(#[serde(with = "eights")] Vec<f64>);

    #[test]
    fn a_column_on_its_way_is_as_any_other() {
        let column = vec![1.5, -0.0, f64::NAN, 1e300, f64::MIN_POSITIVE];
        assert_eq!(wire::encode(&Eights(&column)), wire::encode(&Column(column.clone())));
        assert_eq!(wire::encode(&Eights(&[1i64, -2]))[1..9], [1, 0, 0, 0, 0, 0, 0, 0]);
    }
}
