//! A reader that hashes what passes through it.

use std::io::{BufReader, Read};

use sha2::{Digest, Sha256};

use crate::domain::hex;

/// Hashes what is read through it.
pub(super) struct Hashing<R> {
    inner: R,
    hash: Sha256,
}

impl<R: Read> Hashing<R> {
    /// Starts a hash, behind a buffer.
    pub(super) fn new(inner: R) -> BufReader<Self> {
        BufReader::with_capacity(256 * 1024, Self { inner, hash: Sha256::new() })
    }

    /// The SHA-256 of what was read, in small hexadecimal digits.
    pub(super) fn sha256(self) -> String {
        hex(&self.hash.finalize())
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = self.inner.read(buffer)?;
        self.hash.update(&buffer[..len]);
        Ok(len)
    }
}
