//! State changes told to an address: rows of the outbox as newline-delimited JSON, by `POST`, signed.
//!
//! Input: rows in the order of their ids. Output: all of them taken, or none.
//! Guarantee: taken means an answer 2xx; the body is signed as callbacks are (`rails::stream::sign`); redirects are not
//! followed, and a connection, an answer and its size have limits.
//! Limit: an answer that was lost leaves it open whether the rows were taken, so they come again: receivers drop a row
//! whose id is not above the last one of its subject.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::BoxFuture;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use time::OffsetDateTime;

use super::outbox::{Delivery, Sink, SinkError, line};
use crate::clock::Clock;
use crate::domain::hint::{Hint, NextStep};
use crate::files;
use crate::rails::stream::sign::{SIGNATURE, Secret, TIMESTAMP};
use crate::store::batches::outbox::OutboxRow;

/// Longest time to connect, and for a whole call.
const CONNECT_MAX: Duration = Duration::from_secs(5);
const CALL_MAX: Duration = Duration::from_secs(15);
/// What is read of an answer, so that the connection can be used again.
const ANSWER_BYTES_MAX: usize = 65_536;
/// A shorter secret protects nothing.
const SECRET_BYTES_MIN: usize = 16;

/// Why changes cannot be told to an address.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The address cannot be used.
    #[error("the webhook's address is not an `https://` or `http://` address")]
    Address,
    /// The file with the secret.
    #[error("secret `{}` cannot be read", path.display())]
    Secret {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Fewer than 16 bytes.
    #[error("secret `{}` is shorter than {SECRET_BYTES_MIN} bytes", .0.display())]
    TooShort(PathBuf),
    /// The client or the call.
    #[error("the webhook could not be called")]
    Call(#[source] reqwest::Error),
    /// An answer other than 2xx.
    #[error("the webhook answered {0}")]
    Status(u16),
}

impl Hint for WebhookError {
    fn hint(&self) -> Option<NextStep> {
        Some(match self {
            Self::Address => "correct the address in sarf.toml, part [events.out]".into(),
            Self::Secret { .. } | Self::TooShort(_) => {
                format!("put the secret agreed with the receiver there: {SECRET_BYTES_MIN} bytes or more")
                    .into()
            }
            Self::Call(_) | Self::Status(_) => {
                "see that the receiver is up and takes the message: it is sent again by itself".into()
            }
        })
    }

    fn system_hint(&self) -> Option<NextStep> {
        match self {
            Self::Secret { path, source } => files::path_hint(path, source),
            _ => None,
        }
    }
}

#[cfg(test)]
crate::domain::hint::samples!(WebhookError {
    Self::Address => Self::Address,
    Self::Secret { .. } => Self::Secret { path: "secret".into(), source: std::io::ErrorKind::NotFound.into() },
    Self::TooShort(_) => Self::TooShort("secret".into()),
    Self::Status(_) => Self::Status(500);
    Self::Call(_),
});

/// An address that changes are told to.
pub struct Webhook {
    client: reqwest::Client,
    url: reqwest::Url,
    secret: Secret,
    clock: Clock,
}

impl Webhook {
    /// Reads the secret and makes a client; calls nobody.
    ///
    /// # Errors
    /// When the address is none, or the secret is missing, unreadable or too short.
    pub fn open(url: &str, secret_file: &Path, clock: Clock) -> Result<Self, WebhookError> {
        // Another part of the process may have done so already.
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let url = reqwest::Url::parse(url).map_err(|_| WebhookError::Address)?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(WebhookError::Address);
        }
        let secret = files::read_secret(secret_file)
            .map_err(|source| WebhookError::Secret { path: secret_file.to_owned(), source })?;
        let secret = secret.trim_ascii();
        if secret.len() < SECRET_BYTES_MIN {
            return Err(WebhookError::TooShort(secret_file.to_owned()));
        }
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_MAX)
            .timeout(CALL_MAX)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(WebhookError::Call)?;
        Ok(Self { client, url, secret: Secret::new(secret), clock })
    }

    async fn post(&self, rows: &[OutboxRow]) -> Result<(), SinkError> {
        let body: String = rows.iter().map(line).collect();
        let now = self.clock.now();
        let signature = self.secret.sign(now.unix_timestamp(), body.as_bytes());
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/x-ndjson")
            .header(TIMESTAMP, now.unix_timestamp())
            .header(SIGNATURE, signature)
            .body(body);
        // The address may carry a token of its own.
        let mut answer = request.send().await.map_err(|e| WebhookError::Call(e.without_url()))?;
        let status = answer.status();
        if !status.is_success() {
            let retry_after = retry_after(answer.headers(), now);
            return Err(SinkError { retry_after, source: Box::new(WebhookError::Status(status.as_u16())) });
        }
        let mut read = 0;
        while let Ok(Some(chunk)) = answer.chunk().await {
            read += chunk.len();
            if read > ANSWER_BYTES_MAX {
                break;
            }
        }
        Ok(())
    }
}

impl From<WebhookError> for SinkError {
    fn from(error: WebhookError) -> Self {
        Self { retry_after: None, source: Box::new(error) }
    }
}

impl Sink for Webhook {
    fn publish<'a>(&'a self, rows: &'a [OutboxRow]) -> BoxFuture<'a, Delivery> {
        Box::pin(async move {
            match self.post(rows).await {
                Ok(()) => Delivery { taken: rows.iter().map(|r| r.id).collect(), fault: None },
                Err(fault) => Delivery { taken: Vec::new(), fault: Some(fault) },
            }
        })
    }
}

/// Retry-After: seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap, now: OffsetDateTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let format = time::macros::format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    let at = time::PrimitiveDateTime::parse(text, format).ok()?.assume_utc();
    Some(Duration::try_from(at - now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = time::macros::datetime!(2026-11-24 09:00 UTC);
        let check = |value: Option<&str>, expected: Option<u64>| {
            let headers =
                value.map(|v| (RETRY_AFTER, v.parse().expect("a header"))).into_iter().collect::<HeaderMap>();
            assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{value:?}");
        };
        check(None, None);
        check(Some("7"), Some(7));
        check(Some(" 120 "), Some(120));
        check(Some("Tue, 24 Nov 2026 09:00:30 GMT"), Some(30));
        check(Some("Tue, 24 Nov 2026 08:00:00 GMT"), Some(0));
        check(Some("-1"), None);
        check(Some("soon"), None);
    }

    #[test]
    fn an_address_and_a_secret_are_needed() {
        let folder = std::env::temp_dir().join(format!("sarf-webhook-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (short, good) = (folder.join("short"), folder.join("good"));
        let open = folder.join("open");
        files::replace(&short, b"too short\n").unwrap();
        files::replace(&good, b"sixteen bytes and more\n").unwrap();
        std::fs::write(&open, "sixteen bytes and more\n").unwrap();
        std::fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        let check = |url: &str, file: &Path, expected: &str| {
            let found = match Webhook::open(url, file, Clock::system()) {
                Ok(_) => "opened".to_owned(),
                Err(error) => format!("{error:?}").split(['(', ' ']).next().unwrap().to_owned(),
            };
            assert_eq!(found, expected, "{url} {}", file.display());
        };
        check("https://example.org/sarf", &good, "opened");
        check("https://example.org/sarf", &short, "TooShort");
        check("https://example.org/sarf", &folder.join("missing"), "Secret");
        check("https://example.org/sarf", &open, "Secret");
        check("ftp://example.org/sarf", &good, "Address");
        check("example", &good, "Address");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
