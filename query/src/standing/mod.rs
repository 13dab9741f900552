//! Standing questions: registered once, exact at the end of every epoch.
//!
//! ```text
//! movers of an epoch ──> strip index ──> which questions may be affected ──> their answers
//!                             few movers, few strips: those that the screen finds
//!                             few movers, many strips: those on the disc lists of touched strips
//!                             many movers: all, strip by strip
//! ```
//!
//! Cost: with few movers, a few comparisons for each question in a touched strip, and for each
//! affected one the members and the arrivals; with many, one search per question with a radius
//! known beforehand. A rule on the numbers of movers and questions chooses. Questions are
//! independent of each other and run in parallel; no answer depends on how many threads there are.

mod batch;
mod inboxes;
mod part;
mod registry;

use std::collections::BTreeMap;

use dunlin_index::{Coord, ObjectNames, Slot, Space, StripIndex};
use rayon::prelude::*;

use self::batch::Batch;
pub(crate) use self::inboxes::Inboxes;
pub use self::registry::RegisterError;

use crate::area::AreaBoxes;
use crate::delta::Delta;
use crate::disc_lists::{DiscLists, NOWHERE};
use crate::dknn::Searcher;
use crate::member::Member;
use crate::query_state::{Kind, QueryState, World};
use crate::screen::Screen;
use crate::touches::{Touch, Touches};

/// How an answer differs from the one an epoch before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerChange {
    /// Not at all.
    Unchanged,
    /// The same objects in the same order, but some of them (or the focus) may have moved.
    Moved,
    /// Another list of objects, or its first answer.
    Reordered,
}

/// Registered questions over the objects of one space; see the module documentation.
///
/// ```
/// use dunlin_index::{Coord, Plane, SpaceKind};
/// use dunlin_query::{Query, StandingQueries};
///
/// let mut standing = StandingQueries::<Plane>::default();
/// let text = r#"{"id":"nearest","knn":{"k":1,"at":[0,0]}}"#;
/// standing.register(Query::from_json(text, SpaceKind::Plane)?)?;
/// let (near, far) = (standing.names_mut().intern("near"), standing.names_mut().intern("far"));
///
/// standing.advance(&[near, far], &[Coord { x: 1.0, y: 0.0 }, Coord { x: 5.0, y: 0.0 }], &[]);
/// assert_eq!(standing.members("nearest").expect("registered")[0].slot, near);
/// standing.advance(&[near], &[Coord { x: 9.0, y: 0.0 }], &[]);
/// assert_eq!(standing.members("nearest").expect("registered")[0].slot, far);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct StandingQueries<S: Space> {
    names: ObjectNames,
    index: StripIndex,
    /// In an order that keeps neighbours together.
    states: Vec<QueryState<S>>,
    /// Where the state of each query is, by number; [`REMOVED`] if it stands no longer.
    places: Vec<u32>,
    by_id: BTreeMap<String, usize>,
    touches: Touches<S>,
    discs: DiscLists,
    areas: AreaBoxes,
    screen: Screen,
    /// Which of these know the windows of all questions.
    lookup: Lookup,
    /// The most strips for which the screen is used.
    screened_strips_max: usize,
    /// The questions that look from an object, and those without an answer yet, by place.
    followers: Vec<(Slot, u32)>,
    unanswered: Vec<u32>,
    /// The questions whose answers the last epoch may have changed.
    inboxes: Inboxes,
    /// The numbers of those whose list of objects it did change, in order.
    reordered: Vec<usize>,
    searcher: Searcher<S>,
    /// What was last found for a question asked elsewhere.
    found: Vec<Member>,
    /// Bulk epochs since the states were put in order of place; `None` if they never were.
    sorted_at: Option<usize>,
}

/// What finds the questions that a touch concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lookup {
    /// Nothing yet.
    None,
    /// The disc lists, for this layout of the index, and the boxes of the areas.
    Lists(u64),
    /// The screen.
    Screen,
}

