//! Cursors over rows in household order, merged with the households of a snapshot in constant memory.

use crate::domain::event::Changes;
use crate::domain::ids::{HouseholdId, SnapshotId};
use crate::store::copy::CopyAhead;
use crate::store::orders::{self, EarlierOrder};
use crate::store::registry::changes::{self, ChangeRow};
use crate::store::runs::Run;
use crate::store::{Store, StoreError};

/// The orders of another run, one ahead.
pub struct EarlierOrders {
    rows: Option<CopyAhead>,
    ahead: Option<EarlierOrder>,
}

impl EarlierOrders {
    /// Opens the orders of `run`; of none, an empty list. Those that stand in the order of their arrival are sorted first.
    pub async fn open(store: &Store, run: Option<&Run>, by_arrival: bool) -> Result<Self, StoreError> {
        let mut cursor = Self { rows: None, ahead: None };
        if let Some(run) = run {
            cursor.rows = Some(CopyAhead::open(store.pool(), orders::earlier_source(run.id, by_arrival)));
            cursor.ahead = cursor.read().await?;
        }
        Ok(cursor)
    }

    /// The order of `household`, if there is one; `skipped` is told of every order of a household before it.
    pub async fn take(
        &mut self,
        household: HouseholdId,
        mut skipped: impl FnMut(EarlierOrder),
    ) -> Result<Option<EarlierOrder>, StoreError> {
        loop {
            match &self.ahead {
                Some(order) if order.household < household => {
                    let next = self.read().await?;
                    if let Some(order) = std::mem::replace(&mut self.ahead, next) {
                        skipped(order);
                    }
                }
                Some(order) if order.household == household => {
                    let next = self.read().await?;
                    return Ok(std::mem::replace(&mut self.ahead, next));
                }
                _ => return Ok(None),
            }
        }
    }

    /// Tells `skipped` of all that is left.
    pub async fn drain(&mut self, mut skipped: impl FnMut(EarlierOrder)) -> Result<(), StoreError> {
        while let Some(order) = self.ahead.take() {
            skipped(order);
            self.ahead = self.read().await?;
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<Option<EarlierOrder>, StoreError> {
        let Some(rows) = &mut self.rows else { return Ok(None) };
        let Some(mut row) = rows.next().await? else {
            self.rows = None;
            return Ok(None);
        };
        let order = orders::read_earlier(&mut row)?;
        if self.ahead.as_ref().is_some_and(|before| before.household > order.household) {
            return Err(StoreError::OutOfOrder);
        }
        Ok(Some(order))
    }
}

/// What households share, one ahead.
pub struct Shares {
    rows: CopyAhead,
    ahead: Option<(i64, String, i32)>,
}

impl Shares {
    /// Opens the shares of a range of household keys.
    pub async fn open(store: &Store, low: i64, high: i64) -> Result<Self, StoreError> {
        let source = format!(
            "(select household_key, kind, households from snapshot_share
               where household_key >= {low} and household_key < {high} order by household_key)"
        );
        let mut cursor = Self { rows: CopyAhead::open(store.pool(), source), ahead: None };
        cursor.ahead = cursor.read().await?;
        Ok(cursor)
    }

    /// Tells what the household of `key` shares: the kind, and in how many households the thing stands.
    pub async fn take(&mut self, key: i64, mut tell: impl FnMut(&str, u32)) -> Result<(), StoreError> {
        while self.ahead.as_ref().is_some_and(|ahead| ahead.0 <= key) {
            let next = self.read().await?;
            if let Some((found, kind, households)) = std::mem::replace(&mut self.ahead, next)
                && found == key
            {
                tell(&kind, households as u32);
            }
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<Option<(i64, String, i32)>, StoreError> {
        let Some(mut row) = self.rows.next().await? else { return Ok(None) };
        Ok(Some((row.i64()?, row.text()?.to_owned(), row.i32()?)))
    }
}

/// Changes since the list was made, one ahead.
pub struct ChangesSince {
    rows: CopyAhead,
    ahead: Option<ChangeRow>,
}

impl ChangesSince {
    /// Opens a programme's changes since a list was made.
    pub async fn open(store: &Store, programme: i16, list: SnapshotId) -> Result<Self, StoreError> {
        let rows = CopyAhead::open(store.pool(), changes::since_source(programme, list));
        let mut cursor = Self { rows, ahead: None };
        cursor.ahead = cursor.read().await?;
        Ok(cursor)
    }

    /// What the changes of `household` come to; those of households before it, which the list does not have, are passed
    /// over.
    pub async fn take(&mut self, household: HouseholdId) -> Result<Option<Changes>, StoreError> {
        let mut found: Option<Changes> = None;
        while self.ahead.as_ref().is_some_and(|(at, ..)| *at <= household) {
            let next = self.read().await?;
            if let Some((of, at, change)) = std::mem::replace(&mut self.ahead, next)
                && of == household
            {
                found.get_or_insert_default().add(at, &change);
            }
        }
        Ok(found)
    }

    async fn read(&mut self) -> Result<Option<ChangeRow>, StoreError> {
        let Some(mut row) = self.rows.next().await? else { return Ok(None) };
        let change = changes::read(&mut row)?;
        if self.ahead.as_ref().is_some_and(|before| before.0 > change.0) {
            return Err(StoreError::OutOfOrder);
        }
        Ok(Some(change))
    }
}
