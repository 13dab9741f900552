//! Number plates: two letters and five digits, all different, and what a camera makes of them.

use dunlin_index::{ObjectNames, Slot};

use crate::generate::noise::Draw;

/// Letters without those that look like digits.
const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ";
const DIGITS: &[u8] = b"0123456789";
/// What may stand at each place.
const PLACES: [&[u8]; 7] = [LETTERS, LETTERS, DIGITS, DIGITS, DIGITS, DIGITS, DIGITS];

/// How many plates there are.
pub(super) const COUNT_MAX: u32 = 24 * 24 * 100_000;
/// A prime that scatters the numbers of plates, so that neighbours in number do not look alike.
const STRIDE: u64 = 15_485_863;

/// The first `count` plates, each in the slot of its number.
pub(super) fn all(count: u32) -> ObjectNames {
    let mut names = ObjectNames::default();
    for number in 0..count {
        names.intern(text(&plate(number)));
    }
    names
}

fn plate(number: u32) -> [u8; 7] {
    let mut rest = u64::from(number) * STRIDE % u64::from(COUNT_MAX);
    let mut plate = [0; 7];
    for (letter, choice) in plate.iter_mut().zip(PLACES).rev() {
        *letter = choice[(rest % choice.len() as u64) as usize];
        rest /= choice.len() as u64;
    }
    plate
}

fn text(plate: &[u8]) -> &str {
    std::str::from_utf8(plate).expect("plates are ASCII")
}

/// The slot of a plate with one wrong character, a letter for a letter and a digit for a digit. It
/// may be the plate of another vehicle.
pub(super) fn misread(names: &mut ObjectNames, plate: Slot, draw: &mut Draw) -> Slot {
    let mut seen = names.name(plate).as_bytes().to_vec();
    let place = draw.below(seen.len());
    let choice = PLACES[place];
    let right = choice.iter().position(|&letter| letter == seen[place]);
    let right = right.expect("every plate has the same layout");
    // Any but the right one.
    seen[place] = choice[(right + 1 + draw.below(choice.len() - 1)) % choice.len()];
    names.intern(text(&seen))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plates_differ_and_have_one_layout() {
        let names = all(200_000);
        assert_eq!(names.len(), 200_000);
        assert_eq!([names.name(Slot(0)), names.name(Slot(1))], ["AA00000", "GL85863"]);
        for slot in (0..200_000).map(Slot) {
            let plate = names.name(slot).as_bytes();
            assert!(plate.iter().zip(PLACES).all(|(letter, choice)| choice.contains(letter)));
        }
        // The last ones do not come round to the first.
        assert_ne!(plate(COUNT_MAX - 1), plate(0));
    }

    #[test]
    fn a_misread_plate_has_one_wrong_character() {
        let (mut names, mut draw) = (all(100), Draw::new(1));
        let mut places = [0; 7];
        for number in 0..700 {
            let right = Slot(number % 100);
            let wrong = misread(&mut names, right, &mut draw);
            let pairs = names.name(right).bytes().zip(names.name(wrong).bytes());
            let wrong: Vec<usize> =
                pairs.enumerate().filter(|(_, (a, b))| a != b).map(|(place, _)| place).collect();
            assert_eq!(wrong.len(), 1);
            places[wrong[0]] += 1;
        }
        assert!(places.iter().all(|&count| count > 50), "{places:?}");
    }
}
