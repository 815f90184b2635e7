//! Recall: asking a payment back that has left.
//!
//! | step | file lane | stream lane | commits |
//! |---|---|---|---|
//! | [`ask`] | who, why, the ids and the deadline are fixed | the same | recall `requested`, audit |
//! | leave | [`deliver`]: a camt.055 file in the outbox | [`cancel`]: a call to the provider | recall `sent`, or the answer |
//! | answer | camt.029, by feedback | with the call | recall `accepted`, `refused`, `pending` |
//!
//! Guarantee: a promise moves no money. After `accepted` an order in a bank file stays where it is until its bank rejects
//! it (pain.002 `RJCT`, `CANC`: nothing was debited) or sends the money back (pacs.004, camt.054, camt.053). An order in the
//! stream lane expires by its provider's word that it was cancelled, recorded like any other report. Killed anywhere, the
//! command is given again and goes on: the same file to the same bytes, the same key to the provider.
//! Limit: one order at a time; providers that fetch work lists cannot be asked.

mod error;
mod name;
pub mod undue;

pub use error::RecallError;

use time::OffsetDateTime;

use crate::domain::batch::Lane;
use crate::domain::calendar::CalendarError;
use crate::domain::ids::{Code, HouseholdId, OrderId, RecallId};
use crate::domain::money::Centimes;
use crate::domain::not_found::Entity;
use crate::domain::order::{OrderKey, OrderNames, OrderState};
use crate::domain::provider::Provider;
use crate::domain::recall::{CancellationReason, RecallEffect, RecallEvent, RecallState};
use crate::iso20022::camt055::{Cancellation, Header};
use crate::iso20022::pain001::{self, Agent};
use crate::pipeline::dispatch::to_server;
use crate::pipeline::exceptions::doubts;
use crate::pipeline::messages::answers::{Judged, judge};
use crate::pipeline::messages::record::{Source, record_judged};
use crate::pipeline::{Applied, Context, Refusal, locked_run, person};
use crate::rails::bank_file::{DeliveryError, write_recall};
use crate::rails::stream::wire::Status;
use crate::rails::stream::{Answer, StreamRail};
use crate::store::access::operators::Role;
use crate::store::audit::chain::{self, Decision};
use crate::store::batches::deliveries::Subject;
use crate::store::messages::breaks;
use crate::store::messages::recalls::{self, LeftIn, NewRecall, Recall};
use crate::store::orders::{self, OrderDetail};
use crate::store::{StoreError, Tx};
use crate::telemetry::Direction;

/// Most recalls in a list.
const LIST_MAX: i64 = 1_000;

/// Decides to ask an order back. The order's open recall, where there is one, is given instead: it may still have to leave.
///
/// # Errors
/// See [`RecallError`].
pub async fn ask(
    context: &Context,
    order: OrderId,
    reason: CancellationReason,
    why: &str,
    by: &str,
) -> Result<Applied<Recall>, RecallError> {
    let mut tx = context.store.begin().await?;
    person(&mut tx, by, Role::Accountant).await?;
    // Its run is locked: two people do not ask at once.
    let unknown = || Refusal::not_found(Entity::Order, order.get());
    locked_run(&mut tx, order.run()).await.map_err(|e| match e {
        Refusal::NotFound(_) => unknown(),
        other => other,
    })?;
    let (detail, state) = standing(context, order).await?.ok_or_else(unknown)?;
    let now = context.clock.now();
    if let Some(last) = recalls::of_order_in_tx(&mut tx, order, "").await?
        && last.state.is_open(state)
    {
        if last.state.seen(last.deadline < now) != RecallState::Lapsed {
            if doubt_in_tx(&mut tx, order, &detail, last.provider_id, reason, now).await? {
                let (subject, detail) = (format!("order {}", order.get()), format!("{reason}: {why}"));
                let action = "order.doubt";
                let decision = Decision { actor: by, action, subject: &subject, detail: &detail, at: now };
                chain::append_in_tx(&mut tx, decision).await?;
                tx.commit().await?;
            }
            return Ok(Applied::Already(last));
        }
        recalls::set_state_in_tx(&mut tx, last.id, RecallState::Lapsed).await?;
    }
    may_be_recalled(order, state)?;
    let left = recalls::left_in_tx(&mut tx, order).await?.ok_or(StoreError::Corrupt("batch of an order"))?;
    let provider = configured(context, &detail.provider)?;
    if left.lane == Lane::Stream && provider.stream.as_ref().is_none_or(|t| !t.capabilities().is_called) {
        return Err(RecallError::NoConnection(detail.provider));
    }
    let at = now.replace_nanosecond(0).expect("zero nanoseconds are valid");
    let new = NewRecall {
        order,
        provider: left.provider,
        batch: left.batch,
        lane: left.lane,
        reason,
        why,
        by,
        at,
        deadline: deadline(context, at)?,
    };
    let recall = write(&mut tx, &new, &detail, provider.file.ids_max).await?;
    doubt_in_tx(&mut tx, order, &detail, left.provider, reason, at).await?;
    tx.commit().await?;
    Ok(Applied::Now(recall))
}

