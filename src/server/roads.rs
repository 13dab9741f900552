//! The roads below the map, as its page takes them.
//!
//! ```text
//! u32 n · u32 0 · f64 x0 · f64 y0 · n × (f32 dx · f32 dy · f32 dx · f32 dy)      little-endian
//! ```

use axum::body::Bytes;
use dunlin_datasets::generate::RoadGraph;
use dunlin_index::Coord;

/// See the module documentation.
pub(super) struct Roads {
    pub(super) bytes: Bytes,
    /// West, south, east and north.
    pub(super) bounds: [f64; 4],
}

impl Roads {
    /// The roads of a network; none if it has none.
    pub(super) fn new(graph: &RoadGraph) -> Option<Self> {
        let segments: Vec<[Coord; 2]> = graph.segments().collect();
        let origin = segments.first()?[0];
        let count = u32::try_from(segments.len()).ok()?;
        let mut bytes = Vec::with_capacity(24 + 16 * segments.len());
        bytes.extend_from_slice(&count.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&origin.x.to_le_bytes());
        bytes.extend_from_slice(&origin.y.to_le_bytes());
        let mut bounds = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
        for at in segments.iter().flatten() {
            bytes.extend_from_slice(&((at.x - origin.x) as f32).to_le_bytes());
            bytes.extend_from_slice(&((at.y - origin.y) as f32).to_le_bytes());
            let [west, south, east, north] = bounds;
            bounds = [west.min(at.x), south.min(at.y), east.max(at.x), north.max(at.y)];
        }
        Some(Self { bytes: bytes.into(), bounds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dunlin_datasets::generate::Road;
    use dunlin_index::SpaceKind;

    #[test]
    fn every_road_is_there_once() {
        let nodes = [(1.0, 2.0), (1.5, 2.0), (1.0, 4.0)].map(Coord::from);
        let road = |from, to| Road { ends: [from, to], pace: 1.0 };
        let graph = RoadGraph::new(SpaceKind::Plane, &nodes, &[road(1, 0), road(0, 2)]).unwrap();
        let roads = Roads::new(&graph).unwrap();
        assert_eq!(roads.bounds, [1.0, 2.0, 1.5, 4.0]);
        assert_eq!(roads.bytes[..8], [2, 0, 0, 0, 0, 0, 0, 0]);
        let floats: Vec<f32> = roads.bytes[24..]
            .chunks(4)
            .map(|it| f32::from_le_bytes(it.try_into().unwrap()))
            .collect();
        assert_eq!(floats, [0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 2.0]);
        assert!(Roads::new(&RoadGraph::new(SpaceKind::Plane, &nodes, &[]).unwrap()).is_none());
    }
}
