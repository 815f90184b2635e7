//! Events from a NATS JetStream stream.
//!
//! Input: messages of a durable pull consumer, one event each. Output: what [`events::accept`] makes of them; events that
//! can never be taken go to the dead-letter subject with the reason.
//! Guarantee: a message is acknowledged only after its event was committed (or is in the dead-letter stream), so none is
//! lost, whoever is killed; one that comes again is answered `Already` and acknowledged. Within one process events are
//! decided in the order of the stream as long as nothing fails for longer than [`Intake::patience`].
//! Limit: one batch is decided while the next one is fetched, no more; a NATS server or a database that is away is tried
//! again with growing pauses and stops nothing else. Several processes share the work and keep no order among each other.
//!
//! [`events::accept`]: crate::pipeline::events::accept

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::context::Context as JetStream;
use async_nats::jetstream::message::AckKind;
use async_nats::jetstream::{Message, stream};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};

use super::backoff::Backoff;
use super::nats::{self, NatsError};
use super::stop::Stop;
use super::{chain, dead_letter};
use crate::config::Nats;
use crate::pipeline::Context;
use crate::pipeline::events::{self, LineOutcome, Outcome};
use crate::store::StoreError;

/// Decides events: one outcome for each, after the commit.
pub type Accept =
    Arc<dyn Fn(Vec<Bytes>) -> BoxFuture<'static, Result<Vec<LineOutcome>, StoreError>> + Send + Sync>;

/// What [`Intake::ack_wait`] is in daily work.
const ACK_WAIT: Duration = Duration::from_secs(60);
/// Time after which a pull is asked anew, and after which a silent server is noticed.
const PULL: Duration = Duration::from_secs(30);
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Copies of a message id that come within this time are dropped by the server.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);
/// More in one pull would outgrow the client's buffer.
const PULL_MAX: usize = 10_000;

