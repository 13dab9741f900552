//! From numbers to lines of JSON.
//!
//! ```text
//! {"query":"q1","time":"2008-02-02T13:40:00.000Z","objects":[{"id":"4541","distance":63.2,"at":[1.5,2.5]}, …]}
//! └── of query ────────┘└── of epoch ───────────┘            └── of object ┘└ number ──┘└─ of place ──────┘
//! ```
//!
//! What is the same in many lines is made once: the beginning of each query's line and of each
//! object, the time of an epoch, the place of an object. Only the distance is made for each member.
//! Floats are the shortest that read back to the same bits.

use std::marker::PhantomData;
use std::ops::Range;

use dunlin::index::{ObjectNames, Slot, Space};
use dunlin::stream::Timestamp;
use rayon::prelude::*;

use super::batch::{Batch, Line, Place};

/// The names that occur in answers, as JSON.
#[derive(Debug)]
pub(crate) struct Names {
    /// `{"query":"…","time":"`
    queries: TextTable,
    /// `,{"id":"…"`
    objects: TextTable,
    has_distances: Vec<bool>,
}

impl Names {
    /// The names of objects, without any query.
    pub(crate) fn of_objects(objects: &ObjectNames) -> Self {
        let mut table = TextTable::default();
        for slot in (0..).map(Slot).take(objects.len()) {
            table.add(",{\"id\":", objects.name(slot), "");
        }
        Self { queries: TextTable::default(), objects: table, has_distances: Vec::new() }
    }

    /// Adds the next query.
    pub(crate) fn add_query(&mut self, id: &str, has_distances: bool) {
        self.queries.add("{\"query\":", id, ",\"time\":\"");
        self.has_distances.push(has_distances);
    }
}

/// Texts up to this length are copied fastest.
const SHORT: usize = 32;

/// Texts by number, one after the other in memory.
#[derive(Debug, Default)]
struct TextTable {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl TextTable {
    /// Adds a text: `name` as a JSON string between `before` and `after`.
    fn add(&mut self, before: &str, name: &str, after: &str) {
        self.bytes.extend_from_slice(before.as_bytes());
        serde_json::to_writer(&mut self.bytes, name).expect("memory takes all");
        self.bytes.extend_from_slice(after.as_bytes());
        self.ends.push(self.bytes.len());
    }

    #[inline]
    fn range(&self, number: usize) -> Range<usize> {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        start..self.ends[number]
    }

    /// Appends a text; most are short, and a copy of fixed length is cheaper for those.
    #[inline]
    fn append(&self, number: usize, out: &mut Vec<u8>) {
        let range = self.range(number);
        match self.bytes[range.start..].first_chunk::<SHORT>() {
            Some(chunk) if range.len() <= SHORT => {
                let end = out.len() + range.len();
                out.extend_from_slice(chunk);
                out.truncate(end);
            }
            _ => out.extend_from_slice(&self.bytes[range]),
        }
    }
}

/// A short text in place: room for `,"at":[x,y]}` with the longest numbers there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShortText {
    bytes: [u8; Self::BYTES_MAX],
    len: u8,
}

impl ShortText {
    const BYTES_MAX: usize = 63;

    fn push(&mut self, text: &[u8]) {
        let start = usize::from(self.len);
        self.bytes[start..start + text.len()].copy_from_slice(text);
        self.len += text.len() as u8;
    }

    /// Appends it by a copy of fixed length and cuts off what is too much: cheaper than a copy of
    /// just the right length.
    #[inline]
    fn append(&self, out: &mut Vec<u8>) {
        let end = out.len() + usize::from(self.len);
        out.extend_from_slice(&self.bytes);
        out.truncate(end);
    }
}

/// Turns batches into text.
#[derive(Debug)]
pub(super) struct Texts<S: Space> {
    names: Names,
    space: PhantomData<S>,
}

/// Places per piece of parallel work.
const PIECE: usize = 1024;

impl<S: Space> Texts<S> {
    pub(super) fn new(names: Names) -> Self {
        Self { names, space: PhantomData }
    }

    /// The texts of a batch's places.
    pub(super) fn places(&self, batch: &Batch) -> Vec<ShortText> {
        batch.places().par_iter().with_min_len(PIECE).map(place_text).collect()
    }

