//! Where the cluster lives on disk.
//!
//! Input: `SARF_HOME` (or `./var`). Output: `<home>/pg` with `data/`, `run/` (the socket), `server.log`, `users.lock` and
//! `start.lock`, all private to the server's account.
//! Guarantee: the socket's path fits the system's 107 bytes: where the home is too deep, or its name would need quoting,
//! a short directory below the temporary one is used, named by a hash of the home, mode 0700, and refused if it is
//! anyone else's. Which one is in use stands in `data/postmaster.pid`, as PostgreSQL itself writes it.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::ClusterError;
use super::owner::Owner;

/// Longest path of a unix socket, in bytes (`sun_path` holds 108 with the closing zero).
const SOCKET_PATH_BYTES_MAX: usize = 107;
/// The socket's file name: the port only names it, nothing listens on the network.
const SOCKET_NAME: &str = ".s.PGSQL.5432";
/// The server's log is renamed at a start when it is longer than this; one older log is kept.
const LOG_BYTES_MAX: u64 = 4 << 20;

/// The directories and files of one home.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The home, absolute, links resolved.
    pub(super) home: PathBuf,
    /// `<home>/pg`.
    pub(super) pg: PathBuf,
    /// `<home>/pg/data`.
    pub(super) data: PathBuf,
    /// `<home>/pg/server.log`.
    pub(super) log: PathBuf,
    /// Where a server that is started now puts its socket.
    pub(super) socket_dir: PathBuf,
    /// The account that owns all of it.
    pub(super) owner: Owner,
}

impl Place {
    /// Makes what is missing, and checks that the server's account can get there.
    pub(super) fn prepare(home: &Path) -> Result<Self, ClusterError> {
        let existed = home.exists();
        make_way(home)?;
        let home = fs::canonicalize(home).map_err(ClusterError::io("resolve", home))?;
        let pg = home.join("pg");
        let owner = Owner::decide(&pg)?;
        if !existed || is_empty_of_root(&home) {
            // A home that root makes is the server's account's: it must pass through, and nobody else may.
            owner.take(&home)?;
        }
        private_dir(&pg, &owner)?;
        owner.can_reach(&pg)?;
        let data = pg.join("data");
        let socket_dir = socket_dir(&home, &pg, &owner)?;
        Ok(Self { log: pg.join("server.log"), home, pg, data, socket_dir, owner })
    }

    /// Opens (and makes) a lock file in `pg`.
    pub(super) fn lock_file(&self, name: &str) -> Result<File, ClusterError> {
        let path = self.pg.join(name);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags((rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits().cast_signed())
            .open(&path)
            .map_err(ClusterError::io("open", &path))?;
        self.owner.take(&path)?;
        Ok(file)
    }

    /// The directory with the running server's socket, from `postmaster.pid` (its fifth line), else where it would be.
    pub(super) fn live_socket_dir(&self) -> PathBuf {
        let pid_file = fs::read_to_string(self.data.join("postmaster.pid")).unwrap_or_default();
        match pid_file.lines().nth(4) {
            Some(dir) if !dir.trim().is_empty() => PathBuf::from(dir.trim()),
            _ => self.socket_dir.clone(),
        }
    }

    /// Bounds the log: called before a start, with no server writing.
    pub(super) fn rotate_log(&self) -> Result<(), ClusterError> {
        if fs::metadata(&self.log).is_ok_and(|meta| meta.len() > LOG_BYTES_MAX) {
            let older = self.pg.join("server.log.1");
            fs::rename(&self.log, &older).map_err(ClusterError::io("rename", &self.log))?;
        }
        Ok(())
    }

    /// Processes at work in the data directory: the server and its children, which PostgreSQL runs with it as working
    /// directory. A killed server that nobody has waited for does not count. Empty where `/proc` does not tell.
    pub(super) fn processes(&self) -> Vec<u32> {
        if self.owner.drop_root {
            return self.processes_seen_by_owner();
        }
        fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == self.data))
            .collect()
    }

    /// The same, asked as the server's account: in a container root often may not look at other accounts' processes.
    fn processes_seen_by_owner(&self) -> Vec<u32> {
        let script = r#"for p in /proc/[0-9]*; do [ "$p/cwd" -ef "$1" ] && echo "${p#/proc/}"; done"#;
        let mut command = self.owner.command(Path::new("/bin/sh"), Path::new("/"));
        let output = command.args(["-c", script, "sh"]).arg(&self.data).output();
        let stdout = output.map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&stdout).lines().filter_map(|pid| pid.parse().ok()).collect()
    }

    /// True where the process named in `postmaster.pid` is at work here.
    pub(super) fn server_lives(&self) -> bool {
        let pid_file = fs::read_to_string(self.data.join("postmaster.pid")).unwrap_or_default();
        let pid = pid_file.lines().next().and_then(|line| line.trim().parse().ok());
        pid.is_some_and(|pid| self.processes().contains(&pid))
    }

    /// Removes what a killed server left: `postmaster.pid` and the socket with its lock. Called when no process is at work
    /// here. The dead server's process number may be another program's by now, or wait to be reaped, and PostgreSQL
    /// would refuse to start for it.
    pub(super) fn clear_stale(&self) -> Result<(), ClusterError> {
        if !Path::new("/proc/self").exists() || !self.processes().is_empty() {
            return Ok(());
        }
        let lock = format!("{SOCKET_NAME}.lock");
        let socket_dir = self.live_socket_dir();
        for path in [socket_dir.join(SOCKET_NAME), socket_dir.join(lock), self.data.join("postmaster.pid")] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(ClusterError::io("remove", &path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// After a clean stop: a socket directory below the temporary one is not left behind.
    pub(super) fn forget_socket_dir(&self) {
        if !self.socket_dir.starts_with(&self.pg) {
            // Not empty or already gone: nothing to do about either.
            let _ = fs::remove_dir(&self.socket_dir);
        }
    }
}

/// Whether root made the folder for this and nothing else: it holds nothing.
fn is_empty_of_root(home: &Path) -> bool {
    fs::metadata(home).is_ok_and(|meta| meta.uid() == 0)
        && fs::read_dir(home).is_ok_and(|mut entries| entries.next().is_none())
}

/// Makes the home, mode 0700, and what is missing above it: folders that others may pass through, since the server's
/// account must, but not list.
fn make_way(home: &Path) -> Result<(), ClusterError> {
    let missing: Vec<&Path> =
        home.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.exists()).collect();
    for dir in missing.into_iter().rev() {
        let mode = if dir == home { 0o700 } else { 0o711 };
        match DirBuilder::new().mode(mode).create(dir) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && dir.is_dir() => continue,
            made => made.map_err(ClusterError::io("create", dir))?,
        }
        // The umask can only have taken rights away.
        fs::set_permissions(dir, Permissions::from_mode(mode))
            .map_err(ClusterError::io("set the rights of", dir))?;
    }
    if home.is_dir() { Ok(()) } else { Err(ClusterError::NotAFolder { path: home.to_owned() }) }
}

