//! What a message says of single orders: matched in sets, judged one by one.

use std::collections::HashMap;

use super::apply::Applier;
use super::effects::Flow;
use super::figures::{enter, explain_rejection, known_batch};
use super::matching::{Facts, FilePlace, Place};
use super::parse::Line;
use super::wording;
use crate::domain::batch::{BatchState, Lane};
use crate::domain::ids::{OrderId, RunId};
use crate::domain::judging::{Conflict, KnownOrder, Outcome, Report, Taken, judge};
use crate::domain::order::{EndToEndRef, OrderEvent, OrderState};
use crate::domain::references::Named;
use crate::pipeline::orders::reissue;
use crate::store::StoreError;
use crate::store::batches::Batch;
use crate::store::messages::feedback::{self, OrderFacts};

impl Applier<'_> {
    pub(super) async fn lines(&mut self, mut lines: Vec<Line>) -> Result<(), StoreError> {
        self.effects.counts.entries += lines.len() as u64;
        let mut facts = self.facts_of(lines.iter().map(|line| &line.names)).await?;
        let mut named: Vec<Named<Place>> =
            lines.iter().map(|line| self.order_named(&line.names, &facts)).collect();
        if self.lines_by_uetr(&mut lines, &named).await? {
            facts = self.facts_of(lines.iter().map(|line| &line.names)).await?;
            named = lines.iter().map(|line| self.order_named(&line.names, &facts)).collect();
        }
        self.note_at_odds(&lines, &named, &facts);
        for (line, named) in lines.iter().zip(named) {
            let named = self.named_in_file(named, &facts);
            self.line(line, named, &mut facts);
        }
        self.send_outcomes().await
    }

    /// Finds orders that are named by their UETR alone, in the file that is spoken of.
    async fn lines_by_uetr(
        &mut self,
        lines: &mut [Line],
        named: &[Named<Place>],
    ) -> Result<bool, StoreError> {
        let Some(file) = self.report.file else { return Ok(false) };
        let mut found = false;
        for (line, _) in lines.iter_mut().zip(named).filter(|(_, named)| **named == Named::Nothing) {
            let Some(uetr) = line.names.uetr() else { continue };
            if let Some(reference) = self.of_uetr(file, uetr).await? {
                line.names.add(reference);
                found = true;
            }
        }
        Ok(found)
    }

    /// The order that a line names; none where the message is about a file that the order was not in.
    fn named_in_file(&self, named: Named<Place>, facts: &Facts) -> Named<Place> {
        let (Named::One((run, at)), Some(file)) = (named, self.report.file) else { return named };
        let left_in = self.batch_at(&facts[&run][at]);
        if left_in.is_some_and(|left_in| left_in != file) { Named::Disagree } else { named }
    }

    /// Writes the steps noted so far, and holds orders that may be paid a second time.
    pub(super) async fn send_outcomes(&mut self) -> Result<(), StoreError> {
        let run_target = format!("outcome ({})", feedback::OUTCOME_COLUMNS);
        self.effects.outcomes.send_in_tx(&mut self.tx, &run_target, "").await?;
        for order in std::mem::take(&mut self.effects.to_hold) {
            reissue::keep_back_in_tx(&mut self.tx, order, self.message.at).await?;
        }
        Ok(())
    }

    /// Notes orders of which one status report says both that they are rejected and that they are not. A report tells how things
    /// stood at one moment: neither word is the later.
    fn note_at_odds(&mut self, lines: &[Line], named: &[Named<Place>], facts: &Facts) {
        for (line, named) in lines.iter().zip(named).filter(|(line, _)| line.of_report) {
            // Of what is no order of ours nothing is kept: its number could be any.
            let (Named::One((run, at)), Some(event)) = (named, line.event) else { continue };
            let order = facts[run][*at].order;
            if self.report.orders.add(order, event == OrderEvent::Reject) {
                self.report.at_odds.insert(order.get());
            }
        }
    }

    pub(super) async fn facts(&mut self, run: RunId, ids: &[i64]) -> Result<Vec<OrderFacts>, StoreError> {
        let known = &self.met.runs[&run];
        let (first, last) = (ids.first().copied().unwrap_or(0), ids.last().copied().unwrap_or(0));
        let concerned = |b: &&Batch| {
            self.provider.is_none_or(|p| p == b.provider_id) && b.first.get() <= last && first <= b.last.get()
        };
        let spoken_of = |b: &Batch| known.before[&b.id.get()].1.outcomes > 0;
        let earlier = known.batches.iter().filter(concerned).any(spoken_of);
        // This message itself may have spoken of them, if it does not go through its orders upwards.
        let again = self.met.highest_seen.get(&run).is_some_and(|top| first <= *top);
        let facts = feedback::facts_in_tx(&mut self.tx, run, ids, self.provider, earlier || again).await?;
        let top = self.met.highest_seen.entry(run).or_default();
        *top = last.max(*top);
        Ok(facts)
    }

    /// Whether a reference is an order's own, at the provider that speaks.
    pub(super) fn is_named_by(&self, facts: &OrderFacts, reference: &EndToEndRef) -> bool {
        self.provider.is_none_or(|p| p == facts.provider)
            && self.names(facts).is_some_and(|known| known.confirms(reference))
    }

    /// Judges what a line says of the order that it names, and notes what follows.
    pub(super) fn line(&mut self, line: &Line, named: Named<Place>, facts: &mut Facts) {
        let facts = match named {
            Named::One((run, at)) => facts.get_mut(&run).and_then(|of_run| of_run.get_mut(at)),
            _ => None,
        };
        let at = facts.as_deref().and_then(|facts| self.batch_at(facts));
        let order = match (&facts, named) {
            (Some(facts), _) => Named::One(known_order(facts)),
            (None, Named::Disagree) => Named::Disagree,
            (None, _) => Named::Nothing,
        };
        let batch = at.map(|(run, at)| known_batch(&self.met.runs[&run].batches[at]));
        let at_odds = facts.as_ref().is_some_and(|facts| self.report.at_odds.contains(&facts.order.get()));
        let verdict = judge(&report(line, at_odds), order, batch, &self.context.config.reasons);
        if verdict.order_lives
            && let Some((run, at)) = at
        {
            self.report.files.order_lives(run, at);
        }
        self.effects.to_hold.extend(verdict.hold);
        match (verdict.outcome, facts, at) {
            (Outcome::Noted, ..) => self.effects.counts.noted += 1,
            (Outcome::Already, ..) => self.effects.counts.already += 1,
            (Outcome::Break(conflict), facts, _) => self.open_conflict(line, facts.as_deref(), conflict),
            (Outcome::Takes(taken), Some(facts), Some(at)) => self.take_step(line, facts, at, taken),
            (Outcome::Takes(_), ..) => unreachable!("only an order that left takes a step"),
        }
    }

    /// Opens the break over a line; its money, where the account statement booked any, stands in suspense.
    fn open_conflict(&mut self, line: &Line, facts: Option<&OrderFacts>, conflict: Conflict) {
        let about = facts.map(|facts| (facts.order.run(), Some(facts.order)));
        let (kind, detail) = (conflict.kind(), wording::detail(conflict, line));
        let opened = self.suspend(line.cash, kind, line.entry, about, line.amount, detail);
        // A provider that is asked again says it again: one fact.
        if conflict == Conflict::UnknownStatus
            && !line.of_report
            && let (Some(facts), Some(unknown)) = (facts, &line.unknown)
        {
            opened.key = format!("order {} status {unknown} not known", facts.order.get());
        }
    }

    /// Takes an order of a batch one step on.
    fn take_step(&mut self, line: &Line, facts: &mut OrderFacts, (run, at): FilePlace, taken: Taken) {
        let batch = &mut self.met.runs.get_mut(&run).expect("its batch was found").batches[at];
        let steps = facts.steps;
        facts.steps = steps.with(taken.step);
        if taken.explains_rejection {
            explain_rejection(&mut batch.figures, steps.state(), facts.amount);
        } else {
            enter(&mut batch.figures, steps.said().state(), facts);
        }
        if let Some(cash) = line.cash.filter(|_| taken.books) {
            let figures = &mut batch.figures;
            let figure = if cash.credit { &mut figures.credited_amount } else { &mut figures.debited_amount };
            *figure += cash.amount.get();
            self.effects.moves.cash(Some(run), facts.provider, cash);
        }
        if taken.settles {
            let share = self.effects.shares.entry((run, batch.id)).or_default();
            share.0 += 1;
            share.1 += facts.amount.get();
        }
        if let Some((from, to)) = taken.moved {
            if batch.lane == Lane::Stream {
                self.effects.moved.push((facts.order, facts.provider, to));
            }
            let flow = Flow { run, provider: facts.provider, from, to };
            self.effects.moves.add(flow, 1, facts.amount.get());
        }
        feedback::push_outcome(
            &mut self.effects.outcomes,
            facts.order,
            taken.step,
            self.message.id,
            &line.why,
        );
        self.effects.counts.applied += 1;
        if let Some(state) = taken.doubt {
            self.open_doubt(facts, state, line);
        }
        if let Some((_, to)) = taken.moved {
            self.tell(facts, to, line.why.code.as_deref());
            self.note_late_return(facts, to);
        }
    }

    /// The place of the batch that an order left in.
    pub(super) fn batch_at(&self, facts: &OrderFacts) -> Option<FilePlace> {
        let run = facts.order.run();
        let at = self.met.runs.get(&run)?.batches.iter().position(|batch| has_left_in(batch, facts))?;
        Some((run, at))
    }
}

