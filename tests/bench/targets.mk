# make bench, make bench-outward: Gatepost beside others in one run; bench-search: the console alone; BENCH holds options, see docs/performance.md.
# Both need root: Postfix starts only as root, and missing Debian packages are installed.

.PHONY: bench bench-outward bench-search
bench: .venv/bin/python ## measure beside Postfix and Rspamd in one run; writes docs/performance.md
	tests/bench/install.sh
	PYTHONDONTWRITEBYTECODE=1 .venv/bin/python -m tests.bench.run $(BENCH)

bench-outward: .venv/bin/python ## measure delivery from a full queue beside Postfix's in one run; writes docs/performance.md
	tests/bench/install.sh postfix rabbitmq-server
	PYTHONDONTWRITEBYTECODE=1 .venv/bin/python -m tests.bench.outward $(BENCH)

bench-search: .venv/bin/python ## measure the console's search at five million events on PostgreSQL, and on SQLite
	tests/bench/install.sh postgresql
	PYTHONDONTWRITEBYTECODE=1 .venv/bin/python -m tests.bench.search --write $(BENCH)
	PYTHONDONTWRITEBYTECODE=1 .venv/bin/python -m tests.bench.search --sqlite --write $(BENCH)
