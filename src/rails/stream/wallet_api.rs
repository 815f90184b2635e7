//! A wallet switch (`docs/wallet-api.yaml`): single transfers to phone numbers, found again by their reference.
//!
//! Input: instructions, keys. Output: what the switch says of each transfer.
//! Guarantee: a call's failure says whether the switch can have acted on it. Limit: one transfer a call ([`super::singly`]).

use futures_util::future::{BoxFuture, FutureExt as _};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, RequestBuilder, Url};
use serde::{Deserialize, Serialize};

use super::http::{self, AddressError, Reply, UNREADABLE};
use super::sign::Secret;
use super::singly::{SingleOrders, Singly};
use super::wire::Status;
use super::{Answer, CallError, Instruction, clean_reason};
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
    ) -> Result<Singly<Self>, CallError> {
        let key = HeaderValue::from_bytes(secret.reveal());
        let mut key = key.map_err(|_| http::refuse_address(AddressError::NotText))?;
        key.set_sensitive(true);
        let api = Self { client, base: http::base(&terms.url)?, key, label: label.to_owned(), clock };
        Ok(Singly::new(api, terms))
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

    async fn reverse(&self, key: &str) -> Result<Answer, CallError> {
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
}

impl SingleOrders for WalletApi {
    fn put_one<'a>(&'a self, order: &'a Instruction) -> BoxFuture<'a, Result<Answer, CallError>> {
        self.transfer(order).boxed()
    }

    fn enquire_one<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Answer, CallError>> {
        async move {
            let found = self.find(key).await?;
            Ok(found.map_or_else(|| answer(key, Status::NotFound, None, None), |t| told(key, &t)))
        }
        .boxed()
    }

    fn cancel_one<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Answer, CallError>> {
        self.reverse(key).boxed()
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), CallError>> {
        async move { self.call(self.client.get(http::below(&self.base, &["ping"])), &[]).await.map(drop) }
            .boxed()
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
