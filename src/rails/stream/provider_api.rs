//! The provider API (`docs/provider-api.yaml`): orders in bulk, a key for each, answers one by one.
//!
//! Input: instructions, keys, a cursor. Output: what the provider says of each.
//! Guarantee: every request is signed; a single answer that cannot be read leaves its order without one and spoils no
//! other; what comes from outside is short, printable text before anyone else sees it.
//! Limit: one request a call to `put`; enquiries and cancellations are cut into as many as they need.

use futures_util::future::{BoxFuture, FutureExt as _};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method, Url};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::http::{self, AddressError, UNREADABLE};
use super::sign::{SIGNATURE, Secret, TIMESTAMP};
use super::wire::{
    AnswersBody, ChangesBody, KeysRequest, PutRequest, Status, WireAnswer, WireEvent, WireOrder, WirePayee,
};
use super::{Answer, CallError, Changes, Instruction, Put, StreamRail, clean_key, clean_reason};
use crate::clock::Clock;
use crate::domain::country;
use crate::domain::money::Centimes;
use crate::domain::provider::StreamTerms;

/// Header that names who pays.
pub const INSTITUTION: &str = "sarf-institution";
/// Most changes asked for at once.
const CHANGES_MAX: usize = 1_000;
/// Room in an answer for each key, and for what stands around them.
const BYTES_PER_KEY: usize = 1_024;
const BYTES_AROUND: usize = 65_536;
const CURSOR_BYTES_MAX: usize = 512;
/// Reason of an order whose key is known with another content.
const DUPLICATE: &str = "DUPL";

/// A provider that speaks our API.
pub struct ProviderApi {
    client: Client,
    base: Url,
    secret: Secret,
    clock: Clock,
    institution: HeaderValue,
    orders_per_request: usize,
}

impl ProviderApi {
    /// A provider at the address of its terms. `institution` is who pays: the debtor's id.
    ///
    /// # Errors
    /// [`CallError::Unreachable`] when the address is none.
    pub fn new(
        client: Client,
        terms: &StreamTerms,
        secret: Secret,
        clock: Clock,
        institution: &str,
    ) -> Result<Self, CallError> {
        let institution = HeaderValue::from_str(institution);
        Ok(Self {
            client,
            base: http::base(&terms.url)?,
            secret,
            clock,
            institution: institution.map_err(|_| http::refuse_address(AddressError::NotText))?,
            orders_per_request: terms.orders_per_request.max(1) as usize,
        })
    }

    async fn call(
        &self,
        method: Method,
        url: Url,
        body: Vec<u8>,
        bytes_max: usize,
    ) -> Result<Vec<u8>, CallError> {
        let now = super::unix_seconds(self.clock.now());
        let mut request = self
            .client
            .request(method, url)
            .header(TIMESTAMP, now)
            .header(SIGNATURE, self.secret.sign(now, &body))
            .header(INSTITUTION, self.institution.clone());
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        Ok(http::call(request, &[], bytes_max, self.clock).await?.body)
    }

    async fn post(&self, path: &[&str], body: Vec<u8>, keys: usize) -> Result<Vec<Answer>, CallError> {
        let url = http::below(&self.base, path);
        let answer = self.call(Method::POST, url, body, BYTES_AROUND + keys * BYTES_PER_KEY).await?;
        read_answers(&answer)
    }

