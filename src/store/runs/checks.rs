//! Checks of a run, and its comparison with the month before.

use rust_decimal::Decimal;
use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::domain::ids::RunId;
use crate::store::{Store, StoreError};

/// One line of the comparison with the previous regular run.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ComparisonLine {
    /// `all`, `region`, `province` or `provider`.
    pub dimension: String,
    /// Name of the region, province or provider.
    pub label: String,
    /// Households ordered for before.
    pub before_households: i64,
    /// Their sum.
    pub before_amount: i64,
    /// Households ordered for now.
    pub after_households: i64,
    /// Their sum.
    pub after_amount: i64,
    /// New ones.
    pub joined: i64,
    /// Gone ones.
    pub left: i64,
    /// In both, with another amount.
    pub amount_changed: i64,
    /// In both, with another account or phone.
    pub account_changed: i64,
}

/// Writes the comparison.
pub async fn insert_comparison_in_tx(
    connection: &mut PgConnection,
    run: RunId,
    lines: &[ComparisonLine],
) -> Result<(), StoreError> {
    let text = |of: fn(&ComparisonLine) -> &String| lines.iter().map(of).cloned().collect::<Vec<_>>();
    let figures = |of: fn(&ComparisonLine) -> i64| lines.iter().map(of).collect::<Vec<_>>();
    sqlx::query(
        "insert into run_comparison
         select $1, * from unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
                $9::bigint[], $10::bigint[], $11::bigint[])",
    )
    .bind(run.get())
    .bind(text(|l| &l.dimension))
    .bind(text(|l| &l.label))
    .bind(figures(|l| l.before_households))
    .bind(figures(|l| l.before_amount))
    .bind(figures(|l| l.after_households))
    .bind(figures(|l| l.after_amount))
    .bind(figures(|l| l.joined))
    .bind(figures(|l| l.left))
    .bind(figures(|l| l.amount_changed))
    .bind(figures(|l| l.account_changed))
    .execute(connection)
    .await?;
    Ok(())
}

/// Reads the comparison.
pub async fn comparison(store: &Store, run: RunId) -> Result<Vec<ComparisonLine>, StoreError> {
    type Line = (String, String, i64, i64, i64, i64, i64, i64, i64, i64);
    let rows: Vec<Line> = sqlx::query_as(
        "select dimension, label, before_households, before_amount, after_households, after_amount, joined, \"left\",
                amount_changed, account_changed from run_comparison where run_id = $1
          order by array_position(array['all', 'region', 'province', 'provider'], dimension), label",
    )
    .bind(run.get())
    .fetch_all(store.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|r| ComparisonLine {
            dimension: r.0,
            label: r.1,
            before_households: r.2,
            before_amount: r.3,
            after_households: r.4,
            after_amount: r.5,
            joined: r.6,
            left: r.7,
            amount_changed: r.8,
            account_changed: r.9,
        })
        .collect())
}

/// One check of a run.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Check {
    /// What was looked at.
    pub code: String,
    /// All of it, or one region, province or provider.
    pub scope: String,
    /// What was found.
    pub value: String,
    /// What is allowed.
    pub threshold: String,
    /// Whether it is over.
    pub breached: bool,
    /// Who took note of a breach.
    pub acknowledged_by: Option<String>,
    /// Why it may go on.
    pub acknowledged_why: Option<String>,
    /// Households (or centimes) that show it.
    pub part: Option<i64>,
    /// Of so many.
    pub whole: Option<i64>,
    /// What was found everywhere else.
    pub elsewhere: Option<String>,
    /// How many times the allowed it is.
    pub score: Option<Decimal>,
}

impl Check {
    /// A check that found so many of so many; what it comes to is the caller's.
    pub fn of(code: &str, scope: &str, part: i64, whole: i64) -> Self {
        Self {
            code: code.into(),
            scope: scope.into(),
            value: String::new(),
            threshold: String::new(),
            breached: false,
            acknowledged_by: None,
            acknowledged_why: None,
            part: Some(part),
            whole: Some(whole),
            elsewhere: None,
            score: None,
        }
    }
}

/// Writes the checks.
pub async fn insert_checks_in_tx(
    connection: &mut PgConnection,
    run: RunId,
    checks: &[Check],
) -> Result<(), StoreError> {
    let text = |of: fn(&Check) -> &String| checks.iter().map(of).cloned().collect::<Vec<_>>();
    let figures = |of: fn(&Check) -> Option<i64>| checks.iter().map(of).collect::<Vec<_>>();
    sqlx::query(
        "insert into run_check (run_id, code, scope, value, threshold, breached, part, whole, elsewhere, score)
         select $1, * from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[], $7::bigint[], $8::bigint[],
                $9::text[], $10::numeric[])",
    )
    .bind(run.get())
    .bind(text(|c| &c.code))
    .bind(text(|c| &c.scope))
    .bind(text(|c| &c.value))
    .bind(text(|c| &c.threshold))
    .bind(checks.iter().map(|c| c.breached).collect::<Vec<_>>())
    .bind(figures(|c| c.part))
    .bind(figures(|c| c.whole))
    .bind(checks.iter().map(|c| c.elsewhere.clone()).collect::<Vec<_>>())
    .bind(checks.iter().map(|c| c.score).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// Reads the checks, breaches first, the most unusual of them first.
pub async fn checks_in_tx(connection: &mut PgConnection, run: RunId) -> Result<Vec<Check>, StoreError> {
    let rows = sqlx::query(
        "select code, scope, value, threshold, breached, acknowledged_by, acknowledged_why, part, whole, elsewhere, score
           from run_check where run_id = $1
          order by breached desc, case when breached then score end desc nulls last, scope <> 'all', code, scope",
    )
    .bind(run.get())
    .fetch_all(connection)
    .await?;
    use sqlx::Row as _;
    let read = |row: &sqlx::postgres::PgRow| {
        Ok(Check {
            code: row.try_get(0)?,
            scope: row.try_get(1)?,
            value: row.try_get(2)?,
            threshold: row.try_get(3)?,
            breached: row.try_get(4)?,
            acknowledged_by: row.try_get(5)?,
            acknowledged_why: row.try_get(6)?,
            part: row.try_get(7)?,
            whole: row.try_get(8)?,
            elsewhere: row.try_get(9)?,
            score: row.try_get(10)?,
        })
    };
    rows.iter().map(read).collect()
}

/// Takes note of all breaches of a run: how many were open.
pub async fn acknowledge_in_tx(
    connection: &mut PgConnection,
    run: RunId,
    by: &str,
    why: &str,
    at: OffsetDateTime,
) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "update run_check set acknowledged_by = $2, acknowledged_why = $3, acknowledged_at = $4
          where run_id = $1 and breached and acknowledged_by is null",
    )
    .bind(run.get())
    .bind(by)
    .bind(why)
    .bind(at)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
