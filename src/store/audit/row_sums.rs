//! Rows that come in any order, hashed as a sum for each group: steps of orders by run and message, what households share by list.
//!
//! Guarantee: whatever is sent by COPY is summed in the same transaction; what a statement changes is summed by trigger.

use std::fmt::Write as _;

use foldhash::HashMap;
use sqlx::PgConnection;

use crate::domain::ids::{OrderId, RunId};
use crate::domain::step::Step;
use crate::store::copy::CopyAhead;
use crate::store::copy::fields::{big, field};
use crate::store::copy::hashes::Sum;
use crate::store::messages::feedback;
use crate::store::{Store, StoreError};

/// What the journal says of the groups of a table.
pub async fn sums(store: &Store, relation: &str) -> Result<HashMap<String, Sum>, StoreError> {
    let rows: Vec<(String, i64, String)> = sqlx::query_as(
        "select key, coalesce(sum(rows), 0)::bigint, coalesce(sum(total), 0)::text from journal
          where relation = $1 and action = 'sum' group by key",
    )
    .bind(relation)
    .fetch_all(store.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|(key, rows, total)| (key, Sum { rows, total: total.parse().unwrap_or(i128::MIN) }))
        .collect())
}

/// What a pass over runs found of their steps, so that these are not read twice.
#[derive(Clone, Debug, Default)]
pub struct StepsFound(HashMap<RunId, HashMap<i64, Sum>>);

impl StepsFound {
    /// All steps of a run were read: their sums by message.
    pub fn of_run(&mut self, run: RunId, sums: HashMap<i64, Sum>) {
        self.0.insert(run, sums);
    }

    /// What is left to read.
    fn others(&self) -> String {
        let mut others = String::from("true");
        for run in self.0.keys() {
            let (low, high) = OrderId::bounds(*run);
            let _ = write!(others, " and (order_id < {low} or order_id >= {high})");
        }
        others
    }
}

/// The groups of a table as they are, read in whatever order the rows lie, but for steps that were `read` before.
pub async fn sums_found(
    store: &Store,
    relation: &str,
    read: &StepsFound,
) -> Result<HashMap<String, Sum>, StoreError> {
    let source = match relation {
        "outcome" => {
            format!("(select {} from outcome where {})", feedback::OUTCOME_COLUMNS, read.others())
        }
        _ => "(select household_key, kind, households from snapshot_share)".to_owned(),
    };
    let mut rows = CopyAhead::open(store.pool(), source);
    let mut found: HashMap<(i64, i64), Sum> = HashMap::default();
    if relation == "outcome" {
        let of_run = |(run, sums): (&RunId, &HashMap<i64, Sum>)| {
            let run = run.get();
            sums.iter().map(move |(message, sum)| ((run, *message), *sum)).collect::<Vec<_>>()
        };
        found.extend(read.0.iter().flat_map(of_run));
    }
    while let Some(row) = rows.next().await? {
        let row = row.whole();
        let first = field(row, 0).and_then(big).unwrap_or(i64::MIN);
        let second = if relation == "outcome" { field(row, 2).and_then(big).unwrap_or(i64::MIN) } else { 0 };
        found.entry((first >> 32, second)).or_default().add(row);
    }
    let name = |(owner, message): (i64, i64)| {
        if relation == "outcome" { format!("{owner}/{message}") } else { owner.to_string() }
    };
    Ok(found.into_iter().map(|(key, sum)| (name(key), sum)).collect())
}

/// Adds steps that were written by a statement, not sent by COPY, to the sums of their message.
pub async fn note_steps_in_tx(
    connection: &mut PgConnection,
    message: i64,
    step: Step,
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into journal (change, relation, key, action, rows, total)
         select journal_change(), 'outcome', (x.order_id >> 32) || '/' || x.message_id, 'sum', count(*),
                sum(outcome_hash(x))
           from outcome x where x.message_id = $1 and x.step = $2 group by 3",
    )
    .bind(message)
    .bind(step.number())
    .execute(connection)
    .await?;
    Ok(())
}
