"""A cohort on disk: a data set of the contract, with the truth of every image; the same seed gives the same bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from calcigraph.errors import BadConfig, BadManifest
from calcigraph.io.manifest import Case, write_manifest
from calcigraph.io.output import refuse_others
from calcigraph.io.tables import whole_file, write_table, write_text
from calcigraph.io.truth import OUTLINE_COLUMNS, outline_path, truth_path, write_truth
from calcigraph.lexicon import View
from calcigraph.processes import spread
from calcigraph.provenance import code_digest, versions
from calcigraph.seed import require_seed
from calcigraph.simulate.acquire import ACQUISITIONS, Acquisition, draw_acquisition
from calcigraph.simulate.anatomy import grow_breast
from calcigraph.simulate.calcification import Calcification
from calcigraph.simulate.dicom import write_dicom
from calcigraph.simulate.look_alikes import place_look_alikes, place_satellites
from calcigraph.simulate.outlined import draw_inside, find_breast
from calcigraph.simulate.patterns import place_lesion
from calcigraph.simulate.plan import Plan, PlannedCase
from calcigraph.simulate.render import SimulatedView, expose_view, finish_view
from calcigraph.simulate.visible import draw_visible

FORMATS = ("dicom", "png")

CARDS = ("dataset.json", "manifest.csv")
PARTS = ("images", "truth", "outlines")
"""Folders of a cohort."""


@dataclass(frozen=True)
class CohortOptions:
    """How a cohort is simulated and written.

    Attributes:
        seed: of the whole cohort; case n uses (seed, n).
        spacing_mm: pixel pitch of every image; None draws one that is in use per case.
        acquisition: `mixed`, `digital` or `film`.
        file_format: `dicom` or `png` (16 bit).
    """

    seed: int = 0
    spacing_mm: float | None = None
    acquisition: str = "mixed"
    file_format: str = "dicom"

    def __post_init__(self) -> None:
        if self.file_format not in FORMATS:
            raise BadConfig(f"format {self.file_format!r}", allowed="dicom or png", do="choose one of these")
        if self.acquisition not in ACQUISITIONS:
            raise BadConfig(
                f"acquisition {self.acquisition!r}",
                allowed=", ".join(ACQUISITIONS),
                do="choose one of these",
            )
        if self.spacing_mm is not None and not 0.04 <= self.spacing_mm <= 0.25:
            raise BadConfig(
                f"a pixel pitch of {self.spacing_mm} mm", allowed="0.04 to 0.25 mm", do="change it"
            )
        require_seed(self.seed)


def simulate_case(case: PlannedCase, options: CohortOptions) -> list[SimulatedView]:
    """Simulate every view of one case; the lesion is made visible on the first, and is the same on the others."""
    if case.outlines:
        return _simulate_outlined(case, options)
    rng = np.random.default_rng([options.seed, case.number])
    machine = case_machine(case, options)
    breast = grow_breast(rng)
    beside = place_look_alikes(breast, rng)

    def draw() -> list[Calcification]:
        if case.distribution is None:
            return beside
        lesion = place_lesion(breast, case.distribution, rng)
        return beside + lesion + place_satellites(breast, lesion, rng)

    first = draw()
    exposures = [expose_view(breast, view=view, machine=machine, rng=rng) for view in case.views]
    calcifications = draw_visible(first, draw, exposures[0].look, rng)
    return [finish_view(exposure, calcifications, laterality=case.laterality) for exposure in exposures]


def _simulate_outlined(case: PlannedCase, options: CohortOptions) -> list[SimulatedView]:
    """Simulate the views of a case with outlines; each has a generator of its own, which draws the same projection
    when the outline is placed and when the view is rendered.
    """
    rng, machine = np.random.default_rng([options.seed, case.number]), case_machine(case, options)
    seeds = [[options.seed, case.number, 2 + place] for place in range(len(case.views))]
    held = find_breast(case.outlines, seeds, rng)
    beside = place_look_alikes(held.anatomy, rng)
    draws = [partial(draw_inside, held, place, beside, rng) for place in range(len(seeds))]
    firsts = [draw() for draw in draws]
    views = []
    for view, first, draw, seed in zip(case.views, firsts, draws, seeds, strict=True):
        exposure = expose_view(held.anatomy, view=view, machine=machine, rng=np.random.default_rng(seed))
        seen = draw_visible(first, draw, exposure.look, rng)
        views.append(finish_view(exposure, seen, laterality=case.laterality))
    return views


def case_machine(case: PlannedCase, options: CohortOptions) -> Acquisition:
    """Draw the machine of a case, from a stream of its own: the manifest asks for its pitch too."""
    rng = np.random.default_rng([options.seed, case.number, 1])
    return draw_acquisition(rng, spacing_mm=options.spacing_mm, acquisition=options.acquisition)


def write_cohort(
    folder: Path,
    plan: Plan,
    options: CohortOptions,
    *,
    name: str,
    licence: str = "Apache-2.0",
    source: str = "simulated, no patient",
    workers: int | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Simulate a cohort into `folder`; cases that are already whole there are not made again, nor is its manifest.

    Args:
        folder: the data set.
        plan: its cases.
        options: how they are made.
        name: of the data set, for dataset.json.
        licence: of the data set.
        source: of the data set, beside command and seed.
        workers: processes; one per core unless given.
        report: called with cases done and cases in all.

    Raises:
        BadManifest: `folder` holds another cohort, or cannot be written.
        BadConfig: it holds no cohort, but a data set or parts of one.
        LostProcess: a process ended before its work was done.
    """
    _claim(folder, plan, options)
    missing = [case for case in plan if not _is_whole(folder, case, options)]
    whole = len(plan) - len(missing)
    report(whole, len(plan))
    write = partial(_write_case, folder, options=options)
    for done, _ in enumerate(spread(write, missing, workers=workers), start=whole + 1):
        report(done, len(plan))
    if all((folder / card).exists() for card in CARDS):  # perhaps marked (`split`) since
        return
    write_manifest(
        folder,
        name=name,
        licence=licence,
        source=f"calcigraph simulate, seed {options.seed}; {source}",
        cases=[row for case in plan for row in _manifest_rows(case, options)],
    )


