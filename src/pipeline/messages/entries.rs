//! Applies the entries of a statement, notification or report: each is shared out among what it names
//! ([`crate::domain::statement`]), and what nothing explains stands in suspense under a break.
//!
//! Guarantee: the bank account moves once for each booked entry of a statement, by the entry's own amount and side. It is proven
//! entry by entry while the message is applied: one that does not add up refuses the message.

use super::apply::Applier;
use super::entry::EntryPiece;
use super::entry_subjects::{Subject, Subjects};
use super::matching::{Facts, FilePlace};
use super::parse::Cash;
use crate::domain::money::Centimes;
use crate::domain::reason::BreakKind;
use crate::domain::references::Named;
use crate::domain::statement::allocation::{Allocation, Entry, Side, Signed, Target, allocate};
use crate::store::StoreError;

/// An entry that comes in pieces.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OpenEntry {
    /// What of it no piece has carried yet.
    left: i128,
    /// It is for the file that it names: its transactions only list the orders.
    file: Option<FilePlace>,
}

impl Applier<'_> {
    /// Takes entries, in the order of the file.
    pub(super) async fn entries(&mut self, mut pieces: Vec<EntryPiece>) -> Result<(), StoreError> {
        let of_batches = pieces.iter().flat_map(|p| &p.batches).map(|b| &b.names);
        let of_details = pieces.iter().flat_map(|p| &p.details).map(|d| &d.line.names);
        self.look_up_files(of_batches.chain(of_details)).await?;
        let mut facts = self.facts_of(pieces.iter().flat_map(|p| &p.details).map(|d| &d.line.names)).await?;
        if self.name_by_uetr(&mut pieces, &facts).await? {
            facts = self.facts_of(pieces.iter().flat_map(|p| &p.details).map(|d| &d.line.names)).await?;
        }
        for mut piece in pieces {
            let before = self.effects.moves.bank;
            let due =
                if piece.posts { i128::from(Signed::new(piece.amount, piece.entry().side).get()) } else { 0 };
            let mut open = self.statements.entry.take().filter(|_| piece.begun);
            if piece.begun || piece.goes_on {
                let entry = open.get_or_insert(OpenEntry { left: due, file: None });
                self.piece(&mut piece, entry, &mut facts).await?;
                entry.left -= self.effects.moves.bank - before;
            } else {
                self.whole_entry(&mut piece, &mut facts).await?;
                open = Some(OpenEntry { left: due - (self.effects.moves.bank - before), file: None });
            }
            if piece.goes_on {
                self.statements.entry = open;
            } else if open.is_some_and(|entry| entry.left != 0) {
                return Err(StoreError::Corrupt("allocation of a statement entry"));
            }
        }
        self.send_outcomes().await
    }

    async fn whole_entry(&mut self, piece: &mut EntryPiece, facts: &mut Facts) -> Result<(), StoreError> {
        let targets = self.targets(piece, facts);
        if self.names_nothing(piece, &targets) {
            return Ok(());
        }
        let (batches, details) = self.parts(piece, &targets, facts);
        let allocation = allocate(&piece.entry(), &batches, &details);
        self.apply(piece, &targets, &allocation, facts).await?;
        if piece.posts {
            self.rest(piece, &targets, &allocation);
        } else {
            self.unread(piece, &targets);
        }
        Ok(())
    }

    /// Takes an entry that names nothing of ours: one break, however many transactions it has; nothing where it moves nothing
    /// and names nothing at all.
    fn names_nothing(&mut self, piece: &EntryPiece, targets: &Subjects) -> bool {
        let named = targets.batches.iter().any(|t| matches!(t, Named::One(_)))
            || !targets.details.iter().all(|t| matches!(t, Subject::Nothing));
        let case = piece.case.filter(|_| piece.credit && !piece.reversal && targets.details.is_empty());
        if named {
            return false;
        }
        let before = self.effects.breaks.len();
        let cash = piece.posts.then(|| piece.cash());
        let given = !piece.details.is_empty() || !piece.batches.is_empty();
        if let Some(case) = case {
            self.repay_case(piece, case, cash);
        } else if given || piece.posts {
            self.effects.counts.entries += 1;
            let detail = match piece.details.len() {
                0 => "entry names no order and no file of ours".to_owned(),
                1 => "the reference names no order of ours at this provider".to_owned(),
                n => format!("none of the entry's {n} transactions names an order of ours"),
            };
            self.suspend(cash, BreakKind::UnknownReference, piece.number, None, Some(piece.amount), detail);
        } else {
            self.effects.counts.entries += 1;
            self.effects.counts.noted += 1;
        }
        let first = piece.details.first().map(|d| (&*d.given, &*d.text));
        let of_batch = piece.batches.first().map(|b| (&*b.given, ""));
        self.explain_breaks(before, piece, first.or(of_batch).unwrap_or_default());
        true
    }

    /// Takes a piece of an entry that has more transactions than are held at once. What it carries is what its transactions
    /// state; what they leave over shows with the last piece.
    async fn piece(
        &mut self,
        piece: &mut EntryPiece,
        open: &mut OpenEntry,
        facts: &mut Facts,
    ) -> Result<(), StoreError> {
        let targets = self.targets(piece, facts);
        let entry = piece.entry();
        let (batches, details) = self.parts(piece, &targets, facts);
        let plain = entry.side == Side::Debit && !entry.reversal;
        if !piece.begun && plain && batches.iter().any(|part| part.target == Target::File) {
            let allocation = allocate(&entry, &batches, &[]);
            let only = Allocation { details: vec![None; details.len()], ..allocation };
            let none = Allocation { batches: Vec::new(), ..only.clone() };
            open.file = self.file_of_batches(&piece.batches);
            let listed = Subjects { batches: targets.batches.clone(), details: Vec::new() };
            let transactions = std::mem::take(&mut piece.details);
            self.apply(piece, &listed, &only, facts).await?;
            self.rest(piece, &listed, &only);
            piece.details = transactions;
            piece.batches.clear();
            return self.list(piece, &targets, &none, open.file, facts).await;
        }
        let none = Allocation {
            batches: vec![None; batches.len()],
            details: vec![None; details.len()],
            rest: Signed::ZERO,
        };
        if open.file.is_some() {
            return self.list(piece, &targets, &none, open.file, facts).await;
        }
        // As if these were all of an entry of their own sum.
        let stated: i128 =
            details.iter().filter_map(|part| part.amount).map(|amount| i128::from(amount.get())).sum();
        let sum = i64::try_from(stated).map_or(Centimes::ZERO, Centimes::new);
        let part = Entry { amount: sum, ..entry };
        let mut carried = allocate(&part, &[], &details);
        carried.batches = none.batches;
        self.apply(piece, &targets, &carried, facts).await?;
        if !piece.goes_on && piece.posts {
            let moved: i128 = carried.details.iter().flatten().map(|c| i128::from(c.get())).sum();
            self.left_over(piece, open.left - moved);
        }
        Ok(())
    }

    /// Takes the orders that an entry for their whole file lists.
    async fn list(
        &mut self,
        piece: &mut EntryPiece,
        targets: &Subjects,
        none: &Allocation,
        file: Option<FilePlace>,
        facts: &mut Facts,
    ) -> Result<(), StoreError> {
        for at in 0..piece.details.len() {
            self.detail(piece, at, targets.details[at], none.details[at], file, facts).await?;
        }
        Ok(())
    }

    fn left_over(&mut self, piece: &EntryPiece, left: i128) {
        let Ok(left) = i64::try_from(left) else { return };
        if left != 0 {
            let before = self.effects.breaks.len();
            self.effects.counts.entries += 1;
            let cash = Cash { amount: Centimes::new(left.abs()), credit: left > 0 };
            let detail = "not what the entry's transactions come to".to_owned();
            let number = piece.number;
            self.suspend(Some(cash), BreakKind::TotalsDiffer, number, None, Some(cash.amount), detail);
            self.explain_breaks(before, piece, ("", ""));
        }
    }
}
