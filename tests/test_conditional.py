"""Networks that know labels: what they compute, against the formulas of the papers."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, softplus
from torch.testing import assert_close

from ganbook.conditional import (
    AuxiliaryDiscriminator,
    ConditionalGenerator,
    PlanesDiscriminator,
    ProjectionDiscriminator,
    without_head,
)
from ganbook.data import ImageSet
from ganbook.dcgan import (
    ConvDiscriminator,
    ConvGenerator,
    PoolingDiscriminator,
    StemGenerator,
    StridedDiscriminator,
)
from ganbook.errors import InputError
from ganbook.mlp import MLPDiscriminator, MLPGenerator
from ganbook.objectives import AuxiliaryClassifier, NonSaturating, Smoothing, class_loss
from ganbook.penalties import R1, Penalized
from ganbook.training import fit

DS = [StridedDiscriminator, PoolingDiscriminator, MLPDiscriminator, lambda: ConvDiscriminator(28 + 4, 1, 8)]


def pictures(D, n=6):
    size = 32 if isinstance(D, ConvDiscriminator) else 28
    return torch.rand(n, 1, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("make", [StemGenerator, MLPGenerator, lambda dim: ConvGenerator(16, 1, 8, dim)])
@pytest.mark.parametrize("num_classes", [(10,), (12, 10)])
def test_any_generator_reads_embeddings_behind_z(make, num_classes):
    torch.manual_seed(0)
    inner = make(20 + 4 * len(num_classes))
    G = ConditionalGenerator(inner, num_classes, embedding_dim=4).eval()
    assert G.latent_dim == 20 and G.num_classes == num_classes
    z, y = torch.randn(5, 20), torch.stack([torch.arange(5) % count for count in num_classes], 1)
    joined = torch.cat([z, *(e.weight[column] for e, column in zip(G.embeddings, y.T, strict=True))], 1)
    assert_close(G(z, y), inner(joined))
    if len(num_classes) == 1:
        assert_close(G(z, y), G(z, y[:, 0]))  # (B,) and (B, 1) are the same labels


def test_a_generator_too_narrow_for_its_labels_is_refused():
    with pytest.raises(InputError, match="G reads 32 numbers, the embeddings of 2 label"):
        ConditionalGenerator(StemGenerator(32), (12, 10), 16)


def test_labels_enter_more_softly_than_z():
    """At N(0, 1) G learns the label so early that it never learns z: one picture for each label (LOG.md)."""
    torch.manual_seed(0)
    G = ConditionalGenerator(StemGenerator(200), (50,), 100)
    assert G.embeddings[0].weight.std().item() == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize("kind", [ProjectionDiscriminator, AuxiliaryDiscriminator])
def test_new_heads_begin_as_the_dcgan_does_and_answer_in_float32(kind):
    torch.manual_seed(0)
    D, x, y = kind(StridedDiscriminator(), (10,)), torch.rand(4, 1, 28, 28), torch.arange(4)
    for head in (D.real, D.classes):
        assert head.weight.std().item() == pytest.approx(0.02, abs=0.001)
    with torch.autocast("cpu", torch.bfloat16):
        answer = D(x, y)
    numbers = [answer] if kind is ProjectionDiscriminator else [answer[0], *answer[1]]
    assert all(number.dtype == torch.float32 for number in numbers)


def test_wrong_or_missing_labels_are_named():
    G = ConditionalGenerator(StemGenerator(116), (10,))
    with pytest.raises(InputError, match=r"labels of shape None for networks of 1 label"):
        G(torch.randn(2, 100))
    with pytest.raises(InputError, match=r"labels of shape \(2, 2\) for networks of 1 label"):
        G(torch.randn(2, 100), torch.zeros(2, 2, dtype=torch.int64))
    with pytest.raises(IndexError):
        G(torch.randn(2, 100), torch.tensor([0, 10]))


def test_planes_are_one_where_the_label_is_and_zero_elsewhere():
    seen = []
    D = PlanesDiscriminator(nn.Identity(), (3, 2))
    D.D.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    x = torch.randn(2, 1, 4, 5)
    D(x, torch.tensor([[2, 0], [1, 1]]))
    (joined,) = seen
    assert_close(joined[:, :1], x)
    assert joined.shape == (2, 6, 4, 5)
    assert joined[:, 1:, 3, 4].tolist() == [[0, 0, 1, 1, 0], [0, 1, 0, 0, 1]]
    assert (joined[:, 1:] == joined[:, 1:, :1, :1]).all()


@pytest.mark.parametrize("make", DS)
def test_without_its_head_a_discriminator_gives_what_its_last_layer_reads(make):
    torch.manual_seed(0)
    D = make().eval()
    x = pictures(D)
    body, features = without_head(D)
    head = next(layer for layer in reversed(D.net) if hasattr(layer, "weight"))
    bias = 0 if head.bias is None else head.bias
    assert body(x).shape == (6, features)
    assert_close(body(x) @ head.weight.flatten() + bias, D(x))


@pytest.mark.parametrize("make", DS)
def test_projection_adds_the_score_of_the_label_asked_for(make):
    torch.manual_seed(0)
    inner = make().eval()
    x, y = pictures(inner), torch.tensor([[0, 1], [1, 0], [2, 1], [0, 0], [2, 0], [1, 1]])
    D = ProjectionDiscriminator(inner, (3, 2)).eval()
    phi, V = D.body(x), D.classes.weight
    expected = phi @ D.real.weight[0] + D.real.bias
    for i, (a, b) in enumerate(y.tolist()):  # Miyato and Koyama, section 3: ψ(φ(x)) + y'Vφ(x), here with a bias
        expected[i] += phi[i] @ (V[a] + V[3 + b]) + D.classes.bias[a] + D.classes.bias[3 + b]
    assert_close(D(x, y), expected)
    with torch.no_grad():
        assert not torch.allclose(D(x, y), D(x, y.flip(0)))


def test_an_auxiliary_discriminator_names_each_label_and_does_not_look_at_it():
    torch.manual_seed(0)
    D = AuxiliaryDiscriminator(StridedDiscriminator(), (12, 10)).eval()
    x = pictures(D)
    logits, (hair, eyes) = D(x)
    assert (logits.shape, hair.shape, eyes.shape) == ((6,), (6, 12), (6, 10))
    other, _ = D(x, torch.ones(6, 2, dtype=torch.int64))
    assert_close(logits, other)
    scores = D.classes(D.body(x))
    assert_close(torch.cat([hair, eyes], 1), scores)


class Fixed:
    """An auxiliary D whose answers to real and to fake are given."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def __call__(self, x, y=None):
        return self.answers.pop(0)


