//! What counts as a co-occurrence, and which of them are told.

/// How far times and spans may reach, in milliseconds: a hundred years.
const SPAN_MS_MAX: i64 = 100 * 366 * 86_400_000;
/// How many sets are looked at for one event, if nothing else is said.
const SETS_MAX: u64 = 1_000_000;

/// The co-occurrences that are asked for (Yu et al., EDBT 2015: ξ, τ, θ).
///
/// A set of objects *occurs* in a stream when each of them has an event there and these events lie
/// within `xi_ms`. Its support at time T is the number of different streams with an occurrence
/// inside `[T − tau_ms, T]`; it is frequent when that is at least `theta`. All bounds are closed.
///
/// ```
/// use dunlin_cep::{ReportKind, Rule};
///
/// let rule = Rule { size_max: Some(5), ..Rule::new(60_000, 1_800_000, 3) };
/// assert!(rule.check().is_ok());
/// assert_eq!(rule.report, ReportKind::Closed);
/// assert!(Rule::new(60_000, 1_800_000, 0).check().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// ξ: the greatest span inside one stream, in milliseconds.
    pub xi_ms: i64,
    /// τ: the span across streams, in milliseconds.
    pub tau_ms: i64,
    /// θ: how many different streams.
    pub theta: u32,
    /// How many objects a told set has at least; 2 or more.
    pub size_min: usize,
    /// How many objects a told set has at most.
    pub size_max: Option<usize>,
    /// Which frequent sets are told.
    pub report: ReportKind,
    /// How many sets are looked at for one event, at most, and fewer where the sets are large;
    /// where that is not enough the event counts as cut.
    pub sets_max: u64,
}

/// Which of the sets that become frequent are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReportKind {
    /// Every one.
    All,
    /// Those of which no proper superset has the same support then.
    #[default]
    Closed,
    /// Those of which no proper superset is frequent then.
    Maximal,
}

/// Why a rule makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// A span is negative or absurd.
    #[error("{name} must be between 0 and 100 years, not {ms} ms")]
    Span {
        /// xi, tau or lateness.
        name: &'static str,
        /// What was given.
        ms: i64,
    },
    /// Every set would be frequent everywhere.
    #[error("theta must be at least 1")]
    Theta,
    /// A single object does not co-occur.
    #[error("a set has at least 2 objects, so the least size cannot be {size}")]
    SizeMin {
        /// What was given.
        size: usize,
    },
    /// No size fits.
    #[error("the greatest size {max} is below the least size {min}")]
    Sizes {
        /// The least size.
        min: usize,
        /// The greatest size.
        max: usize,
    },
}

impl RuleError {
    pub(crate) fn check_span(name: &'static str, ms: i64) -> Result<(), Self> {
        if (0..=SPAN_MS_MAX).contains(&ms) { Ok(()) } else { Err(Self::Span { name, ms }) }
    }
}

impl Rule {
    /// A rule for sets of any size, told when closed.
    #[must_use]
    pub fn new(xi_ms: i64, tau_ms: i64, theta: u32) -> Self {
        let report = ReportKind::default();
        Self { xi_ms, tau_ms, theta, size_min: 2, size_max: None, report, sets_max: SETS_MAX }
    }

    /// Whether the rule makes sense.
    ///
    /// # Errors
    /// A span that is negative or beyond a hundred years, θ = 0, sizes that no set has.
    pub fn check(&self) -> Result<(), RuleError> {
        RuleError::check_span("xi", self.xi_ms)?;
        RuleError::check_span("tau", self.tau_ms)?;
        if self.theta == 0 {
            return Err(RuleError::Theta);
        }
        if self.size_min < 2 {
            return Err(RuleError::SizeMin { size: self.size_min });
        }
        match self.size_max {
            Some(max) if max < self.size_min => Err(RuleError::Sizes { min: self.size_min, max }),
            _ => Ok(()),
        }
    }

    /// Whether sets of so many objects are told.
    pub(crate) fn takes(&self, size: usize) -> bool {
        size >= self.size_min && !self.is_beyond(size)
    }

    /// Whether sets of so many objects, and all larger ones, are not told.
    pub(crate) fn is_beyond(&self, size: usize) -> bool {
        self.size_max.is_some_and(|max| size > max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senseless_rules_are_refused() {
        let rule = Rule::new(0, 0, 1);
        assert_eq!(rule.check(), Ok(()));
        let wrong = |change: fn(&mut Rule)| {
            let mut rule = rule.clone();
            change(&mut rule);
            rule.check().expect_err("senseless").to_string()
        };
        assert!(wrong(|rule| rule.xi_ms = -1).contains("xi must be"));
        assert!(wrong(|rule| rule.tau_ms = i64::MAX).contains("tau must be"));
        assert!(wrong(|rule| rule.theta = 0).contains("theta"));
        assert!(wrong(|rule| rule.size_min = 1).contains("at least 2"));
        assert!(wrong(|rule| (rule.size_min, rule.size_max) = (4, Some(3))).contains("below"));
    }
}
