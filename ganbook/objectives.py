"""What each player minimises, in logits.

D(x) = sigmoid(logit), so -log D(x) = softplus(-logit) and -log(1 - D(x)) = softplus(logit). Each loss is a mean over the batch.
An objective calls D on the real pictures first and on the fakes second, never on both in one batch.
"""

from torch import Tensor, nn
from torch.nn.functional import softplus


class Minimax:
    """Goodfellow et al. (2014), eq. 1: min_G max_D  E[log D(x)] + E[log(1 - D(G(z)))]."""

    def d_loss(self, D: nn.Module, x: Tensor, x_fake: Tensor, y: Tensor | None = None) -> Tensor:
        return softplus(-D(x, y)).mean() + softplus(D(x_fake, y)).mean()

    def g_loss(self, D: nn.Module, x_fake: Tensor, y: Tensor | None = None) -> Tensor:
        return -softplus(D(x_fake, y)).mean()


class NonSaturating(Minimax):
    """The same D; G maximises log D(G(z)) (Goodfellow et al., 2014, section 3), steep where G is losing."""

    def g_loss(self, D: nn.Module, x_fake: Tensor, y: Tensor | None = None) -> Tensor:
        return softplus(-D(x_fake, y)).mean()
