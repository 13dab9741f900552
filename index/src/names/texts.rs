//! Names by slot, in one column of cells that are as wide as suits the names there are.
//!
//! ```text
//! cells     | v 1 2 3 4 5 6   7 |      a name that is shorter than a cell, and how many bytes it has
//!           | offset (7)    255 | ──> long: | length (4) | name |        one that is not
//! ```
//!
//! Of all widths that one is taken with which cells and long names need the fewest bytes together; it
//! is chosen anew whenever one of the two columns has to grow, and so be copied, anyway; names that
//! are gone go then. Objects of one feed mostly have names of one form: `v123456` takes 8 bytes, a UUID
//! 40, each without an allocation of its own.

use std::cmp::Ordering;

use super::Slot;

/// Bytes of a cell: a multiple of four, [`WIDTH_MAX`] at most.
const WIDTH_MIN: usize = 8;
const WIDTH_MAX: usize = 40;
const WIDTH_STEP: usize = 4;
/// The last byte of the cell of a longer name.
const LONG: u8 = u8::MAX;
/// Bytes before a long name.
const LENGTH_BYTES: usize = 4;
/// Cells of at most so many bytes are compared as numbers.
const WIDTH_NUMBER: usize = 16;
/// Bytes that tell where a long name is.
const OFFSET_BYTES: usize = 7;
/// Long names get room for as many bytes at least.
const LONG_ROOM_MIN: usize = 4_096;

/// A name that is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    /// The bytes of a name that fits into a cell of [`WIDTH_NUMBER`] bytes.
    body: u128,
}

impl<'a> Wanted<'a> {
    #[inline]
    pub(super) fn new(name: &'a str) -> Self {
        let mut body = [0; WIDTH_NUMBER];
        if name.len() < WIDTH_NUMBER {
            body[..name.len()].copy_from_slice(name.as_bytes());
        }
        Self { name, body: u128::from_le_bytes(body) }
    }
}

/// See the module documentation.
#[derive(Clone, Debug)]
pub(super) struct Texts {
    /// Cells of `width` bytes, filled up with zeros, the length last: so they compare as the names.
    cells: Vec<u8>,
    width: usize,
    /// The long names, and some that are gone.
    long: Vec<u8>,
    /// How many names there are of each length that some cell has room for.
    lengths: [u32; WIDTH_MAX],
}

impl Default for Texts {
    fn default() -> Self {
        Self { cells: Vec::new(), width: WIDTH_MIN, long: Vec::new(), lengths: [0; WIDTH_MAX] }
    }
}

impl Texts {
    pub(super) fn len(&self) -> usize {
        self.cells.len() / self.width
    }

    /// # Panics
    /// If there is no such slot.
    pub(super) fn name(&self, slot: Slot) -> &str {
        std::str::from_utf8(self.bytes(slot)).expect("names are kept whole")
    }

    #[inline]
    pub(super) fn bytes(&self, slot: Slot) -> &[u8] {
        self.bytes_of(self.cell(slot))
    }

    /// Whether a slot has that name; of short ones without a loop.
    #[inline]
    pub(super) fn is(&self, slot: Slot, wanted: &Wanted<'_>) -> bool {
        let (cell, len) = (self.cell(slot), wanted.name.len());
        let (Some(first), Some(last)) = (cell.first_chunk(), cell.last_chunk()) else {
            return false;
        };
        if cell.len() > WIDTH_NUMBER || len >= cell.len() {
            return self.bytes_of(cell) == wanted.name.as_bytes();
        }
        let whole = wanted.body | (len as u128) << (8 * cell.len() - 8);
        let end = (whole >> (8 * cell.len() - 64)) as u64;
        u64::from_le_bytes(*first) == whole as u64 && u64::from_le_bytes(*last) == end
    }

    /// Reads something of a cell, if there is one.
    #[inline]
    pub(super) fn touch(&self, slot: Slot) -> u8 {
        self.cells.get(slot.index() * self.width).copied().unwrap_or_default()
    }

    #[inline]
    pub(super) fn compare(&self, a: Slot, b: Slot) -> Ordering {
        let (a, b) = (self.cell(a), self.cell(b));
        if self.is_long(a) || self.is_long(b) {
            self.bytes_of(a).cmp(self.bytes_of(b))
        } else {
            a.cmp(b)
        }
    }

