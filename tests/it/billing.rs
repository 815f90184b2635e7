//! What a bank bills for its services (camt.086), beside the fees that were agreed.

use sarf::domain::provider::FeeBand;
use sarf::domain::run::RunState;

use crate::harness::{Bed, Registry, rib};

fn bill(account: &str, id: &str, status: &str, period: &str, charges: &[&str]) -> String {
    let services: String = charges
        .iter()
        .map(|amount| {
            format!(
                "<Svc><SvcDtl><BkSvc><Id>TRF</Id></BkSvc></SvcDtl><OrgnlChrgPric><Amt Ccy=\"MAD\">{amount}</Amt></OrgnlChrgPric></Svc>"
            )
        })
        .collect();
    format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.086.001.03\"><BkSvcsBllgStmt><RptHdr><RptId>{id}</RptId></RptHdr>\
         <BllgStmtGrp><GrpId>G</GrpId><BllgStmt><StmtId>{id}</StmtId>{period}<Sts>{status}</Sts><AcctChrtcs><CshAcct><Id><Othr><Id>\
         {account}</Id></Othr></Id></CshAcct></AcctChrtcs>{services}</BllgStmt></BllgStmtGrp></BkSvcsBllgStmt></Document>"
    )
}

/// A bank takes 1.50 for an order of up to 500.00.
fn agreed(config: &mut sarf::config::Config) {
    config.router.change_terms(|provider| {
        if provider.code.as_str() == "awb" {
            let band = |up_to: &str, fee: &str| FeeBand {
                up_to: up_to.parse().expect("an amount"),
                fee: fee.parse().expect("an amount"),
            };
            provider.fees = vec![band("500.00", "1.50"), band("10000.00", "3.00")];
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bank_that_bills_what_was_not_agreed_is_asked() {
    let Some(bed) = Bed::with(agreed).await else { return };
    let mut registry = Registry::default();
    for _ in 0..3 {
        registry.household();
    }
    // One whose order is held does not leave, and costs nothing.
    let held = registry.household();
    registry.set(held, &[("account", "007")]);
    let folder = bed.home().join("list");
    registry.write(&folder);
    let run = bed.create(bed.import(&folder).await).await;
    bed.take_to(run, RunState::Settling).await;
    let month = "<FrToDt><FrDt>2026-11-01</FrDt><ToDt>2026-11-30</ToDt></FrToDt>";
    let before = "<FrToDt><FrDt>2026-10-01</FrDt><ToDt>2026-10-31</ToDt></FrToDt>";
    let own = "007810000000000000900075";
    let import = async |name: &str, text: String| {
        let path = bed.home().join(name);
        std::fs::write(&path, text).expect("written");
        bed.feedback_taken(vec![path]).await;
        bed.rows("select detail from break where resolved_at is null and kind = 'fee_differs' order by id")
            .await
            .len()
    };
    // Three orders of 500.00 at 1.50 each.
    assert_eq!(import("right.xml", bill(own, "B1", "ORGN", month, &["3.00", "1.50"])).await, 0);
    assert_eq!(import("none.xml", bill(own, "B2", "ORGN", before, &[])).await, 0);
    assert_eq!(import("test.xml", bill(own, "B3", "TEST", month, &["99.00"])).await, 0);
    assert!(bed.open_breaks().await.is_empty());
    assert_eq!(import("wrong.xml", bill(own, "B4", "ORGN", month, &["3.00", "2.50"])).await, 1);
    let detail = bed.rows("select detail || ' ' || amount from break where kind = 'fee_differs'").await;
    let expected = "billing statement `B4` charges 5.50 MAD for 2026-11-01 to 2026-11-30; by the fees agreed, 3 orders come to 4.50 MAD 100";
    assert_eq!(detail, [expected]);
    assert_eq!(import("before.xml", bill(own, "B5", "ORGN", before, &["3.00"])).await, 2);
    assert_eq!(import("other.xml", bill(&rib("011", 7), "B6", "ORGN", month, &["3.00"])).await, 2);
    assert_eq!(import("faulty.xml", bill(own, "B7", "ORGN", "", &["3.00"])).await, 2);
    assert_eq!(import("faulty2.xml", bill(own, "B8", "ORGN", month, &["3,00"])).await, 2);
    assert_eq!(bed.open_breaks().await, ["faulty_entry 2", "fee_differs 2", "unknown_reference 1"]);

    // What an institution's settlement files say of the day counts as they say it.
    let message = bed.number("select min(id) from message").await;
    bed.write(&format!(
        "insert into settlement (message_id, provider_id, reference, business_date, orders, amount, fees)
         select {message}, id, 'S1', '2026-11-20', 2, 100000, 1600 from provider where code = 'wafacash'"
    ))
    .await
    .expect("written");
    let wafacash = "801810000000000000910021";
    assert_eq!(import("cash.xml", bill(wafacash, "B9", "ORGN", month, &["16.00"])).await, 2);
    assert_eq!(import("cash2.xml", bill(wafacash, "B10", "ORGN", month, &["24.00"])).await, 3);
    bed.books_hold().await;
    bed.end().await;
}
