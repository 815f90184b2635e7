//! Entries as banks write them, and random ones.

use proptest::prelude::*;

use super::*;

fn mad(amount: i64) -> Centimes {
    Centimes::new(amount)
}

/// A part in short: what it names, amount (0: none), side (`+`, `-`, blank), own amount (0: none).
fn part(target: Target, amount: i64, side: char, own: i64) -> Part {
    let side = match side {
        '+' => Some(Side::Credit),
        '-' => Some(Side::Debit),
        _ => None,
    };
    let some = |v: i64| (v != 0).then(|| mad(v));
    Part { target, amount: some(amount), side, own: some(own) }
}

fn order(amount: i64, side: char, own: i64) -> Part {
    part(Target::Order, amount, side, own)
}

fn file(amount: i64, own: i64) -> Part {
    part(Target::File, amount, '-', own)
}

fn other(amount: i64, side: char) -> Part {
    part(Target::Nothing, amount, side, 0)
}

/// Signed entry; parts; what they carry (`None`: nothing), and the rest.
fn check(why: &str, entry: i64, batches: &[Part], details: &[Part], expected: (&[i64], &[i64], i64)) {
    let entry = Entry { amount: mad(entry.abs()), side: Side::of(entry > 0), reversal: false };
    let found = allocate(&entry, batches, details);
    let flat = |c: &[Option<Signed>]| c.iter().map(|c| c.map_or(0, Signed::get)).collect::<Vec<_>>();
    let seen = (flat(&found.batches), flat(&found.details), found.rest.get());
    assert_eq!(seen, (expected.0.to_vec(), expected.1.to_vec(), expected.2), "{why}");
}

#[test]
fn entries_are_shared_out_as_banks_mean_them() {
    check("a return", 500, &[], &[order(500, ' ', 500)], (&[], &[500], 0));
    check("a return with the side of the original", 500, &[], &[order(500, '-', 500)], (&[], &[500], 0));
    check("a debit with the side of the credit", -500, &[], &[order(500, '+', 500)], (&[], &[-500], 0));
    check("amount only on the entry", 500, &[], &[order(0, ' ', 500)], (&[], &[500], 0));
    check(
        "a return less a fee, each with its side",
        480,
        &[],
        &[order(500, '+', 500), other(20, '-')],
        (&[], &[500, -20], 0),
    );
    check(
        "the same with the sides of the originals",
        480,
        &[],
        &[order(500, '-', 500), other(20, '+')],
        (&[], &[500, -20], 0),
    );
    check("a fee that is not listed", 480, &[], &[order(500, '-', 500)], (&[], &[500], -20));
    check(
        "debits less one sent back",
        -700,
        &[],
        &[order(600, '-', 600), order(300, '-', 300), order(200, '+', 200)],
        (&[], &[-600, -300, 200], 0),
    );
    check(
        "no amounts, which the orders' own come to",
        900,
        &[],
        &[order(0, ' ', 500), order(0, ' ', 400)],
        (&[], &[500, 400], 0),
    );
    check(
        "no amounts, and the orders' own are others",
        901,
        &[],
        &[order(0, ' ', 500), order(0, ' ', 400)],
        (&[], &[0, 0], 901),
    );
    check("nothing named", -75, &[], &[], (&[], &[], -75));
    check("an unreadable transaction", 500, &[], &[part(Target::Faulty, 0, ' ', 0)], (&[], &[0], 500));
    check("a file", -900, &[file(900, 900)], &[], (&[-900], &[], 0));
    check("a file without an amount", -900, &[file(0, 900)], &[], (&[-900], &[], 0));
    check("a file and charges", -926, &[file(900, 900)], &[], (&[-900], &[], -26));
    check("a file and charges, the file's sum not stated", -926, &[file(0, 900)], &[], (&[-926], &[], 0));
    check("a file, net of what was rejected", -800, &[file(900, 800)], &[], (&[-800], &[], 0));
    check("part of a file", -400, &[file(900, 900)], &[], (&[-400], &[], 0));
    check("two files", -1500, &[file(900, 900), file(600, 600)], &[], (&[-900, -600], &[], 0));
    check("two files without sums", -1500, &[file(0, 900), file(0, 600)], &[], (&[-900, -600], &[], 0));
    check("two files and charges", -1526, &[file(900, 900), file(600, 600)], &[], (&[-900, -600], &[], -26));
    check("two files, one sum", -900, &[file(900, 900), file(600, 600)], &[], (&[0, 0], &[], -900));
    check(
        "a file with its orders listed",
        -900,
        &[file(900, 900)],
        &[order(500, '-', 500), order(400, '-', 400)],
        (&[-900], &[0, 0], 0),
    );
    check(
        "single orders of a file that is named",
        -500,
        &[file(0, 900)],
        &[order(500, '-', 500)],
        (&[0], &[-500], 0),
    );
    check(
        "a file less one that was sent back",
        -500,
        &[file(900, 900)],
        &[order(400, '+', 400)],
        (&[-900], &[400], 0),
    );
    check(
        "a file and charges in a transaction of their own",
        -926,
        &[file(900, 900)],
        &[other(26, '-')],
        (&[-900], &[-26], 0),
    );
    check(
        "returns in one sum, the file named",
        900,
        &[file(900, 5000)],
        &[order(500, '-', 500), order(400, '-', 400)],
        (&[0], &[500, 400], 0),
    );
    check("a credit that names a file", 900, &[file(900, 900)], &[], (&[900], &[], 0));
    check("a bank's own batch id", 900, &[other(900, '+')], &[order(900, ' ', 900)], (&[0], &[900], 0));
    let huge = order(i64::MAX, ' ', 500);
    check("beyond belief", 500, &[], &[huge, huge], (&[], &[0, 0], 500));
}

