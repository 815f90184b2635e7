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
use super::book::book;
use super::changed::{self, hold_changed, last_change};
use super::maker::{Inputs, Maker};
use crate::domain::ids::{RunId, SnapshotId};
use crate::domain::run::RunKind;
use crate::pipeline::{Applied, Context, person};
use crate::store::StoreError;
use crate::store::access::operators::Role;
use crate::store::copy::CopyBuffer;
use crate::store::locks::{self, Lock};
use crate::store::messages::breaks;
use crate::store::orders::{self, questions};
use crate::store::registry::snapshots::{self, Snapshot};
use crate::store::registry::{children, reference};
use crate::store::runs::{self, NewRun, rule_sets};

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
    let snapshot =
        snapshots::find(&context.store, snapshot).await?.ok_or(OrderError::NoSnapshot(snapshot))?;
    let programme = context
        .config
        .programme(&snapshot.programme)
        .ok_or_else(|| OrderError::UnknownProgramme(snapshot.programme.clone()))?;
    let mut tx = context.store.begin().await?;
    person(&mut tx, by, Role::Preparer).await?;
    let programme_id = reference::programme_id_in_tx(&mut tx, programme.rules.code().as_str()).await?;
    // The first of these is the programme's own: two runs of one kind for two months are made one after the other.
    locks::take_in_tx(&mut tx, Lock::Making(programme_id)).await?;
    locks::take_in_tx(&mut tx, Lock::Month(programme_id, snapshot.period)).await?;
    if let Some(run) = made_before(&mut tx, programme_id, &snapshot, kind).await? {
        return Ok(Applied::Already(run));
    }
    let last_change = last_change(context, programme_id).await?;
    let now = context.clock.now();
    let new = NewRun {
        programme_id,
        period: snapshot.period,
        kind,
        snapshot: snapshot.id,
        rules_sha256: &programme.sha256,
        created_by: by,
        created_at: now,
    };
    let run = runs::insert_in_tx(&mut tx, new).await?;
    let rules = &programme.rules;
    rule_sets::keep_in_tx(&mut tx, &programme.sha256, rules.code().as_str(), rules.fingerprint_input())
        .await?;
    orders::create_leaves_in_tx(&mut tx, run).await?;
    let providers: Vec<String> =
        context.config.router.providers().iter().map(|p| p.code.to_string()).collect();
    let purpose = if kind == RunKind::Deposit { DEPOSIT } else { BIRTH_GRANT };
    let inputs = Inputs {
        context,
        run,
        programme_id,
        period: snapshot.period,
        purpose: reference::purpose_id_in_tx(&mut tx, purpose).await?,
        snapshot: &snapshot,
        programme,
        providers: &reference::provider_ids_in_tx(&mut tx, &providers).await?,
        previous: None,
        barring: &[],
        doubted: &breaks::doubted_households_in_tx(&mut tx).await?,
        correction: false,
        questions: &questions::of_programme_in_tx(&mut tx, programme_id).await?,
        flagged: &changed::flagged(context, &mut tx, programme_id, snapshot.id).await?,
        now,
    };
    let computed = match kind {
        RunKind::Deposit => deposits::pass(&mut tx, &inputs).await?,
        _ => grants::pass(&mut tx, &inputs).await?,
    };
    orders::attach_leaves_in_tx(&mut tx, run).await?;
    book(context, &mut tx, &inputs, programme_id, computed).await?;
    hold_changed(&mut tx, &inputs, last_change).await?;
    tx.commit().await.map_err(StoreError::from)?;
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
