//! Signatures of people under their decisions, and who holds which key.
//!
//! Guarantee: a decision of a person does not commit unless it is theirs to take (`domain::powers`) and a key of theirs has signed it; the signature is over the decision as it is
//! recorded and over the head of the chain at that time. Limit: the table of keys is for finding them; what `sarf verify` believes is
//! worked out from the signed records alone, from the administrators in the home on.

use std::collections::HashMap;

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::chain::{self, Decision};
use crate::domain::powers::{self, Role};
use crate::domain::statement_of_decision::DecisionStatement;
use crate::keys::{KeyError, KeyRing, Signed};
use crate::store::{Store, StoreError};

/// The engine itself: what follows by rule.
pub const ENGINE: &str = "sarf";
/// The record from which on decisions of people are signed.
pub const BEGIN: &str = "signatures.begin";
/// A key is given to a person.
pub const ENROL: &str = "key.enrol";
/// A key is taken away.
pub const REVOKE: &str = "key.revoke";

/// A signature, and the head of the chain that it names.
#[derive(Debug)]
pub(super) struct SignedDecision {
    pub by: Signed,
    pub after: Vec<u8>,
}

/// Signs the decisions of people that wait in a transaction, by their place.
pub(super) async fn sign_in_tx(
    connection: &mut PgConnection,
    change: i64,
    keys: Option<&KeyRing>,
) -> Result<HashMap<i64, SignedDecision>, StoreError> {
    type Row = (i64, OffsetDateTime, String, String, String, String);
    let waiting: Vec<Row> = sqlx::query_as(
        "select id, at, actor, action, subject, detail from audit_pending where change = $1 and actor <> 'sarf' order by id",
    )
    .bind(change)
    .fetch_all(&mut *connection)
    .await?;
    let mut signatures = HashMap::new();
    if waiting.is_empty() {
        return Ok(signatures);
    }
    let head: Option<Vec<u8>> = sqlx::query_scalar("select hash from audit order by sequence desc limit 1")
        .fetch_optional(&mut *connection)
        .await?;
    let after = head.unwrap_or_else(|| vec![0; 32]);
    for (id, at, actor, action, subject, detail) in waiting {
        let missing = || KeyError::Missing { name: actor.clone(), path: "people".into() };
        let keys = keys.ok_or_else(missing)?;
        let at = chain::truncate_to_micros(at);
        let statement = DecisionStatement {
            action: &action,
            subject: &subject,
            detail: &detail,
            by: &actor,
            at,
            after: &after,
        };
        let text = statement.text();
        let (ring, name) = (keys.clone(), actor.clone());
        let signed = tokio::task::spawn_blocking(move || ring.sign(&name, &text)).await;
        let signed = signed.expect("signing does not panic")?;
        require_theirs_in_tx(connection, keys, (actor, action), &signed.fingerprint).await?;
        signatures.insert(id, SignedDecision { by: signed, after: after.clone() });
    }
    Ok(signatures)
}

/// Refuses a decision that is not for the holder of a key to take, or a key that is not its maker's.
async fn require_theirs_in_tx(
    connection: &mut PgConnection,
    keys: &KeyRing,
    (actor, action): (String, String),
    fingerprint: &str,
) -> Result<(), StoreError> {
    // The role of whoever's key it is, where they may still act.
    let role: Option<Option<String>> = sqlx::query_scalar(
        "select case when o.active then o.role end from operator_key k join operator o on o.name = k.operator
          where k.fingerprint = $1 and k.operator = $2 and k.revoked_at is null",
    )
    .bind(fingerprint)
    .bind(&actor)
    .fetch_optional(connection)
    .await?;
    let may = match role {
        Some(role) => role.as_deref().and_then(Role::parse).is_some_and(|role| powers::may(role, &action)),
        None if keys.trust()?.key(&actor, fingerprint).is_some() => powers::administrator_may(&action),
        None => {
            return Err(StoreError::NotEnrolled { name: actor, fingerprint: fingerprint.to_owned() });
        }
    };
    if may { Ok(()) } else { Err(StoreError::NotTheirs { name: actor, action }) }
}

/// Notes once that decisions are signed from here on.
pub(crate) async fn begin(store: &Store) -> Result<(), StoreError> {
    let begun: bool = sqlx::query_scalar(
        "select exists (select from audit where action = 'signatures.begin' and actor = 'sarf')",
    )
    .fetch_one(store.pool())
    .await?;
    if begun {
        return Ok(());
    }
    let mut tx = store.begin().await?;
    let at = sqlx::query_scalar("select clock_timestamp()").fetch_one(&mut *tx).await?;
    let detail = "from here on decisions of people are signed";
    let decision = Decision { actor: ENGINE, action: BEGIN, subject: "people", detail, at };
    chain::append_in_tx(&mut tx, decision).await?;
    tx.commit().await
}

/// A key of a person.
#[derive(Clone, Debug, serde::Serialize)]
pub struct OperatorKey {
    /// Fingerprint, `SHA256:…`.
    pub fingerprint: String,
    /// Whose.
    pub operator: String,
    /// Kind and key.
    pub public_key: String,
    /// The administrator who enrolled it.
    pub enrolled_by: String,
    /// When.
    pub enrolled_at: OffsetDateTime,
    /// Who took it away.
    pub revoked_by: Option<String>,
}

