//! Hashes over the rows of large leaves, taken from the very bytes that are sent: orders, exclusions and households in blocks of
//! some hundred rows, in the order they are written.
//!
//! Guarantee: whatever is sent by COPY is hashed in the same transaction, whoever sends it; read back, the same columns are the
//! same bytes. Limit: a block that differs names its rows from first to last.

use sha2::{Digest, Sha256};

use crate::domain::ids::RunId;
use crate::store::copy::CopyAhead;
use crate::store::copy::hashes::Leaf;
use crate::store::registry::households;
use crate::store::{Store, StoreError, orders};

/// Rows that are named for one leaf.
const NAMED_MAX: usize = 20;

/// What is read: the columns that are written, and the rows in the order that they were written in.
pub fn source_of(leaf: Leaf) -> String {
    match leaf {
        Leaf::Orders(run) => format!("{} ({})", orders::leaf(run), orders::COLUMNS),
        Leaf::Exclusions(run) => {
            format!("{} (run_id, household_row, household_id, reason)", orders::exclusion_leaf(run))
        }
        Leaf::Households(list) => format!("{} ({})", households::leaf(list), households::COLUMNS),
    }
}

fn name_of(leaf: Leaf, first: i64, last: i64) -> String {
    let what = match leaf {
        Leaf::Orders(_) => "order",
        Leaf::Exclusions(_) => "exclusion of row",
        Leaf::Households(_) => "household row",
    };
    let low = |key: i64| if matches!(leaf, Leaf::Households(_)) { key & 0xFFFF_FFFF } else { key };
    if first == last {
        format!("{what} {}", low(first))
    } else {
        format!("one of {what}s {} to {}", low(first), low(last))
    }
}

/// Compares the rows of a leaf with their blocks while they are read.
pub struct BlockCheck {
    leaf: Leaf,
    blocks: std::vec::IntoIter<Block>,
    open: Option<(Block, Sha256, i64)>,
    before: Option<i64>,
    /// Over all rows: of orders, whose hash is approved.
    whole: Option<Sha256>,
    checked: Checked,
    sealed: bool,
    /// First and last key of the blocks.
    bounds: Option<(i64, i64)>,
}

/// What a comparison came to.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// Rows read.
    pub rows: i64,
    /// Blocks that differ, and rows that lie in none or not in their place.
    pub wrong: i64,
    /// The first of those, in words.
    pub named: Vec<String>,
    /// SHA-256 over all rows; of orders.
    pub sha256: Option<[u8; 32]>,
    /// Whether the leaf has blocks at all: those from before they were kept have none.
    pub sealed: bool,
}

impl Checked {
    /// Whether the hash over all rows is the one that was kept.
    pub fn hashes_to(&self, kept: &[u8]) -> bool {
        self.sha256.is_some_and(|found| found == kept)
    }
}

#[derive(Clone, Debug)]
struct Block {
    first: i64,
    last: i64,
    rows: i64,
    sha256: Vec<u8>,
}

impl BlockCheck {
    /// Reads a leaf's blocks.
    pub async fn open(store: &Store, leaf: Leaf) -> Result<Self, StoreError> {
        Self::open_range(store, leaf, i64::MIN, i64::MAX).await
    }

    /// Reads the blocks that hold keys of a range.
    async fn open_range(store: &Store, leaf: Leaf, first: i64, last: i64) -> Result<Self, StoreError> {
        let blocks: Vec<(i64, i64, i64, Vec<u8>)> = sqlx::query_as(
            "select first_key, last_key, rows, sha256 from row_block
              where relation = $1 and owner = $2 and last_key >= $3 and first_key <= $4 order by first_key",
        )
        .bind(leaf.relation())
        .bind(leaf.owner())
        .bind(first)
        .bind(last)
        .fetch_all(store.pool())
        .await?;
        let blocks: Vec<Block> = blocks
            .into_iter()
            .map(|(first, last, rows, sha256)| Block { first, last, rows, sha256 })
            .collect();
        Ok(Self {
            leaf,
            sealed: !blocks.is_empty(),
            bounds: blocks.first().map(|block| block.first).zip(blocks.last().map(|block| block.last)),
            blocks: blocks.into_iter(),
            open: None,
            before: None,
            whole: matches!(leaf, Leaf::Orders(_)).then(Sha256::new),
            checked: Checked::default(),
        })
    }

    /// The next row, as it came. `false` where it does not lie in its place.
    pub fn row(&mut self, row: &[u8]) -> bool {
        self.checked.rows += 1;
        if let Some(whole) = &mut self.whole {
            whole.update(row);
        }
        let Some(key) = self.leaf.key(row) else {
            self.fault("a row without its number".into());
            return false;
        };
        if self.before.is_some_and(|before| before >= key) {
            self.fault(format!("{} was written again", name_of(self.leaf, key, key)));
            return false;
        }
        self.before = Some(key);
        while self.open.as_ref().is_some_and(|(block, ..)| block.last < key) {
            self.close();
        }
        while self.open.is_none() {
            let Some(block) = self.blocks.next() else { break };
            self.open = Some((block, Sha256::new(), 0));
            if self.open.as_ref().is_some_and(|(block, ..)| block.last < key) {
                self.close();
            }
        }
        match &mut self.open {
            Some((block, hash, rows)) if block.first <= key => {
                hash.update(row);
                *rows += 1;
            }
            _ if self.sealed => self.fault(format!("{} was added", name_of(self.leaf, key, key))),
            _ => {}
        }
        true
    }

