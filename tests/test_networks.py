"""Every recipe keeps the contracts of G and D; the pairs are the published ones to the layer."""

import pytest
import torch
from torch import nn

from ganbook.dcgan import (
    SIZES,
    ConvDiscriminator,
    ConvGenerator,
    PoolingDiscriminator,
    StemGenerator,
    StridedDiscriminator,
)
from ganbook.errors import InputError
from ganbook.mlp import Dropout, LineGenerator, MLPDiscriminator, MLPGenerator, PointDiscriminator, PointGenerator
from ganbook.objectives import logits_of
from ganbook.recipes import RECIPES
from ganbook.sampling import cycle_labels, generate


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_contracts(recipe):
    torch.manual_seed(0)
    G, D = recipe.networks()
    z, y = torch.randn(5, G.latent_dim) * 10, cycle_labels(G, 5)
    assert (y is not None) == recipe.labelled
    x = generate(G, z, y)
    assert x.shape[0] == 5 and x.ndim == 4 and -1 <= x.min() and x.max() <= 1
    assert G(z, y).shape == x.shape
    d_loss = recipe.objective.d_loss(D, x, x, y)
    assert d_loss.shape == () and recipe.objective.g_loss(D, x, y).shape == ()
    with torch.no_grad():
        for p in D.parameters():
            p *= 10
    logits = logits_of(D(x * 1000, y))
    assert logits.shape == (5,) and logits.abs().max() > 1  # unbounded: no sigmoid in D


def sizes(net):
    return [(layer.in_features, layer.out_features) for layer in net.modules() if isinstance(layer, nn.Linear)]


def test_mlp_generator_to_the_layer():
    G = MLPGenerator()
    assert sizes(G) == [(100, 256), (256, 512), (512, 1024), (1024, 784)]
    assert sum(p.numel() for p in G.parameters()) == 1_486_352
    assert isinstance(G.net[-2], nn.Tanh)
    assert all(layer.negative_slope == 0.2 for layer in G.modules() if isinstance(layer, nn.LeakyReLU))


def test_mlp_discriminator_to_the_layer():
    D = MLPDiscriminator()
    assert sizes(D) == [(784, 1024), (1024, 512), (512, 256), (256, 1)]
    assert sum(p.numel() for p in D.parameters()) == 1_460_225
    assert [layer.p for layer in D.modules() if isinstance(layer, Dropout)] == [0.3] * 3
    assert all(layer.negative_slope == 0.2 for layer in D.modules() if isinstance(layer, nn.LeakyReLU))


