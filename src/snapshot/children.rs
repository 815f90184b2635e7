//! The parts of a snapshot that name children one by one: `claims` of birth grants and `deposits` for children in care.
//!
//! Input: the folder and its manifest. Output: each row, or its rejection, handed to a [`ChildSink`] in the order of the files.
//! Guarantee: when [`read_children`] returns, hashes, row counts and control totals of these parts were verified; before, nothing
//! may be relied on. Limit: memory for one block of text. Deliberately absent: what other rows say (an unknown household, a child
//! named twice), which whoever stores the rows finds in sets.

use std::path::Path;

use super::error::{Fault, SnapshotError};
use super::manifest::{Kind, MANIFEST_FILE, Manifest};
use super::part::{Columns, Cursor, RowSink, read_part};
use super::reader::{KindTotals, ReadOptions};
use super::rejection::{RejectReason, Rejection, mask};
use super::row::{self, Refusal, RowRules};
use crate::domain::child::{BirthClaim, ChildInCare};
use crate::domain::household::Place;
use crate::domain::ids::HouseholdId;

/// Takes rows about children.
pub trait ChildSink {
    /// Takes a claim.
    ///
    /// # Errors
    /// When it cannot be kept, which ends the reading.
    fn claim(&mut self, claim: BirthClaim) -> Result<(), Fault>;
    /// Takes a child in care; its place is still to be numbered.
    ///
    /// # Errors
    /// When it cannot be kept, which ends the reading.
    fn in_care(&mut self, child: ChildInCare, place: Place) -> Result<(), Fault>;
    /// Takes a row that cannot be taken.
    ///
    /// # Errors
    /// When it cannot be kept, which ends the reading.
    fn rejected(&mut self, rejection: Rejection) -> Result<(), Fault>;
}

/// What the parts came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChildTotals {
    /// Claims of birth grants.
    pub claims: KindTotals,
    /// Children in care.
    pub deposits: KindTotals,
    /// What the operator should know.
    pub warnings: Vec<String>,
}

/// Reads the parts of both kinds; a snapshot may have none.
///
/// # Errors
/// Any fault of a part. What the sink got must then be dropped.
pub fn read_children(
    dir: &Path,
    manifest: &Manifest,
    options: &ReadOptions,
    sink: &mut dyn ChildSink,
) -> Result<ChildTotals, SnapshotError> {
    let rules = RowRules { check_digit: options.check_digit, period_end: manifest.period.last_day() };
    let mut totals = ChildTotals::default();
    for kind in [Kind::Claims, Kind::Deposits] {
        let mut rows = Rows { kind, rules, previous: None, rejected: 0, sink: &mut *sink };
        let (mut cursor, columns) = (Cursor::default(), Columns::of(kind, &options.attributes));
        for part in manifest.parts.iter().filter(|part| part.kind == kind) {
            read_part(dir, part, &columns, &options.limits, &mut cursor, &mut rows)?;
        }
        let of_kind = KindTotals { rows: cursor.row, rejected: rows.rejected, bytes: cursor.bytes };
        let (slot, declared) = match (kind, &manifest.control_totals) {
            (Kind::Claims, control) => (&mut totals.claims, control.as_ref().and_then(|c| c.claims)),
            (_, control) => (&mut totals.deposits, control.as_ref().and_then(|c| c.deposits)),
        };
        if let Some(declared) = declared.filter(|declared| *declared != of_kind.rows) {
            let (declared, found) = (declared.to_string().into(), of_kind.rows.to_string().into());
            return Err(
                Fault::ControlTotal { name: kind.as_str(), declared, found }.of_part(MANIFEST_FILE, None)
            );
        }
        *slot = of_kind;
        totals.warnings.append(&mut cursor.warnings);
    }
    Ok(totals)
}

struct Rows<'s> {
    kind: Kind,
    rules: RowRules,
    previous: Option<HouseholdId>,
    rejected: u64,
    sink: &'s mut dyn ChildSink,
}

impl Rows<'_> {
    fn reject(&mut self, row: u32, id: Option<HouseholdId>, refusal: &Refusal<'_>) -> Result<(), Fault> {
        self.rejected += 1;
        let (field, value_masked, reason) = (refusal.field.clone(), mask(refusal.value), refusal.reason);
        self.sink.rejected(Rejection { kind: self.kind, row, household: id, field, value_masked, reason })
    }
}

impl RowSink for Rows<'_> {
    fn row(&mut self, row: u32, fields: &[&str]) -> Result<(), Fault> {
        let id_column = self.kind.columns()[0];
        let id = match row::row_id(id_column, fields[0]) {
            Ok(id) => id,
            Err(refusal) => return self.reject(row, None, &refusal),
        };
        let before = self.previous.replace(id);
        if let Some(before) = before.filter(|before| id < *before) {
            return Err(Fault::Unsorted { household: id.as_str().into(), before: before.as_str().into() });
        }
        if self.kind == Kind::Claims {
            return match row::claim(fields, row, id, &self.rules) {
                Ok(claim) => self.sink.claim(claim),
                Err(refusal) => self.reject(row, Some(id), &refusal),
            };
        }
        if before == Some(id) {
            let reason = RejectReason::DuplicateDeposit;
            return self.reject(
                row,
                Some(id),
                &Refusal { field: id_column.into(), value: fields[0], reason },
            );
        }
        match row::in_care(fields, row, id, &self.rules) {
            Ok((child, place)) => self.sink.in_care(child, place),
            Err(refusal) => self.reject(row, Some(id), &refusal),
        }
    }
}
