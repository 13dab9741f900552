//! Numbers as files mostly write them, read without a general parser.
//!
//! ```text
//! -122.39443    37.75    116
//! ```
//!
//! Up to 15 digits are a whole number below 2⁵³, and a power of ten up to 10¹⁵ is a float, too: both
//! are exact, so that their quotient is the float nearest the decimal, as the standard library's own
//! reading has it (W. D. Clinger, PLDI 1990). Everything else, number or not, is left to that.

/// The most digits of which any are exact as a float.
const DIGITS_MAX: usize = 15;

/// The powers of ten that a number of [`DIGITS_MAX`] digits may be divided by.
const POWERS_OF_TEN: [f64; DIGITS_MAX + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// The number in the layout above; `None` for any other text.
#[inline]
pub(crate) fn parse(text: &[u8]) -> Option<f64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let (mut whole, mut digit_count, mut decimal_count) = (0u64, 0, 0);
    for (place, &byte) in digits.iter().enumerate() {
        if byte.is_ascii_digit() {
            whole = whole.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
            digit_count += 1;
        } else if byte == b'.' && digit_count == place {
            decimal_count = digits.len() - place - 1;
        } else {
            return None;
        }
    }
    if digit_count == 0 || digit_count > DIGITS_MAX {
        return None;
    }
    let number = whole as f64 / POWERS_OF_TEN[decimal_count];
    Some(if digits.len() < text.len() { -number } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Whether a text is read here, and if so, as the standard library reads it.
    fn is_read(text: &str) -> bool {
        let read = parse(text.as_bytes());
        if let Some(number) = read {
            let expected: f64 = text.parse().expect("what is read here is a number");
            assert_eq!(number.to_bits(), expected.to_bits(), "{text}");
        }
        read.is_some()
    }

    #[test]
    fn the_usual_numbers_are_read_here_and_no_others() {
        let usual = ["0", "-0", "-0.0", "5.", ".5", "37.75198", "-122.39443", "0.00000000000001"];
        assert!(usual.into_iter().all(is_read));
        assert!(is_read("999999999999999") && is_read("-9.99999999999999"));
        let others =
            ["", "-", ".", "-.", "1e5", "+1", "--1", "1.2.3", "nan", "inf", " 1", "1 ", "١"];
        assert!(!others.into_iter().any(is_read));
        assert!(!is_read("9007199254740993") && !is_read("0.000000000000001"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn decimals_are_the_standard_librarys(text in "-?[0-9]{0,12}\\.?[0-9]{0,12}") {
            is_read(&text);
        }

        #[test]
        fn coordinates_are_read_here(text in "-?[0-9]{1,3}\\.[0-9]{1,12}") {
            prop_assert!(is_read(&text));
        }

        #[test]
        fn near_misses_are_refused_or_the_standard_librarys(text in "[-+.e0-9 ]{0,8}") {
            is_read(&text);
        }
    }
}
