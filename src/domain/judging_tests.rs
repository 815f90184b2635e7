//! The judgement of a line as whole tables: where an order stands, against what may be reported of it.

use super::*;

const AMOUNT: Centimes = Centimes::new(50_000);
const NEXT: OrderId = OrderId::new(77);

fn policy() -> Policy {
    toml::from_str(include_str!("../../config/reasons.toml")).unwrap()
}

fn report(event: OrderEvent, why: &Why) -> Report<'_> {
    Report {
        event: Some(event),
        unknown_status: false,
        in_status_report: false,
        at_odds: false,
        second_above: false,
        booked: false,
        amount: Some(AMOUNT),
        moves_money: false,
        undoes: None,
        why,
    }
}

fn order(steps: &[Step]) -> KnownOrder {
    let steps = steps.iter().fold(Steps::default(), |steps, step| steps.with(*step));
    KnownOrder { amount: AMOUNT, steps, reissued_as: steps.has(Step::Reissued).then_some(NEXT) }
}

const fn batch(lane: Lane, state: BatchState, left: i64) -> KnownBatch {
    KnownBatch { lane, state, left: Centimes::new(left) }
}

/// A verdict in short: the new state; `+` confirmed, `why` explained, `=` already, `-` noted, `!…` a conflict; `^` where the
/// order that pays the claim again is held.
fn short(verdict: Verdict) -> String {
    let outcome = match verdict.outcome {
        Outcome::Noted => "-",
        Outcome::Already => "=",
        Outcome::Takes(Taken { moved: Some((_, to)), .. }) => to.as_str(),
        Outcome::Takes(Taken { explains_rejection: true, .. }) => "why",
        Outcome::Takes(_) => "+",
        Outcome::Break(conflict) => match conflict {
            Conflict::UnknownReference => "!unknown",
            Conflict::NamesDisagree => "!disagree",
            Conflict::NotLeft => "!not-left",
            Conflict::NotHandedOver => "!not-handed-over",
            Conflict::AmountDiffers { .. } => "!amount",
            Conflict::UnknownStatus => "!status",
            Conflict::AtOdds => "!at-odds",
            Conflict::SecondDelivery => "!second",
            Conflict::TakenBack { .. } => "!taken-back",
            Conflict::BookedBefore { .. } => "!before",
            Conflict::BookedAgain { .. } => "!again",
            Conflict::ListedBefore => "!listed",
            Conflict::CannotFollow { .. } => "!",
            Conflict::Reissued { next, .. } => {
                assert_eq!(next, NEXT);
                "!reissued"
            }
        },
    };
    assert!(verdict.hold.is_none_or(|next| next == NEXT));
    format!("{outcome}{}", if verdict.hold.is_some() { "^" } else { "" })
}

/// Rows: steps of an order and its batch, against columns of events; whether they are booked, and whether money moves.
fn check(columns: &[(OrderEvent, bool, bool)], rows: &[(&[Step], KnownBatch, &str)]) {
    let (policy, why) = (policy(), Why::default());
    for (steps, batch, expected) in rows {
        let judged = columns.iter().map(|(event, booked, moves_money)| {
            let report = Report { booked: *booked, moves_money: *moves_money, ..report(*event, &why) };
            short(judge(&report, Named::One(order(steps)), Some(*batch), &policy))
        });
        let judged: Vec<String> = judged.collect();
        assert_eq!(judged.join(" "), *expected, "{steps:?} in {batch:?}");
    }
}

#[test]
fn banks_messages_by_where_an_order_stands() {
    use OrderEvent::{Accept, Reject, Return, Settle};
    use Step::{Accepted, Expired, Reissued, Rejected, Returned, ReturnedBooked, Settled, SettledBooked};
    // Status reports and payment returns, then the debits and credits of a statement.
    let columns = [
        (Accept, false, false),
        (Settle, false, false),
        (Reject, false, false),
        (Return, false, false),
        (Settle, true, true),
        (Return, true, true),
    ];
    let sent = batch(Lane::File, BatchState::Sent, 1_000_000);
    let accepted = batch(Lane::File, BatchState::Accepted, 1_000_000);
    let settled = batch(Lane::File, BatchState::Settled, 0);
    let rejected = batch(Lane::File, BatchState::Rejected, 0);
    let debited = batch(Lane::File, BatchState::Sent, AMOUNT.get() - 1);
    check(
        &columns,
        &[
            (&[], sent, "accepted settled rejected returned settled returned"),
            (&[], accepted, "= settled rejected returned settled returned"),
            (&[], settled, "= = ! returned !before returned"),
            (&[], rejected, "! ! why returned ! returned"),
            (&[], debited, "accepted settled rejected returned !before returned"),
            (&[Accepted], sent, "= settled rejected returned settled returned"),
            (&[Accepted], rejected, "! ! why returned ! returned"),
            (&[Settled], sent, "= = ! returned + returned"),
            (&[SettledBooked], sent, "= = ! returned !before returned"),
            (&[Rejected], sent, "! ! = returned ! returned"),
            (&[Expired], sent, "= ! = ! ! !"),
            (&[Returned], sent, "= = = = + +"),
            (&[ReturnedBooked], sent, "= = = = + !before"),
            (&[Settled, SettledBooked, ReturnedBooked], sent, "= = = = !before !before"),
            (&[Rejected, Reissued], sent, "!reissued^ !reissued^ = = !reissued^ +"),
            (&[Expired, Reissued], sent, "!reissued^ !reissued^ = !reissued !reissued^ !reissued"),
            (&[Settled, ReturnedBooked, Reissued], sent, "!reissued^ = = = !reissued^ !before"),
        ],
    );
}