/// Puts the payee in doubt where fraud is the reason, also of a payment that was asked back before for another: whether it was not
/// in doubt before.
async fn doubt_in_tx(
    tx: &mut Tx,
    order: OrderId,
    detail: &OrderDetail,
    provider: i16,
    reason: CancellationReason,
    at: OffsetDateTime,
) -> Result<bool, StoreError> {
    if reason != CancellationReason::Frad {
        return Ok(false);
    }
    let found = doubts::new(order, provider, detail.amount, format!("recalled with {reason}"));
    Ok(breaks::open_in_tx(tx, &[found], at).await? > 0)
}

/// What has left and has not ended may be asked back; what is settled too: its bank may return it.
fn may_be_recalled(order: OrderId, state: OrderState) -> Result<(), RecallError> {
    use OrderState::{Collected, Expired, Rejected, Returned};
    let order = order.get();
    match state {
        Collected | Rejected | Expired | Returned => Err(RecallError::Ended { order, state }),
        _ if !state.has_left() => Err(RecallError::NotLeft { order, state }),
        _ => Ok(()),
    }
}

/// Writes a recall under its names, and the decision.
async fn write(
    tx: &mut Tx,
    new: &NewRecall<'_>,
    detail: &OrderDetail,
    ids_max: u8,
) -> Result<Recall, RecallError> {
    let id = recalls::insert_in_tx(tx, new).await?;
    let message_id = name::message_id(detail, id, ids_max);
    let file_name = format!("camt055_{message_id}_{}.xml", detail.provider);
    let file_name = (new.lane == Lane::File).then_some(file_name.as_str());
    recalls::name_in_tx(tx, id, &message_id, file_name).await?;
    let decision = Decision {
        actor: new.by,
        action: "order.recall",
        subject: &format!("order {}", new.order.get()),
        detail: &format!("recall {id} {}: {}", new.reason, new.why),
        at: new.at,
    };
    chain::append_in_tx(tx, decision).await?;
    Ok(recalls::find_in_tx(tx, id).await?.ok_or(StoreError::Corrupt("recall just written"))?)
}

/// The end of the last business day on which an answer is in time.
fn deadline(context: &Context, at: OffsetDateTime) -> Result<OffsetDateTime, CalendarError> {
    let settings = &context.config.settings;
    let offset = settings.calendar.utc_offset;
    let days = settings.recalls.answer_business_days;
    let last = context.config.calendar.add_business_days(at.to_offset(offset).date(), days)?;
    let end = last.next_day().unwrap_or(last);
    Ok(end.midnight().assume_offset(offset))
}

/// An order and its state.
async fn standing(
    context: &Context,
    order: OrderId,
) -> Result<Option<(OrderDetail, OrderState)>, StoreError> {
    let Some(detail) = orders::find(&context.store, None, Some(order)).await?.into_iter().next() else {
        return Ok(None);
    };
    let state = OrderState::parse(&detail.state).ok_or(StoreError::Corrupt("state of an order"))?;
    Ok(Some((detail, state)))
}

fn configured<'a>(context: &'a Context, code: &str) -> Result<&'a Provider, RecallError> {
    let known = context.config.router.by_code(code);
    known.map(|(_, provider)| provider).ok_or_else(|| Refusal::not_found(Entity::Provider, code).into())
}

/// The end-to-end id and the UETR of an order.
fn names(detail: &OrderDetail, order: OrderId) -> Result<(String, String), StoreError> {
    let programme = Code::parse(&detail.programme).map_err(|_| StoreError::Corrupt("programme"))?;
    let purpose = Code::parse(&detail.purpose).map_err(|_| StoreError::Corrupt("purpose"))?;
    let household = HouseholdId::parse(detail.household_id.as_bytes())
        .map_err(|_| StoreError::Corrupt("household id"))?;
    let (period, attempt) = (detail.period, detail.attempt as u16);
    let key = OrderKey { programme: &programme, period, household, purpose: &purpose, attempt };
    let names = OrderNames::of(&key);
    let (mut end_to_end, mut uetr) = (String::new(), String::new());
    names.write_end_to_end(&programme, period, order, &mut end_to_end);
    names.write_uetr(&mut uetr);
    Ok((end_to_end, uetr))
}

