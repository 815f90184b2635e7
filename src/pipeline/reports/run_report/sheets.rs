//! What `summary.xlsx` shows: sheets of cells, apart from how they are drawn.

use std::collections::BTreeMap;

use time::Date;

use super::ReportError;
use super::figures::{ByState, Figures, Tally, merged, sum};
use super::pass::Codes;
use crate::domain::money::Centimes;
use crate::domain::order::OrderState;
use crate::store::batches::Batch;
use crate::store::orders::extracts::{Extracts, Sum, Sums};
use crate::store::runs::Run;
use crate::store::runs::checks::ComparisonLine;

/// A cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Text(String),
    Count(i64),
    Money(Centimes),
    Date(Date),
    Empty,
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Option<&String>> for Cell {
    fn from(text: Option<&String>) -> Self {
        text.map_or(Self::Empty, |t| Self::Text(t.clone()))
    }
}

/// A heading, in English and French.
pub(super) type Heading = (String, String);

/// A table with its headings and, where sums make sense, a last row of totals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sheet {
    pub name: &'static str,
    /// Facts above the table: what, and its value.
    pub facts: Vec<(&'static str, Cell)>,
    pub headings: Vec<Heading>,
    pub rows: Vec<Vec<Cell>>,
    pub totals: Option<Vec<Cell>>,
}

impl Sheet {
    fn new(name: &'static str, headings: &[(&str, &str)], rows: Vec<Vec<Cell>>) -> Self {
        let headings = headings.iter().map(|(e, f)| ((*e).to_owned(), (*f).to_owned())).collect();
        Self { name, facts: Vec::new(), headings, rows, totals: None }
    }

    /// Adds a row that sums the counts and amounts of all rows.
    fn with_totals(mut self) -> Self {
        let mut totals: Vec<Cell> = vec![Cell::Empty; self.headings.len()];
        for row in &self.rows {
            for (total, cell) in totals.iter_mut().zip(row) {
                *total = match (&*total, cell) {
                    (Cell::Count(a), Cell::Count(b)) => Cell::Count(a + b),
                    (Cell::Money(a), Cell::Money(b)) => Cell::Money(*a + *b),
                    (Cell::Empty, Cell::Count(_) | Cell::Money(_)) => cell.clone(),
                    _ => total.clone(),
                };
            }
        }
        totals[0] = "Total".into();
        self.totals = (!self.rows.is_empty()).then_some(totals);
        self
    }
}

/// Reads what the orders did not tell, and lays out all sheets.
pub(super) async fn read(
    extracts: &mut Extracts,
    run: &Run,
    figures: &Figures,
    codes: &Codes,
    comparison: Vec<ComparisonLine>,
) -> Result<Vec<Sheet>, ReportError> {
    let mut sums = BTreeMap::new();
    for (group, by) in [
        ("excluded", Sums::Exclusions),
        ("household row rejected", Sums::Rejections),
        ("member row rejected", Sums::RejectedMembers),
        ("held", Sums::OpenHolds),
        ("let go", Sums::ReleasedHolds),
        ("open", Sums::OpenBreaks),
        ("resolved", Sums::ResolvedBreaks),
    ] {
        sums.insert(group, extracts.sums(by, run.id, run.snapshot).await?);
    }
    let batches = extracts.batches(run.id).await?;
    let carried = extracts.carried_forward(run.id).await?.into_iter().map(|c| {
        vec![
            Cell::Text(c.subject),
            Cell::Count(c.orders),
            Cell::Money(c.amount),
            Cell::Text(c.reason),
            Cell::Text(c.by),
        ]
    });
    let headings = [
        ("What", "Objet"),
        ("Orders", "Ordres"),
        ("¤", "¤"),
        ("Reason", "Motif"),
        ("Carried by", "Reporté par"),
    ];
    let mut sheets = vec![summary(run, figures)];
    sheets.extend(pivots(figures, codes)?);
    sheets.push(reasons(figures, &sums));
    sheets.push(held(&sums));
    sheets.push(breaks(&sums));
    sheets.push(batches_sheet(&batches));
    sheets.push(compared(comparison));
    sheets.push(Sheet::new("Carried forward", &headings, carried.collect()));
    Ok(sheets)
}

