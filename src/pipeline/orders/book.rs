//! What follows from a run's orders, in the transaction that makes them: planned batches, kept totals, postings, checks, audit.

use std::collections::HashMap;

use sqlx::PgConnection;

use super::checks;
use super::maker::{Computed, Inputs};
use crate::domain::hex;
use crate::domain::money::Centimes;
use crate::pipeline::Context;
use crate::pipeline::exceptions::recovery;
use crate::store::audit::chain::{self, Decision};
use crate::store::books::orders::NewOrders;
use crate::store::books::{self, OrderSum, RunAt};
use crate::store::runs::{checks as run_checks, decisions};
use crate::store::{StoreError, batches};

/// Writes what follows from the orders: planned batches, kept totals, postings, comparison, checks, audit.
pub(in crate::pipeline) async fn book(
    context: &Context,
    tx: &mut PgConnection,
    inputs: &Inputs<'_>,
    programme_id: i16,
    computed: Computed,
) -> Result<(), StoreError> {
    let run = inputs.run;
    let names: HashMap<i16, &str> = inputs.providers.iter().map(|(code, id)| (*id, code.as_str())).collect();
    batches::insert_planned_in_tx(tx, run, &computed.slices).await?;
    let mut new = Vec::new();
    for (&(provider, held), &(count, amount)) in &computed.totals {
        let of = RunAt { programme: programme_id, run, provider };
        new.push(NewOrders { sum: OrderSum { of, orders: count, amount }, held });
        tracing::debug!(
            run = run.get(),
            provider = names.get(&provider),
            held,
            orders = count,
            "orders made"
        );
    }
    books::orders::computed_in_tx(tx, &new, inputs.now).await?;
    if computed.offset > Centimes::ZERO {
        recovery::book_in_tx(tx, programme_id, run, inputs.now).await?;
    }
    let made = decisions::Computed {
        households: computed.households as i64,
        orders: computed.orders.into(),
        exclusions: computed.exclusions as i64,
        entitled: computed.entitled,
        ordered: computed.entitled - computed.offset,
        orders_sha256: &computed.orders_sha256,
        compared_with: inputs.previous.map(|r| r.id),
    };
    decisions::computed_in_tx(tx, run, made).await?;
    if inputs.previous.is_some() {
        run_checks::insert_comparison_in_tx(tx, run, &computed.comparison).await?;
    }
    let held: i64 = computed.totals.iter().filter(|((_, held), _)| *held).map(|(_, (count, _))| count).sum();
    let checks = checks::evaluate(
        &context.config.settings.checks,
        &computed.comparison,
        inputs,
        computed.orders as i64,
        held,
    );
    run_checks::insert_checks_in_tx(tx, run, &checks).await?;
    let detail = format!(
        "orders {} amount {} kept back {} sha256 {}",
        computed.orders,
        computed.entitled - computed.offset,
        computed.offset,
        hex(&computed.orders_sha256)
    );
    chain::append_in_tx(
        tx,
        Decision {
            actor: "sarf",
            action: "run.compute",
            subject: &format!("run {run}"),
            detail: &detail,
            at: inputs.now,
        },
    )
    .await
}