/// Writes the file of a recall in the file lane and delivers it; once it is there, nothing is done.
///
/// # Errors
/// See [`RecallError`]; call again to go on.
pub async fn deliver(context: &Context, recall: &Recall) -> Result<Recall, RecallError> {
    let Some(name) = recall.file_name.as_deref().filter(|_| recall.state == RecallState::Requested) else {
        return Ok(recall.clone());
    };
    let (detail, _) = standing(context, recall.order)
        .await?
        .ok_or_else(|| Refusal::not_found(Entity::Order, recall.order.get()))?;
    let mut tx = context.store.begin().await?;
    let left = recalls::left_in_tx(&mut tx, recall.order).await?;
    tx.rollback().await?;
    let left = left.ok_or(StoreError::Corrupt("batch of an order"))?;
    let (end_to_end, uetr) = names(&detail, recall.order)?;
    let content = Content { recall, detail: &detail, left: &left, end_to_end: &end_to_end, uetr: &uetr };
    let read_back = context.config.settings.dispatch.read_back;
    let delivered = tokio::task::block_in_place(|| content.write(context, name)?.deliver(read_back))?;
    let now = context.clock.now();
    let mut tx = context.store.begin().await?;
    let current = recalls::find_in_tx(&mut tx, recall.id).await?.ok_or(StoreError::Corrupt("recall"))?;
    // An answer may have overtaken this.
    let state = match current.state.after(RecallEvent::Send) {
        RecallEffect::Moves(to) => to,
        RecallEffect::Already | RecallEffect::Conflict => current.state,
    };
    recalls::sent_in_tx(&mut tx, recall.id, state, &delivered.sha256).await?;
    let file = (recall.provider.as_str(), name);
    to_server::give_in_tx(context, &mut tx, file, Subject::Recall(recall.id), &delivered).await?;
    let decision = Decision {
        actor: "sarf",
        action: "recall.send",
        subject: &format!("recall {}", recall.id),
        detail: &format!("{name} sha256 {}", crate::domain::hex(&delivered.sha256)),
        at: now,
    };
    chain::append_in_tx(&mut tx, decision).await?;
    tx.commit().await?;
    context.telemetry.metrics.add_file(Direction::Out, "camt.055", &recall.provider, delivered.bytes);
    tracing::info!(recall = recall.id.get(), provider = recall.provider, "recall delivered");
    Ok(Recall { state, ..current })
}

/// What a camt.055 file is written from: all of it is fixed once the recall is there.
struct Content<'a> {
    recall: &'a Recall,
    detail: &'a OrderDetail,
    left: &'a LeftIn,
    end_to_end: &'a str,
    uetr: &'a str,
}

impl Content<'_> {
    fn write(
        &self,
        context: &Context,
        name: &str,
    ) -> Result<crate::rails::bank_file::WrittenFile, DeliveryError> {
        let debtor = &context.config.settings.debtor;
        // A provider that is gone from the configuration is named by its code: the bytes must not depend on more.
        let provider = context.config.router.by_code(&self.recall.provider).map(|(_, p)| p);
        let assignee = provider.map_or(Agent::Member(&self.recall.provider), |p| {
            p.bic.as_deref().map_or_else(|| Agent::Member(p.member_id()), Agent::Bic)
        });
        let amount: Centimes = self.detail.amount;
        let header = Header {
            id: &self.recall.message_id,
            created: self.recall.asked_at,
            assigner_name: &debtor.name,
            assigner_id: if provider.is_none_or(|p| p.file.initiator_id) { &debtor.id } else { "" },
            assignee,
            orders: 1,
            control_sum: amount,
            original_msg_id: self.left.message_id.as_deref().unwrap_or(""),
            original_msg_name: pain001::MESSAGE,
            original_created: self.left.created_at,
        };
        let cancellation = Cancellation {
            id: &self.recall.message_id,
            instr_id: if provider.is_none_or(|p| p.file.instruction_ids) { self.end_to_end } else { "" },
            end_to_end_id: self.end_to_end,
            uetr: if provider.is_none_or(|p| p.file.uetr) { self.uetr } else { "" },
            amount,
            execution_date: self.left.value_date.unwrap_or(self.recall.asked_at.date()),
            reason: self.recall.reason.as_str(),
        };
        write_recall(&context.home.join("outbox"), &self.recall.provider, name, &header, &cancellation)
    }
}

