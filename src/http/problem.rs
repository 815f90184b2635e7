//! What a caller is told when a request is not done: a status and a JSON body `{"error", "hint"}`.
//!
//! Guarantee: nothing personal, nothing secret and nothing of the database's own words.

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::domain::hint::{Hint, NextStep};
use crate::store::StoreError;

/// A refusal.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    error: Cow<'static, str>,
    hint: NextStep,
    retry_after: Option<Duration>,
}

impl Problem {
    pub(super) fn new(
        status: StatusCode,
        error: impl Into<Cow<'static, str>>,
        hint: impl Into<NextStep>,
    ) -> Self {
        Self { status, error: error.into(), hint: hint.into(), retry_after: None }
    }

    /// What the engine refused, with the next step that stands beside the error.
    pub(super) fn of(status: StatusCode, error: &impl Hint) -> Self {
        Self::new(status, error.to_string(), error.hint().unwrap_or("see docs/api.yaml".into()))
    }

    pub(super) fn bad(error: impl Into<Cow<'static, str>>, hint: impl Into<NextStep>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error, hint)
    }

    pub(super) fn unauthorised(error: impl Into<Cow<'static, str>>, hint: impl Into<NextStep>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, error, hint)
    }

    pub(super) fn forbidden(error: impl Into<Cow<'static, str>>, hint: impl Into<NextStep>) -> Self {
        Self::new(StatusCode::FORBIDDEN, error, hint)
    }

    pub(super) fn not_found(error: impl Into<Cow<'static, str>>, hint: impl Into<NextStep>) -> Self {
        Self::new(StatusCode::NOT_FOUND, error, hint)
    }

    pub(super) fn too_large(error: impl Into<Cow<'static, str>>, hint: impl Into<NextStep>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, error, hint)
    }

    /// Come again later.
    pub(super) fn later(status: StatusCode, error: &'static str, after: Duration) -> Self {
        let problem = Self::new(status, error, "send the same request again after `Retry-After` seconds");
        Self { retry_after: Some(after), ..problem }
    }

    /// The database did not do as asked: the details are for the log.
    pub(super) fn store(error: &StoreError) -> Self {
        let source = std::error::Error::source(error).map(ToString::to_string);
        tracing::error!(%error, source, "a request could not be done");
        Self::later(
            StatusCode::SERVICE_UNAVAILABLE,
            "the service cannot work just now",
            Duration::from_secs(5),
        )
    }

    /// The body as it is sent.
    pub(super) fn body(&self) -> String {
        json!({ "error": self.error, "hint": self.hint }).to_string()
    }

    /// By status, where something else than a handler refused.
    pub(super) fn of_status(status: StatusCode) -> Self {
        let (error, hint) = match status {
            StatusCode::NOT_FOUND => ("there is nothing here", "see docs/api.yaml for what is served"),
            StatusCode::METHOD_NOT_ALLOWED => {
                ("this cannot be done here", "see docs/api.yaml for the methods of each path")
            }
            _ => ("the request cannot be understood", "see docs/api.yaml"),
        };
        Self::new(status, error, hint)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(after) = self.retry_after {
            // Whole seconds, and never too early.
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }
}

/// Gives a refusal that is not JSON (a router's own) the form of the others.
pub(super) fn in_json(response: Response) -> Response {
    let status = response.status();
    let is_json = response.headers().get(CONTENT_TYPE).is_some_and(|t| t == "application/json");
    if !(status.is_client_error() || status.is_server_error()) || is_json {
        return response;
    }
    let mut problem = Problem::of_status(status).into_response();
    if let Some(allow) = response.headers().get(ALLOW) {
        problem.headers_mut().insert(ALLOW, allow.clone());
    }
    problem
}

/// A JSON answer.
pub(super) fn json_response(status: StatusCode, body: &impl serde::Serialize) -> Response {
    let text = serde_json::to_string(body).expect("answers are JSON");
    (status, [(CONTENT_TYPE, "application/json")], text).into_response()
}
