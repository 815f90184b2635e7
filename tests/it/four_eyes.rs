//! Who may do what, when, and to exactly what.

use sarf::config::Config;
use sarf::domain::ids::{OrderId, RunId};
use sarf::domain::money::Centimes;
use sarf::domain::order::{OrderKey, OrderNames};
use sarf::domain::run::{RunKind, RunState};
use sarf::pipeline::Applied;
use sarf::pipeline::access::people;
use sarf::pipeline::dispatch::files;
use sarf::pipeline::orders::{holds, regular};
use sarf::pipeline::runs::{approve, fund};
use sarf::store::access::operators::Role;
use time::macros::date;

use crate::harness::{
    ACCOUNTANT, ADMINISTRATOR, APPROVER, Bed, PREPARER, TempHome, files_only_config, period,
};

#[derive(Clone, Copy, Debug)]
enum Do {
    Submit,
    Approve,
    Fund,
    Release,
    Dispatch,
}

/// Does a step; the refusal's text, or nothing.
async fn attempt(bed: &Bed, run: RunId, step: Do, by: &str) -> String {
    let context = &bed.context;
    let text = |e: &dyn std::error::Error| e.to_string();
    match step {
        Do::Submit => approve::submit(context, run, by).await.err().map(|e| text(&e)),
        Do::Approve => approve::approve(context, run, by).await.err().map(|e| text(&e)),
        Do::Fund => fund::fund(context, run, by).await.err().map(|e| text(&e)),
        Do::Release => fund::release(context, run, None, by).await.err().map(|e| text(&e)),
        Do::Dispatch => files::dispatch(context, run).await.err().map(|e| text(&e)),
    }
    .unwrap_or_default()
}

async fn audit_records(bed: &Bed) -> i64 {
    bed.number("select count(*) from audit").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steps_out_of_turn_are_refused() {
    let Some(bed) = Bed::new().await else { return };
    let run = bed.run_to(300, 1, RunState::Computed).await;
    approve::acknowledge(&bed.context, run, PREPARER, "seen").await.expect("acknowledged");
    let needs = |name: &str, has: &str, needs: &str| {
        format!("operator `{name}` is {has}, and only the {needs} may do this")
    };
    let cannot = |step: &str, state: RunState| format!("run `{run}` cannot be {step}: it is {state}");
    let early = [
        (RunState::Computed, Do::Submit, APPROVER, needs(APPROVER, "approver", "preparer")),
        (RunState::Computed, Do::Submit, "nobody", "operator `nobody` is not known".to_owned()),
        (RunState::Computed, Do::Approve, APPROVER, cannot("approved", RunState::Computed)),
        (RunState::Computed, Do::Fund, ACCOUNTANT, cannot("funded", RunState::Computed)),
        (RunState::Computed, Do::Release, ACCOUNTANT, cannot("released", RunState::Computed)),
        (RunState::Computed, Do::Dispatch, "", cannot("dispatched", RunState::Computed)),
        (RunState::Submitted, Do::Approve, PREPARER, needs(PREPARER, "preparer", "approver")),
        (RunState::Submitted, Do::Approve, ACCOUNTANT, needs(ACCOUNTANT, "accountant", "approver")),
        (RunState::Submitted, Do::Fund, ACCOUNTANT, cannot("funded", RunState::Submitted)),
        (RunState::Approved, Do::Fund, APPROVER, needs(APPROVER, "approver", "accountant")),
        (RunState::Approved, Do::Release, ACCOUNTANT, cannot("released", RunState::Approved)),
        (RunState::Approved, Do::Dispatch, "", cannot("dispatched", RunState::Approved)),
        (RunState::Funded, Do::Dispatch, "", cannot("dispatched", RunState::Funded)),
        (RunState::Funded, Do::Release, PREPARER, needs(PREPARER, "preparer", "accountant")),
        (RunState::Dispatching, Do::Fund, ACCOUNTANT, cannot("funded", RunState::Dispatching)),
    ];
    for (state, step, by, expected) in early {
        bed.take_to(run, state).await;
        let before = audit_records(&bed).await;
        assert_eq!(
            attempt(&bed, run, step, by).await,
            expected,
            "{step:?} by `{by}` of a run that is {state}"
        );
        assert_eq!(bed.state(run).await, state);
        assert_eq!(audit_records(&bed).await, before, "a refusal leaves no decision");
    }
    bed.verify_all_holds().await;
    bed.end().await;
}

/// Roles are of people, so one person cannot meet themselves; a role that was changed by hand does not help either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_person_cannot_act_on_two_sides() {
    let Some(bed) = Bed::new().await else { return };
    let run = bed.run_to(300, 1, RunState::Submitted).await;
    let become_ = |role: &str| format!("update operator set role = '{role}' where name = '{PREPARER}'");
    let same = format!(
        "operator `{PREPARER}` has acted on this run before: preparer, approver and accountant must be three people"
    );
    bed.write(&become_("approver")).await.expect("a role changed by hand");
    assert_eq!(attempt(&bed, run, Do::Approve, PREPARER).await, same);
    bed.take_to(run, RunState::Approved).await;
    bed.write(&become_("accountant")).await.expect("a role changed by hand");
    assert_eq!(attempt(&bed, run, Do::Fund, PREPARER).await, same);
    assert_eq!(bed.state(run).await, RunState::Approved);
    let by_hand = format!("update run set funded_by = '{PREPARER}' where id = {run}");
    assert!(bed.execute(&by_hand).await.is_err(), "the database refuses it as well");
    bed.end().await;
}

