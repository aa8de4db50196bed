# make bench, make bench-outward: Gatepost beside others in one run; BENCH holds options, see docs/performance.md.
# Both need root: Postfix starts only as root, and missing Debian packages are installed.

.PHONY: bench bench-outward
bench: .venv/bin/python ## measure beside Postfix and Rspamd in one run; writes docs/performance.md
	tests/bench/install.sh
	PYTHONDONTWRITEBYTECODE=1 .venv/bin/python -m tests.bench.run $(BENCH)

bench-outward: .venv/bin/python ## measure delivery from a full queue beside Postfix's in one run; writes docs/performance.md
	tests/bench/install.sh postfix rabbitmq-server
	PYTHONDONTWRITEBYTECODE=1 .venv/bin/python -m tests.bench.outward $(BENCH)
