//! State that outlives a sandbox, as JSON files in the inbox.
//!
//! Guarantee: a file is replaced by rename, so a kill leaves the old or the new.

use std::fs;
use std::io;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::SandboxError;

/// Reads a state file, `None` if there is none.
pub(super) fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, SandboxError> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|source| SandboxError::State { path: path.to_owned(), source }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SandboxError::Io { path: path.to_owned(), source }),
    }
}

/// Replaces a state file.
pub(super) fn save<T: Serialize>(path: &Path, value: &T) -> Result<(), SandboxError> {
    let bytes =
        serde_json::to_vec(value).map_err(|source| SandboxError::State { path: path.to_owned(), source })?;
    let part = path.with_extension("part");
    fs::write(&part, bytes).map_err(SandboxError::io(&part))?;
    fs::rename(&part, path).map_err(SandboxError::io(path))
}
