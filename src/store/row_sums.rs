//! Rows that come in any order, hashed as a sum for each group: steps of orders by run and message, what households share by list.
//!
//! Guarantee: whatever is sent by COPY is summed in the same transaction; what a statement changes is summed by trigger.

use std::collections::HashMap;

use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use super::pgcopy::CopyAhead;
use super::row_fields::{Fields, Rows, big, field};
use super::{Store, StoreError, feedback};
use crate::domain::step::Step;

/// From this field on, a row of `outcome` has texts.
const TEXTS_FROM: usize = 3;

/// Adds rows that were sent into a table to the sums of their groups.
pub(super) async fn note_in_tx(
    connection: &mut PgConnection,
    table: &str,
    rows: &[u8],
) -> Result<(), StoreError> {
    let group: fn(&[u8]) -> Option<String> = match table {
        "outcome" => |row| Some(format!("{}/{}", big(field(row, 0)?)? >> 32, big(field(row, 2)?)?)),
        "snapshot_share" => |row| Some((big(field(row, 0)?)? >> 32).to_string()),
        _ => return Ok(()),
    };
    let mut sums: HashMap<String, Sum> = HashMap::new();
    for row in Rows(rows) {
        let key = group(row).ok_or(StoreError::Corrupt("row that is sent"))?;
        sums.entry(key).or_default().add(row);
    }
    for (key, sum) in sums {
        sqlx::query(
            "insert into journal (change, relation, key, action, rows, total) values (journal_change(), $1, $2, 'sum', $3, $4::text::numeric)",
        )
        .bind(table)
        .bind(key)
        .bind(sum.rows)
        .bind(sum.total.to_string())
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Rows of a group, hashed so that their order does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Rows.
    pub rows: i64,
    /// The first eight bytes of each row's SHA-256, added up.
    pub total: i128,
}

impl Sum {
    /// Adds a row in COPY form: its numbers one after the other, then its texts, each with whether it is there and
    /// its length: as `outcome_hash` does in the database.
    pub fn add(&mut self, row: &[u8]) {
        let (mut hash, fields) = (Sha256::new(), Fields::of(row));
        for n in 0..fields.len() {
            let value = fields.get(n);
            if n >= TEXTS_FROM {
                hash.update([u8::from(value.is_some())]);
                hash.update((value.map_or(0, <[u8]>::len) as u32).to_be_bytes());
            }
            hash.update(value.unwrap_or_default());
        }
        let hash = hash.finalize();
        let head = hash.first_chunk::<8>().map_or(0, |head| i64::from_be_bytes(*head));
        self.rows += 1;
        self.total += i128::from(head);
    }
}

/// What the journal says of the groups of a table.
///
/// # Errors
/// When the database is gone.
pub async fn sums(store: &Store, relation: &str) -> Result<HashMap<String, Sum>, StoreError> {
    let rows: Vec<(String, i64, String)> = sqlx::query_as(
        "select key, coalesce(sum(rows), 0)::bigint, coalesce(sum(total), 0)::text from journal
          where relation = $1 and action = 'sum' group by key",
    )
    .bind(relation)
    .fetch_all(store.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|(key, rows, total)| (key, Sum { rows, total: total.parse().unwrap_or(i128::MIN) }))
        .collect())
}

/// The groups of a table as they are, read in whatever order the rows lie.
///
/// # Errors
/// When the database is gone.
pub async fn sums_found(store: &Store, relation: &str) -> Result<HashMap<String, Sum>, StoreError> {
    let source = match relation {
        "outcome" => format!("(select {} from outcome)", feedback::OUTCOME_COLUMNS),
        _ => "(select household_key, kind, households from snapshot_share)".to_owned(),
    };
    let mut rows = CopyAhead::open(store.pool(), source);
    let mut found: HashMap<(i64, i64), Sum> = HashMap::new();
    while let Some(row) = rows.next().await? {
        let row = row.whole();
        let first = field(row, 0).and_then(big).unwrap_or(i64::MIN);
        let second = if relation == "outcome" { field(row, 2).and_then(big).unwrap_or(i64::MIN) } else { 0 };
        found.entry((first >> 32, second)).or_default().add(row);
    }
    let name = |(owner, message): (i64, i64)| {
        if relation == "outcome" { format!("{owner}/{message}") } else { owner.to_string() }
    };
    Ok(found.into_iter().map(|(key, sum)| (name(key), sum)).collect())
}

/// Adds steps that were written by a statement, not sent by COPY, to the sums of their message.
///
/// # Errors
/// When the database is gone.
pub async fn note_steps_in_tx(
    connection: &mut PgConnection,
    message: i64,
    step: Step,
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into journal (change, relation, key, action, rows, total)
         select journal_change(), 'outcome', (x.order_id >> 32) || '/' || x.message_id, 'sum', count(*),
                sum(outcome_hash(x))
           from outcome x where x.message_id = $1 and x.step = $2 group by 3",
    )
    .bind(message)
    .bind(step.number())
    .execute(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::pgcopy::CopyBuffer;

    #[test]
    fn sums_do_not_depend_on_the_order() {
        let row = |order: i64, reason: Option<&str>| {
            CopyBuffer::default().row(4).i64(order).i16(9).i64(3).text_or_null(reason).row_bytes().to_vec()
        };
        let sum = |rows: &[Vec<u8>]| {
            let mut sum = Sum::default();
            rows.iter().for_each(|row| sum.add(row));
            sum
        };
        let (a, b) = (row(1, Some("AC04")), row(2, None));
        assert_eq!(sum(&[a.clone(), b.clone()]), sum(&[b.clone(), a.clone()]));
        assert_ne!(sum(std::slice::from_ref(&a)), sum(&[row(1, Some("AC06"))]));
        assert_ne!(sum(&[b]), sum(&[row(2, Some(""))]), "no reason is not an empty one");
    }
}
