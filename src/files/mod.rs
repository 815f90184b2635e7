//! Files and folders of our own, and files that others give us: one way to make each, one way to open each.
//!
//! Guarantee: what is made here is its owner's alone (0700, 0600) whatever the umask, and never written through a link;
//! what is opened here is a plain file: a link, named pipe or device is refused at once, without waiting for whoever
//! might write into it. Limit: folders above the one named may be links, since systems have such (`/var/run`).

pub mod csv;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, OFlags};

use crate::domain::hint::{Hint, NextStep};

/// Rights of everything that this program makes: its owner's alone.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// Why a path is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    /// Something else than a plain file.
    #[error("it is a {0}, not a plain file")]
    NotAFile(&'static str),
    /// Something else than a folder.
    #[error("it is a {0}, not a folder")]
    NotAFolder(&'static str),
    /// A secret that others may read, or change.
    #[error("other accounts may read it (mode {0:04o})")]
    Open(u32),
    /// A secret that belongs to another account.
    #[error("it belongs to account {0}, not to this one")]
    OtherOwner(u32),
}

impl PathFault {
    /// What to do about it at `path`.
    pub fn hint(&self, path: &Path) -> String {
        match self {
            Self::NotAFile(_) => "name a plain file: links, named pipes and devices are not followed".into(),
            Self::NotAFolder(_) => {
                format!("move `{}` away, or name another folder: links are not followed", path.display())
            }
            Self::Open(_) => format!("chmod 600 {}", path.display()),
            Self::OtherOwner(_) => {
                format!("chown it to the account that runs sarf, then: chmod 600 {}", path.display())
            }
        }
    }

    /// The fault that an error of this module carries.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl Hint for io::Error {
    fn hint(&self) -> Option<NextStep> {
        match self.kind() {
            io::ErrorKind::NotFound => Some("see that it is there, and that its name is right".into()),
            io::ErrorKind::PermissionDenied => {
                Some("give the account that runs sarf the rights to it, then give the command again".into())
            }
            _ => self.system_hint(),
        }
    }

    fn system_hint(&self) -> Option<NextStep> {
        match PathFault::of(self) {
            Some(PathFault::NotAFile(_)) => {
                return Some("name a plain file: links, named pipes and devices are not followed".into());
            }
            Some(PathFault::NotAFolder(_)) => {
                return Some("move it away, or name another folder: links are not followed".into());
            }
            Some(PathFault::Open(_) | PathFault::OtherOwner(_)) => {
                return Some(
                    "let nobody but its owner, the account that runs sarf, read it: chmod 600 FILE".into(),
                );
            }
            None => {}
        }
        match self.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(
                "the disk is full: free space, then give the command again; what was committed and delivered stays"
                    .into(),
            ),
            io::ErrorKind::ReadOnlyFilesystem => {
                Some("name a folder on a file system that can be written".into())
            }
            _ => None,
        }
    }
}

/// The next step where a path that is known cannot be used for what it is.
pub fn path_hint(path: &Path, source: &io::Error) -> Option<NextStep> {
    PathFault::of(source).map(|fault| fault.hint(path).into())
}

#[cfg(test)]
impl crate::domain::hint::Samples for io::Error {
    fn samples() -> Vec<Self> {
        use io::ErrorKind as K;
        let kinds =
            [K::NotFound, K::PermissionDenied, K::StorageFull, K::QuotaExceeded, K::ReadOnlyFilesystem];
        let faults = [
            PathFault::NotAFile("link"),
            PathFault::NotAFolder("link"),
            PathFault::Open(0o644),
            PathFault::OtherOwner(1),
        ];
        kinds.into_iter().map(Self::from).chain(faults.into_iter().map(Self::from)).collect()
    }
}

impl From<PathFault> for io::Error {
    fn from(fault: PathFault) -> Self {
        Self::new(io::ErrorKind::InvalidInput, fault)
    }
}

/// Makes everything this process creates its owner's alone, whatever the umask it was started with.
pub fn keep_private() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
}

/// Opens a plain file for reading.
///
/// # Errors
/// [`PathFault`] in an error for anything but a plain file, a link to one included; else the system's.
pub fn open(path: &Path) -> io::Result<File> {
    // Links are not followed, and a pipe without a writer is not waited for.
    match open_as(path, OFlags::NOFOLLOW) {
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            Err(PathFault::NotAFile("link").into())
        }
        other => other,
    }
}

/// Opens a plain file that a setting names, through links where there are any: secrets and certificates are often
/// mounted so.
///
/// # Errors
/// As [`open`].
pub fn open_setting(path: &Path) -> io::Result<File> {
    open_as(path, OFlags::empty())
}

/// Reads a whole file that [`open_setting`] opens.
///
/// # Errors
/// As [`open_setting`].
pub fn read_setting(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut open_setting(path)?, &mut bytes)?;
    Ok(bytes)
}

fn open_as(path: &Path, more: OFlags) -> io::Result<File> {
    let flags = more | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let file = match file {
        // A socket cannot be opened at all.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) => {
            return Err(PathFault::NotAFile("socket or device").into());
        }
        file => file?,
    };
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok(file) } else { Err(PathFault::NotAFile(kind(metadata.mode())).into()) }
}

/// Reads a whole file that [`open`] opens.
///
/// # Errors
/// As [`open`].
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut open(path)?, &mut bytes)?;
    Ok(bytes)
}

