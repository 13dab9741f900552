//! Answers, deltas and reports as JSON, the same for all who ask.
//!
//! ```text
//! {"query":"q1","time":"…Z","objects":[{"id":"a","distance":63.2,"at":[1.5,2.5]}, …]}
//! {"query":"q1","time":"…Z","changes":[{"leave":"a"},{"enter":{"rank":0,"id":"b","distance":1.5,"at":[x,y]}},
//!                                      {"reorder":{"rank":2,"id":"c","distance":7.0,"at":[x,y]}}]}
//! {"query":"c1","time":"…Z","reports":[{"time":"…","objects":["A","B"],"support":3,"occurrences":[…]}, …]}
//! ```
//!
//! Changes lead from one list to the next as those of [`dunlin_query::delta`] do: those that leave,
//! then by rank those that enter or change their order. Floats are the shortest that read back.

use std::fmt::Write;

use dunlin_cep::topology::NamedReport;
use dunlin_index::{Coord, Slot};
use dunlin_query::Member;
use dunlin_query::delta::{Change, Delta};
use dunlin_query::topology::QueryAnswer;
use dunlin_stream::Timestamp;

/// A row of an answer: object, distance if the query asks for one, position.
type Row<'a> = (&'a str, Option<f64>, Coord);

/// Appends a JSON string.
pub(crate) fn push_string(out: &mut String, text: &str) {
    // A name mostly needs no escape.
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&serde_json::to_string(text).expect("text is JSON"));
    }
}

/// Appends a finite number.
pub(crate) fn push_number(out: &mut String, number: f64) {
    out.push_str(zmij::Buffer::new().format_finite(number));
}

fn push_time(out: &mut String, time: Timestamp) {
    write!(out, "\"{time}\"").expect("a string takes all");
}

/// Appends `"query":"…","time":"…"` behind the brace, without the query if there is none.
fn push_head(out: &mut String, query: &str, time: Timestamp) {
    out.push('{');
    if !query.is_empty() {
        out.push_str("\"query\":");
        push_string(out, query);
        out.push(',');
    }
    out.push_str("\"time\":");
    push_time(out, time);
}

fn push_place(out: &mut String, (id, distance, at): Row<'_>) {
    out.push_str("\"id\":");
    push_string(out, id);
    if let Some(distance) = distance {
        out.push_str(",\"distance\":");
        push_number(out, distance);
    }
    out.push_str(",\"at\":[");
    push_number(out, at.x);
    out.push(',');
    push_number(out, at.y);
    out.push(']');
}

/// Appends `items`, each written by `write`, with commas between them.
pub(crate) fn push_list<T>(
    out: &mut String,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut String, T),
) {
    out.push('[');
    for (number, item) in items.into_iter().enumerate() {
        if number > 0 {
            out.push(',');
        }
        write(out, item);
    }
    out.push(']');
}

/// Appends an answer object; one without an id is that of a question asked once.
pub(crate) fn push_answer(out: &mut String, time: Timestamp, answer: &QueryAnswer) {
    push_head(out, &answer.id, time);
    out.push_str(",\"objects\":");
    push_list(out, answer.objects(), |out, row| {
        out.push('{');
        push_place(out, row);
        out.push('}');
    });
    out.push('}');
}

/// An answer object.
pub(crate) fn answer(time: Timestamp, answer: &QueryAnswer) -> String {
    let mut out = String::with_capacity(64 + 80 * answer.objects().len());
    push_answer(&mut out, time, answer);
    out
}

/// The delta from one answer of a query to the next: who left, entered or changed its order, and the
/// new distance and position of who did not and moved.
pub(crate) fn delta(time: Timestamp, previous: &QueryAnswer, next: &QueryAnswer) -> String {
    let rows: Vec<Row<'_>> = next.objects().collect();
    let before: Vec<Row<'_>> = previous.objects().collect();
    let mut out = String::new();
    push_head(&mut out, &next.id, time);
    out.push_str(",\"changes\":");
    push_list(&mut out, changes(&before, &rows).changes(), |out, change| {
        let (kind, rank) = match change {
            Change::Leave(slot) => {
                out.push_str("{\"leave\":");
                push_string(out, before[slot.index()].0);
                return out.push('}');
            }
            Change::Move(member) => {
                out.push_str("{\"move\":{");
                // What no key was compared for has its place in the new answer for one.
                push_place(out, rows[member.key as usize]);
                return out.push_str("}}");
            }
            Change::Enter(rank, _) => ("enter", *rank),
            Change::Reorder(rank, _) => ("reorder", *rank),
        };
        write!(out, "{{\"{kind}\":{{\"rank\":{rank},").expect("a string takes all");
        push_place(out, rows[rank]);
        out.push_str("}}");
    });
    out.push('}');
    out
}

