"""What each player minimises, in logits.

D(x) = sigmoid(logit), so -log D(x) = softplus(-logit) and -log(1 - D(x)) = softplus(logit).

An objective has two methods, d_loss(D, x, x_fake, y=None) and g_loss(D, x_fake, y=None): real pictures x and
fakes x_fake are (B, C, H, W), labels y are (B,), the loss is a scalar, a mean over the batch. It calls D on the
real pictures first and on the fakes second, never on both in one batch.
"""

from torch.nn.functional import softplus


class Minimax:
    """Goodfellow et al. (2014), eq. 1: min_G max_D  E[log D(x)] + E[log(1 - D(G(z)))]."""

    def d_loss(self, D, x, x_fake, y=None):
        return softplus(-D(x, y)).mean() + softplus(D(x_fake, y)).mean()

    def g_loss(self, D, x_fake, y=None):
        return -softplus(D(x_fake, y)).mean()


class NonSaturating(Minimax):
    """The same D; G maximises log D(G(z)) (ibid., section 3): steep where G is losing."""

    def g_loss(self, D, x_fake, y=None):
        return softplus(-D(x_fake, y)).mean()
