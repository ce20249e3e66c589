# Everything starts from a machine with Python 3.11, make and a package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WEIGHTS := build/weights
SCORES := build/scores
SHIPPED := src/calcigraph/weights/default
STUDY := docs/study
IMAGES := --batch 16 --precision bf16-mixed
BUDGET := --models all --config benchmarks/study_paper.toml --image-size 256 --image-epochs 15 $(IMAGES)
FINER := --models densenet121 --image-size 512 $(IMAGES)

.PHONY: demo test check-long weights scores study calibration semireal realism benchmarks lock clean

demo: $(READY)  ## simulate, predict and report; ends with the path of the report
	$(BIN)/calcigraph simulate --out build/demo --cases 1 --normals 1 --seed 7
	$(BIN)/calcigraph predict build/demo/images --out demo_report

test: $(READY)  ## lint, types, layering, doctests and tests
	$(BIN)/pip install --quiet -c requirements.lock --editable '.[dev,baselines,train]'
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not long"

check-long: $(READY)  ## the tests that take minutes
	$(BIN)/pip install --quiet -c requirements.lock --editable '.[baselines,train]'
	$(BIN)/python -m pytest -m long

weights: $(READY)  ## simulate, train and write the shipped model; resumes after being killed
	$(BIN)/calcigraph simulate --out $(WEIGHTS)/cohort --cases 52 --normals 20 --seed 2026
	$(BIN)/calcigraph train $(WEIGHTS)/cohort --out $(WEIGHTS)/detector --seed 1 --config benchmarks/detector_only.toml
	$(BIN)/calcigraph simulate --out $(WEIGHTS)/graphs --cases 200 --normals 0 --seed 2030
	$(BIN)/calcigraph train $(WEIGHTS)/graphs --out $(WEIGHTS)/run --detector $(WEIGHTS)/detector --seed 1
	$(BIN)/calcigraph simulate --out $(WEIGHTS)/calibration --cases 100 --normals 0 --seed 2027
	$(BIN)/calcigraph calibrate $(WEIGHTS)/run $(WEIGHTS)/calibration --out $(WEIGHTS)/calibrated
	mkdir -p $(SHIPPED)
	cp $(WEIGHTS)/calibrated/model/* $(SHIPPED)/

scores: $(READY)  ## every score of the shipped model: docs/scores.md; semi-real and real with CALCIGRAPH_DATA
	$(BIN)/calcigraph simulate --out $(SCORES)/simulated-set --cases 100 --normals 50 --seed 9001 --spacing 0.078
	$(BIN)/calcigraph evaluate default $(SCORES)/simulated-set --out $(SCORES)/simulated
ifdef CALCIGRAPH_DATA
	$(BIN)/calcigraph simulate --out $(SCORES)/semi-real-set --seed 9002 --acquisition digital \
		--outlines $(CALCIGRAPH_DATA)/ddsm_outlines/outlines.json
	$(BIN)/calcigraph evaluate default $(SCORES)/semi-real-set --out $(SCORES)/semi_real
endif
	$(BIN)/python benchmarks/scores.py $(SCORES)
	cp docs/scores.md $(SHIPPED)/SCORES.md
	grep -q SCORES.md $(SHIPPED)/MODEL_CARD.md || printf '\nScores, and where it fails: [SCORES.md](SCORES.md).\n' >> $(SHIPPED)/MODEL_CARD.md

# With glibc, large tensors stay with the process instead of being asked of the system anew for every batch: image
# networks train in up to a quarter less time, to the same numbers.
study: export MALLOC_MMAP_MAX_ := 0
study: export MALLOC_TRIM_THRESHOLD_ := 60000000000
study: $(READY)  ## the paper's study on two cohorts: a day or so; resumes after being killed; docs/study
	$(BIN)/pip install --quiet -c requirements.lock --editable '.[baselines,train]'
	$(BIN)/calcigraph simulate --out build/study/twin --cohort twin --acquisition digital --spacing 0.085 --seed 1
	$(BIN)/calcigraph crossval build/study/twin --out $(STUDY)/twin-512 $(FINER) --image-epochs 15 --first-folds 1
	$(BIN)/calcigraph crossval build/study/twin --out $(STUDY)/twin $(BUDGET) --beside $(STUDY)/twin-512
ifdef CALCIGRAPH_DATA
	$(BIN)/calcigraph simulate --out build/study/semi-real --seed 9002 --acquisition digital \
		--outlines $(CALCIGRAPH_DATA)/ddsm_outlines/outlines.json
	$(BIN)/calcigraph crossval build/study/semi-real --out $(STUDY)/semi-real-512 $(FINER) --image-epochs 30 --first-folds 3
	$(BIN)/calcigraph crossval build/study/semi-real --out $(STUDY)/semi-real $(BUDGET) --beside $(STUDY)/semi-real-512
endif

calibration: $(READY)  ## extents of simulated lesions beside radiologists' outlines: docs/calibration.md
	$(BIN)/python benchmarks/calibration.py

semireal: $(READY)  ## the graph network on simulated marks inside real outlines (CALCIGRAPH_DATA): docs/semireal.md
	$(BIN)/python benchmarks/semireal.py

realism: $(READY)  ## simulated beside real mammograms: build/realism.html, docs/realism.md
	$(BIN)/python benchmarks/realism.py

benchmarks: $(READY)  ## speed tables on this machine
	$(BIN)/pip install --quiet -c requirements.lock --editable '.[baselines]'
	$(BIN)/python benchmarks/speed.py

lock: $(READY)  ## write what is installed as the lock file
	$(BIN)/pip freeze --exclude-editable --exclude calcigraph | sed 's/+cpu$$//' > requirements.lock

$(READY): pyproject.toml requirements.lock
	@echo "setting up $(VENV): a minute or two, 2 GB"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -c requirements.lock torch
	$(BIN)/pip install --quiet -c requirements.lock --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build demo_report demo_scores
