//! The wallet switch's API: single transfers by phone number.

use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};

use super::Point;
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
    amount: Centimes,
}

/// A transfer's id is its reference, written backwards: known without a second index.
fn turned(text: &str) -> String {
    text.chars().rev().collect()
}

fn told(answer: WireAnswer) -> Vec<u8> {
    let status = match answer.status {
        Status::Credited | Status::Collected | Status::Available => "COMPLETED",
        Status::Rejected => "FAILED",
        Status::Cancelled | Status::Expired => "REVERSED",
        Status::Accepted | Status::NotFound => "PENDING",
    };
    let amount = Centimes::new(answer.amount.unwrap_or(0));
    let transfer = Transfer { transfer_id: turned(&answer.key), status, code: answer.reason, amount };
    serde_json::to_vec(&transfer).expect("texts and numbers")
}

fn authorised(point: &Point, headers: &HeaderMap) -> bool {
    headers.get("x-api-key").is_some_and(|key| key.as_bytes() == point.told.secret.reveal())
}

async fn put(State(point): State<Arc<Point>>, headers: HeaderMap, body: Bytes) -> Response {
    let misfortune = Misfortune::of(&point);
    if let Some(instead) = misfortune.before().await {
        return instead;
    }
    if !authorised(&point, &headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let Ok(request) = serde_json::from_slice::<TransferRequest>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let mut hash = std::hash::DefaultHasher::new();
    (&request.msisdn, request.amount, &request.currency).hash(&mut hash);
    let (answer, known) = {
        let how = point.how();
        let mut book = point.book();
        book.arrivals.push((Instant::now(), 1));
        let before = book.counts.orders;
        let order = New { key: &request.reference, amount: request.amount.get(), content: hash.finish() };
        let answer = book.put(&order, &how);
        (answer, book.counts.orders == before)
    };
    let mut response = misfortune.after(told(answer)).await;
    if response.status() == StatusCode::OK {
        *response.status_mut() = if known { StatusCode::CONFLICT } else { StatusCode::CREATED };
    }
    response
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
    if let Some(instead) = misfortune.before().await {
        return instead;
    }
    if !authorised(&point, &headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let answer = point.book().find(&asked.reference);
    if answer.status == Status::NotFound {
        return (StatusCode::NOT_FOUND, r#"{"error":"unknown_reference"}"#).into_response();
    }
    misfortune.after(told(answer)).await
}

async fn reverse(State(point): State<Arc<Point>>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    if !authorised(&point, &headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let now = point.options.clock.now();
    let answer = point.book().cancel(&turned(&id), now);
    let status = match answer.status {
        Status::NotFound => return StatusCode::NOT_FOUND.into_response(),
        Status::Cancelled => StatusCode::OK,
        _ => StatusCode::CONFLICT,
    };
    (status, told(answer)).into_response()
}

async fn ping(State(point): State<Arc<Point>>) -> Response {
    match Misfortune::of(&point).before().await {
        Some(instead) => instead,
        None => "{}".into_response(),
    }
}
