//! A wallet switch (`docs/wallet-api.yaml`): single transfers to phone numbers, found again by their reference.
//!
//! Input: instructions, keys. Output: what the switch says of each transfer.
//! Guarantee: each order has an outcome of its own: answered; untouched, when its call surely had no effect; or neither,
//! when what the switch did is not known. Once a call of a bundle says that more are useless, no more are begun.
//! Limit: as many calls at once as the terms allow. It tells of no changes: what it has accepted must be asked about.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::{self, StreamExt as _};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, RequestBuilder, Url};
use serde::{Deserialize, Serialize};

use super::http::{self, AddressError, Reply, UNREADABLE};
use super::sign::Secret;
use super::wire::Status;
use super::{Answer, CallError, Changes, Instruction, Put, StreamRail, clean_reason};
use crate::clock::Clock;
use crate::domain::country;
use crate::domain::money::Centimes;
use crate::domain::provider::StreamTerms;

/// Header with the key that names us.
pub const API_KEY: &str = "x-api-key";
const BYTES_MAX: usize = 16_384;
const TRANSFER_ID_MAX: usize = 64;
/// No phone, no wallet (ISO 20022 external code: invalid proxy).
const NO_PHONE: &str = "BE23";

/// A wallet switch.
pub struct WalletApi {
    client: Client,
    base: Url,
    key: HeaderValue,
    label: String,
    clock: Clock,
    concurrency: usize,
}

/// `POST /transfers`.
#[derive(Serialize)]
struct NewTransfer<'a> {
    msisdn: &'a str,
    amount: String,
    currency: &'static str,
    reference: &'a str,
    label: &'a str,
}

/// A transfer as the switch knows it.
#[derive(Deserialize)]
struct Transfer {
    #[serde(rename = "transferId")]
    id: String,
    status: TransferStatus,
    code: Option<String>,
    reference: Option<String>,
    amount: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum TransferStatus {
    Pending,
    Completed,
    Failed,
    Reversed,
    /// None of these.
    #[serde(other)]
    Unknown,
}

/// Why there is no transfer.
#[derive(Deserialize)]
struct Refusal {
    error: Option<String>,
    code: Option<String>,
}

impl WalletApi {
    /// A switch at the address of its terms; `secret` is the key that it knows us by, `label` who pays, as the payee reads
    /// it.
    ///
    /// # Errors
    /// [`CallError::Unreachable`] when the address is none, or the key cannot stand in a header.
    pub fn new(
        client: Client,
        terms: &StreamTerms,
        secret: &Secret,
        clock: Clock,
        label: &str,
    ) -> Result<Self, CallError> {
        let key = HeaderValue::from_bytes(secret.reveal());
        let mut key = key.map_err(|_| http::refuse_address(AddressError::NotText))?;
        key.set_sensitive(true);
        let concurrency = if terms.concurrency == 0 { usize::MAX } else { terms.concurrency as usize };
        Ok(Self { client, base: http::base(&terms.url)?, key, label: label.to_owned(), clock, concurrency })
    }

    async fn call(&self, request: RequestBuilder, expected: &[u16]) -> Result<Reply, CallError> {
        http::call(request.header(API_KEY, self.key.clone()), expected, BYTES_MAX, self.clock).await
    }

    /// Makes a transfer, or finds the one that its reference has made.
    async fn transfer(&self, order: &Instruction) -> Result<Answer, CallError> {
        let Some(phone) = &order.phone else {
            // Nothing to send: nothing is paid, now or later.
            return Ok(answer(&order.key, Status::Rejected, Some(NO_PHONE), None));
        };
        let mut amount = Vec::new();
        order.amount.write_iso(&mut amount);
        let body = serde_json::to_vec(&NewTransfer {
            msisdn: phone,
            amount: String::from_utf8(amount).expect("digits and a point"),
            currency: country::currency(),
            reference: &order.key,
            label: &self.label,
        });
        let request = self.client.post(http::below(&self.base, &["transfers"]));
        let request =
            request.header(CONTENT_TYPE, "application/json").body(body.expect("texts can be written"));
        let reply = self.call(request, &[400, 409, 422]).await?;
        match reply.status {
            // Refused for what it is; without a code, the request as a whole was.
            400 | 422 => match serde_json::from_slice(&reply.body) {
                Ok(Refusal { code: Some(code), .. }) => {
                    Ok(answer(&order.key, Status::Rejected, Some(&code), None))
                }
                _ => Err(reply.undocumented()),
            },
            _ => Ok(told(&order.key, &read_transfer(&order.key, &reply)?)),
        }
    }

