//! Floors: the least work that would leave the same rows and bytes behind, without rules, checks or proofs.
//!
//! | stage | floor |
//! |---|---|
//! | import and orders | `COPY FROM` the very rows into bare tables, then the same indexes |
//! | dispatch | `COPY TO` the orders' columns into nothing, then the same bytes into new files, fsynced |
//! | feedback | a bare scan of the XML, `COPY` of one row a status, one HOT update of a narrow table |
//! | verify | `COPY TO` of households and orders, hashed by two workers, then the files hashed by two workers |
//!
//! Guarantee: only the work named is timed; files and tables are prepared before and taken away after.
//! Limit: one connection and one thread, one step after the other, as somebody with `psql` would do it; the proofs' floor has two.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use quick_xml::Reader;
use quick_xml::events::Event;
use sarf::domain::ids::{OrderId, RunId, SnapshotId};
use sarf::domain::step::Step;
use sarf::store::batches::membership;
use sarf::store::orders;
use sarf::store::registry::households;
use sha2::{Digest as _, Sha256};

use crate::psql::Psql;

/// A table whose rows are loaded again: its name, what is read, which rows, and its indexes.
struct Bare {
    name: &'static str,
    source: String,
    rows: String,
    indexes: &'static [&'static str],
}

/// Where floors keep their files, and what they run.
pub struct Floor<'a> {
    psql: &'a Psql,
    folder: PathBuf,
}

impl<'a> Floor<'a> {
    /// Floors below `home`.
    pub fn begin(psql: &'a Psql, home: &Path) -> anyhow::Result<Self> {
        let folder = home.join("floor");
        fs::create_dir_all(&folder)?;
        psql.run(&folder, Stdio::null(), &["create schema floor".to_owned()])?;
        Ok(Self { psql, folder })
    }

    /// Loads again what import and order stored of one month.
    pub fn load(&self, snapshot: SnapshotId, run: RunId) -> anyhow::Result<Duration> {
        let tables = tables(snapshot, run);
        let mut steps = Vec::new();
        for Bare { name, source, rows, indexes } in &tables {
            let file = File::create(self.folder.join(name))?;
            self.psql.run(
                &self.folder,
                file,
                &[format!("copy (select * from {source} where {rows}) to stdout")],
            )?;
            steps.push(format!("create table floor.{name} as table {source} with no data"));
            steps.push(format!("\\copy floor.{name} from '{name}'"));
            steps.extend(indexes.iter().map(|index| index.replace("TABLE", &format!("floor.{name}"))));
        }
        let took = self.timed(&steps)?;
        self.clean()?;
        Ok(took)
    }

    /// Reads the orders' columns and writes the bytes of `files` again.
    pub fn write(&self, run: RunId, files: &[PathBuf]) -> anyhow::Result<Duration> {
        let columns = "order_id, provider_id, household_id, period, purpose_id, attempt, amount, payee";
        let began = Instant::now();
        let read = format!("copy (select {columns} from {}) to stdout", orders::leaf(run));
        self.psql.run(&self.folder, Stdio::null(), &[read])?;
        let mut buffer = vec![0; 1 << 20];
        for (number, path) in files.iter().enumerate() {
            let mut from = File::open(path)?;
            let mut to = File::create(self.folder.join(number.to_string()))?;
            while let read @ 1.. = from.read(&mut buffer)? {
                to.write_all(&buffer[..read])?;
            }
            to.sync_all()?;
        }
        let took = began.elapsed();
        self.clean()?;
        Ok(took)
    }

    /// Scans `files`, and brings one status for each order of the run that left into a narrow table.
    pub fn statuses(&self, run: RunId, files: &[PathBuf]) -> anyhow::Result<Duration> {
        let (accepted, rejected) = (Step::Accepted.number(), Step::Rejected.number());
        let left = format!(
            "from {} o left join outcome_{run} x on x.order_id = o.order_id and x.step = {rejected}
              where not {}",
            orders::leaf(run),
            membership::missed("o.order_id"),
        );
        let rows = File::create(self.folder.join("staged"))?;
        self.psql.run(
            &self.folder,
            rows,
            &[format!(
                "copy (select o.order_id, coalesce(x.step, {accepted}), x.reason {left} order by 1) to stdout"
            )],
        )?;
        self.psql.run(
            &self.folder,
            Stdio::null(),
            &[
                "create table floor.order_state (order_id bigint primary key, state smallint not null)
                   with (fillfactor = 50, autovacuum_enabled = off)"
                    .to_owned(),
                format!("insert into floor.order_state select o.order_id, 0 {left} order by 1"),
                "vacuum analyze floor.order_state".to_owned(),
                "checkpoint".to_owned(),
            ],
        )?;
        let began = Instant::now();
        for path in files {
            scan(path)?;
        }
        let scanned = began.elapsed();
        let steps = [
            "create table floor.staged (order_id bigint, status smallint, reason text)".to_owned(),
            "\\copy floor.staged from 'staged'".to_owned(),
            "update floor.order_state o set state = s.status from floor.staged s where s.order_id = o.order_id"
                .to_owned(),
        ];
        let took = scanned + self.timed(&steps)?;
        self.clean()?;
        Ok(took)
    }

