//! The synthetic registry, whose snapshots are for trials: everything in them is made up, most of it as the programme's figures would have it.
//!
//! Input: number of households, period, seed. Output: a folder that [`SnapshotReader`](crate::snapshot::SnapshotReader) reads.
//! Guarantee: the same options give the same bytes; snapshots of one seed for neighbouring periods differ by churn
//! only, and by what a later one tells of the past; no two people, phones or accounts are the same unless a fraud was asked
//! for. Limit: 10,000,000 households, so
//! that ten-digit numbers suffice; children in care have those of the last households.

mod children;
mod draw;
mod person;
mod sink;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use rust_decimal::Decimal;

use self::draw::Draw;
use self::person::{Dwelling, dwelling};
use self::sink::PartWriter;
use crate::domain::household::Means;
use crate::domain::ids::Code;
use crate::domain::period::Period;
use crate::snapshot::{ControlTotals, FORMAT, Fault, Kind, Manifest, SnapshotError};
use crate::telemetry::Telemetry;

/// Most households of a synthetic snapshot.
pub const HOUSEHOLDS_MAX: u64 = 10_000_000;

/// How the parts are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// `.csv`
    #[default]
    Plain,
    /// `.csv.gz`
    Gzip,
    /// `.csv.zst`
    Zstd,
    /// `.parquet`, all columns text, pages packed with zstd.
    Parquet,
}

/// What changes from month to month, in parts of a million households.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Churn {
    /// Least that leave in a month; as many join.
    pub leave_ppm_min: u32,
    /// Most that leave in a month.
    pub leave_ppm_max: u32,
    /// Change their account or means.
    pub account_change_ppm: u32,
    /// Lose their payee.
    pub payee_death_ppm: u32,
    /// Of the deaths of members: entered one to three months late, so that a later list tells of the past.
    pub late_death_ppm: u32,
    /// Of the children born to households on the list: entered one to five months late.
    pub late_birth_ppm: u32,
}

impl Default for Churn {
    fn default() -> Self {
        // Published monthly changes of the programme: 1.2 to 3.8 %.
        Self {
            leave_ppm_min: 12_000,
            leave_ppm_max: 38_000,
            account_change_ppm: 5_000,
            payee_death_ppm: 50,
            late_death_ppm: 100_000,
            late_birth_ppm: 100_000,
        }
    }
}

/// How often something unusual, faulty or fraudulent is put in, in parts of a million households.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Rates {
    pub score_above_ppm: u32,
    pub head_abroad_ppm: u32,
    pub excluded_ppm: u32,
    pub payee_deceased_ppm: u32,
    /// Of members.
    pub severe_disability_ppm: u32,
    /// Of children.
    pub in_institution_ppm: u32,
    /// Of payment accounts.
    pub level_one_account_ppm: u32,
    /// Of accounts.
    pub wrong_rib_key_ppm: u32,
    /// Of accounts.
    pub unknown_bank_ppm: u32,
    /// Households that share one account among 3 to 10.
    pub shared_account_ppm: u32,
    /// Households that share one phone among 4 to 20.
    pub shared_phone_ppm: u32,
    /// Households that list people of another one, each until it is put right within eight months.
    pub split_household_ppm: u32,
    /// Households whose payee has another's names, spelled differently.
    pub near_duplicate_name_ppm: u32,
    pub bad_check_digit_ppm: u32,
    /// Households with a member whose date of birth is none.
    pub bad_date_ppm: u32,
    pub missing_field_ppm: u32,
    pub unknown_means_ppm: u32,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            score_above_ppm: 8_000,
            head_abroad_ppm: 1_000,
            excluded_ppm: 10_000,
            payee_deceased_ppm: 2_000,
            severe_disability_ppm: 9_000,
            in_institution_ppm: 1_000,
            level_one_account_ppm: 1_000,
            wrong_rib_key_ppm: 2_000,
            unknown_bank_ppm: 500,
            shared_account_ppm: 500,
            shared_phone_ppm: 1_000,
            split_household_ppm: 500,
            near_duplicate_name_ppm: 500,
            bad_check_digit_ppm: 200,
            bad_date_ppm: 200,
            missing_field_ppm: 100,
            unknown_means_ppm: 100,
        }
    }
}

/// What to generate.
#[derive(Clone, Debug)]
pub struct GenerateOptions {
    /// Household rows, at most [`HOUSEHOLDS_MAX`] (more are cut).
    pub households: u64,
    /// The month.
    pub period: Period,
    /// The programme.
    pub programme: Code,
    /// Which synthetic registry.
    pub seed: u64,
    /// Folder to write into; made where it is not there.
    pub dir: PathBuf,
    /// Form of the parts.
    pub compression: Compression,
    /// What changes from month to month.
    pub churn: Churn,
    /// What is unusual.
    pub rates: Rates,
}

impl GenerateOptions {
    /// Plain CSV with the usual churn and rates.
    pub fn new(households: u64, period: Period, programme: Code, seed: u64, dir: PathBuf) -> Self {
        let (churn, rates) = (Churn::default(), Rates::default());
        Self { households, period, programme, seed, dir, compression: Compression::Plain, churn, rates }
    }
}

