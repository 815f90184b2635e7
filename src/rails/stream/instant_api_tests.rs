//! The instant lane against a bank that misbehaves.

use super::super::StreamRail as _;
use super::super::testing::{Reply as Played, Seen, Server, instruction, payer, provider, terms};
use super::*;
use crate::domain::money::Centimes;

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn api(server: &Server) -> Singly<InstantApi> {
    let provider = provider();
    let terms = terms(&server.url);
    let client = http::client(&terms).unwrap();
    InstantApi::new(client, (&provider, &terms), &Secret::new(KEY), Clock::system(), &payer("ANSS")).unwrap()
}

fn report(key: &str, status: &str, reason: &str) -> String {
    let reason = if reason.is_empty() {
        String::new()
    } else {
        format!("<StsRsnInf><Rsn><Cd>{reason}</Cd></Rsn></StsRsnInf>")
    };
    format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pacs.002.001.10\"><FIToFIPmtStsRpt><GrpHdr><MsgId>M</MsgId></GrpHdr>\
         <TxInfAndSts><OrgnlEndToEndId>{key}</OrgnlEndToEndId><TxSts>{status}</TxSts>{reason}<OrgnlTxRef>\
         <IntrBkSttlmAmt Ccy=\"MAD\">500.00</IntrBkSttlmAmt></OrgnlTxRef></TxInfAndSts></FIToFIPmtStsRpt></Document>"
    )
}

/// What a transfer of K1 comes to, where the bank answers it with `put` and questions with `asked`; and what it was sent.
async fn check(put: Played, asked: Played, expected: Result<&str, &str>) -> Vec<Seen> {
    let shown = format!("{put:?} {asked:?}");
    let server = Server::start(move |seen| match seen.line.as_str() {
        "POST /base/transfers" => put.clone(),
        _ => asked.clone(),
    })
    .await;
    let orders = [instruction("K1")];
    match (api(&server).put(&orders).await, expected) {
        (Ok(put), Ok(line)) => {
            let told = |a: &Answer| {
                let amount = a.amount.map_or(0, Centimes::get);
                format!("{} {:?} {} {amount}", a.key, a.status, a.reason.as_deref().unwrap_or("-"))
            };
            assert_eq!(put.answers.iter().map(told).collect::<Vec<_>>(), [line], "{shown}");
        }
        (Err(error), Err(text)) => assert_eq!(error.to_string(), text, "{shown}"),
        (found, _) => panic!("{shown}: {found:?}, not {expected:?}"),
    }
    server.seen()
}

#[tokio::test]
async fn what_a_report_means() {
    let xml = |status: &str, reason: &str| Played::Json(200, report("K1", status, reason));
    for (status, reason, expected) in [
        ("ACSC", "", "K1 Credited - 50000"),
        ("ACCC", "", "K1 Credited - 50000"),
        ("ACSP", "", "K1 Accepted - 50000"),
        ("PDNG", "", "K1 Accepted - 50000"),
        ("RJCT", "AC04", "K1 Rejected AC04 50000"),
        ("CANC", "", "K1 Cancelled - 50000"),
        ("ACWC", "", "K1 Unknown - 50000"),
        ("XXXX", "", "K1 Unknown - 50000"),
    ] {
        let seen = check(xml(status, reason), Played::Cut, Ok(expected)).await;
        assert_eq!(seen.len(), 1, "{status}");
        assert_eq!(seen[0].header("x-api-key"), Some(KEY));
        assert!(seen[0].text().contains("<UETR>6f0a2c1e-7c54-4f5e-9d0e-0123456789ab</UETR>"));
        assert!(seen[0].text().contains("<Prxy><Tp><Cd>TELE</Cd></Tp><Id>+212612345678</Id></Prxy>"));
    }
}

#[tokio::test]
async fn a_second_delivery_is_asked_about_and_never_a_refusal() {
    let xml = |status: &str, reason: &str| Played::Json(200, report("K1", status, reason));
    for code in ["AM05", "DUPL", "DU03"] {
        let seen = check(xml("RJCT", code), xml("ACSC", ""), Ok("K1 Credited - 50000")).await;
        assert_eq!(seen[1].line, "POST /base/status-requests");
        assert!(seen[1].text().contains("<OrgnlEndToEndId>K1</OrgnlEndToEndId>"));
    }
    check(xml("RJCT", "AM05"), xml("RJCT", "AC04"), Ok("K1 Rejected AC04 50000")).await;
    let unreadable = Err("no readable answer from the provider: unreadable");
    check(xml("RJCT", "AM05"), xml("RJCT", "NOOR"), unreadable).await;
    check(xml("RJCT", "NOOR"), Played::Cut, unreadable).await;
    check(xml("RJCT", "AM05"), Played::Cut, Err("no readable answer from the provider: cut")).await;
}

#[tokio::test]
async fn what_is_no_report_of_the_transfer_is_no_answer() {
    let unreadable = Err("no readable answer from the provider: unreadable");
    let two = report("K1", "ACSC", "").replace(
        "</TxInfAndSts>",
        "</TxInfAndSts><TxInfAndSts><OrgnlEndToEndId>K1</OrgnlEndToEndId><TxSts>RJCT</TxSts></TxInfAndSts>",
    );
    for body in [
        String::new(),
        "{}".into(),
        "<html>Gateway</html>".into(),
        report("K2", "ACSC", ""),
        report("", "ACSC", ""),
        report("K1", "", ""),
        two,
        report("K1", "ACSC", "")[..200].to_owned(),
    ] {
        check(Played::Json(200, body), Played::Cut, unreadable).await;
    }
    check(
        Played::Json(503, String::new()),
        Played::Cut,
        Err("no readable answer from the provider: status 503"),
    )
    .await;
    check(
        Played::Json(400, String::new()),
        Played::Cut,
        Err("the provider refused the request with status 400"),
    )
    .await;
    check(Played::Stall(""), Played::Cut, Err("no readable answer from the provider: timeout")).await;
}

#[tokio::test]
async fn questions_are_answered_or_not_known() {
    let server = Server::start(|seen| {
        let known = seen.text().contains("<OrgnlEndToEndId>K1</OrgnlEndToEndId>");
        if known {
            Played::Json(200, report("K1", "ACSC", ""))
        } else {
            Played::Json(200, report("K2", "RJCT", "NOOR"))
        }
    })
    .await;
    let api = api(&server);
    let mut answers = api.enquire(&["K1".to_owned(), "K2".to_owned()]).await.unwrap();
    answers.sort_by(|a, b| a.key.cmp(&b.key));
    let told: Vec<_> = answers.iter().map(|a| (a.key.as_str(), a.status)).collect();
    assert_eq!(told, [("K1", Status::Credited), ("K2", Status::NotFound)]);
    let ids: Vec<String> =
        server.seen().iter().map(|s| s.text().split("<MsgId>").nth(1).unwrap()[..25].to_owned()).collect();
    assert_ne!(ids[0], ids[1], "each question has an id of its own");
    let nothing = Instruction { phone: None, account: None, ..instruction("K3") };
    let put = api.put(&[nothing]).await.unwrap();
    assert_eq!(put.answers[0].reason.as_deref(), Some("AC03"));
    assert_eq!(server.seen().len(), 2, "what cannot be paid is not sent");
}
