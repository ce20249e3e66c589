"""The graph network on simulated marks, without pixels: independent simulated views, and marks in real outlines.

Run by `make semireal`; writes docs/semireal.md and goes on where it was killed. Trained on simulated marks alone; the
outlines (ddsm_outlines/outlines.json in the folder named by CALCIGRAPH_DATA) and their labels are only asked about.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from tables import confusion_lines

from calcigraph.breasts import fuse_views
from calcigraph.config import Config, PretrainingConfig, default, paper
from calcigraph.graph import CalcificationGraph
from calcigraph.lexicon import DISTRIBUTIONS, Distribution
from calcigraph.metrics import answers_of, bootstrap, constant_answer, count_confusions, scores
from calcigraph.models import DistributionNet, build_networks, predict_probabilities
from calcigraph.resample import draw_patients
from calcigraph.simulate import PlannedCase, plan_outlined, read_outlines
from calcigraph.simulate.look_alikes import place_look_alikes
from calcigraph.simulate.marks import DetectorTraits, MarkedView, mark_view
from calcigraph.simulate.outlined import draw_inside, find_breast
from calcigraph.training.graphs import GraphExamples, augment_graph, classes_of, fit_graphs
from calcigraph.training.points import draw_graph, draw_views, graph_of_marks
from calcigraph.training.soft_labels import soft_labels

OUT = Path(os.environ.get("CALCIGRAPH_BUILD", "build")) / "semireal"
SEEDS = range(5)
DRAWS = (7, 8, 9)
VIEWS, JUDGES, ASKED = 6000, 500, 10_000
EPOCHS = (6, 15, 30)
"""A network is trained for each of these; what ranks the judging views better, counts."""
SHOWN = {
    "macro_auc": "macro AUC",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "kappa": "κ",
    "accuracy": "accuracy",
}
HEAD = ("", f"| set | n | {' | '.join(SHOWN.values())} |", "|---" * (2 + len(SHOWN)) + "|")
PRESETS = {"default": default, "paper": paper}


@dataclass(frozen=True)
class TestSet:
    """Graphs with label, and the patient and the breast of each."""

    graphs: list[CalcificationGraph]
    patients: list[str]
    breasts: list[str]


def mark_case(case: PlannedCase, least: int, draw: int) -> list[MarkedView]:
    """Mark both views of a case; drawn again until each shows enough of the lesion, as a reader saw it."""
    seeds = [[draw, case.number, 2 + place] for place in range(len(case.views))]
    marked: list[MarkedView] = []
    for attempt in range(50):
        rng = np.random.default_rng([draw, case.number, attempt, 1])
        held = find_breast(case.outlines, seeds, rng)
        beside = place_look_alikes(held.anatomy, rng)
        shown = [draw_inside(held, place, beside, rng) for place in range(len(seeds))]
        marked = [
            mark_view(held.anatomy, seen, view=view, traits=DetectorTraits(), rng=rng, projection=projection)
            for view, seen, projection in zip(case.views, shown, held.projections, strict=True)
        ]
        if all(view.is_lesion.sum() >= least for view in marked):
            break
    return marked


def semi_real(config: Config, path: Path) -> TestSet:
    """Graphs of the outlines of the four classes that have more than one case, marks drawn several times for each."""
    graphs, patients, breasts = [], [], []
    for case in plan_outlined(read_outlines(path)):
        if case.distribution is Distribution.DIFFUSE:
            continue
        for draw in DRAWS:
            for marked in mark_case(case, config.confirm.at_least, draw):
                graphs.append(graph_of_marks(marked, config, distribution=case.distribution))
                patients.append(case.patient_id)
                breasts.append(f"{case.number}, {draw}")
    return TestSet(graphs, patients, breasts)


def independent(config: Config) -> TestSet:
    graphs = [
        draw_graph(
            DISTRIBUTIONS[i % len(DISTRIBUTIONS)], config, DetectorTraits(), np.random.default_rng([9001, i])
        )
        for i in range(ASKED)
    ]
    names = [str(number) for number in range(len(graphs))]
    return TestSet(graphs, names, names)


def training_views(config: Config) -> list[CalcificationGraph]:
    """Views drawn once and varied once, the same for every seed and, but for edge labels, every preset."""
    rng = np.random.default_rng(1)
    return [augment_graph(g, rng=rng, config=config.graph) for g in draw_views(VIEWS + JUDGES, config, rng)]


def trained(
    config: Config, views: list[CalcificationGraph], seed: int, run: Path
) -> tuple[DistributionNet, int]:
    """The better of the networks of a seed, by the judging views, and for how many epochs it was trained."""
    stage, learnt = config.pretraining, views[:VIEWS]
    shares = soft_labels(learnt, softness=stage.label_softness) if stage.graphs else None
    training = GraphExamples(learnt, config.graph, shares=shares)
    judges = GraphExamples(views[VIEWS:], config.graph)

    def train(epochs: int) -> tuple[float, DistributionNet, int]:
        torch.manual_seed(seed)
        net = build_networks(config).distribution
        recipe = replace(PretrainingConfig().recipe, epochs=epochs, augment=False)
        fitted = fit_graphs(net, training, judges, recipe=recipe, seed=seed, run_dir=run / f"{epochs}_epochs")
        return fitted.best.validation_score, net, epochs

    _, net, epochs = max((train(epochs) for epochs in EPOCHS), key=lambda one: one[0])
    return net, epochs


def constant_row(name: str, tests: TestSet) -> str:
    always = asdict(constant_answer(classes_of(tests.graphs)))
    return f"| {name}, always the same answer | {len(tests.graphs)} | {' | '.join(f'{always[n]:.3f}' for n in SHOWN)} |"


def confusion_rows(name: str, tests: TestSet, probabilities: np.ndarray) -> list[str]:
    """A table of the answers to each class that the set has."""
    counts = count_confusions(classes_of(tests.graphs), answers_of(probabilities))[:, : len(DISTRIBUTIONS)]
    return ["", *confusion_lines(f"{name}, five seeds together, truth \\ answer", counts)]


def row(name: str, tests: TestSet, probabilities: np.ndarray, *, fused: bool = False) -> str:
    labels, patients = classes_of(tests.graphs), np.array(tests.patients)
    if fused:
        first, probabilities = fuse_views(probabilities, tests.breasts)
        labels, patients = labels[first], patients[first]
    held = bootstrap(labels, probabilities, patients=patients.tolist(), seed=0)
    return f"| {name} | {len(labels)} | {' | '.join(str(held[metric]) for metric in SHOWN)} |"


def differences(name: str, tests: TestSet, better: np.ndarray, worse: np.ndarray) -> str:
    """A row: `better` less `worse`, both asked about the same draws of patients."""
    labels = classes_of(tests.graphs)

    def gaps(rows: np.ndarray) -> list[float]:
        one, other = (asdict(scores(labels[rows], answers[rows])) for answers in (better, worse))
        return [one[metric] - other[metric] for metric in SHOWN]

    drawn = np.array([gaps(rows) for rows in draw_patients(tests.patients, seed=0, repeats=1000)])
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    found = gaps(np.arange(len(labels)))
    cells = [f"{v:+.3f} [{a:+.3f}, {b:+.3f}]" for v, a, b in zip(found, low, high, strict=True)]
    return f"| {name} | {len(labels)} | {' | '.join(cells)} |"


def table(preset: str, sets: dict[str, TestSet]) -> tuple[list[str], dict[str, np.ndarray]]:
    """Lines of a preset (epochs, scores, confusion), and what its five seeds together answer for each set."""
    answers: dict[str, list[np.ndarray]] = {name: [] for name in sets}
    config = PRESETS[preset]()
    views, lengths = training_views(config), []
    for seed in SEEDS:
        net, epochs = trained(config, views, seed, OUT / preset / f"seed{seed}")
        lengths.append(epochs)
        for name, tests in sets.items():
            answers[name].append(predict_probabilities(net, tests.graphs))
            print(preset, seed, row(name, tests, answers[name][-1]), flush=True)
    lines, agreed = ["", f"Epochs, seed by seed: {', '.join(map(str, lengths))}.", *HEAD], {}
    for name, tests in sets.items():
        rows = [row(f"{name}, seed {seed}", tests, answer) for seed, answer in enumerate(answers[name])]
        together = np.exp(np.mean([np.log(np.maximum(a, 1e-9)) for a in answers[name]], axis=0))
        together /= together.sum(axis=1, keepdims=True)
        agreed[name] = together
        rows.append(row(f"{name}, five seeds together", tests, together))
        if len(set(tests.breasts)) < len(tests.breasts):
            rows.append(row(f"{name}, five seeds, views fused", tests, together, fused=True))
            rows.append(row(f"{name}, seed 0, views fused", tests, answers[name][0], fused=True))
        lines += [*rows, constant_row(name, tests)]
    for name, tests in sets.items():
        lines += confusion_rows(name, tests, agreed[name])
    return lines, agreed


def main() -> None:
    path = Path(os.environ.get("CALCIGRAPH_DATA", "")) / "ddsm_outlines" / "outlines.json"
    text = [
        "# The graph network on marks without pixels",
        "",
        f"Written by `make semireal`. Trained on simulated marks alone, the same {VIEWS} views for both presets,",
        f"{', '.join(map(str, EPOCHS))} epochs long, of which that counts which ranks {JUDGES} other views better.",
        "As its settings say, `default` learns soft labels, and `paper` the one label of each view.",
        f"*Simulated*: {ASKED} independent views of all five classes, a patient each. *Semi-real*: simulated",
        "marks inside the DDSM outlines of radiologists with their labels, without the one diffuse outline; the",
        f"network never saw them; marks were drawn {len(DRAWS)} times for each outline. The extents of simulated",
        "lesions follow the quantiles of these outlines (`docs/calibration.md`). Intervals: 95 %, bootstrap by",
        "patient.",
    ]
    answers = {}
    for preset, make in PRESETS.items():
        sets = {"simulated": independent(make())}
        if path.is_file():
            sets["semi-real"] = semi_real(make(), path)
        lines, answers[preset] = table(preset, sets)
        text += ["", f"## Preset `{preset}`", *lines]
        Path("docs/semireal.md").write_text("\n".join([*text, ""]), encoding="utf-8")
    text += ["", "## `default` less `paper`, five seeds together, the same patients drawn for both", *HEAD]
    text += [differences(n, tests, answers["default"][n], answers["paper"][n]) for n, tests in sets.items()]
    Path("docs/semireal.md").write_text("\n".join([*text, ""]), encoding="utf-8")
    shutil.rmtree(OUT)  # its networks know nothing of a later change to the simulator
    print("\n".join(text))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
