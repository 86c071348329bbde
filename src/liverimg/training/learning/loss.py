"""Cross-entropy plus soft Dice over the classes in view, deaf to what lies outside the scan.

A voxel's label is a class, or a *choice* of classes where the truth is one of several and nobody knows which: veins
of a tree whose kind is unknown, or the background of a data set in which some structures were never outlined. Then
the probabilities of the choice add up, and the network is asked for their sum alone (marginal loss: Fidon et al.,
MICCAI 2021; Shi et al., Medical Image Analysis 70 (2021) 101979).

A class that may hide in every label would be right everywhere, and a network that was rewarded for the sum would call
nothing else. So where a class may hide it is left out of the comparison: the others are told apart as if it were not
there, and it is neither rewarded nor punished. What the network knew of it is kept by :func:`anchor_loss`, in the
manner of Cermelli et al. (CVPR 2020).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from liverimg.training.synthesis.examples import EITHER, IGNORED

_CODES = 256
_NEVER = -1e4


def segmentation_loss(
    logits: torch.Tensor,
    labels: torch.Tensor,
    class_weights: torch.Tensor,
    *,
    either: tuple[int, int] | None = None,
    choices: Mapping[int, Sequence[int]] | None = None,
    hidden: Mapping[int, Sequence[int]] | None = None,
) -> torch.Tensor:
    """Mean of weighted cross-entropy and of one minus the soft Dice of each class that is in view.

    Args:
        logits: (n, classes, k, j, i).
        labels: (n, k, j, i), uint8: a class, a code of ``choices``, ``EITHER``, or ``IGNORED`` where nothing is
            known (outside the scan).
        class_weights: (classes,), of the cross-entropy. A choice weighs what its first class does.
        either: The two classes that ``EITHER`` stands for.
        choices: For each label value above the classes, the classes it may stand for, the main one first.
        hidden: For each of these, the classes that are not meant by it and may only hide in it.
    """
    allowed = dict(choices or {})
    if either is not None:
        allowed[EITHER] = either
    present = set(torch.unique(labels).tolist())
    present.discard(IGNORED)
    logits = logits.float()
    if all(len(allowed.get(code, (0,))) == 1 for code in present):
        return _exact_loss(logits, _simplified(labels, allowed, present), class_weights)
    logits = _without_hidden(logits, labels, hidden or {})
    return _marginal_loss(logits, labels, class_weights, {c: tuple(allowed.get(c, (c,))) for c in sorted(present)})


def _simplified(labels: torch.Tensor, allowed: Mapping[int, Sequence[int]], present: set[int]) -> torch.Tensor:
    """Codes that stand for one class, written as that class."""
    if not any(code in allowed for code in present):
        return labels
    table = torch.arange(_CODES, device=labels.device)
    for code in present & set(allowed):
        table[code] = allowed[code][0]
    return table[labels.long()]


def _exact_loss(logits: torch.Tensor, labels: torch.Tensor, class_weights: torch.Tensor) -> torch.Tensor:
    target = labels.long()
    entropy = torch.nn.functional.cross_entropy(logits, target, weight=class_weights, ignore_index=IGNORED)
    if not bool(entropy.isfinite()):  # nothing but ignored voxels
        return logits.sum() * 0.0
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


def _without_hidden(logits: torch.Tensor, labels: torch.Tensor, hidden: Mapping[int, Sequence[int]]) -> torch.Tensor:
    """The same, but where a class may hide its probability is nothing and no gradient reaches it."""
    if not hidden:
        return logits
    return logits.masked_fill(_allowed(labels, hidden, logits.shape[1]), _NEVER)


def _allowed(labels: torch.Tensor, sets: Mapping[int, Sequence[int]], classes: int) -> torch.Tensor:
    """Which classes the set of each voxel's label holds, (n, classes, k, j, i); none for labels without a set."""
    table = torch.zeros(_CODES, classes, dtype=torch.bool, device=labels.device)
    for code, members in sets.items():
        table[code, list(members)] = True
    return table[labels.long()].movedim(-1, 1)


