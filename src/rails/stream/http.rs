//! Calls over HTTP, and what their failures mean.
//!
//! Input: a request. Output: status and body, or a [`CallError`].
//! Guarantee: only what surely had no effect (no connection, 429, an unread or unauthorised request) is told as such;
//! all else is lost. Nothing is sent twice, no redirect or proxy is followed, every call ends by its time-out, and no
//! more of an answer is kept than asked for.
//! Limit: HTTP/1.1; with `https://` the system's certificate authorities decide (`SSL_CERT_FILE` names others).

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, Url};
use time::OffsetDateTime;

use super::CallError;
use crate::clock::Clock;
use crate::domain::provider::StreamTerms;

/// Longest that a connection may take to be made, TLS included.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Shorter than servers keep idle connections, so that a request seldom meets one that is just being closed.
const IDLE_MAX: Duration = Duration::from_secs(10);
const KEEPALIVE: Duration = Duration::from_secs(30);
/// Most that is read of an answer that tells of a failure.
const REFUSAL_BYTES_MAX: usize = 4_096;
/// A longer wait than a day is no rate limit.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(86_400);

/// Why an address is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not `http://…` or `https://…`, or with a query, a fragment or a password.
    #[error("the address is not a plain http or https address")]
    Malformed,
    /// The institution or the secret cannot stand in a header.
    #[error("the institution or the secret is not plain text")]
    NotText,
    /// The provider has no API to call.
    #[error("the provider is not called: it fetches work lists")]
    NotCalled,
}

