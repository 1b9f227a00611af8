.DEFAULT_GOAL := help
.PHONY: help demo test infra bench lambda deploy deny clean

# Tools that this Makefile installs stay in this folder.
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/.tools/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0

help: ## Show these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

demo: ## Watch a throttled stream heal, on this machine, with no AWS account
	cargo run --quiet --locked -- replay events/put_records_throttled__scale_shards.json

test: .venv/tests tests/witness/node_modules/installed .tools/nextest ## Run every test
	cargo build --locked --release --no-default-features --bin bootstrap
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps
	cargo nextest run --locked
	cargo test --locked --doc
	$(MAKE) --no-print-directory infra

infra: .venv/tests .tools/bin/checkov ## Check template.yaml and infra/: shape, permissions, what wakes the function
	AWS_DEFAULT_REGION=us-east-1 sam validate --lint
	cfn-lint template.yaml
	pytest --quiet tests/infra

bench: ## Measure the figures that the release build is to keep
	cargo bench --locked --profile dev --bench figures

lambda: .venv/cargo-lambda ## Build the function for Terraform: target/lambda/bootstrap/bootstrap.zip
	cargo lambda build --release --arm64 --no-default-features --bin bootstrap --output-format zip

deploy: .venv/tests .venv/cargo-lambda ## Build the stack and deploy it to your AWS account
	sam build
	sam deploy --guided

deny: ## Check licences and sources of the dependencies, where cargo-deny is installed
	if cargo deny --version 2>/dev/null; then cargo deny check licenses bans sources; else echo "cargo-deny is not installed"; fi

clean: ## Delete everything that was built or installed here
	cargo clean
	rm -rf .aws-sam .tools .venv tests/witness/node_modules

.venv/tests: tests/infra/requirements.txt
	python3 -m venv .venv
	.venv/bin/pip install --quiet --requirement $<
	touch $@

# In an environment of its own: it needs other versions of what the tests need.
.tools/bin/checkov: tests/infra/checkov.txt | .venv/tests
	uv venv --quiet --clear .tools/checkov
	uv pip install --quiet --no-cache --python .tools/checkov --requirement $<
	mkdir -p .tools/bin
	ln -sf ../checkov/bin/checkov $@

.venv/cargo-lambda:
	python3 -m venv .venv
	.venv/bin/pip install --quiet cargo-lambda==1.9.2 ziglang==0.17.0
	touch $@

tests/witness/node_modules/installed: tests/witness/package-lock.json
	npm ci --prefix tests/witness --silent
	touch $@

.tools/nextest:
	cargo nextest --version || cargo install --locked --root .tools cargo-nextest@0.9.143
	mkdir -p .tools
	touch $@
