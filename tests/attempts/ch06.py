"""Wrong attempts at the exercises of chapter 06."""

import torch

from attempts import WRONG, wrong
from ganbook.sampling import evaluating

WRONG += [
    ("06.1", lambda n: 0, "the cuts between the parts"),
    ("06.1", lambda n: 1, "across each of the two cuts"),
    ("06.1", lambda n: 2, "valid and test both grow"),
    ("06.1", lambda n: 3, "only train grows"),
    ("06.1", lambda n: n // 5, "keep their order"),
    ("06.2", (4800, 4_915_200), "the whole last kernel"),
    ("06.2", (576, 589_824), "three channels"),
    ("06.2", (3456, 1_769_472), "both networks"),
    ("06.2", (1728, 1728 * 96**2), "not 96 × 96"),
    ("06.2", (1728, 1728 * 64**2), "64 × 64 leave it"),
    ("06.2", (1728, 1728), "more than one"),
    ("06.2", 1728, "two numbers"),
    ("06.2", (1728, 1.07), "not how many times"),
]


def answers(D, x, others):
    return D(x), D(torch.cat([x, others]))[: len(x)]


@wrong("06.3", "eval mode")
def in_eval_mode(D, x, others):
    with evaluating(D):
        return not torch.allclose(*answers(D, x, others))


@wrong("06.3", "in whatever order")
def in_another_order(D, x, others):
    return not torch.allclose(D(x), D(x.flip(0)).flip(0), rtol=1e-3)


@wrong("06.3", "with InstanceNorm2d you say yes")
def of_all_answers(D, x, others):
    return not torch.isclose(D(x).mean(), D(torch.cat([x, others])).mean(), rtol=1e-3)


@wrong("06.3", "with BatchNorm2d you say no")
def the_other_way_round(D, x, others):
    return torch.allclose(*answers(D, x, others), rtol=1e-3)


@wrong("06.3", "asked once")
def together(D, x, others):
    one, two = D(torch.cat([x, others])).chunk(2)
    return not torch.allclose(one, two)


@wrong("06.3", "True or False")
def one_by_one(D, x, others):
    one, two = answers(D, x, others)
    return (one - two).abs() > 1e-3


def pairs(pictures, others):
    return torch.cdist(pictures.flatten(1), others.flatten(1))


WRONG += [
    ("06.5", lambda a, b: pairs(a, b).min(0).values.mean(), "along the other axis"),
    ("06.5", lambda a, b: pairs(a, b).mean().item(), "over all pairs"),
    ("06.5", lambda a, b: pairs(a, b).min(), "the smallest of all"),
    ("06.5", lambda a, b: pairs(a, b).min(1).values.square().mean(), "squares of distances"),
    ("06.5", lambda a, b: pairs(a, b).min(1).values.mean() / a[0].numel() ** 0.5, "per pixel"),
    ("06.5", lambda a, b: pairs(a, b).min(1).values, "one number"),
    ("06.5", lambda a, b: pairs(a, b).min(1).values.median(), "yours is"),
]
