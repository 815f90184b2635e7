//! Why a household is paid nothing: for each run that excluded it and each list that has no order for it, the programme or rule
//! that decided so.
//!
//! Input: a household id, and its orders. Output: one [`Unpaid`] for each run or list, the newest first. Guarantee: reads only.
//! Limit: the rules are those configured now; where they have changed since the run, that is said.

use std::collections::BTreeSet;

use crate::domain::entitlement::{ALREADY_ORDERED, ExclusionReason, excluding_rule, explain_exclusion};
use crate::domain::household::Household;
use crate::domain::ids::{HouseholdId, RunId, SnapshotId};
use crate::domain::money::Centimes;
use crate::domain::period::Period;
use crate::pipeline::Context;
use crate::store::orders::{self, Exclusion, OrderDetail};
use crate::store::registry::snapshots::{self, Snapshot};
use crate::store::runs::{self, day_runs};
use crate::store::{Store, StoreError};

/// Why nothing is paid.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Unpaid {
    /// Programme.
    pub programme: String,
    /// Month.
    pub period: Period,
    /// The list.
    pub snapshot: SnapshotId,
    /// The run that excluded it; none where the list itself has no such household to pay.
    pub run: Option<i64>,
    /// Kind of that run.
    pub kind: Option<String>,
    /// Row of the list, in the part that the run is made from.
    pub row: Option<i32>,
    /// The reason of the exclusion, or `rejected_row`, `not_listed`.
    pub reason: String,
    /// The rule or the fault, with its values.
    pub why: String,
    /// The order that is paid instead.
    pub instead: Option<Instead>,
}

/// An order that bars another.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Instead {
    /// Its number.
    pub order: i64,
    /// Its run.
    pub run: i64,
    /// Its programme.
    pub programme: String,
    /// Its amount.
    pub amount: Centimes,
    /// Its state.
    pub state: String,
}

/// Tells why a household is paid nothing where it is not.
pub async fn of_household(
    context: &Context,
    household: HouseholdId,
    found: &[OrderDetail],
) -> Result<Vec<Unpaid>, StoreError> {
    let store = &context.store;
    let lists = snapshots::list(store).await?;
    let mut told = Vec::new();
    for exclusion in orders::exclusions_of(store, household.as_str()).await? {
        told.extend(of_exclusion(context, household, found, &exclusion, &lists).await?);
    }
    let rejected = snapshots::rejections_of(store, household.as_str()).await?;
    for (id, row) in &rejected {
        let Some(list) = lists.iter().find(|list| list.id == *id) else { continue };
        let consequence = match row.part.as_str() {
            "households" => "nothing is paid by this list",
            _ => "what is due cannot be relied on, so that its order is held",
        };
        let why = format!(
            "row {} of {} was rejected: {} is {} (written as `{}`); {consequence}",
            row.row, row.part, row.field, row.reason, row.value
        );
        told.push(of_list(list, "rejected_row", why));
    }
    let rejected: BTreeSet<SnapshotId> = rejected.iter().map(|(id, _)| *id).collect();
    told.extend(gone(store, household, &lists, &rejected).await?);
    told.sort_by_key(|unpaid| std::cmp::Reverse((unpaid.period, unpaid.snapshot, unpaid.run)));
    Ok(told)
}

async fn of_exclusion(
    context: &Context,
    household: HouseholdId,
    found: &[OrderDetail],
    exclusion: &Exclusion,
    lists: &[Snapshot],
) -> Result<Option<Unpaid>, StoreError> {
    let mut tx = context.store.begin().await?;
    let run = runs::find_in_tx(&mut tx, RunId::new(exclusion.run), false).await?;
    let run = run.ok_or(StoreError::Corrupt("run of an exclusion"))?;
    let listed = day_runs::households_in_tx(&mut tx, run.snapshot, &[household]).await?.remove(&household);
    tx.rollback().await?;
    let Some(list) = lists.iter().find(|list| list.id == run.snapshot) else { return Ok(None) };
    let instead = barring(context, found, exclusion);
    let why = match &instead {
        Some(order) if order.programme == exclusion.programme => {
            "the same claim has an order in another run".to_owned()
        }
        Some(order) => format!("it may not be drawn together with `{}`", order.programme),
        None => rule(context, &run, listed.as_ref(), exclusion),
    };
    let reason = &exclusion.reason;
    let (run, kind, row) = (Some(exclusion.run), Some(exclusion.kind.clone()), Some(exclusion.row));
    Ok(Some(Unpaid { run, kind, row, instead, ..of_list(list, reason, why) }))
}

