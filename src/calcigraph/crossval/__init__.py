"""The paper's study on any data set: folds by patient, every model on the same ones, tables, figures and a page."""

from calcigraph.crossval.bench import StudyReporter
from calcigraph.crossval.contestants import CONTESTANTS, line_up
from calcigraph.crossval.options import IMAGE_TRAINING, StudyOptions
from calcigraph.crossval.results import Study
from calcigraph.crossval.study import run_study

__all__ = ["CONTESTANTS", "IMAGE_TRAINING", "Study", "StudyOptions", "StudyReporter", "line_up", "run_study"]
