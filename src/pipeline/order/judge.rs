//! What makes an order out of a household and an amount: who pays it, whether it is held, what its provider is told of the
//! payee. The month's run and off-cycle orders are judged alike.

use crate::config::Holds;
use crate::domain::household::{Household, Means};
use crate::domain::money::Centimes;
use crate::domain::provider::Router;
use crate::domain::reason::HoldReason;
use crate::domain::rib::Rib;
use crate::iso20022::text;
use crate::store::personal::OrderPayee;

/// Creditor names are cut to this: 70 characters is what banks take.
const NAME_LEN_MAX: usize = 70;

/// The reason to hold for a thing that a household shares with so many, if there are too many.
pub(in crate::pipeline) fn shared_reason(limits: &Holds, kind: &str, households: u32) -> Option<HoldReason> {
    let (max, reason) = match kind {
        "account" => (limits.account_households_max, HoldReason::SharedAccount),
        "phone" => (limits.phone_households_max, HoldReason::SharedPhone),
        _ => (limits.person_households_max, HoldReason::SharedPerson),
    };
    (households > max).then_some(reason)
}

/// Finds who pays the household (index of the provider) and adds to the reasons why its order is held; each stands there
/// once, in order.
pub(in crate::pipeline) fn judge(
    router: &Router,
    household: &Household,
    amount: Centimes,
    reasons: &mut Vec<HoldReason>,
) -> Option<usize> {
    let route = router.route(household, amount);
    reasons.extend(route.hold);
    if household.payee.deceased {
        reasons.push(HoldReason::PayeeDeceased);
    }
    if household.members_rejected > 0 {
        reasons.push(HoldReason::MemberRejected);
    }
    reasons.sort_unstable();
    reasons.dedup();
    route.provider
}

/// Only what the payment needs: the name, and the account or the phone. Keeps the buffers of `out`.
pub(in crate::pipeline) fn fill_payee(household: &Household, out: &mut OrderPayee) {
    let payee = &household.payee;
    let name = if payee.name.is_empty() { &payee.name_ar } else { &payee.name };
    out.name.clear();
    text::fold_into(name, NAME_LEN_MAX, &mut out.name);
    out.account.clear();
    let by_account = matches!(household.means, Means::BankAccount | Means::PaymentAccount);
    if by_account {
        match Rib::parse(&payee.account) {
            Ok(rib) => out.account.push_str(rib.reveal()),
            Err(_) => out.account.push_str(&payee.account),
        }
    }
    out.phone = payee.phone.filter(|_| !by_account);
}
