//! Comparison with the previous regular run, worked out in the same pass that makes the orders.

use std::collections::BTreeMap;

use crate::domain::household::Place;
use crate::domain::money::Centimes;
use crate::domain::name::fold_into;
use crate::store::StoreError;
use crate::store::orders::EarlierOrder;
use crate::store::orders::personal::{self, OrderPayee};
use crate::store::runs::checks::ComparisonLine;

/// An order of this run, as it is compared.
#[derive(Clone, Copy, Debug)]
pub struct Now<'a> {
    /// Amount.
    pub amount: Centimes,
    /// Provider number.
    pub provider: i16,
    /// Place in this snapshot.
    pub place: u16,
    /// Payee.
    pub payee: &'a OrderPayee,
}

/// Collects the comparison by region, province and provider.
#[derive(Debug)]
pub struct Comparison {
    regions: Grouped,
    provinces: Grouped,
    provider_names: BTreeMap<i16, String>,
    all: ComparisonLine,
    by_provider: BTreeMap<i16, ComparisonLine>,
    scratch: OrderPayee,
}

/// Households by a name that places of both lists bear.
#[derive(Debug)]
struct Grouped {
    /// Number of the name, for each place, before and now.
    before: Vec<u16>,
    now: Vec<u16>,
    labels: Vec<String>,
    lines: Vec<ComparisonLine>,
}

impl Grouped {
    /// Groups places by `label`; spellings that differ in case, accents or hyphens are one name, shown as it is now.
    fn by(before: &[Place], now: &[Place], label: fn(&Place) -> String) -> Self {
        let key = |place: &Place| {
            let (text, mut folded) = (label(place), String::new());
            fold_into(&text, text.len() * 4, &mut folded);
            folded.retain(|c| c.is_ascii_alphanumeric());
            folded.make_ascii_lowercase();
            if folded.is_empty() { text } else { folded }
        };
        let mut names: BTreeMap<String, String> = BTreeMap::new();
        for place in now.iter().chain(before) {
            names.entry(key(place)).or_insert_with(|| label(place));
        }
        let numbers: BTreeMap<&str, u16> = names.keys().map(String::as_str).zip(0..).collect();
        let number = |place: &Place| numbers.get(key(place).as_str()).copied().unwrap_or(0);
        Self {
            before: before.iter().map(number).collect(),
            now: now.iter().map(number).collect(),
            lines: vec![ComparisonLine::default(); names.len().max(1)],
            labels: names.into_values().collect(),
        }
    }

    fn enter(&mut self, figures: Figures, before: Option<u16>, now: Option<u16>) {
        let of = |numbers: &[u16], place: u16| numbers.get(usize::from(place)).copied().unwrap_or(0);
        let (before, now) = (before.map(|p| of(&self.before, p)), now.map(|p| of(&self.now, p)));
        for (number, part) in figures.split(before, now) {
            part.enter(&mut self.lines[usize::from(number)]);
        }
    }
}

impl Comparison {
    /// That of a run that is compared with none.
    pub fn none() -> Self {
        Self::new(&[], &[], BTreeMap::new())
    }

    /// Prepares for places of the earlier snapshot and of this one, and provider names by number.
    pub fn new(before: &[Place], now: &[Place], provider_names: BTreeMap<i16, String>) -> Self {
        Self {
            regions: Grouped::by(before, now, |place| place.region.clone()),
            provinces: Grouped::by(before, now, |place| format!("{} ({})", place.province, place.region)),
            provider_names,
            all: ComparisonLine::default(),
            by_provider: BTreeMap::new(),
            scratch: OrderPayee { name: String::new(), account: String::new(), phone: None },
        }
    }

    /// A household that has an order in either run, or in both.
    ///
    /// # Errors
    /// When the earlier payee cannot be read back.
    pub fn add(&mut self, before: Option<&EarlierOrder>, now: Option<Now<'_>>) -> Result<(), StoreError> {
        let (mut amount_changed, mut account_changed) = (false, false);
        if let (Some(before), Some(now)) = (before, now) {
            amount_changed = before.amount != now.amount;
            personal::decode_order_payee(&before.payee, &mut self.scratch)?;
            account_changed =
                self.scratch.account != now.payee.account || self.scratch.phone != now.payee.phone;
        }
        let figures = Figures {
            before: before.map(|b| b.amount),
            now: now.map(|n| n.amount),
            amount_changed,
            account_changed,
        };
        figures.enter(&mut self.all);
        let (place_before, place_now) = (before.map(|b| b.place), now.map(|n| n.place));
        self.regions.enter(figures, place_before, place_now);
        self.provinces.enter(figures, place_before, place_now);
        for (provider, part) in figures.split(before.map(|b| b.provider), now.map(|n| n.provider)) {
            part.enter(self.by_provider.entry(provider).or_default());
        }
        Ok(())
    }

