//! The sweep: what was not collected in the days that a provider gives is cancelled there and comes back to the books.
//!
//! Guarantee: an order expires by its provider's word only: cancelled there, it can no longer be drawn; collected at the last
//! moment, it is collected here too. Safe to repeat. Limit: an order that the provider does not know stays as it is and
//! opens a break.

use time::Duration;

use super::name;
use crate::domain::hint::{Hint, NextStep};
use crate::domain::ids::Code;
use crate::domain::order::OrderState;
use crate::pipeline::Context;
use crate::pipeline::messages::record::{Source, record};
use crate::rails::stream::{CallError, StreamRail};
use crate::store::batches::shards;
use crate::store::messages::feedback::MessageCounts;
use crate::store::registry::reference;
use crate::store::{StoreError, runs};

/// Why a sweep stopped; what was cancelled before stays so.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The provider.
    #[error("provider `{provider}` could not be asked")]
    Call {
        /// Which.
        provider: String,
        /// Why.
        #[source]
        source: CallError,
    },
}

impl Hint for SweepError {
    fn hint(&self) -> Option<NextStep> {
        match self {
            Self::Store(e) => e.hint(),
            Self::Call { .. } => Some("see that the provider answers: it is asked again by itself".into()),
        }
    }
}

#[cfg(test)]
crate::domain::hint::samples!(SweepError {
    Self::Store(_) => Self::Store(StoreError::Corrupt("shard")),
    Self::Call { .. } => Self::Call { provider: "m2t".into(), source: CallError::Refused { status: 400 } },
});

/// Sweeps one provider's uncollected orders, of all runs.
///
/// # Errors
/// See [`SweepError`].
pub async fn sweep(
    context: &Context,
    provider: &str,
    rail: &dyn StreamRail,
) -> Result<MessageCounts, SweepError> {
    let (_, configured) = context.config.router.by_code(provider).ok_or(StoreError::Corrupt("provider"))?;
    let Some(terms) = &configured.stream else { return Ok(MessageCounts::default()) };
    let until = context.clock.now() - Duration::days(i64::from(terms.expiry_days));
    let mut tx = context.store.begin().await?;
    let ids = reference::provider_ids_in_tx(&mut tx, &[]).await?;
    tx.rollback().await.map_err(StoreError::from)?;
    let id = ids.get(provider).copied().unwrap_or_default();
    let mut total = MessageCounts::default();
    let concerned = shards::runs_with(&context.store, OrderState::Available).await?;
    for (run, _) in concerned.into_iter().filter(|(_, p)| *p == id) {
        let mut tx = context.store.begin().await?;
        let found = runs::find_in_tx(&mut tx, run, false).await?;
        tx.rollback().await.map_err(StoreError::from)?;
        let Some(found) = found else { continue };
        let programme = Code::parse(&found.programme).map_err(|_| StoreError::Corrupt("programme"))?;
        let (mut after, limit) = (0, rail.orders_per_request().clamp(1, 500) as u32);
        loop {
            let orders = shards::uncollected(&context.store, run, id, until, after, limit).await?;
            let Some(last) = orders.last() else { break };
            after = *last;
            let waiting = shards::by_number(&context.store, run, &orders).await?;
            let keys: Vec<String> =
                name(&programme, configured, &waiting)?.into_iter().map(|n| n.instruction.key).collect();
            let answers = rail.cancel(&keys).await;
            let answers =
                answers.map_err(|source| SweepError::Call { provider: provider.to_owned(), source })?;
            let counts = record(context, provider, Source::Enquiry, answers).await?;
            total.entries += counts.entries;
            total.applied += counts.applied;
            total.already += counts.already;
            total.noted += counts.noted;
            total.breaks += counts.breaks;
        }
    }
    Ok(total)
}
