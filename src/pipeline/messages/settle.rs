//! Applies settlement files, and matches them with the debits on account statements, whichever comes first.

use super::apply::Applier;
use super::parse::Cash;
use super::settlement::{Head, Trailer};
use crate::domain::money::Centimes;
use crate::domain::reason::BreakKind;
use crate::store::StoreError;
use crate::store::messages::breaks;
use crate::store::messages::settlements::{self, NewSettlement, Share};
use crate::store::registry::reference;

/// The settlement file under way.
#[derive(Default)]
pub(super) struct SettlementFile {
    pub head: Option<Head>,
    /// It was read before under this reference.
    pub passing_over: bool,
}

/// What is one fact: a debit whose settlement file has not come.
fn waiting_key(provider: i16, reference: &str) -> String {
    format!("provider {provider} settlement {reference}")
}

impl Applier<'_> {
    /// Begins a settlement file; `true` when its lines are to be passed over.
    pub(super) async fn begin_settlement(&mut self, head: &Head) -> Result<bool, StoreError> {
        let code = head.provider.to_string();
        let ids = reference::provider_ids_in_tx(&mut self.tx, std::slice::from_ref(&code)).await?;
        let provider = *ids.get(&code).ok_or(StoreError::Corrupt("provider"))?;
        self.provider = Some(provider);
        self.message.header.clone_from(&head.reference);
        self.lock(provider).await?;
        if let Some(before) = settlements::known_in_tx(&mut self.tx, provider, &head.reference).await? {
            self.effects.counts.entries += 1;
            let (message, file) = before;
            let detail = format!(
                "a settlement of this reference was read before, in message {message} (`{file}`); its lines are passed over"
            );
            self.open_break(BreakKind::StatementRepeated, 0, None, None, detail);
            return Ok(true);
        }
        Ok(false)
    }

    /// Ends a settlement file: its shares are kept, and the debit that waited for it is explained.
    pub(super) async fn end_settlement(
        &mut self,
        head: &Head,
        trailer: Trailer,
        differs: bool,
    ) -> Result<(), StoreError> {
        let Some(provider) = self.provider else { return Ok(()) };
        let shares: Vec<Share> = std::mem::take(&mut self.effects.shares)
            .into_iter()
            .map(|((run, batch), (orders, amount))| Share {
                run,
                batch,
                orders,
                amount: Centimes::new(amount),
            })
            .collect();
        if differs {
            self.effects.counts.entries += 1;
            let detail = "count, sum or fees of the last line are not those of the lines".to_owned();
            self.open_break(BreakKind::TotalsDiffer, 0, None, Some(trailer.amount), detail);
        }
        if self.effects.counts.applied + self.effects.counts.already == 0
            && self.effects.breaks.iter().all(|b| b.order.is_none())
        {
            // None of its lines could be taken: its correction is read under the same reference.
            return Ok(());
        }
        let key = waiting_key(provider, &head.reference);
        let waiting = settlements::take_waiting_debit_in_tx(&mut self.tx, &key, self.message.at).await?;
        let new = NewSettlement {
            message: self.message.id,
            provider,
            reference: &head.reference,
            date: head.date,
            orders: trailer.orders,
            amount: trailer.amount,
            fees: trailer.fees,
            debited: waiting.is_some(),
        };
        settlements::insert_in_tx(&mut self.tx, &new, &shares).await?;
        if let Some(debit) = waiting {
            let mut left = debit;
            for share in &shares {
                self.debit_share(share).await?;
                self.effects.moves.explain(share.run, provider, share.amount);
                left = left - share.amount;
            }
            self.tell_rest(&head.reference, left);
        }
        Ok(())
    }

    /// A debit on a statement that names a settlement: `false` when it names none of this provider's.
    pub(super) async fn settlement_debit(
        &mut self,
        entry: u64,
        reference: &str,
        cash: Cash,
    ) -> Result<bool, StoreError> {
        let Some(provider) = self.provider.filter(|_| !cash.credit) else { return Ok(false) };
        if let Some((_, shares)) = settlements::debit_in_tx(&mut self.tx, provider, reference).await? {
            let mut left = cash.amount;
            for share in &shares {
                self.debit_share(share).await?;
                self.effects.moves.cash(
                    Some(share.run),
                    provider,
                    Cash { amount: share.amount, credit: false },
                );
                left = left - share.amount;
            }
            // What no order explains, either way, stands in suspense.
            let rest = Cash { amount: Centimes::new(left.get().abs()), credit: left.get() < 0 };
            self.effects.moves.cash(None, provider, rest);
            self.effects.counts.applied += 1;
            self.tell_rest(reference, left);
            return Ok(true);
        }
        let known = settlements::known_in_tx(&mut self.tx, provider, reference).await?.is_some();
        if !known && !self.provider_streams() {
            return Ok(false);
        }
        let key = waiting_key(provider, reference);
        let waits = self.effects.breaks.iter().any(|b| b.key == key)
            || breaks::is_known_in_tx(&mut self.tx, &key).await?;
        let amount = Some(cash.amount);
        if known || waits {
            let detail = format!("settlement `{reference}` was debited before");
            self.suspend(Some(cash), BreakKind::BookedTwice, entry, None, amount, detail);
            return Ok(true);
        }
        let detail = format!("debited for `{reference}`, whose settlement file has not come");
        self.suspend(Some(cash), BreakKind::SettlementMissing, entry, None, amount, detail);
        if let Some(opened) = self.effects.breaks.last_mut() {
            opened.key = key;
        }
        Ok(true)
    }

    async fn debit_share(&mut self, share: &Share) -> Result<(), StoreError> {
        self.know_run(share.run).await?;
        let known = self.met.runs.get_mut(&share.run).ok_or(StoreError::Corrupt("run of a settlement"))?;
        if let Some(batch) = known.batches.iter_mut().find(|b| b.id == share.batch) {
            batch.figures.debited_amount += share.amount.get();
        }
        Ok(())
    }

    fn tell_rest(&mut self, reference: &str, left: Centimes) {
        if !left.is_zero() {
            self.effects.counts.entries += 1;
            let detail = format!("the debit of `{reference}` is not what its orders come to");
            // The money stands in suspense already: as part of the debit that waited, or booked there with it.
            self.open_break(BreakKind::AmountDiffers, 0, None, Some(left), detail).suspense = left;
        }
    }

    pub(super) fn provider_streams(&self) -> bool {
        let code = self.provider.and_then(|id| self.provider_code(id));
        code.and_then(|code| self.context.config.router.by_code(&code))
            .is_some_and(|(_, provider)| provider.stream.is_some())
    }
}
