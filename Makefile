.DEFAULT_GOAL := help
.PHONY: help demo test infra generate readme stackset bench lambda deploy deny clean

# Tools that this Makefile installs stay in this folder.
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/.tools/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0

# This machine's, in Lambda's words.
ARCHITECTURE := $(if $(filter arm64 aarch64,$(shell uname -m)),arm64,x86_64)

help: ## Show these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

demo: ## Watch a throttled stream heal, on this machine, with no AWS account
	cargo run --quiet --locked -- replay events/put_records_throttled__scale_shards.json

test: .venv/tests .venv/cargo-lambda tests/witness/node_modules/installed .tools/nextest ## Run every test
	sam build --parameter-overrides Architecture=$(ARCHITECTURE)
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps
	BOOTSTRAP=$(CURDIR)/.aws-sam/build/Function/bootstrap cargo nextest run --locked
	cargo test --locked --doc
	$(MAKE) --no-print-directory infra

infra: .venv/tests .venv/cargo-lambda .tools/bin/checkov ## Check template.yaml and infra/: shape, permissions, what wakes the function
	AWS_DEFAULT_REGION=us-east-1 sam validate --lint
	cfn-lint template.yaml
	pytest --quiet tests/infra

generate: .venv/tests ## Write what is made of other files: the dashboard in template.yaml, the Config rule, the StackSets template
	.venv/bin/python tests/infra/generate.py blocks
	$(MAKE) --no-print-directory stackset

readme: ## Write the arena's table into README.md
	cargo run --locked --quiet --bin unthrottle -- arena --markdown > target/arena.md
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

tests/witness/node_modules/installed: tests/witness/package-lock.json
	npm ci --prefix tests/witness --silent
	touch $@

.tools/nextest:
	cargo nextest --version || cargo install --locked --root .tools cargo-nextest@0.9.143
	mkdir -p .tools
	touch $@
