//! Confirmations that a payment institution uploads piece by piece over a thin link.
//!
//! Input: pieces of a file, in any order, any of them repeated. Output: how much has come; at the end, what came of it.
//! Guarantee: bytes once taken never change; lines are recorded only of a file that is whole, whose SHA-256 is the one
//! declared and whose signature is the institution's; taking it again changes nothing and gives the same result.
//! Limit: 64 MiB a file, 16 unfinished files of an institution, 4,096 pieces; two files are put together at a time.

mod lines;

use std::collections::HashSet;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use time::Duration;
use tokio::sync::Semaphore;

use super::record::{self, Source};
use crate::domain::hint::{Hint, NextStep};
use crate::domain::not_found::{Entity, NotFound};
use crate::pipeline::Context;
use crate::rails::stream::sign::{Secret, SignatureError};
use crate::store::StoreError;
use crate::store::messages::feedback::MessageCounts;
use crate::store::messages::uploads::{self, Upload};
use crate::store::messages::worklists;
use crate::store::registry::reference;

/// Longest file.
pub const BYTES_MAX: u64 = 64 << 20;
/// Most pieces of one file.
const PIECES_MAX: i64 = 4_096;
/// Most unfinished files of one institution.
const UNFINISHED_MAX: i64 = 16;
/// Files that are put together at once: each is held in memory.
const WHOLES_AT_ONCE: usize = 2;
/// Reports in one transaction.
const REPORTS_AT_ONCE: usize = 5_000;
/// Days after which a file that never became whole is taken away.
const UNFINISHED_DAYS: i64 = 7;
/// Days for which results are kept.
const RESULT_DAYS: i64 = 400;

/// Why a piece is not taken.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// An id that is empty, too long, or has other characters than letters, digits, `.`, `_`, `-`.
    #[error("the upload's id is not of 1 to 31 letters, digits, `.`, `_`, `-`")]
    Id,
    /// The whole is larger than may be.
    #[error("an upload has 1 to {BYTES_MAX} bytes")]
    TooLarge,
    /// The first piece must declare the hash of the whole.
    #[error("the SHA-256 of the whole file is not declared")]
    NoHash,
    /// Length or hash of the whole are not what was declared before.
    #[error("the upload was begun with another length or SHA-256 of the whole file")]
    Differs,
    /// Bytes that came before came as others now.
    #[error("bytes of this piece were uploaded before, with another content")]
    Conflict,
    /// Too many pieces.
    #[error("the upload has too many pieces")]
    TooManyPieces,
    /// Too many files that never became whole.
    #[error("there are already {UNFINISHED_MAX} unfinished uploads")]
    TooMany,
    /// No such upload of this institution.
    #[error(transparent)]
    NotFound(#[from] NotFound),
    /// The whole is not what was declared; it was thrown away.
    #[error("the whole file does not have the declared SHA-256")]
    Hash,
    /// The whole is not signed by the institution; it waits for a right signature.
    #[error("the file is complete, but its signature does not match")]
    Signature(#[from] SignatureError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Hint for UploadError {
    fn hint(&self) -> Option<NextStep> {
        Some(match self {
            Self::Id => "name it with 1 to 31 letters, digits, `.`, `_`, `-`; see docs/thin-links.md".into(),
            Self::NoHash => {
                "declare the SHA-256 of the whole file with the first piece; see docs/thin-links.md".into()
            }
            Self::TooLarge => "send the confirmations in several uploads".into(),
            Self::Differs | Self::Conflict => "send another file under another id".into(),
            Self::TooManyPieces => "send larger pieces, under another id".into(),
            Self::TooMany => "finish them first; unfinished ones end after a week".into(),
            Self::NotFound(e) => return e.hint(),
            Self::Hash => "it was thrown away: send it again".into(),
            Self::Signature(_) => "send any piece again, with a fresh signature of the whole file".into(),
            Self::Store(_) => "send the same piece again".into(),
        })
    }
}

#[cfg(test)]
crate::domain::hint::samples!(UploadError {
    Self::Id => Self::Id,
    Self::TooLarge => Self::TooLarge,
    Self::NoHash => Self::NoHash,
    Self::Differs => Self::Differs,
    Self::Conflict => Self::Conflict,
    Self::TooManyPieces => Self::TooManyPieces,
    Self::TooMany => Self::TooMany,
    Self::NotFound(_) => Self::NotFound(Entity::Upload.not_found("a")),
    Self::Hash => Self::Hash,
    Self::Signature(_) => Self::Signature(SignatureError::Mismatch),
    Self::Store(_) => Self::Store(StoreError::Corrupt("upload")),
});

impl From<sqlx::Error> for UploadError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Whose upload.
#[derive(Clone, Debug)]
pub struct UploadId {
    /// Provider code.
    pub provider: String,
    /// Id of its own choosing, kept with the provider's code before it.
    kept: String,
}

impl UploadId {
    /// Reads an id.
    ///
    /// # Errors
    /// [`UploadError::Id`].
    pub fn parse(provider: &str, id: &str) -> Result<Self, UploadError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        // A provider's code has 32 characters at most, and no dot: two institutions never share a kept id.
        if id.is_empty() || id.len() > 31 || !id.bytes().all(allowed) {
            return Err(UploadError::Id);
        }
        Ok(Self { provider: provider.to_owned(), kept: format!("{provider}.{id}") })
    }
}

