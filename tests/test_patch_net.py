import numpy as np
import pytest
import torch
from scipy.special import expit, logit
from torch import nn

from calcigraph.config import default, paper
from calcigraph.models import (
    ConfirmNet,
    DescribeNet,
    build_networks,
    confirm_patches,
    describe_patches,
    predict_patches,
)
from calcigraph.models.inverted_residual import InvertedResidual, folded, inverted_residuals
from calcigraph.models.patch_answers import LIKELY
from calcigraph.models.patch_net import SCREEN, ResidualBlock


def nets(config):
    torch.manual_seed(0)
    both = build_networks(config)
    return both.confirm, both.describe


def patches_of(n, channels=2, size=14):
    return np.random.default_rng(0).standard_normal((n, channels, size, size)).astype(np.float32)


def warm(net, channels):
    """Give the normalisations statistics of their own, so that folding them is not trivial."""
    with torch.no_grad():
        for _ in range(3):
            net.train()(torch.as_tensor(2 + 3 * patches_of(64, channels)))
    return net


@pytest.mark.parametrize("config", [default(), paper()])
def test_shapes_ranges_and_weights(config):
    channels = len(config.patch.scales)
    confirm, describe = nets(config)
    probability = predict_patches(confirm, patches_of(5, channels))
    features = predict_patches(describe, patches_of(5, channels))
    assert probability.shape == (5,)
    assert ((probability > 0) & (probability < 1)).all()
    assert features.shape == (5, 64)
    assert (features >= 0).all()
    members = config.confirm.members
    for net, wide, least, most in (
        (confirm, members, members * 20_000, members * 40_000),
        (describe, 1, 50_000, 110_000),
    ):
        assert net(torch.as_tensor(patches_of(5, channels))).shape == (5, wide)
        assert least < sum(p.numel() for p in net.parameters()) < most


def test_no_patches():
    confirm, describe = nets(default())
    assert predict_patches(confirm, patches_of(0)).shape == (0,)
    assert predict_patches(describe, patches_of(0)).shape == (0, 64)


@pytest.mark.parametrize("which", [0, 1])
def test_prediction_is_the_plain_network_in_inference_mode(which):
    net = warm(nets(default())[which], 2)
    patches = patches_of(70)
    answers = predict_patches(net, patches, batch=16)
    assert net.training
    with torch.no_grad():
        plain = net.eval().answer(torch.as_tensor(patches)).numpy()
    np.testing.assert_allclose(answers, plain, atol=1e-5, rtol=1e-4)
    np.testing.assert_allclose(answers, predict_patches(net, patches, batch=512), atol=1e-5, rtol=1e-4)


def half_below_the_screen(net):
    """Patches to half of which the first member gives less than `SCREEN`, once its last layer is set for them."""
    patches = torch.as_tensor(patches_of(40)) * torch.linspace(0, 8, 40)[:, None, None, None]
    last = net.eval().members[0][-1]
    with torch.no_grad():
        last.weight /= net(patches)[:, 0].std()
        last.bias -= net(patches)[:, 0].median() + 3.9
    return patches


def test_the_others_are_asked_only_where_the_first_is_in_doubt():
    net = ConfirmNet(channels=2, members=3)
    patches = half_below_the_screen(net)
    with torch.no_grad():
        logits, answers = net(patches), net.answer(patches)
    worth = torch.sigmoid(logits[:, 0]) >= SCREEN
    assert 5 < worth.sum() < 35
    torch.testing.assert_close(answers[worth], torch.sigmoid(logits[worth].mean(dim=1)))
    torch.testing.assert_close(answers[~worth], torch.sigmoid(logits[~worth, 0]))


def test_the_describing_network_counts_as_much_as_the_confirming_ones_together():
    confirm, describe = ConfirmNet(channels=2, members=3), warm(nets(default())[1], 2).eval()
    patches = half_below_the_screen(confirm)
    with torch.no_grad():
        confirmed, vote = confirm.answer(patches), describe(patches).squeeze(1)
    both = torch.sigmoid((torch.logit(confirmed) + vote) / 2)
    worth = confirmed >= SCREEN
    assert 5 < worth.sum() < 35
    assert (both - confirmed)[worth].abs().min() > 1e-4
    for votes, expected in ((False, confirmed), (True, torch.where(worth, both, confirmed))):
        found = confirm_patches(confirm, describe, patches.numpy(), describe_votes=votes)
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert confirm_patches(confirm, describe, patches_of(0), describe_votes=votes).shape == (0,)


SIDES = [
    lambda p, quarters=quarters, step=step: np.rot90(p[..., ::step], quarters, axes=(2, 3))
    for step in (1, -1)
    for quarters in range(4)
]


def test_a_likely_patch_is_as_likely_from_all_sides():
    confirm, describe = (warm(net, 2).eval() for net in nets(default()))
    patches = patches_of(300)

    def ask(given, all_sides):
        return confirm_patches(confirm, describe, given, describe_votes=True, all_sides=all_sides)

    single = np.stack([ask(side(patches), False) for side in SIDES])
    always, at_times = (single >= LIKELY).all(axis=0), (single >= LIKELY).any(axis=0)
    assert always.sum() > 30 and np.ptp(single[:, always], axis=0).mean() > 1e-3
    expected = expit(np.mean(logit(single), axis=0))
    for side in SIDES:
        np.testing.assert_allclose(ask(side(patches), True)[always], expected[always], atol=1e-6)
    np.testing.assert_array_equal(ask(patches, True)[~at_times], single[0, ~at_times])


def test_a_patch_is_described_alike_from_all_sides():
    _, describe = (warm(net, 2).eval() for net in nets(default()))
    patches = patches_of(20)
    single = np.stack([describe_patches(describe, side(patches)) for side in SIDES])
    np.testing.assert_array_equal(single[0], predict_patches(describe, patches))
    assert np.ptp(single, axis=0).mean() > 1e-3
    for side in SIDES:
        found = describe_patches(describe, side(patches), all_sides=True)
        np.testing.assert_allclose(found, single.mean(axis=0), atol=1e-5)
    assert describe_patches(describe, patches_of(0), all_sides=True).shape == (
        0,
        describe_patches(describe, patches).shape[1],
    )


def test_folding_leaves_no_normalisation_and_the_original_alone():
    net = ConfirmNet(channels=1, members=2)
    once = folded(net)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in once.modules())
    assert any(isinstance(part, nn.BatchNorm2d) for part in net.modules())
    assert folded(once) is once


def test_the_describing_network_has_six_convolutions_beside_its_skips():
    net = DescribeNet(channels=1, visual_dim=64)
    spatial = [m for m in net.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    assert len(spatial) == 6
    assert sum(isinstance(m, ResidualBlock) for m in net.modules()) == 3


def test_an_inverted_residual_adds_what_came_in():
    block = InvertedResidual(8, 8, stride=1, expand=6).eval()
    nn.init.zeros_(block.body[-1][1].weight)
    x = torch.randn(2, 8, 7, 7)
    torch.testing.assert_close(block(x), x)
    assert not InvertedResidual(8, 8, stride=2, expand=6).skips


def test_the_blocks_serve_a_full_mobilenet_v2():
    rows = [
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ]
    blocks = inverted_residuals(32, rows)
    # torchvision's MobileNetV2 has 2,223,872 weights without classifier: stem 928, last 1x1 convolution 412,160.
    assert sum(p.numel() for p in blocks.parameters()) == 2_223_872 - 928 - 412_160
    assert blocks.eval()(torch.zeros(1, 32, 32, 32)).shape == (1, 320, 2, 2)
