# make screenshots: the console of a running gateway with real mail, in a real browser; look at them before they are committed.

##@ Docs
.PHONY: screenshots
screenshots: test-packages .venv/.test ## make the pictures of the console anew, docs/images
	SHOTS=docs/images .venv/bin/python -m pytest tests/e2e/console/test_pictures.py -q
