//! The tables that a run's rows stand in: their names, and the order in which rows lie.

use sqlx::AssertSqlSafe;

use crate::domain::ids::RunId;
use crate::store::{Store, StoreError};

/// The leaf of a run.
pub fn leaf(run: RunId) -> String {
    format!("payment_order_{run}")
}

/// The leaf of a run's exclusions.
pub fn exclusion_leaf(run: RunId) -> String {
    format!("exclusion_{run}")
}

/// Lays rows of lists and runs back in the order in which they were written, wherever they lie otherwise, as after a restore from a
/// dump; the tables that were laid anew. Each is locked meanwhile.
///
/// # Errors
/// When the database is gone.
pub async fn lay_in_order(store: &Store) -> Result<Vec<String>, StoreError> {
    // The index whose order is that of writing, and the key that ascends with it.
    let leaves: Vec<(String, String, String)> = sqlx::query_as(
        "select c.relname::text, c.relname || k.index, k.key
           from pg_inherits i join pg_class p on p.oid = i.inhparent join pg_class c on c.oid = i.inhrelid
           join (values ('household', '_household_id', 'household_key'), ('payment_order', '_pkey', 'order_id'),
                        ('exclusion', '_household_id', 'household_row')) k(relation, index, key) on k.relation = p.relname
          where to_regclass(c.relname || k.index) is not null order by c.oid",
    )
    .fetch_all(store.pool())
    .await?;
    let mut laid = Vec::new();
    for (leaf, index, key) in leaves {
        let sql = format!(
            "select exists (select from (select {key} < lag({key}) over () as back from {leaf}) r where back)"
        );
        if sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(store.pool()).await? {
            for sql in
                [format!("cluster {leaf} using {index}"), format!("alter table {leaf} set without cluster")]
            {
                sqlx::query(AssertSqlSafe(sql)).execute(store.pool()).await?;
            }
            laid.push(leaf);
        }
    }
    Ok(laid)
}
