//! Files that left and are not whole in the outbox any more.
//!
//! Input: a run's batches whose files were sent and not answered yet. Output: what lies in the outbox of each.
//! Guarantee: a file that is torn is written again, to the bytes that were recorded, or refused and named. One that is
//! missing is never written again unasked: its bank may have taken it, and a file delivered twice may be paid twice.

use std::path::PathBuf;

use super::DispatchError;
use crate::domain::batch::BatchState;
use crate::pipeline::Context;
use crate::rails::bank_file::{self, DeliveryError, Standing};
use crate::store::batches::Batch;

/// Sent batches, by what lies in the outbox.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// To be written again.
    pub torn: Vec<Batch>,
    /// Names of files that are missing while their hash still lies there.
    pub missing: Vec<String>,
    /// Files that were picked up.
    pub gone: u64,
}

/// Looks at the files of `sent`; those of the missing that are named in `again` count as torn.
pub(super) async fn look(
    context: &Context,
    sent: Vec<Batch>,
    again: &[String],
) -> Result<Found, DispatchError> {
    let outbox = context.home.join("outbox");
    let looked = tokio::task::spawn_blocking(move || {
        let mut looked = Vec::new();
        for batch in sent {
            let (Some(name), Some(sha256)) = (&batch.file_name, &batch.file_sha256) else { continue };
            let path: PathBuf = outbox.join(&batch.provider).join(name);
            let standing = bank_file::inspect(&path, sha256).map_err(|e| DeliveryError::Disk(path, e))?;
            looked.push((batch, standing));
        }
        Ok::<_, DeliveryError>(looked)
    });
    let mut found = Found::default();
    for (batch, standing) in looked.await.expect("looking does not panic")? {
        let name = batch.file_name.clone().unwrap_or_default();
        match standing {
            Standing::Whole => {}
            Standing::Torn => found.torn.push(batch),
            Standing::Missing | Standing::Gone if again.contains(&name) => found.torn.push(batch),
            Standing::Missing => found.missing.push(name),
            Standing::Gone => found.gone += 1,
        }
    }
    if let Some(name) = again.iter().find(|n| !found.torn.iter().any(|b| b.file_name.as_ref() == Some(n))) {
        return Err(DispatchError::NotMissing(name.clone()));
    }
    Ok(found)
}

/// Whether the file of a batch was sent and nothing was heard of it: an answered one is its bank's, whatever lies here.
pub(super) fn is_unanswered(batch: &Batch) -> bool {
    batch.state == BatchState::Sent && batch.figures.outcomes == 0
}
