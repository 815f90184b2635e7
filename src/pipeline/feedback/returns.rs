//! Payment returns of a file of ours: of the whole of it, or of orders that are named by UETR alone.
//!
//! Limit: a UETR is worked out from the claim and cannot be looked up; it is understood where the message names the file
//! that the order was in.

use std::collections::HashMap;

use super::apply::Applier;
use super::lines::current;
use super::parse::Line;
use super::parse_returns::ReturnedFile;
use crate::domain::batch::BatchState;
use crate::domain::ids::RunId;
use crate::domain::order::{EndToEndRef, OrderEvent, OrderKey, OrderNames, OrderState};
use crate::domain::reason::BreakKind;
use crate::store::batches::Batch;
use crate::store::feedback::OrderFacts;
use crate::store::{StoreError, batch_orders};

/// Orders of a file that are looked at together.
const ORDERS_AT_ONCE: i64 = 20_000;

/// The file of ours that a payment return is about.
#[derive(Debug)]
pub(super) struct ReturnFile {
    run: RunId,
    /// Place among the run's batches.
    at: usize,
    /// References of its orders by UETR, once one is asked for.
    by_uetr: Option<HashMap<String, EndToEndRef>>,
}

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
        self.return_file = None;
        let found = self.batch_of(&file.original).await?;
        if let Some((run, at)) = found {
            self.provider = Some(self.runs[&run].batches[at].provider_id);
            self.return_file = Some(ReturnFile { run, at, by_uetr: None });
        }
        if file.whole { self.return_whole(&file).await } else { Ok(()) }
    }

    /// All orders of a file come back, but for those that were rejected.
    async fn return_whole(&mut self, file: &ReturnedFile) -> Result<(), StoreError> {
        let Some(ReturnFile { run, at, .. }) = self.return_file else {
            self.counts.entries += 1;
            let detail = "a whole file is returned that is not one of ours".to_owned();
            self.open_break(BreakKind::UnknownReference, 0, None, file.total, detail);
            return Ok(());
        };
        let batch = self.runs[&run].batches[at].clone();
        if let Some((kind, detail)) = fault_of(&batch, file) {
            self.counts.entries += 1;
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
                    entry: 0,
                    reference: self.names(f).map(|names| names.reference(f.order)),
                    event: Some(OrderEvent::Return),
                    why: file.why.clone(),
                    ..Line::default()
                })
                .collect();
            self.lines(returned).await?;
        }
    }

    /// Takes returns that are named by UETR alone.
    pub(super) async fn unnamed_returns(&mut self, unnamed: Vec<(String, Line)>) -> Result<(), StoreError> {
        if let Some(file) = &self.return_file
            && file.by_uetr.is_none()
        {
            let batch = self.runs[&file.run].batches[file.at].clone();
            let by_uetr = self.uetrs(&batch).await?;
            if let Some(file) = &mut self.return_file {
                file.by_uetr = Some(by_uetr);
            }
        }
        let by_uetr = self.return_file.as_ref().and_then(|file| file.by_uetr.as_ref());
        // What is not found goes on without a reference, and becomes a break.
        let lines = unnamed
            .into_iter()
            .map(|(uetr, line)| Line {
                reference: by_uetr.and_then(|known| known.get(&uetr)).copied(),
                ..line
            })
            .collect();
        self.lines(lines).await
    }

    async fn uetrs(&mut self, batch: &Batch) -> Result<HashMap<String, EndToEndRef>, StoreError> {
        let (mut by_uetr, mut after) = (HashMap::new(), 0);
        loop {
            let ids = batch_orders::numbers_in_tx(&mut self.tx, batch, after, ORDERS_AT_ONCE).await?;
            let Some(last) = ids.last() else { return Ok(by_uetr) };
            after = *last;
            for facts in self.facts(batch.run, &ids).await? {
                let Some(names) = self.names(&facts) else { continue };
                let mut uetr = String::with_capacity(36);
                names.write_uetr(&mut uetr);
                by_uetr.insert(uetr, names.reference(facts.order));
            }
        }
    }

    /// The names of an order of a run that this message has met.
    pub(super) fn names(&self, facts: &OrderFacts) -> Option<OrderNames> {
        let known = self.runs.get(&facts.order.run())?;
        let purpose = self.purposes.get(&facts.purpose)?;
        Some(OrderNames::of(&OrderKey {
            programme: &known.programme,
            period: facts.period,
            household: facts.household,
            purpose,
            attempt: facts.attempt,
        }))
    }
}
