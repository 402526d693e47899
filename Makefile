# The two commands: `make book` and `make test`. Each needs only Python 3.11 or newer, and sets up .venv by itself.
PYTHON ?= python3
BIN := .venv/bin
# Threads that wait for each other sleep instead of spinning: on a busy machine a training step is then 5 times as fast (LOG.md).
export OMP_WAIT_POLICY ?= PASSIVE

# Two files at a time, a file in one process from its beginning to its end: a chapter is one long story.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

.PHONY: help book pdf epub test oldest soak check format full outputs lock vendor dist clean

help:
	@echo "make book     run all chapters in quick mode and build the site (_build/html/index.html)"
	@echo "make pdf      the site in one file, _build/ganbook.pdf, after make book; make epub: _build/ganbook.epub"
	@echo "make test     unit tests, then every page against its stored outputs"
	@echo "make oldest   the unit tests with the oldest versions that pyproject.toml allows"
	@echo "make soak     the long tests: killed runs, many thousand bad inputs, each chapter with 20 seeds (hours)"
	@echo "make check    lint and format check; changes nothing"
	@echo "make format   format the code"
	@echo "make full     run all chapters in full mode (a GPU, or hours) into _build/full"
	@echo "make outputs  run all chapters in quick mode and store their outputs in book/"
	@echo "make lock     write constraints.txt anew from pyproject.toml"
	@echo "make vendor   fetch MathJax and axe-core anew through npm, with checksums"
	@echo "make dist     build wheel and source archive in dist/, and check them"
	@echo "make clean    remove _build (and keep .venv)"

# Made once, and again when what it is made from has changed.
.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ganbook needs Python 3.11 or newer; $(PYTHON) is " + sys.version.split()[0] + ". Say: make PYTHON=python3.12 book")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[book,dev]"
	@touch $@

book: .venv/installed
	$(BIN)/ganbook run --at-once 2
	$(BIN)/ganbook site

# From the site that `make book` built; Chromium sets the mathematics.
pdf epub: .venv/installed
	$(BIN)/ganbook volume $@

test: .venv/installed
	$(PYTEST) tests
	$(PYTEST) --nbval book/

# Old versions may warn of each other, so warnings are no errors here. Colab's part is left to `make test`: it builds an environment of its own.
oldest: .venv/installed
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python _build/oldest
	$(BIN)/uv pip install --quiet --python _build/oldest --resolution lowest-direct -e ".[book,dev]"
	OMP_NUM_THREADS=1 _build/oldest/bin/python -m pytest -o filterwarnings=default -n 2 --dist loadfile tests --ignore tests/test_colab.py

soak: .venv/installed
	$(BIN)/python -m pytest tests -m soak
	$(BIN)/ganbook soak --at-once 2
	$(BIN)/ganbook soak --at-once 2 --seeds 5 --avx2

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: .venv/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

full: .venv/installed
	$(BIN)/ganbook run --full

outputs: .venv/installed
	$(BIN)/ganbook outputs

# Indexes are given by the environment, never here: the lock names packages and versions, no address.
lock: .venv/installed
	$(BIN)/uv pip compile --quiet pyproject.toml --all-extras --python-version 3.11 --universal \
		--no-header --no-annotate --upgrade --output-file constraints.txt

dist: .venv/installed
	rm -rf dist
	$(BIN)/python -m hatchling build
	$(BIN)/python -m twine check --strict dist/*

clean:
	rm -rf _build dist

# The site fetches nothing: MathJax comes from npm once, and is committed with its licence and checksums.
# So does axe-core, which looks for barriers on the pages: in tests alone, and no page ships it.
vendor:
	rm -rf _build/vendor book/_static/vendor/mathjax
	mkdir -p _build/vendor book/_static/vendor/mathjax/output/chtml
	cd _build/vendor && npm pack --silent mathjax@3.2.2 && tar xzf mathjax-3.2.2.tgz
	cp _build/vendor/package/LICENSE _build/vendor/package/es5/tex-mml-chtml.js book/_static/vendor/mathjax/
	cp -r _build/vendor/package/es5/output/chtml/fonts book/_static/vendor/mathjax/output/chtml/
	cd book/_static/vendor && find mathjax -type f | LC_ALL=C sort | xargs sha256sum > SHA256SUMS
	rm -rf _build/vendor/package tests/vendor/axe-core
	mkdir -p tests/vendor/axe-core
	cd _build/vendor && npm pack --silent axe-core@4.14.1 && tar xzf axe-core-4.14.1.tgz
	cp _build/vendor/package/LICENSE _build/vendor/package/axe.min.js tests/vendor/axe-core/
	cd tests/vendor && find axe-core -type f | LC_ALL=C sort | xargs sha256sum > SHA256SUMS
