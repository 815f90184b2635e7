//! An instant lane that speaks ISO 20022 over HTTP (`docs/instant-api.yaml`): pacs.008 out, pacs.002 back, pacs.028 to ask.
//!
//! Input: instructions, keys. Output: what the bank says of each transfer.
//! Guarantee: silence is not an answer: it stays unknown until pacs.028 is answered. A refusal for being a second delivery says
//! nothing of the first: the bank is asked, and nothing is sent again.
//! Limit: one transfer a call ([`super::singly`]); an instant transfer is not cancelled: a recall asks where it stands.

use futures_util::future::{BoxFuture, FutureExt as _};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, RequestBuilder, Url};
use time::UtcOffset;

use super::http::{self, AddressError, Reply, UNREADABLE};
use super::sign::Secret;
use super::singly::{SingleOrders, Singly};
use super::wallet_api::API_KEY;
use super::wire::Status;
use super::{Answer, CallError, Instruction, Payer, clean_reason};
use crate::clock::Clock;
use crate::domain::country;
use crate::domain::file_profile::ID_MAX;
use crate::domain::money::Centimes;
use crate::domain::policy::is_second_delivery;
use crate::domain::provider::{AccountFormat, Provider, StreamTerms};
use crate::domain::rib::Rib;
use crate::iso20022::pacs008::{self, InstantTransfer};
use crate::iso20022::pacs028::{self, StatusRequest};
use crate::iso20022::pain001::{Account, Agent, CreditorAccount};
use crate::iso20022::pain002::read::Pain002Reader;
use crate::iso20022::pain002::{Pain002Item, TransactionStatus};
use crate::iso20022::values::StatusCode;
use crate::iso20022::xml::fault::Limits;
use crate::iso20022::xml::write::WriteError;

const BYTES_MAX: usize = 65_536;
/// The original transfer was never received (ISO 20022 external status reason).
const NEVER_RECEIVED: &str = "NOOR";
/// Nothing that money could go to (ISO 20022: invalid creditor account number).
const NO_ACCOUNT: &str = "AC03";
/// The message cannot be made of the order (ISO 20022: format).
const FORMAT: &str = "FF01";

/// A bank with an instant lane.
pub struct InstantApi {
    client: Client,
    base: Url,
    key: HeaderValue,
    clock: Clock,
    debtor_name: String,
    debtor_id: String,
    debtor_account: Rib,
    bic: Option<String>,
    member: String,
    iban: bool,
    /// Local time, for the day of settlement.
    offset: UtcOffset,
}

impl InstantApi {
    /// The bank at the address of its terms; `secret` is the key that it knows us by.
    ///
    /// # Errors
    /// [`CallError::Unreachable`] when the address is none, or the key cannot stand in a header.
    pub fn new(
        client: Client,
        (provider, terms): (&Provider, &StreamTerms),
        secret: &Secret,
        clock: Clock,
        payer: &Payer<'_>,
    ) -> Result<Singly<Self>, CallError> {
        let key = HeaderValue::from_bytes(secret.reveal());
        let mut key = key.map_err(|_| http::refuse_address(AddressError::NotText))?;
        key.set_sensitive(true);
        let api = Self {
            client,
            base: http::base(&terms.url)?,
            key,
            clock,
            debtor_name: payer.name.to_owned(),
            debtor_id: payer.id.to_owned(),
            debtor_account: provider.debtor_account,
            bic: provider.bic.clone(),
            member: provider.member_id().to_owned(),
            iban: provider.account_format == AccountFormat::Iban,
            offset: payer.utc_offset,
        };
        Ok(Singly::new(api, terms))
    }

    async fn call(&self, request: RequestBuilder) -> Result<Reply, CallError> {
        http::call(request.header(API_KEY, self.key.clone()), &[], BYTES_MAX, self.clock).await
    }

    /// Sends a message, and reads the report that answers it.
    async fn exchange(&self, path: &str, message: Vec<u8>, key: &str) -> Result<Answer, CallError> {
        let request = self.client.post(http::below(&self.base, &[path]));
        let reply = self.call(request.header(CONTENT_TYPE, "application/xml").body(message)).await?;
        report_of(key, &reply.body)
    }

    async fn transfer(&self, order: &Instruction) -> Result<Answer, CallError> {
        // Nothing that could be sent: nothing is paid, now or later.
        let Ok(message) = self.written(order) else {
            let code = if order.account.is_none() && order.phone.is_none() { NO_ACCOUNT } else { FORMAT };
            return Ok(answer(&order.key, Status::Rejected, Some(code), None));
        };
        let told = self.exchange("transfers", message, &order.key).await?;
        match told.status {
            Status::Rejected if told.reason.as_deref().is_some_and(is_second_delivery) => {
                let stands = self.ask(&order.key).await?;
                // It has the transfer, and does not know it: a person must ask.
                if stands.status == Status::NotFound { Err(UNREADABLE) } else { Ok(stands) }
            }
            // An answer to the transfer itself cannot be that it never came.
            Status::NotFound => Err(UNREADABLE),
            _ => Ok(told),
        }
    }

