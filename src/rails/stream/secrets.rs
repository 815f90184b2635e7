//! Secrets shared with providers: one file for each, `secrets/CODE` below the home folder, readable by its owner only.

use std::io;
use std::path::{Path, PathBuf};

use super::sign::Secret;
use crate::domain::hint::{Hint, NextStep};
use crate::files;

/// Why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read or written.
    #[error("secret `{}` cannot be read", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Fewer than 16 bytes protect nothing.
    #[error("secret `{}` is shorter than 16 bytes", .0.display())]
    TooShort(PathBuf),
}

impl Hint for SecretError {
    fn hint(&self) -> Option<NextStep> {
        if let Self::File { path, source } = self
            && let Some(hint) = files::path_hint(path, source)
        {
            return Some(hint);
        }
        Some(
            "put the secret agreed with the provider there; `sarf sandbox points` makes one for the sandbox"
                .into(),
        )
    }

    fn system_hint(&self) -> Option<NextStep> {
        self.hint()
    }
}

#[cfg(test)]
crate::domain::hint::samples!(SecretError {
    Self::File { .. } => Self::File { path: "secrets/m2t".into(), source: io::ErrorKind::NotFound.into() },
    Self::TooShort(_) => Self::TooShort("secrets/m2t".into()),
});

/// The secret agreed with a provider.
///
/// # Errors
/// When its file is missing, unreadable or too short.
pub fn read(home: &Path, provider: &str) -> Result<Secret, SecretError> {
    let path = path(home, provider);
    let bytes =
        files::read_secret(&path).map_err(|source| SecretError::File { path: path.clone(), source })?;
    let bytes = bytes.trim_ascii();
    if bytes.len() < 16 { Err(SecretError::TooShort(path)) } else { Ok(Secret::new(bytes)) }
}

/// The secret agreed with a provider; drawn at random and kept where there was none: for sandboxes.
///
/// # Errors
/// When its file can be neither read nor written.
pub fn read_or_make(home: &Path, provider: &str) -> Result<Secret, SecretError> {
    let path = path(home, provider);
    let fault = |source| SecretError::File { path: path.clone(), source };
    if !path.exists() {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|e| fault(io::Error::other(e)))?;
        files::home_folder(&home.join("secrets")).map_err(fault)?;
        write_private(&path, crate::domain::hex(&bytes).as_bytes()).map_err(fault)?;
    }
    read(home, provider)
}

fn path(home: &Path, provider: &str) -> PathBuf {
    home.join("secrets").join(provider)
}

/// Writes a new file that its owner alone may read; one that another process made meanwhile stays.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    match files::create_new(path) {
        Ok(mut file) => file.write_all(bytes),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}
