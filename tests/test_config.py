"""Settings: presets, TOML in and out, and every wrong file refused in one line."""

from dataclasses import fields, is_dataclass, replace
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import hand_made
from calcigraph.config import (
    PRESETS,
    CandidateConfig,
    Config,
    ConfirmConfig,
    GraphConfig,
    NetworkConfig,
    PatchConfig,
    TrainingConfig,
    default,
    load_preset,
    paper,
)
from calcigraph.config_toml import from_toml, read_config, to_toml
from calcigraph.detect import detect_candidates
from calcigraph.errors import BadConfig
from calcigraph.graph import assemble
from calcigraph.models import DistributionNet, predict_logits
from calcigraph.seed import LARGEST_SEED
from calcigraph.training.sampling import cosine_rate
from hand_made_graphs import FRAME


def refused(text):
    with pytest.raises(BadConfig) as caught:
        from_toml(text)
    said = str(caught.value)
    assert "\n" not in said and "allowed:" in said
    return said


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_toml(name):
    config = load_preset(name)
    assert config.preset == name
    assert from_toml(to_toml(config)) == config


def test_default_is_the_default_and_the_paper_the_paper():
    assert default() == Config() == load_preset("default")
    method = paper()
    assert (method.candidates.response, method.candidates.bottom_hat) == ("tophat", True)
    assert (method.patch.size_px, method.graph.neighbours, method.network.convolutions) == (14, 8, 3)
    assert method.network.visual_dim + method.network.position_dim == 80
    assert (method.network.readout, method.network.output) == ("flatten", "sigmoid")
    recipe = method.graph_training
    assert (recipe.epochs, recipe.learning_rate, recipe.focal_gamma) == (100, 3e-4, 2.0)


def test_what_is_left_out_keeps_the_value_of_the_preset():
    assert from_toml("") == default()
    assert from_toml('preset = "paper"') == paper()
    changed = from_toml('preset = "paper"\nseed = 3\n[graph]\nneighbours = 4\n')
    assert changed == replace(paper(), seed=3, graph=replace(paper().graph, neighbours=4))


def test_a_whole_number_will_do_for_a_real_one():
    config = from_toml("[confirm]\nthreshold = 1\n")
    assert config.confirm.threshold == 1.0 and isinstance(config.confirm.threshold, float)


def test_lists_become_tuples():
    assert from_toml("[patch]\nscales = [1, 2, 4]\n").patch.scales == (1, 2, 4)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('preset = "best"', "'best'; allowed: paper, default"),
        ("colour = 1", "setting colour"),
        ("[graph]\nk = 8", "setting graph.k"),
        ("[networks]\nx = 1", "setting networks"),
        ("[graph]\nneighbours = 8.5", "setting graph.neighbours = 8.5; allowed: a whole number"),
        ('[graph]\nneighbours = "8"', "graph.neighbours"),
        ("[graph]\nneighbours = true", "graph.neighbours"),
        ('[confirm]\nthreshold = "half"', "confirm.threshold"),
        ("[confirm]\nthreshold = true", "confirm.threshold"),
        ("[candidates]\nbottom_hat = 1", "candidates.bottom_hat"),
        ("[candidates]\nrule = 3", "candidates.rule"),
        ("[patch]\nscales = 3", "patch.scales"),
        ("[patch]\nscales = [1.5]", "patch.scales"),
        ("graph = 8", "setting graph = 8; allowed: a table"),
        ("graph = [1]", "setting graph = [1]; allowed: a table"),
        ("seed = 1979-05-27", "seed"),
    ],
)
def test_unknown_settings_and_wrong_types(text, words):
    assert words in refused(text)


@pytest.mark.parametrize(
    ("table", "setting", "value"),
    [
        ("candidates", "response", '"gabor"'),
        ("candidates", "rule", '"blobs"'),
        ("graph", "edge_labels", '"cm"'),
        ("graph", "neighbours", "0"),
        ("confirm", "at_least", "0"),
        ("network", "readout", '"mean"'),
        ("network", "output", '"tanh"'),
        ("network", "convolutions", "0"),
        ("confirm", "threshold", "1.01"),
        ("confirm", "threshold", "-0.1"),
        ("confirm", "threshold", "nan"),
        ("patch", "size_px", "6"),
        ("patch", "size_px", "15"),
        ("patch", "scales", "[]"),
        ("patch", "scales", "[1, 0]"),
        ("patch_training", "epochs", "0"),
        ("graph_training", "batch_size", "-1"),
        ("graph_training", "learning_rate", "0"),
        ("graph_training", "learning_rate", "nan"),
        ("pretraining.recipe", "epochs", "0"),
        ("network", "hidden_dim", "1000000000"),
        ("confirm", "members", "5000"),
    ],
)
def test_values_out_of_range(table, setting, value):
    assert f"setting {table}.{setting} = " in refused(f"[{table}]\n{setting} = {value}\n")


def test_a_recipe_by_itself_is_judged_too():
    for wrong in ({"epochs": 0}, {"batch_size": 0}, {"final_learning_rate": -1.0}, {"learning_rate": 0.0}):
        with pytest.raises(BadConfig, match="setting {} = {}; allowed".format(*next(iter(wrong.items())))):
            TrainingConfig(**wrong)


