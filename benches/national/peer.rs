//! A peer: the PyPI package `pain001` makes a pain.001.001.09 from a CSV of payments; our writer makes one from the same.
//!
//! Guarantee: both read the same file and end with XML on the disk. Limit: the peer also validates its output against
//! the schema, which it cannot leave out; ours is built so that it cannot write anything else. Skipped where the peer is
//! not installed.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use sarf::domain::money::Centimes;
use sarf::domain::rib::Rib;
use sarf::iso20022::pain001::write::Pain001Writer;
use sarf::iso20022::pain001::{
    Account, Agent, ChargeBearer, CreditorAccount, Header, PaymentInfo, Remittance, Transaction,
};

use crate::table;

const PAYMENTS: u64 = 100_000;
const MAD: i64 = 500;
const BIC: &str = "BCMAMAMC";
const DATE: time::Date = time::macros::date!(2026 - 06 - 25);

/// Both, as a table; a sentence where the peer is not there.
pub fn compare(folder: &Path, venv: &Path) -> anyhow::Result<String> {
    let peer = std::path::absolute(venv.join("bin/pain001"))?;
    if !peer.is_file() {
        return Ok(format!("The peer `pain001` is not installed in `{}`: skipped.\n", venv.display()));
    }
    println!("── {} payments beside PyPI's pain001", table::count(PAYMENTS));
    let csv = folder.join("payments.csv");
    fs::write(&csv, payments()?)?;
    let ours = {
        let began = Instant::now();
        write(&csv, &folder.join("ours.xml"))?;
        began.elapsed()
    };
    anyhow::ensure!(transactions(&folder.join("ours.xml"))? == PAYMENTS, "our writer lost payments");
    println!("   ours: {}", table::seconds(ours));
    let theirs = run(&peer, folder)?;
    println!("   the peer: {}", table::seconds(theirs));
    let version = Command::new(&peer).arg("--version").output()?;
    let version = String::from_utf8_lossy(&version.stdout);
    let version = version.split_whitespace().last().unwrap_or("of an unknown version").to_owned();
    let mut text = format!("### {} payments from a CSV to one pain.001.001.09\n\n", table::count(PAYMENTS));
    text.push_str("| writer | took |\n|---|--:|\n");
    for (name, took) in [("sarf".to_owned(), ours), (format!("PyPI `pain001` {version}"), theirs)] {
        writeln!(text, "| {name} | {} |", table::seconds(took)).expect("a String takes all");
    }
    writeln!(text, "\nThe peer takes {:.0} times as long.", theirs.div_duration_f64(ours))
        .expect("a String takes all");
    Ok(text)
}

/// The payments as the peer wants them: all columns on each line.
fn payments() -> anyhow::Result<String> {
    let debtor = Rib::compose("007", "780", "0000000000000001")?.iban();
    let mut text = String::from(
        "id,date,nb_of_txs,initiator_name,payment_information_id,payment_method,batch_booking,ctrl_sum,\
         service_level_code,requested_execution_date,debtor_name,debtor_account_IBAN,debtor_agent_BIC,charge_bearer,\
         payment_id,payment_amount,currency,creditor_agent_BIC,creditor_name,creditor_account_IBAN,\
         remittance_information,forwarding_agent_BIC,payment_currency\n",
    );
    for number in 0..PAYMENTS {
        let creditor = Rib::compose("007", "780", &format!("{:016}", number + 1_000_000))?.iban();
        writeln!(
            text,
            "PEER1,2026-06-24T09:00:00.000Z,{PAYMENTS},AGENCY,PEER1-1,TRF,true,{sum},SEPA,{DATE},AGENCY,{debtor},{BIC},SLEV,\
             PAYMENT{number:08},{MAD}.00,MAD,{BIC},PAYEE {number},{creditor},SUPPORT 2026-06,{BIC},MAD",
            sum = i64::try_from(PAYMENTS)? * MAD
        )?;
    }
    Ok(text)
}

/// Our writer, reading the same lines.
fn write(csv: &Path, out: &Path) -> anyhow::Result<()> {
    let debtor = Rib::compose("007", "780", "0000000000000001")?.iban();
    let header = Header {
        msg_id: "PEER1",
        created: time::macros::datetime!(2026-06-24 09:00 UTC),
        initiating_party_name: "AGENCY",
        initiating_party_id: "",
        orders: PAYMENTS,
        control_sum: Centimes::new(i64::try_from(PAYMENTS)? * MAD * 100),
        payment: PaymentInfo {
            id: "PEER1-1",
            batch_booking: true,
            execution_date: DATE,
            service_level: "",
            category_purpose: "",
            debtor_name: "AGENCY",
            debtor_address: None,
            debtor_account: Account::Iban(&debtor),
            debtor_agent: Agent::Bic(BIC),
            charge_bearer: ChargeBearer::ServiceLevel,
        },
    };
    let mut reader = csv::Reader::from_path(csv)?;
    let mut writer = Pain001Writer::begin(BufWriter::new(File::create(out)?), &header)?;
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record)? {
        writer.transaction(&Transaction {
            instr_id: &record[14],
            end_to_end_id: &record[14],
            uetr: None,
            amount: Centimes::parse_bytes(record[15].as_bytes())?,
            creditor_agent: Some(Agent::Bic(&record[17])),
            creditor_name: &record[18],
            creditor_address: None,
            creditor_account: CreditorAccount::Account(Account::Iban(&record[19])),
            purpose: "",
            remittance: Remittance::Text(&record[20]),
        })?;
    }
    let (mut out, _) = writer.finish()?;
    out.flush()?;
    out.get_ref().sync_all()?;
    Ok(())
}

/// The peer as a program of its own; it reads only below the folder it is started in.
fn run(peer: &Path, folder: &Path) -> anyhow::Result<Duration> {
    let out = folder.join("peer");
    fs::create_dir_all(&out)?;
    let began = Instant::now();
    let output = Command::new(peer)
        .args(["generate", "-t", "pain.001.001.09", "-d", "payments.csv", "-o", "peer"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .with_context(|| peer.display().to_string())?;
    let took = began.elapsed();
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "the peer ended with {}: {said}", output.status);
    let mut made = 0;
    for entry in fs::read_dir(&out)? {
        made += transactions(&entry?.path())?;
    }
    anyhow::ensure!(made == PAYMENTS, "the peer made {made} payments");
    Ok(took)
}

/// How many transactions a message holds, however its lines are broken.
fn transactions(path: &Path) -> anyhow::Result<u64> {
    let text = fs::read(path)?;
    Ok(memchr::memmem::find_iter(&text, b"<CdtTrfTxInf>").count() as u64)
}
