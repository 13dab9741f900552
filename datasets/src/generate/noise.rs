//! Numbers that look random and are the same on every machine.
//!
//! [`Draw`] is ChaCha8, for what is drawn once per object. [`Noise`] is SplitMix64 (Steele, Lea and
//! Flood 2014) over (seed, step, object): stateless, so a step over millions of objects costs a few
//! multiplications each and vectorises.

use dunlin_index::Coord;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A share in `[0, 1)` from the upper 53 bits.
#[inline]
fn share(bits: u64) -> f64 {
    (bits >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// A sequence of draws.
#[derive(Clone, Debug)]
pub(crate) struct Draw(ChaCha8Rng);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Any number.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in `[0, 1)`.
    pub(crate) fn share(&mut self) -> f64 {
        share(self.bits())
    }

    /// Uniform in `[0, 1)` twice.
    pub(crate) fn shares(&mut self) -> Coord {
        Coord { x: self.share(), y: self.share() }
    }

    /// Uniform in `0..count`.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        debug_assert!(count > 0, "nothing to choose from");
        ((u128::from(self.bits()) * count as u128) >> 64) as usize
    }

    /// Uniform in `[-1, 1)` twice.
    pub(crate) fn signed(&mut self) -> Coord {
        let Coord { x, y } = self.shares();
        Coord { x: 2.0 * x - 1.0, y: 2.0 * y - 1.0 }
    }

    /// Two independent numbers of the standard normal distribution (Marsaglia's polar method).
    pub(crate) fn normal(&mut self) -> Coord {
        loop {
            let Coord { x, y } = self.signed();
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                let scale = (-2.0 * libm::log(square) / square).sqrt();
                return Coord { x: x * scale, y: y * scale };
            }
        }
    }
}

/// Noise for the objects of one step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noise {
    key: u64,
    step: u64,
}

impl Noise {
    pub(crate) fn new(key: u64) -> Self {
        Self { key, step: 0 }
    }

    /// Goes to the next step and returns its noise.
    pub(crate) fn advance(&mut self) -> Self {
        self.step += 1;
        Self { key: mix(self.key ^ self.step.wrapping_mul(GOLDEN)), step: self.step }
    }

    /// Any number, for the object at `index`.
    #[inline]
    pub(crate) fn bits(&self, index: usize) -> u64 {
        mix(self.key.wrapping_add((index as u64).wrapping_mul(GOLDEN)))
    }

    /// Uniform in `[-1, 1)` twice, for the object at `index`; 32 bits are plenty for a step.
    #[inline]
    pub(crate) fn signed(&self, index: usize) -> Coord {
        signed(self.bits(index))
    }
}

/// Both halves of `bits` as numbers in `[-1, 1)`.
#[inline]
pub(crate) fn signed(bits: u64) -> Coord {
    let half = |bits: u32| f64::from(bits.cast_signed()) * (1.0 / (1u64 << 31) as f64);
    Coord { x: half((bits >> 32) as u32), y: half(bits as u32) }
}

/// The finalizer of SplitMix64: every bit depends on every bit.
#[inline]
pub(crate) fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(values: impl Iterator<Item = f64>) -> f64 {
        let (count, sum) = values.fold((0, 0.0), |(count, sum), value| (count + 1, sum + value));
        sum / f64::from(count)
    }

    #[test]
    fn normal_numbers_have_mean_zero_and_variance_one() {
        let mut draw = Draw::new(1);
        let all: Vec<Coord> = (0..50_000).map(|_| draw.normal()).collect();
        assert!(mean(all.iter().map(|at| at.x)).abs() < 0.02);
        assert!((mean(all.iter().map(|at| at.y * at.y)) - 1.0).abs() < 0.03);
        assert!(mean(all.iter().map(|at| at.x * at.y)).abs() < 0.02);
    }

    #[test]
    fn noise_is_even_and_differs_by_step_and_object() {
        let mut noise = Noise::new(1);
        let (first, second) = (noise.advance(), noise.advance());
        assert_ne!(first.bits(0), second.bits(0));
        assert_ne!(first.bits(0), first.bits(1));
        let values = (0..50_000).map(|index| first.signed(index));
        assert!(values.clone().all(|at| at.x.abs() <= 1.0 && at.y.abs() <= 1.0));
        assert!(mean(values.clone().map(|at| at.x)).abs() < 0.02);
        assert!((mean(values.map(|at| at.y * at.y)) - 1.0 / 3.0).abs() < 0.02);
    }

    #[test]
    fn draws_below_reach_every_number() {
        let mut draw = Draw::new(3);
        let mut seen = [0; 5];
        (0..1_000).for_each(|_| seen[draw.below(5)] += 1);
        assert!(seen.iter().all(|&count| count > 100), "{seen:?}");
    }
}
