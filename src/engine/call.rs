//! One request that hands orders over, to its end: recorded, or unknown.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::Instrument as _;

use super::backoff::Backoff;
use super::provider_stream::ProviderStream;
use super::stop::Stop;
use crate::pipeline::dispatch::stream::{self, Named};
use crate::pipeline::messages::record::{Source, record};
use crate::rails::stream::pace::Permit;
use crate::rails::stream::{CallError, Instruction, Put};
use crate::store::StoreError;

/// Times that a request which surely had no effect is made again before its orders are left to enquiry.
const TRIES_MAX: u32 = 20;

/// The span of a request: its provider and run, how many orders, and the first one's key, under which the provider knows it.
fn request_span(provider: &str, orders: &[Named]) -> tracing::Span {
    let first = orders.first();
    let (run, key) = (first.map(|n| n.order.run().get()), first.map(|n| n.instruction.key.as_str()));
    tracing::info_span!("request", provider, run, orders = orders.len(), key)
}

impl ProviderStream {
    /// Hands orders over that are intended. A request that surely had no effect is made again; one that may have had makes
    /// its orders unknown.
    pub(super) async fn call(
        self: &Arc<Self>,
        mut orders: Vec<Named>,
        mut permit: Permit,
        stop: &Stop,
    ) -> Result<(), StoreError> {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        for _ in 0..TRIES_MAX {
            let instructions: Vec<Instruction> = orders.iter().map(|n| n.instruction.clone()).collect();
            let began = Instant::now();
            let span = request_span(self.code(), &orders);
            let outcome = self.rail.put(&instructions).instrument(span).await;
            self.tell("put", began, &outcome.as_ref().map(|put| put.answers.len()));
            let pause = match outcome {
                Ok(put) => {
                    // An answer to one is a sign of life, whatever became of the others.
                    if put.answers.is_empty() {
                        self.not_heard();
                        self.breaker.failed()
                    } else {
                        self.heard();
                        self.breaker.succeeded()
                    }
                    let asked = put.retry_after;
                    orders = self.take_answers(orders, put).await?;
                    if orders.is_empty() {
                        return Ok(());
                    }
                    // Those that wait to be sent again do not keep others from leaving.
                    permit.keep(orders.len());
                    backoff.failed(asked)
                }
                Err(CallError::Busy { retry_after }) => {
                    self.not_heard();
                    backoff.failed(retry_after)
                }
                Err(CallError::Unreachable(_)) => {
                    self.not_heard();
                    self.breaker.failed();
                    backoff.failed(None)
                }
                Err(error) => {
                    self.not_heard();
                    self.breaker.failed();
                    return self.lose(&orders, &error).await;
                }
            };
            if !stop.sleep(pause).await || !self.is_there(stop).await {
                break;
            }
        }
        self.lose(&orders, &CallError::Lost { what: "gave up" }).await
    }

    /// Records what was answered and gives the orders that were not acted on; what is neither is unknown.
    async fn take_answers(&self, orders: Vec<Named>, put: Put) -> Result<Vec<Named>, StoreError> {
        let answered: HashSet<&str> = put.answers.iter().map(|a| a.key.as_str()).collect();
        // What was answered was acted on, whatever else is said of it.
        let again = |key: &str| !answered.contains(key) && put.untouched.iter().any(|k| k == key);
        let (untouched, handled): (Vec<Named>, Vec<Named>) =
            orders.into_iter().partition(|n| again(&n.instruction.key));
        let missing: Vec<i64> = {
            let unanswered = handled.iter().filter(|n| !answered.contains(n.instruction.key.as_str()));
            unanswered.map(|n| n.order.get()).collect()
        };
        record(&self.context, self.code(), Source::Answer, put.answers).await?;
        stream::lose(&self.context, self.code(), &missing, "no answer among others").await?;
        Ok(untouched)
    }

    async fn lose(&self, orders: &[Named], error: &CallError) -> Result<(), StoreError> {
        let ids: Vec<i64> = orders.iter().map(|n| n.order.get()).collect();
        tracing::warn!(provider = self.code(), orders = ids.len(), error = %error, "orders are unknown");
        stream::lose(&self.context, self.code(), &ids, &error.to_string()).await
    }
}
