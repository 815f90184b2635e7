//! The keys at hand in this process: the file that was named for the command, else `people/NAME` below the home.
//!
//! Guarantee: a file that others can read is refused. Limit: whoever may read a folder with several people's keys can act as each of them.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use russh::keys::ssh_key::{self, LineEnding, PrivateKey};

use super::{KeyError, Signed, Trust, generate, read_public};
use crate::domain::statement_of_decision::NAMESPACE;

/// The keys at hand.
#[derive(Clone, Debug)]
pub struct KeyRing {
    home: PathBuf,
    named: Option<PathBuf>,
}

impl KeyRing {
    /// The keys below a home.
    pub fn new(home: &Path) -> Self {
        Self { home: home.to_owned(), named: None }
    }

    /// The same, where the command named a key.
    #[must_use]
    pub fn with_key(mut self, key: Option<PathBuf>) -> Self {
        self.named = key;
        self
    }

    /// Whom the home trusts to enrol others.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn trust(&self) -> Result<Trust, KeyError> {
        Trust::read(&self.home)
    }

    /// Where a person's key lies.
    pub fn path(&self, name: &str) -> PathBuf {
        self.named.clone().unwrap_or_else(|| self.home.join("people").join(name))
    }

    /// The public key of a person below the home; a pair is made where there is none: whether one was.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn public_or_new(&self, name: &str) -> Result<(String, bool), KeyError> {
        let private = self.home.join("people").join(name);
        let path = private.with_file_name(format!("{name}.pub"));
        let disk = |path: &Path| {
            let path = path.to_owned();
            move |source| KeyError::Disk { path, source }
        };
        match fs::read_to_string(&path) {
            Ok(line) => return Ok((line, false)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(disk(&path)(error)),
        }
        let (key, line) = generate(name)?;
        let folder = self.home.join("people");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(disk(&folder))?;
        write_new(&private, &key).map_err(disk(&private))?;
        write_new(&path, &format!("{line}\n")).map_err(disk(&path))?;
        Ok((line, true))
    }

    /// Signs a statement as a person.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn sign(&self, name: &str, statement: &str) -> Result<Signed, KeyError> {
        let path = self.path(name);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(KeyError::Missing { name: name.to_owned(), path });
            }
            Err(source) => return Err(KeyError::Disk { path, source }),
        };
        match PrivateKey::from_openssh(&text) {
            Ok(key) if !key.is_encrypted() => {
                let mode =
                    fs::metadata(&path).map_err(|source| KeyError::Disk { path: path.clone(), source })?;
                if mode.permissions().mode() & 0o077 != 0 {
                    return Err(KeyError::OpenToOthers(path));
                }
                let signature = key.sign(NAMESPACE, ssh_key::HashAlg::Sha512, statement.as_bytes());
                let signature =
                    signature.and_then(|s| s.to_pem(LineEnding::LF)).map_err(|_| KeyError::Malformed)?;
                Ok(Signed { fingerprint: key.fingerprint(ssh_key::HashAlg::Sha256).to_string(), signature })
            }
            _ => through_keygen(&path, &text, statement),
        }
    }
}

/// Keys that are sealed, lie in an agent or on a token.
fn through_keygen(path: &Path, text: &str, statement: &str) -> Result<Signed, KeyError> {
    // Of a sealed key the public half lies beside it; of one in an agent, it is what was named.
    let beside =
        path.with_file_name(format!("{}.pub", path.file_name().unwrap_or_default().to_string_lossy()));
    let public = read_public(text).or_else(|_| read_public(&fs::read_to_string(&beside).unwrap_or_default()));
    let (fingerprint, _) = public?;
    let failed = |said: String| KeyError::Keygen { path: path.to_owned(), said };
    let ran = (|| {
        let mut child = Command::new("ssh-keygen")
            .args(["-Y", "sign", "-n", NAMESPACE, "-f"])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        child.stdin.take().expect("piped").write_all(statement.as_bytes())?;
        child.wait_with_output()
    })();
    let output = ran.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(failed(said.lines().last().unwrap_or("it failed").to_owned()));
    }
    let signature = String::from_utf8(output.stdout).map_err(|_| KeyError::Malformed)?;
    Ok(Signed { fingerprint, signature })
}

/// A file that was not there, for its owner alone.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}
