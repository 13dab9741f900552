//! Passages as CSV, convoys as JSON lines.

use std::io::{self, Write};

use dunlin_index::Slot;
use dunlin_stream::Timestamp;

use super::{CameraTraffic, Convoy};

const BUFFER_BYTES: usize = 64 * 1024;

impl CameraTraffic {
    /// Writes `stream,object,time`, ordered by time, with an empty object where no plate was read.
    /// `progress` is told the rows so far now and then.
    ///
    /// # Errors
    /// What `writer` says.
    pub fn write_csv(
        &self,
        writer: &mut dyn Write,
        progress: &mut dyn FnMut(u64),
    ) -> io::Result<()> {
        writer.write_all(b"stream,object,time\n")?;
        let (mut buffer, mut clock) = (Vec::with_capacity(2 * BUFFER_BYTES), Clock::default());
        for (rows, passage) in (1..).zip(&self.passages) {
            buffer.extend_from_slice(self.cameras.name(Slot(passage.camera)).as_bytes());
            buffer.push(b',');
            let plate = passage.plate().map_or("", |plate| self.plates.name(plate));
            buffer.extend_from_slice(plate.as_bytes());
            buffer.push(b',');
            clock.write(passage.time, &mut buffer);
            buffer.push(b'\n');
            if buffer.len() >= BUFFER_BYTES {
                writer.write_all(&buffer)?;
                buffer.clear();
                progress(rows);
            }
        }
        writer.write_all(&buffer)?;
        writer.flush()
    }

    /// Writes one convoy a line:
    /// `{"objects":["AB123","CD456"],"passages":[{"stream":"c12","from":"…","to":"…"}]}`.
    ///
    /// # Errors
    /// What `writer` says.
    pub fn write_convoys(&self, writer: &mut dyn Write) -> io::Result<()> {
        for convoy in &self.convoys {
            writer.write_all(self.line(convoy).as_bytes())?;
        }
        writer.flush()
    }

    fn line(&self, convoy: &Convoy) -> String {
        // Names of plates and cameras need no escapes.
        let objects: Vec<String> =
            convoy.objects.iter().map(|&slot| format!("\"{}\"", self.plates.name(slot))).collect();
        let passage = |at: &super::ConvoyPassage| {
            let stream = self.cameras.name(at.stream);
            format!("{{\"stream\":\"{stream}\",\"from\":\"{}\",\"to\":\"{}\"}}", at.from, at.to)
        };
        let passages: Vec<String> = convoy.passages.iter().map(passage).collect();
        let (objects, passages) = (objects.join(","), passages.join(","));
        format!("{{\"objects\":[{objects}],\"passages\":[{passages}]}}\n")
    }
}

/// Writes times that mostly lie in the same second as the one before.
#[derive(Default)]
struct Clock {
    second: Option<i64>,
    /// The second as text, up to the point.
    text: String,
}

impl Clock {
    fn write(&mut self, time: Timestamp, out: &mut Vec<u8>) {
        let (second, ms) = (time.as_millis().div_euclid(1000), time.as_millis().rem_euclid(1000));
        if self.second != Some(second) {
            self.second = Some(second);
            self.text = Timestamp::from_millis_unchecked(second * 1000).to_string();
            self.text.truncate("2008-02-02T12:00:00.".len());
        }
        out.extend_from_slice(self.text.as_bytes());
        out.extend([ms / 100, ms / 10 % 10, ms % 10].map(|digit| b'0' + digit as u8));
        out.push(b'Z');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_writes_as_times_print() {
        let mut clock = Clock::default();
        for ms in [-1, 0, 7, 999, 1_000, 1_709_251_200_042, 1_709_251_200_999, -86_400_500] {
            let (time, mut out) = (Timestamp::from_millis_unchecked(ms), Vec::new());
            clock.write(time, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), time.to_string());
        }
    }
}
