//! The audit chain: every decision is a record that carries the hash of the one before, so that an altered or missing
//! record is found and named.

use futures_util::TryStreamExt as _;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{Store, StoreError};

/// A decision to be recorded. Nothing personal goes into it.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'a> {
    /// Who decided: an operator's name, or `sarf` for what follows by rule.
    pub actor: &'a str,
    /// What was done: `run.approve`, `order.hold`, …
    pub action: &'a str,
    /// To what: `run 7`, `order …`.
    pub subject: &'a str,
    /// Figures, hashes and reasons.
    pub detail: &'a str,
    /// When.
    pub at: OffsetDateTime,
}

/// Where the chain is broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    /// A record is not there.
    #[error("audit record {0} is missing")]
    Missing(i64),
    /// A record is not what was written.
    #[error("audit record {0} was altered")]
    Altered(i64),
}

/// Appends a decision, within the caller's transaction: it stands or falls with what was decided.
///
/// # Errors
/// When the database is gone.
pub async fn append_in_tx(connection: &mut PgConnection, decision: Decision<'_>) -> Result<(), StoreError> {
    // One writer at a time, until its transaction ends: a chain has no forks.
    sqlx::query("select pg_advisory_xact_lock(hashtext('sarf.audit'))").execute(&mut *connection).await?;
    let last: Option<(i64, Vec<u8>)> =
        sqlx::query_as("select sequence, hash from audit order by sequence desc limit 1")
            .fetch_optional(&mut *connection)
            .await?;
    let (sequence, previous) = last.map_or((1, vec![0; 32]), |(s, h)| (s + 1, h));
    let at = truncate_to_micros(decision.at);
    let hash = hash_record(
        sequence,
        at,
        &[decision.actor, decision.action, decision.subject, decision.detail],
        &previous,
    );
    sqlx::query("insert into audit (sequence, at, actor, action, subject, detail, previous, hash) values ($1,$2,$3,$4,$5,$6,$7,$8)")
        .bind(sequence)
        .bind(at)
        .bind(decision.actor)
        .bind(decision.action)
        .bind(decision.subject)
        .bind(decision.detail)
        .bind(previous)
        .bind(hash.as_slice())
        .execute(connection)
        .await?;
    Ok(())
}

/// Walks the whole chain: how many records hold, and the first fault.
///
/// # Errors
/// When the database is gone.
pub async fn verify(store: &Store) -> Result<(i64, Option<ChainFault>), StoreError> {
    type Row = (i64, OffsetDateTime, String, String, String, String, Vec<u8>, Vec<u8>);
    let mut rows = sqlx::query_as::<_, Row>(
        "select sequence, at, actor, action, subject, detail, previous, hash from audit order by sequence",
    )
    .fetch(store.pool());
    let (mut expected, mut last) = (1, vec![0u8; 32]);
    while let Some((sequence, at, actor, action, subject, detail, previous, hash)) = rows.try_next().await? {
        if sequence != expected {
            return Ok((expected - 1, Some(ChainFault::Missing(expected))));
        }
        let computed = hash_record(sequence, at, &[&actor, &action, &subject, &detail], &previous);
        if previous != last || hash != computed {
            return Ok((expected - 1, Some(ChainFault::Altered(sequence))));
        }
        last = hash;
        expected += 1;
    }
    Ok((expected - 1, None))
}

fn hash_record(sequence: i64, at: OffsetDateTime, texts: &[&str], previous: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(previous);
    hash.update(sequence.to_be_bytes());
    hash.update(at.unix_timestamp_nanos().to_be_bytes());
    for text in texts {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    hash.finalize().into()
}

/// The database keeps microseconds; the hash must be over what it keeps.
fn truncate_to_micros(at: OffsetDateTime) -> OffsetDateTime {
    let nanos = at.nanosecond();
    at.replace_nanosecond(nanos - nanos % 1_000).expect("fewer nanoseconds are valid too")
}