/// Reads a secret: a plain file of this account or of root, that no other account may read or change.
///
/// # Errors
/// [`PathFault`] in an error where that is not so.
pub fn read_secret(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = open_setting(path)?;
    let metadata = file.metadata()?;
    let me = rustix::process::geteuid().as_raw();
    if metadata.uid() != me && metadata.uid() != 0 {
        return Err(PathFault::OtherOwner(metadata.uid()).into());
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(PathFault::Open(metadata.mode() & 0o7777).into());
    }
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut file, &mut bytes)?;
    Ok(bytes)
}

/// Makes a new file for this account alone; one of that name that is there already, a link too, is an error.
///
/// # Errors
/// `AlreadyExists`, or the system's.
pub fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
}

/// Writes a new file, or replaces a plain one of that name in one step.
///
/// # Errors
/// Something else bears the name, or the system's.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = Draft::begin(path)?;
    io::Write::write_all(&mut draft.file(), bytes)?;
    draft.keep()
}

/// Makes a folder for this account alone, with those above it; one that is there must be a folder, and no link.
///
/// # Errors
/// [`PathFault`] in an error for anything else of that name.
pub fn private_folder(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty())
        && !parent.is_dir()
    {
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(parent)?;
    }
    match DirBuilder::new().mode(FOLDER_MODE).create(path) {
        // The umask can only have taken rights away.
        Ok(()) => fs::set_permissions(path, fs::Permissions::from_mode(FOLDER_MODE)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => folder(path),
        Err(error) => Err(error),
    }
}

/// The same for a folder of the home, such as `outbox`: one that an earlier version left open to others is closed.
///
/// # Errors
/// As [`private_folder`].
pub fn home_folder(path: &Path) -> io::Result<()> {
    private_folder(path)?;
    let metadata = fs::symlink_metadata(path)?;
    let mine = metadata.uid() == rustix::process::geteuid().as_raw();
    if mine && metadata.mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(FOLDER_MODE))?;
    }
    Ok(())
}

/// Whether the path is a folder, and no link.
///
/// # Errors
/// [`PathFault`] in an error for anything else of that name; the system's where there is none.
pub fn folder(path: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_dir() { Ok(()) } else { Err(PathFault::NotAFolder(kind(metadata.mode())).into()) }
}

/// Puts on disk what was made, renamed or removed in a folder.
///
/// # Errors
/// The system's.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn kind(mode: u32) -> &'static str {
    match FileType::from_raw_mode(mode) {
        FileType::RegularFile => "plain file",
        FileType::Directory => "folder",
        FileType::Symlink => "link",
        FileType::Fifo => "named pipe",
        FileType::Socket => "socket",
        FileType::CharacterDevice | FileType::BlockDevice => "device",
        FileType::Unknown => "special file",
    }
}

/// A temporary name beside `target` that no other process or attempt has: `.NAME.NUMBER.part`.
///
/// # Errors
/// Something else than a plain file bears the final name, or the system's.
pub fn draft_path(target: &Path) -> io::Result<PathBuf> {
    match fs::symlink_metadata(target) {
        Ok(metadata) if !metadata.is_file() => {
            return Err(PathFault::NotAFile(kind(metadata.mode())).into());
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let name = target.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let number = format!("{}-{:016x}", std::process::id(), getrandom::u64().map_err(io::Error::other)?);
    Ok(target.with_file_name(format!(".{name}.{number}.part")))
}

/// A file under a temporary name of its own, beside the one that it is to become. Dropped before it is kept, it is gone.
#[derive(Debug)]
pub struct Draft {
    file: Option<File>,
    path: PathBuf,
    target: PathBuf,
}

impl Draft {
    /// Makes the draft of `target`: `.NAME.NUMBER.part`, a name that no other process or attempt has.
    ///
    /// # Errors
    /// Something else than a plain file bears the final name, or the system's.
    pub fn begin(target: &Path) -> io::Result<Self> {
        let path = draft_path(target)?;
        let file = create_new(&path)?;
        Ok(Self { file: Some(file), path, target: target.to_owned() })
    }

    /// The file, for writing and reading back.
    pub fn file(&self) -> &File {
        self.file.as_ref().expect("a draft holds its file until it is kept")
    }

    /// Its temporary path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path that it is to bear.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Puts it on disk and gives it its name, over a file that bears it; the folder is put on disk too.
    ///
    /// # Errors
    /// The system's; the draft is gone then.
    pub fn keep(mut self) -> io::Result<()> {
        self.file().sync_all()?;
        self.rename()?;
        sync_folder(self.target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")))
    }

    fn rename(&mut self) -> io::Result<()> {
        fs::rename(&self.path, &self.target)?;
        self.file = None;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.file.is_some() {
            // Gone already: nothing to take away.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Takes away drafts of `target` that ended attempts left. Only for whoever may be sure that nobody else is at it.
///
/// # Errors
/// The folder cannot be read.
pub fn clear_drafts(folder: &Path, is_ours: impl Fn(&str) -> bool) -> io::Result<()> {
    for entry in fs::read_dir(folder)?.flatten() {
        let name = entry.file_name();
        let target = name.to_str().and_then(draft_of);
        if target.is_some_and(&is_ours) {
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}

/// The name that a draft is to bear.
fn draft_of(name: &str) -> Option<&str> {
    let inner = name.strip_prefix('.')?.strip_suffix(".part")?;
    Some(match inner.rsplit_once('.') {
        Some((target, number))
            if number.contains('-') && number.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit()) =>
        {
            target
        }
        // As versions before named them.
        _ => inner,
    })
}

#[cfg(test)]
mod tests;

/// Room that is left on the disk of a folder, where that can be told.
pub fn free_bytes(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}
