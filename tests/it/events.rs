//! Events: standing approvals, off-cycle orders, changes to households, from the line to the books.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sarf::config::{Config, EventsOut};
use sarf::domain::event::StandingApprovalId;
use sarf::domain::ids::{Code, OrderId, RunId};
use sarf::domain::money::Centimes;
use sarf::domain::run::{RunKind, RunState};
use sarf::pipeline::dispatch::{files, stream};
use sarf::pipeline::events::{LineOutcome, Outcome, accept};
use sarf::pipeline::orders::{holds, regular};
use sarf::pipeline::runs::fund;
use sarf::pipeline::runs::standing_approvals::{self, Proposal};
use sarf::store::runs::day_runs;
use serde_json::{Value, json};
use time::macros::date;

use crate::harness::{ACCOUNTANT, APPROVER, Bed, PREPARER, Registry, rib};

fn proposal(order_max: i64, day_max: i64) -> Proposal {
    Proposal {
        programme: Code::parse("dss").expect("a code"),
        purpose: Code::parse("urgent").expect("a code"),
        order_max: Centimes::from_mad(order_max),
        day_max: Centimes::from_mad(day_max),
        valid_from: date!(2026 - 11 - 01),
        valid_to: date!(2026 - 12 - 31),
    }
}

/// A standing approval that three people gave.
async fn in_force(bed: &Bed, proposal: &Proposal) -> StandingApprovalId {
    let id =
        standing_approvals::propose(&bed.context, proposal, PREPARER).await.expect("proposed").into_inner();
    standing_approvals::approve(&bed.context, id, APPROVER).await.expect("approved");
    standing_approvals::fund(&bed.context, id, ACCOUNTANT).await.expect("funded");
    id
}

fn event(id: &str, kind: &str, household: &str, more: Value) -> Value {
    let mut event = json!({ "id": id, "type": kind, "programme": "dss", "household": household, "at": "2026-11-24T08:30:00Z" });
    let fields = event.as_object_mut().expect("an object");
    fields.extend(more.as_object().cloned().unwrap_or_default());
    event
}

fn urgent(id: &str, household: &str, amount: &str) -> Value {
    event(id, "order", household, json!({ "period": "2026-11", "purpose": "urgent", "amount": amount }))
}

fn with(mut event: Value, field: &str, value: &str) -> Value {
    event[field] = json!(value);
    event
}

async fn send(bed: &Bed, events: &[Value]) -> Vec<LineOutcome> {
    let lines = events.iter().map(|e| Bytes::from(e.to_string())).collect();
    accept(&bed.context, "test", lines).await.expect("decided")
}

/// Sends one event; its outcome and code.
async fn one(bed: &Bed, event: Value) -> (Outcome, &'static str) {
    let outcomes = send(bed, &[event]).await;
    (outcomes[0].outcome, outcomes[0].code)
}

fn told(outcomes: &[LineOutcome]) -> Vec<String> {
    outcomes.iter().map(|o| format!("{} {} {}", o.outcome, o.code, o.detail).trim().to_owned()).collect()
}

/// A list of `households` sound households, `H000001` and so on, after `spoil`.
async fn listed(bed: &Bed, households: usize, spoil: impl FnOnce(&mut Registry)) {
    let mut registry = Registry::default();
    for _ in 0..households {
        registry.household();
    }
    spoil(&mut registry);
    let folder = bed.home().join("list");
    registry.write(&folder);
    bed.import(&folder).await;
}

/// Paid in cash at a provider of the stream lane.
fn cash(registry: &mut Registry, households: std::ops::Range<usize>) {
    for household in households {
        registry.set(household, &[("means", "cash"), ("account", ""), ("provider", "cashplus")]);
    }
}

async fn state_of(bed: &Bed, household: &str) -> Vec<String> {
    let found = sarf::store::orders::find(&bed.context.store, Some(household), None).await.expect("found");
    found.into_iter().map(|o| format!("{} {} {}", o.purpose, o.state, o.provider)).collect()
}

