"""CBIS-DDSM (Lee et al., Scientific Data 2017) as a data set: its tables, films and masks, left where they lie."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from calcigraph.adapters.cbis_files import Files
from calcigraph.adapters.cbis_tables import Film, read_films
from calcigraph.adapters.masks import SMALLEST_MM2, is_mask, outline_of
from calcigraph.errors import BadConfig, BadManifest, UnreadableImage
from calcigraph.io import Case, Dataset, read_mammogram, write_manifest, write_table, write_text
from calcigraph.io.spacing import check_given
from calcigraph.io.truth import outline_path, read_outline
from calcigraph.processes import spread

OUTLINES = "outlines.json"
"""What `simulate --outlines` takes."""

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class Adapted:
    """What became of a download.

    Attributes:
        dataset: as written.
        missing: films of the tables of which no file is there, or several are.
        unclear: image ids without a distribution, as their lesions have several descriptors.
        failures: image ids of one lesion, and why they have no outline.
    """

    dataset: Dataset
    missing: tuple[str, ...]
    unclear: tuple[str, ...]
    failures: dict[str, str]


def adapt_cbis_ddsm(folder: Path, *, spacing_mm: float, report: Report = lambda done, total: None) -> Adapted:
    """Make a folder a data set: dataset.json, manifest.csv, outlines/ and outlines.json beside what lies there.

    Films and masks are DICOM as from The Cancer Imaging Archive, in any tree of folders, or PNG, TIFF or JPEG made
    from them, named by PatientID or in folders named by Series Instance UID. A film with one lesion gets its outline.

    Args:
        folder: holds the tables of calcifications and the images.
        spacing_mm: pixel pitch, which neither tables nor images state.
        report: hears how many films of all were looked at.

    Raises:
        BadConfig: it is a data set already, or the spacing cannot be one.
        BadManifest: no tables, others than these, or none of their films.
    """
    check_given(spacing_mm)
    if (folder / "manifest.csv").exists():
        raise BadConfig(
            f"{folder}, which is a data set (manifest.csv)",
            allowed="a folder that is not one yet",
            do="delete manifest.csv to make it anew",
        )
    films, files = read_films(folder), Files(folder)
    paths = {film: path for film in films if (path := files.the_one((film.series, film.name)))}
    if not paths:
        raise BadManifest(
            f"{folder} with none of the {len(films):,} films that its tables name",
            allowed="the DICOM files of CBIS-DDSM, or images named by their PatientID or Series Instance UID",
            do="put them below this folder",
        )
    failures = _write_outlines(folder, paths, files, spacing_mm, report)
    cases = [film.case(path.relative_to(folder), spacing_mm) for film, path in paths.items()]
    write_text(folder / OUTLINES, json.dumps(list(_outline_entries(folder, cases, spacing_mm))) + "\n")
    dataset = write_manifest(
        folder,
        name="CBIS-DDSM, calcifications",
        licence="CC BY 3.0",
        source="Lee et al., Scientific Data 2017; The Cancer Imaging Archive, doi 10.7937/K9/TCIA.2016.7O02S9CY",
        cases=cases,
    )
    return Adapted(
        dataset,
        missing=tuple(film.name for film in films if film not in paths),
        unclear=tuple(film.image_id for film in paths if len(film.descriptors) > 1),
        failures=failures,
    )


@dataclass(frozen=True)
class _Drawn:
    """A film with one lesion: its files, and those among which its mask is."""

    image_id: str
    film: Path
    masks: Sequence[Path]


def _write_outlines(
    folder: Path, paths: dict[Film, Path], files: Files, spacing_mm: float, report: Report
) -> dict[str, str]:
    """Write outlines/<image_id>.csv; those that are there already are kept."""
    drawn = [
        _Drawn(film.image_id, path, files.all_of(film.lesions[0]))
        for film, path in paths.items()
        if len(film.lesions) == 1 and not outline_path(folder, film.image_id).exists()
    ]
    failures = {}
    work = partial(_write_outline, folder=folder, spacing_mm=spacing_mm)
    for done, wrong in enumerate(spread(work, drawn), start=1):
        report(done, len(drawn))
        if wrong:
            failures[drawn[done - 1].image_id] = wrong
    return failures


def _write_outline(drawn: _Drawn, *, folder: Path, spacing_mm: float) -> str:
    """Write the outline of a film's lesion; return why there is none, or ""."""
    try:
        shape = read_mammogram(drawn.film, spacing_mm=spacing_mm).shape
    except UnreadableImage as error:
        return str(error)
    masks = []
    for path in drawn.masks:
        with suppress(UnreadableImage):  # a crop may be too small for a mammogram
            pixels = read_mammogram(path, spacing_mm=spacing_mm).pixels
            masks += [pixels] if pixels.shape == shape and is_mask(pixels) else []
    if len(masks) != 1:
        return f"{len(masks)} masks of its {shape[0]} × {shape[1]} pixels among {len(drawn.masks)} further images"
    outline = outline_of(masks[0], spacing_mm)
    if outline.empty:
        return f"a mask of less than {SMALLEST_MM2} mm²"
    write_table(outline_path(folder, drawn.image_id), outline)
    return ""


def _outline_entries(folder: Path, cases: Sequence[Case], spacing_mm: float) -> Iterator[dict[str, object]]:
    """Yield what `simulate --outlines` takes, (x, y) in mm, of the films with an outline and a distribution."""
    for case in cases:
        path = outline_path(folder, case.image_id)
        if case.distribution is not None and path.exists():
            corners = read_outline(path)[["col_px", "row_px"]].to_numpy()
            yield {
                "case": case.patient_id,
                "laterality": case.laterality,
                "view": case.view,
                "distribution": case.distribution,
                "outline_mm": ((corners + 0.5) * spacing_mm).round(3).tolist(),
            }
