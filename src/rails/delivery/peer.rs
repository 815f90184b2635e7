//! A provider's SFTP server: logged in at, looked at, written to, fetched from.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate, decode_secret_key};
use russh::{Disconnect, Preferred, cipher, client};
use russh_sftp::client::error::Error as SftpError;
use russh_sftp::client::{Config, SftpSession};
use russh_sftp::protocol::{OpenFlags, StatusCode};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use super::PeerError;
use super::local::{CHUNK, LocalFile, hash_of};
use crate::domain::delivery::{DeliveryTerms, Lies, draft_name};
use crate::files;

/// Requests under way at once for one file, as many as OpenSSH's own client has.
const REQUESTS_AT_ONCE: usize = 64;
/// Bytes of one write: larger ones are refused by servers that keep to the protocol's minimum.
const WRITE_MAX: u32 = 32 * 1024;
/// Names that are tried for a file that is not whole, where one that lies there cannot be written over.
const DRAFTS_MAX: u8 = 9;

/// Ciphers that prove what they carry, AES first: processors do it in hardware.
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_256_GCM,
    cipher::AES_128_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

/// A connection to a provider's server.
pub struct Peer {
    pub(super) sftp: SftpSession,
    connection: client::Handle<Pinned>,
    host: String,
    terms: DeliveryTerms,
}

/// Believes the host keys that were agreed.
struct Pinned {
    agreed: Vec<String>,
    shown: Arc<std::sync::Mutex<Option<String>>>,
}

impl client::Handler for Pinned {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        // A certificate is not what was agreed, whoever signed it.
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else { return Ok(false) };
        let found = key.fingerprint(HashAlg::Sha256).to_string();
        let agreed = self.agreed.contains(&found);
        *self.shown.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(found);
        Ok(agreed)
    }
}

impl Peer {
    /// Logs in at the first of the hosts that answers.
    ///
    /// # Errors
    /// What the last of them said; at once where our key cannot be read.
    pub async fn connect(terms: &DeliveryTerms, key: &Path) -> Result<Self, PeerError> {
        let key = Arc::new(read_key(key)?);
        let mut last = None;
        for host in &terms.hosts {
            let limit = Duration::from_secs(u64::from(terms.timeout_s));
            match tokio::time::timeout(limit, Self::log_in(terms, host, Arc::clone(&key))).await {
                Ok(Ok(peer)) => return Ok(peer),
                Ok(Err(error)) => {
                    tracing::warn!(
                        host,
                        error = crate::domain::hint::chain(&error),
                        "a host was passed over"
                    );
                    last = Some(error);
                }
                Err(_) => {
                    last =
                        Some(PeerError::Unreachable { host: host.clone(), source: "it was too slow".into() });
                }
            }
        }
        Err(last.unwrap_or_else(|| PeerError::Unreachable { host: String::new(), source: "no host".into() }))
    }

    async fn log_in(terms: &DeliveryTerms, host: &str, key: Arc<PrivateKey>) -> Result<Self, PeerError> {
        let unreachable =
            |source: russh::Error| PeerError::Unreachable { host: host.into(), source: Box::new(source) };
        let limit = Duration::from_secs(u64::from(terms.timeout_s));
        let config = client::Config {
            inactivity_timeout: None,
            keepalive_interval: Some(limit / 3),
            keepalive_max: 2,
            nodelay: true,
            preferred: Preferred { cipher: CIPHERS.into(), ..Preferred::default() },
            ..client::Config::default()
        };
        let shown = Arc::default();
        let handler = Pinned { agreed: terms.host_keys.clone(), shown: Arc::clone(&shown) };
        let connected = client::connect(Arc::new(config), host, handler).await;
        let mut connection = match connected {
            Err(russh::Error::UnknownKey) => {
                let shown = shown.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
                let found = shown.unwrap_or_else(|| "that is a certificate".into());
                return Err(PeerError::HostKey { host: host.into(), found });
            }
            connected => connected.map_err(unreachable)?,
        };
        let key = PrivateKeyWithHashAlg::new(key, None);
        if !connection.authenticate_publickey(&terms.user, key).await.map_err(unreachable)?.success() {
            return Err(PeerError::Login { host: host.into(), user: terms.user.clone() });
        }
        let channel = connection.channel_open_session().await.map_err(unreachable)?;
        channel.request_subsystem(true, "sftp").await.map_err(unreachable)?;
        let config = Config {
            max_concurrent_reads: REQUESTS_AT_ONCE,
            max_concurrent_writes: REQUESTS_AT_ONCE,
            max_write_packet_len: WRITE_MAX,
            request_timeout_secs: u64::from(terms.timeout_s),
            ..Config::default()
        };
        let sftp = SftpSession::new_with_config(channel.into_stream(), config)
            .await
            .map_err(PeerError::of("to open a session for files"))?;
        Ok(Self { sftp, connection, host: host.to_owned(), terms: terms.clone() })
    }

