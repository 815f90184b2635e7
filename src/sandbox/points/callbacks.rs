//! Tells changes to whoever was agreed: signed, in bulk, at least once; twice, shuffled, late or never where faults say so.
//!
//! Input: the list of changes. Output: callbacks.
//! Guarantee: a callback that is not taken is sent again, signed anew, with growing pauses and not before `Retry-After`.
//! Limit: one callback at a time; one that is refused (4xx) is given up, for the list of changes tells of it all the same.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::header::RETRY_AFTER;

use super::{BEAT, Point, strikes};
use crate::rails::stream::sign::{SIGNATURE, TIMESTAMP};
use crate::rails::stream::wire::{CallbackBody, WireEvent};

/// Most changes in one callback.
const EVENTS_MAX: usize = 500;
const TIMEOUT: Duration = Duration::from_secs(10);
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// Tells a provider's changes until the sandbox ends.
pub(super) async fn tell(point: Arc<Point>) {
    let Some(base) = &point.options.callback_url else { return };
    let url = format!("{}/{}", base.trim_end_matches('/'), point.told.provider.code);
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build();
    let client = client.expect("a client without options of the outside");
    let (mut taken, mut number, mut late) = (0, 0, Vec::new());
    loop {
        let events = point.book().changes(taken, EVENTS_MAX);
        if events.is_empty() && late.is_empty() {
            tokio::time::sleep(BEAT).await;
            continue;
        }
        taken += events.len();
        let mut bodies = Vec::new();
        if !events.is_empty() {
            number += 1;
            bodies = copies(&point, number, events);
            let (faults, code) = (point.faults(), point.told.provider.code.as_str());
            if late.is_empty() && strikes(point.dice(), faults.callbacks_late, "late", code, number) {
                late = bodies;
                // It is overtaken by what comes meanwhile.
                tokio::time::sleep(BEAT * 2).await;
                continue;
            }
        }
        for events in bodies.into_iter().chain(std::mem::take(&mut late)) {
            send(&point, &client, &url, events).await;
        }
        point.callbacks_done.store(taken, Ordering::Release);
    }
}

/// What is sent of a callback: nothing, itself, or itself twice; in order or not.
fn copies(point: &Point, number: u64, mut events: Vec<WireEvent>) -> Vec<Vec<WireEvent>> {
    let (faults, dice, code) = (point.faults(), point.dice(), point.told.provider.code.as_str());
    if strikes(dice, faults.callbacks_shuffled, "shuffled", code, number) {
        events.sort_by_cached_key(|event| dice.number("place", &event.id));
    }
    if strikes(dice, faults.callbacks_lost, "lost", code, number) {
        Vec::new()
    } else if strikes(dice, faults.callbacks_twice, "twice", code, number) {
        vec![events.clone(), events]
    } else {
        vec![events]
    }
}

/// Sends a callback until it is taken, or refused for good.
async fn send(point: &Point, client: &reqwest::Client, url: &str, events: Vec<WireEvent>) {
    let body = serde_json::to_vec(&CallbackBody { events }).expect("texts and numbers");
    let mut pause = PAUSE_MIN;
    loop {
        let now = point.options.clock.now().unix_timestamp();
        let request = client
            .post(url)
            .header(TIMESTAMP, now)
            .header(SIGNATURE, point.told.secret.sign(now, &body))
            .header("content-type", "application/json")
            .body(body.clone());
        let mut asked = Duration::ZERO;
        match request.send().await {
            Ok(response) if response.status().is_success() => return,
            Ok(response) if response.status().is_client_error() && response.status().as_u16() != 429 => {
                let (status, provider) = (response.status().as_u16(), point.told.provider.code.as_str());
                return tracing::warn!(status, provider, "a callback was refused");
            }
            Ok(response) => asked = retry_after(&response),
            Err(_) => {}
        }
        tokio::time::sleep(pause.max(asked)).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

fn retry_after(response: &reqwest::Response) -> Duration {
    let seconds =
        response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    seconds.map_or(Duration::ZERO, Duration::from_secs).min(RETRY_AFTER_MAX)
}
