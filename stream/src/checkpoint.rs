//! Checkpoints: the states of all tasks at the end of an epoch, as immutable objects.
//!
//! ```text
//! <epoch>/lane-0-0 … <epoch>/shard-0-0 …  the state of each task, in parts of a few megabytes
//! <epoch>/manifest                        last: what there is, with lengths and checksums
//! ```
//!
//! No more than a part of a state is in memory beside what it is made of. A checkpoint counts once
//! its manifest is there. On the way back every object is compared with its manifest, and a
//! checkpoint with any flaw is passed over for the one before it. The state at the end of an epoch
//! is a function of the log, so writing a checkpoint again changes nothing.
//!
//! Where objects live is the business of the crate `object_store`: a folder, memory, a bucket. In a
//! folder they are synced before the manifest is written, for the log is cut by what it says.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::executor::block_on;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt, PutPayloadMut};
use serde::{Deserialize, Serialize};

use crate::Epoch;
use crate::engine::{EngineHead, EngineState, FrozenEngine};
use crate::log::LogError;
use crate::wire::{self, Chunks, DecodeError, Frozen, Stopped};

/// Where one lane of the input goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LanePosition {
    /// The number of the first batch that was not applied.
    pub next: u64,
    /// The epoch of the last batch that was.
    pub last: Option<Epoch>,
}

/// Everything that a restart needs, beside the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last epoch that was applied.
    pub epoch: Epoch,
    /// Where the lanes go on.
    pub positions: Vec<LanePosition>,
    /// The states of the tasks.
    pub state: EngineState,
}

#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    epoch: Epoch,
    positions: Vec<LanePosition>,
    head: EngineHead,
    /// The parts of each state.
    lanes: Vec<Vec<Part>>,
    shards: Vec<Vec<Part>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Part {
    bytes: u64,
    checksum: u32,
}

/// A checkpoint whose states are not yet in bytes.
pub struct FrozenCheckpoint {
    /// The last epoch that it contains.
    pub epoch: Epoch,
    /// Where the next epoch begins, by lane.
    pub positions: Vec<LanePosition>,
    /// The states of all tasks.
    pub state: FrozenEngine,
}

impl From<Checkpoint> for FrozenCheckpoint {
    fn from(Checkpoint { epoch, positions, state }: Checkpoint) -> Self {
        Self { epoch, positions, state: state.into() }
    }
}

/// Why a checkpoint could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The store failed.
    #[error("the checkpoint store: {0}")]
    Store(#[from] object_store::Error),
    /// The folder of the store failed.
    #[error("the checkpoint folder: {0}")]
    Folder(#[from] io::Error),
    /// The log, which is synced before and cut after, failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// An object is not what was written.
    #[error("checkpoint object {name}: {source}")]
    Damaged {
        /// The object.
        name: String,
        /// What is wrong with it.
        source: DecodeError,
    },
}

/// A checkpoint that cannot be used, and why.
#[derive(Debug)]
pub struct Unusable {
    /// The epoch in its name.
    pub epoch: Epoch,
    /// What is wrong with it.
    pub error: CheckpointError,
}

/// Checkpoints of one application, in one store.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    store: Arc<dyn ObjectStore>,
    /// The store's folder, if it is one.
    folder: Option<PathBuf>,
}

/// The last part of a manifest's name.
const MANIFEST: &str = "manifest";
/// The bytes of a part, but for the last of a state.
const PART_BYTES: usize = 4 << 20;

