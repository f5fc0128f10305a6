# The tasks of the instrument. Each does what it needs first; `make demo` on a fresh machine is enough.
# Without make (Windows): `python tools/setup.py`, then `.venv\Scripts\python app.py --help`.

PYTHON ?= python3
APP    := .venv/bin/python app.py
PIECE  := patches/demo.yaml
EVENTS := patches/demo.events.jsonl

.PHONY: help setup demo test bench lock clean

help:
	@echo 'make demo    set up, render the 20 s piece to out/demo.mp4, play it live where there is a display'
	@echo 'make setup   .venv from requirements.lock, missing system packages, compiled activations'
	@echo 'make test    set up, check the style, run the tests'
	@echo 'make bench   set up, measure (the peers where they are installed); docs: bench/README.md'
	@echo 'make lock    write requirements.lock anew from pyproject.toml (LOCK="--upgrade" for newer versions)'
	@echo 'make clean   remove caches and the rendered piece; .venv and your own renders stay'
	@echo
	@echo 'After the set-up: $(APP) --help'

setup:
	@$(PYTHON) tools/setup.py

demo: setup
	@mkdir -p out
	$(APP) render $(PIECE) --events $(EVENTS) -o out/demo.mp4 --duration 20 --size 1280x720 --fps 60 -y
	@if [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] || [ "$$(uname)" = Darwin ]; then \
	    echo '$(APP) play $(PIECE) --events $(EVENTS)'; \
	    $(APP) play $(PIECE) --events $(EVENTS); \
	else \
	    echo 'No display here. The piece is in out/demo.mp4; live: $(APP) play $(PIECE) --events $(EVENTS)'; \
	fi

test: setup
	.venv/bin/python -m ruff check
	.venv/bin/python -m pytest -n 2 --dist loadgroup $(TESTS)

bench: setup
	$(APP) bench $(BENCH)

lock:
	$(PYTHON) tools/lock.py $(LOCK)

clean:
	rm -rf .cache .pytest_cache .ruff_cache .hypothesis .venv/dmm-av-kernels.stamp out/demo.*
	find . -path ./.venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