def test_dropout_switches_off():
    D, x = MLPDiscriminator(), torch.randn(4, 1, 28, 28)
    assert not torch.equal(D(x), D(x))
    D.eval()
    assert torch.equal(D(x), D(x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_our_dropout_does_what_pytorchs_does(dtype):
    x = torch.randn(200, 500).to(dtype).requires_grad_()
    for layer in (Dropout(0.3), nn.Dropout(0.3)):
        torch.manual_seed(0)
        out = layer(x)
        kept = out != 0
        # 100,000 draws: the share has a standard deviation of 0.0015, that of a row 0.02, of a column 0.032.
        assert kept.float().mean() == pytest.approx(0.7, abs=0.007), layer
        assert kept.float().mean(1).std() == pytest.approx(0.0205, abs=0.004), layer
        assert kept.float().mean(0).std() == pytest.approx(0.0324, abs=0.005), layer
        exact = {"rtol": 0.01 if dtype == torch.bfloat16 else 1e-6, "atol": 0}
        assert out.dtype == dtype and torch.allclose(out[kept], x[kept] / 0.7, **exact), layer
        (gradient,) = torch.autograd.grad(out.sum(), x)
        assert torch.equal(gradient != 0, kept)
        assert torch.allclose(gradient[kept], torch.tensor(1 / 0.7, dtype=dtype), **exact)
        torch.manual_seed(0)
        assert torch.equal(layer(x), out) and not torch.equal(layer(x), out)
        assert torch.equal(layer.eval()(x), x)
    assert repr(Dropout(0.3)) == repr(nn.Dropout(0.3))


@pytest.mark.parametrize("latent_dim", [1, 2, 16])
def test_the_pair_for_points(latent_dim):
    G, D = PointGenerator(latent_dim), PointDiscriminator()
    x = G(torch.randn(5, latent_dim))
    assert x.shape == (5, 2) and D(x).shape == (5,)
    assert PointDiscriminator(dim=1)(torch.randn(5, 1)).shape == (5,)


def test_sizes_of_the_pair_for_points_are_those_of_their_docstrings():
    for net in (PointGenerator(), PointDiscriminator()):
        assert f"{sum(p.numel() for p in net.parameters()):,} parameters" in type(net).__doc__


def test_the_line_generator_has_the_density_of_its_samples():
    G = LineGenerator(1.5, 0.5)
    torch.manual_seed(0)
    x = G(torch.randn(100_000, 1)).detach().squeeze(1)
    assert x.mean().item() == pytest.approx(1.5, abs=0.01) and x.std().item() == pytest.approx(0.5, abs=0.01)
    expected = torch.distributions.Normal(1.5, 0.5).log_prob(x[:50]).exp()
    torch.testing.assert_close(G.density(x[:50]).detach(), expected)


def convolutions(net):
    """(in, out, kernel, stride, padding) of each convolution, in order."""
    return [
        (m.in_channels, m.out_channels, m.kernel_size[0], m.stride[0], m.padding[0])
        for m in net.modules()
        if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)
    ]


def kinds(net):
    return [type(m).__name__ for m in net.net]


def test_the_generator_of_28_pixels():
    G = StemGenerator()
    assert [(m.in_features, m.out_features) for m in G.modules() if isinstance(m, nn.Linear)] == [
        (100, 1024),
        (1024, 128 * 7 * 7),
    ]
    assert convolutions(G) == [(128, 64, 4, 2, 1), (64, 1, 4, 2, 1)]
    assert [kind for kind in kinds(G) if "Batch" in kind or kind in ("ReLU", "Tanh")] == [
        *["BatchNorm1d", "ReLU"] * 2,
        "BatchNorm2d",
        "ReLU",
        "Tanh",
    ]
    assert sum(p.numel() for p in G.parameters()) == 6_679_105


def test_the_discriminators_of_28_pixels():
    pooling, strided = PoolingDiscriminator(), StridedDiscriminator()
    assert convolutions(pooling) == [(1, 32, 5, 1, 0), (32, 64, 5, 1, 0)]
    assert kinds(pooling).count("MaxPool2d") == 2 and not any("Norm" in kind for kind in kinds(pooling))
    assert [m.in_features for m in pooling.modules() if isinstance(m, nn.Linear)] == [64 * 4 * 4, 1024]
    assert convolutions(strided) == [(1, 64, 4, 2, 1), (64, 128, 4, 2, 1), (128, 1, 7, 1, 0)]
    assert "MaxPool2d" not in kinds(strided) and kinds(strided).count("BatchNorm2d") == 1
    assert [sum(p.numel() for p in D.parameters()) for D in (pooling, strided)] == [1_102_721, 138_689]
    for D in (pooling, strided):
        assert D(torch.zeros(3, 1, 28, 28)).shape == (3,)
        assert all(m.negative_slope == 0.2 for m in D.modules() if isinstance(m, nn.LeakyReLU))


@pytest.mark.parametrize("size, last", [(64, (4, 2, 1)), (96, (5, 3, 1))])
def test_the_published_networks_of_64_and_96_pixels(size, last):
    G, D = ConvGenerator(size), ConvDiscriminator(size)
    grow = [(512, 256), (256, 128), (128, 64)]
    assert convolutions(G) == [(100, 512, 4, 1, 0), *((*pair, 4, 2, 1) for pair in grow), (64, 3, *last)]
    assert convolutions(D) == [
        (3, 64, *last),
        *((small, large, 4, 2, 1) for large, small in reversed(grow)),
        (512, 1, 4, 1, 0),
    ]
    assert kinds(G).count("BatchNorm2d") == 4 and kinds(D).count("BatchNorm2d") == 3
    assert kinds(D)[:3] == ["Conv2d", "LeakyReLU", "Conv2d"]  # no batch norm on what comes from the picture
    layers = [m for m in [*G.modules(), *D.modules()] if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert all(m.bias is None for m in layers)


@pytest.mark.parametrize("size", SIZES)
def test_every_size_on_the_list_is_built(size):
    G, D = ConvGenerator(size, channels=2, width=1, latent_dim=3), ConvDiscriminator(size, channels=2, width=1)
    x = G(torch.randn(2, 3))
    assert x.shape == (2, 2, size, size) and D(x).shape == (2,)
    assert min(sizes_of(G)) == 1 and 4 in sizes_of(G)


def sizes_of(net):
    from ganbook.plots import trace_layers

    return [shape[-1] for _, shape in trace_layers(net, torch.randn(2, net.latent_dim)) if len(shape) == 3]


@pytest.mark.parametrize("size", [0, 4, 28, 40, 65, 100, 512, -64])
@pytest.mark.parametrize("network", [ConvGenerator, ConvDiscriminator])
def test_other_sizes_are_refused_with_those_that_can_be_built(size, network):
    with pytest.raises(InputError, match=f"image size {size} cannot be built.*32, 48, 64, 96, 128"):
        network(size)


def test_initial_weights():
    """N(0, 0.02) and, for batch norm's scale, N(1, 0.02): in every layer with enough of them to tell."""
    for net in (
        StemGenerator(),
        StridedDiscriminator(),
        PoolingDiscriminator(),
        ConvGenerator(),
        ConvDiscriminator(),
    ):
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear) and layer.weight.numel() > 2000:
                assert abs(layer.weight.mean()) < 0.003 and 0.018 < layer.weight.std() < 0.022
            elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                assert abs(layer.weight.mean() - 1) < 0.02 and 0.01 < layer.weight.std() < 0.03
                assert not layer.bias.any()


def test_instance_norm_makes_every_answer_its_own():
    x = torch.randn(4, 3, 16, 16)
    for norm, alone in ((nn.InstanceNorm2d, True), (nn.BatchNorm2d, False)):
        D = ConvDiscriminator(16, width=4, norm=norm)
        assert torch.allclose(D(x)[:2], D(x[:2]), atol=1e-6) is alone


def test_logits_and_loss_are_float32_under_autocast():
    for D, x in (
        (ConvDiscriminator(16, width=4), torch.randn(4, 3, 16, 16)),
        (StridedDiscriminator(), torch.randn(4, 1, 28, 28)),
        (MLPDiscriminator(), torch.randn(4, 1, 28, 28)),
    ):
        with torch.autocast("cpu", torch.bfloat16):
            assert D(x).dtype == torch.float32
