//! Hashes over the rows of large leaves, taken from the very bytes that are sent: orders, exclusions and households in blocks of
//! some hundred rows, in the order they are written; steps of orders and what households share as a sum for each group.
//!
//! Guarantee: whatever is sent by COPY is hashed in the same transaction, whoever sends it. What a statement changes is summed by
//! trigger. Limit: here they are written; `store/audit` compares them.

use std::collections::HashMap;

use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use super::fields::{Fields, Rows, big, field};
use crate::domain::ids::{RunId, SnapshotId};
use crate::store::StoreError;

/// Rows of a block.
const BLOCK_ROWS: usize = 512;

/// From this field on, a row of `outcome` has texts.
const TEXTS_FROM: usize = 3;

/// A leaf whose rows are hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaf {
    /// Orders of a run.
    Orders(RunId),
    /// Exclusions of a run.
    Exclusions(RunId),
    /// Households of a list.
    Households(SnapshotId),
}

impl Leaf {
    pub(crate) const fn relation(self) -> &'static str {
        match self {
            Self::Orders(_) => "payment_order",
            Self::Exclusions(_) => "exclusion",
            Self::Households(_) => "household",
        }
    }

    pub(crate) const fn owner(self) -> i64 {
        match self {
            Self::Orders(run) | Self::Exclusions(run) => run.get(),
            Self::Households(snapshot) => snapshot.get(),
        }
    }

    /// The leaf that rows are sent into.
    fn of_target(table: &str) -> Option<Self> {
        let number = |prefix: &str| table.strip_prefix(prefix)?.parse::<i64>().ok();
        number("payment_order_")
            .map(|n| Self::Orders(RunId::new(n)))
            .or_else(|| number("exclusion_").map(|n| Self::Exclusions(RunId::new(n))))
            .or_else(|| number("household_").map(|n| Self::Households(SnapshotId::new(n))))
    }

    /// The ascending key of a row.
    pub fn key(self, row: &[u8]) -> Option<i64> {
        match self {
            Self::Orders(_) | Self::Households(_) => big(field(row, 0)?),
            Self::Exclusions(_) => Some(i64::from(i32::from_be_bytes(field(row, 1)?.try_into().ok()?))),
        }
    }
}

/// Keeps the hashes of rows that were sent into `target`, where these are hashed as a whole.
pub(crate) async fn note_in_tx(
    connection: &mut PgConnection,
    target: &str,
    rows: &[u8],
) -> Result<(), StoreError> {
    let table = target.split([' ', '(']).next().unwrap_or_default();
    if let Some(leaf) = Leaf::of_target(table) {
        return note_blocks(connection, leaf, rows).await;
    }
    note_sums_in_tx(connection, table, rows).await
}

async fn note_blocks(connection: &mut PgConnection, leaf: Leaf, rows: &[u8]) -> Result<(), StoreError> {
    let rows: Vec<&[u8]> = Rows(rows).collect();
    let (mut first, mut last, mut count, mut hashes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for block in rows.chunks(BLOCK_ROWS) {
        let key = |row: Option<&&[u8]>| {
            row.and_then(|row| leaf.key(row)).ok_or_else(|| StoreError::Corrupt("row that is sent"))
        };
        first.push(key(block.first())?);
        last.push(key(block.last())?);
        count.push(block.len() as i64);
        let mut hash = Sha256::new();
        block.iter().for_each(|row| hash.update(row));
        hashes.push(hash.finalize().to_vec());
    }
    sqlx::query(
        "insert into row_block (relation, owner, first_key, last_key, rows, sha256)
         select $1, $2, t.* from unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[]) as t",
    )
    .bind(leaf.relation())
    .bind(leaf.owner())
    .bind(first)
    .bind(last)
    .bind(count)
    .bind(hashes)
    .execute(connection)
    .await?;
    Ok(())
}

/// Adds rows that were sent into a table to the sums of their groups.
async fn note_sums_in_tx(connection: &mut PgConnection, table: &str, rows: &[u8]) -> Result<(), StoreError> {
    let group: fn(&[u8]) -> Option<String> = match table {
        "outcome" => |row| Some(format!("{}/{}", big(field(row, 0)?)? >> 32, big(field(row, 2)?)?)),
        "snapshot_share" => |row| Some((big(field(row, 0)?)? >> 32).to_string()),
        _ => return Ok(()),
    };
    let mut sums: HashMap<String, Sum> = HashMap::new();
    for row in Rows(rows) {
        let key = group(row).ok_or_else(|| StoreError::Corrupt("row that is sent"))?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::copy::CopyBuffer;

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