/// Strips up to which the screen is used. With as many strips as this, a strip's list is about as
/// long as the boxes that the screen tests for the strip's touches.
const SCREENED_STRIPS_MAX: usize = 256;
/// What a mover costs where touches are looked up, and what a search costs, in one unit: they decide
/// whether an epoch goes by its touches or answers every question anew.
const TOUCH_COST: usize = 1;
const SEARCH_COST: usize = 4;
/// Bulk epochs after which states are put in order of place again.
const SORT_EVERY: usize = 64;
/// States that are answered anew together.
const BATCH: usize = 16;
/// Movers whose positions are read ahead together.
const SLOTS_AHEAD: usize = 256;
/// The place of a query that was removed.
const REMOVED: u32 = u32::MAX;
/// States per piece of parallel work.
const PIECE: usize = 512;

impl<S: Space> Default for StandingQueries<S> {
    fn default() -> Self {
        Self::new(ObjectNames::default(), StripIndex::default())
    }
}

impl<S: Space> StandingQueries<S> {
    /// Standing questions, none yet, over the objects of `index`.
    #[must_use]
    pub fn new(names: ObjectNames, index: StripIndex) -> Self {
        Self {
            names,
            index,
            states: Vec::new(),
            places: Vec::new(),
            by_id: BTreeMap::new(),
            touches: Touches::default(),
            discs: DiscLists::default(),
            areas: AreaBoxes::default(),
            screen: Screen::default(),
            lookup: Lookup::None,
            screened_strips_max: SCREENED_STRIPS_MAX,
            followers: Vec::new(),
            unanswered: Vec::new(),
            inboxes: Inboxes::default(),
            reordered: Vec::new(),
            searcher: Searcher::default(),
            found: Vec::new(),
            sorted_at: None,
        }
    }

    /// Sets the most strips of the index for which the questions that an epoch touches are found by
    /// one pass over all windows, and not by lists of the strips. It decides what an epoch costs,
    /// not what it answers.
    #[must_use]
    pub fn with_screened_strips_max(mut self, strips: usize) -> Self {
        self.screened_strips_max = strips;
        self
    }

    /// Applies one epoch: each of `slots` moves to the position beside it in `to` (its last, where
    /// it occurs twice), each of `gone` leaves; then every answer is brought up to date. The heart.
    ///
    /// # Panics
    /// If `slots` and `to` differ in length.
    pub fn advance(&mut self, slots: &[Slot], to: &[Coord], gone: &[Slot]) {
        let movers = slots.len() + gone.len();
        if movers * TOUCH_COST > self.states.len() * SEARCH_COST {
            self.move_objects(slots, to, gone);
            self.answer_all();
        } else {
            self.touches.clear();
            for (slots, to) in slots.chunks(SLOTS_AHEAD).zip(to.chunks(SLOTS_AHEAD)) {
                self.index.read_ahead(slots);
                for (&slot, &to) in slots.iter().zip(to) {
                    self.touches.leave(slot, self.index.position(slot), Some(to));
                }
            }
            for &slot in gone {
                self.touches.leave(slot, self.index.position(slot), None);
            }
            self.move_objects(slots, to, gone);
            self.touches.arrive(&self.index);
            self.answer_touched();
        }
    }

    fn move_objects(&mut self, slots: &[Slot], to: &[Coord], gone: &[Slot]) {
        self.index.apply(slots, to);
        if !gone.is_empty() {
            self.index.remove(gone);
        }
    }

    /// Finds every answer anew, neighbours after each other.
    fn answer_all(&mut self) {
        self.touches.all_moved();
        self.lookup = Lookup::None;
        self.sort_states();
        self.inboxes.mark_all();
        let Self { index, names, touches, inboxes, states, .. } = self;
        let world = World { index, names, touches, inboxes };
        let batches = states.par_chunks_mut(BATCH);
        batches.for_each_init(Batch::default, |batch, states| batch.answer(states, &world));
        let changed = states.iter().filter(|state| state.change == AnswerChange::Reordered);
        self.reordered.clear();
        self.reordered.extend(changed.map(|state| state.number as usize));
        self.reordered.sort_unstable();
    }

