"""Data and models that several test files share; what needs torch imports it when it is asked for."""

from pathlib import Path

import pytest

from inline_pool import InlinePool


@pytest.fixture
def inline_pool(monkeypatch):
    """Let the simulator work in this process."""
    monkeypatch.setattr("calcigraph.processes.ProcessPoolExecutor", InlinePool)


@pytest.fixture(scope="session")
def tiny_cohort(tmp_path_factory) -> Path:
    """The data set of `tiny_cohort.py`."""
    from tiny_cohort import write

    return write(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def trained(tiny_cohort, tmp_path_factory):
    """Preset → run folder, what was heard and what came out, each trained when first asked for."""
    from calcigraph.io import read_dataset
    from calcigraph.training import train_model
    from tiny_training import CONFIGS, Heard

    done = {}

    def train(name):
        if name not in done:
            run, heard = tmp_path_factory.mktemp(name), Heard()
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("calcigraph.processes.ProcessPoolExecutor", InlinePool)
                model = train_model(read_dataset(tiny_cohort), CONFIGS[name], run, reporter=heard)
            done[name] = run, heard, model
        return done[name]

    return train
