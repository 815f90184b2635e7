//! What becomes of one event, judged from what was gathered; what earlier events of the call did is seen by later ones.
//!
//! Guarantee: no database, no clock: the same facts and events give the same decisions.

use super::Refused;
use super::gather::{DecisionContext, Known};
use crate::domain::entitlement::{ExclusionReason, Outcome as Entitled};
use crate::domain::event::{Change, Event, NewAccount, StandingApprovalId, Wanted, What};
use crate::domain::household::Household;
use crate::domain::ids::{Code, HouseholdId};
use crate::domain::money::Centimes;
use crate::domain::period::Period;
use crate::domain::reason::HoldReason;
use crate::domain::run::RunState;
use crate::pipeline::orders::judge::{judge, shared_reason};
use crate::store::orders::personal::{self, OrderPayee};

/// Months before the present one that can still be ordered for.
const MONTHS_BACK: i32 = 12;

/// What becomes of an event.
#[derive(Clone, Debug)]
pub(super) enum Decided {
    /// Nothing.
    Refused(Refused),
    /// An order.
    Order(Accepted),
    /// A change to a household of the programme at this place.
    Change(usize),
}

/// An order to be made.
#[derive(Clone, Debug)]
pub(super) struct Accepted {
    pub programme: Code,
    /// Place of the programme in the facts.
    pub place: usize,
    pub approval: StandingApprovalId,
    pub household: HouseholdId,
    pub row: u32,
    pub region: u16,
    pub period: Period,
    pub purpose: i16,
    pub amount: Centimes,
    /// Index of the provider; none was found without.
    pub provider: Option<usize>,
    /// Why it is held; empty where it is not.
    pub reasons: Vec<HoldReason>,
    pub payee: Vec<u8>,
}

