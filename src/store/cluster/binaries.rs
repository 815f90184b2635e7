//! Finds PostgreSQL's programs.
//!
//! Input: the machine, and the major version of existing data, if any. Output: a directory with `postgres`, `initdb` and
//! `pg_ctl` of one version, 15 or later, that the server's account can run.
//! Order: `SARF_PG_BIN`; `pg_config --bindir`; `/usr/lib/postgresql/*/bin`, newest first; `PATH`; the wheel that `make`
//! put below `<home>/venv` or `./var/venv`. The first that fits wins.
//! Limit: `SARF_PG_BIN` is an order, not a suggestion: where it is set, nothing else is tried.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::ClusterError;
use super::owner::Owner;

/// The oldest major version served: `wal_compression=lz4`, `COPY` and locale behaviour are relied on from there.
pub(super) const MAJOR_MIN: u32 = 15;
/// How deep below a virtual environment programs are looked for (`lib/python3.x/site-packages/<name>/…/bin`).
const WHEEL_DEPTH_MAX: u32 = 8;

/// The programs of one installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binaries {
    /// The directory that holds them.
    pub(super) dir: PathBuf,
    /// Their major version.
    pub(super) major: u32,
}

impl Binaries {
    /// The first installation in the order above; `data_major` is the version that existing data demands.
    pub(super) fn find(home: &Path, owner: &Owner, data: &Path) -> Result<Self, ClusterError> {
        let data_major = data_major(data);
        let (mut tried, mut seen, mut other_major) = (Vec::new(), Vec::new(), false);
        for dir in candidates(home) {
            let dir = fs::canonicalize(&dir).unwrap_or(dir);
            if seen.contains(&dir) {
                continue;
            }
            match probe(&dir, owner) {
                Ok(major) if major < MAJOR_MIN => {
                    tried.push(format!("`{}` is version {major}", dir.display()))
                }
                Ok(major) if data_major.is_some_and(|wanted| wanted != major) => other_major = true,
                Ok(major) => return Ok(Self { dir, major }),
                Err(why) => tried.push(format!("`{}`: {why}", dir.display())),
            }
            seen.push(dir);
        }
        match data_major {
            Some(wanted) if other_major => Err(ClusterError::OtherMajor { data: data.to_path_buf(), wanted }),
            _ => Err(ClusterError::NoBinaries { tried }),
        }
    }

    /// The path of `name`.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// The places worth a look, in order; they may not exist, and may repeat. Lazy, since the last one walks directories.
fn candidates(home: &Path) -> Box<dyn Iterator<Item = PathBuf>> {
    if let Some(dir) = std::env::var_os("SARF_PG_BIN").filter(|dir| !dir.is_empty()) {
        return Box::new(std::iter::once(PathBuf::from(dir)));
    }
    let wheels = [home.join("venv"), PathBuf::from("var/venv")];
    Box::new(
        from_pg_config().into_iter().chain(debian(Path::new("/usr/lib/postgresql"))).chain(on_path()).chain(
            wheels.into_iter().flat_map(|venv| {
                let mut found = Vec::new();
                walk(&venv, WHEEL_DEPTH_MAX, &mut found);
                found
            }),
        ),
    )
}

fn from_pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").stdin(Stdio::null()).output().ok()?;
    let dir = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !dir.trim().is_empty()).then(|| PathBuf::from(dir.trim()))
}

/// `<root>/<version>/bin`, newest version first.
fn debian(root: &Path) -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.into_iter().map(|(_, dir)| dir).collect()
}

/// Directories on `PATH` with `postgres`; a link there leads to the installation it points into.
fn on_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .filter_map(|dir| fs::canonicalize(dir.join("postgres")).ok()?.parent().map(Path::to_path_buf))
        .collect()
}

/// Every `bin` directory with `postgres` below `dir`, links not followed.
fn walk(dir: &Path, depth_left: u32, found: &mut Vec<PathBuf>) {
    if dir.file_name() == Some(OsStr::new("bin")) && dir.join("postgres").is_file() {
        found.push(dir.to_path_buf());
    }
    if depth_left == 0 {
        return;
    }
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&entry.path(), depth_left - 1, found);
        }
    }
}

/// The major version in `dir`, asked as the server's account, so that programs it cannot run are passed over.
fn probe(dir: &Path, owner: &Owner) -> Result<u32, String> {
    for name in ["initdb", "pg_ctl"] {
        if !dir.join(name).is_file() {
            return Err(format!("no {name}"));
        }
    }
    let output = owner
        .command(&dir.join("postgres"), Path::new("/"))
        .arg("--version")
        .output()
        .map_err(|error| format!("postgres does not run ({error})"))?;
    version(&String::from_utf8_lossy(&output.stdout))
        .ok_or_else(|| "postgres does not tell its version".into())
}

/// The major version in `postgres (PostgreSQL) 15.18 (Debian …)`, `… 18beta1`.
fn version(said: &str) -> Option<u32> {
    let number = said.split_once("(PostgreSQL) ")?.1;
    let digits = number.find(|c: char| !c.is_ascii_digit()).map_or(number, |end| &number[..end]);
    digits.parse().ok()
}

fn data_major(data: &Path) -> Option<u32> {
    fs::read_to_string(data.join("PG_VERSION")).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_each_packager_writes_them() {
        let check = |said: &str, expected: Option<u32>| assert_eq!(version(said), expected, "{said}");
        check("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", Some(15));
        check("postgres (PostgreSQL) 18beta1\n", Some(18));
        check("postgres (PostgreSQL) 17\n", Some(17));
        check("postgres (PostgreSQL) devel\n", None);
        check("", None);
    }
}
