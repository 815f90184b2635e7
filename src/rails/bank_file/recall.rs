//! A recall in the file lane: one camt.055 file for each, beside the bank's payment files and under the same guarantee.

use std::path::Path;

use super::digest::HashingWriter;
use super::{DeliveryError, WrittenFile, begin_draft};
use crate::iso20022::camt055::write::Camt055Writer;
use crate::iso20022::camt055::{Cancellation, Header};
use crate::iso20022::pain001::Totals;

/// Writes the request to cancel one payment, under a temporary name; deliver it next.
///
/// # Errors
/// See [`DeliveryError`].
pub fn write_recall(
    outbox: &Path,
    provider: &str,
    name: &str,
    header: &Header<'_>,
    cancellation: &Cancellation<'_>,
) -> Result<WrittenFile, DeliveryError> {
    let content = |e| DeliveryError::Content(name.to_owned(), e);
    let (draft, file) = begin_draft(outbox, provider, name)?;
    let mut writer = Camt055Writer::begin(HashingWriter::new(file), header).map_err(content)?;
    writer.transaction(cancellation).map_err(content)?;
    let (_, sha256, bytes) = writer.finish().map_err(content)?.finish();
    // Read back, the file shows no amounts to be paid: only the hash is compared.
    Ok(WrittenFile { draft, name: name.to_owned(), sha256, bytes, totals: Totals::default() })
}
