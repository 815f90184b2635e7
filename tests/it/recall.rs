//! Recalls: files to banks and calls to payment institutions; what they answer moves recalls, and only what comes back
//! moves orders and money.

use std::fs;
use std::path::PathBuf;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sarf::clock::Clock;
use sarf::domain::ids::{OrderId, RunId};
use sarf::domain::order::EndToEndRef;
use sarf::domain::recall::{CancellationReason, RecallState};
use sarf::domain::router::Router;
use sarf::domain::run::RunState;
use sarf::engine::provider_stream::ProviderStream;
use sarf::pipeline::access::people;
use sarf::pipeline::dispatch::recall::{self, RecallError};
use sarf::pipeline::dispatch::{files, stream};
use sarf::pipeline::messages::record::{Source, record};
use sarf::pipeline::{Context, Refusal};
use sarf::rails::stream::wire::Status;
use sarf::rails::stream::{Answer, CallError, Changes, Instruction, Put, StreamRail, secrets};
use sarf::store::access::operators::Role;
use sarf::store::messages::recalls::Recall;
use time::Duration;

use crate::harness::*;
use crate::returns::{returned, returns, statement};

const CUST: CancellationReason = CancellationReason::Cust;

fn order_of(key: &str) -> OrderId {
    EndToEndRef::parse(key).expect("one of ours").order
}

async fn ask(context: &Context, order: OrderId) -> Result<(bool, Recall), RecallError> {
    let asked = recall::ask(context, order, CUST, "paid by mistake", ACCOUNTANT).await?;
    Ok((asked.is_now(), asked.into_inner()))
}

async fn state_of(bed: &Bed, order: OrderId) -> String {
    sarf::store::orders::find(&bed.context.store, None, Some(order)).await.expect("found").remove(0).state
}

/// Everything that a promise must not move.
async fn books(bed: &Bed) -> Vec<String> {
    let mut rows = bed.rows("select run_id || ' ' || provider_id || ' ' || state || ' ' || orders || ' ' || amount from run_total order by 1").await;
    rows.extend(bed.rows("select kind || ' ' || balance from ledger_account order by 1").await);
    rows
}

/// A resolution in a prefix, with a zone and an element of the bank's own.
fn resolution(case: &str, key: &str, status: &str, reason: &str) -> String {
    let reason = if reason.is_empty() {
        String::new()
    } else {
        format!("<c:CxlStsRsnInf><c:Rsn><c:Cd>{reason}</c:Cd></c:Rsn></c:CxlStsRsnInf>")
    };
    let details = if key.is_empty() {
        String::new()
    } else {
        format!(
            "<c:CxlDtls><c:OrgnlPmtInfAndSts><c:OrgnlPmtInfId>P</c:OrgnlPmtInfId><c:TxInfAndSts><c:CxlStsId>1</c:CxlStsId>\
             <c:OrgnlEndToEndId>{key}</c:OrgnlEndToEndId><c:TxCxlSts>{status}</c:TxCxlSts>{reason}<c:Desk>7</c:Desk></c:TxInfAndSts>\
             </c:OrgnlPmtInfAndSts></c:CxlDtls>"
        )
    };
    let conf = if status == "ACCR" { "CNCL" } else { status };
    format!(
        "<c:Document xmlns:c=\"urn:iso:std:iso:20022:tech:xsd:camt.029.001.09\"><c:RsltnOfInvstgtn><c:Assgnmt><c:Id>A{case}</c:Id>\
         <c:CreDtTm>2026-11-26T10:00:00+01:00</c:CreDtTm></c:Assgnmt><c:RslvdCase><c:Id>{case}</c:Id></c:RslvdCase>\
         <c:Sts><c:Conf>{conf}</c:Conf></c:Sts>{details}</c:RsltnOfInvstgtn></c:Document>"
    )
}

/// Entries, applied, already, breaks.
async fn take(bed: &Bed, name: &str, xml: &str) -> [u64; 4] {
    let path = bed.home().join(name);
    fs::write(&path, xml).expect("a message");
    let (_, result) = bed.feedback(vec![path]).await.remove(0);
    let counts = result.unwrap_or_else(|e| panic!("{name}: {e}")).counts;
    [counts.entries, counts.applied, counts.already, counts.breaks]
}

