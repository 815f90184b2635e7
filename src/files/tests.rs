use std::os::unix::fs::symlink;

use super::*;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sarf-files-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn fault(error: &io::Error) -> PathFault {
    PathFault::of(error).unwrap_or_else(|| panic!("{error}")).clone()
}

#[test]
fn only_plain_files_are_opened_and_at_once() {
    let folder = Folder::new("open");
    let (plain, link, pipe) = (folder.0.join("plain"), folder.0.join("link"), folder.0.join("pipe"));
    fs::write(&plain, "x").unwrap();
    symlink(&plain, &link).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0)
        .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folder.0.join("socket")).unwrap();
    assert_eq!(read(&plain).unwrap(), b"x");
    for (path, expected) in [
        (link.as_path(), PathFault::NotAFile("link")),
        (&pipe, PathFault::NotAFile("named pipe")),
        (&folder.0, PathFault::NotAFile("folder")),
        (&folder.0.join("socket"), PathFault::NotAFile("socket or device")),
        (Path::new("/dev/null"), PathFault::NotAFile("device")),
    ] {
        assert_eq!(fault(&open(path).unwrap_err()), expected, "{}", path.display());
    }
    assert_eq!(open(&folder.0.join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    // What a setting names may be a link, but to a plain file.
    assert!(open_setting(&link).is_ok());
    assert_eq!(fault(&open_setting(&pipe).unwrap_err()), PathFault::NotAFile("named pipe"));
}

#[test]
fn folders_are_private_and_no_links() {
    let folder = Folder::new("folders");
    let (new, link, file) = (folder.0.join("a/b/new"), folder.0.join("link"), folder.0.join("file"));
    private_folder(&new).unwrap();
    private_folder(&new).unwrap();
    assert_eq!((mode(&new), mode(&folder.0.join("a"))), (0o700, 0o700));
    symlink(&new, &link).unwrap();
    fs::write(&file, "").unwrap();
    assert_eq!(fault(&private_folder(&link).unwrap_err()), PathFault::NotAFolder("link"));
    assert_eq!(fault(&private_folder(&file).unwrap_err()), PathFault::NotAFolder("plain file"));
    let open = folder.0.join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
    home_folder(&open).unwrap();
    assert_eq!(mode(&open), 0o700);
}

#[test]
fn secrets_are_their_owners_alone() {
    let folder = Folder::new("secrets");
    let path = folder.0.join("secret");
    fs::write(&path, "s").unwrap();
    for (rights, expected) in [
        (0o600, None),
        (0o400, None),
        (0o640, Some(PathFault::Open(0o640))),
        (0o604, Some(PathFault::Open(0o604))),
        (0o620, Some(PathFault::Open(0o620))),
    ] {
        fs::set_permissions(&path, fs::Permissions::from_mode(rights)).unwrap();
        let found = read_secret(&path).map_err(|e| fault(&e));
        assert_eq!(found.err(), expected, "{rights:o}");
    }
    assert_eq!(PathFault::Open(0o644).hint(&path), format!("chmod 600 {}", path.display()));
}

#[test]
fn drafts_get_their_name_whole_and_never_through_a_link() {
    let folder = Folder::new("drafts");
    let (target, elsewhere) = (folder.0.join("a.xml"), folder.0.join("elsewhere"));
    let names = || {
        let mut names: Vec<String> =
            fs::read_dir(&folder.0).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let (first, second) = (Draft::begin(&target).unwrap(), Draft::begin(&target).unwrap());
    assert_ne!(first.path(), second.path());
    drop(second);
    io::Write::write_all(&mut first.file(), b"1").unwrap();
    first.keep().unwrap();
    assert_eq!((names(), mode(&target)), (vec!["a.xml".to_owned()], 0o600));
    replace(&target, b"2").unwrap();
    assert_eq!(read(&target).unwrap(), b"2");
    fs::write(&elsewhere, "").unwrap();
    fs::remove_file(&target).unwrap();
    symlink(&elsewhere, &target).unwrap();
    assert_eq!(fault(&Draft::begin(&target).unwrap_err()), PathFault::NotAFile("link"));
    // Names of drafts tell what they were to become, those of earlier versions too.
    for (name, expected) in [
        (".a.xml.12-00ff.part", Some("a.xml")),
        (".a.xml.part", Some("a.xml")),
        ("a.xml", None),
        (".a.xml", None),
    ] {
        assert_eq!(draft_of(name), expected, "{name}");
    }
}
