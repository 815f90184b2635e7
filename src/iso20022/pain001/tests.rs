//! What is written of each shape, and what is refused.

use super::write::Pain001Writer;
use super::{
    Account, Agent, ChargeBearer, CreditorAccount, Header, MESSAGE, PaymentInfo, PostalAddress, Remittance,
    Totals, Transaction,
};
use crate::domain::money::Centimes;
use crate::iso20022::testing::{CREATED, DAY, assert_valid, uetr};
use crate::iso20022::xml::write::WriteError;

fn header(orders: u64, sum: i64) -> Header<'static> {
    Header {
        msg_id: "MSG-1",
        created: CREATED,
        initiating_party_name: "Agence & Co",
        initiating_party_id: "AGENCY",
        orders,
        control_sum: Centimes::new(sum),
        payment: PaymentInfo {
            id: "PMT-1",
            batch_booking: true,
            execution_date: DAY,
            service_level: "",
            category_purpose: "GOVT",
            debtor_name: "Agence",
            debtor_address: None,
            debtor_account: Account::Rib("001810007800020110620318"),
            debtor_agent: Agent::Member("001"),
            charge_bearer: ChargeBearer::ServiceLevel,
        },
    }
}

fn transaction<'a>(account: CreditorAccount<'a>, amount: i64, uetr: Option<&'a str>) -> Transaction<'a> {
    Transaction {
        instr_id: "I-1",
        end_to_end_id: "E-1",
        uetr,
        amount: Centimes::new(amount),
        creditor_agent: None,
        creditor_name: "",
        creditor_address: None,
        creditor_account: account,
        purpose: "",
        remittance: Remittance::None,
    }
}

fn write(header: &Header<'_>, transactions: &[Transaction<'_>]) -> Result<(Vec<u8>, Totals), WriteError> {
    let mut writer = Pain001Writer::begin(Vec::new(), header)?;
    transactions.iter().try_for_each(|t| writer.transaction(t))?;
    writer.finish()
}

#[test]
fn every_shape_is_valid_against_the_schema() {
    let reference = uetr(1);
    let full = Transaction {
        creditor_agent: Some(Agent::Bic("BKAMMAMR")),
        creditor_name: "Exemple <un> & deux",
        purpose: "GOVT",
        remittance: Remittance::Text("Aide 2026-11"),
        ..transaction(
            CreditorAccount::Account(Account::Iban("MA64011519000001205000534921")),
            50_000,
            Some(&reference),
        )
    };
    let transactions = [
        full,
        Transaction {
            creditor_agent: Some(Agent::Member("011")),
            ..transaction(CreditorAccount::Account(Account::Rib("011780000019210016805555")), 1, None)
        },
        transaction(CreditorAccount::Proxy { kind: "TELE", id: "+212600000000" }, 2, None),
        transaction(CreditorAccount::None, 3, None),
    ];
    let (xml, totals) = write(&header(4, 50_006), &transactions).unwrap();
    assert_eq!(totals, Totals { orders: 4, sum: Centimes::new(50_006) });
    let text = String::from_utf8(xml.clone()).unwrap();
    assert_eq!(text.matches("<NbOfTxs>4</NbOfTxs><CtrlSum>500.06</CtrlSum>").count(), 2);
    assert!(text.contains("<CreDtTm>2026-11-22T10:00:00Z</CreDtTm>"));
    assert!(text.contains("<Nm>Exemple &lt;un&gt; &amp; deux</Nm>"));
    assert_valid(MESSAGE, &xml);
}

#[test]
fn every_profile_is_valid_against_the_schema() {
    let mut other = header(1, 1);
    other.payment = PaymentInfo {
        debtor_account: Account::Iban("MA64011519000001205000534921"),
        debtor_agent: Agent::Bic("BKAMMAMRXXX"),
        charge_bearer: ChargeBearer::Shared,
        category_purpose: "",
        batch_booking: false,
        service_level: "NURG",
        debtor_address: Some(PostalAddress::Structured {
            street: "12 rue d'Exemple",
            postal_code: "10000",
            town: "Rabat",
            country: "MA",
        }),
        ..other.payment
    };
    other.initiating_party_id = "";
    let bare = Transaction {
        instr_id: "",
        creditor_name: "Exemple",
        creditor_address: Some(PostalAddress::Country("MA")),
        remittance: Remittance::Reference("E-1"),
        ..transaction(CreditorAccount::None, 1, None)
    };
    assert_valid(MESSAGE, &write(&other, &[bare]).unwrap().0);
    other.payment = PaymentInfo {
        charge_bearer: ChargeBearer::Unsaid,
        debtor_address: Some(PostalAddress::Lines {
            street: "12 rue d'Exemple",
            postal_code: "10000",
            town: "Rabat",
            country: "MA",
        }),
        ..other.payment
    };
    assert_valid(MESSAGE, &write(&other, &[bare]).unwrap().0);
}

#[test]
fn control_totals_are_asserted() {
    let one = [transaction(CreditorAccount::None, 100, None)];
    let check = |orders, sum, expected: &str| {
        let error = write(&header(orders, sum), &one).map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    check(2, 100, "1 transactions written, 2 declared");
    check(1, 101, "control sum 1.00 written, 1.01 declared");
    check(1, 99, "control sum 1.00 written, 0.99 declared");
    check(0, 99, "field `NbOfTxs` does not fit the schema");
    let mut writer = Pain001Writer::begin(Vec::new(), &header(1, 500)).unwrap();
    writer.transaction(&one[0]).unwrap();
    assert!(matches!(writer.transaction(&one[0]), Err(WriteError::CountDiffers { written: 2, .. })));
}

#[test]
fn fields_are_checked_and_never_printed() {
    let base = transaction(CreditorAccount::None, 100, None);
    let check = |t: Transaction<'_>, field: &str| {
        let error = write(&header(1, 100), &[t]).map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), format!("field `{field}` does not fit the schema"));
    };
    let long = "x".repeat(141);
    check(Transaction { instr_id: &long, ..base }, "InstrId");
    check(Transaction { end_to_end_id: &long[..36], ..base }, "EndToEndId");
    check(Transaction { uetr: Some("nope"), ..base }, "UETR");
    check(Transaction { amount: Centimes::ZERO, ..base }, "InstdAmt");
    check(Transaction { amount: Centimes::new(-1), ..base }, "InstdAmt");
    check(Transaction { creditor_name: &long, ..base }, "Cdtr/Nm");
    check(Transaction { creditor_agent: Some(Agent::Bic("X")), ..base }, "BICFI");
    check(Transaction { purpose: "TOOLONG", ..base }, "Purp/Cd");
    check(Transaction { remittance: Remittance::Text("a\nb"), ..base }, "RmtInf/Ustrd");
    check(Transaction { creditor_account: CreditorAccount::Account(Account::Iban("MA")), ..base }, "IBAN");
}
