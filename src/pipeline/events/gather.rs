//! What events are judged by, read in sets under the locks that keep it true until the commit.
//!
//! Order of the locks, the same for all: claims of (programme, period), changes of a programme (shared), standing approvals,
//! runs of the day, envelopes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use sqlx::PgConnection;
use time::{Date, OffsetDateTime};

use crate::clock::Clock;
use crate::config::{Config, ConfiguredProgramme};
use crate::domain::entitlement::{Assessor, NoRules};
use crate::domain::event::{Change, Changes, Event, Wanted, What};
use crate::domain::household::Household;
use crate::domain::ids::{Code, HouseholdId, RunId, SnapshotId};
use crate::domain::money::Centimes;
use crate::domain::period::Period;
use crate::domain::programme::Programme;
use crate::domain::rib::Rib;
use crate::pipeline::Context;
use crate::pipeline::orders::barring;
use crate::pipeline::orders::changed::{Flagged, flagged_of_in_tx};
use crate::store::StoreError;
use crate::store::books::ledger::{self, AccountKey};
use crate::store::locks::{self, Lock};
use crate::store::messages::breaks;
use crate::store::orders::questions::{self, Questions};
use crate::store::registry::change_sharing::{self, Held};
use crate::store::registry::{changes, reference};
use crate::store::runs::day_runs::{self, DayRun};
use crate::store::runs::standing_approvals::{self, StandingApproval};

/// What is known of one programme.
pub(super) struct Known<'a> {
    pub number: i16,
    pub configured: &'a ConfiguredProgramme,
    /// The list of households, and when the registry made it.
    pub list: Option<(SnapshotId, OffsetDateTime)>,
    pub households: HashMap<HouseholdId, Household>,
    /// Households that are not in the list and have orders on their way.
    pub elsewhere: HashSet<HouseholdId>,
    pub shares: HashMap<u32, Vec<(String, u32)>>,
    pub changes: HashMap<HouseholdId, Changes>,
    pub purposes: HashMap<Code, i16>,
    /// Standing approvals in force, with what the day's orders under them come to.
    pub approvals: Vec<(StandingApproval, Centimes)>,
    pub runs: Vec<DayRun>,
    /// What is left of each year's envelope; nothing where there is none.
    pub envelopes: HashMap<i32, Option<Centimes>>,
    pub claims: HashSet<(HouseholdId, Period, i16)>,
    /// Households that draw a benefit which may not be drawn together with this one.
    pub barred: HashSet<(HouseholdId, Period)>,
    pub assessors: HashMap<Period, Result<Assessor, NoRules>>,
    /// Claims that may be paid, as open breaks say.
    pub questions: Questions,
    /// Households to hold for what changed since the list, of those that are asked for.
    pub flagged: Flagged,
    /// Accounts and phones that the call's changes bring.
    pub new_things: BTreeSet<Held>,
}

impl Known<'_> {
    pub(super) fn rules(&self) -> &Programme {
        &self.configured.rules
    }
}

/// What is known.
pub(super) struct DecisionContext<'a> {
    pub config: &'a Config,
    /// The local day: the day of the ceilings.
    pub today: Date,
    pub month: Period,
    /// Households whose payee is in doubt.
    pub doubted: HashSet<HouseholdId>,
    pub programmes: Vec<Known<'a>>,
}

/// What the events of one programme are about.
#[derive(Default)]
struct Asked<'e> {
    households: BTreeSet<HouseholdId>,
    changed: BTreeSet<HouseholdId>,
    orders: Vec<(HouseholdId, &'e Wanted)>,
    new_things: BTreeSet<Held>,
}

