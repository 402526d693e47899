"""What each player minimises, in logits.

D(x) = sigmoid(logit), so -log D(x) = softplus(-logit) and -log(1 - D(x)) = softplus(logit).

An objective has two methods, d_loss(D, x, x_fake, y=None) and g_loss(D, x_fake, y=None): real data x and fakes
x_fake are (B, C, H, W) or (B, d), labels y are (B,), the loss is a scalar, a mean over the batch. It calls D on
the real data first and on the fakes second, never on both in one batch.
"""

from torch.nn.functional import relu, softplus


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


class OneSidedSmoothing(NonSaturating):
    """Real data get the target 0.9, fakes 0 (Salimans et al., 2016, section 3.4)."""

    def __init__(self, target: float = 0.9):
        self.target = target

    def d_loss(self, D, x, x_fake, y=None):
        real = D(x, y)
        real_loss = self.target * softplus(-real) + (1 - self.target) * softplus(real)
        return real_loss.mean() + softplus(D(x_fake, y)).mean()


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