/// The rule behind an exclusion, by the rules as they are configured now.
fn rule(context: &Context, run: &runs::Run, listed: Option<&Household>, exclusion: &Exclusion) -> String {
    let meaning = || explain_exclusion(&exclusion.reason).unwrap_or_default().to_owned();
    let reason = ExclusionReason::parse(&exclusion.reason);
    let (Some(programme), Some(household), Some(reason)) =
        (context.config.programme(&exclusion.programme), listed, reason)
    else {
        return meaning();
    };
    let changed = programme.sha256.as_slice() != run.rules_sha256;
    let rule = excluding_rule(&programme.rules, household, exclusion.period, reason).unwrap_or_else(meaning);
    if changed {
        format!("{rule} (the rules have changed since the run)").trim_start().to_owned()
    } else {
        rule
    }
}

/// The order that bars another: of the same month, made before, of the same programme or one that may not be drawn with it.
fn barring(context: &Context, found: &[OrderDetail], exclusion: &Exclusion) -> Option<Instead> {
    const BARRED: [&str; 2] = [ALREADY_ORDERED, ExclusionReason::OtherProgramme.as_str()];
    if !BARRED.contains(&exclusion.reason.as_str()) {
        return None;
    }
    let same = exclusion.reason == BARRED[0];
    let not_with = context.config.programme(&exclusion.programme).map_or(&[][..], |p| p.rules.not_with());
    let bars = |order: &&OrderDetail| {
        let of_programme = match same {
            true => order.programme == exclusion.programme,
            false => not_with.iter().any(|code| code.as_str().eq_ignore_ascii_case(&order.programme)),
        };
        order.period == exclusion.period
            && order.run != exclusion.run
            && order.state != "cancelled"
            && of_programme
    };
    let order = found.iter().filter(bars).min_by_key(|order| order.order_id)?;
    Some(Instead {
        order: order.order_id,
        run: order.run,
        programme: order.programme.clone(),
        amount: order.amount,
        state: order.state.clone(),
    })
}

/// Of each programme whose lists had the household: its latest list, where that one has not.
async fn gone(
    store: &Store,
    household: HouseholdId,
    lists: &[Snapshot],
    rejected: &BTreeSet<SnapshotId>,
) -> Result<Vec<Unpaid>, StoreError> {
    let (mut told, mut done) = (Vec::new(), BTreeSet::new());
    let mut tx = store.begin().await?;
    // Newest first: the first list of each programme is its latest.
    for latest in lists {
        if !done.insert(&latest.programme) || rejected.contains(&latest.id) {
            continue;
        }
        for list in lists.iter().filter(|list| list.programme == latest.programme) {
            let there =
                day_runs::households_in_tx(&mut tx, list.id, &[household]).await?.contains_key(&household);
            if there {
                let why = format!("it was last listed for {} (snapshot {})", list.period, list.id);
                told.extend((list.id != latest.id).then(|| of_list(latest, "not_listed", why)));
                break;
            }
        }
    }
    tx.rollback().await?;
    Ok(told)
}

fn of_list(list: &Snapshot, reason: &str, why: String) -> Unpaid {
    Unpaid {
        programme: list.programme.clone(),
        period: list.period,
        snapshot: list.id,
        run: None,
        kind: None,
        row: None,
        reason: reason.to_owned(),
        why,
        instead: None,
    }
}
