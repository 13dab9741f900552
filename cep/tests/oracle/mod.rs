//! The definition of frequent co-occurrence, word for word: every subset, every choice of events.

use dunlin_cep::{Occurrence, Report, ReportKind, Rule};
use dunlin_index::{Event, Slot};
use dunlin_stream::Timestamp;

pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis_unchecked(millis)
}

/// What is frequent when, among the sets of objects 0 to 5.
pub(crate) struct Truth {
    /// The sets, and all occurrences of each.
    sets: Vec<(Vec<Slot>, Vec<Occurrence>)>,
    /// The times of events.
    times: Vec<Timestamp>,
}

impl Truth {
    pub(crate) fn of(events: &[Event], rule: &Rule) -> Self {
        let mut times: Vec<Timestamp> = events.iter().map(|event| event.time).collect();
        times.sort();
        times.dedup();
        let sets = (0..64u32)
            .map(|bits| (0..6).filter(|object| bits >> object & 1 == 1).map(Slot).collect())
            .filter(|set: &Vec<Slot>| set.len() >= 2)
            .map(|set| (set.clone(), occurrences(events, rule, &set)))
            .collect();
        Self { sets, times }
    }

    /// Every report that a rule calls for, by time and objects.
    pub(crate) fn reports(&self, rule: &Rule) -> Vec<Report> {
        let mut reports = Vec::new();
        for &time in &self.times {
            let frequent: Vec<(&Vec<Slot>, Vec<Occurrence>)> = self
                .sets
                .iter()
                .map(|(set, all)| (set, last_inside(all, rule, time)))
                .filter(|(_, here)| here.len() >= rule.theta as usize)
                .collect();
            for (set, here) in &frequent {
                let is_larger = |other: &[Slot]| {
                    other.len() > set.len() && set.iter().all(|object| other.contains(object))
                };
                let mut supersets = frequent.iter().filter(|(other, _)| is_larger(other));
                let stands_out = match rule.report {
                    ReportKind::All => true,
                    ReportKind::Closed => supersets.all(|(_, there)| there.len() < here.len()),
                    ReportKind::Maximal => supersets.next().is_none(),
                };
                let fits = (rule.size_min..=rule.size_max.unwrap_or(6)).contains(&set.len());
                if stands_out && fits && !self.was_frequent(rule, set, time) {
                    let (objects, occurrences) = (set.to_vec(), here.clone());
                    reports.push(Report { time, objects, occurrences });
                }
            }
        }
        reports.sort_by(|a, b| (a.time, &a.objects).cmp(&(b.time, &b.objects)));
        reports
    }

    /// Whether a set was frequent a millisecond before `time`.
    fn was_frequent(&self, rule: &Rule, set: &[Slot], time: Timestamp) -> bool {
        let before = at(time.as_millis() - 1);
        let (_, all) = self.sets.iter().find(|(other, _)| other == set).expect("a set");
        last_inside(all, rule, before).len() >= rule.theta as usize
    }
}

/// Every occurrence of `set`, by any choice of events.
fn occurrences(events: &[Event], rule: &Rule, set: &[Slot]) -> Vec<Occurrence> {
    let in_stream = |stream| {
        let spans = choices(events, stream, set)
            .into_iter()
            .filter_map(|times| Some((*times.iter().min()?, *times.iter().max()?)));
        let spans = spans.filter(|(from, to)| to.as_millis() - from.as_millis() <= rule.xi_ms);
        spans.map(move |(from, to)| Occurrence { stream, from, to }).collect::<Vec<_>>()
    };
    (0..8).map(Slot).flat_map(in_stream).collect()
}

/// For each stream with one, the occurrence inside [time − τ, time] that ends last, of those the
/// one that starts last.
fn last_inside(all: &[Occurrence], rule: &Rule, time: Timestamp) -> Vec<Occurrence> {
    let start = time.as_millis() - rule.tau_ms;
    all.chunk_by(|a, b| a.stream == b.stream)
        .filter_map(|stream| {
            let inside = stream.iter().filter(|o| o.from.as_millis() >= start && o.to <= time);
            inside.max_by_key(|occurrence| (occurrence.to, occurrence.from)).copied()
        })
        .collect()
}

/// Every way to choose one event in `stream` for each object of `set`, as their times.
fn choices(events: &[Event], stream: Slot, set: &[Slot]) -> Vec<Vec<Timestamp>> {
    set.iter().fold(vec![Vec::new()], |chosen, &object| {
        let times = events.iter().filter(|e| e.stream == stream && e.object == object);
        let times: Vec<Timestamp> = times.map(|event| event.time).collect();
        let longer = |so_far: Vec<Timestamp>| {
            times.iter().map(move |&time| [so_far.as_slice(), &[time]].concat()).collect::<Vec<_>>()
        };
        chosen.into_iter().flat_map(longer).collect()
    })
}

/// What is wrong with a report, by the definition and the events alone.
pub(crate) fn flaw(events: &[Event], rule: &Rule, report: &Report) -> Option<String> {
    if report.objects.len() < 2 || !report.objects.is_sorted_by(|a, b| a < b) {
        return Some("the objects are not a sorted set of at least two".into());
    }
    if report.occurrences.len() < rule.theta as usize {
        return Some("there are fewer streams than theta".into());
    }
    if !report.occurrences.is_sorted_by(|a, b| a.stream < b.stream) {
        return Some("the streams are not different and sorted".into());
    }
    report.occurrences.iter().find_map(|Occurrence { stream, from, to }| {
        let (from, to, end) = (from.as_millis(), to.as_millis(), report.time.as_millis());
        let used = |object: &Slot| -> Vec<i64> {
            let mine = events.iter().filter(|e| e.stream == *stream && e.object == *object);
            mine.map(|e| e.time.as_millis()).filter(|time| (from..=to).contains(time)).collect()
        };
        let used: Vec<Vec<i64>> = report.objects.iter().map(used).collect();
        let all = used.concat();
        let is_right = end - rule.tau_ms <= from
            && from <= to
            && to <= end
            && to - from <= rule.xi_ms
            && used.iter().all(|times| !times.is_empty())
            && all.contains(&from)
            && all.contains(&to);
        (!is_right).then(|| format!("no occurrence in {stream:?} from {from} to {to}"))
    })
}
