//! The engine against its figures: epochs with standing questions, moves, snapshots.
//!
//! One million objects in a plane of 50 km by 50 km, each up to 10 m/s along x and y, an epoch of
//! one second; positions and questions from fixed seeds. Half of the 10 000 standing questions
//! look from a fixed point, half from a moving object, all drawn from the objects themselves. Rivals
//! run in the same process, with the binary's allocator, on the same positions. What threads share is
//! measured from a thread of their pool, as `replay` runs it: a call from outside begins with waking
//! two threads, which a system may put on one processor for milliseconds. `scripts/bench` runs this
//! and writes the table.

#![allow(missing_docs, reason = "criterion's macros define what they define")]
#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::hint::black_box;
use std::num::NonZero;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use dunlin::datasets::generate::{
    Area, Clusters, DriftingHotSpot, GaussianClusters, HotSpot, Movement, Population, Uniform,
};
use dunlin::index::{Coord, ObjectNames, Plane, Slot, Space, SpaceKind, Sphere, StripIndex};
use dunlin::query::{Focus, Query, Question, Searcher, StandingQueries};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const OBJECTS: usize = 1_000_000;
const QUERIES: usize = 10_000;
const K: usize = 10;
const SEED: u64 = 7;
const EXTENT_M: f64 = 50_000.0;
/// Share of the extent per second: 10 m/s.
const SPEED: f64 = 10.0 / EXTENT_M;
/// A stride that visits all objects, in no order of place.
const STRIDE: usize = 618_033;

fn area(space: SpaceKind) -> Area {
    let (min, max) = match space {
        SpaceKind::Plane => ((0.0, 0.0), (EXTENT_M, EXTENT_M)),
        // About 50 km on either side.
        SpaceKind::Sphere => ((116.1, 39.7), (116.69, 40.15)),
    };
    Area::new(space, min.into(), max.into()).expect("an area")
}

fn population() -> Population {
    Population { objects: OBJECTS, seed: SEED, speed: SPEED }
}

fn uniform(space: SpaceKind) -> Box<dyn Movement + Send> {
    Box::new(Uniform::new(area(space), population()))
}

fn clusters(space: SpaceKind) -> Box<dyn Movement + Send> {
    let clusters = Clusters { count: 8, spread: 1.0 / 30.0 };
    Box::new(GaussianClusters::new(area(space), population(), clusters))
}

fn hot_spot(space: SpaceKind) -> Box<dyn Movement + Send> {
    Box::new(DriftingHotSpot::new(area(space), population(), HotSpot::default()))
}

fn all_slots() -> Vec<Slot> {
    (0..).map(Slot).take(OBJECTS).collect()
}

fn standing<S: Space>(at: &[Coord]) -> StandingQueries<S> {
    let mut names = ObjectNames::default();
    for object in 0..OBJECTS {
        names.intern(&format!("o{object:07}"));
    }
    let mut standing = StandingQueries::<S>::new(names, StripIndex::default());
    for number in 0..QUERIES {
        let object = (number * STRIDE) % OBJECTS;
        let focus = if number % 2 == 0 {
            Focus::Point(at[object])
        } else {
            Focus::Object(format!("o{object:07}"))
        };
        let question = Question::Knn { k: K, focus };
        standing.register(Query { id: number.to_string(), question }).expect("ids are unique");
    }
    standing
}

/// Epochs in which every object moves, answers included.
fn epoch<S: Space>(
    c: &mut Criterion,
    name: &str,
    mut movement: Box<dyn Movement + Send>,
    threads: usize,
) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
    let (slots, mut standing) = (all_slots(), standing::<S>(movement.positions()));
    let mut group = c.benchmark_group("epoch");
    group.throughput(Throughput::Elements(OBJECTS as u64)).sample_size(20);
    let mut advance = |epochs| {
        let mut epoch = || {
            movement.step(1.0);
            let at = movement.positions();
            let begin = Instant::now();
            standing.advance(&slots, at, &[]);
            begin.elapsed()
        };
        pool.install(|| (0..epochs).map(|_| epoch()).sum::<Duration>())
    };
    advance(3);
    group.bench_function(format!("{name}, {threads} thread(s)"), |b| b.iter_custom(&mut advance));
    group.finish();
}

fn epochs(c: &mut Criterion) {
    let (plane, sphere) = (SpaceKind::Plane, SpaceKind::Sphere);
    epoch::<Plane>(c, "8 clusters", clusters(plane), 1);
    epoch::<Plane>(c, "8 clusters", clusters(plane), 2);
    epoch::<Plane>(c, "uniform", uniform(plane), 1);
    epoch::<Plane>(c, "drifting hot spot", hot_spot(plane), 1);
    epoch::<Sphere>(c, "8 clusters on the sphere", clusters(sphere), 1);
    epoch::<Sphere>(c, "8 clusters on the sphere", clusters(sphere), 2);
}

