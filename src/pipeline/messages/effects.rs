//! What a message comes to: noted line by line, and applied once in sets: steps with each chunk of lines, the rest at its end
//! (`book`).

use std::collections::BTreeMap;

use super::late::LateReturns;
use super::parse::Cash;
use crate::domain::breaks::BreakSource;
use crate::domain::ids::{BatchId, OrderId, RunId};
use crate::domain::money::Centimes;
use crate::domain::order::OrderState;
use crate::pipeline::exceptions::recovery::repaid::Receipt;
use crate::store::batches::outbox::NewOutbox;
use crate::store::copy::CopyBuffer;
use crate::store::messages::breaks::NewBreak;
use crate::store::messages::feedback::MessageCounts;

/// Effects that wait to be applied. Figures of batches are kept on the batches ([`super::matching::KnownRun`]).
#[derive(Default)]
pub(super) struct Effects {
    /// How many entries there were, and what became of them.
    pub counts: MessageCounts,
    /// Steps of orders, as rows to be copied.
    pub outcomes: CopyBuffer,
    /// Orders and money that moved, in sums.
    pub moves: Moves,
    /// Breaks to open.
    pub breaks: Vec<NewBreak>,
    /// Orders that pay a claim again whose earlier order is said to be paid: they are held, where they can be.
    pub to_hold: Vec<OrderId>,
    /// What households repaid, to be posted to their cases.
    pub receipts: Vec<(Receipt, Box<BreakSource>)>,
    /// What came back to closed runs.
    pub late: LateReturns,
    /// Orders of the stream lane that moved, with their provider and where to.
    pub moved: Vec<(OrderId, i16, OrderState)>,
    /// What a settlement file lists, by batch: orders and their sum.
    pub shares: BTreeMap<(RunId, BatchId), (i64, i64)>,
    /// What is published, where anybody listens.
    pub outbox: Vec<NewOutbox>,
}

/// Orders of one run and provider going from one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Flow {
    pub run: RunId,
    pub provider: i16,
    pub from: OrderState,
    pub to: OrderState,
}

/// What moved, summed up.
#[derive(Debug, Default)]
pub(super) struct Moves {
    pub(super) flows: BTreeMap<Flow, (i64, i64)>,
    /// By run (none: suspense), provider and direction.
    pub(super) cash: BTreeMap<(Option<RunId>, i16, bool), i128>,
    /// What the bank accounts moved by, in above zero.
    pub(super) bank: i128,
    /// Debits in suspense that are now explained, by run and provider.
    pub(super) explained: BTreeMap<(RunId, i16), Centimes>,
    cash_moves: u64,
}

impl Moves {
    pub(super) fn add(&mut self, flow: Flow, orders: i64, amount: i64) {
        if orders != 0 {
            let sum = self.flows.entry(flow).or_default();
            sum.0 += orders;
            sum.1 += amount;
        }
    }

    pub(super) fn explain(&mut self, run: RunId, provider: i16, amount: Centimes) {
        *self.explained.entry((run, provider)).or_default() += amount;
    }

    /// How often money was booked.
    pub(super) const fn cash_moves(&self) -> u64 {
        self.cash_moves
    }

    pub(super) fn cash(&mut self, run: Option<RunId>, provider: i16, cash: Cash) {
        self.cash_moves += 1;
        let amount = i128::from(cash.amount.get());
        *self.cash.entry((run, provider, cash.credit)).or_default() += amount;
        self.bank += if cash.credit { amount } else { -amount };
    }
}
