//! Influence: for every strip, the standing questions whose disc meets it.
//!
//! An epoch asks only the lists of the strips it touched, so a strip where nothing moves costs
//! nothing, however many questions look at it. A list holds the questions' windows, rounded to 32
//! bits, so that most questions are passed over without a look at anything else.

use std::ops::Range;

use dunlin_index::Window;

use crate::rounded::RoundedBox;

/// The strips that a question is listed in: up to two ranges, where its window wraps.
pub(crate) type ListedIn = [Range<usize>; 2];

/// A question listed nowhere.
pub(crate) const NOWHERE: ListedIn = [0..0, 0..0];

/// A question on a list, with a box that holds its window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listed {
    pub(crate) question: u32,
    pub(crate) bounds: RoundedBox,
}

/// Questions by strip.
#[derive(Debug, Default)]
pub(crate) struct DiscLists {
    lists: Vec<Vec<Listed>>,
}

impl DiscLists {
    /// Empties all lists; there are `strip_count` of them now.
    pub(crate) fn reset(&mut self, strip_count: usize) {
        self.lists.resize_with(strip_count, Vec::new);
        self.lists.iter_mut().for_each(Vec::clear);
    }

    /// Lists `question` in the strips `listed`, which its `window` meets.
    pub(crate) fn add(&mut self, question: u32, window: &Window, listed: &ListedIn) {
        let entry = Listed { question, bounds: RoundedBox::around(window) };
        for strip in listed.iter().cloned().flatten() {
            self.lists[strip].push(entry);
        }
    }

    /// Takes `question` off the lists of the strips `listed`.
    pub(crate) fn remove(&mut self, question: u32, listed: &ListedIn) {
        for strip in listed.iter().cloned().flatten() {
            let list = &mut self.lists[strip];
            let row = list.iter().position(|entry| entry.question == question);
            list.swap_remove(row.expect("a listed question is on the list"));
        }
    }

    /// The questions whose disc meets `strip`.
    pub(crate) fn of(&self, strip: usize) -> &[Listed] {
        &self.lists[strip]
    }
}
