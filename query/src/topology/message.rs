//! What shards tell each other in the rounds of an epoch.

use dunlin_index::Coord;
use dunlin_stream::Strings;
use serde::{Deserialize, Serialize};

/// A message from one shard to another.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ShardMessage {
    /// Round 0: what queries of the sender ask about the receiver's objects.
    pub(super) asks: Vec<Ask>,
    /// Round 0: queries whose object went to the receiver, with the ids that they last told.
    pub(super) told: Vec<(u32, Vec<u32>)>,
    /// Round 0, to the first shard: new queries whose object the sender has.
    pub(super) claims: Vec<u32>,
    /// Round 1: the objects asked for, their names beside them.
    pub(super) found: Vec<Found>,
    pub(super) names: Strings,
}

/// Asks for the objects of a query from a position up to a key.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Ask {
    pub(super) query: u32,
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) bound: f64,
}

/// An object that may be in the answer of a query.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Found {
    pub(super) query: u32,
    pub(super) id: u32,
    pub(super) key: f64,
    pub(super) x: f64,
    pub(super) y: f64,
}

impl ShardMessage {
    pub(super) fn is_empty(&self) -> bool {
        self.asks.is_empty()
            && self.told.is_empty()
            && self.claims.is_empty()
            && self.found.is_empty()
    }
}

impl Ask {
    pub(super) fn at(&self) -> Coord {
        Coord { x: self.x, y: self.y }
    }
}

impl Found {
    pub(super) fn at(&self) -> Coord {
        Coord { x: self.x, y: self.y }
    }
}
