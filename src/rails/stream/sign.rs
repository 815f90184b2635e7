//! Signatures of requests and callbacks: HMAC-SHA-256 (RFC 2104) over the time and the body.
//!
//! Input: the secret shared with a provider, Unix seconds, the bytes of the body. Output: `v1=` and 64 hex digits, for
//! the header `Sarf-Signature` beside `Sarf-Timestamp`.
//! Guarantee: verification takes the same time whatever the signature; a message older or newer than the window is
//! refused, so that it cannot be replayed later.
//! Limit: inside the window a message may be sent again: receivers must be safe to repeat, and ours are.

use crate::domain::hint::{Hint, NextStep};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Header with Unix seconds.
pub const TIMESTAMP: &str = "sarf-timestamp";
/// Header with the signature.
pub const SIGNATURE: &str = "sarf-signature";
/// Seconds by which clocks may differ.
pub const WINDOW_SECONDS: i64 = 300;

/// A secret shared with a provider; never printed.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Why a signature is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// A header is missing or cannot be read.
    #[error("`sarf-timestamp` and `sarf-signature` are needed")]
    Missing,
    /// Too old or from the future.
    #[error("the timestamp is more than {WINDOW_SECONDS} s from now")]
    OutsideWindow,
    /// Not the signature of this body and time.
    #[error("the signature does not match")]
    Mismatch,
}

impl Hint for SignatureError {
    fn hint(&self) -> Option<NextStep> {
        Some(match self {
            Self::Missing => "send both headers: the time, and the signature over time and body".into(),
            Self::OutsideWindow => "set the sender's clock, and sign the body and the time anew".into(),
            Self::Mismatch => "sign the body and the time anew".into(),
        })
    }
}

#[cfg(test)]
crate::domain::hint::samples!(SignatureError {
    Self::Missing => Self::Missing,
    Self::OutsideWindow => Self::OutsideWindow,
    Self::Mismatch => Self::Mismatch,
});

/// What the two headers claim, readable and timely, before any body is there to prove it.
#[derive(Clone, Debug)]
pub struct Claimed {
    at: i64,
    mac: Vec<u8>,
}

impl Claimed {
    /// Reads the two headers of a request received at `now`.
    ///
    /// # Errors
    /// [`SignatureError::Missing`] or [`SignatureError::OutsideWindow`].
    pub fn read(timestamp: Option<&str>, signature: Option<&str>, now: i64) -> Result<Self, SignatureError> {
        let at: i64 = timestamp.and_then(|t| t.trim().parse().ok()).ok_or(SignatureError::Missing)?;
        let given = signature.and_then(|s| s.trim().strip_prefix("v1=")).and_then(unhex);
        let mac = given.ok_or(SignatureError::Missing)?;
        if now.abs_diff(at) > WINDOW_SECONDS.unsigned_abs() {
            return Err(SignatureError::OutsideWindow);
        }
        Ok(Self { at, mac })
    }
}

impl Secret {
    /// From the bytes agreed with the provider.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The secret itself, for an API that wants it as a key in a header (TLS is then a must).
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }

    /// Signs a body at a time.
    pub fn sign(&self, unix_seconds: i64, body: &[u8]) -> String {
        format!("v1={}", crate::domain::hex(&self.mac(unix_seconds, body).finalize().into_bytes()))
    }

    /// Verifies the two headers of a body received at `now`.
    ///
    /// # Errors
    /// See [`SignatureError`].
    pub fn verify(
        &self,
        timestamp: Option<&str>,
        signature: Option<&str>,
        body: &[u8],
        now: i64,
    ) -> Result<(), SignatureError> {
        self.proves(&Claimed::read(timestamp, signature, now)?, body)
    }

    /// Verifies a body against headers that were read before it.
    ///
    /// # Errors
    /// [`SignatureError::Mismatch`].
    pub fn proves(&self, claimed: &Claimed, body: &[u8]) -> Result<(), SignatureError> {
        self.mac(claimed.at, body).verify_slice(&claimed.mac).map_err(|_| SignatureError::Mismatch)
    }

    fn mac(&self, unix_seconds: i64, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(unix_seconds.to_string().as_bytes());
        mac.update(b".");
        mac.update(body);
        mac
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| char::from(b).to_digit(16).map(|d| d as u8);
    let bytes = text.as_bytes();
    (bytes.len() == 64).then(|| bytes.chunks(2).map(|p| Some(digit(p[0])? << 4 | digit(p[1])?)).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_body_at_this_time_by_this_secret_is_taken() {
        let secret = Secret::new(*b"agreed");
        let signature = secret.sign(1_000, b"body");
        let other = Secret::new(*b"other").sign(1_000, b"body");
        for (at, signature, body, now, expected) in [
            (Some("1000"), Some(signature.as_str()), &b"body"[..], 1_000, Ok(())),
            (Some("1000"), Some(&signature), b"body", 1_300, Ok(())),
            (Some("1000"), Some(&signature), b"body", 1_301, Err(SignatureError::OutsideWindow)),
            (Some("1000"), Some(&signature), b"body", 699, Err(SignatureError::OutsideWindow)),
            (Some("1001"), Some(&signature), b"body", 1_000, Err(SignatureError::Mismatch)),
            (Some("1000"), Some(&signature), b"bodY", 1_000, Err(SignatureError::Mismatch)),
            (Some("1000"), Some(&other), b"body", 1_000, Err(SignatureError::Mismatch)),
            (Some("1000"), Some("v1=00"), b"body", 1_000, Err(SignatureError::Missing)),
            (Some("x"), Some(&signature), b"body", 1_000, Err(SignatureError::Missing)),
            (None, Some(&signature), b"body", 1_000, Err(SignatureError::Missing)),
            (Some("1000"), None, b"body", 1_000, Err(SignatureError::Missing)),
        ] {
            assert_eq!(secret.verify(at, signature, body, now), expected, "{at:?} {signature:?} {now}");
        }
    }

    #[test]
    fn the_published_vector_comes_out() {
        // RFC 4231, test case 2, with the time's dot as part of the text.
        let secret = Secret::new(*b"Jefe");
        assert_eq!(secret.sign(0, b"").len(), 3 + 64);
        let mut mac = Hmac::<Sha256>::new_from_slice(b"Jefe").unwrap();
        mac.update(b"what do ya want for nothing?");
        assert_eq!(
            crate::domain::hex(&mac.finalize().into_bytes()),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
