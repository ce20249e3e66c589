"""The image networks of a study: trained from the small images of each fold."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn

from calcigraph.crossval.bench import Bench, Float, shift
from calcigraph.crossval.grad_cam import image_saliency
from calcigraph.crossval.options import StudyOptions
from calcigraph.crossval.saliency import write_maps
from calcigraph.io import Case, labels_of
from calcigraph.lexicon import DISTRIBUTIONS
from calcigraph.models.baselines import image_network
from calcigraph.models.pretrained import load_pretrained
from calcigraph.provenance import file_digest, fingerprint
from calcigraph.training.breast_box import CHANNELS, load_images, shrink_dataset
from calcigraph.training.images import ImageExamples, predict_images, train_image_network


def image_key(options: StudyOptions, name: str) -> str:
    """Return a fingerprint of all that makes an image network but data, folds and seed."""
    given = file_digest(Path(options.pretrained[name])) if name in options.pretrained else None
    recipe, breast = asdict(options.image_training), asdict(options.default.breast)
    return fingerprint(name, options.image_size_px, options.image_precision, recipe, breast, given)


def answer_by_image(bench: Bench, name: str) -> Float:
    """Train an image network on the fold, answer its test cases (n, 5) and keep its saliency for their true classes.

    Raises:
        BadConfig: MONAI or, for several devices, Lightning is not installed.
        BadModel: a file of pretrained weights cannot be used.
    """
    options, reporter = bench.options, bench.hear(name)
    network = first_network(name, options)
    shrink_dataset(
        bench.dataset,
        options.default.breast,
        bench.images,
        size_px=options.image_size_px,
        report=lambda *n: reporter.stage("shrink", *n),
    )
    folder = bench.folder / name
    train_image_network(
        network,
        _examples(bench, bench.labelled("train")),
        _examples(bench, bench.labelled("validation")),
        recipe=options.image_training,
        seed=options.seed,
        run_dir=folder,
        device=bench.device,
        precision=options.image_precision,
        report=lambda epoch: reporter.epoch(name, epoch),
        workers=bench.workers,
    )
    test = _examples(bench, bench.labelled("test"))
    answers = bench.expect(predict_images(network, test.images, device=bench.device), image_shift(options))
    pairs = zip(test.images, test.labels, strict=True)
    write_maps(
        bench, name, [image_saliency(network, name, image, target=int(label)) for image, label in pairs]
    )
    return answers


def image_shift(options: StudyOptions) -> float:
    """Return how far an image network's answers are moved (`bench.shift`): as those of `default`."""
    return shift(options.default, balanced=options.image_training.balance_classes)


def first_network(name: str, options: StudyOptions) -> nn.Module:
    """Build an image network as its training starts; raises as `answer_by_image`."""
    torch.manual_seed(options.seed)
    network = image_network(name, channels=CHANNELS, classes=len(DISTRIBUTIONS))
    if name in options.pretrained:
        load_pretrained(network, name, Path(options.pretrained[name]))
    return network


def _examples(bench: Bench, cases: list[Case]) -> ImageExamples:
    return ImageExamples(load_images(bench.images, cases), labels_of(cases))
