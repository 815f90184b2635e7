//! What changes do to orders that are there: those that have not left are held, or let go.
//!
//! Guarantee: an order that may have left is never held; one that workers are about to hand over is held under its provider's
//! lock or not at all. Kept totals, batch figures and postings move with the holds. Safe to repeat: what counts is where
//! the changes of a household have come to, not which of them came last.
//! Limit: orders of runs that are closed or cancelled are left alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::domain::event::{Change, Changes, NewAccount};
use crate::domain::ids::{BatchId, HouseholdId, OrderId, RunId};
use crate::domain::money::Centimes;
use crate::domain::order::OrderState;
use crate::domain::reason::HoldReason;
use crate::store::books::{self, OrderSum, RunAt, StateMove};
use crate::store::locks::{self, Lock};
use crate::store::orders::personal::{self, OrderPayee};
use crate::store::registry::changes::{self, Concerned, NewHold, Reach};
use crate::store::{StoreError, runs};

/// Who places and lifts holds that the registry asked for.
const PLACED_BY: &str = "registry";

/// Which kinds of changes came for a household.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::pipeline) struct Touched {
    pub account: bool,
    pub death: bool,
    pub hold: bool,
    /// Its account stands in too many households, with changes laid over the list.
    pub shared_account: bool,
    /// Its phone does.
    pub shared_phone: bool,
    /// Its change came with too many others.
    pub many: bool,
}

impl Touched {
    /// Notes that a change came.
    pub(in crate::pipeline) fn note(&mut self, change: &Change) {
        match change {
            Change::Account(_) => self.account = true,
            Change::Death => self.death = true,
            Change::Hold(_) | Change::Release(_) => self.hold = true,
        }
    }
}

/// What became of a household's orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::pipeline) struct Effect {
    held: u32,
    let_go: u32,
    left: u32,
    /// Orders that stay held until two people let them go.
    waiting: u32,
    /// Its new account or phone is other households' too: whatever is ordered for it is held.
    shared: bool,
    /// Its change came with too many others: the same.
    many: bool,
}

impl Effect {
    /// The code and detail to answer with.
    pub(in crate::pipeline) fn tell(self) -> (&'static str, String) {
        let Self { held, let_go, left, waiting, shared, many } = self;
        if shared {
            return (
                "shared",
                format!("it is other households' too: their orders are held; {left} have left"),
            );
        }
        if many {
            return ("many_changes", format!("more changes than usual: orders are held; {left} have left"));
        }
        match (left, held, let_go) {
            (0, 0, 0) if waiting > 0 => {
                ("release_waits", format!("{waiting} orders stay held until two people let them go"))
            }
            (0, 0, 0) => ("taken", String::new()),
            (0, 0, _) => ("orders_let_go", format!("{let_go} orders let go")),
            (0, ..) => ("orders_held", format!("{held} orders are held")),
            _ => ("left_already", format!("{left} orders have left, {held} are held")),
        }
    }
}

