//! What a message says of single orders: matched in sets, judged one by one.

use std::collections::HashMap;

use super::apply::Applier;
use super::book::Flow;
use super::entry_subjects::file_bookings;
use super::matching::{Facts, Place};
use super::parse::Line;
use crate::domain::batch::{BatchState, Lane};
use crate::domain::ids::{OrderId, RunId};
use crate::domain::order::{Effect, EndToEndRef, OrderEvent, OrderState};
use crate::domain::reason::BreakKind;
use crate::domain::references::Named;
use crate::domain::statement::booking::{Meaning, OrderBookings};
use crate::domain::step::{Step, reached};
use crate::pipeline::orders::reissue;
use crate::store::StoreError;
use crate::store::batches::{Batch, BatchFigures};
use crate::store::messages::feedback::{self, OrderFacts};

impl Applier<'_> {
    pub(super) async fn lines(&mut self, mut lines: Vec<Line>) -> Result<(), StoreError> {
        self.counts.entries += lines.len() as u64;
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
        let Some(file) = self.file else { return Ok(false) };
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
    fn named_in_file(&mut self, named: Named<Place>, facts: &Facts) -> Named<Place> {
        let (Named::One((run, at)), Some(file)) = (named, self.file) else { return named };
        let left_in = self.file_of(&facts[&run][at]);
        if left_in.is_some_and(|left_in| left_in != file) { Named::Disagree } else { named }
    }

    /// Writes the steps noted so far, and holds orders that may be paid a second time.
    pub(super) async fn send_outcomes(&mut self) -> Result<(), StoreError> {
        let run_target = format!("outcome ({})", feedback::OUTCOME_COLUMNS);
        self.outcomes.send_in_tx(&mut self.tx, &run_target, "").await?;
        for order in std::mem::take(&mut self.contradicted) {
            reissue::keep_back_in_tx(&mut self.tx, order, self.now).await?;
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
            if self.reported.add(order, event == OrderEvent::Reject) {
                self.at_odds.insert(order.get());
            }
        }
    }

    pub(super) async fn facts(&mut self, run: RunId, ids: &[i64]) -> Result<Vec<OrderFacts>, StoreError> {
        let known = &self.runs[&run];
        let (first, last) = (ids.first().copied().unwrap_or(0), ids.last().copied().unwrap_or(0));
        let concerned = |b: &&Batch| {
            self.provider.is_none_or(|p| p == b.provider_id) && b.first.get() <= last && first <= b.last.get()
        };
        let spoken_of = |b: &Batch| known.before[&b.id.get()].1.outcomes > 0;
        let earlier = known.batches.iter().filter(concerned).any(spoken_of);
        // This message itself may have spoken of them, if it does not go through its orders upwards.
        let again = self.spoken_to.get(&run).is_some_and(|top| first <= *top);
        let facts = feedback::facts_in_tx(&mut self.tx, run, ids, self.provider, earlier || again).await?;
        let top = self.spoken_to.entry(run).or_default();
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
        let Some(facts) = facts else {
            let detail = match named {
                Named::Disagree => "its references are mistyped, or name different orders or files of ours",
                _ => "the reference names no order of ours at this provider",
            };
            let amount = line.amount;
            self.suspend(line.cash, BreakKind::UnknownReference, line.entry, None, amount, detail.into());
            return;
        };
        let run = facts.order.run();
        let about = Some((run, Some(facts.order)));
        let Some((at, batch)) = self.runs.get_mut(&run).and_then(|known| batch_of(&mut known.batches, facts))
        else {
            self.suspend(
                line.cash,
                BreakKind::NeverSent,
                line.entry,
                about,
                line.amount,
                "the order has not left".into(),
            );
            return;
        };
        if line.amount.is_some_and(|amount| amount != facts.amount) {
            let detail = format!("the order is over {}", facts.amount);
            self.suspend(line.cash, BreakKind::AmountDiffers, line.entry, about, line.amount, detail);
            return;
        }
        let Some(event) = line.event else {
            if let Some(unknown) = &line.unknown {
                let suffix = line.why.suffix();
                let detail =
                    format!("the order is said to be `{unknown}`, a status that is not known{suffix}");
                let key = format!("order {} status {unknown} not known", facts.order.get());
                let of_report = line.of_report;
                let opened =
                    self.open_break(BreakKind::UnknownStatus, line.entry, about, line.amount, detail);
                // A provider that is asked again says it again: one fact.
                if !of_report {
                    opened.key = key;
                }
            } else {
                self.counts.noted += 1;
            }
            return;
        };
        if self.at_odds.contains(&facts.order.get()) {
            let detail =
                "one message says of the order that it is rejected and that it is not; neither was applied"
                    .to_owned();
            self.open_break(BreakKind::StatusConflict, line.entry, about, line.amount, detail);
            return;
        }
        if batch.lane == Lane::Stream && facts.steps.is_empty() {
            let detail = "the order has not been handed over".to_owned();
            self.suspend(line.cash, BreakKind::NeverSent, line.entry, about, line.amount, detail);
            return;
        }
        if event == OrderEvent::Reject && line.second_above {
            // The break over the whole file says it of all its orders.
            self.counts.noted += 1;
            return;
        }
        if event == OrderEvent::Reject && line.why.second {
            let suffix = line.why.suffix();
            let detail = format!("refused as a second delivery; what was delivered first stands{suffix}");
            self.open_break(BreakKind::StatusConflict, line.entry, about, line.amount, detail);
            return;
        }
        if line.of_report && event != OrderEvent::Reject {
            self.files.order_lives(run, at);
        }
        let stream = batch.lane == Lane::Stream;
        let state = current(batch, facts);
        if let Some(undone) = line.undoes {
            if undone == Meaning::ReturnUndone {
                self.contradicted.extend(facts.reissued_as);
            }
            let what = if undone == Meaning::ReturnUndone { "return" } else { "debit" };
            let detail = format!("the bank takes back a {what} of an order that is {state}");
            self.suspend(line.cash, BreakKind::StatusConflict, line.entry, about, line.amount, detail);
            return;
        }
        let step = step_of(event, line.booked);
        // Callbacks come in any order: what is said of an order on its way is overtaken by how it ended.
        let overtaken = match event {
            OrderEvent::Accept => state.is_final(),
            OrderEvent::Offer => state.is_final() && state != OrderState::Reissued,
            _ => false,
        };
        if stream && overtaken {
            self.counts.already += 1;
            return;
        }
        let effect = effect_on(batch, facts, event, step);
        if effect != Effect::Conflict && line.cash.is_some() && booked_before(batch, facts, event) {
            let what = if event == OrderEvent::Return { "returned" } else { "debited" };
            let detail = format!("{what} again: the order is {state}, and this was booked before");
            self.suspend(line.cash, BreakKind::BookedTwice, line.entry, about, line.amount, detail);
            return;
        }
        // The account statement (or settlement file) may confirm what a status or notification said before.
        let confirms = effect == Effect::Already
            && line.booked
            && !facts.steps.has(step)
            && (line.cash.is_some() || stream);
        let (mut told, mut said) = (None, None);
        match effect {
            Effect::Conflict => {
                let detail = match facts.reissued_as {
                    Some(next) => {
                        if event != OrderEvent::Return {
                            self.contradicted.push(next);
                        }
                        format!(
                            "{event:?} of an order that was reissued as order {} of run {}{}",
                            next.get(),
                            next.run(),
                            line.why.suffix()
                        )
                    }
                    None => format!("{event:?} of an order that is {state}{}", line.why.suffix()),
                };
                self.suspend(line.cash, BreakKind::StatusConflict, line.entry, about, line.amount, detail);
            }
            // The whole file was rejected before; this tells the order's own reason.
            Effect::Already
                if event == OrderEvent::Reject && state == OrderState::Rejected && !facts.steps.has(step) =>
            {
                let before = facts.steps.state();
                facts.steps = facts.steps.with(step);
                explain_rejection(&mut batch.figures, before, facts.amount.get());
                said = Some(*facts);
                feedback::push_outcome(&mut self.outcomes, facts.order, step, self.message, &line.why);
                self.counts.applied += 1;
            }
            Effect::Already if !confirms => match line.cash {
                Some(cash) if facts.steps.has(step) => {
                    self.suspend(
                        Some(cash),
                        BreakKind::BookedTwice,
                        line.entry,
                        about,
                        line.amount,
                        format!("{event:?} of an order that is {state}{}", line.why.suffix()),
                    );
                }
                None if stream && line.booked => {
                    let detail = "a settlement file before this one lists it".to_owned();
                    self.open_break(BreakKind::BookedTwice, line.entry, about, line.amount, detail);
                }
                _ => self.counts.already += 1,
            },
            Effect::Already | Effect::Moves(_) => {
                let before = facts.steps.said().state();
                facts.steps = facts.steps.with(step);
                said = Some(*facts);
                enter(&mut batch.figures, before, facts);
                if let Some(cash) = line.cash {
                    let figure = if cash.credit {
                        &mut batch.figures.credited_amount
                    } else {
                        &mut batch.figures.debited_amount
                    };
                    *figure += cash.amount.get();
                    self.moves.cash(Some(run), facts.provider, cash);
                }
                if stream && line.booked {
                    let share = self.shares.entry((run, batch.id)).or_default();
                    share.0 += 1;
                    share.1 += facts.amount.get();
                }
                if let Effect::Moves(to) = effect {
                    told = Some((*facts, to));
                    if stream {
                        self.moved.push((facts.order, facts.provider, to));
                    }
                    self.moves.add(
                        Flow { run, provider: facts.provider, from: state, to },
                        1,
                        facts.amount.get(),
                    );
                }
                feedback::push_outcome(&mut self.outcomes, facts.order, step, self.message, &line.why);
                self.counts.applied += 1;
            }
        }
        if let Some(facts) = said {
            self.note_doubt(&facts, event, line);
        }
        if let Some((facts, to)) = told {
            self.tell(&facts, to, line.why.code.as_deref());
            self.note_late_return(&facts, to);
        }
    }
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

/// Whether the account moved for an order before, by its own name or by that of its file.
fn booked_before(batch: &Batch, facts: &OrderFacts, event: OrderEvent) -> bool {
    let has = |step| facts.steps.has(step);
    let known = OrderBookings {
        amount: facts.amount,
        debited: has(Step::SettledBooked) || has(Step::CollectedBooked),
        returned: has(Step::ReturnedBooked),
        left_of_file: (batch.lane == Lane::File).then(|| file_bookings(batch).left()),
    };
    match event {
        OrderEvent::Settle => known.booked_before(Meaning::Debit),
        OrderEvent::Return => known.booked_before(Meaning::Return),
        _ => false,
    }
}

/// Where an order stands that left in this batch: it is neither held nor cancelled.
pub(super) fn current(batch: &Batch, facts: &OrderFacts) -> OrderState {
    reached(Some((batch.lane, batch.state)), facts.steps)
}

/// What an event does to an order. A return of a reissued one is judged by where it stood before, since the books may
/// follow the advice; and what its provider said before, it may say again.
fn effect_on(batch: &Batch, facts: &OrderFacts, event: OrderEvent, step: Step) -> Effect {
    let state = current(batch, facts);
    if state != OrderState::Reissued {
        return state.after(event);
    }
    let before = current(batch, &OrderFacts { steps: facts.steps.said(), ..*facts });
    match state.after(event) {
        Effect::Conflict if facts.steps.has(step) => Effect::Already,
        _ if event == OrderEvent::Return && before.after(event) == Effect::Conflict => Effect::Conflict,
        effect => effect,
    }
}

pub(super) const fn step_of(event: OrderEvent, booked: bool) -> Step {
    match (event, booked) {
        (OrderEvent::Send, _) => Step::Sent,
        (OrderEvent::Lose, _) => Step::Unknown,
        (OrderEvent::Accept, _) => Step::Accepted,
        (OrderEvent::Offer, _) => Step::Available,
        (OrderEvent::Collect, false) => Step::Collected,
        (OrderEvent::Collect, true) => Step::CollectedBooked,
        (OrderEvent::Expire, _) => Step::Expired,
        (OrderEvent::Settle, false) => Step::Settled,
        (OrderEvent::Settle, true) => Step::SettledBooked,
        (OrderEvent::Reject, _) => Step::Rejected,
        (OrderEvent::Return, false) => Step::Returned,
        (OrderEvent::Return, true) => Step::ReturnedBooked,
    }
}

/// The batch that an order left in.
pub(super) fn batch_of<'b>(batches: &'b mut [Batch], facts: &OrderFacts) -> Option<(usize, &'b mut Batch)> {
    let left = |b: &Batch| {
        matches!(
            b.state,
            BatchState::Sent | BatchState::Accepted | BatchState::Settled | BatchState::Rejected
        ) || (b.lane == Lane::Stream && b.state == BatchState::Dispatching)
    };
    batches
        .iter_mut()
        .enumerate()
        .find(|(_, b)| facts.membership.is_of(b, facts.order, facts.provider) && left(b))
}