/// What changed between two lists. An object's slot is its place in the first list, or behind it. Its
/// key is its place in the second; in the first list an object has that key only if its row is the
/// same there, so keys differ for those that moved.
fn changes(before: &[Row<'_>], after: &[Row<'_>]) -> Delta {
    let mut places: Vec<u32> = (0..before.len() as u32).collect();
    places.sort_unstable_by_key(|&place| before[place as usize].0);
    let mut previous: Vec<Member> =
        (0..before.len() as u32).map(|place| Member { key: -1.0, slot: Slot(place) }).collect();
    let next = after.iter().enumerate().map(|(rank, row)| {
        let key = rank as f64;
        let found = places.binary_search_by_key(&row.0, |&place| before[place as usize].0);
        let Ok(found) = found else {
            return Member { key, slot: Slot((before.len() + rank) as u32) };
        };
        let place = places[found];
        if before[place as usize] == *row {
            previous[place as usize].key = key;
        }
        Member { key, slot: Slot(place) }
    });
    let next: Vec<Member> = next.collect();
    Delta::between(&previous, &next, |_| false)
}

fn push_report(out: &mut String, report: &NamedReport) {
    out.push_str("{\"time\":");
    push_time(out, report.time);
    out.push_str(",\"objects\":");
    push_list(out, &report.objects, |out, object| push_string(out, object));
    write!(out, ",\"support\":{},\"occurrences\":", report.support()).expect("a string takes all");
    push_list(out, &report.occurrences, |out, occurrence| {
        out.push_str("{\"stream\":");
        push_string(out, &occurrence.stream);
        out.push_str(",\"from\":");
        push_time(out, occurrence.from);
        out.push_str(",\"to\":");
        push_time(out, occurrence.to);
        out.push('}');
    });
    out.push('}');
}

/// Appends reports as a list.
pub(crate) fn push_reports<'a>(
    out: &mut String,
    reports: impl IntoIterator<Item = &'a NamedReport>,
) {
    push_list(out, reports, push_report);
}

/// The answer of a co-occurrence query: its last reports.
pub(crate) fn reports<'a>(
    query: &str,
    time: Timestamp,
    reports: impl IntoIterator<Item = &'a NamedReport>,
) -> String {
    let mut out = String::new();
    push_head(&mut out, query, time);
    out.push_str(",\"reports\":");
    push_reports(&mut out, reports);
    out.push('}');
    out
}

