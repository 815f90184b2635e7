//! What is listed is read back, and differs from month to month as it should.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Compression, GenerateOptions, generate};
use crate::domain::household::Household;
use crate::domain::ids::Code;
use crate::snapshot::{Chunk, Kind, Manifest, ReadOptions, Rejection, SnapshotError, SnapshotReader, Totals};

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("sarf-registry-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(name);
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Read {
    households: Vec<Household>,
    rejections: Vec<Rejection>,
    places: usize,
    totals: Totals,
}

fn read(dir: &Path) -> Result<Read, SnapshotError> {
    let mut reader = SnapshotReader::open(dir, Manifest::load(dir)?, &ReadOptions::default())?;
    let (mut households, mut rejections, mut places) = (Vec::new(), Vec::new(), 0);
    let mut chunk = Chunk::default();
    while reader.next_chunk(&mut chunk)? {
        households.append(&mut chunk.households);
        rejections.append(&mut chunk.rejections);
        places += chunk.new_places.len();
    }
    Ok(Read { households, rejections, places, totals: reader.finish()? })
}

fn options(dir: &Path, households: u64, period: &str) -> GenerateOptions {
    GenerateOptions::new(households, period.parse().unwrap(), Code::parse("dss").unwrap(), 7, dir.to_owned())
}

#[test]
fn every_form_is_read_back_to_the_same_households() {
    let mut first: Option<Vec<Household>> = None;
    for compression in [Compression::Plain, Compression::Gzip, Compression::Zstd, Compression::Parquet] {
        let folder = Folder::new();
        let options = GenerateOptions { compression, ..options(&folder.0, 6_000, "2026-02") };
        let manifest = generate(&options, |_| ()).unwrap();
        let found = read(&folder.0).unwrap();
        assert_eq!(found.totals.households.rows, 6_000);
        assert_eq!(found.totals.members.rows, manifest.rows(Kind::Members));
        assert_eq!(
            found.households.len() as u64,
            6_000 - found.totals.households.rejected,
            "{compression:?}"
        );
        assert!(!found.rejections.is_empty() && found.places > 80, "{compression:?}");
        assert!(found.households.windows(2).all(|w| w[0].id < w[1].id));
        let first = first.get_or_insert_with(|| found.households.clone());
        assert!(*first == found.households, "{compression:?}");
    }
}

#[test]
fn a_month_later_only_churn_differs() {
    let ids = |period| {
        let folder = Folder::new();
        let manifest = generate(&options(&folder.0, 10_000, period), |_| ()).unwrap();
        let again = generate(&options(&folder.0, 10_000, period), |_| ()).unwrap();
        assert_eq!(manifest, again);
        let found = read(&folder.0).unwrap();
        let payees = found.households.iter().map(|h| (h.id, (h.payee.idcs, h.payee.name.clone())));
        (payees.collect::<BTreeMap<_, _>>(), found.totals.members.rows)
    };
    let ((before, members), (after, _)) = (ids("2026-02"), ids("2026-03"));
    let stayed = before.iter().filter(|(id, _)| after.contains_key(id)).count();
    assert!((9_550..=9_890).contains(&stayed), "{stayed}");
    // A split household carries its neighbour's payee, and neighbours change too: a handful at most.
    let same = before.iter().filter(|(id, payee)| after.get(id) == Some(payee)).count();
    assert!(stayed - same < 10, "{stayed} {same}");
    assert!((13_200..=14_300).contains(&members), "{members}");
}

#[test]
fn a_later_list_tells_of_the_past() {
    let mut lists = Vec::new();
    for month in 1..=9 {
        let folder = Folder::new();
        let mut options = options(&folder.0, 10_000, &format!("2026-{month:02}"));
        (options.churn.late_death_ppm, options.churn.late_birth_ppm) = (500_000, 500_000);
        options.rates.split_household_ppm = 10_000;
        generate(&options, |_| ()).unwrap();
        let households = read(&folder.0).unwrap().households;
        lists.push(households.into_iter().map(|h| (h.id, h)).collect::<BTreeMap<_, _>>());
    }
    let (mut deaths, mut births, mut rejoined) = ([0; 4], [0; 6], 0);
    for (at, pair) in lists.windows(2).enumerate() {
        let month = at as i32 + 2;
        let first =
            time::Date::from_calendar_date(2026, time::Month::try_from(month as u8).unwrap(), 1).unwrap();
        let months_before =
            |day: time::Date| (2026 - day.year()) * 12 + month - i32::from(u8::from(day.month()));
        for (id, now) in &pair[1] {
            let Some(then) = pair[0].get(id) else { continue };
            for member in &now.members {
                let before = then.members.iter().find(|m| m.idcs == member.idcs);
                match (before, member.deceased_on) {
                    (Some(before), Some(died)) if before.deceased_on.is_none() => {
                        deaths[months_before(died) as usize] += 1;
                    }
                    // Others join with a split, which is put right later.
                    (None, None) if member.birth_date >= first - time::Duration::days(150) => {
                        births[months_before(member.birth_date) as usize] += 1;
                    }
                    _ => {}
                }
            }
            rejoined += usize::from(then.payee.idcs != now.payee.idcs);
        }
    }
    assert!(deaths.iter().all(|n| *n > 3), "{deaths:?}");
    assert!(births.iter().all(|n| *n > 3), "{births:?}");
    assert!(rejoined > 20, "splits come and go: {rejoined}");
}
