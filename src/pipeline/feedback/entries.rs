//! Applies the entries of a statement, notification or report: each is shared out among what it names
//! ([`crate::domain::statement`]), and what nothing explains stands in suspense under a break.
//!
//! Guarantee: the bank account moves once for each booked entry of a statement, by the entry's own amount and side. It is proven
//! entry by entry while the message is applied: one that does not add up refuses the message.

use std::collections::HashMap;

use super::apply::Applier;
use super::entry::{BatchPart, DetailPart, EntryPiece};
use super::lines::current;
use super::matching::{Facts, FilePlace, FileTarget, Place};
use super::parse::Cash;
use super::repayments::Repayment;
use crate::domain::breaks::BreakSource;
use crate::domain::money::Centimes;
use crate::domain::order::{OrderEvent, OrderState};
use crate::domain::reason::BreakKind;
use crate::domain::recovery::reference::CaseReference;
use crate::domain::references::{Named, Uetr};
use crate::domain::statement::allocation::{Allocation, Part, Side, Signed, Target, allocate};
use crate::domain::statement::booking::{FileBookings, Meaning};
use crate::store::StoreError;
use crate::store::batches::Batch;
use crate::store::feedback::OrderFacts;

/// Transactions of one entry that name nothing of ours and get a break each; more of them get one together.
const STRANGERS_MAX: usize = 10;

/// What a transaction is about.
#[derive(Clone, Copy, Debug)]
enum Subject {
    Order(Place),
    File(FileTarget),
    Case(CaseReference),
    Nothing,
    Disagree,
    Faulty,
}

/// What the parts of an entry name.
struct Targets {
    batches: Vec<Named<FileTarget>>,
    details: Vec<Subject>,
}

/// An entry that comes in pieces.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OpenEntry {
    /// What of it no piece has carried yet.
    left: i128,
    /// It is for the file that it names: its transactions only list the orders.
    file: Option<FilePlace>,
}

/// What is known of the bookings for a file.
pub(super) fn file_bookings(batch: &Batch) -> FileBookings {
    FileBookings {
        state: batch.state,
        amount: batch.amount,
        rejected: Centimes::new(batch.figures.rejected_amount),
        debited: Centimes::new(batch.figures.debited_amount),
    }
}

