//! Files brought to providers' SFTP servers, and messages fetched from there.
//!
//! | phase | what happens | commits |
//! |---|---|---|
//! | connect | the first host that answers with an agreed key; our key lies in `secrets/CODE.ssh` | – |
//! | bring | each file that left and is not seen there: what lies there is looked at, the rest is brought and compared | *naming* before it is given its name; *delivered* once it was seen there |
//! | fetch | each message that is not here: into the inbox, on the disk | that it is here |
//! | import | messages that are here and not imported | by message; then that they are |
//! | settle | what was agreed for fetched messages: left, archived, deleted | that it was done |
//!
//! Guarantee: may be killed at any instant; a file is given its name at the provider once, and where that may have happened and
//! nothing lies there, a person is asked; nothing is fetched twice, and nothing is taken away there that is not here. One process
//! serves a provider at a time.
//! Limit: a file that a person wants brought again is the same bytes under the same name and message id, which the bank refuses as a
//! duplicate where it has it.

mod bring;
mod error;
mod fetch;
mod seal;

use std::path::PathBuf;

use tracing::Instrument as _;

use crate::domain::delivery::DeliveryTerms;
use crate::domain::not_found::Entity;
use crate::domain::provider::Provider;
use crate::pipeline::messages::{FeedbackError, Imported};
use crate::pipeline::{Context, Refusal, person};
use crate::rails::delivery::Peer;
use crate::store::StoreError;
use crate::store::access::operators::Role;
use crate::store::audit::chain::{self, Decision};
use crate::store::batches::deliveries::{self, Delivery};
use crate::store::batches::exclusive::Exclusive;
use crate::store::locks::SessionLock;
use crate::store::registry::reference;
pub use error::ExchangeError;
pub use seal::key_ends;

/// What one exchange with a provider came to.
#[derive(Debug, Default)]
pub struct Exchanged {
    /// The host that answered.
    pub host: String,
    /// Files that were brought, or seen there.
    pub brought: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that wait still, and why.
    pub waiting: Vec<(String, String)>,
    /// Files that a person is asked about, and why.
    pub stopped: Vec<(String, String)>,
    /// Messages that were fetched.
    pub fetched: u64,
    /// What became of messages.
    pub imported: Vec<(PathBuf, Result<Imported, FeedbackError>)>,
    /// What did not come through of fetching.
    pub faults: Vec<String>,
}

/// Providers that files are exchanged with.
pub fn partners(context: &Context) -> Vec<&Provider> {
    context.config.router.providers().iter().filter(|p| p.delivery.is_some()).collect()
}

/// A provider, its number and what is agreed with it.
struct Partner<'a> {
    provider: &'a Provider,
    id: i16,
    terms: &'a DeliveryTerms,
    key: PathBuf,
}

async fn partner<'a>(context: &'a Context, code: &str) -> Result<Partner<'a>, ExchangeError> {
    let known = context.config.router.by_code(code);
    let (_, provider) = known.ok_or_else(|| Refusal::not_found(Entity::Provider, code))?;
    let terms = provider.delivery.as_ref().ok_or_else(|| ExchangeError::NoServer(code.to_owned()))?;
    let mut tx = context.store.begin().await?;
    let codes = [provider.code.to_string()];
    let id = reference::provider_ids_in_tx(&mut tx, &codes).await?.get(&codes[0]).copied();
    tx.commit().await?;
    let id = id.ok_or(StoreError::Corrupt("provider"))?;
    let key = context.home.join("secrets").join(format!("{}.ssh", provider.code));
    Ok(Partner { provider, id, terms, key })
}

/// Brings, fetches and imports what there is, once.
///
/// # Errors
/// See [`ExchangeError`]; what was done before stays done.
pub async fn exchange(context: &Context, code: &str) -> Result<Exchanged, ExchangeError> {
    let partner = partner(context, code).await?;
    let taken = Exclusive::take(&context.store, SessionLock::Exchange(partner.id)).await?;
    let busy = |holder| ExchangeError::Busy { provider: code.to_owned(), holder };
    let mut alone = taken.map_err(busy)?;
    tokio::select! {
        biased;
        done = exchange_alone(context, &partner).instrument(tracing::info_span!("exchange", provider = code)) => done,
        () = alone.lost() => Err(ExchangeError::Lost(code.to_owned())),
    }
}

