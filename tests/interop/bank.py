"""An independent bank: PyPI `mock-bank` as a child process on 127.0.0.1, and what a client says to it.

Guarantee: the process ends with the `with` block. Limit: one bank, in memory; amounts are whole centimes.
"""

import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request

START_SECONDS_MAX = 20
# How the bank says that it refuses a whole file: an answer like any other.
FILE_REFUSED = 422


class BankError(Exception):
    """The bank does not start, or refuses a request."""


class Bank:
    """`with Bank(log_path, "2026-11-23T09:00") as bank:`, bank time starting there."""

    def __init__(self, log_path, clock):
        self.log_path = log_path
        self.clock = clock

    def __enter__(self):
        with open(self.log_path, "wb") as log:
            command = [sys.executable, "-m", "mockbank", "--port", "0", "--clock", self.clock]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            self.url = self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def _wait(self):
        """The address, which the bank prints once it listens: its port is any that is free."""
        until = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < until and self.process.poll() is None:
            found = re.search(r"listening on (http://[\d.:]+)", self.log_path.read_text())
            if found:
                return found.group(1)
            time.sleep(0.1)
        raise BankError(f"mock-bank did not start: see {self.log_path}")

    def call(self, method, path, body=None):
        """JSON back; `body` is bytes of a file, or what becomes JSON."""
        is_file = isinstance(body, bytes)
        data = body if is_file or body is None else json.dumps(body).encode()
        kind = "application/xml" if is_file else "application/json"
        request = urllib.request.Request(self.url + path, data, {"Content-Type": kind}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if is_file and error.code == FILE_REFUSED:
                return json.load(error)
            said = error.read().decode(errors="replace")
            raise BankError(f"{method} {path}: {error.code} {said[:400]}") from None

    def open_account(self, name, iban, **fields):
        """An account in MAD, named `name` in the bank's own interface."""
        self.call("POST", "/_mock/accounts", {"id": name, "iban": iban, "currency": "MAD", **fields})

    def send(self, file):
        """A pain.001; the bank's summary of what it decided."""
        return self.call("POST", "/payments", file.read_bytes())

    def advance(self, to):
        """Bank time goes on to that day; what falls due is booked, and a statement ends each business day."""
        self.call("POST", f"/_mock/advance?to={to}")

    def messages(self):
        """Everything the bank has sent since the last call."""
        return self.call("GET", "/_mock/mailbox")

    def payments(self):
        """The bank's own books: every payment it decided on."""
        return self.call("GET", "/_mock/payments")