impl UploadId {
    /// That there is none of that id.
    fn not_found(&self) -> NotFound {
        let own = self.kept.strip_prefix(&self.provider).and_then(|rest| rest.strip_prefix('.'));
        Entity::Upload.not_found(own.unwrap_or(&self.kept))
    }
}

/// A piece of a file.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Its first byte in the whole.
    pub first: u64,
    /// Length of the whole.
    pub total: u64,
    /// SHA-256 of the whole, where declared.
    pub sha256: Option<[u8; 32]>,
    /// The bytes.
    pub bytes: Bytes,
}

/// The headers that prove the whole.
#[derive(Clone, Debug, Default)]
pub struct Proof {
    /// `Sarf-Timestamp`.
    pub timestamp: Option<String>,
    /// `Sarf-Signature`, over the whole file.
    pub signature: Option<String>,
}

/// How far an upload is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Length of the whole.
    pub total: u64,
    /// Bytes that have come.
    pub received: u64,
    /// Bytes from the start that have come without a gap: where to go on.
    pub offset: u64,
    /// What is missing, at most 100 ranges.
    pub missing: Vec<Range<u64>>,
    /// What came of it, once it was taken.
    pub result: Option<Value>,
}

/// Takes pieces, and the whole once it is there.
pub struct Uploads {
    context: Context,
    /// Those that this process is taking just now.
    taking: Mutex<HashSet<String>>,
    wholes: Semaphore,
}

impl Uploads {
    /// Uploads into the context's database.
    pub fn new(context: &Context) -> Self {
        Self { context: context.clone(), taking: Mutex::default(), wholes: Semaphore::new(WHOLES_AT_ONCE) }
    }

    /// Keeps a piece, and says how far the upload is.
    ///
    /// # Errors
    /// See [`UploadError`].
    pub async fn put(&self, id: &UploadId, piece: &Piece) -> Result<Progress, UploadError> {
        let (first, end) = (piece.first, piece.first + piece.bytes.len() as u64);
        if piece.total == 0 || piece.total > BYTES_MAX || end > piece.total {
            return Err(UploadError::TooLarge);
        }
        let provider = self.provider(&id.provider).await?;
        let mut tx = self.context.store.begin().await?;
        let upload = self.begin(&mut tx, id, provider, piece).await?;
        let same_hash = piece.sha256.is_none_or(|hash| hash.as_slice() == upload.sha256);
        if upload.provider_id != provider || upload.bytes as u64 != piece.total || !same_hash {
            return Err(UploadError::Differs);
        }
        if upload.result.is_none() {
            let kept = uploads::overlapping_in_tx(&mut tx, &id.kept, first as i64, end as i64).await?;
            for gap in gaps(first, &piece.bytes, &kept).ok_or(UploadError::Conflict)? {
                let bytes = &piece.bytes[(gap.start - first) as usize..(gap.end - first) as usize];
                if !uploads::add_piece_in_tx(&mut tx, &id.kept, gap.start as i64, bytes, PIECES_MAX).await? {
                    return Err(UploadError::TooManyPieces);
                }
            }
        }
        tx.commit().await?;
        self.progress(id).await
    }

