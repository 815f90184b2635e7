"""A run of about 1,000 orders through an independent bank and back: `make interop`.

Input: the release build of sarf, the configuration of this tree. Output: a protocol on the terminal; everything else below
var/interop. Fails (exit 1) unless the run reconciles, closes and verifies, and unless orders and amounts that sarf holds
rejected, returned and settled are those of the bank's own books.
Limit: the bank knows accounts by IBAN only, so every provider is set to IBAN in a copy of the configuration.
"""

import collections
import datetime
import decimal
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

from bank import Bank, BankError

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOME = ROOT / "var" / "interop"
SARF = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "sarf"
HOUSEHOLDS = 1250
ORDERS_PER_FILE = 100
BALANCE_CENTIMES = 10_000_000_000
# What goes wrong at the bank: one account in so many is closed, or its bank is not known.
CLOSED_EVERY, UNKNOWN_BANK_EVERY = 40, 150
# All that this provider pays comes back, and one order of that one.
ALL_RETURNED, ONE_RETURNED = ("bmci", "MD07"), ("bcp", "AC04")
PEOPLE = {"preparer": "amina", "approver": "brahim", "accountant": "chafik"}
PAIN001 = {"p": "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"}
NEEDS_PERSON = 3


class Failed(Exception):
    """What did not come out as it must."""


def say(what, result=""):
    print(f"  {what:<48} {result}", flush=True)


def sarf(*arguments, allowed=(0,)):
    """Runs sarf with `--json`; what it prints, parsed."""
    environment = {**os.environ, "SARF_HOME": str(HOME), "SARF_CONFIG": str(HOME / "config")}
    environment.pop("DATABASE_URL", None)
    command = [str(SARF), "--json", "--quiet", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode not in allowed:
        raise Failed(f"sarf {' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout) if done.stdout.strip() else None


def configure():
    """A copy of the configuration: accounts as IBAN, small files so that a bank gets several, files for all providers."""
    shutil.copytree(ROOT / "config", HOME / "config")
    settings = HOME / "config" / "sarf.toml"
    text, changed = re.subn(r"(?m)^orders_per_file = \d+", f"orders_per_file = {ORDERS_PER_FILE}", settings.read_text())
    if changed != 1:
        raise Failed("config/sarf.toml has no orders_per_file to change")
    settings.write_text(text)
    text = settings.read_text()
    if "enabled = true" not in text:
        raise Failed("config/sarf.toml has no stream lane to switch off")
    settings.write_text(text.replace("enabled = true", "enabled = false"))
    for path in (HOME / "config" / "providers").glob("*.toml"):
        path.write_text(path.read_text().replace('account_format = "rib"', 'account_format = "iban"'))


def pay():
    """From a snapshot to the files in the outbox: the run's number."""
    period = datetime.date.today().strftime("%Y-%m")
    sarf("generate", "--households", HOUSEHOLDS, "--period", period, "--out", HOME / "snapshot")
    for role, name in PEOPLE.items():
        sarf("operator", "add", name, "--role", role)
    snapshot = sarf("snapshot", "import", HOME / "snapshot")["snapshot"]
    run = sarf("run", "create", "--snapshot", snapshot, "--as", PEOPLE["preparer"])["run"]
    why = "synthetic households, made to be difficult"
    sarf("run", "check", run, "--acknowledge", why, "--as", PEOPLE["preparer"], allowed=(0, NEEDS_PERSON))
    for step, role in [("submit", "preparer"), ("approve", "approver"), ("fund", "accountant"), ("release", "accountant")]:
        sarf("run", step, run, "--as", PEOPLE[role])
    sent = sarf("dispatch", run)
    say("sarf: snapshot to bank files", f"{sent['orders']} orders in {sent['files']} files")
    return run


def read_outbox():
    """Of each file: its provider, the account it debits, and its orders as (end-to-end id, IBAN or none)."""
    files = []
    for path in sorted((HOME / "outbox").glob("*/*.xml")):
        tree = ElementTree.parse(path)
        orders = [
            tuple(order.findtext(path, None, PAIN001) for path in ("p:PmtId/p:EndToEndId", "p:CdtrAcct/p:Id/p:IBAN"))
            for order in tree.iterfind(".//p:CdtTrfTxInf", PAIN001)
        ]
        debtor = tree.findtext(".//p:DbtrAcct/p:Id/p:IBAN", None, PAIN001)
        files.append((path, path.parent.name, debtor, orders))
    return files


def open_accounts(bank, files):
    """The accounts that are debited, and those of payees with whom something is wrong."""
    orders_of = collections.defaultdict(list)
    for _, provider, debtor, orders in files:
        orders_of[provider, debtor].extend(orders)
    for (provider, debtor), orders in orders_of.items():
        behaviour = {}
        if provider == ALL_RETURNED[0]:
            behaviour = {"behaviour": "return-later", "parameters": {"days": 1, "reason": ALL_RETURNED[1]}}
        elif provider == ONE_RETURNED[0]:
            one = {"days": 2, "reason": ONE_RETURNED[1], "end_to_end_id": orders[0][0]}
            behaviour = {"behaviour": "return-later", "parameters": one}
        bank.open_account(provider, debtor, balance=BALANCE_CENTIMES, **behaviour)
    payees = sorted({iban for orders in orders_of.values() for _, iban in orders[1:] if iban})
    closed, unknown = payees[::CLOSED_EVERY], payees[1::UNKNOWN_BANK_EVERY]
    for number, iban in enumerate(closed):
        bank.open_account(f"closed-{number}", iban, closed=True)
    for number, iban in enumerate(unknown):
        bank.open_account(f"unknown-{number}", iban, behaviour="bad-bank-id")
    say("bank: accounts opened", f"{len(orders_of)} of ours, {len(closed)} closed, {len(unknown)} at an unknown bank")


def exchange(bank, files):
    """Sends every file, lets the days go by, and puts what the bank says into the inbox."""
    answers = [bank.send(path) for path, *_ in files]
    statuses = collections.Counter(answer["status"] for answer in answers)
    say("bank: files received", ", ".join(f"{n} {status}" for status, n in sorted(statuses.items())))
    settled = max(payment["settlement_date"] or "" for payment in bank.payments())
    last = datetime.date.fromisoformat(settled) + datetime.timedelta(days=7)
    bank.advance(last)
    say("bank: time goes by", f"settled by {settled}, now {last}")
    ours = {provider for _, provider, *_ in files}
    kinds = collections.Counter()
    for message in bank.messages():
        # The bank keeps other people's accounts too; they get statements of their own.
        if message["account"] not in ours | {None, ""}:
            continue
        kind = ".".join(message["type"].split(".")[:2])
        kinds[kind] += 1
        # A pacs.004 is between banks: what it says of the account stands in the camt.054 and camt.053 as well.
        folder = HOME / ("between_banks" if kind == "pacs.004" else "inbox") / (message["account"] or "all")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{message['id']:06}-{kind}.xml").write_text(message["body"], encoding="utf-8")
    say("bank: messages sent", ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items())))
    return bank.payments()


