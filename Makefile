# Every target installs what it lacks, through .ci/prepare, or says in one line what to install.

HOUSEHOLDS ?= 20000
SEED       ?= 1
MONTHS     ?= 2
CARGO      ?= cargo

# rustup's directory is not on the PATH of every shell that `make` starts from.
export PATH := $(PATH):$(HOME)/.cargo/bin
MAKEFLAGS += --no-print-directory
prepare := @.ci/prepare
python  := var/venv/bin/python

.PHONY: help demo test bench interop monitor lint clean
.DEFAULT_GOAL := help

help:
	@echo 'make demo       a whole month on synthetic data: HOUSEHOLDS=$(HOUSEHOLDS) SEED=$(SEED) MONTHS=$(MONTHS)'
	@echo 'make test       all tests, on a real PostgreSQL'
	@echo 'make bench      the month at national scale and the stream lane, timed'
	@echo 'make interop    our files through an independent bank (PyPI mock-bank), and its answers back'
	@echo 'make monitor    the demo under Prometheus and Alertmanager, on loopback'
	@echo 'make lint       rustfmt and clippy'
	@echo 'make clean      target, var/venv and var/interop; the data in var stays'

demo:
	$(prepare) rust postgres
	$(CARGO) run --release --locked -- demo --households $(HOUSEHOLDS) --seed $(SEED) --months $(MONTHS)

# The scenarios come last: their closing line is the last one printed.
test:
	$(prepare) rust postgres nats xmllint promtool alertmanager sshd gpg
	$(CARGO) test --locked --lib
	$(CARGO) test --locked --test it

bench:
	$(prepare) rust postgres nats pain001 sshd
	$(CARGO) bench --locked --bench national
	$(CARGO) bench --locked --bench delivery
	$(CARGO) bench --locked --bench stream

monitor:
	$(prepare) rust postgres promtool alertmanager
	$(CARGO) build --release --locked
	config/prometheus/monitor.sh target/release/sarf

interop:
	$(prepare) rust postgres mock-bank
	$(CARGO) build --release --locked
	$(python) tests/interop/run.py

lint:
	$(prepare) rust
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets

clean:
	$(CARGO) clean
	rm -rf var/venv var/interop
