//! Small good snapshots broken in one place each.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use sha2::{Digest, Sha256};

use super::*;
use crate::domain::hint::Hint as _;
use crate::domain::household::Household;
use crate::domain::ids::Code;
use crate::domain::person::Idcs;

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("sarf-snapshot-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(name);
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Read {
    households: Vec<Household>,
    rejections: Vec<Rejection>,
    totals: Totals,
}

fn read_with(dir: &Path, limits: Limits) -> Result<Read, SnapshotError> {
    let mut reader =
        SnapshotReader::open(dir, Manifest::load(dir)?, &ReadOptions { limits, ..ReadOptions::default() })?;
    let (mut households, mut rejections) = (Vec::new(), Vec::new());
    let mut chunk = Chunk::default();
    while reader.next_chunk(&mut chunk)? {
        households.append(&mut chunk.households);
        rejections.append(&mut chunk.rejections);
    }
    Ok(Read { households, rejections, totals: reader.finish()? })
}

fn read(dir: &Path) -> Result<Read, SnapshotError> {
    read_with(dir, Limits::default())
}

fn idcs(n: u32) -> String {
    Idcs::from_stem(200_000_000 + n).reveal().to_string()
}

const HOUSEHOLDS: &str = "households.csv";
const MEMBERS: &str = "members.csv";

/// Texts of a good snapshot: households A, B and C with 2, 1 and no members.
fn good() -> (String, String) {
    let household = |id: &str, n: u32| {
        format!("{id},R,P,C,8.5,{0},true,,{0},Name,,AB12,husband,false,0612345678,wallet,,wallet,\n", idcs(n))
    };
    let member = |id: &str, n: u32| format!("{id},{},2015-05-01,F,true,primary,public,0,0,0,\n", idcs(n));
    let households = [household("A", 1), household("B", 2), household("C", 3)].concat();
    let members = [member("A", 11), member("A", 12), member("B", 13)].concat();
    (
        format!("{}\n{households}", HOUSEHOLD_COLUMNS.join(",")),
        format!("{}\n{members}", MEMBER_COLUMNS.join(",")),
    )
}

fn part(dir: &Path, file: &str, kind: Kind, rows: u64, bytes: &[u8]) -> Part {
    fs::write(dir.join(file), bytes).unwrap();
    Part { file: file.into(), kind, rows, sha256: Sha256Hex(Sha256::digest(bytes).into()) }
}

fn lay(dir: &Path, households: &[u8], members: &[u8]) -> Manifest {
    let manifest = Manifest {
        format: FORMAT.into(),
        programme: Code::parse("dss").unwrap(),
        period: "2026-02".parse().unwrap(),
        source: "test".into(),
        created_at: time::OffsetDateTime::UNIX_EPOCH,
        parts: vec![
            part(dir, HOUSEHOLDS, Kind::Households, 3, households),
            part(dir, MEMBERS, Kind::Members, 3, members),
        ],
        control_totals: None,
    };
    manifest.store(dir).unwrap();
    manifest
}

/// Edits the texts, lays them with right hashes, and says what reading gives: the error, or the rejections.
fn outcome(edit: impl FnOnce(&mut String, &mut String)) -> String {
    let folder = Folder::new();
    let (mut households, mut members) = good();
    edit(&mut households, &mut members);
    lay(&folder.0, households.as_bytes(), members.as_bytes());
    tell(read(&folder.0))
}

fn tell(outcome: Result<Read, SnapshotError>) -> String {
    match outcome {
        Err(error) => {
            assert!(error.hint().is_some());
            error.to_string()
        }
        Ok(read) => {
            let mut told: Vec<_> = read
                .rejections
                .iter()
                .map(|r| format!("{} {} {} {} {}", r.kind, r.row, r.field, r.reason, r.value_masked))
                .collect();
            told.push(format!(
                "{} accepted, {} joined, {} following",
                read.totals.households_accepted, read.totals.members_joined, read.totals.members_following
            ));
            told.join("; ")
        }
    }
}

#[test]
fn faulty_rows_are_rejected_by_field_and_reason() {
    type Row = (&'static str, bool, &'static str, &'static str, &'static str);
    // In households (true) or members (false): what is replaced, once, by what; and what is told.
    let rows: [Row; 16] = [
        ("good", true, "Name", "Name", "3 accepted, 3 joined, 0 following"),
        (
            "means",
            true,
            ",wallet,,wallet",
            ",cheque,,wallet",
            "households 1 means unknown_value aaaaaa; 2 accepted, 1 joined, 2 following",
        ),
        ("score", true, "8.5", "", "households 1 rsu_score missing ; 2 accepted, 1 joined, 2 following"),
        (
            "score form",
            true,
            "8.5",
            "8;5",
            "households 1 rsu_score malformed 9?9; 2 accepted, 1 joined, 2 following",
        ),
        (
            "names",
            true,
            ",Name,,",
            ",,,",
            "households 1 payee_name missing ; 2 accepted, 1 joined, 2 following",
        ),
        ("arabic name", true, ",Name,,", ",,محمد,", "3 accepted, 3 joined, 0 following"),
        (
            "phone",
            true,
            "0612345678",
            "0512345678",
            "households 1 phone malformed 9999999999; 2 accepted, 1 joined, 2 following",
        ),
        (
            "cin",
            true,
            "AB12",
            "ABC12",
            "households 1 payee_cin malformed AAA99; 2 accepted, 1 joined, 2 following",
        ),
        (
            "account",
            true,
            "wallet,,",
            "wallet,12345678901234567890123456789012345,",
            "households 1 account too_long 99999999999999999999999999999999…(35); 2 accepted, 1 joined, 2 following",
        ),
        (
            "twice",
            true,
            "\nB,",
            "\nA,",
            "households 2 household_id duplicate_household A; members 3 household_id orphan_member A; \
             2 accepted, 2 joined, 0 following",
        ),
        (
            "birth",
            false,
            "2015-05-01",
            "2015-13-01",
            "members 1 birth_date malformed 9999-99-99; 3 accepted, 2 joined, 0 following",
        ),
        (
            "unborn",
            false,
            "2015-05-01",
            "2026-03-01",
            "members 1 birth_date out_of_range 9999-99-99; 3 accepted, 2 joined, 0 following",
        ),
        (
            "died first",
            false,
            "0,0,0,\n",
            "0,0,0,2015-04-30\n",
            "members 1 deceased_on out_of_range 9999-99-99; 3 accepted, 2 joined, 0 following",
        ),
        (
            "flag",
            false,
            ",0,0,0",
            ",,0,0",
            "members 1 father_orphan missing ; 3 accepted, 2 joined, 0 following",
        ),
        (
            "orphan",
            false,
            "\nB,",
            "\nBB,",
            "members 3 household_id orphan_member AA; 3 accepted, 2 joined, 0 following",
        ),
        ("words", false, "true", "YES", "3 accepted, 3 joined, 0 following"),
    ];
    for (name, in_households, from, to, expected) in rows {
        let told = outcome(|households, members| {
            let text = if in_households { households } else { members };
            assert!(text.contains(from), "{name}");
            *text = text.replacen(from, to, 1);
        });
        assert_eq!(told, expected, "{name}");
    }
    let digit = outcome(|h, _| {
        let wrong = format!("{}{}", &idcs(1)[..9], (idcs(1).as_bytes()[9] - b'0' + 1) % 10);
        *h = h.replacen(&idcs(1), &wrong, 1);
    });
    assert_eq!(digit, "households 1 head_idcs check_digit 9999999999; 2 accepted, 1 joined, 2 following");
    let twice = outcome(|_, m| *m = m.replacen(&idcs(12), &idcs(11), 1));
    assert_eq!(twice, "members 2 idcs duplicate_member 9999999999; 3 accepted, 2 joined, 0 following");
}

#[test]
fn rejected_members_mark_their_household() {
    let folder = Folder::new();
    let (households, members) = good();
    let members = members.replacen("2015-05-01", "", 1).replacen(",F,", ",X,", 2);
    lay(&folder.0, households.as_bytes(), members.as_bytes());
    let found = read(&folder.0).unwrap();
    let marks: Vec<_> = found.households.iter().map(|h| (h.members.len(), h.members_rejected)).collect();
    assert_eq!(marks, [(0, 2), (1, 0), (0, 0)]);
    let few = read_with(&folder.0, Limits { members_max: 0, ..Limits::default() }).unwrap();
    assert!(few.rejections.iter().any(|r| r.reason == RejectReason::TooMany));
}

#[test]
fn a_fault_of_a_file_refuses_the_snapshot() {
    type Edit = fn(&mut String, &mut String);
    let rows: [(Edit, &str); 14] = [
        (
            |h, _| *h = h.replacen("\nB,", "\nD,", 1),
            "part `households.csv`, row 3: household `C` comes after `D`",
        ),
        (
            |_, m| *m = m.replacen("\nA,", "\nZ,", 1),
            "part `members.csv`, row 2: household `A` comes after `Z`",
        ),
        (|h, _| *h = h.replacen("means", "mode", 1), "part `households.csv`: column `means` is missing"),
        (|_, m| *m = m.replacen("sex", "idcs", 1), "part `members.csv`: column `idcs` is there twice"),
        (
            |h, _| *h = h.replacen("8.5", "8,5", 1),
            "part `households.csv`, row 1: 20 fields where the header has 19",
        ),
        (|h, _| *h = h.replacen("Name", "\"Name", 1), "part `households.csv`, row 1: a quotation is opened"),
        (
            |h, _| *h = h.replacen("Name", "Na\"me", 1),
            "part `households.csv`, row 1: a quotation mark in the middle",
        ),
        (
            |h, _| *h = h.replacen("Name", &"N".repeat(70_000), 1),
            "part `households.csv`, row 1: the record is longer",
        ),
        (
            |_, m| m.push_str("C,,,,,,,,,,\n"),
            "part `members.csv`, row 4: there are more rows than the manifest's 3",
        ),
        (
            |h, _| h.truncate(h.find("\nC,").unwrap()),
            "part `households.csv`: there are 2 rows, the manifest says 3",
        ),
        (|h, _| h.clear(), "part `households.csv`: the header row is missing"),
        // As spreadsheet programs save it, or by another name.
        (|h, _| *h = h.replace(',', ";"), "part `households.csv`: its fields are separated by semicolons"),
        (|h, _| h.insert_str(0, "PK\u{3}\u{4}"), "part `households.csv`: it is a ZIP archive"),
        (|_, m| *m = m.replace('\n', "\r"), "part `members.csv`: a carriage return outside quotation marks"),
    ];
    for (edit, expected) in rows {
        let told = outcome(edit);
        assert!(told.starts_with(expected), "{told}\n{expected}");
    }
}

#[test]
fn a_list_in_utf_16_is_called_that() {
    let (households, members) = good();
    for mark in [&b"\xff\xfe"[..], b""] {
        let dir = Folder::new();
        let wide: Vec<u8> =
            mark.iter().copied().chain(households.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        lay(&dir.0, &wide, members.as_bytes());
        let told = tell(read(&dir.0));
        assert!(told.starts_with("part `households.csv`: the text is UTF-16"), "{told}");
    }
}

#[test]
fn what_lies_in_the_folder_must_be_what_the_manifest_says() {
    type Break = fn(&Path, &mut Manifest);
    let (households, members) = good();
    let packed = zstd::encode_all(&vec![b'x'; 3 << 20][..], 1).unwrap();
    let rows: [(Break, &str); 11] = [
        (|d, _| fs::write(d.join(MEMBERS), "altered").unwrap(), "part `members.csv`: SHA-256 is "),
        (|d, _| fs::remove_file(d.join(MEMBERS)).unwrap(), "part `members.csv`: the file is not in the"),
        (|_, m| m.parts[1].file = "../members.csv".into(), "`../members.csv` is not the name of a plain"),
        (|_, m| m.parts[1].file = "/etc/passwd".into(), "`/etc/passwd` is not the name of a plain"),
        (
            |_, m| m.parts[1].file = HOUSEHOLDS.into(),
            "part `households.csv`: the manifest names the file twice",
        ),
        (|_, m| m.parts.truncate(1), "the manifest names no part of kind `members`"),
        (|_, m| m.format = "sarf-snapshot/9".into(), "part `manifest.json`: format `sarf-snapshot/9` is not"),
        (
            |_, m| m.control_totals = Some(ControlTotals { members: Some(4), ..Default::default() }),
            "part `manifest.json`: control total `members` is 3, the manifest says 4",
        ),
        (
            |_, m| {
                m.control_totals = Some(ControlTotals {
                    rsu_score_sum: Some("25.51".parse().unwrap()),
                    ..Default::default()
                });
            },
            "part `manifest.json`: control total `rsu_score_sum` is 25.500000, the manifest says 25.51",
        ),
        (
            |d, m| {
                use std::io::Write as _;
                let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                gz.write_all(&fs::read(d.join(MEMBERS)).unwrap()).unwrap();
                let bytes = gz.finish().unwrap();
                m.parts[1] = part(d, "members.csv.gz", Kind::Members, 3, &bytes[..bytes.len() / 2]);
            },
            "part `members.csv.gz`",
        ),
        (
            |d, m| m.parts[1] = part(d, "members.parquet", Kind::Members, 3, b"PAR1 no parquet PAR1"),
            "part `members.parquet`: the Parquet file",
        ),
    ];
    for (damage, expected) in rows {
        let folder = Folder::new();
        let mut manifest = lay(&folder.0, households.as_bytes(), members.as_bytes());
        damage(&folder.0, &mut manifest);
        manifest.store(&folder.0).unwrap();
        let told = tell(read(&folder.0));
        assert!(told.starts_with(expected), "{told}\n{expected}");
    }
    let folder = Folder::new();
    let mut manifest = lay(&folder.0, households.as_bytes(), members.as_bytes());
    manifest.parts[1] = part(&folder.0, "m.csv.zst", Kind::Members, 3, &packed);
    manifest.store(&folder.0).unwrap();
    let limits = Limits {
        unpacked_bytes_floor: 1 << 10,
        unpacked_ratio_max: 2,
        record_bytes_max: 4 << 20,
        ..Limits::default()
    };
    let told = tell(read_with(&folder.0, limits));
    assert!(told.starts_with("part `m.csv.zst`: the file unpacks to more than 1024 bytes"), "{told}");
    let mut latin1 = households.clone().into_bytes();
    let at = households.find("Name").unwrap();
    latin1[at] = 0xE9;
    lay(&folder.0, &latin1, members.as_bytes());
    assert_eq!(tell(read(&folder.0)), "part `households.csv`, row 1: the text is not UTF-8");
    lay(&folder.0, households.as_bytes(), members.as_bytes());
    let told = tell(read_with(&folder.0, Limits { places_max: 0, ..Limits::default() }));
    assert_eq!(told, "part `households.csv`, row 1: more than 0 distinct places");
}

#[test]
fn parts_continue_and_identity_is_that_of_the_content() {
    let folder = Folder::new();
    let (households, members) = good();
    let mut manifest = lay(&folder.0, households.as_bytes(), members.as_bytes());
    let (mut renamed, before) = (manifest.clone(), manifest.content_sha256());
    (renamed.source, renamed.parts[0].file) = ("other".into(), "other.csv".into());
    assert_eq!(renamed.content_sha256(), before);
    let (first, rest) = members.split_at(members.find("\nB,").unwrap() + 1);
    let second = format!("note,{}\n,{rest}", MEMBER_COLUMNS.join(","));
    manifest.parts[1] = part(&folder.0, "m1.csv", Kind::Members, 2, first.as_bytes());
    manifest.parts.push(part(&folder.0, "m2.csv", Kind::Members, 1, second.as_bytes()));
    assert_ne!(manifest.content_sha256(), before);
    manifest.store(&folder.0).unwrap();
    let found = read(&folder.0).unwrap();
    assert_eq!((found.totals.members_joined, found.rejections.len()), (3, 0));
    assert_eq!(found.totals.warnings, ["members: column `note` is not in the contract and was passed over"]);
}
