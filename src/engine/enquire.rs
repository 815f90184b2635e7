//! Asks providers about orders that are unknown, or accepted by one that tells nothing by itself; and reads their lists of
//! changes.
//!
//! Guarantee: an order is handed over once more only after its provider, asked long enough after the request, has denied
//! it, and under the same key. After `unknown_hours_max` a person is asked, by a break; enquiries go on.
//! Limit: enquiries are claimed by rows: few orders are unknown at a time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use time::Duration;

use super::provider_stream::ProviderStream;
use crate::domain::ids::{Code, RunId};
use crate::domain::money::Centimes;
use crate::domain::reason::BreakKind;
use crate::pipeline::dispatch::stream::{self, Named};
use crate::pipeline::messages::answers::{Judged, judge};
use crate::pipeline::messages::record::{Source, record, record_judged};
use crate::rails::stream::wire::Status;
use crate::rails::stream::{Answer, Instruction};
use crate::store::batches::enquiries::{self, Enquiry};
use crate::store::batches::shards;
use crate::store::messages::breaks::{self, NewBreak};
use crate::store::orders::questions;
use crate::store::registry::change_cursor;
use crate::store::{StoreError, runs};

/// Enquiries claimed at once, where the provider takes more in a request.
const ENQUIRIES_MAX: usize = 500;
/// Longest pause between two enquiries about one order, in times of the first.
const PAUSE_STEPS_MAX: i32 = 10;

impl ProviderStream {
    /// Asks about what is due: whether there was anything.
    pub(super) async fn enquire(self: &Arc<Self>) -> Result<bool, StoreError> {
        let limit = self.rail.orders_per_request().clamp(50, ENQUIRIES_MAX);
        let now = self.context.clock.now();
        let due = enquiries::claim(&self.context.store, self.id, limit as i64, self.lease_s(), now).await?;
        if due.is_empty() {
            return Ok(false);
        }
        let named = self.named(&due).await?;
        let by_order: HashMap<i64, &Enquiry> = due.iter().map(|e| (e.order.get(), e)).collect();
        let keys: Vec<String> = named.iter().map(|n| n.instruction.key.clone()).collect();
        let permit = self.pace.take(keys.len()).await;
        let began = Instant::now();
        let outcome = self.rail.enquire(&keys).await;
        drop(permit);
        self.tell("enquire", began, &outcome.as_ref().map(Vec::len));
        match outcome {
            Ok(answers) => {
                self.breaker.succeeded();
                let denied = self.take_enquiry(&named, &by_order, answers).await?;
                self.hand_over_again(denied).await?;
            }
            Err(error) => {
                if error.may_have_acted() {
                    self.breaker.failed();
                }
                tracing::info!(provider = self.code(), error = %error, orders = keys.len(), "enquiry without answer");
            }
        }
        self.ask_person(&due).await?;
        self.put_off(&due).await?;
        Ok(true)
    }