def anchor_loss(
    logits: torch.Tensor,
    before: torch.Tensor,
    labels: torch.Tensor,
    choices: Mapping[int, Sequence[int]],
    hidden: Mapping[int, Sequence[int]],
) -> torch.Tensor:
    """How far the network strays, among the classes that a voxel's label allows, from what it believed before.

    Cross-entropy of the conditional probabilities, each voxel weighing what the network had on the allowed classes.
    What the label itself says, the sum of these probabilities, takes no part.

    Args:
        logits: (n, classes, k, j, i).
        before: The same of the network that training went on from.
        labels: (n, k, j, i), uint8.
        choices: Classes that a label allows.
        hidden: Those of them that may only hide in it; labels without any take no part.
    """
    here = {code: choices[code] for code, members in hidden.items() if len(members)}
    allowed = _allowed(labels, here, logits.shape[1])
    anywhere = allowed.any(dim=1)
    if not bool(anywhere.any()):
        return logits.sum() * 0.0
    # A large number and no infinity: times a belief of zero it has to be zero.
    belief = before.float().softmax(dim=1) * allowed
    weight = belief.sum(dim=1)
    belief = belief / weight.clamp(min=1e-6).unsqueeze(1)
    inside = logits.float().masked_fill(~allowed, _NEVER).log_softmax(dim=1)
    return -((belief * inside).sum(dim=1) * weight).sum() / weight.sum().clamp(min=1.0)


def _marginal_loss(
    logits: torch.Tensor, labels: torch.Tensor, class_weights: torch.Tensor, sets: Mapping[int, tuple[int, ...]]
) -> torch.Tensor:
    """The loss over sets of classes, one per label value that occurs.

    A class that a voxel's set allows is never counted against another set there: portal vein in the background of a
    data set without veins is no false liver, although in its liver the portal vein would be right.
    """
    if not sets:
        return logits.sum() * 0.0
    classes = logits.shape[1]
    codes = list(sets)
    member = torch.zeros(len(codes), classes, dtype=torch.bool, device=logits.device)
    for row, code in enumerate(codes):
        member[row, list(sets[code])] = True
    where = torch.stack([labels == code for code in codes], dim=1)  # (n, sets, k, j, i)
    log_p = logits.log_softmax(dim=1)
    entropy_sum, weight_sum = logits.new_zeros(()), logits.new_zeros(())
    for row, code in enumerate(codes):
        right = torch.logsumexp(log_p[:, list(sets[code])], dim=1)
        weight = class_weights[sets[code][0]]
        entropy_sum = entropy_sum - weight * (right * where[:, row]).sum()
        weight_sum = weight_sum + weight * where[:, row].sum()
    entropy = entropy_sum / weight_sum
    dice = _set_dice(log_p.exp(), where, member, [sets[code] for code in codes])
    return entropy if dice is None else entropy + (1 - dice).mean()


def _set_dice(
    probability: torch.Tensor, where: torch.Tensor, member: torch.Tensor, sets: Sequence[tuple[int, ...]]
) -> torch.Tensor | None:
    """Soft Dice of each set in view that does not allow the background; None when there is none."""
    over_sets = where.flatten(2).to(probability.dtype)
    # Mass of each class over the voxels of each set, (n, sets, classes): all that the Dice needs.
    mass = torch.bmm(over_sets, probability.flatten(2).transpose(1, 2))
    count = over_sets.sum(dim=2)
    found = []
    for row, own in enumerate(sets):
        if 0 in own:
            continue
        inside = mass[:, row, list(own)].sum(dim=1)
        size = count[:, row] + inside
        for other in range(len(sets)):
            if other != row:
                wrong = member[row] & ~member[other]
                size = size + (mass[:, other] * wrong).sum(dim=1)
        dice = 2 * inside / size.clamp(min=1.0)
        found.append(dice[count[:, row] > 0])
    dices = torch.cat(found) if found else probability.new_zeros(0)
    return dices if len(dices) else None