/// Brings the orders of `runs` to where the changes of the touched households have come to.
pub(in crate::pipeline) async fn hold_in_tx(
    tx: &mut PgConnection,
    programme: i16,
    touched: &BTreeMap<HouseholdId, Touched>,
    runs: &[RunId],
    now: OffsetDateTime,
) -> Result<HashMap<HouseholdId, Effect>, StoreError> {
    let households: Vec<HouseholdId> = touched.keys().copied().collect();
    if households.is_empty() {
        return Ok(HashMap::new());
    }
    let mut concerned: BTreeSet<RunId> = BTreeSet::new();
    let mut providers: BTreeSet<i16> = BTreeSet::new();
    for run in runs {
        for order in changes::orders_in_tx(tx, *run, &households).await? {
            concerned.insert(*run);
            if matches!(order.reach, Reach::Released { stream: true, .. }) {
                providers.insert(order.provider);
            }
        }
    }
    // The order of locks in feedback: provider, then run.
    for provider in &providers {
        locks::take_in_tx(tx, Lock::Provider(*provider)).await?;
    }
    let concerned: Vec<RunId> = concerned.into_iter().collect();
    let locked = changes::lock_runs_in_tx(tx, &concerned).await?;
    let mut now_known: HashMap<HouseholdId, Changes> = HashMap::new();
    for (household, at, change) in changes::of_households_in_tx(tx, programme, &households, None).await? {
        now_known.entry(household).or_default().add(at, &change);
    }
    let none = Changes::default();
    let mut effects: HashMap<HouseholdId, Effect> = HashMap::new();
    for (household, touched) in touched {
        let effect = effects.entry(*household).or_default();
        (effect.shared, effect.many) = (touched.shared_account || touched.shared_phone, touched.many);
    }
    for run in locked {
        // Only now nobody moves them.
        let state = runs::find_in_tx(tx, run, false).await?.ok_or(StoreError::Corrupt("run"))?.state;
        let mut turn = Turn::new(&providers, state.release_takes_two());
        for order in changes::orders_in_tx(tx, run, &households).await? {
            let (touched, known) = (touched[&order.household], now_known.get(&order.household));
            // Whoever only shares with a household that changed has no changes.
            let known = known.unwrap_or(&none);
            turn.weigh(&order, touched, known, effects.entry(order.household).or_default())?;
        }
        turn.write_in_tx(tx, programme, run, now).await?;
    }
    Ok(effects)
}

/// What is to be done to the orders of one run.
struct Turn<'a> {
    /// Providers whose orders nobody hands over meanwhile.
    locked: &'a BTreeSet<i16>,
    /// Whether letting go takes two people, whoever asks for it.
    takes_two: bool,
    holds: Vec<NewHold>,
    lifted: Vec<OrderId>,
    out: BTreeMap<(BatchId, bool), (Vec<OrderId>, Centimes)>,
    moves: BTreeMap<(i16, OrderState, OrderState), (i64, Centimes)>,
}

impl<'a> Turn<'a> {
    fn new(locked: &'a BTreeSet<i16>, takes_two: bool) -> Self {
        Self {
            locked,
            takes_two,
            holds: Vec::new(),
            lifted: Vec::new(),
            out: BTreeMap::new(),
            moves: BTreeMap::new(),
        }
    }

    fn weigh(
        &mut self,
        order: &Concerned,
        touched: Touched,
        known: &Changes,
        effect: &mut Effect,
    ) -> Result<(), StoreError> {
        let mut reasons = Vec::new();
        if touched.death {
            reasons.push((HoldReason::PayeeDeceased, String::new()));
        }
        if touched.account && known.account().map_or(Ok(false), |a| pays_elsewhere(order, a))? {
            reasons.push((HoldReason::AccountChanged, String::new()));
        }
        for (is, reason) in [
            (touched.shared_account, HoldReason::SharedAccount),
            (touched.shared_phone, HoldReason::SharedPhone),
            (touched.many, HoldReason::ManyChanges),
        ] {
            if is {
                reasons.push((reason, String::new()));
            }
        }
        if touched.hold {
            match known.hold() {
                Some(reason) => reasons.push((HoldReason::RegistryHold, reason.to_string())),
                None if order.held => self.lift(order, reasons.is_empty(), effect),
                None => {}
            }
        }
        if reasons.is_empty() || order.reach == Reach::Over {
            return Ok(());
        }
        let reachable = match order.reach {
            // One that came into a worker's reach after the locks were taken may be on its way.
            Reach::Released { stream: true, .. } => self.locked.contains(&order.provider),
            Reach::Planned | Reach::Released { .. } => true,
            Reach::Left | Reach::Over => false,
        };
        if !reachable {
            effect.left += 1;
            return Ok(());
        }
        effect.held += 1;
        let missed = match order.reach {
            Reach::Released { batch, listed, .. } if !order.held => {
                let out = self.out.entry((batch, listed)).or_default();
                out.0.push(order.order);
                out.1 += order.amount;
                Some(batch).filter(|_| !listed)
            }
            _ => None,
        };
        for (reason, detail) in reasons {
            self.holds.push(NewHold { order: order.order, reason, detail, missed });
        }
        if !order.held {
            self.count(order, changes::counted_as(order.reach), OrderState::Held);
        }
        Ok(())
    }

