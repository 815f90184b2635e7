//! Finds what the batches and transactions of an entry are about, and what that comes to.

use std::collections::HashMap;

use super::apply::Applier;
use super::entry::{BatchPart, DetailPart, EntryPiece};
use super::figures::file_bookings;
use super::matching::{Facts, FilePlace, FileTarget, Place};
use crate::domain::money::Centimes;
use crate::domain::recovery::reference::CaseReference;
use crate::domain::references::{Named, Uetr};
use crate::domain::statement::allocation::{Part, Target};
use crate::store::StoreError;

/// What a transaction is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Subject {
    /// An order of ours.
    Order(Place),
    /// A file of ours, or a settlement.
    File(FileTarget),
    /// A recovery case.
    Case(CaseReference),
    /// Nothing of ours.
    Nothing,
    /// Its names disagree.
    Disagree,
    /// It cannot be read.
    Faulty,
}

/// What the parts of an entry are about.
pub(super) struct Subjects {
    pub batches: Vec<Named<FileTarget>>,
    pub details: Vec<Subject>,
}

impl Applier<'_> {
    /// Finds orders that are named by their UETR alone: in the file that the entry or transaction names, else by their
    /// amount.
    pub(super) async fn name_by_uetr(
        &mut self,
        pieces: &mut [EntryPiece],
        facts: &Facts,
    ) -> Result<bool, StoreError> {
        let mut found = false;
        let mut wanted: HashMap<Uetr, Centimes> = HashMap::new();
        for piece in pieces.iter_mut() {
            let of_entry = self.file_of_batches(&piece.batches);
            let only = (piece.details.len() == 1).then_some(piece.amount);
            for detail in &mut piece.details {
                let names = &detail.line.names;
                let Some(uetr) = names.uetr() else { continue };
                if self.order_named(names, facts) != Named::Nothing {
                    continue;
                }
                let file = match self.met.file_names.file(names) {
                    Named::One(file) => Some(file),
                    _ => of_entry,
                };
                let of_file = match file {
                    Some(file) => self.of_uetr(file, uetr).await?,
                    None => None,
                };
                match of_file {
                    Some(reference) => {
                        detail.line.names.add(reference);
                        found = true;
                    }
                    None => wanted.extend(detail.line.amount.or(only).map(|amount| (uetr, amount))),
                }
            }
        }
        let by_amount = self.by_uetr_and_amount(&wanted).await?;
        for detail in pieces.iter_mut().flat_map(|piece| &mut piece.details) {
            if let Some(reference) = detail.line.names.uetr().and_then(|uetr| by_amount.get(&uetr)) {
                detail.line.names.add(*reference);
            }
        }
        Ok(found || !by_amount.is_empty())
    }

    /// The one file of ours that an entry's batches name.
    pub(super) fn file_of_batches(&self, batches: &[BatchPart]) -> Option<FilePlace> {
        let named = |batch: &BatchPart| match self.met.file_names.file(&batch.names) {
            Named::One(place) => Some(place),
            _ => None,
        };
        match Named::of(batches.iter().filter_map(named)) {
            Named::One(place) => Some(place),
            _ => None,
        }
    }

    pub(super) fn targets(&self, piece: &EntryPiece, facts: &Facts) -> Subjects {
        let batches = piece.batches.iter().map(|batch| self.met.file_names.named(&batch.names)).collect();
        let one = piece.details.len() == 1;
        let details = piece.details.iter().map(|d| self.target(piece, d, one, facts)).collect();
        Subjects { batches, details }
    }

    fn target(&self, piece: &EntryPiece, detail: &DetailPart, one: bool, facts: &Facts) -> Subject {
        if detail.fault.is_some() {
            return Subject::Faulty;
        }
        let names = &detail.line.names;
        let file = self.met.file_names.named(names);
        match (self.order_named(names, facts), file) {
            (Named::Disagree, _) | (_, Named::Disagree) => return Subject::Disagree,
            (Named::One(place), Named::One(FileTarget::Batch(file))) => {
                let of_order = self.batch_at(&facts[&place.0][place.1]);
                return if of_order == Some(file) { Subject::Order(place) } else { Subject::Disagree };
            }
            (Named::One(place), _) => return Subject::Order(place),
            _ => {}
        }
        if let Some(case) = detail.case.or(piece.case.filter(|_| one)).filter(|_| piece.credit) {
            return Subject::Case(case);
        }
        match file {
            // What came back is some order's, though not one that is known.
            Named::One(FileTarget::Batch(_)) if piece.credit && names.orders().next().is_some() => {
                Subject::Nothing
            }
            Named::One(file @ FileTarget::Batch(_)) => Subject::File(file),
            // A settlement is debited by the entry's one name for it.
            Named::One(file) if one && !piece.credit && piece.batches.is_empty() => Subject::File(file),
            _ => Subject::Nothing,
        }
    }

    /// What a file or settlement comes to, as far as it is due.
    fn due_for(&self, target: FileTarget) -> Option<Centimes> {
        match target {
            FileTarget::Batch((run, at)) => {
                Some(file_bookings(&self.met.runs[&run].batches[at]).left()).filter(|left| !left.is_zero())
            }
            FileTarget::Settlement(at) => self.met.file_names.settlements[at].1,
        }
    }

    pub(super) fn parts(
        &self,
        piece: &EntryPiece,
        targets: &Subjects,
        facts: &Facts,
    ) -> (Vec<Part>, Vec<Part>) {
        let batch = |(part, target): (&BatchPart, &Named<FileTarget>)| {
            let (target, own) = match target {
                Named::One(file) => (Target::File, self.due_for(*file)),
                _ => (Target::Nothing, None),
            };
            Part { target, amount: part.amount, side: part.side, own }
        };
        let detail = |(part, target): (&DetailPart, &Subject)| {
            let (target, own) = match target {
                Subject::Order((run, at)) => (Target::Order, Some(facts[run][*at].amount)),
                Subject::File(file) => (Target::File, self.due_for(*file)),
                Subject::Case(_) => (Target::Case, None),
                Subject::Nothing | Subject::Disagree => (Target::Nothing, None),
                Subject::Faulty => (Target::Faulty, None),
            };
            Part { target, amount: part.line.amount, side: part.side, own }
        };
        (
            piece.batches.iter().zip(&targets.batches).map(batch).collect(),
            piece.details.iter().zip(&targets.details).map(detail).collect(),
        )
    }
}
