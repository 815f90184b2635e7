//! The provider API, as a payment institution would serve it.

use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Point;
use super::book::New;
use super::misfortune::Misfortune;
use crate::rails::stream::sign::{SIGNATURE, TIMESTAMP};
use crate::rails::stream::wire::{AnswersBody, ChangesBody, KeysRequest, PutRequest, WireAnswer, WireOrder};

/// Most changes in one list.
const CHANGES_MAX: usize = 5_000;

pub(super) fn pages() -> Router<Arc<Point>> {
    Router::new()
        .route("/v1/orders", post(put))
        .route("/v1/orders/enquire", post(enquire))
        .route("/v1/orders/cancel", post(cancel))
        .route("/v1/changes", get(changes))
        .route("/v1/health", get(health))
        .layer(axum::extract::DefaultBodyLimit::max(16 << 20))
}

/// A request whose signature holds, read; else the refusal.
#[expect(clippy::result_large_err, reason = "the refusal is the answer")]
fn read<T: DeserializeOwned>(point: &Point, headers: &HeaderMap, body: &[u8]) -> Result<T, Response> {
    authorised(point, headers, body)?;
    serde_json::from_slice(body).map_err(|error| {
        (
            StatusCode::BAD_REQUEST,
            format!("{{\"error\":\"line {} column {}\"}}", error.line(), error.column()),
        )
            .into_response()
    })
}

#[expect(clippy::result_large_err, reason = "the refusal is the answer")]
fn authorised(point: &Point, headers: &HeaderMap, body: &[u8]) -> Result<(), Response> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let now = point.options.clock.now().unix_timestamp();
    let verified = point.told.secret.verify(header(TIMESTAMP), header(SIGNATURE), body, now);
    verified.map_err(|error| (StatusCode::UNAUTHORIZED, format!("{{\"error\":\"{error}\"}}")).into_response())
}

/// What tells one content under a key from another.
fn content(order: &WireOrder) -> u64 {
    let mut hash = std::hash::DefaultHasher::new();
    let payee = &order.payee;
    (&order.uetr, order.amount, &order.currency, order.means as u8).hash(&mut hash);
    (&payee.name, &payee.phone, &payee.account).hash(&mut hash);
    hash.finish()
}

async fn put(State(point): State<Arc<Point>>, headers: HeaderMap, body: Bytes) -> Response {
    let misfortune = Misfortune::of(&point);
    if let Some(instead) = misfortune.before().await {
        return instead;
    }
    let request: PutRequest = match read(&point, &headers, &body) {
        Ok(request) => request,
        Err(refusal) => return refusal,
    };
    let most = point.told.provider.stream.as_ref().map_or(0, |t| t.orders_per_request as usize);
    if request.orders.len() > most {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    }
    let mut answers: Vec<WireAnswer> = {
        let how = point.how();
        let mut book = point.book();
        book.arrivals.push((Instant::now(), request.orders.len() as u32));
        let take = |order: &WireOrder| {
            book.put(&New { key: &order.key, amount: order.amount, content: content(order) }, &how)
        };
        request.orders.iter().map(take).collect()
    };
    if misfortune.is_partial() {
        answers.truncate(answers.len() / 2);
        answers.reverse();
    }
    misfortune.after(json(answers)).await
}

async fn enquire(State(point): State<Arc<Point>>, headers: HeaderMap, body: Bytes) -> Response {
    by_key(&point, &headers, &body, |point, key| point.book().find(key)).await
}

async fn cancel(State(point): State<Arc<Point>>, headers: HeaderMap, body: Bytes) -> Response {
    by_key(&point, &headers, &body, |point, key| point.book().cancel(key, point.options.clock.now())).await
}

async fn by_key(
    point: &Point,
    headers: &HeaderMap,
    body: &[u8],
    act: impl Fn(&Point, &str) -> WireAnswer,
) -> Response {
    let misfortune = Misfortune::of(point);
    if let Some(instead) = misfortune.before().await {
        return instead;
    }
    match read::<KeysRequest>(point, headers, body) {
        Err(refusal) => refusal,
        Ok(request) => {
            let answers = request.keys.iter().map(|key| act(point, key)).collect();
            misfortune.after(json(answers)).await
        }
    }
}

#[derive(Deserialize)]
struct Since {
    #[serde(default)]
    since: String,
    limit: Option<usize>,
}

async fn changes(
    State(point): State<Arc<Point>>,
    headers: HeaderMap,
    Query(asked): Query<Since>,
) -> Response {
    let misfortune = Misfortune::of(&point);
    if let Some(instead) = misfortune.before().await {
        return instead;
    }
    if let Err(refusal) = authorised(&point, &headers, b"") {
        return refusal;
    }
    let from = asked.since.parse().unwrap_or(0);
    let body = {
        let book = point.book();
        let changes = book.changes(from, asked.limit.unwrap_or(CHANGES_MAX).min(CHANGES_MAX));
        let next = from + changes.len();
        ChangesBody { changes, cursor: next.to_string(), more: next < book.changed() }
    };
    misfortune.after(serde_json::to_vec(&body).expect("texts and numbers")).await
}

async fn health(State(point): State<Arc<Point>>) -> Response {
    let misfortune = Misfortune::of(&point);
    match misfortune.before().await {
        Some(instead) => instead,
        None => ([("content-type", "application/json")], "{}").into_response(),
    }
}

fn json(answers: Vec<WireAnswer>) -> Vec<u8> {
    serde_json::to_vec(&AnswersBody { answers }).expect("texts and numbers")
}
