//! APIs that take one order a call: several calls under way at once, and what became of a bundle of them.
//!
//! Input: instructions, keys. Output: one answer for each.
//! Guarantee: each order has an outcome of its own: answered; untouched, when its call surely had no effect; or neither,
//! when what the provider did is not known. Once a call of a bundle says that more are useless, no more are begun.
//! Limit: as many calls at once as the terms allow. Such a provider tells of no changes: what it has accepted must be asked about.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::{self, StreamExt as _};

use super::{Answer, CallError, Changes, Instruction, Put, StreamRail};
use crate::domain::provider::StreamTerms;

/// One order, one call.
pub trait SingleOrders: Send + Sync {
    /// Hands an order over, or finds where the one that its key has made stands.
    fn put_one<'a>(&'a self, order: &'a Instruction) -> BoxFuture<'a, Result<Answer, CallError>>;

    /// Asks where an order stands.
    fn enquire_one<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Answer, CallError>>;

    /// Cancels an order where that is still possible, and says where it stands.
    fn cancel_one<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Answer, CallError>>;

    /// Whether the provider is there, without effect.
    fn ping(&self) -> BoxFuture<'_, Result<(), CallError>>;
}

/// A provider that takes one order a call.
pub struct Singly<A> {
    api: A,
    concurrency: usize,
}

type Outcome<'a> = (&'a Instruction, Option<Result<Answer, CallError>>);

impl<A: SingleOrders> Singly<A> {
    /// With as many calls at once as the terms allow; 0: no limit.
    pub fn new(api: A, terms: &StreamTerms) -> Self {
        let concurrency = if terms.concurrency == 0 { usize::MAX } else { terms.concurrency as usize };
        Self { api, concurrency }
    }

    /// Hands an order over unless an earlier one of its bundle has shown that it would be useless.
    async fn put_unless<'a>(&self, useless: &AtomicBool, order: &'a Instruction) -> Outcome<'a> {
        if useless.load(Ordering::Relaxed) {
            return (order, None);
        }
        let outcome = self.api.put_one(order).await;
        if matches!(outcome, Err(CallError::Busy { .. } | CallError::Unreachable(_))) {
            useless.store(true, Ordering::Relaxed);
        }
        (order, Some(outcome))
    }

    async fn hand_over(&self, orders: &[Instruction]) -> Result<Put, CallError> {
        let useless = AtomicBool::new(false);
        let calls: Vec<BoxFuture<'_, Outcome<'_>>> =
            orders.iter().map(|order| self.put_unless(&useless, order).boxed()).collect();
        put_together(stream::iter(calls).buffer_unordered(self.concurrency).collect().await)
    }

    /// Asks of each key; a failure is told only where no key was answered.
    async fn each(
        &self,
        calls: Vec<BoxFuture<'_, Result<Answer, CallError>>>,
    ) -> Result<Vec<Answer>, CallError> {
        let (mut answers, mut fault) = (Vec::with_capacity(calls.len()), None);
        let mut calls = stream::iter(calls).buffer_unordered(self.concurrency);
        while let Some(outcome) = calls.next().await {
            match outcome {
                Ok(answer) => answers.push(answer),
                Err(error) => {
                    fault.get_or_insert(error);
                }
            }
        }
        match fault {
            Some(error) if answers.is_empty() => Err(error),
            _ => Ok(answers),
        }
    }

    async fn probe_it(&self) -> Result<(), CallError> {
        match self.api.ping().await {
            // Whoever asks to wait is there.
            Ok(()) | Err(CallError::Busy { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl<A: SingleOrders> StreamRail for Singly<A> {
    fn orders_per_request(&self) -> usize {
        1
    }

    fn tells_changes(&self) -> bool {
        false
    }

    fn put<'a>(&'a self, orders: &'a [Instruction]) -> BoxFuture<'a, Result<Put, CallError>> {
        self.hand_over(orders).boxed()
    }

    fn enquire<'a>(&'a self, keys: &'a [String]) -> BoxFuture<'a, Result<Vec<Answer>, CallError>> {
        self.each(keys.iter().map(|key| self.api.enquire_one(key)).collect()).boxed()
    }

    fn cancel<'a>(&'a self, keys: &'a [String]) -> BoxFuture<'a, Result<Vec<Answer>, CallError>> {
        self.each(keys.iter().map(|key| self.api.cancel_one(key)).collect()).boxed()
    }

    /// Nothing changes that it tells of.
    fn changes<'a>(&'a self, cursor: &'a str) -> BoxFuture<'a, Result<Changes, CallError>> {
        async move { Ok(Changes { cursor: cursor.to_owned(), ..Changes::default() }) }.boxed()
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), CallError>> {
        self.probe_it().boxed()
    }
}

/// What became of a bundle; an error where all of it failed in one way: nothing was done, or nothing is known.
fn put_together(outcomes: Vec<Outcome<'_>>) -> Result<Put, CallError> {
    let (mut put, mut idle, mut lost) = (Put::default(), None, None);
    for (order, outcome) in outcomes {
        match outcome {
            Some(Ok(answer)) => put.answers.push(answer),
            None => put.untouched.push(order.key.clone()),
            Some(Err(error @ (CallError::Busy { .. } | CallError::Unreachable(_)))) => {
                put.untouched.push(order.key.clone());
                if let CallError::Busy { retry_after } = &error {
                    put.retry_after = put.retry_after.max(*retry_after);
                }
                idle.get_or_insert(error);
            }
            Some(Err(error)) => {
                if lost.as_ref().is_none_or(|e: &CallError| !e.may_have_acted()) {
                    lost = Some(error);
                }
            }
        }
    }
    match (put.answers.is_empty(), idle, lost) {
        (true, Some(CallError::Busy { .. }), None) => Err(CallError::Busy { retry_after: put.retry_after }),
        (true, Some(error), None) | (true, None, Some(error)) => Err(error),
        _ => Ok(put),
    }
}
