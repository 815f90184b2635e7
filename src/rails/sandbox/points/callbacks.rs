//! Tells changes to whoever was agreed: signed, in bulk, at least once; twice, shuffled or never where faults say so.

use std::sync::Arc;
use std::time::Duration;

use super::{BEAT, Point, strikes};
use crate::rails::stream::sign::{SIGNATURE, TIMESTAMP};
use crate::rails::stream::wire::{CallbackBody, WireEvent};

/// Most changes in one callback.
const EVENTS_MAX: usize = 500;
const TIMEOUT: Duration = Duration::from_secs(10);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Tells a provider's changes until the sandbox ends.
pub(super) async fn tell(point: Arc<Point>) {
    let Some(base) = &point.options.callback_url else { return };
    let url = format!("{}/{}", base.trim_end_matches('/'), point.told.provider.code);
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build();
    let client = client.expect("a client without options of the outside");
    let (mut told, mut number) = (0, 0);
    loop {
        let events = point.book().changes(told, EVENTS_MAX);
        if events.is_empty() {
            tokio::time::sleep(BEAT).await;
            continue;
        }
        told += events.len();
        number += 1;
        for events in copies(&point, number, events) {
            send(&point, &client, &url, events).await;
        }
    }
}

/// What is sent of a callback: nothing, itself, or itself twice; in order or not.
fn copies(point: &Point, number: u64, mut events: Vec<WireEvent>) -> Vec<Vec<WireEvent>> {
    let (faults, dice, code) = (point.faults(), point.dice(), point.told.provider.code.as_str());
    if strikes(dice, faults.callbacks_shuffled, "shuffled", code, number) {
        events.sort_by_key(|event| dice.number("place", &event.id));
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
    let mut pause = Duration::from_millis(100);
    loop {
        let now = point.options.clock.now().unix_timestamp();
        let request = client
            .post(url)
            .header(TIMESTAMP, now)
            .header(SIGNATURE, point.told.secret.sign(now, &body))
            .header("content-type", "application/json")
            .body(body.clone());
        match request.send().await {
            Ok(response) if response.status().is_success() => return,
            Ok(response) if response.status().is_client_error() && response.status().as_u16() != 429 => {
                let (status, provider) = (response.status().as_u16(), point.told.provider.code.as_str());
                return tracing::warn!(status, provider, "a callback was refused");
            }
            Ok(_) | Err(_) => tokio::time::sleep(pause).await,
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}
