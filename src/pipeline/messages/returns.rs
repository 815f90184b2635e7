//! Payment returns of a file of ours, whole or in part.

use super::apply::Applier;
use super::lines::current;
use super::parse::Line;
use super::parse_returns::{Listed, ReturnedFile};
use crate::domain::batch::BatchState;
use crate::domain::order::{OrderEvent, OrderKey, OrderNames, OrderState};
use crate::domain::reason::BreakKind;
use crate::domain::references::Names;
use crate::store::StoreError;
use crate::store::batches::{Batch, batch_orders};
use crate::store::messages::feedback::OrderFacts;

/// Orders of a file that are looked at together.
const ORDERS_AT_ONCE: i64 = 20_000;

/// What keeps a file from being returned as a whole.
fn fault_of(batch: &Batch, file: &ReturnedFile) -> Option<(BreakKind, String)> {
    if !matches!(batch.state, BatchState::Sent | BatchState::Accepted | BatchState::Settled) {
        return Some((BreakKind::StatusConflict, format!("the return of a file that is {}", batch.state)));
    }
    let due = batch.orders - batch.figures.rejected;
    let due_amount = batch.amount.get() - batch.figures.rejected_amount;
    let differs =
        file.orders.is_some_and(|n| n as i64 != due) || file.total.is_some_and(|t| t.get() != due_amount);
    let detail = "orders or total of the return are not those of the file less what was rejected";
    differs.then(|| (BreakKind::TotalsDiffer, detail.to_owned()))
}

impl Applier<'_> {
    /// Begins a payment return. Between banks the original is a message of theirs: then each order names itself.
    pub(super) async fn begin_returns(&mut self, file: ReturnedFile) -> Result<(), StoreError> {
        self.provider = None;
        self.report.file = self.batch_of(&file.original).await?;
        if let Some((run, at)) = self.report.file {
            self.provider = Some(self.met.runs[&run].batches[at].provider_id);
        }
        match &file.listed {
            Listed::Transactions => Ok(()),
            Listed::Whole => self.return_whole(&file).await,
            Listed::Nothing(stated) => {
                // Nothing can be said to have come back.
                self.effects.counts.entries += 1;
                let detail = format!("{stated}{}", file.why.suffix());
                self.open_break(BreakKind::FaultyEntry, 0, None, file.total, detail);
                Ok(())
            }
        }
    }

    /// All orders of a file come back, but for those that were rejected.
    async fn return_whole(&mut self, file: &ReturnedFile) -> Result<(), StoreError> {
        let Some((run, at)) = self.report.file else {
            self.effects.counts.entries += 1;
            let detail = "a whole file is returned that is not one of ours".to_owned();
            self.open_break(BreakKind::UnknownReference, 0, None, file.total, detail);
            return Ok(());
        };
        let batch = self.met.runs[&run].batches[at].clone();
        if let Some((kind, detail)) = fault_of(&batch, file) {
            self.effects.counts.entries += 1;
            self.open_break(kind, 0, Some((run, None)), file.total, detail);
            return Ok(());
        }
        let mut after = 0;
        loop {
            let ids = batch_orders::numbers_in_tx(&mut self.tx, &batch, after, ORDERS_AT_ONCE).await?;
            let Some(last) = ids.last() else { return Ok(()) };
            after = *last;
            let facts = self.facts(run, &ids).await?;
            let returned: Vec<Line> = facts
                .iter()
                .filter(|f| current(&batch, f) != OrderState::Rejected)
                .map(|f| Line {
                    names: self.names(f).map(|n| Names::of(n.reference(f.order))).unwrap_or_default(),
                    event: Some(OrderEvent::Return),
                    why: file.why.clone(),
                    ..Line::default()
                })
                .collect();
            self.lines(returned).await?;
        }
    }

    /// The names of an order of a run that this message has met.
    pub(super) fn names(&self, facts: &OrderFacts) -> Option<OrderNames> {
        let known = self.met.runs.get(&facts.order.run())?;
        let purpose = self.met.purposes.get(&facts.purpose)?;
        Some(OrderNames::of(&OrderKey {
            programme: &known.programme,
            period: facts.period,
            household: facts.household,
            purpose,
            attempt: facts.attempt,
        }))
    }
}