/// Asks a provider of the stream lane to cancel, and records what it says of the order and of the recall; nothing is asked
/// of a recall that is decided.
///
/// # Errors
/// See [`RecallError`]; call again to go on.
pub async fn cancel(
    context: &Context,
    recall: &Recall,
    rail: &dyn StreamRail,
) -> Result<Recall, RecallError> {
    if !recall.state.is_undecided() {
        return Ok(recall.clone());
    }
    let (detail, _) = standing(context, recall.order)
        .await?
        .ok_or_else(|| Refusal::not_found(Entity::Order, recall.order.get()))?;
    let (key, _) = names(&detail, recall.order)?;
    let answers = match rail.cancel(std::slice::from_ref(&key)).await {
        Ok(answers) => answers,
        Err(source) => {
            if source.may_have_acted() {
                settle(context, recall.id, RecallEvent::Send, None).await?;
            }
            return Err(RecallError::Call { provider: recall.provider.clone(), source });
        }
    };
    let own = judge(Source::Enquiry, answers.into_iter().filter(|a| a.key == key).collect());
    let first = own.answers.first().cloned();
    let Judged { mut answers, orders_to_hold } = own;
    answers.retain(|a| a.status != Status::NotFound);
    record_judged(context, &recall.provider, Source::Enquiry, Judged { answers, orders_to_hold }).await?;
    let Some(Answer { status, reason, .. }) = first else {
        return settle(context, recall.id, RecallEvent::Send, None).await;
    };
    let (event, code) = told(status);
    settle(context, recall.id, event, Some(reason.as_deref().unwrap_or(code))).await
}

/// What a provider's answer to a cancellation says of the recall. One that does not know the order may get it yet: the
/// request may be on its way, so that nothing is decided.
const fn told(status: Status) -> (RecallEvent, &'static str) {
    match status {
        Status::Cancelled => (RecallEvent::Accept, "cancelled"),
        Status::Expired => (RecallEvent::Accept, "expired"),
        Status::Rejected => (RecallEvent::Accept, "rejected"),
        Status::Collected => (RecallEvent::Refuse, "collected"),
        Status::Credited => (RecallEvent::Refuse, "credited"),
        Status::Accepted => (RecallEvent::Pend, "accepted"),
        Status::Available => (RecallEvent::Pend, "available"),
        Status::NotFound => (RecallEvent::Pend, "NOOR"),
        Status::Unknown => (RecallEvent::Pend, "status not known"),
    }
}

async fn settle(
    context: &Context,
    id: RecallId,
    event: RecallEvent,
    answer: Option<&str>,
) -> Result<Recall, RecallError> {
    let mut tx = context.store.begin().await?;
    let current = recalls::find_in_tx(&mut tx, id).await?.ok_or(StoreError::Corrupt("recall"))?;
    if let RecallEffect::Moves(to) = current.state.after(event) {
        match answer {
            Some(_) => {
                recalls::answer_in_tx(&mut tx, id, to, answer, None, context.clock.now()).await?;
            }
            None => recalls::set_state_in_tx(&mut tx, id, to).await?,
        }
    }
    let settled = recalls::find_in_tx(&mut tx, id).await?.ok_or(StoreError::Corrupt("recall"))?;
    tx.commit().await?;
    Ok(settled)
}

/// A recall as a list shows it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Standing {
    /// The recall; its state as it is seen now.
    #[serde(flatten)]
    pub recall: Recall,
    /// The order's amount.
    pub amount: Centimes,
    /// Where the order stands.
    pub order_state: OrderState,
    /// Whether something is still to come: an answer, or the money.
    pub open: bool,
    /// Open after its deadline.
    pub overdue: bool,
}

/// Recalls with their orders, newest first, at most a thousand; with `open_only`, those that something is still to come of.
pub async fn list(context: &Context, open_only: bool) -> Result<Vec<Standing>, StoreError> {
    let now = context.clock.now();
    let mut found = Vec::new();
    for recall in recalls::list(&context.store, open_only, LIST_MAX).await? {
        let (detail, order_state) =
            standing(context, recall.order).await?.ok_or(StoreError::Corrupt("order of a recall"))?;
        let open = recall.state.is_open(order_state);
        if open_only && !open {
            continue;
        }
        let overdue = open && recall.deadline < now;
        let state = recall.state.seen(overdue);
        let recall = Recall { state, ..recall };
        found.push(Standing { recall, amount: detail.amount, order_state, open, overdue });
    }
    Ok(found)
}