    async fn find(&self, key: &str) -> Result<Option<Transfer>, CallError> {
        let mut url = http::below(&self.base, &["transfers"]);
        url.query_pairs_mut().append_pair("reference", key);
        let reply = self.call(self.client.get(url), &[404]).await?;
        if reply.status != 404 {
            return read_transfer(key, &reply).map(Some);
        }
        // A 404 of something between us and the switch must not be taken for its word.
        match serde_json::from_slice(&reply.body) {
            Ok(Refusal { error: Some(error), .. }) if error == "unknown_reference" => Ok(None),
            _ => Err(reply.undocumented()),
        }
    }

    async fn enquire_one(&self, key: &str) -> Result<Answer, CallError> {
        let found = self.find(key).await?;
        Ok(found.map_or_else(|| answer(key, Status::NotFound, None, None), |t| told(key, &t)))
    }

    async fn cancel_one(&self, key: &str) -> Result<Answer, CallError> {
        let Some(transfer) = self.find(key).await? else {
            return Ok(answer(key, Status::NotFound, None, None));
        };
        if transfer.status != TransferStatus::Pending {
            return Ok(told(key, &transfer));
        }
        let url = http::below(&self.base, &["transfers", &transfer.id, "reversal"]);
        // 409: it was completed or failed meanwhile.
        let reply = self.call(self.client.post(url), &[409]).await?;
        Ok(told(key, &read_transfer(key, &reply)?))
    }

