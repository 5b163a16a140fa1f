# Every task of the project. `make help` lists them.
SHELL := /bin/sh
PYTHON ?= python3
ARCHITECTURE ?= arm64
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# uv puts everything from uv.lock into .venv; it lives there itself, so nothing is installed outside.
UV := UV_PROJECT_ENVIRONMENT=$(VENV) $(BIN)/uv
SYNC := $(UV) sync --frozen --inexact

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the tasks
	@grep -hE '^[a-z][a-zA-Z_-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-zA-Z_-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

.PHONY: run
run: $(STAMP) ## start the whole stack on this machine, with example documents (PORT=8000)
	@exec $(BIN)/python -m local run

.PHONY: install
install: $(STAMP) ## install everything from the lock into .venv

$(STAMP): uv.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	    || { echo "Weir needs Python 3.11 or newer; name it with PYTHON=/path/to/python3" >&2; exit 1; }
	@test -x $(BIN)/uv || { echo "Creating $(VENV)" && $(PYTHON) -m venv $(VENV) && $(BIN)/pip install --quiet --disable-pip-version-check uv; }
	@$(SYNC)
	@touch $@

.PHONY: test
test: $(STAMP) ## run every test ring that this machine can run
	$(BIN)/pytest

.PHONY: test-unit test-contract test-integration test-browser
test-unit: $(STAMP) ## pure code, no IO
	$(BIN)/pytest tests/unit
test-contract: $(STAMP) ## providers, against replayed streams
	$(BIN)/pytest tests/contract
test-integration: $(STAMP) ## real Valkey, PostgreSQL, S3/SQS endpoint and models
	$(BIN)/pytest tests/integration
test-browser: $(STAMP) ## the page in headless Chromium
	$(BIN)/pytest tests/browser

.PHONY: test-deployed
test-deployed: $(STAMP) ## build, deploy to an emulator of AWS with IAM enforced, and use it
	$(BIN)/pytest tests/deployed

.PHONY: test-faults
test-faults: $(STAMP) ## servers and processes killed, frozen and started again under load (15 minutes)
	$(BIN)/pytest tests/faults

.PHONY: check
check: $(STAMP) ## formatting, lint, types, import rules, template
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=functions:. $(BIN)/lint-imports
	$(BIN)/python infra/requirements.py --check
	$(BIN)/cfn-lint template.yaml infra/*.yaml
	$(BIN)/sam validate --lint --region us-east-1

# An environment of its own: these tools pin much that Weir uses.
AUDIT := .tools/security
$(AUDIT)/.installed: infra/security/requirements.txt $(STAMP)
	@mkdir -p .tools && $(BIN)/uv venv --quiet --clear --python $(BIN)/python $(AUDIT)
	@$(BIN)/uv pip install --quiet --python $(AUDIT)/bin/python --requirements infra/security/requirements.txt
	@touch $@

# Detectors of what only looks like a secret are off: events and tests are full of it, and of made-up passwords.
SECRETS := $(AUDIT)/bin/detect-secrets-hook --exclude-lines '@(.*\.)?example|//user:' --disable-plugin KeywordDetector \
	--disable-plugin HexHighEntropyString --disable-plugin Base64HighEntropyString

.PHONY: security
security: $(AUDIT)/.installed ## templates, locked packages and secrets, looked through for what is not safe
	$(AUDIT)/bin/checkov --config-file infra/security/checkov.yaml
	@$(UV) export --quiet --frozen --no-emit-project --all-groups --no-hashes --output-file $(AUDIT)/lock.txt
	$(AUDIT)/bin/python infra/security/audit.py $(AUDIT)/lock.txt
	git ls-files -z ':!uv.lock' ':!*/requirements*.txt' | xargs -0 $(SECRETS)

.PHONY: format
format: $(STAMP) ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: lock
lock: $(STAMP) ## resolve the lock anew after pyproject.toml changed
	$(UV) lock
	$(MAKE) $(STAMP)
	$(BIN)/python infra/requirements.py

.PHONY: build deploy
build: $(STAMP) ## build functions and layers for AWS (ARCHITECTURE=arm64)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/sam build --parameter-overrides Architecture=$(ARCHITECTURE)

deploy: build ## build and deploy to AWS; asks for the parameters the first time
	$(BIN)/sam deploy $$(grep -q parameter_overrides samconfig.toml || echo --guided) \
	    $$(grep -q parameter_overrides samconfig.toml || echo --parameter-overrides Architecture=$(ARCHITECTURE))

.PHONY: bench-import
bench-import: $(STAMP) ## cold import of the chat handler beside LiteLLM's proxy
	$(BIN)/python -m bench.imports

.PHONY: bench-gateway
bench-gateway: $(STAMP) ## what Weir adds to a call, beside LiteLLM and Portkey
	$(BIN)/python -m bench.gateway

.PHONY: bench-live
bench-live: $(STAMP) ## 100 turns at once on 500 WebSocket connections: how late a token comes; chat beside a batch
	$(BIN)/python -m bench.live
	$(BIN)/python -m bench.beside_batch

.PHONY: bench-memory
bench-memory: $(STAMP) ## memory of a chat process over 20,000 streamed requests
	$(BIN)/python -m bench.memory

.PHONY: bench-semantic
bench-semantic: $(STAMP) ## semantic cache on labelled pairs: hits and wrong answers
	$(BIN)/python -m bench.semantic

.PHONY: bench-retrieval
bench-retrieval: $(STAMP) ## retrieval quality on public sets
	$(BIN)/python -m bench.retrieval

.PHONY: bench-extraction
bench-extraction: $(STAMP) ## main content of web pages beside trafilatura, by type of page
	$(BIN)/python -m bench.extraction

.PHONY: bench-scale
bench-scale: $(STAMP) ## loading and searching a store of a million chunks
	$(BIN)/python -m bench.scale

.PHONY: bench-ingestion
bench-ingestion: $(STAMP) ## parsing and chunking per format beside MarkItDown, and the memory of a long PDF
	$(BIN)/python -m bench.ingestion

.PHONY: bench-crawl
bench-crawl: $(STAMP) ## pages a second of a crawl, beside Scrapy
	$(BIN)/python -m bench.crawl

.PHONY: bench-batch
bench-batch: $(STAMP) ## a batch of 50,000 lines with faults and killed workers: calls, speed and memory
	WEIR_TEST_BATCH_LINES=50000 $(BIN)/pytest tests/faults/batch -q

.PHONY: clean
clean: ## remove everything installed or built; data in .weir stays
	rm -rf $(VENV) .tools .aws-sam .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
