//! Columns and their bytes.
//!
//! Numbers of eight bytes lie side by side, little-endian, so that a column is read in one pass;
//! names are one text and their lengths. What is read is checked before anything is made of it.

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Names in one text.
///
/// ```
/// use dunlin_query::topology::NameColumn;
///
/// let mut names = NameColumn::default();
/// names.push("taxi 7");
/// names.push("bus");
/// assert_eq!(names.iter().collect::<Vec<_>>(), ["taxi 7", "bus"]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameColumn {
    text: String,
    /// Where each name ends.
    ends: Vec<u32>,
}

impl NameColumn {
    /// Room for so many names of usual length.
    pub(crate) fn with_capacity(names: usize) -> Self {
        const USUAL_BYTES: usize = 8;
        let text = String::with_capacity(names * USUAL_BYTES);
        Self { text, ends: Vec::with_capacity(names) }
    }

    /// Adds a name.
    ///
    /// # Panics
    /// After 4 GiB of text.
    #[inline]
    pub fn push(&mut self, name: &str) {
        self.text.push_str(name);
        self.ends.push(u32::try_from(self.text.len()).expect("less than 4 GiB of names"));
    }

    /// The bytes of all names together.
    pub(crate) fn text_len(&self) -> usize {
        self.text.len()
    }

    /// How many names there are.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The name in a row.
    ///
    /// # Panics
    /// If there is no such row.
    #[inline]
    #[must_use]
    pub fn get(&self, row: usize) -> &str {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.text[start as usize..self.ends[row] as usize]
    }

    /// All names, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        (0..self.len()).map(|row| self.get(row))
    }
}

impl Serialize for NameColumn {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        let starts = std::iter::once(&0).chain(&self.ends);
        let lens: Vec<u32> = self.ends.iter().zip(starts).map(|(end, start)| end - start).collect();
        (&self.text, lens).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for NameColumn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (text, mut ends) = <(String, Vec<u32>)>::deserialize(deserializer)?;
        let mut end = 0u32;
        for len in &mut ends {
            let next = end.checked_add(*len).filter(|&next| text.is_char_boundary(next as usize));
            end = next.ok_or_else(|| D::Error::custom("a name ends outside the text"))?;
            *len = end;
        }
        if end as usize == text.len() {
            Ok(Self { text, ends })
        } else {
            Err(D::Error::custom("text behind the last name"))
        }
    }
}

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
