//! How breaks are decided: each step moves the break and is kept, append-only, in one transaction.

use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::domain::breaks::{BreakStep, PostTo};
use crate::domain::ids::{BreakId, RunId};
use crate::domain::reason::BreakKind;
use crate::store::{Store, StoreError};

/// Who takes a step, when and why.
#[derive(Clone, Copy, Debug)]
pub struct Taken<'a> {
    /// The operator.
    pub by: &'a str,
    /// When.
    pub at: OffsetDateTime,
    /// Why.
    pub why: &'a str,
    /// Where money in suspense goes, or comes back from.
    pub post: Option<PostTo>,
}

async fn append_in_tx(
    connection: &mut PgConnection,
    id: BreakId,
    step: BreakStep,
    taken: Taken<'_>,
) -> Result<(), StoreError> {
    sqlx::query("insert into break_step (break_id, step, taken_by, taken_at, why, post) values ($1, $2, $3, $4, $5, $6)")
        .bind(id.get())
        .bind(step.as_str())
        .bind(taken.by)
        .bind(taken.at)
        .bind(taken.why)
        .bind(taken.post.map(PostTo::as_str))
        .execute(connection)
        .await?;
    Ok(())
}

/// Keeps a step that follows by rule, for breaks that were moved already.
pub async fn by_rule_in_tx(
    connection: &mut PgConnection,
    ids: &[i64],
    step: BreakStep,
    why: &str,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into break_step (break_id, step, taken_by, taken_at, why) select id, $2, 'sarf', $3, $4 from unnest($1::bigint[]) as t(id)",
    )
    .bind(ids)
    .bind(step.as_str())
    .bind(at)
    .bind(why)
    .execute(connection)
    .await?;
    Ok(())
}

/// One person resolves a break.
pub async fn resolve_in_tx(
    connection: &mut PgConnection,
    id: BreakId,
    taken: Taken<'_>,
) -> Result<(), StoreError> {
    sqlx::query(
        "update break set resolved_by = $2, resolution = $3, resolved_at = $4, posted_to = $5 where id = $1",
    )
    .bind(id.get())
    .bind(taken.by)
    .bind(taken.why)
    .bind(taken.at)
    .bind(taken.post.map(PostTo::as_str))
    .execute(&mut *connection)
    .await?;
    append_in_tx(connection, id, BreakStep::Resolve, taken).await
}

/// One person proposes how a break is resolved: it stays open.
pub async fn propose_in_tx(
    connection: &mut PgConnection,
    id: BreakId,
    taken: Taken<'_>,
) -> Result<(), StoreError> {
    sqlx::query(
        "update break set proposed_by = $2, proposed_why = $3, proposed_at = $4, proposed_post = $5 where id = $1",
    )
    .bind(id.get())
    .bind(taken.by)
    .bind(taken.why)
    .bind(taken.at)
    .bind(taken.post.map(PostTo::as_str))
    .execute(&mut *connection)
    .await?;
    append_in_tx(connection, id, BreakStep::Propose, taken).await
}

/// A second person confirms what was proposed.
///
/// # Errors
/// With the constraint `break_confirmed_by_another` when it is the first.
pub async fn confirm_in_tx(
    connection: &mut PgConnection,
    id: BreakId,
    taken: Taken<'_>,
) -> Result<(), StoreError> {
    sqlx::query(
        "update break set resolved_by = proposed_by, resolution = proposed_why, resolved_at = $3, posted_to = proposed_post,
                confirmed_by = $2, proposed_by = null, proposed_at = null, proposed_why = null, proposed_post = null
          where id = $1",
    )
    .bind(id.get())
    .bind(taken.by)
    .bind(taken.at)
    .execute(&mut *connection)
    .await?;
    append_in_tx(connection, id, BreakStep::Confirm, taken).await
}