    /// The host that answered.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Ends the connection in good order.
    pub async fn close(self) {
        let _ = self.sftp.close().await;
        // It is gone either way.
        let _ = self.connection.disconnect(Disconnect::ByApplication, "", "").await;
    }

    /// What lies there under a file's own name, and under the name that it bears while it is not whole.
    ///
    /// # Errors
    /// See [`PeerError`].
    pub async fn look(&self, file: &LocalFile) -> Result<(Lies, Lies, String), PeerError> {
        let named = self.lies(&self.in_upload(&file.name), file).await?;
        let mut draft = draft_name(&file.name, 0);
        if !self.terms.renames {
            return Ok((named, Lies::Nothing, draft));
        }
        for attempt in 0..DRAFTS_MAX {
            draft = draft_name(&file.name, attempt);
            let lies = self.lies(&self.in_upload(&draft), file).await?;
            // What lies there is gone on with, or written over, where the server lets us: else the next name is tried.
            if matches!(lies, Lies::Nothing | Lies::Whole) || self.may_write_over(&draft).await? {
                return Ok((named, lies, draft));
            }
        }
        Err(PeerError::Refused { what: "a file to be written over, nor a further name" })
    }

    async fn may_write_over(&self, draft: &str) -> Result<bool, PeerError> {
        match self.sftp.open_with_flags(self.in_upload(draft), OpenFlags::WRITE).await {
            Ok(open) => {
                open.close().await.map_err(PeerError::io("closing a file"))?;
                Ok(true)
            }
            Err(SftpError::Status(_)) => Ok(false),
            Err(error) => Err(PeerError::of("to write over a file")(error)),
        }
    }

    /// What lies there under a name, compared with a file of ours.
    async fn lies(&self, path: &str, file: &LocalFile) -> Result<Lies, PeerError> {
        let Some(length) = self.length(path).await? else { return Ok(Lies::Nothing) };
        if length > file.bytes {
            return Ok(Lies::Other);
        }
        if !self.terms.reads_back {
            return Ok(if length == file.bytes { Lies::Whole } else { Lies::Other });
        }
        let theirs = self.hash(path, length).await?;
        let mut ours = file.open().await?;
        let (ours, _) = hash_of(&mut ours, length).await.map_err(PeerError::disk(&file.path))?;
        Ok(match theirs == <[u8; 32]>::from(ours.finalize()) {
            false => Lies::Other,
            true if length == file.bytes => Lies::Whole,
            true => Lies::Part(length),
        })
    }

    pub(super) async fn length(&self, path: &str) -> Result<Option<u64>, PeerError> {
        match self.sftp.metadata(path).await {
            Ok(found) => Ok(Some(found.len())),
            Err(SftpError::Status(status)) if status.status_code == StatusCode::NoSuchFile => Ok(None),
            Err(error) => Err(PeerError::of("to look at a file")(error)),
        }
    }

    async fn hash(&self, path: &str, length: u64) -> Result<[u8; 32], PeerError> {
        let mut theirs = self.sftp.open(path).await.map_err(PeerError::of("to read a file back"))?;
        let (hash, read) =
            hash_of(&mut theirs, length).await.map_err(PeerError::io("reading a file back"))?;
        theirs.close().await.map_err(PeerError::io("closing a file"))?;
        if read == length { Ok(hash.finalize().into()) } else { Err(PeerError::ReadBack) }
    }