const fn cash_of(carried: Signed) -> Cash {
    Cash { amount: carried.amount(), credit: matches!(carried.side(), Side::Credit) }
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
            let before = self.moves.bank;
            let due =
                if piece.posts { i128::from(Signed::new(piece.amount, piece.entry().side).get()) } else { 0 };
            let mut open = self.open_entry.take().filter(|_| piece.begun);
            if piece.begun || piece.goes_on {
                let entry = open.get_or_insert(OpenEntry { left: due, file: None });
                self.piece(&mut piece, entry, &mut facts).await?;
                entry.left -= self.moves.bank - before;
            } else {
                self.whole_entry(&mut piece, &mut facts).await?;
                open = Some(OpenEntry { left: due - (self.moves.bank - before), file: None });
            }
            if piece.goes_on {
                self.open_entry = open;
            } else if open.is_some_and(|entry| entry.left != 0) {
                return Err(StoreError::Corrupt("allocation of a statement entry"));
            }
        }
        self.send_outcomes().await
    }

    /// Finds orders that are named by their UETR alone: in the file that the entry or transaction names, else by their
    /// amount.
    async fn name_by_uetr(&mut self, pieces: &mut [EntryPiece], facts: &Facts) -> Result<bool, StoreError> {
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
                let file = match self.file_names.file(names) {
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
    fn file_of_batches(&self, batches: &[BatchPart]) -> Option<FilePlace> {
        let named = |batch: &BatchPart| match self.file_names.file(&batch.names) {
            Named::One(place) => Some(place),
            _ => None,
        };
        match Named::of(batches.iter().filter_map(named)) {
            Named::One(place) => Some(place),
            _ => None,
        }
    }

    fn targets(&mut self, piece: &EntryPiece, facts: &Facts) -> Targets {
        let batches = piece.batches.iter().map(|batch| self.file_names.named(&batch.names)).collect();
        let one = piece.details.len() == 1;
        let details = piece.details.iter().map(|d| self.target(piece, d, one, facts)).collect();
        Targets { batches, details }
    }

    fn target(&mut self, piece: &EntryPiece, detail: &DetailPart, one: bool, facts: &Facts) -> Subject {
        if detail.fault.is_some() {
            return Subject::Faulty;
        }
        let names = &detail.line.names;
        let file = self.file_names.named(names);
        match (self.order_named(names, facts), file) {
            (Named::Disagree, _) | (_, Named::Disagree) => return Subject::Disagree,
            (Named::One(place), Named::One(FileTarget::Batch(file))) => {
                let of_order = self.file_of(&facts[&place.0][place.1]);
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
                Some(file_bookings(&self.runs[&run].batches[at]).left()).filter(|left| !left.is_zero())
            }
            FileTarget::Settlement(at) => self.file_names.settlements[at].1,
        }
    }

    fn parts(&self, piece: &EntryPiece, targets: &Targets, facts: &Facts) -> (Vec<Part>, Vec<Part>) {
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
    fn names_nothing(&mut self, piece: &EntryPiece, targets: &Targets) -> bool {
        let named = targets.batches.iter().any(|t| matches!(t, Named::One(_)))
            || !targets.details.iter().all(|t| matches!(t, Subject::Nothing));
        let case = piece.case.filter(|_| piece.credit && !piece.reversal && targets.details.is_empty());
        if named {
            return false;
        }
        let before = self.breaks.len();
        let cash = piece.posts.then(|| piece.cash());
        let given = !piece.details.is_empty() || !piece.batches.is_empty();
        if let Some(case) = case {
            self.repay_case(piece, case, cash);
        } else if given || piece.posts {
            self.counts.entries += 1;
            let detail = match piece.details.len() {
                0 => "entry names no order and no file of ours".to_owned(),
                1 => "the reference names no order of ours at this provider".to_owned(),
                n => format!("none of the entry's {n} transactions names an order of ours"),
            };
            self.suspend(cash, BreakKind::UnknownReference, piece.number, None, Some(piece.amount), detail);
        } else {
            self.counts.entries += 1;
            self.counts.noted += 1;
        }
        let first = piece.details.first().map(|d| (&*d.given, &*d.text));
        let of_batch = piece.batches.first().map(|b| (&*b.given, ""));
        self.explain_breaks(before, piece, first.or(of_batch).unwrap_or_default());
        true
    }

    async fn apply(
        &mut self,
        piece: &mut EntryPiece,
        targets: &Targets,
        allocation: &Allocation,
        facts: &mut Facts,
    ) -> Result<(), StoreError> {
        let mut debited = None;
        for at in 0..piece.batches.len() {
            let before = self.breaks.len();
            let named = targets.batches[at];
            match (named, allocation.batches[at]) {
                (Named::One(target), Some(carried)) => {
                    if self.file_part(piece, target, carried).await?
                        && let FileTarget::Batch(place) = target
                    {
                        debited = Some(place);
                    }
                }
                (_, Some(carried)) => self.unknown_part(piece, carried, "the batch is none of ours"),
                (_, None) => {}
            }
            self.explain_breaks(before, piece, (&piece.batches[at].given, ""));
        }
        let together = self.strangers(piece, targets, allocation);
        for at in 0..piece.details.len() {
            if together && matches!(targets.details[at], Subject::Nothing) {
                continue;
            }
            let before = self.breaks.len();
            self.detail(piece, at, targets.details[at], allocation.details[at], debited, facts).await?;
            let (given, text) = (&piece.details[at].given, &piece.details[at].text);
            self.explain_breaks(before, piece, (given, text));
        }
        Ok(())
    }

    /// Opens one break over all transactions that name nothing of ours, where they are many; whether it did.
    fn strangers(&mut self, piece: &EntryPiece, targets: &Targets, allocation: &Allocation) -> bool {
        let of_strangers = || {
            let all = targets.details.iter().zip(&allocation.details);
            all.filter(|(subject, _)| matches!(subject, Subject::Nothing)).map(|(_, carried)| carried)
        };
        let many = of_strangers().count();
        let sum: i128 = of_strangers().flatten().map(|c| i128::from(c.get())).sum();
        let Some(sum) = i64::try_from(sum).ok().filter(|_| many > STRANGERS_MAX) else { return false };
        let before = self.breaks.len();
        self.counts.entries += 1;
        let cash = Cash { amount: Centimes::new(sum.abs()), credit: sum > 0 };
        let detail = format!("{many} of the entry's transactions name no order of ours");
        let money = piece.posts.then_some(cash);
        let amount = Some(cash.amount);
        self.suspend(money, BreakKind::UnknownReference, piece.number, None, amount, detail);
        self.explain_breaks(before, piece, (&all_given(piece), ""));
        true
    }

    async fn detail(
        &mut self,
        piece: &mut EntryPiece,
        at: usize,
        target: Subject,
        carried: Option<Signed>,
        debited: Option<FilePlace>,
        facts: &mut Facts,
    ) -> Result<(), StoreError> {
        match (target, carried) {
            (Subject::Order(place), _) => self.order_part(piece, at, place, carried, debited, facts),
            (Subject::File(file), Some(carried)) => {
                self.file_part(piece, file, carried).await?;
            }
            (Subject::Case(case), Some(carried)) if carried.side() == Side::Credit && !piece.reversal => {
                self.repay_case(piece, case, piece.posts.then(|| cash_of(carried)));
            }
            (Subject::Disagree, carried) => {
                let carried = carried.unwrap_or(Signed::ZERO);
                self.unknown_part(
                    piece,
                    carried,
                    "its references are mistyped, or name different orders or files of ours",
                );
            }
            (Subject::Nothing | Subject::Case(_), Some(carried)) => {
                self.unknown_part(piece, carried, "the reference names no order of ours at this provider");
            }
            // What could not be read is told of with what is left over.
            (Subject::Faulty, _) => {}
            (Subject::Nothing | Subject::Case(_) | Subject::File(_), None) => {
                self.counts.entries += 1;
                self.counts.noted += 1;
            }
        }
        Ok(())
    }

    fn order_part(
        &mut self,
        piece: &mut EntryPiece,
        at: usize,
        place: Place,
        carried: Option<Signed>,
        debited: Option<FilePlace>,
        facts: &mut Facts,
    ) {
        self.counts.entries += 1;
        let detail = &mut piece.details[at];
        let mut line = std::mem::take(&mut detail.line);
        let side = carried.filter(|c| !c.is_zero()).map_or(Side::of(piece.credit), Signed::side);
        let meaning = Meaning::of(side, piece.reversal, detail.returned);
        if carried.is_none() && piece.posts {
            let known = facts[&place.0][place.1];
            let of_file = self.file_of(&known);
            if debited.is_none() || of_file != debited {
                return self.share_unknown(piece.number, meaning, &known, of_file);
            }
        }
        line.cash = carried.filter(|_| piece.posts).map(cash_of);
        line.amount = carried.map(Signed::amount).or(line.amount);
        if piece.booked {
            line.event =
                Some(if meaning == Meaning::Debit { OrderEvent::Settle } else { OrderEvent::Return });
            line.undoes = Some(meaning).filter(|meaning| meaning.undoes());
        }
        self.line(&line, Named::One(place), facts);
    }

    /// Takes an order that an entry names without saying how much of it is the order's: it moves nothing. Where the order ended
    /// unpaid and the entry may mean that it is paid, a person decides before its claim is paid again.
    fn share_unknown(&mut self, entry: u64, meaning: Meaning, facts: &OrderFacts, file: Option<FilePlace>) {
        use OrderState::{Expired, Reissued, Rejected, Returned};
        let run = facts.order.run();
        let batch = file.and_then(|(run, at)| self.runs.get(&run)?.batches.get(at));
        let state = batch.map(|batch| current(batch, facts));
        let went_out = matches!(meaning, Meaning::Debit | Meaning::ReturnUndone);
        match state {
            Some(state @ (Returned | Rejected | Expired | Reissued)) if went_out => {
                self.contradicted.extend(facts.reissued_as);
                let detail =
                    format!("named by a debit of which its share cannot be told; the order is {state}");
                let about = Some((run, Some(facts.order)));
                self.open_break(BreakKind::StatusConflict, entry, about, None, detail);
            }
            _ => self.counts.noted += 1,
        }
    }

    /// Takes a part of an entry for a file or settlement; whether any of it was debited for it.
    async fn file_part(
        &mut self,
        piece: &EntryPiece,
        target: FileTarget,
        carried: Signed,
    ) -> Result<bool, StoreError> {
        if !piece.posts {
            self.counts.entries += 1;
            self.counts.noted += 1;
            return Ok(false);
        }
        match target {
            FileTarget::Batch(place) => Ok(self.file_booking(piece, place, carried)),
            FileTarget::Settlement(at) => {
                let name = self.file_names.settlements[at].0.clone();
                if carried.side() == Side::Debit && !piece.reversal {
                    self.counts.entries += 1;
                    if self.settlement_debit(piece.number, &name, cash_of(carried)).await? {
                        return Ok(true);
                    }
                    self.counts.entries -= 1;
                }
                self.unknown_part(
                    piece,
                    carried,
                    &format!("a booking for settlement `{name}` that is no debit"),
                );
                Ok(false)
            }
        }
    }

    fn file_booking(&mut self, piece: &EntryPiece, (run, at): FilePlace, carried: Signed) -> bool {
        let batch = &mut self.runs.get_mut(&run).expect("known by its name").batches[at];
        let (id, provider, state) = (batch.id, batch.provider_id, batch.state);
        let cash = cash_of(carried);
        let shares = file_bookings(batch).take(cash.amount, carried.side(), piece.reversal);
        batch.figures.debited_amount += shares.debited.get();
        if !shares.debited.is_zero() {
            self.moves.cash(Some(run), provider, Cash { amount: shares.debited, credit: false });
            self.counts.entries += 1;
            self.counts.applied += 1;
        } else if cash.amount.is_zero() {
            self.counts.entries += 1;
            self.counts.noted += 1;
        }
        let taken_back = if cash.credit { "a debit of it is taken back" } else { "a credit is taken back" };
        let conflict = match (piece.reversal, cash.credit) {
            (true, _) => format!("a reversal that names a file which is {state}: {taken_back}"),
            (false, true) => format!("a credit that names a file which is {state}, and no order"),
            (false, false) => format!("a debit for a file that is {state}"),
        };
        let left_over = [
            (shares.twice, BreakKind::BookedTwice, "what is due for the file was debited before".to_owned()),
            (shares.charges, BreakKind::BankCharges, "taken with the debit of the file".to_owned()),
            (shares.conflict, BreakKind::StatusConflict, conflict),
        ];
        for (amount, kind, detail) in left_over {
            if !amount.is_zero() {
                self.counts.entries += 1;
                let part = Some(Cash { amount, credit: cash.credit });
                self.suspend(part, kind, piece.number, Some((run, None)), Some(amount), detail);
                if let Some(opened) = self.breaks.last_mut() {
                    opened.batch = Some(id);
                }
            }
        }
        !shares.debited.is_zero()
    }

    fn unknown_part(&mut self, piece: &EntryPiece, carried: Signed, detail: &str) {
        self.counts.entries += 1;
        let cash = piece.posts.then(|| cash_of(carried));
        let amount = Some(carried.amount()).filter(|amount| !amount.is_zero());
        self.suspend(cash, BreakKind::UnknownReference, piece.number, None, amount, detail.to_owned());
    }

    fn repay_case(&mut self, piece: &EntryPiece, case: CaseReference, cash: Option<Cash>) {
        let source = self.source(piece, (&piece.about.entry_reference, ""));
        self.repayment(Repayment { entry: piece.number, case, cash, source: Box::new(source) });
    }

    /// Opens the break over what no part of an entry carries.
    fn rest(&mut self, piece: &EntryPiece, targets: &Targets, allocation: &Allocation) {
        let rest = allocation.rest;
        if rest.is_zero() {
            return self.unread(piece, targets);
        }
        let before = self.breaks.len();
        let carried: i128 = allocation
            .batches
            .iter()
            .chain(&allocation.details)
            .flatten()
            .map(|c| i128::from(c.amount().get()))
            .sum();
        let faults = faults(piece);
        let (kind, detail) = if !faults.is_empty() {
            (BreakKind::FaultyEntry, faults)
        } else if carried == 0 {
            let detail = "what its transactions are for cannot be told from what they state".to_owned();
            (BreakKind::TotalsDiffer, detail)
        } else if rest.side() == Side::Debit && i128::from(rest.amount().get()) < carried {
            (BreakKind::BankCharges, "taken beside what its transactions come to".to_owned())
        } else {
            let detail =
                format!("the entry's transactions come to {} less or more than the entry", rest.amount());
            (BreakKind::TotalsDiffer, detail)
        };
        self.counts.entries += 1;
        let amount = Some(rest.amount());
        self.suspend(Some(cash_of(rest)), kind, piece.number, None, amount, detail);
        self.explain_breaks(before, piece, (&all_given(piece), ""));
    }

    /// Tells of transactions that could not be read, where no money is left over to tell of.
    fn unread(&mut self, piece: &EntryPiece, targets: &Targets) {
        if !targets.details.iter().any(|t| matches!(t, Subject::Faulty)) {
            return;
        }
        let before = self.breaks.len();
        self.counts.entries += 1;
        self.open_break(BreakKind::FaultyEntry, piece.number, None, None, faults(piece));
        self.explain_breaks(before, piece, (&all_given(piece), ""));
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
            let listed = Targets { batches: targets.batches.clone(), details: Vec::new() };
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
        let part = crate::domain::statement::allocation::Entry { amount: sum, ..entry };
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
        targets: &Targets,
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
            let before = self.breaks.len();
            self.counts.entries += 1;
            let cash = Cash { amount: Centimes::new(left.abs()), credit: left > 0 };
            let detail = "not what the entry's transactions come to".to_owned();
            let number = piece.number;
            self.suspend(Some(cash), BreakKind::TotalsDiffer, number, None, Some(cash.amount), detail);
            self.explain_breaks(before, piece, ("", ""));
        }
    }

    /// What a person needs to ask the bank about an entry.
    fn source(&self, piece: &EntryPiece, (given, text): (&str, &str)) -> BreakSource {
        let about = &piece.about;
        let gap = if about.text.is_empty() || text.is_empty() { "" } else { " / " };
        let day = |day: Option<time::Date>| day.map(|day| day.to_string());
        let (account, statement) = self.statement_names();
        BreakSource {
            account,
            statement,
            bank_reference: about.bank_reference.to_string(),
            entry_reference: about.entry_reference.to_string(),
            references: given.to_owned(),
            text: format!("{}{gap}{text}", about.text),
            booked_on: day(about.booked_on),
            value_on: day(about.value_on),
        }
    }

    /// Completes the breaks that an entry opened.
    fn explain_breaks(&mut self, from: usize, piece: &EntryPiece, given: (&str, &str)) {
        for at in from..self.breaks.len() {
            self.breaks[at].source = Some(Box::new(self.source(piece, given)));
        }
    }
}

/// What could not be read of an entry's transactions.
fn faults(piece: &EntryPiece) -> String {
    let mut faults = piece.details.iter().filter_map(|d| d.fault.as_deref());
    let Some(first) = faults.next() else { return String::new() };
    match faults.count() {
        0 => format!("a transaction cannot be read: {first}"),
        more => format!("{} transactions cannot be read: {first}, …", more + 1),
    }
}

/// The references of an entry's first transactions.
fn all_given(piece: &EntryPiece) -> String {
    let of_batches = piece.batches.iter().map(|b| &*b.given);
    let given: Vec<&str> = of_batches.chain(piece.details.iter().map(|d| &*d.given)).take(5).collect();
    given.join("; ")
}
