//! Answers to recalls. They move recalls and never an order or money: see `pipeline::recall`.

use super::apply::Applier;
use super::parse_returns::RecallAnswer;
use crate::domain::reason::BreakKind;
use crate::domain::recall::RecallEffect;
use crate::store::recalls::{self, Recall};
use crate::store::{StoreError, feedback};

impl Applier<'_> {
    /// Takes one answer.
    pub(super) async fn recall_answer(&mut self, answer: &RecallAnswer) -> Result<(), StoreError> {
        self.counts.entries += 1;
        self.provider = None;
        let Some(recall) = self.recall_of(answer).await? else {
            let detail = "the answer names no recall of ours".to_owned();
            self.open_break(BreakKind::UnknownReference, answer.entry, None, None, detail);
            return Ok(());
        };
        self.provider = Some(recall.provider_id);
        let Some(event) = answer.event else {
            let Some(unknown) = &answer.unknown else {
                self.counts.noted += 1;
                return Ok(());
            };
            let what =
                if unknown.is_empty() { "no status".to_owned() } else { format!("status `{unknown}`") };
            let detail = format!(
                "the answer to recall {} states {what}, which is not known{}",
                recall.id,
                answer.why.suffix()
            );
            let about = Some((recall.run, Some(recall.order)));
            self.open_break(BreakKind::UnknownStatus, answer.entry, about, None, detail);
            return Ok(());
        };
        match recall.state.after(event) {
            RecallEffect::Already => self.counts.already += 1,
            RecallEffect::Moves(to) => {
                let reason = answer.why.told.as_deref();
                let message = Some(self.message);
                recalls::answer_in_tx(&mut self.tx, recall.id, to, reason, message, self.now).await?;
                self.counts.applied += 1;
            }
            RecallEffect::Conflict => {
                let suffix = answer.why.suffix();
                let detail = format!("{event:?} of recall {}, which is {}{suffix}", recall.id, recall.state);
                let about = Some((recall.run, Some(recall.order)));
                self.open_break(BreakKind::StatusConflict, answer.entry, about, None, detail);
            }
        }
        Ok(())
    }

    /// The recall that an answer is to: by the order it names, else by its case.
    async fn recall_of(&mut self, answer: &RecallAnswer) -> Result<Option<Recall>, StoreError> {
        if !answer.named {
            return recalls::of_case_in_tx(&mut self.tx, &answer.case_id).await;
        }
        let Some(reference) = answer.reference else { return Ok(None) };
        let (order, run) = (reference.order, reference.order.run());
        if !self.know_run(run).await? {
            return Ok(None);
        }
        let Some(recall) = recalls::of_order_in_tx(&mut self.tx, order, &answer.case_id).await? else {
            return Ok(None);
        };
        // There is a recall, so there is the run's leaf to look into.
        let facts = feedback::facts_in_tx(&mut self.tx, run, &[order.get()], None, false).await?;
        let confirmed = facts.first().and_then(|f| self.names(f)).is_some_and(|n| n.confirms(&reference));
        Ok(confirmed.then_some(recall))
    }
}
