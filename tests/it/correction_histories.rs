//! Random histories of lists: for each household and month, what was ordered and found since, less what was found undue, is what
//! the last word about that month grants, whatever came between, and whoever asks again finds nothing.
//!
//! The model here says once more, from the list of lists alone, what each month is known as and what it grants; it shares no
//! code with the engine. Thousands of histories run over the engine's pure judgement, a few over the whole engine.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use sarf::config::Config;
use sarf::domain::correction::amount::{Open, Standing, reverse};
use sarf::domain::correction::persons::{Place, weigh};
use sarf::domain::correction::{Asked, Facts, MovedRule, restate, same_month};
use sarf::domain::household::{Member, Score, Sex};
use sarf::domain::ids::{CaseId, Code, RunId, SnapshotId};
use sarf::domain::money::Centimes;
use sarf::domain::period::Period;
use sarf::domain::person::Idcs;
use sarf::domain::run::RunState;
use sarf::pipeline::Applied;
use sarf::pipeline::orders::correction::{self, Found};
use time::Date;

use crate::harness::{Bed, PREPARER, Registry, config_folder};

const HOUSEHOLDS: usize = 5;
const MONTHS_BACK: i32 = 3;
const WINDOW: i32 = 6;

/// A person's dates: months of birth and death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Dates {
    born: i32,
    died: Option<i32>,
}

/// A household's row in a list.
#[derive(Clone, Debug, Default)]
struct Row {
    excluded: bool,
    /// Its own row is rejected: the list does not have it, and does not say that it is gone.
    rejected: bool,
    members: BTreeMap<u32, Dates>,
    members_rejected: u16,
}

/// A list of a month: households that are not in it left it.
#[derive(Clone, Debug)]
struct List {
    month: i32,
    rows: BTreeMap<usize, Row>,
    /// MAD for a small child, by the rules that are in force when the list is asked.
    child: i64,
}

fn first_month() -> i32 {
    "2026-07".parse::<Period>().expect("a month").index()
}

// The world that lists tell of, with all that lists do to it.

struct World {
    rng: ChaCha8Rng,
    month: i32,
    persons: Vec<(Dates, BTreeSet<usize>)>,
    excluded: BTreeSet<usize>,
    child: i64,
}

impl World {
    fn history(seed: u64, lists: usize) -> Vec<List> {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        let month = first_month() - 1;
        let mut world = Self { rng, month, persons: Vec::new(), excluded: BTreeSet::new(), child: 300 };
        for _ in 0..6 {
            world.birth();
        }
        (0..lists).map(|n| world.list(n)).collect()
    }

