//! What is fixed before a file is written, so that writing it again gives the same bytes.

use sqlx::PgConnection;
use time::PrimitiveDateTime;

use super::{DispatchError, MadeWith};
use crate::domain::ids::Code;
use crate::domain::not_found::Entity;
use crate::domain::provider::Provider;
use crate::pipeline::{Context, Refusal};
use crate::store::StoreError;
use crate::store::batches::{self, Batch, Intent};
use crate::store::runs::Run;

/// Commits one batch to leave, within the caller's transaction.
pub(super) async fn commit_in_tx(
    context: &Context,
    tx: &mut PgConnection,
    run: &Run,
    batch: &Batch,
) -> Result<(), DispatchError> {
    let provider = configured(context, &batch.provider)?;
    let now = context.clock.now();
    // The file carries whole seconds.
    let created_at = now.replace_nanosecond(0).expect("zero nanoseconds are valid");
    let local = now.to_offset(context.config.settings.calendar.utc_offset);
    let local = PrimitiveDateTime::new(local.date(), local.time());
    let calendar = &context.config.calendar;
    let first = calendar.value_date(local, provider.cutoff, provider.lead_days)?;
    // Each further wave is a business day later: that is what a wave is for.
    let later = u8::try_from(batch.wave - 1).unwrap_or(u8::MAX);
    let value_date = calendar.add_business_days(first, later)?;
    let message_id = message_id(run, batch, provider.file.ids_max);
    let file_name = format!("pain001_{message_id}_{}.xml", batch.provider);
    let made_with = MadeWith::configured(&context.config, &run.programme, provider)?;
    let made_with =
        serde_json::to_value(made_with).map_err(|_| StoreError::Corrupt("configuration of a file"))?;
    let intent = Intent {
        message_id: &message_id,
        file_name: &file_name,
        value_date,
        created_at,
        made_with: &made_with,
    };
    Ok(batches::intend_in_tx(tx, batch.id, &intent).await?)
}

/// Programme, period, run and batch, at most 35 characters of `A-Z 0-9`; run and batch alone, where a bank keeps no more.
fn message_id(run: &Run, batch: &Batch, ids_max: u8) -> String {
    let code: String = run.programme.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    let long = format!("{}{}R{}B{}", code.to_ascii_uppercase(), run.period.yymm(), run.id, batch.id);
    // Batches are numbered through all runs: the short form names one for ever, too.
    if long.len() <= usize::from(ids_max) { long } else { format!("R{}B{}", run.id, batch.id) }
}

/// The configuration of a provider that a batch is for.
pub(super) fn configured<'a>(context: &'a Context, code: &str) -> Result<&'a Provider, DispatchError> {
    let known = Code::parse(code).ok().and_then(|c| context.config.router.by_code(c.as_str()));
    known.map(|(_, provider)| provider).ok_or_else(|| Refusal::not_found(Entity::Provider, code).into())
}