fn by_programme<'a, 'e>(
    config: &'a Config,
    events: &[&'e Event],
) -> BTreeMap<&'a Code, (&'a ConfiguredProgramme, Asked<'e>)> {
    let mut found: BTreeMap<&Code, (&ConfiguredProgramme, Asked<'e>)> = BTreeMap::new();
    for event in events {
        let Some(configured) = config.programme(event.programme.as_str()) else { continue };
        let (_, asked) =
            found.entry(configured.rules.code()).or_insert_with(|| (configured, Asked::default()));
        asked.households.insert(event.household);
        match &event.what {
            What::Order(wanted) => asked.orders.push((event.household, wanted)),
            What::Change(change) => {
                asked.changed.insert(event.household);
                if let Change::Account(account) = change {
                    asked.new_things.insert(Held::of(account));
                }
            }
        }
    }
    found
}

/// Waits until nobody else decides claims of these programmes and periods; with the programme's own purpose, nobody makes
/// a run of them either. Changes may come side by side, but not while a run is being finished.
pub(super) async fn lock_claims_in_tx(
    context: &Context,
    tx: &mut PgConnection,
    events: &[&Event],
) -> Result<(), StoreError> {
    let mut claims: BTreeSet<(i16, Period, bool)> = BTreeSet::new();
    let mut changed: BTreeSet<i16> = BTreeSet::new();
    for (code, (configured, asked)) in by_programme(&context.config, events) {
        let number = reference::programme_id_in_tx(tx, code.as_str()).await?;
        for (_, wanted) in &asked.orders {
            claims.insert((number, wanted.period, wanted.purpose == *configured.rules.purpose()));
        }
        if !asked.changed.is_empty() {
            changed.insert(number);
        }
    }
    for (programme, period, _) in claims.iter().filter(|(.., own)| *own) {
        locks::take_in_tx(tx, Lock::Month(*programme, *period)).await?;
    }
    for (programme, period, _) in &claims {
        locks::take_in_tx(tx, Lock::Claims(*programme, *period)).await?;
    }
    for programme in changed {
        locks::share_in_tx(tx, Lock::Changes(programme)).await?;
    }
    Ok(())
}

impl<'a> DecisionContext<'a> {
    /// Reads what the events are judged by.
    pub(super) async fn gather(
        context: &'a Context,
        tx: &mut PgConnection,
        events: &[&Event],
        now: OffsetDateTime,
    ) -> Result<DecisionContext<'a>, StoreError> {
        let config: &'a Config = &context.config;
        // The day of a ceiling is the same for all callers, whatever their machines' clocks say.
        let day_of = if context.clock == Clock::system() { day_runs::now_in_tx(tx).await? } else { now };
        let today = day_of.to_offset(config.settings.calendar.utc_offset).date();
        let month =
            Period::new(today.year(), today.month().into()).map_err(|_| StoreError::Corrupt("clock"))?;
        let mut programmes = Vec::new();
        for (configured, asked) in by_programme(config, events).into_values() {
            programmes.push(known_in_tx(config, tx, configured, &asked, today).await?);
        }
        let doubted = breaks::doubted_households_in_tx(tx).await?;
        Ok(DecisionContext { config, today, month, doubted, programmes })
    }

    /// Place of a household in the list of a programme, where it is in it.
    pub(super) fn commune_of(&self, programme: i16, household: HouseholdId) -> Option<String> {
        let known = self.programmes.iter().find(|known| known.number == programme)?;
        let (list, _) = known.list?;
        known.households.get(&household).map(|h| format!("{list}/{}", h.place.0))
    }

    /// The number of a programme by its place.
    pub(super) fn programme_number(&self, place: usize) -> i16 {
        self.programmes[place].number
    }
}

async fn known_in_tx<'a>(
    config: &'a Config,
    tx: &mut PgConnection,
    configured: &'a ConfiguredProgramme,
    asked: &Asked<'_>,
    today: Date,
) -> Result<Known<'a>, StoreError> {
    let rules = &configured.rules;
    let number = reference::programme_id_in_tx(tx, rules.code().as_str()).await?;
    let mut known = Known {
        number,
        configured,
        list: None,
        households: HashMap::new(),
        elsewhere: HashSet::new(),
        shares: HashMap::new(),
        changes: HashMap::new(),
        purposes: HashMap::new(),
        approvals: Vec::new(),
        runs: Vec::new(),
        envelopes: HashMap::new(),
        claims: HashSet::new(),
        barred: HashSet::new(),
        assessors: HashMap::new(),
        questions: Questions::default(),
        flagged: Flagged::new(),
        new_things: asked.new_things.clone(),
    };
    known.read_approvals(tx, asked, today).await?;
    known.read_list(tx, config, asked, today).await?;
    known.read_claims(config, tx, asked).await?;
    Ok(known)
}

