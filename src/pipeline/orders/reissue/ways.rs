//! By which way an order is paid again: as before, to another account or phone, or as cash at a payment point.

use crate::config::Config;
use crate::domain::household::Household;
use crate::domain::name::NOT_PROVIDED;
use crate::domain::person::Phone;
use crate::domain::policy::{Decision, Waits, prescribed_on};
use crate::domain::reason::HoldReason;
use crate::pipeline::orders::judge::fill_payee;
use crate::store::orders::personal::OrderPayee;
use crate::store::orders::unpaid::Unpaid;

/// A way to pay.
#[derive(Clone, Debug)]
pub(super) struct Way {
    /// Index into the router's providers; `None` when none was found.
    pub provider: Option<usize>,
    /// Why it must be held all the same.
    pub hold: Option<HoldReason>,
    /// Who is paid.
    pub payee: OrderPayee,
    /// False where the order goes where the one before went.
    pub another: bool,
}

/// What is done for an unpaid order today: why it is paid again and by which way, or what the policy decides and what it
/// waits for. `before` is where the earlier order went: its provider, as far as that is configured still, and payee.
pub(super) fn decide(
    config: &Config,
    order: &Unpaid,
    before: (Option<usize>, OrderPayee),
    today: time::Date,
) -> Result<(Decision, Way), (Decision, Waits)> {
    let verdict = config.reasons.judge(order.state, order.reason.as_deref(), order.attempt);
    let wait = |waits| Err((verdict.decision, waits));
    let lapses = prescribed_on(order.period, config.settings.reissue.prescription_years);
    if lapses.is_some_and(|day| day <= today) {
        return wait(Waits::Prescribed);
    }
    if !order.booked {
        return wait(Waits::ReturnNotBooked);
    }
    if order.put_forward && verdict.may_be_put_forward() {
        return Ok((Decision::PutForward, as_it_is(config, order, before)));
    }
    if let Some(waits) = verdict.waits {
        return wait(waits);
    }
    let way = match verdict.decision {
        Decision::Retry => Ok(as_it_is(config, order, before)),
        Decision::AskAccount => other_account(config, order, &before).ok_or(Waits::SameAccount),
        Decision::ChangeLane => cash(config, order, &before),
        Decision::Case => Err(Waits::Case),
        Decision::Never => Err(Waits::SecondDelivery),
        Decision::Repair | Decision::PutForward => Err(Waits::Repair),
    };
    way.map(|way| (verdict.decision, way)).map_err(|waits| (verdict.decision, waits))
}

/// As before; to where the payee is paid by now, if the registry has told of another account or phone since.
fn as_it_is(config: &Config, order: &Unpaid, before: (Option<usize>, OrderPayee)) -> Way {
    if let Some(way) = other_account(config, order, &before) {
        return way;
    }
    let (provider, mut payee) = before;
    let hold = provider.is_none().then_some(HoldReason::NoProvider);
    if payee.name == NOT_PROVIDED
        && let Some(household) = &order.listed
    {
        payee.name = payee_of(config, household, provider).name;
    }
    Way { provider, hold, payee, another: false }
}

/// The account or phone of the latest list, where it is another one.
fn other_account(config: &Config, order: &Unpaid, before: &(Option<usize>, OrderPayee)) -> Option<Way> {
    let household = order.listed.as_ref()?;
    let route = config.router.route(household, order.amount);
    let payee = payee_of(config, household, route.provider);
    if (&payee.account, payee.phone) == (&before.1.account, before.1.phone) {
        return None;
    }
    Some(Way { provider: route.provider, hold: route.hold, payee, another: true })
}

/// Cash at the configured payment point.
fn cash(config: &Config, order: &Unpaid, before: &(Option<usize>, OrderPayee)) -> Result<Way, Waits> {
    let code = config.settings.reissue.cash_provider.as_ref();
    let (index, provider) = code.and_then(|c| config.router.by_code(c.as_str())).ok_or(Waits::NoOtherLane)?;
    let listed = order.listed.as_ref();
    let phone: Option<Phone> = listed.and_then(|h| h.payee.phone).or(before.1.phone);
    let phone = phone.ok_or(Waits::NoPhone)?;
    if (before.0, before.1.phone) == (Some(index), Some(phone)) {
        return Err(Waits::NoOtherLane);
    }
    let name = listed.map_or_else(|| before.1.name.clone(), |h| payee_of(config, h, Some(index)).name);
    let over = provider.ceiling(None).is_some_and(|ceiling| order.amount > ceiling);
    Ok(Way {
        provider: Some(index),
        hold: over.then_some(HoldReason::OverCeiling),
        payee: OrderPayee { name, account: String::new(), phone: Some(phone) },
        another: true,
    })
}

/// What a provider is told of the household's payee; whether there is a name is seen by it.
fn payee_of(config: &Config, household: &Household, provider: Option<usize>) -> OrderPayee {
    let mut payee = OrderPayee { name: String::new(), account: String::new(), phone: None };
    let provider = provider.map(|index| &config.router.providers()[index]);
    let _seen_by_the_name = fill_payee(household, provider, &mut payee);
    payee
}