#[test]
fn providers_answers_and_settlement_files_by_where_an_order_stands() {
    use OrderEvent::{Accept, Collect, Expire, MadeAvailable, Reject, Return, Settle};
    use Step::{Available, Collected, CollectedBooked, Expired, Reissued, Rejected, Sent, Unknown};
    // Answers and callbacks, then the lines of a settlement file.
    let columns = [
        (Accept, false, false),
        (MadeAvailable, false, false),
        (Collect, false, false),
        (Settle, false, false),
        (Reject, false, false),
        (Expire, false, false),
        (Return, false, false),
        (Collect, true, false),
        (Settle, true, false),
    ];
    let of = |state| batch(Lane::Stream, state, 0);
    let (begun, sent) = (of(BatchState::Dispatching), of(BatchState::Sent));
    let none = ["!not-handed-over"; 9].join(" ");
    check(
        &columns,
        &[
            (&[], begun, &none),
            (&[], sent, &none),
            (
                &[Sent],
                begun,
                "accepted available collected settled rejected expired returned collected settled",
            ),
            (
                &[Sent, Unknown],
                sent,
                "accepted available collected settled rejected expired returned collected settled",
            ),
            (&[Sent, Available], sent, "= = collected settled rejected expired returned collected settled"),
            (&[Sent, Collected], sent, "= = = ! ! ! returned + !"),
            (&[Sent, Collected, CollectedBooked], sent, "= = = ! ! ! returned !listed !"),
            (&[Sent, Rejected], sent, "= = ! ! = = returned ! !"),
            (&[Sent, Expired], sent, "= = ! ! = = ! ! !"),
            (
                &[Sent, Rejected, Reissued],
                sent,
                "= !reissued^ !reissued^ !reissued^ = = = !reissued^ !reissued^",
            ),
        ],
    );
}

#[test]
fn what_a_line_says_beside_its_event() {
    let policy = policy();
    let plain = Why::default();
    let second = Why { second: true, ..Why::default() };
    let known = Named::One(order(&[]));
    let reissued = Named::One(order(&[Step::Rejected, Step::Reissued]));
    let sent = Some(batch(Lane::File, BatchState::Sent, 1_000_000));
    let stream = Some(batch(Lane::Stream, BatchState::Sent, 0));
    let settle = report(OrderEvent::Settle, &plain);
    let reject = Report { in_status_report: true, ..report(OrderEvent::Reject, &plain) };
    let reported = Report { in_status_report: true, ..settle };
    let silent = Report { event: None, ..reported };
    let other = Report { amount: Some(Centimes::new(1)), ..settle };
    let undoes = |meaning| Report { undoes: Some(meaning), booked: true, moves_money: true, ..settle };
    // Whether it keeps its file from being rejected as a whole.
    for (why, report, order, batch, expected, lives) in [
        ("names nothing", settle, Named::Nothing, sent, "!unknown", false),
        ("names two", settle, Named::Disagree, sent, "!disagree", false),
        ("not left", reported, known, None, "!not-left", false),
        ("another amount", other, known, sent, "!amount", false),
        ("no amount", Report { amount: None, ..settle }, known, sent, "settled", false),
        ("harmless", silent, known, sent, "-", false),
        ("unknown", Report { unknown_status: true, ..silent }, known, sent, "!status", false),
        ("two things", Report { at_odds: true, ..reported }, known, sent, "!at-odds", false),
        ("not handed over", reported, known, stream, "!not-handed-over", false),
        ("refused above", Report { second_above: true, ..reject }, known, sent, "-", false),
        ("second", Report { why: &second, ..reject }, known, sent, "!second", false),
        ("settled, with such a reason", Report { why: &second, ..reported }, known, sent, "settled", true),
        ("rejected", reject, known, sent, "rejected", false),
        ("settled", reported, known, sent, "settled", true),
        ("settled, of a reissued one", reported, reissued, sent, "!reissued^", true),
        ("debit undone", undoes(Meaning::DebitUndone), known, sent, "!taken-back", false),
        ("return undone", undoes(Meaning::ReturnUndone), known, sent, "!taken-back", false),
        ("debit undone, reissued", undoes(Meaning::DebitUndone), reissued, sent, "!taken-back", false),
        ("return undone, reissued", undoes(Meaning::ReturnUndone), reissued, sent, "!taken-back^", false),
    ] {
        let verdict = judge(&report, order, batch, &policy);
        assert_eq!((short(verdict).as_str(), verdict.order_lives), (expected, lives), "{why}");
    }
}

