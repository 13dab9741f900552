//! What a person sees on stderr while a command works: bars, and lines.
//!
//! Bars show only where stderr is a terminal. A closed stderr is no failure: the data matters.

use std::fmt;
use std::io::{self, Write};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

/// Writes a line to stderr.
pub(crate) fn say(line: fmt::Arguments) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// What a bar counts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Count {
    Bytes,
    Records,
}

/// A bar that disappears when it is done.
pub(crate) fn bar(what: &'static str, total: u64, count: Count) -> ProgressBar {
    let figures = match count {
        Count::Bytes => "{bytes}/{total_bytes} {bytes_per_sec}",
        Count::Records => "{human_pos}/{human_len} {per_sec}",
    };
    let template = format!("{{msg:10}} {{wide_bar}} {figures} {{eta}}");
    let style = ProgressStyle::with_template(&template).expect("the template is well formed");
    ProgressBar::new(total).with_style(style).with_message(what)
}

/// Measures how long a command takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StopWatch(Instant);

impl StopWatch {
    pub(crate) fn start() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the summary tells how long it took")]
        Self(Instant::now())
    }

    pub(crate) fn seconds(self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

/// A number of things, in words.
pub(crate) fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// A rate in records per second, in words.
pub(crate) fn per_second(records: u64, seconds: f64) -> String {
    let rate = records as f64 / seconds.max(1e-9);
    if rate >= 1e6 {
        format!("{:.2} M records/s", rate / 1e6)
    } else if rate >= 1e4 {
        format!("{:.0} k records/s", rate / 1e3)
    } else {
        format!("{rate:.0} records/s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_the_unit_that_fits() {
        assert_eq!(per_second(3_000_000, 2.0), "1.50 M records/s");
        assert_eq!(per_second(30_000, 2.0), "15 k records/s");
        assert_eq!(per_second(3, 2.0), "2 records/s");
        assert!(!per_second(0, 0.0).contains("NaN"));
    }
}
