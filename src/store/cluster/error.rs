//! What can go wrong with the private cluster, each with the operator's next step.

use std::io;
use std::path::PathBuf;

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
    #[error("`{program}` failed: {said}")]
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

impl ClusterError {
    /// The next step, for the `hint:` line.
    pub fn hint(&self) -> String {
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
            Self::NotTraversable { dir, .. } => format!(
                "`chmod o+x {}`, or set `SARF_HOME` to a directory such as `/var/lib/sarf`",
                dir.display()
            ),
            Self::OtherOwner { owner, .. } => {
                format!("run as account {owner} or as root, or set `SARF_HOME` to a directory of your own")
            }
            Self::NoSocketDir { .. } => "set `SARF_HOME` to a directory with a shorter path".into(),
            Self::Io { .. } => {
                "check the rights and the free space, or set `SARF_HOME` to another directory".into()
            }
            Self::Program { log, .. } | Self::NotReady { log, .. } => format!("read `{}`", log.display()),
            Self::Url => "write it as `postgres://user@host:5432/database`".into(),
            Self::Database(_) => {
                "check that the server runs, and that the account may use the database".into()
            }
        }
    }

    /// A closure for `map_err` on file operations.
    pub(super) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }
}

fn listed(tried: &[String]) -> String {
    if tried.is_empty() { String::new() } else { format!(" (tried: {})", tried.join("; ")) }
}
