//! A hand-made snapshot: sound households, one by one, whose fields a test then spoils.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use sarf::domain::attribute::COLUMN_PREFIX;
use sarf::domain::ids::Code;
use sarf::domain::period::Period;
use sarf::domain::person::Idcs;
use sarf::domain::rib::Rib;
use sarf::snapshot::{
    CLAIM_COLUMNS, DEPOSIT_COLUMNS, FORMAT, HOUSEHOLD_COLUMNS, Kind, MANIFEST_FILE, MEMBER_COLUMNS, Manifest,
    Part, Sha256Hex,
};
use sha2::{Digest as _, Sha256};
use time::macros::datetime;

use super::period;

type Row = BTreeMap<&'static str, String>;

/// A sound RIB at a bank.
pub fn rib(bank: &str, account: u32) -> String {
    Rib::compose(bank, "810", &format!("{account:016}")).expect("a RIB").reveal().to_owned()
}

#[derive(Clone, Default)]
pub struct Registry {
    households: Vec<Row>,
    /// Two for each household: an adult and a child.
    members: Vec<Row>,
    /// Further members: the household, and the row.
    further: Vec<(usize, Row)>,
    /// Households that are left out.
    gone: Vec<usize>,
    /// Claims of birth grants; the part is written where there is one.
    claims: Vec<Row>,
    /// Children in care; the part is written where there is one.
    deposits: Vec<Row>,
}

impl Registry {
    /// Adds a sound household with one adult and one small child, paid to a bank account; its number.
    pub fn household(&mut self) -> usize {
        let number = self.households.len();
        let n = u32::try_from(number).expect("few households") + 1;
        let person = |part: u32| Idcs::from_stem(200_000_000 + n * 10 + part).reveal().to_string();
        let id = format!("H{n:06}");
        let fields = [
            ("household_id", id.clone()),
            ("region", "Souss-Massa".into()),
            ("province", "Tiznit".into()),
            ("commune", "Tafraout".into()),
            ("rsu_score", "5.5".into()),
            ("head_idcs", person(1)),
            ("head_resident", "true".into()),
            ("payee_idcs", person(1)),
            (
                "payee_name",
                format!("Payee {}", "ABCDEFGHIJKLMNOPQRSTUVWXYZ".chars().nth(number % 26).expect("a letter")),
            ),
            ("payee_relation", "husband".into()),
            ("payee_deceased", "false".into()),
            ("phone", format!("+2126{:08}", 10_000_000 + n)),
            ("means", "bank_account".into()),
            ("account", rib("007", n)),
        ];
        self.households.push(fields.into());
        for (part, born) in [(1, "1985-03-02"), (2, "2023-05-06")] {
            let fields = [
                ("household_id", id.clone()),
                ("idcs", person(part)),
                ("birth_date", born.into()),
                ("sex", "F".into()),
                ("in_school", "false".into()),
                ("father_orphan", "false".into()),
                ("severe_disability", "false".into()),
                ("in_institution", "false".into()),
            ];
            self.members.push(fields.into());
        }
        number
    }

