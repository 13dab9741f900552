//! Influence: for every strip, the standing questions whose disc meets it.
//!
//! An epoch asks only the lists of the strips it touched, so a strip where nothing moves costs
//! nothing, however many questions look at it.

use std::ops::Range;

/// The strips that a question is listed in: up to two ranges, where its window wraps.
pub(crate) type ListedIn = [Range<usize>; 2];

/// A question listed nowhere.
pub(crate) const NOWHERE: ListedIn = [0..0, 0..0];

/// Questions by strip.
#[derive(Debug, Default)]
pub(crate) struct DiscLists {
    lists: Vec<Vec<u32>>,
}

impl DiscLists {
    /// Empties all lists; there are `strip_count` of them now.
    pub(crate) fn reset(&mut self, strip_count: usize) {
        self.lists.resize_with(strip_count, Vec::new);
        self.lists.iter_mut().for_each(Vec::clear);
    }

    /// Lists `question` in the strips `listed`.
    pub(crate) fn add(&mut self, question: u32, listed: &ListedIn) {
        for strip in listed.iter().cloned().flatten() {
            self.lists[strip].push(question);
        }
    }

    /// Takes `question` off the lists of the strips `listed`.
    pub(crate) fn remove(&mut self, question: u32, listed: &ListedIn) {
        for strip in listed.iter().cloned().flatten() {
            let list = &mut self.lists[strip];
            let row = list.iter().position(|&other| other == question);
            list.swap_remove(row.expect("a listed question is on the list"));
        }
    }

    /// The questions whose disc meets `strip`.
    pub(crate) fn of(&self, strip: usize) -> &[u32] {
        &self.lists[strip]
    }
}
