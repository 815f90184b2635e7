//! The audit chain: every decision, and the hash over all rows that a transaction changed, is a record that carries the hash of
//! the one before, so that an altered, added or missing record is found and named.

use futures_util::TryStreamExt as _;
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, PgConnection};
use time::OffsetDateTime;

use super::anchor::{Added, Anchored, Head};
use super::{journal, signing};
use crate::keys::KeyRing;
use crate::store::locks::{self, Lock};
use crate::store::{Store, StoreError};

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
    /// Records are not there.
    #[error("audit record {0} is missing")]
    Missing(i64),
    /// A record is not what was written.
    #[error("audit record {0} was altered")]
    Altered(i64),
    /// A record that the engine never wrote.
    #[error("audit record {0} was not written by the engine")]
    Foreign(i64),
    /// Records that were written are not there any more.
    #[error("audit records {from} to {to} were taken away")]
    Removed {
        /// First that is not there.
        from: i64,
        /// Last.
        to: i64,
    },
    /// The head that was written down is in no record.
    #[error("no audit record has the hash {0}")]
    HeadUnknown(String),
}

/// The chain as it was found.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    /// Records.
    pub records: i64,
    /// Number and hash of the last.
    pub head: Option<Head>,
    /// The number of the record whose hash was asked for.
    pub asked: Option<i64>,
    /// What is wrong, the first of each.
    pub faults: Vec<ChainFault>,
    /// How many faults there are.
    pub faults_total: u64,
}

/// The action of records that vouch for rows.
pub const ROWS: &str = "rows";

/// Faults that are named.
const FAULTS_MAX: usize = 20;

/// Appends a decision, within the caller's transaction: it stands or falls with what was decided. It gets its place in the chain
/// when the transaction commits.
pub async fn append_in_tx(connection: &mut PgConnection, decision: Decision<'_>) -> Result<(), StoreError> {
    sqlx::query(
        "insert into audit_pending (change, at, actor, action, subject, detail) values (journal_change(), $1, $2, $3, $4, $5)",
    )
    .bind(truncate_to_micros(decision.at))
    .bind(decision.actor)
    .bind(decision.action)
    .bind(decision.subject)
    .bind(decision.detail)
    .execute(connection)
    .await?;
    Ok(())
}

/// A decision on its way into the chain.
struct Pending {
    id: i64,
    at: OffsetDateTime,
    actor: String,
    action: String,
    subject: String,
    detail: String,
}

/// Ends a transaction's part in the chain: its decisions, those of people signed, and one record over its entries of the journal.
pub(crate) async fn close_in_tx(
    connection: &mut PgConnection,
    change: i64,
    keys: Option<&KeyRing>,
) -> Result<Added, StoreError> {
    // Before the chain is locked: whoever signs may take their time.
    let mut signatures = signing::sign_in_tx(connection, change, keys).await?;
    // One writer at a time, until its transaction ends: a chain has no forks.
    locks::take_in_tx(connection, Lock::AuditChain).await?;
    let pending: Vec<(i64, OffsetDateTime, String, String, String, String)> = sqlx::query_as(
        "with gone as (delete from audit_pending where change = $1 returning id, at, actor, action, subject, detail)
         select id, at, actor, action, subject, detail from gone order by id",
    )
    .bind(change)
    .fetch_all(&mut *connection)
    .await?;
    let pending = pending.into_iter().map(|(id, at, actor, action, subject, detail)| Pending {
        id,
        at,
        actor,
        action,
        subject,
        detail,
    });
    let sql = format!(
        "select {}, clock_timestamp(), l.sequence, l.hash, (select hash from audit where sequence = 1)
           from (select 1) one left join (select sequence, hash from audit order by sequence desc limit 1) l on true",
        journal::digest_of("$1")
    );
    type Found = (Option<String>, OffsetDateTime, Option<i64>, Option<Vec<u8>>, Option<Vec<u8>>);
    let (rows, now, last, previous, first): Found =
        sqlx::query_as(AssertSqlSafe(sql)).bind(change).fetch_one(&mut *connection).await?;
    let (mut sequence, mut previous) = (last.unwrap_or(0), previous.unwrap_or_else(|| vec![0; 32]));
    let vouched = rows.map(|detail| Pending {
        id: 0,
        at: now,
        actor: "sarf".to_owned(),
        action: ROWS.to_owned(),
        subject: format!("change {change}"),
        detail,
    });
    let mut heads = Vec::new();
    for record in pending.chain(vouched) {
        sequence += 1;
        let signed = signatures.remove(&record.id);
        let hash = insert_in_tx(connection, sequence, record, signed, &previous).await?;
        previous = hash.to_vec();
        heads.push((sequence, hash));
    }
    let chain = first.or_else(|| heads.first().map(|(_, hash)| hash.to_vec())).unwrap_or_default();
    Ok(Added { chain, heads })
}

