//! Answers to recalls. They move recalls and never an order or money: see `pipeline::recall`.

use super::apply::Applier;
use super::parse_returns::RecallAnswer;
use crate::domain::reason::BreakKind;
use crate::domain::recall::RecallEffect;
use crate::domain::references::Named;
use crate::store::StoreError;
use crate::store::messages::recalls::{self, Recall};

impl Applier<'_> {
    /// Takes one answer.
    pub(super) async fn recall_answer(&mut self, answer: &RecallAnswer) -> Result<(), StoreError> {
        self.effects.counts.entries += 1;
        self.provider = None;
        let Some(recall) = self.recall_of(answer).await? else {
            let detail = "the answer names no recall of ours".to_owned();
            self.open_break(BreakKind::UnknownReference, answer.entry, None, None, detail);
            return Ok(());
        };
        self.provider = Some(recall.provider_id);
        let Some(event) = answer.event else {
            let Some(unknown) = &answer.unknown else {
                self.effects.counts.noted += 1;
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
            RecallEffect::Already => self.effects.counts.already += 1,
            RecallEffect::Moves(to) => {
                let reason = answer.why.told.as_deref();
                let message = Some(self.message.id);
                recalls::answer_in_tx(&mut self.tx, recall.id, to, reason, message, self.message.at).await?;
                self.effects.counts.applied += 1;
            }
            RecallEffect::Conflict => {
                let suffix = answer.why.suffix();
                let detail = format!(
                    "recall {} is answered as {}, but it is {}{suffix}",
                    recall.id,
                    event.word(),
                    recall.state
                );
                let about = Some((recall.run, Some(recall.order)));
                self.open_break(BreakKind::StatusConflict, answer.entry, about, None, detail);
            }
        }
        Ok(())
    }

    /// The recall that an answer is to: by the order it names, else by its case. A name that is none of ours shuts out
    /// neither; an order and a case that disagree name nothing.
    async fn recall_of(&mut self, answer: &RecallAnswer) -> Result<Option<Recall>, StoreError> {
        let facts = self.facts_of(std::iter::once(&answer.names)).await?;
        let by_case = recalls::of_case_in_tx(&mut self.tx, &answer.case_id).await?;
        let (run, at) = match self.order_named(&answer.names, &facts) {
            Named::Nothing => return Ok(by_case),
            Named::Disagree => return Ok(None),
            Named::One(place) => place,
        };
        let order = facts[&run][at].order;
        if by_case.as_ref().is_some_and(|recall| recall.order != order) {
            return Ok(None);
        }
        recalls::of_order_in_tx(&mut self.tx, order, &answer.case_id).await
    }
}
