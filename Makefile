# make run: a search on the bundled corpus, from nothing.  make test: lint, types and tests.  make proofs: the long tests.
PYTHON ?= python3
VENV ?= .venv
XA_SEARCH_HOME ?= $(CURDIR)/.xa-search
export XA_SEARCH_HOME
# uv compiles nothing by default: each process of a search would compile its libraries anew where Python writes none.
# uv does not read pip's setting for further places to find packages.
FIND_LINKS := $(if $(PIP_FIND_LINKS),UV_FIND_LINKS=$(PIP_FIND_LINKS))

.PHONY: run test lint types tests proofs audit clean

run: $(VENV)/installed-mini
	$(VENV)/bin/xa-search run mtop-mini

test: lint types tests

lint: $(VENV)/installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(VENV)/installed-dev
	$(VENV)/bin/mypy

# Tests wait for processes more than they compute: three at once are faster on two cores than two.
tests: $(VENV)/installed-dev
	$(VENV)/bin/pytest -n 3 --dist loadfile --no-loadscope-reorder

# Whole stories, each of which `make test` tells at a smaller scale.
proofs: $(VENV)/installed-dev $(VENV)/installed-browser $(VENV)/installed-docs
	$(VENV)/bin/pytest -m proof --timeout 3600

# The locked versions against known advisories, where the package index serves them.
audit: $(VENV)/installed-dev
	$(VENV)/bin/python benchmarks/audit.py

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet uv || echo "uv is not to be had: pip will install, which takes longer"

$(VENV)/installed-%: pyproject.toml constraints.txt | $(VENV)/bin/python
	if [ -x $(VENV)/bin/uv ]; then \
	  $(FIND_LINKS) $(VENV)/bin/uv pip install --quiet --compile-bytecode --python $(VENV)/bin/python -c constraints.txt -e '.[$*]'; \
	else \
	  $(VENV)/bin/python -m pip install --quiet -c constraints.txt -e '.[$*]'; \
	fi
	touch $@

clean:
	rm -rf $(VENV) .xa-search build *.egg-info
