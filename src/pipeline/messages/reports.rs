//! The stream lane's way into feedback: intents and losses of the engine's own, and reports on single orders, each set in
//! one transaction by the same matching and booking as the banks' messages.

use time::Duration;

use super::answers::Judged;
use super::apply::Applier;
use super::effects::Flow;
use super::figures::enter;
use super::lines::current;
use super::parse::Line;
use super::record::Source;
use crate::domain::ids::{OrderId, RunId};
use crate::domain::order::{Effect, EndToEndRef, OrderEvent, OrderState};
use crate::domain::policy::Policy;
use crate::domain::provider::Provider;
use crate::domain::reason::BreakKind;
use crate::domain::references::{NameKind, Names};
use crate::domain::stated::{Reasons, Why};
use crate::domain::step::Step;
use crate::pipeline::Context;
use crate::rails::stream::Answer;
use crate::rails::stream::wire::Status;
use crate::store::StoreError;
use crate::store::batches::enquiries;
use crate::store::batches::shards::{self, Shard};
use crate::store::messages::feedback::{self, MessageCounts};
use crate::store::registry::reference;

/// What a report says, for the applier.
fn line_of(policy: &Policy, entry: usize, answer: Answer, booked: bool) -> Line {
    let reasons = Reasons::one(answer.reason.unwrap_or_default(), "");
    Line {
        entry: entry as u64 + 1,
        names: Names::default().with(NameKind::EndToEnd, &answer.key),
        event: answer.status.event(),
        booked,
        unknown: (answer.status == Status::Unknown).then(|| "unknown".into()),
        why: policy.why(&[&reasons]),
        amount: answer.amount,
        ..Line::default()
    }
}

/// Records reports on a provider's orders. See `pipeline::stream::record`.
pub(crate) async fn record(
    context: &Context,
    provider: &str,
    source: Source,
    reports: Judged,
) -> Result<MessageCounts, StoreError> {
    let configured = configured(context, provider)?;
    let kind = source.as_str();
    let mut applier = begin(context, configured, kind).await?;
    let Judged { answers, orders_to_hold } = reports;
    let policy = &context.config.reasons;
    let lines =
        answers.into_iter().enumerate().map(|(at, answer)| line_of(policy, at, answer, false)).collect();
    applier.lines(lines).await?;
    applier.contradictions(&orders_to_hold).await?;
    if source == Source::Answer {
        applier.ask_about_open().await?;
    }
    applier.keep_enquiries(configured).await?;
    Ok(applier.finish(kind).await?.counts)
}

/// Commits to hand orders over, before any request is made: planned becomes in flight. With the shard that they belong
/// to, only under its lease, which is renewed and moved on to `next`. Gives the orders that may leave now: those held
/// meanwhile, or handed over before, are not among them. `None` when the lease is lost.
pub(crate) async fn intend(
    context: &Context,
    provider: &str,
    ids: &[i64],
    lease: Option<(&Shard, OrderId, u32)>,
) -> Result<Option<Vec<i64>>, StoreError> {
    let configured = configured(context, provider)?;
    let mut applier = begin(context, configured, "stream.intent").await?;
    if let Some((shard, next, lease_s)) = lease
        && !shards::advance_in_tx(&mut applier.tx, shard, next, lease_s).await?
    {
        return Ok(None);
    }
    let leaving = applier.step_all(ids, OrderEvent::Send, Step::Sent).await?;
    applier.finish("stream.intent").await?;
    Ok(Some(leaving))
}

/// Notes that no readable answer came for orders: they are unknown, and on the list of enquiries.
pub(crate) async fn lose(
    context: &Context,
    provider: &str,
    ids: &[i64],
    why: &str,
) -> Result<(), StoreError> {
    let configured = configured(context, provider)?;
    let mut applier = begin(context, configured, "stream.lost").await?;
    applier.step_all(ids, OrderEvent::OutcomeUnknown, Step::Unknown).await?;
    applier.message.header = why.to_owned();
    applier.keep_enquiries(configured).await?;
    applier.finish("stream.lost").await?;
    Ok(())
}

fn configured<'a>(context: &'a Context, code: &str) -> Result<&'a Provider, StoreError> {
    context.config.router.by_code(code).map(|(_, p)| p).ok_or(StoreError::Corrupt("provider"))
}

async fn begin<'a>(
    context: &'a Context,
    provider: &Provider,
    kind: &'static str,
) -> Result<Applier<'a>, StoreError> {
    let mut tx = context.store.begin().await?;
    let now = context.clock.now();
    let code = provider.code.to_string();
    let id = reference::provider_ids_in_tx(&mut tx, std::slice::from_ref(&code)).await?;
    let id = *id.get(&code).ok_or(StoreError::Corrupt("provider"))?;
    let message = feedback::insert_report_in_tx(&mut tx, kind, id, now).await?;
    feedback::prefer_indexes_in_tx(&mut tx).await?;
    let mut applier = Applier::new(context, tx, message, now);
    applier.message.audited = false;
    applier.provider = Some(id);
    applier.lock(id).await?;
    Ok(applier)
}

