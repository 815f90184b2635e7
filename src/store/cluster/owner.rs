//! Whose processes the server's are.
//!
//! Input: who runs `sarf`, and the data directory if it exists. Output: the account the server runs under.
//! Guarantee: never root, for PostgreSQL refuses it: root hands over to the owner of existing data, else to `postgres`,
//! else to `nobody`.
//! Limit: rights are read from mode bits; access lists are not looked at, the kernel has the last word.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::ClusterError;

/// The account that owns the data and runs the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    /// Numeric user id.
    pub(super) uid: u32,
    /// Numeric group id.
    pub(super) gid: u32,
    /// True where `sarf` is root and must hand over.
    pub(super) drop_root: bool,
}

impl Owner {
    /// Decides from the present user, existing data below `pg`, and `/etc/passwd`.
    pub(super) fn decide(pg: &Path) -> Result<Self, ClusterError> {
        let me = fs::metadata("/proc/self").map_err(ClusterError::io("read", "/proc/self"))?;
        let data = fs::metadata(pg.join("data")).ok().map(|m| (m.uid(), m.gid()));
        if me.uid() != 0 {
            return match data.or_else(|| fs::metadata(pg).ok().map(|m| (m.uid(), m.gid()))) {
                Some((uid, _)) if uid != me.uid() => {
                    Err(ClusterError::OtherOwner { path: pg.to_path_buf(), owner: uid })
                }
                _ => Ok(Self { uid: me.uid(), gid: me.gid(), drop_root: false }),
            };
        }
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let account = data.filter(|(uid, _)| *uid != 0).or_else(|| unprivileged(&passwd));
        let (uid, gid) = account.ok_or(ClusterError::NoAccount)?;
        Ok(Self { uid, gid, drop_root: true })
    }

    /// A command under this account: own process group (Ctrl-C on the terminal must not reach the server), working
    /// directory `dir` (`sarf`'s own may be closed to the account), plain messages, no `PG…` settings from outside.
    pub(super) fn command(&self, program: &Path, dir: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(dir).process_group(0).stdin(Stdio::null()).env("LC_ALL", "C");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        if self.drop_root {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Gives `path` to the account where root made it.
    pub(super) fn take(&self, path: &Path) -> Result<(), ClusterError> {
        if self.drop_root {
            std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
                .map_err(ClusterError::io("hand over", path))?;
        }
        Ok(())
    }

    /// Refuses, naming the outermost directory on the way to `path` that the account cannot enter.
    pub(super) fn can_reach(&self, path: &Path) -> Result<(), ClusterError> {
        let mut way: Vec<&Path> = path.ancestors().collect();
        way.reverse();
        for dir in way {
            let meta = fs::metadata(dir).map_err(ClusterError::io("read", dir))?;
            if !self.may_enter(meta.uid(), meta.gid(), meta.mode()) {
                return Err(ClusterError::NotTraversable { dir: PathBuf::from(dir), uid: self.uid });
            }
        }
        Ok(())
    }

    fn may_enter(&self, uid: u32, gid: u32, mode: u32) -> bool {
        let bit = if uid == self.uid {
            0o100
        } else if gid == self.gid {
            0o010
        } else {
            0o001
        };
        !self.drop_root || mode & bit != 0
    }
}

/// The user and group id of `postgres`, else of `nobody`, in the text of `/etc/passwd`.
fn unprivileged(passwd: &str) -> Option<(u32, u32)> {
    ["postgres", "nobody"].iter().find_map(|wanted| {
        passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(wanted)).then_some(())?;
            let uid = fields.nth(1)?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            (uid != 0).then_some((uid, gid))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_is_postgres_else_nobody_never_root() {
        let check = |passwd: &str, expected: Option<(u32, u32)>| {
            assert_eq!(unprivileged(passwd), expected, "{passwd}")
        };
        check(
            "root:x:0:0::/:/bin/sh\nnobody:x:65534:65533::/:/x\npostgres:x:101:104::/:/x\n",
            Some((101, 104)),
        );
        check("root:x:0:0::/:/bin/sh\nnobody:x:65534:65533::/:/x\n", Some((65534, 65533)));
        check("postgres:x:0:0::/:/x\nnobody:x:9:8::/:/x\n", Some((9, 8)));
        check("postgresql:x:5:5::/:/x\nnobody:broken\n", None);
        check("", None);
    }

    #[test]
    fn entering_a_directory_takes_the_right_bit() {
        let owner = Owner { uid: 10, gid: 20, drop_root: true };
        let check = |uid, gid, mode, expected| {
            assert_eq!(owner.may_enter(uid, gid, mode), expected, "{uid} {gid} {mode:o}");
        };
        check(10, 0, 0o700, true);
        check(10, 0, 0o077, false);
        check(0, 20, 0o710, true);
        check(0, 20, 0o701, false);
        check(0, 0, 0o711, true);
        check(0, 0, 0o770, false);
    }
}