@pytest.mark.parametrize("text", ["preset = [", "= 3", "[graph\n", "a = 1\na = 2", "x = 'open", "\0"])
def test_broken_toml(text):
    assert "not TOML" in refused(text)


@pytest.mark.parametrize("text", ["a = " + "9" * 5000, "a = " + "[" * 3000], ids=["digits", "brackets"])
def test_toml_without_end(text):
    assert "not TOML" in refused(text)


def test_files(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text(to_toml(paper()), encoding="utf-8")
    assert read_config(path) == paper()
    path.write_bytes(b"\xff\xfe\0p")
    for wrong in (path, tmp_path / "absent.toml", tmp_path):
        with pytest.raises(BadConfig, match=r"no readable settings at .*; allowed: a TOML file"):
            read_config(wrong)


@pytest.mark.parametrize("pitch", [0.004, -0.1, 3.0, float("nan")])
def test_pitches_that_no_machine_could_hold_are_refused(pitch):
    with pytest.raises(BadConfig, match=r"working_spacing_mm = .*; allowed: 0, or 0\.02 to 2"):
        CandidateConfig(working_spacing_mm=pitch)


FRACTION = st.floats(0, 1, allow_nan=False)
POSITIVE = st.floats(0.01, 100)
CONFIGS = st.builds(
    Config,
    seed=st.integers(0, LARGEST_SEED),
    candidates=st.builds(
        CandidateConfig,
        working_spacing_mm=st.just(0.0) | st.floats(0.02, 1),
        bottom_hat=st.booleans(),
        response=st.sampled_from(["tophat", "blob"]),
        rule=st.sampled_from(["peaks", "components"]),
        threshold=POSITIVE,
        at_most=st.integers(1, 10**6),
    ),
    patch=st.builds(
        PatchConfig,
        size_px=st.integers(4, 30).map(lambda half: 2 * half),
        scales=st.lists(st.integers(1, 9), min_size=1, max_size=4).map(tuple),
    ),
    confirm=st.builds(ConfirmConfig, threshold=FRACTION, separation_mm=POSITIVE),
    graph=st.builds(
        GraphConfig, neighbours=st.integers(1, 50), edge_labels=st.sampled_from(["offset", "mm"])
    ),
    network=st.builds(NetworkConfig, residual=st.booleans(), readout=st.sampled_from(["flatten", "members"])),
)


@settings(max_examples=60, deadline=None)
@given(config=CONFIGS)
def test_any_config_survives_toml(config):
    assert from_toml(to_toml(config)) == config


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=60))
def test_any_text_is_settings_or_one_line(text):
    try:
        assert isinstance(from_toml(text), Config)
    except BadConfig as error:
        assert len(str(error).splitlines()) == 1


VALUES = ("1", "0", "-1", "0.5", "-0.5", "1e9", '"x"', "[1]", "[-1]", "true", "{}", "inf", "nan")


@pytest.mark.parametrize("stage", [f.name for f in fields(Config) if is_dataclass(getattr(Config(), f.name))])
def test_any_value_of_any_setting_works_or_is_refused_in_one_line(stage):
    taken = refused = 0
    for name, value in product([f.name for f in fields(getattr(Config(), stage))], VALUES):
        try:
            config = from_toml(f"[{stage}]\n{name} = {value}\n")
        except BadConfig as error:
            refused += 1
            assert len(str(error).splitlines()) == 1 and f"{stage}.{name}" in str(error)
            continue
        taken += 1
        if value != "1e9":  # what would be taken may still be more than memory holds
            use(config, stage)
    assert taken and refused


def use(config, stage):
    """Do what the settings of a stage are for, on next to nothing."""
    if stage in ("breast", "candidates", "patch"):
        detect_candidates(hand_made.mammogram(rows=60, cols=50, spacing_mm=0.2), config)
    elif stage == "network":
        net = DistributionNet(graph=config.graph, network=config.network)
        assert predict_logits(net, [hand_made_graph(config)]).shape == (1, 5)
    elif stage.endswith("training"):
        recipe = config.pretraining.recipe if stage == "pretraining" else getattr(config, stage)
        weight = torch.nn.Parameter(torch.ones(1))
        torch.optim.AdamW([weight], lr=cosine_rate(recipe, 0), weight_decay=recipe.weight_decay).step()


def hand_made_graph(config):
    pos, marks = np.array([[1.0, 2.0], [3.0, 1.0]]), np.tile([0.9, 0.3, 10.0], (2, 1))
    return assemble(pos, marks, torch.zeros(2, config.network.visual_dim), frame=FRAME, config=config.graph)


WRONG_WHOLES = (
    "seed = -1",
    f"seed = {LARGEST_SEED + 1}",
    "seed = 0.5",
    "prevalence_weight = nan",
    "validation_share = 1.0",
    'prevalence = "x"',
    'prevalence = "1e308,1e308,1e308,1e308,1e308"',
    f"prevalence_weight = {10**400}",
)


@pytest.mark.parametrize("line", WRONG_WHOLES)
def test_settings_of_the_whole_are_checked_too(line):
    with pytest.raises(BadConfig):
        from_toml(line)