/// Writes a snapshot, its manifest last; `progress` is told how many households more were written,
/// every 10,000 and at the end.
///
/// # Errors
/// The folder or a file cannot be written.
pub fn generate(options: &GenerateOptions, mut progress: impl FnMut(u64)) -> Result<Manifest, SnapshotError> {
    std::fs::create_dir_all(&options.dir).map_err(|e| Fault::Write(e).whole())?;
    let mut households = PartWriter::create(options, Kind::Households)?;
    let mut members = PartWriter::create(options, Kind::Members)?;
    let mut claims = PartWriter::create(options, Kind::Claims)?;
    let mut deposits = PartWriter::create(options, Kind::Deposits)?;
    let mut totals = Tally::default();
    let count = options.households.min(HOUSEHOLDS_MAX);
    for slot in 0..count {
        let dwelling = dwelling(slot, options);
        let faults = Faults::draw(&dwelling, &options.rates);
        totals.add(&dwelling, &faults);
        households.row(|text| write_household(text, &dwelling, &faults))?;
        write_members(&mut members, &dwelling, &faults)?;
        children::write_claims(&mut claims, &dwelling, options)?;
        if (slot + 1) % 10_000 == 0 {
            progress(10_000);
        }
    }
    children::write_children_in_care(&mut deposits, options)?;
    let parts = vec![households.finish()?, members.finish()?, claims.finish()?, deposits.finish()?];
    progress(count % 10_000);
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        programme: options.programme.clone(),
        period: options.period,
        source: format!("synthetic registry, seed {}", options.seed),
        // No clock: the same options give the same manifest.
        created_at: options.period.first_day().midnight().assume_utc(),
        control_totals: Some(totals.finish([parts[0].rows, parts[1].rows, parts[2].rows, parts[3].rows])),
        parts,
    };
    manifest.store(&options.dir)?;
    Ok(manifest)
}

/// The same with its progress on the terminal.
///
/// # Errors
/// The folder or a file cannot be written.
pub fn generate_with_progress(
    options: &GenerateOptions,
    telemetry: &Telemetry,
) -> Result<Manifest, SnapshotError> {
    let stage = telemetry.stage("generate", "households", Some(options.households));
    generate(options, |households| stage.add(households))
}

/// Faults of the export in one household's rows; of this month's only, so that they are mended in the next.
struct Faults {
    check_digit: bool,
    date: bool,
    missing: bool,
    means: bool,
}

impl Faults {
    fn draw(dwelling: &Dwelling, rates: &Rates) -> Self {
        let mut draw = Draw::new(dwelling.fault_key);
        Self {
            check_digit: draw.chance(rates.bad_check_digit_ppm),
            date: draw.chance(rates.bad_date_ppm),
            missing: draw.chance(rates.missing_field_ppm),
            means: draw.chance(rates.unknown_means_ppm),
        }
    }
}

/// Control totals over the rows as written.
#[derive(Default)]
struct Tally {
    score: i128,
    deceased: u64,
    by_means: BTreeMap<Means, u64>,
}

impl Tally {
    fn add(&mut self, dwelling: &Dwelling, faults: &Faults) {
        if !faults.missing {
            self.score += i128::from(dwelling.score);
        }
        self.deceased += u64::from(dwelling.deceased);
        if !faults.means {
            *self.by_means.entry(dwelling.account.means).or_default() += 1;
        }
    }

    fn finish(self, [households, members, claims, deposits]: [u64; 4]) -> ControlTotals {
        ControlTotals {
            households: Some(households),
            members: Some(members),
            claims: Some(claims),
            deposits: Some(deposits),
            deceased_payees: Some(self.deceased),
            rsu_score_sum: Some(Decimal::from_i128_with_scale(self.score, 6)),
            by_means: Some(self.by_means),
        }
    }
}

// No word of the lists holds a comma, a quotation mark or a line end, so nothing needs quoting.

fn write_household(text: &mut String, d: &Dwelling, faults: &Faults) {
    let [region, province, commune] = d.place;
    let head = d.head_idcs.reveal();
    // Another last digit can never be the right check digit.
    let payee =
        if faults.check_digit { other_last_digit(d.payee_idcs.reveal()) } else { d.payee_idcs.reveal() };
    let means = if faults.means { "cheque" } else { d.account.means.as_str() };
    let _ = write!(text, "{},{region},{province},{commune},", d.id);
    if !faults.missing {
        let _ = write!(text, "{}.{:06}", d.score / 1_000_000, d.score % 1_000_000);
    }
    let _ = write!(text, ",{head},{},{},{payee},{},{},", d.head_resident, d.excluded_by, d.name, d.name_ar);
    let _ = write!(text, "{},{},{},+212{},{means},", d.cin, d.relation, d.deceased, d.phone);
    let _ = writeln!(text, "{},{},{}", d.account.number, d.account.provider, d.account.level);
}

fn write_members(members: &mut PartWriter, d: &Dwelling, faults: &Faults) -> Result<(), SnapshotError> {
    d.members.iter().enumerate().try_for_each(|(i, m)| {
        members.row(|text| {
            let (year, month, day) = m.birth_date.to_calendar_date();
            let month = if faults.date && i == 0 { 13 } else { u8::from(month) };
            let sex = if m.female { "F" } else { "M" };
            let _ = write!(text, "{},{},{year:04}-{month:02}-{day:02},{sex},", d.id, m.idcs.reveal());
            let _ = write!(text, "{},{},{},", m.in_school, m.school_cycle, m.school_sector);
            let _ = write!(text, "{},{},{},", m.father_orphan, m.severe_disability, m.in_institution);
            if let Some(died) = m.deceased_on {
                let _ = write!(text, "{:04}-{:02}-{:02}", died.year(), u8::from(died.month()), died.day());
            }
            text.push('\n');
        })
    })
}

const fn other_last_digit(number: u64) -> u64 {
    number - number % 10 + (number % 10 + 1) % 10
}
