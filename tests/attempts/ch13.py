"""Wrong attempts at the exercises of chapter 13."""

from math import atan, degrees, sqrt

import torch
from torch.nn.functional import normalize

from attempts import WRONG, wrong
from ganbook.sampling import generate

TIPS = (1 - sqrt(0.5)) ** 2
WRONG += [
    ("13.1", lambda d: (sqrt(d), sqrt(d / 2), TIPS), "a normal z"),
    ("13.1", lambda d: (sqrt(d / 12), sqrt(d / 24), TIPS), "in [0, 1]"),
    ("13.1", lambda d: (d / 3, d / 6, TIPS), "take the root"),
    ("13.1", lambda d: (sqrt(d / 3), sqrt(d / 12), TIPS), "not the length"),
    ("13.1", lambda d: (sqrt(d / 3), sqrt(d / 3), TIPS), "partly cancel"),
    ("13.1", lambda d: (sqrt(d / 3), sqrt(d / 6), 0), "beyond 1"),
    ("13.1", lambda d: (sqrt(d / 3), sqrt(d / 6), TIPS / 2), "two tips"),
    ("13.1", lambda d: (sqrt(d / 3), sqrt(d / 6), 1 - sqrt(0.5)), "not a box"),
    ("13.1", lambda d: (5.77, 4.08, 0.086), "d = 25"),
    ("13.1", lambda d: (sqrt(d / 3), sqrt(d / 6)), "return three"),
    ("13.2", lambda t: (90 * t, 90 * t), "does not grow evenly"),
    ("13.2", lambda t: (atan(t / (1 - t)), t * atan(1) * 2), "radians"),
    ("13.2", lambda t: (90 * t, degrees(atan(t / (1 - t)))), "exchanged"),
    ("13.2", lambda t: (degrees(atan(t)), 90 * t), "1 - t left"),
    ("13.2", lambda t: (degrees(atan((1 - t) / t)), 90 * t), "at t = 0 you stand at a"),
    ("13.2", lambda t: (18.4349488, 22.5), "t = 0.1"),
    ("13.4", lambda arrow, rows: arrow - (rows[0] @ arrow) * rows[0], "only the first"),
    ("13.4", lambda arrow, rows: arrow - rows.T @ (rows @ arrow), "not at right angles"),
    ("13.4", lambda arrow, rows: torch.linalg.pinv(rows) @ (rows @ arrow), "subtract it"),
    ("13.4", lambda arrow, rows: normalize(arrow - torch.linalg.pinv(rows) @ (rows @ arrow), dim=0), "length"),
]


@wrong("13.4", "not at right angles")
def one_by_one(arrow, rows):
    for row in rows:
        arrow = arrow - (row @ arrow) * row
    return arrow


@wrong("13.4", "more is gone")
def all_of_them(arrow, rows):
    Q, _ = torch.linalg.qr(rows.T)
    return arrow - Q @ (Q.T @ arrow)


def there_and_back(G, z, h, draw=generate):
    tiny = h * torch.eye(z.shape[1])
    return (draw(G, z + tiny) - draw(G, z - tiny)).flatten(1).T


def in_training(G, z):
    with torch.no_grad():
        return G(z)


WRONG += [
    ("13.5", lambda G, z: there_and_back(G, z, 0.01).T / 0.02, "on its side"),
    ("13.5", lambda G, z: there_and_back(G, z, 0.01) / 0.01, "2 times the Jacobian"),
    ("13.5", lambda G, z: there_and_back(G, z, 0.01), "0.02 times"),
    ("13.5", lambda G, z: there_and_back(G, z, 0.01, in_training) / 0.02, "training mode"),
    ("13.5", lambda G, z: there_and_back(G, z, 5) / 10, "small steps"),
    ("13.5", lambda G, z: (generate(G, z + 0.01) - generate(G, z - 0.01)).flatten(1).T / 0.02, "but ("),
]
