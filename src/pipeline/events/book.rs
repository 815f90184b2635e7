//! Puts accepted orders into the day's runs: numbers, rows, holds, batches and shards, kept totals, postings.

use std::collections::{BTreeMap, HashMap};

use serde_json::json;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::decide::{Accepted, Decided};
use super::gather::DecisionContext;
use crate::domain::batch::Lane;
use crate::domain::entitlement::encode_components;
use crate::domain::event::StandingApprovalId;
use crate::domain::ids::{BatchId, OrderId, RunId};
use crate::domain::money::Centimes;
use crate::domain::period::Period;
use crate::domain::run::RunEvent;
use crate::pipeline::Context;
use crate::pipeline::runs::approve::content_hash;
use crate::store::batches::{self, Batch};
use crate::store::books::funding::Reservation;
use crate::store::books::orders::NewOrders;
use crate::store::books::{self, OrderSum, RunAt};
use crate::store::copy::CopyBuffer;
use crate::store::orders::{self, NewOrder, holds};
use crate::store::registry::{changes, reference};
use crate::store::runs::day_runs::{self, Added, DayRun, NewDayRun};
use crate::store::{StoreError, Tx};

/// Who places holds on orders that come as events.
const PLACED_BY: &str = "sarf";

/// What has one run of its own: place of the programme, approval, period.
type RunKey = (usize, StandingApprovalId, Period);

/// Accepted orders with their numbers.
pub(super) struct Numbered<'d> {
    by_event: HashMap<usize, OrderId>,
    groups: Vec<Group<'d>>,
    /// Runs that were begun for them.
    pub begun: Vec<DayRun>,
}

/// Orders of one run, ascending, with their provider numbers; a provider's stand together, those that leave first.
struct Group<'d> {
    programme: i16,
    run: DayRun,
    orders: Vec<(OrderId, i16, &'d Accepted)>,
}

/// What was made.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Made {
    pub orders: u64,
    pub amount: Centimes,
    pub held: u64,
}

impl Numbered<'_> {
    /// The order of the event at a place.
    pub(super) fn of(&self, place: usize) -> Option<OrderId> {
        self.by_event.get(&place).copied()
    }
}

/// Gives every accepted order its number, in the run of its approval, day and period; one that is missing is begun.
pub(super) async fn number_in_tx<'d>(
    tx: &mut Tx,
    facts: &mut DecisionContext<'_>,
    decided: &'d [Decided],
    now: OffsetDateTime,
) -> Result<Numbered<'d>, StoreError> {
    let mut by_run: BTreeMap<RunKey, Vec<(usize, &Accepted)>> = BTreeMap::new();
    for (event, decision) in decided.iter().enumerate() {
        if let Decided::Order(accepted) = decision {
            let key = (accepted.place, accepted.approval, accepted.period);
            by_run.entry(key).or_default().push((event, accepted));
        }
    }
    let mut numbered = Numbered { by_event: HashMap::new(), groups: Vec::new(), begun: Vec::new() };
    if by_run.is_empty() {
        return Ok(numbered);
    }
    let codes: Vec<String> = facts.config.router.providers().iter().map(|p| p.code.to_string()).collect();
    let numbers = reference::provider_ids_in_tx(tx, &codes).await?;
    let provider = |accepted: &Accepted| accepted.provider.map_or(0, |index| numbers[&codes[index]]);
    for ((place, approval, period), mut list) in by_run {
        let known = facts.programmes[place].runs.iter();
        let run = match known.copied().find(|r| r.approval == approval && r.period == period) {
            Some(run) => run,
            None => {
                let run = begin_in_tx(tx, facts, place, approval, period, now).await?;
                numbered.begun.push(run);
                run
            }
        };
        list.sort_by_key(|(event, accepted)| (provider(accepted), !accepted.reasons.is_empty(), *event));
        let mut orders = Vec::with_capacity(list.len());
        for (sequence, (event, accepted)) in (run.orders + 1..).zip(list) {
            let sequence = u32::try_from(sequence).map_err(|_| StoreError::Corrupt("number of orders"))?;
            let order = OrderId::compose(run.id, sequence);
            numbered.by_event.insert(event, order);
            orders.push((order, provider(accepted), accepted));
        }
        numbered.groups.push(Group { programme: facts.programme_number(place), run, orders });
    }
    Ok(numbered)
}

async fn begin_in_tx(
    tx: &mut PgConnection,
    facts: &DecisionContext<'_>,
    place: usize,
    approval: StandingApprovalId,
    period: Period,
    now: OffsetDateTime,
) -> Result<DayRun, StoreError> {
    let known = &facts.programmes[place];
    let found = known.approvals.iter().map(|(a, _)| a).find(|a| a.id == approval);
    let approval = found.expect("orders are accepted under approvals that were read");
    let (list, _) = known.list.expect("orders are accepted for households of a list");
    let content = json!({
        "standing approval": approval.id, "purpose": approval.purpose, "most for an order": approval.order_max,
        "most for a day": approval.day_max, "valid from": approval.valid_from.to_string(),
        "valid to": approval.valid_to.to_string(),
    });
    let new = NewDayRun {
        approval,
        day: facts.today,
        period,
        snapshot: list,
        rules_sha256: &known.configured.sha256,
        content: &content,
        content_sha256: &content_hash(&content),
        at: now,
    };
    day_runs::begin_in_tx(tx, &new).await
}

