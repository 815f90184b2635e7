//! Why a key cannot be used.

use std::io;
use std::path::PathBuf;

use crate::domain::hint::{Hint, NextStep};
use crate::files;

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// There is none.
    #[error("there is no key of `{name}`: `{}` is not there", path.display())]
    Missing {
        /// Whose.
        name: String,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file cannot be read or written.
    #[error("key file `{}`", path.display())]
    Disk {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others than its owner may read it.
    #[error("private key `{}` can be read by others than its owner", .0.display())]
    OpenToOthers(PathBuf),
    /// Others than its owner may write it.
    #[error("`{}` says whom we trust, and can be written by others than its owner", .0.display())]
    Writable(PathBuf),
    /// Not a key as OpenSSH writes them.
    #[error("that is not a key as OpenSSH writes them")]
    Malformed,
    /// The helper that uses sealed keys, agents and tokens failed.
    #[error("ssh-keygen did not sign with `{}`: {said}", path.display())]
    Keygen {
        /// Which key.
        path: PathBuf,
        /// What it said.
        said: String,
    },
    /// The system gave no randomness.
    #[error("the system gives no randomness")]
    Randomness,
    /// A line of the trust file.
    #[error("line {line} of `{}` does not name an administrator and a key", path.display())]
    Trust {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

impl Hint for KeyError {
    fn hint(&self) -> Option<NextStep> {
        Some(match self {
            Self::Missing { .. } => "name the private key: --key FILE (or SARF_KEY)".into(),
            Self::Disk { .. } => "see that the file is there and may be read".into(),
            Self::OpenToOthers(path) => format!("chmod 600 {}", path.display()).into(),
            Self::Writable(path) => {
                format!("see who is named in it, then chmod 600 {}", path.display()).into()
            }
            Self::Malformed => {
                "give a public key's file, as `ssh-keygen -t ed25519` writes it (NAME.pub)".into()
            }
            Self::Keygen { .. } => {
                "see that ssh-keygen is installed, and that the agent or token that holds the key is there"
                    .into()
            }
            Self::Randomness => "see that the system's random device is there".into(),
            Self::Trust { .. } => "write each line as `NAME ssh-ed25519 KEY`".into(),
        })
    }

    fn system_hint(&self) -> Option<NextStep> {
        let Self::Disk { path, source } = self else { return None };
        files::path_hint(path, source)
    }
}

#[cfg(test)]
crate::domain::hint::samples!(KeyError {
    Self::Missing { .. } => Self::Missing { name: "amina".into(), path: "people/amina".into() },
    Self::Disk { .. } => Self::Disk { path: "people/amina".into(), source: io::ErrorKind::NotFound.into() },
    Self::OpenToOthers(_) => Self::OpenToOthers("people/amina".into()),
    Self::Writable(_) => Self::Writable("trust/administrators".into()),
    Self::Malformed => Self::Malformed,
    Self::Keygen { .. } => Self::Keygen { path: "people/amina".into(), said: "agent refused".into() },
    Self::Randomness => Self::Randomness,
    Self::Trust { .. } => Self::Trust { path: "trust/administrators".into(), line: 1 },
});
