//! A file that left, given to whoever brings files to its provider (`pipeline/exchange`).

use sqlx::PgConnection;

use crate::pipeline::Context;
use crate::rails::bank_file::Delivered;
use crate::store::StoreError;
use crate::store::batches::deliveries::{self, NewDelivery, Subject};
use crate::store::registry::reference;

/// A file of a provider that is brought its files is to be brought to it from now on.
pub(in crate::pipeline) async fn give_in_tx(
    context: &Context,
    tx: &mut PgConnection,
    (provider, file_name): (&str, &str),
    of: Subject,
    delivered: &Delivered,
) -> Result<(), StoreError> {
    let known = context.config.router.by_code(provider);
    if known.is_none_or(|(_, provider)| provider.delivery.is_none()) {
        return Ok(());
    }
    let ids = reference::provider_ids_in_tx(tx, &[provider.to_owned()]).await?;
    let new = NewDelivery {
        provider: *ids.get(provider).ok_or(StoreError::Corrupt("provider"))?,
        file_name,
        of,
        sha256: &delivered.sha256,
        bytes: delivered.bytes,
        at: context.clock.now(),
    };
    deliveries::add_in_tx(tx, &new).await
}
