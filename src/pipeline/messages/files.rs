//! What status reports say of whole files of ours.
//!
//! Guarantee: a file is rejected as a whole only where the message says nothing else of it or of its orders, and never for
//! being a second delivery. A message is read to its end before that is decided, so the order of what it says is no
//! matter.

use std::collections::{BTreeMap, HashSet};

use super::apply::Applier;
use super::effects::Flow;
use super::lines::Reported;
use super::matching::FilePlace;
use super::parse::{FileStatus, event_of};
use crate::domain::batch::BatchState;
use crate::domain::ids::RunId;
use crate::domain::order::{OrderEvent, OrderState};
use crate::domain::reason::BreakKind;
use crate::domain::stated::{FileVerdict, FileWords, Why};
use crate::domain::step::Step;
use crate::store::StoreError;
use crate::store::messages::feedback;

/// What a status report or payment return has said so far.
#[derive(Debug, Default)]
pub(super) struct FileReport {
    /// The file of ours that what follows speaks of.
    pub file: Option<FilePlace>,
    /// What it says of each order, and the orders of which it says two things.
    pub orders: Reported,
    pub at_odds: HashSet<i64>,
    /// What it says of whole files: decided at its end, when all that it says of their orders is known.
    pub files: FileVerdicts,
}

/// What a message says of each file that it speaks of, by run and place among the run's batches.
#[derive(Debug, Default)]
pub(super) struct FileVerdicts(BTreeMap<(RunId, usize), FileSaid>);

#[derive(Debug, Default)]
struct FileSaid {
    words: FileWords,
    /// Why it was rejected, where it was.
    why: Why,
}

impl FileVerdicts {
    /// Notes that an order of the file is not rejected.
    pub(super) fn order_lives(&mut self, run: RunId, at: usize) {
        self.0.entry((run, at)).or_default().words.orders_live = true;
    }
}

