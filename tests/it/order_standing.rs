//! Where an order stands and which batch it is in: what the database works out, in each form that statements use, is what the rules
//! say.

use std::collections::BTreeMap;

use sarf::domain::batch::{BatchState, Lane};
use sarf::domain::ids::{BatchId, OrderId, RunId};
use sarf::domain::order::OrderState;
use sarf::domain::run::RunState;
use sarf::domain::step::{Step, Steps, stands};
use sarf::store::batches::{self, membership};
use sarf::store::messages::feedback;
use sarf::store::orders::extracts::{self, Extracts};
use sarf::store::orders::state_walk::StateWalk;
use sarf::store::orders::{self, order_state};
use sqlx::AssertSqlSafe;

use crate::harness::Bed;

/// All sets of steps, by the number of their furthest (0: no step).
fn sets_of_steps() -> Vec<Vec<Steps>> {
    let mut by_furthest = vec![vec![Steps::default()]];
    for step in Step::ALL {
        let before = by_furthest.iter().flatten().map(|steps| steps.with(step)).collect();
        by_furthest.push(before);
    }
    by_furthest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_combination_stands_where_the_rules_say() {
    type Row = (bool, String, Option<i16>, Option<String>, Option<String>, String);
    let Some(bed) = Bed::new().await else { return };
    let sql = format!(
        "select h.order_id is not null, r.state, x.step, b.lane, b.state, {}
           from (values (null::bigint), (1)) h (order_id) cross join unnest($1::text[]) r (state)
          cross join (select null::smallint union all select unnest($2::smallint[])) x (step)
          cross join (select null::text, null::text union all
                      select lane, state from unnest($3::text[]) lane cross join unnest($4::text[]) state) b (lane, state)",
        order_state::state()
    );
    let texts = |of: Vec<&'static str>| of.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(sql))
        .bind(texts(RunState::ALL.iter().map(|s| s.as_str()).collect()))
        .bind(Step::ALL.map(Step::number).to_vec())
        .bind(texts(Lane::ALL.iter().map(|s| s.as_str()).collect()))
        .bind(texts(BatchState::ALL.iter().map(|s| s.as_str()).collect()))
        .fetch_all(bed.context.store.pool())
        .await
        .expect("worked out");
    let batches = 1 + Lane::ALL.len() * BatchState::ALL.len();
    assert_eq!(rows.len(), 2 * RunState::ALL.len() * (1 + Step::ALL.len()) * batches);
    let sets = sets_of_steps();
    assert_eq!(sets.iter().map(Vec::len).sum::<usize>(), 1 << Step::ALL.len());
    let mut seen = BTreeMap::new();
    for (held, run, step, lane, batch, found) in rows {
        let run = RunState::parse(&run).expect("a run's state");
        let lane = lane.map(|lane| Lane::parse(&lane).expect("a lane"));
        let batch = batch.map(|batch| BatchState::parse(&batch).expect("a batch's state"));
        let (found, batch) = (OrderState::parse(&found).expect("an order's state"), lane.zip(batch));
        for steps in &sets[step.unwrap_or(0) as usize] {
            assert_eq!(stands(run, held, batch, *steps), found, "{held} {run} {batch:?} {steps:?}");
        }
        *seen.entry(found).or_insert(0) += 1;
    }
    assert_eq!(seen.len(), OrderState::ALL.len(), "{seen:?}");
    bed.end().await;
}

/// Batch and state of each order of a run.
type Found = BTreeMap<i64, (Option<i64>, OrderState)>;

async fn walked(bed: &Bed, run: RunId) -> Found {
    let mut pass = StateWalk::open(&bed.context.store, run, bed.state(run).await).await.expect("opened");
    let mut found = Found::new();
    for (order, provider) in all_orders(bed, run).await {
        let stands = pass.next(OrderId::new(order), provider).await.expect("told");
        found.insert(order, (stands.batch.map(BatchId::get), stands.state));
    }
    found
}

async fn all_orders(bed: &Bed, run: RunId) -> Vec<(i64, i16)> {
    let sql = format!("select order_id, provider_id from {} order by 1", orders::leaf(run));
    sqlx::query_as(AssertSqlSafe(sql)).fetch_all(bed.context.store.pool()).await.expect("orders")
}

/// By SQL that joins what [`order_state::state`] reads.
async fn joined(bed: &Bed, run: RunId, joins: String) -> Found {
    let sql = format!(
        "select o.order_id, b.id, {} from {} o join run r on r.id = {run} {joins}",
        order_state::state(),
        orders::leaf(run)
    );
    let rows: Vec<(i64, Option<i64>, String)> =
        sqlx::query_as(AssertSqlSafe(sql)).fetch_all(bed.context.store.pool()).await.expect("worked out");
    let count = rows.len();
    let found: Found = rows
        .into_iter()
        .map(|(order, batch, state)| (order, (batch, OrderState::parse(&state).expect("a state"))))
        .collect();
    assert_eq!(found.len(), count, "an order is in one batch at most");
    found
}

async fn exported(bed: &Bed, run: RunId) -> BTreeMap<i64, OrderState> {
    let mut extracts = Extracts::begin(&bed.context.store).await.expect("begun");
    let mut rows = extracts.orders(run).await.expect("read");
    let mut found = BTreeMap::new();
    while let Some(mut row) = rows.next().await.expect("a row") {
        let order = extracts::read_order(&mut row).expect("an order");
        found.insert(order.id.get(), order.state);
    }
    found
}

/// Order and batch by the forms that do not join what a state needs.
async fn batches_by_other_forms(bed: &Bed, run: RunId) -> Vec<(&'static str, BTreeMap<i64, Option<i64>>)> {
    let leaf = orders::leaf(run);
    let select = |sql: String| async move {
        let rows: Vec<(i64, Option<i64>)> =
            sqlx::query_as(AssertSqlSafe(sql)).fetch_all(bed.context.store.pool()).await.expect("worked out");
        rows.into_iter().collect::<BTreeMap<_, _>>()
    };
    let search = membership::join_by_search(run);
    let by_search = select(format!("select o.order_id, i.id from {leaf} o {search}")).await;
    let of_batches = select(format!(
        "select o.order_id, b.id from batch b join {leaf} o on {} where b.run_id = {run} and not {}
          union all {}",
        membership::spans("b", "o.order_id", "o.provider_id"),
        membership::missed("o.order_id"),
        membership::listed_orders(&format!("order_id >> 32 = {run}"))
    ))
    .await;
    let mut tx = bed.context.store.begin().await.expect("begun");
    let of_run = batches::of_run_in_tx(&mut tx, run).await.expect("batches");
    let ids: Vec<i64> = all_orders(bed, run).await.into_iter().map(|(order, _)| order).collect();
    let facts = feedback::facts_in_tx(&mut tx, run, &ids, None, true).await.expect("facts");
    tx.rollback().await.expect("given up");
    let of = |f: &feedback::OrderFacts| {
        let batch = of_run.iter().find(|b| f.membership.is_of(b, f.order, f.provider));
        (f.order.get(), batch.map(|b| b.id.get()))
    };
    let in_no_batch = ids.iter().map(|order| (*order, of_batches.get(order).copied().flatten()));
    vec![
        ("search", by_search),
        ("ranges and lists", in_no_batch.collect()),
        ("facts", facts.iter().map(of).collect()),
    ]
}

async fn in_released_batches(bed: &Bed, run: RunId) -> BTreeMap<i64, bool> {
    let released = membership::released(&run.to_string());
    let sql = format!("select o.order_id, {released} from {} o", orders::leaf(run));
    let rows: Vec<(i64, bool)> =
        sqlx::query_as(AssertSqlSafe(sql)).fetch_all(bed.context.store.pool()).await.expect("worked out");
    rows.into_iter().collect()
}

/// A released run with held orders, orders that were let go into listed batches, and orders that wait in none; then steps of all
/// kinds by hand.
async fn prepared(bed: &Bed) -> RunId {
    let run = bed.run_to(1_500, 11, RunState::Funded).await;
    let release = || async {
        let mut tx = bed.context.store.begin().await.expect("begun");
        let released = batches::release_in_tx(&mut tx, run, None, &[]).await.expect("released");
        tx.commit().await.expect("committed");
        released
    };
    let held = format!(
        "insert into order_hold (order_id, reason, placed_by, placed_at)
         select order_id, 'manual', 'amina', now() from {} where provider_id <> 0 and order_id % 7 = 0 on conflict do nothing",
        orders::leaf(run)
    );
    bed.write(&held).await.expect("held");
    assert!(release().await > 0);
    let let_go = format!(
        "update order_hold set released_by = 'amina', released_at = now(), released_why = 'checked'
          where order_id >> 32 = {run} and released_at is null and order_id % 3 > 0"
    );
    bed.write(&let_go).await.expect("let go");
    assert!(release().await > 0, "those let go are listed");
    let more = format!(
        "update order_hold set released_by = 'amina', released_at = now(), released_why = 'checked'
          where order_id >> 32 = {run} and released_at is null and order_id % 2 > 0;
         insert into order_hold (order_id, reason, placed_by, placed_at)
         select order_id, 'other', 'amina', now() from {leaf} where order_id % 37 = 0 on conflict do nothing;
         insert into message (kind, message_ref, file_name, bytes, received_at, entries, applied, already, noted, breaks)
         values ('test', '', '', 0, now(), 0, 0, 0, 0, 0);
         insert into outcome (order_id, step, message_id)
         select o.order_id, s, (select max(id) from message) from {leaf} o cross join generate_series(1, 13) s
          where hashint8(o.order_id * 16 + s) % 9 = 0",
        leaf = orders::leaf(run)
    );
    bed.write(&more).await.expect("written");
    run
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_stand_alike_in_every_form() {
    let Some(bed) = Bed::with(|config| config.settings.dispatch.orders_per_file = 30).await else { return };
    let run = prepared(&bed).await;
    let (mut states, mut in_none, mut in_lists) = (BTreeMap::new(), 0, 0);
    let listed = bed.rows(&format!("select id::text from batch where run_id = {run} and listed")).await;
    // Each batch takes each state in each lane once, the run each state.
    for turn in 0..Lane::ALL.len() * BatchState::ALL.len() {
        let state = RunState::ALL[turn % RunState::ALL.len()];
        let turned = format!(
            "update batch set state = (array['{}'])[1 + (id + {turn}) % {}], lane = (array['{}'])[1 + (id + {turn}) / {} % 2]
              where run_id = {run};
             update run set state = '{state}' where id = {run}",
            BatchState::ALL.iter().map(|s| s.as_str()).collect::<Vec<_>>().join("', '"),
            BatchState::ALL.len(),
            Lane::ALL.iter().map(|l| l.as_str()).collect::<Vec<_>>().join("', '"),
            BatchState::ALL.len(),
        );
        bed.write(&turned).await.expect("turned");
        let expected = walked(&bed, run).await;
        assert!(expected.len() > 500, "{} orders", expected.len());
        assert_eq!(joined(&bed, run, order_state::join_in_sets(run)).await, expected, "in sets, {turn}");
        assert_eq!(
            joined(&bed, run, order_state::join_each(&run.to_string())).await,
            expected,
            "each, {turn}"
        );
        let of_orders: BTreeMap<i64, OrderState> =
            expected.iter().map(|(order, (_, s))| (*order, *s)).collect();
        assert_eq!(exported(&bed, run).await, of_orders, "exported, {turn}");
        let batch_of: BTreeMap<i64, Option<i64>> =
            expected.iter().map(|(order, (b, _))| (*order, *b)).collect();
        for (form, found) in batches_by_other_forms(&bed, run).await {
            assert_eq!(found, batch_of, "{form}, {turn}");
        }
        let planned =
            bed.rows(&format!("select id::text from batch where run_id = {run} and state = 'planned'")).await;
        let is_released = |batch: &Option<i64>| batch.is_some_and(|id| !planned.contains(&id.to_string()));
        for (order, released) in in_released_batches(&bed, run).await {
            let in_list = batch_of[&order].is_some_and(|id| listed.contains(&id.to_string()));
            // A list is made released.
            assert_eq!(released, in_list || is_released(&batch_of[&order]), "order {order}, {turn}");
            in_lists += usize::from(in_list);
        }
        in_none += batch_of.values().filter(|batch| batch.is_none()).count();
        for order in expected.keys().step_by(expected.len() / 5) {
            let found =
                orders::find(&bed.context.store, None, Some(OrderId::new(*order))).await.expect("found");
            assert_eq!(found[0].state, expected[order].1.as_str(), "order {order}, {turn}");
        }
        for state in of_orders.values() {
            *states.entry(*state).or_insert(0) += 1;
        }
    }
    assert_eq!(states.len(), OrderState::ALL.len(), "{states:?}");
    assert!(in_none > 0 && in_lists > 0, "{in_none} in no batch, {in_lists} in lists");
    bed.end().await;
}
