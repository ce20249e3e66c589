"""Training: one `fit` for every network, and what feeds it: patches, graphs, marks without pixels, small images."""

from calcigraph.training.epoch import Examples
from calcigraph.training.graphs import GraphExamples, augment_graph, train_distribution_network
from calcigraph.training.loop import FitResult, fit
from calcigraph.training.model import KeptDetector, TrainedModel, train_model
from calcigraph.training.patches import PatchExamples, augment_patches, train_patch_network
from calcigraph.training.pretraining import pretrain
from calcigraph.training.sampling import Split, class_of_patients, epoch_order, split_by_patient
from calcigraph.training.state import EpochReport, Reporter
from calcigraph.training.temperature import fit_temperature
from calcigraph.training.workers import Workers

__all__ = [
    "EpochReport",
    "Examples",
    "FitResult",
    "GraphExamples",
    "KeptDetector",
    "PatchExamples",
    "Reporter",
    "Split",
    "TrainedModel",
    "Workers",
    "augment_graph",
    "augment_patches",
    "class_of_patients",
    "epoch_order",
    "fit",
    "fit_temperature",
    "pretrain",
    "split_by_patient",
    "train_distribution_network",
    "train_model",
    "train_patch_network",
]