/// `pg/run` where the socket's path fits and needs no quoting, else `<temp>/sarf-<hash of the home>`.
fn socket_dir(home: &Path, pg: &Path, owner: &Owner) -> Result<PathBuf, ClusterError> {
    let hash = Sha256::digest(home.as_os_str().as_bytes());
    let name: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let temp = std::env::temp_dir();
    let choices =
        [pg.join("run"), temp.join(format!("sarf-{name}")), PathBuf::from(format!("/tmp/sarf-{name}"))];
    let Some(dir) = choices.iter().find(|dir| socket_fits(dir)) else {
        return Err(ClusterError::NoSocketDir { dir: choices[1].clone() });
    };
    private_dir(dir, owner)?;
    owner.can_reach(dir)?;
    Ok(dir.clone())
}

fn socket_fits(dir: &Path) -> bool {
    let plain = |byte: &u8| byte.is_ascii_graphic() && !b"\"'\\,@".contains(byte);
    let bytes = dir.as_os_str().as_bytes();
    bytes.len() + 1 + SOCKET_NAME.len() <= SOCKET_PATH_BYTES_MAX && bytes.iter().all(plain)
}

/// Makes `dir` with mode 0700 for the account, or checks that it is so: a directory, no link, of that account.
pub(super) fn private_dir(dir: &Path, owner: &Owner) -> Result<(), ClusterError> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => owner.take(dir)?,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(ClusterError::io("create", dir)(error)),
    }
    let meta = fs::symlink_metadata(dir).map_err(ClusterError::io("read", dir))?;
    if !meta.is_dir() {
        return Err(ClusterError::NotAFolder { path: dir.to_path_buf() });
    }
    // Made by root and killed before handing over: taken now.
    if owner.drop_root && meta.uid() == 0 {
        owner.take(dir)?;
    } else if meta.uid() != owner.uid {
        return Err(ClusterError::OtherOwner { path: dir.to_path_buf(), owner: meta.uid() });
    }
    fs::set_permissions(dir, Permissions::from_mode(0o700))
        .map_err(ClusterError::io("set the rights of", dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_stay_within_the_system_limit_and_need_no_quoting() {
        let check = |dir: &str, expected| assert_eq!(socket_fits(Path::new(dir)), expected, "{dir}");
        check("/srv/sarf/pg/run", true);
        check(&format!("/{}", "a".repeat(92)), true);
        check(&format!("/{}", "a".repeat(93)), false);
        check("/srv/my home/pg/run", false);
        check("/srv/it's/pg/run", false);
        check("/srv/a,b/pg/run", false);
    }
}