    async fn begin(
        &self,
        connection: &mut sqlx::PgConnection,
        id: &UploadId,
        provider: i16,
        piece: &Piece,
    ) -> Result<Upload, UploadError> {
        if let Some(upload) = uploads::locked_in_tx(connection, &id.kept).await? {
            return Ok(upload);
        }
        let sha256 = piece.sha256.ok_or(UploadError::NoHash)?;
        if uploads::unfinished_in_tx(connection, provider).await? >= UNFINISHED_MAX {
            return Err(UploadError::TooMany);
        }
        let now = self.context.clock.now();
        Ok(uploads::begin_in_tx(connection, &id.kept, provider, piece.total as i64, &sha256, now).await?)
    }

    /// How far an upload is.
    ///
    /// # Errors
    /// [`UploadError::NotFound`], or when the database is gone.
    pub async fn progress(&self, id: &UploadId) -> Result<Progress, UploadError> {
        let store = &self.context.store;
        let upload = uploads::find(store, &id.kept).await?.ok_or_else(|| id.not_found())?;
        let total = upload.bytes as u64;
        if upload.result.is_some() {
            let missing = Vec::new();
            return Ok(Progress { total, received: total, offset: total, missing, result: upload.result });
        }
        let spans = uploads::spans(store, &id.kept).await?;
        let offset = spans.first().filter(|s| s.0 == 0).map_or(0, |s| s.1 as u64);
        let mut missing = Vec::new();
        let mut at = 0;
        for (first, end) in spans.into_iter().map(|(f, e)| (f as u64, e as u64)).chain([(total, total)]) {
            if first > at && missing.len() < 100 {
                missing.push(at..first);
            }
            at = end;
        }
        Ok(Progress { total, received: upload.received as u64, offset, missing, result: None })
    }

    /// Takes an upload whose bytes have all come: proves it, records its lines, keeps the result. `None` while another
    /// call takes it.
    ///
    /// # Errors
    /// See [`UploadError`].
    pub async fn take(
        &self,
        id: &UploadId,
        secret: &Secret,
        proof: &Proof,
    ) -> Result<Option<Value>, UploadError> {
        let Some(_mine) = Taking::begin(&self.taking, &id.kept) else { return Ok(None) };
        let store = &self.context.store;
        let upload = uploads::find(store, &id.kept).await?.ok_or_else(|| id.not_found())?;
        if let Some(result) = upload.result {
            return Ok(Some(result));
        }
        let _room = self.wholes.acquire().await.expect("the semaphore is never closed");
        let whole = uploads::whole(store, &id.kept, upload.bytes).await?;
        if Sha256::digest(&whole).as_slice() != upload.sha256 {
            let mut tx = store.begin().await?;
            uploads::drop_in_tx(&mut tx, &id.kept).await?;
            tx.commit().await?;
            return Err(UploadError::Hash);
        }
        let now = self.context.clock.now();
        secret.verify(
            proof.timestamp.as_deref(),
            proof.signature.as_deref(),
            &whole,
            now.unix_timestamp(),
        )?;
        let result = self.record(id, &whole).await?;
        let mut tx = store.begin().await?;
        uploads::finish_in_tx(&mut tx, &id.kept, &result, now).await?;
        tx.commit().await?;
        // Another process may have been quicker: the result that was kept is the one to give.
        Ok(uploads::find(store, &id.kept).await?.and_then(|u| u.result).or(Some(result)))
    }

    async fn record(&self, id: &UploadId, whole: &[u8]) -> Result<Value, StoreError> {
        let mut reader = lines::Reader::new(whole);
        let mut sum = MessageCounts::default();
        loop {
            let reports = reader.next_reports(REPORTS_AT_ONCE);
            if reports.is_empty() {
                break;
            }
            let counts = record::record(&self.context, &id.provider, Source::Upload, reports).await?;
            sum.applied += counts.applied;
            sum.already += counts.already;
            sum.noted += counts.noted;
            sum.breaks += counts.breaks;
        }
        Ok(json!({
            "lines": reader.lines, "taken": reader.taken, "refused": reader.refused, "faults": reader.faults,
            "applied": sum.applied, "already": sum.already, "noted": sum.noted, "breaks": sum.breaks,
        }))
    }

