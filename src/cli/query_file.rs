//! Query files: one JSON object a line, each with an id of its own.
//!
//! Blank lines are passed over; a byte order mark and carriage returns do no harm. The first wrong
//! line is an error that names it: a question that silently did not stand would be worse.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use dunlin::index::SpaceKind;
use dunlin::query::{Query, QuestionError};

/// Why a query file does not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum QueryFileError {
    /// The file is missing or may not be read.
    #[error("cannot read {}: {source}; give a file with one query a line", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A line that is no query.
    #[error("{}:{line}: {}; correct the query", path.display(), words(source))]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        source: QuestionError,
    },
    /// A line that is not text.
    #[error("{}:{line}: not UTF-8 text; correct the query", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// Two queries with one id.
    #[error(
        "{}:{line}: id {id:?} is that of line {first} already; give every query its own id",
        path.display()
    )]
    Duplicate {
        /// The file.
        path: PathBuf,
        /// The line of the second one, from 1.
        line: usize,
        /// The line of the first one, from 1.
        first: usize,
        /// Their id.
        id: String,
    },
}

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Reads the queries of a file, in the order of its lines.
pub(crate) fn read(path: &Path, space: SpaceKind) -> Result<Vec<Query>, QueryFileError> {
    let file = || path.to_owned();
    let bytes = fs::read(path).map_err(|source| QueryFileError::Read { path: file(), source })?;
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes);
    let (mut queries, mut lines) = (Vec::new(), BTreeMap::new());
    for (line, bytes) in (1..).zip(bytes.split(|&byte| byte == b'\n')) {
        let text = std::str::from_utf8(bytes)
            .map_err(|_| QueryFileError::NotText { path: file(), line })?
            .trim();
        if text.is_empty() {
            continue;
        }
        let query = Query::from_json(text, space).map_err(|source| QueryFileError::Line {
            path: file(),
            line,
            source,
        })?;
        if let Some(first) = lines.insert(query.id.clone(), line) {
            return Err(QueryFileError::Duplicate { path: file(), line, first, id: query.id });
        }
        queries.push(query);
    }
    Ok(queries)
}

/// What is wrong, without the parser's line: it sees only one.
fn words(error: &QuestionError) -> String {
    error.to_string().replace(" at line 1 column ", " at column ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &[u8]) -> Result<Vec<String>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        let queries = read(file.path(), SpaceKind::Sphere);
        let name = file.path().display().to_string();
        queries
            .map(|queries| queries.into_iter().map(|query| query.id).collect())
            .map_err(|error| error.to_string().replace(&name, "q"))
    }

    #[test]
    fn marks_blanks_and_carriage_returns_do_no_harm() {
        let text = "\u{feff}{\"id\":\"a\",\"knn\":{\"k\":1,\"at\":[0,0]}}\r\n\r\n \
                    {\"id\":\"b\",\"knn\":{\"k\":1,\"at\":[0,0]}} ";
        assert_eq!(read_text(text.as_bytes()).unwrap(), ["a", "b"]);
        assert!(read_text(b"").unwrap().is_empty());
        assert!(read_text(b"\n \r\n").unwrap().is_empty());
    }

    #[test]
    fn the_wrong_line_is_named() {
        let good = "{\"id\":\"a\",\"knn\":{\"k\":1,\"at\":[0,0]}}\n";
        let message = |bad: &[u8]| read_text(&[good.as_bytes(), b"\n", bad].concat()).unwrap_err();
        let cut = message(b"{\"id\":\"b\"");
        assert!(cut.starts_with("q:3: EOF") && cut.contains("at column 9;"), "{cut}");
        assert!(message(b"\xff").starts_with("q:3: not UTF-8"));
        let twice = message(good.as_bytes());
        assert!(twice.starts_with("q:3: id \"a\" is that of line 1 already"), "{twice}");
    }
}
