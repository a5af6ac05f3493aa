# Codewarden. `make` alone lists what there is; every target sets up what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PYTEST := $(BIN)/python -m pytest

# Two test workers on few cores: one thread each. Nobody is told what runs here.
export OMP_NUM_THREADS ?= 1
export PREFECT_SERVER_ANALYTICS_ENABLED ?= false
export DO_NOT_TRACK ?= 1

.DEFAULT_GOAL := help
.PHONY: help setup demo pipeline spot phase2 retrieval test test-long check format bench server lock clean

help: ## what there is
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY) ## make .venv and install everything into it (once; other targets do it themselves)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "$(PYTHON) is older than 3.11; say PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing requirements.lock into $(VENV) (minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY) ## phase 1 on generated C functions, on a real Prefect server that is started if none answers
	@$(BIN)/python -m models.data.generated runs/demo-data
	@url=$$($(BIN)/python -m deployments.server ensure) \
	  && PREFECT_API_URL=$$url $(BIN)/python -m flows.phase1 --config configs/phase1/demo.yaml

pipeline: $(READY) ## stages 1 to 4 on generated findings with tiny models: prints the champion
	@$(BIN)/python -m models.data.generated_findings runs/findings-sample
	@url=$$($(BIN)/python -m deployments.server ensure) \
	  && PREFECT_API_URL=$$url $(BIN)/python -m flows.pipeline --config configs/encoder/pipeline_small.yaml

spot: $(READY) ## phase 1 on Spot machines of a local twin of SageMaker, each taken away twice: ends as `make demo` does
	@$(BIN)/python -m models.data.generated runs/demo-data
	@url=$$($(BIN)/python -m deployments.server ensure) \
	  && PREFECT_API_URL=$$url $(BIN)/python -m benchmarks.with_local_aws --reclaims 2 $(BIN)/python -m flows.phase1 \
	    --config configs/phase1/demo.yaml --where sagemaker --instance-type ml.c5.xlarge --custom-image twin:1
	@$(BIN)/python -m tasks.ledger report

phase2: $(READY) ## phase 2 on generated functions with planted noise: weights, fusion, five seeds, compared with phase 1
	@$(BIN)/python -m models.data.generated_collections runs/phase2-data
	@url=$$($(BIN)/python -m deployments.server ensure) \
	  && PREFECT_API_URL=$$url $(BIN)/python -m flows.phase2 --config configs/phase2/sample.yaml

retrieval: $(READY) ## embeddings, rerankers and patch rankers on generated repositories with planted twins, beside baselines
	@$(BIN)/python -m models.data.generated_repositories runs/retrieval-data
	@url=$$($(BIN)/python -m deployments.server ensure) \
	  && PREFECT_API_URL=$$url $(BIN)/python -m flows.retrieval --config configs/retrieval/sample.yaml

test: $(READY) ## all tests but the long ones (19 minutes on 2 cores that had other work)
	$(PYTEST) -m "not long" -n 2 --dist loadgroup

test-long: $(READY) ## proofs that take minutes: thousands of kills in S3, at one to three ranks
	RUN_DL_TRAIN_TESTS=1 $(PYTEST) -m long -n 2 --dist loadgroup -rP

check: $(READY) ## format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(PYTEST) -q tests/test_layers.py

format: $(READY) ## put the code into its format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) ## speed and memory, side by side, printed as ratios
	$(BIN)/python -m benchmarks

server: $(READY) ## Prefect server, work pool, automations, all deployments and a worker; again is harmless
	@$(BIN)/python -m models.data.generated runs/demo-data
	@$(BIN)/python -m models.data.generated_collections runs/phase2-data
	@$(BIN)/python -m models.data.generated_repositories runs/retrieval-data
	$(BIN)/python -m deployments.server up

lock: $(READY) ## write requirements.lock from what is installed
	$(BIN)/python -m deployments.lock

clean: ## remove .venv and caches; runs/ stays
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
