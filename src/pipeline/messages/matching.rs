//! Looks up what the names in a message name: orders with their facts, files, settlements.
//!
//! Guarantee: sets, never row by row; whatever a name looks like, it counts only where what it names confirms it. Which names
//! are tried, and what follows when they disagree, is said in [`crate::domain::references`].

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::apply::Applier;
use crate::domain::batch::BatchState;
use crate::domain::ids::{BatchId, Code, RunId};
use crate::domain::money::Centimes;
use crate::domain::order::EndToEndRef;
use crate::domain::references::{Named, Names, Uetr};
use crate::store::StoreError;
use crate::store::batches::{self, Batch, BatchFigures, batch_orders};
use crate::store::messages::feedback::{self, OrderFacts};
use crate::store::messages::settlements;
use crate::store::runs::{self, Run};

/// Orders of a file that are looked at together.
const ORDERS_AT_ONCE: i64 = 20_000;

/// Runs in which an order is looked for of which nothing but UETR and amount is known.
const RUNS_BY_UETR: i64 = 4;

/// Runs that are looked up one by one; of more, all that there are are asked for first.
const RUNS_ONE_BY_ONE: usize = 8;

/// What is known of orders, by run, ascending.
pub(super) type Facts = HashMap<RunId, Vec<OrderFacts>>;

/// A run, and a place among its facts.
pub(super) type Place = (RunId, usize);

/// A run, and a place among its batches.
pub(super) type FilePlace = (RunId, usize);

/// What a name of a file names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileTarget {
    /// A file of ours.
    Batch(FilePlace),
    /// A settlement file, by its place among the names known; it may not have come yet.
    Settlement(usize),
}

/// Files and settlements by name, as this message has met them.
#[derive(Debug, Default)]
pub(super) struct FileNames {
    by_name: HashMap<Box<str>, Option<FileTarget>>,
    /// Names of settlements, with their sums where the file has come.
    pub(super) settlements: Vec<(Box<str>, Option<Centimes>)>,
}

impl FileNames {
    /// What names of a file name together. A file of ours goes before a settlement, one that has come before one that has not.
    pub(super) fn named(&self, names: &Names) -> Named<FileTarget> {
        let found: Vec<FileTarget> =
            names.files().filter_map(|name| self.by_name.get(name).copied().flatten()).collect();
        let of = |which: &dyn Fn(&FileTarget) -> bool| Named::of(found.iter().copied().filter(|t| which(t)));
        let came = |target: &FileTarget| match target {
            FileTarget::Batch(_) => false,
            FileTarget::Settlement(at) => self.settlements[*at].1.is_some(),
        };
        match of(&|target| matches!(target, FileTarget::Batch(_))) {
            Named::Nothing => match of(&came) {
                Named::Nothing => found.first().map_or(Named::Nothing, |first| Named::One(*first)),
                named => named,
            },
            named => named,
        }
    }

    /// The file of ours that names name.
    pub(super) fn file(&self, names: &Names) -> Named<FilePlace> {
        match self.named(names) {
            Named::One(FileTarget::Batch(place)) => Named::One(place),
            Named::Disagree => Named::Disagree,
            _ => Named::Nothing,
        }
    }
}

/// A run as this message has met it.
pub(super) struct KnownRun {
    pub run: Run,
    pub programme: Code,
    pub batches: Vec<Batch>,
    /// Figures as they were when read, to tell what changed.
    pub before: HashMap<i64, (BatchState, BatchFigures)>,
}

/// What this message has met and looked up so far.
#[derive(Default)]
pub(super) struct Met {
    /// Providers for which this message alone speaks now.
    pub locked: BTreeSet<i16>,
    pub runs: BTreeMap<RunId, KnownRun>,
    /// The highest order of each run that this message has spoken of.
    pub highest_seen: HashMap<RunId, i64>,
    pub purposes: HashMap<i16, Code>,
    pub provider_codes: HashMap<String, i16>,
    /// Files and settlements by their names.
    pub file_names: FileNames,
    /// References of the orders of files by UETR, where one was asked for.
    pub uetrs: HashMap<BatchId, HashMap<Uetr, EndToEndRef>>,
    /// Numbers of all runs, where many were asked for.
    pub run_ids: Option<HashSet<RunId>>,
}