/// One in a hundred objects moves, no questions.
fn moves(c: &mut Criterion) {
    let mut movement = uniform(SpaceKind::Plane);
    let start = movement.positions().to_vec();
    movement.step(1.0);
    let ends = [start.clone(), movement.positions().to_vec()];
    let movers = OBJECTS / 100;
    // Each call moves the next hundredth; after a round all go back where they came from.
    let turn = |call: usize| {
        let slots =
            (0..movers).map(move |i| Slot((((call * movers + i) * STRIDE) % OBJECTS) as u32));
        let to = &ends[1 - (call / 100) % 2];
        let slots: Vec<_> = slots.collect();
        let to: Vec<_> = slots.iter().map(|slot| to[slot.index()]).collect();
        (slots, to)
    };
    let mut group = c.benchmark_group("moves");
    group.throughput(Throughput::Elements(movers as u64)).sample_size(50);
    let (mut index, mut call) = (StripIndex::default(), 0);
    index.apply(&all_slots(), &start);
    let pool = rayon::ThreadPoolBuilder::new().build().expect("a pool");
    let mut apply = |calls: u64| {
        let mut next = || {
            let (slots, to) = turn(call);
            call += 1;
            let begin = Instant::now();
            index.apply(&slots, &to);
            begin.elapsed()
        };
        (0..calls).map(|_| next()).sum::<Duration>()
    };
    group.bench_function("dunlin in place", |b| {
        b.iter_custom(|calls| pool.install(|| apply(calls)));
    });
    group.bench_function("dunlin in place, called from outside", |b| b.iter_custom(&mut apply));
    let point = |slot: Slot, at: Coord| rstar::primitives::GeomWithData::new([at.x, at.y], slot);
    let points = all_slots().into_iter().map(|slot| point(slot, start[slot.index()])).collect();
    let (mut tree, mut at, mut call) = (rstar::RTree::bulk_load(points), start.clone(), 0);
    group.sample_size(10).bench_function("rstar remove + insert", |b| {
        let mut next = || {
            call += 1;
            turn(call - 1)
        };
        b.iter_batched(
            &mut next,
            |(slots, to)| {
                for (slot, to) in slots.into_iter().zip(to) {
                    let from = std::mem::replace(&mut at[slot.index()], to);
                    tree.remove(&point(slot, from)).expect("it was there");
                    tree.insert(point(slot, to));
                }
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// One-off 10-NN at random places among uniform objects.
fn snapshots(c: &mut Criterion) {
    let at = uniform(SpaceKind::Plane).positions().to_vec();
    let places =
        Uniform::new(area(SpaceKind::Plane), Population { seed: SEED + 1, ..population() });
    let mut places = places.positions().iter().cycle();
    let mut next = || *places.next().expect("an endless cycle");
    let mut group = c.benchmark_group("snapshot 10-NN");
    group.throughput(Throughput::Elements(1));
    let standing = {
        let mut standing = standing::<Plane>(&at);
        standing.advance(&all_slots(), &at, &[]);
        standing
    };
    let mut searcher = Searcher::<Plane>::default();
    group.bench_function("dunlin", |b| {
        b.iter(|| {
            searcher.knn(standing.index(), standing.names(), next(), K, None);
            black_box(searcher.found().len())
        });
    });
    let points: Vec<_> = at.iter().map(|at| [at.x, at.y]).collect();
    let tree = rstar::RTree::bulk_load(points.clone());
    group.bench_function("rstar", |b| {
        b.iter(|| {
            let place = next();
            black_box(tree.nearest_neighbor_iter(&[place.x, place.y]).take(K).count())
        });
    });
    let mut tree = kiddo::MutableKdTree::<f64, 2>::default();
    for (point, item) in points.iter().zip(0..) {
        tree.add(point, item).expect("a finite point");
    }
    let k = NonZero::new(K).expect("10 is not 0");
    group.bench_function("kiddo, mutable", |b| {
        b.iter(|| {
            let place = next();
            let place = [place.x, place.y];
            let query = tree.query(&place).nearest_n::<kiddo::SquaredEuclidean<f64>>(k);
            black_box(query.execute().len())
        });
    });
    group.finish();
}

criterion_group!(benches, epochs, moves, snapshots);
criterion_main!(benches);
