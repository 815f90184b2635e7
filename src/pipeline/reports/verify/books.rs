//! What `sarf verify` proves of the books as a whole, and of claims across runs.

use super::{Proof, named, proof};
use crate::domain::ids::RunId;
use crate::domain::money::Centimes;
use crate::pipeline::Context;
use crate::store::audit::proofs::{self, Envelope};
use crate::store::{StoreError, orders};

/// Guarantee 1 across runs: within a run a unique index proves it; between runs of one period the rows are compared.
pub(super) async fn rivals(
    context: &Context,
    only: Option<RunId>,
    proofs: &mut Vec<Proof>,
) -> Result<(), StoreError> {
    let mut twice = 0;
    let pairs = proofs::rival_runs(&context.store).await?;
    let pairs: Vec<_> =
        pairs.into_iter().filter(|(a, b)| only.is_none_or(|id| [*a, *b].contains(&id.get()))).collect();
    for (a, b) in &pairs {
        let (a, b) = (orders::leaf(RunId::new(*a)), orders::leaf(RunId::new(*b)));
        twice += proofs::number(
            &context.store,
            format!(
                "select count(*) from {a} a join {b} b using (household_id, period, purpose_id, attempt)"
            ),
        )
        .await?;
    }
    let indexes = "select count(*) from run r where r.state <> 'draft' and not exists (select from pg_class c join pg_index i on i.indexrelid = c.oid
                     where c.relname = 'payment_order_' || r.id || '_claim' and i.indisunique and i.indisvalid)";
    let unproven = proofs::number(&context.store, indexes.to_owned()).await?;
    let figures = format!(
        "{} pairs of runs compared, {twice} claims twice, {unproven} runs without their unique index",
        pairs.len()
    );
    proofs.push(proof(
        1,
        "all",
        "exactly one live order for each claim",
        figures,
        twice == 0 && unproven == 0,
    ));
    Ok(())
}

/// Guarantee 2: what is reserved is what funded runs ordered, and no envelope is overdrawn.
pub(super) async fn envelopes(context: &Context, proofs: &mut Vec<Proof>) -> Result<(), StoreError> {
    let runs = proofs::reservations(&context.store).await?;
    let wrong: Vec<String> = runs
        .iter()
        .filter(|r| r.reserved != r.due)
        .map(|r| {
            let (reserved, due) = (Centimes::new(r.reserved), Centimes::new(r.due));
            format!("run {}: {reserved:#} reserved of {due}", r.run)
        })
        .collect();
    let mut figures = format!("{} runs, {} differ", runs.len(), wrong.len());
    if !wrong.is_empty() {
        figures.push_str(&format!(": {}", named(wrong.len() as i64, &wrong)));
    }
    let claim = "what is reserved for each run is what it ordered";
    proofs.push(proof(2, "all", claim, figures, wrong.is_empty()));
    let envelopes = proofs::envelopes(&context.store).await?;
    let wrong: Vec<String> = envelopes.iter().filter_map(|e| envelope_fault(context, e)).collect();
    let mut figures = format!("{} envelopes, {} differ", envelopes.len(), wrong.len());
    if !wrong.is_empty() {
        figures.push_str(&format!(": {}", named(wrong.len() as i64, &wrong)));
    }
    let claim = "each envelope gave what its runs reserved, and no more than it holds";
    proofs.push(proof(2, "all", claim, figures, wrong.is_empty()));
    Ok(())
}

fn envelope_fault(context: &Context, envelope: &Envelope) -> Option<String> {
    let Envelope { programme, year, given, reserved } = envelope;
    let what = format!("{programme} {year}");
    let (given, reserved) = (Centimes::new(*given), Centimes::new(*reserved));
    if given != reserved {
        return Some(format!("{what} gave {given:#}, its runs reserved {reserved}"));
    }
    // A programme that is no longer configured has no envelope to compare with.
    let holds = context.config.programme(programme).and_then(|p| p.rules.budget(*year))?;
    (given > holds).then(|| format!("{what} gave {given:#} of {holds}"))
}

/// Guarantee 2: the ledger.
pub(super) async fn ledger(context: &Context, proofs: &mut Vec<Proof>) -> Result<(), StoreError> {
    let store = &context.store;
    let sum = proofs::number(store, "select sum(balance)::bigint from ledger_account".into()).await?;
    let transfers = proofs::number(store, "select count(*) from ledger_transfer".into()).await?;
    proofs.push(proof(
        2,
        "all",
        "the ledger sums to zero",
        format!("{transfers} transfers, sum {}", Centimes::new(sum)),
        sum == 0,
    ));
    let drifted = "select count(*) from ledger_account a
                    where balance <> coalesce((select sum(p.amount) from ledger_posting p where p.account_id = a.id), 0)";
    let drifted = proofs::number(store, drifted.into()).await?;
    proofs.push(proof(
        2,
        "all",
        "each balance is the sum of its postings",
        format!("{drifted} accounts differ"),
        drifted == 0,
    ));
    let bank = "select count(*) from (select provider_id, sum(credits - debits) as moved from statement group by 1) s
                 full join (select provider_id, balance from ledger_account where kind = 'bank') a using (provider_id)
                 where coalesce(s.moved, 0) <> coalesce(a.balance, 0)";
    let bank = proofs::number(store, bank.into()).await?;
    proofs.push(proof(
        2,
        "all",
        "each bank account moved as its statements say",
        format!("{bank} accounts differ"),
        bank == 0,
    ));
    Ok(())
}

/// Guarantee 3: messages, and the bank accounts that they moved.
pub(super) async fn messages(context: &Context, proofs: &mut Vec<Proof>) -> Result<(), StoreError> {
    let store = &context.store;
    let lost = "select count(*) from message where entries <> applied + already + noted + breaks";
    let lost = proofs::number(store, lost.into()).await?;
    let entries = proofs::number(store, "select sum(entries)::bigint from message".into()).await?;
    let broken =
        proofs::number(store, "select count(*) from break where resolved_at is null and not carried".into())
            .await?;
    let figures = format!("{entries} entries, {broken} open breaks, {lost} messages do not add up");
    proofs.push(proof(
        3,
        "all",
        "every feedback entry is matched or in a queue of breaks",
        figures,
        lost == 0,
    ));
    Ok(())
}
