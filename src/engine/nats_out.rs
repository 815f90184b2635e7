//! State changes told on NATS: each row of the outbox as a message of a JetStream stream.
//!
//! Input: rows in the order of their ids. Output: those that the server has stored.
//! Guarantee: a row is sent only after all earlier rows of its subject are stored; the message id is the row's number, so
//! that the server keeps one of several copies that come within [`DUPLICATE_WINDOW`].
//! Limit: rows of different subjects are stored in any order.

use std::collections::HashSet;
use std::future::IntoFuture as _;
use std::time::Duration;

use async_nats::jetstream::context::Context as JetStream;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream;
use futures_util::future::BoxFuture;

use super::nats::{self, NatsError};
use super::outbox::{Delivery, Sink, SinkError, line};
use crate::config::Nats;
use crate::store::batches::outbox::OutboxRow;

/// Copies within this time are dropped by the server.
pub const DUPLICATE_WINDOW: Duration = Duration::from_secs(3_600);
/// How long a stream made here keeps messages.
const KEPT: Duration = Duration::from_secs(30 * 86_400);

/// A stream that changes are told to.
pub struct NatsOut {
    nats: JetStream,
    prefix: String,
}

impl NatsOut {
    /// Connects; makes the stream `{stream}_OUT` for `{prefix}.>`, unless a stream takes these subjects already.
    ///
    /// # Errors
    /// When nobody answers, or the stream is missing and cannot be made.
    pub async fn open(settings: &Nats, prefix: &str) -> Result<Self, NatsError> {
        let nats = nats::connect(settings).await?;
        let config = stream::Config {
            name: format!("{}_OUT", settings.stream),
            subjects: vec![format!("{prefix}.>")],
            storage: stream::StorageType::File,
            duplicate_window: DUPLICATE_WINDOW,
            max_age: KEPT,
            ..Default::default()
        };
        nats::ensure_stream(&nats, config).await?;
        Ok(Self { nats, prefix: prefix.to_owned() })
    }

    /// Sends rows of different subjects together: which are stored, and what went wrong with the others.
    async fn wave(&self, rows: &[&OutboxRow], delivery: &mut Delivery) {
        let mut under_way = Vec::with_capacity(rows.len());
        for row in rows {
            let message =
                PublishMessage::build().payload(line(row).into()).message_id(format!("sarf-{}", row.id));
            let sent = self.nats.send_publish(format!("{}.{}", self.prefix, row.subject), message).await;
            under_way.push((row.id, sent));
        }
        for (id, sent) in under_way {
            let stored = match sent {
                Ok(answer) => answer.into_future().await,
                Err(error) => Err(error),
            };
            match stored {
                Ok(_) => delivery.taken.push(id),
                Err(error) => delivery.fault = Some(NatsError::Send(error.into()).into()),
            }
        }
    }
}

impl From<NatsError> for SinkError {
    fn from(error: NatsError) -> Self {
        Self { retry_after: None, source: Box::new(error) }
    }
}

impl Sink for NatsOut {
    fn publish<'a>(&'a self, rows: &'a [OutboxRow]) -> BoxFuture<'a, Delivery> {
        Box::pin(async move {
            let mut delivery = Delivery::default();
            for wave in waves(rows) {
                self.wave(&wave, &mut delivery).await;
                if delivery.fault.is_some() {
                    break;
                }
            }
            delivery
        })
    }
}

/// Cuts rows so that no piece has two of one subject, and a subject's rows stay in order.
fn waves(rows: &[OutboxRow]) -> Vec<Vec<&OutboxRow>> {
    let mut waves: Vec<Vec<&OutboxRow>> = Vec::new();
    let mut left: Vec<&OutboxRow> = rows.iter().collect();
    while !left.is_empty() {
        let mut seen = HashSet::new();
        let (wave, later) = left.into_iter().partition(|row| seen.insert(row.subject.as_str()));
        waves.push(wave);
        left = later;
    }
    waves
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_has_each_subject_once_and_in_order() {
        let check = |subjects: &str, expected: &[&[i64]]| {
            let row = |(id, subject): (usize, char)| OutboxRow {
                id: id as i64,
                subject: subject.to_string(),
                body: String::new(),
                at: time::OffsetDateTime::UNIX_EPOCH,
            };
            let rows: Vec<OutboxRow> = subjects.chars().enumerate().map(row).collect();
            let found: Vec<Vec<i64>> =
                waves(&rows).iter().map(|w| w.iter().map(|r| r.id).collect()).collect();
            assert_eq!(found, expected, "{subjects}");
        };
        check("", &[]);
        check("abc", &[&[0, 1, 2]]);
        check("aab", &[&[0, 2], &[1]]);
        check("abaacb", &[&[0, 1, 4], &[2, 5], &[3]]);
    }
}