def _claim(folder: Path, plan: Plan, options: CohortOptions) -> None:
    """Make the folders and note what they hold, so that a killed run goes on only with cohort and simulator."""
    digest = hashlib.sha256(repr(plan).encode()).hexdigest()
    code = {"calcigraph": versions()["calcigraph"], "code": code_digest("simulate")}
    claim = json.dumps({**asdict(options), "plan_sha256": digest, **code}, indent=2) + "\n"
    note = folder / "simulation.json"
    is_new = not note.exists()
    if is_new:
        refuse_others(folder, (*CARDS, *PARTS), what="holds something else")
    try:
        if is_new:
            write_text(note, claim)
        for part in PARTS:
            (folder / part).mkdir(parents=True, exist_ok=True)
        held = note.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise BadManifest(
            f"{folder} cannot be written ({error.strerror})", allowed="a writable folder", do="choose another"
        ) from None
    if held != claim:
        raise BadManifest(
            f"{folder} holds another simulated cohort",
            allowed="an empty folder, or one that these settings and this version of the simulator began",
            do="choose another or delete it",
        )


def _write_case(folder: Path, case: PlannedCase, *, options: CohortOptions) -> None:
    for simulated in simulate_case(case, options):
        image_id = case.image_id(simulated.view)
        _write_image(folder / image_path(case, simulated.view, options), simulated, case, options)
        outline = pd.DataFrame(simulated.outline_px, columns=OUTLINE_COLUMNS)
        write_table(outline_path(folder, image_id), outline)
        write_truth(folder, image_id, simulated.truth)  # last: it says that the view is whole


def _write_image(path: Path, simulated: SimulatedView, case: PlannedCase, options: CohortOptions) -> None:
    with whole_file(path) as beside:
        if path.suffix == ".dcm":
            write_dicom(
                beside,
                simulated,
                patient_id=case.patient_id,
                image_id=case.image_id(simulated.view),
                cohort=repr(options),
            )
        else:
            levels = np.rint(simulated.pixels * 65535).astype(np.uint16)
            _, encoded = cv2.imencode(".png", levels, [cv2.IMWRITE_PNG_COMPRESSION, 3])
            beside.write_bytes(encoded.tobytes())


def image_path(case: PlannedCase, view: View, options: CohortOptions) -> str:
    """Path of an image inside its data set."""
    suffix = "dcm" if options.file_format == "dicom" else "png"
    return f"images/{case.image_id(view)}.{suffix}"


def _is_whole(folder: Path, case: PlannedCase, options: CohortOptions) -> bool:
    images = [folder / image_path(case, view, options) for view in case.views]
    return all(truth_path(folder, case.image_id(view)).exists() for view in case.views) and all(
        image.exists() and image.stat().st_size > 0 for image in images
    )


def _manifest_rows(case: PlannedCase, options: CohortOptions) -> list[Case]:
    return [
        Case(
            image_id=case.image_id(view),
            patient_id=case.patient_id,
            path=Path(image_path(case, view, options)),
            laterality=case.laterality,
            view=view,
            distribution=case.distribution,
            spacing_mm=case_machine(case, options).spacing_mm,
            split=None,
        )
        for view in case.views
    ]