/// A key by its fingerprint, whoever holds it.
pub async fn find_in_tx(
    connection: &mut PgConnection,
    fingerprint: &str,
) -> Result<Option<OperatorKey>, StoreError> {
    let row: Option<Row> = sqlx::query_as(
        "select fingerprint, operator, public_key, enrolled_by, enrolled_at, revoked_by from operator_key where fingerprint = $1",
    )
    .bind(fingerprint)
    .fetch_optional(connection)
    .await?;
    Ok(row.map(read))
}

/// All keys, by person.
pub async fn list(store: &Store) -> Result<Vec<OperatorKey>, StoreError> {
    let rows: Vec<Row> = sqlx::query_as(
        "select fingerprint, operator, public_key, enrolled_by, enrolled_at, revoked_by from operator_key order by operator, enrolled_at, fingerprint",
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows.into_iter().map(read).collect())
}

type Row = (String, String, String, String, OffsetDateTime, Option<String>);

fn read((fingerprint, operator, public_key, enrolled_by, enrolled_at, revoked_by): Row) -> OperatorKey {
    OperatorKey { fingerprint, operator, public_key, enrolled_by, enrolled_at, revoked_by }
}

/// Keeps a key that was enrolled.
pub async fn insert_in_tx(connection: &mut PgConnection, key: &OperatorKey) -> Result<(), StoreError> {
    sqlx::query(
        "insert into operator_key (fingerprint, operator, public_key, enrolled_by, enrolled_at) values ($1, $2, $3, $4, $5)",
    )
    .bind(&key.fingerprint)
    .bind(&key.operator)
    .bind(&key.public_key)
    .bind(&key.enrolled_by)
    .bind(key.enrolled_at)
    .execute(connection)
    .await?;
    Ok(())
}

/// Ends a key.
pub async fn revoke_in_tx(
    connection: &mut PgConnection,
    fingerprint: &str,
    by: &str,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query("update operator_key set revoked_by = $2, revoked_at = $3 where fingerprint = $1")
        .bind(fingerprint)
        .bind(by)
        .bind(at)
        .execute(connection)
        .await?;
    Ok(())
}

/// A decision of a person, or the beginning of signatures, as the chain has it.
#[derive(Clone, Debug)]
pub struct DecisionRecord {
    /// Place in the chain.
    pub sequence: i64,
    /// When.
    pub at: OffsetDateTime,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// On what.
    pub subject: String,
    /// Content.
    pub detail: String,
    /// Key, signature, the hash that it names, and the place of the record that has that hash.
    pub signed: Option<(String, String, Vec<u8>, Option<i64>)>,
}

/// All of them, in order.
pub async fn records(store: &Store) -> Result<Vec<DecisionRecord>, StoreError> {
    type Found = (
        i64,
        OffsetDateTime,
        String,
        String,
        String,
        String,
        Option<String>,
        Option<String>,
        Option<Vec<u8>>,
        Option<i64>,
    );
    // Nothing that somebody wrote into a column may end the walk.
    let rows: Vec<Found> = sqlx::query_as(
        "select a.sequence, case when isfinite(a.at) then a.at else 'epoch' end, coalesce(a.actor, ''), coalesce(a.action, ''),
                coalesce(a.subject, ''), coalesce(a.detail, ''), a.key_fingerprint, a.signature, a.signed_after, p.sequence
           from audit a left join audit p on p.hash = a.signed_after
          where a.actor <> 'sarf' or a.action = 'signatures.begin' order by a.sequence",
    )
    .fetch_all(store.pool())
    .await?;
    let read = |(sequence, at, actor, action, subject, detail, key, signature, after, place): Found| {
        let signed =
            key.zip(signature).zip(after).map(|((key, signature), after)| (key, signature, after, place));
        DecisionRecord { sequence, at, actor, action, subject, detail, signed }
    };
    Ok(rows.into_iter().map(read).collect())
}

/// Whom the rows of a run name as its deciders, with the content that they decided on.
#[derive(Clone, Debug, Default, sqlx::FromRow)]
pub struct Deciders {
    /// Run.
    pub id: i64,
    /// Who submitted it.
    pub submitted_by: Option<String>,
    /// Who approved it first, where it took two.
    pub first_approver: Option<String>,
    /// Who approved it.
    pub approved_by: Option<String>,
    /// Who funded it.
    pub funded_by: Option<String>,
    /// Hash of its content.
    pub content_sha256: Option<String>,
}

/// Of all runs.
pub async fn deciders(store: &Store) -> Result<Vec<Deciders>, StoreError> {
    Ok(sqlx::query_as(
        "select id, submitted_by, first_approver, approved_by, funded_by, encode(content_sha256, 'hex') as content_sha256 from run
          where state not in ('draft', 'computed') and standing_approval is null order by id",
    )
    .fetch_all(store.pool())
    .await?)
}
