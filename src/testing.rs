//! What tests need of the machine. A test without it fails and says what to install; with the variable set that it names,
//! the test says that it is skipped, and passes. The scenarios below `tests` include this file.

/// Says that what needs PostgreSQL is skipped.
///
/// # Panics
/// Unless `SARF_TEST_SKIP_DATABASE=1`.
#[track_caller]
pub fn without_postgres() {
    without("PostgreSQL", "postgres", "SARF_TEST_SKIP_DATABASE");
}

/// Says that what needs a tool is skipped; `prepared_as` is its name for `.ci/prepare`.
///
/// # Panics
/// Unless `SARF_TEST_SKIP_TOOLS=1`.
#[track_caller]
pub fn without_tool(tool: &str, prepared_as: &str) {
    without(tool, prepared_as, "SARF_TEST_SKIP_TOOLS");
}

#[track_caller]
fn without(what: &str, prepared_as: &str, variable: &str) {
    assert!(
        std::env::var_os(variable).is_some_and(|set| set == "1"),
        "no {what} on this machine: install it with `.ci/prepare {prepared_as}`, or set {variable}=1 to skip what needs it"
    );
    println!("skipped: no {what}");
}
