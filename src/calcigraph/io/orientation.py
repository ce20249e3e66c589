"""Which breast, which view, and at which side of the image the chest wall lies (DICOM PS3.3 C.8.11.7, C.7.6.1.1.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from calcigraph.io.tags import Tags
from calcigraph.lexicon import LEGACY_VIEW_CODES, VIEW_CODES, Laterality, View

_LATERALITY_TAGS = ("ImageLaterality", "Laterality", "FrameLaterality")
_DESCRIPTIONS = (
    "ViewPosition",
    "PatientOrientation",
    "SeriesDescription",
    "ProtocolName",
    "AcquisitionDescription",
)
_DIRECTION = re.compile(r"[ARLPHF]{1,3}")
_VIEW_WORD = re.compile(rf"(?P<side>[LR]?)(?P<view>{'|'.join(sorted(View, key=len, reverse=True))})")
_SIDE_WORDS = {
    "L": Laterality.LEFT,
    "LEFT": Laterality.LEFT,
    "R": Laterality.RIGHT,
    "RIGHT": Laterality.RIGHT,
}
_VIEWS_BY_CODE = {code.value: view for view, code in VIEW_CODES.items()} | LEGACY_VIEW_CODES
_OPPOSITE = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}


def laterality(tags: Tags) -> Laterality | None:
    """Return the breast shown, or None where the file does not say so or contradicts itself."""
    for keyword in _LATERALITY_TAGS:
        if (side := _SIDE_WORDS.get(tags.text(keyword))) is not None:
            return side
    return _side_in_words(tags) or _side_of_oblique(tags)


def view(tags: Tags) -> View | None:
    """Return the projection from its code (SCT, SRT, SNM3), View Position or a description; None if unknown."""
    for code in tags.items("ViewCodeSequence"):
        if (found := _VIEWS_BY_CODE.get(code.text("CodeValue"))) is not None:
            return found
    for keyword in _DESCRIPTIONS:
        views = {
            View(match["view"]) for word in _words(tags, keyword) if (match := _VIEW_WORD.fullmatch(word))
        }
        if len(views) == 1:
            return views.pop()
    return None


def chest_wall(tags: Tags) -> str | None:
    """Return the image side that points to the chest: the posterior one of Patient Orientation (0020,0020).

    The tag gives the patient's direction of the rows (to the right) and of the columns (downwards), its main
    component first; Field of View Rotation and Flip are already in the stored pixels (C.8.11.7).
    """
    directions = _directions(tags)
    if len(directions) != 2:
        return None
    for side, direction in zip(("right", "bottom"), directions, strict=True):
        if direction[0] in "PA":
            return side if direction[0] == "P" else _OPPOSITE[side]
    return None


def field_of_view(tags: Tags) -> tuple[str, ...]:
    """Words on the rotation and flip that the device applied, which are recorded only."""
    rotation, flip = tags.number("FieldOfViewRotation"), tags.text("FieldOfViewHorizontalFlip")
    if not rotation and flip in ("", "NO"):
        return ()
    return (
        f"field of view already rotated by {rotation or 0:g}° and flipped: {flip.lower()[:10] or 'unknown'}",
    )


def _directions(tags: Tags) -> tuple[str, ...]:
    values = tags.texts("PatientOrientation")
    return values if all(_DIRECTION.fullmatch(v) for v in values) else ()


def _side_in_words(tags: Tags) -> Laterality | None:
    for keyword in _DESCRIPTIONS:
        if keyword == "PatientOrientation" and _directions(tags):
            continue  # L and R are directions there
        sides = set(_sides(_words(tags, keyword)))
        if len(sides) == 1:
            return sides.pop()
    return None


def _sides(words: list[str]) -> Iterator[Laterality]:
    for word in words:
        match = _VIEW_WORD.fullmatch(word)
        side = _SIDE_WORDS.get(match["side"] if match else word)
        if side is not None:
            yield side


def _side_of_oblique(tags: Tags) -> Laterality | None:
    """Derive the side of a medio-lateral oblique view: in its plane, the way to the feet leads to the middle."""
    directions = _directions(tags)
    if len(directions) != 2 or view(tags) is not View.MLO:
        return None
    for direction in directions:
        if set(direction) in ({"F", "L"}, {"H", "R"}):
            return Laterality.RIGHT
        if set(direction) in ({"F", "R"}, {"H", "L"}):
            return Laterality.LEFT
    return None


def _words(tags: Tags, keyword: str) -> list[str]:
    return re.findall(r"[A-Z]+", " ".join(tags.texts(keyword)))
