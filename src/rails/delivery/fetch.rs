//! Messages that lie at a provider: listed, fetched, and done with there.

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::PeerError;
use super::local::CHUNK;
use super::peer::{Peer, within};
use crate::files::Draft;

/// A message that lies at a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteFile {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// When it was changed last, in seconds of its server's clock.
    pub modified: i64,
}

/// A message that was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of it.
    pub sha256: [u8; 32],
}

impl Peer {
    /// Messages that lie at the provider, by name; those that are still written are left out.
    ///
    /// # Errors
    /// See [`PeerError`].
    pub async fn list(&self, folder: &str) -> Result<Vec<RemoteFile>, PeerError> {
        let entries = self.sftp.read_dir(folder).await.map_err(PeerError::of("to list a folder"))?;
        let mut found: Vec<RemoteFile> = entries
            .filter(|entry| entry.file_type().is_file())
            .filter(|entry| !crate::domain::delivery::is_draft(&entry.file_name()))
            .map(|entry| {
                let of = entry.metadata();
                RemoteFile {
                    name: entry.file_name(),
                    bytes: of.len(),
                    modified: of.mtime.map_or(0, i64::from),
                }
            })
            .collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// Fetches a message into a draft here; `None` where it changed meanwhile, for it is still written.
    ///
    /// # Errors
    /// See [`PeerError`].
    pub async fn fetch(
        &self,
        folder: &str,
        file: &RemoteFile,
        into: &Draft,
    ) -> Result<Option<Fetched>, PeerError> {
        let path = within(folder, &file.name);
        let disk = PeerError::disk(into.path());
        let ours = into.file().try_clone().map_err(&disk)?;
        let mut ours = tokio::fs::File::from_std(ours);
        ours.set_max_buf_size(CHUNK);
        let mut theirs = self.sftp.open(&path).await.map_err(PeerError::of("to read a message"))?;
        let (mut hash, mut bytes, mut chunk) = (Sha256::new(), 0u64, vec![0; CHUNK]);
        loop {
            let read = theirs.read(&mut chunk).await.map_err(PeerError::io("reading a message"))?;
            if read == 0 {
                break;
            }
            hash.update(&chunk[..read]);
            bytes += read as u64;
            ours.write_all(&chunk[..read]).await.map_err(&disk)?;
        }
        ours.flush().await.map_err(&disk)?;
        theirs.close().await.map_err(PeerError::io("closing a file"))?;
        let after = self.sftp.metadata(&path).await.map_err(PeerError::of("to look at a message"))?;
        let still = bytes == file.bytes
            && after.len() == file.bytes
            && after.mtime.map_or(0, i64::from) == file.modified;
        Ok(still.then(|| Fetched { bytes, sha256: hash.finalize().into() }))
    }

    /// Moves a message into a folder there; a name that is taken gets a number.
    ///
    /// # Errors
    /// See [`PeerError`].
    pub async fn archive(&self, folder: &str, name: &str, archive: &str) -> Result<(), PeerError> {
        let from = within(folder, name);
        for attempt in 0..100 {
            let to = if attempt == 0 { name.to_owned() } else { format!("{name}.{attempt}") };
            let to = within(archive, &to);
            if self.length(&to).await?.is_none() {
                let refused = PeerError::of("to move a message into its archive");
                return self.sftp.rename(from, to).await.map_err(refused);
            }
        }
        Err(PeerError::Refused { what: "a further message of one name in its archive" })
    }

    /// Deletes a message.
    ///
    /// # Errors
    /// See [`PeerError`].
    pub async fn delete(&self, folder: &str, name: &str) -> Result<(), PeerError> {
        self.sftp.remove_file(within(folder, name)).await.map_err(PeerError::of("to delete a message"))
    }
}