    /// Brings the answers up to date that what was touched may have changed.
    fn answer_touched(&mut self) {
        self.inboxes.clear();
        let screened = self.index.strip_count() <= self.screened_strips_max;
        let lists = Lookup::Lists(self.index.layout_version());
        self.look_up_by(if screened { Lookup::Screen } else { lists });
        self.mark_due();
        if screened {
            self.mark_screened();
        } else {
            self.mark_listed();
        }
        self.update_marked(screened);
    }

    /// Makes `lookup` know the windows of all questions.
    fn look_up_by(&mut self, lookup: Lookup) {
        if self.lookup == lookup && !(lookup == Lookup::Screen && self.screen.is_worn()) {
            return;
        }
        match lookup {
            Lookup::None => {}
            Lookup::Screen => {
                self.screen.reset(self.states.iter().map(|state| (state.window, state.sieve())));
            }
            Lookup::Lists(_) => self.list_all(),
        }
        self.states.iter_mut().for_each(|state| state.is_window_new = false);
        let followers = self.states.iter().zip(0..);
        let followers = followers.filter_map(|(state, place)| Some((state.focus_slot()?, place)));
        self.followers = followers.collect();
        let unanswered = self.states.iter().zip(0..).filter(|(state, _)| !state.is_answered());
        self.unanswered = unanswered.map(|(_, place)| place).collect();
        self.lookup = lookup;
    }

    fn list_all(&mut self) {
        self.discs.reset(self.index.strip_count());
        for (place, state) in self.states.iter_mut().enumerate() {
            state.listed =
                if state.is_area() { NOWHERE } else { self.index.strips_in(&state.window) };
            self.discs.add(place as u32, &state.window, &state.listed);
        }
        let areas = self.states.iter().enumerate();
        self.areas = AreaBoxes::new(areas.filter_map(|(place, state)| match &state.kind {
            Kind::Inside(area) => Some((place, &**area)),
            _ => None,
        }));
    }

    /// Marks the questions that are new or whose focus moved.
    fn mark_due(&mut self) {
        for place in std::mem::take(&mut self.unanswered) {
            self.inboxes.mark(place);
        }
        for follower in 0..self.followers.len() {
            let (slot, place) = self.followers[follower];
            if self.touches.moved(slot) {
                self.inboxes.mark(place);
            }
        }
    }

    /// Marks the questions in whose window the screen finds a touch.
    fn mark_screened(&mut self) {
        let Self { touches, screen, inboxes, .. } = self;
        let rounded = |touch: &Touch<S>| (touch.at.x as f32, touch.at.y as f32);
        for (left, arrived) in touches.movers() {
            let to = arrived.map_or((f32::NAN, f32::NAN), |(_, touch)| rounded(touch));
            screen.each_on_way(rounded(left), to, |place, is_there| match arrived {
                Some((number, _)) if is_there => inboxes.put(place, number),
                _ => inboxes.mark(place),
            });
        }
    }

    /// Marks the questions that are listed with a touch in their window, and the areas.
    fn mark_listed(&mut self) {
        let Self { touches, discs, areas, inboxes, .. } = self;
        touches.sort(&self.index);
        for strip in touches.strips() {
            for listed in discs.of(strip) {
                let numbers = touches.concerning(strip, listed);
                numbers.for_each(|number| inboxes.put(listed.question, number));
            }
        }
        if areas.is_empty() {
            return;
        }
        for (number, touch) in touches.all() {
            // An area of many polygons may have several boxes at one place.
            areas.owners_at(touch.at).for_each(|place| inboxes.put_once(place as u32, number));
        }
    }

