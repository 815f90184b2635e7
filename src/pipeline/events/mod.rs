//! Events: off-cycle orders and changes to households, decided as they come.
//!
//! | phase | what happens |
//! |---|---|
//! | read | each line becomes an event, or is refused with field and reason |
//! | gather | locks; in sets: known ids, standing approvals and their ceilings, the list, changes since, claims, envelopes |
//! | decide | line by line in memory: refused, taken or held, as the month's run would |
//! | book | events, changes, orders by COPY; batches and shards grow, totals and postings move |
//! | hold | orders that are there already and have not left are held, or let go |
//!
//! Guarantee: one transaction for each call: every line has its answer and its effect, or none has. Safe to repeat: an id is
//! taken once, and what was answered to it once is answered again. One bad line never sinks the others. An order is made
//! only under a standing approval that three people gave, within its ceilings and the envelope, and at most once for each
//! claim. Limit: while the month's run of a programme is being made, orders for its very claims wait; a wait longer than
//! [`WAIT_S_MAX`] is an error, and nothing was done.

mod book;
mod decide;
mod gather;
mod parse;

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use serde::Serialize;
use time::OffsetDateTime;

use super::Context;
use crate::domain::event::{Event, EventId, What};
use crate::domain::ids::{HouseholdId, OrderId};
use crate::domain::listed::listed;
use crate::domain::order::{OrderKey, OrderNames, OrderState};
use crate::pipeline::orders::change_effects::{self, Effect, Touched};
use crate::pipeline::orders::changed;
use crate::store::audit::chain::{self, Decision};
use crate::store::batches::outbox::{self, NewOutbox};
use crate::store::copy::CopyBuffer;
use crate::store::registry::change_sharing::{self, Held, Pace};
use crate::store::registry::changes;
use crate::store::registry::events::{self, EventOutcome, KnownEvent, NewEvent, NewEvents};
use crate::store::runs::reissues;
use crate::store::{StoreError, Tx, locks};
use decide::{Accepted, Decided};
use gather::DecisionContext;
pub use parse::LINE_BYTES_MAX;
use parse::Line;

/// Seconds after which waiting for others is given up.
pub const WAIT_S_MAX: u32 = 15;
/// How often a call begins again that met another one with the same events.
const TRIES_MAX: u32 = 4;

listed! {
    /// What became of a line.
    Outcome {
        /// Done.
        Taken = "taken",
        /// The very event was taken before: nothing was done now.
        Already = "already",
        /// The order was made, and is held.
        Held = "held",
        /// Nothing was done.
        Refused = "refused",
    }
}

/// The answer to one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LineOutcome {
    /// The event's id, where it could be read.
    pub id: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, as a code.
    pub code: &'static str,
    /// Why, for people; nothing personal.
    pub detail: String,
    /// The order's end-to-end id, where there is an order.
    pub order: Option<String>,
}

/// Why a line is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refused {
    code: &'static str,
    detail: String,
}

