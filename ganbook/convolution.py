"""Convolution arithmetic, in whole numbers: what becomes of sizes, how windows overlap, how far a pixel sees.

Everything is along one axis; a picture's height and width each follow it on their own. The formulas are those of
Dumoulin and Visin (2016), A guide to convolution arithmetic for deep learning. What PyTorch refuses, these refuse.
"""

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import NamedTuple

from torch import nn

from ganbook.errors import InputError


def conv_output_size(n: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """floor((n + 2·padding - dilation·(kernel - 1) - 1) / stride) + 1: the positions of a kernel on n pixels.

    (Dumoulin and Visin, 2016, relationship 15.) A pooling layer counts the same way.
    """
    check_numbers(n=n, kernel=kernel, stride=stride, padding=padding, dilation=dilation)
    span, padded = dilation * (kernel - 1) + 1, n + 2 * padding
    if span > padded:
        raise InputError(
            f"a kernel of {kernel} with dilation {dilation} spans {span} pixels and does not fit into {padded} "
            f"({n} and twice the padding {padding}): take a smaller kernel or more padding"
        )
    return (padded - span) // stride + 1


def transposed_output_size(
    n: int, kernel: int, stride: int = 1, padding: int = 0, output_padding: int = 0, dilation: int = 1
) -> int:
    """(n - 1)·stride - 2·padding + dilation·(kernel - 1) + output_padding + 1.

    With output_padding 0, …, stride - 1 these are the sizes that a convolution of the same settings turns into n
    (Dumoulin and Visin, 2016, relationship 14, for dilation 1).
    """
    check_numbers(
        n=n, kernel=kernel, stride=stride, padding=padding, output_padding=output_padding, dilation=dilation
    )
    if output_padding >= max(stride, dilation):
        raise InputError(
            f"output_padding {output_padding} must be smaller than the stride {stride} or the dilation {dilation}"
        )
    size = (n - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1
    if size < 1:
        raise InputError(f"the output would have {size} pixels: padding {padding} cuts off everything; take less")
    return size


def check_numbers(**settings: int) -> None:
    for name, value in settings.items():
        least = 0 if name.endswith("padding") else 1
        if not isinstance(value, Integral) or value < least:
            raise InputError(f"{name} {value!r} must be a whole number, {least} or more")


def window(
    i: int,
    kernel: int,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
) -> range:
    """The pixels that output pixel i of a convolution reads; outside lies padding.

    Into the same pixels of its output a transposed convolution adds its input pixel
    i, times the kernel; those outside are cut off.
    """
    first = i * stride - padding
    return range(first, first + dilation * (kernel - 1) + 1, dilation)


def overlap(
    n: int,
    kernel: int,
    stride: int = 1,
    padding: int = 0,
    output_padding: int = 0,
    dilation: int = 1,
) -> list[int]:
    """How many of n input pixels feed each output pixel of a transposed convolution.

    That is along one axis. In two dimensions windows are squares, so the count of a
    pixel is the product of those of its row and its column: the outer product of
    this list with itself (Odena, Dumoulin and Olah, 2016).
    """
    settings = (kernel, stride, padding, output_padding, dilation)
    size = transposed_output_size(n, *settings)
    return hits(size, [window(i, kernel, stride, padding, dilation) for i in range(n)])


def hits(n: int, windows: Iterable[range]) -> list[int]:
    """How many of the windows hold each of n pixels."""
    counts = [0] * n
    for places in windows:
        for pixel in places:
            if 0 <= pixel < n:
                counts[pixel] += 1
    return counts


class ReceptiveField(NamedTuple):
    size: int  # from the first input pixel that one output pixel depends on to the last
    jump: int  # how far the fields of neighbouring output pixels lie apart


def receptive_field(layers: Iterable[Sequence[int]]) -> ReceptiveField:
    """What one output pixel of a stack of convolutions sees, each given as (kernel, stride) or with its dilation.

    size = 1 + sum over layers of dilation·(kernel - 1)·(product of the strides before it); jump = product of all
    strides. Near the border a part of the field lies on padding.
    """
    size, jump = 1, 1
    for layer in layers:
        if not isinstance(layer, Sequence) or len(layer) not in (2, 3):
            raise InputError(f"a layer {layer!r} is not possible: give (kernel, stride), or with its dilation")
        kernel, stride, dilation = *layer, *(1,) * (3 - len(layer))
        check_numbers(kernel=kernel, stride=stride, dilation=dilation)
        size += dilation * (kernel - 1) * jump
        jump *= stride
    return ReceptiveField(size, jump)


def settings_of(layer: nn.Module) -> dict[str, int]:
    """The settings of a Conv2d, ConvTranspose2d or MaxPool2d along its height, by the names used here."""
    names = {"kernel_size": "kernel", "stride": "stride", "padding": "padding", "dilation": "dilation"}
    if isinstance(layer, nn.ConvTranspose2d):
        names["output_padding"] = "output_padding"
    values = {ours: getattr(layer, theirs) for theirs, ours in names.items()}
    return {name: value[0] if isinstance(value, tuple) else value for name, value in values.items()}


def size_after(layer: nn.Module, n: int) -> int:
    """The height that a layer makes of n: by the formulas for convolution and pooling, else n."""
    if isinstance(layer, nn.ConvTranspose2d):
        return transposed_output_size(n, **settings_of(layer))
    if isinstance(layer, nn.Conv2d | nn.MaxPool2d):
        return conv_output_size(n, **settings_of(layer))
    return n
