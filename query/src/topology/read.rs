//! Reading the state of the topology between epochs: questions asked once, objects by name, and how
//! the space is cut.
//!
//! ```text
//! Reader ──> lanes: name ──> id, last report         shards: positions, strips, queries
//! ```
//!
//! A question goes to the shard of its point first, then to its neighbours, nearest first; what was
//! found so far bounds how far the others are looked into. The answer is that of one index over all
//! objects. Nothing is changed, so a caller decides how long an epoch may wait for it.

use std::cmp::Ordering;
use std::sync::Arc;

use dunlin_index::{Coord, Interval, ObjectNames, Slot, Space, StripIndex, Window};
use dunlin_stream::{Engine, Key, ShardTable, Timestamp};

use super::StandingTopology;
use super::output::{QueryAnswer, Rows};
use super::router::PositionRouter;
use super::shard::{StandingShard, shards_of};
use crate::dknn::Searcher;
use crate::question::{Focus, Question};

/// A look at the state of a topology; see the module documentation.
///
/// ```
/// use dunlin_index::{Plane, SpaceKind};
/// use dunlin_query::Query;
/// use dunlin_query::topology::{Reader, StandingTopology};
/// use dunlin_stream::{Engine, ShardTable};
///
/// let engine = Engine::new(StandingTopology::<Plane>::new(1), 2, ShardTable::default());
/// let reader = Reader::new(&engine);
/// let nearest = Query::from_json(r#"{"id":"","knn":{"k":3,"at":[0,0]}}"#, SpaceKind::Plane)?;
/// assert_eq!(reader.find(&nearest.question).objects().len(), 0);
/// assert_eq!(reader.object("taxi 7"), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Reader<'a, S: Space> {
    table: &'a ShardTable,
    routers: Vec<&'a PositionRouter<S>>,
    shards: &'a [StandingShard<S>],
}

/// Where an object is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Located {
    /// Its number, the same for as long as it is present.
    pub id: u32,
    /// Its position at the end of the last epoch.
    pub at: Coord,
    /// The event time of its last report.
    pub time: Timestamp,
}

/// A registered query as it was put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingText {
    /// Its number, by the order of registration.
    pub number: u32,
    /// Its id.
    pub id: String,
    /// Its JSON.
    pub text: String,
}

/// A shard and what it has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShardSummary {
    /// Its least x; `None` if it has no border there.
    pub from: Option<f64>,
    /// The first x behind it.
    pub to: Option<f64>,
    /// Objects in it.
    pub objects: usize,
    /// Queries at home in it.
    pub queries: usize,
}

/// A strip of a shard's index.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StripSummary {
    /// Its least x; `None` if it has no border there.
    pub from: Option<f64>,
    /// The first x behind it.
    pub to: Option<f64>,
    /// Objects in it.
    pub objects: usize,
    /// Its shard, by place.
    pub shard: usize,
}

/// Objects in a window, or a sample of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ViewSample {
    /// Numbers of objects, as of [`Located::id`].
    pub ids: Vec<u32>,
    /// Their positions.
    pub at: Vec<Coord>,
    /// Whether there are others in the window.
    pub is_sampled: bool,
}

/// An object that may be in an answer.
#[derive(Clone, Copy)]
struct Found {
    key: f64,
    shard: usize,
    slot: Slot,
}

impl<'a, S: Space> Reader<'a, S> {
    /// Looks at the state between two epochs.
    #[must_use]
    pub fn new(engine: &'a Engine<StandingTopology<S>>) -> Self {
        let routers = engine.routers().collect();
        Self { table: engine.table(), routers, shards: engine.shards() }
    }

    /// How many objects there are.
    #[must_use]
    pub fn object_count(&self) -> usize {
        self.shards.iter().map(StandingShard::object_count).sum()
    }

    /// An object by name.
    #[must_use]
    pub fn object(&self, name: &str) -> Option<Located> {
        let (id, time, x) = self.routers.iter().find_map(|router| router.find(name))?;
        let shard = &self.shards[self.table.shard_of(Key::of_f64(x))];
        Some(Located { id, at: shard.queries.index().position(Slot(id))?, time })
    }

    /// Answers a question once; one from an object that nobody has finds nothing. The answer has
    /// neither number nor id.
    #[must_use]
    pub fn find(&self, question: &Question) -> QueryAnswer {
        let mut found = match question {
            Question::Knn { k, focus } => self.knn(*k, focus),
            Question::Within { radius, focus } => self.within(*radius, focus),
            Question::Inside(area) => self.inside(area),
        };
        found.sort_unstable_by(|a, b| self.compare(a, b));
        self.written(&found, !matches!(question, Question::Inside(_)))
    }

