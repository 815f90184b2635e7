//! Each reason for a hold once, and what becomes of orders that are let go early, late or too late.

use sarf::domain::ids::{OrderId, RunId};
use sarf::domain::run::RunState;
use sarf::pipeline::{approve, dispatch, fund, hold};

use crate::harness::{ACCOUNTANT, APPROVER, Bed, PREPARER, Registry, rib, sent_files};

/// Thirty sound households, of which some are spoiled: household number and the reasons expected.
fn spoiled() -> (Registry, Vec<(usize, &'static str)>) {
    let mut registry = Registry::default();
    for _ in 0..30 {
        registry.household();
    }
    let sound = rib("007", 900_001);
    let wrong = format!("{}{:02}", &sound[..22], (sound[22..].parse::<u32>().expect("a key") + 1) % 100);
    registry.set(0, &[("account", &wrong)]);
    registry.set(1, &[("account", &rib("999", 5))]);
    registry.set(2, &[("payee_deceased", "true")]);
    let shared = registry.get(3, "account");
    registry.set(4, &[("account", &shared)]);
    let phone = registry.get(5, "phone");
    for sharer in [6, 7, 8] {
        registry.set(sharer, &[("phone", &phone)]);
    }
    let person = registry.member(9, 1, "idcs");
    registry.set_member(10, 1, &[("idcs", &person)]);
    registry.set(11, &[("means", "payment_account"), ("account", &rib("805", 7)), ("account_level", "1")]);
    registry.set_member(12, 1, &[("birth_date", "2023-13-45")]);
    registry.set(13, &[("means", "wallet"), ("account", ""), ("phone", "")]);
    registry.set(14, &[("account", "12345")]);
    registry.set(15, &[("means", "cash"), ("account", ""), ("provider", "nobody")]);
    let expected = vec![
        (0, "rib_bad_key"),
        (1, "unknown_bank"),
        (2, "payee_deceased"),
        (3, "shared_account"),
        (4, "shared_account"),
        (5, "shared_phone"),
        (6, "shared_phone"),
        (7, "shared_phone"),
        (8, "shared_phone"),
        (9, "shared_person"),
        (10, "shared_person"),
        (11, "over_ceiling"),
        (12, "member_rejected"),
        (13, "phone_missing"),
        (14, "rib_malformed"),
        (15, "no_provider"),
    ];
    (registry, expected)
}

async fn bed_with_holds() -> Option<(Bed, RunId)> {
    let bed = Bed::new().await?;
    let (registry, expected) = spoiled();
    let folder = bed.home().join("list");
    registry.write(&folder);
    let snapshot = bed.import(&folder).await;
    let run = bed.create(snapshot).await;
    let found = bed.rows("select o.household_id || ' ' || h.reason from order_hold h join payment_order o using (order_id) order by 1").await;
    let expected: Vec<String> =
        expected.iter().map(|(n, reason)| format!("H{:06} {reason}", n + 1)).collect();
    assert_eq!(found, expected);
    assert_eq!(bed.number(&format!("select orders from run where id = {run}")).await, 30);
    Some((bed, run))
}

async fn order(bed: &Bed, household: usize) -> OrderId {
    OrderId::new(
        bed.number(&format!(
            "select order_id from payment_order where household_id = 'H{:06}'",
            household + 1
        ))
        .await,
    )
}

/// The files that hold an order.
async fn files_with(bed: &Bed, order: OrderId) -> usize {
    let of = |end_to_end: &str| sarf::domain::order::EndToEndRef::parse(end_to_end).map(|r| r.order);
    sent_files(&bed.outbox()).iter().filter(|f| f.orders.iter().any(|(id, ..)| of(id) == Some(order))).count()
}

async fn state_of(bed: &Bed, run: RunId, household: usize) -> String {
    let name = format!("H{:06} ", household + 1);
    let states = bed.order_states(run).await;
    states.iter().find_map(|line| line.strip_prefix(&name)).expect("the order").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_reason_is_found_and_held_orders_stay() {
    let Some((bed, run)) = bed_with_holds().await else { return };
    bed.take_to(run, RunState::Settling).await;
    assert_eq!(sent_files(&bed.outbox()).iter().map(|f| f.orders.len()).sum::<usize>(), 14);
    for held in [0, 3, 13] {
        assert_eq!(files_with(&bed, order(&bed, held).await).await, 0);
        assert_eq!(state_of(&bed, run, held).await, "held");
    }
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn let_go_early_it_leaves_in_its_file_and_late_in_a_late_one() {
    let Some((bed, run)) = bed_with_holds().await else { return };
    let context = &bed.context;
    let (early, late, lost) = (order(&bed, 2).await, order(&bed, 3).await, order(&bed, 0).await);
    let refusal =
        hold::set(context, lost, false, PREPARER, "let it go").await.expect_err("nobody could pay it");
    assert_eq!(
        refusal.to_string(),
        format!("order `{}` has no provider: it needs another account first", lost.get())
    );
    assert!(hold::set(context, early, false, APPROVER, "wrong role").await.is_err());
    assert!(hold::set(context, early, false, PREPARER, "lives").await.expect("let go").is_now());
    assert!(!hold::set(context, early, false, PREPARER, "lives").await.expect("let go before").is_now());
    bed.verify_all_holds().await;
    approve::acknowledge(context, run, PREPARER, "seen").await.expect("acknowledged");
    bed.take_to(run, RunState::Dispatching).await;
    bed.verify_all_holds().await;
    assert!(hold::set(context, late, false, PREPARER, "one family").await.expect("let go").is_now());
    bed.verify_all_holds().await;
    dispatch::dispatch(context, run).await.expect("dispatched");
    assert_eq!((files_with(&bed, early).await, files_with(&bed, late).await), (1, 0));
    assert_eq!(state_of(&bed, run, 3).await, "planned");
    bed.verify_all_holds().await;
    assert!(fund::release(context, run, None, ACCOUNTANT).await.expect("released").is_now());
    assert_eq!(state_of(&bed, run, 3).await, "released");
    bed.verify_all_holds().await;
    let sent = dispatch::dispatch(context, run).await.expect("dispatched");
    assert_eq!((sent.files, sent.orders), (1, 1));
    assert_eq!(files_with(&bed, late).await, 1);
    assert_eq!(bed.number("select count(*) from batch where listed").await, 1);
    assert!(
        !fund::release(context, run, None, ACCOUNTANT).await.expect("nothing is left to release").is_now()
    );
    for gone in [early, late] {
        let refusal = hold::set(context, gone, true, PREPARER, "too late").await.expect_err("it has left");
        assert_eq!(refusal.to_string(), format!("order `{}` is sent: it can no longer be held", gone.get()));
    }
    bed.verify_all_holds().await;
    let answers = bed.answer(Default::default(), Default::default());
    bed.feedback_taken(answers.files).await;
    let found = bed.reconcile(run).await;
    assert_eq!(
        (found.state, found.open_breaks, found.held),
        (RunState::Reconciled, 0, 14),
        "{:?}",
        bed.open_breaks().await
    );
    bed.verify_all_holds().await;
    bed.end().await;
}