    async fn ask(&self, path: &[&str], keys: &[String]) -> Result<Vec<Answer>, CallError> {
        let mut answers = Vec::with_capacity(keys.len());
        for piece in keys.chunks(self.orders_per_request) {
            match self.post(path, written(&KeysRequest { keys: piece.to_vec() }), piece.len()).await {
                Ok(found) => answers.extend(found),
                // What was answered already is worth having; the rest is asked again.
                Err(_) if !answers.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(answers)
    }

    async fn hand_over(&self, orders: &[Instruction]) -> Result<Put, CallError> {
        let body = written(&PutRequest { orders: orders.iter().map(wire_order).collect() });
        let mut answers = self.post(&["v1", "orders"], body, orders.len()).await?;
        // A key cannot be unknown to whom it was just given; and a refusal of the same key with another content says
        // nothing of the order that bears the key. Both leave the order without an answer: an enquiry tells.
        let says_nothing = |a: &Answer| {
            let duplicate = a.status == Status::Rejected && a.reason.as_deref() == Some(DUPLICATE);
            a.status == Status::NotFound || duplicate
        };
        answers.retain(|a| !says_nothing(a));
        Ok(Put { answers, ..Put::default() })
    }

    async fn read_changes(&self, cursor: &str) -> Result<Changes, CallError> {
        let mut url = http::below(&self.base, &["v1", "changes"]);
        url.query_pairs_mut().append_pair("since", cursor).append_pair("limit", &CHANGES_MAX.to_string());
        let body =
            self.call(Method::GET, url, Vec::new(), BYTES_AROUND + CHANGES_MAX * BYTES_PER_KEY).await?;
        read_changes(&body)
    }

    async fn health(&self) -> Result<(), CallError> {
        let url = http::below(&self.base, &["v1", "health"]);
        match self.call(Method::GET, url, Vec::new(), BYTES_AROUND).await {
            // Whoever asks to wait is there.
            Ok(_) | Err(CallError::Busy { .. }) => Ok(()),
            Err(error) => Err(error),
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

    fn put<'a>(&'a self, orders: &'a [Instruction]) -> BoxFuture<'a, Result<Put, CallError>> {
        self.hand_over(orders).boxed()
    }

    fn enquire<'a>(&'a self, keys: &'a [String]) -> BoxFuture<'a, Result<Vec<Answer>, CallError>> {
        self.ask(&["v1", "orders", "enquire"], keys).boxed()
    }

    fn cancel<'a>(&'a self, keys: &'a [String]) -> BoxFuture<'a, Result<Vec<Answer>, CallError>> {
        self.ask(&["v1", "orders", "cancel"], keys).boxed()
    }

    fn changes<'a>(&'a self, cursor: &'a str) -> BoxFuture<'a, Result<Changes, CallError>> {
        self.read_changes(cursor).boxed()
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), CallError>> {
        self.health().boxed()
    }
}

fn written(body: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("texts and whole numbers can be written")
}

fn wire_order(order: &Instruction) -> WireOrder {
    WireOrder {
        key: order.key.clone(),
        uetr: order.uetr.clone(),
        amount: order.amount.get(),
        currency: country::currency().to_owned(),
        means: order.means,
        payee: WirePayee {
            name: order.name.clone(),
            phone: order.phone.clone(),
            account: order.account.clone(),
            cin: order.cin.clone(),
        },
    }
}

/// An element of a list that may be anything.
#[derive(Deserialize)]
#[serde(untagged)]
enum Loose<T> {
    Read(T),
    Unreadable(IgnoredAny),
}

#[derive(Deserialize)]
struct LooseAnswers {
    answers: Vec<Loose<WireAnswer>>,
}

#[derive(Deserialize)]
struct LooseChanges {
    changes: Vec<Loose<WireEvent>>,
    cursor: String,
    #[serde(default)]
    more: bool,
}

/// Reads strictly, and where that fails once more, element by element.
fn read<T: DeserializeOwned, L: DeserializeOwned + Into<T>>(body: &[u8]) -> Result<T, CallError> {
    serde_json::from_slice(body)
        .or_else(|_| serde_json::from_slice::<L>(body).map(Into::into))
        .map_err(|_| UNREADABLE)
}

fn keep_readable<T>(elements: Vec<Loose<T>>) -> Vec<T> {
    let total = elements.len();
    let read = |e| if let Loose::Read(value) = e { Some(value) } else { None };
    let readable: Vec<T> = elements.into_iter().filter_map(read).collect();
    tracing::warn!(
        unreadable = total - readable.len(),
        of = total,
        "parts of a provider's answer passed over"
    );
    readable
}

impl From<LooseAnswers> for AnswersBody {
    fn from(loose: LooseAnswers) -> Self {
        Self { answers: keep_readable(loose.answers) }
    }
}

impl From<LooseChanges> for ChangesBody {
    fn from(loose: LooseChanges) -> Self {
        Self { changes: keep_readable(loose.changes), cursor: loose.cursor, more: loose.more }
    }
}

fn read_answers(body: &[u8]) -> Result<Vec<Answer>, CallError> {
    let found: AnswersBody = read::<_, LooseAnswers>(body)?;
    Ok(found.answers.into_iter().map(|a| answer(a.key, a.status, a.reason, a.amount)).collect())
}

fn read_changes(body: &[u8]) -> Result<Changes, CallError> {
    let found: ChangesBody = read::<_, LooseChanges>(body)?;
    // It is kept, and sent back as it is.
    if found.cursor.len() > CURSOR_BYTES_MAX || !found.cursor.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(UNREADABLE);
    }
    let changes = found.changes.into_iter().map(|e| answer(e.key, e.status, e.reason, e.amount)).collect();
    Ok(Changes { changes, cursor: found.cursor, more: found.more })
}

fn answer(key: String, status: Status, reason: Option<String>, amount: Option<i64>) -> Answer {
    Answer {
        key: clean_key(key),
        status,
        reason: reason.map(clean_reason),
        amount: amount.map(Centimes::new),
    }
}

#[cfg(test)]
#[path = "provider_api_tests.rs"]
mod tests;