    /// The answer of a registered query, distances and positions of now.
    #[must_use]
    pub fn answer(&self, id: &str) -> Option<QueryAnswer> {
        let catalog = &self.shards[0].catalog;
        let (number, _) = catalog.find(id)?;
        let question = &catalog.get(number)?.question;
        Some(QueryAnswer { query: number, id: id.into(), ..self.find(question) })
    }

    /// How many queries are registered.
    #[must_use]
    pub fn query_count(&self) -> usize {
        self.shards[0].catalog.len()
    }

    /// At most `limit` registered queries, from a number on.
    #[must_use]
    pub fn queries(&self, from: u32, limit: usize) -> Vec<StandingText> {
        let queries = self.shards[0].catalog.list(from).take(limit);
        let owned = |(number, id, text): (u32, &str, &str)| StandingText {
            number,
            id: id.to_owned(),
            text: text.to_owned(),
        };
        queries.map(owned).collect()
    }

    /// The shards, from left to right.
    #[must_use]
    pub fn shards(&self) -> Vec<ShardSummary> {
        let summary = |(number, shard): (usize, &StandingShard<S>)| {
            let [from, to] = self.borders(number);
            ShardSummary { from, to, objects: shard.object_count(), queries: shard.query_count() }
        };
        self.shards.iter().enumerate().map(summary).collect()
    }

    /// The strips of all shards, from left to right.
    #[must_use]
    pub fn strips(&self) -> Vec<StripSummary> {
        let shards = self.shards.iter().enumerate();
        shards.flat_map(|(number, shard)| self.strips_of(number, shard)).collect()
    }

    /// An x that has about half of a shard's objects on either side, if a border of its strips does.
    ///
    /// # Panics
    /// If there is no such shard.
    #[must_use]
    pub fn middle(&self, shard: usize) -> Option<f64> {
        let strips: Vec<StripSummary> = self.strips_of(shard, &self.shards[shard]).collect();
        let half = self.shards[shard].object_count() / 2;
        let mut below = 0;
        let borders = strips[..strips.len() - 1].iter().map(|strip| {
            below += strip.objects;
            (below.abs_diff(half), strip.to)
        });
        borders.min_by_key(|&(gap, _)| gap)?.1
    }

    fn strips_of(
        &self,
        number: usize,
        shard: &'a StandingShard<S>,
    ) -> impl Iterator<Item = StripSummary> {
        let [first, last] = self.borders(number);
        let index = shard.queries.index();
        (0..index.strip_count()).map(move |strip| {
            let borders = index.strip_borders(strip);
            let border = |x: f32, end| if x.is_finite() { Some(f64::from(x)) } else { end };
            StripSummary {
                from: border(borders.start, first),
                to: border(borders.end, last),
                objects: index.strip_len(strip),
                shard: number,
            }
        })
    }

    fn borders(&self, shard: usize) -> [Option<f64>; 2] {
        let range = self.table.range(shard);
        let from = (shard > 0).then(|| range.start.to_f64());
        [from, range.end.map(Key::to_f64)]
    }

    /// The objects in a window; about `max` of them where there are more, the same ones from epoch
    /// to epoch as long as about as many are there.
    #[must_use]
    pub fn view(&self, window: &Window, max: usize) -> ViewSample {
        let count: usize = self.rows_near(window).count();
        let mut sample = ViewSample { is_sampled: count > max, ..ViewSample::default() };
        let share = if count > max { max as f64 / count as f64 } else { 1.0 };
        let threshold = (share * f64::from(u32::MAX)) as u32;
        for (shard, slot) in self.rows_near(window) {
            let is_drawn = !sample.is_sampled || scattered(slot.0) < threshold;
            let at = self.position(shard, slot);
            if is_drawn && window.contains(at) {
                sample.ids.push(slot.0);
                sample.at.push(at);
            }
        }
        sample
    }

    /// The objects whose rounded position is in a window, and some others near it.
    fn rows_near(&self, window: &Window) -> impl Iterator<Item = (usize, Slot)> {
        let window = *window;
        let near = move |interval: Interval, value: f32, ulp: f32| {
            let (value, slack) = (f64::from(value), f64::from(ulp));
            interval.min - slack <= value && value <= interval.max + slack
        };
        self.shards_near(window).flat_map(move |shard| {
            let index = self.shards[shard].queries.index();
            let strips = index.strips_in(&window).into_iter().flatten();
            let rows = strips.flat_map(move |strip| index.rows(strip, window.y));
            let inside = rows.filter(move |row| {
                let [x, y] = [row.x, row.y].map(|value| value.abs() * f32::EPSILON);
                window.x.iter().any(|&part| near(part, row.x, x)) && near(window.y, row.y, y)
            });
            inside.map(move |row| (shard, row.slot))
        })
    }

    fn shards_near(&self, window: Window) -> impl Iterator<Item = usize> {
        shards_of(self.table, &window).into_iter()
    }

