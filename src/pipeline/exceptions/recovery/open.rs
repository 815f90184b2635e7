//! Opening cases.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::follow_in_tx;
use crate::domain::ids::{CaseId, HouseholdId, OrderId};
use crate::domain::money::Centimes;
use crate::domain::period::Period;
use crate::domain::recovery::CaseCause;
use crate::store::StoreError;
use crate::store::audit::chain::{self, Decision};
use crate::store::locks::{self, Lock};
use crate::store::recovery::instalments;
use crate::store::runs::Run;

/// An undue payment that was found.
#[derive(Clone, Debug)]
pub struct NewCase {
    /// Programme number.
    pub programme_id: i16,
    /// Household.
    pub household: HouseholdId,
    /// Month of the payment.
    pub period: Period,
    /// The payment; `None` for one that was not made here.
    pub order: Option<OrderId>,
    /// Why it is undue.
    pub cause: CaseCause,
    /// What it is opened for: a second case of the same origin is not opened.
    pub origin: String,
    /// How much is undue, above zero.
    pub amount: Centimes,
}

/// Opens cases, and follows them to where their payments are: the numbers of those that are new.
pub async fn open_in_tx(
    tx: &mut PgConnection,
    new: &[NewCase],
    by: &str,
    why: &str,
    at: OffsetDateTime,
) -> Result<Vec<CaseId>, StoreError> {
    let mut programmes: Vec<i16> = new.iter().map(|case| case.programme_id).collect();
    programmes.sort_unstable();
    programmes.dedup();
    for programme in &programmes {
        locks::take_in_tx(tx, Lock::Cases(*programme)).await?;
    }
    let mut opened = Vec::new();
    for case in new {
        let Some(id) = instalments::insert_in_tx(tx, case_row(case), by, why, at).await? else { continue };
        let decision = Decision {
            actor: by,
            action: "recovery.open",
            subject: &format!("case {id}"),
            detail: &format!("{:#}, {}: {why}", case.amount, case.cause),
            at,
        };
        chain::append_in_tx(tx, decision).await?;
        opened.push(id);
    }
    for programme in programmes {
        follow_in_tx(tx, programme, at).await?;
    }
    Ok(opened)
}

fn case_row(case: &NewCase) -> instalments::NewCase<'_> {
    instalments::NewCase {
        programme: case.programme_id,
        household: case.household,
        period: case.period,
        order: case.order,
        cause: case.cause,
        origin: &case.origin,
        amount: case.amount,
    }
}

/// Opens a case over an order that can no longer be stopped, when word comes that an earlier one of its claim was paid.
pub(in crate::pipeline) async fn open_paid_twice_in_tx(
    tx: &mut PgConnection,
    run: &Run,
    order: OrderId,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    locks::take_in_tx(tx, Lock::Cases(run.programme_id)).await?;
    if !instalments::open_paid_twice_in_tx(tx, order, at).await? {
        return Ok(());
    }
    let subject = format!("order {}", order.get());
    let decision =
        Decision { actor: "sarf", action: "recovery.open", subject: &subject, detail: "paid twice", at };
    chain::append_in_tx(tx, decision).await?;
    follow_in_tx(tx, run.programme_id, at).await
}

/// Opens a case for each undue payment that a correction run found: how many, and their sum.
pub async fn open_corrections_in_tx(
    tx: &mut PgConnection,
    run: &Run,
    by: &str,
    at: OffsetDateTime,
) -> Result<(i64, Centimes), StoreError> {
    locks::take_in_tx(tx, Lock::Cases(run.programme_id)).await?;
    let (cases, amount) = instalments::open_corrections_in_tx(tx, run.id, by, at).await?;
    if cases > 0 {
        let decision = Decision {
            actor: by,
            action: "recovery.open",
            subject: &format!("run {}", run.id),
            detail: &format!("{cases} cases, {amount:#}"),
            at,
        };
        chain::append_in_tx(tx, decision).await?;
        follow_in_tx(tx, run.programme_id, at).await?;
    }
    Ok((cases, amount))
}
