//! People and their roles.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::audit::{self, Decision};
use super::{Store, StoreError};
use crate::domain::household::listed;

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
}

/// Adds a person, with its audit record; `false` when the name is there already.
///
/// # Errors
/// [`StoreError::Database`] with the constraint `operator_name_check` on a malformed name.
pub async fn add(store: &Store, name: &str, role: Role, at: OffsetDateTime) -> Result<bool, StoreError> {
    let mut tx = store.begin().await?;
    let done =
        sqlx::query("insert into operator (name, role, added_at) values ($1, $2, $3) on conflict do nothing")
            .bind(name)
            .bind(role.as_str())
            .bind(at)
            .execute(&mut *tx)
            .await?;
    let added = done.rows_affected() == 1;
    if added {
        let subject = format!("operator {name}");
        let decision =
            Decision { actor: "sarf", action: "operator.add", subject: &subject, detail: role.as_str(), at };
        audit::append_in_tx(&mut tx, decision).await?;
    }
    tx.commit().await?;
    Ok(added)
}

/// Finds a person.
///
/// # Errors
/// When the database is gone.
pub async fn find_in_tx(connection: &mut PgConnection, name: &str) -> Result<Option<Operator>, StoreError> {
    let row: Option<(String, String, bool)> =
        sqlx::query_as("select name, role, active from operator where name = $1")
            .bind(name)
            .fetch_optional(connection)
            .await?;
    row.map(read).transpose()
}

/// Everybody, by name.
///
/// # Errors
/// When the database is gone.
pub async fn list(store: &Store) -> Result<Vec<Operator>, StoreError> {
    let rows: Vec<(String, String, bool)> =
        sqlx::query_as("select name, role, active from operator order by name")
            .fetch_all(store.pool())
            .await?;
    rows.into_iter().map(read).collect()
}

fn read((name, role, active): (String, String, bool)) -> Result<Operator, StoreError> {
    let role = Role::parse(&role).ok_or(StoreError::Corrupt("operator role"))?;
    Ok(Operator { name, role, active })
}
