//! One worker's share of a dispatch: one scan of the orders, one open file for each provider.
//!
//! Rows come over an async connection and go, a few thousand at a time, to a thread that formats, hashes and writes;
//! finished files go on to a second thread that waits for the disk.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc as blocking;

use tokio::sync::mpsc;

use super::{DispatchError, Done, intent};
use crate::domain::ids::{BatchId, Code, HouseholdId, OrderId};
use crate::domain::money::Centimes;
use crate::domain::order::{OrderKey, OrderNames};
use crate::domain::period::Period;
use crate::domain::provider::{AccountFormat, Provider};
use crate::iso20022::pain001::{
    Account, Agent, ChargeBearer, CreditorAccount, Header, PaymentInfo, Transaction,
};
use crate::pipeline::Context;
use crate::rails::bank_file::{BankFile, WrittenFile};
use crate::store::batches::Batch;
use crate::store::personal::{self, OrderPayee};
use crate::store::pgcopy::{CopyAhead, CopyRow};
use crate::store::runs::Run;
use crate::store::{StoreError, orders};
use crate::telemetry::StageGuard;

const ROWS_AT_ONCE: usize = 2_000;

/// Writes the batches of `share`; each finished one is told to `done`.
pub(super) async fn write_share(
    context: Context,
    run: Run,
    share: Vec<Batch>,
    done: mpsc::Sender<Done>,
    stage: Arc<StageGuard>,
) -> Result<(), DispatchError> {
    let (listed, ranges): (Vec<Batch>, Vec<Batch>) = share.into_iter().partition(|b| b.listed);
    if !ranges.is_empty() {
        let source = range_source(&run, &ranges);
        write_scan(&context, &run, ranges, source, done.clone(), &stage).await?;
    }
    for batch in listed {
        let source = listed_source(&run, batch.id);
        write_scan(&context, &run, vec![batch], source, done.clone(), &stage).await?;
    }
    Ok(())
}

const COLUMNS: &str =
    "o.order_id, o.provider_id, o.household_id, o.period, u.code, o.attempt, o.amount, o.payee";

/// All orders of the share's providers between its first and last, less those that a batch left behind.
fn range_source(run: &Run, batches: &[Batch]) -> String {
    let first = batches.iter().map(|b| b.first.get()).min().unwrap_or(0);
    let last = batches.iter().map(|b| b.last.get()).max().unwrap_or(0);
    let mut providers: Vec<String> = batches.iter().map(|b| b.provider_id.to_string()).collect();
    providers.sort();
    providers.dedup();
    format!(
        "(select {COLUMNS} from {} o join purpose u on u.id = o.purpose_id
           where o.order_id between {first} and {last} and o.provider_id in ({})
             and not exists (select from order_hold h where h.order_id = o.order_id and h.missed_batch is not null)
           order by o.order_id)",
        orders::leaf(run.id),
        providers.join(", ")
    )
}

fn listed_source(run: &Run, batch: BatchId) -> String {
    format!(
        "(select {COLUMNS} from batch_member m join {} o on o.order_id = m.order_id join purpose u on u.id = o.purpose_id
           where m.batch_id = {batch} order by o.order_id)",
        orders::leaf(run.id)
    )
}

async fn write_scan(
    context: &Context,
    run: &Run,
    batches: Vec<Batch>,
    source: String,
    done: mpsc::Sender<Done>,
    stage: &Arc<StageGuard>,
) -> Result<(), DispatchError> {
    let mut rows = CopyAhead::open(context.store.pool(), source);
    let (sender, receiver) = blocking::sync_channel::<Vec<CopyRow>>(4);
    let mut files = Files::new(context, run, batches, done, Arc::clone(stage))?;
    let writer = std::thread::spawn(move || -> Result<(), DispatchError> {
        while let Ok(chunk) = receiver.recv() {
            for row in chunk {
                files.write(row)?;
            }
        }
        files.finish()
    });
    let mut chunk = Vec::with_capacity(ROWS_AT_ONCE);
    let mut fault = None;
    loop {
        let row = match rows.next().await {
            Ok(row) => row,
            Err(error) => {
                fault = Some(error);
                None
            }
        };
        let ended = row.is_none();
        chunk.extend(row);
        if ended || chunk.len() == ROWS_AT_ONCE {
            let full = std::mem::replace(&mut chunk, Vec::with_capacity(ROWS_AT_ONCE));
            // A full channel means the disk is slower than the database: wait without holding up other tasks.
            if tokio::task::block_in_place(|| sender.send(full)).is_err() || ended {
                break;
            }
        }
    }
    drop(sender);
    let written = tokio::task::block_in_place(|| writer.join()).expect("the writing thread does not panic");
    match fault {
        Some(error) => Err(error.into()),
        None => written,
    }
}

