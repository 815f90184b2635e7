//! Whom we trust to enrol others: `trust/administrators` below the home, outside of the database, so that whoever runs that can add nobody.
//!
//! A line for each, as OpenSSH has them (`allowed_signers`): name, perhaps options, kind and key. Lines that begin with `#` are notes.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::{KeyError, read_public};

/// One who may enrol others.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Administrator {
    /// Name.
    pub name: String,
    /// Fingerprint of the key.
    pub fingerprint: String,
    /// Kind and key.
    pub public: String,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// In the order of the file; one name may have several keys.
    pub administrators: Vec<Administrator>,
}

impl Trust {
    /// Reads the file of a home; without one nobody is trusted.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn read(home: &Path) -> Result<Self, KeyError> {
        let path = file(home);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(KeyError::Disk { path, source }),
        };
        let mode = fs::metadata(&path)
            .map_err(|source| KeyError::Disk { path: path.clone(), source })?
            .permissions();
        if mode.mode() & 0o022 != 0 {
            return Err(KeyError::Writable(path));
        }
        let mut administrators = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let read = || {
                let (name, rest) = line.split_once(char::is_whitespace)?;
                // Options stand before the key's kind.
                let from = rest.find("ssh-").or_else(|| rest.find("ecdsa-")).or_else(|| rest.find("sk-"))?;
                let (fingerprint, public) = read_public(&rest[from..]).ok()?;
                Some(Administrator { name: name.to_owned(), fingerprint, public })
            };
            administrators.push(read().ok_or_else(|| KeyError::Trust { path: path.clone(), line: at + 1 })?);
        }
        Ok(Self { administrators })
    }

    /// Adds an administrator to the file of a home.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn add(home: &Path, name: &str, public: &str) -> Result<Administrator, KeyError> {
        let (fingerprint, public) = read_public(public)?;
        let path = file(home);
        let disk = |source| KeyError::Disk { path: path.clone(), source };
        let folder = path.parent().expect("a folder below the home");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(disk)?;
        let mut open =
            fs::OpenOptions::new().append(true).create(true).mode(0o600).open(&path).map_err(disk)?;
        writeln!(open, "{name} {public}").map_err(disk)?;
        Ok(Administrator { name: name.to_owned(), fingerprint, public })
    }

    /// The key of an administrator by its fingerprint.
    pub fn key(&self, name: &str, fingerprint: &str) -> Option<&Administrator> {
        self.administrators.iter().find(|a| a.name == name && a.fingerprint == fingerprint)
    }

    /// Whether somebody of this name is trusted.
    pub fn knows(&self, name: &str) -> bool {
        self.administrators.iter().any(|a| a.name == name)
    }
}

fn file(home: &Path) -> PathBuf {
    home.join("trust").join("administrators")
}