    /// Ends the registry's hold; an order that is held for nothing else, and can be paid, is let go.
    fn lift(&mut self, order: &Concerned, free: bool, effect: &mut Effect) {
        if order.held_by_registry_only && order.provider == 0 {
            return;
        }
        // What was approved is what leaves: the registry's word alone lets nothing go any more.
        if self.takes_two {
            effect.waiting += 1;
            return;
        }
        self.lifted.push(order.order);
        // For another reason of the same call it would be held again at once.
        if order.held_by_registry_only && free {
            effect.let_go += 1;
            self.count(order, OrderState::Held, OrderState::Planned);
        }
    }

    fn count(&mut self, order: &Concerned, from: OrderState, to: OrderState) {
        let sum = self.moves.entry((order.provider, from, to)).or_default();
        sum.0 += 1;
        sum.1 += order.amount;
    }

    async fn write_in_tx(
        self,
        tx: &mut PgConnection,
        programme: i16,
        run: RunId,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        for ((batch, listed), (orders, amount)) in &self.out {
            changes::take_out_in_tx(tx, *batch, orders, *amount, *listed).await?;
        }
        if !self.lifted.is_empty() {
            let why = "let go by the registry";
            changes::lift_in_tx(tx, &self.lifted, HoldReason::RegistryHold, PLACED_BY, why, now).await?;
        }
        changes::place_in_tx(tx, &self.holds, PLACED_BY, now).await?;
        let changed: Vec<StateMove> = self
            .moves
            .into_iter()
            .map(|((provider, from, to), (orders, amount))| {
                let of = RunAt { programme, run, provider };
                StateMove { sum: OrderSum { of, orders, amount }, from, to }
            })
            .collect();
        books::orders::changed_by_events_in_tx(tx, &changed, now).await
    }
}

