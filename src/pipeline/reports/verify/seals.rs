//! What `sarf verify` proves of rows that nobody should have touched: the audit chain, the journal of changes that it vouches for,
//! and every row beside its last entry.

use super::{Proof, named, proof};
use crate::domain::{hex, hint};
use crate::pipeline::Context;
use crate::store::audit::anchor::Anchored;
use crate::store::audit::journal::{self, Found};
use crate::store::audit::row_sums::StepsFound;
use crate::store::audit::{chain, row_sums};
use crate::store::{Store, StoreError};

/// The proofs over all records, and over rows beside them.
pub(super) async fn records(
    context: &Context,
    asked: Option<[u8; 32]>,
    found: &mut Vec<Proof>,
) -> Result<(), StoreError> {
    let store = &context.store;
    chain(store, asked, found).await?;
    let tables = journal::relations(store).await?;
    // Each keeps one backend at work.
    let (entries, rows) = tokio::join!(
        async { Ok::<_, StoreError>((journal::unvouched(store).await?, journal::torn(store).await?)) },
        rows(store, &tables)
    );
    let ((unvouched, torn), rows) = (entries?, rows?);
    push(found, "each change of a row is vouched for in the audit chain", "changes", unvouched);
    push(found, "no row was changed between two entries of the journal", "entries", torn);
    let unguarded = journal::unguarded(store).await?;
    let gone = Found {
        looked_at: tables.len() as i64,
        wrong: unguarded.len() as i64,
        named: unguarded.iter().map(|table| format!("{table} is not")).collect(),
    };
    push(found, "every table that matters is under the journal", "tables", gone);
    push(found, "each row is as its last change left it", "rows", rows);
    Ok(())
}

/// The proofs over groups of rows that are hashed as a sum; `steps` were read before.
pub(super) async fn sums(
    store: &Store,
    steps: &StepsFound,
    found: &mut Vec<Proof>,
) -> Result<(), StoreError> {
    for (table, what, claim) in [
        ("outcome", "steps", "the steps of orders are those that messages brought"),
        ("snapshot_share", "rows", "what households share is what was found at the import"),
    ] {
        let sums = of_table(store, table, what, steps).await?;
        push(found, claim, what, sums);
    }
    Ok(())
}

/// Rows of all tables beside their last entries.
async fn rows(store: &Store, tables: &[String]) -> Result<Found, StoreError> {
    let mut rows = Found::default();
    for table in tables {
        match journal::differing(store, table).await {
            Ok(of_table) => rows.add(of_table),
            Err(error) if store.ping().await.is_err() => return Err(error),
            Err(error) => rows.add(Found {
                wrong: 1,
                named: vec![format!("{table} cannot be read: {}", hint::chain(&error))],
                ..Found::default()
            }),
        }
    }
    Ok(rows)
}

async fn chain(store: &Store, asked: Option<[u8; 32]>, found: &mut Vec<Proof>) -> Result<(), StoreError> {
    let first = chain::first(store).await?;
    let read = store.anchor().map(|anchor| (anchor.read(first.as_deref()), anchor.folder()));
    let (anchored, unread) = match read {
        None => (Anchored::default(), None),
        Some((Ok(anchored), _)) => (anchored, None),
        Some((Err(error), folder)) => {
            (Anchored::default(), Some(format!("`{}` cannot be read: {error}", folder.display())))
        }
    };
    let chain = chain::verify(store, &anchored, asked).await?;
    let mut figures = format!("{} records", chain.records);
    if let Some((number, hash)) = chain.head {
        figures.push_str(&format!(", head {number} {}", hex(&hash)));
    }
    if let Some(number) = chain.asked {
        figures.push_str(&format!(", the given hash is that of record {number}"));
    }
    if anchored.first.is_none() {
        figures.push_str(", compared with nothing outside of the database");
    }
    let faults: Vec<String> = chain.faults.iter().map(ToString::to_string).chain(unread.clone()).collect();
    if !faults.is_empty() {
        figures.push_str(&format!(", then: {}", named(chain.faults_total as i64, &faults)));
    }
    let holds = chain.faults_total == 0 && unread.is_none();
    found.push(proof(5, "all", "the audit chain is whole", figures, holds));
    Ok(())
}

fn push(found: &mut Vec<Proof>, claim: &str, what: &str, rows: Found) {
    let mut figures = format!("{} {what}, {} differ", rows.looked_at, rows.wrong);
    if rows.wrong > 0 {
        figures.push_str(&format!(": {}", named(rows.wrong, &rows.named)));
    }
    found.push(proof(6, "all", claim, figures, rows.wrong == 0));
}

/// Groups of rows against what the journal says of them.
async fn of_table(store: &Store, table: &str, what: &str, steps: &StepsFound) -> Result<Found, StoreError> {
    let mut kept = row_sums::sums(store, table).await?;
    let mut there = row_sums::sums_found(store, table, steps).await?;
    // A message that came since the runs were read is in one of the two only: then both are read anew, one after the other.
    if kept != there {
        kept = row_sums::sums(store, table).await?;
        there = row_sums::sums_found(store, table, &StepsFound::default()).await?;
    }
    let mut result = Found { looked_at: there.values().map(|sum| sum.rows).sum(), ..Found::default() };
    let mut keys: Vec<&String> = kept.keys().chain(there.keys()).collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        let (kept, there) =
            (kept.get(key).copied().unwrap_or_default(), there.get(key).copied().unwrap_or_default());
        if kept != there {
            result.wrong += 1;
            let group = key.split_once('/').map_or_else(
                || format!("list {key}"),
                |(run, message)| format!("message {message} in run {run}"),
            );
            result.named.push(format!("{group}: {} {what}, there were {}", there.rows, kept.rows));
        }
    }
    result.named.truncate(20);
    Ok(result)
}
