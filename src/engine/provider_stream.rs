//! One provider's lane in this process: the connection to it, its pace, its breaker, its hours.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use time::{Date, OffsetDateTime, Time};

use super::stop::Stop;
use crate::clock::Clock;
use crate::domain::hint::{Hint, NextStep};
use crate::domain::provider::{Provider, StreamTerms};
use crate::pipeline::Context;
use crate::rails::stream::breaker::Breaker;
use crate::rails::stream::pace::Pace;
use crate::rails::stream::secrets::{self, SecretError};
use crate::rails::stream::{CallError, Payer, StreamRail, connect};
use crate::store::StoreError;
use crate::store::batches::pace::{self, Ask};
use crate::store::registry::reference;

/// Part of a second that one grant of pace covers.
const GRANTS_A_SECOND: u32 = 4;

/// Why a provider cannot be spoken to.
#[derive(Debug, thiserror::Error)]
pub enum ProviderStreamError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its secret.
    #[error("provider `{provider}` cannot be called")]
    Secret {
        /// Which.
        provider: String,
        /// Why.
        #[source]
        source: SecretError,
    },
    /// Its address, or TLS.
    #[error("provider `{provider}` cannot be called")]
    Connect {
        /// Which.
        provider: String,
        /// Why.
        #[source]
        source: CallError,
    },
}

impl Hint for ProviderStreamError {
    fn hint(&self) -> Option<NextStep> {
        match self {
            Self::Store(e) => e.hint(),
            Self::Secret { source, .. } => source.hint(),
            Self::Connect { .. } => Some("look at its [provider.stream] in config/providers".into()),
        }
    }
}

#[cfg(test)]
crate::domain::hint::samples!(ProviderStreamError {
    Self::Store(_) => Self::Store(StoreError::Corrupt("lease")),
    Self::Secret { .. } => {
        Self::Secret { provider: "m2t".into(), source: SecretError::TooShort("secrets/m2t".into()) }
    },
    Self::Connect { .. } => {
        Self::Connect { provider: "m2t".into(), source: CallError::Refused { status: 400 } }
    },
});

/// One provider's lane.
pub struct ProviderStream {
    pub(super) context: Context,
    pub(super) provider: Provider,
    pub(super) id: i16,
    pub(super) rail: Arc<dyn StreamRail>,
    pub(super) pace: Pace,
    pub(super) breaker: Breaker,
    /// Since when no order was answered, although some were handed over.
    silent_since: Mutex<Option<Instant>>,
}

impl ProviderStream {
    /// The lanes of all providers that are spoken to over HTTP; with `only`, of those.
    ///
    /// # Errors
    /// See [`ProviderStreamError`].
    pub async fn open_all(context: &Context, only: &[String]) -> Result<Vec<Arc<Self>>, ProviderStreamError> {
        let mut lanes = Vec::new();
        if !context.config.settings.stream.enabled {
            return Ok(lanes);
        }
        for provider in context.config.router.providers() {
            let pushed = provider.stream.as_ref().is_some_and(|t| t.capabilities().is_called);
            if pushed && (only.is_empty() || only.iter().any(|c| c == provider.code.as_str())) {
                lanes.push(Arc::new(Self::open(context, provider).await?));
            }
        }
        Ok(lanes)
    }

    async fn open(context: &Context, provider: &Provider) -> Result<Self, ProviderStreamError> {
        let code = provider.code.to_string();
        let terms = provider.stream.as_ref().expect("asked for providers with stream terms");
        let secret = secrets::read(&context.home, &code)
            .map_err(|source| ProviderStreamError::Secret { provider: code.clone(), source })?;
        let settings = &context.config.settings;
        let utc_offset = settings.calendar.utc_offset;
        let payer = Payer { name: &settings.debtor.name, id: &settings.debtor.id, utc_offset };
        let rail = connect((provider, terms), secret, context.clock, &payer)
            .map_err(|source| ProviderStreamError::Connect { provider: code.clone(), source })?;
        let mut tx = context.store.begin().await?;
        let ids = reference::provider_ids_in_tx(&mut tx, std::slice::from_ref(&code)).await?;
        tx.commit().await?;
        let settings = &context.config.settings.stream;
        context.telemetry.metrics.expect_calls(&code);
        Ok(Self {
            context: context.clone(),
            provider: provider.clone(),
            id: *ids.get(&code).ok_or(StoreError::Corrupt("provider"))?,
            rail,
            pace: Pace::new(terms),
            breaker: Breaker::new(settings.failures_max, Duration::from_secs(settings.pause_s_max.into())),
            silent_since: Mutex::new(None),
        })
    }

    /// An order was answered.
    pub(super) fn heard(&self) {
        *self.silence() = None;
    }

    /// A request was not answered, or answered with "later".
    pub(super) fn not_heard(&self) {
        self.silence().get_or_insert_with(Instant::now);
    }

