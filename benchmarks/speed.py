"""Speed of `predict` on this machine: stages, growth with pixels and with candidates, a ResNet-50 beside it.

Run by `make benchmarks`; prints Markdown tables. Simulated images only.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import cv2
import numpy as np
import torch
from monai.networks.nets import resnet50

from calcigraph.config import Config
from calcigraph.detect import detect_candidates
from calcigraph.models import predict_patches
from calcigraph.pipeline import Pipeline
from calcigraph.records import Mammogram
from calcigraph.simulate import CohortOptions, plan_balanced, simulate_case

FULL_FIELD = (4000, 3000)
SPACING_MM = 0.07


def full_field(shape: tuple[int, int], *, case_number: int = 3) -> Mammogram:
    """A simulated mammogram scaled to fill a detector of this shape: the breast takes most of it."""
    case = plan_balanced(1)[case_number - 1]
    view = simulate_case(case, CohortOptions(seed=9, spacing_mm=SPACING_MM))[0]
    pixels = cv2.resize(view.pixels, shape[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 1)
    return Mammogram(pixels, (SPACING_MM, SPACING_MM), chest_wall="left")


def median_seconds(job: Callable[[], object], *, repeats: int = 5) -> float:
    """Median wall time after one warm-up."""
    job()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        job()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def stages(pipeline: Pipeline) -> None:
    mammogram = full_field(FULL_FIELD)
    total = median_seconds(lambda: pipeline.predict(mammogram))
    prediction = pipeline.predict(mammogram)
    print(f"## predict, {FULL_FIELD[0]} × {FULL_FIELD[1]} at {SPACING_MM} mm, warm\n")
    print(f"{len(prediction.candidates)} candidates, {len(prediction.calcifications)} calcifications\n")
    print("| stage | seconds | share |\n|---|---|---|")
    for stage, seconds in prediction.seconds.items():
        print(f"| {stage} | {seconds:.3f} | {seconds / sum(prediction.seconds.values()):.0%} |")
    print(f"| **all, median of 5** | **{total:.2f}** | |\n")
    print(
        f"Peak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB\n"
    )


def growth_with_pixels(config: Config) -> None:
    print("## Detection against the number of pixels\n")
    print("| rows × cols | Mpx | seconds | seconds per Mpx |\n|---|---|---|---|")
    for scale in (0.25, 0.5, 0.75, 1.0, 1.5):
        shape = (round(FULL_FIELD[0] * scale), round(FULL_FIELD[1] * scale))
        mammogram = full_field(shape)
        seconds = median_seconds(lambda m=mammogram: detect_candidates(m, config), repeats=3)
        megapixels = shape[0] * shape[1] / 1e6
        print(f"| {shape[0]} × {shape[1]} | {megapixels:.1f} | {seconds:.3f} | {seconds / megapixels:.4f} |")
    print()


def growth_with_candidates(pipeline: Pipeline) -> None:
    print("## Both patch networks against the number of candidates\n")
    print("| candidates | seconds | ms per candidate |\n|---|---|---|")
    rng = np.random.default_rng(0)
    size = pipeline.config.patch.size_px
    for count in (500, 1000, 2000, 4000, 8000, 16000):
        patches = rng.standard_normal((count, len(pipeline.config.patch.scales), size, size), np.float32)

        def both(given: np.ndarray = patches) -> None:
            predict_patches(pipeline.networks.confirm, given)
            predict_patches(pipeline.networks.describe, given)

        seconds = median_seconds(both, repeats=3)
        print(f"| {count} | {seconds:.3f} | {seconds / count * 1e3:.3f} |")
    print()


def compare_with_resnet() -> None:
    # MONAI's own default keeps the first convolution at stride 1; the usual network has 2.
    network = resnet50(spatial_dims=2, n_input_channels=1, num_classes=5, conv1_t_stride=2).eval()
    mammogram = full_field(FULL_FIELD)
    image = torch.from_numpy(mammogram.pixels)[None, None]
    with torch.inference_mode():
        started = time.perf_counter()
        network(image)
        seconds = time.perf_counter() - started
    print(
        f"ResNet-50, one forward pass on the same {FULL_FIELD[0]} × {FULL_FIELD[1]} image: {seconds:.1f} s\n"
    )


def start_up() -> None:
    seconds = median_seconds(
        lambda: subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys; sys.argv = ['calcigraph', '--help']; from calcigraph.cli import main; main()",
            ],
            stdout=subprocess.DEVNULL,
            check=True,
        ),
        repeats=3,
    )
    print(f"`calcigraph --help`: {seconds:.2f} s\n")


def main() -> None:
    pipeline = Pipeline.from_pretrained()
    print(f"# Speed ({torch.get_num_threads()} threads)\n")
    stages(pipeline)  # first: peak memory is that of the process so far
    growth_with_pixels(pipeline.config)
    growth_with_candidates(pipeline)
    start_up()
    compare_with_resnet()


if __name__ == "__main__":
    main()
