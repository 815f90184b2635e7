//! The books: the only way to move kept totals and to post transfers.
//!
//! One function for each row of the chart of accounts in `src/ARCHITECTURE.md`, which moves the totals, posts the transfers
//! that go with them, and knows the reason. Files by subject; `moves` and `transfer` hold what they all stand on, and nobody
//! else can call.
//!
//! Guarantee: totals and transfers of the same orders cannot come apart, for the transfer is worked out from the move.
//! Limit: all of it runs inside the caller's transaction, which moves the rows themselves.

pub mod funding;
pub mod ledger;
mod moves;
pub mod orders;
pub mod recovery;
pub mod reissue;
pub mod statement;
pub mod suspense;
mod transfer;

use crate::domain::ids::RunId;
use crate::domain::ledger::AccountKind;
use crate::domain::money::Centimes;
use crate::domain::order::OrderState;
use ledger::AccountKey;

/// A run at a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunAt {
    /// Programme number.
    pub programme: i16,
    /// Run.
    pub run: RunId,
    /// Provider number; 0 for orders without one.
    pub provider: i16,
}

impl RunAt {
    const fn account(self, kind: AccountKind) -> AccountKey {
        AccountKey::of_run(self.programme, self.run, self.provider, kind)
    }
}

/// Orders of a run at a provider, counted and summed up.
#[derive(Clone, Copy, Debug)]
pub struct OrderSum {
    /// Whose they are.
    pub of: RunAt,
    /// How many.
    pub orders: i64,
    /// Their sum.
    pub amount: Centimes,
}

/// Orders that go from one state to another.
#[derive(Clone, Copy, Debug)]
pub struct StateMove {
    /// Which.
    pub sum: OrderSum,
    /// The state before.
    pub from: OrderState,
    /// The new state.
    pub to: OrderState,
}