    /// Reads and hashes the rows of a run and of its list, and the files that left: two workers, as a proof has two cores.
    pub fn hash(&self, snapshot: SnapshotId, run: RunId, files: &[PathBuf]) -> anyhow::Result<Duration> {
        let leaves = [households::leaf(snapshot), orders::leaf(run)];
        let began = Instant::now();
        let hashed = |bytes: &mut dyn std::io::Read| -> anyhow::Result<()> {
            let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 18]);
            while let read @ 1.. = bytes.read(&mut buffer)? {
                hash.update(&buffer[..read]);
            }
            std::hint::black_box(hash.finalize());
            Ok(())
        };
        std::thread::scope(|scope| {
            let rows = leaves.map(|leaf| {
                let statement = format!("copy {leaf} to stdout (format binary)");
                scope.spawn(move || self.psql.read(&statement, &mut |bytes| hashed(bytes)))
            });
            for worker in rows {
                worker.join().map_err(|_| anyhow::anyhow!("a worker panicked"))??;
            }
            let halves = files.chunks(files.len().div_ceil(2).max(1)).map(|half| {
                scope.spawn(move || half.iter().try_for_each(|path| hashed(&mut File::open(path)?)))
            });
            for worker in halves.collect::<Vec<_>>() {
                worker.join().map_err(|_| anyhow::anyhow!("a worker panicked"))??;
            }
            Ok(began.elapsed())
        })
    }

    fn timed(&self, steps: &[String]) -> anyhow::Result<Duration> {
        self.psql.run(&self.folder, Stdio::null(), &["checkpoint".to_owned()])?;
        let began = Instant::now();
        self.psql.run(&self.folder, Stdio::null(), steps)?;
        Ok(began.elapsed())
    }

    /// Empties folder and schema.
    fn clean(&self) -> anyhow::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            fs::remove_file(entry?.path())?;
        }
        let steps = ["set client_min_messages = warning", "drop schema floor cascade", "create schema floor"];
        self.psql.run(&self.folder, Stdio::null(), &steps.map(str::to_owned))
    }
}

/// Every table that the two stages fill with a row for each household, order, hold or share.
fn tables(snapshot: SnapshotId, run: RunId) -> [Bare; 5] {
    let (first, next) = OrderId::bounds(run);
    let (low, high) = (households::key(snapshot, 0), households::key(SnapshotId::new(snapshot.get() + 1), 0));
    let whole = || "true".to_owned();
    [
        Bare {
            name: "household",
            source: households::leaf(snapshot),
            rows: whole(),
            indexes: &["create unique index on TABLE (household_id)"],
        },
        Bare {
            name: "snapshot_share",
            source: "snapshot_share".into(),
            rows: format!("household_key >= {low} and household_key < {high}"),
            indexes: &["create index on TABLE (household_key)"],
        },
        Bare {
            name: "payment_order",
            source: orders::leaf(run),
            rows: whole(),
            indexes: &[
                "create unique index on TABLE (order_id)",
                "create unique index on TABLE (household_id, period, purpose_id, attempt)",
            ],
        },
        Bare {
            name: "exclusion",
            source: orders::exclusion_leaf(run),
            rows: whole(),
            indexes: &["create index on TABLE (household_id)"],
        },
        Bare {
            name: "order_hold",
            source: "order_hold".into(),
            rows: format!("order_id >= {first} and order_id < {next}"),
            indexes: &[
                "create unique index on TABLE (order_id, reason)",
                "create index on TABLE (missed_batch) where missed_batch is not null",
            ],
        },
    ]
}

/// Reads every event of a file, and does nothing with it.
fn scan(path: &Path) -> anyhow::Result<()> {
    let mut reader = Reader::from_file(path)?;
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        let event = reader.read_event_into(&mut buffer).with_context(|| path.display().to_string())?;
        if matches!(event, Event::Eof) {
            return Ok(());
        }
    }
}