async fn any_planned(bed: &Bed, run: RunId) -> OrderId {
    let (low, high) = OrderId::bounds(run);
    let sql = format!(
        "select min(o.order_id) from payment_order o where o.order_id >= {low} and o.order_id < {high}
        and not exists (select from order_hold h where h.order_id = o.order_id)"
    );
    OrderId::new(bed.number(&sql).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_content_makes_the_approval_stale() {
    for (state, step, by) in
        [(RunState::Submitted, Do::Approve, APPROVER), (RunState::Approved, Do::Fund, ACCOUNTANT)]
    {
        let Some(bed) = Bed::new().await else { return };
        let run = bed.run_to(300, 1, state).await;
        let order = any_planned(&bed, run).await;
        let applied = holds::set(&bed.context, order, true, PREPARER, "a doubt").await.expect("held");
        assert_eq!(applied, Applied::Now(holds::Changed::Held));
        let refusal = attempt(&bed, run, step, by).await;
        assert!(refusal.starts_with("what was submitted has changed: "), "{refusal}");
        assert!(refusal.contains("held for manual was none and is 1 orders, "), "{refusal}");
        assert!(refusal.contains("planned at "), "{refusal}");
        assert_eq!(bed.state(run).await, RunState::Computed, "back with its preparer");
        assert_eq!(bed.number(&format!("select count(*) from run where id = {run} and submitted_by is null and approved_by is null and content is null")).await, 1);
        bed.take_to(run, RunState::Settling).await;
        bed.verify_all_holds().await;
        bed.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_envelope_is_not_overdrawn() {
    let folder = TempHome::new("e");
    files_only_config(folder.path());
    let rules = folder.path().join("programmes/dss.toml");
    let text = std::fs::read_to_string(&rules).expect("rules");
    let small = text.replace("2026 = \"32000000000.00\"", "2026 = \"1000.00\"");
    assert_ne!(text, small);
    std::fs::write(&rules, small).expect("rules");
    let config = Config::read(folder.path()).expect("configuration");
    let Some(bed) = Bed::with(|c| *c = config).await else { return };
    let run = bed.run_to(300, 1, RunState::Approved).await;
    let refusal = attempt(&bed, run, Do::Fund, ACCOUNTANT).await;
    assert!(
        refusal.starts_with("the envelope of 2026 has 1000.00 MAD left of 1000.00, and the run needs "),
        "{refusal}"
    );
    assert_eq!(bed.state(run).await, RunState::Approved);
    assert_eq!(
        bed.number("select count(*) from ledger_account where kind in ('envelope', 'reserved')").await,
        0
    );
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_run_can_be_made_again() {
    let Some(bed) = Bed::new().await else { return };
    let snapshot = bed.import(&bed.generate(300, 1)).await;
    let first = bed.create(snapshot).await;
    bed.take_to(first, RunState::Funded).await;
    let other = bed.import(&bed.generate(300, 2)).await;
    let refusal = regular::create(&bed.context, other, RunKind::Regular, PREPARER)
        .await
        .expect_err("a second regular run");
    assert_eq!(
        refusal.to_string(),
        format!("`{}` already has its regular run: run `{first}`, made from snapshot `{snapshot}`", period())
    );
    fund::cancel(&bed.context, first, PREPARER).await.expect("cancelled");
    assert!(!fund::cancel(&bed.context, first, PREPARER).await.expect("cancelled before").is_now());
    assert_eq!(bed.number("select coalesce(sum(abs(balance)), 0)::bigint from ledger_account where kind in ('envelope', 'reserved')").await, 0);
    let second = bed.create(snapshot).await;
    assert_ne!(first, second);
    bed.take_to(second, RunState::Settling).await;
    assert_eq!(
        attempt(&bed, first, Do::Dispatch, "").await,
        format!("run `{first}` cannot be dispatched: it is cancelled")
    );
    assert!(fund::cancel(&bed.context, second, PREPARER).await.is_err(), "what has left cannot be cancelled");
    let claims = |run: RunId| {
        format!(
            "select household_id || ' ' || amount || ' ' || attempt from payment_order where order_id >> 32 = {run} order by 1"
        )
    };
    assert_eq!(bed.rows(&claims(first)).await, bed.rows(&claims(second)).await);
    let shared = format!(
        "select count(*) from payment_order a join payment_order b using (order_id) where a.order_id >> 32 = {first} and b.order_id >> 32 = {second}"
    );
    assert_eq!(bed.number(&shared).await, 0, "order numbers are new");
    same_uetr(&bed).await;
    bed.verify_all_holds().await;
    bed.end().await;
}

/// The UETR in the file is that of the claim, whichever run pays it.
async fn same_uetr(bed: &Bed) {
    let code = |text: &str| sarf::domain::ids::Code::parse(text).expect("a code");
    let sent = crate::harness::sent_files(&bed.outbox());
    let (end_to_end, uetr, _) = &sent[0].orders[0];
    let order = sarf::domain::order::EndToEndRef::parse(end_to_end).expect("an id of ours").order;
    let household = bed
        .rows(&format!("select household_id from payment_order where order_id = {}", order.get()))
        .await
        .remove(0);
    let household = sarf::domain::ids::HouseholdId::parse(household.as_bytes()).expect("an id");
    let (programme, purpose) = (code("dss"), code("monthly"));
    let key = OrderKey { programme: &programme, period: period(), household, purpose: &purpose, attempt: 1 };
    let mut expected = String::new();
    OrderNames::of(&key).write_uetr(&mut expected);
    assert_eq!(*uetr, expected);
}

/// Above an amount a run takes two approvers beside the others; on frozen days nobody approves anything new.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn much_money_takes_two_approvers_and_frozen_days_none() {
    let Some(mut bed) = Bed::new().await else { return };
    bed.change(|config| config.settings.decisions.second_approver_above = Some(Centimes::from_mad(1_000)));
    people::add(&bed.context, "driss", Role::Approver, None, ADMINISTRATOR).await.expect("added");
    let run = bed.run_to(40, 1, RunState::Submitted).await;
    // Clocks of the tests stand on 24 November.
    let freeze = |from, to| {
        let why = "an audit".to_owned();
        sarf::config::Freeze { from, to, why }
    };
    for (from, to, frozen) in [
        (date!(2026 - 11 - 20), date!(2026 - 11 - 23), false),
        (date!(2026 - 11 - 24), date!(2026 - 11 - 24), true),
        (date!(2026 - 11 - 20), date!(2026 - 11 - 24), true),
        (date!(2026 - 11 - 25), date!(2026 - 11 - 30), false),
    ] {
        bed.change(|config| config.settings.decisions.freezes = vec![freeze(from, to)]);
        if frozen {
            let refused = approve::approve(&bed.context, run, APPROVER).await.expect_err("frozen");
            assert_eq!(refused.to_string(), "nothing new is approved until 2026-11-24: an audit");
        }
    }
    assert!(approve::approve(&bed.context, run, APPROVER).await.expect("the first").is_now());
    assert_eq!(bed.state(run).await, RunState::Submitted, "one is not enough");
    assert!(!approve::approve(&bed.context, run, APPROVER).await.expect("again").is_now());
    assert_eq!(bed.state(run).await, RunState::Submitted, "nor one twice");
    assert!(fund::fund(&bed.context, run, ACCOUNTANT).await.is_err());
    bed.verify_all_holds().await;
    assert!(approve::approve(&bed.context, run, "driss").await.expect("the second").is_now());
    assert_eq!(bed.state(run).await, RunState::Approved);
    bed.take_to(run, RunState::Settling).await;
    bed.verify_all_holds().await;
    let signed =
        "select action || ' ' || actor from audit where action like 'run.approve%' order by sequence";
    assert_eq!(bed.rows(signed).await, ["run.approve-first brahim", "run.approve driss"]);
    bed.end().await;
}