/// Writes numbered orders and everything that follows from them.
pub(super) async fn book_in_tx(
    context: &Context,
    tx: &mut Tx,
    numbered: &Numbered<'_>,
    now: OffsetDateTime,
) -> Result<Made, StoreError> {
    let mut made = Made::default();
    for group in &numbered.groups {
        let booked = group.book_in_tx(context, tx, now).await?;
        made.orders += booked.orders;
        made.amount += booked.amount;
        made.held += booked.held;
    }
    Ok(made)
}

/// What one provider's orders come to.
struct Sums {
    leaving: (i64, Centimes),
    held: (i64, Centimes),
}

impl Group<'_> {
    async fn book_in_tx(
        &self,
        context: &Context,
        tx: &mut Tx,
        now: OffsetDateTime,
    ) -> Result<Made, StoreError> {
        let run = self.run.id;
        self.write_orders_in_tx(tx).await?;
        let known = batches::of_run_in_tx(tx, run).await?;
        let (mut missed, mut unrouted) = (CopyBuffer::default(), CopyBuffer::default());
        let mut new = Vec::new();
        let mut made = Made::default();
        let mut leaving = 0;
        for piece in self.orders.chunk_by(|a, b| a.1 == b.1) {
            let provider = piece[0].1;
            let sums = sums_of(piece);
            let batch = add_to_batch_in_tx(context, tx, run, &known, piece, &sums, now).await?;
            for (order, _, accepted) in piece {
                for reason in &accepted.reasons {
                    match batch {
                        Some(batch) => {
                            changes::push_missed(&mut missed, *order, *reason, PLACED_BY, now, batch)
                        }
                        None => holds::push(&mut unrouted, *order, *reason, PLACED_BY, now),
                    }
                }
            }
            for (held, (orders, amount)) in [(false, sums.leaving), (true, sums.held)] {
                let of = RunAt { programme: self.programme, run, provider };
                new.push(NewOrders { sum: OrderSum { of, orders, amount }, held });
                made.orders += orders as u64;
                made.amount += amount;
            }
            leaving += sums.leaving.0;
            made.held += sums.held.0 as u64;
        }
        missed.send_in_tx(tx, &format!("order_hold ({})", changes::MISSED_COLUMNS), "").await?;
        unrouted.send_in_tx(tx, &format!("order_hold ({})", holds::COLUMNS), "").await?;
        let reservation = Reservation { programme: self.programme, year: self.run.period.year(), run };
        books::orders::made_by_events_in_tx(tx, &new, reservation, now).await?;
        let state = self.run.state.after(RunEvent::Release).filter(|_| leaving > 0);
        let state = state.unwrap_or(self.run.state);
        day_runs::grow_in_tx(tx, run, self.orders.len() as i64, made.amount, state).await?;
        Ok(made)
    }

    async fn write_orders_in_tx(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let mut components = Vec::new();
        // The amount is the event's own: no rule made it.
        encode_components(&[], &mut components);
        let mut rows = CopyBuffer::default();
        for (order, provider, accepted) in &self.orders {
            let new = NewOrder {
                id: *order,
                household_row: accepted.row,
                place: accepted.region,
                period: accepted.period,
                purpose: accepted.purpose,
                attempt: 1,
                provider: *provider,
                wave: i16::from(*provider != 0),
                entitled: accepted.amount,
                offset: Centimes::ZERO,
                household: accepted.household,
                components: &components,
                payee: &accepted.payee,
            };
            orders::push(&mut rows, &new);
        }
        let target = format!("{} ({})", orders::leaf(self.run.id), orders::COLUMNS);
        rows.send_in_tx(tx, &target, "").await?;
        Ok(())
    }
}

fn sums_of(piece: &[(OrderId, i16, &Accepted)]) -> Sums {
    let mut sums = Sums { leaving: (0, Centimes::ZERO), held: (0, Centimes::ZERO) };
    for (_, _, accepted) in piece {
        let sum = if accepted.reasons.is_empty() { &mut sums.leaving } else { &mut sums.held };
        sum.0 += 1;
        sum.1 += accepted.amount;
    }
    sums
}

/// Puts one provider's orders into its batch; there is none where no provider was found.
async fn add_to_batch_in_tx(
    context: &Context,
    tx: &mut Tx,
    run: RunId,
    known: &[Batch],
    piece: &[(OrderId, i16, &Accepted)],
    sums: &Sums,
    now: OffsetDateTime,
) -> Result<Option<BatchId>, StoreError> {
    let Some(index) = piece[0].2.provider else { return Ok(None) };
    let lane: Lane = context.config.lane(&context.config.router.providers()[index]);
    let leaving = usize::try_from(sums.leaving.0).expect("orders are counted upwards");
    let added = Added {
        provider: piece[0].1,
        lane,
        first: piece[0].0,
        last: piece[piece.len() - 1].0,
        leaves_to: leaving.checked_sub(1).map(|at| piece[at].0),
        orders: sums.leaving.0,
        amount: sums.leaving.1,
    };
    Ok(Some(day_runs::add_to_batch_in_tx(tx, run, known, &added, now).await?))
}
