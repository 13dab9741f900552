//! The objects that are together with an arriving one, each with a small number.
//!
//! A hash table that is mostly empty and stays in the first cache: most objects that are looked up
//! are not in it, and one read says so.

use dunlin_index::Slot;

/// Objects and their numbers, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Members {
    objects: Vec<Slot>,
    /// The number of a member plus one, or zero; a power of two of them.
    cells: Vec<u32>,
    /// 64 minus the binary logarithm of the used cells.
    shift: u32,
}

impl Members {
    /// Forgets all, and makes room for `count`.
    pub(super) fn reset(&mut self, count: usize) {
        let room = (count * 4).next_power_of_two().max(16);
        self.objects.clear();
        self.cells.clear();
        self.cells.resize(room, 0);
        self.shift = 64 - room.trailing_zeros();
    }

    /// Adds an object, if it is not a member yet.
    pub(super) fn add(&mut self, object: Slot) {
        let mut cell = self.first_cell(object);
        while self.cells[cell] != 0 {
            if self.objects[self.cells[cell] as usize - 1] == object {
                return;
            }
            cell = (cell + 1) & (self.cells.len() - 1);
        }
        self.objects.push(object);
        self.cells[cell] = u32::try_from(self.objects.len()).expect("fewer than 2^32 members");
    }

    /// The number of a member.
    #[inline]
    pub(super) fn number(&self, object: Slot) -> Option<u32> {
        let mut cell = self.first_cell(object);
        loop {
            let number = self.cells[cell].checked_sub(1)?;
            if self.objects[number as usize] == object {
                return Some(number);
            }
            cell = (cell + 1) & (self.cells.len() - 1);
        }
    }

    pub(super) fn objects(&self) -> &[Slot] {
        &self.objects
    }

    #[inline]
    fn first_cell(&self, object: Slot) -> usize {
        // Fibonacci hashing: the high bits of a product with 2⁶⁴ / φ.
        (u64::from(object.0).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> self.shift) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_and_others_are_not() {
        let mut members = Members::default();
        for count in [0, 1, 5, 64, 1000] {
            members.reset(count);
            for number in 0..count {
                let object = Slot(u32::try_from(number * 64).unwrap());
                members.add(object);
                members.add(object);
            }
            assert_eq!(members.objects().len(), count);
            for (number, object) in members.objects().iter().enumerate() {
                assert_eq!(members.number(*object).map(|n| n as usize), Some(number));
                assert_eq!(members.number(Slot(object.0 + 1)), None);
            }
        }
    }
}
