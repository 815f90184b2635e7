//! Applies what each part of an entry carries, and opens the breaks over what nothing takes.
//!
//! Guarantee: what a part carries is posted once, to what it is about or to suspense with a break that says how the bank calls the
//! entry.

use super::apply::Applier;
use super::entry::EntryPiece;
use super::entry_subjects::{Subject, Subjects};
use super::figures::file_bookings;
use super::lines::current;
use super::matching::{Facts, FilePlace, FileTarget, Place};
use super::parse::Cash;
use super::repayments::Repayment;
use crate::domain::breaks::BreakSource;
use crate::domain::judging::share_in_question;
use crate::domain::money::Centimes;
use crate::domain::order::OrderEvent;
use crate::domain::reason::BreakKind;
use crate::domain::recovery::reference::CaseReference;
use crate::domain::references::Named;
use crate::domain::statement::allocation::{Allocation, Side, Signed};
use crate::domain::statement::booking::Meaning;
use crate::store::StoreError;
use crate::store::messages::feedback::OrderFacts;

/// Transactions of one entry that name nothing of ours and get a break each; more of them get one together.
const STRANGERS_MAX: usize = 10;

const fn cash_of(carried: Signed) -> Cash {
    Cash { amount: carried.amount(), credit: matches!(carried.side(), Side::Credit) }
}

