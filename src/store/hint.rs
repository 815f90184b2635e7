//! What to do when the database refuses or is gone: by what it said.

use sqlx::Error;

use crate::domain::hint::{Hint, NextStep};

/// By PostgreSQL's code, the next step. A code that is not listed falls to its class (its first two characters).
const BY_CODE: &[(&str, &str)] = &[
    ("42P01", "bring the schema up to date: sarf migrate"),
    ("42703", "bring the schema up to date: sarf migrate"),
    ("42883", "bring the schema up to date: sarf migrate"),
    (
        "3D000",
        "there is no such database: correct the name at the end of DATABASE_URL, or make it with `createdb`",
    ),
    ("28P01", "the password or the account in DATABASE_URL is not the server's: correct it"),
    (
        "28000",
        "the server lets this account in by no rule: correct DATABASE_URL, or the server's pg_hba.conf",
    ),
    ("42501", "the account of DATABASE_URL may not do this: it must own the schema"),
    (
        "53100",
        "the disk of the database is full: free space there, then give the command again; nothing was left half done",
    ),
    ("53200", "the database is out of memory: let other work end, then give the command again"),
    ("53300", "the database takes no more connections: let other commands end, or raise its max_connections"),
    ("57P01", "the connection was ended at the server: see why in its log, then give the command again"),
    (
        "57P02",
        "the server ended all connections after a crash: give the command again, it recovers by itself",
    ),
    ("57P03", "the server is starting or stopping: give the command again in a moment"),
    ("57014", "the statement was cancelled at the server: give the command again"),
    ("40001", "another command changed the same at the same moment: give the command again"),
    ("40P01", "another command changed the same at the same moment: give the command again"),
    ("55P03", "another command holds what this one needs: give the command again when it has ended"),
    (
        "23505",
        "another command did the same at the same moment: look at what is there before giving it again",
    ),
    (
        "23503",
        "what this refers to was changed at the same moment: look at what is there before giving it again",
    ),
    ("25006", "the server takes no changes (a standby?): name the primary in DATABASE_URL"),
    ("08", "see that the server of DATABASE_URL answers, then give the command again"),
    ("53", "the server is short of something: see its log, then give the command again"),
    ("58", "the server's disk or files failed: see its log before giving the command again"),
    (
        "XX",
        "the server's data may be damaged: see its log; run `sarf verify`, and restore from a backup if it fails",
    ),
];

const GONE: &str = "see that the database server answers (DATABASE_URL, or pg/server.log in the home folder), then give the command \
                    again: what was committed stays";

/// The next step after an error of the database.
pub fn hint_of(error: &Error) -> &'static str {
    match error {
        Error::Database(refusal) => {
            let code = refusal.code().unwrap_or_default();
            let listed = |code: &str| BY_CODE.iter().find(|(c, _)| *c == code).map(|(_, hint)| *hint);
            listed(&code)
                .or_else(|| listed(code.get(..2)?))
                .unwrap_or("see the server's log for what it refused")
        }
        Error::PoolTimedOut => {
            "no connection was free for 10 s: see that the server answers and takes enough connections, then give the command again"
        }
        Error::Io(cause) if cause.to_string().contains("lookup address") => {
            "the host in DATABASE_URL is not known: correct its name"
        }
        Error::Io(cause) if cause.kind() == std::io::ErrorKind::ConnectionRefused => {
            "nothing listens at the address in DATABASE_URL: start the server, or correct host and port"
        }
        Error::Tls(_) => "the server does not speak TLS as asked for: see `sslmode` in DATABASE_URL",
        Error::Configuration(_) => "write DATABASE_URL as `postgres://user@host:5432/database`",
        _ => GONE,
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<NextStep> {
        Some(hint_of(self).into())
    }
}

#[cfg(test)]
impl crate::domain::hint::Samples for Error {
    fn samples() -> Vec<Self> {
        let refused = std::io::ErrorKind::ConnectionRefused;
        vec![
            Self::PoolTimedOut,
            Self::RowNotFound,
            Self::Io(refused.into()),
            Self::Tls("handshake".into()),
            Self::Configuration("no host".into()),
        ]
    }
}

/// Whether the connection is gone rather than a statement refused: the same may succeed on another one.
pub fn is_gone(error: &Error) -> bool {
    match error {
        Error::Io(_) | Error::PoolTimedOut | Error::WorkerCrashed | Error::Protocol(_) => true,
        Error::Database(refusal) => {
            let code = refusal.code().unwrap_or_default();
            code.starts_with("08") || matches!(&*code, "57P01" | "57P02" | "57P03" | "53300")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_away_is_told_from_one_that_is_not_known() {
        let io = |kind, text: &str| Error::Io(std::io::Error::new(kind, text.to_owned()));
        for (error, words, gone) in [
            (io(std::io::ErrorKind::ConnectionRefused, "refused"), "nothing listens", true),
            (io(std::io::ErrorKind::Other, "failed to lookup address information"), "not known", true),
            (io(std::io::ErrorKind::BrokenPipe, "broken pipe"), "server answers", true),
            (Error::PoolTimedOut, "no connection was free", true),
            (Error::RowNotFound, "server answers", false),
        ] {
            assert!(hint_of(&error).contains(words), "{error}: {}", hint_of(&error));
            assert_eq!(is_gone(&error), gone, "{error}");
        }
    }
}
