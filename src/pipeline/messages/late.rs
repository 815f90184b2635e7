//! Returns to closed runs: they are booked like any other, and a break beside tells a person, one for each run and
//! provider that a message speaks of, however many orders came back.

use std::collections::BTreeMap;

use super::apply::Applier;
use crate::domain::ids::{OrderId, RunId};
use crate::domain::money::Centimes;
use crate::domain::order::OrderState;
use crate::domain::reason::BreakKind;
use crate::domain::run::RunState;
use crate::store::messages::breaks::NewBreak;
use crate::store::messages::feedback::OrderFacts;

/// What came back to closed runs, by run and provider.
#[derive(Debug, Default)]
pub(super) struct LateReturns(BTreeMap<(RunId, i16), LateReturn>);

#[derive(Debug)]
struct LateReturn {
    first: OrderId,
    orders: u64,
    amount: Centimes,
}

impl Applier<'_> {
    /// Notes an order that moved, where it came back to a closed run.
    pub(super) fn note_late_return(&mut self, facts: &OrderFacts, to: OrderState) {
        let run = facts.order.run();
        let closed = self.met.runs.get(&run).is_some_and(|known| known.run.state == RunState::Closed);
        if to != OrderState::Returned || !closed {
            return;
        }
        let late = self.effects.late.0.entry((run, facts.provider)).or_insert(LateReturn {
            first: facts.order,
            orders: 0,
            amount: Centimes::ZERO,
        });
        late.orders += 1;
        late.amount += facts.amount;
    }

    /// Opens the breaks, at the end of the message.
    pub(super) fn open_late_returns(&mut self) {
        for ((run, provider), late) in std::mem::take(&mut self.effects.late).0 {
            self.effects.counts.entries += 1;
            self.effects.counts.breaks += 1;
            self.effects.breaks.push(NewBreak {
                kind: BreakKind::LateReturn,
                key: format!("message {} late returns of run {run} at provider {provider}", self.message.id),
                run: Some(run),
                provider: Some(provider),
                batch: None,
                order: (late.orders == 1).then_some(late.first),
                message: Some(self.message.id),
                entry: None,
                amount: Some(late.amount),
                suspense: Centimes::ZERO,
                source: None,
                detail: format!("{} orders came back after the run was closed; they are booked", late.orders),
            });
        }
    }
}