/// Writes a record; gives its hash.
async fn insert_in_tx(
    connection: &mut PgConnection,
    sequence: i64,
    Pending { at, actor, action, subject, detail, .. }: Pending,
    signed: Option<signing::SignedDecision>,
    previous: &[u8],
) -> Result<[u8; 32], StoreError> {
    let at = truncate_to_micros(at);
    let mut texts = vec![actor.as_str(), &action, &subject, &detail];
    if let Some(signed) = &signed {
        texts.extend([signed.by.fingerprint.as_str(), &signed.by.signature]);
    }
    let hash = hash_record(sequence, at.unix_timestamp_nanos(), &texts, previous);
    let (key, signature, after) =
        signed.map_or((None, None, None), |s| (Some(s.by.fingerprint), Some(s.by.signature), Some(s.after)));
    sqlx::query(
        "insert into audit (sequence, at, actor, action, subject, detail, previous, hash, key_fingerprint, signature, signed_after)
         values ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)",
    )
    .bind(sequence)
    .bind(at)
    .bind(actor)
    .bind(action)
    .bind(subject)
    .bind(detail)
    .bind(previous)
    .bind(hash.as_slice())
    .bind(key)
    .bind(signature)
    .bind(after)
    .execute(connection)
    .await?;
    Ok(hash)
}

/// Walks the whole chain and names what is wrong with it, beside what was written outside of the database; `asked` is a hash
/// that must be that of a record.
pub async fn verify(
    store: &Store,
    anchored: &Anchored,
    asked: Option<[u8; 32]>,
) -> Result<Chain, StoreError> {
    type Row = (i64, i64, String, String, String, String, Vec<u8>, Vec<u8>, Option<String>, Option<String>);
    // Nothing that somebody wrote into a column may end the walk.
    let mut rows = sqlx::query_as::<_, Row>(
        "select sequence, case when isfinite(at) then (extract(epoch from at) * 1000000)::bigint else 0 end, coalesce(actor, ''),
                coalesce(action, ''), coalesce(subject, ''), coalesce(detail, ''), coalesce(previous, ''), coalesce(hash, ''),
                key_fingerprint, signature
           from audit order by sequence",
    )
    .fetch(store.pool());
    let mut chain = Chain::default();
    let (mut expected, mut last) = (1, vec![0u8; 32]);
    while let Some((sequence, micros, actor, action, subject, detail, previous, hash, key, signature)) =
        rows.try_next().await?
    {
        if sequence != expected {
            chain.fault(ChainFault::Missing(expected));
        } else if previous != last {
            chain.fault(ChainFault::Altered(sequence));
        }
        let nanos = i128::from(micros) * 1_000;
        let texts: Vec<&str> = [&actor, &action, &subject, &detail]
            .into_iter()
            .chain(key.as_ref())
            .chain(signature.as_ref())
            .map(String::as_str)
            .collect();
        let computed = hash_record(sequence, nanos, &texts, &previous);
        if hash != computed {
            chain.fault(ChainFault::Altered(sequence));
        } else if !anchored.knows((sequence, computed)) {
            chain.fault(ChainFault::Foreign(sequence));
        }
        if asked == Some(computed) {
            chain.asked = Some(sequence);
        }
        chain.records += 1;
        chain.head = Some((sequence, computed));
        last = hash;
        expected = sequence + 1;
    }
    if let Some(to) = anchored.last.filter(|last| *last >= expected) {
        chain.fault(ChainFault::Removed { from: expected, to });
    }
    if let Some(hash) = asked.filter(|_| chain.asked.is_none()) {
        // It was asked for: named whatever else is wrong.
        chain.faults_total += 1;
        chain.faults.insert(0, ChainFault::HeadUnknown(crate::domain::hex(&hash)));
    }
    Ok(chain)
}

impl Chain {
    fn fault(&mut self, fault: ChainFault) {
        self.faults_total += 1;
        if self.faults.len() < FAULTS_MAX && !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }
}

/// The hash of the first record: which chain it is.
pub async fn first(store: &Store) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "select hash from audit where sequence = 1";
    Ok(sqlx::query_scalar::<_, Option<Vec<u8>>>(sql).fetch_optional(store.pool()).await?.flatten())
}

/// How many records there are, and the hash of the last.
pub async fn head(store: &Store) -> Result<Option<(i64, String)>, StoreError> {
    Ok(sqlx::query_as("select sequence, encode(hash, 'hex') from audit order by sequence desc limit 1")
        .fetch_optional(store.pool())
        .await?)
}

fn hash_record(sequence: i64, nanos: i128, texts: &[&str], previous: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(previous);
    hash.update(sequence.to_be_bytes());
    hash.update(nanos.to_be_bytes());
    for text in texts {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    hash.finalize().into()
}

/// The database keeps microseconds; the hash must be over what it keeps.
pub(super) fn truncate_to_micros(at: OffsetDateTime) -> OffsetDateTime {
    let nanos = at.nanosecond();
    at.replace_nanosecond(nanos - nanos % 1_000).expect("fewer nanoseconds are valid too")
}