/// Why a round ended early.
#[derive(Debug, thiserror::Error)]
enum IntakeError {
    #[error(transparent)]
    Nats(#[from] NatsError),
    #[error("events were not decided")]
    Accept(#[source] StoreError),
    #[error("{outcomes} outcomes of {events} events")]
    Miscounted { outcomes: usize, events: usize },
    #[error("no more messages come")]
    Ended,
}

/// Takes events until `stop`; ends at once where no NATS is configured.
pub async fn run(context: Context, stop: Stop) {
    let settings = &context.config.settings.events;
    let (Some(nats), batch_max) = (settings.nats.clone(), settings.batch_max) else { return };
    let accept: Accept = Arc::new(move |lines| {
        let context = context.clone();
        Box::pin(async move { events::accept(&context, "nats", lines).await })
    });
    Intake::new(nats, batch_max, accept).run(&stop).await;
}

/// The intake, with whoever decides.
pub struct Intake {
    settings: Nats,
    batch_max: usize,
    accept: Accept,
    /// How long a batch that cannot be decided is kept and tried again, before it is given back for others to take.
    pub patience: Duration,
    /// Time that the server gives before it delivers an unacknowledged message again: longer than a batch takes.
    pub ack_wait: Duration,
}

impl Intake {
    /// Takes at most `batch_max` events at a time.
    pub fn new(settings: Nats, batch_max: u32, accept: Accept) -> Self {
        let batch_max = usize::try_from(batch_max).unwrap_or(PULL_MAX).clamp(1, PULL_MAX);
        Self { settings, batch_max, accept, patience: ACK_WAIT / 3, ack_wait: ACK_WAIT }
    }

    /// Takes events until `stop`; a batch under way is finished first.
    pub async fn run(&self, stop: &Stop) {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        while !stop.is_requested() {
            if let Err(error) = self.attend(stop, &mut backoff).await {
                tracing::warn!(error = chain(&error), "events from NATS are interrupted");
                stop.sleep(backoff.failed(None)).await;
            }
        }
    }

    /// Takes events until `stop` or a fault.
    async fn attend(&self, stop: &Stop, backoff: &mut Backoff) -> Result<(), IntakeError> {
        let opened = tokio::select! {
            () = stop.requested() => return Ok(()),
            opened = self.open() => opened?,
        };
        let (nats, mut messages) = opened;
        let mut ended = Ok(());
        while ended.is_ok() {
            // Messages that are there are taken whole: the scheduler's budget would cut batches short.
            let gathered = tokio::task::unconstrained(gather(&mut messages, self.batch_max));
            let gathered = tokio::select! {
                biased;
                () = stop.requested() => break,
                gathered = gathered => gathered,
            };
            if !gathered.messages.is_empty() {
                ended = self.settle(&nats, &gathered.messages, stop).await;
            }
            match (&ended, gathered.fault) {
                (Ok(()), Some(fault)) => ended = Err(fault),
                (Ok(()), None) => backoff.succeeded(),
                _ => {}
            }
        }
        // What was fetched but not begun need not wait for the end of its time.
        while let Some(Some(Ok(message))) = messages.next().now_or_never() {
            give_back(&[message], None).await;
        }
        let flushed = tokio::time::timeout(Duration::from_secs(2), nats.client().flush()).await;
        if !matches!(flushed, Ok(Ok(()))) {
            tracing::debug!("acknowledgements under way may be lost: their events come again");
        }
        ended
    }

    /// Connects, makes what is missing, and begins to pull.
    async fn open(&self) -> Result<(JetStream, pull::Stream), IntakeError> {
        let settings = &self.settings;
        let nats = nats::connect(settings).await?;
        let events = stream::Config {
            name: settings.stream.clone(),
            subjects: vec![settings.subject.clone()],
            // Acknowledged events are in the database: no personal data lies here any longer than needed.
            retention: stream::RetentionPolicy::WorkQueue,
            storage: stream::StorageType::File,
            discard: stream::DiscardPolicy::New,
            duplicate_window: DUPLICATE_WINDOW,
            ..Default::default()
        };
        let fault = |source| NatsError::Stream { stream: settings.stream.clone(), source };
        let events = nats.get_or_create_stream(events).await.map_err(|e| fault(e.into()))?;
        dead_letter::ensure_stream(&nats, settings).await?;
        let fault = |source| NatsError::Consumer { consumer: settings.durable.clone(), source };
        let batches = |n: usize| i64::try_from(self.batch_max.saturating_mul(n)).unwrap_or(i64::MAX);
        let consumer = pull::Config {
            durable_name: Some(settings.durable.clone()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: self.ack_wait,
            max_deliver: -1,
            max_ack_pending: batches(16),
            ..Default::default()
        };
        let consumer = events.create_consumer(consumer).await.map_err(|e| fault(e.into()))?;
        remove_leftovers(&events, consumer.cached_info().ack_floor.stream_sequence).await?;
        let messages = consumer
            .stream()
            .max_messages_per_batch(self.batch_max)
            .expires(PULL)
            .heartbeat(HEARTBEAT)
            .messages()
            .await
            .map_err(|e| NatsError::Messages(e.into()))?;
        Ok((nats, messages))
    }

    /// Has a batch decided and acknowledges it; gives it back when that cannot be done for too long.
    async fn settle(&self, nats: &JetStream, batch: &[Message], stop: &Stop) -> Result<(), IntakeError> {
        let began = Instant::now();
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        loop {
            let lines = batch.iter().map(|m| m.payload.clone()).collect();
            let error = match (self.accept)(lines).await {
                Ok(outcomes) if outcomes.len() == batch.len() => {
                    return Ok(self.acknowledge(nats, batch, &outcomes).await?);
                }
                Ok(outcomes) => IntakeError::Miscounted { outcomes: outcomes.len(), events: batch.len() },
                Err(error) => IntakeError::Accept(error),
            };
            let pause = backoff.failed(None);
            if began.elapsed() + pause > self.patience {
                give_back(batch, Some(pause)).await;
                return Err(error);
            }
            tracing::warn!(error = chain(&error), events = batch.len(), "events are tried again");
            if !stop.sleep(pause).await {
                give_back(batch, None).await;
                return Err(error);
            }
        }
    }

    async fn acknowledge(
        &self,
        nats: &JetStream,
        batch: &[Message],
        outcomes: &[LineOutcome],
    ) -> Result<(), NatsError> {
        let mut refused = Vec::new();
        for (message, outcome) in batch.iter().zip(outcomes) {
            match outcome.outcome {
                Outcome::Taken | Outcome::Already | Outcome::Held => {
                    message.ack().await.map_err(NatsError::Send)?;
                }
                Outcome::Refused => refused.push((message, outcome)),
            }
        }
        dead_letter::put(nats, &self.settings.dead_letter_subject, &refused).await
    }
}

/// A server that was killed may know that an event was acknowledged and keep it all the same, for ever: everything up to
/// the consumer's floor is acknowledged. Only a work queue has no other consumers who may want it.
async fn remove_leftovers(events: &stream::Stream, floor: u64) -> Result<(), NatsError> {
    let info = events.cached_info();
    let is_queue = info.config.retention == stream::RetentionPolicy::WorkQueue;
    if is_queue && info.state.messages > 0 && info.state.first_sequence <= floor {
        let fault = |source| NatsError::Stream { stream: info.config.name.clone(), source };
        let removed = events.purge().sequence(floor + 1).await.map_err(|e| fault(e.into()))?;
        tracing::info!(events = removed.purged, "acknowledged events that the server had kept are removed");
    }
    Ok(())
}

/// What has come.
struct Gathered {
    messages: Vec<Message>,
    /// What ended it.
    fault: Option<IntakeError>,
}

/// Waits for a message and takes what else is there: at most `limit`. Nothing is lost when this is dropped while it
/// waits, since it waits for the first message only.
async fn gather(from: &mut pull::Stream, limit: usize) -> Gathered {
    let mut messages = Vec::new();
    let mut next = from.next().await;
    loop {
        match next {
            Some(Ok(message)) => messages.push(message),
            Some(Err(error)) => {
                let fault = Some(NatsError::Messages(error.into()).into());
                return Gathered { messages, fault };
            }
            None => return Gathered { messages, fault: Some(IntakeError::Ended) },
        }
        next = match if messages.len() < limit { from.next().now_or_never() } else { None } {
            Some(next) => next,
            None => return Gathered { messages, fault: None },
        };
    }
}

/// Lets others have messages, after a while. Where that cannot be sent they come again by themselves.
async fn give_back(messages: &[Message], after: Option<Duration>) {
    for message in messages {
        if let Err(error) = message.ack_with(AckKind::Nak(after)).await {
            tracing::debug!(%error, "a message is not given back: it comes again after its time");
        }
    }
}
