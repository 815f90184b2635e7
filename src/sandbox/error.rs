//! Why the sandbox could not answer.
//!
//! Guarantee: paths and elements are named, values never. A bad order file is not among these: it is answered by a
//! rejection, as a bank would.

use std::io;
use std::path::{Path, PathBuf};

use crate::domain::hint::{Hint, NextStep};
use crate::iso20022::xml::write::WriteError;

/// A fault of the sandbox itself or of its folders.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// A file or folder could not be read or written.
    #[error("cannot access `{path}`")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A folder of the outbox does not bear a provider's code.
    #[error("outbox folder `{path}` is not named by a provider's code")]
    NotAProvider {
        /// The folder.
        path: PathBuf,
    },
    /// A file in which the sandbox keeps its state is damaged.
    #[error("state file `{path}` cannot be read")]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// An answer could not be written.
    #[error("cannot write the answer `{path}`")]
    Answer {
        /// The answer.
        path: PathBuf,
        /// Why not.
        #[source]
        source: WriteError,
    },
    /// A file changed while it was being answered.
    #[error("`{path}` changed while it was being answered")]
    Changed {
        /// The order file.
        path: PathBuf,
    },
}

impl Hint for SandboxError {
    fn hint(&self) -> Option<NextStep> {
        Some(match self {
            Self::Io { .. } | Self::Answer { .. } => {
                "see that the folder can be written and the disk has room, then give the command again".into()
            }
            Self::NotAProvider { .. } => {
                "take the folder out of the outbox, or give its provider a file in config/providers".into()
            }
            Self::State { .. } => "take the file away: the sandbox begins anew".into(),
            Self::Changed { .. } => "give the command again once nothing writes there".into(),
        })
    }
}

#[cfg(test)]
crate::domain::hint::samples!(SandboxError {
    Self::Io { .. } => Self::Io { path: "out".into(), source: io::ErrorKind::Other.into() },
    Self::NotAProvider { .. } => Self::NotAProvider { path: "out/x".into() },
    Self::State { .. } => Self::State {
        path: "state.json".into(),
        source: serde_json::from_str::<u8>("x").expect_err("no number"),
    },
    Self::Answer { .. } => Self::Answer { path: "in".into(), source: io::Error::other("gone").into() },
    Self::Changed { .. } => Self::Changed { path: "out".into() },
});

impl SandboxError {
    /// For `map_err` on an operation on `path`.
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}
