//! Dunlin: a stream engine for moving objects.
//!
//! Positions stream in; standing questions stay registered; exact answers stream out. This crate
//! is the façade over the parts, and carries the binary `dunlin`.
//!
//! ```
//! use dunlin::index::{Coord, ObjectNames, SpaceKind, Sphere, StripIndex};
//! use dunlin::query::{Query, StandingQueries};
//!
//! let mut names = ObjectNames::default();
//! let taxis = ["t1", "t2"].map(|name| names.intern(name));
//! let mut standing = StandingQueries::<Sphere>::new(names, StripIndex::default());
//! let text = r#"{"id":"nearest","knn":{"k":1,"at":[116.39,39.91]}}"#;
//! standing.register(Query::from_json(text, SpaceKind::Sphere)?)?;
//!
//! let at = [Coord { x: 116.40, y: 39.91 }, Coord { x: 116.38, y: 39.90 }];
//! standing.advance(&taxis, &at, &[]);
//! assert_eq!(standing.answer(0)[0].slot, taxis[0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod duration;
pub mod live;
pub mod server;

pub use dunlin_cep as cep;
pub use dunlin_datasets as datasets;
pub use dunlin_index as index;
pub use dunlin_query as query;
pub use dunlin_stream as stream;
