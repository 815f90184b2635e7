//! OpenPGP (RFC 9580): what is brought is signed and sealed, what is fetched is opened and its signature proven.
//!
//! Guarantee: only keys that are valid at the moment sign, seal and prove: not revoked, not expired. Of several that are, ours signs
//! with the newest, everything is sealed to all of theirs, and any of theirs proves: keys may overlap while they are rolled over.
//! Limit: whom a key belongs to is agreed by another way; user ids and third parties' certifications are not looked at.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read as _, Seek as _, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use pgp::composed::{
    ArmorOptions, DecryptionOptions, Deserializable, DetachedSignature, Message, MessageBuilder,
    SignedKeyDetails, SignedPublicKey, SignedPublicSubKey, SignedSecretKey, TheRing,
};
use pgp::crypto::hash::HashAlgorithm;
use pgp::crypto::sym::SymmetricKeyAlgorithm;
use pgp::packet::{Signature, SignatureType};
use pgp::types::{KeyDetails as _, Password};
use time::OffsetDateTime;

use crate::domain::hint::{Hint, NextStep};
use crate::files;

/// Why something is not signed, sealed, opened or believed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// A file of keys cannot be used.
    #[error("keys `{}` cannot be used", path.display())]
    Keys {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// None of the keys may do it now.
    #[error("no key in `{}` is valid for {what}", path.display())]
    NoKey {
        /// Where.
        path: PathBuf,
        /// What for.
        what: &'static str,
    },
    /// No signature lies beside it, though it is to be signed.
    #[error("it is not signed, though that is agreed")]
    Unsigned,
    /// The signature is of something else, or by none of the keys that are valid.
    #[error("its signature is not one of the provider's over these bytes")]
    Signature,
    /// It is sealed to none of our keys, or was changed on the way.
    #[error("it cannot be opened: it is sealed to none of our keys, or was changed on the way")]
    Sealed,
    /// A file of ours cannot be read or written.
    #[error("`{}` cannot be used", path.display())]
    Disk {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl SealError {
    /// Whether the fault is in what came, not here.
    pub const fn is_of_message(&self) -> bool {
        matches!(self, Self::Unsigned | Self::Signature | Self::Sealed)
    }

    fn disk(path: &Path) -> impl Fn(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Disk { path: path.clone(), source }
    }
}

impl Hint for SealError {
    fn hint(&self) -> Option<NextStep> {
        if let Self::Keys { path, source } | Self::Disk { path, source } = self
            && let Some(hint) = files::path_hint(path, source)
        {
            return Some(hint);
        }
        Some(
            match self {
                Self::Keys { .. } => {
                    "put OpenPGP keys there, ours without a passphrase and readable by their owner only: docs/bank-guide.md"
                }
                Self::NoKey { .. } => "agree on a new key before the old one ends; several may lie in the file",
                Self::Unsigned | Self::Signature | Self::Sealed => {
                    "nothing of it was applied; ask the provider whether it sent it, and for it again"
                }
                Self::Disk { .. } => "see that the disk has room and the home can be written",
            }
            .into(),
        )
    }
}

#[cfg(test)]
crate::domain::hint::samples!(SealError {
    Self::Keys { .. } => {
        Self::Keys { path: "keys/awb.asc".into(), source: std::io::ErrorKind::NotFound.into() }
    },
    Self::NoKey { .. } => Self::NoKey { path: "keys/awb.asc".into(), what: "sealing" },
    Self::Unsigned => Self::Unsigned,
    Self::Signature => Self::Signature,
    Self::Sealed => Self::Sealed,
    Self::Disk { .. } => Self::Disk { path: "inbox".into(), source: std::io::ErrorKind::Other.into() },
});

/// Our private keys.
pub struct OurKeys {
    path: PathBuf,
    keys: Vec<SignedSecretKey>,
}

/// A provider's public keys.
pub struct TheirKeys {
    path: PathBuf,
    keys: Vec<SignedPublicKey>,
}

impl OurKeys {
    /// Reads the keys of a file that its owner alone may read.
    ///
    /// # Errors
    /// See [`SealError`].
    pub fn read(path: &Path) -> Result<Self, SealError> {
        let fault = |source| SealError::Keys { path: path.to_owned(), source };
        let bytes = files::read_secret(path).map_err(fault)?;
        let keys = read_keys(&bytes, SignedSecretKey::verify_bindings).map_err(fault)?;
        Ok(Self { path: path.to_owned(), keys })
    }

    /// Until when one of them is valid; nothing where one lasts for ever.
    pub fn end(&self) -> Option<OffsetDateTime> {
        ends(self.keys.iter().map(|key| (&key.details, key.primary_key.created_at())))
    }

    /// A detached signature over a file, in ASCII armour.
    ///
    /// # Errors
    /// See [`SealError`].
    pub fn sign(&self, file: &Path, at: OffsetDateTime) -> Result<Vec<u8>, SealError> {
        let none = || SealError::NoKey { path: self.path.clone(), what: "signing" };
        let valid = self.keys.iter().filter(|key| is_valid(&key.details, key.primary_key.created_at(), at));
        let newest = valid.max_by_key(|key| key.primary_key.created_at()).ok_or_else(none)?;
        let content = File::open(file).map_err(SealError::disk(file))?;
        let (content, password) = (BufReader::with_capacity(1 << 18, content), Password::empty());
        let (rng, hash) = (rand::thread_rng(), HashAlgorithm::Sha512);
        // A subkey for signing goes before the key that certifies it.
        let subkey = newest
            .secret_subkeys
            .iter()
            .filter(|sub| {
                subkey_is_valid(&sub.signatures, sub.key.created_at(), at, |s| s.key_flags().sign())
            })
            .max_by_key(|sub| sub.key.created_at());
        let signed = match subkey {
            Some(sub) => DetachedSignature::sign_binary_data(rng, &sub.key, &password, hash, content),
            None => DetachedSignature::sign_binary_data(rng, &newest.primary_key, &password, hash, content),
        };
        let armoured = signed.and_then(|signed| signed.to_armored_bytes(ArmorOptions::default()));
        armoured.map_err(|_| none())
    }

    /// Writes what a sealed file holds.
    ///
    /// # Errors
    /// See [`SealError`].
    pub fn open(&self, sealed: &Path, into: &mut File) -> Result<(), SealError> {
        let file = File::open(sealed).map_err(SealError::disk(sealed))?;
        let mut content = BufReader::with_capacity(1 << 18, file);
        let mut first = [0];
        content.read_exact(&mut first).map_err(|_| SealError::Sealed)?;
        content.rewind().map_err(SealError::disk(sealed))?;
        // Packets begin with a byte above 127, armour with a dash.
        let message = if first[0] & 0x80 != 0 {
            Message::from_bytes(content)
        } else {
            Message::from_armor(content).map(|(message, _)| message)
        };
        let password = Password::empty();
        let ring = TheRing {
            secret_keys: self.keys.iter().collect(),
            key_passwords: vec![&password],
            decrypt_options: DecryptionOptions::new().enable_gnupg_aead(),
            ..TheRing::default()
        };
        let opened = message.and_then(|message| message.decrypt_the_ring(ring, true));
        let (mut opened, _) = opened.map_err(|_| SealError::Sealed)?;
        // Packers wrap what they seal more than once at most.
        for _ in 0..2 {
            if opened.is_compressed() {
                opened = opened.decompress().map_err(|_| SealError::Sealed)?;
            }
        }
        let mut out = BufWriter::with_capacity(1 << 18, into);
        let mut chunk = vec![0; 1 << 18];
        loop {
            // The last bytes are given once the check over all of them is done.
            let read = opened.read(&mut chunk).map_err(|_| SealError::Sealed)?;
            if read == 0 {
                break;
            }
            out.write_all(&chunk[..read]).map_err(SealError::disk(sealed))?;
        }
        out.flush().map_err(SealError::disk(sealed))
    }
}

impl TheirKeys {
    /// Reads the keys of a file.
    ///
    /// # Errors
    /// See [`SealError`].
    pub fn read(path: &Path) -> Result<Self, SealError> {
        let fault = |source| SealError::Keys { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        files::open_setting(path).and_then(|mut file| file.read_to_end(&mut bytes)).map_err(fault)?;
        let keys = read_keys(&bytes, SignedPublicKey::verify_bindings).map_err(fault)?;
        Ok(Self { path: path.to_owned(), keys })
    }

    /// Until when one of them is valid; nothing where one lasts for ever.
    pub fn end(&self) -> Option<OffsetDateTime> {
        ends(self.keys.iter().map(|key| (&key.details, key.primary_key.created_at())))
    }

    fn valid(&self, at: OffsetDateTime) -> impl Iterator<Item = &SignedPublicKey> {
        self.keys.iter().filter(move |key| is_valid(&key.details, key.primary_key.created_at(), at))
    }

    /// Writes a file, sealed to all of their keys that are valid.
    ///
    /// # Errors
    /// See [`SealError`].
    pub fn seal(&self, file: &Path, into: &mut File, at: OffsetDateTime) -> Result<(), SealError> {
        let none = || SealError::NoKey { path: self.path.clone(), what: "sealing" };
        let content = File::open(file).map_err(SealError::disk(file))?;
        let content = BufReader::with_capacity(1 << 18, content);
        let (mut rng, mut sealed_to) = (rand::thread_rng(), 0);
        let mut builder =
            MessageBuilder::from_reader("", content).seipd_v1(&mut rng, SymmetricKeyAlgorithm::AES256);
        for sub in self.valid(at).flat_map(|key| &key.public_subkeys).filter(|sub| seals(sub, at)) {
            builder.encrypt_to_key(&mut rng, sub).map_err(|_| none())?;
            sealed_to += 1;
        }
        if sealed_to == 0 {
            return Err(none());
        }
        let mut out = BufWriter::with_capacity(1 << 18, into);
        builder.to_writer(&mut rng, &mut out).map_err(|e| SealError::disk(file)(std::io::Error::other(e)))?;
        out.flush().map_err(SealError::disk(file))
    }

    /// Proves a detached signature over a file.
    ///
    /// # Errors
    /// See [`SealError`].
    pub fn prove(&self, file: &Path, signature: &[u8], at: OffsetDateTime) -> Result<(), SealError> {
        let signed = DetachedSignature::from_reader_many(signature)
            .and_then(|(signatures, _)| signatures.collect::<Result<Vec<_>, _>>())
            .map_err(|_| SealError::Signature)?;
        let mut content = File::open(file).map_err(SealError::disk(file))?;
        for key in self.valid(at) {
            for signature in signed.iter().map(|signed| &signed.signature) {
                if signature.typ() != Some(SignatureType::Binary) || is_over(signature, at) {
                    continue;
                }
                content.rewind().map_err(SealError::disk(file))?;
                let read = || BufReader::with_capacity(1 << 18, &content);
                let mut proven = signature.verify(&key.primary_key, read()).is_ok();
                let may_sign = |s: &Signature| s.key_flags().sign();
                for sub in &key.public_subkeys {
                    if !proven && subkey_is_valid(&sub.signatures, sub.key.created_at(), at, may_sign) {
                        (&content).rewind().map_err(SealError::disk(file))?;
                        proven = signature.verify(&sub.key, read()).is_ok();
                    }
                }
                if proven {
                    return Ok(());
                }
            }
        }
        Err(SealError::Signature)
    }
}

/// Until when one of the keys is valid; nothing where one lasts for ever.
fn ends<'a>(
    keys: impl Iterator<Item = (&'a SignedKeyDetails, pgp::types::Timestamp)>,
) -> Option<OffsetDateTime> {
    let ends: Option<Vec<SystemTime>> = keys
        .filter(|(details, _)| details.revocation_signatures.is_empty())
        .map(|(details, created)| end(own_signatures(details), created))
        .collect();
    // All of them revoked: they ended long ago.
    ends.map(|ends| ends.into_iter().max().unwrap_or(SystemTime::UNIX_EPOCH).into())
}

fn own_signatures(details: &SignedKeyDetails) -> impl Iterator<Item = &Signature> {
    details.users.iter().flat_map(|user| &user.signatures).chain(&details.direct_signatures)
}

/// When a key ends, as the newest signature over it says.
fn end<'a>(
    signatures: impl Iterator<Item = &'a Signature>,
    created: pgp::types::Timestamp,
) -> Option<SystemTime> {
    let newest = signatures.max_by_key(|signature| signature.created());
    let lasts = newest.and_then(Signature::key_expiration_time).map(Duration::from);
    // A key that is to last for nought seconds lasts for ever, as the standard has it.
    lasts.filter(|lasts| !lasts.is_zero()).map(|lasts| SystemTime::from(created) + lasts)
}

/// The keys of a file: at least one, and each holds together.
fn read_keys<K: Deserializable>(
    bytes: &[u8],
    prove: impl Fn(&K) -> pgp::errors::Result<()>,
) -> std::io::Result<Vec<K>> {
    let mut keys = Vec::new();
    for block in blocks(bytes) {
        let (read, _) = K::from_reader_many(block).map_err(|_| no_keys())?;
        for key in read {
            let key = key.map_err(|_| no_keys())?;
            prove(&key).map_err(|_| no_keys())?;
            keys.push(key);
        }
    }
    if keys.is_empty() { Err(no_keys()) } else { Ok(keys) }
}

fn no_keys() -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, "they are not OpenPGP keys that hold together")
}

