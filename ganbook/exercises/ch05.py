"""Checkers of chapter 05, The DCGAN."""

import torch
from torch import nn
from torch.nn.functional import conv_transpose2d, interpolate

from ganbook.convolution import receptive_field
from ganbook.exercises import exercise, expect, number
from ganbook.mlp import PointDiscriminator, PointGenerator
from ganbook.objectives import NonSaturating
from ganbook.toys import ring


@exercise("05.3")
def resize_then_convolve(answer):
    """twice the size by repeating pixels, then 9 weights where there were 16"""
    layer, x = nn.ConvTranspose2d(5, 3, 4, 2, 1), torch.randn(2, 5, 7, 7)
    module = answer(layer)
    expect(isinstance(module, nn.Module), "return a module, which stands in the place of the layer")
    kinds = [type(m) for m in module.modules()]
    expect(nn.ConvTranspose2d not in kinds, "there is still a transposed convolution in it")
    convs = [m for m in module.modules() if isinstance(m, nn.Conv2d)]
    expect(len(convs) == 1, f"it has {len(convs)} layers nn.Conv2d: it takes one")
    (conv,) = convs
    channels = (conv.in_channels, conv.out_channels)
    expect(channels == (5, 3), f"from {channels[0]} to {channels[1]} channels; those of the layer are 5 and 3")
    expect(conv.kernel_size == (3, 3), f"its kernel is {conv.kernel_size[0]}; the exercise asks for 3")
    expect(conv.bias is not None, "the bias is missing: the layer that it stands for has one")
    found = module(x)
    side = found.shape[-1]
    expect(side != 7, "it does not double: 7 × 7 stays 7 × 7")
    expect(side != 12, "14 has become 12: a kernel of 3 needs padding 1 to keep the size")
    expect(found.shape == (2, 3, 14, 14), f"of {tuple(x.shape)} it makes {tuple(found.shape)}")
    late, smooth = interpolate(conv(x), scale_factor=2), conv(interpolate(x, scale_factor=2, mode="bilinear"))
    expect(
        not found.allclose(late, atol=1e-5), "it repeats pixels last, so it draws blocks of 2 × 2: convolve after"
    )
    expect(
        not found.allclose(smooth, atol=1e-5), "it interpolates between pixels; here each is repeated (nearest)"
    )
    expect(
        found.allclose(conv(interpolate(x, scale_factor=2)), atol=1e-5), "it is not: repeat pixels, then convolve"
    )


@exercise("05.4")
def kept_sd(answer):
    """the standard deviation that keeps the signal, by the number of inputs that are added up"""
    up = nn.ConvTranspose2d(24, 7, 4, 2, 1)
    taps = conv_transpose2d(torch.ones(1, 1, 7, 7), torch.ones(1, 1, 4, 4), stride=2, padding=1)[0, 0, 6, 6].item()
    for layer, n, all_n, out in ((nn.Linear(48, 9), 48, 48, 9), (up, taps * 24, 16 * 24, 16 * 7)):
        for rectified in (False, True):
            kept, found = (1 + rectified) / n, number(answer(layer, rectified)).item()
            where = f"{type(layer).__name__}, rectified = {rectified}"
            mistakes = {
                "that is the variance of the weights: take its root": kept,
                "behind a ReLU half of the mean square is left, so the weights' variance has to be doubled": (
                    (1 / n) ** 0.5 if rectified else None
                ),
                "the half is on the wrong side: the ReLU loses signal, the weights make up for it": (
                    (0.5 / n) ** 0.5 if rectified else None
                ),
                "these inputs are not rectified: all of their mean square is there": (
                    (2 / n) ** 0.5 if not rectified else None
                ),
                "an output pixel gets 2 × 2 of the 16 taps, not all": ((1 + rectified) / all_n) ** 0.5
                if all_n != n
                else None,
                "an output pixel gets 2 × 2 taps of each input channel": ((1 + rectified) / 24) ** 0.5
                if layer is up
                else None,
                "count the inputs that an output adds up, not the outputs": ((1 + rectified) / out) ** 0.5,
            }
            for diagnosis, wrong in mistakes.items():
                expect(wrong is None or abs(found / wrong - 1) > 1e-3, f"{where}: {diagnosis}")
            expect(
                abs(found / kept**0.5 - 1) < 1e-3,
                f"{where}: {found:.4f} changes the signal {found / kept**0.5:.2f} times",
            )


