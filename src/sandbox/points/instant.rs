//! A bank's instant lane (`docs/instant-api.yaml`): pacs.008 in, pacs.002 out, pacs.028 answered.
//!
//! Guarantee: a transfer has effect once; sent again it is refused as a second delivery, as instant lanes do.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};

use super::Point;
use super::api::is_key;
use super::book::New;
use super::misfortune::Misfortune;
use super::wallet::turned_away;
use crate::domain::money::Centimes;
use crate::iso20022::values::MessageHeader;
use crate::rails::stream::wire::{Status, WireAnswer};
use crate::sandbox::wire::instant::{self, Asked};

pub(super) fn pages() -> Router<Arc<Point>> {
    Router::new()
        .route("/transfers", post(transfer))
        .route("/status-requests", post(status))
        .route("/ping", get(super::wallet::ping))
}

/// What stands where in a report.
fn told(answer: &WireAnswer) -> (&'static str, Option<&str>) {
    match answer.status {
        Status::Credited | Status::Collected | Status::Available => ("ACSC", None),
        Status::Accepted | Status::Unknown => ("ACSP", None),
        Status::Rejected | Status::Cancelled | Status::Expired => {
            ("RJCT", Some(answer.reason.as_deref().unwrap_or("AC04")))
        }
        Status::NotFound => ("RJCT", Some("NOOR")),
    }
}

async fn report(
    misfortune: &Misfortune<'_>,
    point: &Point,
    asked: &Asked,
    said: (&str, Option<&str>),
    amount: Option<i64>,
) -> Response {
    let header = MessageHeader {
        msg_id: format!("S{:016X}", point.dice().number("report", &asked.msg_id)),
        created: Some(point.options.clock.now()),
    };
    let amount = amount.filter(|a| *a > 0).map(Centimes::new);
    let body = instant::write_report(&header, asked, said, amount).expect("ids were looked at");
    let mut response = misfortune.after(body).await;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/xml"));
    response
}

/// What a request asks, where it can be read.
fn read(body: &[u8]) -> Option<Asked> {
    instant::read(body).ok().filter(|asked| is_key(&asked.end_to_end_id))
}

async fn transfer(State(point): State<Arc<Point>>, headers: HeaderMap, body: Bytes) -> Response {
    let misfortune = Misfortune::of(&point);
    if let Some(instead) = turned_away(&misfortune, &point, &headers).await {
        return instead;
    }
    let Some(asked) = read(&body) else { return StatusCode::BAD_REQUEST.into_response() };
    let Some(amount) = asked.amount else { return StatusCode::BAD_REQUEST.into_response() };
    let mut hash = DefaultHasher::new();
    (&asked.creditor, amount, &asked.currency).hash(&mut hash);
    let new = New {
        key: &asked.end_to_end_id,
        amount: amount.get(),
        currency: &asked.currency,
        content: hash.finish(),
    };
    let (answer, is_new) = {
        let (how, mut book) = (point.how(), point.book());
        book.arrive(1);
        book.put(&new, &how)
    };
    let said = if is_new { told(&answer) } else { ("RJCT", Some("AM05")) };
    report(&misfortune, &point, &asked, said, answer.amount).await
}

async fn status(State(point): State<Arc<Point>>, headers: HeaderMap, body: Bytes) -> Response {
    let misfortune = Misfortune::of(&point);
    if let Some(instead) = turned_away(&misfortune, &point, &headers).await {
        return instead;
    }
    let Some(asked) = read(&body) else { return StatusCode::BAD_REQUEST.into_response() };
    let answer = point.book().find(&asked.end_to_end_id);
    report(&misfortune, &point, &asked, told(&answer), answer.amount).await
}
