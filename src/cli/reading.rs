//! Reading traces: the arguments that say what and how, shared by commands.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use dunlin::datasets::{Columns, Format, ReadOptions, Rejected, Trace, read_positions};
use dunlin::index::SpaceKind;

use super::error::{CliError, UsageError};
use super::progress::{self, Count};

/// A space by its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum SpaceArg {
    /// Longitude and latitude in degrees (WGS 84), distances in metres
    #[default]
    Sphere,
    /// x and y in any unit
    Plane,
}

impl From<SpaceArg> for SpaceKind {
    fn from(space: SpaceArg) -> Self {
        match space {
            SpaceArg::Sphere => Self::Sphere,
            SpaceArg::Plane => Self::Plane,
        }
    }
}

/// Which files of positions to read, and how.
#[derive(Debug, Args)]
pub(crate) struct ReadingArgs {
    /// Files of positions, gzipped or not
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// What positions are
    #[arg(long, value_enum, default_value_t)]
    space: SpaceArg,
    /// How files are laid out: auto, csv, tdrive, geolife, ndjson or geojson
    #[arg(long, default_value_t)]
    format: Format,
    /// Names of the columns, as object=ID,time=T,lon=LON,lat=LAT (in the plane x=X,y=Y); those
    /// left out keep the names object, time, lon, lat (x, y)
    #[arg(long, default_value = "", hide_default_value = true)]
    columns: String,
    /// Fail at the first bad row instead of counting bad rows
    #[arg(long)]
    strict: bool,
}

impl ReadingArgs {
    /// The space of the trace.
    pub(crate) fn space(&self) -> SpaceKind {
        self.space.into()
    }

    /// The files, in order.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(PathBuf::as_path)
    }

    /// How to read.
    pub(crate) fn options(&self) -> Result<ReadOptions, UsageError> {
        let columns = Columns::parse(&self.columns, self.space())?;
        Ok(ReadOptions { format: self.format, columns, space: self.space(), strict: self.strict })
    }

    /// Reads all files into one trace, ordered by time.
    pub(crate) fn read(&self, options: &ReadOptions) -> Result<(Trace, Rejected), CliError> {
        let bar = progress::bar("reading", 0, Count::Bytes);
        let (mut trace, rejected) = read_positions(&self.files, options, &mut |progress| {
            bar.set_length(progress.bytes_total);
            bar.set_position(progress.bytes_read);
        })?;
        trace.sort_by_time();
        bar.finish_and_clear();
        Ok((trace, rejected))
    }
}
