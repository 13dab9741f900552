//! Networks of roads from two text files, plain or gzipped: `id lon lat` and `id a b length`.
//!
//! The length in the file is not used: such files give degrees as often as metres.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;

use dunlin_index::{Coord, SpaceKind};

use super::roads::{Road, RoadError, RoadGraph};
use crate::read::input::{Input, Meter};
use crate::read::lines::Lines;
use crate::{Progress, ReadError};

const NODE: &str = "node: write id, longitude and latitude with blanks between";
const ROAD: &str = "road: write id, the ids of its two nodes and a length with blanks between";

impl RoadGraph {
    /// Reads a network on the sphere from a file of nodes and a file of roads. Empty lines and
    /// lines that begin with `#` are passed over.
    ///
    /// # Errors
    /// A file that cannot be read, a line that is not what it should be (with its number), a road
    /// to a node that does not exist.
    pub fn read(nodes_path: &Path, roads_path: &Path) -> Result<Self, RoadError> {
        let (mut nodes, mut index) = (Vec::new(), BTreeMap::new());
        each_line(nodes_path, |line, text| {
            let (id, at) = node(text).ok_or_else(|| bad_line(nodes_path, line, NODE))?;
            let known = index.insert(id, nodes.len() as u32);
            nodes.push(at);
            known.map_or(Ok(()), |_| Err(bad_line(nodes_path, line, "node with an id of its own")))
        })?;
        let mut roads = Vec::new();
        each_line(roads_path, |line, text| {
            let ids = road(text).ok_or_else(|| bad_line(roads_path, line, ROAD))?;
            let mut ends = [0; 2];
            for (end, node) in ends.iter_mut().zip(ids) {
                let path = roads_path.to_owned();
                let unknown = || RoadError::UnknownNode { path, line, node };
                *end = *index.get(&node).ok_or_else(unknown)?;
            }
            roads.push(Road { ends, pace: 1.0 });
            Ok(())
        })?;
        Self::new(SpaceKind::Sphere, &nodes, &roads)
    }
}

/// Gives every line with content, as text, to `take`.
fn each_line(
    path: &Path,
    mut take: impl FnMut(u64, &str) -> Result<(), RoadError>,
) -> Result<(), RoadError> {
    let mut silent = |_: Progress| ();
    let share = Cell::default();
    let mut meter = Meter::new(0, &mut silent, &share);
    let input = Input::open(path, &mut meter)?;
    let gzip = input.is_gzip();
    let mut lines = Lines::new(input);
    while lines.advance().map_err(|source| ReadError::read(path, gzip, source))? {
        let line = lines.line();
        let text = std::str::from_utf8(line.bytes()).unwrap_or("not text");
        if !line.is_blank() && !text.starts_with('#') {
            take(line.number, text)?;
        }
    }
    Ok(())
}

fn node(text: &str) -> Option<(u64, Coord)> {
    let mut fields = text.split_ascii_whitespace();
    let id = fields.next()?.parse().ok()?;
    let (x, y) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let at = SpaceKind::Sphere.check(Coord { x, y }).ok()?;
    Some((id, at))
}

fn road(text: &str) -> Option<[u64; 2]> {
    let mut fields = text.split_ascii_whitespace().skip(1);
    Some([fields.next()?.parse().ok()?, fields.next()?.parse().ok()?])
}

fn bad_line(path: &Path, line: u64, expected: &'static str) -> RoadError {
    RoadError::Line { path: path.to_owned(), line, expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(nodes: &str, roads: &str) -> Result<RoadGraph, RoadError> {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["nodes", "roads"].map(|name| folder.path().join(name));
        std::fs::write(&paths[0], nodes).unwrap();
        std::fs::write(&paths[1], roads).unwrap();
        RoadGraph::read(&paths[0], &paths[1])
    }

    #[test]
    fn ids_need_not_begin_at_zero() {
        let graph = read("# id lon lat\n7 1.5 2\r\n\n3 1.5 3\n", "0 3 7 0.1\n").unwrap();
        assert_eq!(graph.nodes(), [Coord { x: 1.5, y: 2.0 }, Coord { x: 1.5, y: 3.0 }]);
        assert!((graph.length() - 111_195.08).abs() < 0.01);
    }

    #[test]
    fn bad_lines_are_named() {
        let message = |nodes, roads| read(nodes, roads).unwrap_err().to_string();
        let bad = message("0 1 2\n1 1\n", "");
        assert!(bad.contains("nodes:2: not a node: write id, longitude"), "{bad}");
        let bad = message("0 1 91\n", "");
        assert!(bad.contains("nodes:1: not a node"), "{bad}");
        let bad = message("0 1 2\n0 1 2\n", "");
        assert!(bad.contains("nodes:2: not a node with an id of its own"), "{bad}");
        let bad = message("0 1 2\n", "0 0\n");
        assert!(bad.contains("roads:1: not a road"), "{bad}");
        let bad = message("0 1 2\n", "\n0 0 5 1\n");
        assert!(bad.contains("roads:2: no node 5"), "{bad}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let path = Path::new("/no/such/nodes");
        let error = RoadGraph::read(path, path).unwrap_err();
        assert!(matches!(error, RoadError::Read(ReadError::Open { .. })), "{error}");
    }
}