const fn french(state: OrderState) -> &'static str {
    match state {
        OrderState::Planned => "prévu",
        OrderState::Held => "bloqué",
        OrderState::Cancelled => "annulé",
        OrderState::Released => "libéré",
        OrderState::Sent => "envoyé",
        OrderState::Unknown => "inconnu",
        OrderState::Accepted => "accepté",
        OrderState::Available => "disponible",
        OrderState::Settled => "réglé",
        OrderState::Collected => "retiré",
        OrderState::Rejected => "rejeté",
        OrderState::Returned => "retourné",
        OrderState::Expired => "expiré",
        OrderState::Reissued => "réémis",
    }
}

fn count(orders: u64) -> Cell {
    Cell::Count(i64::try_from(orders).expect("orders of a run are numbered in 32 bits"))
}

fn summary(run: &Run, figures: &Figures) -> Sheet {
    let rows = figures.states().into_iter().map(|(state, tally)| {
        vec![state.as_str().into(), french(state).into(), count(tally.orders), Cell::Money(tally.amount)]
    });
    let headings = [("State", "État"), ("In French", "En français"), ("Orders", "Ordres"), ("¤", "¤")];
    let mut sheet = Sheet::new("Summary", &headings, rows.collect()).with_totals();
    sheet.facts = vec![
        ("Run · Paie", Cell::Count(run.id.get())),
        ("Programme", run.programme.as_str().into()),
        ("Period · Période", Cell::Text(run.period.to_string())),
        ("Kind · Nature", run.kind.as_str().into()),
        ("State · État", run.state.as_str().into()),
        ("Snapshot · Liste", Cell::Count(run.snapshot.get())),
        ("Compared with run · Comparée à", run.compared_with.map_or(Cell::Empty, |id| Cell::Count(id.get()))),
        ("Prepared by · Préparée par", run.created_by.as_str().into()),
        ("Submitted by · Soumise par", run.submitted_by.as_ref().into()),
        ("Approved by · Approuvée par", run.approved_by.as_ref().into()),
        ("Funded by · Financée par", run.funded_by.as_ref().into()),
        ("Approved content, SHA-256 · Contenu approuvé", run.content_sha256.as_ref().into()),
        ("Households · Ménages", Cell::Count(run.households)),
        ("Exclusions", Cell::Count(run.exclusions)),
        ("Orders · Ordres", Cell::Count(run.orders)),
        ("Entitled, ¤ · Droits", Cell::Money(figures.entitled)),
        ("Kept back, ¤ · Retenues", Cell::Money(figures.offset)),
        ("Ordered, ¤ · Ordonné", Cell::Money(run.ordered)),
    ];
    sheet
}

/// One row a group: orders and amount, then the same for each of `states`.
fn pivot(
    name: &'static str,
    keys: &[(&str, &str)],
    groups: BTreeMap<Vec<String>, ByState>,
    states: &[OrderState],
) -> Sheet {
    let rows = groups.into_iter().map(|(key, by)| {
        let mut row: Vec<Cell> = key.into_iter().map(Cell::Text).collect();
        let tallies =
            std::iter::once(sum(&by)).chain(states.iter().map(|s| by.get(s).copied().unwrap_or_default()));
        row.extend(tallies.flat_map(|Tally { orders, amount }| [count(orders), Cell::Money(amount)]));
        row
    });
    let mut sheet = Sheet::new(name, keys, rows.collect());
    sheet.headings.extend([("Orders".into(), "Ordres".into()), ("¤".into(), "¤".into())]);
    for state in states {
        let (english, french) = (capital(state.as_str()), capital(french(*state)));
        sheet.headings.push((english.clone(), french.clone()));
        sheet.headings.push((format!("{english}, ¤"), format!("{french}, ¤")));
    }
    sheet.with_totals()
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn pivots(figures: &Figures, codes: &Codes) -> Result<[Sheet; 3], ReportError> {
    let mut providers = BTreeMap::new();
    for (number, by) in &figures.providers {
        providers.insert(vec![codes.provider(*number)?.to_owned()], by.clone());
    }
    let (mut regions, mut provinces) =
        (BTreeMap::<Vec<String>, ByState>::new(), BTreeMap::<Vec<String>, ByState>::new());
    for (index, by) in &figures.places {
        let place = codes
            .places
            .get(*index as usize)
            .ok_or(crate::store::StoreError::Corrupt("place of an order"))?;
        for (groups, key) in [
            (&mut regions, vec![place.region.clone()]),
            (&mut provinces, vec![place.region.clone(), place.province.clone()]),
        ] {
            let group = groups.entry(key).or_default();
            *group = merged([&*group, by].into_iter());
        }
    }
    let used: Vec<OrderState> = figures.states().into_keys().collect();
    let shown = [OrderState::Settled, OrderState::Held, OrderState::Rejected, OrderState::Returned];
    Ok([
        pivot("By provider", &[("Provider", "Prestataire")], providers, &used),
        pivot("By region", &[("Region", "Région")], regions, &shown),
        pivot("By province", &[("Region", "Région"), ("Province", "Province")], provinces, &shown),
    ])
}

type Groups = BTreeMap<&'static str, Vec<Sum>>;

fn reasons(figures: &Figures, sums: &Groups) -> Sheet {
    let mut rows = Vec::new();
    for (state, by) in &figures.reasons {
        let mut by: Vec<_> = by.iter().collect();
        by.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.orders));
        rows.extend(by.into_iter().map(|(reason, tally)| {
            let reason = if reason.is_empty() { "none given" } else { reason };
            vec![state.as_str().into(), reason.into(), count(tally.orders), Cell::Money(tally.amount)]
        }));
    }
    for group in ["excluded", "household row rejected", "member row rejected"] {
        rows.extend(
            sums.get(group)
                .into_iter()
                .flatten()
                .map(|s| vec![group.into(), s.label.as_str().into(), Cell::Count(s.count), Cell::Empty]),
        );
    }
    Sheet::new("Reasons", &[("What", "Objet"), ("Reason", "Motif"), ("Count", "Nombre"), ("¤", "¤")], rows)
}