    /// For how long no order was answered, although some were handed over.
    pub(super) fn silent_for(&self) -> Duration {
        self.silence().map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn silence(&self) -> MutexGuard<'_, Option<Instant>> {
        // Every change is a single assignment: a panic elsewhere leaves no half-made state.
        self.silent_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its provider's code.
    pub fn code(&self) -> &str {
        self.provider.code.as_str()
    }

    /// The connection.
    pub fn rail(&self) -> &dyn StreamRail {
        &*self.rail
    }

    pub(super) fn terms(&self) -> &StreamTerms {
        self.provider.stream.as_ref().expect("lanes are opened for providers with stream terms")
    }

    pub(super) fn lease_s(&self) -> u32 {
        self.context.config.settings.stream.lease_s
    }

    /// Orders in one call: what the provider takes in a request; of single transfers, as many as may be under way.
    pub(super) fn orders_per_call(&self) -> usize {
        match self.rail.orders_per_request() {
            1 => self.terms().concurrency.max(1) as usize,
            many => many,
        }
    }

    /// Orders to intend at once: what the pace allows in a quarter of a second, and at least one call.
    pub(super) fn chunk_orders(&self) -> u32 {
        let terms = self.terms();
        let call = self.orders_per_call() as u32;
        let by_requests = terms.requests_per_second.saturating_mul(terms.orders_per_request.max(1));
        let rate = [terms.orders_per_second, by_requests].into_iter().filter(|r| *r > 0).min();
        rate.map_or(u32::MAX, |rate| (rate / GRANTS_A_SECOND / call * call).max(call))
    }

    /// Asks for a share of the provider's time, over all workers: how long to wait for it; `None` when the day is full.
    pub(super) async fn granted(&self, orders: usize) -> Result<Option<Duration>, StoreError> {
        let terms = self.terms();
        let per_second =
            |rate: u32, n: u64| if rate == 0 { 0 } else { (n * 1_000_000).div_ceil(rate.into()) };
        let requests = orders.div_ceil(terms.orders_per_request.max(1) as usize) as u64;
        let cost = |requests, orders| {
            per_second(terms.requests_per_second, requests).max(per_second(terms.orders_per_second, orders))
        };
        let ask = Ask {
            cost_us: cost(requests, orders as u64) as i64,
            burst_us: cost(terms.burst.into(), u64::from(terms.burst) * u64::from(terms.orders_per_request))
                as i64,
            orders: orders as i64,
            daily_capacity: self.provider.daily_capacity.into(),
            day: (self.context.clock != Clock::system()).then(|| self.local_now().date()),
            offset_s: self.context.config.settings.calendar.utc_offset.whole_seconds(),
        };
        let begins = pace::ask(&self.context.store, self.id, ask).await?;
        Ok(begins.map(|us| Duration::from_micros(u64::try_from(us).unwrap_or(0))))
    }

    fn local_now(&self) -> OffsetDateTime {
        self.context.clock.now().to_offset(self.context.config.settings.calendar.utc_offset)
    }

    /// When the provider opens, if it is closed now.
    pub(super) fn closed_until(&self) -> Option<OffsetDateTime> {
        let (terms, now) = (self.terms(), self.local_now());
        opens_at(now, terms.opens, terms.closes)
    }

    /// When the provider takes orders again, once it took what it takes a day.
    pub(super) fn next_day(&self) -> OffsetDateTime {
        let now = self.local_now();
        at(now, now.date().next_day().unwrap_or(Date::MAX), self.terms().opens)
    }

    /// Waits while the breaker is open, trying the provider now and then; `false` when it is time to stop.
    pub(super) async fn is_there(&self, stop: &Stop) -> bool {
        loop {
            tokio::select! {
                () = stop.requested() => return false,
                trial = self.breaker.ready() => match trial {
                    None => return true,
                    Some(trial) => {
                        let outcome = self.rail.probe().await;
                        trial.ended(outcome.is_ok());
                    }
                },
            }
        }
    }

    /// Counts and times a call.
    pub(super) fn tell(&self, call: &str, began: Instant, outcome: &Result<usize, &CallError>) {
        let result = match outcome {
            Ok(_) => "answered",
            Err(CallError::Busy { .. }) => "busy",
            Err(CallError::Unreachable(_)) => "unreachable",
            Err(CallError::Refused { .. }) => "refused",
            Err(CallError::Lost { .. }) => "lost",
        };
        let metrics = &self.context.telemetry.metrics;
        metrics.add_stream_call(self.code(), call, result, began.elapsed());
        metrics.set_breaker(self.code(), self.breaker.state().level());
    }
}

/// When a provider with these hours opens, if it is closed at `now` (local); as many hours as there are: never closed.
fn opens_at(now: OffsetDateTime, opens: Time, closes: Time) -> Option<OffsetDateTime> {
    let time = now.time();
    let open = match opens.cmp(&closes) {
        std::cmp::Ordering::Equal => true,
        std::cmp::Ordering::Less => opens <= time && time < closes,
        std::cmp::Ordering::Greater => opens <= time || time < closes,
    };
    if open {
        return None;
    }
    let day = if time < opens { now.date() } else { now.date().next_day().unwrap_or(Date::MAX) };
    Some(at(now, day, opens))
}

fn at(now: OffsetDateTime, day: Date, time: Time) -> OffsetDateTime {
    now.replace_date(day).replace_time(time)
}

#[cfg(test)]
mod tests {
    use time::macros::{datetime, time};

    use super::*;

    #[test]
    fn hours_are_local_and_may_pass_midnight() {
        for (now, opens, closes, expected) in [
            (datetime!(2026-11-24 09:00 +1), time!(0:00), time!(0:00), None),
            (datetime!(2026-11-24 09:00 +1), time!(8:00), time!(20:00), None),
            (datetime!(2026-11-24 07:59 +1), time!(8:00), time!(20:00), Some(datetime!(2026-11-24 08:00 +1))),
            (datetime!(2026-11-24 20:00 +1), time!(8:00), time!(20:00), Some(datetime!(2026-11-25 08:00 +1))),
            (datetime!(2026-11-24 23:00 +1), time!(22:00), time!(4:00), None),
            (datetime!(2026-11-24 03:59 +1), time!(22:00), time!(4:00), None),
            (datetime!(2026-11-24 12:00 +1), time!(22:00), time!(4:00), Some(datetime!(2026-11-24 22:00 +1))),
        ] {
            assert_eq!(opens_at(now, opens, closes), expected, "{now} {opens} {closes}");
        }
    }
}