/// What a line reports, as it is judged.
fn report(line: &Line, at_odds: bool) -> Report<'_> {
    Report {
        event: line.event,
        unknown_status: line.unknown.is_some(),
        in_status_report: line.of_report,
        at_odds,
        second_above: line.second_above,
        booked: line.booked,
        amount: line.amount,
        moves_money: line.cash.is_some(),
        undoes: line.undoes,
        why: &line.why,
    }
}

/// What is known of an order, as a line about it is judged.
pub(super) const fn known_order(facts: &OrderFacts) -> KnownOrder {
    KnownOrder { amount: facts.amount, steps: facts.steps, reissued_as: facts.reissued_as }
}

/// Where an order stands that left in this batch: it is neither held nor cancelled.
pub(super) fn current(batch: &Batch, facts: &OrderFacts) -> OrderState {
    known_order(facts).state(&known_batch(batch))
}

/// Whether it is the batch that an order left in.
fn has_left_in(batch: &Batch, facts: &OrderFacts) -> bool {
    let left = matches!(
        batch.state,
        BatchState::Sent | BatchState::Accepted | BatchState::Settled | BatchState::Rejected
    ) || (batch.lane == Lane::Stream && batch.state == BatchState::Dispatching);
    facts.membership.is_of(batch, facts.order, facts.provider) && left
}

/// What a message says of orders so far: a bit for each of a run's places, and for each of the two words.
#[derive(Debug, Default)]
pub(super) struct Reported(HashMap<RunId, [Vec<u64>; 2]>);

impl Reported {
    /// Notes that an order is rejected, or is not; whether both have been said of it.
    fn add(&mut self, order: OrderId, rejected: bool) -> bool {
        let place = (order.get() & i64::from(u32::MAX)) as usize;
        let (word, bit) = (place / 64, 1 << (place % 64));
        let said = self.0.entry(order.run()).or_default();
        for bits in said.iter_mut().filter(|bits| bits.len() <= word) {
            bits.resize(word + 1, 0);
        }
        said[usize::from(rejected)][word] |= bit;
        said.iter().all(|bits| bits[word] & bit != 0)
    }
}
