# make bench: Gatepost beside Postfix and Rspamd in one run; BENCH holds options, see docs/performance.md.
# Needs root: Postfix starts only as root, and missing Debian packages are installed.

.PHONY: bench
bench: .venv/bin/python ## measure beside Postfix and Rspamd in one run; writes docs/performance.md
	tests/bench/install.sh
	PYTHONDONTWRITEBYTECODE=1 .venv/bin/python -m tests.bench.run $(BENCH)