impl Applier<'_> {
    pub(super) async fn apply(
        &mut self,
        piece: &mut EntryPiece,
        targets: &Subjects,
        allocation: &Allocation,
        facts: &mut Facts,
    ) -> Result<(), StoreError> {
        let mut debited = None;
        for at in 0..piece.batches.len() {
            let before = self.effects.breaks.len();
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
        let together = self.unnamed_together(piece, targets, allocation);
        for at in 0..piece.details.len() {
            if together && matches!(targets.details[at], Subject::Nothing) {
                continue;
            }
            let before = self.effects.breaks.len();
            self.detail(piece, at, targets.details[at], allocation.details[at], debited, facts).await?;
            let (given, text) = (&piece.details[at].given, &piece.details[at].text);
            self.explain_breaks(before, piece, (given, text));
        }
        Ok(())
    }

    /// Opens one break over all transactions that name nothing of ours, where they are many; whether it did.
    fn unnamed_together(&mut self, piece: &EntryPiece, targets: &Subjects, allocation: &Allocation) -> bool {
        let unnamed = || {
            let all = targets.details.iter().zip(&allocation.details);
            all.filter(|(subject, _)| matches!(subject, Subject::Nothing)).map(|(_, carried)| carried)
        };
        let many = unnamed().count();
        let sum: i128 = unnamed().flatten().map(|c| i128::from(c.get())).sum();
        let Some(sum) = i64::try_from(sum).ok().filter(|_| many > STRANGERS_MAX) else { return false };
        let before = self.effects.breaks.len();
        self.effects.counts.entries += 1;
        let cash = Cash { amount: Centimes::new(sum.abs()), credit: sum > 0 };
        let detail = format!("{many} of the entry's transactions name no order of ours");
        let money = piece.posts.then_some(cash);
        let amount = Some(cash.amount);
        self.suspend(money, BreakKind::UnknownReference, piece.number, None, amount, detail);
        self.explain_breaks(before, piece, (&all_given(piece), ""));
        true
    }

    pub(super) async fn detail(
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
                self.effects.counts.entries += 1;
                self.effects.counts.noted += 1;
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
        self.effects.counts.entries += 1;
        let detail = &mut piece.details[at];
        let mut line = std::mem::take(&mut detail.line);
        let side = carried.filter(|c| !c.is_zero()).map_or(Side::of(piece.credit), Signed::side);
        let meaning = Meaning::of(side, piece.reversal, detail.returned);
        if carried.is_none() && piece.posts {
            let known = facts[&place.0][place.1];
            let of_file = self.batch_at(&known);
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
        let run = facts.order.run();
        let batch = file.and_then(|(run, at)| self.met.runs.get(&run)?.batches.get(at));
        match batch.map(|batch| current(batch, facts)) {
            Some(state) if share_in_question(meaning, state) => {
                self.effects.to_hold.extend(facts.reissued_as);
                let detail =
                    format!("named by a debit of which its share cannot be told; the order is {state}");
                let about = Some((run, Some(facts.order)));
                self.open_break(BreakKind::StatusConflict, entry, about, None, detail);
            }
            _ => self.effects.counts.noted += 1,
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
            self.effects.counts.entries += 1;
            self.effects.counts.noted += 1;
            return Ok(false);
        }
        match target {
            FileTarget::Batch(place) => Ok(self.file_booking(piece, place, carried)),
            FileTarget::Settlement(at) => {
                let name = self.met.file_names.settlements[at].0.clone();
                if carried.side() == Side::Debit && !piece.reversal {
                    self.effects.counts.entries += 1;
                    if self.settlement_debit(piece.number, &name, cash_of(carried)).await? {
                        return Ok(true);
                    }
                    self.effects.counts.entries -= 1;
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
        let batch = &mut self.met.runs.get_mut(&run).expect("known by its name").batches[at];
        let (id, provider, state) = (batch.id, batch.provider_id, batch.state);
        let cash = cash_of(carried);
        let shares = file_bookings(batch).take(cash.amount, carried.side(), piece.reversal);
        batch.figures.debited_amount += shares.debited.get();
        if !shares.debited.is_zero() {
            self.effects.moves.cash(Some(run), provider, Cash { amount: shares.debited, credit: false });
            self.effects.counts.entries += 1;
            self.effects.counts.applied += 1;
        } else if cash.amount.is_zero() {
            self.effects.counts.entries += 1;
            self.effects.counts.noted += 1;
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
                self.effects.counts.entries += 1;
                let part = Some(Cash { amount, credit: cash.credit });
                self.suspend(part, kind, piece.number, Some((run, None)), Some(amount), detail);
                if let Some(opened) = self.effects.breaks.last_mut() {
                    opened.batch = Some(id);
                }
            }
        }
        !shares.debited.is_zero()
    }

    fn unknown_part(&mut self, piece: &EntryPiece, carried: Signed, detail: &str) {
        self.effects.counts.entries += 1;
        let cash = piece.posts.then(|| cash_of(carried));
        let amount = Some(carried.amount()).filter(|amount| !amount.is_zero());
        self.suspend(cash, BreakKind::UnknownReference, piece.number, None, amount, detail.to_owned());
    }

    pub(super) fn repay_case(&mut self, piece: &EntryPiece, case: CaseReference, cash: Option<Cash>) {
        let source = self.source(piece, (&piece.about.entry_reference, ""));
        self.repayment(Repayment { entry: piece.number, case, cash, source: Box::new(source) });
    }

    /// Opens the break over what no part of an entry carries.
    pub(super) fn rest(&mut self, piece: &EntryPiece, targets: &Subjects, allocation: &Allocation) {
        let rest = allocation.rest;
        if rest.is_zero() {
            return self.unread(piece, targets);
        }
        let before = self.effects.breaks.len();
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
        self.effects.counts.entries += 1;
        let amount = Some(rest.amount());
        self.suspend(Some(cash_of(rest)), kind, piece.number, None, amount, detail);
        self.explain_breaks(before, piece, (&all_given(piece), ""));
    }

    /// Tells of transactions that could not be read, where no money is left over to tell of.
    pub(super) fn unread(&mut self, piece: &EntryPiece, targets: &Subjects) {
        if !targets.details.iter().any(|t| matches!(t, Subject::Faulty)) {
            return;
        }
        let before = self.effects.breaks.len();
        self.effects.counts.entries += 1;
        self.open_break(BreakKind::FaultyEntry, piece.number, None, None, faults(piece));
        self.explain_breaks(before, piece, (&all_given(piece), ""));
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
    pub(super) fn explain_breaks(&mut self, from: usize, piece: &EntryPiece, given: (&str, &str)) {
        for at in from..self.effects.breaks.len() {
            self.effects.breaks[at].source = Some(Box::new(self.source(piece, given)));
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
