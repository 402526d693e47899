"""Drawing pictures from a trained generator, without disturbing it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ganbook.data import draw_rows
from ganbook.errors import InputError
from ganbook.objectives import logits_of

AT_ONCE = 500  # pictures in one forward pass: memory stays bounded however many are asked for


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """Inside: eval mode (dropout off, batch-norm buffers read, not written), no gradients. After: as before."""
    training = [module for module in net.modules() if module.training]
    net.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True


def draw_latents(G: nn.Module, n: int, seed: int | None = None) -> Tensor:
    """n vectors z ~ N(0, I) for G: (n, latent_dim), on G's device. One seed gives one z on every device."""
    if n < 1:
        raise InputError(f"{n} samples cannot be drawn: ask for 1 or more")
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    return torch.randn(n, G.latent_dim, generator=generator).to(next(G.parameters()).device)


def generate(G: nn.Module, z: Tensor, y: Tensor | None = None) -> Tensor:
    """G(z, y) in eval mode, without gradients: (n, latent_dim) -> (n, C, H, W) in [-1, 1]. Changes no buffer."""
    with evaluating(G):
        parts = [
            G(z[i : i + AT_ONCE], None if y is None else y[i : i + AT_ONCE]) for i in range(0, len(z), AT_ONCE)
        ]
    return torch.cat(parts)


def sample(G: nn.Module, n: int, y: Tensor | None = None, seed: int | None = None) -> Tensor:
    """n pictures from G: (n, C, H, W) in [-1, 1].

    With a seed they are the same each time, and torch's own random state is left alone.
    """
    return generate(G, draw_latents(G, n, seed), y)


def draw_labels(labels: Tensor, n: int, even: bool = False, seed: int | None = None) -> Tensor:
    """n labels to ask for, (n,) or (n, L), as often as they occur together in labels (N,) or (N, L).

    Even: each combination that occurs as often as any other, however rare.
    """
    generator = torch.Generator()
    generator.manual_seed(seed) if seed is not None else generator.seed()
    return labels[draw_rows(labels, n, even, generator).to(labels.device)]


def cycle_labels(G: nn.Module, n: int) -> Tensor | None:
    """n labels for a look at G, (n, L): of each kind 0, 1, 2, … and again 0. None for a G that reads no labels."""
    num_classes = getattr(G, "num_classes", None)
    if not num_classes:
        return None
    device = next(G.parameters()).device
    return torch.stack([torch.arange(n, device=device) % count for count in num_classes], 1)


def read_label(text: str, classes: dict[str, Sequence[str]]) -> list[int]:
    """The labels that a text asks for: "7", or "blue hair, red eyes". Raises InputError, which lists the choices.

    `classes` says for each label its name and what it may be; a label's place there is its number.
    """
    known = "; ".join(f"{kind}: {', '.join(values)}" for kind, values in classes.items())
    asked = {}
    for part in text.lower().split(","):
        value, _, kind = part.strip().rpartition(" ")
        value, kind = (value, kind) if value else (kind, next(iter(classes)))
        asked.setdefault(kind, []).append(value)
    right = all(len(asked.get(kind, [])) == 1 and asked[kind][0] in values for kind, values in classes.items())
    if not right or len(asked) > len(classes):
        first = ", ".join(f"{values[0]} {kind}".removesuffix(" digit") for kind, values in classes.items())
        raise InputError(f"--label {text!r} cannot be asked for: say for example {first!r}, of {known}")
    return [list(values).index(asked[kind][0]) for kind, values in classes.items()]


def ask(card: dict, n: int, label: str | None, even: bool, seed: int) -> tuple[Tensor | None, str]:
    """Labels (n, L) for the G of a card, or None if it reads none, and a note for the user.

    Those of `label` ("blue hair, red eyes"); without it, as often as in the data, or all that occur alike.
    """
    if "classes" not in card:
        if label or even:
            raise InputError(f"the G of {card['recipe']} reads no labels: leave out --label and --even")
        return None, ""
    occurring, counts = combinations_of(card)
    if label is None:
        return draw_labels(occurring.repeat_interleave(counts, 0), n, even, seed), ""
    y = torch.tensor([read_label(label, card["classes"])])
    seen = (occurring == y).all(1).any()
    return y.expand(n, -1), "" if seen else f" (no picture in training was labelled {label!r})"


MOST = 2**26  # pictures that a card may speak of: each takes a row in memory


def combinations_of(card: dict) -> tuple[Tensor, Tensor]:
    """The combinations of labels (n, L) that occur in the data of a card, and how often (n,)."""
    try:
        ranges = torch.tensor([len(values) for values in card["classes"].values()])
        table = torch.tensor(card["combinations"])
        occurring, counts = table[:, :-1], table[:, -1]
        right = not table.is_floating_point() and ((occurring >= 0) & (occurring < ranges)).all()
        right = right and counts.min() >= 0 and 0 < counts.sum() <= MOST
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError):
        right = False
    if not right:
        raise InputError("the card of this G does not say which labels occur: train again, or restore card.json")
    return occurring, counts


def class_grid(G: nn.Module, across: bool = False, seed: int = 0) -> Tensor:
    """A row for each value of the first label, a column for each of the second: (rows · columns, C, H, W).

    One z goes down each column, so that it changes its first label alone; `across`, one goes along each row. Of
    one label alone, the columns are as many z as it has values.
    """
    if across and len(G.num_classes) == 1:
        raise InputError("one z along a row of one label gives copies: leave --across out, or take two labels")
    rows, columns = (*G.num_classes, G.num_classes[0])[:2]
    place = torch.cartesian_prod(torch.arange(rows), torch.arange(columns))  # (rows · columns, 2)
    z = draw_latents(G, rows if across else columns, seed)
    y = place[:, : len(G.num_classes)].to(z.device)
    return generate(G, z[place[:, 0 if across else 1].to(z.device)], y)


def sample_best(
    G: nn.Module,
    D: nn.Module,
    n: int,
    of: int,
    mean: float = 0.0,
    std: float = 1.0,
    y: Tensor | None = None,
    seed: int | None = None,
) -> Tensor:
    """Of `of` pictures from z ~ N(mean, std²), the n that D rates most real, best first: (n, C, H, W) in [-1, 1].

    Labels y are those of all `of` pictures.

    Never holds more than n + AT_ONCE pictures. What is gained in looks is lost in variety, so no metric should
    see such a selection. n = of selects nothing, and keeps the order of the z.
    """
    if of < n:
        raise InputError(f"the best {n} of {of} cannot be chosen: draw at least as many as are kept")
    z = mean + std * draw_latents(G, of, seed)
    if n == of:
        return finite(generate(G, z, y))
    kept, scores = torch.empty(0, device=z.device), torch.empty(0, device=z.device)
    for i in range(0, of, AT_ONCE):
        asked = None if y is None else y[i : i + AT_ONCE]
        x = generate(G, z[i : i + AT_ONCE], asked)
        with evaluating(D):
            scores = torch.cat([scores, logits_of(D(x, asked))])
        scores, best = scores.topk(min(n, len(scores)))
        kept = torch.cat([kept, x])[best]
    return finite(kept)


def finite(images: Tensor) -> Tensor:
    """These pictures: as bytes, a NaN would be black without a word. Raises InputError."""
    if not images.isfinite().all():
        raise InputError("G's pictures of these z hold a NaN or an infinity: take a smaller --mean and --std")
    return images
