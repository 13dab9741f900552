//! How a server runs, and where what it keeps lies.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use dunlin_datasets::generate::RoadGraph;
use dunlin_index::SpaceKind;
use dunlin_stream::Guarantee;
use dunlin_stream::checkpoint::{CheckpointError, Checkpoints};
use dunlin_stream::log::{LocalLog, LocalOptions, Log, LogError, MemoryLog, SyncPolicy};

use super::connection::TlsFiles;
use super::tiles::TileServer;

/// How a server runs.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Where HTTP is served; port 0 is any that is free.
    pub http: SocketAddr,
    /// Where gRPC is served.
    pub grpc: SocketAddr,
    /// The folder of log, checkpoints and settings; without one nothing is kept.
    pub data: Option<PathBuf>,
    /// The space of the positions.
    pub space: SpaceKind,
    /// The length of epochs, in milliseconds.
    pub epoch_ms: i64,
    /// Objects that are silent for longer leave, in milliseconds.
    pub ttl_ms: i64,
    /// What a restart does.
    pub guarantee: Guarantee,
    /// When the log is synced.
    pub sync: SyncPolicy,
    /// How many shards the space is cut into when there are objects enough.
    pub shards: usize,
    /// The certificate to serve under; without one nothing is encrypted.
    pub tls: Option<TlsFiles>,
    /// The file of bearer tokens; without one everybody may read and write. See the README.
    pub tokens: Option<PathBuf>,
    /// The roads to draw the map on.
    pub roads: Option<Arc<RoadGraph>>,
    /// Whose tiles to draw the map on; only on the sphere. Whoever looks at the map asks for them.
    pub tiles: Option<TileServer>,
    /// What one client may ask for.
    pub limits: Limits,
}

/// What clients may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a request.
    pub body_bytes_max: usize,
    /// Positions in the log that were not applied yet: with more of them, what comes waits or is
    /// dropped, as its sender says.
    pub credit_records: u64,
    /// Objects whose newest position waits outside the log when that is what its sender says.
    pub held_max: usize,
    /// How far event times may be ahead of the server's clock, in milliseconds.
    pub skew_ms: i64,
    /// Standing queries.
    pub queries_max: usize,
    /// Neighbours of a query.
    pub k_max: usize,
    /// Vertices of a query's area.
    pub vertices_max: usize,
    /// Bytes of an id of a query or an object.
    pub name_bytes_max: usize,
    /// Subscribers of one query.
    pub subscribers_per_query_max: usize,
    /// Subscribers of all queries.
    pub subscribers_max: usize,
    /// Open connections over HTTP, and as many over gRPC.
    pub connections_max: usize,
    /// Open maps.
    pub maps_max: usize,
    /// Open streams of batches over gRPC.
    pub feeds_max: usize,
    /// Bytes of all requests that are being read or worked on.
    pub bodies_bytes_max: usize,
    /// Bytes of a query.
    pub query_bytes_max: usize,
    /// Bytes of all queries.
    pub queries_bytes_max: usize,
    /// Milliseconds for the head of a request, also of the next one of a connection that idles.
    pub head_ms_max: u64,
    /// Milliseconds for the body of a request.
    pub body_ms_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 16 << 20,
            credit_records: 1_000_000,
            held_max: 1_000_000,
            skew_ms: 60_000,
            queries_max: 100_000,
            k_max: 10_000,
            vertices_max: 10_000,
            name_bytes_max: 256,
            subscribers_per_query_max: 1_000,
            subscribers_max: 20_000,
            connections_max: 30_000,
            maps_max: 32,
            feeds_max: 256,
            bodies_bytes_max: 512 << 20,
            query_bytes_max: 512 << 10,
            queries_bytes_max: 256 << 20,
            head_ms_max: 30_000,
            body_ms_max: 30_000,
        }
    }
}

impl Default for ServeOptions {
    /// On the loopback interface, ports 7878 and 7879, in memory, exactly once, on the sphere;
    /// epochs of 20 ms; objects leave after ten minutes of silence.
    fn default() -> Self {
        Self {
            http: SocketAddr::from(([127, 0, 0, 1], 7878)),
            grpc: SocketAddr::from(([127, 0, 0, 1], 7879)),
            data: None,
            space: SpaceKind::Sphere,
            epoch_ms: 20,
            ttl_ms: 600_000,
            guarantee: Guarantee::Precise,
            sync: SyncPolicy::Interval(std::time::Duration::from_millis(50)),
            shards: 1,
            tls: None,
            tokens: None,
            roads: None,
            tiles: None,
            limits: Limits::default(),
        }
    }
}

/// Where all applications of a server keep what they keep.
pub(crate) struct Storage {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) data: Option<PathBuf>,
    pub(crate) guarantee: Guarantee,
    pub(crate) sync: SyncPolicy,
}

impl Storage {
    pub(super) fn open(options: &ServeOptions) -> Result<Self, LogError> {
        let log: Arc<dyn Log> = match &options.data {
            Some(folder) => Arc::new(LocalLog::open(folder.join("log"), &LocalOptions::default())?),
            None => Arc::new(MemoryLog::default()),
        };
        let (data, guarantee, sync) = (options.data.clone(), options.guarantee, options.sync);
        Ok(Self { log, data, guarantee, sync })
    }

    /// The checkpoints of an application.
    pub(super) fn checkpoints(&self, name: &str) -> Result<Option<Checkpoints>, CheckpointError> {
        let folder = self.data.as_ref().map(|data| data.join("checkpoints").join(name));
        folder.map(Checkpoints::in_folder).transpose()
    }

    /// Deletes the checkpoints of an application that has ended for ever.
    pub(super) fn forget_checkpoints(&self, name: &str) -> std::io::Result<()> {
        let Some(data) = &self.data else { return Ok(()) };
        std::fs::remove_dir_all(data.join("checkpoints").join(name))
    }
}