    /// Makes a transfer unless an earlier one of its bundle has shown that it would be useless.
    async fn transfer_unless<'a>(&self, useless: &AtomicBool, order: &'a Instruction) -> Outcome<'a> {
        if useless.load(Ordering::Relaxed) {
            return (order, None);
        }
        let outcome = self.transfer(order).await;
        if matches!(outcome, Err(CallError::Busy { .. } | CallError::Unreachable(_))) {
            useless.store(true, Ordering::Relaxed);
        }
        (order, Some(outcome))
    }

    async fn hand_over(&self, orders: &[Instruction]) -> Result<Put, CallError> {
        let useless = AtomicBool::new(false);
        let calls: Vec<BoxFuture<'_, Outcome<'_>>> =
            orders.iter().map(|order| self.transfer_unless(&useless, order).boxed()).collect();
        put_together(stream::iter(calls).buffer_unordered(self.concurrency).collect().await)
    }

    /// Asks of each key; a failure is told only where no key was answered.
    async fn each(
        &self,
        calls: Vec<BoxFuture<'_, Result<Answer, CallError>>>,
    ) -> Result<Vec<Answer>, CallError> {
        let (mut answers, mut fault) = (Vec::with_capacity(calls.len()), None);
        let mut calls = stream::iter(calls).buffer_unordered(self.concurrency);
        while let Some(outcome) = calls.next().await {
            match outcome {
                Ok(answer) => answers.push(answer),
                Err(error) => {
                    fault.get_or_insert(error);
                }
            }
        }
        match fault {
            Some(error) if answers.is_empty() => Err(error),
            _ => Ok(answers),
        }
    }

    async fn ping(&self) -> Result<(), CallError> {
        match self.call(self.client.get(http::below(&self.base, &["ping"])), &[]).await {
            // Whoever asks to wait is there.
            Ok(_) | Err(CallError::Busy { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl StreamRail for WalletApi {
    fn orders_per_request(&self) -> usize {
        1
    }

    fn tells_changes(&self) -> bool {
        false
    }

    fn put<'a>(&'a self, orders: &'a [Instruction]) -> BoxFuture<'a, Result<Put, CallError>> {
        self.hand_over(orders).boxed()
    }

    fn enquire<'a>(&'a self, keys: &'a [String]) -> BoxFuture<'a, Result<Vec<Answer>, CallError>> {
        self.each(keys.iter().map(|key| self.enquire_one(key).boxed()).collect()).boxed()
    }

    fn cancel<'a>(&'a self, keys: &'a [String]) -> BoxFuture<'a, Result<Vec<Answer>, CallError>> {
        self.each(keys.iter().map(|key| self.cancel_one(key).boxed()).collect()).boxed()
    }

    /// Nothing changes that it tells of.
    fn changes<'a>(&'a self, cursor: &'a str) -> BoxFuture<'a, Result<Changes, CallError>> {
        async move { Ok(Changes { cursor: cursor.to_owned(), ..Changes::default() }) }.boxed()
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), CallError>> {
        self.ping().boxed()
    }
}

type Outcome<'a> = (&'a Instruction, Option<Result<Answer, CallError>>);

/// What became of a bundle; an error where all of it failed in one way: nothing was done, or nothing is known.
fn put_together(outcomes: Vec<Outcome<'_>>) -> Result<Put, CallError> {
    let (mut put, mut idle, mut lost) = (Put::default(), None, None);
    for (order, outcome) in outcomes {
        match outcome {
            Some(Ok(answer)) => put.answers.push(answer),
            None => put.untouched.push(order.key.clone()),
            Some(Err(error @ (CallError::Busy { .. } | CallError::Unreachable(_)))) => {
                put.untouched.push(order.key.clone());
                if let CallError::Busy { retry_after } = &error {
                    put.retry_after = put.retry_after.max(*retry_after);
                }
                idle.get_or_insert(error);
            }
            Some(Err(error)) => {
                if lost.as_ref().is_none_or(|e: &CallError| !e.may_have_acted()) {
                    lost = Some(error);
                }
            }
        }
    }
    match (put.answers.is_empty(), idle, lost) {
        (true, Some(CallError::Busy { .. }), None) => Err(CallError::Busy { retry_after: put.retry_after }),
        (true, Some(error), None) | (true, None, Some(error)) => Err(error),
        _ => Ok(put),
    }
}

fn read_transfer(key: &str, reply: &Reply) -> Result<Transfer, CallError> {
    let transfer: Transfer = serde_json::from_slice(&reply.body).map_err(|_| reply.undocumented())?;
    let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    let id = &transfer.id;
    // It becomes part of an address: no `.` or `..`.
    let safe = (1..=TRANSFER_ID_MAX).contains(&id.len()) && id.bytes().all(fits) && !id.starts_with('.');
    let ours = transfer.reference.as_ref().is_none_or(|r| r == key);
    if safe && ours { Ok(transfer) } else { Err(UNREADABLE) }
}

fn told(key: &str, transfer: &Transfer) -> Answer {
    let status = match transfer.status {
        TransferStatus::Pending => Status::Accepted,
        TransferStatus::Completed => Status::Credited,
        TransferStatus::Failed => Status::Rejected,
        TransferStatus::Reversed => Status::Cancelled,
        TransferStatus::Unknown => Status::Unknown,
    };
    let reason = if status == Status::Rejected { transfer.code.as_deref() } else { None };
    answer(key, status, reason, transfer.amount.as_deref())
}

fn answer(key: &str, status: Status, reason: Option<&str>, amount: Option<&str>) -> Answer {
    Answer {
        key: key.to_owned(),
        status,
        reason: reason.map(|r| clean_reason(r.to_owned())),
        // An amount that cannot be read is none of ours: told as nothing, it cannot agree.
        amount: amount.map(|a| Centimes::parse_bytes(a.as_bytes()).unwrap_or(Centimes::ZERO)),
    }
}

#[cfg(test)]
#[path = "wallet_api_tests.rs"]
mod tests;