    /// Brings a file's bytes from `from` on to the end, under `name` in the folder for what is brought, and compares what lies there
    /// then.
    ///
    /// # Errors
    /// See [`PeerError`].
    pub async fn bring(&self, file: &LocalFile, name: &str, from: u64) -> Result<(), PeerError> {
        let mut ours = file.open().await?;
        // The whole of it is hashed, what was brought before too: nothing leaves that is not what was recorded.
        let (mut hash, _) = hash_of(&mut ours, from).await.map_err(PeerError::disk(&file.path))?;
        let path = self.in_upload(name);
        let mut flags = OpenFlags::WRITE | OpenFlags::CREATE;
        if from == 0 {
            flags |= OpenFlags::TRUNCATE;
        }
        let mut theirs =
            self.sftp.open_with_flags(&path, flags).await.map_err(PeerError::of("to write a file"))?;
        theirs.seek(std::io::SeekFrom::Start(from)).await.map_err(PeerError::io("writing a file"))?;
        let (mut chunk, mut done) = (vec![0; CHUNK], from);
        loop {
            let read = ours.read(&mut chunk).await.map_err(PeerError::disk(&file.path))?;
            if read == 0 {
                break;
            }
            hash.update(&chunk[..read]);
            done += read as u64;
            theirs.write_all(&chunk[..read]).await.map_err(PeerError::io("writing a file"))?;
        }
        if done != file.bytes || <[u8; 32]>::from(hash.finalize()) != file.sha256 {
            return Err(PeerError::Changed(file.path.clone()));
        }
        theirs.flush().await.map_err(PeerError::io("writing a file"))?;
        theirs.sync_all().await.map_err(PeerError::of("to write a file to its disk"))?;
        theirs.close().await.map_err(PeerError::io("closing a file"))?;
        let length = self.length(&path).await?;
        let same = length == Some(file.bytes)
            && (!self.terms.reads_back || self.hash(&path, file.bytes).await? == file.sha256);
        if same { Ok(()) } else { Err(PeerError::ReadBack) }
    }

    /// Lays something small beside a file: false where other bytes lie there.
    ///
    /// # Errors
    /// See [`PeerError`].
    pub async fn lay(&self, name: &str, content: &[u8]) -> Result<bool, PeerError> {
        let path = self.in_upload(name);
        if let Some(length) = self.length(&path).await? {
            let compared = self.terms.reads_back;
            return Ok(length == content.len() as u64
                && (!compared
                    || self.hash(&path, length).await? == <[u8; 32]>::from(Sha256::digest(content))));
        }
        let draft = if self.terms.renames { draft_name(name, 0) } else { name.to_owned() };
        let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::TRUNCATE;
        let opened = self.sftp.open_with_flags(self.in_upload(&draft), flags).await;
        let mut open = opened.map_err(PeerError::of("to write a file"))?;
        open.write_all(content).await.map_err(PeerError::io("writing a file"))?;
        open.close().await.map_err(PeerError::io("closing a file"))?;
        if self.terms.renames {
            self.name(&draft, name).await?;
        }
        Ok(true)
    }

    /// Gives a file that was brought as `draft` its name; one of that name is never written over.
    ///
    /// # Errors
    /// See [`PeerError`].
    pub async fn name(&self, draft: &str, name: &str) -> Result<(), PeerError> {
        let refused = PeerError::of("to rename a file");
        self.sftp.rename(self.in_upload(draft), self.in_upload(name)).await.map_err(refused)
    }

    fn in_upload(&self, name: &str) -> String {
        within(&self.terms.upload, name)
    }
}

pub(super) fn within(folder: &str, name: &str) -> String {
    match folder.trim_end_matches('/') {
        "" if folder.is_empty() => name.to_owned(),
        folder => format!("{folder}/{name}"),
    }
}

/// The private key in a file that its owner alone may read.
fn read_key(path: &Path) -> Result<PrivateKey, PeerError> {
    let fault = |source| PeerError::Key { path: path.to_owned(), source };
    let bytes = files::read_secret(path).map_err(fault)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| fault(std::io::Error::new(std::io::ErrorKind::InvalidData, "it is not text")))?;
    // The library's error may quote the key.
    decode_secret_key(&text, None).map_err(|_| {
        let what = "it is not a private key without a passphrase, in OpenSSH's format";
        fault(std::io::Error::new(std::io::ErrorKind::InvalidData, what))
    })
}