/// The open files of a scan.
struct Files {
    programme: Code,
    category_purpose: String,
    purpose: String,
    debtor_name: String,
    debtor_id: String,
    outbox: std::path::PathBuf,
    /// By provider number: its configuration, its batches still to come (last first), and the open one.
    lanes: HashMap<i16, Lane>,
    finisher: Finisher,
    texts: Texts,
    before: OrderId,
}

struct Lane {
    provider: Provider,
    iban: String,
    waiting: Vec<Batch>,
    open: Option<(Batch, BankFile)>,
}

#[derive(Default)]
struct Texts {
    end_to_end: String,
    uetr: String,
    account: String,
    payee: Option<OrderPayee>,
}

impl Files {
    fn new(
        context: &Context,
        run: &Run,
        mut batches: Vec<Batch>,
        done: mpsc::Sender<Done>,
        stage: Arc<StageGuard>,
    ) -> Result<Self, DispatchError> {
        batches.sort_by_key(|b| std::cmp::Reverse(b.first));
        let mut lanes: HashMap<i16, Lane> = HashMap::new();
        for batch in batches {
            let provider = intent::configured(context, &batch.provider)?;
            let lane = lanes.entry(batch.provider_id).or_insert_with(|| Lane {
                provider: provider.clone(),
                iban: provider.debtor_account.iban(),
                waiting: Vec::new(),
                open: None,
            });
            lane.waiting.push(batch);
        }
        let programme =
            context.config.programme(&run.programme).ok_or(StoreError::Corrupt("programme of a run"))?;
        let settings = &context.config.settings;
        let read_back = settings.dispatch.read_back;
        let (sender, receiver) = blocking::sync_channel::<(Batch, WrittenFile)>(2);
        let handle = std::thread::spawn(move || -> Result<(), DispatchError> {
            while let Ok((batch, file)) = receiver.recv() {
                let delivered = match &batch.file_sha256 {
                    // It left before, as this.
                    Some(recorded) => file.restore(recorded, read_back)?,
                    None => file.deliver(read_back)?,
                };
                stage.add(batch.orders as u64);
                // When nobody listens, the dispatch has failed elsewhere; the file is found again at the next start.
                let _ = done.blocking_send(Done { batch, delivered });
            }
            Ok(())
        });
        Ok(Self {
            programme: programme.rules.code().clone(),
            category_purpose: programme.rules.category_purpose().as_str().to_owned(),
            purpose: programme.rules.purpose_code().as_str().to_owned(),
            debtor_name: settings.debtor.name.clone(),
            debtor_id: settings.debtor.id.clone(),
            outbox: context.home.join("outbox"),
            lanes,
            finisher: Some((sender, handle)),
            texts: Texts::default(),
            before: OrderId::new(0),
        })
    }

    fn write(&mut self, mut row: CopyRow) -> Result<(), DispatchError> {
        let order = OrderId::new(row.i64()?);
        assert!(order > self.before, "orders come in ascending order");
        self.before = order;
        let provider = row.i16()?;
        let lane = self.lanes.get_mut(&provider).expect("the scan asks for these providers only");
        // Batches were cut from this very order of rows, so they are met in their order.
        while lane.open.as_ref().is_some_and(|(batch, _)| batch.last < order) {
            let (batch, file) = lane.open.take().expect("just seen");
            hand_over(&mut self.finisher, batch, file.finish()?)?;
        }
        if lane.open.is_none() {
            match lane.waiting.last() {
                Some(batch) if batch.first <= order && order <= batch.last => {}
                // An order between two batches of this share: its batch left before.
                _ => return Ok(()),
            }
            let batch = lane.waiting.pop().expect("just seen");
            let header = Names {
                debtor_name: &self.debtor_name,
                debtor_id: &self.debtor_id,
                category_purpose: &self.category_purpose,
            };
            let file = begin(&self.outbox, lane, &batch, &header)?;
            lane.open = Some((batch, file));
        }
        let (_, file) = lane.open.as_mut().expect("opened above");
        let household = HouseholdId::parse(row.raw()?).map_err(|_| StoreError::Corrupt("household id"))?;
        let period = Period::from_index(row.i32()?).map_err(|_| StoreError::Corrupt("period"))?;
        let purpose = Code::parse(row.text()?).map_err(|_| StoreError::Corrupt("purpose"))?;
        let attempt = row.i16()? as u16;
        let amount = Centimes::new(row.i64()?);
        let names = OrderNames::of(&OrderKey {
            programme: &self.programme,
            period,
            household,
            purpose: &purpose,
            attempt,
        });
        let texts = &mut self.texts;
        texts.end_to_end.clear();
        names.write_end_to_end(&self.programme, period, order, &mut texts.end_to_end);
        texts.uetr.clear();
        names.write_uetr(&mut texts.uetr);
        let payee = texts.payee.get_or_insert_with(|| OrderPayee {
            name: String::new(),
            account: String::new(),
            phone: None,
        });
        personal::decode_order_payee(row.raw()?, payee)?;
        let account = creditor_account(&lane.provider, payee, &mut texts.account);
        file.transaction(&Transaction {
            instr_id: &texts.end_to_end,
            end_to_end_id: &texts.end_to_end,
            uetr: Some(&texts.uetr),
            amount,
            creditor_agent: Some(agent(&lane.provider)),
            creditor_name: &payee.name,
            creditor_account: account,
            purpose: &self.purpose,
            remittance: "",
        })?;
        Ok(())
    }

