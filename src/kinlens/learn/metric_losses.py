"""Losses that shape a space of pictures: by triplets, by anchors, and by how common classes are.

They know embeddings, logits and labels; the network is in `metric_network`.

Everywhere, `embeddings` is (B, K), `labels` (B,) int64 and `logits` (B, n_classes).
"""

from __future__ import annotations

from typing import Any

from kinlens.optional import need

torch = need("torch")

__all__ = ["adjusted_logits", "alignment_loss", "reciprocal_triplet_loss"]

# Two pictures at the same place would push each other infinitely hard.
_NEAREST = 1e-3


def reciprocal_triplet_loss(embeddings: Any, labels: Any, weights: Any | None = None) -> Any:
    """Draw pictures of one class together, and push the nearest of another class away.

    The mean, over all pairs of two pictures of one class, of ``d_ap + 1 / d_an``: squared
    Euclidean distances, the negative being the nearest picture of another class in the batch.

    Parameters
    ----------
    embeddings, labels : tensor
        See above.
    weights : tensor of shape (n_classes,), optional
        How much each class counts.

    Returns
    -------
    tensor, scalar
        0 when the batch has no two pictures of one class beside one of another.

    References
    ----------
    Masullo, A., Burghardt, T., Damen, D., Perrett, T. & Mirmehdi, M. (2019). Who goes there?
    Exploiting silhouettes and wearable signals for subject identification in multi-person
    environments. ICCV workshops, for the reciprocal form.

    Examples
    --------
    >>> places = torch.tensor([[0.0], [1.0], [3.0]])
    >>> float(reciprocal_triplet_loss(places, torch.tensor([0, 0, 1]))).__round__(3)
    1.181
    """
    squares = torch.cdist(embeddings, embeddings).square()  # (B, B)
    same = labels[:, None] == labels[None, :]
    pairs = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    usable = pairs & (~same).any(dim=1, keepdim=True)
    if not bool(usable.any()):
        return embeddings.sum() * 0.0
    nearest = squares.masked_fill(same, float("inf")).amin(dim=1).clamp_min(_NEAREST)
    losses = squares + (1.0 / nearest)[:, None]  # (B, B)
    share = torch.ones_like(nearest) if weights is None else weights[labels]
    share = share[:, None] * usable
    return (losses * share).sum() / share.sum().clamp_min(1e-12)


def alignment_loss(embeddings: Any, labels: Any, anchors: Any, *, margin: float = 0.5) -> Any:
    """Draw pictures to their species' anchor and off all others, by cosine.

    The mean of ``(1 - cos(g, v+)) + relu(cos(g, v-) - margin)``, where the second part is the mean
    over all anchors of other species. Pictures of a species without anchor do not count.

    Parameters
    ----------
    embeddings, labels : tensor
        See above.
    anchors : tensor of shape (n_classes, K)
        A row of zeros stands for no anchor.
    margin : float
        The cosine with another anchor that is free of charge.

    References
    ----------
    Karaderi, T., Burghardt, T., Morard, R. & Schmidt, D. (2024). Deep visual-genetic biometrics for
    taxonomic classification of rare species. WACV, 7114-7124.

    Examples
    --------
    >>> anchors = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> float(alignment_loss(anchors, torch.tensor([0, 1]), anchors))
    0.0
    """
    has_anchor = anchors.abs().sum(dim=1) > 0
    known = has_anchor[labels]
    if not bool(known.any()):
        return embeddings.sum() * 0.0
    places = torch.nn.functional.normalize(embeddings[known], dim=1)
    cosines = places @ torch.nn.functional.normalize(anchors, dim=1).T  # (B, n_classes)
    own = torch.nn.functional.one_hot(labels[known], len(anchors)).bool()
    others = has_anchor[None, :] & ~own
    pushed = (cosines - margin).clamp_min(0.0) * others
    pushed = pushed.sum(dim=1) / others.sum(dim=1).clamp_min(1)
    return (1.0 - cosines[own] + pushed).mean()


def adjusted_logits(logits: Any, log_prior: Any, *, strength: float = 1.0) -> Any:
    """Add the log of how common classes are, so that what is learned is not to be common.

    Parameters
    ----------
    logits : tensor
        See above.
    log_prior : tensor of shape (n_classes,)
        Log of each class's share of training pictures; minus infinity for a class without any.
    strength : float
        1 is right for balanced accuracy.

    References
    ----------
    Menon, A. K. et al. (2021). Long-tail learning via logit adjustment. ICLR, equation 10.

    Examples
    --------
    >>> adjusted_logits(torch.zeros(1, 2), torch.tensor([0.9, 0.1]).log()).argmax().item()
    0
    """
    return logits + strength * log_prior.clamp_min(-30.0)
