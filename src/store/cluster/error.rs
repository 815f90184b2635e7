//! What can go wrong with the private cluster, each with the operator's next step.

use std::io;
use std::path::PathBuf;

use crate::domain::hint::{Hint, NextStep};

/// Why no PostgreSQL server is at hand. Display never holds a password or a row's value.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// No usable binaries anywhere; `tried` lists the places and what was wrong with each.
    #[error("no PostgreSQL 15 or later found{}", listed(.tried))]
    NoBinaries {
        /// The places looked at, one sentence each.
        tried: Vec<String>,
    },
    /// The data directory was made by another major version than any found.
    #[error("the data in `{data}` is of PostgreSQL {wanted}, which is not installed", data = data.display())]
    OtherMajor {
        /// The data directory.
        data: PathBuf,
        /// The major version that made it.
        wanted: u32,
    },
    /// Running as root, and there is no account to hand the server to.
    #[error("PostgreSQL does not run as root, and neither `postgres` nor `nobody` is in /etc/passwd")]
    NoAccount,
    /// The server's account cannot pass through a directory above the data.
    #[error("account {uid} cannot enter `{dir}`", dir = dir.display())]
    NotTraversable {
        /// The outermost directory that stops it.
        dir: PathBuf,
        /// The numeric user id of the account.
        uid: u32,
    },
    /// The data belongs to another account.
    #[error("`{path}` belongs to account {owner}", path = path.display())]
    OtherOwner {
        /// The directory.
        path: PathBuf,
        /// Its owner's numeric user id.
        owner: u32,
    },
    /// No directory short and private enough for the socket.
    #[error("no private directory with a short path for the socket (tried `{dir}`)", dir = dir.display())]
    NoSocketDir {
        /// The directory tried last.
        dir: PathBuf,
    },
    /// The home, or a folder in it, is something else than a folder.
    #[error("`{path}` is not a folder", path = path.display())]
    NotAFolder {
        /// What was named.
        path: PathBuf,
    },
    /// A file or directory could not be made, read or locked.
    #[error("cannot {doing} `{path}`", path = path.display())]
    Io {
        /// What was being done, as a verb.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// One of PostgreSQL's programs failed.
    #[error("the private PostgreSQL server could not be {}: `{program}` said: {said}", doing(program))]
    Program {
        /// Which one.
        program: &'static str,
        /// Its last words, with those of the server's log.
        said: String,
        /// The server's log, to read on.
        log: PathBuf,
    },
    /// A server is there, and did not become ready in time.
    #[error("the server in `{data}` was not ready after {seconds} s", data = data.display())]
    NotReady {
        /// The data directory.
        data: PathBuf,
        /// How long was waited.
        seconds: u64,
        /// The server's log, to read on.
        log: PathBuf,
    },
    /// `DATABASE_URL` is not a PostgreSQL address. The value is not shown: it may hold a password.
    #[error("`DATABASE_URL` is not a PostgreSQL address")]
    Url,
    /// The server refused a connection or a statement.
    #[error("the PostgreSQL server refused")]
    Database(#[from] sqlx::Error),
}

impl Hint for ClusterError {
    fn hint(&self) -> Option<NextStep> {
        Some(self.next_step().into())
    }
}

impl ClusterError {
    fn next_step(&self) -> String {
        match self {
            Self::NoBinaries { .. } => {
                "install PostgreSQL (Debian: `apt-get install postgresql`), or run `make` to \
                fetch it without root, or name a server in `DATABASE_URL` or binaries in `SARF_PG_BIN`"
                    .into()
            }
            Self::OtherMajor { wanted, .. } => format!(
                "install PostgreSQL {wanted} or name its binaries in `SARF_PG_BIN`; to begin anew, set `SARF_HOME` to \
                 an empty directory"
            ),
            Self::NoAccount => "run as an ordinary user, or name a server in `DATABASE_URL`".into(),
            Self::NotTraversable { dir, uid } => format!(
                "`chown {uid} {dir}` if it holds nothing else, or `chmod o+x {dir}`, or set `SARF_HOME` to a new directory \
                 such as `/var/lib/sarf`",
                dir = dir.display()
            ),
            Self::OtherOwner { owner, .. } => {
                format!("run as account {owner} or as root, or set `SARF_HOME` to a directory of your own")
            }
            Self::NoSocketDir { .. } => "set `SARF_HOME` to a directory with a shorter path".into(),
            Self::NotAFolder { path } => format!(
                "move `{}` away (links are not followed), or set `SARF_HOME` to a path where a folder can be made",
                path.display()
            ),
            Self::Io { path, source, .. } => of_io(path, source),
            Self::Program { said, log, .. } => {
                let known = KNOWN.iter().find(|(words, _)| said.contains(words)).map(|(_, hint)| *hint);
                match known {
                    Some(hint) => format!("{hint}; the server's log is `{}`", log.display()),
                    None => format!("read `{}`", log.display()),
                }
            }
            Self::NotReady { log, .. } => {
                format!(
                    "see in `{}` whether it is still recovering; if so, wait and give the command again",
                    log.display()
                )
            }
            Self::Url => "write it as `postgres://user@host:5432/database`".into(),
            Self::Database(error) => crate::store::hint_of(error).to_owned(),
        }
    }

    /// A closure for `map_err` on file operations.
    pub(super) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }
}

