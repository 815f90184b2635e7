//! What a bank bills for a period (camt.086), beside the fees that were agreed.
//!
//! Input: a billing statement. Output: a break `fee_differs` where the charges are not what the orders of the period come to by `fees`.
//! Guarantee: nothing is booked: what the bank takes stands on its account statement. A statement of another account, a test, or one
//! that cannot be read says so. Limit: taxes stated apart are not looked at; a whole period is compared, not each service.

use std::io::BufRead;

use super::apply::Applier;
use super::parse::{Out, Parsed, warnings};
use crate::domain::money::Centimes;
use crate::domain::reason::BreakKind;
use crate::iso20022::camt086::BillingStatement;
use crate::iso20022::camt086::read::{Camt086Item, Camt086Reader};
use crate::iso20022::xml::fault::XmlError;
use crate::store::StoreError;
use crate::store::messages::billing;

/// Reads billing statements to their end.
pub(super) fn parse_camt086<R: BufRead>(
    mut reader: Camt086Reader<R>,
    out: &mut Out<'_>,
) -> Result<(), XmlError> {
    while !out.gone() {
        match reader.next()? {
            Some(Camt086Item::Header(id)) => out.send(Parsed::Header(id.to_owned())),
            Some(Camt086Item::Statement(statement)) => out.send(Parsed::Billing(statement.clone())),
            None => break,
        }
    }
    let warnings = warnings(reader.warnings(), reader.warnings_dropped());
    out.send(Parsed::End { warnings, documents: reader.messages() });
    Ok(())
}

impl Applier<'_> {
    /// Compares what is billed with what was agreed.
    pub(super) async fn bill(&mut self, bill: &BillingStatement) -> Result<(), StoreError> {
        self.know_providers().await?;
        if bill.status == "TEST" {
            self.message
                .warnings
                .push(format!("billing statement `{}` is a test: it is passed over", bill.id));
            return Ok(());
        }
        self.effects.counts.entries += 1;
        let Some((number, provider)) = self.provider_of_account(&bill.account) else {
            let detail = format!("billing statement `{}` is for an account that is not one of ours", bill.id);
            self.open_break(BreakKind::UnknownReference, 0, None, None, detail);
            return Ok(());
        };
        let (fees, provider) = (provider.fees.is_empty(), provider.clone());
        self.provider = Some(number);
        let (Some(from), Some(to), false) = (bill.from, bill.to, bill.unreadable) else {
            let detail =
                format!("billing statement `{}` lacks its period, or a charge cannot be read", bill.id);
            self.open_break(BreakKind::FaultyEntry, 0, None, None, detail);
            return Ok(());
        };
        // What institutions settled bears their fees already; of files, each order's fee is worked out.
        let mut agreed = billing::settled_fees_in_tx(&mut self.tx, number, (from, to)).await?;
        if !fees {
            for (amount, orders) in billing::paid_by_files_in_tx(&mut self.tx, number, (from, to)).await? {
                let of_each = provider.fee(Centimes::new(amount)).get();
                agreed.orders += orders;
                agreed.fees += Centimes::new(of_each * orders);
            }
        }
        if agreed.fees == bill.charged {
            self.effects.counts.applied += 1;
            return Ok(());
        }
        let detail = format!(
            "billing statement `{}` charges {:#} for {from} to {to}; by the fees agreed, {} orders come to {:#}",
            bill.id, bill.charged, agreed.orders, agreed.fees
        );
        let differs = Centimes::new((bill.charged - agreed.fees).get().abs());
        self.open_break(BreakKind::FeeDiffers, 0, None, Some(differs), detail);
        Ok(())
    }
}
