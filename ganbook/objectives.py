"""What each player minimises, in logits.

D(x) = sigmoid(logit), so -log D(x) = softplus(-logit) and -log(1 - D(x)) = softplus(logit).

An objective has two methods, d_loss(D, x, x_fake, y=None) and g_loss(D, x_fake, y=None): real data x and fakes
x_fake are (B, C, H, W) or (B, d), labels y are (B,), the loss is a scalar, a mean over the batch. It calls D on
the real data first and on the fakes second, never on both in one batch.
"""

import torch
from torch.nn.functional import cross_entropy, relu, softplus


class Minimax:
    """Goodfellow et al. (2014), eq. 1.

    min_G max_D  E[log D(x)] + E[log(1 - D(G(z)))]
    """

    def d_loss(self, D, x, x_fake, y=None):
        return softplus(-D(x, y)).mean() + softplus(D(x_fake, y)).mean()

    def g_loss(self, D, x_fake, y=None):
        return -softplus(D(x_fake, y)).mean()


class NonSaturating(Minimax):
    """The same D; G maximises log D(G(z)), steep where G loses (ibid., section 3)."""

    def g_loss(self, D, x_fake, y=None):
        return softplus(-D(x_fake, y)).mean()


class Smoothing(NonSaturating):
    """Targets alpha for real data and beta for fakes, not 1 and 0; G plays as before.

    beta = 0 is one-sided (Salimans et al., 2016, section 3.4). With `waver` each target
    is drawn anew, uniform within ± waver; the loss is linear in it, its mean decides.
    """

    def __init__(self, alpha: float = 0.9, beta: float = 0.0, waver: float = 0.0):
        self.alpha, self.beta, self.waver = alpha, beta, waver

    def d_loss(self, D, x, x_fake, y=None):
        real, fake = D(x, y), D(x_fake, y)
        return self.towards(self.alpha, real) + self.towards(self.beta, fake)

    def towards(self, target, logits):
        if self.waver:
            target = target + self.waver * (2 * torch.rand_like(logits) - 1)
        return (target * softplus(-logits) + (1 - target) * softplus(logits)).mean()


class LeastSquares:
    """Mao et al. (2017), eq. 9: D goes for 1 on real data and 0 on fakes, G for 1."""

    def d_loss(self, D, x, x_fake, y=None):
        return (D(x, y) - 1).square().mean() / 2 + D(x_fake, y).square().mean() / 2

    def g_loss(self, D, x_fake, y=None):
        return (D(x_fake, y) - 1).square().mean() / 2


class Wasserstein:
    """Arjovsky, Chintala and Bottou (2017): a difference of means.

    It means something only while a penalty keeps D from being steep.
    """

    def d_loss(self, D, x, x_fake, y=None):
        return -D(x, y).mean() + D(x_fake, y).mean()

    def g_loss(self, D, x_fake, y=None):
        return -D(x_fake, y).mean()


class Hinge(Wasserstein):
    """Lim and Ye (2017): answers beyond 1 (real) and -1 (fake) win D nothing more."""

    def d_loss(self, D, x, x_fake, y=None):
        return relu(1 - D(x, y)).mean() + relu(1 + D(x_fake, y)).mean()


class Relativistic:
    """Jolicoeur-Martineau (2018), in pairs: D compares a real with a fake, and each
    player minimises its side of log sigmoid(D(x) - D(x_fake)).

    Being called fake is no longer a fixed fate: a fake is judged beside a real one.
    G's turn needs real data for that: those of D's turn are kept.
    """

    def d_loss(self, D, x, x_fake, y=None):
        self.x = x
        return softplus(D(x_fake, y) - D(x, y)).mean()

    def g_loss(self, D, x_fake, y=None):
        return softplus(D(self.x, y) - D(x_fake, y)).mean()


class AuxiliaryClassifier:
    """`base` plays real against fake; D also learns to name the labels of real data,
    and G to have its own named (Odena, Olah and Shlens, 2017: L_S and L_C).

    D returns logits and class logits: ganbook.conditional.AuxiliaryDiscriminator. As
    published, D learns the names from fakes as well: on_fakes=True.
    """

    def __init__(self, base, on_fakes: bool = False):
        self.base, self.on_fakes = base, on_fakes

    def d_loss(self, D, x, x_fake, y):
        heard = Logits(D)
        loss = self.base.d_loss(heard, x, x_fake, y) + class_loss(heard.scores[0], y)
        return loss + class_loss(heard.scores[1], y) if self.on_fakes else loss

    def g_loss(self, D, x_fake, y):
        heard = Logits(D)
        return self.base.g_loss(heard, x_fake, y) + class_loss(heard.scores[0], y)


class Logits:
    """D as its `base` objective knows it, with logits alone; the class logits are kept."""

    def __init__(self, D):
        self.D, self.scores = D, []

    def __call__(self, x, y=None):
        logits, scores = self.D(x, y)
        self.scores.append(scores)
        return logits


def logits_of(answer):
    """The logits in what any D answers: an auxiliary D gives class logits as well."""
    return answer[0] if isinstance(answer, tuple) else answer


def class_loss(scores, y):
    """-log of the softmax at the label, summed over the labels: no softmax before."""
    labels = y.reshape(len(y), -1).T
    return sum(cross_entropy(s, y_l) for s, y_l in zip(scores, labels, strict=True))
