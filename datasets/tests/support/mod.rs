//! Files to read and rows to compare, for the tests of the readers.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::io::Write;
use std::path::PathBuf;

use dunlin_datasets::{Format, ReadError, ReadOptions, Rejected, RowError, Trace, read_positions};
use flate2::Compression;
use flate2::write::GzEncoder;

/// A folder that goes away with the test.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder");
        std::fs::write(&path, content).expect("room for a file");
        path
    }
}

/// A gzip file of one member.
pub(crate) fn gzip(content: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content.as_ref()).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

pub(crate) type Outcome = Result<(Trace, Rejected), ReadError>;

/// Reads one file of the given name and content.
pub(crate) fn read(name: &str, content: impl AsRef<[u8]>, options: &ReadOptions) -> Outcome {
    let folder = Folder::new();
    read_positions(&[folder.file(name, content)], options, &mut |_| ())
}

/// Reads one CSV text with the default options.
pub(crate) fn csv(content: impl AsRef<[u8]>) -> (Trace, Rejected) {
    read("a.csv", content, &options(Format::Csv)).expect("the text reads")
}

pub(crate) fn options(format: Format) -> ReadOptions {
    ReadOptions { format, ..ReadOptions::default() }
}

/// The rows as text: `object time x y`, the time in seconds.
pub(crate) fn rows(trace: &Trace) -> Vec<String> {
    (0..trace.len())
        .map(|row| {
            let (object, at) = (trace.names.name(trace.objects[row]), trace.at[row]);
            let seconds = trace.times[row].as_millis() as f64 / 1000.0;
            format!("{object} {seconds} {} {}", at.x, at.y)
        })
        .collect()
}

/// Lines and reasons of the examples.
pub(crate) fn examples(rejected: &Rejected) -> Vec<(u64, RowError)> {
    rejected.examples().iter().map(|row| (row.line, row.reason)).collect()
}