    /// Records what was answered; gives the orders that their provider denies, long enough after the request.
    async fn take_enquiry<'n>(
        &self,
        named: &'n [Named],
        due: &HashMap<i64, &Enquiry>,
        answers: Vec<Answer>,
    ) -> Result<Vec<&'n Named>, StoreError> {
        let by_key: HashMap<&str, &'n Named> =
            named.iter().map(|n| (n.instruction.key.as_str(), n)).collect();
        let believed_before =
            self.context.clock.now() - Duration::seconds(i64::from(self.terms().believe_absent_after_s));
        let Judged { answers, orders_to_hold } = judge(Source::Enquiry, answers);
        let (absent, answers): (Vec<Answer>, Vec<Answer>) =
            answers.into_iter().partition(|a| a.status == Status::NotFound);
        let known = Judged { answers, orders_to_hold };
        record_judged(&self.context, self.code(), Source::Enquiry, known).await?;
        let denied = absent.iter().filter_map(|a| by_key.get(a.key.as_str()).copied());
        let denied: Vec<&Named> = denied
            .filter(|n| due.get(&n.order.get()).is_some_and(|e| e.unknown && e.since <= believed_before))
            .collect();
        self.without_contradicted(denied).await
    }

    /// Leaves out orders about which an open break says otherwise than their provider does now: a person decides first.
    async fn without_contradicted<'n>(&self, denied: Vec<&'n Named>) -> Result<Vec<&'n Named>, StoreError> {
        if denied.is_empty() {
            return Ok(denied);
        }
        let ids: Vec<i64> = denied.iter().map(|n| n.order.get()).collect();
        let mut tx = self.context.store.begin().await?;
        let contradicted = questions::contradicted_in_tx(&mut tx, &ids).await?;
        tx.rollback().await?;
        Ok(denied.into_iter().filter(|n| !contradicted.contains(&n.order.get())).collect())
    }

    /// Hands denied orders over under their old keys. They stay unknown until there is an answer.
    async fn hand_over_again(&self, denied: Vec<&Named>) -> Result<(), StoreError> {
        for piece in denied.chunks(self.orders_per_call()) {
            let instructions: Vec<Instruction> = piece.iter().map(|n| n.instruction.clone()).collect();
            let permit = self.pace.take(instructions.len()).await;
            let began = Instant::now();
            let outcome = self.rail.put(&instructions).await;
            drop(permit);
            self.tell("put_again", began, &outcome.as_ref().map(|put| put.answers.len()));
            match outcome {
                // Untouched ones stay unknown and are asked about again.
                Ok(put) => drop(record(&self.context, self.code(), Source::Answer, put.answers).await?),
                // Not known any better: asked again when its time comes.
                Err(error) => {
                    tracing::info!(provider = self.code(), error = %error, "handed over again, no answer")
                }
            }
        }
        Ok(())
    }

    async fn put_off(&self, due: &[Enquiry]) -> Result<(), StoreError> {
        let mut by_tries: HashMap<i32, Vec<i64>> = HashMap::new();
        for enquiry in due {
            by_tries.entry(enquiry.tries.min(PAUSE_STEPS_MAX)).or_default().push(enquiry.order.get());
        }
        for (tries, orders) in by_tries {
            let pause = Duration::seconds(i64::from(self.terms().enquire_after_s)) * tries.max(1);
            enquiries::put_off(&self.context.store, &orders, self.context.clock.now() + pause).await?;
        }
        Ok(())
    }

    /// Opens a break for orders that have been asked about for too long.
    async fn ask_person(&self, due: &[Enquiry]) -> Result<(), StoreError> {
        let (now, hours) = (self.context.clock.now(), i64::from(self.terms().unknown_hours_max));
        let late: Vec<&Enquiry> =
            due.iter().filter(|e| !e.asked_person && now - e.since > Duration::hours(hours)).collect();
        if late.is_empty() {
            return Ok(());
        }
        let found: Vec<NewBreak> = late
            .iter()
            .map(|e| NewBreak {
                kind: BreakKind::UnknownTooLong,
                key: format!("order {} unknown", e.order.get()),
                run: Some(e.order.run()),
                provider: Some(self.id),
                batch: None,
                order: Some(e.order),
                message: None,
                entry: None,
                amount: None,
                suspense: Centimes::ZERO,
                source: None,
                detail: format!(
                    "asked about for {hours} hours without an answer that settles it: call the provider"
                ),
            })
            .collect();
        let orders: Vec<i64> = late.iter().map(|e| e.order.get()).collect();
        let mut tx = self.context.store.begin().await?;
        breaks::open_in_tx(&mut tx, &found, now).await?;
        enquiries::mark_asked_in_tx(&mut tx, &orders).await?;
        tx.commit().await
    }

    async fn named(&self, due: &[Enquiry]) -> Result<Vec<Named>, StoreError> {
        let mut by_run: HashMap<RunId, Vec<i64>> = HashMap::new();
        for enquiry in due {
            by_run.entry(enquiry.order.run()).or_default().push(enquiry.order.get());
        }
        let mut all = Vec::with_capacity(due.len());
        for (run, ids) in by_run {
            let mut tx = self.context.store.begin().await?;
            let found = runs::find_in_tx(&mut tx, run, false).await?;
            tx.rollback().await?;
            let found = found.ok_or(StoreError::Corrupt("run of an enquiry"))?;
            let programme = Code::parse(&found.programme).map_err(|_| StoreError::Corrupt("programme"))?;
            let waiting = shards::by_number(&self.context.store, run, &ids).await?;
            all.extend(stream::name(&programme, &self.provider, &waiting)?);
        }
        Ok(all)
    }

    /// Reads what changed since last time, where it is this worker's turn: whether more is waiting.
    pub(super) async fn read_changes(self: &Arc<Self>) -> Result<bool, StoreError> {
        let every = self.terms().changes_every_s;
        if every == 0 || !self.rail.tells_changes() {
            return Ok(false);
        }
        let Some(cursor) = change_cursor::claim(&self.context.store, self.id, every).await? else {
            return Ok(false);
        };
        let began = Instant::now();
        let outcome = self.rail.changes(&cursor).await;
        self.tell("changes", began, &outcome.as_ref().map(|c| c.changes.len()));
        let Ok(found) = outcome else { return Ok(false) };
        record(&self.context, self.code(), Source::Changes, found.changes).await?;
        // Read again when this is not reached: reports are safe to repeat.
        change_cursor::keep(&self.context.store, self.id, &cursor, &found.cursor, found.more).await?;
        Ok(found.more)
    }
}
