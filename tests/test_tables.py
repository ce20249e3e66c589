from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

import hand_made
from calcigraph.batch import predict_batch
from calcigraph.io import find_inputs, read_table, write_table


@pytest.mark.parametrize("cell", ["p\r1", "p\r", "\r\n", "a\nb\r\n", 'p"\r', "\r"])
def test_line_ends_within_a_cell_end_no_row(tmp_path: Path, cell: str) -> None:
    table = pd.DataFrame({"image_id": ["a", "b"], "patient_id": [cell, "p2"], "n": [1, 2]})
    write_table(tmp_path / "t.csv", table)
    assert read_table(tmp_path / "t.csv").equals(table)
    assert (tmp_path / "t.csv").read_bytes().endswith(b"\nb,p2,2\n")


def test_line_ends_within_a_path_end_no_row_of_the_predictions(tmp_path: Path) -> None:
    path = tmp_path / "in" / "a\rb.png"
    path.parent.mkdir()
    pixels = hand_made.mammogram(rows=120, cols=90, seed=0).pixels
    path.write_bytes(cv2.imencode(".png", (pixels * 65535).astype(np.uint16))[1].tobytes())
    predict_batch(find_inputs([path]), hand_made.HandMadePipeline(), out=tmp_path / "out", spacing_mm=0.5)
    (row,) = read_table(tmp_path / "out" / "predictions.csv").to_dict("records")
    assert (row["image_id"], row["path"], row["status"]) == ("a_b", str(path), "ok")
