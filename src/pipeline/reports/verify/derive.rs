//! Each order of a regular run derived again: the list's row and the rules give the amount, the reasons for it and the payee.

use foldhash::{HashMap, HashSet};

use crate::domain::entitlement::{Assessment, Assessor, ExclusionReason, Outcome, encode_components};
use crate::domain::household::Household;
use crate::domain::money::Centimes;
use crate::domain::name::ArabicNames;
use crate::pipeline::orders::judge::payee_as_written;
use crate::store::StoreError;
use crate::store::copy::fields::Fields;
use crate::store::orders::personal::{self, OrderPayee};

/// Rows that are named.
const NAMED_MAX: usize = 20;

/// What was found.
#[derive(Clone, Debug, Default)]
pub(super) struct Derived {
    /// Households derived again.
    pub households: i64,
    /// Households that changed by events since the list was made: their rows are proven by their hash alone.
    pub changed: i64,
    /// What differs.
    pub wrong: i64,
    /// The first of that, in words.
    pub named: Vec<String>,
}

impl Derived {
    /// Something differs.
    pub fn fault(&mut self, what: String) {
        self.wrong += 1;
        if self.named.len() < NAMED_MAX {
            self.named.push(what);
        }
    }
}

/// Judges households one by one.
pub(super) struct Deriver {
    assessor: Assessor,
    assessment: Assessment,
    /// What orders keep back.
    kept_back: HashMap<i64, i64>,
    /// Households that changed by events.
    changed: HashSet<String>,
    period: i32,
    payee: OrderPayee,
    bytes: Vec<u8>,
    /// What was found so far.
    pub found: Derived,
}

impl Deriver {
    pub fn new(
        assessor: Assessor,
        period: i32,
        kept_back: HashMap<i64, i64>,
        changed: HashSet<String>,
    ) -> Self {
        Self {
            assessor,
            assessment: Assessment::default(),
            kept_back,
            changed,
            period,
            payee: OrderPayee { name: String::new(), account: String::new(), phone: None },
            bytes: Vec::new(),
            found: Derived::default(),
        }
    }

    /// A household with its order or the reason of its exclusion.
    pub fn household(&mut self, household: &Household, order: Option<&Fields<'_>>, excluded: Option<&str>) {
        self.found.households += 1;
        let row = household.row;
        if self.changed.contains(household.id.as_str()) {
            self.found.changed += 1;
            return;
        }
        let due = self.assessor.assess(household, &mut self.assessment);
        match (order, excluded, due) {
            (None, None, _) => {
                self.found.fault(format!("household row {row} has neither order nor exclusion"))
            }
            (Some(_), Some(_), _) => {
                self.found.fault(format!("household row {row} has an order and an exclusion"));
            }
            (Some(order), None, Outcome::Due(amount)) => {
                if let Err(what) = self.order(household, order, amount) {
                    let id = order.i64(0).unwrap_or(0);
                    self.found.fault(format!("order {id}: {what}"));
                }
            }
            (Some(order), None, Outcome::Excluded(reason)) => {
                let id = order.i64(0).unwrap_or(0);
                self.found.fault(format!("order {id}: the list excludes household row {row} for {reason}"));
            }
            (None, Some(reason), Outcome::Excluded(derived)) => {
                if reason != derived.as_str() {
                    self.found.fault(format!("exclusion of row {row}: the list gives {derived}"));
                }
            }
            // Barred by an order of another run or programme.
            (None, Some(reason), Outcome::Due(amount)) => {
                if reason != "already_ordered" && reason != ExclusionReason::OtherProgramme.as_str() {
                    self.found.fault(format!("exclusion of row {row}: the list gives {amount:#}"));
                }
            }
        }
    }

    fn order(&mut self, household: &Household, order: &Fields<'_>, amount: Centimes) -> Result<(), String> {
        let read = |error: StoreError| error.to_string();
        let id = order.i64(0).map_err(read)?;
        let entitled = order.i64(8).map_err(read)?;
        if entitled != amount.get() {
            return Err(format!("{:#} is ordered as due, the list gives {amount}", Centimes::new(entitled)));
        }
        let kept_back = self.kept_back.get(&id).copied().unwrap_or(0);
        if order.i64(9).map_err(read)? != kept_back {
            return Err(format!("instalments keep {:#} back", Centimes::new(kept_back)));
        }
        if order.i64(10).map_err(read)? != entitled - kept_back {
            return Err("the amount is not what is due less what is kept back".into());
        }
        if order.raw(11).map_err(read)? != household.id.as_str().as_bytes() {
            return Err(format!("it is of another household than row {} of the list", household.row));
        }
        if order.i32(2).map_err(read)? != i32::from(household.place.0) {
            return Err("the list has another place".into());
        }
        if order.i32(3).map_err(read)? != self.period || order.i16(5).map_err(read)? != 1 {
            return Err("it is of another month or attempt than its run".into());
        }
        self.bytes.clear();
        encode_components(self.assessment.components(), &mut self.bytes);
        if order.raw(12).map_err(read)? != self.bytes {
            return Err("the list gives other reasons for the amount".into());
        }
        let payee = order.raw(13).map_err(read)?;
        if !self.pays(household, payee) {
            return Err(format!("it pays another payee than row {} of the list names", household.row));
        }
        Ok(())
    }

    /// Whether an order's payee is the list's, in either way of writing names: its provider may write them otherwise by now.
    fn pays(&mut self, household: &Household, payee: &[u8]) -> bool {
        ArabicNames::ALL.iter().any(|names| {
            payee_as_written(household, *names, &mut self.payee);
            personal::encode_order_payee(&self.payee, &mut self.bytes);
            payee == self.bytes
        })
    }

    /// An order whose household is not in the list, or stands there twice.
    pub fn stray(&mut self, order: &Fields<'_>) {
        let id = order.i64(0).map_or_else(|_| "without a number".to_owned(), |id| id.to_string());
        self.found.fault(format!("order {id} is of no household in the list"));
    }
}
