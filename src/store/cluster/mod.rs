//! PostgreSQL with no set-up: a private cluster, run from the binaries found on the machine.
//!
//! Input: a home directory. Output: a server that answers on a unix socket there, and options to connect to it.
//! Guarantee:
//! | event | what follows |
//! |---|---|
//! | several `sarf` in one home | the first starts the server, the others adopt it, the last to leave stops it |
//! | `sarf` killed | the server stays; the next command adopts it, and stops it when it leaves |
//! | server killed | the next start recovers from the write-ahead log; nothing acknowledged is lost |
//! | killed within the first start | the half-made data directory is thrown away and made anew |
//! | Ctrl-C on the terminal | the server is not in that process group: `sarf` stops it itself, cleanly |
//!
//! How: users hold a shared lock on `pg/users.lock`; whoever starts or stops the server holds `pg/start.lock` alone.
//! Limit: one machine (the locks are `flock`, so no home on a network file system), Linux's `/proc`.

mod binaries;
mod error;
mod owner;
mod place;
mod server;
mod settings;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection};

use binaries::Binaries;
pub use error::ClusterError;
use place::Place;
pub use server::{Server, ensure_database, recreate_database, server};

/// How long a start may take: recovery after a kill replays up to `max_wal_size` of log.
const READY_SECONDS_MAX: u64 = 600;
/// How long a clean stop may take: it writes out what memory holds.
const STOP_SECONDS_MAX: u64 = 300;
/// The only role of the private cluster.
const ROLE: &str = "sarf";

/// A running private server that this process uses. Stop it with [`Cluster::stop`]; dropping it does the same, blocking.
#[derive(Debug)]
pub struct Cluster {
    place: Place,
    binaries: Binaries,
    /// The shared lock that says "in use"; `None` once left.
    users: Option<File>,
    adopted: bool,
}

enum Probe {
    Ready,
    /// It answers that it is starting, recovering or stopping.
    Busy,
    Absent,
}

impl Cluster {
    /// Starts the server of `home`, or adopts the one that runs there; returns when it answers.
    ///
    /// # Errors
    /// No binaries, no account to run under, a home that cannot be used, or a server that does not start: each with a
    /// [`hint`](ClusterError::hint).
    pub async fn start(home: &Path) -> Result<Self, ClusterError> {
        let home = home.to_path_buf();
        let (mut cluster, start_lock) = blocking(move || Self::enter(&home)).await?;
        let outcome = cluster.bring_up().await;
        // Before the cluster, whose drop on failure takes this lock.
        drop(start_lock);
        outcome.map(|()| cluster)
    }

    /// Options to connect to `database` on this server, as its only role.
    pub fn connect_options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(self.place.live_socket_dir())
            .port(5432)
            .username(ROLE)
            .password("")
            .ssl_mode(PgSslMode::Disable)
            .application_name("sarf")
            .database(database)
    }

    /// True where the server was already running.
    pub fn adopted(&self) -> bool {
        self.adopted
    }

    /// The server's major version.
    pub fn major(&self) -> u32 {
        self.binaries.major
    }

    /// The home, absolute.
    pub fn home(&self) -> &Path {
        &self.place.home
    }

    /// Leaves; the last user stops the server, cleanly. Returns true where it was stopped.
    ///
    /// # Errors
    /// The server did not stop: it is left to the next command, which adopts it. Nothing is lost.
    pub async fn stop(mut self) -> Result<bool, ClusterError> {
        blocking(move || self.leave()).await
    }

    /// Takes the start lock, then joins the users. Waits for whoever is starting or stopping the server.
    fn enter(home: &Path) -> Result<(Self, File), ClusterError> {
        let place = Place::prepare(home)?;
        let start_lock = place.lock_file("start.lock")?;
        start_lock.lock().map_err(ClusterError::io("lock", place.pg.join("start.lock")))?;
        let binaries = Binaries::find(&place.home, &place.owner, &place.data)?;
        let users = place.lock_file("users.lock")?;
        users.lock_shared().map_err(ClusterError::io("lock", place.pg.join("users.lock")))?;
        Ok((Self { place, binaries, users: Some(users), adopted: true }, start_lock))
    }

    /// Under the start lock: adopts, waits, or starts, until the server answers.
    async fn bring_up(&mut self) -> Result<(), ClusterError> {
        let deadline = Instant::now() + Duration::from_secs(READY_SECONDS_MAX);
        while Instant::now() < deadline {
            match self.probe().await? {
                Probe::Ready => return Ok(()),
                // Also without an answer a server may be at work: not listening yet, or its children winding up after
                // a kill. PostgreSQL refuses to start beside them.
                Probe::Absent if self.place.processes().is_empty() => {
                    self.adopted = false;
                    let (place, binaries) = (self.place.clone(), self.binaries.clone());
                    blocking(move || launch(&place, &binaries)).await?;
                }
                Probe::Busy | Probe::Absent => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
        let (data, log) = (self.place.data.clone(), self.place.log.clone());
        Err(ClusterError::NotReady { data, seconds: READY_SECONDS_MAX, log })
    }

    async fn probe(&self) -> Result<Probe, ClusterError> {
        if !self.place.data.join("postmaster.pid").exists() {
            return Ok(Probe::Absent);
        }
        let options = self.connect_options("postgres").disable_statement_logging();
        match sqlx::PgConnection::connect_with(&options).await {
            Ok(connection) => connection.close().await.map(|()| Probe::Ready).or(Ok(Probe::Busy)),
            Err(sqlx::Error::Database(refusal)) => Ok(match refusal.code().as_deref() {
                // cannot_connect_now: starting, recovering, stopping.
                Some("57P03") => Probe::Busy,
                _ => Probe::Ready,
            }),
            Err(sqlx::Error::Io(error)) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                Err(ClusterError::Io {
                    doing: "connect in",
                    path: self.place.live_socket_dir(),
                    source: error,
                })
            }
            Err(_) => Ok(Probe::Absent),
        }
    }

    /// Leaves the users; the last one stops the server. True where it was stopped.
    fn leave(&mut self) -> Result<bool, ClusterError> {
        let Some(users) = self.users.take() else { return Ok(false) };
        let start_lock = self.place.lock_file("start.lock")?;
        start_lock.lock().map_err(ClusterError::io("lock", self.place.pg.join("start.lock")))?;
        // On this handle the lock turns from shared to exclusive, or is given up: others are still at work.
        if users.try_lock().is_err() {
            return Ok(false);
        }
        // Never started, or killed: there is nothing to stop, the next start recovers.
        if !self.place.server_lives() {
            return Ok(false);
        }
        let mut command = self.place.owner.command(&self.binaries.program("pg_ctl"), &self.place.pg);
        command
            .args(["stop", "-D", "data", "-m", "fast", "-w", "-s", "-t"])
            .arg(STOP_SECONDS_MAX.to_string());
        run(command, "pg_ctl stop", &self.place)?;
        self.place.forget_socket_dir();
        Ok(true)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Err(error) = self.leave() {
            tracing::warn!(%error, "the private PostgreSQL server was not stopped; the next command adopts it");
        }
    }
}