    fn below(&mut self, n: u64) -> u64 {
        self.rng.next_u64() % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn home(&mut self) -> usize {
        self.below(HOUSEHOLDS as u64) as usize
    }

    fn birth(&mut self) {
        let born = self.month + 1 - self.below(10) as i32;
        let home = BTreeSet::from([self.home()]);
        self.persons.push((Dates { born, died: None }, home));
    }

    fn happen(&mut self) {
        for _ in 0..1 + self.below(3) {
            let who = self.below(self.persons.len() as u64) as usize;
            let home = self.home();
            let back = self.below(5) as i32;
            let month = self.month;
            match self.below(9) {
                0 | 1 => self.birth(),
                2 | 3 => {
                    let dates = &mut self.persons[who].0;
                    dates.died = Some((month - back).max(dates.born));
                }
                4 => self.persons[who].0.died = None,
                5 | 6 => self.persons[who].1 = BTreeSet::from([home]),
                7 => {
                    let dates = &mut self.persons[who].0;
                    dates.born = (dates.born + 2 - back).min(dates.died.unwrap_or(i32::MAX));
                }
                _ if self.persons[who].1.len() > 1 => drop(self.persons[who].1.pop_first()),
                _ => drop(self.persons[who].1.insert(home)),
            }
        }
        if self.one_in(6) && !self.excluded.remove(&1) {
            self.excluded.insert(1);
        }
        if self.one_in(7) {
            self.child = if self.child == 300 { 320 } else { 300 };
        }
    }

    /// The next month's list, or one of the last months' sent again.
    fn list(&mut self, number: usize) -> List {
        let again = number > 1 && self.one_in(4);
        if !again {
            self.month += 1;
        }
        self.happen();
        let month = if again { self.month - self.below(3).min(number as u64 / 2) as i32 } else { self.month };
        let month = month.max(first_month());
        let mut rows = BTreeMap::new();
        for home in 0..HOUSEHOLDS {
            if number > 0 && self.one_in(12) {
                continue;
            }
            let mut row = Row { excluded: self.excluded.contains(&home), ..Row::default() };
            row.rejected = number > 0 && self.one_in(15);
            for person in 0..self.persons.len() {
                let (dates, homes) = &self.persons[person];
                if dates.born > month || !homes.contains(&home) {
                    continue;
                }
                let dates = *dates;
                if self.one_in(10) {
                    row.members_rejected += 1;
                } else if !self.one_in(10) {
                    row.members.insert(person as u32, dates);
                }
            }
            rows.insert(home, row);
        }
        List { month, rows, child: self.child }
    }
}

// The model: what each month is known as, and what it grants.

#[derive(Clone, Debug, Default)]
struct Known {
    excluded: bool,
    members: BTreeMap<u32, Dates>,
    rejected: usize,
}

/// In MAD. Each household has a small child beside the persons of the history.
fn grants(known: Option<&Known>, month: i32, child: i64) -> i64 {
    let Some(known) = known.filter(|k| !k.excluded) else { return 0 };
    let alive = |d: &&Dates| d.born <= month && d.died.is_none_or(|died| died >= month);
    let children = 1 + known.members.values().filter(alive).count() as i64;
    (child * children.min(3) + 36 * (children - 3).clamp(0, 3)).max(500)
}

#[derive(Default)]
struct Model {
    known: BTreeMap<(i32, usize), Option<Known>>,
    granted: BTreeMap<(i32, usize), i64>,
    paid: BTreeSet<i32>,
}

impl Model {
    fn hear(&mut self, list: &List, rule: MovedRule) {
        for month in list.month - MONTHS_BACK..=list.month {
            if !self.paid.contains(&month) {
                continue;
            }
            let before: BTreeMap<usize, Option<Known>> =
                (0..HOUSEHOLDS).map(|h| (h, self.known[&(month, h)].clone())).collect();
            for home in 0..HOUSEHOLDS {
                let row = list.rows.get(&home);
                let known = if month == list.month {
                    if row.is_some_and(|r| r.rejected) {
                        continue;
                    }
                    row.map(|row| of_own_month(row, before[&home].as_ref()))
                } else {
                    let (Some(was), Some(row)) = (&before[&home], row.filter(|r| !r.rejected)) else {
                        continue;
                    };
                    Some(later_word(home, month, was, row, &before, list, rule))
                };
                self.granted.insert((month, home), grants(known.as_ref(), month, list.child));
                self.known.insert((month, home), known);
            }
        }
        if self.paid.insert(list.month) {
            for home in 0..HOUSEHOLDS {
                let row = list.rows.get(&home).filter(|r| !r.rejected);
                let known = row.map(|row| of_own_month(row, None));
                self.granted.insert((list.month, home), grants(known.as_ref(), list.month, list.child));
                self.known.insert((list.month, home), known);
            }
        }
    }
}

fn of_own_month(row: &Row, before: Option<&Known>) -> Known {
    let mut members = row.members.clone();
    if let Some(before) = before.filter(|_| row.members_rejected > 0) {
        for (person, dates) in &before.members {
            members.entry(*person).or_insert(*dates);
        }
    }
    Known { excluded: row.excluded, members, rejected: row.members_rejected.into() }
}

fn later_word(
    home: usize,
    month: i32,
    was: &Known,
    row: &Row,
    before: &BTreeMap<usize, Option<Known>>,
    list: &List,
    rule: MovedRule,
) -> Known {
    let others = |person: u32| {
        let holds = move |h: usize| before[&h].as_ref().is_some_and(|k| k.members.contains_key(&person));
        let lists = move |h: usize| {
            list.rows.get(&h).filter(|r| !r.rejected).and_then(|r| r.members.get(&person)).copied()
        };
        (holds, lists)
    };
    // Where the month goes, if it goes with the person.
    let goes_to = |person: u32| {
        let (holds, lists) = others(person);
        let holders: Vec<usize> = (0..HOUSEHOLDS).filter(|h| holds(*h)).collect();
        let listers: Vec<usize> = (0..HOUSEHOLDS).filter(|h| lists(*h).is_some()).collect();
        let gone = holders.iter().all(|h| {
            let speaks = list.rows.get(h).is_some_and(|r| !r.rejected && r.members_rejected == 0);
            speaks && !listers.contains(h)
        });
        let to = (listers.len() == 1).then(|| listers[0]).filter(|h| before[h].is_some());
        to.filter(|_| rule == MovedRule::Later && !holders.is_empty() && gone)
    };
    let mut members = BTreeMap::new();
    for (person, dates) in &was.members {
        let (holds, lists) = others(*person);
        let said = match row.members.get(person) {
            Some(own) => Some(*own),
            None => {
                let kept_by = (0..HOUSEHOLDS).any(|h| h != home && holds(h) && lists(h).is_some());
                if kept_by && row.members_rejected == 0 || goes_to(*person).is_some() {
                    continue;
                }
                let rows: Vec<Dates> = (0..HOUSEHOLDS).filter_map(lists).collect();
                rows.first().copied().filter(|first| rows.iter().all(|r| r == first))
            }
        };
        members.insert(*person, said.unwrap_or(*dates));
    }
    let mut mended = 0;
    for (person, dates) in &row.members {
        if was.members.contains_key(person) || dates.born > month {
            continue;
        }
        let (holds, _) = others(*person);
        let counted = (0..HOUSEHOLDS).any(holds);
        let late = dates.born >= list.month - WINDOW;
        let comes = match counted {
            true => goes_to(*person) == Some(home),
            false => late || was.rejected > 0,
        };
        if comes {
            members.insert(*person, *dates);
            mended += usize::from(!counted && !late);
        }
    }
    Known { excluded: was.excluded, members, rejected: was.rejected.saturating_sub(mended) }
}

// The engine's pure judgement, over the same lists.

fn born_on(month: i32) -> Date {
    Period::from_index(month).expect("a month").first_day().replace_day(10).expect("a day")
}

fn died_on(month: i32) -> Date {
    Period::from_index(month).expect("a month").first_day().replace_day(20).expect("a day")
}

fn idcs(person: u32) -> Idcs {
    Idcs::from_stem(300_000_000 + person)
}

fn facts_of(row: &Row) -> Facts {
    let member = |(person, dates): (&u32, &Dates)| Member {
        idcs: idcs(*person),
        birth_date: born_on(dates.born),
        sex: Sex::Female,
        in_school: false,
        school_cycle: None,
        school_sector: None,
        father_orphan: false,
        severe_disability: false,
        in_institution: false,
        deceased_on: dates.died.map(died_on),
    };
    Facts {
        attributes: Default::default(),
        rsu_score: Score(1),
        head_resident: true,
        excluded_by: row.excluded.then(|| Code::parse("pension").expect("a code")),
        members: row.members.iter().map(member).collect(),
        members_rejected: row.members_rejected,
    }
}

fn assess(facts: Option<&Facts>, month: i32, child: i64) -> Centimes {
    let period = Period::from_index(month).expect("a month");
    let counts = |m: &&Member| {
        m.birth_date <= period.last_day() && m.deceased_on.is_none_or(|day| day >= period.first_day())
    };
    let known = facts.map(|f| Known {
        excluded: f.excluded_by.is_some(),
        members: (0..)
            .zip(f.members.iter().filter(counts).map(|_| Dates { born: month, died: None }))
            .collect(),
        rejected: 0,
    });
    Centimes::from_mad(grants(known.as_ref(), month, child))
}

/// The engine's books of one month of a household.
struct Books {
    facts: Option<Facts>,
    order: Centimes,
    found: Centimes,
    assessed: Centimes,
    arrears: Centimes,
    undue: Centimes,
    cases: Vec<Open>,
}

#[derive(Default)]
struct Pure {
    books: BTreeMap<(i32, usize), Books>,
    paid: BTreeSet<i32>,
}

impl Pure {
    /// Hears a list: how many months of households differ in money.
    fn hear(&mut self, list: &List, rule: MovedRule) -> usize {
        let mut differs = 0;
        for month in list.month - MONTHS_BACK..=list.month {
            if !self.paid.contains(&month) {
                continue;
            }
            let elsewhere = self.elsewhere(month, list, rule);
            for home in 0..HOUSEHOLDS {
                let row = list.rows.get(&home);
                let books = self.books.get_mut(&(month, home)).expect("books");
                let facts = if month == list.month {
                    if row.is_some_and(|r| r.rejected) {
                        continue;
                    }
                    row.map(|row| same_month(books.facts.as_ref(), facts_of(row)))
                } else {
                    let (Some(was), Some(row)) = (&books.facts, row.filter(|r| !r.rejected)) else {
                        continue;
                    };
                    let asked = Asked {
                        month: Period::from_index(month).expect("a month"),
                        born_from: Period::from_index(list.month - WINDOW).expect("a month").first_day(),
                        elsewhere: elsewhere.get(&home).map_or(&[], Vec::as_slice),
                    };
                    Some(restate(was.clone(), &facts_of(row), &asked).facts)
                };
                differs += usize::from(books.put_right(facts, month, list.child));
            }
        }
        if self.paid.insert(list.month) {
            for home in 0..HOUSEHOLDS {
                let facts = list.rows.get(&home).filter(|r| !r.rejected).map(facts_of);
                let order = assess(facts.as_ref(), list.month, list.child);
                let (arrears, undue) = (Centimes::ZERO, Centimes::ZERO);
                let books =
                    Books { facts, order, found: order, assessed: order, arrears, undue, cases: Vec::new() };
                self.books.insert((list.month, home), books);
            }
        }
        differs
    }