    async fn provider(&self, code: &str) -> Result<i16, StoreError> {
        let store = &self.context.store;
        if let Some(number) = worklists::provider_number(store, code).await? {
            return Ok(number);
        }
        let mut tx = store.begin().await?;
        let numbers = reference::provider_ids_in_tx(&mut tx, &[code.to_owned()]).await?;
        tx.commit().await?;
        numbers.get(code).copied().ok_or(StoreError::Corrupt("provider"))
    }

    /// Takes away what never became whole for a week, and results after 400 days.
    pub async fn prune(&self) -> Result<u64, StoreError> {
        let now = self.context.clock.now();
        let (unfinished, done) = (now - Duration::days(UNFINISHED_DAYS), now - Duration::days(RESULT_DAYS));
        uploads::prune(&self.context.store, unfinished, done).await
    }
}

/// The mark of an upload that is being taken; dropping it takes the mark away.
struct Taking<'a> {
    all: &'a Mutex<HashSet<String>>,
    id: String,
}

impl<'a> Taking<'a> {
    fn begin(all: &'a Mutex<HashSet<String>>, id: &str) -> Option<Self> {
        let new = all.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned());
        new.then(|| Self { all, id: id.to_owned() })
    }
}

impl Drop for Taking<'_> {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

/// Which bytes of a piece have not come before, given the pieces that overlap it; `None` where others came.
fn gaps(first: u64, bytes: &[u8], kept: &[(i64, Vec<u8>)]) -> Option<Vec<Range<u64>>> {
    let end = first + bytes.len() as u64;
    let (mut gaps, mut at) = (Vec::new(), first);
    for (kept_first, body) in kept {
        let kept_first = *kept_first as u64;
        let (from, to) = (kept_first.max(first), (kept_first + body.len() as u64).min(end));
        let ours = &bytes[(from - first) as usize..(to - first) as usize];
        let theirs = &body[(from - kept_first) as usize..(to - kept_first) as usize];
        if ours != theirs {
            return None;
        }
        if from > at {
            gaps.push(at..from);
        }
        at = to;
    }
    if end > at {
        gaps.push(at..end);
    }
    Some(gaps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_came_before_must_be_the_same() {
        let kept = |pieces: &[(i64, &[u8])]| -> Vec<(i64, Vec<u8>)> {
            pieces.iter().map(|(at, body)| (*at, body.to_vec())).collect()
        };
        let whole = b"0123456789";
        for (first, bytes, before, expected) in [
            (0, &whole[..], kept(&[]), Some(vec![(0, 10)])),
            (0, &whole[..], kept(&[(0, whole)]), Some(vec![])),
            (2, &whole[2..8], kept(&[(0, b"012"), (5, b"56")]), Some(vec![(3, 5), (7, 8)])),
            (2, &whole[2..8], kept(&[(7, b"789")]), Some(vec![(2, 7)])),
            (2, &whole[2..8], kept(&[(0, b"013")]), None),
            (2, &whole[2..8], kept(&[(7, b"889")]), None),
        ] {
            let found = gaps(first, bytes, &before)
                .map(|gaps| gaps.into_iter().map(|gap| (gap.start, gap.end)).collect::<Vec<_>>());
            assert_eq!(found, expected, "{first} {before:?}");
        }
    }

    #[test]
    fn ids_are_an_institutions_own() {
        for (id, good) in [("2026-11-24.a", true), ("", false), ("a/b", false), (&"x".repeat(32), false)] {
            assert_eq!(UploadId::parse("m2t", id).is_ok(), good, "{id}");
        }
        let (a, b) = (UploadId::parse("m2t", "b.x").unwrap(), UploadId::parse("m2tb", "x").unwrap());
        assert_ne!(a.kept, b.kept);
        assert!(UploadId::parse(&"p".repeat(32), &"x".repeat(31)).unwrap().kept.len() <= 64);
    }

    #[test]
    fn one_call_takes_an_upload_at_a_time() {
        let all = Mutex::default();
        let first = Taking::begin(&all, "a");
        assert!(first.is_some() && Taking::begin(&all, "a").is_none() && Taking::begin(&all, "b").is_some());
        drop(first);
        assert!(Taking::begin(&all, "a").is_some());
    }
}
