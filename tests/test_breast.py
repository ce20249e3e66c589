"""Segmentation on breasts made by hand: half ellipses at every side, with labels, metal and odd pixels."""

import cv2
import numpy as np
import pytest

from calcigraph.config import BreastConfig, default, paper
from calcigraph.detect import detect_candidates
from calcigraph.detect.breast import segment_breast
from calcigraph.detect.working import at_pitch
from calcigraph.records import SIDES, Mammogram

ACROSS_MM, DEPTH_MM = 75.0, 70.0
"""Half of the breast's extent along the chest wall, and its depth."""


def half_ellipse(*, side="left", spacing_mm=(0.4, 0.4), air=0.0, seed=0):
    """A mammogram of a breast with its chest wall at one side, and the nipple's (row, col) in mm.

    Along the chest wall the image measures 200 mm, across it 110 mm.
    """
    upright = side in ("left", "right")
    size_mm = np.array([200.0, 110.0] if upright else [110.0, 200.0])
    rows, cols = np.rint(size_mm / spacing_mm).astype(int)
    row, col = np.meshgrid(np.arange(rows) * spacing_mm[0], np.arange(cols) * spacing_mm[1], indexing="ij")
    depth = {
        "left": col,
        "right": cols * spacing_mm[1] - col,
        "top": row,
        "bottom": rows * spacing_mm[0] - row,
    }
    along = (row if upright else col) - 95.0
    inside = (along / ACROSS_MM) ** 2 + (depth[side] / DEPTH_MM) ** 2
    rng = np.random.default_rng(seed)
    texture = cv2.GaussianBlur(
        rng.normal(size=inside.shape), (0, 0), 1.5 / spacing_mm[1], sigmaY=1.5 / spacing_mm[0]
    )
    tissue = 0.4 * np.clip(3 * (1 - inside), 0.5, 1) + 0.06 * texture / texture.std()
    in_profile = along**2 + (depth[side] - DEPTH_MM + 1) ** 2 < 5**2
    pixels = np.where((inside < 1) | in_profile, tissue, air * rng.random(inside.shape))
    far = DEPTH_MM + 4 if side in ("left", "top") else 110 - DEPTH_MM - 4
    nipple_mm = (95.0, far) if upright else (far, 95.0)
    pixels = cv2.GaussianBlur(np.clip(pixels, 0, 1).astype(np.float32), (0, 0), 1.0)
    return Mammogram(pixels, spacing_mm), nipple_mm


def segment(image):
    working = at_pitch(image, 0.3)
    return segment_breast(image, working, BreastConfig()), working


def mask_at(breast, working, image, row_px, col_px):
    """The mask at a pixel of the original image."""
    row, col = (int((at + 0.5) / step) for at, step in zip((row_px, col_px), working.step, strict=True))
    return bool(breast.mask[row, col])


@pytest.mark.parametrize("spacing_mm", [(0.4, 0.4), (0.25, 0.5)], ids=["square", "oblong"])
@pytest.mark.parametrize("side", SIDES)
def test_every_chest_wall(side, spacing_mm):
    image, nipple_mm = half_ellipse(side=side, spacing_mm=spacing_mm)
    breast, working = segment(image)
    assert not breast.fills_image
    assert breast.depth_axis == SIDES[side]
    assert np.hypot(*np.subtract(breast.nipple_mm, nipple_mm)) < 3
    assert breast.area_cm2 == pytest.approx(np.pi / 2 * ACROSS_MM * DEPTH_MM / 100, rel=0.04)
    assert breast.mask.shape == working.pixels.shape
    searched_cm2 = breast.mask.sum() * np.prod(working.spacing_mm) / 100
    assert 0.85 * breast.area_cm2 < searched_cm2 < 0.99 * breast.area_cm2  # less the rim of skin


