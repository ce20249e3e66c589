"""Records that are always valid, and the words of the field with their codes."""

import numpy as np
import pytest
from pydicom.sr.codedict import codes

from calcigraph.errors import UnreadableImage
from calcigraph.lexicon import DISTRIBUTION_CODES, DISTRIBUTIONS, VIEW_CODES
from calcigraph.records import Mammogram

GREY = np.full((40, 30), 0.5, np.float32)


@pytest.mark.parametrize(
    ("pixels", "spacing_mm"),
    [
        (np.zeros((40, 30, 3), np.float32), (0.1, 0.1)),
        (np.zeros((40, 30), np.uint16), (0.1, 0.1)),
        (np.zeros((0, 0), np.float32), (0.1, 0.1)),
        (GREY * 4095, (0.1, 0.1)),
        (GREY * np.float32("nan"), (0.1, 0.1)),
        (-GREY, (0.1, 0.1)),
        (GREY, (0.0, 0.1)),
        (GREY, (0.1, -1.0)),
        (GREY, (0.1, float("nan"))),
        (None, (0.1, 0.1)),
        ([[0.5]], (0.1, 0.1)),
        (GREY, 0.1),
        (GREY, None),
        (GREY, ("a", "b")),
        (GREY, (5.0, 5.0)),
        (np.full((400, 30), 0.5, np.float32), (2.0, 2.0)),  # 80 cm
    ],
)
def test_what_is_no_mammogram_is_refused_in_one_line(pixels, spacing_mm):
    with pytest.raises(UnreadableImage, match=r"^image: .*allowed:") as caught:
        Mammogram(pixels, spacing_mm)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("word", [{"laterality": "left"}, {"view": "cc"}, {"chest_wall": "L"}])
def test_words_that_say_nothing_are_refused_in_one_line(word):
    with pytest.raises(UnreadableImage, match=r"^image: .*allowed: .*, or None;") as caught:
        Mammogram(GREY, (0.1, 0.1), **word)
    assert "\n" not in str(caught.value)


def test_records_of_arrays_are_equal_to_themselves():
    one, other = Mammogram(GREY, (0.1, 0.1)), Mammogram(GREY, (0.1, 0.1))
    assert one == one and one != other and len({one, other}) == 2 and other in [one, other]


def test_the_refusal_says_what_the_pixels_are():
    with pytest.raises(UnreadableImage, match=r"pixels 40×30 of float32 from -0\.5 to -0\.5; allowed"):
        Mammogram(-GREY, (0.1, 0.1))


def test_codes_are_those_of_dicom():
    known = {code.value: code for code in (getattr(codes.cid6012, name) for name in codes.cid6012.dir())}
    for code in DISTRIBUTION_CODES.values():
        assert (known[code.value].scheme_designator, known[code.value].meaning) == (code.scheme, code.meaning)
    assert tuple(DISTRIBUTION_CODES) == DISTRIBUTIONS
    views = {getattr(codes.cid4014, name).value for name in codes.cid4014.dir()}
    assert {code.value for code in VIEW_CODES.values()} <= views
