//! Books what a message came to: settled batches, kept figures and totals, postings, breaks, audit.

use super::apply::Applier;
use super::effects::{Flow, Moves};
use super::figures::difference;
use crate::domain::batch::{BatchState, Lane};
use crate::domain::ids::RunId;
use crate::domain::money::Centimes;
use crate::domain::order::OrderState;
use crate::domain::run::{RunEvent, RunState};
use crate::store::audit::chain::{self, Decision};
use crate::store::batches::{self, Batch, outbox};
use crate::store::books::statement::Bookings;
use crate::store::books::{self, OrderSum, RunAt, StateMove};
use crate::store::messages::{breaks, feedback};
use crate::store::{StoreError, runs};

/// A batch is settled once the debits booked for it are its orders less the rejected ones.
fn settle_if_agreed(batch: &mut Batch, run: RunId, moves: &mut Moves) {
    // In the stream lane orders settle one by one.
    if batch.lane == Lane::Stream {
        return;
    }
    let figures = batch.figures;
    let due = batch.amount.get() - figures.rejected_amount;
    let from = match batch.state {
        BatchState::Sent => OrderState::Sent,
        BatchState::Accepted => OrderState::Accepted,
        _ => return,
    };
    if due <= 0 || figures.debited_amount != due {
        return;
    }
    let flow = |from| Flow { run, provider: batch.provider_id, from, to: OrderState::Settled };
    moves.add(flow(from), batch.orders - figures.outcomes, batch.amount.get() - figures.outcomes_amount);
    moves.add(flow(OrderState::Accepted), figures.accepted, figures.accepted_amount);
    batch.state = BatchState::Settled;
}

impl Applier<'_> {
    pub(super) async fn book(&mut self) -> Result<(), StoreError> {
        for (id, known) in &mut self.met.runs {
            for batch in &mut known.batches {
                let (state, figures) = known.before[&batch.id.get()];
                if (state, figures) != (batch.state, batch.figures) {
                    settle_if_agreed(batch, *id, &mut self.effects.moves);
                    batches::add_in_tx(&mut self.tx, batch.id, difference(batch.figures, figures)).await?;
                    if batch.state != state {
                        batches::set_state_in_tx(&mut self.tx, batch.id, batch.state).await?;
                    }
                }
            }
        }
        self.reopen().await?;
        self.post().await?;
        self.repay().await?;
        self.open_late_returns();
        breaks::open_in_tx(&mut self.tx, &self.effects.breaks, self.message.at).await?;
        outbox::append_in_tx(&mut self.tx, &self.effects.outbox, self.message.at).await?;
        feedback::finish_message_in_tx(
            &mut self.tx,
            self.message.id,
            &self.message.header,
            self.provider,
            self.effects.counts,
            &self.message.warnings,
            self.message.documents,
        )
        .await?;
        if !self.message.audited {
            return Ok(());
        }
        let c = self.effects.counts;
        let detail = format!(
            "entries {} applied {} already {} noted {} breaks {}",
            c.entries, c.applied, c.already, c.noted, c.breaks
        );
        let decision = Decision {
            actor: "sarf",
            action: "feedback.import",
            subject: &format!("message {}", self.message.id),
            detail: &detail,
            at: self.message.at,
        };
        chain::append_in_tx(&mut self.tx, decision).await
    }

    /// A reconciled run of which orders move is no longer.
    async fn reopen(&mut self) -> Result<(), StoreError> {
        for (id, known) in &self.met.runs {
            let moves = self.effects.moves.flows.keys().any(|flow| flow.run == *id);
            if known.run.state == RunState::Reconciled && moves {
                let state =
                    known.run.state.after(RunEvent::Reopen).expect("a reconciled run can be reopened");
                runs::set_state_in_tx(&mut self.tx, *id, state).await?;
            }
        }
        Ok(())
    }

    async fn post(&mut self) -> Result<(), StoreError> {
        let reported = self.reported();
        books::orders::reported_in_tx(&mut self.tx, &reported, self.message.id, self.message.at).await?;
        let booked = self.booked()?;
        booked.post_in_tx(&mut self.tx, self.message.id, self.message.at).await
    }

    fn at(&self, run: RunId, provider: i16) -> RunAt {
        self.met.runs[&run].run.at(provider)
    }

    fn reported(&self) -> Vec<StateMove> {
        let moved = |(flow, &(orders, amount)): (&Flow, &(i64, i64))| {
            let of = self.at(flow.run, flow.provider);
            StateMove {
                sum: OrderSum { of, orders, amount: Centimes::new(amount) },
                from: flow.from,
                to: flow.to,
            }
        };
        self.effects.moves.flows.iter().map(moved).collect()
    }

    /// What statements booked, as rows of the chart of accounts.
    fn booked(&self) -> Result<Bookings, StoreError> {
        let mut booked = Bookings::default();
        for ((run, provider, credit), amount) in &self.effects.moves.cash {
            let amount =
                i64::try_from(*amount).map_err(|_| StoreError::Corrupt("sum of a message's entries"))?;
            let amount = Centimes::new(amount);
            match (run, credit) {
                (Some(run), false) => booked.debit(self.at(*run, *provider), amount),
                (Some(run), true) => booked.returned(self.at(*run, *provider), amount),
                (None, false) => booked.unexplained_debit(*provider, amount),
                (None, true) => booked.unexplained_credit(*provider, amount),
            }
        }
        for ((run, provider), amount) in &self.effects.moves.explained {
            booked.debit_explained(self.at(*run, *provider), *amount);
        }
        Ok(booked)
    }
}