fn grouped(name: &'static str, headings: &[(&str, &str)], sums: &Groups, groups: [&'static str; 2]) -> Sheet {
    let rows = groups
        .into_iter()
        .flat_map(|group| sums.get(group).into_iter().flatten().map(move |sum| (group, sum)));
    let rows = rows.map(|(group, s)| {
        vec![s.label.as_str().into(), group.into(), Cell::Count(s.count), Cell::Money(s.amount)]
    });
    Sheet::new(name, headings, rows.collect())
}

/// Without totals: an order with two reasons stands under each.
fn held(sums: &Groups) -> Sheet {
    let headings = [("Hold", "Blocage"), ("Now", "À présent"), ("Orders", "Ordres"), ("¤", "¤")];
    grouped("Holds by reason", &headings, sums, ["held", "let go"])
}

fn breaks(sums: &Groups) -> Sheet {
    let headings =
        [("Break", "Écart"), ("Now", "À présent"), ("Count", "Nombre"), ("¤ in question", "¤ en cause")];
    grouped("Breaks by kind", &headings, sums, ["open", "resolved"])
}

fn batches_sheet(batches: &[Batch]) -> Sheet {
    let rows = batches.iter().map(|b| {
        let figures = b.figures;
        vec![
            b.provider.as_str().into(),
            Cell::Count(b.wave.into()),
            Cell::Count(b.sequence.into()),
            b.file_name.as_ref().into(),
            b.value_date.map_or(Cell::Empty, Cell::Date),
            b.state.as_str().into(),
            Cell::Count(b.orders),
            Cell::Money(b.amount),
            Cell::Count(figures.rejected),
            Cell::Money(Centimes::new(figures.rejected_amount)),
            Cell::Count(figures.returned),
            Cell::Money(Centimes::new(figures.returned_amount)),
            Cell::Money(Centimes::new(figures.debited_amount)),
            Cell::Money(Centimes::new(figures.credited_amount)),
            b.file_sha256.as_ref().map_or(Cell::Empty, |hash| Cell::Text(crate::domain::hex(hash))),
        ]
    });
    let headings = [
        ("Provider", "Prestataire"),
        ("Wave", "Vague"),
        ("Sequence", "Rang"),
        ("File", "Fichier"),
        ("Value date", "Date de valeur"),
        ("State", "État"),
        ("Orders", "Ordres"),
        ("¤", "¤"),
        ("Rejected", "Rejetés"),
        ("Rejected, ¤", "Rejetés, ¤"),
        ("Returned", "Retournés"),
        ("Returned, ¤", "Retournés, ¤"),
        ("Debited, ¤", "Débité, ¤"),
        ("Credited, ¤", "Crédité, ¤"),
        ("SHA-256", "SHA-256"),
    ];
    let mut sheet = Sheet::new("Batches", &headings, rows.collect()).with_totals();
    // Waves and places within them are numbers, not quantities.
    if let Some(totals) = &mut sheet.totals {
        totals[1..=2].fill(Cell::Empty);
    }
    sheet
}

