//! What goes wrong between us and a provider's server.

use std::io;
use std::path::{Path, PathBuf};

use russh_sftp::client::error::Error as SftpError;
use russh_sftp::protocol::StatusCode;

use crate::domain::hint::{Hint, NextStep};
use crate::files;

/// Why a file did not come through.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The key that is logged in with cannot be had.
    #[error("key `{}` cannot be used", path.display())]
    Key {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Nobody answers there.
    #[error("`{host}` does not answer")]
    Unreachable {
        /// Which.
        host: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It proved itself by a key that was not agreed.
    #[error("`{host}` shows host key {found}, which is not among those agreed")]
    HostKey {
        /// Which.
        host: String,
        /// Fingerprint of its key.
        found: String,
    },
    /// It does not let us in.
    #[error("`{host}` does not let `{user}` in with our key")]
    Login {
        /// Which.
        host: String,
        /// As whom.
        user: String,
    },
    /// It answers that it does not do what is asked.
    #[error("the server does not allow {what}")]
    Refused {
        /// What was asked.
        what: &'static str,
    },
    /// The connection broke, or the server could not do it now.
    #[error("{what} failed")]
    Transfer {
        /// What was asked.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Read back, it is not what was brought.
    #[error("what lies at the server is not what was brought")]
    ReadBack,
    /// A file of ours is not what was recorded of it.
    #[error("`{}` is not what was recorded of it", .0.display())]
    Changed(PathBuf),
    /// A file of ours cannot be read or written.
    #[error("`{}` cannot be used", path.display())]
    Disk {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something else than a plain file, or a name that could lead elsewhere.
    #[error("a name at the server cannot be used as a name of a file here")]
    Name,
}

impl PeerError {
    /// What an answer of the server means: a person arranges what it does not allow, all else is tried again.
    pub(super) fn of(what: &'static str) -> impl Fn(SftpError) -> Self {
        move |error| match &error {
            SftpError::Status(status)
                if matches!(status.status_code, StatusCode::PermissionDenied | StatusCode::OpUnsupported) =>
            {
                Self::Refused { what }
            }
            // The server's own words may hold anything: only what they are about is kept.
            SftpError::Status(status) => {
                Self::Transfer { what, source: io::Error::other(status.status_code.to_string()) }
            }
            _ => Self::Transfer { what, source: error.into() },
        }
    }

    /// The same of reading and writing an open file.
    pub(super) fn io(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Transfer { what, source }
    }

    pub(super) fn disk(path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Disk { path: path.clone(), source }
    }

    /// Whether trying again as it is may help.
    pub const fn passes(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Transfer { .. }
            | Self::Login { .. }
            | Self::HostKey { .. }
            | Self::Key { .. }
            | Self::ReadBack
            | Self::Disk { .. } => true,
            Self::Refused { .. } | Self::Changed(_) | Self::Name => false,
        }
    }
}

impl Hint for PeerError {
    fn hint(&self) -> Option<NextStep> {
        if let Self::Key { path, source } | Self::Disk { path, source } = self
            && let Some(hint) = files::path_hint(path, source)
        {
            return Some(hint);
        }
        Some(
            match self {
                Self::Key { .. } => {
                    "put the private key there, in OpenSSH's format and readable by its owner only: ssh-keygen -t ed25519"
                }
                Self::Unreachable { .. } => "see that the address is right and reachable; it is tried again",
                Self::HostKey { .. } => {
                    "ask the provider for its fingerprint by another way; only then add it to `host_keys`"
                }
                Self::Login { .. } => "ask the provider to accept our public key for this name",
                Self::Refused { .. } => {
                    "agree with the provider on what its server allows, and say so in `[provider.delivery]`: docs/bank-guide.md"
                }
                Self::Transfer { .. } => "it is tried again; if it goes on, ask the provider: its disk may be full",
                Self::ReadBack => "it is tried again; if it goes on, ask the provider what changes its files",
                Self::Changed(_) => "`sarf dispatch RUN` writes a torn file again from the rows",
                Self::Disk { .. } => "see that the disk has room and the home can be written",
                Self::Name => "ask the provider to give its files plain names",
            }
            .into(),
        )
    }
}

#[cfg(test)]
crate::domain::hint::samples!(PeerError {
    Self::Key { .. } => Self::Key { path: "secrets/awb.ssh".into(), source: io::ErrorKind::InvalidData.into() },
    Self::Unreachable { .. } => Self::Unreachable { host: "sftp.example:22".into(), source: "refused".into() },
    Self::HostKey { .. } => Self::HostKey { host: "sftp.example:22".into(), found: "SHA256:x".into() },
    Self::Login { .. } => Self::Login { host: "sftp.example:22".into(), user: "sarf".into() },
    Self::Refused { .. } => Self::Refused { what: "to rename a file" },
    Self::Transfer { .. } => {
        Self::Transfer { what: "writing", source: io::ErrorKind::ConnectionReset.into() }
    },
    Self::ReadBack => Self::ReadBack,
    Self::Changed(_) => Self::Changed("outbox/awb/a.xml".into()),
    Self::Disk { .. } => Self::Disk { path: "inbox".into(), source: io::ErrorKind::Other.into() },
    Self::Name => Self::Name,
});