/// A client for one provider, with connections of its own.
///
/// # Errors
/// [`CallError::Unreachable`] when the address is none, or TLS has no certificate authorities.
pub fn client(terms: &StreamTerms) -> Result<Client, CallError> {
    // Another part of the process may have done so already.
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let timeout = Duration::from_millis(terms.timeout_ms);
    let builder = Client::builder()
        .user_agent(concat!("sarf/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_MAX.min(timeout / 2))
        .timeout(timeout)
        .pool_idle_timeout(IDLE_MAX)
        .tcp_keepalive(KEEPALIVE)
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy();
    // Without TLS no authorities need be there.
    let builder = if base(&terms.url)?.scheme() == "http" { builder.tls_certs_only([]) } else { builder };
    builder.build().map_err(|e| CallError::Unreachable(Box::new(e.without_url())))
}

/// A provider's base address.
///
/// # Errors
/// [`CallError::Unreachable`] when it is none.
pub fn base(url: &str) -> Result<Url, CallError> {
    let found = Url::parse(url).ok().filter(|u| {
        let plain = u.query().is_none() && u.fragment().is_none() && u.password().is_none();
        matches!(u.scheme(), "http" | "https") && u.username().is_empty() && plain
    });
    found.ok_or_else(|| refuse_address(AddressError::Malformed))
}

/// No call can ever be made.
pub(super) fn refuse_address(error: AddressError) -> CallError {
    CallError::Unreachable(Box::new(error))
}

/// An address below a base.
pub(super) fn below(base: &Url, path: &[&str]) -> Url {
    let mut url = base.clone();
    url.path_segments_mut().expect("http addresses have a path").pop_if_empty().extend(path);
    url
}

/// What was answered.
#[derive(Debug)]
pub(super) struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Body, whole.
    pub body: Vec<u8>,
}

impl Reply {
    /// What an answer means that is none of the documented ones.
    pub(super) fn undocumented(&self) -> CallError {
        if (200..300).contains(&self.status) { UNREADABLE } else { refusal(self.status, None) }
    }
}

/// An answer that cannot be read.
pub(super) const UNREADABLE: CallError = CallError::Lost { what: "unreadable" };

/// Makes one call. Answers with a status of `expected` are given as they are, as those of success are.
///
/// # Errors
/// See [`CallError`].
pub(super) async fn call(
    request: RequestBuilder,
    expected: &[u16],
    body_max: usize,
    clock: Clock,
) -> Result<Reply, CallError> {
    let mut response = request.send().await.map_err(not_answered)?;
    let status = response.status().as_u16();
    if response.status().is_success() {
        return Ok(Reply { status, body: read(&mut response, body_max).await? });
    }
    let refused = refusal(status, retry_after(response.headers(), clock.now()));
    // Read in any case, so that the connection can be used again. The status alone tells what was not done.
    match read(&mut response, REFUSAL_BYTES_MAX).await {
        Ok(body) if expected.contains(&status) => Ok(Reply { status, body }),
        _ => Err(refused),
    }
}

fn not_answered(error: reqwest::Error) -> CallError {
    // A request that could not be built was never sent either. Addresses may hold what is nobody's business.
    if error.is_connect() || error.is_builder() {
        CallError::Unreachable(Box::new(error.without_url()))
    } else {
        interrupted(&error)
    }
}

fn interrupted(error: &reqwest::Error) -> CallError {
    CallError::Lost { what: if error.is_timeout() { "timeout" } else { "cut" } }
}

async fn read(response: &mut Response, bytes_max: usize) -> Result<Vec<u8>, CallError> {
    let told = response.content_length().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    let mut body = Vec::with_capacity(told.min(bytes_max));
    while let Some(chunk) = response.chunk().await.map_err(|e| interrupted(&e))? {
        if body.len() + chunk.len() > bytes_max {
            return Err(CallError::Lost { what: "too large" });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What a status means that is not one of success.
fn refusal(status: u16, retry_after: Option<Duration>) -> CallError {
    let what = match status {
        429 => return CallError::Busy { retry_after },
        400 | 401 | 403 | 404 | 413 | 415 | 422 => return CallError::Refused { status },
        500 => "status 500",
        502 => "status 502",
        503 => "status 503",
        504 => "status 504",
        501 | 505.. => "status 5xx",
        400..500 => "status 4xx",
        _ => "status 3xx",
    };
    CallError::Lost { what }
}

/// Retry-After: seconds, or a date (RFC 9110, section 10.2.3); at most a day.
pub fn retry_after(headers: &HeaderMap, now: OffsetDateTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Some(text.parse().map_or(RETRY_AFTER_MAX, Duration::from_secs).min(RETRY_AFTER_MAX));
    }
    let format = time::macros::format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    let at = time::PrimitiveDateTime::parse(text, format).ok()?.assume_utc();
    // A time that has passed is no wait.
    Some(Duration::try_from(at - now).unwrap_or_default().min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::super::testing::{Reply as Played, Server, terms};
    use super::*;

    const BODY_MAX: usize = 64;

    fn told(outcome: &Result<Reply, CallError>) -> String {
        match outcome {
            Ok(reply) => format!("{} {}", reply.status, String::from_utf8_lossy(&reply.body)),
            Err(CallError::Busy { retry_after }) => format!("busy {retry_after:?}"),
            Err(CallError::Unreachable(_)) => "unreachable".into(),
            Err(CallError::Refused { status }) => format!("refused {status}"),
            Err(CallError::Lost { what }) => format!("lost {what}"),
        }
    }

    async fn check(played: Played, expected: &str) {
        let shown = format!("{played:?}");
        let server = Server::start(move |_| played.clone()).await;
        let clock = Clock::fixed(datetime!(2026-11-24 09:00 UTC));
        let client = client(&terms(&server.url)).unwrap();
        let request = client.post(below(&base(&server.url).unwrap(), &["v1", "x"])).body("{}");
        let outcome = call(request, &[409], BODY_MAX, clock).await;
        assert_eq!(told(&outcome), expected, "{shown}");
        assert_eq!(server.seen().len(), 1, "one call, whatever comes of it");
        assert_eq!(server.seen()[0].line, "POST /base/v1/x");
    }

    #[tokio::test]
    async fn what_a_status_means() {
        let json = |status| Played::Json(status, "{}".into());
        check(json(200), "200 {}").await;
        check(json(201), "201 {}").await;
        check(json(409), "409 {}").await;
        for status in [400, 401, 403, 404, 413, 415, 422] {
            check(json(status), &format!("refused {status}")).await;
        }
        for (status, what) in [(302, "3xx"), (405, "4xx"), (408, "4xx"), (501, "5xx"), (599, "5xx")] {
            check(json(status), &format!("lost status {what}")).await;
        }
        for status in [500, 502, 503, 504] {
            check(json(status), &format!("lost status {status}")).await;
        }
        check(json(429), "busy None").await;
        check(Played::Header(429, "Retry-After: 7"), "busy Some(7s)").await;
        check(Played::Header(429, "Retry-After: Tue, 24 Nov 2026 09:00:30 GMT"), "busy Some(30s)").await;
        check(Played::Header(503, "Retry-After: 7"), "lost status 503").await;
        check(Played::Header(302, "Location: /elsewhere"), "lost status 3xx").await;
    }

    #[tokio::test]
    async fn what_broken_answers_mean() {
        check(Played::Cut, "lost cut").await;
        check(Played::Raw("SSH-2.0-OpenSSH\r\n\r\n"), "lost cut").await;
        check(Played::Raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"), "lost cut").await;
        check(Played::Raw("HTTP/1.1 409 X\r\ncontent-length: 9\r\n\r\nhalf"), "lost status 4xx").await;
        check(Played::Raw("HTTP/1.1 400 X\r\ncontent-length: 9\r\n\r\nhalf"), "refused 400").await;
        check(Played::Stall("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"), "lost timeout").await;
        check(Played::Stall(""), "lost timeout").await;
        let late = Played::Late(Duration::from_secs(2), Box::new(Played::Json(200, "{}".into())));
        check(late, "lost timeout").await;
        let soon = Played::Late(Duration::from_millis(100), Box::new(Played::Json(200, "{}".into())));
        check(soon, "200 {}").await;
        check(Played::Json(200, "x".repeat(BODY_MAX)), &format!("200 {}", "x".repeat(BODY_MAX))).await;
        check(Played::Json(200, "x".repeat(BODY_MAX + 1)), "lost too large").await;
        check(Played::Json(409, "x".repeat(5_000)), "lost status 4xx").await;
        check(Played::Raw("HTTP/1.1 200 OK\r\n\r\n{}"), "200 {}").await;
    }

    #[tokio::test]
    async fn nobody_there_is_unreachable() {
        // A port that was free a moment ago.
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let url = format!("http://{address}");
        let request = client(&terms(&url)).unwrap().get(&url);
        let outcome = call(request, &[], BODY_MAX, Clock::system()).await;
        assert_eq!(told(&outcome), "unreachable");
        assert!(!outcome.unwrap_err().may_have_acted());
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let check = |value: Option<&str>, expected: Option<u64>| {
            let headers: HeaderMap = value.map(|v| (RETRY_AFTER, v.parse().unwrap())).into_iter().collect();
            let found = retry_after(&headers, datetime!(2026-11-24 09:00 UTC));
            assert_eq!(found, expected.map(Duration::from_secs), "{value:?}");
        };
        check(None, None);
        check(Some("0"), Some(0));
        check(Some(" 120 "), Some(120));
        check(Some("99999999999999999999999"), Some(86_400));
        check(Some("Tue, 24 Nov 2026 09:00:30 GMT"), Some(30));
        check(Some("Tue, 24 Nov 2026 08:00:00 GMT"), Some(0));
        check(Some("Fri, 24 Nov 2028 08:00:00 GMT"), Some(86_400));
        for unreadable in ["", "-1", "+1", "1.5", "soon", "24 Nov 2026"] {
            check(Some(unreadable), None);
        }
    }

    #[test]
    fn an_address_is_plain() {
        let check = |url: &str, expected: Option<&str>| {
            let found = base(url).ok().map(|u| below(&u, &["v1", "a b/c"]).to_string());
            assert_eq!(found.as_deref(), expected, "{url}");
        };
        check("http://127.0.0.1:8710/wallet", Some("http://127.0.0.1:8710/wallet/v1/a%20b%2Fc"));
        check("https://pay.example/", Some("https://pay.example/v1/a%20b%2Fc"));
        check("https://pay.example", Some("https://pay.example/v1/a%20b%2Fc"));
        for malformed in [
            "ftp://x",
            "pay.example",
            "https://u:p@pay.example",
            "https://x/?a=b",
            "https://x/#a",
            "unix:/x",
            "",
        ] {
            check(malformed, None);
        }
    }
}
