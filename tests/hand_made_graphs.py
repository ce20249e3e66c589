"""Graphs made by hand, for the tests of everything that reads one."""

import numpy as np
import torch

from calcigraph.config import default, paper
from calcigraph.graph import Frame, assemble
from calcigraph.models import build_networks

FRAME = Frame((100.0, 60.0), (0.0, 1.0), (200.0, 150.0), 120.0, True)

CONFIGS = {"default": default(), "paper": paper()}


def scatter(n, seed=1):
    return np.random.default_rng(seed).uniform((20, 5), (180, 60), (n, 2))


def graph_of(n, config, seed=0):
    rng = np.random.default_rng(seed)
    marks = np.column_stack([rng.uniform(0.5, 1, n), rng.uniform(0.1, 1, n), rng.uniform(2, 20, n)])
    visual = torch.as_tensor(rng.random((n, config.network.visual_dim), np.float32))
    return assemble(scatter(n, seed), marks, visual, frame=FRAME, config=config.graph)


def net_of(config, seed=0):
    torch.manual_seed(seed)
    return build_networks(config).distribution.eval()