@exercise("05.5")
def fields(answer):
    """two fields and a number of layers, as receptive_field has them"""
    expect(
        isinstance(answer, tuple | list) and len(answer) == 3, "hand in three numbers: (strided, pooled, layers)"
    )
    strided, pooled, layers = answer
    right = receptive_field([(4, 2)] * 2).size, receptive_field([(5, 1), (2, 2)] * 2).size
    expect(strided != 8, "strided: the windows of neighbours overlap by 2, so a feature sees 4 + 3 · 2")
    expect(strided != 7, "strided: a kernel of 4 adds 3 pixels, and in the second layer each of them counts twice")
    expect(strided == right[0], f"strided: it is not {strided}: give each layer as (kernel, stride)")
    expect(pooled != 9, "pooled: the pooling layers belong to it, with kernel 2 and stride 2")
    expect(pooled != 10, "pooled: behind the first pooling a step is two pixels of the picture")
    expect(
        pooled == right[1], f"pooled: it is not {pooled}: convolution 5, stride 1, then pooling 2, stride 2, twice"
    )
    sees = [receptive_field([(4, 2)] * n).size for n in range(8)]
    needed = next(n for n, size in enumerate(sees) if size >= 28)
    expect(isinstance(layers, int) and 0 <= layers < 8, "layers: give a small whole number")
    expect(layers >= needed, f"layers: {layers} see {sees[layers]} pixels, fewer than 28")
    expect(
        layers == needed, f"layers: {layers} are more than it takes: {layers - 1} see {sees[layers - 1]} pixels"
    )


@exercise("05.6")
def slower_D(answer):
    """G moves in every step, D in every second one"""
    for n in (6, 4):
        G, D = PointGenerator(), PointDiscriminator()
        moves: list[str] = []
        opt_G, opt_D = (torch.optim.SGD(net.parameters(), lr=1e-3) for net in (G, D))
        for name, optimizer in (("G", opt_G), ("D", opt_D)):
            optimizer.register_step_post_hook(lambda *_, name=name, moves=moves: moves.append(name))
        answer(n, G, D, NonSaturating(), opt_G, opt_D, ring().sample(16))
        order = f"{n} steps: {' '.join(moves) or 'nothing'} moved"
        of_G, of_D = moves.count("G"), moves.count("D")
        expect(of_G or of_D, f"{order}: call train_step in a loop")
        expect(
            not (of_G == of_D == n // 2),
            f"{order}: in half of the steps G rests as well; hand over None for D alone",
        )
        expect(of_G == n, f"{order}: G's optimizer goes to train_step in each of the {n} steps")
        expect(of_D != n, f"{order}: D does not rest: in every second step hand over None for its optimizer")
        expect(of_D == n // 2, f"{order}: D should move {n // 2} times, in every second step")
        before = [moves[:i].count("G") for i, name in enumerate(moves) if name == "D"]
        expect(
            all(b - a == 2 for a, b in zip(before, before[1:], strict=False)),
            f"{order}: D moves in a row and then rests in a row; it is to move in every second step",
        )


@exercise("05.7")
def lonely_sizes(answer):
    """the batch sizes that leave a single picture over, whatever the number of pictures"""
    for n in (1797, 101, 31):
        last = {size: len(torch.arange(n).split(size)[-1]) for size in range(2, 101)}
        right, found = {size for size in last if last[size] == 1}, set(answer(n))
        full = {size for size in last if last[size] == size}
        mistakes = {
            "these leave nothing over: the last batch is full": full,
            "those that leave nothing over are in it, too": right | full,
            "100 itself is missing: a range ends before its end": right - {100},
        }
        for diagnosis, wrong in mistakes.items():
            expect(found == right or found != wrong, f"n = {n}: {diagnosis}")
        expect(found <= last.keys(), f"n = {n}: the sizes go from 2 to 100")
        one = min(found ^ right, default=0)
        expect(found <= right, f"n = {n}: {one} is too many: the last of its batches has {last.get(one)} pictures")
        expect(found == right, f"n = {n}: {one} is missing: the last of its batches has 1 picture")