    fn elsewhere(
        &self,
        month: i32,
        list: &List,
        rule: MovedRule,
    ) -> BTreeMap<usize, Vec<(Idcs, sarf::domain::correction::persons::Bearing)>> {
        let mut places: BTreeMap<u64, Vec<Place<usize>>> = BTreeMap::new();
        for home in 0..HOUSEHOLDS {
            let facts = self.books[&(month, home)].facts.as_ref();
            let row = list.rows.get(&home).filter(|r| !r.rejected);
            let later = row.map(facts_of);
            let known = facts.into_iter().chain(later.as_ref());
            let ids: BTreeSet<u64> = known.flat_map(|f| f.members.iter().map(|m| m.idcs.reveal())).collect();
            for id in ids {
                let of = Idcs::from_stored(id);
                let place = Place {
                    household: home,
                    counted: facts.is_some_and(|f| f.member(of).is_some()),
                    in_month: facts.is_some(),
                    row: later.as_ref().and_then(|f| f.member(of)).copied(),
                    speaks: row.is_some_and(|r| r.members_rejected == 0),
                };
                places.entry(id).or_default().push(place);
            }
        }
        let mut found: BTreeMap<usize, Vec<_>> = BTreeMap::new();
        for (id, places) in places.iter().filter(|(_, places)| places.len() > 1) {
            for (home, bearing) in weigh(places, rule) {
                found.entry(home).or_default().push((Idcs::from_stored(*id), bearing));
            }
        }
        found
    }
}

impl Books {
    fn put_right(&mut self, facts: Option<Facts>, month: i32, child: i64) -> bool {
        self.facts = facts;
        let assessed = assess(self.facts.as_ref(), month, child);
        let due = Standing { found: self.found, assessed: self.assessed }.due(assessed);
        if due == self.found {
            return false;
        }
        if due > self.found {
            let (reversals, left) = reverse(due - self.found, &mut self.cases, false);
            self.arrears += left;
            self.undue = self.undue - reversals.iter().map(|r| r.sum()).sum();
        } else {
            let outstanding = self.found - due;
            let case = CaseId::new(self.cases.len() as i64 + 1);
            self.undue += outstanding;
            self.cases.insert(0, Open { case, outstanding, written_off: Centimes::ZERO });
        }
        (self.found, self.assessed) = (due, assessed);
        true
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_found_is_what_the_last_word_grants(seed in any::<u64>(), later in any::<bool>()) {
        let rule = if later { MovedRule::Later } else { MovedRule::Earlier };
        let (mut model, mut engine) = (Model::default(), Pure::default());
        for list in World::history(seed, 9) {
            model.hear(&list, rule);
            engine.hear(&list, rule);
            for (key, books) in &engine.books {
                let granted = Centimes::from_mad(model.granted[key]);
                prop_assert_eq!(books.found, granted, "{:?}", key);
                prop_assert_eq!(books.order + books.arrears - books.undue, granted, "{:?}", key);
                let owed: Centimes = books.cases.iter().map(|c| c.outstanding).sum();
                prop_assert_eq!(owed, books.undue);
            }
            prop_assert_eq!(engine.hear(&list, rule), 0, "the same list again");
        }
    }
}

// The whole engine.

fn write(bed: &Bed, list: &List, number: usize) -> std::path::PathBuf {
    let mut registry = Registry::default();
    for home in 0..HOUSEHOLDS {
        registry.household();
        // No two lists are the same content.
        registry.set(home, &[("commune", &format!("Commune {number}"))]);
        let Some(row) = list.rows.get(&home) else {
            registry.leave_out(home);
            continue;
        };
        if row.excluded {
            registry.set(home, &[("excluded_by", "pension")]);
        }
        if row.rejected {
            registry.set(home, &[("rsu_score", "none")]);
        }
        for (person, dates) in &row.members {
            let died = dates.died.map_or_else(String::new, |month| died_on(month).to_string());
            let (id, born) = (idcs(*person).reveal().to_string(), born_on(dates.born).to_string());
            registry.add_member_with(home, &[("idcs", &id), ("birth_date", &born), ("deceased_on", &died)]);
        }
        for n in 0..row.members_rejected {
            let id = idcs(9_000 + u32::from(n)).reveal().to_string();
            registry.add_member_with(home, &[("idcs", &id), ("birth_date", "2026-13-01")]);
        }
    }
    let folder = bed.home().join(format!("list-{number}"));
    registry.write_for(&folder, Period::from_index(list.month).expect("a month"));
    folder
}

/// The configuration in the tree, with another amount for a small child.
pub(crate) fn rules(child: i64) -> Config {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("sarf-rules-{}-{number}", std::process::id()));
    let from = config_folder();
    for part in ["", "calendars", "programmes", "providers"] {
        std::fs::create_dir_all(folder.join(part)).expect("a folder");
        for entry in std::fs::read_dir(from.join(part)).expect("a folder").flatten() {
            if entry.path().is_file() {
                std::fs::copy(entry.path(), folder.join(part).join(entry.file_name())).expect("copied");
            }
        }
    }
    let dss = folder.join("programmes/dss.toml");
    let text = std::fs::read_to_string(&dss).expect("the rules");
    std::fs::write(&dss, text.replace("amount = \"300.00\"", &format!("amount = \"{child}.00\"")))
        .expect("written");
    let config = Config::read(&folder).expect("the rules can be used");
    std::fs::remove_dir_all(&folder).expect("removed");
    config
}

async fn correct(bed: &Bed, list: SnapshotId) -> Applied<Found> {
    correction::create(&bed.context, list, None, PREPARER).await.expect("looked at")
}

async fn found(bed: &Bed, runs: &BTreeMap<i32, RunId>) -> BTreeMap<(i32, usize), i64> {
    let mut found = BTreeMap::new();
    for (month, run) in runs {
        for home in 0..HOUSEHOLDS {
            let sql = format!(
                "select (coalesce((select sum(entitled) from payment_order_{run} where household_id = 'H{home:06}'), 0)
                       + coalesce((select sum(difference) from correction where household_id = 'H{home:06}' and period = {month}), 0))::bigint",
                home = home + 1
            );
            found.insert((*month, home), bed.number(&sql).await / 100);
        }
    }
    found
}

