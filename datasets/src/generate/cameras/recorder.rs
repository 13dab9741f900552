//! What the cameras make of vehicles that pass: times by their clocks, plates as they read them.

use dunlin_index::{ObjectNames, Slot};
use dunlin_stream::Timestamp;

use super::{CameraOptions, plates};
use crate::generate::noise::Draw;

/// One row. Rows order by time, then camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Passage {
    /// By the camera's clock.
    pub(super) time: Timestamp,
    pub(super) camera: u32,
    plate: u32,
}

const UNREAD: u32 = u32::MAX;

impl Passage {
    /// The plate as it was read, if it was.
    pub(super) fn plate(self) -> Option<Slot> {
        (self.plate != UNREAD).then_some(Slot(self.plate))
    }
}

/// Takes passages down.
pub(super) struct Recorder {
    pub(super) passages: Vec<Passage>,
    /// All plates, then misread ones.
    pub(super) plates: ObjectNames,
    /// How far each camera's clock is ahead, in milliseconds.
    skews: Vec<i64>,
    read_errors: f64,
    /// When recording begins and ends, in true milliseconds.
    start_ms: i64,
    end_ms: i64,
    draw: Draw,
}

impl Recorder {
    pub(super) fn new(options: &CameraOptions, plates: ObjectNames, mut draw: Draw) -> Self {
        let skew = i64::from(options.clock_skew_ms);
        let skews =
            (0..options.cameras).map(|_| draw.below(2 * skew as usize + 1) as i64 - skew).collect();
        let start_ms = options.start.as_millis();
        Self {
            passages: Vec::new(),
            plates,
            skews,
            read_errors: options.read_errors,
            start_ms,
            end_ms: start_ms + options.duration_ms,
            draw,
        }
    }

    /// Takes a passage down, and returns the camera's time if the plate was read right. Nothing is
    /// recorded before the start and after the end.
    pub(super) fn record(&mut self, camera: u32, true_ms: i64, plate: Slot) -> Option<Timestamp> {
        if !(self.start_ms..self.end_ms).contains(&true_ms) {
            return None;
        }
        let time = Timestamp::from_millis_unchecked(true_ms + self.skews[camera as usize]);
        let luck = self.draw.share();
        let read = if luck >= self.read_errors {
            plate.0
        } else if luck < self.read_errors / 2.0 {
            UNREAD
        } else {
            plates::misread(&mut self.plates, plate, &mut self.draw).0
        };
        self.passages.push(Passage { time, camera, plate: read });
        (read == plate.0).then_some(time)
    }
}
