# The doors to the project. `make demo` and `make test` work on a bare Debian machine with Rust, gcc, make and Python.

CELLDAG := target/release/celldag
FIXTURES ?= ../shared

.PHONY: help setup build demo test check ci bench bench-models bench-lora bench-engine soak test-slurm docs install minilm nextflow-lint snakemake

help:
	@echo "make demo    build, run the quickstart on the cells in pipelines/, show metrics and where the outputs are"
	@echo "make test    every test that can run here (fixtures in $(FIXTURES) are used where they exist)"
	@echo "make check   formatting, lints, types: before every commit"
	@echo "make ci      test + check + docs, as continuous integration runs it"
	@echo "make bench   speed and memory, as ratios to PyTorch measured in the same run (installs PyTorch into target/)"
	@echo "make bench-models  every model at full size beside PyTorch: random weights, real cells"
	@echo "make bench-lora  LoRA steps at full size beside PyTorch and peft"
	@echo "make bench-engine  what the engine itself costs in a study of 13,644 jobs, beside Snakemake; and what a cached step costs"
	@echo "make soak    200 kills at random instants, 8 processes on one store for five minutes (about 15 minutes)"
	@echo "make test-slurm  an exported pipeline on a Slurm of one machine, up for the test only (root; installs Slurm)"
	@echo "make docs    API documentation, and the book if mdbook is installed"
	@echo "make install put the celldag binary into cargo's bin folder"

setup:
	@sh .ci/setup.sh

build: setup
	cargo build --release --locked -p celldag

demo: build
	@sh .ci/demo.sh $(CELLDAG)

test: setup nextflow-lint
	CELLDAG_FIXTURES=$(abspath $(FIXTURES)) cargo test --workspace --locked

check: setup
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

docs: setup
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
	@if command -v mdbook >/dev/null 2>&1; then mdbook build docs; else echo "mdbook not found: read docs/*.md, or 'cargo install mdbook' and run make docs again"; fi

# Real weights of a small text encoder, for its parity test; without a network the test is skipped.
minilm:
	@sh .ci/minilm.sh

# Nextflow's own language server, for the test of what is exported to it; without a network the test is skipped.
nextflow-lint:
	@sh .ci/nextflow_lint.sh

# Snakemake, for the tests of exported workflows; without a network they are skipped.
snakemake:
	@sh .ci/snakemake.sh

test-slurm: build snakemake
	@CELLDAG_FIXTURES=$(abspath $(FIXTURES)) sh .ci/slurm.sh $(CELLDAG)

ci: minilm nextflow-lint snakemake check test docs

bench: build
	@sh shaders/benches/cpu.sh

bench-models: build
	@sh nodes/models/benches/full_size.sh

bench-lora: build
	@sh nodes/models/benches/lora.sh

bench-engine: setup
	@sh engine/benches/study.sh

soak: setup
	CELLDAG_KILLS=200 CELLDAG_SOAK_SECONDS=300 cargo test --locked -p celldag --test scenario -- kills:: soak:: --nocapture --test-threads 1

install: setup
	cargo install --locked --path engine/cli