@pytest.mark.parametrize("spacing_mm", [(0.4, 0.4), (0.25, 0.5)], ids=["square", "oblong"])
def test_outline_is_in_pixels_of_the_original(spacing_mm):
    image, _ = half_ellipse(spacing_mm=spacing_mm)
    breast, _ = segment(image)
    outline_mm = breast.outline_px * spacing_mm
    curved = outline_mm[(outline_mm[:, 1] > 5) & (np.abs(outline_mm[:, 0] - 95) > 8)]  # without the nipple
    radius = np.hypot((curved[:, 0] - 95) / ACROSS_MM, curved[:, 1] / DEPTH_MM)
    assert len(curved) > 100 and abs(np.median(radius) - 1) < 0.04
    assert ((radius > 0.93) & (radius < 1.07)).all()
    low, high = breast.outline_px.min(axis=0), breast.outline_px.max(axis=0)
    assert (low >= -0.5).all() and (high <= np.array(image.shape) - 0.5).all()


def test_what_the_file_says_of_the_chest_wall_is_believed():
    image, _ = half_ellipse(side="left")
    said = Mammogram(image.pixels, image.spacing_mm, chest_wall="top")
    assert segment(said)[0].depth_axis == SIDES["top"]


@pytest.mark.parametrize("side", SIDES)
def test_letters_are_not_breast(side):
    image, nipple_mm = half_ellipse(side=side)
    plain, _ = segment(image)
    lead = np.zeros(image.shape, np.uint8)
    place = (150, 30) if side in ("left", "bottom") else (20, 30) if side == "right" else (200, 250)
    cv2.putText(lead, "R MLO", place, cv2.FONT_HERSHEY_SIMPLEX, 0.9, 255, 3)
    labelled = Mammogram(np.maximum(image.pixels, lead.astype(np.float32) / 255), image.spacing_mm)
    in_air = (lead > 0) & (image.pixels < 0.05)
    assert in_air.sum() > 300, "the letters must lie in the air for this test"
    breast, working = segment(labelled)
    rows, cols = np.nonzero(in_air)
    assert not any(mask_at(breast, working, labelled, r, c) for r, c in zip(rows, cols, strict=True))
    assert breast.area_cm2 == pytest.approx(plain.area_cm2, rel=0.02)
    assert np.hypot(*np.subtract(breast.nipple_mm, nipple_mm)) < 3


def test_a_block_of_metal_and_its_surroundings_are_not_searched():
    image, nipple_mm = half_ellipse()
    pixels = image.pixels.copy()
    pixels[330:400, :60] = 1.0  # 28 × 24 mm at the chest wall, across the edge of the breast
    breast, working = segment(Mammogram(pixels, image.spacing_mm))
    row, col = np.ogrid[300:430:3, 0:90:3]
    outside_mm = 0.4 * np.hypot(np.maximum(np.maximum(330 - row, row - 399), 0), np.maximum(col - 59, 0))
    for r, c in np.argwhere(outside_mm < BreastConfig().metal_margin_mm - 0.5) * 3 + [300, 0]:
        assert not mask_at(breast, working, image, r, c), (r, c)
    assert mask_at(breast, working, image, 250, 60)
    assert breast.depth_axis == SIDES["left"]
    assert np.hypot(*np.subtract(breast.nipple_mm, nipple_mm)) < 3


def test_tissue_below_the_grey_scale_is_not_searched():
    image, _ = half_ellipse()
    pixels = image.pixels.copy()
    pixels[200:260, 40:120] *= np.random.default_rng(0).random((60, 80)) < 0.04  # a few peaks of noise
    breast, working = segment(Mammogram(pixels, image.spacing_mm))
    rows, cols = np.meshgrid(np.arange(206, 254, 4), np.arange(46, 114, 4))
    assert not any(mask_at(breast, working, image, r, c) for r, c in zip(rows.flat, cols.flat, strict=True))
    for row, col in ((190, 80), (270, 80), (230, 30), (230, 130)):
        assert mask_at(breast, working, image, row, col), (row, col)
    plain, _ = segment(image)
    assert breast.area_cm2 == pytest.approx(plain.area_cm2, rel=0.01)