fn any_part() -> impl Strategy<Value = Part> {
    let amount = prop_oneof![
        Just(None),
        Just(Some(0)),
        (1i64..2_000).prop_map(Some),
        any::<i64>().prop_map(|v| Some(v.saturating_abs()))
    ];
    let own = prop_oneof![Just(None), (1i64..2_000).prop_map(Some)];
    let target = prop_oneof![
        3 => Just(Target::Order),
        2 => Just(Target::File),
        1 => Just(Target::Case),
        1 => Just(Target::Nothing),
        1 => Just(Target::Faulty)
    ];
    let side = prop_oneof![Just(None), Just(Some(Side::Credit)), Just(Some(Side::Debit))];
    (target, amount, side, own).prop_map(|(target, amount, side, own)| Part {
        target,
        amount: amount.map(mad),
        side,
        own: own.map(mad),
    })
}

proptest! {
    #[test]
    fn parts_and_rest_are_always_the_entry(
        amount in prop_oneof![0i64..5_000, 0..=AMOUNT_MAX.get()],
        credit: bool,
        reversal: bool,
        batches in proptest::collection::vec(any_part(), 0..4),
        details in proptest::collection::vec(any_part(), 0..8),
    ) {
        let entry = Entry { amount: mad(amount), side: Side::of(credit), reversal };
        let found = allocate(&entry, &batches, &details);
        prop_assert_eq!(found.batches.len(), batches.len());
        prop_assert_eq!(found.details.len(), details.len());
        let carried = found.batches.iter().chain(&found.details).flatten();
        let sum: i128 = carried.map(|c| i128::from(c.get())).sum::<i128>() + i128::from(found.rest.get());
        prop_assert_eq!(sum, i128::from(Signed::new(mad(amount), Side::of(credit)).get()));
    }

    #[test]
    fn a_file_is_debited_by_debits_only(
        amount in 1i64..5_000,
        batches in proptest::collection::vec(any_part(), 0..3),
        details in proptest::collection::vec(any_part(), 1..4),
    ) {
        let entry = Entry { amount: mad(amount), side: Side::Credit, reversal: false };
        let found = allocate(&entry, &batches, &details);
        prop_assert!(found.batches.iter().all(Option::is_none));
    }
}
