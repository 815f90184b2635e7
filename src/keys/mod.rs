//! People's keys: signatures as OpenSSH makes and checks them (SSHSIG), the folder that keys lie in, and whom we trust to enrol others.
//!
//! Input: statements, key files. Output: signatures, fingerprints. Guarantee: a signature is made for one namespace and by the key that
//! is named; a private key that others can read is refused. Limit: a key that is sealed, or lies in an agent or on a token, is used
//! through `ssh-keygen`, which asks for what it needs.

mod error;
mod ring;
mod trust;

use russh::keys::HashAlg;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::ssh_key::{LineEnding, PrivateKey, PublicKey, SshSig};

pub use error::KeyError;
pub use ring::KeyRing;
pub use trust::{Administrator, Trust};

/// A signature over a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Fingerprint of the key, `SHA256:…`.
    pub fingerprint: String,
    /// As `ssh-keygen -Y sign` writes it.
    pub signature: String,
}

/// A new key pair: the private key as OpenSSH keeps it, and the public one's line.
///
/// # Errors
/// When the system gives no randomness.
pub fn generate(comment: &str) -> Result<(String, String), KeyError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|_| KeyError::Randomness)?;
    pair(&seed, comment)
}

/// The key pair of a seed: for trials, which must be the same each time.
///
/// # Errors
/// None that can be met.
pub fn pair(seed: &[u8; 32], comment: &str) -> Result<(String, String), KeyError> {
    let mut key = PrivateKey::from(Ed25519Keypair::from_seed(seed));
    key.set_comment(comment);
    let private = key.to_openssh(LineEnding::LF).map_err(|_| KeyError::Malformed)?;
    let public = key.public_key().to_openssh().map_err(|_| KeyError::Malformed)?;
    Ok((private.to_string(), public))
}

/// Fingerprint and normal form (kind and key, without a comment) of a public key's line.
///
/// # Errors
/// [`KeyError::Malformed`].
pub fn read_public(line: &str) -> Result<(String, String), KeyError> {
    let mut key = PublicKey::from_openssh(line.trim()).map_err(|_| KeyError::Malformed)?;
    key.set_comment("");
    let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
    let line = key.to_openssh().map_err(|_| KeyError::Malformed)?;
    Ok((fingerprint, line.trim().to_owned()))
}

/// Whether a signature over `statement`, for this namespace, is of a public key.
pub fn verifies(public: &str, namespace: &str, statement: &str, signature: &str) -> bool {
    let Ok(key) = PublicKey::from_openssh(public) else { return false };
    let Ok(signature) = SshSig::from_pem(signature) else { return false };
    signature.public_key() == key.key_data()
        && key.verify(namespace, statement.as_bytes(), &signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_its_statement_namespace_and_key() {
        let (private, public) = pair(&[7; 32], "amina").unwrap();
        let (_, other) = pair(&[8; 32], "brahim").unwrap();
        let key = PrivateKey::from_openssh(&private).unwrap();
        let signature = key.sign("sarf-decision", HashAlg::Sha512, b"one").unwrap();
        let signature = signature.to_pem(LineEnding::LF).unwrap();
        assert!(verifies(&public, "sarf-decision", "one", &signature));
        for (public, namespace, text) in
            [(&public, "sarf-decision", "two"), (&public, "git", "one"), (&other, "sarf-decision", "one")]
        {
            assert!(!verifies(public, namespace, text, &signature), "{namespace} {text}");
        }
        assert!(!verifies(&public, "sarf-decision", "one", "no signature"));
        let (fingerprint, line) = read_public(&format!("{public}\n")).unwrap();
        assert!(fingerprint.starts_with("SHA256:") && !line.contains("amina"), "{fingerprint} {line}");
        assert!(read_public("ssh-ed25519 AAAA").is_err());
    }
}