impl Refused {
    fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

/// Codes of refusals that are kept with their event, and answered again when it comes again.
const KEPT: [&str; 17] = [
    "unknown_programme",
    "unknown_provider",
    "no_list",
    "unknown_household",
    "wrong_period",
    "no_rules",
    "not_paying",
    "not_eligible",
    "other_programme",
    "claim_paid",
    "no_standing_approval",
    "over_order_ceiling",
    "over_day_ceiling",
    "day_closed",
    "no_envelope",
    "envelope_exhausted",
    "refused",
];

/// Decides events, at most `events.batch_max` in one transaction: an answer for each line, in order. `source` says where
/// they come from; it is kept with them.
///
/// # Errors
/// When the database is gone, or others were waited for too long: of the transaction under way nothing was done, and all
/// lines may be sent again.
pub async fn accept(
    context: &Context,
    source: &str,
    lines: Vec<Bytes>,
) -> Result<Vec<LineOutcome>, StoreError> {
    let lines_of = |bytes: &Bytes| memchr::memmem::find(bytes, b"account").is_some();
    if lines.iter().any(lines_of) {
        prepare_lists(context).await?;
    }
    let at_once = usize::try_from(context.config.settings.events.batch_max).unwrap_or(usize::MAX).max(1);
    let now = context.clock.now();
    let mut outcomes = Vec::with_capacity(lines.len());
    for chunk in lines.chunks(at_once) {
        let lines: Vec<Line> = chunk.iter().map(|bytes| parse::line(bytes, now)).collect();
        let mut tries = 1;
        outcomes.extend(loop {
            match accept_all(context, source, &lines, now).await {
                Err(error) if tries < TRIES_MAX && met_another(&error) => tries += 1,
                other => break other?,
            }
        });
    }
    Ok(outcomes)
}

/// Makes the lists ready to be asked who has an account or a phone.
async fn prepare_lists(context: &Context) -> Result<(), StoreError> {
    for programme in context.config.programmes.values() {
        let mut tx = context.store.begin().await?;
        let list = reissues::latest_snapshot_in_tx(&mut tx, programme.rules.code().as_str()).await?;
        tx.rollback().await?;
        if let Some(list) = list {
            change_sharing::prepare(&context.store, list).await?;
        }
    }
    Ok(())
}

/// Another call took one of the events, or crossed this one's way: what it did is seen on the next try.
fn met_another(error: &StoreError) -> bool {
    let deadlock = matches!(error, StoreError::Database(sqlx::Error::Database(e)) if e.code().as_deref() == Some("40P01"));
    deadlock || matches!(error.constraint(), Some("event_pkey" | "run_one_a_day"))
}

async fn accept_all(
    context: &Context,
    source: &str,
    lines: &[Line],
    now: OffsetDateTime,
) -> Result<Vec<LineOutcome>, StoreError> {
    let mut outcomes: Vec<Option<LineOutcome>> = lines.iter().map(of_unreadable).collect();
    let good = || lines.iter().enumerate().filter_map(|(at, line)| Some((at, line.event.as_ref().ok()?)));
    if good().next().is_none() {
        return Ok(outcomes.into_iter().flatten().collect());
    }
    let mut tx = context.store.begin().await?;
    locks::wait_at_most_in_tx(&mut tx, WAIT_S_MAX).await?;
    let all: Vec<&Event> = good().map(|(_, event)| event).collect();
    gather::lock_claims_in_tx(context, &mut tx, &all).await?;
    let ids: Vec<&str> = all.iter().map(|event| event.id.as_str()).collect();
    let known = events::known_in_tx(&mut tx, &ids).await?;
    let mut fresh: Vec<(usize, &Event)> = Vec::with_capacity(all.len());
    let mut repeats: Vec<(usize, usize)> = Vec::new();
    let mut first_of: HashMap<&EventId, usize> = HashMap::with_capacity(all.len());
    for (at, event) in good() {
        if let Some(known) = known.get(event.id.as_str()) {
            outcomes[at] = Some(of_known(context, event, known));
        } else if let Some(first) = first_of.get(&event.id) {
            repeats.push((at, *first));
        } else {
            first_of.insert(&event.id, at);
            fresh.push((at, event));
        }
    }
    take(context, tx, source, &fresh, now, &mut outcomes).await?;
    for (at, first) in repeats {
        outcomes[at] = Some(of_repeat(lines, &outcomes, at, first));
    }
    Ok(outcomes.into_iter().map(|o| o.expect("each line was answered")).collect())
}

/// Decides events that were not known, and commits.
async fn take(
    context: &Context,
    mut tx: Tx,
    source: &str,
    fresh: &[(usize, &Event)],
    now: OffsetDateTime,
    outcomes: &mut [Option<LineOutcome>],
) -> Result<(), StoreError> {
    if fresh.is_empty() {
        return Ok(tx.rollback().await?);
    }
    let list: Vec<&Event> = fresh.iter().map(|(_, event)| *event).collect();
    let mut facts = DecisionContext::gather(context, &mut tx, &list, now).await?;
    let decided: Vec<Decided> = list.iter().map(|event| facts.decide(event)).collect();
    let orders = book::number_in_tx(&mut tx, &mut facts, &decided, now).await?;
    write_events_in_tx(&mut tx, source, &list, &decided, &orders, now).await?;
    let made = book::book_in_tx(context, &mut tx, &orders, now).await?;
    let mut changed = write_changes_in_tx(&mut tx, &facts, &list, &decided).await?;
    let unusual = look_around_in_tx(context, &mut tx, source, &facts, &mut changed, now).await?;
    let mut effects = HashMap::new();
    for (programme, touched) in &changed {
        let runs = changes::open_runs_in_tx(&mut tx, *programme).await?;
        effects
            .insert(*programme, change_effects::hold_in_tx(&mut tx, *programme, touched, &runs, now).await?);
    }
    let mut told = Vec::new();
    for ((at, event), (place, decision)) in fresh.iter().zip(decided.iter().enumerate()) {
        let order = orders.of(place).map(|order| (order, end_to_end(context, event, order)));
        if let (Decided::Order(accepted), Some((order, key))) = (decision, &order)
            && context.config.settings.events.out.is_some()
        {
            told.push(tell(accepted, *order, key));
        }
        let effect = |place: &usize| {
            let of_programme = effects.get(&facts.programme_number(*place));
            of_programme.and_then(|e| e.get(&event.household)).copied().unwrap_or_default()
        };
        outcomes[*at] = Some(answer_to(event, decision, order.map(|(_, key)| key), effect));
    }
    outbox::append_in_tx(&mut tx, &told, now).await?;
    let refused = decided.iter().filter(|d| matches!(d, Decided::Refused(_))).count();
    let changes = list.len() - refused - made.orders as usize;
    let detail = format!(
        "{} events: {} orders over {}, {} of them held, {changes} changes, {refused} refused",
        list.len(),
        made.orders,
        made.amount,
        made.held
    );
    // Last of all: the chain has one writer at a time, until it commits.
    record_in_tx(&mut tx, "events.take", &format!("events by {source}"), &detail, now).await?;
    for run in &orders.begun {
        let detail = format!("under standing approval {}, for {}", run.approval, run.period);
        record_in_tx(&mut tx, "run.begin", &format!("run {}", run.id), &detail, now).await?;
    }
    tx.commit().await?;
    for (by, changes) in unusual {
        context.telemetry.metrics.add_unusual_changes(by, changes);
        tracing::warn!(by, changes, source, "changes of account that are held");
    }
    for outcome in outcomes.iter().flatten() {
        context.telemetry.metrics.add_events(outcome.outcome.as_str(), 1);
    }
    tracing::info!(events = list.len(), orders = made.orders, refused, "events decided");
    Ok(())
}

/// Adds the households that must be held for what the call's changes of account bring: whoever has the same account or phone,
/// and whoever's changes are more than usual. Gives how many changes are unusual, by what.
async fn look_around_in_tx(
    context: &Context,
    tx: &mut Tx,
    source: &str,
    facts: &DecisionContext<'_>,
    changed: &mut BTreeMap<i16, BTreeMap<HouseholdId, Touched>>,
    now: OffsetDateTime,
) -> Result<Vec<(&'static str, u64)>, StoreError> {
    let settings = &context.config.settings;
    let mut counts = BTreeMap::<&'static str, u64>::new();
    for known in &facts.programmes {
        let Some(touched) = changed.get_mut(&known.number) else { continue };
        let Some((list, _)) = known.list.filter(|_| touched.values().any(|t| t.account)) else { continue };
        let pace = Pace {
            programme_id: known.number,
            source,
            since: now - time::Duration::HOUR,
            of_source: i64::from(settings.events.account_changes_sender_hour_max),
            of_commune: i64::from(settings.events.account_changes_commune_hour_max),
        };
        for (household, by) in change_sharing::mark_in_tx(tx, &pace).await? {
            touched.entry(household).or_default().many = true;
            *counts.entry(if by == "sender" { "sender" } else { "commune" }).or_default() += 1;
        }
        let things: Vec<Held> = known.new_things.iter().copied().collect();
        let flagged =
            changed::flagged_of_in_tx(&settings.holds, tx, known.number, list, (&things, &[])).await?;
        *counts.entry("account").or_default() += flagged.len() as u64;
        changed::touch(touched, &flagged);
    }
    Ok(counts.into_iter().filter(|(_, count)| *count > 0).collect())
}

async fn record_in_tx(
    tx: &mut Tx,
    action: &str,
    subject: &str,
    detail: &str,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    chain::append_in_tx(tx, Decision { actor: "sarf", action, subject, detail, at }).await
}

/// What others are told of a new order.
fn tell(accepted: &Accepted, order: OrderId, key: &str) -> NewOutbox {
    let state = if accepted.reasons.is_empty() { OrderState::Released } else { OrderState::Held };
    let body = serde_json::json!({
        "order": key, "state": state, "reason": null, "amount": accepted.amount, "run": order.run(),
        "programme": accepted.programme, "period": accepted.period,
    });
    NewOutbox { subject: format!("order.{key}"), body }
}

fn answer_to(
    event: &Event,
    decision: &Decided,
    order: Option<String>,
    effect: impl FnOnce(&usize) -> Effect,
) -> LineOutcome {
    match decision {
        Decided::Refused(refused) => answer(event, Outcome::Refused, refused.code, &refused.detail, None),
        Decided::Order(accepted) if accepted.reasons.is_empty() => {
            answer(event, Outcome::Taken, "taken", "", order)
        }
        Decided::Order(accepted) => {
            let reasons: Vec<&str> = accepted.reasons.iter().map(|r| r.as_str()).collect();
            answer(event, Outcome::Held, "held", &reasons.join(", "), order)
        }
        Decided::Change(programme) => {
            let (code, detail) = effect(programme).tell();
            answer(event, Outcome::Taken, code, &detail, None)
        }
    }
}

async fn write_events_in_tx(
    tx: &mut Tx,
    source: &str,
    list: &[&Event],
    decided: &[Decided],
    orders: &book::Numbered<'_>,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let mut rows = NewEvents::default();
    let mut places: Vec<usize> = (0..list.len()).collect();
    // Two calls with the same events meet at the first of them, and never each wait for the other.
    places.sort_unstable_by_key(|place| &list[*place].id);
    for place in places {
        let (outcome, detail) = match &decided[place] {
            Decided::Refused(refused) => {
                let detail = if refused.detail.is_empty() {
                    refused.code.to_owned()
                } else {
                    format!("{}: {}", refused.code, refused.detail)
                };
                (EventOutcome::Refused, detail)
            }
            Decided::Order(accepted) if !accepted.reasons.is_empty() => (EventOutcome::Held, String::new()),
            _ => (EventOutcome::Applied, String::new()),
        };
        let event = list[place];
        let new = NewEvent {
            id: event.id.as_str(),
            kind: event.kind(),
            outcome,
            detail: &detail,
            content_sha256: &event.digest(),
            order: orders.of(place),
        };
        rows.push(&new, source, now);
    }
    rows.send_in_tx(tx).await
}

/// Writes changes; gives which households they touch, by programme.
async fn write_changes_in_tx(
    tx: &mut Tx,
    facts: &DecisionContext<'_>,
    list: &[&Event],
    decided: &[Decided],
) -> Result<BTreeMap<i16, BTreeMap<HouseholdId, Touched>>, StoreError> {
    let mut rows = CopyBuffer::default();
    let mut touched: BTreeMap<i16, BTreeMap<HouseholdId, Touched>> = BTreeMap::new();
    for (event, decision) in list.iter().zip(decided) {
        let (Decided::Change(programme), What::Change(change)) = (decision, &event.what) else { continue };
        let programme = facts.programme_number(*programme);
        let commune = facts.commune_of(programme, event.household);
        let id = event.id.as_str();
        changes::push(&mut rows, programme, event.household, change, id, event.at, commune.as_deref());
        let entry = touched.entry(programme).or_default().entry(event.household).or_default();
        entry.note(change);
    }
    rows.send_in_tx(tx, &format!("household_change ({})", changes::COLUMNS), "").await?;
    Ok(touched)
}

fn answer(
    event: &Event,
    outcome: Outcome,
    code: &'static str,
    detail: &str,
    order: Option<String>,
) -> LineOutcome {
    let id = Some(event.id.as_str().to_owned());
    LineOutcome { id, outcome, code, detail: detail.to_owned(), order }
}

fn of_unreadable(line: &Line) -> Option<LineOutcome> {
    let refused = line.event.as_ref().err()?;
    Some(LineOutcome {
        id: line.id.as_ref().map(|id| id.as_str().to_owned()),
        outcome: Outcome::Refused,
        code: refused.code,
        detail: refused.detail.clone(),
        order: None,
    })
}

fn reused(event: &Event) -> LineOutcome {
    answer(event, Outcome::Refused, "id_reused", "another event was sent under this id", None)
}

/// What was answered before is answered again.
fn of_known(context: &Context, event: &Event, known: &KnownEvent) -> LineOutcome {
    if known.content_sha256 != event.digest() {
        return reused(event);
    }
    if known.outcome == EventOutcome::Refused {
        let (code, detail) = known.detail.split_once(": ").unwrap_or((&known.detail, ""));
        let code = KEPT.into_iter().find(|k| *k == code).unwrap_or("refused");
        return answer(event, Outcome::Refused, code, detail, None);
    }
    let order = known.order.map(|order| end_to_end(context, event, order));
    answer(event, Outcome::Already, "already", "", order)
}

/// The same id a second time in one call.
fn of_repeat(lines: &[Line], outcomes: &[Option<LineOutcome>], at: usize, first: usize) -> LineOutcome {
    let of = |at: usize| lines[at].event.as_ref().expect("only events are repeated");
    let answered = outcomes[first].as_ref().expect("the first was answered");
    if of(at).digest() != of(first).digest() {
        reused(of(at))
    } else if answered.outcome == Outcome::Refused {
        answered.clone()
    } else {
        answer(of(at), Outcome::Already, "already", "", answered.order.clone())
    }
}

/// The end-to-end id of the order that an event asked for.
fn end_to_end(context: &Context, event: &Event, order: OrderId) -> String {
    let mut text = String::with_capacity(35);
    if let What::Order(wanted) = &event.what {
        // The programme's own spelling, which the claim is made with.
        let rules = context.config.programme(event.programme.as_str()).map(|p| &p.rules);
        let programme = rules.map_or(&event.programme, |rules| rules.code());
        let (period, household, purpose) = (wanted.period, event.household, &wanted.purpose);
        let names = OrderNames::of(&OrderKey { programme, period, household, purpose, attempt: 1 });
        names.write_end_to_end(programme, period, order, &mut text);
    }
    text
}
