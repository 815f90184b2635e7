//! What `sarf verify` proves of breaks.

use super::{Proof, proof};
use crate::domain::money::Centimes;
use crate::store::audit::proofs;
use crate::store::{Store, StoreError};

/// Balances of suspense, write-offs and claims on banks, against what breaks put there.
const DIFFERING: &str = "select count(*) from
    (select provider_id, coalesce(posted_to, 'suspense') as kind, sum(suspense) as amount from break
      where suspense <> 0 and posted_to is distinct from 'explained' group by 1, 2) k
    full join (select provider_id, kind, balance from ledger_account
                where kind in ('suspense', 'written_off', 'bank_claim') and run_id is null) a using (provider_id, kind)
    where coalesce(k.amount, 0) <> coalesce(a.balance, 0)";

/// Resolved breaks whose decision lacks a person, or the second one that its proposal asked for.
const UNDECIDED: &str = "select count(*) from break b where b.resolved_at is not null and not exists (
    select from break_step s where s.break_id = b.id and s.taken_at = b.resolved_at
       and (s.step in ('resolved', 'explained') and s.taken_by = b.resolved_by
            or s.step = 'confirmed' and s.taken_by = b.confirmed_by and s.taken_by <> b.resolved_by))";

/// The proofs over all breaks.
pub(super) async fn of_all(store: &Store, found: &mut Vec<Proof>) -> Result<(), StoreError> {
    let of = |which: &str| format!("select coalesce(sum(suspense), 0)::bigint from break where {which}");
    let open = proofs::number(store, of("posted_to is null")).await?;
    let out = proofs::number(store, of("posted_to in ('written_off', 'bank_claim')")).await?;
    let differ = proofs::number(store, DIFFERING.into()).await?;
    found.push(proof(
        2,
        "all",
        "what stands in suspense is what open breaks put there, and what left it went where its break says",
        format!(
            "{} in suspense, {} posted out, {differ} accounts differ",
            Centimes::new(open),
            Centimes::new(out)
        ),
        differ == 0,
    ));
    let resolved =
        proofs::number(store, "select count(*) from break where resolved_at is not null".into()).await?;
    let undecided = proofs::number(store, UNDECIDED.into()).await?;
    found.push(proof(
        5,
        "all",
        "each resolved break has the step that resolved it, by who may",
        format!("{resolved} resolved, {undecided} without"),
        undecided == 0,
    ));
    Ok(())
}
