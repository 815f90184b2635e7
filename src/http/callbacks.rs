//! `POST /v1/callbacks/{provider}`: a provider tells of its orders.
//!
//! Guarantee: the signature of the agreed secret is always verified; its headers are read before the body; where a token is
//! sent as well, it must be good, and the body then has the room of those who are known.
//! `200` only after the commit, so a provider that repeats until then loses nothing.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::response::Response;
use serde_json::json;

use super::api::{ApiState, signature};
use super::gate::Paced;
use super::problem::{Problem, json_response};
use crate::domain::money::Centimes;
use crate::pipeline::access::tokens::Scope;
use crate::pipeline::dispatch::stream::recorder::RecorderError;
use crate::pipeline::messages::record::Source;
use crate::rails::stream::Answer;
use crate::rails::stream::sign::{Claimed, SignatureError};
use crate::rails::stream::wire::{CallbackBody, Status, WireEvent};

/// Most changes in one callback.
const EVENTS_MAX: usize = 10_000;
/// Longest key or reason (ISO 20022: 35).
const TEXT_MAX: usize = 35;

pub(super) async fn take(
    State(state): State<Arc<ApiState>>,
    Path(provider): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let provider = state.provider(&provider)?.code.as_str();
    let headers = request.headers().clone();
    let caller = match headers.contains_key(AUTHORIZATION) {
        true => Some(state.gate.admit(&headers, Scope::Callbacks, Some(provider)).await?),
        false => None,
    };
    let unsigned = |error: SignatureError| Problem::of(StatusCode::UNAUTHORIZED, &error);
    let (timestamp, signed) = signature(&headers);
    let now = state.context.clock.now().unix_timestamp();
    // Before anything is read: what is not signed at all, or was signed long ago, costs nothing.
    let claimed = Claimed::read(timestamp, signed, now).map_err(unsigned)?;
    let secret = state.secret(provider)?;
    let (body, _room) = state.body(caller.as_deref(), request).await?;
    secret.proves(&claimed, &body).map_err(unsigned)?;
    // After the signature: nobody else can use a provider's pace up.
    state.gate.pace(&Paced::Provider(provider.to_owned()))?;
    let reports = read(&body)?;
    let taken = reports.len();
    state.recorder.take(provider, Source::Callback, reports).await.map_err(|error| refused(&error))?;
    Ok(json_response(StatusCode::OK, &json!({ "taken": taken })))
}

fn refused(error: &RecorderError) -> Problem {
    let (what, seconds) = match error {
        RecorderError::Full => ("too many reports are waiting", 2),
        RecorderError::Stopped => ("the service is stopping", 5),
        RecorderError::Failed => ("the reports could not be recorded", 5),
    };
    Problem::later(StatusCode::SERVICE_UNAVAILABLE, what, Duration::from_secs(seconds))
}

fn read(body: &[u8]) -> Result<Vec<Answer>, Problem> {
    let body: CallbackBody = serde_json::from_slice(body).map_err(|error| {
        // Its place only: the parser's own words repeat what was sent.
        let what = format!("the body cannot be read at line {}, column {}", error.line(), error.column());
        Problem::bad(what, "see CallbackBody in docs/provider-api.yaml")
    })?;
    if body.events.len() > EVENTS_MAX {
        return Err(Problem::too_large(
            format!("a callback tells of at most {EVENTS_MAX} changes"),
            "send it in several requests",
        ));
    }
    body.events.into_iter().enumerate().map(|(place, event)| answer(place, event)).collect()
}

fn answer(place: usize, event: WireEvent) -> Result<Answer, Problem> {
    let bad = |field: &str, what: &str| {
        Problem::bad(format!("events[{place}].{field} {what}"), "see CallbackBody in docs/provider-api.yaml")
    };
    if event.key.is_empty() || event.key.len() > TEXT_MAX {
        return Err(bad("key", "is empty or too long"));
    }
    if event.status == Status::NotFound {
        return Err(bad("status", "is no change"));
    }
    if event.reason.as_ref().is_some_and(|r| r.len() > TEXT_MAX) {
        return Err(bad("reason", "is too long"));
    }
    if event.amount.is_some_and(|a| a <= 0) {
        return Err(bad("amount", "is not a positive number of centimes"));
    }
    Ok(Answer {
        key: event.key,
        status: event.status,
        reason: event.reason.filter(|r| !r.is_empty()),
        amount: event.amount.map(Centimes::new),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_read_whole_or_refused() {
        let event = |extra: &str| {
            format!(r#"{{"id":"1","key":"K","status":"collected","at":"2026-11-24T09:00:00Z"{extra}}}"#)
        };
        let check = |events: &str, expected: Result<usize, &str>| {
            let body = format!(r#"{{"events":[{events}]}}"#);
            let read = read(body.as_bytes()).map(|r| r.len()).map_err(|p| p.body());
            match (read, expected) {
                (Ok(count), Ok(expected)) => assert_eq!(count, expected, "{events}"),
                (Err(body), Err(expected)) => assert!(body.contains(expected), "{body}"),
                (read, _) => panic!("{events}: {read:?}"),
            }
        };
        let good = event("");
        check("", Ok(0));
        check(&format!("{good},{good}"), Ok(2));
        check(&event(r#","amount":50000,"reason":"AC04","shop":3"#), Ok(1));
        check(&format!("{good},{}", event(r#","amount":0"#)), Err("events[1].amount"));
        check(&good.replace("\"K\"", "\"\""), Err("events[0].key"));
        check(&good.replace("collected", "not_found"), Err("events[0].status"));
        // A status that is not known is taken, and becomes a break.
        check(&good.replace("collected", "stolen"), Ok(1));
        check(&good.replace("\"collected\"", "7"), Err("line 1, column"));
        check(&vec![good; EVENTS_MAX + 1].join(","), Err("at most 10000 changes"));
    }
}
