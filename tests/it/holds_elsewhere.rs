//! One payee of several households, and payees without a name, are held in every kind of run, not only in the month's.

use std::fs;

use bytes::Bytes;
use sarf::domain::ids::{Code, RunId};
use sarf::domain::money::Centimes;
use sarf::domain::person::Idcs;
use sarf::domain::run::RunState;
use sarf::pipeline::orders::correction::{self, Found};
use sarf::pipeline::orders::reissue;
use sarf::pipeline::runs::standing_approvals::{self, Proposal};
use sarf::pipeline::{Applied, events};
use time::macros::date;

use crate::harness::{ACCOUNTANT, APPROVER, Bed, PREPARER, Registry, rib, sent_files};

/// Six sound households.
fn sound() -> Registry {
    let mut registry = Registry::default();
    for _ in 0..6 {
        registry.household();
    }
    registry
}

/// The first is paid to the head of the fifth, the second to the card of the sixth's payee, the third's payee has no name; the
/// fourth is sound.
fn spoil(registry: &mut Registry) {
    let other = registry.get(4, "payee_idcs");
    registry.set(0, &[("payee_idcs", &other)]);
    registry.set(1, &[("payee_cin", "AB 123456")]);
    registry.set(5, &[("payee_cin", "ab-123456")]);
    registry.set(2, &[("payee_name", "-"), ("payee_name_ar", "")]);
}

const HELD: [&str; 3] = ["H000001 shared_payee", "H000002 shared_payee", "H000003 name_missing"];

/// Orders of a run that are held: household and reasons.
async fn held(bed: &Bed, run: RunId) -> Vec<String> {
    bed.rows(&format!(
        "select o.household_id || ' ' || string_agg(h.reason, ',' order by h.reason) from payment_order_{run} o
           join order_hold h on h.order_id = o.order_id and h.released_at is null group by o.household_id order by 1"
    ))
    .await
}

async fn list(bed: &Bed, registry: &Registry, name: &str, month: &str) -> sarf::domain::ids::SnapshotId {
    let folder = bed.home().join(name);
    registry.write_for(&folder, month.parse().expect("a month"));
    bed.import(&folder).await
}

