//! A folder with order files.

use super::*;
use crate::iso20022::pain001::write::Pain001Writer;
use crate::iso20022::pain001::*;

/// A folder that goes when the test ends.
pub(super) struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sarf-sandbox-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("outbox")).unwrap();
        Self(path)
    }

    pub fn options(&self, inbox: &str) -> SandboxOptions {
        SandboxOptions {
            outbox: self.0.join("outbox"),
            inbox: self.0.join(inbox),
            seed: 11,
            now: datetime!(2026-11-27 18:00:00 UTC),
            rates: Rates::default(),
            statuses: StatusStyle::Mixed,
            faults: Faults::default(),
        }
    }

    /// Writes an order file; the amounts are 500.00, 500.01 … 501.49, and again.
    pub fn order_file(&self, provider: &str, msg_id: &str, day: Date, orders: u64) -> PathBuf {
        let amount = |n: u64| Centimes::new(50_000 + (n % 150) as i64);
        let header = Header {
            msg_id,
            created: datetime!(2026-11-26 10:00:00 UTC),
            initiating_party_name: "Agence",
            initiating_party_id: "",
            orders,
            control_sum: (0..orders).map(amount).sum(),
            payment: PaymentInfo {
                id: &format!("P-{msg_id}"),
                batch_booking: true,
                service_level: "",
                debtor_address: None,
                execution_date: day,
                category_purpose: "GOVT",
                debtor_name: "Agence",
                debtor_account: Account::Rib("001810007800020110620318"),
                debtor_agent: Agent::Member("001"),
                charge_bearer: ChargeBearer::ServiceLevel,
            },
        };
        let folder = self.0.join("outbox").join(provider);
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{msg_id}.xml"));
        let mut writer = Pain001Writer::begin(fs::File::create(&path).unwrap(), &header).unwrap();
        for n in 0..orders {
            let transaction = Transaction {
                instr_id: &format!("I{n}"),
                end_to_end_id: &format!("{msg_id}-{n}"),
                uetr: Some(&format!("{n:08x}-1c2d-4e5f-8a9b-0c1d2e3f4a5b")),
                amount: amount(n),
                creditor_agent: None,
                creditor_name: "EXEMPLE",
                creditor_account: CreditorAccount::Account(Account::Rib("011780000019210016805555")),
                purpose: "GOVT",
                remittance: Remittance::Text("AIDE"),
                creditor_address: None,
            };
            writer.transaction(&transaction).unwrap();
        }
        writer.finish().unwrap();
        seal(&path);
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Puts the hash beside a file.
pub(super) fn seal(path: &Path) {
    let digest = Sha256::digest(fs::read(path).unwrap());
    let hex: String = digest.iter().map(|b| format!("{b:02x}")).collect();
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    fs::write(path.with_extension("xml.sha256"), format!("{hex}  {name}\n")).unwrap();
}
