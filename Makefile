# make demo      train, predict and evaluate on sample_data/
# make test      linter, types and quick tests      make test-all   the slow ones too, and each run
#                                                                   of the program from its start
# make lint      linter and types only              make clean      remove all that was built

BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: demo test test-all lint clean

demo: $(STAMP)
	PATH="$(CURDIR)/$(BIN):$$PATH" sh sample_data/demo.sh

test: lint
	$(BIN)/python -m pytest -q -n 2

test-all: lint
	COLD_STARTS=1 $(BIN)/python -m pytest -q -n 2 -m "slow or not slow"

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy --strict nlpcli

# torch first and alone: the one big download, so that a failure there is plain to see.
$(STAMP): pyproject.toml constraints.txt
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "error: nlpcli needs Python 3.11 or newer as python3; found: $$(python3 --version 2>&1)" >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || python3 -m venv .venv
	$(BIN)/python -m pip install -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev,chinese]'
	@touch $(STAMP)

clean:
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find nlpcli tests -name __pycache__ -type d -prune -exec rm -rf {} +