    /// Appends some lines of several batches, the texts of whose places are given.
    pub(super) fn write(
        &self,
        batches: &[Batch],
        places: &[Vec<ShortText>],
        lines: &[Line],
        out: &mut Vec<u8>,
    ) {
        let mut time = TimeText::default();
        for line in lines {
            let (batch, row) = (line.batch as usize, line.row as usize);
            let (batch, places) = (&batches[batch], &places[batch]);
            let answer = batch.answers()[row];
            let query = answer.query as usize;
            self.names.queries.append(query, out);
            out.extend_from_slice(time.of(answer.time));
            let start = out.len();
            for member in batch.members(row) {
                let place = member.place as usize;
                self.names.objects.append(batch.places()[place].slot.index(), out);
                if self.names.has_distances[query] {
                    out.extend_from_slice(b",\"distance\":");
                    let distance = S::distance(member.key);
                    out.extend_from_slice(zmij::Buffer::new().format_finite(distance).as_bytes());
                }
                places[place].append(out);
            }
            match out.get_mut(start) {
                Some(comma) => *comma = b'[',
                None => out.push(b'['),
            }
            out.extend_from_slice(b"]}\n");
        }
    }
}

fn place_text(place: &Place) -> ShortText {
    let mut text = ShortText { bytes: [0; ShortText::BYTES_MAX], len: 0 };
    text.push(b",\"at\":[");
    text.push(zmij::Buffer::new().format_finite(place.at.x).as_bytes());
    text.push(b",");
    text.push(zmij::Buffer::new().format_finite(place.at.y).as_bytes());
    text.push(b"]}");
    text
}

/// The last time that was printed, with what follows it.
#[derive(Debug, Default)]
struct TimeText {
    time: Option<Timestamp>,
    text: String,
}

impl TimeText {
    fn of(&mut self, time: Timestamp) -> &[u8] {
        if self.time != Some(time) {
            self.time = Some(time);
            self.text = format!("{time}\",\"objects\":");
        }
        self.text.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dunlin::index::{Coord, Plane, StripIndex};
    use dunlin::query::Member;

    fn lines(objects: &[(&str, f64, f64)], has_distances: bool, keys: &[f64]) -> String {
        let (mut names, mut index) = (ObjectNames::default(), StripIndex::default());
        for &(name, x, y) in objects {
            index.apply(&[names.intern(name)], &[Coord { x, y }]);
        }
        let members: Vec<Member> =
            (0..).map(Slot).zip(keys).map(|(slot, &key)| Member { key, slot }).collect();
        let mut json = Names::of_objects(&names);
        json.add_query("q \"1\"", has_distances);
        let (mut batch, mut out) = (Batch::default(), Vec::new());
        batch.add(0, Timestamp::from_millis_unchecked(1_201_959_600_000), &members, &index);
        let texts = Texts::<Plane>::new(json);
        let places = texts.places(&batch);
        texts.write(&[batch], &[places], &[Line { batch: 0, row: 0 }], &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_are_as_documented() {
        let objects = [("t 7", 12.0, -0.1), ("é\"\\\n\u{1}", 1e-300, 1e22)];
        let head = r#"{"query":"q \"1\"","time":"2008-02-02T13:40:00.000Z","objects":"#;
        assert_eq!(
            lines(&objects, true, &[4.0, 2.0]),
            [
                head,
                r#"[{"id":"t 7","distance":2.0,"at":[12.0,-0.1]},"#,
                r#"{"id":"é\"\\\n\u0001","distance":1.4142135623730951,"at":[1e-300,1e+22]}]}"#,
                "\n"
            ]
            .concat()
        );
        let inside = format!("{head}[{{\"id\":\"t 7\",\"at\":[12.0,-0.1]}}]}}\n");
        assert_eq!(lines(&objects, false, &[0.0]), inside);
        assert_eq!(lines(&objects, true, &[]), format!("{head}[]}}\n"));
    }

    #[test]
    fn the_longest_numbers_have_room() {
        let longest = -2.225_073_858_507_201_4e-308;
        let line = lines(&[("a", longest, longest)], true, &[0.0]);
        assert!(line.contains("[-2.2250738585072014e-308,-2.2250738585072014e-308]"), "{line}");
    }

    #[test]
    fn every_line_is_json_with_the_same_floats() {
        let (x, y) = (350.0 / 3.0, 0.1 + 0.2);
        let line = lines(&[("a", x, y)], true, &[2.0]);
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(json["objects"][0]["at"], serde_json::json!([x, y]));
        assert_eq!(json["objects"][0]["distance"], serde_json::json!(2.0_f64.sqrt()));
    }
}