def test_the_auxiliary_objective_is_both_losses_of_the_paper():
    torch.manual_seed(0)
    real, fake = torch.randn(2, 7)
    on_real, on_fake = ((torch.randn(7, 3), torch.randn(7, 4)) for _ in range(2))
    y = torch.stack([torch.randint(3, (7,)), torch.randint(4, (7,))], 1)
    source = softplus(-real).mean() + softplus(fake).mean()
    named = [sum(cross_entropy(s, y[:, i]) for i, s in enumerate(scores)) for scores in (on_real, on_fake)]

    def d_loss(objective):
        return objective.d_loss(Fixed((real, on_real), (fake, on_fake)), None, None, y)

    assert_close(d_loss(AuxiliaryClassifier(NonSaturating())), source + named[0])
    assert_close(d_loss(AuxiliaryClassifier(NonSaturating(), on_fakes=True)), source + named[0] + named[1])
    g_loss = AuxiliaryClassifier(NonSaturating()).g_loss(Fixed((fake, on_fake)), None, y)
    assert_close(g_loss, softplus(-fake).mean() + named[1])
    smooth = Smoothing(0.9, 0.1).d_loss(lambda x, y=None: x, real, fake)
    assert_close(d_loss(AuxiliaryClassifier(Smoothing(0.9, 0.1))), smooth + named[0])


def test_perfect_class_logits_cost_nothing_so_no_softmax_stands_before():
    """With a softmax before the cross-entropy the loss could not fall below log(e + K - 1) - 1 = 1.46."""
    y = torch.arange(10)
    assert class_loss((50.0 * torch.eye(10),), y) < 1e-6


WAYS = {
    "planes": lambda: (PlanesDiscriminator(ConvDiscriminator(16, 5, 8), (2,)), NonSaturating()),
    "projection": lambda: (ProjectionDiscriminator(ConvDiscriminator(16, 3, 8), (2,)), NonSaturating()),
    "auxiliary": lambda: (
        AuxiliaryDiscriminator(ConvDiscriminator(16, 3, 8), (2,)),
        AuxiliaryClassifier(NonSaturating()),
    ),
    "auxiliary, penalised": lambda: (
        AuxiliaryDiscriminator(ConvDiscriminator(16, 3, 8, norm=nn.InstanceNorm2d), (2,)),
        Penalized(AuxiliaryClassifier(NonSaturating()), R1(0.1)),
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_fit_teaches_two_labels_by_every_way_without_knowing_it(way):
    """Dark pictures are labelled 0, bright ones 1; the step is the one that trains any GAN."""
    torch.manual_seed(0)
    y = torch.arange(256) % 2
    noise = torch.randint(0, 60, (256, 3, 16, 16))
    data = ImageSet("dark and bright", (noise + 190 * y[:, None, None, None]).to(torch.uint8), y)
    G = ConditionalGenerator(ConvGenerator(16, width=8, latent_dim=8 + 4), (2,), 4)
    D, objective = WAYS[way]()
    for _step in fit(G, D, objective, data, steps=250, batch_size=32, lr=1e-3):
        pass
    G.eval()
    with torch.no_grad():
        dark, bright = (G(torch.randn(64, 8), torch.full((64,), label)).mean().item() for label in (0, 1))
    assert bright - dark > 0.8, (dark, bright)