impl Applier<'_> {
    /// Takes what is said of a file of ours.
    pub(super) async fn file_status(&mut self, said: FileStatus) -> Result<(), StoreError> {
        // What follows speaks of this file's provider, or, where the file is not ours, of whoever each order is with.
        self.provider = None;
        self.report.file = None;
        let Some((run, at)) = self.batch_of(&said.original).await? else {
            self.effects.counts.entries += 1;
            let detail = format!("the file reported on is not one of ours{}", said.why.suffix());
            self.open_break(BreakKind::UnknownReference, 0, None, said.sum, detail);
            return Ok(());
        };
        let batch = self.met.runs[&run].batches[at].clone();
        self.provider = Some(batch.provider_id);
        self.report.file = Some((run, at));
        let differs = said.orders.is_some_and(|n| n as i64 != batch.orders)
            || said.sum.is_some_and(|s| s != batch.amount);
        if differs {
            self.effects.counts.entries += 1;
            let detail = "orders or control sum of the original are not what was sent".to_owned();
            self.open_break(BreakKind::TotalsDiffer, 0, Some((run, None)), said.sum, detail);
        }
        let Some(status) = said.status else { return Ok(()) };
        let event = event_of(status);
        let second = event == Some(OrderEvent::Reject) && said.why.second;
        let step = match event {
            _ if second => None,
            // A settled file is settled once the account statement agrees; until then it is accepted.
            Some(OrderEvent::Accept | OrderEvent::Settle) => Some(Step::Accepted),
            Some(OrderEvent::Reject) => Some(Step::Rejected),
            _ => None,
        };
        let (code, why) = (status.as_str(), &said.why);
        feedback::insert_batch_event_in_tx(&mut self.tx, batch.id, step, self.message.id, code, why).await?;
        let decided_at_end = step.is_some();
        self.effects.counts.entries += u64::from(!decided_at_end);
        if let Some(unknown) = &said.unknown {
            let suffix = said.why.suffix();
            let detail = format!("the file is said to be `{unknown}`, a status that is not known{suffix}");
            self.open_break(BreakKind::UnknownStatus, 0, Some((run, None)), Some(batch.amount), detail)
                .batch = Some(batch.id);
        } else if second {
            let suffix = said.why.suffix();
            let detail = format!("refused as a second delivery; what was delivered first stands{suffix}");
            self.open_break(BreakKind::StatusConflict, 0, Some((run, None)), Some(batch.amount), detail)
                .batch = Some(batch.id);
        } else if !decided_at_end {
            self.effects.counts.noted += 1;
        } else {
            let file = self.report.files.0.entry((run, at)).or_default();
            file.words.add(said.narrow, step == Some(Step::Rejected));
            if step == Some(Step::Rejected) {
                file.why = said.why;
            }
        }
        Ok(())
    }

    /// Decides what is said of whole files, at the end of a message.
    pub(super) fn decide_files(&mut self) {
        for ((run, at), said) in std::mem::take(&mut self.report.files).0 {
            let verdict = said.words.verdict();
            self.effects.counts.entries += u64::from(verdict != FileVerdict::Nothing);
            match verdict {
                FileVerdict::Nothing => {}
                FileVerdict::Accepted => self.accept_batch(run, at),
                FileVerdict::Rejected => self.reject_batch(run, at, &said.why),
                FileVerdict::Contradicted => {
                    let batch = self.met.runs.get(&run).map(|known| &known.batches[at]);
                    let (amount, id) = (batch.map(|b| b.amount), batch.map(|b| b.id));
                    let suffix = said.why.suffix();
                    let detail = format!(
                        "one message rejects the whole file and takes it, or orders of it; it is not rejected{suffix}"
                    );
                    self.open_break(BreakKind::StatusConflict, 0, Some((run, None)), amount, detail).batch =
                        id;
                }
            }
        }
    }

    fn accept_batch(&mut self, run: RunId, at: usize) {
        let Some(known) = self.met.runs.get_mut(&run) else { return };
        let batch = &mut known.batches[at];
        match batch.state {
            BatchState::Sent => {
                batch.state = BatchState::Accepted;
                let flow = Flow {
                    run,
                    provider: batch.provider_id,
                    from: OrderState::Sent,
                    to: OrderState::Accepted,
                };
                let figures = batch.figures;
                self.effects.moves.add(
                    flow,
                    batch.orders - figures.outcomes,
                    batch.amount.get() - figures.outcomes_amount,
                );
                self.effects.counts.applied += 1;
            }
            BatchState::Accepted | BatchState::Settled => self.effects.counts.already += 1,
            _ => {
                let (detail, id) = ("accepted, after the whole file was rejected".to_owned(), batch.id);
                self.open_break(BreakKind::StatusConflict, 0, Some((run, None)), None, detail).batch =
                    Some(id);
            }
        }
    }

    fn reject_batch(&mut self, run: RunId, at: usize, why: &Why) {
        let Some(known) = self.met.runs.get_mut(&run) else { return };
        let batch = &mut known.batches[at];
        let figures = batch.figures;
        let moved_on =
            figures.outcomes - figures.accepted - figures.rejected > 0 || figures.debited_amount > 0;
        if batch.state == BatchState::Rejected {
            self.effects.counts.already += 1;
        } else if moved_on || !matches!(batch.state, BatchState::Sent | BatchState::Accepted) {
            let detail = format!("the whole file rejected, after some of it was paid{}", why.suffix());
            let id = batch.id;
            self.open_break(BreakKind::StatusConflict, 0, Some((run, None)), None, detail).batch = Some(id);
        } else {
            let from =
                if batch.state == BatchState::Accepted { OrderState::Accepted } else { OrderState::Sent };
            let (silent, silent_amount) =
                (batch.orders - figures.outcomes, batch.amount.get() - figures.outcomes_amount);
            let flow = |from| Flow { run, provider: batch.provider_id, from, to: OrderState::Rejected };
            self.effects.moves.add(flow(from), silent, silent_amount);
            self.effects.moves.add(flow(OrderState::Accepted), figures.accepted, figures.accepted_amount);
            batch.figures.rejected += silent + figures.accepted;
            batch.figures.rejected_amount += silent_amount + figures.accepted_amount;
            batch.state = BatchState::Rejected;
            self.effects.counts.applied += 1;
        }
    }
}
