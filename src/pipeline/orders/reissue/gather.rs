//! Turns unpaid orders into the rows of a reissue run.

use std::collections::{BTreeMap, HashMap, HashSet};

use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use time::{Date, OffsetDateTime};

use super::ways::{Way, decide};
use super::{Head, Left};
use crate::domain::batch::Slice;
use crate::domain::event::Changes;
use crate::domain::household::{Household, Place};
use crate::domain::ids::{HouseholdId, OrderId, RunId, SnapshotId};
use crate::domain::money::Centimes;
use crate::domain::name::NOT_PROVIDED;
use crate::domain::policy::{Decision, Waits};
use crate::domain::reason::HoldReason;
use crate::pipeline::Context;
use crate::pipeline::exceptions::recovery::{KeptBack, KeptFrom};
use crate::pipeline::orders::changed::{Flagged, flagged};
use crate::pipeline::orders::children::{DEPOSIT, account_holder};
use crate::pipeline::orders::judge::shared_reason;
use crate::pipeline::orders::merge::ChangesSince;
use crate::pipeline::orders::slices::Slicer;
use crate::store::copy::CopyBuffer;
use crate::store::messages::breaks;
use crate::store::orders::personal::{self, OrderPayee};
use crate::store::orders::questions::{self, Questions};
use crate::store::orders::unpaid::Unpaid;
use crate::store::orders::{self, NewOrder, holds};
use crate::store::recovery::instalments::{self, Undue};
use crate::store::registry::{children, reference, snapshots};
use crate::store::runs::reissues::{self, NewLink};
use crate::store::{StoreError, runs};

const COPY_BYTES: usize = 1 << 20;

/// What a pass comes to, beside its rows.
pub(super) struct Gathered {
    pub run: RunId,
    pub orders: u32,
    pub households: i64,
    pub amount: Centimes,
    /// What of the claims is kept back, since it was found undue.
    pub offset: Centimes,
    pub orders_sha256: [u8; 32],
    /// By provider number and whether held: orders and their sum.
    pub totals: BTreeMap<(i16, bool), (i64, Centimes)>,
    pub slices: Vec<(i16, Slice)>,
    pub left: Vec<Left>,
}

/// The pass under way.
pub(super) struct Gatherer<'a> {
    context: &'a Context,
    run: RunId,
    now: OffsetDateTime,
    today: Date,
    provider_ids: Vec<i16>,
    slicers: Vec<Slicer>,
    places: Places,
    changes: ChangesSince,
    /// The last household met, and what its changes come to.
    changed: (Option<HouseholdId>, Option<Changes>),
    rows: [CopyBuffer; 4],
    /// What was found undue of orders that ended unpaid.
    undue: HashMap<OrderId, Undue>,
    /// What households owe of other payments.
    owed: KeptBack,
    /// The list, its programme, and the purpose of deposits, whose accounts stand in a part of their own.
    list: SnapshotId,
    programme: String,
    deposit: i16,
    /// Households whose payee is in doubt.
    doubted: HashSet<HouseholdId>,
    /// Claims that may be paid, as open breaks say.
    questions: Questions,
    /// Households to hold for what changed since the list.
    flagged: Flagged,
    digest: Sha256,
    gathered: Gathered,
    last: Option<HouseholdId>,
    left: BTreeMap<(Waits, Decision, String), (u64, Centimes)>,
    payee: Vec<u8>,
}

