"""Cross-entropy plus soft Dice over the classes in view, deaf to what lies outside the scan."""

from __future__ import annotations

import torch

from liverimg.training.synthesis import EITHER, IGNORED

_NEVER = -30.0


def segmentation_loss(
    logits: torch.Tensor,
    labels: torch.Tensor,
    class_weights: torch.Tensor,
    *,
    either: tuple[int, int] | None = None,
) -> torch.Tensor:
    """Mean of weighted cross-entropy and of one minus the soft Dice of each class that is in view.

    Args:
        logits: (n, classes, k, j, i).
        labels: (n, k, j, i), uint8, ``IGNORED`` where the scan does not reach, ``EITHER`` where the truth is
            one of two classes and nobody knows which.
        class_weights: (classes,), of the cross-entropy.
        either: The two classes that ``EITHER`` stands for.
    """
    logits = logits.float()
    if either is not None and bool((labels == EITHER).any()):
        logits, labels = _merged(logits, labels, either)
    target = labels.long()
    entropy = torch.nn.functional.cross_entropy(logits, target, weight=class_weights, ignore_index=IGNORED)
    seen = (target != IGNORED).unsqueeze(1)
    classes = logits.shape[1]
    truth = torch.nn.functional.one_hot(target.clamp(max=classes), classes + 1)[..., :classes]
    truth = truth.movedim(-1, 1).to(logits.dtype)
    probability = logits.softmax(dim=1) * seen
    over = tuple(range(2, logits.ndim))
    together = (probability * truth).sum(dim=over)
    size = probability.sum(dim=over) + truth.sum(dim=over)
    present = truth.sum(dim=over) > 0
    present[:, 0] = False
    dice = 2 * together / size.clamp(min=1.0)
    if not bool(present.any()):
        return entropy
    return entropy + (1 - dice[present]).mean()


def _merged(logits: torch.Tensor, labels: torch.Tensor, either: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """The two classes as one: their probabilities add up in the first, the second can't be meant any more."""
    first, second = either
    both = torch.logsumexp(logits[:, list(either)], dim=1)
    columns = list(logits.unbind(dim=1))
    columns[first] = both
    columns[second] = torch.full_like(both, _NEVER)
    target = labels.clone()
    target[(labels == EITHER) | (labels == second)] = first
    return torch.stack(columns, dim=1), target
