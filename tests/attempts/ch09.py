"""Wrong attempts at the exercises of chapter 09."""

from attempts import WRONG

WRONG += [
    ("09.2", (0, 0), "Y is skewed"),
    ("09.2", (0, 1.5), "that of the third, too"),
    ("09.2", (0, 6.75), "factor of 3"),
    ("09.2", ((1 - 0.8**0.5) ** 2, 2.25), "work out both of Y"),
    ("09.2", (0, 2.56), "but the means of the kernel"),
    ("09.2", 2.25, "two numbers"),
    ("09.3", lambda x, n: x.var(0).sum() / n, "both do"),
    ("09.3", lambda x, n: 2 * x.var(0).sum(), "divide the variance by n"),
    ("09.3", lambda x, n: 2 * x.var(0).sum() / n**0.5, "falls as 1/n"),
    ("09.3", lambda x, n: 2 * x.var(0).mean() / n, "is a sum, not a mean"),
    ("09.3", lambda x, n: 2 * x.var(0).sum() / len(x), "how many are in a set"),
    ("09.3", lambda x, n: 2 * x.std(0).sum() / n, "not standard deviations"),
    ("09.3", lambda x, n: 2 * x.square().sum(1).mean() / n, "about the mean"),
    ("09.3", lambda x, n: (2 * x.var(0).sum() / n).sqrt(), "a thousand pairs"),
    ("09.5", lambda k, n, m: (n / (n + m)) ** k, "*without* a fake"),
    ("09.5", lambda k, n, m: 1 - 0.5**k, "use n and m"),
    ("09.5", lambda k, n, m: 1 - (m / (n + m)) ** k, "exchanged"),
    ("09.5", lambda k, n, m: 1 - (n / (n + m)) ** (k - 1), "not k - 1"),
    ("09.5", lambda k, n, m: m / (n + m), "more room"),
    ("09.5", lambda k, n, m: min(1, k * m / (n + m)), "the package measures"),
]
