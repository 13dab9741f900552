//! Small sets of small numbers: in one word where they fit, else in as many as it takes.

/// A set of numbers below a bound that is given when it is made.
pub(super) trait Bits: Clone + PartialEq {
    /// The empty set of numbers below `bound`.
    fn none(bound: usize) -> Self;
    /// All numbers below `bound`.
    fn all(bound: usize) -> Self;
    fn insert(&mut self, bit: usize);
    fn remove(&mut self, bit: usize);
    fn contains(&self, bit: usize) -> bool;
    /// The least number.
    fn first(&self) -> Option<usize>;
    /// How many numbers of the set are less than `bit`.
    fn rank(&self, bit: usize) -> usize;
    fn is_empty(&self) -> bool;
    fn len(&self) -> usize;
    fn is_subset(&self, of: &Self) -> bool;
    fn union(&mut self, with: &Self);
    fn intersect(&mut self, with: &Self);
    fn subtract(&mut self, what: &Self);
    /// Calls `each` for every number, in ascending order.
    fn for_each(&self, each: impl FnMut(usize));
}

impl Bits for u64 {
    fn none(bound: usize) -> Self {
        debug_assert!(bound <= 64);
        0
    }

    fn all(bound: usize) -> Self {
        debug_assert!(bound <= 64);
        if bound == 0 { 0 } else { Self::MAX >> (64 - bound) }
    }

    fn insert(&mut self, bit: usize) {
        *self |= 1 << bit;
    }

    fn remove(&mut self, bit: usize) {
        *self &= !(1 << bit);
    }

    fn contains(&self, bit: usize) -> bool {
        self >> bit & 1 == 1
    }

    fn first(&self) -> Option<usize> {
        (*self != 0).then(|| self.trailing_zeros() as usize)
    }

    fn rank(&self, bit: usize) -> usize {
        (self & ((1 << bit) - 1)).count_ones() as usize
    }

    fn is_empty(&self) -> bool {
        *self == 0
    }

    fn len(&self) -> usize {
        self.count_ones() as usize
    }

    fn is_subset(&self, of: &Self) -> bool {
        self & !of == 0
    }

    fn union(&mut self, with: &Self) {
        *self |= with;
    }

    fn intersect(&mut self, with: &Self) {
        *self &= with;
    }

    fn subtract(&mut self, what: &Self) {
        *self &= !what;
    }

    fn for_each(&self, mut each: impl FnMut(usize)) {
        let mut rest = *self;
        while rest != 0 {
            each(rest.trailing_zeros() as usize);
            rest &= rest - 1;
        }
    }
}

impl Bits for Vec<u64> {
    fn none(bound: usize) -> Self {
        vec![0; bound.div_ceil(64)]
    }

    fn all(bound: usize) -> Self {
        let words = 0..bound.div_ceil(64);
        words.map(|word| u64::all((bound - word * 64).min(64))).collect()
    }

    fn insert(&mut self, bit: usize) {
        self[bit / 64].insert(bit % 64);
    }

    fn remove(&mut self, bit: usize) {
        self[bit / 64].remove(bit % 64);
    }

    fn contains(&self, bit: usize) -> bool {
        self[bit / 64].contains(bit % 64)
    }

    fn first(&self) -> Option<usize> {
        let word = self.iter().position(|word| *word != 0)?;
        Some(word * 64 + self[word].first()?)
    }

    fn rank(&self, bit: usize) -> usize {
        let whole: usize = self[..bit / 64].iter().map(Bits::len).sum();
        whole + self[bit / 64].rank(bit % 64)
    }

    fn is_empty(&self) -> bool {
        self.iter().all(Bits::is_empty)
    }

    fn len(&self) -> usize {
        self.iter().map(Bits::len).sum()
    }

    fn is_subset(&self, of: &Self) -> bool {
        self.iter().zip(of).all(|(word, of)| word.is_subset(of))
    }

    fn union(&mut self, with: &Self) {
        self.iter_mut().zip(with).for_each(|(word, with)| word.union(with));
    }

    fn intersect(&mut self, with: &Self) {
        self.iter_mut().zip(with).for_each(|(word, with)| word.intersect(with));
    }

    fn subtract(&mut self, what: &Self) {
        self.iter_mut().zip(what).for_each(|(word, what)| word.subtract(what));
    }

    fn for_each(&self, mut each: impl FnMut(usize)) {
        for (index, word) in self.iter().enumerate() {
            word.for_each(|bit| each(index * 64 + bit));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn bits<B: Bits>(set: &BTreeSet<usize>, bound: usize) -> B {
        let mut bits = B::none(bound);
        set.iter().for_each(|&bit| bits.insert(bit));
        bits
    }

    fn numbers<B: Bits>(bits: &B) -> Vec<usize> {
        let mut numbers = Vec::new();
        bits.for_each(|bit| numbers.push(bit));
        numbers
    }

    fn behaves<B: Bits>(bound: usize, a: &BTreeSet<usize>, b: &BTreeSet<usize>) {
        let (left, right) = (bits::<B>(a, bound), bits::<B>(b, bound));
        assert!(numbers(&left).into_iter().eq(a.iter().copied()));
        let changed = |change: fn(&mut B, &B)| {
            let mut changed = left.clone();
            change(&mut changed, &right);
            numbers(&changed)
        };
        assert!(changed(B::union).iter().eq(a.union(b)));
        assert!(changed(B::intersect).iter().eq(a.intersection(b)));
        assert!(changed(B::subtract).iter().eq(a.difference(b)));
        assert_eq!(left.is_subset(&right), a.is_subset(b));
        assert_eq!((left.len(), left.is_empty()), (a.len(), a.is_empty()));
        assert_eq!(left.first(), a.first().copied());
        assert!((0..bound).all(|bit| left.rank(bit) == a.range(..bit).count()));
        assert!((0..bound).all(|bit| left.contains(bit) == a.contains(&bit)));
        assert!(left.is_subset(&B::all(bound)) && B::all(bound).len() == bound);
        let mut less = left.clone();
        a.iter().for_each(|&bit| less.remove(bit));
        assert!(less == B::none(bound));
    }

    proptest! {
        #[test]
        fn bits_are_sets(
            a in prop::collection::btree_set(0..64usize, 0..20),
            b in prop::collection::btree_set(0..64usize, 0..60),
            shift in 0..100usize,
        ) {
            behaves::<u64>(64, &a, &b);
            let moved = |set: &BTreeSet<usize>| set.iter().map(|bit| bit + shift).collect();
            behaves::<Vec<u64>>(64 + shift, &moved(&a), &moved(&b));
        }
    }
}