    fn written(&self, order: &Instruction) -> Result<Vec<u8>, WriteError> {
        let (own, theirs);
        let debtor_account = if self.iban {
            own = self.debtor_account.iban();
            Account::Iban(&own)
        } else {
            Account::Rib(self.debtor_account.reveal())
        };
        let creditor_account = match (&order.account, &order.phone) {
            (Some(account), _) if self.iban => {
                theirs = format!("{}{account}", String::from_utf8_lossy(&country::iban_prefix()));
                CreditorAccount::Account(Account::Iban(&theirs))
            }
            (Some(account), _) => CreditorAccount::Account(Account::Rib(account)),
            (None, Some(phone)) => CreditorAccount::Proxy { kind: "TELE", id: phone },
            (None, None) => CreditorAccount::Account(Account::Rib("")),
        };
        let agent = self.bic.as_deref().map_or(Agent::Member(&self.member), Agent::Bic);
        let now = self.clock.now();
        pacs008::write::write_transfer(&InstantTransfer {
            end_to_end_id: &order.key,
            uetr: &order.uetr,
            created: now,
            settlement_date: now.to_offset(self.offset).date(),
            amount: order.amount,
            debtor_name: &self.debtor_name,
            debtor_id: &self.debtor_id,
            debtor_account,
            debtor_agent: agent,
            creditor_agent: agent,
            creditor_name: &order.name,
            creditor_account,
        })
    }

    /// Asks where a transfer stands.
    async fn ask(&self, key: &str) -> Result<Answer, CallError> {
        let mut drawn = [0; 12];
        getrandom::fill(&mut drawn).map_err(|e| CallError::Unreachable(Box::new(e)))?;
        let request = StatusRequest {
            id: &format!("Q{}", crate::domain::hex(&drawn)),
            created: self.clock.now(),
            original_end_to_end_id: key,
            original_message: pacs008::MESSAGE,
        };
        let message = pacs028::write::write_request(&request);
        let message = message.map_err(|e| CallError::Unreachable(Box::new(e)))?;
        self.exchange("status-requests", message, key).await
    }
}

impl SingleOrders for InstantApi {
    fn put_one<'a>(&'a self, order: &'a Instruction) -> BoxFuture<'a, Result<Answer, CallError>> {
        self.transfer(order).boxed()
    }

    fn enquire_one<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Answer, CallError>> {
        self.ask(key).boxed()
    }

    /// Nothing is cancelled: where it stands is said.
    fn cancel_one<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Answer, CallError>> {
        self.ask(key).boxed()
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), CallError>> {
        async move { self.call(self.client.get(http::below(&self.base, &["ping"]))).await.map(drop) }.boxed()
    }
}

/// What a pacs.002 says of the transfer of a key. A report of any other transfer, of more than one, or of none, is no answer.
fn report_of(key: &str, body: &[u8]) -> Result<Answer, CallError> {
    let limits = Limits { total_bytes: BYTES_MAX as u64, ..Limits::default() };
    let mut reader = Pain002Reader::new(body, limits);
    let mut found: Option<Answer> = None;
    loop {
        match reader.next().map_err(|_| UNREADABLE)? {
            Some(Pain002Item::Transaction { transaction, .. }) if found.is_none() => {
                found = Some(told(key, transaction).ok_or(UNREADABLE)?);
            }
            Some(Pain002Item::Transaction { .. } | Pain002Item::Faulty { .. }) => return Err(UNREADABLE),
            Some(Pain002Item::Header(_) | Pain002Item::Group(_) | Pain002Item::PaymentInfo { .. }) => {}
            None => return found.ok_or(UNREADABLE),
        }
    }
}

fn told(key: &str, transaction: &TransactionStatus) -> Option<Answer> {
    let id = [&transaction.original_end_to_end_id, &transaction.original_instr_id];
    if !id.into_iter().any(|id| id == key) || key.len() > usize::from(ID_MAX) {
        return None;
    }
    let status = match transaction.status {
        StatusCode::Acsc | StatusCode::Accc => Status::Credited,
        StatusCode::Rcvd
        | StatusCode::Actc
        | StatusCode::Accp
        | StatusCode::Acsp
        | StatusCode::Acfc
        | StatusCode::Pdng => Status::Accepted,
        StatusCode::Rjct => Status::Rejected,
        StatusCode::Canc => Status::Cancelled,
        // Changed on the way, without posting, in part: nothing that a single transfer of ours can be.
        _ => Status::Unknown,
    };
    let codes = || transaction.reasons.iter().map(|r| r.code.as_str()).filter(|code| !code.is_empty());
    let reason = codes().find(|code| is_second_delivery(code)).or_else(|| codes().next());
    let never = status == Status::Rejected && reason == Some(NEVER_RECEIVED);
    let status = if never { Status::NotFound } else { status };
    let reason = if status == Status::Rejected { reason } else { None };
    let ours = transaction.currency.is_empty() || transaction.currency == country::currency();
    // An amount that is none of ours cannot agree.
    let amount = if ours { transaction.amount } else { Some(Centimes::ZERO) };
    Some(answer(key, status, reason, amount))
}

fn answer(key: &str, status: Status, reason: Option<&str>, amount: Option<Centimes>) -> Answer {
    Answer { key: key.to_owned(), status, reason: reason.map(|r| clean_reason(r.to_owned())), amount }
}

#[cfg(test)]
#[path = "instant_api_tests.rs"]
mod tests;