async fn orders(bed: &Bed, run: RunId) -> i64 {
    bed.number(&format!("select count(*) from payment_order_{run}")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_correction_holds_arrears_for_the_payee() {
    let Some(bed) = Bed::new().await else { return };
    let mut registry = sound();
    for number in 0..4 {
        let child = Idcs::from_stem(300_000_000 + number).reveal().to_string();
        registry.add_member(number as usize, &child, "2021-01-01");
    }
    let run = bed.create(list(&bed, &registry, "november", "2026-11").await).await;
    assert_eq!(held(&bed, run).await, Vec::<String>::new());
    bed.take_to(run, RunState::Settling).await;
    for number in 0..4 {
        let child = Idcs::from_stem(300_000_100 + number).reveal().to_string();
        registry.add_member(number as usize, &child, "2026-11-10");
    }
    spoil(&mut registry);
    let december = list(&bed, &registry, "december", "2026-12").await;
    let found = correction::create(&bed.context, december, None, PREPARER).await.expect("corrected");
    let Found::Run(run) = found.into_inner() else { panic!("nothing found") };
    assert_eq!((orders(&bed, run).await, held(&bed, run).await), (4, HELD.map(str::to_owned).to_vec()));
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reissue_holds_for_the_payee_whichever_way_it_goes() {
    let Some(bed) = Bed::new().await else { return };
    let mut registry = sound();
    let run = bed.create(list(&bed, &registry, "first", "2026-11").await).await;
    bed.take_to(run, RunState::Settling).await;
    // Rejected for the account or its bank: paid again to the new account, as cash, or as before.
    let file = sent_files(&bed.outbox()).remove(0);
    let reasons = ["AC04", "AC06", "AC04", "MS03"];
    let mut transactions = String::new();
    for (number, reason) in reasons.iter().enumerate() {
        let sql =
            format!("select order_id from payment_order_{run} where household_id = 'H{:06}'", number + 1);
        let order = bed.number(&sql).await;
        let of = |key: &str| sarf::domain::order::EndToEndRef::parse(key).map(|known| known.order.get());
        let (key, ..) = file.orders.iter().find(|(key, ..)| of(key) == Some(order)).expect("in the file");
        transactions.push_str(&format!(
            "<TxInfAndSts><OrgnlEndToEndId>{key}</OrgnlEndToEndId><TxSts>RJCT</TxSts>\
             <StsRsnInf><Rsn><Cd>{reason}</Cd></Rsn></StsRsnInf></TxInfAndSts>"
        ));
    }
    let message = &file.message_id;
    let xml = format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.002.001.10\"><CstmrPmtStsRpt><GrpHdr><MsgId>R1</MsgId>\
         <CreDtTm>2026-11-25T10:00:00</CreDtTm></GrpHdr><OrgnlGrpInfAndSts><OrgnlMsgId>{message}</OrgnlMsgId>\
         <OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId></OrgnlGrpInfAndSts><OrgnlPmtInfAndSts><OrgnlPmtInfId>{message}</OrgnlPmtInfId>\
         {transactions}</OrgnlPmtInfAndSts></CstmrPmtStsRpt></Document>"
    );
    let path = bed.home().join("rejected.xml");
    fs::write(&path, xml).expect("a message");
    bed.feedback_taken(vec![path]).await;
    assert_eq!(bed.open_breaks().await, Vec::<String>::new());

    spoil(&mut registry);
    registry.set(0, &[("account", &rib("011", 4_711))]);
    registry.set(2, &[("account", &rib("011", 4_712))]);
    list(&bed, &registry, "second", "2026-11").await;
    let made = reissue::create(&bed.context, "dss", None, PREPARER).await.expect("a reissue run");
    let Applied::Now(made) = made else { panic!("{made:?}") };
    assert_eq!(
        (orders(&bed, made.run).await, held(&bed, made.run).await),
        (4, HELD.map(str::to_owned).to_vec())
    );
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_of_an_event_is_held_for_the_payee() {
    let Some(bed) = Bed::new().await else { return };
    let mut registry = sound();
    spoil(&mut registry);
    list(&bed, &registry, "list", "2026-11").await;
    let proposal = Proposal {
        programme: Code::parse("dss").expect("a code"),
        purpose: Code::parse("urgent").expect("a code"),
        order_max: Centimes::from_mad(600),
        day_max: Centimes::from_mad(9_000),
        valid_from: date!(2026 - 11 - 01),
        valid_to: date!(2026 - 12 - 31),
    };
    let id =
        standing_approvals::propose(&bed.context, &proposal, PREPARER).await.expect("proposed").into_inner();
    standing_approvals::approve(&bed.context, id, APPROVER).await.expect("approved");
    standing_approvals::fund(&bed.context, id, ACCOUNTANT).await.expect("funded");
    // Another account makes nobody another payee.
    let mut lines = vec![Bytes::from(format!(
        "{{\"id\":\"a1\",\"type\":\"account\",\"programme\":\"dss\",\"household\":\"H000001\",\"at\":\"2026-11-24T08:00:00Z\",\
         \"means\":\"bank_account\",\"account\":\"{}\"}}",
        rib("011", 99)
    ))];
    lines.extend((1..=4).map(|number| {
        Bytes::from(format!(
            "{{\"id\":\"o{number}\",\"type\":\"order\",\"programme\":\"dss\",\"household\":\"H{number:06}\",\
             \"at\":\"2026-11-24T08:30:00Z\",\"period\":\"2026-11\",\"purpose\":\"urgent\",\"amount\":\"100.00\"}}"
        ))
    }));
    let outcomes = events::accept(&bed.context, "test", lines).await.expect("decided");
    let told: Vec<String> = outcomes.iter().map(|o| format!("{} {}", o.outcome, o.code)).collect();
    assert_eq!(told, ["taken taken", "held held", "held held", "held held", "taken taken"]);
    let run = RunId::new(bed.number("select id from run").await);
    assert_eq!((orders(&bed, run).await, held(&bed, run).await), (4, HELD.map(str::to_owned).to_vec()));
    bed.verify_all_holds().await;
    bed.end().await;
}
