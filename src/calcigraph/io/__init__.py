"""Images, data sets and tables in and out."""

from calcigraph.io.contract import problems, read_dataset
from calcigraph.io.inputs import Source, find_inputs, with_unique_ids
from calcigraph.io.manifest import Case, Dataset, labels_of, write_manifest
from calcigraph.io.output import prepare_folder
from calcigraph.io.read import read_mammogram
from calcigraph.io.tables import read_table, write_table, write_text
from calcigraph.io.truth import TRUTH_COLUMNS, read_truth, write_truth

__all__ = [
    "TRUTH_COLUMNS",
    "Case",
    "Dataset",
    "Source",
    "find_inputs",
    "labels_of",
    "prepare_folder",
    "problems",
    "read_dataset",
    "read_mammogram",
    "read_table",
    "read_truth",
    "with_unique_ids",
    "write_manifest",
    "write_table",
    "write_text",
    "write_truth",
]