    fn finish(mut self) -> Result<(), DispatchError> {
        let mut open: Vec<(Batch, BankFile)> =
            self.lanes.values_mut().filter_map(|lane| lane.open.take()).collect();
        open.sort_by_key(|(batch, _)| batch.id);
        for (batch, file) in open {
            hand_over(&mut self.finisher, batch, file.finish()?)?;
        }
        let unopened = self.lanes.values().flat_map(|lane| &lane.waiting).any(|batch| batch.orders > 0);
        let (sender, handle) = self.finisher.take().expect("taken once, here");
        drop(sender);
        handle.join().expect("the delivering thread does not panic")?;
        if unopened {
            return Err(StoreError::Corrupt("batch without its orders").into());
        }
        Ok(())
    }
}

type Finisher =
    Option<(blocking::SyncSender<(Batch, WrittenFile)>, std::thread::JoinHandle<Result<(), DispatchError>>)>;

/// Sends a finished file on; when the delivering thread has ended, its error is the one to tell.
fn hand_over(finisher: &mut Finisher, batch: Batch, file: WrittenFile) -> Result<(), DispatchError> {
    let (sender, _) = finisher.as_ref().expect("taken at the end only");
    if sender.send((batch, file)).is_err() {
        let (_, handle) = finisher.take().expect("taken at the end only");
        handle.join().expect("the delivering thread does not panic")?;
    }
    Ok(())
}

struct Names<'a> {
    debtor_name: &'a str,
    debtor_id: &'a str,
    category_purpose: &'a str,
}

fn begin(
    outbox: &std::path::Path,
    lane: &Lane,
    batch: &Batch,
    names: &Names<'_>,
) -> Result<BankFile, DispatchError> {
    let missing = || StoreError::Corrupt("intent of a batch");
    let message_id = batch.message_id.as_deref().ok_or_else(missing)?;
    let debtor_account = match lane.provider.account_format {
        AccountFormat::Iban => Account::Iban(&lane.iban),
        AccountFormat::Rib => Account::Rib(lane.provider.debtor_account.reveal()),
    };
    let header = Header {
        msg_id: message_id,
        created: batch.created_at.ok_or_else(missing)?,
        initiating_party_name: names.debtor_name,
        initiating_party_id: names.debtor_id,
        orders: batch.orders as u64,
        control_sum: batch.amount,
        payment: PaymentInfo {
            id: message_id,
            batch_booking: true,
            execution_date: batch.value_date.ok_or_else(missing)?,
            category_purpose: names.category_purpose,
            debtor_name: names.debtor_name,
            debtor_account,
            debtor_agent: agent(&lane.provider),
            charge_bearer: ChargeBearer::Slev,
        },
    };
    let name = batch.file_name.as_deref().ok_or_else(missing)?;
    Ok(BankFile::begin(outbox, lane.provider.code.as_str(), name, &header)?)
}

fn agent(provider: &Provider) -> Agent<'_> {
    provider.bic.as_deref().map_or_else(|| Agent::Member(provider.member_id()), Agent::Bic)
}

/// The account as the provider wants it written; a phone where the phone identifies.
fn creditor_account<'a>(
    provider: &Provider,
    payee: &'a OrderPayee,
    text: &'a mut String,
) -> CreditorAccount<'a> {
    text.clear();
    if let Some(phone) = payee.phone {
        text.push_str(&phone.reveal());
        return CreditorAccount::Proxy { kind: "TELE", id: text };
    }
    match provider.account_format {
        AccountFormat::Rib => CreditorAccount::Account(Account::Rib(&payee.account)),
        AccountFormat::Iban => {
            text.push_str("MA64");
            text.push_str(&payee.account);
            CreditorAccount::Account(Account::Iban(text))
        }
    }
}