impl Applier<'_> {
    /// Opens a break for each key of which one answer said two things: neither is taken.
    async fn contradictions(&mut self, keys: &[String]) -> Result<(), StoreError> {
        for key in keys {
            self.effects.counts.entries += 1;
            let reference = EndToEndRef::parse(key);
            let mut about = None;
            if let Some(reference) = reference
                && self.know_run(reference.order.run()).await?
            {
                let run = reference.order.run();
                let found = self.facts(run, &[reference.order.get()]).await?;
                about = found.iter().find(|f| self.is_named_by(f, &reference)).map(|f| (run, Some(f.order)));
            }
            let (kind, detail) = match about {
                Some(_) => (BreakKind::StatusConflict, "one answer says two things of it; neither is taken"),
                None => {
                    (BreakKind::UnknownReference, "the reference names no order of ours at this provider")
                }
            };
            self.open_break(kind, 0, about, None, detail.into());
        }
        Ok(())
    }

    /// A first answer that could not be taken (it says two things, another amount, a second delivery) leaves its order where
    /// it was: handed over, with nothing known. Such orders are unknown, and asked about.
    async fn ask_about_open(&mut self) -> Result<(), StoreError> {
        let mut ids: Vec<i64> =
            self.effects.breaks.iter().filter_map(|b| b.order).map(OrderId::get).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Ok(());
        }
        let counts = self.effects.counts;
        self.step_all(&ids, OrderEvent::OutcomeUnknown, Step::Unknown).await?;
        self.effects.counts = counts;
        Ok(())
    }

    /// Takes orders of any runs one step on, by the engine's own hand; gives those that moved.
    async fn step_all(&mut self, ids: &[i64], event: OrderEvent, step: Step) -> Result<Vec<i64>, StoreError> {
        let mut by_run: std::collections::BTreeMap<RunId, Vec<i64>> = std::collections::BTreeMap::new();
        for id in ids {
            by_run.entry(OrderId::new(*id).run()).or_default().push(*id);
        }
        let mut moved = Vec::with_capacity(ids.len());
        for (run, mut ids) in by_run {
            if !self.know_run(run).await? {
                continue;
            }
            ids.sort_unstable();
            ids.dedup();
            self.effects.counts.entries += ids.len() as u64;
            for mut facts in self.facts(run, &ids).await? {
                let Some((_, at)) = self.batch_at(&facts) else {
                    self.effects.counts.noted += 1;
                    continue;
                };
                let batch = &mut self.met.runs.get_mut(&run).expect("just made known").batches[at];
                let state = current(batch, &facts);
                let Effect::Moves(to) = state.after(event) else {
                    self.effects.counts.already += 1;
                    continue;
                };
                let before = facts.steps.state();
                facts.steps = facts.steps.with(step);
                enter(&mut batch.figures, before, &facts);
                let flow = Flow { run, provider: facts.provider, from: state, to };
                self.effects.moves.add(flow, 1, facts.amount.get());
                self.effects.moved.push((facts.order, facts.provider, to));
                feedback::push_outcome(
                    &mut self.effects.outcomes,
                    facts.order,
                    step,
                    self.message.id,
                    &Why::default(),
                );
                self.effects.counts.applied += 1;
                moved.push(facts.order.get());
                self.tell(&facts, to, None);
            }
        }
        self.effects.counts.entries =
            self.effects.counts.applied + self.effects.counts.already + self.effects.counts.noted;
        let target = format!("outcome ({})", feedback::OUTCOME_COLUMNS);
        self.effects.outcomes.send_in_tx(&mut self.tx, &target, "").await?;
        Ok(moved)
    }

    /// Puts what became unknown, or is only accepted by a provider that tells nothing by itself, on the list of
    /// enquiries, and takes what moved on off it.
    pub(super) async fn keep_enquiries(&mut self, provider: &Provider) -> Result<(), StoreError> {
        let Some(terms) = &provider.stream else { return Ok(()) };
        let next_at = self.message.at + Duration::seconds(i64::from(terms.enquire_after_s));
        let silent = !terms.capabilities().reports;
        let (mut unknown, mut pending, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        for (order, _, to) in &self.effects.moved {
            match to {
                OrderState::Unknown => unknown.push(order.get()),
                OrderState::Accepted if silent => pending.push(order.get()),
                OrderState::Sent => {}
                _ => gone.push(order.get()),
            }
        }
        let id = self.provider.expect("set when the message was begun");
        enquiries::put_in_tx(&mut self.tx, id, &unknown, true, self.message.at, next_at).await?;
        enquiries::put_in_tx(&mut self.tx, id, &pending, false, self.message.at, next_at).await?;
        if !gone.is_empty() {
            enquiries::remove_in_tx(&mut self.tx, &gone).await?;
        }
        Ok(())
    }
}
