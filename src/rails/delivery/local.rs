//! A file of ours that is to be brought somewhere, and what is known of it.

use std::path::PathBuf;

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::PeerError;
use crate::files;

/// Bytes that are read at once.
pub(super) const CHUNK: usize = 1 << 18;

/// A file of ours as it was recorded.
#[derive(Clone, Debug)]
pub struct LocalFile {
    /// Where it lies.
    pub path: PathBuf,
    /// Its name, here and there.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of it.
    pub sha256: [u8; 32],
}

impl LocalFile {
    /// Opens it, where it is still as long as was recorded.
    pub(super) async fn open(&self) -> Result<tokio::fs::File, PeerError> {
        let path = self.path.clone();
        let opened = tokio::task::spawn_blocking(move || files::open(&path)).await;
        let file = opened.expect("opening does not panic").map_err(PeerError::disk(&self.path))?;
        let found = file.metadata().map_err(PeerError::disk(&self.path))?;
        if found.len() != self.bytes {
            return Err(PeerError::Changed(self.path.clone()));
        }
        let mut file = tokio::fs::File::from_std(file);
        file.set_max_buf_size(CHUNK);
        Ok(file)
    }
}

/// Reads `bytes` of a stream, or to its end: their hash so far, and how many came.
pub(super) async fn hash_of(
    source: &mut (impl AsyncRead + Unpin),
    bytes: u64,
) -> std::io::Result<(Sha256, u64)> {
    let (mut hash, mut done, mut chunk) = (Sha256::new(), 0, vec![0; CHUNK]);
    while done < bytes {
        let room = usize::try_from(bytes - done).unwrap_or(CHUNK).min(CHUNK);
        let read = source.read(&mut chunk[..room]).await?;
        if read == 0 {
            break;
        }
        hash.update(&chunk[..read]);
        done += read as u64;
    }
    Ok((hash, done))
}