def settle(run):
    """Reads the inbox and takes the run to its close."""
    imported = sarf("feedback", "import", HOME / "inbox", allowed=(0, NEEDS_PERSON))
    counts = collections.Counter()
    for line in imported:
        counts.update(line["imported"]["counts"])
    say("sarf: feedback read", f"{counts['entries']} entries, {counts['applied']} applied, {counts['breaks']} breaks")
    found = sarf("reconcile", run, allowed=(0, NEEDS_PERSON))
    if found["state"] != "reconciled" or counts["breaks"]:
        breaks = sarf("breaks", "list", "--all", allowed=(0, NEEDS_PERSON))
        raise Failed(f"run {run} is {found['state']}: {json.dumps(found)}\n{json.dumps(breaks[:5], indent=1)}")
    say("sarf: reconciled", f"{found['held']} orders held, none under way")
    sarf("run", "close", run, "--as", PEOPLE["accountant"])
    proofs = sarf("verify")
    say("sarf: closed and verified", f"{len(proofs)} guarantees hold")


def compare(run, payments):
    """Sarf's books against the bank's, in orders and centimes."""
    states = {"accepted": "settled", "rejected": "rejected", "returned": "returned"}
    theirs, ours = collections.defaultdict(lambda: [0, 0]), collections.defaultdict(lambda: [0, 0])
    for payment in payments:
        book = theirs[states[payment["status"]]]
        book[0] += 1
        book[1] += payment["amount"]
    for total in sarf("run", "show", run)["totals"]:
        if total["state"] != "held":
            book = ours[total["state"]]
            book[0] += total["orders"]
            book[1] += centimes(total["amount"])
    for state, (orders, amount) in sorted(theirs.items()):
        say(f"both: {state}", f"{orders} orders, {amount // 100:,}.{amount % 100:02} MAD")
    if {state: book for state, book in ours.items() if any(book)} != dict(theirs):
        raise Failed(f"the books differ: sarf {dict(ours)}, the bank {dict(theirs)}")
    if set(theirs) != set(states.values()):
        raise Failed(f"not everything was tried: {sorted(theirs)}")


def centimes(amount):
    """Amounts are printed in MAD, as text."""
    return int(decimal.Decimal(amount) * 100)


def main():
    if HOME.exists():
        shutil.rmtree(HOME)
    HOME.mkdir(parents=True, mode=0o711)
    print("sarf and an independent bank (mock-bank)")
    configure()
    run = pay()
    files = read_outbox()
    with Bank(HOME / "bank.log", datetime.date.today().strftime("%Y-%m-%dT09:00")) as bank:
        open_accounts(bank, files)
        payments = exchange(bank, files)
    settle(run)
    compare(run, payments)
    print(f"reconciled with an independent bank: {len(payments)} orders")


if __name__ == "__main__":
    try:
        main()
    except (Failed, BankError) as error:
        sys.exit(f"error: {error}")
