//! Why a command fails: the families of errors of what it is made of.
//!
//! A [`UsageError`] is a mistake on the command line that shows only when several arguments are
//! seen together; it ends with code 2, as those that the parser finds. All others end with code 1.

use dunlin::cep::RuleError;
use dunlin::datasets::generate::{AreaError, CameraError, CameraOptionsError, RoadError};
use dunlin::datasets::{ColumnsError, ReadError};

use super::output::OutputError;
use super::query_file::QueryFileError;

/// Why a command fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CliError {
    /// The arguments do not fit each other.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// A trace does not read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A query file does not read.
    #[error(transparent)]
    Queries(#[from] QueryFileError),
    /// Data cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// There is no network to move on.
    #[error(transparent)]
    Roads(#[from] RoadError),
    /// There is no traffic past cameras.
    #[error(transparent)]
    Cameras(CameraError),
    /// Threads cannot be started.
    #[error("cannot start the threads: {0}; use --threads with a smaller number")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// A server cannot be reached, or refuses.
    #[error(transparent)]
    Client(#[from] super::client::ClientError),
    /// The server does not run.
    #[error(transparent)]
    Server(#[from] dunlin::server::ServerError),
    /// A question about the state of an empty trace.
    #[error("there is no position{}: nothing to answer from", if *.bounded { " up to that time" } else { "" })]
    NoPositions {
        /// Whether a time was given.
        bounded: bool,
    },
    /// A question from an object that never reports.
    #[error("object {name:?} does not occur: check its name and --columns")]
    UnknownObject {
        /// Its name.
        name: String,
    },
    /// A question from an object that is not there at the time.
    #[error("object {name:?} has no position then: give another --at-time, or a longer --ttl")]
    AbsentObject {
        /// Its name.
        name: String,
    },
}

impl From<CameraError> for CliError {
    fn from(error: CameraError) -> Self {
        match error {
            CameraError::Options(error) => Self::Usage(error.into()),
            CameraError::Roads(error) => Self::Roads(error),
            other => Self::Cameras(other),
        }
    }
}

impl CliError {
    /// Whether the reader of the output has gone.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.is_closed_pipe())
    }
}

/// Why arguments do not fit each other.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum UsageError {
    /// `--columns` names no columns of this space.
    #[error("invalid value for '--columns': {0}")]
    Columns(#[from] ColumnsError),
    /// `--near` is not in the space.
    #[error("invalid value for '--near': {0}")]
    Near(dunlin::index::PositionError),
    /// `--area` is none of the space.
    #[error("invalid value for '--area': {0}")]
    Area(#[from] AreaError),
    /// No co-occurrence can be asked for so.
    #[error("{0}")]
    Rule(#[from] RuleError),
    /// There is no such traffic past cameras.
    #[error(transparent)]
    Cameras(#[from] CameraOptionsError),
    /// Two kinds of data would go to one place.
    #[error("passages and convoys cannot both go to {}: name another --truth", path.display())]
    SameOutput {
        /// The place.
        path: std::path::PathBuf,
    },
    /// What is written would take the place of what is read.
    #[error("--out {} is also read: name another file", path.display())]
    OutputIsInput {
        /// The file.
        path: std::path::PathBuf,
    },
    /// Time would run out of the years that print.
    #[error("the last step would be after the year 9998: use fewer steps, or shorter ones")]
    TooLate,
}
