//! What a server's data folder is for: settings that may not change while its log lives, and the
//! co-occurrence queries, each an application of its own on the log.
//!
//! One small JSON file, `dunlin.json`, written whole and atomically.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use dunlin_index::SpaceKind;
use dunlin_stream::Guarantee;
use serde::{Deserialize, Serialize};

const FILE: &str = "dunlin.json";

/// The contents of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) space: SpaceName,
    pub(crate) epoch_ms: i64,
    pub(crate) lanes: usize,
    /// Whether starts find checkpoints; not known of folders that were begun before it was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) guarantee: Option<Keeping>,
    /// The number of the next co-occurrence application: no two ever share lanes.
    pub(crate) next: u64,
    pub(crate) cooccurrences: Vec<Stored>,
}

/// A co-occurrence query that stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stored {
    /// Its application is named by it.
    pub(crate) number: u64,
    /// Its JSON.
    pub(crate) query: String,
}

/// A space by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SpaceName {
    Sphere,
    Plane,
}

impl From<SpaceKind> for SpaceName {
    fn from(space: SpaceKind) -> Self {
        match space {
            SpaceKind::Sphere => Self::Sphere,
            SpaceKind::Plane => Self::Plane,
        }
    }
}

/// What a start goes on from: it cannot be one thing once and the other then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Keeping {
    /// From the log's end.
    Gap,
    /// From a checkpoint, and the log behind it.
    #[serde(rename = "precise or rollback")]
    Checkpoints,
}

impl From<Guarantee> for Keeping {
    fn from(guarantee: Guarantee) -> Self {
        match guarantee {
            Guarantee::Gap => Self::Gap,
            Guarantee::Rollback | Guarantee::Precise => Self::Checkpoints,
        }
    }
}

impl fmt::Display for Keeping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gap => "gap",
            Self::Checkpoints => "precise or rollback",
        })
    }
}

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The folder or the file fails.
    #[error("cannot use {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is not what was written.
    #[error("{} does not read: {source}; restore it, or begin with an empty folder", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The log was begun in another way.
    #[error(
        "the data in {} were begun with {name} {there}; use the same, not {here}, or another folder",
        path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// The setting.
        name: &'static str,
        /// What was set then.
        there: String,
        /// What is set now.
        here: String,
    },
}

impl Settings {
    pub(crate) fn new(space: SpaceKind, epoch_ms: i64, lanes: usize, guarantee: Guarantee) -> Self {
        let (space, guarantee) = (space.into(), Some(guarantee.into()));
        Self { space, epoch_ms, lanes, guarantee, next: 0, cooccurrences: Vec::new() }
    }

    /// The settings of a folder, which must fit these; these if the folder is new.
    pub(crate) fn open(self, folder: &Path) -> Result<Self, SettingsError> {
        let path = folder.join(FILE);
        let io = |source| SettingsError::Io { path: path.clone(), source };
        let there: Self = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|source| SettingsError::Damaged { path: path.clone(), source })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(folder).map_err(io)?;
                self.save(folder)?;
                return Ok(self);
            }
            Err(error) => return Err(io(error)),
        };
        for (name, before, wanted) in [
            ("--space", format!("{:?}", there.space), format!("{:?}", self.space)),
            ("--epoch", format!("{}ms", there.epoch_ms), format!("{}ms", self.epoch_ms)),
            ("lanes", there.lanes.to_string(), self.lanes.to_string()),
            ("--guarantee", keeping(there.guarantee.or(self.guarantee)), keeping(self.guarantee)),
        ] {
            if before != wanted {
                let (there, here) = (before.to_lowercase(), wanted.to_lowercase());
                return Err(SettingsError::Changed { path, name, there, here });
            }
        }
        Ok(there)
    }

    /// Writes the file: afterwards it is the old one or the new one, whatever happens.
    pub(crate) fn save(&self, folder: &Path) -> Result<(), SettingsError> {
        let path = folder.join(FILE);
        let text = serde_json::to_vec_pretty(self).expect("settings are JSON");
        let write = || {
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(&text)?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
            fs::File::open(folder)?.sync_all()
        };
        write().map_err(|source: io::Error| SettingsError::Io { path: path.clone(), source })
    }
}

fn keeping(guarantee: Option<Keeping>) -> String {
    guarantee.map(|it| it.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_is_there_and_may_not_change() {
        let folder = tempfile::tempdir().unwrap();
        let new = || Settings::new(SpaceKind::Sphere, 20, 2, Guarantee::Precise);
        let mut settings = new().open(&folder.path().join("deep")).unwrap();
        settings.next = 3;
        settings.cooccurrences.push(Stored { number: 2, query: "{}".to_owned() });
        settings.save(&folder.path().join("deep")).unwrap();
        assert_eq!(new().open(&folder.path().join("deep")).unwrap(), settings);
        let other = Settings::new(SpaceKind::Plane, 20, 2, Guarantee::Precise);
        let error = other.open(&folder.path().join("deep")).unwrap_err().to_string();
        assert!(error.contains("--space sphere") && error.contains("not plane"), "{error}");
        let other = Settings::new(SpaceKind::Sphere, 50, 2, Guarantee::Precise);
        assert!(other.open(&folder.path().join("deep")).unwrap_err().to_string().contains("20ms"));
        let other = Settings::new(SpaceKind::Sphere, 20, 2, Guarantee::Gap);
        let error = other.open(&folder.path().join("deep")).unwrap_err().to_string();
        assert!(
            error.contains("--guarantee precise or rollback; use the same, not gap"),
            "{error}"
        );
        let same = Settings::new(SpaceKind::Sphere, 20, 2, Guarantee::Rollback);
        assert_eq!(same.open(&folder.path().join("deep")).unwrap(), settings);
        // As an older one wrote it.
        let older = Settings { guarantee: None, ..settings.clone() };
        older.save(&folder.path().join("deep")).unwrap();
        assert_eq!(new().open(&folder.path().join("deep")).unwrap(), older);
        fs::write(folder.path().join("deep").join(FILE), "{").unwrap();
        let error = new().open(&folder.path().join("deep")).unwrap_err().to_string();
        assert!(error.contains("does not read"), "{error}");
    }
}
