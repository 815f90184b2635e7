//! What goes wrong with a request, around what it does.
//!
//! Input: the faults switched on, the number of the request. Output: an answer instead, or the answer as it arrives.
//! Guarantee: drawn from the seed and the request's number; without faults an answer goes out as it was made.
//! Limit: which request bears which number hangs on the order they come in.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::{Point, strikes};
use crate::rails::stream::wire::WireAnswer;

/// Longer than any client waits.
const NEVER: Duration = Duration::from_secs(120);

/// What strikes a request, drawn by its number.
pub(super) struct Misfortune<'a> {
    point: &'a Point,
    number: u64,
}

impl<'a> Misfortune<'a> {
    /// Counts a request.
    pub fn of(point: &'a Point) -> Self {
        let mut book = point.book();
        book.counts.requests += 1;
        Self { point, number: book.counts.requests }
    }

    fn strikes(&self, share: super::Share, label: &str) -> bool {
        strikes(self.point.dice(), share, label, self.point.told.provider.code.as_str(), self.number)
    }

    /// What happens before anything is done; `Some` answers instead.
    pub async fn before(&self) -> Option<Response> {
        let faults = self.point.faults();
        if self.strikes(faults.slow, "slow") {
            let drawn = self.point.dice().number("latency", &self.number.to_string());
            let most = u64::try_from(faults.latency_max.as_millis()).unwrap_or(u64::MAX - 1);
            tokio::time::sleep(Duration::from_millis(drawn % (most + 1))).await;
        }
        if faults.outage {
            return Some(StatusCode::SERVICE_UNAVAILABLE.into_response());
        }
        if self.strikes(faults.busy, "busy") || self.too_many(faults.requests_per_second_max) {
            return Some((StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")]).into_response());
        }
        if self.strikes(faults.errors_before, "error before") {
            return Some(StatusCode::INTERNAL_SERVER_ERROR.into_response());
        }
        self.strikes(faults.cut_before, "cut before").then(cut)
    }

    /// What becomes of an answer after everything was done.
    pub async fn after(&self, answer: Vec<u8>) -> Response {
        let faults = self.point.faults();
        if self.strikes(faults.timeouts_after, "timeout after") {
            tokio::time::sleep(NEVER).await;
        }
        if self.strikes(faults.errors_after, "error after") {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        if self.strikes(faults.cut_after, "cut after") {
            return cut();
        }
        if self.strikes(faults.unreadable, "unreadable") {
            return "<html>Gateway</html>".into_response();
        }
        ([("content-type", "application/json")], answer).into_response()
    }

    /// Answers as they are told: half of them, or in another order, where faults say so.
    pub fn mangled(&self, mut answers: Vec<WireAnswer>) -> Vec<WireAnswer> {
        let faults = self.point.faults();
        if self.strikes(faults.partial, "partial") {
            answers.truncate(answers.len() / 2);
        }
        if self.strikes(faults.disordered, "disordered") {
            answers.reverse();
        }
        answers
    }

    fn too_many(&self, most: u32) -> bool {
        if most == 0 {
            return false;
        }
        let mut window = self.point.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if window.0.is_none_or(|began| now - began >= Duration::from_secs(1)) {
            *window = (Some(now), 0);
        }
        window.1 += 1;
        window.1 > most
    }
}

/// An answer that breaks off: the connection is closed.
fn cut() -> Response {
    let broken = futures_util::stream::iter([Err::<Bytes, _>(std::io::Error::other("cut"))]);
    Response::new(Body::from_stream(broken))
}