/// Makes the data directory if there is none, writes the settings, and starts the server; returns when it is ready.
fn launch(place: &Place, binaries: &Binaries) -> Result<(), ClusterError> {
    if !place.data.exists() {
        initialise(place, binaries)?;
    }
    place::private_dir(&place.socket_dir, &place.owner)?;
    place.clear_stale()?;
    place.rotate_log()?;
    let compression = compression(place, binaries);
    let conf = settings::conf(settings::memory_bytes(), &place.socket_dir, compression);
    write_whole(place, "postgresql.conf", &conf)?;
    write_whole(
        place,
        "pg_hba.conf",
        "# Written by sarf: the socket's directory is private.\nlocal all all trust\n",
    )?;
    let mut command = place.owner.command(&binaries.program("pg_ctl"), &place.pg);
    // Relative paths: pg_ctl hands them to a shell, and a home may have any name.
    command
        .args(["start", "-D", "data", "-l", "server.log", "-w", "-s", "-t"])
        .arg(READY_SECONDS_MAX.to_string());
    run(command, "pg_ctl start", place).map(drop)
}

/// Makes `data.new` and renames it, so that `data` is whole whenever it exists.
fn initialise(place: &Place, binaries: &Binaries) -> Result<(), ClusterError> {
    let fresh = place.pg.join("data.new");
    if fresh.exists() {
        fs::remove_dir_all(&fresh).map_err(ClusterError::io("remove", &fresh))?;
    }
    let mut command = place.owner.command(&binaries.program("initdb"), &place.pg);
    command.args(["-D", "data.new", "-U", ROLE, "-E", "UTF8", "--locale=C", "--data-checksums"]);
    command.args(["--auth-local=trust", "--auth-host=reject"]);
    run(command, "initdb", place)?;
    fs::rename(&fresh, &place.data).map_err(ClusterError::io("rename", &fresh))
}

/// `lz4` where this build has it, else PostgreSQL's own method: asked, since packagers differ.
fn compression(place: &Place, binaries: &Binaries) -> &'static str {
    let mut command = place.owner.command(&binaries.program("postgres"), &place.pg);
    command.args(["-C", "wal_compression", "-D", "data", "-c", "wal_compression=lz4"]);
    let has_lz4 = command.output().is_ok_and(|output| output.status.success());
    if has_lz4 { "lz4" } else { "on" }
}

/// Replaces a file of the data directory in one step.
fn write_whole(place: &Place, name: &str, text: &str) -> Result<(), ClusterError> {
    let (path, fresh) = (place.data.join(name), place.data.join(format!("{name}.new")));
    fs::write(&fresh, text).map_err(ClusterError::io("write", &fresh))?;
    place.owner.take(&fresh)?;
    fs::rename(&fresh, &path).map_err(ClusterError::io("write", &path))
}

/// Runs one of PostgreSQL's programs to its end; on failure tells its last words and those of the server's log.
fn run(mut command: Command, program: &'static str, place: &Place) -> Result<Output, ClusterError> {
    let output = command.output().map_err(ClusterError::io("run", command.get_program()))?;
    if output.status.success() {
        return Ok(output);
    }
    let log = fs::read(&place.log).unwrap_or_default();
    let said = format!("{} {}", last_lines(&output.stderr, 2), grave_lines(&log));
    Err(ClusterError::Program { program, said: said.trim().to_owned(), log: place.log.clone() })
}

/// What the end of the server's log says of why it stopped: its last grave lines, else its last lines.
fn grave_lines(log: &[u8]) -> String {
    const TAIL_LINES: usize = 25;
    let text = String::from_utf8_lossy(log);
    let lines: Vec<&str> = text.lines().collect();
    let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    let grave =
        |line: &&&str| ["FATAL:", "PANIC:", "could not", "HINT:"].iter().any(|word| line.contains(word));
    let found: Vec<&str> = tail.iter().filter(grave).copied().collect();
    if found.is_empty() { last_lines(log, 3) } else { last_lines(found.join("\n").as_bytes(), 3) }
}

fn last_lines(text: &[u8], count: usize) -> String {
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].join(" · ")
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ClusterError> + Send + 'static,
) -> Result<T, ClusterError> {
    tokio::task::spawn_blocking(work)
        .await
        .expect("the closure does not panic, and the runtime outlives the call")
}