    /// All lines, the whole first.
    pub fn finish(self) -> Vec<ComparisonLine> {
        let named = |dimension: &str, label: &str, line: ComparisonLine| ComparisonLine {
            dimension: dimension.into(),
            label: label.into(),
            ..line
        };
        let mut lines = vec![named("all", "all", self.all)];
        let used = |line: &ComparisonLine| line.before_households + line.after_households > 0;
        for (dimension, grouped) in [("region", self.regions), ("province", self.provinces)] {
            for (name, line) in grouped.labels.iter().zip(grouped.lines).filter(|(_, l)| used(l)) {
                lines.push(named(dimension, name, line));
            }
        }
        for (provider, line) in self.by_provider {
            let name = self.provider_names.get(&provider).map_or("none", String::as_str);
            lines.push(named("provider", name, line));
        }
        lines
    }
}

#[derive(Clone, Copy)]
struct Figures {
    before: Option<Centimes>,
    now: Option<Centimes>,
    amount_changed: bool,
    account_changed: bool,
}

impl Figures {
    fn enter(self, line: &mut ComparisonLine) {
        if let Some(amount) = self.before {
            line.before_households += 1;
            line.before_amount += amount.get();
        }
        if let Some(amount) = self.now {
            line.after_households += 1;
            line.after_amount += amount.get();
        }
        line.joined += i64::from(self.before.is_none());
        line.left += i64::from(self.now.is_none());
        line.amount_changed += i64::from(self.amount_changed);
        line.account_changed += i64::from(self.account_changed);
    }

    /// A household that moved leaves one group and joins the other; what changed for it counts where it is now.
    fn split<K: PartialEq + Copy>(
        self,
        before: Option<K>,
        now: Option<K>,
    ) -> impl Iterator<Item = (K, Self)> {
        let whole = before == now;
        let left = Self { now: None, amount_changed: false, account_changed: false, ..self };
        let gone = before.filter(|_| !whole).map(|k| (k, left));
        let come = now.map(|k| (k, if whole { self } else { Self { before: None, ..self } }));
        gone.into_iter().chain(come)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{HouseholdId, OrderId};

    #[test]
    fn counts_joiners_leavers_movers_and_changes() {
        let place = |region: &str| Place { region: region.into(), province: "P".into(), ..Place::default() };
        let payee = |account: &str| OrderPayee { name: "A".into(), account: account.into(), phone: None };
        let before = |amount, provider, place, account: &str| {
            let mut bytes = Vec::new();
            personal::encode_order_payee(&payee(account), &mut bytes);
            EarlierOrder {
                household: HouseholdId::parse(b"H").unwrap(),
                amount: Centimes::new(amount),
                provider,
                place,
                payee: bytes,
                order: OrderId::new(1),
            }
        };
        let mut comparison =
            Comparison::new(&[place("N"), place("s")], &[place("S"), place("N")], [(1, "p1".into())].into());
        let (same, other) = (payee("1"), payee("2"));
        let now =
            |amount, provider, place, payee| Now { amount: Centimes::new(amount), provider, place, payee };
        comparison.add(Some(&before(10, 1, 0, "1")), Some(now(10, 1, 1, &same))).unwrap();
        comparison.add(Some(&before(10, 1, 0, "1")), Some(now(12, 2, 0, &other))).unwrap();
        comparison.add(Some(&before(5, 1, 1, "1")), None).unwrap();
        comparison.add(None, Some(now(7, 1, 0, &same))).unwrap();
        let lines = comparison.finish();
        let row = |l: &ComparisonLine| {
            (
                l.label.clone(),
                l.before_households,
                l.before_amount,
                l.after_households,
                l.after_amount,
                l.joined,
                l.left,
                l.amount_changed,
                l.account_changed,
            )
        };
        let rows: Vec<_> = lines.iter().map(row).collect();
        assert_eq!(
            rows,
            [
                ("all".into(), 3, 25, 3, 29, 1, 1, 1, 1),
                ("N".into(), 2, 20, 1, 10, 0, 1, 0, 0),
                ("S".into(), 1, 5, 2, 19, 2, 1, 1, 1),
                ("P (N)".into(), 2, 20, 1, 10, 0, 1, 0, 0),
                ("P (S)".into(), 1, 5, 2, 19, 2, 1, 1, 1),
                ("p1".into(), 3, 25, 2, 17, 1, 2, 0, 0),
                ("none".into(), 0, 0, 1, 12, 1, 0, 1, 1),
            ]
        );
    }
}