/// What PostgreSQL's programs say, and what is to be done about it; the first that is found counts.
const KNOWN: &[(&str, &str)] = &[
    (
        "No space left on device",
        "the disk of the home is full: free space, then give the command again; nothing is lost",
    ),
    ("Disk quota exceeded", "the quota of the account is used up: free space, then give the command again"),
    (
        "Read-only file system",
        "the home lies on a file system that cannot be written: set `SARF_HOME` to another directory",
    ),
    (
        "shared memory",
        "the system has too little shared memory for it: end other servers, or raise `kernel.shmmax` and the container's `/dev/shm`",
    ),
    ("Cannot allocate memory", "the system has too little memory: end other programs"),
    ("semaphore", "the system is out of semaphores: end other servers, or raise `kernel.sem`"),
    (
        "incompatible with server",
        "the data were made by another version of PostgreSQL: name its binaries in `SARF_PG_BIN`",
    ),
    (
        "not compatible with this version",
        "the data were made by another version of PostgreSQL: name its binaries in `SARF_PG_BIN`",
    ),
    (
        "cannot be run as root",
        "run as an ordinary user, or let root hand the server to `postgres`: `chown -R postgres HOME/pg`",
    ),
    (
        "has wrong ownership",
        "the data belong to another account: run as that account, or `chown -R` them back",
    ),
    ("invalid permissions", "`chmod -R go= HOME/pg/data`: the data must be their owner's alone"),
    (
        "Is another postmaster",
        "another server is at work on these data: end it, or set `SARF_HOME` to another directory",
    ),
    (
        "Is another server",
        "another server is at work on these data: end it, or set `SARF_HOME` to another directory",
    ),
    (
        "Address already in use",
        "another server has the socket: end it, or set `SARF_HOME` to another directory",
    ),
    ("is too long", "the path of the socket is too long: set `SARF_HOME` to a directory with a shorter path"),
    ("valid checkpoint record", "the data are damaged: restore them from a backup; do not reset the log"),
    ("invalid page", "the data are damaged: restore them from a backup"),
    ("Permission denied", "the server's account may not read or write there: check the owner of `HOME/pg`"),
    ("Too many open files", "raise the limit of open files (`ulimit -n`)"),
];

fn doing(program: &str) -> &'static str {
    match program {
        "initdb" => "set up",
        "pg_ctl stop" => "stopped",
        _ => "started",
    }
}

fn of_io(path: &std::path::Path, source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the disk is full: free space, then give the command again".into()
        }
        io::ErrorKind::ReadOnlyFilesystem => "set `SARF_HOME` to a directory that can be written".into(),
        io::ErrorKind::PermissionDenied => {
            format!(
                "give this account the rights to `{}`, or set `SARF_HOME` to a directory of your own",
                path.display()
            )
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            format!("`{}` or a part of it is not a folder: set `SARF_HOME` to another path", path.display())
        }
        _ => "check the rights and the free space, or set `SARF_HOME` to another directory".into(),
    }
}

fn listed(tried: &[String]) -> String {
    if tried.is_empty() { String::new() } else { format!(" (tried: {})", tried.join("; ")) }
}

#[cfg(test)]
crate::domain::hint::samples!(ClusterError {
    Self::NoBinaries { .. } => Self::NoBinaries { tried: Vec::new() },
    Self::OtherMajor { .. } => Self::OtherMajor { data: "pg/data".into(), wanted: 15 },
    Self::NoAccount => Self::NoAccount,
    Self::NotTraversable { .. } => Self::NotTraversable { dir: "pg".into(), uid: 1 },
    Self::OtherOwner { .. } => Self::OtherOwner { path: "pg".into(), owner: 1 },
    Self::NoSocketDir { .. } => Self::NoSocketDir { dir: "pg".into() },
    Self::NotAFolder { .. } => Self::NotAFolder { path: "pg".into() },
    Self::Io { .. } => Self::Io { doing: "read", path: "pg".into(), source: io::ErrorKind::Other.into() },
    Self::Program { .. } => Self::Program { program: "initdb", said: String::new(), log: "log".into() },
    Self::NotReady { .. } => Self::NotReady { data: "pg".into(), seconds: 60, log: "log".into() },
    Self::Url => Self::Url,
    Self::Database(_) => Self::Database(sqlx::Error::PoolTimedOut),
});
