//! The registry's snapshot, contract `sarf-snapshot/1`: read in one pass.
//!
//! Input: a folder with `manifest.json` and its parts (CSV, plain or packed, or Parquet), described for registries in
//! `docs/snapshot-format.md`. Output: [`Chunk`]s of households with their members, and a [`Rejection`] for each row
//! that cannot be taken. Guarantee: a fault of a file refuses the snapshot ([`SnapshotError`]), a fault of a row only
//! the row; nothing is dropped without a word, nothing may be relied on before [`SnapshotReader::finish`]. Limit:
//! constant memory; threads and channels only. Deliberately absent: SQL, tokio, the clock, and any check of accounts,
//! since a payment to a bad account is held and not rejected.

pub mod error;
pub mod manifest;
pub mod rejection;

mod children;
mod csv_part;
pub mod dialect;
mod intake;
mod parquet_part;
mod part;
mod reader;
mod row;
#[cfg(test)]
mod tests;

pub use children::{ChildSink, ChildTotals, read_children};
pub use error::{Fault, SnapshotError};
pub use manifest::{ControlTotals, FORMAT, Kind, MANIFEST_FILE, Manifest, Part, Sha256Hex};
pub use part::{CLAIM_COLUMNS, DEPOSIT_COLUMNS, HOUSEHOLD_COLUMNS, Limits, MEMBER_COLUMNS};
pub use reader::{CHUNK_HOUSEHOLDS, Chunk, KindTotals, ReadOptions, SnapshotReader, Totals};
pub use rejection::{RejectReason, Rejection, mask};
pub use row::{Sighting, Thing};