    /// The [`mark`] of each name, by slot; none of a long one.
    pub(super) fn marks(&self) -> impl Iterator<Item = Option<usize>> {
        self.cells.chunks_exact(self.width).map(|cell| {
            let len = usize::from(cell[self.width - 1]);
            let mut words = cell.as_chunks().0.iter().map(|&word| u32::from_le_bytes(word));
            let last = words.next_back().unwrap_or_default() & u32::MAX >> 8;
            (!self.is_long(cell)).then(|| mark_of(words.chain([last]), len))
        })
    }

    /// Sets the name of a slot; slots in between get empty ones.
    pub(super) fn set(&mut self, slot: Slot, name: &str) {
        self.grow_to(slot.index() + 1);
        let before = self.bytes(slot).len();
        self.count(before, -1);
        self.count(name.len(), 1);
        self.write(slot, name.as_bytes());
    }

    fn write(&mut self, slot: Slot, name: &[u8]) {
        let room = LENGTH_BYTES + name.len();
        if name.len() >= self.width && self.long.len() + room > self.long.capacity() {
            self.pack(self.cells.capacity() / self.width);
            if name.len() >= self.width {
                // So that it is packed again only after as many bytes came as there are.
                self.long.reserve(self.long.len() + room.max(LONG_ROOM_MIN));
            }
        }
        if name.len() < self.width {
            write_inline(self.cell_mut(slot), name);
        } else {
            let offset = push_long(&mut self.long, name);
            write_offset(self.cell_mut(slot), offset);
        }
    }

    /// Makes room for `count` names, empty ones where there was none.
    fn grow_to(&mut self, count: usize) {
        let more = count.saturating_sub(self.len());
        if more == 0 {
            return;
        }
        if self.cells.capacity() < count * self.width {
            self.pack((2 * self.len()).max(count));
        }
        self.lengths[0] += more as u32;
        self.cells.resize(count * self.width, 0);
    }

    /// Lays all names out anew in the width that suits them, with room for `capacity` of them.
    fn pack(&mut self, capacity: usize) {
        let (count, width) = (self.len(), self.best_width());
        let mut cells = Vec::with_capacity(capacity.max(count) * width);
        cells.resize(count * width, 0);
        let mut long = Vec::new();
        for (slot, cell) in (0..).map(Slot).zip(cells.chunks_exact_mut(width)) {
            let name = self.bytes(slot);
            if name.len() < width {
                write_inline(cell, name);
            } else {
                write_offset(cell, push_long(&mut long, name));
            }
        }
        *self = Self { cells, width, long, lengths: self.lengths };
    }

    /// The width with which all names need the fewest bytes, of equals the greatest.
    fn best_width(&self) -> usize {
        let bytes = |&width: &usize| {
            let longer = (width..).zip(&self.lengths[width..]);
            let long = longer.map(|(len, &count)| (LENGTH_BYTES + len) * count as usize);
            width * self.len() + long.sum::<usize>()
        };
        let widths = (WIDTH_MIN..=WIDTH_MAX).rev().step_by(WIDTH_STEP);
        widths.min_by_key(bytes).expect("there are widths")
    }

    fn count(&mut self, len: usize, more: i32) {
        if let Some(count) = self.lengths.get_mut(len) {
            *count = count.wrapping_add_signed(more);
        }
    }

    #[inline]
    fn cell(&self, slot: Slot) -> &[u8] {
        &self.cells[slot.index() * self.width..][..self.width]
    }

    fn cell_mut(&mut self, slot: Slot) -> &mut [u8] {
        &mut self.cells[slot.index() * self.width..][..self.width]
    }

    #[inline]
    fn is_long(&self, cell: &[u8]) -> bool {
        cell[self.width - 1] == LONG
    }

    #[inline]
    fn bytes_of<'a>(&'a self, cell: &'a [u8]) -> &'a [u8] {
        match cell[self.width - 1] {
            LONG => self.long_bytes(cell),
            len => &cell[..usize::from(len)],
        }
    }

    fn long_bytes(&self, cell: &[u8]) -> &[u8] {
        let mut offset = [0; 8];
        offset[..OFFSET_BYTES].copy_from_slice(&cell[..OFFSET_BYTES]);
        let (len, rest) = self.long[u64::from_le_bytes(offset) as usize..]
            .split_first_chunk::<LENGTH_BYTES>()
            .expect("a length before each long name");
        &rest[..u32::from_le_bytes(*len) as usize]
    }
}