async fn a_history(seed: u64, rule: MovedRule) {
    let Some(mut bed) = Bed::with(|config| config.settings.corrections.moved = rule).await else { return };
    let mut model = Model::default();
    let (mut runs, mut child) = (BTreeMap::<i32, RunId>::new(), 300);
    for (number, list) in World::history(seed, 8).iter().enumerate() {
        if list.child != child {
            child = list.child;
            bed.change(|config| config.programmes = rules(child).programmes);
        }
        let folder = write(&bed, list, number);
        let id = bed.import(&folder).await;
        model.hear(list, rule);
        if let Found::Run(run) = correct(&bed, id).await.into_inner() {
            bed.take_to(run, RunState::Settling).await;
        }
        if let Entry::Vacant(unpaid) = runs.entry(list.month) {
            let run = bed.create(id).await;
            bed.take_to(run, RunState::Settling).await;
            unpaid.insert(run);
        }
        assert_eq!(found(&bed, &runs).await, model.granted, "seed {seed}, list {number}");
        let again = correct(&bed, id).await;
        assert!(
            matches!(again, Applied::Already(_) | Applied::Now(Found::Nothing(_))),
            "seed {seed}, list {number}: {again:?}"
        );
    }
    // What orders and cases say of each household is what was found.
    let differing = bed
        .rows(
            "with f as (select household_id, sum(greatest(difference, 0) - off_case) as arrears, sum(greatest(-difference, 0) - off_case) as undue
                          from correction group by 1),
                  o as (select o.household_id, sum(o.entitled) as arrears from payment_order o join run r on r.id = o.order_id >> 32
                         where r.kind = 'correction' group by 1),
                  k as (select household_id, sum(amount - reversed) as undue from recovery_case group by 1)
             select concat_ws(' ', household_id, f.arrears, o.arrears, f.undue, k.undue)
               from f left join o using (household_id) left join k using (household_id)
              where f.arrears <> coalesce(o.arrears, 0) or f.undue <> coalesce(k.undue, 0)",
        )
        .await;
    assert_eq!(differing, Vec::<String>::new(), "seed {seed}");
    bed.verify_all_holds().await;
    bed.end().await;
}

/// With `HISTORIES=N`, so many of them.
#[tokio::test(flavor = "multi_thread")]
async fn the_whole_engine_finds_what_the_last_word_grants() {
    let histories = std::env::var("HISTORIES").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    for seed in 1..=histories {
        let rule = if seed % 2 == 0 { MovedRule::Later } else { MovedRule::Earlier };
        a_history(seed, rule).await;
    }
}
