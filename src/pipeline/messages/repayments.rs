//! Receipts on account statements that name a recovery case: what is owed of them is posted to the case.
//!
//! Guarantee: each receipt stands in suspense first, as the statement books it; what is not owed stays there with a break.

use super::apply::Applier;
use super::parse::Cash;
use crate::domain::breaks::BreakSource;
use crate::domain::ids::MessageId;
use crate::domain::money::Centimes;
use crate::domain::reason::BreakKind;
use crate::domain::recovery::reference::CaseReference;
use crate::pipeline::exceptions::recovery::repaid::{self, Receipt, Taken};
use crate::store::StoreError;
use crate::store::messages::breaks::NewBreak;

/// A credit entry, or a transaction of one, that names a case.
#[derive(Debug)]
pub(super) struct Repayment {
    /// Entry of the message, from 1.
    pub entry: u64,
    /// The case.
    pub case: CaseReference,
    /// What came in; `None` where the message only announces it.
    pub cash: Option<Cash>,
    /// What a person needs to ask the bank about it.
    pub source: Box<BreakSource>,
}

impl Applier<'_> {
    /// Notes a receipt: its money stands in suspense, and is posted on at the end of the message.
    pub(super) fn repayment(&mut self, found: Repayment) {
        let Repayment { entry, case, cash, source } = found;
        self.effects.counts.entries += 1;
        let (Some(cash), Some(provider)) = (cash.filter(|c| !c.amount.is_zero()), self.provider) else {
            self.effects.counts.noted += 1;
            return;
        };
        self.effects.moves.cash(None, provider, cash);
        let (message, entry) = (Some(self.message.id), Some(entry));
        self.effects.receipts.push((Receipt { case, amount: cash.amount, provider, message, entry }, source));
    }

    /// Posts receipts to their cases, once all that the message says of orders is booked.
    pub(super) async fn repay(&mut self) -> Result<(), StoreError> {
        for (receipt, source) in std::mem::take(&mut self.effects.receipts) {
            let taken = repaid::take_in_tx(&mut self.tx, receipt, self.message.at).await?;
            let case = receipt.case;
            let (owed, kind, detail) = match taken {
                Taken::NoCase => {
                    (Centimes::ZERO, BreakKind::UnknownReference, format!("`{case}` names no case of ours"))
                }
                Taken::NotOwed(state) => (
                    Centimes::ZERO,
                    BreakKind::StatusConflict,
                    format!("case `{case}` is {state}: nothing is owed"),
                ),
                Taken::Repaid(owed) => {
                    (owed, BreakKind::AmountDiffers, format!("more than was outstanding in case `{case}`"))
                }
            };
            let rest = receipt.amount - owed;
            if rest.is_zero() {
                self.effects.counts.applied += 1;
                continue;
            }
            if !owed.is_zero() {
                self.effects.counts.applied += 1;
                self.effects.counts.entries += 1;
            }
            self.effects.counts.breaks += 1;
            let mut left = over(receipt, self.message.id, kind, rest, detail);
            left.source = Some(source);
            self.effects.breaks.push(left);
        }
        Ok(())
    }
}

/// The break over what stays in suspense of a receipt.
fn over(receipt: Receipt, message: MessageId, kind: BreakKind, rest: Centimes, detail: String) -> NewBreak {
    let entry = receipt.entry.unwrap_or(0);
    NewBreak {
        kind,
        key: format!("message {message} entry {entry} {kind} {}", receipt.case),
        run: None,
        provider: Some(receipt.provider),
        batch: None,
        order: None,
        message: Some(message),
        entry: receipt.entry,
        amount: Some(rest),
        suspense: Centimes::ZERO - rest,
        detail,
        source: None,
    }
}
