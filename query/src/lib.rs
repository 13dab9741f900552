//! Standing and one-off questions over moving objects.
//!
//! | question | asks for | module |
//! |---|---|---|
//! | `knn` | the k objects nearest a point or an object | [`dknn`] |
//! | `within` | the objects within a radius of a point or an object | [`standing`] |
//! | `inside` | the objects inside a polygon | [`area`] |
//!
//! [`dknn`] answers once, in at most two rounds over the strips. [`standing`] keeps the answers of
//! registered questions exact at the end of every epoch, and [`delta`] says what changed.

pub mod area;
pub mod delta;
pub mod dknn;
pub mod member;
pub mod operator;
pub mod question;
pub mod standing;
pub mod topology;

mod disc_lists;
mod json;
mod query_state;
mod rounded;
mod screen;
mod silence;
mod touches;

pub use area::{Area, AreaError};
pub use dknn::{SearchCost, Searcher};
pub use json::{JsonObject, whole_number};
pub use member::Member;
pub use operator::{Moves, StandingOperator};
pub use question::{Focus, Query, Question, QuestionError};
pub use standing::{AnswerChange, RegisterError, StandingQueries};
