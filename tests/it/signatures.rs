//! Decisions are signed by who takes them: nobody signs as another, and nobody, the database's superuser included, makes a decision
//! that nobody took.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use sarf::domain::powers;
use sarf::domain::run::RunState;
use sarf::keys;
use sarf::pipeline::access::people::{self, PeopleError};
use sarf::pipeline::reports::decisions;
use sarf::pipeline::runs::{approve, fund};
use sarf::store::StoreError;
use sarf::store::access::operators::Role;
use sarf::store::audit::chain::{self, Decision};
use sarf::store::audit::signing;

use crate::harness::{ACCOUNTANT, ADMINISTRATOR, APPROVER, Bed, PREPARER, without_tool};
use crate::tamper::{rewrite_chain, unseen};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openssh_verifies_what_was_signed() {
    let Some(bed) = Bed::new().await else { return };
    bed.run_to(60, 1, RunState::Dispatching).await;
    let folder = bed.home().join("statements");
    let written = decisions::export(&bed.context, &folder).await.expect("written");
    let listed = decisions::list(&bed.context).await.expect("listed");
    assert!(written >= 9, "{listed:?}");
    assert!(listed.iter().all(|decision| decision.key.is_some()), "{listed:?}");
    for action in ["run.submit", "run.approve", "run.fund", "run.release"] {
        let one = listed.iter().find(|decision| decision.action == action).expect(action);
        assert!(one.content.starts_with("sha256 ") && one.content.contains("60 orders;"), "{one:?}");
    }
    let verify = |decision: &decisions::Signed, statement: &str| {
        let mut command = Command::new("ssh-keygen");
        command.current_dir(&folder).args([
            "-Y",
            "verify",
            "-f",
            "allowed_signers",
            "-n",
            "sarf-decision",
            "-I",
        ]);
        command.arg(&decision.by).args(["-s", &format!("{}.sig", decision.record)]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        std::io::Write::write_all(child.stdin.as_mut().expect("piped"), statement.as_bytes()).expect("read");
        Some(child.wait().expect("it ends").success())
    };
    for decision in &listed {
        let file = folder.join(format!("{}.statement", decision.record));
        let statement = fs::read_to_string(file).expect("a statement");
        let Some(good) = verify(decision, &statement) else {
            return without_tool("ssh-keygen", "openssh-client");
        };
        assert!(good, "{statement}");
        assert_eq!(
            verify(decision, &statement.replace("orders;", "orders; ")).unwrap_or(false),
            !statement.contains("orders;")
        );
    }
    bed.verify_all_holds().await;
    bed.end().await;
}

/// A person's key file in a home.
fn key(bed: &Bed, name: &str) -> std::path::PathBuf {
    bed.home().join("people").join(name)
}

fn copy_key(from: &Path, to: &Path) {
    fs::remove_file(to).expect("gone");
    fs::copy(from, to).expect("copied");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_signs_as_another() {
    let Some(bed) = Bed::new().await else { return };
    let run = bed.run_to(40, 1, RunState::Submitted).await;
    let context = &bed.context;
    // One who types another's name, with a key of their own.
    let kept = fs::read(key(&bed, APPROVER)).expect("a key");
    copy_key(&key(&bed, PREPARER), &key(&bed, APPROVER));
    let refused = approve::approve(context, run, APPROVER).await.expect_err("another's key");
    assert!(refused.to_string().contains("is not enrolled for brahim"), "{refused}");
    // Without any key; with one that others may read.
    fs::remove_file(key(&bed, APPROVER)).expect("gone");
    let refused = approve::approve(context, run, APPROVER).await.expect_err("no key");
    assert!(refused.to_string().contains("there is no key of `brahim`"), "{refused}");
    fs::write(key(&bed, APPROVER), &kept).expect("back");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(key(&bed, APPROVER), open).expect("open");
    let refused = approve::approve(context, run, APPROVER).await.expect_err("open to others");
    assert!(refused.to_string().contains("can be read by others"), "{refused}");
    assert_eq!(bed.state(run).await, RunState::Submitted, "nothing changed");
    let close = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(key(&bed, APPROVER), close).expect("closed");

    // A key is one person's: no second name, no administrator, no stranger enrols it.
    let public = |name: &str| fs::read_to_string(key(&bed, &format!("{name}.pub"))).expect("a key");
    for holder in [PREPARER, ADMINISTRATOR] {
        let refused =
            people::add(context, "daoud", Role::Approver, Some(&public(holder)), ADMINISTRATOR).await;
        assert!(matches!(refused, Err(PeopleError::KeyOfAnother { .. })), "{refused:?}");
    }
    let refused = people::add(context, "daoud", Role::Approver, None, APPROVER).await;
    assert!(matches!(refused, Err(PeopleError::NotAdministrator(_))), "{refused:?}");
    let refused = people::add(context, ADMINISTRATOR, Role::Approver, None, ADMINISTRATOR).await;
    assert!(matches!(refused, Err(PeopleError::Administrator(_))), "{refused:?}");

    // Whoever can write the trust can enrol: nothing is believed of it then.
    let trust = bed.home().join("trust/administrators");
    let mode =
        |mode| fs::set_permissions(&trust, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("set");
    mode(0o666);
    let refused = people::add(context, "daoud", Role::Approver, None, ADMINISTRATOR).await.expect_err("open");
    assert!(refused.to_string().contains("can be written by others"), "{refused}");
    assert!(
        bed.failing().await.iter().any(|f| f.starts_with("5 ") && f.contains("can be written by others"))
    );
    mode(0o600);

    // Rolled over: the new key signs, the old one does no more, and what it signed holds.
    let (private, line) = keys::generate("brahim").expect("a pair");
    people::enrol(context, APPROVER, &line, ADMINISTRATOR).await.expect("enrolled");
    let (old, _) = keys::read_public(&public(APPROVER)).expect("a key");
    assert!(people::revoke(context, &old, ADMINISTRATOR).await.expect("taken away").is_now());
    let refused = approve::approve(context, run, APPROVER).await.expect_err("taken away");
    assert!(refused.to_string().contains("is not enrolled for brahim"), "{refused}");
    fs::write(key(&bed, APPROVER), private).expect("the new key");
    approve::approve(context, run, APPROVER).await.expect("approved");
    let again = people::enrol(context, APPROVER, &public(APPROVER), ADMINISTRATOR).await;
    assert!(matches!(again, Err(PeopleError::KeyOfAnother { .. })), "{again:?}");
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_in_an_agent_or_sealed_sign_through_openssh() {
    let Some(bed) = Bed::new().await else { return };
    let run = bed.run_to(40, 1, RunState::Submitted).await;
    let file = bed.home().join("sealed");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ecdsa", "-N", "", "-C", "brahim", "-f"])
        .arg(&file)
        .stdin(Stdio::null())
        .status();
    if made.is_err() {
        return without_tool("ssh-keygen", "openssh-client");
    }
    let line = fs::read_to_string(file.with_extension("pub")).expect("a key");
    people::enrol(&bed.context, APPROVER, &line, ADMINISTRATOR).await.expect("enrolled");
    // The private half is not where it is named: only a public key, which OpenSSH finds the other half to.
    let mut context = bed.context.clone();
    context.store = context.store.signing_with(Some(file.with_extension("pub")));
    approve::approve(&context, run, APPROVER).await.expect("approved");
    bed.verify_all_holds().await;
    bed.end().await;
}

/// What somebody does who may write every row, computes every hash of the chain again, and has the anchor out of the way: the change,
/// and what is named.
const HANDS: &[(&str, &str)] = &[
    (
        "insert into standing_approval (programme_id, purpose, order_max, day_max, valid_from, valid_to, proposed_by, proposed_at, approved_by, approved_at, funded_by, funded_at)
         select p.id, 'urgent', 100000, 100000, '2026-11-01', '2026-12-31', 'amina', now(), 'brahim', now(), 'chafik', now() from programme p limit 1",
        "approval.approve of standing approval 1 by brahim",
    ),
    (
        "update run set approved_by = 'chafik', funded_by = 'brahim'",
        "run.approve of run 1 by chafik",
    ),
    (
        "update audit set key_fingerprint = null, signature = null, signed_after = null where action = 'run.approve'",
        "(run.approve of run 1 by brahim) bears no signature",
    ),
    (
        "update audit a set key_fingerprint = b.key_fingerprint, signature = b.signature, signed_after = b.signed_after
           from audit b where a.action = 'run.approve' and b.action = 'run.submit'",
        "signed by a key that its maker did not hold then",
    ),
    (
        "update audit set detail = regexp_replace(detail, '[0-9]+ orders', '1 orders') where action = 'run.approve'",
        "bears a signature over something else",
    ),
    ("update audit set at = at + interval '1 day' where action = 'run.fund'", "bears a signature over something else"),
    (
        "insert into operator_key select 'SHA256:forged', 'brahim', public_key, 'sara', now() from operator_key limit 1",
        "key SHA256:forged of brahim is not as the records have it",
    ),
    ("delete from operator_key where operator = 'chafik'", "was taken out of the table"),
    (
        "insert into audit (sequence, at, actor, action, subject, detail, previous, hash)
         select max(sequence) + 1, now(), 'sara', 'key.enrol', 'operator brahim', 'approver SHA256:x ssh-ed25519 x', '', sha256('y') from audit",
        "(key.enrol of operator brahim by sara) bears no signature",
    ),
    (
        "insert into audit (sequence, at, actor, action, subject, detail, previous, hash)
         select max(sequence) + 1, now(), 'brahim', 'run.approve', 'run 1', 'sha256 00', '', sha256('z') from audit",
        "(run.approve of run 1 by brahim) bears no signature",
    ),
    (
        "insert into audit select (select max(sequence) + 1 from audit), at, actor, action, subject, detail, previous, sha256('w'),
                key_fingerprint, signature, signed_after from audit where action = 'run.fund'",
        "bears a signature that was used before",
    ),
    (
        "delete from audit where action = 'run.approve'; update audit set sequence = -sequence; update audit a set sequence = n.place
           from (select sequence, row_number() over (order by sequence desc) as place from audit) n where n.sequence = a.sequence",
        "run.approve of run 1 by brahim",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_superuser_of_the_database_decides_nothing() {
    let Some(bed) = Bed::new().await else { return };
    bed.run_to(40, 6, RunState::Funded).await;
    bed.verify_all_holds().await;
    // Whoever can do all that may well have the anchor out of the way: signatures hold by themselves.
    fs::remove_dir_all(bed.home().join("anchor")).expect("gone");
    for (change, named) in HANDS {
        let copy = bed.copies(1).await.pop().expect("a copy");
        if change.contains("audit") {
            rewrite_chain(&copy, change).await;
        } else {
            unseen(&copy, change).await.unwrap_or_else(|e| panic!("{change}: {e}"));
        }
        let failing = copy.failing().await;
        let found = |f: &String| f.contains(named) && (f.starts_with("5 ") || f.starts_with("1 "));
        assert!(failing.iter().any(found), "{change}: {failing:#?}");
        copy.end().await;
    }
    // The engine itself believes no key that stands in the table alone.
    let refused = fund::pause(&bed.context, sarf::domain::ids::RunId::new(1), true, PREPARER).await;
    assert!(refused.is_err());
    let kept = signing::list(&bed.context.store).await.expect("keys");
    assert!(kept.iter().any(|key| key.operator == ACCOUNTANT));
    bed.end().await;
}

/// Every role by every action, where all ways in end: nothing else commits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_decision_is_for_those_whose_it_is() {
    let Some(bed) = Bed::new().await else { return };
    let people = [
        (PREPARER, Some(Role::Preparer)),
        (APPROVER, Some(Role::Approver)),
        (ACCOUNTANT, Some(Role::Accountant)),
        (ADMINISTRATOR, None),
    ];
    let actions =
        powers::POWERS.iter().map(|(action, _)| *action).chain(powers::OF_ADMINISTRATORS.iter().copied());
    let (mut tried, mut granted) = (0, 0);
    for action in actions.chain(["run.whatever"]) {
        for (name, role) in people {
            let mut tx = bed.context.store.begin().await.expect("begun");
            let decision = Decision {
                actor: name,
                action,
                subject: "nothing",
                detail: "a trial",
                at: bed.context.clock.now(),
            };
            chain::append_in_tx(&mut tx, decision).await.expect("waits");
            let theirs =
                role.map_or_else(|| powers::administrator_may(action), |role| powers::may(role, action));
            let done = tx.commit().await;
            match &done {
                Ok(()) => granted += 1,
                Err(StoreError::NotTheirs { .. }) => {}
                Err(error) => panic!("{name} {action}: {error}"),
            }
            assert_eq!(done.is_ok(), theirs, "{name} {action}");
            tried += 1;
        }
    }
    assert!(tried > 200 && granted > 50 && granted * 2 < tried, "{granted} of {tried}");
    // Who is removed holds a key, and decides nothing.
    people::remove(&bed.context, APPROVER, ADMINISTRATOR).await.expect("removed");
    let mut tx = bed.context.store.begin().await.expect("begun");
    let decision = Decision {
        actor: APPROVER,
        action: "run.approve",
        subject: "nothing",
        detail: "a trial",
        at: bed.context.clock.now(),
    };
    chain::append_in_tx(&mut tx, decision).await.expect("waits");
    assert!(matches!(tx.commit().await, Err(StoreError::NotTheirs { .. })));
    bed.end().await;
}