/// Blocks of keys in ASCII armour one after the other, as people put them together; or all of it where it is binary.
fn blocks(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    const BEGIN: &[u8] = b"-----BEGIN PGP ";
    let mut starts: Vec<usize> = memchr::memmem::find_iter(bytes, BEGIN).collect();
    if starts.is_empty() {
        starts.push(0);
    }
    let ends: Vec<usize> = starts.iter().skip(1).copied().chain([bytes.len()]).collect();
    starts.into_iter().zip(ends).map(|(start, end)| &bytes[start..end])
}

/// Whether a key may be used at a moment: its newest self-signature says how long.
fn is_valid(details: &SignedKeyDetails, created: pgp::types::Timestamp, at: OffsetDateTime) -> bool {
    details.revocation_signatures.is_empty() && lasts(own_signatures(details), created, at)
}

fn subkey_is_valid(
    signatures: &[Signature],
    created: pgp::types::Timestamp,
    at: OffsetDateTime,
    serves: impl Fn(&Signature) -> bool,
) -> bool {
    let revoked = signatures.iter().any(|s| s.typ() == Some(SignatureType::SubkeyRevocation));
    !revoked && signatures.iter().any(serves) && lasts(signatures.iter(), created, at)
}

fn seals(sub: &SignedPublicSubKey, at: OffsetDateTime) -> bool {
    let serves = |s: &Signature| s.key_flags().encrypt_comms() || s.key_flags().encrypt_storage();
    sub.key.algorithm().can_encrypt() && subkey_is_valid(&sub.signatures, sub.key.created_at(), at, serves)
}

fn lasts<'a>(
    signatures: impl Iterator<Item = &'a Signature>,
    created: pgp::types::Timestamp,
    at: OffsetDateTime,
) -> bool {
    end(signatures, created).is_none_or(|end| SystemTime::from(at) < end)
}

fn is_over(signature: &Signature, at: OffsetDateTime) -> bool {
    let lasts = signature.signature_expiration_time().map(Duration::from).filter(|lasts| !lasts.is_zero());
    let made = signature.created().map(SystemTime::from);
    lasts.zip(made).is_some_and(|(lasts, made)| SystemTime::from(at) >= made + lasts)
}
