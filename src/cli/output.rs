//! Where data goes: standard output, or a file that appears only when it is whole.
//!
//! ```text
//! --out answers.ndjson     .answers…tmp ──write──write──finish──> answers.ndjson
//! ```
//!
//! A file is written under another name beside it and renamed at the end, so that a run that fails
//! leaves neither half a file nor harms the old one. What is no regular file (a pipe, a terminal,
//! `/dev/null`) cannot be replaced and is written as it is.

use std::fs::{self, File};
use std::io::{self, Stdout, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::error::{CliError, UsageError};

/// Why data cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum OutputError {
    /// The file cannot be begun.
    #[error("cannot create {}: {source}; check the folder and its permissions", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The path names a folder.
    #[error("cannot write {}: it is a directory; name a file in it", path.display())]
    Directory {
        /// The folder.
        path: PathBuf,
    },
    /// Writing began and failed.
    #[error("cannot write {target}: {source}; check the disk and try again")]
    Write {
        /// The file, or standard output.
        target: String,
        /// What the system says.
        source: io::Error,
    },
}

impl OutputError {
    /// A failure to write to standard output.
    pub(crate) fn stdout(source: io::Error) -> Self {
        Self::Write { target: "standard output".to_owned(), source }
    }

    /// Whether the reader of a pipe has gone.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Write { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// A place to write data to.
#[derive(Debug)]
pub(crate) struct Output {
    to: Target,
    name: String,
}

#[derive(Debug)]
enum Target {
    Stdout(Stdout),
    Special(File),
    Temporary { file: NamedTempFile, path: PathBuf },
}

impl Output {
    /// As [`Output::open`], unless it is one of the files that are read: what is written would take
    /// its place.
    pub(crate) fn beside<'a>(
        path: &Path,
        inputs: impl IntoIterator<Item = &'a Path>,
    ) -> Result<Self, CliError> {
        let real = |path: &Path| path.canonicalize().ok().filter(|path| path.is_file());
        let is_input =
            |out: PathBuf| inputs.into_iter().any(|input| real(input) == Some(out.clone()));
        if real(path).is_some_and(is_input) {
            return Err(UsageError::OutputIsInput { path: path.to_owned() }.into());
        }
        Ok(Self::open(path)?)
    }

    /// Opens `path`; `-` is standard output.
    pub(crate) fn open(path: &Path) -> Result<Self, OutputError> {
        let created = |source| OutputError::Create { path: path.to_owned(), source };
        if path == Path::new("-") {
            let name = "standard output".to_owned();
            return Ok(Self { to: Target::Stdout(io::stdout()), name });
        }
        let name = path.display().to_string();
        let to = match fs::metadata(path) {
            Ok(found) if found.is_dir() => {
                return Err(OutputError::Directory { path: path.to_owned() });
            }
            Ok(found) if found.is_file() => temporary(&path.canonicalize().map_err(created)?),
            Ok(_) => File::options().write(true).open(path).map(Target::Special),
            Err(_) => temporary(path),
        };
        Ok(Self { to: to.map_err(created)?, name })
    }

    /// Makes what was written appear under its name.
    pub(crate) fn finish(mut self) -> Result<(), OutputError> {
        self.flush().map_err(|source| self.failed(source))?;
        match self.to {
            Target::Temporary { file, path } => {
                let target = self.name;
                let kept = file.persist(path);
                kept.map(drop).map_err(|error| OutputError::Write { target, source: error.error })
            }
            Target::Stdout(_) | Target::Special(_) => Ok(()),
        }
    }

    /// The error for a write that failed.
    pub(crate) fn failed(&self, source: io::Error) -> OutputError {
        OutputError::Write { target: self.name.clone(), source }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.to {
            Target::Stdout(stdout) => stdout.write(bytes),
            Target::Special(file) => file.write(bytes),
            Target::Temporary { file, .. } => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.to {
            Target::Stdout(stdout) => stdout.flush(),
            Target::Special(file) => file.flush(),
            Target::Temporary { file, .. } => file.flush(),
        }
    }
}

/// A file beside `path` that is to take its place, with its permissions or the usual ones.
fn temporary(path: &Path) -> io::Result<Target> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let folder = folder.unwrap_or(Path::new("."));
    // If it is not there, the system says so in its own words.
    fs::metadata(folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let prefix = format!(".{name}.");
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(".tmp");
    if let Some(permissions) = permissions(path) {
        builder.permissions(permissions);
    }
    let file = builder
        .tempfile_in(folder)
        // The error as it came would show the temporary name.
        .map_err(|error| io::Error::from(error.kind()))?;
    Ok(Target::Temporary { file, path: path.to_owned() })
}

#[cfg(unix)]
fn permissions(path: &Path) -> Option<fs::Permissions> {
    use std::os::unix::fs::PermissionsExt;
    let usual = || fs::Permissions::from_mode(0o666);
    Some(fs::metadata(path).map_or_else(|_| usual(), |found| found.permissions()))
}

#[cfg(not(unix))]
fn permissions(_: &Path) -> Option<fs::Permissions> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answers");
        fs::write(&path, "old").unwrap();
        let mut output = Output::open(&path).unwrap();
        output.write_all(b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        output.finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }

    #[test]
    fn a_failed_run_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut output = Output::open(&folder.path().join("answers")).unwrap();
        output.write_all(b"half").unwrap();
        drop(output);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_is_not_there_is_named_in_the_systems_words() {
        let folder = tempfile::tempdir().unwrap();
        let error = Output::open(&folder.path().join("none/answers")).unwrap_err().to_string();
        assert!(error.contains("none/answers: No such file or directory"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_written_in_place() {
        use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
        let mut output = Output::open(Path::new("/dev/null")).unwrap();
        output.write_all(b"gone").unwrap();
        output.finish().unwrap();
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());

        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&path, &link).unwrap();
        let mut output = Output::open(&link).unwrap();
        output.write_all(b"new").unwrap();
        output.finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    }
}
