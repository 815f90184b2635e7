//! The statement of a child's deposit, and the list of deposits that a run releases.
//!
//! Input: live payments for a child and where their orders stand. Output: lines by month, what was paid in and what of it the
//! holder has confirmed; a CSV file for the holder. Guarantee: an order that was paid again is shown where it stands now. Limit:
//! what the holder adds (interest) is its own to account for.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::domain::hint::{Hint, NextStep};
use crate::domain::ids::{OrderId, RunId};
use crate::domain::money::Centimes;
use crate::domain::not_found::Entity;
use crate::domain::order::OrderState;
use crate::domain::period::Period;
use crate::domain::run::RunKind;
use crate::pipeline::{Context, Refusal};
use crate::store::registry::children::{self, ReleaseLine, StatementLine};
use crate::store::{StoreError, orders, runs};

/// Why there is no statement or list.
#[derive(Debug, thiserror::Error)]
pub enum DepositError {
    /// The run is not known.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The run releases no deposits.
    #[error("run `{run}` is a {kind} run: only a deposit run releases deposits")]
    NotOfDeposits {
        /// Which.
        run: RunId,
        /// Its kind.
        kind: RunKind,
    },
    /// The file cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Hint for DepositError {
    fn hint(&self) -> Option<NextStep> {
        Some(match self {
            Self::Refused(e) => return e.hint(),
            Self::NotOfDeposits { .. } => "see `sarf run list`".into(),
            Self::Write { .. } => "see that the folder can be written and the disk has room".into(),
            Self::Store(e) => return e.hint(),
        })
    }
}

#[cfg(test)]
crate::domain::hint::samples!(DepositError {
    Self::Refused(_) => Self::Refused(Refusal::SamePerson("amina".into())),
    Self::NotOfDeposits { .. } => Self::NotOfDeposits { run: RunId::new(7), kind: RunKind::Regular },
    Self::Write { .. } => Self::Write { path: "out".into(), source: std::io::ErrorKind::Other.into() },
    Self::Store(_) => Self::Store(StoreError::Corrupt("state of an order")),
});

/// The statement of a deposit.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Statement {
    /// Programme that pays it in.
    pub programme: String,
    /// The registry's identifier.
    pub deposit_id: String,
    /// Everything that was ordered and did not end unpaid for good.
    pub paid_in: Centimes,
    /// What of it was settled.
    pub confirmed: Centimes,
    /// By month.
    pub lines: Vec<StatementLine>,
    /// Its release, once there is one.
    pub releases: Vec<ReleaseLine>,
}

/// The statement of a deposit.
///
/// # Errors
/// See [`DepositError`].
pub async fn of(context: &Context, programme: &str, deposit: &str) -> Result<Statement, DepositError> {
    let store = &context.store;
    let mut lines = Vec::new();
    for (period, amount, first) in children::paid_in(store, programme, deposit).await? {
        let order = children::last_order(store, OrderId::new(first)).await?;
        let found = orders::find(store, None, Some(order)).await?;
        let state = found.into_iter().next().ok_or(StoreError::Corrupt("order of a deposit"))?.state;
        let period = period.map(Period::from_index).transpose();
        let period = period.map_err(|_| StoreError::Corrupt("period"))?;
        lines.push(StatementLine { period, amount: Centimes::new(amount), order: order.get(), state });
    }
    let releases = children::releases(store, Some(deposit), None).await?;
    if lines.is_empty() && children::latest_in_care(store, programme, deposit).await?.is_none() {
        return Err(Refusal::not_found(Entity::Deposit, deposit).into());
    }
    let settled = |line: &&StatementLine| {
        OrderState::parse(&line.state)
            .is_some_and(|s| matches!(s, OrderState::Settled | OrderState::Collected))
    };
    Ok(Statement {
        programme: programme.to_owned(),
        deposit_id: deposit.to_owned(),
        paid_in: lines.iter().map(|l| l.amount).sum(),
        confirmed: lines.iter().filter(settled).map(|l| l.amount).sum(),
        lines,
        releases,
    })
}

/// Writes the deposits that a run releases, with the accounts, for the holder: how many.
///
/// # Errors
/// See [`DepositError`].
pub async fn write_releases(context: &Context, run: RunId, path: &Path) -> Result<usize, DepositError> {
    let store = &context.store;
    let mut tx = store.begin().await?;
    let found =
        runs::find_in_tx(&mut tx, run, false).await?.ok_or_else(|| Refusal::not_found(Entity::Run, run))?;
    tx.rollback().await.map_err(StoreError::from)?;
    if found.kind != RunKind::Deposit {
        return Err(DepositError::NotOfDeposits { run, kind: found.kind });
    }
    let releases = children::releases(store, None, Some(run)).await?;
    let fault = |source| DepositError::Write { path: path.into(), source };
    let mut file = csv::Writer::from_writer(Vec::new());
    let head = ["deposit_id", "account", "of_age_on", "amount"];
    file.write_record(head).map_err(|e| fault(e.into()))?;
    for release in &releases {
        let child = children::latest_in_care(store, &found.programme, &release.deposit_id).await?;
        let account = child.map_or_else(String::new, |(_, child)| child.account);
        let row =
            [&release.deposit_id, &account, &release.of_age_on.to_string(), &release.amount.to_string()];
        file.write_record(row).map_err(|e| fault(e.into()))?;
    }
    let bytes = file.into_inner().map_err(|e| fault(e.into_error()))?;
    write_private(path, &bytes).map_err(fault)?;
    Ok(releases.len())
}

/// Writes a file that nobody else can read; it bears its name once it is whole.
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let name = path.file_name().ok_or(std::io::ErrorKind::InvalidInput)?;
    let draft = path.with_file_name(format!(".{}.part", name.to_string_lossy()));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(draft, path)
}
