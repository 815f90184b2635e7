//! People and their roles.

use sqlx::PgConnection;
use time::OffsetDateTime;

pub use crate::domain::powers::Role;
use crate::store::{Store, StoreError};

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

/// Adds a person. Whether another spelling of the name is there is `pipeline::access::people`'s to see.
///
/// # Errors
/// [`StoreError::Database`] with the constraint `operator_name_check` on a malformed name.
pub async fn insert_in_tx(
    connection: &mut PgConnection,
    name: &str,
    role: Role,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query("insert into operator (name, role, added_at) values ($1, $2, $3)")
        .bind(name)
        .bind(role.as_str())
        .bind(at)
        .execute(connection)
        .await?;
    Ok(())
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