/// What came later explains a break, whose money was posted with it; a proposal for it falls away.
pub async fn explain_in_tx(
    connection: &mut PgConnection,
    id: BreakId,
    taken: Taken<'_>,
) -> Result<(), StoreError> {
    sqlx::query(
        "update break set resolved_by = $2, resolution = $3, resolved_at = $4,
                posted_to = case when suspense <> 0 then 'explained' end,
                proposed_by = null, proposed_at = null, proposed_why = null, proposed_post = null where id = $1",
    )
    .bind(id.get())
    .bind(taken.by)
    .bind(taken.why)
    .bind(taken.at)
    .execute(&mut *connection)
    .await?;
    append_in_tx(connection, id, BreakStep::Explain, taken).await
}

/// A person takes a resolution, or a proposal, back.
pub async fn reopen_in_tx(
    connection: &mut PgConnection,
    id: BreakId,
    taken: Taken<'_>,
) -> Result<(), StoreError> {
    sqlx::query(
        "update break set resolved_by = null, resolution = null, resolved_at = null, posted_to = null, confirmed_by = null,
                proposed_by = null, proposed_at = null, proposed_why = null, proposed_post = null where id = $1",
    )
    .bind(id.get())
    .execute(&mut *connection)
    .await?;
    append_in_tx(connection, id, BreakStep::Reopen, taken).await
}

/// A step that was taken.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Step {
    /// Which.
    pub step: BreakStep,
    /// Who.
    pub by: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Why.
    pub why: String,
    /// Where money in suspense went, or came back from.
    pub post: Option<PostTo>,
}

/// The steps of a break, as they were taken.
pub async fn of_break(store: &Store, id: BreakId) -> Result<Vec<Step>, StoreError> {
    let rows: Vec<(String, String, OffsetDateTime, String, Option<String>)> = sqlx::query_as(
        "select step, taken_by, taken_at, why, post from break_step where break_id = $1 order by id",
    )
    .bind(id.get())
    .fetch_all(store.pool())
    .await?;
    rows.into_iter()
        .map(|(step, by, at, why, post)| {
            Ok(Step {
                step: BreakStep::parse(&step).ok_or(StoreError::Corrupt("step of a break"))?,
                by,
                at,
                why,
                post: post
                    .map(|p| PostTo::parse(&p).ok_or(StoreError::Corrupt("posting of a break")))
                    .transpose()?,
            })
        })
        .collect()
}

/// Resolves the breaks of a kind in a run whose fact no longer holds; a proposal for them falls away.
pub async fn resolve_gone_in_tx(
    connection: &mut PgConnection,
    run: RunId,
    kinds: &[BreakKind],
    still: &[String],
    at: OffsetDateTime,
) -> Result<u64, StoreError> {
    const WHY: &str = "explained by later feedback";
    let gone: Vec<i64> = sqlx::query_scalar(
        "update break set resolved_by = 'sarf', resolution = $4, resolved_at = $5,
                proposed_by = null, proposed_at = null, proposed_why = null, proposed_post = null
          where run_id = $1 and kind = any($2) and resolved_at is null and suspense = 0 and dedup_key <> all($3) returning id",
    )
    .bind(run.get())
    .bind(kinds.iter().map(|k| k.as_str()).collect::<Vec<_>>())
    .bind(still)
    .bind(WHY)
    .bind(at)
    .fetch_all(&mut *connection)
    .await?;
    by_rule_in_tx(connection, &gone, BreakStep::Explain, WHY, at).await?;
    Ok(gone.len() as u64)
}

/// Resolves the break of a key by rule, where it is open; a proposal for it falls away.
pub async fn resolve_key_in_tx(
    connection: &mut PgConnection,
    key: &str,
    why: &str,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let gone: Vec<i64> = sqlx::query_scalar(
        "update break set resolved_by = 'sarf', resolution = $2, resolved_at = $3,
                proposed_by = null, proposed_at = null, proposed_why = null, proposed_post = null
          where dedup_key = $1 and resolved_at is null and suspense = 0 returning id",
    )
    .bind(key)
    .bind(why)
    .bind(at)
    .fetch_all(&mut *connection)
    .await?;
    by_rule_in_tx(connection, &gone, BreakStep::Explain, why, at).await
}