impl Applier<'_> {
    /// Facts of all orders that names may name.
    pub(super) async fn facts_of<'n>(
        &mut self,
        names: impl Iterator<Item = &'n Names> + Send,
    ) -> Result<Facts, StoreError> {
        let mut ids: BTreeMap<RunId, Vec<i64>> = BTreeMap::new();
        for order in names.flat_map(Names::orders).map(|reference| reference.order) {
            ids.entry(order.run()).or_default().push(order.get());
        }
        let mut facts = Facts::new();
        // Foreign names read as orders of runs that are not.
        let many = ids.len() > RUNS_ONE_BY_ONE;
        for (run, mut ids) in ids {
            if (many && !self.is_run(run).await?)
                || !self.know_run(run).await?
                || self.met.runs[&run].batches.is_empty()
            {
                continue;
            }
            ids.sort_unstable();
            ids.dedup();
            let mut found = self.facts(run, &ids).await?;
            let unlocked_providers: BTreeSet<i16> =
                found.iter().map(|f| f.provider).filter(|p| !self.met.locked.contains(p)).collect();
            if self.provider.is_none() && !unlocked_providers.is_empty() {
                for provider in unlocked_providers {
                    self.lock(provider).await?;
                }
                found = self.facts(run, &ids).await?;
            }
            facts.insert(run, found);
        }
        Ok(facts)
    }

    async fn is_run(&mut self, run: RunId) -> Result<bool, StoreError> {
        if self.met.run_ids.is_none() {
            self.met.run_ids = Some(runs::ids_in_tx(&mut self.tx).await?);
        }
        Ok(self.met.run_ids.as_ref().is_some_and(|ids| ids.contains(&run)))
    }

    /// The order that names name, at the provider that is spoken of. One whose number is there and whose check characters
    /// are not its own is mistyped: it names nothing for certain, and speaks against other names.
    pub(super) fn order_named(&self, names: &Names, facts: &Facts) -> Named<Place> {
        let (mut named, mut mistyped) = (Named::Nothing, Named::Nothing);
        for reference in names.orders() {
            let run = reference.order.run();
            let Some(of_run) = facts.get(&run) else { continue };
            let Ok(at) = of_run.binary_search_by_key(&reference.order, |f| f.order) else { continue };
            if self.provider.is_some_and(|p| p != of_run[at].provider) {
                continue;
            }
            let confirmed = self.is_named_by(&of_run[at], &reference);
            let slot = if confirmed { &mut named } else { &mut mistyped };
            *slot = slot.and((run, at));
        }
        match (named, mistyped) {
            (named, Named::Nothing) => named,
            (Named::One(place), Named::One(other)) if place == other => named,
            _ => Named::Disagree,
        }
    }

    /// Looks up what names of files name at the provider that is spoken of.
    pub(super) async fn look_up_files<'n>(
        &mut self,
        names: impl Iterator<Item = &'n Names> + Send,
    ) -> Result<(), StoreError> {
        let known = &self.met.file_names.by_name;
        let new: HashSet<Box<str>> =
            names.flat_map(Names::files).filter(|name| !known.contains_key(*name)).map(Into::into).collect();
        let (Some(provider), false) = (self.provider, new.is_empty()) else { return Ok(()) };
        let mut new: Vec<Box<str>> = new.into_iter().collect();
        new.sort_unstable();
        let texts: Vec<&str> = new.iter().map(|name| &**name).collect();
        let found = batches::named_in_tx(&mut self.tx, provider, &texts).await?;
        let sums = settlements::sums_in_tx(&mut self.tx, provider, &texts).await?;
        let streams = self.provider_streams();
        for name in new {
            let target = match found.get(&*name) {
                Some((run, id)) => {
                    self.know_run(*run).await?;
                    let at = self.met.runs.get(run).and_then(|k| k.batches.iter().position(|b| b.id == *id));
                    at.map(|at| FileTarget::Batch((*run, at)))
                }
                None => {
                    let sum = sums.get(&*name).copied();
                    (sum.is_some() || streams).then(|| {
                        self.met.file_names.settlements.push((name.clone(), sum));
                        FileTarget::Settlement(self.met.file_names.settlements.len() - 1)
                    })
                }
            };
            self.met.file_names.by_name.insert(name, target);
        }
        Ok(())
    }

    /// The order of a file that a UETR is of.
    pub(super) async fn of_uetr(
        &mut self,
        (run, at): FilePlace,
        uetr: Uetr,
    ) -> Result<Option<EndToEndRef>, StoreError> {
        let batch = self.met.runs[&run].batches[at].clone();
        if !self.met.uetrs.contains_key(&batch.id) {
            let known = self.uetrs_of(&batch).await?;
            self.met.uetrs.insert(batch.id, known);
        }
        Ok(self.met.uetrs[&batch.id].get(&uetr).copied())
    }

    /// References of orders at the provider that is spoken of by their UETRs, among those of the amounts given: in the newest
    /// runs, since a UETR cannot be looked up.
    pub(super) async fn by_uetr_and_amount(
        &mut self,
        wanted: &HashMap<Uetr, Centimes>,
    ) -> Result<HashMap<Uetr, EndToEndRef>, StoreError> {
        let mut found = HashMap::new();
        let (Some(provider), false) = (self.provider, wanted.is_empty()) else { return Ok(found) };
        let mut amounts: Vec<i64> = wanted.values().map(|amount| amount.get()).collect();
        amounts.sort_unstable();
        amounts.dedup();
        let mut text = String::with_capacity(36);
        for run in batches::newest_runs_in_tx(&mut self.tx, provider, RUNS_BY_UETR).await? {
            self.know_run(run).await?;
            let mut after = 0;
            while found.len() < wanted.len() {
                let ids = batch_orders::of_amounts_in_tx(
                    &mut self.tx,
                    run,
                    provider,
                    &amounts,
                    after,
                    ORDERS_AT_ONCE,
                );
                let ids = ids.await?;
                let Some(last) = ids.last() else { break };
                after = *last;
                for facts in feedback::facts_in_tx(&mut self.tx, run, &ids, Some(provider), false).await? {
                    let Some(names) = self.names(&facts) else { continue };
                    text.clear();
                    names.write_uetr(&mut text);
                    if let Some(uetr) = Uetr::parse(&text).filter(|uetr| wanted.contains_key(uetr)) {
                        found.entry(uetr).or_insert_with(|| names.reference(facts.order));
                    }
                }
            }
        }
        Ok(found)
    }

    async fn uetrs_of(&mut self, batch: &Batch) -> Result<HashMap<Uetr, EndToEndRef>, StoreError> {
        let (mut by_uetr, mut after, mut text) = (HashMap::new(), 0, String::with_capacity(36));
        loop {
            let ids = batch_orders::numbers_in_tx(&mut self.tx, batch, after, ORDERS_AT_ONCE).await?;
            let Some(last) = ids.last() else { return Ok(by_uetr) };
            after = *last;
            let of_batch = Some(batch.provider_id);
            for facts in feedback::facts_in_tx(&mut self.tx, batch.run, &ids, of_batch, false).await? {
                let Some(names) = self.names(&facts) else { continue };
                text.clear();
                names.write_uetr(&mut text);
                if let Some(uetr) = Uetr::parse(&text) {
                    by_uetr.insert(uetr, names.reference(facts.order));
                }
            }
        }
    }
}