async fn stream_bed() -> Option<Bed> {
    Bed::with(|config| config.settings.stream.enabled = true).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standing_approval_needs_three_people() {
    let Some(bed) = Bed::new().await else { return };
    listed(&bed, 3, |_| ()).await;
    let context = &bed.context;
    let refused = (Outcome::Refused, "no_standing_approval");
    assert_eq!(one(&bed, urgent("a1", "H000001", "500.00")).await, refused);
    let id = standing_approvals::propose(context, &proposal(600, 900), PREPARER)
        .await
        .expect("proposed")
        .into_inner();
    let again = standing_approvals::propose(context, &proposal(600, 900), PREPARER).await.expect("proposed");
    assert_eq!((again.is_now(), again.into_inner()), (false, id));
    for (by, text) in [
        (PREPARER, "operator `amina` is preparer, and only the approver may do this"),
        (ACCOUNTANT, "operator `chafik` is accountant, and only the approver may do this"),
    ] {
        let error = standing_approvals::approve(context, id, by).await.expect_err("another role");
        assert_eq!(error.to_string(), text);
    }
    let early = standing_approvals::fund(context, id, ACCOUNTANT).await.expect_err("not approved yet");
    assert_eq!(early.to_string(), format!("standing approval `{id}` is not approved yet"));
    assert_eq!(one(&bed, urgent("a2", "H000001", "500.00")).await, refused);
    assert!(standing_approvals::approve(context, id, APPROVER).await.expect("approved").is_now());
    assert!(!standing_approvals::approve(context, id, APPROVER).await.expect("approved").is_now());
    assert_eq!(one(&bed, urgent("a3", "H000001", "500.00")).await, refused);
    assert!(standing_approvals::fund(context, id, ACCOUNTANT).await.expect("funded").is_now());
    assert_eq!(one(&bed, urgent("a4", "H000001", "500.00")).await, (Outcome::Taken, "taken"));
    assert!(standing_approvals::revoke(context, id, APPROVER).await.expect("revoked").is_now());
    assert_eq!(one(&bed, urgent("a5", "H000002", "500.00")).await, refused);
    // What was answered once is answered again.
    assert_eq!(one(&bed, urgent("a1", "H000001", "500.00")).await, refused);
    let ended = standing_approvals::approve(context, id, APPROVER).await.expect_err("revoked");
    assert_eq!(ended.to_string(), format!("standing approval `{id}` was revoked"));
    let sides: Vec<String> =
        bed.rows("select action from audit where action like 'approval.%' order by sequence").await;
    assert_eq!(sides, ["approval.propose", "approval.approve", "approval.fund", "approval.revoke"]);
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_line_has_its_answer_and_ceilings_hold() {
    let Some(bed) = Bed::new().await else { return };
    listed(&bed, 9, |registry| {
        registry.set(5, &[("account", "123")]);
        registry.set(6, &[("payee_deceased", "true")]);
        registry.set(7, &[("rsu_score", "9.9")]);
        let shared = registry.get(0, "account");
        registry.set(8, &[("account", &shared)]);
    })
    .await;
    in_force(&bed, &proposal(600, 2_000)).await;
    let events = [
        urgent("e1", "H000002", "500.00"),
        urgent("e1", "H000002", "500.00"),
        urgent("e1", "H000002", "400.00"),
        urgent("e2", "H000002", "500.00"),
        urgent("e3", "H000003", "600.01"),
        urgent("e4", "H999999", "500.00"),
        with(urgent("e5", "H000003", "500.00"), "purpose", "other"),
        with(urgent("e6", "H000003", "500.00"), "period", "2026-12"),
        with(urgent("e7", "H000003", "500.00"), "programme", "nothing"),
        json!({ "id": "e8" }),
        urgent("e9", "H000006", "300.00"),
        urgent("e10", "H000007", "300.00"),
        urgent("e11", "H000008", "300.00"),
        urgent("e12", "H000009", "300.00"),
        urgent("e13", "H000004", "600.00"),
        urgent("e14", "H000005", "0.01"),
        event(
            "e15",
            "account",
            "H000005",
            json!({ "means": "cash", "phone": "0612345678", "provider": "nobody" }),
        ),
        event("e16", "death", "H999999", json!({})),
    ];
    let outcomes = send(&bed, &events).await;
    let expected = [
        "taken taken",
        "already already",
        "refused id_reused another event was sent under this id",
        "refused claim_paid an order for this claim is there",
        "refused over_order_ceiling an order may be over 600.00",
        "refused unknown_household household: not in the latest list",
        "refused no_standing_approval none is in force for this purpose today",
        "refused wrong_period period: neither the present month nor one of the twelve before",
        "refused unknown_programme programme: not configured",
        "refused missing_field type: missing",
        "held held rib_malformed",
        "held held payee_deceased",
        "refused not_eligible score_above_threshold",
        "held held shared_account",
        "taken taken",
        "refused over_day_ceiling a day's orders may come to 2000.00",
        "refused unknown_provider provider: none of this code pays by these means",
        "refused unknown_household household: not in the latest list",
    ];
    assert_eq!(told(&outcomes), expected);
    assert_eq!(outcomes[0].order, outcomes[1].order);
    let key = outcomes[0].order.clone().expect("an order");
    let parsed = sarf::domain::order::EndToEndRef::parse(&key).expect("one of ours");
    assert_eq!(state_of(&bed, "H000002").await, ["urgent released awb"]);
    assert_eq!(parsed.order.sequence(), 2, "orders without a provider come first: {key}");
    assert_eq!(outcomes[9].id.as_deref(), Some("e8"), "an id that can be read is told");
    let again: Vec<String> = told(&send(&bed, &events).await);
    let repeated: Vec<String> = expected
        .iter()
        .map(|e| if e.starts_with("refused") { (*e).to_owned() } else { "already already".to_owned() })
        .collect();
    assert_eq!(again, repeated);
    assert_eq!(bed.number("select count(*) from run").await, 1, "one run a day");
    assert_eq!(bed.number("select ordered from run").await, 200_000);
    let envelope = "select balance from ledger_account where kind = 'envelope'";
    assert_eq!(bed.number(envelope).await, -200_000, "held orders are reserved for too");
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_files_of_a_day_grow_until_they_leave() {
    let Some(bed) = Bed::new().await else { return };
    listed(&bed, 8, |_| ()).await;
    in_force(&bed, &proposal(600, 9_000)).await;
    send(&bed, &[urgent("b1", "H000003", "100.00"), urgent("b2", "H000001", "100.00")]).await;
    send(&bed, &[urgent("b3", "H000002", "100.00")]).await;
    let run = RunId::new(bed.number("select id from run").await);
    let batches = "select sequence || ' ' || state || ' ' || orders || ' ' || amount from batch order by id";
    assert_eq!(bed.rows(batches).await, ["1 released 3 30000"]);
    let left = files::dispatch(&bed.context, run).await.expect("dispatched");
    assert_eq!((left.files, left.orders), (1, 3));
    assert_eq!(bed.state(run).await, RunState::Settling);
    // What has left can no longer be held; what comes now goes into another file.
    let death = event("b4", "death", "H000001", json!({}));
    assert_eq!(one(&bed, death).await, (Outcome::Taken, "left_already"));
    assert_eq!(one(&bed, urgent("b5", "H000004", "100.00")).await, (Outcome::Taken, "taken"));
    assert_eq!(bed.state(run).await, RunState::Dispatching);
    assert_eq!(bed.rows(batches).await, ["1 sent 3 30000", "2 released 1 10000"]);
    bed.verify_all_holds().await;
    // Another month's claim is another run of the day, under the same ceiling.
    let earlier = with(urgent("b6", "H000004", "100.00"), "period", "2026-10");
    assert_eq!(one(&bed, earlier).await, (Outcome::Taken, "taken"));
    assert_eq!(bed.number("select count(*) from run").await, 2);
    // Held in a batch that was released and not yet intended: the file leaves without it, and late once it is let go.
    let hold = event("b7", "hold", "H000004", json!({ "reason": "inquiry" }));
    assert_eq!(one(&bed, hold).await, (Outcome::Taken, "orders_held"));
    assert_eq!(bed.rows(batches).await, ["1 sent 3 30000", "2 empty 0 0", "1 empty 0 0"]);
    bed.verify_all_holds().await;
    let release =
        with(event("b8", "release", "H000004", json!({ "reason": "cleared" })), "at", "2026-11-24T08:40:00Z");
    // The day's run is funded: the registry's word alone lets nothing go, two people do.
    assert_eq!(one(&bed, release).await, (Outcome::Taken, "release_waits"));
    // A hold from before the release comes late: it is over already.
    let late = with(event("b9", "hold", "H000004", json!({ "reason": "x" })), "at", "2026-11-24T08:35:00Z");
    assert_eq!(one(&bed, late).await, (Outcome::Taken, "release_waits"));
    let held =
        format!("select order_id from order_hold where released_at is null and order_id >> 32 = {run}");
    let held = OrderId::new(bed.number(&held).await);
    holds::set(&bed.context, held, false, PREPARER, "the registry has cleared it").await.expect("proposed");
    holds::confirm(&bed.context, held, APPROVER).await.expect("let go");
    bed.verify_all_holds().await;
    fund::release(&bed.context, run, None, ACCOUNTANT).await.expect("released");
    let left = files::dispatch(&bed.context, run).await.expect("dispatched");
    assert_eq!((left.files, left.orders), (1, 1));
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_of_the_stream_lane_are_there_for_workers_at_once() {
    let Some(bed) = stream_bed().await else { return };
    listed(&bed, 12, |registry| cash(registry, 0..10)).await;
    in_force(&bed, &proposal(600, 9_000)).await;
    let first: Vec<Value> =
        [3, 1, 11, 2].map(|n| urgent(&format!("c{n}"), &format!("H{n:06}"), "100.00")).into();
    send(&bed, &first).await;
    let second: Vec<Value> =
        [4, 5, 12].map(|n| urgent(&format!("c{n}"), &format!("H{n:06}"), "100.00")).into();
    send(&bed, &second).await;
    let batches = "select p.code || ' ' || lane || ' ' || state || ' ' || orders from batch b
                     join provider p on p.id = b.provider_id order by 1";
    assert_eq!(bed.rows(batches).await, ["awb file released 2", "cashplus stream dispatching 5"]);
    assert_eq!(bed.number("select count(*) from shard").await, 2);
    let (store, now) = (&bed.context.store, bed.context.clock.now());
    let provider = bed.number("select id::bigint from provider where code = 'cashplus'").await as i16;
    let claim = || sarf::store::batches::shards::claim(store, provider, None, "w", 30, now);
    let shard = claim().await.expect("asked").expect("a shard");
    let waiting = sarf::store::batches::shards::waiting(store, &shard, 100).await.expect("orders");
    let households: Vec<String> = waiting.iter().map(|w| w.household.to_string()).collect();
    assert_eq!(households, ["H000003", "H000001", "H000002"], "in the order of their arrival");

    // One leaves; its household and another die, a third moves its account.
    let ids: Vec<i64> = waiting.iter().map(|w| w.order.get()).collect();
    let next = OrderId::new(ids[0] + 1);
    let lease = Some((&shard, next, 30));
    assert_eq!(
        stream::intend(&bed.context, "cashplus", &ids[..1], lease).await.expect("asked"),
        Some(ids[..1].to_vec())
    );
    let changes = [
        event("d1", "death", "H000003", json!({})),
        event("d2", "death", "H000001", json!({})),
        event("d3", "account", "H000002", json!({ "means": "bank_account", "account": rib("011", 77) })),
        event(
            "d4",
            "account",
            "H000004",
            json!({ "means": "cash", "phone": "+212610000004", "provider": "cashplus" }),
        ),
    ];
    let codes: Vec<&str> = send(&bed, &changes).await.iter().map(|o| o.code).collect();
    assert_eq!(codes, ["left_already", "orders_held", "orders_held", "taken"], "the same phone is no change");
    assert_eq!(stream::intend(&bed.context, "cashplus", &ids[1..], None).await.expect("asked"), Some(vec![]));
    assert_eq!(bed.rows(batches).await, ["awb file released 2", "cashplus stream dispatching 3"]);
    assert_eq!(state_of(&bed, "H000001").await, ["urgent held cashplus"]);
    bed.verify_all_holds().await;

    // A change and an order in one call: what comes later sees what came before.
    let both = [
        event("f1", "account", "H000006", json!({ "means": "bank_account", "account": rib("007", 4_711) })),
        urgent("f2", "H000006", "100.00"),
        urgent("f3", "H000007", "100.00"),
        event("f4", "hold", "H000007", json!({ "reason": "inquiry" })),
        event("f5", "hold", "H000008", json!({ "reason": "inquiry" })),
        urgent("f6", "H000008", "100.00"),
    ];
    let outcomes = told(&send(&bed, &both).await);
    assert_eq!(
        outcomes,
        [
            "taken taken",
            "taken taken",
            "taken taken",
            "taken orders_held 1 orders are held",
            "taken orders_held 1 orders are held",
            "held held registry_hold"
        ]
    );
    assert_eq!(state_of(&bed, "H000006").await, ["urgent released awb"]);
    assert_eq!(state_of(&bed, "H000007").await, ["urgent held cashplus"]);
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_leave_while_a_call_brings_more_to_their_run() {
    let Some(bed) = stream_bed().await else { return };
    listed(&bed, 4, |registry| cash(registry, 0..4)).await;
    in_force(&bed, &proposal(600, 9_000)).await;
    send(&bed, &[1, 2].map(|n| urgent(&format!("c{n}"), &format!("H{n:06}"), "100.00"))).await;
    let ids = bed.rows("select order_id::text from payment_order order by order_id").await;
    let ids: Vec<i64> = ids.iter().map(|id| id.parse().expect("a number")).collect();
    // What a call holds from its first event to its last: the run, which the first order that leaves counts in anew.
    let mut call = bed.context.store.begin().await.expect("begun");
    let programme = bed.number("select id::bigint from programme where code = 'dss'").await as i16;
    let today = bed.context.clock.now().date();
    let held = day_runs::of_day_in_tx(&mut call, programme, today).await.expect("locked");
    assert_eq!(held.len(), 1);
    let leaving = stream::intend(&bed.context, "cashplus", &ids, None);
    let leaving =
        tokio::time::timeout(Duration::from_secs(20), leaving).await.expect("does not wait for the call");
    assert_eq!(leaving.expect("asked"), Some(ids));
    call.rollback().await.expect("ended");
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_months_run_knows_of_changes_and_claims() {
    let Some(bed) = Bed::new().await else { return };
    listed(&bed, 8, |_| ()).await;
    in_force(&bed, &proposal(600, 9_000)).await;
    let own = Proposal { purpose: Code::parse("monthly").expect("a code"), ..proposal(600, 9_000) };
    in_force(&bed, &own).await;
    // H5 was paid its month's claim off-cycle, H6 urgent aid, which is another claim; H7 too, after H6.
    let events = [
        with(urgent("g1", "H000005", "500.00"), "purpose", "monthly"),
        urgent("g3", "H000007", "100.00"),
        urgent("g2", "H000006", "100.00"),
        event("g4", "account", "H000001", json!({ "means": "bank_account", "account": rib("011", 99) })),
        event("g5", "death", "H000002", json!({})),
        event("g6", "hold", "H000003", json!({ "reason": "inquiry" })),
        // Told before the list was made: it is in the list.
        with(event("g7", "death", "H000004", json!({})), "at", "2026-11-19T08:00:00Z"),
    ];
    assert!(send(&bed, &events).await.iter().all(|o| o.outcome == Outcome::Taken));
    let snapshot = sarf::domain::ids::SnapshotId::new(bed.number("select max(id) from snapshot").await);
    let run = regular::create(&bed.context, snapshot, RunKind::Regular, PREPARER)
        .await
        .expect("a run")
        .into_inner();
    let states = bed.order_states(run).await;
    let expected = [
        "H000001 planned",
        "H000002 held",
        "H000003 held",
        "H000004 planned",
        "H000006 planned",
        "H000007 planned",
        "H000008 planned",
    ];
    assert_eq!(states, expected);
    let excluded =
        bed.rows(&format!("select household_id || ' ' || reason from exclusion where run_id = {run}")).await;
    assert_eq!(excluded, ["H000005 already_ordered"]);
    let at = format!(
        "select p.code from payment_order_{run} o join provider p on p.id = o.provider_id where household_id = 'H000001'"
    );
    assert_eq!(bed.rows(&at).await, ["boa"], "paid to the new account");
    let reasons = bed.rows("select reason from order_hold order by order_id, reason").await;
    assert_eq!(reasons, ["payee_deceased", "registry_hold"]);
    bed.verify_all_holds().await;

    // Once the run is there, its claims are taken, and changes reach its planned orders.
    let events = [
        with(urgent("h1", "H000006", "500.00"), "purpose", "monthly"),
        event("h2", "death", "H000006", json!({})),
        with(event("h3", "release", "H000003", json!({ "reason": "cleared" })), "at", "2026-11-24T08:31:00Z"),
    ];
    let codes: Vec<&str> = send(&bed, &events).await.iter().map(|o| o.code).collect();
    assert_eq!(codes, ["claim_paid", "orders_held", "orders_let_go"]);
    assert_eq!(bed.order_states(run).await[4], "H000006 held");
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_side_by_side_take_each_event_and_claim_once() {
    let Some(bed) = stream_bed().await else { return };
    listed(&bed, 60, |registry| cash(registry, 0..60)).await;
    in_force(&bed, &proposal(600, 900_000)).await;
    let bed = Arc::new(bed);
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let bed = Arc::clone(&bed);
            tokio::spawn(async move {
                let mut outcomes = Vec::new();
                for turn in 0..6 {
                    // Every task sends the first ten of a turn under the same ids, the others under its own.
                    let events: Vec<Value> = (0..20)
                        .map(|n| {
                            let household = format!("H{:06}", (turn * 10 + n) % 60 + 1);
                            let id =
                                if n < 10 { format!("s-{turn}-{n}") } else { format!("t{task}-{turn}-{n}") };
                            if n == 5 {
                                event(&id, "hold", &household, json!({ "reason": "inquiry" }))
                            } else {
                                urgent(&id, &household, "10.00")
                            }
                        })
                        .collect();
                    outcomes.extend(send(&bed, &events).await);
                }
                outcomes
            })
        })
        .collect();
    let mut made = 0;
    for task in tasks {
        let outcomes = task.await.expect("no panic");
        made += outcomes
            .iter()
            .filter(|o| o.order.is_some() && matches!(o.outcome, Outcome::Taken | Outcome::Held))
            .count();
    }
    assert_eq!(made, 60, "one order for each household");
    assert_eq!(bed.number("select orders from run").await, 60);
    assert_eq!(bed.number("select count(*) from household_change").await, 6);
    bed.verify_all_holds().await;
    Arc::into_inner(bed).expect("tasks have ended").end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_are_told_of_new_orders_without_anything_personal() {
    let out = |config: &mut Config| {
        let (url, secret_file) = ("http://127.0.0.1:9/".to_owned(), "none".into());
        config.settings.events.out = Some(EventsOut::Webhook { url, secret_file });
    };
    let Some(bed) = Bed::with(out).await else { return };
    listed(&bed, 2, |registry| registry.set(1, &[("payee_deceased", "true")])).await;
    in_force(&bed, &proposal(600, 9_000)).await;
    let outcomes = send(&bed, &[urgent("o1", "H000001", "500.00"), urgent("o2", "H000002", "500.00")]).await;
    let rows = bed.rows("select subject || ' ' || (body - 'run')::text from outbox where subject like 'order.%' order by id").await;
    let keys: Vec<String> = outcomes.iter().map(|o| o.order.clone().expect("an order")).collect();
    let row = |key: &str, state: &str| {
        format!(
            "order.{key} {{\"order\": \"{key}\", \"state\": \"{state}\", \"amount\": \"500.00\", \"period\": \"2026-11\", \
             \"reason\": null, \"programme\": \"dss\"}}"
        )
    };
    assert_eq!(rows, [row(&keys[0], "released"), row(&keys[1], "held")]);
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_envelope_is_never_overdrawn() {
    let Some(bed) = Bed::new().await else { return };
    listed(&bed, 3, |_| ()).await;
    in_force(&bed, &proposal(600, 9_000)).await;
    // A run took all but 150 MAD of 32 thousand million.
    bed.write(
        "insert into ledger_account (programme_id, budget_year, kind) select id, 2026, 'envelope' from programme where code = 'dss';
         insert into ledger_account (programme_id, budget_year, kind) select id, 2026, 'reserved' from programme where code = 'dss';
         insert into ledger_transfer (debit_account, credit_account, amount, why, posted_at)
           select d.id, c.id, 3200000000000 - 15000, 'test', now() from ledger_account d, ledger_account c
            where d.kind = 'reserved' and c.kind = 'envelope'",
    )
    .await
    .expect("booked");
    let events = [
        urgent("v1", "H000001", "100.00"),
        urgent("v2", "H000002", "100.00"),
        urgent("v3", "H000003", "50.00"),
    ];
    let codes: Vec<&str> = send(&bed, &events).await.iter().map(|o| o.code).collect();
    assert_eq!(codes, ["taken", "envelope_exhausted", "taken"]);
    let old = with(urgent("v4", "H000001", "100.00"), "period", "2025-12");
    assert_eq!(one(&bed, old).await, (Outcome::Taken, "taken"), "each year has its own");
    bed.end().await;
}

fn moved(n: usize, household: usize, account: u32) -> Value {
    let account = json!({ "means": "bank_account", "account": rib("011", account) });
    event(&format!("m{n}"), "account", &format!("H{household:06}"), account)
}

async fn held_for(bed: &Bed, run: RunId) -> Vec<String> {
    let sql = format!(
        "select o.household_id || ' ' || h.reason from order_hold h join payment_order_{run} o using (order_id)
          where h.released_at is null order by 1"
    );
    bed.rows(&sql).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_account_for_many_by_events_is_held_at_once_and_by_every_run() {
    let Some(bed) = Bed::new().await else { return };
    listed(&bed, 12, |registry| registry.set(11, &[("account", &rib("011", 4_711))])).await;
    in_force(&bed, &proposal(600, 9_000)).await;
    // An order is there when its payee's account becomes another household's too: H12 had it first.
    assert_eq!(one(&bed, urgent("o12", "H000012", "100.00")).await, (Outcome::Taken, "taken"));
    assert_eq!(one(&bed, moved(1, 1, 4_711)).await, (Outcome::Taken, "shared"));
    assert_eq!(state_of(&bed, "H000012").await, ["urgent held boa"]);
    // By many at once, and one by one; a change back ends it for who changed.
    let outcomes = send(&bed, &[moved(2, 2, 99), moved(3, 3, 99), moved(4, 4, 55)]).await;
    let codes: Vec<&str> = outcomes.iter().map(|o| o.code).collect();
    assert_eq!(codes, ["shared", "shared", "taken"]);
    assert_eq!(one(&bed, moved(5, 5, 55)).await.1, "shared");
    let back = with(moved(6, 4, 56), "at", "2026-11-24T08:45:00Z");
    assert_eq!(one(&bed, back).await.1, "taken");
    // An order by an event for one of them is held; so are an order and the change that follows in one call.
    assert_eq!(one(&bed, urgent("o2", "H000002", "100.00")).await, (Outcome::Held, "held"));
    let both = [moved(7, 6, 77), urgent("o6", "H000006", "100.00"), moved(8, 7, 77)];
    let codes: Vec<&str> = send(&bed, &both).await.iter().map(|o| o.code).collect();
    assert_eq!(codes, ["shared", "taken", "shared"]);
    assert_eq!(state_of(&bed, "H000006").await, ["urgent held boa"]);
    bed.verify_all_holds().await;
    // The month's run lays changes over the list before it judges what is shared.
    let list = sarf::domain::ids::SnapshotId::new(bed.number("select id from snapshot").await);
    let run =
        regular::create(&bed.context, list, RunKind::Regular, PREPARER).await.expect("a run").into_inner();
    let shared = ["H000001", "H000002", "H000003", "H000006", "H000007", "H000012"];
    assert_eq!(held_for(&bed, run).await, shared.map(|h| format!("{h} shared_account")));
    bed.verify_all_holds().await;
    // And what comes when the run is there reaches its planned orders.
    assert_eq!(one(&bed, moved(9, 8, 56)).await.1, "shared");
    let after = held_for(&bed, run).await;
    for expected in ["H000004 shared_account", "H000008 shared_account", "H000008 account_changed"] {
        assert!(after.iter().any(|held| held == expected), "{expected}: {after:?}");
    }
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_changes_than_usual_are_held() {
    let bed = Bed::with(|config| {
        config.settings.events.account_changes_sender_hour_max = 4;
        config.settings.events.account_changes_commune_hour_max = 3;
    });
    let Some(bed) = bed.await else { return };
    listed(&bed, 12, |registry| {
        for household in 0..6 {
            registry.set(household, &[("commune", "Elsewhere")]);
        }
    })
    .await;
    let change = |n: usize| moved(n, n, 1_000 + n as u32);
    // Three in one commune are usual, the fourth is not: all four are held, also those of before.
    for n in [1, 2, 3] {
        assert_eq!(one(&bed, change(n)).await.1, "taken", "{n}");
    }
    assert_eq!(one(&bed, change(4)).await.1, "many_changes");
    // The fifth of one sender within the hour, wherever it is.
    assert_eq!(one(&bed, change(9)).await.1, "many_changes");
    let list = sarf::domain::ids::SnapshotId::new(bed.number("select id from snapshot").await);
    let run =
        regular::create(&bed.context, list, RunKind::Regular, PREPARER).await.expect("a run").into_inner();
    let held = ["H000001", "H000002", "H000003", "H000004", "H000009"];
    assert_eq!(held_for(&bed, run).await, held.map(|h| format!("{h} many_changes")));
    let told = bed.context.telemetry.metrics.render();
    assert!(told.contains("sarf_account_changes_held_total{by=\"commune\"} 4"), "{told}");
    assert!(told.contains("sarf_account_changes_held_total{by=\"sender\"} 1"), "{told}");
    bed.verify_all_holds().await;
    bed.end().await;
}