impl<'a> Gatherer<'a> {
    /// Reads what the pass needs to know.
    pub(super) async fn open(
        tx: &mut PgConnection,
        head: &Head<'a>,
        run: RunId,
        earlier: &[RunId],
    ) -> Result<Self, StoreError> {
        let (context, snapshot) = (head.context, head.snapshot);
        let router = &context.config.router;
        let codes: Vec<String> = router.providers().iter().map(|p| p.code.to_string()).collect();
        let ids = reference::provider_ids_in_tx(tx, &codes).await?;
        let per_file = context.config.settings.dispatch.orders_per_file;
        let now = context.clock.now();
        Ok(Self {
            context,
            run,
            now,
            today: now.to_offset(context.config.settings.calendar.utc_offset).date(),
            provider_ids: codes.iter().map(|code| ids[code]).collect(),
            slicers: router.providers().iter().map(|p| Slicer::new(p.daily_capacity, per_file)).collect(),
            places: Places::read(tx, context, snapshot, earlier).await?,
            changes: ChangesSince::open(&context.store, head.programme_id, snapshot).await?,
            changed: (None, None),
            rows: Default::default(),
            undue: instalments::undue_unpaid_in_tx(tx, Some(head.programme_id)).await?,
            owed: KeptBack::read_in_tx(tx, context, head.programme_id, head.period, KeptFrom::Reissue)
                .await?,
            list: snapshot,
            programme: head.configured.rules.code().to_string(),
            deposit: reference::purpose_id_in_tx(tx, DEPOSIT).await?,
            doubted: breaks::doubted_households_in_tx(tx).await?,
            questions: questions::of_programme_in_tx(tx, head.programme_id).await?,
            flagged: flagged(context, tx, head.programme_id, snapshot).await?,
            digest: Sha256::new(),
            gathered: Gathered {
                run,
                orders: 0,
                households: 0,
                amount: Centimes::ZERO,
                offset: Centimes::ZERO,
                orders_sha256: [0; 32],
                totals: BTreeMap::new(),
                slices: Vec::new(),
                left: Vec::new(),
            },
            last: None,
            left: BTreeMap::new(),
            payee: Vec::new(),
        })
    }

    /// Takes the next unpaid order, in the order of households.
    pub(super) async fn take(&mut self, mut order: Unpaid) -> Result<(), StoreError> {
        if order.purpose == self.deposit {
            order.listed = self.account_of_deposit(order.household).await?;
        }
        let registry_holds = self.lay_over(&mut order).await?;
        let mut payee = OrderPayee { name: String::new(), account: String::new(), phone: None };
        personal::decode_order_payee(&order.payee, &mut payee)?;
        let provider = self.provider_ids.iter().position(|id| *id == order.provider);
        self.owed.seek(order.household).await?;
        if self.is_all_undue(&order) {
            self.leave((Waits::Undue, Decision::Never), &order);
            return Ok(());
        }
        if self.questions.of_claim(order.household, order.period, order.purpose).is_some() {
            let verdict =
                self.context.config.reasons.judge(order.state, order.reason.as_deref(), order.attempt);
            self.leave((Waits::InQuestion, verdict.decision), &order);
            return Ok(());
        }
        match decide(&self.context.config, &order, (provider, payee), self.today) {
            Ok((decision, way)) => self.order(&order, decision, &way, registry_holds),
            Err((decision, waits)) => {
                self.leave((waits, decision), &order);
                Ok(())
            }
        }
    }

    /// The account of a deposit in the latest list. Deposits that ended unpaid are few: they are looked up one by one.
    async fn account_of_deposit(&self, deposit: HouseholdId) -> Result<Option<Household>, StoreError> {
        let store = &self.context.store;
        let found = children::latest_in_care(store, &self.programme, deposit.as_str()).await?;
        Ok(found.filter(|(list, _)| *list == self.list).map(|(_, child)| account_holder(&child)))
    }

    fn leave(&mut self, (waits, decision): (Waits, Decision), order: &Unpaid) {
        let reason = order.reason.clone().unwrap_or_default();
        let left = self.left.entry((waits, decision, reason)).or_default();
        left.0 += 1;
        left.1 += order.amount;
    }

    /// Whether nothing of an order is due any more.
    fn is_all_undue(&self, order: &Unpaid) -> bool {
        self.undue.get(&order.order).is_some_and(|undue| undue.sum() >= order.amount)
    }

