//! People and their roles.

use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::domain::listed::listed;
use crate::store::audit::chain::{self, Decision};
use crate::store::{Store, StoreError};

listed! {
    /// What a person may do. No one holds two roles.
    Role {
        /// Makes and submits runs.
        Preparer = "preparer",
        /// Approves them.
        Approver = "approver",
        /// Funds and releases them, closes the books.
        Accountant = "accountant",
    }
}

/// A person who may act.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Operator {
    /// The name given with `--as`.
    pub name: String,
    /// The one role.
    pub role: Role,
    /// Whether they may still act.
    pub active: bool,
    /// Who removed them.
    pub removed_by: Option<String>,
}

/// Adds a person, with its audit record; `false` when the very name is there already, removed or not. Whether another
/// spelling of it is there is `pipeline::people`'s to see.
///
/// # Errors
/// [`StoreError::Database`] with the constraint `operator_name_check` on a malformed name.
pub async fn add(store: &Store, name: &str, role: Role, at: OffsetDateTime) -> Result<bool, StoreError> {
    let mut tx = store.begin().await?;
    let added = add_in_tx(&mut tx, name, role, at).await?;
    tx.commit().await?;
    Ok(added)
}

/// As [`add`], within a transaction.
///
/// # Errors
/// As [`add`].
pub async fn add_in_tx(
    connection: &mut PgConnection,
    name: &str,
    role: Role,
    at: OffsetDateTime,
) -> Result<bool, StoreError> {
    let done =
        sqlx::query("insert into operator (name, role, added_at) values ($1, $2, $3) on conflict do nothing")
            .bind(name)
            .bind(role.as_str())
            .bind(at)
            .execute(&mut *connection)
            .await?;
    let added = done.rows_affected() == 1;
    if added {
        let subject = format!("operator {name}");
        let decision =
            Decision { actor: "sarf", action: "operator.add", subject: &subject, detail: role.as_str(), at };
        chain::append_in_tx(connection, decision).await?;
    }
    Ok(added)
}

/// Everybody, by name, while nobody else is added or removed.
pub async fn all_in_tx(connection: &mut PgConnection) -> Result<Vec<Operator>, StoreError> {
    sqlx::query("lock table operator in share row exclusive mode").execute(&mut *connection).await?;
    let rows: Vec<Row> = sqlx::query_as(LIST).fetch_all(connection).await?;
    rows.into_iter().map(read).collect()
}

/// Ends a person's rights, or gives them back (`by` none).
pub async fn set_removed_in_tx(
    connection: &mut PgConnection,
    name: &str,
    by: Option<&str>,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query("update operator set active = $2::text is null, removed_by = $2, removed_at = case when $2 is null then null else $3::timestamptz end where name = $1")
        .bind(name)
        .bind(by)
        .bind(at)
        .execute(connection)
        .await?;
    Ok(())
}

type Row = (String, String, bool, Option<String>);

const LIST: &str = "select name, role, active, removed_by from operator order by name";

/// Finds a person who may act.
pub async fn active_in_tx(connection: &mut PgConnection, name: &str) -> Result<Option<Operator>, StoreError> {
    let row: Option<Row> =
        sqlx::query_as("select name, role, active, removed_by from operator where name = $1 and active")
            .bind(name)
            .fetch_optional(connection)
            .await?;
    row.map(read).transpose()
}

/// Everybody, by name.
pub async fn list(store: &Store) -> Result<Vec<Operator>, StoreError> {
    let rows: Vec<Row> = sqlx::query_as(LIST).fetch_all(store.pool()).await?;
    rows.into_iter().map(read).collect()
}

fn read((name, role, active, removed_by): Row) -> Result<Operator, StoreError> {
    let role = Role::parse(&role).ok_or(StoreError::Corrupt("operator role"))?;
    Ok(Operator { name, role, active, removed_by })
}
