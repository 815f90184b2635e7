//! Orders of runs that are not made from their list alone, each beside what it was made from: the order before, corrections,
//! payments for children; and grants beside their claims and the rules.

use super::derive::Derived;
use super::{Proof, named, proof, rules};
use crate::domain::money::Centimes;
use crate::domain::period::Period;
use crate::domain::programme::Programme;
use crate::domain::run::{RunKind, RunState};
use crate::pipeline::Context;
use crate::store::StoreError;
use crate::store::orders::origins::{self, Differing, Granted};
use crate::store::runs::Run;

/// Guarantee 2 for a run of another kind than a month's own; what a cancelled run was made from is free again.
pub(super) async fn of_run(
    context: &Context,
    scope: &str,
    run: &Run,
    proofs: &mut Vec<Proof>,
) -> Result<(), StoreError> {
    if run.state == RunState::Cancelled {
        return Ok(());
    }
    let Some(differing) = origins::differing(&context.store, run).await? else { return Ok(()) };
    let wrong = differing.first().map_or(0, |first| first.wrong);
    let what = match run.kind {
        RunKind::Reissue => "the order before it",
        RunKind::Correction => "what was found of its household",
        _ => "what is paid for its children",
    };
    let mut figures = format!("{} orders, {wrong} differ", run.orders);
    if wrong > 0 {
        let names: Vec<String> = differing.iter().map(told).collect();
        figures.push_str(&format!(": {}", named(wrong, &names)));
    }
    proofs.push(proof(
        2,
        scope,
        &format!("each order is over {what}, less what is kept back"),
        figures,
        wrong == 0,
    ));
    if run.kind == RunKind::BirthGrant { grants(context, scope, run, proofs).await } else { Ok(()) }
}

fn told(differing: &Differing) -> String {
    let mad = |amount: Option<i64>| {
        amount.map_or_else(|| "no amount".to_owned(), |amount| format!("{:#}", Centimes::new(amount)))
    };
    let order = differing.order_id.map_or_else(|| "an order".to_owned(), |id| format!("order {id}"));
    match differing.fault.as_str() {
        "missing" => format!("{order} over {} is missing", mad(differing.due)),
        "stray" => format!("{order} was made from nothing"),
        "claim" => format!("{order} is of another claim"),
        "due" => format!("{order}: {} ordered as due, not {}", mad(differing.ordered), mad(differing.due)),
        "reasons" => format!("{order} has other reasons for its amount"),
        "kept" => format!("{order}: its instalments keep another amount back"),
        _ => format!("{order}: its amount is not what is due less what is kept back"),
    }
}

/// Each grant is claimed in the list, and what the rules give for a child of its rank.
async fn grants(
    context: &Context,
    scope: &str,
    run: &Run,
    proofs: &mut Vec<Proof>,
) -> Result<(), StoreError> {
    const CLAIM: &str = "the list's claims and the rules give each birth grant";
    let rules = match rules(context, run).await? {
        Ok(rules) => rules,
        Err(why) => {
            proofs.push(proof(2, scope, CLAIM, why.clone(), why.ends_with("configured")));
            return Ok(());
        }
    };
    let granted = origins::granted(&context.store, run).await?;
    let mut found = Derived::default();
    for grant in &granted {
        if let Err(what) = as_claimed(&rules, grant) {
            found.fault(format!("order {}: {what}", grant.order_id));
        }
    }
    let mut figures = format!("{} grants, {} differ", granted.len(), found.wrong);
    if found.wrong > 0 {
        figures.push_str(&format!(": {}", named(found.wrong, &found.named)));
    }
    proofs.push(proof(2, scope, CLAIM, figures, found.wrong == 0));
    Ok(())
}

fn as_claimed(rules: &Programme, grant: &Granted) -> Result<(), String> {
    let claimed_on = grant.claimed_on.ok_or("the list has no claim that it pays")?;
    let month = Period::new(claimed_on.year(), claimed_on.month().into()).ok();
    let terms = month.and_then(|month| rules.version_at(month)?.birth_grant.as_ref());
    let rank = grant.rank.and_then(|rank| usize::try_from(rank).ok()?.checked_sub(1));
    let due = terms.zip(rank).and_then(|(terms, index)| terms.amounts.get(index));
    match due {
        Some(due) if due.get() == grant.amount => Ok(()),
        Some(due) => Err(format!("{:#} is paid for a grant of {due}", Centimes::new(grant.amount))),
        None => Err("the rules give no grant for that rank".into()),
    }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    #[test]
    fn a_grant_is_what_the_rules_give_for_the_rank_in_the_month_of_its_claim() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/programmes/dss.toml");
        let text = std::fs::read_to_string(path).expect("the programme");
        let rules = Programme::from_toml(&text).expect("rules");
        let claimed = Some(date!(2026 - 11 - 02));
        for (rank, amount, claimed_on, holds) in [
            (Some(1), 200_000, claimed, true),
            (Some(2), 100_000, claimed, true),
            (Some(2), 200_000, claimed, false),
            (Some(3), 100_000, claimed, false),
            (Some(0), 200_000, claimed, false),
            (None, 200_000, claimed, false),
            (Some(1), 200_000, None, false),
            (Some(1), 200_000, Some(date!(2010 - 01 - 01)), false),
        ] {
            let grant = Granted { order_id: 1, rank, amount, claimed_on };
            assert_eq!(as_claimed(&rules, &grant).is_ok(), holds, "{grant:?}");
        }
    }
}
