import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from calcigraph.crossval.beside import OtherStudy, set_beside
from calcigraph.crossval.options import StudyOptions
from calcigraph.lexicon import DISTRIBUTIONS
from calcigraph.metrics import multiclass_auc

OPTIONS = replace(StudyOptions(), bootstraps=50)
TRUTH = np.arange(60) % 5


def table(weight, seed):
    """Answers to 60 images of 30 patients, the better the larger `weight` is."""
    p = np.random.default_rng(seed).dirichlet(np.ones(5), 60) + weight * np.eye(5)[TRUTH]
    columns = {f"p_{name}": column for name, column in zip(DISTRIBUTIONS, (p / (1 + weight)).T, strict=True)}
    truth = [str(list(DISTRIBUTIONS)[place]) for place in TRUTH]
    return pd.DataFrame(
        {"image_id": range(60), "patient_id": [str(i // 2) for i in range(60)], "truth": truth, **columns}
    )


def auc(answers):
    return multiclass_auc(TRUTH[answers["image_id"]], answers.filter(like="p_").to_numpy(), average="macro")


def test_a_network_is_judged_with_itself_and_with_default_on_the_images_of_both():
    worse, better, default = table(0.05, 0), table(0.3, 1), table(0.15, 2)
    part = better.iloc[::-1].query("image_id < 40")
    answers = {"resnet50": worse, "default": default}
    (each,) = set_beside(answers, [OtherStudy(512, 30, {"resnet50": part}, {"resnet50": 0.9})], OPTIONS)
    assert (each.model, each.image_size_px, each.epochs, each.images) == ("resnet50", 512, 30, 40)
    assert each.training_loss == 0.9
    here, there, graph = auc(worse.iloc[:40]), auc(part), auc(default.iloc[:40])
    shown = [each.here.value, each.there.value, each.gain.value, each.default.value, each.lead.value]
    assert shown == pytest.approx([here, there, there - here, graph, graph - there])
    assert each.gain.low > 0 > each.lead.high


def test_without_default_there_is_no_lead_and_without_the_network_nothing():
    other = OtherStudy(512, 30, {"resnet50": table(0.3, 1)}, {"resnet50": 0.9})
    (each,) = set_beside({"resnet50": table(0.05, 0)}, [other], OPTIONS)
    assert each.gain.low > 0
    assert math.isnan(each.default.value) and math.isnan(each.lead.low)
    assert set_beside({"default": table(0.05, 0)}, [other], OPTIONS) == []
