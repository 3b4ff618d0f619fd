.DEFAULT_GOAL := help
PY := .venv/bin/python
STAMP := .venv/.synced

help: ## what can be done here
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(STAMP): requirements/uv.txt requirements/dev.txt
	@echo "Installing into .venv (a minute, once) …"
	@test -x $(PY) || python3 -m venv .venv
	@$(PY) -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@$(PY) -m uv pip sync -q --python $(PY) --require-hashes requirements/dev.txt
	@touch $@

lock: ## pin the requirements anew
	@for f in uv runtime dev; do $(PY) -m uv pip compile -q --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" requirements/$$f.in -o requirements/$$f.txt; done

run: $(STAMP) ## run SoundOps here: database, Redis, sandbox Meta, postbox, API and worker
	@$(PY) -m tools.run

openapi: $(STAMP) ## write openapi.json anew from the code
	@$(PY) -m tools.openapi > openapi.json

docs: $(STAMP) ## write what is generated of the documents anew from the code
	@$(PY) -m tools.promise_list > docs/promises.md
	@$(PY) -m tools.data_flow > docs/data-flow.md

test: $(STAMP) ## check and test everything
	@$(PY) -m ruff check . && $(PY) -m ruff format --check .
	@$(PY) -m mypy app workers sandbox tools tests bench
	@.venv/bin/lint-imports --no-cache > /dev/null || .venv/bin/lint-imports --no-cache
	@$(PY) -m tools.openapi | diff -q - openapi.json || { echo "openapi.json is not what the code says: make openapi"; exit 1; }
	@$(PY) -m pytest -n 2

test-faults: $(STAMP) ## the long drills: kill every part, lose nothing, send nothing twice
	@$(PY) -m tests.faults.kill_run --deliveries 5000 --rate 120 --seed 7
	@$(PY) -m tests.faults.send_run --sends 200 --seed 7
	@$(PY) -m tests.faults.stream_run --seconds 30 --listeners 200 --kills 3
	@$(PY) -m tests.faults.leave_run --seed 7
	@$(PY) -m tests.faults.mail_run --mails 100 --seed 7
	@$(PY) -m tests.faults.refresh_storm --connections 300 --seed 7
	@$(PY) -m tests.faults.rotation_run --envelopes 20000 --seed 7
	@$(PY) -m tests.faults.publish_run --publications 1000 --seed 7
	@$(PY) -m tests.faults.export_run --rows 100000 --seed 7
	@$(PY) -m tests.faults.restore_run --publications 60 --seed 7
	@$(PY) -m tests.faults.rules_run --comments 10000 --rules 50 --seed 7
	@$(PY) -m tests.faults.clock_run --days 70 --months 26 --seed 7
	@$(PY) -m tests.faults.drain_run --documents 200000
	@$(PY) -m tests.faults.billing_histories --histories 334 --seed 7
	@$(PY) -m tests.faults.billing_intents --labels 125 --seed 7
	@SOUNDOPS_PLAN_EXAMPLES=500 $(PY) -m pytest -n 0 tests/flows/test_flows_plan_machine.py

bench: $(STAMP) ## the hot paths beside a bare ceiling; writes bench/results/latest.json
	@$(PY) -m bench

.PHONY: help lock run openapi docs test test-faults bench
