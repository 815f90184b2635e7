//! Runs that pay for children one by one: birth grants that a list claims, and deposits for children in institutions.
//!
//! | phase | what happens | in memory |
//! |---|---|---|
//! | open | run in draft, under the locks of a regular run; claims or children of the list in the order of their ids | one household |
//! | stream | each row is judged (`domain/entitlement/{grant,deposit}.rs`): a line of an order, or an exclusion with its reason; rows go into the run's leaves by COPY FREEZE | buffers |
//! | book | batches planned, totals kept, control accounts posted, checks written, audit record; one commit | – |
//!
//! Guarantee: one transaction; one run of a kind for each programme and month. What an order pays for a child is a row of
//! `child_payment`; partial unique indexes let no live run pay a child's grant, or a month of its deposit, a second time,
//! whatever list or household names it.
//! Limit: while a run of the kind has not left, no other one is made: it counts what that one pays as paid.

mod deposits;
mod grants;
pub mod statement;

pub(in crate::pipeline) use deposits::account_holder;

use sqlx::PgConnection;

use super::OrderError;
use super::maker::Maker;
use super::run_builder::RunBuilder;
use crate::domain::ids::{RunId, SnapshotId};
use crate::domain::run::RunKind;
use crate::pipeline::{Applied, Context};
use crate::store::StoreError;
use crate::store::copy::CopyBuffer;
use crate::store::orders;
use crate::store::registry::children;
use crate::store::registry::snapshots::Snapshot;

/// The purpose of orders that pay birth grants.
pub const BIRTH_GRANT: &str = "birth_grant";
/// The purpose of orders that pay deposits in.
pub const DEPOSIT: &str = "deposit";

/// Makes the run of a kind that the list's rows about children ask for.
///
/// # Errors
/// See [`OrderError`]; the database is then as it was.
pub async fn create(
    context: &Context,
    snapshot: SnapshotId,
    kind: RunKind,
    by: &str,
) -> Result<Applied<RunId>, OrderError> {
    let (mut tx, builder) = RunBuilder::begin(context, snapshot, by, |_, _| Ok(())).await?;
    if let Some(run) = made_before(&mut tx, builder.programme_id, &builder.snapshot, kind).await? {
        return Ok(Applied::Already(run));
    }
    let purpose = if kind == RunKind::Deposit { DEPOSIT } else { BIRTH_GRANT };
    let open = builder.open_in_tx(&mut tx, kind, purpose).await?;
    let (run, inputs) = (open.run, open.inputs());
    let computed = match kind {
        RunKind::Deposit => deposits::pass(&mut tx, &inputs).await?,
        _ => grants::pass(&mut tx, &inputs).await?,
    };
    orders::attach_leaves_in_tx(&mut tx, run).await?;
    open.close_in_tx(&mut tx, computed).await?;
    tx.commit().await?;
    Ok(Applied::Now(run))
}

/// The run of the month, when this very command made it before; why none can be made.
async fn made_before(
    tx: &mut PgConnection,
    programme: i16,
    snapshot: &Snapshot,
    kind: RunKind,
) -> Result<Option<RunId>, OrderError> {
    let period = snapshot.period;
    match children::run_of_month_in_tx(tx, programme, period, kind.as_str()).await? {
        Some((run, list)) if list == snapshot.id => return Ok(Some(run)),
        Some((run, list)) => return Err(OrderError::KindExists { kind, period, run, snapshot: list }),
        None => {}
    }
    let listed = if kind == RunKind::Deposit { snapshot.deposits } else { snapshot.claims };
    if listed == 0 {
        return Err(OrderError::NothingListed { kind, snapshot: snapshot.id });
    }
    match children::run_under_way_in_tx(tx, programme, kind.as_str()).await? {
        Some(run) => Err(OrderError::KindUnderWay { kind, run }),
        None => Ok(None),
    }
}

/// Rows about children on their way into the database, beside those that the maker of orders has.
#[derive(Default)]
struct Rows {
    payments: CopyBuffer,
    releases: CopyBuffer,
}

impl Rows {
    fn is_full(&self) -> bool {
        self.payments.row_bytes().len() > 1 << 20
    }

    async fn send_in_tx(
        &mut self,
        tx: &mut PgConnection,
        maker: &mut Maker<'_>,
        run: RunId,
    ) -> Result<(), StoreError> {
        maker.seal().send_in_tx(tx, run).await?;
        self.payments.send_in_tx(tx, children::PAYMENTS, "").await?;
        self.releases.send_in_tx(tx, children::RELEASES, "").await?;
        Ok(())
    }
}