impl DecisionContext<'_> {
    /// Decides the next event.
    pub(super) fn decide(&mut self, event: &Event) -> Decided {
        let decided = match &event.what {
            What::Order(wanted) => self.order(event, wanted).map(Decided::Order),
            What::Change(change) => self.change(event, change).map(Decided::Change),
        };
        decided.unwrap_or_else(Decided::Refused)
    }

    fn change(&mut self, event: &Event, change: &Change) -> Result<usize, Refused> {
        let place = self.place_of(&event.programme)?;
        if let Change::Account(NewAccount::Phone { provider, means, .. }) = change
            && !self.config.router.by_code(provider.as_str()).is_some_and(|(_, p)| p.means.contains(means))
        {
            return Err(Refused::new("unknown_provider", "provider: none of this code pays by these means"));
        }
        let known = &mut self.programmes[place];
        if !known.households.contains_key(&event.household) && !known.elsewhere.contains(&event.household) {
            return Err(Refused::new("unknown_household", "household: not in the latest list"));
        }
        if known.list.is_some_and(|(_, made_at)| event.at > made_at) {
            known.changes.entry(event.household).or_default().add(event.at, change);
        }
        Ok(place)
    }

    fn order(&mut self, event: &Event, wanted: &Wanted) -> Result<Accepted, Refused> {
        let place = self.place_of(&event.programme)?;
        let month = self.month.index();
        if !(month - MONTHS_BACK..=month).contains(&wanted.period.index()) {
            let detail = "period: neither the present month nor one of the twelve before";
            return Err(Refused::new("wrong_period", detail));
        }
        let known = &self.programmes[place];
        if known.list.is_none() {
            return Err(Refused::new("no_list", "programme: no list of households was imported"));
        }
        let Some(household) = known.households.get(&event.household) else {
            return Err(Refused::new("unknown_household", "household: not in the latest list"));
        };
        let purpose = known.purposes[&wanted.purpose];
        if known.claims.contains(&(event.household, wanted.period, purpose)) {
            return Err(Refused::new("claim_paid", "an order for this claim is there"));
        }
        known.eligible(household, wanted)?;
        let mut household = household.clone();
        let approval = self.approved(place, wanted)?;
        let (provider, reasons, payee) = self.judged(place, &mut household, wanted, purpose);
        let known = &mut self.programmes[place];
        known.claims.insert((event.household, wanted.period, purpose));
        Ok(Accepted {
            programme: known.rules().code().clone(),
            place,
            approval,
            household: event.household,
            row: household.row,
            region: household.place.0,
            period: wanted.period,
            purpose,
            amount: wanted.amount,
            provider,
            reasons,
            payee,
        })
    }

    fn place_of(&self, programme: &Code) -> Result<usize, Refused> {
        let found = self
            .programmes
            .iter()
            .position(|p| p.rules().code().as_str().eq_ignore_ascii_case(programme.as_str()));
        found.ok_or_else(|| Refused::new("unknown_programme", "programme: not configured"))
    }

    /// The first standing approval that the order fits; its ceiling and the envelope are then used up by it.
    fn approved(&mut self, place: usize, wanted: &Wanted) -> Result<StandingApprovalId, Refused> {
        let known = &mut self.programmes[place];
        let mut refused = Refused::new("no_standing_approval", "none is in force for this purpose today");
        for (approval, used) in
            known.approvals.iter_mut().filter(|(a, _)| a.purpose == wanted.purpose.as_str())
        {
            let run = known.runs.iter().find(|r| r.approval == approval.id && r.period == wanted.period);
            let after = used.checked_add(wanted.amount);
            let problem = if wanted.amount > approval.order_max {
                Some(Refused::new(
                    "over_order_ceiling",
                    format!("an order may be over {}", approval.order_max),
                ))
            } else if after.is_none_or(|after| after > approval.day_max) {
                Some(Refused::new(
                    "over_day_ceiling",
                    format!("a day's orders may come to {}", approval.day_max),
                ))
            } else if run.is_some_and(|run| matches!(run.state, RunState::Closed | RunState::Cancelled)) {
                Some(Refused::new("day_closed", "the books of the day's orders are closed"))
            } else {
                None
            };
            if let Some(problem) = problem {
                refused = problem;
                continue;
            }
            let year = wanted.period.year();
            let Some(Some(left)) = known.envelopes.get_mut(&year) else {
                return Err(Refused::new("no_envelope", format!("the programme has no envelope for {year}")));
            };
            if wanted.amount > *left {
                return Err(Refused::new(
                    "envelope_exhausted",
                    format!("the envelope of {year} does not hold it"),
                ));
            }
            *left = *left - wanted.amount;
            *used += wanted.amount;
            return Ok(approval.id);
        }
        Err(refused)
    }

    /// Lays what changed over the household, finds its provider, and says why its order is held and what the provider is to
    /// know of the payee, encoded: as the month's run does.
    fn judged(
        &self,
        place: usize,
        household: &mut Household,
        wanted: &Wanted,
        purpose: i16,
    ) -> (Option<usize>, Vec<HoldReason>, Vec<u8>) {
        let known = &self.programmes[place];
        let changes = known.changes.get(&household.id);
        let replaced = changes.map(|changes| changes.lay_over(household)).unwrap_or_default();
        let limits = &self.config.settings.holds;
        let shares = known.shares.get(&household.row).into_iter().flatten();
        let mut reasons: Vec<HoldReason> = shares
            .filter(|(kind, _)| !replaced.outdates(kind))
            .filter_map(|(kind, households)| shared_reason(limits, kind, *households))
            .collect();
        if changes.is_some_and(|changes| changes.hold().is_some()) {
            reasons.push(HoldReason::RegistryHold);
        }
        if self.doubted.contains(&household.id) {
            reasons.push(HoldReason::PayeeInDoubt);
        }
        reasons.extend(known.flagged.get(&household.id).into_iter().flatten());
        if known.questions.of_claim(household.id, wanted.period, purpose).is_some() {
            reasons.push(HoldReason::ClaimInQuestion);
        }
        let mut payee = OrderPayee { name: String::new(), account: String::new(), phone: None };
        let provider = judge(&self.config.router, household, wanted.amount, &mut reasons, &mut payee);
        let mut bytes = Vec::new();
        personal::encode_order_payee(&payee, &mut bytes);
        (provider, reasons, bytes)
    }
}

impl Known<'_> {
    /// Whether the month's run would order for the household at all. That no rule pays it anything in the month is no bar
    /// to an order of another purpose.
    fn eligible(&self, household: &Household, wanted: &Wanted) -> Result<(), Refused> {
        let own = wanted.purpose == *self.rules().purpose();
        if own && !self.rules().pays_in(wanted.period) {
            return Err(Refused::new("not_paying", "period: the programme does not pay in that month"));
        }
        let Some(Ok(assessor)) = self.assessors.get(&wanted.period) else {
            return Err(Refused::new("no_rules", "period: no version of the rules is in force"));
        };
        match assessor.assess(household, &mut Default::default()) {
            Entitled::Excluded(ExclusionReason::NothingDue) if !own => {}
            Entitled::Excluded(reason) => return Err(Refused::new("not_eligible", reason.as_str())),
            Entitled::Due(_) => {}
        }
        if own && self.barred.contains(&(household.id, wanted.period)) {
            let detail = "the household draws a benefit that may not be drawn together with this one";
            return Err(Refused::new("other_programme", detail));
        }
        Ok(())
    }
}