fn path_of(bed: &Bed, recall: &Recall) -> PathBuf {
    bed.outbox().join(&recall.provider).join(recall.file_name.as_deref().expect("a file"))
}

async fn filed() -> Option<(Bed, RunId, Sent)> {
    let bed = Bed::new().await?;
    let run = bed.run_to(400, 22, RunState::Settling).await;
    let file = sent_files(&bed.outbox()).into_iter().find(|f| f.orders.len() > 5).expect("a file");
    Some((bed, run, file))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_has_left_is_asked_back_by_who_may() {
    let Some(bed) = Bed::new().await else { return };
    let run = bed.run_to(200, 22, RunState::Funded).await;
    let order = bed.number(&format!("select min(order_id) from payment_order_{run} o where not exists (select from order_hold h where h.order_id = o.order_id)")).await;
    let order = OrderId::new(order);
    let refusal = ask(&bed.context, order).await.expect_err("not left");
    assert!(matches!(refusal, RecallError::NotLeft { .. }), "{refusal}");
    let refusal = ask(&bed.context, OrderId::new(99 << 32)).await.expect_err("unknown");
    assert!(matches!(refusal, RecallError::Refused(Refusal::NotFound(_))), "{refusal}");
    bed.take_to(run, RunState::Settling).await;
    let refusal = recall::ask(&bed.context, order, CUST, "x", PREPARER).await.expect_err("another's role");
    assert!(matches!(refusal, RecallError::Refused(_)), "{refusal}");
    assert_eq!(bed.number("select count(*) from recall").await, 0);
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recall_leaves_in_one_file_whatever_is_killed() {
    let Some((bed, _, file)) = filed().await else { return };
    let order = order_of(&file.orders[0].0);
    let (now, asked) = ask(&bed.context, order).await.expect("asked");
    assert!(now && asked.state == RecallState::Requested);
    let sent = recall::deliver(&bed.context, &asked).await.expect("delivered");
    assert_eq!(sent.state, RecallState::Sent);
    let path = path_of(&bed, &sent);
    let bytes = fs::read(&path).expect("the file");
    let text = String::from_utf8(bytes.clone()).expect("text");
    for part in [
        format!("<OrgnlEndToEndId>{}</OrgnlEndToEndId>", file.orders[0].0),
        format!("<OrgnlUETR>{}</OrgnlUETR>", file.orders[0].1),
        format!("<OrgnlInstdAmt Ccy=\"MAD\">{}</OrgnlInstdAmt>", file.orders[0].2),
        format!("<OrgnlMsgId>{}</OrgnlMsgId>", file.message_id),
        "<Rsn><Cd>CUST</Cd></Rsn>".to_owned(),
    ] {
        assert!(text.contains(&part), "{part} in {text}");
    }
    assert!(!text.contains("mistake"), "why is for the books");
    let hash = fs::read_to_string(path.with_extension("xml.sha256")).expect("its hash");
    use sha2::Digest as _;
    assert!(hash.starts_with(&sarf::domain::hex(&sha2::Sha256::digest(&bytes))));

    // Again: the same recall, and nothing is written.
    let (now, again) = ask(&bed.context, order).await.expect("asked");
    assert!(!now && again.id == asked.id && again.state == RecallState::Sent);
    fs::remove_file(&path).expect("picked up");
    recall::deliver(&bed.context, &again).await.expect("nothing to do");
    assert!(!path.exists());

    // Killed after the rename, or before it, at a later time: the same bytes.
    let mut later = bed.context.clone();
    later.clock = Clock::fixed(bed.context.clock.now() + Duration::hours(5));
    for _ in 0..2 {
        bed.write("update recall set state = 'requested', file_sha256 = null").await.expect("killed");
        let (now, again) = ask(&later, order).await.expect("asked");
        assert!(!now);
        assert_eq!(recall::deliver(&later, &again).await.expect("delivered").state, RecallState::Sent);
        assert_eq!(fs::read(&path).expect("the file"), bytes);
    }
    assert_eq!(bed.number("select count(*) from recall").await, 1);
    let audited = bed
        .rows("select action || ' ' || actor from audit where action like '%recall%' group by 1 order by 1")
        .await;
    assert_eq!(audited, [format!("order.recall {ACCOUNTANT}"), "recall.send sarf".to_owned()]);
    // Another content under its name is never overwritten.
    bed.write("update recall set state = 'requested'").await.expect("killed");
    fs::write(&path, "<other/>").expect("tampered with");
    let refusal = recall::deliver(&bed.context, &asked).await.expect_err("differs");
    assert!(matches!(refusal, RecallError::Delivery(_)), "{refusal}");
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promise_moves_nothing_and_the_return_does() {
    let Some((bed, _, file)) = filed().await else { return };
    let (key, _, amount) = &file.orders[0];
    let order = order_of(key);
    let deliver = async |context: &Context| {
        let (_, asked) = ask(context, order).await.expect("asked");
        recall::deliver(context, &asked).await.expect("delivered")
    };
    let first = deliver(&bed.context).await;
    let before = books(&bed).await;
    let last = if key.ends_with('A') { 'B' } else { 'A' };
    let mistyped = format!("{}{last}", &key[..key.len() - 1]);
    for (name, case, key, status, reason, expected, state) in [
        ("stranger", "NOBODY", "", "CNCL", "", [1, 0, 0, 1], "sent"),
        ("mistyped", first.message_id.as_str(), mistyped.as_str(), "ACCR", "", [1, 0, 0, 1], "sent"),
        ("never", "X", file.orders[1].0.as_str(), "ACCR", "", [1, 0, 0, 1], "sent"),
        ("other", "X", key, "INFO", "", [1, 0, 0, 0], "sent"),
        ("pending", "X", key, "PDCR", "", [1, 1, 0, 0], "pending"),
        ("still", first.message_id.as_str(), "", "PDCR", "", [1, 0, 1, 0], "pending"),
        ("refused", first.message_id.as_str(), key, "RJCR", "CUST", [1, 1, 0, 0], "refused"),
        ("after all", first.message_id.as_str(), key, "ACCR", "", [1, 0, 0, 1], "refused"),
    ] {
        let xml = resolution(case, key, status, reason);
        assert_eq!(take(&bed, &format!("{name}.xml"), &xml).await, expected, "{name}");
        assert_eq!(bed.rows("select state from recall").await, [state], "{name}");
    }
    assert_eq!(bed.rows("select answer from recall").await, ["CUST"]);
    assert_eq!(state_of(&bed, order).await, "sent");
    assert_eq!(books(&bed).await, before);
    assert!(recall::list(&bed.context, true).await.expect("listed").is_empty());

    // Refused, it may be asked for again; accepted, the order waits for what the bank does.
    let second = deliver(&bed.context).await;
    assert_ne!((second.id, &second.message_id), (first.id, &first.message_id));
    assert_eq!(
        take(&bed, "accepted.xml", &resolution(&second.message_id, key, "ACCR", "")).await,
        [1, 1, 0, 0]
    );
    assert_eq!(books(&bed).await, before);
    let open = recall::list(&bed.context, true).await.expect("listed");
    assert_eq!((open.len(), open[0].recall.state, open[0].overdue), (1, RecallState::Accepted, false));
    assert!(!ask(&bed.context, order).await.expect("asked").0, "it is promised");
    assert_eq!(take(&bed, "s1.xml", &statement(&file, "S1", true, &[])).await, [1, 1, 0, 0]);
    assert_eq!(state_of(&bed, order).await, "settled");
    assert_eq!(
        take(&bed, "back.xml", &returns("R1", "", &[returned(key, *amount, "FOCR")])).await,
        [1, 1, 0, 0]
    );
    assert_eq!(take(&bed, "s2.xml", &statement(&file, "S2", false, &[key])).await, [1, 1, 0, 0]);
    assert_eq!(state_of(&bed, order).await, "returned");
    assert!(recall::list(&bed.context, true).await.expect("listed").is_empty());
    assert_eq!(recall::list(&bed.context, false).await.expect("listed").len(), 2);
    let refusal = ask(&bed.context, order).await.expect_err("it is back");
    assert!(matches!(refusal, RecallError::Ended { .. }), "{refusal}");
    // What is settled may be asked back too.
    assert!(ask(&bed.context, order_of(&file.orders[1].0)).await.expect("asked").0);
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_ask_at_once_send_one_file_and_the_second_is_told() {
    let Some((bed, _, file)) = filed().await else { return };
    let order = order_of(&file.orders[0].0);
    let added = people::add(&bed.context, "dounia", Role::Accountant, None, ADMINISTRATOR).await;
    added.expect("another accountant");
    let one = |by: &'static str, reason| {
        let context = bed.context.clone();
        tokio::spawn(async move {
            let asked = recall::ask(&context, order, reason, "paid by mistake", by).await.expect("asked");
            let now = asked.is_now();
            (now, recall::deliver(&context, &asked.into_inner()).await.expect("delivered"))
        })
    };
    let (first, second) = (one(ACCOUNTANT, CUST), one("dounia", CancellationReason::Frad));
    let asked = [first.await.expect("no panic"), second.await.expect("no panic")];
    assert!(asked.iter().all(|(_, recall)| recall.state == RecallState::Sent));
    assert_eq!(asked.iter().filter(|(now, _)| *now).count(), 1);
    assert_eq!(asked[0].1.id, asked[1].1.id);
    assert_eq!(bed.number("select count(*) from recall").await, 1);
    let folder = bed.outbox().join(&file.provider);
    let requests = fs::read_dir(folder).expect("a folder").flatten().filter(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.starts_with("camt055") && name.ends_with(".xml")
    });
    assert_eq!(requests.count(), 1);
    // Whoever came second: that somebody suspects fraud is not lost.
    let doubts = "select count(*) from break where kind = 'payee_in_doubt' and resolved_at is null";
    assert_eq!(bed.number(doubts).await, 1);

    let program = Program { url: Some(bed.url()), ..Program::new(bed.home()) };
    let (key, by) = (&file.orders[0].0, &asked[0].1.asked_by);
    let ran = program.ends(0, &format!("order recall {key} --reason CUST --why again --as {ACCOUNTANT}"));
    let told = format!("it was asked for before, for {} by {by}", asked[0].1.reason);
    assert!(ran.out.contains(&told), "{told}: {ran:?}");
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_confirmation_that_is_not_known_is_for_a_person() {
    let Some((bed, _, file)) = filed().await else { return };
    let key = &file.orders[0].0;
    let order = order_of(key);
    let (_, asked) = ask(&bed.context, order).await.expect("asked");
    let sent = recall::deliver(&bed.context, &asked).await.expect("delivered");
    let before = books(&bed).await;
    // The bank paid, or pays by another way: of the whole case, then of the transaction; then no status at all.
    let details = |status: &str| resolution(&sent.message_id, key, status, "");
    let silent =
        resolution(&sent.message_id, "", "IPAY", "").replace("<c:Sts><c:Conf>IPAY</c:Conf></c:Sts>", "");
    for (at, (xml, said)) in [
        (resolution(&sent.message_id, "", "IPAY", ""), "states status `IPAY`, which is not known"),
        (details("IPAY"), "states status `IPAY`, which is not known"),
        (details("accr").replace("CNCL", "IPAY"), "states status `accr`, which is not known"),
        (silent, "states no status, which is not known"),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(take(&bed, &format!("{at}.xml"), &xml).await, [1, 0, 0, 1], "{said}");
        let newest = "select detail from break where kind = 'unknown_status' and order_id is not null order by id desc limit 1";
        let detail = bed.rows(newest).await.remove(0);
        assert!(detail.contains(said), "{detail}");
        assert_eq!(bed.rows("select state || coalesce(answer, '') from recall").await, ["sent"]);
    }
    assert_eq!(bed.open_breaks().await, ["unknown_status 4"]);
    assert_eq!((state_of(&bed, order).await, books(&bed).await), ("sent".to_owned(), before));
    assert!(!ask(&bed.context, order).await.expect("asked").0, "it is still open");
    // What the bank says next is heard as ever.
    assert_eq!(take(&bed, "no.xml", &details("RJCR")).await, [1, 1, 0, 0]);
    assert_eq!(bed.rows("select state from recall").await, ["refused"]);
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_answered_in_time_lapses_and_may_be_asked_again() {
    let Some((bed, _, file)) = filed().await else { return };
    let order = order_of(&file.orders[0].0);
    let (_, asked) = ask(&bed.context, order).await.expect("asked");
    let first = recall::deliver(&bed.context, &asked).await.expect("delivered");
    // Ten business days from Tuesday 24 November 2026, to the end of the day in Morocco.
    assert_eq!(first.deadline, time::macros::datetime!(2026-12-09 00:00 +1));
    let mut late = bed.context.clone();
    late.clock = Clock::fixed(first.deadline + Duration::minutes(1));
    for (context, state, overdue) in
        [(&bed.context, RecallState::Sent, false), (&late, RecallState::Lapsed, true)]
    {
        let found = recall::list(context, true).await.expect("listed");
        assert_eq!((found.len(), found[0].recall.state, found[0].overdue), (1, state, overdue));
    }
    let (now, second) = ask(&late, order).await.expect("asked again");
    assert!(now && second.id != first.id);
    assert_eq!(bed.rows("select state from recall order by id").await, ["lapsed", "requested"]);
    // A late answer still counts, for the recall that it answers.
    assert_eq!(
        take(&bed, "late.xml", &resolution(&first.message_id, &file.orders[0].0, "ACCR", "")).await,
        [1, 1, 0, 0]
    );
    assert_eq!(bed.rows("select state from recall order by id").await, ["accepted", "requested"]);
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_asks_and_lists() {
    let Some((bed, _, file)) = filed().await else { return };
    let program = Program { url: Some(bed.url()), ..Program::new(bed.home()) };
    let key = &file.orders[0].0;
    program.ends(2, &format!("order recall {key} --reason NONE --why x --as {ACCOUNTANT}"));
    let ran = program.ends(1, &format!("order recall {key} --reason CUST --why x --as {PREPARER}"));
    assert!(ran.err.contains("hint: "), "{ran:?}");
    let asked = format!("order recall {key} --reason cust --why mistake --as {ACCOUNTANT} --json");
    let first = program.ends(0, &asked).json();
    assert_eq!((&first["recall"]["state"], &first["done_now"]), (&"sent".into(), &true.into()));
    let again = program.ends(0, &asked).json();
    assert_eq!((&again["recall"]["id"], &again["done_now"]), (&first["recall"]["id"], &false.into()));
    let listed = program.ends(0, "order recalls --open --json").json();
    assert_eq!(
        (listed[0]["state"].clone(), listed[0]["order_state"].clone()),
        ("sent".into(), "sent".into())
    );
    assert!(program.ends(0, "order recalls").out.contains("CUST"));
    // What the sandbox answers is not known before it is imported.
    program.ends(0, "sandbox --seed 3");
    bed.write("update recall set deadline = now() - interval '1 day'").await.expect("late");
    assert!(program.ends(3, "order recalls --open").out.contains("lapsed"));
    bed.end().await;
}

/// All cash goes to one provider, at this address.
async fn streamed(provider: &TestProvider) -> Option<(Bed, Vec<(OrderId, String)>)> {
    let bed = Bed::with(|config| {
        config.settings.stream.enabled = true;
        let mut providers = config.router.providers().to_vec();
        for known in &mut providers {
            known.stream = known.stream.take().filter(|_| known.code.as_str() == "cashplus");
        }
        let terms = providers.iter_mut().find_map(|p| p.stream.as_mut()).expect("cashplus has stream terms");
        terms.url = format!("http://{}", provider.address);
        config.router = Router::new(providers).expect("providers");
    })
    .await?;
    secrets::read_or_make(bed.home(), "cashplus").expect("a secret");
    let run = bed.run_to(1_500, 3, RunState::Dispatching).await;
    files::dispatch(&bed.context, run).await.expect("shards are cut");
    let ids = bed
        .rows(&format!(
            "select o.order_id::text from payment_order_{run} o join provider p on p.id = o.provider_id where p.code = 'cashplus'
                and not exists (select from order_hold h where h.order_id = o.order_id) order by o.order_id limit 6"
        ))
        .await;
    let ids: Vec<i64> = ids.iter().map(|id| id.parse().expect("a number")).collect();
    let waiting =
        sarf::store::batches::shards::by_number(&bed.context.store, run, &ids).await.expect("orders");
    let (_, configured) = bed.context.config.router.by_code("cashplus").expect("configured");
    let code = sarf::domain::ids::Code::parse("dss").expect("a code");
    let named = stream::name(&code, configured, &waiting).expect("named");
    stream::intend(&bed.context, "cashplus", &ids, None).await.expect("intended");
    {
        let mut books = provider.books.lock().expect("no panic");
        for order in &named[..5] {
            let taken = Taken { amount: order.instruction.amount.get(), status: Status::Available, puts: 1 };
            books.orders.insert(order.instruction.key.clone(), taken);
        }
    }
    let told = named[..4].iter().map(|n| Answer {
        key: n.instruction.key.clone(),
        status: Status::Available,
        reason: None,
        amount: None,
    });
    record(&bed.context, "cashplus", Source::Callback, told.collect()).await.expect("recorded");
    Some((bed, named.into_iter().map(|n| (n.order, n.instruction.key)).collect()))
}

/// A connection that is cut in the middle of every call.
struct Cut;

impl StreamRail for Cut {
    fn orders_per_request(&self) -> usize {
        1
    }

    fn tells_changes(&self) -> bool {
        false
    }

    fn put<'a>(&'a self, _: &'a [Instruction]) -> BoxFuture<'a, Result<Put, CallError>> {
        async { Err(CallError::Lost { what: "cut" }) }.boxed()
    }

    fn enquire<'a>(&'a self, _: &'a [String]) -> BoxFuture<'a, Result<Vec<Answer>, CallError>> {
        async { Err(CallError::Lost { what: "cut" }) }.boxed()
    }

    fn cancel<'a>(&'a self, _: &'a [String]) -> BoxFuture<'a, Result<Vec<Answer>, CallError>> {
        async { Err(CallError::Lost { what: "cut" }) }.boxed()
    }

    fn changes<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Changes, CallError>> {
        async { Err(CallError::Lost { what: "cut" }) }.boxed()
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), CallError>> {
        async { Ok(()) }.boxed()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_point_cancels_what_is_not_collected() {
    let provider = TestProvider::start(Moods::default()).await;
    let Some((bed, orders)) = streamed(&provider).await else { return };
    let lanes = ProviderStream::open_all(&bed.context, &["cashplus".to_owned()]).await.expect("a lane");
    let set = |at: usize, status| {
        let mut books = provider.books.lock().expect("no panic");
        books.orders.get_mut(&orders[at].1).expect("there").status = status;
    };
    set(1, Status::Collected);
    set(2, Status::Accepted);
    // Available, collected meanwhile, being made ready, the same once it is; then one whose answer is not read yet, and
    // one that the provider does not have.
    for (at, recall_state, answer, order_state) in [
        (0, "accepted", "cancelled", "expired"),
        (1, "refused", "collected", "collected"),
        (2, "pending", "accepted", "available"),
        (4, "accepted", "cancelled", "expired"),
        (5, "pending", "NOOR", "sent"),
    ] {
        let (order, _) = orders[at];
        let (_, asked) = ask(&bed.context, order).await.expect("asked");
        assert!(asked.file_name.is_none());
        let told = recall::cancel(&bed.context, &asked, lanes[0].rail()).await.expect("told");
        assert_eq!((told.state.as_str(), told.answer.as_deref()), (recall_state, Some(answer)), "order {at}");
        assert_eq!(state_of(&bed, order).await, order_state, "order {at}");
        bed.verify_all_holds().await;
    }
    for at in [0, 1] {
        let refusal = ask(&bed.context, orders[at].0).await.expect_err("ended");
        assert!(matches!(refusal, RecallError::Ended { .. }), "{refusal}");
    }

    // Asked again once it is at hand, under the same recall.
    set(2, Status::Available);
    let (now, asked) = ask(&bed.context, orders[2].0).await.expect("asked");
    assert!(!now);
    let told = recall::cancel(&bed.context, &asked, lanes[0].rail()).await.expect("told");
    assert_eq!(told.state, RecallState::Accepted);

    // Cut off: whether it was cancelled is not known, and the order stays as it is until the provider says.
    let (_, asked) = ask(&bed.context, orders[3].0).await.expect("asked");
    let fault = recall::cancel(&bed.context, &asked, &Cut).await.expect_err("cut");
    assert!(matches!(fault, RecallError::Call { .. }), "{fault}");
    assert_eq!(state_of(&bed, orders[3].0).await, "available");
    let (now, asked) = ask(&bed.context, orders[3].0).await.expect("asked");
    assert_eq!((now, asked.state), (false, RecallState::Sent));
    let told = recall::cancel(&bed.context, &asked, lanes[0].rail()).await.expect("told");
    assert_eq!(told.state, RecallState::Accepted);
    assert_eq!(state_of(&bed, orders[3].0).await, "expired");
    assert_eq!(recall::list(&bed.context, true).await.expect("listed").len(), 1, "the one nobody knows");
    bed.verify_all_holds().await;
    bed.end().await;
}