/// Whether an order would be paid to another account or phone than the payee's.
fn pays_elsewhere(order: &Concerned, account: &NewAccount) -> Result<bool, StoreError> {
    let mut payee = OrderPayee { name: String::new(), account: String::new(), phone: None };
    personal::decode_order_payee(&order.payee, &mut payee)?;
    Ok(match account {
        NewAccount::Rib { rib, .. } => payee.account != rib.reveal(),
        NewAccount::Phone { phone, .. } => payee.phone != Some(*phone),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::Change;
    use crate::domain::household::Means;
    use crate::domain::ids::Code;
    use crate::domain::person::Phone;
    use crate::domain::rib::Rib;

    fn rib(account: u32) -> Rib {
        Rib::compose("007", "810", &format!("{account:016}")).unwrap()
    }

    fn order(reach: Reach, held: bool, only: bool) -> Concerned {
        let payee = OrderPayee { name: "A".into(), account: rib(1).reveal().into(), phone: None };
        let mut bytes = Vec::new();
        personal::encode_order_payee(&payee, &mut bytes);
        Concerned {
            order: OrderId::new(7),
            household: HouseholdId::parse(b"H1").unwrap(),
            provider: 3,
            amount: Centimes::new(500),
            payee: bytes,
            reach,
            held,
            held_by_registry_only: only,
        }
    }

    #[test]
    fn what_a_change_does_to_an_order() {
        let changes = |list: &[Change]| {
            let mut changes = Changes::default();
            list.iter().for_each(|change| changes.add(OffsetDateTime::UNIX_EPOCH, change));
            changes
        };
        let code = || Code::parse("x").unwrap();
        let account =
            |n| changes(&[Change::Account(NewAccount::Rib { rib: rib(n), means: Means::BankAccount })]);
        let phone = NewAccount::Phone {
            phone: Phone::from_stored(612_345_678),
            means: Means::Cash,
            provider: Code::parse("m2t").unwrap(),
        };
        let (hold, release) = (changes(&[Change::Hold(code())]), changes(&[Change::Release(code())]));
        let released = |stream| Reach::Released { batch: BatchId::new(9), listed: false, stream };
        const NOTHING: Touched = Touched {
            account: false,
            death: false,
            hold: false,
            shared_account: false,
            shared_phone: false,
            many: false,
        };
        const DEATH: Touched = Touched { death: true, ..NOTHING };
        const ACCOUNT: Touched = Touched { account: true, ..NOTHING };
        const HOLD: Touched = Touched { hold: true, ..NOTHING };
        let check =
            |order: Concerned, touched: Touched, known: &Changes, locked: bool, expected: (&str, &str)| {
                let providers: BTreeSet<i16> = locked.then_some(3).into_iter().collect();
                let (mut turn, mut effect) = (Turn::new(&providers, false), Effect::default());
                turn.weigh(&order, touched, known, &mut effect).unwrap();
                let moves: Vec<String> =
                    turn.moves.iter().map(|((_, from, to), (n, _))| format!("{n} {from} {to}")).collect();
                let reasons: Vec<&str> = turn.holds.iter().map(|h| h.reason.as_str()).collect();
                let seen = format!("{} {}", reasons.join(" "), moves.join(", "));
                assert_eq!((effect.tell().0, seen.trim()), expected, "{order:?} {touched:?}");
            };
        let none = Changes::default();
        check(
            order(Reach::Planned, false, false),
            DEATH,
            &none,
            false,
            ("orders_held", "payee_deceased 1 planned held"),
        );
        check(order(Reach::Planned, true, false), DEATH, &none, false, ("orders_held", "payee_deceased"));
        check(
            order(released(false), false, false),
            DEATH,
            &none,
            false,
            ("orders_held", "payee_deceased 1 released held"),
        );
        check(
            order(released(true), false, false),
            DEATH,
            &none,
            true,
            ("orders_held", "payee_deceased 1 released held"),
        );
        check(order(released(true), false, false), DEATH, &none, false, ("left_already", ""));
        check(order(Reach::Left, false, false), DEATH, &none, true, ("left_already", ""));
        check(order(Reach::Over, false, false), DEATH, &none, true, ("taken", ""));
        check(order(Reach::Planned, false, false), ACCOUNT, &account(1), false, ("taken", ""));
        check(
            order(Reach::Planned, false, false),
            ACCOUNT,
            &account(2),
            false,
            ("orders_held", "account_changed 1 planned held"),
        );
        let moved = changes(&[Change::Account(phone)]);
        check(order(Reach::Left, false, false), ACCOUNT, &moved, false, ("left_already", ""));
        check(
            order(Reach::Planned, false, false),
            HOLD,
            &hold,
            false,
            ("orders_held", "registry_hold 1 planned held"),
        );
        check(order(Reach::Planned, true, true), HOLD, &release, false, ("orders_let_go", "1 held planned"));
        check(order(Reach::Planned, true, false), HOLD, &release, false, ("taken", ""));
        check(order(Reach::Planned, false, false), HOLD, &release, false, ("taken", ""));
        // Once its run is funded, the same lets nothing go.
        let (providers, mut effect) = (BTreeSet::new(), Effect::default());
        let mut turn = Turn::new(&providers, true);
        turn.weigh(&order(Reach::Planned, true, true), HOLD, &release, &mut effect).unwrap();
        assert_eq!((effect.tell().0, turn.moves.len(), turn.lifted.len()), ("release_waits", 0, 0));
        let shared = Touched { shared_account: true, many: true, ..NOTHING };
        let shares = ("orders_held", "shared_account many_changes 1 planned held");
        check(order(Reach::Planned, false, false), shared, &none, false, shares);
        check(order(Reach::Left, false, false), shared, &none, false, ("left_already", ""));
        let both = Touched { death: true, ..HOLD };
        check(order(Reach::Planned, true, true), both, &release, false, ("orders_held", "payee_deceased"));
    }
}