impl Checkpoints {
    /// Checkpoints in a folder, which is made if it is not there.
    ///
    /// # Errors
    /// A folder that cannot be made or used.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Result<Self, CheckpointError> {
        let folder = folder.into();
        std::fs::create_dir_all(&folder)?;
        let store = LocalFileSystem::new_with_prefix(&folder)?.with_automatic_cleanup(true);
        Ok(Self { store: Arc::new(store), folder: Some(folder) })
    }

    /// Checkpoints in any store, which is taken to keep what it says it has stored.
    #[must_use]
    pub fn in_store(store: Arc<dyn ObjectStore>) -> Self {
        Self { store, folder: None }
    }

    /// Others in the same store, under a name of their own.
    ///
    /// # Errors
    /// As [`Checkpoints::in_folder`].
    pub(crate) fn under(self, name: &str) -> Result<Self, CheckpointError> {
        match self.folder {
            Some(folder) => Self::in_folder(folder.join(name)),
            None => Ok(Self::in_store(Arc::new(PrefixStore::new(self.store, name)))),
        }
    }

    /// Writes a checkpoint and returns its size in bytes.
    ///
    /// # Errors
    /// [`CheckpointError::Store`], [`CheckpointError::Folder`]; the checkpoint does not count then.
    pub fn write(&self, checkpoint: impl Into<FrozenCheckpoint>) -> Result<u64, CheckpointError> {
        let FrozenCheckpoint { epoch, positions, state } = checkpoint.into();
        let FrozenEngine { head, lanes, shards } = state;
        let write = |kind: &str, states: Vec<Frozen>| -> Result<Vec<Vec<Part>>, CheckpointError> {
            let named = (0..).map(|number| format!("{kind}-{number}")).zip(states);
            named.map(|(of, state)| self.write_state(epoch, &of, state)).collect()
        };
        let lanes = write("lane", lanes)?;
        let shards = write("shard", shards)?;
        let bytes = lanes.iter().chain(&shards).flatten().map(|part| part.bytes).sum();
        self.sync_names(epoch)?;
        let manifest = Manifest { epoch, positions, head, lanes, shards };
        self.put(&name(epoch, MANIFEST), wire::encode(&manifest))?;
        self.sync_names(epoch)?;
        Ok(bytes)
    }

    fn write_state(
        &self,
        epoch: Epoch,
        of: &str,
        state: Frozen,
    ) -> Result<Vec<Part>, CheckpointError> {
        let (mut parts, mut open) = (Vec::new(), Vec::new());
        let mut close = |payload: Vec<u8>| {
            let name = name(epoch, &format!("{of}-{}", parts.len()));
            parts.push(Part { bytes: payload.len() as u64, checksum: wire::checksum(&payload) });
            self.put(&name, payload)
        };
        let mut failed = None;
        let mut take = |chunk: &[u8]| {
            open.extend_from_slice(chunk);
            if open.len() >= PART_BYTES
                && let Err(error) = close(std::mem::take(&mut open))
            {
                failed = Some(error);
                return Err(Stopped);
            }
            Ok(())
        };
        let mut chunks = Chunks::new(&mut take);
        let written = state.write(&mut chunks).and_then(|()| chunks.finish());
        if let Some(error) = failed {
            return Err(error);
        }
        written.expect("who does not fail takes all");
        close(open)?;
        Ok(parts)
    }

    /// Stores a payload in a frame.
    fn put(&self, name: &Path, payload: Vec<u8>) -> Result<(), CheckpointError> {
        let mut framed = PutPayloadMut::new();
        framed.push(wire::frame_header(&payload).to_vec().into());
        framed.push(payload.into());
        block_on(self.store.put(name, framed.freeze()))?;
        if let Some(folder) = &self.folder {
            File::open(folder.join(name.as_ref()))?.sync_all()?;
        }
        Ok(())
    }

    /// The names of an epoch's objects survive as the objects do.
    fn sync_names(&self, epoch: Epoch) -> Result<(), CheckpointError> {
        if let Some(folder) = &self.folder {
            let manifest = folder.join(name(epoch, MANIFEST).as_ref());
            for above in manifest.ancestors().skip(1).take(2) {
                File::open(above)?.sync_all()?;
            }
        }
        Ok(())
    }

    /// The epochs of the checkpoints that have a manifest, newest first.
    ///
    /// # Errors
    /// [`CheckpointError::Store`].
    pub fn epochs(&self) -> Result<Vec<Epoch>, CheckpointError> {
        let objects: Vec<_> = block_on(self.store.list(None).try_collect())?;
        let manifests = objects.iter().filter(|it| it.location.filename() == Some(MANIFEST));
        let mut epochs: Vec<Epoch> = manifests.filter_map(|it| epoch_of(&it.location)).collect();
        epochs.sort_unstable_by(|a, b| b.cmp(a));
        Ok(epochs)
    }

    /// The newest checkpoint without a flaw, and those that were passed over for it.
    ///
    /// # Errors
    /// [`CheckpointError::Store`] if the store cannot say what there is.
    pub fn newest(&self) -> Result<(Option<Checkpoint>, Vec<Unusable>), CheckpointError> {
        let mut unusable = Vec::new();
        for epoch in self.epochs()? {
            match self.read(epoch) {
                Ok(checkpoint) => return Ok((Some(checkpoint), unusable)),
                Err(error) => unusable.push(Unusable { epoch, error }),
            }
        }
        Ok((None, unusable))
    }

    /// The checkpoint of an epoch.
    ///
    /// # Errors
    /// Objects that are missing, damaged, or cannot be read.
    pub fn read(&self, epoch: Epoch) -> Result<Checkpoint, CheckpointError> {
        let at = name(epoch, MANIFEST);
        let bytes = self.get(&at)?;
        let manifest = wire::unframe(&bytes).and_then(wire::decode::<Manifest>);
        let Manifest { positions, head, lanes, shards, epoch: written } =
            manifest.map_err(|source| damaged(&at, source))?;
        if written != epoch {
            let what = format!("the manifest of epoch {}", written.0);
            return Err(damaged(&at, DecodeError::Value(what)));
        }
        let read = |kind: &str, states: &[Vec<Part>]| -> Result<Vec<Vec<u8>>, CheckpointError> {
            let named = (0..).map(|number| format!("{kind}-{number}")).zip(states);
            named.map(|(of, parts)| self.read_state(epoch, &of, parts)).collect()
        };
        let lanes = read("lane", &lanes)?;
        let shards = read("shard", &shards)?;
        Ok(Checkpoint { epoch, positions, state: EngineState { head, lanes, shards } })
    }

    fn read_state(
        &self,
        epoch: Epoch,
        of: &str,
        parts: &[Part],
    ) -> Result<Vec<u8>, CheckpointError> {
        let mut state = Vec::new();
        for (number, part) in parts.iter().enumerate() {
            let name = name(epoch, &format!("{of}-{number}"));
            let bytes = self.get(&name)?;
            let payload = wire::unframe(&bytes).map_err(|source| damaged(&name, source))?;
            if (payload.len() as u64, wire::checksum(payload)) != (part.bytes, part.checksum) {
                return Err(damaged(&name, DecodeError::Checksum));
            }
            state.extend_from_slice(payload);
        }
        Ok(state)
    }

    fn get(&self, name: &Path) -> Result<Bytes, CheckpointError> {
        Ok(block_on(async { self.store.get(name).await?.bytes().await })?)
    }

    /// Deletes all checkpoints before an epoch: their manifests first, so that none counts half.
    ///
    /// # Errors
    /// [`CheckpointError::Store`]; what is left is deleted the next time.
    pub fn delete_before(&self, epoch: Epoch) -> Result<(), CheckpointError> {
        let objects: Vec<_> = block_on(self.store.list(None).try_collect())?;
        let old = |location: &Path| epoch_of(location).is_some_and(|it| it < epoch);
        let mut old: Vec<Path> =
            objects.into_iter().map(|it| it.location).filter(|location| old(location)).collect();
        old.sort_by_key(|location| location.filename() != Some(MANIFEST));
        for location in old {
            block_on(self.store.delete(&location))?;
        }
        Ok(())
    }
}

