//! Why the sandbox could not answer.
//!
//! Guarantee: paths and elements are named, values never. A bad order file is not among these: it is answered by a
//! rejection, as a bank would.

use std::io;
use std::path::{Path, PathBuf};

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
    #[error("outbox folder `{path}` does not bear a provider's code")]
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

impl SandboxError {
    /// For `map_err` on an operation on `path`.
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}