async fn exchange_alone(context: &Context, partner: &Partner<'_>) -> Result<Exchanged, ExchangeError> {
    let mut done = Exchanged::default();
    fetch::import_rest(context, partner, &mut done).await?;
    bring::see_answered(context, partner).await?;
    let peer = match Peer::connect(partner.terms, &partner.key).await {
        Ok(peer) => peer,
        Err(error) => {
            bring::all_failed(context, partner, &error).await?;
            return Err(error.into());
        }
    };
    peer.host().clone_into(&mut done.host);
    let brought = bring::bring(context, partner, &peer, &mut done).await;
    let fetched = match brought {
        Ok(()) => fetch::fetch(context, partner, &peer, &mut done).await,
        Err(error) => Err(error),
    };
    if fetched.is_ok() {
        fetch::import_rest(context, partner, &mut done).await?;
        fetch::settle(context, partner, &peer, &mut done).await?;
    }
    peer.close().await;
    fetched?;
    Ok(done)
}

/// What a provider's server says when it is asked for no more than to be there.
#[derive(Debug, serde::Serialize)]
pub struct Tested {
    /// The host that answered.
    pub host: String,
    /// What lies in the folder for what is brought.
    pub upload: usize,
    /// What lies in the folder that is fetched from, where there is one.
    pub download: Option<usize>,
}

/// Logs in and lists the folders: nothing is brought or fetched.
///
/// # Errors
/// See [`ExchangeError`].
pub async fn test(context: &Context, code: &str) -> Result<Tested, ExchangeError> {
    let partner = partner(context, code).await?;
    let peer = Peer::connect(partner.terms, &partner.key).await?;
    let upload = peer.list(&partner.terms.upload).await?.len();
    let download = match &partner.terms.download {
        Some(folder) => Some(peer.list(folder).await?.len()),
        None => None,
    };
    let host = peer.host().to_owned();
    peer.close().await;
    Ok(Tested { host, upload, download })
}

/// What a person says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It is to be brought once more: the bank does not have it.
    Again,
    /// The bank has it.
    There,
}

/// Keeps what an accountant says of a file, and lets it go its way.
///
/// # Errors
/// See [`ExchangeError`].
pub async fn decide(
    context: &Context,
    provider: &str,
    file: &str,
    word: Word,
    by: &str,
    why: &str,
) -> Result<Delivery, ExchangeError> {
    if why.trim().is_empty() {
        return Err(ExchangeError::NoReason);
    }
    let now = context.clock.now();
    let mut tx = context.store.begin().await?;
    let accountant = person(&mut tx, by, Role::Accountant).await?;
    let found = deliveries::find_in_tx(&mut tx, provider, file).await?;
    let found = found.ok_or_else(|| ExchangeError::NoFile(file.to_owned()))?;
    let action = match word {
        // What was answered is there; brought again, it could be taken for another.
        Word::Again if found.answered => return Err(ExchangeError::Answered(file.to_owned())),
        Word::Again => {
            deliveries::again_in_tx(&mut tx, found.id, now).await?;
            "delivery.again"
        }
        Word::There => {
            deliveries::delivered_in_tx(&mut tx, found.id, None, now).await?;
            "delivery.there"
        }
    };
    bring::clear_break_in_tx(&mut tx, &found, now).await?;
    let subject = format!("file {file}");
    let decision = Decision { actor: &accountant.name, action, subject: &subject, detail: why, at: now };
    chain::append_in_tx(&mut tx, decision).await?;
    let after = deliveries::find_in_tx(&mut tx, provider, file).await?;
    tx.commit().await?;
    after.ok_or_else(|| ExchangeError::NoFile(file.to_owned()))
}
