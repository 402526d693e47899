"""What training never comes back from: numbers that are none, a D or a G that gives the same of everything."""

from collections.abc import Sequence

from torch import Tensor, nn

from ganbook.checkpoints import not_finite
from ganbook.sampling import cycle_labels, draw_latents, generate
from ganbook.training import Step

NUMBERS = Step._fields[:4]  # d_loss, g_loss, d_real, d_fake
READ_EVERY = 100  # steps: a read of the losses waits for the device
# What never comes back, noticed at the next read. In the book's runs, 100 steps in a row always had one in which
# D's means on real and fake pictures were 0.18 or more apart; in the first steps of its recipes, two z of one
# label made pictures of which some pixel varied by 0.16 or more.
SAME, FLAT = 1e-5, 1e-4


def trouble(networks: dict[str, nn.Module], numbers: Tensor, n: int) -> str | None:
    """What is wrong at step n, with these networks (one is G) and the last READ_EVERY steps' NUMBERS, (n, 4)."""
    return no_numbers(networks, numbers, n) or stuck(networks["G"], numbers, n)


def no_numbers(
    networks: dict[str, nn.Module], numbers: Tensor, n: int, names: Sequence[str] = NUMBERS
) -> str | None:
    """What is NaN or infinite, of the numbers of the last steps or of the weights."""
    for i, column in (~numbers.isfinite()).nonzero().tolist():
        return f"{names[column]} is {numbers[i, column]:g} at step {n - len(numbers) + 1 + i:,}"
    bad = {name: not_finite(net.state_dict()) for name, net in networks.items()}
    first = next((f"{name} holds a NaN or an infinity in {key}" for name, key in bad.items() if key), None)
    return first and f"{first} at step {n:,}"


def stuck(G: nn.Module, numbers: Tensor, n: int) -> str | None:
    """Which of D and G gives the same, whatever it is given."""
    if len(numbers) < READ_EVERY:
        return None
    if (numbers[:, 2] - numbers[:, 3]).abs().max() < SAME:
        return f"D says the same of every picture, since step {n - READ_EVERY + 1:,} or longer: it is dead"
    z, y = draw_latents(G, 20, seed=0), cycle_labels(G, 10)
    pairs = generate(G, z, y if y is None else y.repeat(2, 1)).unflatten(0, (2, 10))  # two z for each label
    flat = pairs.std(0).max() < FLAT
    return f"G makes the same picture of every z at step {n:,}: it has collapsed" if flat else None