fn damaged(name: &Path, source: DecodeError) -> CheckpointError {
    CheckpointError::Damaged { name: name.to_string(), source }
}

/// The name of an object of an epoch's checkpoint; names are ordered as their epochs.
fn name(epoch: Epoch, what: &str) -> Path {
    Path::from(format!("{:016x}/{what}", epoch.0 ^ i64::MIN))
}

fn epoch_of(location: &Path) -> Option<Epoch> {
    let first = location.parts().next()?;
    let number = u64::from_str_radix(first.as_ref(), 16).ok()?;
    Some(Epoch(number as i64 ^ i64::MIN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ShardTable;
    use object_store::memory::InMemory;

    fn checkpoint(epoch: i64) -> Checkpoint {
        let head = EngineHead { table: ShardTable::even(2), watermark: None };
        let lanes = vec![b"lane".to_vec(), Vec::new()];
        let shards = vec![vec![epoch as u8; 1_000], b"s".to_vec()];
        let position = LanePosition { next: 7, last: Some(Epoch(epoch)) };
        let state = EngineState { head, lanes, shards };
        Checkpoint { epoch: Epoch(epoch), positions: vec![position; 2], state }
    }

    fn both_stores() -> (tempfile::TempDir, [Checkpoints; 2]) {
        let folder = tempfile::tempdir().unwrap();
        let local = Checkpoints::in_folder(folder.path()).unwrap();
        (folder, [local, Checkpoints::in_store(Arc::new(InMemory::new()))])
    }

    #[test]
    fn the_newest_is_found_and_older_ones_can_go() {
        let (_folder, stores) = both_stores();
        for store in stores {
            assert!(store.newest().unwrap().0.is_none());
            for epoch in [-5, 3, 200, 20] {
                store.write(checkpoint(epoch)).unwrap();
            }
            assert_eq!(store.newest().unwrap().0, Some(checkpoint(200)));
            store.delete_before(Epoch(20)).unwrap();
            assert_eq!(store.epochs().unwrap(), [Epoch(200), Epoch(20)]);
            assert_eq!(store.read(Epoch(20)).unwrap(), checkpoint(20));
        }
    }

    #[test]
    fn a_great_state_lies_in_parts() {
        let mut great = checkpoint(9);
        let state: Vec<u8> = (0..3 * PART_BYTES as u32 + 5).map(|it| (it / 3) as u8).collect();
        great.state.shards[1] = state;
        let (folder, stores) = both_stores();
        for store in stores {
            let bytes = store.write(great.clone()).unwrap();
            assert_eq!(bytes as usize, 4 + 1_000 + 3 * PART_BYTES + 5);
            assert_eq!(store.newest().unwrap().0, Some(great.clone()));
        }
        let files = std::fs::read_dir(folder.path().join(name(Epoch(9), "").as_ref())).unwrap();
        let mut names: Vec<_> = files.map(|it| it.unwrap().file_name()).collect();
        names.sort();
        let parts = ["shard-1-0", "shard-1-1", "shard-1-2", "shard-1-3"];
        assert_eq!(names[..4], ["lane-0-0", "lane-1-0", "manifest", "shard-0-0"]);
        assert_eq!(names[4..], parts);
    }

    #[test]
    fn any_flipped_bit_or_missing_object_sends_back_to_the_one_before() {
        let (folder, [store, _]) = both_stores();
        store.write(checkpoint(1)).unwrap();
        store.write(checkpoint(2)).unwrap();
        let newest = folder.path().join(name(Epoch(2), "").as_ref());
        for file in std::fs::read_dir(&newest).unwrap().map(|file| file.unwrap().path()) {
            let whole = std::fs::read(&file).unwrap();
            for at in (0..whole.len()).step_by(3) {
                let mut bytes = whole.clone();
                bytes[at] ^= 4;
                std::fs::write(&file, &bytes).unwrap();
                let (found, unusable) = store.newest().unwrap();
                assert_eq!(found, Some(checkpoint(1)), "{} {at}", file.display());
                assert_eq!(unusable.len(), 1);
                std::fs::write(&file, &whole[..at]).unwrap();
                assert_eq!(store.newest().unwrap().0, Some(checkpoint(1)));
            }
            std::fs::remove_file(&file).unwrap();
            assert_eq!(store.newest().unwrap().0, Some(checkpoint(1)), "{}", file.display());
            std::fs::write(&file, &whole).unwrap();
        }
        assert_eq!(store.newest().unwrap().0, Some(checkpoint(2)));
    }
}