#[test]
fn what_a_step_brings_with_it() {
    let policy = policy();
    let reason = |code: &str| Why { code: Some(code.into()), ..Why::default() };
    let (plain, died, closed) = (Why::default(), reason("MD07"), reason("AC04"));
    let among = Why { case: true, ..reason("AC04") };
    let sent = batch(Lane::File, BatchState::Sent, 1_000_000);
    let refused = batch(Lane::File, BatchState::Rejected, 0);
    let stream = batch(Lane::Stream, BatchState::Sent, 0);
    let debit = Report { booked: true, moves_money: true, ..report(OrderEvent::Settle, &plain) };
    let listed = Report { booked: true, ..report(OrderEvent::Collect, &plain) };
    let ends = |event, why| report(event, why);
    use OrderState::{Expired, Rejected, Returned};
    // The step, whether money is booked, whether it is part of a settlement, the doubt about the payee.
    for (report, steps, batch, step, books, settles, doubt) in [
        (debit, &[][..], sent, Step::SettledBooked, true, false, None),
        (debit, &[Step::Settled], sent, Step::SettledBooked, true, false, None),
        (listed, &[Step::Sent], stream, Step::CollectedBooked, false, true, None),
        (listed, &[Step::Collected], stream, Step::CollectedBooked, false, true, None),
        (ends(OrderEvent::Settle, &died), &[], sent, Step::Settled, false, false, None),
        (ends(OrderEvent::Reject, &closed), &[], sent, Step::Rejected, false, false, None),
        (ends(OrderEvent::Reject, &among), &[], sent, Step::Rejected, false, false, Some(Rejected)),
        (ends(OrderEvent::Reject, &died), &[], refused, Step::Rejected, false, false, Some(Rejected)),
        (ends(OrderEvent::Return, &died), &[], sent, Step::Returned, false, false, Some(Returned)),
        (ends(OrderEvent::Expire, &died), &[Step::Sent], stream, Step::Expired, false, false, Some(Expired)),
        (ends(OrderEvent::Expire, &plain), &[Step::Sent], stream, Step::Expired, false, false, None),
    ] {
        let verdict = judge(&report, Named::One(order(steps)), Some(batch), &policy);
        let Outcome::Takes(taken) = verdict.outcome else { panic!("{report:?}: {verdict:?}") };
        assert_eq!(
            (taken.step, taken.books, taken.settles, taken.doubt),
            (step, books, settles, doubt),
            "{report:?}"
        );
    }
}

#[test]
fn every_conflict_has_its_queue() {
    let state = OrderState::Settled;
    let event = OrderEvent::Settle;
    for (conflict, kind) in [
        (Conflict::UnknownReference, BreakKind::UnknownReference),
        (Conflict::NamesDisagree, BreakKind::UnknownReference),
        (Conflict::NotLeft, BreakKind::NeverSent),
        (Conflict::NotHandedOver, BreakKind::NeverSent),
        (Conflict::AmountDiffers { order: AMOUNT }, BreakKind::AmountDiffers),
        (Conflict::UnknownStatus, BreakKind::UnknownStatus),
        (Conflict::AtOdds, BreakKind::StatusConflict),
        (Conflict::SecondDelivery, BreakKind::StatusConflict),
        (Conflict::TakenBack { undone: Meaning::DebitUndone, state }, BreakKind::StatusConflict),
        (Conflict::BookedBefore { event, state }, BreakKind::BookedTwice),
        (Conflict::BookedAgain { event, state }, BreakKind::BookedTwice),
        (Conflict::ListedBefore, BreakKind::BookedTwice),
        (Conflict::CannotFollow { event, state }, BreakKind::StatusConflict),
        (Conflict::Reissued { event, next: NEXT }, BreakKind::StatusConflict),
    ] {
        assert_eq!(conflict.kind(), kind, "{conflict:?}");
    }
}

#[test]
fn a_booking_without_its_share_puts_an_unpaid_end_in_question() {
    for meaning in [Meaning::Debit, Meaning::Return, Meaning::DebitUndone, Meaning::ReturnUndone] {
        let asked: Vec<&str> = OrderState::ALL
            .iter()
            .filter(|state| share_in_question(meaning, **state))
            .map(|s| s.as_str())
            .collect();
        let expected: &[&str] = match meaning {
            Meaning::Debit | Meaning::ReturnUndone => &["rejected", "expired", "returned", "reissued"],
            Meaning::Return | Meaning::DebitUndone => &[],
        };
        assert_eq!(asked, expected, "{meaning:?}");
    }
}