def test_a_bright_label_makes_no_tissue_black():
    image, _ = half_ellipse()
    plain, _ = segment(image)
    pixels = 0.05 * image.pixels  # 12 of 16 bits
    pixels[20:50, 220:260] = 1.0
    breast, _ = segment(Mammogram(pixels, image.spacing_mm))
    assert breast.mask.sum() > 0.97 * plain.mask.sum()


@pytest.mark.parametrize("air", [0.0, 0.02])
def test_a_small_breast_in_a_large_field(air):
    image, _ = half_ellipse(air=air)
    field = np.pad(image.pixels, ((0, 100), (0, 275)))
    field += np.where(field == 0, air * np.random.default_rng(3).random(field.shape), 0).astype(np.float32)
    breast, _ = segment(Mammogram(field, image.spacing_mm))
    assert not breast.fills_image
    assert breast.area_cm2 == pytest.approx(83, rel=0.06)


@pytest.mark.parametrize("side", SIDES)
def test_a_negative_is_told_by_its_bright_air(side):
    image, _ = half_ellipse(side=side, air=0.02)
    assert not segment(image)[0].negative
    assert segment(Mammogram(1 - image.pixels, image.spacing_mm))[0].negative


def test_a_bright_frame_makes_no_negative():
    image, _ = half_ellipse()
    pixels = np.pad(image.pixels, 12, constant_values=1.0)  # 5 mm, as on scanned films
    assert not segment(Mammogram(pixels, image.spacing_mm))[0].negative


def test_a_crop_that_is_all_tissue_fills_the_image():
    rng = np.random.default_rng(1)
    texture = cv2.GaussianBlur(rng.normal(size=(300, 240)), (0, 0), 12)
    pixels = np.clip(0.5 + 0.12 * texture / texture.std() + 0.02 * rng.normal(size=texture.shape), 0.05, 0.95)
    breast, _ = segment(Mammogram(pixels.astype(np.float32), (0.1, 0.2)))
    assert breast.fills_image and breast.mask.all() and not breast.negative
    assert breast.area_cm2 == pytest.approx(30.0 * 48.0 / 100, rel=0.02)
    np.testing.assert_allclose(breast.nipple_mm, (14.95, 23.9), atol=0.5)
    assert breast.depth_axis in SIDES.values()


def ordinary():
    rng = np.random.default_rng(2)
    yield "black", np.zeros((200, 150), np.float32)
    yield "grey", np.full((200, 150), 0.5, np.float32)
    yield "white", np.ones((200, 150), np.float32)
    yield "noise", rng.random((200, 150), dtype=np.float32)
    yield "one bright pixel", np.pad(np.ones((1, 1), np.float32), 80)
    yield "32 × 32", rng.random((32, 32), dtype=np.float32)
    yield "32 × 32 black", np.zeros((32, 32), np.float32)
    yield "half black", np.repeat(np.float32([[0, 1]]), 100, axis=0).repeat(60, axis=1)
    yield "narrow", rng.random((600, 32), dtype=np.float32)


@pytest.mark.parametrize("config", [default(), paper()], ids=["default", "paper"])
@pytest.mark.parametrize("spacing_mm", [0.05, 0.2])
def test_images_without_a_breast_are_ordinary(config, spacing_mm):
    for name, pixels in ordinary():
        breast, candidates = detect_candidates(Mammogram(pixels, (spacing_mm, spacing_mm)), config)
        assert np.isfinite(breast.nipple_mm).all() and np.isfinite(breast.area_cm2), name
        assert breast.area_cm2 >= 0 and breast.depth_axis in SIDES.values(), name
        assert np.isfinite(breast.outline_px).all() and breast.outline_px.shape[1] == 2, name
        assert np.isfinite(candidates.patches).all(), name
        assert np.isfinite(candidates.table.drop(columns="probability").to_numpy()).all(), name
        if np.ptp(pixels) == 0:
            assert breast.fills_image and len(candidates) == 0, name
