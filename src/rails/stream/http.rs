//! One way to make a request to a provider, and to tell how one that failed, failed.
//!
//! Guarantee: what may have had an effect is told as [`CallError::Lost`]; only a connection that never stood, a plain
//! refusal (4xx) and a request to wait (429) are told otherwise. Every request ends in time; a body is read up to a bound.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::CallError;
use crate::clock::Clock;

/// A longer answer is unreadable.
const ANSWER_BYTES_MAX: usize = 64 << 20;
const CONNECT_MAX: Duration = Duration::from_secs(5);
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// A client whose requests end after `timeout`; no redirects, no proxy.
pub(super) fn client(timeout: Duration) -> Result<Client, CallError> {
    // Set by whoever comes first in the process; the same for all.
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .timeout(timeout)
        .connect_timeout(CONNECT_MAX.min(timeout))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .tcp_keepalive(KEEP_ALIVE)
        .tcp_nodelay(true)
        .build()
        .map_err(|error| CallError::Unreachable(Box::new(error)))
}

/// What a provider said: its status and the bytes.
pub(super) struct Said {
    pub status: StatusCode,
    pub body: Vec<u8>,
}

/// Makes a request and reads the answer; statuses in `also` are answers too.
pub(super) async fn call(request: RequestBuilder, also: &[u16], clock: Clock) -> Result<Said, CallError> {
    let mut response = request.send().await.map_err(classify)?;
    let status = response.status();
    if !status.is_success() && !also.contains(&status.as_u16()) {
        return Err(match status.as_u16() {
            429 => CallError::Busy { retry_after: retry_after(response.headers(), clock.now()) },
            code @ 400..500 if code != 408 => CallError::Refused { status: code },
            _ => CallError::Lost { what: "failed inside" },
        });
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(classify)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(CallError::Lost { what: "too long" });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Said { status, body })
}

/// Reads an answer's JSON.
pub(super) fn json<T: DeserializeOwned>(said: &Said) -> Result<T, CallError> {
    serde_json::from_slice(&said.body).map_err(|_| CallError::Lost { what: "unreadable" })
}

fn classify(error: reqwest::Error) -> CallError {
    // Before a connection stands nothing can have been sent.
    if error.is_connect() || error.is_builder() {
        CallError::Unreachable(Box::new(error.without_url()))
    } else if error.is_timeout() {
        CallError::Lost { what: "timeout" }
    } else {
        CallError::Lost { what: "cut" }
    }
}

/// `Retry-After`, in seconds or as a date.
fn retry_after(headers: &HeaderMap, now: OffsetDateTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = OffsetDateTime::parse(&text.replace("GMT", "+0000"), &Rfc2822).ok()?;
    Duration::try_from(at - now).ok()
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = datetime!(2026-11-24 09:00 UTC);
        for (text, expected) in [
            ("7", Some(7)),
            ("Tue, 24 Nov 2026 09:01:00 GMT", Some(60)),
            ("Tue, 24 Nov 2026 08:00:00 GMT", None),
            ("soon", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
            assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
