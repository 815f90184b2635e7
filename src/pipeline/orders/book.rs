//! What follows from a run's orders, in the transaction that makes them: planned batches, kept totals, postings, checks, audit.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::checks;
use super::maker::{Computed, Inputs, Totals};
use crate::domain::batch::Slice;
use crate::domain::hex;
use crate::domain::ids::RunId;
use crate::domain::money::Centimes;
use crate::pipeline::exceptions::recovery;
use crate::store::audit::chain::{self, Decision};
use crate::store::books::orders::NewOrders;
use crate::store::books::{self, OrderSum, RunAt};
use crate::store::runs::checks::{self as run_checks, Check};
use crate::store::runs::decisions;
use crate::store::{StoreError, batches};

/// What a run's orders come to, however they were made.
pub(super) struct OrdersMade<'a> {
    pub programme: i16,
    pub run: RunId,
    pub now: OffsetDateTime,
    pub households: i64,
    pub orders: u32,
    pub exclusions: i64,
    pub entitled: Centimes,
    /// What of it is kept back.
    pub offset: Centimes,
    pub orders_sha256: &'a [u8; 32],
    pub totals: &'a Totals,
    pub slices: &'a [(i16, Slice)],
    pub compared_with: Option<RunId>,
    pub checks: &'a [Check],
    /// What the audit record says beside the orders.
    pub detail: &'a str,
}

impl OrdersMade<'_> {
    /// Orders that are held.
    pub fn held(totals: &Totals) -> i64 {
        totals.iter().filter(|((_, held), _)| *held).map(|(_, (count, _))| count).sum()
    }
}

/// Writes what follows from orders: planned batches, kept totals, postings, checks, audit.
pub(super) async fn made_in_tx(tx: &mut PgConnection, made: OrdersMade<'_>) -> Result<(), StoreError> {
    let OrdersMade { programme, run, now, .. } = made;
    batches::insert_planned_in_tx(tx, run, made.slices).await?;
    let of_provider = |(&(provider, held), &(orders, amount))| {
        let of = RunAt { programme, run, provider };
        NewOrders { sum: OrderSum { of, orders, amount }, held }
    };
    let new: Vec<NewOrders> = made.totals.iter().map(of_provider).collect();
    books::orders::computed_in_tx(tx, &new, now).await?;
    if made.offset > Centimes::ZERO {
        recovery::book_in_tx(tx, programme, run, now).await?;
    }
    let computed = decisions::Computed {
        households: made.households,
        orders: made.orders.into(),
        exclusions: made.exclusions,
        entitled: made.entitled,
        ordered: made.entitled - made.offset,
        orders_sha256: made.orders_sha256,
        compared_with: made.compared_with,
    };
    decisions::computed_in_tx(tx, run, computed).await?;
    run_checks::insert_checks_in_tx(tx, run, made.checks).await?;
    let (ordered, sha256) = (made.entitled - made.offset, hex(made.orders_sha256));
    let detail = format!("orders {} amount {ordered} sha256 {sha256} {}", made.orders, made.detail);
    let record = Decision {
        actor: "sarf",
        action: "run.compute",
        subject: &format!("run {run}"),
        detail: &detail,
        at: now,
    };
    chain::append_in_tx(tx, record).await
}

/// Writes what follows from the orders of a run that was made of a list, its comparison with another among them.
pub(super) async fn book(
    tx: &mut PgConnection,
    inputs: &Inputs<'_>,
    computed: &Computed,
) -> Result<(), StoreError> {
    for ((provider, held), (orders, _)) in &computed.totals {
        let code = inputs.providers.iter().find(|(_, id)| *id == provider).map(|(code, _)| code);
        tracing::debug!(run = inputs.run.get(), provider = code, held, orders, "orders made");
    }
    if inputs.previous.is_some() {
        run_checks::insert_comparison_in_tx(tx, inputs.run, &computed.comparison).await?;
    }
    let checks = checks::evaluate(
        &inputs.context.config.settings.checks,
        &computed.comparison,
        inputs,
        computed.orders.into(),
        OrdersMade::held(&computed.totals),
    );
    let made = OrdersMade {
        programme: inputs.programme_id,
        run: inputs.run,
        now: inputs.now,
        households: computed.households as i64,
        orders: computed.orders,
        exclusions: computed.exclusions as i64,
        entitled: computed.entitled,
        offset: computed.offset,
        orders_sha256: &computed.orders_sha256,
        totals: &computed.totals,
        slices: &computed.slices,
        compared_with: inputs.previous.map(|r| r.id),
        checks: &checks,
        detail: &format!("kept back {}", computed.offset),
    };
    made_in_tx(tx, made).await
}
