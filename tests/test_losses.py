import pytest
import torch
from torch.nn import functional

from calcigraph.models import focal_loss


def sample(n=12, c=5, scale=2.0):
    torch.manual_seed(0)
    return scale * torch.randn(n, c, dtype=torch.float64), torch.randint(c, (n,))


def test_without_focus_softmax_is_cross_entropy():
    logits, y = sample()
    torch.testing.assert_close(
        focal_loss(logits, y, gamma=0, output="softmax"), functional.cross_entropy(logits, y)
    )


def test_without_focus_sigmoid_is_binary_cross_entropy_of_the_one_hot_label():
    logits, y = sample()
    one_hot = functional.one_hot(y, 5).double()
    expected = functional.binary_cross_entropy_with_logits(logits, one_hot, reduction="sum") / len(y)
    torch.testing.assert_close(focal_loss(logits, y, gamma=0, output="sigmoid"), expected)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_equation_9_word_for_word(gamma):
    logits, y = sample()
    p = torch.softmax(logits, 1)[torch.arange(len(y)), y]
    expected = (-((1 - p) ** gamma) * p.log()).mean()
    torch.testing.assert_close(focal_loss(logits, y, gamma=gamma, output="softmax"), expected)
    p = torch.sigmoid(logits)
    pt = torch.where(functional.one_hot(y, 5).bool(), p, 1 - p)
    expected = (-((1 - pt) ** gamma) * pt.log()).sum(1).mean()
    torch.testing.assert_close(focal_loss(logits, y, gamma=gamma, output="sigmoid"), expected)


@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_gradients(output):
    logits, y = sample(4)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: focal_loss(z, y, gamma=2.0, output=output), logits)


@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_huge_logits_have_finite_losses_and_gradients(output, gamma):
    logits = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0]], requires_grad=True)
    value = focal_loss(logits, torch.tensor([0, 0]), gamma=gamma, output=output)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_soft_targets_mix_hard_ones_and_one_hot_equals_classes(output):
    logits, y = sample()
    one_hot = functional.one_hot(y, 5).double()
    hard = focal_loss(logits, y, gamma=2, output=output)
    torch.testing.assert_close(focal_loss(logits, one_hot, gamma=2, output=output), hard)
    other = (y + 1) % 5
    mixed = focal_loss(logits, 0.3 * one_hot + 0.7 * functional.one_hot(other, 5), gamma=2, output=output)
    torch.testing.assert_close(mixed, 0.3 * hard + 0.7 * focal_loss(logits, other, gamma=2, output=output))


def test_no_samples_lose_nothing():
    assert focal_loss(torch.zeros(0, 5), torch.zeros(0, dtype=torch.long), gamma=2, output="softmax") == 0
