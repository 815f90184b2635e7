//! A bounded input: no more than so many bytes in one piece of markup or text, nor in the whole file.
//!
//! Guarantee: the parser's buffer cannot grow past the bound, whatever the file holds.

use std::io::{self, BufRead, Read};

/// Which bound was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Excess {
    /// One piece of markup or text.
    Piece,
    /// The whole file.
    Total,
}

/// Counts what is read and stops at the bounds.
pub(super) struct Bounded<R> {
    inner: R,
    /// What the file may still hold after the piece being read.
    total_left: u64,
    piece_max: usize,
    /// What was granted to the piece being read, and what is left of it: one counter on the hot path.
    granted: usize,
    left: usize,
    excess: Option<Excess>,
}

impl<R> Bounded<R> {
    /// Bounds `inner`.
    pub(super) fn new(inner: R, total_max: u64, piece_max: usize) -> Self {
        let mut bounded = Self { inner, total_left: total_max, piece_max, granted: 0, left: 0, excess: None };
        bounded.start_piece();
        bounded
    }

    /// What is bounded.
    pub(super) const fn get_ref(&self) -> &R {
        &self.inner
    }

    /// Starts a new piece.
    #[inline]
    pub(super) fn start_piece(&mut self) {
        self.total_left -= (self.granted - self.left) as u64;
        self.granted = usize::try_from(self.total_left).unwrap_or(usize::MAX).min(self.piece_max);
        self.left = self.granted;
    }

    /// The bound that stopped the reading, if one did.
    pub(super) fn excess(&self) -> Option<Excess> {
        self.excess
    }
}

impl<R: BufRead> BufRead for Bounded<R> {
    #[inline]
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let available = self.inner.fill_buf()?;
        if self.left == 0 && !available.is_empty() {
            self.excess = Some(if self.granted == self.piece_max { Excess::Piece } else { Excess::Total });
            return Err(io::Error::other("bound passed"));
        }
        Ok(&available[..available.len().min(self.left)])
    }

    #[inline]
    fn consume(&mut self, amount: usize) {
        self.left = self.left.saturating_sub(amount);
        self.inner.consume(amount);
    }
}

impl<R: BufRead> Read for Bounded<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let len = available.len().min(buf.len());
        buf[..len].copy_from_slice(&available[..len]);
        self.consume(len);
        Ok(len)
    }
}
