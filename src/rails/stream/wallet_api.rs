//! The wallet switch: single transfers by phone number, known again by our reference. It tells nothing by itself.

use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use futures_util::future::BoxFuture;
use futures_util::stream;
use reqwest::{Client, RequestBuilder};
use serde::{Deserialize, Serialize};

use super::http::{call, client, json};
use super::sign::Secret;
use super::wire::Status;
use super::{Answer, CallError, Changes, Instruction, StreamRail};
use crate::clock::Clock;
use crate::domain::money::Centimes;
use crate::domain::provider::StreamTerms;

/// Times that a transfer which surely had no effect is made.
const TRIES_MAX: u32 = 4;
const PAUSE: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// A wallet switch.
pub struct WalletApi {
    client: Client,
    url: String,
    key: Secret,
    clock: Clock,
    concurrency: usize,
}

#[derive(Serialize)]
struct TransferRequest<'a> {
    msisdn: &'a str,
    amount: String,
    currency: &'static str,
    reference: &'a str,
    label: &'static str,
}

/// A transfer as the switch tells of it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Transfer {
    transfer_id: String,
    status: TransferStatus,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    amount: Option<Centimes>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum TransferStatus {
    Completed,
    Pending,
    Failed,
    Reversed,
}

impl Transfer {
    fn answer(self, key: &str) -> Answer {
        let status = match self.status {
            TransferStatus::Completed => Status::Credited,
            TransferStatus::Pending => Status::Accepted,
            TransferStatus::Failed => Status::Rejected,
            TransferStatus::Reversed => Status::Cancelled,
        };
        Answer { key: key.to_owned(), status, reason: self.code, amount: self.amount }
    }
}

impl WalletApi {
    /// Speaks to the switch of these terms.
    ///
    /// # Errors
    /// When no client can be made (TLS).
    pub fn new(terms: &StreamTerms, key: Secret, clock: Clock) -> Result<Self, CallError> {
        Ok(Self {
            client: client(Duration::from_millis(terms.timeout_ms))?,
            url: terms.url.trim_end_matches('/').to_owned(),
            key,
            clock,
            concurrency: terms.concurrency.max(1) as usize,
        })
    }

    fn authorised(&self, request: RequestBuilder) -> RequestBuilder {
        request.header("x-api-key", self.key.reveal())
    }

    async fn transfer(&self, order: &Instruction) -> Result<Answer, CallError> {
        let Some(phone) = &order.phone else { return Err(CallError::Refused { status: 422 }) };
        let body = TransferRequest {
            msisdn: phone,
            amount: order.amount.to_string(),
            currency: "MAD",
            reference: &order.key,
            label: "AIDE SOCIALE DIRECTE",
        };
        let bytes = serde_json::to_vec(&body).expect("texts are written");
        let request = self.client.post(format!("{}/transfers", self.url)).header("content-type", "application/json");
        // 409: the reference is known; the body tells of the transfer that bears it.
        let said = call(self.authorised(request.body(bytes)), &[409], self.clock).await?;
        Ok(json::<Transfer>(&said)?.answer(&order.key))
    }

    /// A transfer that surely had no effect is made again here: its neighbours' answers cannot wait for another call.
    async fn patient_transfer(&self, order: &Instruction) -> Result<Answer, CallError> {
        for tries in 1..TRIES_MAX {
            let pause = match self.transfer(order).await {
                Err(CallError::Busy { retry_after }) => retry_after.unwrap_or(PAUSE * tries).min(PAUSE_MAX),
                Err(CallError::Unreachable(_)) => PAUSE * tries,
                outcome => return outcome,
            };
            tokio::time::sleep(pause).await;
        }
        self.transfer(order).await
    }

    async fn find(&self, key: &str) -> Result<Option<Transfer>, CallError> {
        let request = self.client.get(format!("{}/transfers?reference={key}", self.url));
        let said = call(self.authorised(request), &[404], self.clock).await?;
        if said.status.as_u16() == 404 { Ok(None) } else { json(&said).map(Some) }
    }

    async fn standing(&self, key: &str) -> Result<Answer, CallError> {
        Ok(self.find(key).await?.map_or_else(|| not_found(key), |found| found.answer(key)))
    }

    /// Makes single calls, as many at once as the switch allows.
    async fn all(
        &self,
        calls: Vec<BoxFuture<'_, Result<Answer, CallError>>>,
    ) -> Result<Vec<Answer>, CallError> {
        gather(stream::iter(calls).buffer_unordered(self.concurrency).collect().await)
    }

    async fn reverse(&self, key: &str) -> Result<Answer, CallError> {
        let Some(transfer) = self.find(key).await? else { return Ok(not_found(key)) };
        if !matches!(transfer.status, TransferStatus::Pending) {
            return Ok(transfer.answer(key));
        }
        let request = self.client.post(format!("{}/transfers/{}/reversal", self.url, transfer.transfer_id));
        // 409: credited meanwhile.
        let said = call(self.authorised(request), &[409], self.clock).await?;
        Ok(json::<Transfer>(&said)?.answer(key))
    }
}

fn not_found(key: &str) -> Answer {
    Answer { key: key.to_owned(), status: Status::NotFound, reason: None, amount: None }
}

/// The answers there are; when there is none, the first failure that may have had an effect, else the first of all. An order
/// without an answer among others is for its caller to ask about.
fn gather(outcomes: Vec<Result<Answer, CallError>>) -> Result<Vec<Answer>, CallError> {
    let (mut answers, mut fault) = (Vec::with_capacity(outcomes.len()), None);
    for outcome in outcomes {
        match outcome {
            Ok(answer) => answers.push(answer),
            Err(error) if error.may_have_acted() => fault = Some(error),
            Err(error) => fault = fault.or(Some(error)),
        }
    }
    match fault {
        Some(error) if answers.is_empty() => Err(error),
        _ => Ok(answers),
    }
}

impl StreamRail for WalletApi {
    fn orders_per_request(&self) -> usize {
        1
    }

    fn tells_changes(&self) -> bool {
        false
    }

    fn put<'a>(&'a self, orders: &'a [Instruction]) -> BoxFuture<'a, Result<Vec<Answer>, CallError>> {
        Box::pin(async move {
            self.all(orders.iter().map(|order| self.patient_transfer(order).boxed()).collect()).await
        })
    }

    fn enquire<'a>(&'a self, keys: &'a [String]) -> BoxFuture<'a, Result<Vec<Answer>, CallError>> {
        Box::pin(async move {
            self.all(keys.iter().map(|key| self.standing(key).boxed()).collect()).await
        })
    }

    fn cancel<'a>(&'a self, keys: &'a [String]) -> BoxFuture<'a, Result<Vec<Answer>, CallError>> {
        Box::pin(async move {
            self.all(keys.iter().map(|key| self.reverse(key).boxed()).collect()).await
        })
    }

    fn changes<'a>(&'a self, cursor: &'a str) -> BoxFuture<'a, Result<Changes, CallError>> {
        Box::pin(async move { Ok(Changes { cursor: cursor.to_owned(), ..Changes::default() }) })
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), CallError>> {
        Box::pin(async move {
            let request = self.client.get(format!("{}/ping", self.url));
            call(self.authorised(request), &[], self.clock).await.map(drop)
        })
    }
}
