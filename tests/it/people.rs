//! Who may act: people who are added, removed and come back; tokens that take two of them.

use sarf::domain::run::RunState;
use sarf::pipeline::Refusal;
use sarf::pipeline::access::people::{self, Added, PeopleError};
use sarf::pipeline::access::tokens::{self, Scope, TokenError, Wish};
use sarf::pipeline::runs::{approve, fund};
use sarf::store::access::operators::Role;

use crate::harness::{ACCOUNTANT, ADMINISTRATOR, APPROVER, Bed, PREPARER};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_removed_can_do_nothing_and_spellings_are_one_person() {
    let Some(bed) = Bed::new().await else { return };
    let context = &bed.context;
    // Another spelling is the same person: no second role, no second name.
    for name in ["Amina", "AMINA", "amína", "a-mina"] {
        let refused = people::add(context, name, Role::Approver, None, ADMINISTRATOR).await;
        assert!(matches!(refused, Err(PeopleError::Spelling { .. })), "{name}: {refused:?}");
    }
    let refused = people::add(context, PREPARER, Role::Approver, None, ADMINISTRATOR).await;
    assert!(matches!(refused, Err(PeopleError::OtherRole { .. })), "{refused:?}");
    assert!(matches!(
        people::add(context, "x y", Role::Approver, None, ADMINISTRATOR).await,
        Err(PeopleError::Name(_))
    ));
    assert_eq!(
        people::add(context, "daoud", Role::Approver, None, ADMINISTRATOR).await.expect("added"),
        Added::Now
    );
    assert_eq!(
        people::add(context, "daoud", Role::Approver, None, ADMINISTRATOR).await.expect("before"),
        Added::Already
    );

    let run = bed.run_to(200, 1, RunState::Submitted).await;
    // Nobody who decides over money decides over people.
    for by in ["nobody", APPROVER, ACCOUNTANT] {
        let refused = people::remove(context, "daoud", by).await;
        assert!(matches!(refused, Err(PeopleError::NotAdministrator(_))), "{by}: {refused:?}");
    }
    assert!(people::remove(context, "daoud", ADMINISTRATOR).await.expect("removed").is_now());
    assert!(!people::remove(context, "Daoud", ADMINISTRATOR).await.expect("before").is_now());
    let refused = approve::approve(context, run, "daoud").await;
    assert!(refused.expect_err("removed").to_string().contains("`daoud` is not known"));
    let refused = fund::cancel(context, run, "daoud").await;
    assert!(matches!(refused, Err(Refusal::NotFound(_))), "{refused:?}");

    // Back, and told; with another role, never.
    let refused = people::add(context, "daoud", Role::Preparer, None, ADMINISTRATOR).await;
    assert!(matches!(refused, Err(PeopleError::OtherRole { .. })), "{refused:?}");
    let back = people::add(context, "daoud", Role::Approver, None, ADMINISTRATOR).await.expect("back");
    assert_eq!(back, Added::Back { removed_by: ADMINISTRATOR.into() });
    approve::approve(context, run, "daoud").await.expect("approved");
    let told = bed.rows("select action from audit where subject = 'operator daoud' order by sequence").await;
    assert_eq!(told, ["operator.add", "key.enrol", "operator.remove", "operator.back"]);
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_for_events_takes_two_people() {
    let Some(bed) = Bed::new().await else { return };
    let context = &bed.context;
    let wish = |name: &str, scope, institution: Option<&str>| Wish {
        name: name.into(),
        scopes: vec![scope],
        institution: institution.map(Into::into),
        days: 9,
    };
    let good = async || {
        let mut names: Vec<String> =
            tokens::callers(context).await.expect("asked").into_values().map(|c| c.name).collect();
        names.sort_unstable();
        names
    };
    people::add(context, "daoud", Role::Approver, None, ADMINISTRATOR).await.expect("added");
    let uploads = tokens::issue(context, &wish("points", Scope::Uploads, Some("cashplus")), PREPARER).await;
    assert!(!uploads.expect("a token").waits);
    let events = tokens::issue(context, &wish("registry", Scope::Events, None), "daoud").await;
    assert!(events.expect("a token").waits);
    assert_eq!(good().await, ["points"]);
    for (name, by, refused) in [
        ("registry", PREPARER, "only the approver"),
        ("registry", "daoud", "made this token"),
        ("points", APPROVER, "needs no second person"),
        ("nothing", APPROVER, "token `nothing` is not known"),
    ] {
        let error = tokens::confirm(context, name, by).await.expect_err(refused).to_string();
        assert!(error.contains(refused), "{error}");
    }
    assert!(tokens::confirm(context, "registry", APPROVER).await.expect("confirmed").is_now());
    assert!(!tokens::confirm(context, "registry", APPROVER).await.expect("before").is_now());
    assert_eq!(good().await, ["points", "registry"]);
    tokens::revoke(context, "registry", PREPARER).await.expect("ended");
    assert!(matches!(
        tokens::confirm(context, "registry", APPROVER).await,
        Err(TokenError::Refused(Refusal::NotFound(_)))
    ));
    bed.end().await;
}