/// An order of a wholly rejected file gets an outcome of its own; it is among the file's rejected ones already.
fn explain_rejection(figures: &mut BatchFigures, before: Option<OrderState>, amount: i64) {
    match before {
        None => {
            figures.outcomes += 1;
            figures.outcomes_amount += amount;
        }
        Some(OrderState::Accepted) => {
            figures.accepted -= 1;
            figures.accepted_amount -= amount;
        }
        _ => {}
    }
}

/// Keeps the batch's figures as an order goes from its own state `before` to that of its steps.
pub(super) fn enter(figures: &mut BatchFigures, before: Option<OrderState>, facts: &OrderFacts) {
    let amount = facts.amount.get();
    let now = facts.steps.said().state();
    if before.is_none() && !facts.steps.has(Step::Reissued) {
        figures.outcomes += 1;
        figures.outcomes_amount += amount;
    }
    if before == now {
        return;
    }
    for (state, sign) in [(before, -1), (now, 1)] {
        match state {
            Some(OrderState::Accepted) => {
                figures.accepted += sign;
                figures.accepted_amount += sign * amount;
            }
            Some(OrderState::Rejected) => {
                figures.rejected += sign;
                figures.rejected_amount += sign * amount;
            }
            Some(OrderState::Returned) => {
                figures.returned += sign;
                figures.returned_amount += sign * amount;
            }
            Some(OrderState::Settled | OrderState::Collected) => {
                figures.paid += sign;
                figures.paid_amount += sign * amount;
            }
            Some(OrderState::Expired) => {
                figures.expired += sign;
                figures.expired_amount += sign * amount;
            }
            _ => {}
        }
    }
}
