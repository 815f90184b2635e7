//! Why the reports of a run were not written.

use std::io;
use std::path::{Path, PathBuf};

use crate::domain::hint::{Hint, NextStep};
use crate::domain::money::Centimes;
use crate::pipeline::Refusal;
use crate::store::StoreError;

/// Why the reports of a run were not written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// No such run.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file or folder cannot be written.
    #[error("`{path}` cannot be written", path = path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The columns of the orders cannot be written.
    #[error("`{path}` cannot be written", path = path.display())]
    Parquet {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// The workbook cannot be written.
    #[error("`{path}` cannot be written", path = path.display())]
    Workbook {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rust_xlsxwriter::XlsxError,
    },
    /// A household row of the snapshot is in no file, or in two.
    #[error(
        "the snapshot has {rows} household rows, and the reports {orders} orders, {exclusions} exclusions and {rejections} rejections"
    )]
    Unaccounted {
        /// Household rows of the snapshot.
        rows: u64,
        /// Orders written.
        orders: u64,
        /// Exclusions written.
        exclusions: u64,
        /// Rejected rows written.
        rejections: u64,
    },
    /// The orders do not come to what is kept of them.
    #[error("{what}: {orders} orders over {amount:#} were read, {kept_orders} over {kept_amount:#} are kept")]
    Differs {
        /// The run, or a state at a provider.
        what: String,
        /// Orders read.
        orders: u64,
        /// Their sum.
        amount: Centimes,
        /// Orders as kept.
        kept_orders: u64,
        /// Sum as kept.
        kept_amount: Centimes,
    },
    /// The thread that writes the orders ended without a result.
    #[error("writing the orders was cut short")]
    Stopped,
}

impl Hint for ReportError {
    fn hint(&self) -> Option<NextStep> {
        Some(match self {
            Self::Refused(e) => return e.hint(),
            Self::Store(e) => return e.hint(),
            Self::Unaccounted { .. } | Self::Differs { .. } => {
                "find out which guarantee is broken: sarf verify".into()
            }
            Self::Io { .. } | Self::Parquet { .. } | Self::Workbook { .. } | Self::Stopped => {
                "see that the folder can be written and the disk has room, then start again".into()
            }
        })
    }
}

#[cfg(test)]
crate::domain::hint::samples!(ReportError {
    Self::Refused(_) => Self::Refused(Refusal::SamePerson("amina".into())),
    Self::Store(_) => Self::Store(StoreError::Corrupt("run")),
    Self::Io { .. } => Self::Io { path: "out".into(), source: io::ErrorKind::Other.into() },
    Self::Parquet { .. } => {
        Self::Parquet { path: "out".into(), source: parquet::errors::ParquetError::EOF(String::new()) }
    },
    Self::Workbook { .. } => {
        Self::Workbook { path: "out".into(), source: rust_xlsxwriter::XlsxError::RowColumnLimitError }
    },
    Self::Unaccounted { .. } => Self::Unaccounted { rows: 3, orders: 1, exclusions: 0, rejections: 0 },
    Self::Differs { .. } => Self::Differs {
        what: "orders".into(),
        orders: 1,
        amount: Centimes::ZERO,
        kept_orders: 2,
        kept_amount: Centimes::ZERO,
    },
    Self::Stopped => Self::Stopped,
});

impl ReportError {
    /// Says at which path an I/O fault happened.
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { path: path.clone(), source }
    }
}