    /// Brings the marked answers up to date and tells the lookup the windows that are new. Each state
    /// is looked at once, and a second time only where threads share the updates.
    fn update_marked(&mut self, screened: bool) {
        let are_shared = self.inboxes.marked().len() > PIECE;
        if are_shared {
            self.share_updates();
        }
        let Self { index, names, touches, inboxes, states, screen, discs, reordered, .. } = self;
        let world = World { index, names, touches, inboxes };
        reordered.clear();
        for &place in inboxes.marked() {
            let state = &mut states[place as usize];
            if !are_shared {
                state.update(place, &world, &mut self.searcher);
            }
            if std::mem::take(&mut state.is_window_new) {
                if screened {
                    screen.set(place as usize, &state.window, &state.sieve());
                } else if !state.is_area() {
                    discs.remove(place, &state.listed);
                    state.listed = index.strips_in(&state.window);
                    discs.add(place, &state.window, &state.listed);
                }
            }
            if state.change == AnswerChange::Reordered {
                reordered.push(state.number as usize);
            }
        }
        reordered.sort_unstable();
    }

    fn share_updates(&mut self) {
        let Self { index, names, touches, inboxes, states, .. } = self;
        let world = World { index, names, touches, inboxes };
        let marked = states.par_iter_mut().enumerate().with_min_len(PIECE);
        let marked = marked.map(|(place, state)| (place as u32, state));
        let marked = marked.filter(|(place, _)| inboxes.is_marked(*place));
        marked.for_each_init(Searcher::default, |searcher, (place, state)| {
            state.update(place, &world, searcher);
        });
    }

    /// Puts the states in order of place, now and then.
    fn sort_states(&mut self) {
        let epochs = self.sorted_at.map_or(SORT_EVERY, |epochs| epochs + 1);
        self.sorted_at = Some(epochs % SORT_EVERY);
        if epochs < SORT_EVERY {
            return;
        }
        let key = |state: &QueryState<S>| {
            let at = state.place();
            (self.index.strip_at(at.x), at.y)
        };
        let mut order: Vec<_> =
            (0..self.states.len()).map(|place| (key(&self.states[place]), place)).collect();
        order.sort_unstable_by(|((strip, y), place), ((other, other_y), other_place)| {
            strip.cmp(other).then(y.total_cmp(other_y)).then(place.cmp(other_place))
        });
        let room = Vec::with_capacity(self.states.len());
        let states = std::mem::replace(&mut self.states, room);
        let mut states: Vec<_> = states.into_iter().map(Some).collect();
        let mut new_places = vec![0; states.len()];
        for (_, place) in order {
            new_places[place] = self.states.len() as u32;
            self.states.push(states[place].take().expect("every place comes once"));
        }
        let standing = self.places.iter_mut().filter(|place| **place != REMOVED);
        standing.for_each(|place| *place = new_places[*place as usize]);
    }

    /// The names of all objects.
    #[must_use]
    pub fn names(&self) -> &ObjectNames {
        &self.names
    }

    /// The names of all objects, to add to.
    pub fn names_mut(&mut self) -> &mut ObjectNames {
        &mut self.names
    }

    /// The index of all objects.
    #[must_use]
    pub fn index(&self) -> &StripIndex {
        &self.index
    }

    fn state(&self, number: usize) -> &QueryState<S> {
        &self.states[self.places[number] as usize]
    }

    /// How the answer of query `number` changed with the last epoch.
    #[must_use]
    pub fn change(&self, number: usize) -> AnswerChange {
        let place = self.places[number];
        if self.inboxes.is_marked(place) {
            self.states[place as usize].change
        } else {
            AnswerChange::Unchanged
        }
    }

    /// The numbers of the queries whose list of objects changed with the last epoch, in order.
    #[must_use]
    pub fn reordered(&self) -> &[usize] {
        &self.reordered
    }

    /// The answer of query `number` at the end of the last epoch, in answer order.
    #[must_use]
    pub fn answer(&self, number: usize) -> &[Member] {
        self.state(number).answer()
    }

    /// What the last epoch changed in the answer of query `number`.
    #[must_use]
    pub fn delta(&self, number: usize) -> Delta {
        if self.change(number) == AnswerChange::Unchanged {
            return Delta::default();
        }
        let state = self.state(number);
        Delta::between(state.previous(), state.answer(), |slot| self.touches.moved(slot))
    }
}
