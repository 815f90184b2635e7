//! The wallet switch's API (`docs/wallet-api.yaml`): single transfers by phone number.
//!
//! Input: transfers, references. Output: the transfer as the switch knows it.
//! Guarantee: a reference has effect once. Limit: a transfer's id is its reference, written backwards.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};

use super::Point;
use super::api::is_key;
use super::book::New;
use super::misfortune::Misfortune;
use crate::domain::money::Centimes;
use crate::rails::stream::wire::{Status, WireAnswer};

pub(super) fn pages() -> Router<Arc<Point>> {
    Router::new()
        .route("/transfers", post(put).get(find))
        .route("/transfers/{id}/reversal", post(reverse))
        .route("/ping", get(ping))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TransferRequest {
    msisdn: String,
    amount: Centimes,
    currency: String,
    reference: String,
    #[expect(dead_code, reason = "part of the API")]
    label: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Transfer {
    transfer_id: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    reference: String,
    amount: Centimes,
}

/// The id of a reference's transfer, and back: known without a second index.
fn turned(text: &str) -> String {
    text.chars().rev().collect()
}

fn told(answer: WireAnswer) -> Vec<u8> {
    let status = match answer.status {
        Status::Credited | Status::Collected | Status::Available => "COMPLETED",
        Status::Rejected => "FAILED",
        Status::Cancelled | Status::Expired => "REVERSED",
        Status::Accepted | Status::NotFound | Status::Unknown => "PENDING",
    };
    let transfer = Transfer {
        transfer_id: turned(&answer.key),
        status,
        code: answer.reason,
        reference: answer.key,
        amount: Centimes::new(answer.amount.unwrap_or(0)),
    };
    serde_json::to_vec(&transfer).expect("texts and numbers")
}

fn authorised(point: &Point, headers: &HeaderMap) -> bool {
    headers.get("x-api-key").is_some_and(|key| key.as_bytes() == point.told.secret.reveal())
}

/// The answer of one who is struck by misfortune or may not ask.
pub(super) async fn turned_away(
    misfortune: &Misfortune<'_>,
    point: &Point,
    headers: &HeaderMap,
) -> Option<Response> {
    match misfortune.before().await {
        Some(instead) => Some(instead),
        None => (!authorised(point, headers)).then(|| StatusCode::UNAUTHORIZED.into_response()),
    }
}

/// Gives an answer that came through this status.
async fn answered(misfortune: &Misfortune<'_>, status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = misfortune.after(body).await;
    if response.status() == StatusCode::OK {
        *response.status_mut() = status;
    }
    response
}

async fn put(State(point): State<Arc<Point>>, headers: HeaderMap, body: Bytes) -> Response {
    let misfortune = Misfortune::of(&point);
    if let Some(instead) = turned_away(&misfortune, &point, &headers).await {
        return instead;
    }
    let request = serde_json::from_slice::<TransferRequest>(&body).ok().filter(|r| is_key(&r.reference));
    let Some(request) = request else { return StatusCode::BAD_REQUEST.into_response() };
    let mut hash = DefaultHasher::new();
    (&request.msisdn, request.amount, &request.currency).hash(&mut hash);
    let new = New {
        key: &request.reference,
        amount: request.amount.get(),
        currency: &request.currency,
        content: hash.finish(),
    };
    let (answer, is_new) = {
        let (how, mut book) = (point.how(), point.book());
        book.arrive(1);
        book.put(&new, &how)
    };
    let status = if is_new { StatusCode::CREATED } else { StatusCode::CONFLICT };
    answered(&misfortune, status, told(answer)).await
}

#[derive(Deserialize)]
struct ByReference {
    reference: String,
}

async fn find(
    State(point): State<Arc<Point>>,
    headers: HeaderMap,
    Query(asked): Query<ByReference>,
) -> Response {
    let misfortune = Misfortune::of(&point);
    if let Some(instead) = turned_away(&misfortune, &point, &headers).await {
        return instead;
    }
    let answer = point.book().find(&asked.reference);
    if answer.status == Status::NotFound {
        let unknown = br#"{"error":"unknown_reference"}"#.to_vec();
        return answered(&misfortune, StatusCode::NOT_FOUND, unknown).await;
    }
    misfortune.after(told(answer)).await
}

async fn reverse(State(point): State<Arc<Point>>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    let misfortune = Misfortune::of(&point);
    if let Some(instead) = turned_away(&misfortune, &point, &headers).await {
        return instead;
    }
    let now = point.options.clock.now();
    let answer = point.book().cancel(&turned(&id), now);
    let status = match answer.status {
        Status::NotFound => return StatusCode::NOT_FOUND.into_response(),
        // Repeated, it gives the same answer.
        Status::Cancelled => StatusCode::OK,
        _ => StatusCode::CONFLICT,
    };
    answered(&misfortune, status, told(answer)).await
}

pub(super) async fn ping(State(point): State<Arc<Point>>, headers: HeaderMap) -> Response {
    let misfortune = Misfortune::of(&point);
    match turned_away(&misfortune, &point, &headers).await {
        Some(instead) => instead,
        None => misfortune.after(b"{}".to_vec()).await,
    }
}