    fn close(&mut self) {
        let Some((block, hash, rows)) = self.open.take() else { return };
        if rows != block.rows || hash.finalize().as_slice() != block.sha256 {
            let gone =
                if rows < block.rows { format!(", {} are gone", block.rows - rows) } else { String::new() };
            self.fault(format!("{} was changed{gone}", name_of(self.leaf, block.first, block.last)));
        }
    }

    fn fault(&mut self, what: String) {
        self.checked.wrong += 1;
        if self.checked.named.len() < NAMED_MAX {
            self.checked.named.push(what);
        }
    }

    /// All rows were read.
    pub fn finish(mut self) -> Checked {
        self.close();
        while let Some(block) = self.blocks.next() {
            self.open = Some((block, Sha256::new(), 0));
            self.close();
        }
        self.checked.sha256 = self.whole.take().map(|whole| whole.finalize().into());
        self.checked.sealed = self.sealed;
        self.checked
    }
}

/// Reads a leaf and compares it with its blocks.
///
/// # Errors
/// When the database is gone, or the leaf.
pub async fn check(store: &Store, leaf: Leaf) -> Result<Checked, StoreError> {
    let mut blocks = BlockCheck::open(store, leaf).await?;
    let mut rows = CopyAhead::open(store.pool(), source_of(leaf));
    while let Some(row) = rows.next().await? {
        blocks.row(row.whole());
    }
    Ok(blocks.finish())
}

/// Compares the blocks that hold a range of orders, before these leave one by one. Orders from before blocks were kept have none.
///
/// # Errors
/// When the database is gone, or the leaf.
pub async fn check_orders(store: &Store, run: RunId, first: i64, last: i64) -> Result<Checked, StoreError> {
    let mut blocks = BlockCheck::open_range(store, Leaf::Orders(run), first, last).await?;
    let Some((low, high)) = blocks.bounds else { return Ok(Checked::default()) };
    let source = format!(
        "(select {} from {} where order_id between {low} and {high} order by order_id)",
        orders::COLUMNS,
        orders::leaf(run)
    );
    let mut rows = CopyAhead::open(store.pool(), source);
    while let Some(row) = rows.next().await? {
        blocks.row(row.whole());
    }
    Ok(blocks.finish())
}

/// Orders that lie in no block, of a run whose leaf grows: counted at one moment, so that none that just came is among them.
///
/// # Errors
/// When the database is gone, or the leaf.
pub async fn without_block(store: &Store, run: RunId) -> Result<i64, StoreError> {
    let sql = format!(
        "select count(*) from {} o where not exists (select from row_block b where b.relation = 'payment_order' and b.owner = $1
            and b.first_key = (select max(f.first_key) from row_block f
                                where f.relation = 'payment_order' and f.owner = $1 and f.first_key <= o.order_id)
            and o.order_id <= b.last_key)",
        orders::leaf(run)
    );
    Ok(sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(run.get()).fetch_one(store.pool()).await?)
}

/// Orders that came as events lie wherever there was room: they are read by their number.
pub fn by_key_source(leaf: Leaf) -> String {
    match leaf {
        Leaf::Orders(run) => {
            format!("(select {} from {} order by order_id)", orders::COLUMNS, orders::leaf(run))
        }
        other => source_of(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::copy::CopyBuffer;

    fn block(rows: &[i64], sealed: &[(i64, i64, &[i64])]) -> (i64, Vec<String>) {
        let row = |key: i64| CopyBuffer::default().row(2).i64(key).text("x").row_bytes().to_vec();
        let blocks: Vec<Block> = sealed
            .iter()
            .map(|(first, last, keys)| {
                let mut hash = Sha256::new();
                keys.iter().for_each(|key| hash.update(row(*key)));
                Block {
                    first: *first,
                    last: *last,
                    rows: keys.len() as i64,
                    sha256: hash.finalize().to_vec(),
                }
            })
            .collect();
        let mut check = BlockCheck {
            leaf: Leaf::Orders(RunId::new(1)),
            sealed: !blocks.is_empty(),
            blocks: blocks.into_iter(),
            open: None,
            before: None,
            whole: None,
            checked: Checked::default(),
            bounds: None,
        };
        for key in rows {
            check.row(&row(*key));
        }
        let checked = check.finish();
        (checked.wrong, checked.named)
    }

    #[test]
    fn a_block_names_its_rows() {
        let sealed: &[(i64, i64, &[i64])] = &[(1, 3, &[1, 2, 3]), (4, 6, &[4, 6])];
        for (rows, named) in [
            (vec![1, 2, 3, 4, 6], vec![]),
            (vec![1, 3, 4, 6], vec!["one of orders 1 to 3 was changed, 1 are gone"]),
            (vec![1, 2, 3, 4, 5, 6], vec!["one of orders 4 to 6 was changed"]),
            (vec![1, 2, 3, 4, 6, 9], vec!["order 9 was added"]),
            (
                vec![1, 3, 4, 6, 2],
                vec!["order 2 was written again", "one of orders 1 to 3 was changed, 1 are gone"],
            ),
            (vec![1, 2, 3], vec!["one of orders 4 to 6 was changed, 2 are gone"]),
            (
                vec![],
                vec![
                    "one of orders 1 to 3 was changed, 3 are gone",
                    "one of orders 4 to 6 was changed, 2 are gone",
                ],
            ),
        ] {
            let (wrong, mut found) = block(&rows, sealed);
            found.sort();
            let mut expected: Vec<String> = named.iter().map(ToString::to_string).collect();
            expected.sort();
            assert_eq!((wrong, found), (expected.len() as i64, expected), "{rows:?}");
        }
        assert_eq!(block(&[1, 2], &[]), (0, vec![]), "a leaf from before blocks were kept");
    }
}
