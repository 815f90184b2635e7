//! Tells others of state changes: rows of the outbox, to NATS or to a webhook.
//!
//! Input: the table `outbox`. Output: its rows, told; a row goes once it was taken.
//! Guarantee: each row is told at least once, whoever is killed, and never before an earlier row of its subject was
//! taken. One process publishes at a time, under a lease; another goes on when it ends or falls silent.
//! Limit: a receiver that takes nothing holds up everything, and the outbox grows until it takes again: nothing is
//! dropped. At most [`ROWS_MAX`] rows are in memory.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use time::format_description::well_known::Rfc3339;

use super::backoff::Backoff;
use super::lease::{self, Lease};
use super::nats_out::NatsOut;
use super::stop::Stop;
use super::{chain, webhook};
use crate::config::{Events, EventsOut};
use crate::pipeline::Context;
use crate::store::batches::outbox::{self, Listener, OutboxRow};
use crate::store::{Store, StoreError};

/// Most rows told in one go.
pub const ROWS_MAX: u32 = 500;
/// The lease that the publisher works under.
pub const LEASE: &str = "outbox";
const LEASE_TIME: Duration = Duration::from_secs(15);
/// The outbox is looked at this often where no news is heard.
const POLL: Duration = Duration::from_secs(1);

/// Where rows go.
pub trait Sink: Send + Sync {
    /// Tells rows, which come in the order of their ids; those that were not taken come again.
    fn publish<'a>(&'a self, rows: &'a [OutboxRow]) -> BoxFuture<'a, Delivery>;
}

/// What became of rows.
#[derive(Debug, Default)]
pub struct Delivery {
    /// Numbers of those taken.
    pub taken: Vec<i64>,
    /// What went wrong with the others.
    pub fault: Option<SinkError>,
}

/// Why rows were not taken.
#[derive(Debug, thiserror::Error)]
#[error("the changes were not accepted")]
pub struct SinkError {
    /// How long the receiver asks to wait.
    pub retry_after: Option<Duration>,
    /// Why.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// `events.out` says NATS, and no server is configured.
#[derive(Debug, thiserror::Error)]
#[error("`[events.out]` publishes to NATS, but `[events.nats]` is missing")]
struct NoServer;

/// A row as it is told: one line of JSON.
pub fn line(row: &OutboxRow) -> String {
    let subject = serde_json::Value::from(row.subject.as_str());
    let at = row.at.format(&Rfc3339).expect("the database holds years of four digits");
    format!("{{\"id\":{},\"subject\":{subject},\"at\":\"{at}\",\"body\":{}}}\n", row.id, row.body)
}

/// Tells changes until `stop`; ends at once where nobody is to be told.
pub async fn run(context: Context, stop: Stop) {
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
    while !stop.is_requested() {
        let opened = tokio::select! {
            () = stop.requested() => return,
            opened = open(&context.config.settings.events, &context) => opened,
        };
        match opened {
            Ok(None) => return,
            Ok(Some(sink)) => return Publisher::new(context.store, sink).run(&stop).await,
            Err(error) => {
                tracing::warn!(error = chain(&error), "changes cannot be told");
                stop.sleep(backoff.failed(None)).await;
            }
        }
    }
}

async fn open(events: &Events, context: &Context) -> Result<Option<Arc<dyn Sink>>, SinkError> {
    Ok(match &events.out {
        None => None,
        Some(EventsOut::Webhook { url, secret_file }) => {
            Some(Arc::new(webhook::Webhook::open(url, secret_file, context.clock)?))
        }
        Some(EventsOut::Nats { subject_prefix }) => {
            let nats = events.nats.as_ref();
            let nats = nats.ok_or_else(|| SinkError { retry_after: None, source: Box::new(NoServer) })?;
            Some(Arc::new(NatsOut::open(nats, subject_prefix).await?))
        }
    })
}

/// Publishes the outbox whenever it holds the lease.
pub struct Publisher {
    store: Store,
    sink: Arc<dyn Sink>,
    /// How long the lease lasts when its holder falls silent.
    pub lease_time: Duration,
    /// First and longest pause after rows were not taken.
    pub pauses: (Duration, Duration),
}

impl Publisher {
    /// With the times of daily work.
    pub fn new(store: Store, sink: Arc<dyn Sink>) -> Self {
        let pauses = (Duration::from_millis(500), Duration::from_secs(60));
        Self { store, sink, lease_time: LEASE_TIME, pauses }
    }

    /// Publishes until `stop`; rows under way are finished first.
    pub async fn run(&self, stop: &Stop) {
        let holder = lease::holder("outbox");
        let mut backoff = Backoff::new(Duration::from_millis(500), self.lease_time);
        while !stop.is_requested() {
            match Lease::acquire(&self.store, LEASE, &holder, self.lease_time).await {
                Ok(Some(lease)) => {
                    tracing::info!(fence = lease.fence(), "telling changes");
                    let told = tokio::select! {
                        biased;
                        // A call under way is dropped: the next holder makes it again.
                        () = lease.lost() => Ok(()),
                        told = self.publish_all(stop, &mut backoff) => told,
                    };
                    lease.release().await;
                    if let Err(error) = told {
                        tracing::warn!(error = chain(&error), "telling changes is interrupted");
                        stop.sleep(backoff.failed(None)).await;
                    }
                }
                Ok(None) => drop(stop.sleep(self.lease_time / 3).await),
                Err(error) => {
                    tracing::warn!(error = chain(&error), "the outbox cannot be reached");
                    stop.sleep(backoff.failed(None)).await;
                }
            }
        }
    }

    async fn publish_all(&self, stop: &Stop, database: &mut Backoff) -> Result<(), StoreError> {
        let mut listener = outbox::listen(&self.store).await?;
        let mut backoff = Backoff::new(self.pauses.0, self.pauses.1);
        while !stop.is_requested() {
            let rows = outbox::peek(&self.store, ROWS_MAX).await?;
            database.succeeded();
            if rows.is_empty() {
                wait(&mut listener, stop).await?;
                continue;
            }
            let delivery = self.sink.publish(&rows).await;
            outbox::remove(&self.store, &delivery.taken).await?;
            if let Some(fault) = delivery.fault {
                let pause = backoff.failed(fault.retry_after);
                tracing::warn!(
                    error = chain(&fault),
                    left = rows.len() - delivery.taken.len(),
                    pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
                    "changes are told again later"
                );
                stop.sleep(pause).await;
            } else {
                backoff.succeeded();
            }
        }
        Ok(())
    }
}

/// Waits for news, for a while, or for the end.
async fn wait(listener: &mut Listener, stop: &Stop) -> Result<(), StoreError> {
    tokio::select! {
        () = stop.requested() => Ok(()),
        heard = listener.heard() => heard,
        () = tokio::time::sleep(POLL) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_one_line_of_json() {
        let row = OutboxRow {
            id: 7,
            subject: "order.A\"B".to_owned(),
            body: r#"{"state": "accepted"}"#.to_owned(),
            at: time::macros::datetime!(2026-11-24 09:00 UTC),
        };
        let text = line(&row);
        assert!(text.ends_with('\n') && text.matches('\n').count() == 1);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let expected = serde_json::json!({
            "id": 7, "subject": "order.A\"B", "at": "2026-11-24T09:00:00Z", "body": { "state": "accepted" }
        });
        assert_eq!(value, expected);
    }
}