fn compared(lines: Vec<ComparisonLine>) -> Sheet {
    let rows = lines.into_iter().map(|l| {
        let change = Centimes::new(l.after_amount - l.before_amount);
        let [before, after] = [l.before_amount, l.after_amount].map(|c| Cell::Money(Centimes::new(c)));
        vec![
            Cell::Text(l.dimension),
            Cell::Text(l.label),
            Cell::Count(l.before_households),
            before,
            Cell::Count(l.after_households),
            after,
            Cell::Money(change),
            Cell::Count(l.joined),
            Cell::Count(l.left),
            Cell::Count(l.amount_changed),
            Cell::Count(l.account_changed),
        ]
    });
    let headings = [
        ("By", "Par"),
        ("Name", "Nom"),
        ("Households before", "Ménages avant"),
        ("¤ before", "¤ avant"),
        ("Households now", "Ménages à présent"),
        ("¤ now", "¤ à présent"),
        ("Change, ¤", "Variation, ¤"),
        ("Joined", "Entrés"),
        ("Left", "Sortis"),
        ("Amount changed", "Montant modifié"),
        ("Account changed", "Compte modifié"),
    ];
    Sheet::new("Comparison", &headings, rows.collect())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::{ids::*, run::*};
    use crate::pipeline::reports::run_report::pass::tests::{codes, order};

    pub(in super::super) fn run(orders: i64, ordered: i64) -> Run {
        Run {
            id: RunId::new(1),
            programme_id: 1,
            programme: "dss".into(),
            period: "2026-11".parse().unwrap(),
            kind: RunKind::Regular,
            state: RunState::Settling,
            snapshot: SnapshotId::new(1),
            compared_with: None,
            rules_sha256: vec![0; 32],
            households: orders,
            orders,
            exclusions: 0,
            entitled: Centimes::new(ordered),
            ordered: Centimes::new(ordered),
            created_by: "amina".into(),
            submitted_by: None,
            first_approver: None,
            approved_by: None,
            funded_by: None,
            content_sha256: None,
            paused: false,
        }
    }

    #[test]
    fn regions_and_providers_add_up() {
        let mut figures = Figures::default();
        for (provider, place, state, amount) in [
            (1, 0, OrderState::Settled, 50_000),
            (1, 1, OrderState::Settled, 60_000),
            (0, 1, OrderState::Held, 70_000),
        ] {
            figures.count(&order(provider, place, state, amount, ""));
        }
        let [providers, regions, provinces] = pivots(&figures, &codes()).unwrap();
        let money = |amount| Cell::Money(Centimes::new(amount));
        for (sheet, rows, total) in
            [(&providers, 2, 180_000), (&regions, 1, 180_000), (&provinces, 2, 180_000)]
        {
            assert_eq!(sheet.rows.len(), rows, "{}", sheet.name);
            assert!(sheet.rows.iter().all(|row| row.len() == sheet.headings.len()), "{}", sheet.name);
            assert!(sheet.totals.as_ref().unwrap().contains(&money(total)), "{}", sheet.name);
        }
        // Held and settled occur: each has its two columns.
        assert_eq!(providers.headings.len(), 3 + 4);
        assert_eq!(provinces.rows[1][..4], ["R1".into(), "P2".into(), Cell::Count(2), money(130_000)]);
        assert_eq!(
            summary(&run(3, 180_000), &figures).totals.unwrap()[2..],
            [Cell::Count(3), money(180_000)]
        );
    }

    #[test]
    fn reasons_lead_with_the_most_frequent() {
        let mut figures = Figures::default();
        for reason in ["AC04", "AC06", "AC06", ""] {
            figures.count(&order(1, 0, OrderState::Returned, 100, reason));
        }
        let excluded = vec![Sum { label: "score".into(), count: 5, amount: Centimes::ZERO }];
        let sheet = reasons(&figures, &BTreeMap::from([("excluded", excluded)]));
        let labels: Vec<&Cell> = sheet.rows.iter().map(|row| &row[1]).collect();
        assert_eq!(labels[0], &"AC06".into());
        assert!(labels.contains(&&"none given".into()) && labels[3] == &"score".into());
    }
}
