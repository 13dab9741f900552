//! Readers of real traces and seeded generators of movement.
//!
//! [`read_positions`] turns files of positions (CSV, T-Drive, GeoLife, NDJSON, GeoJSON, each as it
//! is or gzipped) into one [`Trace`] in columns, [`read_events`] files of events (CSV, NDJSON) into
//! [`Events`], and [`cell_passages`] turns the former into the latter. Bad rows are counted by
//! reason, never silently lost. [`generate`] makes objects that move: a seed gives the same
//! movement on every machine.
//! No clock is read here.
//!
//! ```
//! use dunlin_datasets::{ReadOptions, read_positions};
//!
//! # let folder = tempfile::tempdir()?;
//! let path = folder.path().join("taxis.csv");
//! std::fs::write(&path, "object,time,lon,lat\nt1,2008-02-02 13:30:00,116.39,39.91\nt2,now,0,0\n")?;
//!
//! let (trace, rejected) = read_positions(&[path], &ReadOptions::default(), &mut |_| ())?;
//! assert_eq!(trace.names.name(trace.objects[0]), "t1");
//! assert_eq!((trace.len(), rejected.total()), (1, 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cells;
mod columns;
mod events;
pub mod generate;
mod options;
mod order;
mod read;
mod trace;

pub use cells::cell_passages;
pub use columns::{Columns, ColumnsError, EventColumns};
pub use events::Events;
pub use options::{EventOptions, Format, FormatError, ReadOptions};
pub use read::error::{Field, ReadError, RowError};
pub use read::events::read_events;
pub use read::input::Progress;
pub use read::read_positions;
pub use read::rejected::{Rejected, RejectedRow};
pub use trace::Trace;