impl Known<'_> {
    /// Standing approvals and the day's runs, locked; then the envelopes.
    async fn read_approvals(
        &mut self,
        tx: &mut PgConnection,
        asked: &Asked<'_>,
        today: Date,
    ) -> Result<(), StoreError> {
        let purposes: BTreeSet<&Code> = asked.orders.iter().map(|(_, wanted)| &wanted.purpose).collect();
        if purposes.is_empty() {
            return Ok(());
        }
        let codes: Vec<&str> = purposes.iter().map(|p| p.as_str()).collect();
        let approvals = standing_approvals::in_force_in_tx(tx, self.number, &codes, today).await?;
        self.runs = day_runs::of_day_in_tx(tx, self.number, today).await?;
        let used = |approval: &StandingApproval| {
            self.runs.iter().filter(|run| run.approval == approval.id).map(|run| run.ordered).sum()
        };
        self.approvals = approvals.iter().map(|a| (a.clone(), used(a))).collect();
        for purpose in purposes {
            let number = reference::purpose_id_in_tx(tx, purpose.as_str()).await?;
            self.purposes.insert(purpose.clone(), number);
        }
        let years: BTreeSet<i32> = asked.orders.iter().map(|(_, wanted)| wanted.period.year()).collect();
        for year in years {
            let left = match self.rules().budget(year) {
                None => None,
                Some(envelope) => {
                    locks::take_in_tx(tx, Lock::Envelope(self.number, year)).await?;
                    Some(envelope + ledger::balance_in_tx(tx, AccountKey::envelope(self.number, year)).await?)
                }
            };
            self.envelopes.insert(year, left);
        }
        Ok(())
    }

    /// Households as the list has them, what they share, and what changed since.
    async fn read_list(
        &mut self,
        tx: &mut PgConnection,
        config: &Config,
        asked: &Asked<'_>,
        today: Date,
    ) -> Result<(), StoreError> {
        let programme = self.rules().code().as_str();
        let list = day_runs::list_of_day_in_tx(tx, self.number, programme, today).await?;
        let ids: Vec<HouseholdId> = asked.households.iter().copied().collect();
        if let Some((list, made_at)) = list {
            self.list = Some((list, made_at));
            self.households = day_runs::households_in_tx(tx, list, &ids).await?;
            let ordered = asked.orders.iter().filter_map(|(id, _)| self.households.get(id));
            let rows: Vec<u32> = ordered.map(|household| household.row).collect();
            self.shares = day_runs::shares_in_tx(tx, list, &rows).await?;
            for (household, at, change) in
                changes::of_households_in_tx(tx, self.number, &ids, Some(list)).await?
            {
                self.changes.entry(household).or_default().add(at, &change);
            }
            self.read_flagged(config, tx, asked, list).await?;
        }
        let missing = asked.changed.iter().filter(|id| !self.households.contains_key(*id));
        let missing: Vec<HouseholdId> = missing.copied().collect();
        if !missing.is_empty() {
            for run in changes::open_runs_in_tx(tx, self.number).await? {
                let orders = changes::orders_in_tx(tx, run, &missing).await?;
                self.elsewhere.extend(orders.into_iter().map(|order| order.household));
            }
        }
        Ok(())
    }

    /// Who of the households that an order is asked for shares what changes brought.
    async fn read_flagged(
        &mut self,
        config: &Config,
        tx: &mut PgConnection,
        asked: &Asked<'_>,
        list: SnapshotId,
    ) -> Result<(), StoreError> {
        let asked: BTreeSet<HouseholdId> = asked.orders.iter().map(|(id, _)| *id).collect();
        if asked.is_empty() || !change_sharing::any_in_tx(tx, self.number, list).await? {
            return Ok(());
        }
        let mut things = Vec::new();
        for id in &asked {
            let Some(household) = self.households.get(id) else { continue };
            let changed = self.changes.get(id).and_then(Changes::account).map(Held::of);
            let account = Rib::parse(&household.payee.account).ok().map(|rib| Held::Account(rib.as_number()));
            let phone = household.payee.phone.map(|phone| Held::Phone(phone.national()));
            things.extend(changed.into_iter().chain(account).chain(phone));
        }
        let households: Vec<HouseholdId> = asked.into_iter().collect();
        let limits = &config.settings.holds;
        self.flagged = flagged_of_in_tx(limits, tx, self.number, list, (&things, &households)).await?;
        Ok(())
    }

    /// Orders for the same claims in whatever run, and those of benefits that may not be drawn together with this one.
    async fn read_claims(
        &mut self,
        config: &Config,
        tx: &mut PgConnection,
        asked: &Asked<'_>,
    ) -> Result<(), StoreError> {
        if !asked.orders.is_empty() {
            self.questions = questions::of_programme_in_tx(tx, self.number).await?;
        }
        let own = self.rules().purpose().clone();
        let mut periods: BTreeMap<Period, (BTreeSet<HouseholdId>, BTreeSet<&Code>)> = BTreeMap::new();
        for (household, wanted) in &asked.orders {
            let (households, purposes) = periods.entry(wanted.period).or_default();
            households.insert(*household);
            purposes.insert(&wanted.purpose);
        }
        for (period, (households, purposes)) in periods {
            let households: Vec<HouseholdId> = households.into_iter().collect();
            self.assessors.insert(period, Assessor::new(self.rules(), period));
            let claimants = day_runs::claimants_in_tx(tx, self.number, period).await?;
            let concerned = |purpose: &Option<String>| {
                purpose.as_ref().is_none_or(|p| purposes.iter().any(|wanted| wanted.as_str() == p))
            };
            let runs: Vec<RunId> =
                claimants.iter().filter(|(_, purpose)| concerned(purpose)).map(|(run, _)| *run).collect();
            for run in runs {
                for (household, purpose) in day_runs::claimed_in_tx(tx, run, period, &households).await? {
                    self.claims.insert((household, period, purpose));
                }
            }
            if purposes.contains(&own) {
                for run in barring::barring_by_others(config, tx, self.rules(), period).await? {
                    let found = day_runs::claimed_in_tx(tx, run, period, &households).await?;
                    self.barred.extend(found.into_iter().map(|(household, _)| (household, period)));
                }
            }
        }
        Ok(())
    }
}
