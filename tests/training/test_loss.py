"""The loss with labels that stand for one of several classes."""

import pytest
import torch

from liverimg.training.learning.loss import anchor_loss, segmentation_loss
from liverimg.training.synthesis.examples import EITHER, IGNORED

BACKGROUND, LIVER, TUMOUR, VEIN = range(4)
# A data set with liver alone: the vein may hide in its liver and in its background, the tumour in its liver.
HIDING = {200: (BACKGROUND, VEIN), 201: (LIVER, TUMOUR, VEIN)}
HIDDEN = {200: (VEIN,), 201: (TUMOUR, VEIN)}
WEIGHTS = torch.ones(4)


def _certain(classes: torch.Tensor) -> torch.Tensor:
    return 30.0 * torch.nn.functional.one_hot(classes.long(), 4).movedim(-1, 1).float()


def _halves() -> torch.Tensor:
    """Left half background, right half liver, in the data set's codes."""
    labels = torch.full((1, 4, 4, 8), 200, dtype=torch.uint8)
    labels[..., 4:] = 201
    return labels


@pytest.mark.parametrize("inside", [LIVER, TUMOUR, VEIN])
@pytest.mark.parametrize("outside", [BACKGROUND, VEIN])
def test_what_nobody_labelled_may_be_found_without_cost(inside: int, outside: int) -> None:
    said = torch.full((1, 4, 4, 8), outside)
    said[..., 4:] = inside
    assert float(segmentation_loss(_certain(said), _halves(), WEIGHTS, choices=HIDING)) < 1e-3


@pytest.mark.parametrize(("inside", "outside"), [(BACKGROUND, BACKGROUND), (LIVER, LIVER), (LIVER, TUMOUR)])
def test_what_was_labelled_is_still_asked_for(inside: int, outside: int) -> None:
    said = torch.full((1, 4, 4, 8), outside)
    said[..., 4:] = inside
    assert float(segmentation_loss(_certain(said), _halves(), WEIGHTS, choices=HIDING)) > 1


def test_hidden_classes_are_neither_rewarded_nor_punished() -> None:
    torch.manual_seed(2)
    logits = torch.randn(1, 4, 4, 4, 8, requires_grad=True)
    segmentation_loss(logits, _halves(), WEIGHTS, choices=HIDING, hidden=HIDDEN).backward()
    assert float(logits.grad[0, VEIN].abs().max()) == 0  # it may hide on both sides
    assert float(logits.grad[0, TUMOUR][..., 4:].abs().max()) == 0  # in the liver only
    assert float(logits.grad[0, TUMOUR][..., :4].min()) > 0  # outside of it a step lowers the tumour
    assert float(logits.grad[0, LIVER][..., :4].min()) > 0
    assert float(logits.grad[0, LIVER][..., 4:].max()) < 0
    found = logits.detach().clone()
    found[:, VEIN] += 5.0 * torch.rand(1, 4, 4, 8)
    pair = (logits.detach(), found)
    losses = [float(segmentation_loss(x, _halves(), WEIGHTS, choices=HIDING, hidden=HIDDEN)) for x in pair]
    assert losses[0] == pytest.approx(losses[1])


def test_a_class_that_may_hide_everywhere_does_not_take_over() -> None:
    """Rewarded for the sum, the vein would be called everywhere: it is right on both sides."""
    shares = {}
    for hidden in ({}, HIDDEN):
        logits = torch.zeros(1, 4, 4, 4, 8, requires_grad=True)
        bias = torch.zeros(1, 4, 1, 1, 1, requires_grad=True)  # what all voxels share, as in a network
        optimiser = torch.optim.SGD([{"params": [bias], "lr": 2.0}, {"params": [logits], "lr": 1.0}])
        for _ in range(200):
            optimiser.zero_grad()
            segmentation_loss(logits + bias, _halves(), WEIGHTS, choices=HIDING, hidden=hidden).backward()
            optimiser.step()
        with torch.no_grad():
            shares[bool(hidden)] = float((logits + bias).softmax(dim=1)[0, VEIN].mean())
    assert shares[False] > 0.5
    assert shares[True] < 0.25


def test_what_was_believed_before_is_held_on_to() -> None:
    labels = _halves()
    before = torch.randn(1, 4, 4, 4, 8)
    same = float(anchor_loss(before, before, labels, HIDING, HIDDEN))
    other = float(anchor_loss(torch.randn(1, 4, 4, 4, 8), before, labels, HIDING, HIDDEN))
    assert same < other
    logits = before.clone().requires_grad_(True)
    anchor_loss(logits, before, labels, HIDING, HIDDEN).backward()
    assert float(logits.grad.abs().max()) < 1e-6  # nothing to change
    shifted = before.clone()
    shifted[:, LIVER, :, :, :4] += 3.0  # not among what the background allows: the label's own matter
    assert float(anchor_loss(shifted, before, labels, HIDING, HIDDEN)) == pytest.approx(same, abs=1e-5)
    assert float(anchor_loss(before, before, torch.ones_like(labels), HIDING, HIDDEN)) == 0


def test_choices_of_one_class_are_that_class() -> None:
    torch.manual_seed(3)
    logits = torch.randn(2, 4, 3, 4, 5)
    plain = torch.randint(0, 4, (2, 3, 4, 5), dtype=torch.uint8)
    plain[0, 0] = IGNORED
    coded = plain.clone()
    coded[plain == TUMOUR] = 203
    weights = torch.tensor([1.0, 1.0, 2.5, 2.0])
    expected = segmentation_loss(logits, plain, weights)
    assert torch.equal(segmentation_loss(logits, coded, weights, choices={203: (TUMOUR,)}), expected)


def test_sets_that_do_not_overlap_are_merged_classes() -> None:
    """With tumour and vein as one class throughout, the loss is that of a network with one class for both."""
    torch.manual_seed(5)
    logits = torch.randn(1, 4, 4, 4, 4)
    labels = torch.randint(0, 3, (1, 4, 4, 4), dtype=torch.uint8)
    coded = labels.clone()
    coded[labels == TUMOUR] = EITHER
    both = torch.logsumexp(logits[:, [TUMOUR, VEIN]], dim=1, keepdim=True)
    merged = segmentation_loss(torch.cat([logits[:, :2], both], dim=1), labels, torch.ones(3))
    found = segmentation_loss(logits, coded, WEIGHTS, either=(TUMOUR, VEIN))
    assert float(found) == pytest.approx(float(merged), rel=1e-5)


def test_ignored_voxels_do_not_count_among_choices() -> None:
    labels = _halves()
    labels[:, 0] = IGNORED
    torch.manual_seed(1)
    logits = torch.randn(1, 4, 4, 4, 8)
    other = logits.clone()
    other[:, :, 0] += 3 * torch.randn(1, 4, 4, 8)
    losses = [float(segmentation_loss(x, labels, WEIGHTS, choices=HIDING)) for x in (logits, other)]
    assert losses[0] == pytest.approx(losses[1])


@pytest.mark.parametrize("choices", [None, HIDING])
def test_a_patch_without_any_known_voxel_costs_nothing(choices: dict[int, tuple[int, ...]] | None) -> None:
    labels = torch.full((1, 4, 4, 4), IGNORED, dtype=torch.uint8)
    logits = torch.randn(1, 4, 4, 4, 4, requires_grad=True)
    loss = segmentation_loss(logits, labels, WEIGHTS, choices=choices)
    loss.backward()
    assert float(loss.detach()) == 0
    assert float(logits.grad.abs().max()) == 0
