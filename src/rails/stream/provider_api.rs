//! Providers that have our API (`docs/provider-api.yaml`): bulk, keys, signatures, a list of changes.

use futures_util::future::BoxFuture;
use reqwest::{Client, Method};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::http::{call, client, json};
use super::sign::{SIGNATURE, Secret, TIMESTAMP};
use super::wire::{
    AnswersBody, ChangesBody, KeysRequest, PutRequest, WireAnswer, WireEvent, WireOrder, WirePayee,
};
use super::{Answer, CallError, Changes, Instruction, StreamRail};
use crate::clock::Clock;
use crate::domain::money::Centimes;
use crate::domain::provider::StreamTerms;

/// Most changes asked for at once.
const CHANGES_MAX: usize = 5_000;

/// A provider with our API.
pub struct ProviderApi {
    client: Client,
    url: String,
    secret: Secret,
    clock: Clock,
    institution: String,
    orders_per_request: usize,
}

impl ProviderApi {
    /// Speaks to the provider of these terms, as `institution`.
    ///
    /// # Errors
    /// When no client can be made (TLS).
    pub fn new(
        terms: &StreamTerms,
        secret: Secret,
        clock: Clock,
        institution: &str,
    ) -> Result<Self, CallError> {
        Ok(Self {
            client: client(std::time::Duration::from_millis(terms.timeout_ms))?,
            url: terms.url.trim_end_matches('/').to_owned(),
            secret,
            clock,
            institution: institution.to_owned(),
            orders_per_request: terms.orders_per_request.max(1) as usize,
        })
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<T, CallError> {
        let bytes = body.map_or(Ok(Vec::new()), serde_json::to_vec);
        let bytes = bytes.expect("these bodies have no keys that JSON cannot write");
        let now = self.clock.now().unix_timestamp();
        let request = self
            .client
            .request(method, format!("{}{path}", self.url))
            .header("sarf-institution", &self.institution)
            .header(TIMESTAMP, now)
            .header(SIGNATURE, self.secret.sign(now, &bytes))
            .header("content-type", "application/json")
            .body(bytes);
        json(&call(request, &[], self.clock).await?)
    }

    async fn answers(&self, path: &str, body: &(impl Serialize + Sync)) -> Result<Vec<Answer>, CallError> {
        let body: AnswersBody = self.ask(Method::POST, path, Some(body)).await?;
        Ok(body.answers.into_iter().map(Answer::from).collect())
    }
}

impl From<WireAnswer> for Answer {
    fn from(said: WireAnswer) -> Self {
        Self { key: said.key, status: said.status, reason: said.reason, amount: said.amount.map(Centimes::new) }
    }
}

impl From<WireEvent> for Answer {
    fn from(said: WireEvent) -> Self {
        Self { key: said.key, status: said.status, reason: said.reason, amount: said.amount.map(Centimes::new) }
    }
}

impl From<&Instruction> for WireOrder {
    fn from(order: &Instruction) -> Self {
        Self {
            key: order.key.clone(),
            uetr: order.uetr.clone(),
            amount: order.amount.get(),
            currency: "MAD".to_owned(),
            means: order.means,
            payee: WirePayee {
                name: order.name.clone(),
                phone: order.phone.clone(),
                account: order.account.clone(),
                cin: order.cin.clone(),
            },
        }
    }
}

impl StreamRail for ProviderApi {
    fn orders_per_request(&self) -> usize {
        self.orders_per_request
    }

    fn tells_changes(&self) -> bool {
        true
    }

    fn put<'a>(&'a self, orders: &'a [Instruction]) -> BoxFuture<'a, Result<Vec<Answer>, CallError>> {
        Box::pin(async move {
            let body = PutRequest { orders: orders.iter().map(WireOrder::from).collect() };
            self.answers("/v1/orders", &body).await
        })
    }

    fn enquire<'a>(&'a self, keys: &'a [String]) -> BoxFuture<'a, Result<Vec<Answer>, CallError>> {
        Box::pin(async move { self.answers("/v1/orders/enquire", &KeysRequest { keys: keys.to_vec() }).await })
    }

    fn cancel<'a>(&'a self, keys: &'a [String]) -> BoxFuture<'a, Result<Vec<Answer>, CallError>> {
        Box::pin(async move { self.answers("/v1/orders/cancel", &KeysRequest { keys: keys.to_vec() }).await })
    }

    fn changes<'a>(&'a self, cursor: &'a str) -> BoxFuture<'a, Result<Changes, CallError>> {
        Box::pin(async move {
            let path = format!("/v1/changes?since={}&limit={CHANGES_MAX}", percent(cursor));
            let body: ChangesBody = self.ask(Method::GET, &path, None::<&()>).await?;
            let changes = body.changes.into_iter().map(Answer::from).collect();
            Ok(Changes { changes, cursor: body.cursor, more: body.more })
        })
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), CallError>> {
        Box::pin(async move {
            self.ask::<serde_json::Value>(Method::GET, "/v1/health", None::<&()>).await.map(drop)
        })
    }
}

/// A cursor as part of an address; the provider may choose any text.
fn percent(text: &str) -> String {
    let kept = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    text.bytes().map(|b| if kept(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