fn write_inline(cell: &mut [u8], name: &[u8]) {
    let (last, body) = cell.split_last_mut().expect("a cell has bytes");
    body[..name.len()].copy_from_slice(name);
    body[name.len()..].fill(0);
    *last = name.len() as u8;
}

fn write_offset(cell: &mut [u8], offset: usize) {
    let (last, body) = cell.split_last_mut().expect("a cell has bytes");
    body.fill(0);
    body[..OFFSET_BYTES].copy_from_slice(&(offset as u64).to_le_bytes()[..OFFSET_BYTES]);
    *last = LONG;
}

/// Where it lies now.
fn push_long(long: &mut Vec<u8>, name: &[u8]) -> usize {
    let offset = long.len();
    let len = u32::try_from(name.len()).expect("a name of less than 4 GiB");
    long.extend_from_slice(&len.to_le_bytes());
    long.extend_from_slice(name);
    offset
}

/// A number of 32 bits that is the same for equal names, by which most others are told apart.
pub(super) fn mark(name: &[u8]) -> usize {
    let word = |bytes: &[u8]| {
        let mut word = [0; WIDTH_STEP];
        word[..bytes.len()].copy_from_slice(bytes);
        u32::from_le_bytes(word)
    };
    mark_of(name.chunks(WIDTH_STEP).map(word), name.len())
}

/// The mark of a name in words; words of zeros after it change nothing.
#[inline]
fn mark_of(words: impl Iterator<Item = u32>, len: usize) -> usize {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let add = |(sum, factor): (u64, u64), word: u32| {
        (sum.wrapping_add(factor.wrapping_mul(word.into())), factor.wrapping_mul(ODD))
    };
    let (sum, _) = words.fold((len as u64, ODD), add);
    (sum.wrapping_mul(ODD) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(names: impl IntoIterator<Item = String>) -> Texts {
        let mut texts = Texts::default();
        (0..).map(Slot).zip(names).for_each(|(slot, name)| texts.set(slot, &name));
        texts
    }

    #[test]
    fn cells_are_as_wide_as_suits_the_names() {
        let bytes = |len: usize, others: usize| {
            let names = (0..10_000).map(|i| format!("{i:0len$}"));
            let others = (0..others).map(|i| format!("{i:030}"));
            let texts = texts(others.chain(names));
            (texts.width, texts.long.len())
        };
        assert_eq!(bytes(7, 0), (8, 0));
        assert_eq!(bytes(8, 0), (12, 0));
        assert_eq!(bytes(36, 0), (40, 0));
        assert_eq!(bytes(39, 0), (40, 0));
        assert_eq!(bytes(40, 0), (8, 10_000 * 44), "as wide as the cells of none");
        assert_eq!(bytes(7, 100), (8, 100 * 34), "a few long names widen nothing");
    }

    #[test]
    fn names_that_become_longer_get_wider_cells() {
        let mut texts = texts((0..10_000).map(|i| format!("{i:07}")));
        (0..10_000).for_each(|i| texts.set(Slot(i), &format!("{i:011}")));
        assert_eq!(texts.width, 12);
        assert!((0..10_000).all(|i| texts.name(Slot(i)) == format!("{i:011}")));
        assert_eq!(texts.lengths.iter().sum::<u32>(), 10_000);
    }

    #[test]
    fn names_that_are_gone_cost_no_memory() {
        let mut texts = Texts::default();
        for turn in 0..10_000 {
            texts.set(Slot(7), &format!("an object with a name that is longer than {turn}"));
            texts.set(Slot(7), "");
        }
        assert!(texts.long.capacity() < 3 * LONG_ROOM_MIN, "{}", texts.long.capacity());
        assert_eq!(texts.width, 8);
    }

    #[test]
    fn a_mark_is_that_of_the_name_in_any_cell() {
        for len in 1..39 {
            let name = "é".repeat(len)[..len / 2 * 2].to_owned() + &"x".repeat(len % 2);
            for width in [len, 39] {
                let names = (0..100).map(|_| "y".repeat(width)).chain([name.clone()]);
                let texts = texts(names);
                let seen = texts.marks().last().flatten();
                assert_eq!(seen, (len < texts.width).then(|| mark(name.as_bytes())), "{name}");
            }
        }
    }
}