    /// Keeps back of the new order what was found undue of the one before, and of the rest what the household owes of other
    /// payments, as configured: how much in all.
    fn keep_back(&mut self, before: &Unpaid, id: OrderId) -> Centimes {
        let mut kept = Centimes::ZERO;
        for owed in self.undue.get(&before.order).map_or(&[][..], |undue| &undue.cases) {
            instalments::push_instalment(&mut self.rows[3], id, owed.case, owed.outstanding);
            kept += owed.outstanding;
        }
        for instalment in self.owed.take(before.amount - kept) {
            instalments::push_instalment(&mut self.rows[3], id, instalment.case, instalment.amount);
            kept += instalment.amount;
        }
        kept
    }

    /// Makes the household what it is by now: whether the registry asks to hold. Of a household that is on no list any
    /// more a change cannot be laid over anything: a person looks at it.
    async fn lay_over(&mut self, order: &mut Unpaid) -> Result<bool, StoreError> {
        if self.changed.0 != Some(order.household) {
            self.changed = (Some(order.household), self.changes.take(order.household).await?);
        }
        let Some(changes) = &self.changed.1 else { return Ok(false) };
        let Some(household) = &mut order.listed else { return Ok(true) };
        let replaced = changes.lay_over(household);
        order.shares.retain(|(kind, _)| !replaced.outdates(kind));
        Ok(changes.hold().is_some())
    }

    fn order(
        &mut self,
        before: &Unpaid,
        decision: Decision,
        way: &Way,
        registry_holds: bool,
    ) -> Result<(), StoreError> {
        self.gathered.orders += 1;
        let id = OrderId::compose(self.run, self.gathered.orders);
        if self.last.replace(before.household) != Some(before.household) {
            self.gathered.households += 1;
        }
        let provider = way.provider.map_or(0, |index| self.provider_ids[index]);
        let offset = self.keep_back(before, id);
        let amount = before.amount - offset;
        let wave = way.provider.map_or(0, |index| self.slicers[index].push(id, amount));
        let (household_row, place) = match &before.listed {
            Some(household) => (household.row, household.place.0),
            None => (0, self.places.of_earlier(before.order.run(), before.place)?),
        };
        personal::encode_order_payee(&way.payee, &mut self.payee);
        let order = NewOrder {
            id,
            household_row,
            place,
            period: before.period,
            purpose: before.purpose,
            attempt: before.attempt + 1,
            provider,
            wave,
            // What was kept back of the earlier order against other undue payments was kept back for good.
            entitled: before.amount,
            offset,
            household: before.household,
            components: &before.components,
            payee: &self.payee,
        };
        let held = self.hold_reasons(before, way, registry_holds);
        let [order_rows, hold_rows, link_rows, _] = &mut self.rows;
        orders::push(order_rows, &order);
        for reason in &held {
            holds::push(hold_rows, id, *reason, "sarf", self.now);
        }
        let link = NewLink {
            order: id,
            of: before.order,
            of_provider: before.provider,
            attempt: order.attempt,
            decision,
            was: before.state,
            amount: before.amount,
        };
        reissues::push(link_rows, &link);
        let g = &mut self.gathered;
        g.amount += amount;
        g.offset += offset;
        let total = g.totals.entry((provider, !held.is_empty())).or_default();
        total.0 += 1;
        total.1 += amount;
        Ok(())
    }

