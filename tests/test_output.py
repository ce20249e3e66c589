"""What a command writes goes into a folder of its own: nothing of somebody else's is written over."""

from dataclasses import replace

import pytest

import hand_made
from calcigraph.batch import predict_batch
from calcigraph.config import default
from calcigraph.crossval.bench import shift
from calcigraph.errors import BadConfig, BadModel
from calcigraph.io import prepare_folder, read_dataset
from calcigraph.io.output import alone_in, refuse_others
from calcigraph.simulate import CohortOptions, plan_balanced, write_cohort
from calcigraph.training.run_folder import OWN, claim_folder


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("name", ["dataset.json", "manifest.csv", "truth/mine.csv"])
def test_a_cohort_is_not_simulated_over_a_data_set(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(BadConfig, match=f"which holds something else .{name.split('/')[0]}."):
        write_cohort(tmp_path, plan_balanced(0, 1), CohortOptions(), name="x", workers=1)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", OWN)
def test_a_run_writes_over_no_file_of_somebody_else(tiny_cohort, tmp_path, name):
    (tmp_path / name).write_text("mine")
    with (
        pytest.raises(BadConfig, match=rf"a file that is of no run \({name}\)"),
        claim_folder(tmp_path, read_dataset(tiny_cohort), "one", settings=""),
    ):
        raise AssertionError("not to be reached")
    assert (tmp_path / name).read_text() == "mine" and not (tmp_path / "run.json").exists()


def test_a_run_goes_on_beside_what_it_wrote(tiny_cohort, tmp_path):
    data = read_dataset(tiny_cohort)
    (tmp_path / "notes.txt").write_text("mine")
    with claim_folder(tmp_path, data, "one", settings="a = 1\n"):
        (tmp_path / "metrics.json").write_text("{}")
    with claim_folder(tmp_path, data, "one", settings="a = 1\n"):
        assert (tmp_path / "config.toml").read_text() == "a = 1\n"


def test_a_folder_is_new_or_of_the_same_command(tmp_path):
    prepare_folder(tmp_path / "new" / "one", refused=("run.json",))
    assert list((tmp_path / "new" / "one").iterdir()) == []
    (tmp_path / "run.json").touch()
    with pytest.raises(BadConfig, match=r"results of another command \(run.json\)"):
        prepare_folder(tmp_path, refused=("run.json",))
    refuse_others(tmp_path, ("metrics.json",), what="is x")
    (tmp_path / "manifest.csv").touch()
    with pytest.raises(BadConfig, match="is a data set"):
        prepare_folder(tmp_path)


def test_five_equal_numbers_are_the_equal_prevalence():
    assert shift(replace(default(), prevalence="2,2,2,2,2"), balanced=True) == 0
    assert shift(replace(default(), prevalence="2,2,3,2,2"), balanced=True) > 0


def test_two_batches_do_not_share_a_folder(tmp_path):
    """Images of the same name would mix: one is refused while the other is at work."""
    with alone_in(tmp_path), pytest.raises(BadModel, match="another process is at work"):
        predict_batch([], hand_made.HandMadePipeline(), out=tmp_path)
    predict_batch([], hand_made.HandMadePipeline(), out=tmp_path)
