//! Reports of co-occurrence as lines of JSON.
//!
//! ```text
//! {"time":"…","objects":["A","B"],"support":3,"occurrences":[{"stream":"c1","from":"…","to":"…"}, …]}
//! ```
//!
//! Objects and streams are sorted by the bytes of their names, lines by time, then objects.

use std::cmp::Ordering;
use std::io::Write;

use dunlin::cep::{Occurrence, Report};
use dunlin::index::{ObjectNames, Slot};
use dunlin::stream::Timestamp;

use super::output::{Output, OutputError};

/// So much text is written at once.
const PIECE_BYTES: usize = 1 << 20;
const DAY_MS: i64 = 86_400_000;

/// Writes reports to an output.
#[derive(Debug)]
pub(crate) struct ReportWriter {
    streams: Texts,
    objects: Texts,
    day: DayText,
    text: Vec<u8>,
    output: Output,
    written: Written,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Written {
    /// Lines.
    pub(crate) reports: u64,
    /// Bytes of text.
    pub(crate) bytes: u64,
}

impl ReportWriter {
    pub(crate) fn new(streams: &ObjectNames, objects: &ObjectNames, output: Output) -> Self {
        Self {
            streams: Texts::of(streams),
            objects: Texts::of(objects),
            day: DayText::default(),
            text: Vec::new(),
            output,
            written: Written::default(),
        }
    }

    /// Takes reports that are ordered by time, all of their times.
    pub(crate) fn take(&mut self, reports: &[Report]) -> Result<(), OutputError> {
        for together in reports.chunk_by(|a, b| a.time == b.time) {
            let mut lines: Vec<(Vec<Slot>, &Report)> = together
                .iter()
                .map(|report| (self.objects.sorted(&report.objects), report))
                .collect();
            lines.sort_by(|(a, _), (b, _)| self.objects.compare(a, b));
            for (objects, report) in lines {
                self.line(&objects, report);
                self.written.reports += 1;
            }
            if self.text.len() >= PIECE_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn line(&mut self, objects: &[Slot], report: &Report) {
        let text = &mut self.text;
        text.extend_from_slice(b"{\"time\":");
        self.day.write(report.time, text);
        text.extend_from_slice(b",\"objects\":[");
        for (index, object) in objects.iter().enumerate() {
            text.extend_from_slice(if index == 0 { b"" } else { b"," });
            text.extend_from_slice(self.objects.quoted(*object));
        }
        text.extend_from_slice(b"],\"support\":");
        text.extend_from_slice(report.support().to_string().as_bytes());
        text.extend_from_slice(b",\"occurrences\":[");
        let mut occurrences = report.occurrences.clone();
        occurrences.sort_by_key(|occurrence| self.streams.ranks[occurrence.stream.index()]);
        for (index, Occurrence { stream, from, to }) in occurrences.into_iter().enumerate() {
            text.extend_from_slice(if index == 0 { b"{\"stream\":" } else { b",{\"stream\":" });
            text.extend_from_slice(self.streams.quoted(stream));
            text.extend_from_slice(b",\"from\":");
            self.day.write(from, text);
            text.extend_from_slice(b",\"to\":");
            self.day.write(to, text);
            text.push(b'}');
        }
        text.extend_from_slice(b"]}\n");
    }

    fn flush(&mut self) -> Result<(), OutputError> {
        self.output.write_all(&self.text).map_err(|source| self.output.failed(source))?;
        self.written.bytes += self.text.len() as u64;
        self.text.clear();
        Ok(())
    }

    /// Ends the output.
    pub(crate) fn finish(mut self) -> Result<Written, OutputError> {
        self.flush()?;
        self.output.finish()?;
        Ok(self.written)
    }
}

/// Names as JSON strings, and their order as bytes.
#[derive(Debug, Default)]
struct Texts {
    quoted: Vec<u8>,
    ends: Vec<usize>,
    /// By slot, the place of its name among all.
    ranks: Vec<u32>,
}

impl Texts {
    fn of(names: &ObjectNames) -> Self {
        let mut slots: Vec<Slot> = (0..).map(Slot).take(names.len()).collect();
        let mut texts = Self { ranks: vec![0; names.len()], ..Self::default() };
        for &slot in &slots {
            serde_json::to_writer(&mut texts.quoted, names.name(slot)).expect("memory takes all");
            texts.ends.push(texts.quoted.len());
        }
        slots.sort_unstable_by(|a, b| names.compare(*a, *b));
        (0..).zip(slots).for_each(|(rank, slot)| texts.ranks[slot.index()] = rank);
        texts
    }

    fn quoted(&self, slot: Slot) -> &[u8] {
        let start = slot.index().checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.quoted[start..self.ends[slot.index()]]
    }

    /// The slots in the order of their names.
    fn sorted(&self, slots: &[Slot]) -> Vec<Slot> {
        let mut sorted = slots.to_vec();
        sorted.sort_unstable_by_key(|slot| self.ranks[slot.index()]);
        sorted
    }

    /// How two sorted lists compare, name by name.
    fn compare(&self, a: &[Slot], b: &[Slot]) -> Ordering {
        let ranks =
            |slots: &[Slot]| slots.iter().map(|slot| self.ranks[slot.index()]).collect::<Vec<_>>();
        ranks(a).cmp(&ranks(b))
    }
}

/// Writes times as JSON strings; the date of a day is made once.
#[derive(Debug, Default)]
struct DayText {
    day: Option<i64>,
    /// `"2008-02-02T`
    date: String,
}

impl DayText {
    fn write(&mut self, time: Timestamp, text: &mut Vec<u8>) {
        let day = time.as_millis().div_euclid(DAY_MS);
        if self.day.replace(day) != Some(day) {
            let whole = format!("\"{time}");
            let end = whole.find('T').map_or(whole.len(), |index| index + 1);
            self.date = whole[..end].to_owned();
        }
        text.extend_from_slice(self.date.as_bytes());
        let ms = time.as_millis().rem_euclid(DAY_MS);
        for (number, digits, after) in [
            (ms / 3_600_000, 2, b':'),
            (ms / 60_000 % 60, 2, b':'),
            (ms / 1_000 % 60, 2, b'.'),
            (ms % 1_000, 3, b'Z'),
        ] {
            for power in (0..digits).rev() {
                text.push(b'0' + (number / 10_i64.pow(power) % 10) as u8);
            }
            text.push(after);
        }
        text.push(b'"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_they_print() {
        let mut day = DayText::default();
        for ms in [0, -1, 1_201_953_600_123, 1_201_953_600_999, -62_167_219_200_000, 86_399_999] {
            let time = Timestamp::from_millis(ms).unwrap();
            let mut text = Vec::new();
            day.write(time, &mut text);
            assert_eq!(String::from_utf8(text).unwrap(), format!("\"{time}\""));
        }
    }

    #[test]
    fn names_stand_in_the_order_of_their_bytes() {
        let mut names = ObjectNames::default();
        let slots = ["b", "é", "a\"", "B"].map(|name| names.intern(name));
        let texts = Texts::of(&names);
        let sorted = texts.sorted(&slots);
        let quoted: Vec<_> = sorted.iter().map(|slot| texts.quoted(*slot)).collect();
        assert_eq!(quoted, [&b"\"B\""[..], b"\"a\\\"\"", b"\"b\"", "\"é\"".as_bytes()]);
        let [b, e, a, _] = slots;
        assert_eq!(texts.compare(&[a], &[a, b]), Ordering::Less);
        assert_eq!(texts.compare(&[b, e], &[a, e]), Ordering::Greater);
    }
}
