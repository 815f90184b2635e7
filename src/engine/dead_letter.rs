//! Events that can never be taken, on a subject of their own, for a person to look at.
//!
//! Input: refused messages with their outcomes. Output: the event as it came, with headers that say why and where from.
//! Guarantee: a message leaves its stream only after its dead letter is stored; however often one is put, one is kept
//! (by message id, within [`DUPLICATE_WINDOW`]).
//! Limit: an event that would outgrow the server's limit with our headers is cut, and a header tells its size.

use std::future::IntoFuture as _;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::context::Context as JetStream;
use async_nats::jetstream::message::{AckKind, PublishMessage};
use async_nats::jetstream::{Message, stream};

use super::chain;
use super::nats::{self, NatsError};
use crate::config::Nats;
use crate::pipeline::events::LineOutcome;

/// Reason code.
pub const REASON: &str = "Sarf-Reason";
/// What was found.
pub const DETAIL: &str = "Sarf-Detail";
/// Subject that the event came on.
pub const SUBJECT: &str = "Sarf-Subject";
/// Its number in its stream.
pub const SEQUENCE: &str = "Sarf-Stream-Sequence";
/// Size in bytes of an event that was cut.
pub const CUT: &str = "Sarf-Cut";

/// Longest time between two puts of one event that the server takes for one.
pub const DUPLICATE_WINDOW: Duration = Duration::from_secs(3_600);
const KEPT: Duration = Duration::from_secs(90 * 86_400);
/// Room for our headers within the server's limit.
const HEADERS_MAX: usize = 4_096;
const DETAIL_MAX: usize = 1_000;
/// Letters under way at a time: below the client's own limit, beyond which it would wait for itself.
const UNDER_WAY_MAX: usize = 500;
/// A message whose letter could not be stored comes again after this time.
const AGAIN: Duration = Duration::from_secs(5);

/// Makes the stream for dead letters, unless one takes their subject already.
///
/// # Errors
/// When it is missing and cannot be made.
pub async fn ensure_stream(nats: &JetStream, settings: &Nats) -> Result<(), NatsError> {
    let config = stream::Config {
        name: format!("{}_DEAD", settings.stream),
        subjects: vec![settings.dead_letter_subject.clone()],
        storage: stream::StorageType::File,
        duplicate_window: DUPLICATE_WINDOW,
        max_age: KEPT,
        ..Default::default()
    };
    nats::ensure_stream(nats, config).await
}

/// Stores a dead letter for each refused message and then takes the message out of its stream; a message whose letter
/// could not be stored comes again.
///
/// # Errors
/// When the connection is closed.
pub async fn put(
    nats: &JetStream,
    subject: &str,
    refused: &[(&Message, &LineOutcome)],
) -> Result<(), NatsError> {
    for chunk in refused.chunks(UNDER_WAY_MAX) {
        let mut under_way = Vec::with_capacity(chunk.len());
        for (message, outcome) in chunk {
            let sent = nats.send_publish(subject.to_owned(), letter(nats, message, outcome)).await;
            under_way.push((message, sent));
        }
        for (message, sent) in under_way {
            let stored = match sent {
                Ok(answer) => answer.into_future().await,
                Err(error) => Err(error),
            };
            let kind = match stored {
                Ok(_) => AckKind::Term,
                Err(error) => {
                    tracing::warn!(
                        error = chain(&error),
                        "a dead letter is not stored: its event comes again"
                    );
                    AckKind::Nak(Some(AGAIN))
                }
            };
            message.ack_with(kind).await.map_err(NatsError::Send)?;
        }
    }
    Ok(())
}

fn letter(nats: &JetStream, message: &Message, outcome: &LineOutcome) -> PublishMessage {
    let mut headers = HeaderMap::new();
    headers.insert(REASON, outcome.code);
    headers.insert(DETAIL, one_line(&outcome.detail));
    headers.insert(SUBJECT, one_line(&message.subject));
    let room = nats.client().server_info().max_payload.saturating_sub(HEADERS_MAX);
    let mut payload = message.payload.clone();
    if payload.len() > room {
        headers.insert(CUT, payload.len().to_string());
        payload.truncate(room);
    }
    let mut letter = PublishMessage::build().payload(payload);
    // A stream that was made anew counts from 1 again: the time keeps its events apart from the old ones.
    if let Ok(info) = message.info() {
        headers.insert(SEQUENCE, info.stream_sequence.to_string());
        let at = info.published.unix_timestamp_nanos();
        letter = letter.headers(headers).message_id(format!("{}-{}-{at}", info.stream, info.stream_sequence));
    } else {
        letter = letter.headers(headers);
    }
    letter
}

/// A header is one line.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(DETAIL_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_one_short_line() {
        let check = |text: &str, expected: &str| assert_eq!(one_line(text), expected, "{text:?}");
        check("", "");
        check("field `amount`: not a number", "field `amount`: not a number");
        check("a\r\nNats-Msg-Id: b\tc\0", "a  Nats-Msg-Id: b c ");
        check("نص", "نص");
        check(&"é".repeat(2 * DETAIL_MAX), &"é".repeat(DETAIL_MAX));
    }
}
