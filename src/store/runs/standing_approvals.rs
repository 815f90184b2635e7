//! Standing approvals: which orders may arrive as events, up to which ceilings, and who allowed it.

use sqlx::{AssertSqlSafe, PgConnection};
use time::{Date, OffsetDateTime};

use crate::domain::event::StandingApprovalId;
use crate::domain::listed::listed;
use crate::domain::money::Centimes;
use crate::store::{Store, StoreError};

listed! {
    /// What a person does to a standing approval.
    StandingStep {
        /// The approver approves it.
        Approve = "approve",
        /// The accountant allows that its orders take from the envelope.
        Fund = "fund",
        /// It ends, now.
        Revoke = "revoke",
    }
}

/// A standing approval.
#[derive(Clone, Debug, serde::Serialize)]
pub struct StandingApproval {
    /// Number.
    pub id: StandingApprovalId,
    /// Programme number.
    #[serde(skip)]
    pub programme_id: i16,
    /// Programme code.
    pub programme: String,
    /// Purpose of the claims that it is for.
    pub purpose: String,
    /// Most that one order may be over.
    pub order_max: Centimes,
    /// Most that a day's orders may come to.
    pub day_max: Centimes,
    /// First day.
    #[serde(serialize_with = "as_text")]
    pub valid_from: Date,
    /// Last day.
    #[serde(serialize_with = "as_text")]
    pub valid_to: Date,
    /// Preparer.
    pub proposed_by: String,
    /// Approver.
    pub approved_by: Option<String>,
    /// Accountant.
    pub funded_by: Option<String>,
    /// Who ended it.
    pub revoked_by: Option<String>,
}

fn as_text<S: serde::Serializer>(day: &Date, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(day)
}

/// What is proposed.
#[derive(Clone, Copy, Debug)]
pub struct NewStandingApproval<'a> {
    /// Programme number.
    pub programme_id: i16,
    /// Purpose.
    pub purpose: &'a str,
    /// Most that one order may be over.
    pub order_max: Centimes,
    /// Most that a day's orders may come to.
    pub day_max: Centimes,
    /// First day.
    pub valid_from: Date,
    /// Last day.
    pub valid_to: Date,
    /// Preparer.
    pub by: &'a str,
}

const COLUMNS: &str =
    "a.id, a.programme_id, p.code, a.purpose, a.order_max, a.day_max, a.valid_from, a.valid_to,
    a.proposed_by, a.approved_by, a.funded_by, a.revoked_by";

fn read(row: &sqlx::postgres::PgRow) -> Result<StandingApproval, StoreError> {
    use sqlx::Row as _;
    Ok(StandingApproval {
        id: StandingApprovalId::new(row.try_get(0)?),
        programme_id: row.try_get(1)?,
        programme: row.try_get(2)?,
        purpose: row.try_get(3)?,
        order_max: Centimes::new(row.try_get(4)?),
        day_max: Centimes::new(row.try_get(5)?),
        valid_from: row.try_get(6)?,
        valid_to: row.try_get(7)?,
        proposed_by: row.try_get(8)?,
        approved_by: row.try_get(9)?,
        funded_by: row.try_get(10)?,
        revoked_by: row.try_get(11)?,
    })
}

/// All, newest first.
pub async fn list(store: &Store) -> Result<Vec<StandingApproval>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from standing_approval a join programme p on p.id = a.programme_id order by a.id desc"
    );
    sqlx::query(AssertSqlSafe(sql)).fetch_all(store.pool()).await?.iter().map(read).collect()
}

/// One, locked.
pub async fn find_in_tx(
    connection: &mut PgConnection,
    id: StandingApprovalId,
) -> Result<Option<StandingApproval>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from standing_approval a join programme p on p.id = a.programme_id
          where a.id = $1 for update of a"
    );
    let row = sqlx::query(AssertSqlSafe(sql)).bind(id.get()).fetch_optional(connection).await?;
    row.as_ref().map(read).transpose()
}

/// Those in force on a day for any of `purposes`, by number, locked: their ceilings are this transaction's to use up.
pub async fn in_force_in_tx(
    connection: &mut PgConnection,
    programme_id: i16,
    purposes: &[&str],
    day: Date,
) -> Result<Vec<StandingApproval>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from standing_approval a join programme p on p.id = a.programme_id
          where a.programme_id = $1 and a.purpose = any($2) and $3 between a.valid_from and a.valid_to
            and a.approved_by is not null and a.funded_by is not null and a.revoked_by is null
          order by a.id for update of a"
    );
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(programme_id).bind(purposes).bind(day);
    rows.fetch_all(connection).await?.iter().map(read).collect()
}

/// The same proposal by the same person that nobody has ended.
pub async fn same_in_tx(
    connection: &mut PgConnection,
    new: &NewStandingApproval<'_>,
) -> Result<Option<StandingApprovalId>, StoreError> {
    let id: Option<i64> = sqlx::query_scalar(
        "select id from standing_approval
          where programme_id = $1 and purpose = $2 and order_max = $3 and day_max = $4 and valid_from = $5
            and valid_to = $6 and proposed_by = $7 and revoked_by is null order by id limit 1",
    )
    .bind(new.programme_id)
    .bind(new.purpose)
    .bind(new.order_max.get())
    .bind(new.day_max.get())
    .bind(new.valid_from)
    .bind(new.valid_to)
    .bind(new.by)
    .fetch_optional(connection)
    .await?;
    Ok(id.map(StandingApprovalId::new))
}

/// Writes a proposal.
pub async fn insert_in_tx(
    connection: &mut PgConnection,
    new: &NewStandingApproval<'_>,
    at: OffsetDateTime,
) -> Result<StandingApprovalId, StoreError> {
    let id = sqlx::query_scalar(
        "insert into standing_approval (programme_id, purpose, order_max, day_max, valid_from, valid_to, proposed_by,
                proposed_at) values ($1, $2, $3, $4, $5, $6, $7, $8) returning id",
    )
    .bind(new.programme_id)
    .bind(new.purpose)
    .bind(new.order_max.get())
    .bind(new.day_max.get())
    .bind(new.valid_from)
    .bind(new.valid_to)
    .bind(new.by)
    .bind(at)
    .fetch_one(connection)
    .await?;
    Ok(StandingApprovalId::new(id))
}

/// Records a person's step.
///
/// # Errors
/// With the constraints `standing_approval_four_eyes` and `standing_approval_accountant_apart` when a person acts twice.
pub async fn step_in_tx(
    connection: &mut PgConnection,
    id: StandingApprovalId,
    step: StandingStep,
    by: &str,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let sql = match step {
        StandingStep::Approve => {
            "update standing_approval set approved_by = $2, approved_at = $3 where id = $1"
        }
        StandingStep::Fund => "update standing_approval set funded_by = $2, funded_at = $3 where id = $1",
        StandingStep::Revoke => "update standing_approval set revoked_by = $2, revoked_at = $3 where id = $1",
    };
    sqlx::query(sql).bind(id.get()).bind(by).bind(at).execute(connection).await?;
    Ok(())
}
