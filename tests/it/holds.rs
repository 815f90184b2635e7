//! Each reason for a hold once, and what becomes of orders that are let go early, late or too late.

use sarf::domain::ids::{OrderId, RunId};
use sarf::domain::run::RunState;
use sarf::pipeline::Applied;
use sarf::pipeline::dispatch::files;
use sarf::pipeline::orders::holds::{self, Changed, HoldError};
use sarf::pipeline::runs::{approve, fund};

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
    registry.set(16, &[("payee_name", "-"), ("payee_name_ar", "\u{64E}\u{651} \u{1F46A}")]);
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
        (16, "name_missing"),
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
    assert_eq!(sent_files(&bed.outbox()).iter().map(|f| f.orders.len()).sum::<usize>(), 13);
    for held in [0, 3, 13] {
        assert_eq!(files_with(&bed, order(&bed, held).await).await, 0);
        assert_eq!(state_of(&bed, run, held).await, "held");
    }
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn held_orders_cannot_be_exchanged_after_submission() {
    let Some((bed, run)) = bed_with_holds().await else { return };
    let context = &bed.context;
    approve::acknowledge(context, run, PREPARER, "seen").await.expect("acknowledged");
    // Two orders of one provider and one amount, both sound.
    let pair = bed
        .rows(&format!(
            "select min(order_id)::text || ' ' || max(order_id)::text from payment_order_{run} o
              where not exists (select from order_hold h where h.order_id = o.order_id)
              group by provider_id, amount having count(*) > 1 limit 1"
        ))
        .await;
    let pair: Vec<OrderId> =
        pair[0].split(' ').map(|id| OrderId::new(id.parse().expect("a number"))).collect();
    holds::set(context, pair[0], true, PREPARER, "a doubt").await.expect("held");
    approve::submit(context, run, PREPARER).await.expect("submitted");
    holds::set(context, pair[0], false, PREPARER, "none").await.expect("let go");
    holds::set(context, pair[1], true, PREPARER, "a doubt").await.expect("held");
    let refused = approve::approve(context, run, APPROVER).await.expect_err("it is not what was submitted");
    assert!(refused.to_string().contains("which orders are held, and why was "), "{refused}");
    assert_eq!(bed.state(run).await, RunState::Computed);
    // The same for one order whose reason is exchanged.
    approve::submit(context, run, PREPARER).await.expect("submitted");
    let swap =
        "update order_hold set reason = 'payee_in_doubt' where reason = 'manual' and released_at is null";
    bed.execute(swap).await.expect("changed by hand");
    assert!(approve::approve(context, run, APPROVER).await.is_err());
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn let_go_between_funding_and_release_it_leaves_in_a_file_of_its_own() {
    let Some((bed, run)) = bed_with_holds().await else { return };
    let context = &bed.context;
    let deceased = order(&bed, 2).await;
    approve::acknowledge(context, run, PREPARER, "seen").await.expect("acknowledged");
    bed.take_to(run, RunState::Funded).await;
    let alone = holds::set(context, deceased, false, PREPARER, "lives").await.expect("proposed");
    assert_eq!(alone.into_inner(), Changed::Proposed);
    bed.verify_all_holds().await;
    holds::confirm(context, deceased, APPROVER).await.expect("let go");
    bed.verify_all_holds().await;
    bed.take_to(run, RunState::Settling).await;
    bed.verify_all_holds().await;
    let member = format!("select count(*) from batch_member where order_id = {}", deceased.get());
    assert_eq!((bed.number(&member).await, files_with(&bed, deceased).await), (1, 1));
    assert_eq!(sent_files(&bed.outbox()).iter().map(|f| f.orders.len()).sum::<usize>(), 14);
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn let_go_early_it_leaves_in_its_file_and_late_in_a_late_one() {
    let Some((bed, run)) = bed_with_holds().await else { return };
    let context = &bed.context;
    let (early, late, lost) = (order(&bed, 2).await, order(&bed, 3).await, order(&bed, 0).await);
    let refusal =
        holds::set(context, lost, false, PREPARER, "let it go").await.expect_err("nobody could pay it");
    assert_eq!(
        refusal.to_string(),
        format!("order `{}` has no provider: it needs another account first", lost.get())
    );
    assert!(holds::set(context, early, false, APPROVER, "wrong role").await.is_err());
    assert!(holds::set(context, early, false, PREPARER, "lives").await.expect("let go").is_now());
    assert!(!holds::set(context, early, false, PREPARER, "lives").await.expect("let go before").is_now());
    bed.verify_all_holds().await;
    approve::acknowledge(context, run, PREPARER, "seen").await.expect("acknowledged");
    bed.take_to(run, RunState::Dispatching).await;
    bed.verify_all_holds().await;
    // The run is funded: two people let it go, for what it is held for.
    let proposed = holds::set(context, late, false, PREPARER, "one family").await.expect("proposed");
    assert_eq!(proposed, Applied::Now(Changed::Proposed));
    let again = holds::set(context, late, false, PREPARER, "one family").await.expect("proposed before");
    assert_eq!(again, Applied::Already(Changed::Proposed));
    assert_eq!(state_of(&bed, run, 3).await, "held");
    assert!(matches!(holds::confirm(context, late, PREPARER).await, Err(HoldError::Refused(_))));
    assert!(matches!(holds::confirm(context, lost, APPROVER).await, Err(HoldError::NotProposed(_))));
    bed.verify_all_holds().await;
    // What it came to be held for since, nobody has looked at.
    holds::set(context, late, true, PREPARER, "a doubt").await.expect("held, the proposal is withdrawn");
    assert!(matches!(holds::confirm(context, late, APPROVER).await, Err(HoldError::NotProposed(_))));
    holds::set(context, late, false, PREPARER, "one family").await.expect("proposed");
    let other = "insert into order_hold (order_id, reason, placed_by, placed_at) values ($1, 'payee_deceased', 'registry', now())";
    let mut tx = context.store.begin().await.expect("a transaction");
    sqlx::query(other).bind(late.get()).execute(&mut *tx).await.expect("held for more");
    tx.commit().await.expect("committed");
    assert!(matches!(holds::confirm(context, late, APPROVER).await, Err(HoldError::Changed { .. })));
    let renewed =
        holds::set(context, late, false, PREPARER, "one family, and alive").await.expect("proposed anew");
    assert_eq!(renewed, Applied::Now(Changed::Proposed));
    assert!(holds::confirm(context, late, APPROVER).await.expect("let go").is_now());
    assert!(!holds::confirm(context, late, APPROVER).await.expect("let go before").is_now());
    let by_hand = "update hold_release set proposed_by = confirmed_by where confirmed_by is not null";
    assert!(bed.execute(by_hand).await.is_err(), "the database refuses one person as well");
    bed.verify_all_holds().await;
    files::dispatch(context, run).await.expect("dispatched");
    assert_eq!((files_with(&bed, early).await, files_with(&bed, late).await), (1, 0));
    assert_eq!(state_of(&bed, run, 3).await, "planned");
    bed.verify_all_holds().await;
    assert!(fund::release(context, run, None, ACCOUNTANT).await.expect("released").is_now());
    assert_eq!(state_of(&bed, run, 3).await, "released");
    bed.verify_all_holds().await;
    let sent = files::dispatch(context, run).await.expect("dispatched");
    assert_eq!((sent.files, sent.orders), (1, 1));
    assert_eq!(files_with(&bed, late).await, 1);
    assert_eq!(bed.number("select count(*) from batch where listed").await, 1);
    assert!(
        !fund::release(context, run, None, ACCOUNTANT).await.expect("nothing is left to release").is_now()
    );
    for gone in [early, late] {
        let refusal = holds::set(context, gone, true, PREPARER, "too late").await.expect_err("it has left");
        assert_eq!(refusal.to_string(), format!("order `{}` is sent: it can no longer be held", gone.get()));
    }
    bed.verify_all_holds().await;
    let answers = bed.answer(Default::default(), Default::default());
    bed.feedback_taken(answers.files).await;
    let found = bed.reconcile(run).await;
    assert_eq!(
        (found.state, found.open_breaks, found.held),
        (RunState::Reconciled, 0, 15),
        "{:?}",
        bed.open_breaks().await
    );
    bed.verify_all_holds().await;
    bed.end().await;
}

/// The holds of a list's run: household number and reasons, in order.
async fn held_for(bed: &Bed, registry: &Registry) -> (RunId, Vec<String>) {
    let folder = bed.home().join("list");
    registry.write(&folder);
    let snapshot = bed.import(&folder).await;
    let run = bed.create(snapshot).await;
    let sql = "select right(o.household_id, 2) || ' ' || string_agg(h.reason, ' ' order by h.reason)
                 from order_hold h join payment_order o using (order_id) group by o.household_id order by 1";
    (run, bed.rows(sql).await)
}

fn sound(households: usize) -> Registry {
    let mut registry = Registry::default();
    for _ in 0..households {
        registry.household();
    }
    registry
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_payee_of_several_households_is_held_however_the_number_is_spelled() {
    let Some(bed) = Bed::new().await else { return };
    let mut registry = sound(26);
    // A person who is paid for two households, and listed in neither.
    let stranger = sarf::domain::person::Idcs::from_stem(299_999_999).reveal().to_string();
    for n in [0, 1] {
        registry.set(n, &[("payee_idcs", &stranger)]);
    }
    // One who is paid for one household and is a member of another.
    let father = registry.member(3, 0, "idcs");
    registry.set(2, &[("payee_idcs", &father)]);
    // One identity card under two payees.
    registry.set(4, &[("payee_cin", "ab 123456")]);
    registry.set(5, &[("payee_cin", "AB123456")]);
    registry.set(6, &[("payee_cin", "AB-0123456")]);
    registry.set(7, &[("payee_cin", "AB123457")]);
    // One account as a RIB in groups and as an IBAN.
    let number = rib("007", 700_001);
    registry.set(8, &[("account", &format!("{} {} {}", &number[..3], &number[3..6], &number[6..]))]);
    registry.set(9, &[("account", &format!("ma64-{number}"))]);
    // One phone in four notations.
    for (n, phone) in
        [(10, "0612345678"), (11, "00212 612 345 678"), (12, "+212 (0)6-12-34-56-78"), (13, "212612345678")]
    {
        registry.set(n, &[("phone", phone)]);
    }
    // An excluded household counts, and is not held, since it has no order.
    let shared = registry.get(14, "account");
    registry.set(15, &[("account", &shared), ("excluded_by", "public_job")]);
    // So does one whose row is rejected, in each thing that can be read.
    let (account, head) = (registry.get(16, "account"), registry.get(17, "payee_idcs"));
    registry.set(18, &[("account", &account), ("payee_idcs", &head), ("rsu_score", "much")]);
    registry.set(19, &[("payee_cin", "Z7")]);
    registry.set(20, &[("payee_cin", "z 7"), ("payee_relation", "neighbour")]);
    // A rejected member row, and the member of a rejected household.
    let child = registry.member(21, 1, "idcs");
    registry.set_member(22, 1, &[("idcs", &child), ("birth_date", "soon")]);
    let child = registry.member(23, 1, "idcs");
    registry.set(24, &[("head_resident", "perhaps")]);
    registry.set_member(24, 1, &[("idcs", &child)]);
    let (_, held) = held_for(&bed, &registry).await;
    assert_eq!(
        held,
        [
            "01 shared_payee",
            "02 shared_payee",
            "03 shared_payee",
            "04 shared_payee",
            "05 shared_payee",
            "06 shared_payee",
            "07 shared_payee",
            "09 shared_account",
            "10 shared_account",
            "11 shared_phone",
            "12 shared_phone",
            "13 shared_phone",
            "14 shared_phone",
            "15 shared_account",
            "17 shared_account",
            "18 shared_payee",
            "20 shared_payee",
            "22 shared_person",
            "23 member_rejected shared_person",
            "24 shared_person",
        ]
    );
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_households_for_one_payee_are_a_setting() {
    let Some(bed) = Bed::with(|config| config.settings.holds.payee_households_max = 2).await else { return };
    let mut registry = sound(6);
    for n in [0, 1] {
        registry.set(n, &[("payee_cin", "A1")]);
    }
    for n in [2, 3, 4] {
        registry.set(n, &[("payee_cin", "A2")]);
    }
    let (_, held) = held_for(&bed, &registry).await;
    assert_eq!(held, ["03 shared_payee", "04 shared_payee", "05 shared_payee"]);
    bed.end().await;
}

/// Names that providers are sent: the creditor's name of each order, from the files.
fn names_sent(bed: &Bed) -> Vec<String> {
    let mut names = Vec::new();
    for file in sent_files(&bed.outbox()) {
        let text = std::fs::read_to_string(&file.path).expect("a sent file");
        for part in text.split("<Cdtr><Nm>").skip(1) {
            names.push(part.split("</Nm>").next().expect("a name").to_owned());
        }
    }
    names.sort();
    names
}

/// Payees of many names, and what becomes of them by what the banks do with Arabic script: the names sent, the households
/// held.
async fn named(how: sarf::domain::name::ArabicNames) -> Option<(Vec<String>, Vec<String>)> {
    let change = |config: &mut sarf::config::Config| {
        config.router.change_terms(|provider| provider.arabic_names = how);
    };
    let bed = Bed::with(change).await?;
    let mut registry = sound(8);
    for (n, latin, arabic) in [
        (0, "Aïcha Benaïssa", "عائشة"),
        (1, "", "مُحَمَّد العَلَوِي"),
        (2, ".", "عبد الرّحيم \u{1F600}"),
        (3, "-", "123"),
        (4, "\u{64E}\u{650}", ""),
        (5, "فاطمة", ""),
        (6, "N/A", "n/a"),
        (7, "", "ⴰⵢⵜ ⵃⴷⴷⵓ"),
    ] {
        registry.set(n, &[("payee_name", latin), ("payee_name_ar", arabic)]);
    }
    let (run, held) = held_for(&bed, &registry).await;
    bed.take_to(run, RunState::Settling).await;
    bed.verify_all_holds().await;
    let sent = names_sent(&bed);
    bed.end().await;
    Some((sent, held))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_go_out_as_the_provider_takes_them_or_not_at_all() {
    use sarf::domain::name::ArabicNames::{Accepted, Held, Romanised};
    for (how, sent, held) in [
        (
            Romanised,
            &["Abderrahim", "Aicha Benaissa", "Ayt Hddou", "Fatima", "Mohamed El Alaoui"][..],
            &["04", "05", "07"][..],
        ),
        (
            Accepted,
            &["Aicha Benaissa", "Ayt Hddou", "عبد الرحيم", "فاطمة", "محمد العلوي"],
            &["04", "05", "07"],
        ),
        (Held, &["Aicha Benaissa", "Ayt Hddou"], &["02", "03", "04", "05", "06", "07"]),
    ] {
        let Some(found) = named(how).await else { return };
        let held = held.iter().map(|n| format!("{n} name_missing")).collect::<Vec<_>>();
        assert_eq!(found, (sent.iter().map(ToString::to_string).collect(), held), "{how}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codes_of_exclusion_are_compared_however_they_are_spelled_and_unlisted_ones_are_told() {
    let Some(bed) = Bed::new().await else { return };
    let mut registry = sound(8);
    for (n, code) in [
        (0, "Public_Job"),
        (1, "public-job "),
        (2, "PENSION"),
        (3, "Allocation  Familiale"),
        (4, "family allowance"),
        (5, "véhicule"),
        (6, "  "),
    ] {
        registry.set(n, &[("excluded_by", code)]);
    }
    let folder = bed.home().join("list");
    registry.write(&folder);
    let imported =
        sarf::pipeline::intake::import(&bed.context, &folder).await.expect("imported").into_inner();
    let told: Vec<String> = imported.unlisted_codes.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "excluded_by `allocation_familiale` of 1 households is not listed in the programme: it excludes them",
            "excluded_by `vehicule` of 1 households is not listed in the programme: it excludes them",
        ]
    );
    assert_eq!(bed.number("select sum(households)::bigint from snapshot_code").await, 6);
    let run = bed.create(imported.id).await;
    assert_eq!(
        bed.rows("select right(household_id, 1) || ' ' || reason from exclusion order by 1").await,
        [
            "1 public_job",
            "2 public_job",
            "3 pension",
            "4 excluded_by_registry",
            "5 family_allowance",
            "6 excluded_by_registry"
        ]
    );
    assert_eq!(bed.number(&format!("select orders from run where id = {run}")).await, 2);
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_household_that_is_paid_nothing_is_told_why() {
    let Some(bed) = Bed::new().await else { return };
    let mut registry = sound(8);
    registry.set(0, &[("rsu_score", "11.2")]);
    registry.set(1, &[("head_resident", "no")]);
    registry.set(2, &[("excluded_by", "Véhicule")]);
    registry.set(3, &[("payee_relation", "neighbour")]);
    registry.set_member(4, 1, &[("birth_date", "soon")]);
    registry.set(5, &[("excluded_by", "pension")]);
    let folder = bed.home().join("list");
    registry.write(&folder);
    let run = bed.create(bed.import(&folder).await).await;
    // The next month no longer lists one of them, and has no run yet.
    registry.leave_out(6);
    let later = bed.home().join("later");
    registry.write_for(&later, "2026-12".parse().expect("a period"));
    bed.import(&later).await;
    let told = async |number: usize| {
        let id = format!("H{number:06}");
        let household = sarf::domain::ids::HouseholdId::parse(id.as_bytes()).expect("an id");
        let found = sarf::store::orders::find(&bed.context.store, Some(&id), None).await.expect("orders");
        let unpaid = sarf::pipeline::reports::unpaid::of_household(&bed.context, household, &found)
            .await
            .expect("told");
        unpaid
            .iter()
            .map(|u| format!("{} {} {}: {}", u.period, u.run.unwrap_or(0), u.reason, u.why))
            .collect::<Vec<_>>()
    };
    let number = run.get();
    for (household, expected) in [
        (1, vec![format!("2026-11 {number} score_above_threshold: the score 11.200000 is above the programme's score_max, 9.743001")]),
        (
            2,
            vec![format!(
                "2026-11 {number} head_not_resident: the head does not live in Morocco, and the programme has resident_required"
            )],
        ),
        (
            3,
            vec![format!(
                "2026-11 {number} excluded_by_registry: the registry says `vehicule`, which the programme does not list; its unlisted_excludes rules such out"
            )],
        ),
        (
            4,
            ["2026-12", "2026-11"]
                .map(|month| {
                    format!("{month} 0 rejected_row: row 4 of households was rejected: payee_relation is unknown_value (written as `aaaaaaaaa`); nothing is paid by this list")
                })
                .to_vec(),
        ),
        (
            5,
            ["2026-12", "2026-11"]
                .map(|month| {
                    format!("{month} 0 rejected_row: row 10 of members was rejected: birth_date is malformed (written as `aaaa`); what is due cannot be relied on, so that its order is held")
                })
                .to_vec(),
        ),
        (6, vec![format!("2026-11 {number} pension: the registry says `pension`, which the programme's excluded_by lists")]),
        (7, vec!["2026-12 0 not_listed: it was last listed for 2026-11 (snapshot 1)".to_owned()]),
        (8, vec![]),
        (99, vec![]),
    ] {
        assert_eq!(told(household).await, expected, "household {household}");
    }
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_programme_pays_is_told_with_its_run_and_amount() {
    let Some(bed) = Bed::new().await else { return };
    let mut registry = sound(3);
    registry.set_member(
        0,
        1,
        &[
            ("birth_date", "2015-05-06"),
            ("in_school", "true"),
            ("school_cycle", "primary"),
            ("school_sector", "public"),
        ],
    );
    let (first, second) = (bed.home().join("dss"), bed.home().join("tayssir"));
    registry.write(&first);
    registry.write(&second);
    // The same list, for the programme that goes second.
    let manifest = second.join("manifest.json");
    let text = std::fs::read_to_string(&manifest).expect("a manifest").replace("\"dss\"", "\"tayssir\"");
    std::fs::write(&manifest, text).expect("a manifest");
    let other = bed.create(bed.import(&first).await).await;
    let run = bed.create(bed.import(&second).await).await;
    let found = sarf::store::orders::find(&bed.context.store, Some("H000001"), None).await.expect("orders");
    let household = sarf::domain::ids::HouseholdId::parse(b"H000001").expect("an id");
    let unpaid =
        sarf::pipeline::reports::unpaid::of_household(&bed.context, household, &found).await.expect("told");
    let [told] = &unpaid[..] else { panic!("{unpaid:?}") };
    assert_eq!((told.run, told.reason.as_str()), (Some(run.get()), "other_programme"));
    assert_eq!(told.why, "it may not be drawn together with `dss`");
    let instead = told.instead.as_ref().expect("an order");
    assert_eq!(
        (instead.run, instead.programme.as_str(), instead.amount),
        (other.get(), "dss", found[0].amount)
    );
    bed.end().await;
}
