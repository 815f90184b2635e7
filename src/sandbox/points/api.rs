//! The provider API (`docs/provider-api.yaml`), as a payment institution would serve it.
//!
//! Input: signed requests. Output: one answer for each order or key; pages of changes.
//! Guarantee: a request is read whole and found sound before anything is done of it; its orders are taken under one lock.
//! Limit: the debtor that `Sarf-Institution` names is not told apart: a sandbox has one.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Point;
use super::book::{Book, New};
use super::misfortune::Misfortune;
use crate::rails::stream::sign::{SIGNATURE, TIMESTAMP};
use crate::rails::stream::wire::{AnswersBody, ChangesBody, KeysRequest, PutRequest, WireAnswer, WireOrder};

/// Most changes in one list.
const CHANGES_MAX: usize = 5_000;
const BODY_BYTES_MAX: usize = 16 << 20;

pub(super) fn pages() -> Router<Arc<Point>> {
    Router::new()
        .route("/v1/orders", post(put))
        .route("/v1/orders/enquire", post(enquire))
        .route("/v1/orders/cancel", post(cancel))
        .route("/v1/changes", get(changes))
        .route("/v1/health", get(health))
        .layer(axum::extract::DefaultBodyLimit::max(BODY_BYTES_MAX))
}

/// Whether a key is one: what stands in settlement files and addresses needs no escapes.
pub(super) fn is_key(key: &str) -> bool {
    (1..=35).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

/// A request whose signature holds, read; else the refusal.
#[expect(clippy::result_large_err, reason = "the refusal is the answer")]
fn read<T: DeserializeOwned>(point: &Point, headers: &HeaderMap, body: &[u8]) -> Result<T, Response> {
    authorised(point, headers, body)?;
    serde_json::from_slice(body)
        .map_err(|error| refused(&format!("line {} column {}", error.line(), error.column())))
}

fn refused(why: &str) -> Response {
    (StatusCode::BAD_REQUEST, format!("{{\"error\":\"{why}\"}}")).into_response()
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
    let mut hash = DefaultHasher::new();
    let payee = &order.payee;
    (&order.uetr, order.amount, &order.currency, order.means as u8).hash(&mut hash);
    (&payee.name, &payee.phone, &payee.account, &payee.cin).hash(&mut hash);
    hash.finish()
}

/// The refusal of a request that is too large, or has a key that is none.
fn unsound<'a>(point: &Point, mut keys: impl ExactSizeIterator<Item = &'a str>) -> Option<Response> {
    let most = point.told.provider.stream.as_ref().map_or(0, |t| t.orders_per_request as usize);
    if keys.len() > most {
        return Some(StatusCode::PAYLOAD_TOO_LARGE.into_response());
    }
    keys.position(|key| !is_key(key)).map(|at| refused(&format!("key {at}")))
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
    if let Some(refusal) = unsound(&point, request.orders.iter().map(|order| order.key.as_str())) {
        return refusal;
    }
    let news = request.orders.iter().map(|order| New {
        key: &order.key,
        amount: order.amount,
        currency: &order.currency,
        content: content(order),
    });
    // Hashed before the lock is taken.
    let news: Vec<New<'_>> = news.collect();
    let answers = {
        let (how, mut book) = (point.how(), point.book());
        book.arrive(news.len());
        news.iter().map(|new| book.put(new, &how).0).collect()
    };
    misfortune.after(json(misfortune.mangled(answers))).await
}

async fn enquire(State(point): State<Arc<Point>>, headers: HeaderMap, body: Bytes) -> Response {
    by_key(&point, &headers, &body, |book, key| book.find(key)).await
}

async fn cancel(State(point): State<Arc<Point>>, headers: HeaderMap, body: Bytes) -> Response {
    let now = point.options.clock.now();
    by_key(&point, &headers, &body, |book, key| book.cancel(key, now)).await
}

async fn by_key(
    point: &Point,
    headers: &HeaderMap,
    body: &[u8],
    act: impl Fn(&mut Book, &str) -> WireAnswer,
) -> Response {
    let misfortune = Misfortune::of(point);
    if let Some(instead) = misfortune.before().await {
        return instead;
    }
    let request: KeysRequest = match read(point, headers, body) {
        Ok(request) => request,
        Err(refusal) => return refusal,
    };
    if let Some(refusal) = unsound(point, request.keys.iter().map(String::as_str)) {
        return refusal;
    }
    let answers = {
        let mut book = point.book();
        request.keys.iter().map(|key| act(&mut book, key)).collect()
    };
    misfortune.after(json(misfortune.mangled(answers))).await
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
    let Ok(from) = (if asked.since.is_empty() { Ok(0) } else { asked.since.parse() }) else {
        return refused("since");
    };
    let body = {
        let book = point.book();
        // A cursor from before a restart may lie beyond what there is: nothing has changed since.
        let from = book.changed().min(from);
        let changes = book.changes(from, asked.limit.unwrap_or(CHANGES_MAX).clamp(1, CHANGES_MAX));
        let next = from + changes.len();
        ChangesBody { changes, cursor: next.to_string(), more: next < book.changed() }
    };
    misfortune.after(serde_json::to_vec(&body).expect("texts and numbers")).await
}

async fn health(State(point): State<Arc<Point>>) -> Response {
    let misfortune = Misfortune::of(&point);
    match misfortune.before().await {
        Some(instead) => instead,
        None => misfortune.after(br#"{"status":"ok"}"#.to_vec()).await,
    }
}

fn json(answers: Vec<WireAnswer>) -> Vec<u8> {
    serde_json::to_vec(&AnswersBody { answers }).expect("texts and numbers")
}