    /// The object that a question looks from: where it is, and its id where it is one.
    fn focus(&self, focus: &Focus) -> Option<(Coord, Option<Slot>)> {
        match focus {
            Focus::Point(at) => Some((*at, None)),
            Focus::Object(name) => {
                let Located { id, at, .. } = self.object(name)?;
                Some((at, Some(Slot(id))))
            }
        }
    }

    /// The `k` nearest objects, in no order.
    fn knn(&self, k: usize, focus: &Focus) -> Vec<Found> {
        let Some((at, except)) = self.focus(focus) else { return Vec::new() };
        let probe = S::probe(at);
        let (mut searcher, mut found, mut bound) =
            (Searcher::<S>::default(), Vec::new(), f64::INFINITY);
        for shard in self.by_distance(at.x) {
            if bound < f64::INFINITY && !self.meets(shard, &S::window(&probe, bound)) {
                continue;
            }
            let (index, names) = self.parts(shard);
            if bound == f64::INFINITY {
                searcher.knn(index, names, at, k, except);
            } else {
                let radius = searcher.radius(index, at, &probe, k, except).min(bound);
                let window = S::window(&probe, radius);
                searcher.knn_within(index, names, &probe, window, radius, k, except);
            }
            let members = searcher.found().iter();
            found.extend(members.map(|it| Found { key: it.key, shard, slot: it.slot }));
            if found.len() >= k {
                found.sort_unstable_by(|a, b| self.compare(a, b));
                found.truncate(k);
                bound = found.last().map_or(bound, |last| last.key);
            }
        }
        found
    }

    fn within(&self, radius: f64, focus: &Focus) -> Vec<Found> {
        let Some((at, except)) = self.focus(focus) else { return Vec::new() };
        let (probe, bound) = (S::probe(at), S::key_within(radius));
        let window = S::window(&probe, bound);
        let (mut searcher, mut found) = (Searcher::<S>::default(), Vec::new());
        for shard in shards_of(self.table, &window) {
            let (index, _) = self.parts(shard);
            searcher.begin();
            searcher.collect(index, &probe, &window, bound, except);
            let inside = searcher.found().iter().filter(|it| S::distance(it.key) <= radius);
            found.extend(inside.map(|it| Found { key: it.key, shard, slot: it.slot }));
        }
        found
    }

    fn inside(&self, area: &crate::Area) -> Vec<Found> {
        let window = area.window();
        let (mut searcher, mut found) = (Searcher::<S>::default(), Vec::new());
        for shard in shards_of(self.table, &window) {
            let (index, _) = self.parts(shard);
            let slots = searcher.collect_window(index, &window).iter();
            let inside = slots.filter(|&&slot| area.contains(self.position(shard, slot)));
            found.extend(inside.map(|&slot| Found { key: 0.0, shard, slot }));
        }
        found
    }

    /// The shards by the distance of their ranges from an x.
    fn by_distance(&self, x: f64) -> Vec<usize> {
        let home = self.table.shard_of(Key::of_f64(x));
        let gap = |shard: usize| {
            let [from, to] = self.borders(shard);
            let ends = [from.unwrap_or(f64::NEG_INFINITY), to.unwrap_or(f64::INFINITY)];
            ends.map(|border| S::gap_x(x, border)).into_iter().fold(f64::INFINITY, f64::min)
        };
        let mut order: Vec<(bool, f64, usize)> =
            (0..self.shards.len()).map(|shard| (shard != home, gap(shard), shard)).collect();
        order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)));
        order.into_iter().map(|(.., shard)| shard).collect()
    }

    fn meets(&self, shard: usize, window: &Window) -> bool {
        shards_of(self.table, window).contains(&shard)
    }

    fn parts(&self, shard: usize) -> (&'a StripIndex, &'a ObjectNames) {
        let queries = &self.shards[shard].queries;
        (queries.index(), queries.names())
    }

    fn position(&self, shard: usize, slot: Slot) -> Coord {
        self.shards[shard].queries.index().position(slot).expect("a row's object is present")
    }

    fn name(&self, found: &Found) -> &'a str {
        self.shards[found.shard].queries.names().name(found.slot)
    }

    fn compare(&self, a: &Found, b: &Found) -> Ordering {
        let by_name = || self.name(a).as_bytes().cmp(self.name(b).as_bytes());
        a.key.total_cmp(&b.key).then_with(by_name)
    }

    fn written(&self, found: &[Found], has_distances: bool) -> QueryAnswer {
        let mut rows = Rows::with_capacity(found.len(), has_distances);
        for it in found {
            let distance = has_distances.then(|| S::distance(it.key));
            rows.push(self.name(it), distance, self.position(it.shard, it.slot));
        }
        QueryAnswer { rows: Arc::new(rows), ..QueryAnswer::default() }
    }
}

/// A number's place in a fixed shuffle of all numbers.
fn scattered(id: u32) -> u32 {
    let mixed = (u64::from(id) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) as u32
}