    /// Changes fields of a household; those of attributes are written once a household has one.
    pub fn set(&mut self, household: usize, fields: &[(&'static str, &str)]) {
        for (column, value) in fields {
            let known = HOUSEHOLD_COLUMNS.contains(column) || column.starts_with(COLUMN_PREFIX);
            assert!(known, "{column}");
            self.households[household].insert(column, (*value).to_owned());
        }
    }

    pub fn get(&self, household: usize, column: &str) -> String {
        self.households[household].get(column).cloned().unwrap_or_default()
    }

    /// Changes fields of a household's adult (0) or child (1).
    pub fn set_member(&mut self, household: usize, member: usize, fields: &[(&'static str, &str)]) {
        for (column, value) in fields {
            assert!(MEMBER_COLUMNS.contains(column), "{column}");
            self.members[household * 2 + member].insert(column, (*value).to_owned());
        }
    }

    /// Adds a member like the household's child, with a number and date of birth of its own.
    pub fn add_member(&mut self, household: usize, idcs: &str, born: &str) {
        let mut row = self.members[household * 2 + 1].clone();
        row.insert("idcs", idcs.to_owned());
        row.insert("birth_date", born.to_owned());
        self.further.push((household, row));
    }

    /// Adds a member like the household's child, with these fields.
    pub fn add_member_with(&mut self, household: usize, fields: &[(&'static str, &str)]) {
        let mut row = self.members[household * 2 + 1].clone();
        for (column, value) in fields {
            assert!(MEMBER_COLUMNS.contains(column), "{column}");
            row.insert(column, (*value).to_owned());
        }
        self.further.push((household, row));
    }

    /// Takes further members of a household away.
    pub fn drop_further(&mut self, household: usize) {
        self.further.retain(|(of, _)| *of != household);
    }

    /// Leaves a household out.
    pub fn leave_out(&mut self, household: usize) {
        self.gone.push(household);
    }

    /// Adds a claim of a birth grant.
    pub fn claim(&mut self, household: &str, child: &str, rank: &str, claimed_on: &str) -> &mut Self {
        let fields = [
            ("household_id", household.to_owned()),
            ("child_idcs", child.to_owned()),
            ("rank", rank.to_owned()),
            ("claimed_on", claimed_on.to_owned()),
        ];
        self.claims.push(fields.into());
        self
    }

    /// Adds a child in care, an orphan whose account is at the deposit holder.
    pub fn deposit(&mut self, id: &str, child: u32, born: &str, since: &str) -> &mut Self {
        let fields = [
            ("deposit_id", id.to_owned()),
            ("region", "Souss-Massa".into()),
            ("province", "Tiznit".into()),
            ("commune", "Tiznit".into()),
            ("institution", "Foyer".into()),
            ("child_idcs", Idcs::from_stem(child).reveal().to_string()),
            ("child_name", "Child".into()),
            ("birth_date", born.to_owned()),
            ("ground", "orphan".into()),
            ("since", since.to_owned()),
            ("account", rib("995", child % 10_000)),
        ];
        self.deposits.push(fields.into());
        self
    }

    /// Changes fields of the last child in care.
    pub fn set_deposit(&mut self, fields: &[(&'static str, &str)]) -> &mut Self {
        let row = self.deposits.last_mut().expect("a child in care");
        for (column, value) in fields {
            assert!(DEPOSIT_COLUMNS.contains(column), "{column}");
            row.insert(column, (*value).to_owned());
        }
        self
    }

    /// Takes all claims and children in care away.
    pub fn drop_children(&mut self) {
        self.claims.clear();
        self.deposits.clear();
    }

    pub fn member(&self, household: usize, member: usize, column: &str) -> String {
        self.members[household * 2 + member].get(column).cloned().unwrap_or_default()
    }

    /// Writes the snapshot as it is, with a manifest that is true of it.
    pub fn write(&self, folder: &Path) {
        self.write_for(folder, period());
    }

    /// The same, for another month.
    pub fn write_for(&self, folder: &Path, period: Period) {
        self.write_as(folder, period, "dss");
    }

    /// The same, for another programme.
    pub fn write_as(&self, folder: &Path, period: Period, programme: &str) {
        fs::create_dir_all(folder).expect("a folder");
        let there = |n: &usize| !self.gone.contains(n);
        let households: Vec<Row> =
            (0..self.households.len()).filter(there).map(|n| self.households[n].clone()).collect();
        let mut members = Vec::new();
        for n in (0..self.households.len()).filter(there) {
            members.extend_from_slice(&self.members[n * 2..n * 2 + 2]);
            members.extend(self.further.iter().filter(|(of, _)| *of == n).map(|(_, row)| row.clone()));
        }
        let given = households.iter().flat_map(|row| row.keys().copied());
        let attributes: BTreeSet<&str> = given.filter(|c| c.starts_with(COLUMN_PREFIX)).collect();
        let columns: Vec<&str> = HOUSEHOLD_COLUMNS.into_iter().chain(attributes).collect();
        let mut parts = vec![
            part(folder, Kind::Households, &columns, &households),
            part(folder, Kind::Members, &MEMBER_COLUMNS, &members),
        ];
        for (kind, columns, rows) in [
            (Kind::Claims, &CLAIM_COLUMNS[..], &self.claims),
            (Kind::Deposits, &DEPOSIT_COLUMNS[..], &self.deposits),
        ] {
            if !rows.is_empty() {
                parts.push(part(folder, kind, columns, rows));
            }
        }
        let manifest = Manifest {
            format: FORMAT.to_owned(),
            programme: Code::parse(programme).expect("a code"),
            period,
            source: "a test".to_owned(),
            created_at: datetime!(2026-11-20 08:00 UTC),
            parts,
            control_totals: None,
        };
        let text = serde_json::to_string_pretty(&manifest).expect("a manifest");
        fs::write(folder.join(MANIFEST_FILE), text).expect("the manifest is written");
    }
}

fn part(folder: &Path, kind: Kind, columns: &[&str], rows: &[Row]) -> Part {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(columns).expect("a header");
    for row in rows {
        let fields = columns.iter().map(|c| row.get(c).map_or("", String::as_str));
        writer.write_record(fields).expect("a row");
    }
    let bytes = writer.into_inner().expect("memory does not fail");
    let file = format!("{kind}.csv");
    fs::write(folder.join(&file), &bytes).expect("the part is written");
    Part { file, kind, rows: rows.len() as u64, sha256: Sha256Hex(Sha256::digest(&bytes).into()) }
}
