# Everything a newcomer needs: `make demo` shows what selftune does, `make test` shows that it does it.
# Each makes .venv first, from the pinned requirements.lock; only Python 3.11 or newer must be there.

PYTHON ?= python3
BIN := .venv/bin
export JAX_PLATFORMS ?= cpu

.PHONY: install demo test matrix lint examples peers lock clean

install: .venv/installed

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --upgrade --progress-bar on -r requirements.lock
	$(BIN)/python -m pip install --no-deps -e .
	touch $@

demo: install ## two agents from the same bad settings: one fixed, one that tunes itself
	$(BIN)/python examples/demo.py

# Tests compile far more than they compute: without most optimizations a test of the benches takes 73 s, not 128, and
# without fusion emitters an actor-critic's update compiles in 5 s, not 12.
test matrix: export JAX_DISABLE_MOST_OPTIMIZATIONS = 1
test matrix: export XLA_FLAGS ?= --xla_cpu_use_fusion_emitters=false

test: install ## the test suite, two processes
	$(BIN)/python -m pytest -n 2 --dist worksteal

matrix: install ## the whole gradient matrix, every cell
	$(BIN)/python -m pytest -n 2 --dist worksteal -m whole

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

EXAMPLES := from_scratch own_loss own_loop control_loop supervised demo

examples: $(EXAMPLES:%=example-%) ## each runs in under a minute

example-%: install
	$(BIN)/python examples/$*.py

peers: ## torchopt, higher, torch.func and Stable-Baselines3, for selftune bench overhead
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install -r requirements-peers.txt

lock: ## pin what a fresh environment resolves to
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet ".[dev]"
	.venv-lock/bin/python -m pip freeze --exclude selftune > requirements.lock
	rm -rf .venv-lock

clean:
	rm -rf .venv .venv-peers .jax_cache
