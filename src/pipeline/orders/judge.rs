//! What makes an order out of a household and an amount: who pays it, whether it is held, what its provider is told of the
//! payee. The month's run and off-cycle orders are judged alike.

use crate::config::Holds;
use crate::domain::household::{Household, Means, Shared};
use crate::domain::money::Centimes;
use crate::domain::name::{ArabicNames, creditor_name};
use crate::domain::provider::Provider;
use crate::domain::reason::HoldReason;
use crate::domain::rib::Rib;
use crate::domain::router::Router;
use crate::store::orders::personal::OrderPayee;

/// The reason to hold for a thing that a household shares with so many, if there are too many.
pub(in crate::pipeline) fn shared_reason(limits: &Holds, kind: &str, households: u32) -> Option<HoldReason> {
    let (max, reason) = match Shared::parse(kind)? {
        Shared::Account => (limits.account_households_max, HoldReason::SharedAccount),
        Shared::Phone => (limits.phone_households_max, HoldReason::SharedPhone),
        Shared::Person => (limits.person_households_max, HoldReason::SharedPerson),
        Shared::Payee | Shared::Card => (limits.payee_households_max, HoldReason::SharedPayee),
    };
    (households > max).then_some(reason)
}

/// Finds who pays the household (index of the provider), writes what that provider is told of the payee, and adds to the
/// reasons why the order is held; each stands there once, in order.
pub(in crate::pipeline) fn judge(
    router: &Router,
    household: &Household,
    amount: Centimes,
    reasons: &mut Vec<HoldReason>,
    payee: &mut OrderPayee,
) -> Option<usize> {
    let route = router.route(household, amount);
    reasons.extend(route.hold);
    if household.payee.deceased {
        reasons.push(HoldReason::PayeeDeceased);
    }
    if household.members_rejected > 0 {
        reasons.push(HoldReason::MemberRejected);
    }
    reasons.extend(fill_payee(household, route.provider.map(|index| &router.providers()[index]), payee));
    reasons.sort_unstable();
    reasons.dedup();
    route.provider
}

/// Writes what a provider is told, only what the payment needs: the name, and the account or the phone. Keeps the buffers of
/// `out`. A reason to hold where there is no name.
pub(in crate::pipeline) fn fill_payee(
    household: &Household,
    provider: Option<&Provider>,
    out: &mut OrderPayee,
) -> Option<HoldReason> {
    let named = payee_as_written(household, provider.map_or(ArabicNames::Romanised, |p| p.arabic_names), out);
    (!named).then_some(HoldReason::NameMissing)
}

/// The payee as a provider that writes names in this way is told of it; `false` where there is no name.
pub(in crate::pipeline) fn payee_as_written(
    household: &Household,
    arabic_names: ArabicNames,
    out: &mut OrderPayee,
) -> bool {
    let payee = &household.payee;
    let named = creditor_name(&payee.name, &payee.name_ar, arabic_names, &mut out.name);
    out.account.clear();
    let by_account = matches!(household.means, Means::BankAccount | Means::PaymentAccount);
    if by_account {
        match Rib::parse(&payee.account) {
            Ok(rib) => out.account.push_str(rib.reveal()),
            Err(_) => out.account.push_str(&payee.account),
        }
    }
    out.phone = payee.phone.filter(|_| !by_account);
    named
}