    /// Why the new order is held: what routing found, and what the latest list and changes since say of the payee. What
    /// a person let go on the order before is not held for again, unless it speaks of an account or phone that is new.
    fn hold_reasons(&self, before: &Unpaid, way: &Way, registry_holds: bool) -> Vec<HoldReason> {
        use HoldReason::{
            NameMissing, PayeeDeceased, PayeeInDoubt, RegistryHold, SharedAccount, SharedPhone,
        };
        let limits = &self.context.config.settings.holds;
        let mut found: Vec<HoldReason> =
            before.shares.iter().filter_map(|(kind, n)| shared_reason(limits, kind, *n)).collect();
        if before.listed.as_ref().is_some_and(|h| h.payee.deceased) {
            found.push(PayeeDeceased);
        }
        if registry_holds {
            found.push(RegistryHold);
        }
        if way.payee.name == NOT_PROVIDED {
            found.push(NameMissing);
        }
        found.retain(|reason| {
            let of_account = matches!(reason, SharedAccount | SharedPhone);
            !before.let_go.iter().any(|r| r == reason.as_str()) || (of_account && way.another)
        });
        found.extend(way.hold);
        found.extend(self.flagged.get(&before.household).into_iter().flatten());
        if self.doubted.contains(&before.household) {
            found.push(PayeeInDoubt);
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Whether the rows should be sent.
    pub(super) fn is_full(&self) -> bool {
        self.rows[0].row_bytes().len() > COPY_BYTES
    }

    /// Sends the rows so far.
    pub(super) async fn send_in_tx(&mut self, tx: &mut PgConnection) -> Result<(), StoreError> {
        let [order_rows, hold_rows, link_rows, instalment_rows] = &mut self.rows;
        self.digest.update(order_rows.row_bytes());
        order_rows
            .send_in_tx(tx, &format!("{} ({})", orders::leaf(self.run), orders::COLUMNS), ", FREEZE")
            .await?;
        hold_rows.send_in_tx(tx, &format!("order_hold ({})", holds::COLUMNS), "").await?;
        link_rows.send_in_tx(tx, &format!("order_reissue ({})", reissues::COLUMNS), "").await?;
        let instalments = format!("recovery_instalment ({})", instalments::INSTALMENT_COLUMNS);
        instalment_rows.send_in_tx(tx, &instalments, "").await?;
        Ok(())
    }

    /// Ends the pass.
    pub(super) async fn finish_in_tx(mut self, tx: &mut PgConnection) -> Result<Gathered, StoreError> {
        self.places.add_in_tx(tx).await?;
        let slices = self.slicers.into_iter().zip(&self.provider_ids);
        self.gathered.slices =
            slices.flat_map(|(s, id)| s.finish().into_iter().map(|slice| (*id, slice))).collect();
        self.gathered.orders_sha256 = self.digest.finalize().into();
        let left = self.left.into_iter();
        self.gathered.left = left
            .map(|((waits, decision, reason), (orders, amount))| Left {
                decision,
                waits,
                reason,
                orders,
                amount,
            })
            .collect();
        Ok(self.gathered)
    }
}

/// Places of earlier runs in the table of the latest list. A place that the latest list no longer names is added to it.
struct Places {
    snapshot: SnapshotId,
    earlier: HashMap<RunId, Vec<Place>>,
    numbers: BTreeMap<Place, u16>,
    first: u16,
    added: Vec<Place>,
}

impl Places {
    async fn read(
        tx: &mut PgConnection,
        context: &Context,
        snapshot: SnapshotId,
        runs: &[RunId],
    ) -> Result<Self, StoreError> {
        let mut earlier = HashMap::new();
        for id in runs {
            let run = runs::find_in_tx(tx, *id, false).await?.ok_or(StoreError::Corrupt("run"))?;
            earlier.insert(*id, snapshots::places(&context.store, run.snapshot).await?);
        }
        let latest = snapshots::places(&context.store, snapshot).await?;
        let first = u16::try_from(latest.len()).map_err(|_| StoreError::Corrupt("places"))?;
        let numbers = latest.into_iter().zip(0..first).collect();
        Ok(Self { snapshot, earlier, numbers, first, added: Vec::new() })
    }

    fn of_earlier(&mut self, run: RunId, place: u16) -> Result<u16, StoreError> {
        let known = self.earlier.get(&run).and_then(|places| places.get(usize::from(place)));
        let place = known.ok_or(StoreError::Corrupt("place of an order"))?;
        if let Some(number) = self.numbers.get(place) {
            return Ok(*number);
        }
        let number = usize::from(self.first) + self.added.len();
        let number = u16::try_from(number).map_err(|_| StoreError::Corrupt("places"))?;
        self.added.push(place.clone());
        self.numbers.insert(place.clone(), number);
        Ok(number)
    }

    async fn add_in_tx(&self, tx: &mut PgConnection) -> Result<(), StoreError> {
        reissues::add_places_in_tx(tx, self.snapshot, self.first, &self.added).await
    }
}
