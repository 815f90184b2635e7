//! Recovery cases: reading one, its steps and its amounts.

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use time::{Date, OffsetDateTime};

use crate::domain::ids::{CaseId, OrderId};
use crate::domain::money::Centimes;
use crate::domain::period::Period;
use crate::domain::recovery::{AppealStage, CaseCause, CaseState};
use crate::store::StoreError;

/// A case as it stands.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Case {
    /// Number.
    pub id: CaseId,
    /// Programme number.
    #[serde(skip)]
    pub programme_id: i16,
    /// Programme.
    pub programme: String,
    /// Household.
    pub household_id: String,
    /// Month of the undue payment.
    pub period: Period,
    /// The undue payment, where it is known.
    #[serde(skip)]
    pub order: Option<OrderId>,
    /// Why it is undue.
    pub cause: CaseCause,
    /// What was found.
    pub amount: Centimes,
    /// Kept back from later orders.
    pub offset: Centimes,
    /// Repaid by transfer.
    pub repaid: Centimes,
    /// The payment itself came back.
    pub came_back: Centimes,
    /// Found not to be owed.
    pub reduced: Centimes,
    /// Given up.
    pub written_off: Centimes,
    /// A later list takes it back.
    pub reversed: Centimes,
    /// Granted to the household out of what was kept back or repaid, and not ordered yet.
    pub to_refund: Centimes,
    /// The same, ordered.
    pub refunded: Centimes,
    /// What is left.
    pub outstanding: Centimes,
    /// Where it stands.
    pub state: CaseState,
    /// Most that is kept back in a month, as agreed.
    pub monthly_max: Option<Centimes>,
    /// How far a complaint has gone.
    pub appeal_stage: Option<AppealStage>,
    /// Since when.
    pub appeal_since: Option<Date>,
    /// By when whoever is to act is to act.
    pub appeal_due: Option<Date>,
    /// Who put its write-off forward.
    pub proposed_by: Option<String>,
    /// When.
    #[serde(skip)]
    pub proposed_at: Option<OffsetDateTime>,
    /// Why.
    pub proposed_why: Option<String>,
    /// Who opened it.
    pub opened_by: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub opened_at: OffsetDateTime,
}

const SELECT: &str = "select c.*, p.code from recovery_case c join programme p on p.id = c.programme_id";

fn read(row: &PgRow) -> Result<Case, StoreError> {
    let amount = |column: &str| -> Result<Centimes, StoreError> { Ok(Centimes::new(row.try_get(column)?)) };
    let (cause, state): (String, String) = (row.try_get("cause")?, row.try_get("state")?);
    let stage: Option<String> = row.try_get("appeal_stage")?;
    let stage = stage.map(|s| AppealStage::parse(&s).ok_or(StoreError::Corrupt("stage of an appeal")));
    Ok(Case {
        id: CaseId::new(row.try_get("id")?),
        programme_id: row.try_get("programme_id")?,
        programme: row.try_get("code")?,
        household_id: row.try_get("household_id")?,
        period: Period::from_index(row.try_get("period")?).map_err(|_| StoreError::Corrupt("period"))?,
        order: row.try_get::<Option<i64>, _>("order_id")?.map(OrderId::new),
        cause: CaseCause::parse(&cause).ok_or(StoreError::Corrupt("cause of a case"))?,
        amount: amount("amount")?,
        offset: amount("offset_amount")?,
        repaid: amount("repaid")?,
        came_back: amount("came_back")?,
        reduced: amount("reduced")?,
        written_off: amount("written_off")?,
        reversed: amount("reversed")?,
        to_refund: amount("to_refund")?,
        refunded: amount("refunded")?,
        outstanding: amount("outstanding")?,
        state: CaseState::parse(&state).ok_or(StoreError::Corrupt("state of a case"))?,
        monthly_max: row.try_get::<Option<i64>, _>("monthly_max")?.map(Centimes::new),
        appeal_stage: stage.transpose()?,
        appeal_since: row.try_get("appeal_since")?,
        appeal_due: row.try_get("appeal_due")?,
        proposed_by: row.try_get("proposed_by")?,
        proposed_at: row.try_get("proposed_at")?,
        proposed_why: row.try_get("proposed_why")?,
        opened_by: row.try_get("opened_by")?,
        opened_at: row.try_get("opened_at")?,
    })
}

/// One case, locked where it is to be changed.
pub async fn find_in_tx(
    connection: &mut PgConnection,
    id: CaseId,
    lock: bool,
) -> Result<Option<Case>, StoreError> {
    let sql = format!("{SELECT} where c.id = $1 {}", if lock { "for update of c" } else { "" });
    let row = sqlx::query(AssertSqlSafe(sql)).bind(id.get()).fetch_optional(connection).await?;
    row.as_ref().map(read).transpose()
}

/// Cases by their numbers, the oldest first.
pub async fn find_many_in_tx(connection: &mut PgConnection, ids: &[i64]) -> Result<Vec<Case>, StoreError> {
    let sql = format!("{SELECT} where c.id = any($1) order by c.opened_at, c.id");
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(ids).fetch_all(connection).await?;
    rows.iter().map(read).collect()
}

/// Appends what was done about a case.
pub async fn step_in_tx(
    connection: &mut PgConnection,
    id: CaseId,
    step: &str,
    amount: Option<Centimes>,
    by: &str,
    why: &str,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into recovery_step (case_id, step, amount, taken_by, taken_at, why) values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(id.get())
    .bind(step)
    .bind(amount.map(Centimes::get))
    .bind(by)
    .bind(at)
    .bind(why)
    .execute(connection)
    .await?;
    Ok(())
}

/// An amount of a case that only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Repaid by transfer.
    Repaid,
    /// Found not to be owed.
    Reduced,
    /// Given up.
    WrittenOff,
    /// The payment itself came back.
    CameBack,
}

impl Field {
    const fn column(self) -> &'static str {
        match self {
            Self::Repaid => "repaid",
            Self::Reduced => "reduced",
            Self::WrittenOff => "written_off",
            Self::CameBack => "came_back",
        }
    }
}

/// Adds to an amount of a case; the case's state is the caller's.
///
/// # Errors
/// When more would be recovered than was found.
pub async fn add_in_tx(
    connection: &mut PgConnection,
    id: CaseId,
    field: Field,
    by: Centimes,
) -> Result<(), StoreError> {
    let column = field.column();
    let sql = format!("update recovery_case set {column} = {column} + $2 where id = $1");
    sqlx::query(AssertSqlSafe(sql)).bind(id.get()).bind(by.get()).execute(connection).await?;
    Ok(())
}