/// The delta of a co-occurrence query: one more report.
pub(crate) fn report_delta(query: &str, time: Timestamp, report: &NamedReport) -> String {
    let mut out = String::new();
    push_head(&mut out, query, time);
    out.push_str(",\"changes\":[{\"report\":");
    push_report(&mut out, report);
    out.push_str("}]}");
    out
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use dunlin_cep::topology::NamedOccurrence;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    /// An answer of objects at (rank, 0), each a hundred times its rank away.
    pub(crate) fn answer_of(id: &str, number: u32, names: &[&str]) -> QueryAnswer {
        let rows = (0u32..).map(f64::from).zip(names);
        let rows = rows.map(|(rank, &name)| (name, Some(rank * 100.0), (rank, 0.0).into()));
        QueryAnswer::of(number, id, rows)
    }

    /// Makes one list of objects of another by the changes of a delta, as a client does.
    fn apply_whole(objects: &mut Vec<Value>, delta: &Value) {
        let changes = delta["changes"].as_array().expect("changes are a list");
        for change in changes {
            let away = change["leave"].as_str().or(change["reorder"]["id"].as_str());
            objects.retain(|object| object["id"].as_str() != away);
        }
        for change in changes {
            if let Some(moved) = change["move"].as_object() {
                let object = objects.iter_mut().find(|object| object["id"] == moved["id"]);
                *object.expect("who moves is there") = moved.clone().into();
            }
            for kind in ["enter", "reorder"] {
                if let Some(mut object) = change[kind].as_object().cloned() {
                    let rank = object.remove("rank").and_then(|rank| rank.as_u64());
                    objects.insert(rank.expect("a rank") as usize, object.into());
                }
            }
        }
    }

    /// Makes one list of ids of another by the changes of a delta.
    pub(crate) fn apply(list: &mut Vec<String>, delta: &Value) {
        for change in delta["changes"].as_array().expect("changes are a list") {
            if let Some(id) = change["leave"].as_str() {
                list.retain(|other| other != id);
            }
            if let Some(id) = change["reorder"]["id"].as_str() {
                list.retain(|other| other != id);
            }
        }
        for change in delta["changes"].as_array().expect("changes are a list") {
            for kind in ["enter", "reorder"] {
                if let Some(id) = change[kind]["id"].as_str() {
                    let rank = change[kind]["rank"].as_u64().expect("a rank") as usize;
                    list.insert(rank, id.to_owned());
                }
            }
        }
    }

    fn time() -> Timestamp {
        Timestamp::from_millis_unchecked(1_201_959_600_000)
    }

    #[test]
    fn lines_are_as_documented() {
        let first = answer_of("q \"1\"", 0, &["a", "é\n"]);
        assert_eq!(
            answer(time(), &first),
            "{\"query\":\"q \\\"1\\\"\",\"time\":\"2008-02-02T13:40:00.000Z\",\"objects\":[\
             {\"id\":\"a\",\"distance\":0.0,\"at\":[0.0,0.0]},\
             {\"id\":\"é\\n\",\"distance\":100.0,\"at\":[1.0,0.0]}]}"
        );
        let next = answer_of("q", 0, &["b", "é\n", "c"]);
        let delta: Value = serde_json::from_str(&delta(time(), &first, &next)).unwrap();
        let entered = |rank: u32, id: &str| json!({"enter": {"rank": rank, "id": id, "distance": f64::from(rank) * 100.0, "at": [f64::from(rank), 0.0]}});
        let changes = json!([{"leave": "a"}, entered(0, "b"), entered(2, "c")]);
        let expected =
            json!({"query": "q", "time": "2008-02-02T13:40:00.000Z", "changes": changes});
        assert_eq!(delta, expected);
        let once = answer(time(), &answer_of("", 0, &[]));
        assert_eq!(once, "{\"time\":\"2008-02-02T13:40:00.000Z\",\"objects\":[]}");
    }

    #[test]
    fn reports_read_as_json() {
        let met = NamedOccurrence { stream: "c\"7".to_owned(), from: time(), to: time() };
        let objects = vec!["A".to_owned(), "B".to_owned()];
        let report = NamedReport { time: time(), objects, occurrences: vec![met] };
        let at = "2008-02-02T13:40:00.000Z";
        let as_json = json!({"time": at, "objects": ["A", "B"], "support": 1,
            "occurrences": [{"stream": "c\"7", "from": at, "to": at}]});
        let whole: Value = serde_json::from_str(&reports("c1", time(), [&report])).unwrap();
        assert_eq!(whole, json!({"query": "c1", "time": at, "reports": [as_json]}));
        let delta: Value = serde_json::from_str(&report_delta("c1", time(), &report)).unwrap();
        assert_eq!(delta, json!({"query": "c1", "time": at, "changes": [{"report": as_json}]}));
    }

    proptest! {
        #[test]
        fn a_delta_leads_to_the_next_list(
            previous in prop::sample::subsequence(vec!["a", "b", "c", "d", "e", "f"], 0..6).prop_shuffle(),
            next in prop::sample::subsequence(vec!["a", "b", "c", "d", "e", "f"], 0..6).prop_shuffle(),
        ) {
            let (previous_answer, next_answer) = (answer_of("q", 0, &previous), answer_of("q", 0, &next));
            let delta: Value =
                serde_json::from_str(&delta(time(), &previous_answer, &next_answer)).unwrap();
            let mut list: Vec<String> = previous.iter().map(|&id| id.to_owned()).collect();
            apply(&mut list, &delta);
            prop_assert_eq!(&list, &next);
            // Distances and positions, too.
            let objects = |said: &QueryAnswer| {
                let said: Value = serde_json::from_str(&answer(time(), said)).unwrap();
                said["objects"].as_array().unwrap().clone()
            };
            let mut whole = objects(&previous_answer);
            apply_whole(&mut whole, &delta);
            prop_assert_eq!(whole, objects(&next_answer));
            let moves = delta["changes"].as_array().unwrap().iter();
            for moved in moves.filter_map(|change| change["move"]["id"].as_str()) {
                let places = |list: &[&str]| list.iter().position(|&id| id == moved);
                prop_assert!(places(&previous) != places(&next), "{} did not move", moved);
            }
        }
    }
}
