"""A trained generator as one script, for a page that runs it by itself: book/_static/live/forward.js reads it.

Batch norm is folded into the layer before it, so that only layers are left that a page can run in a few lines.
The script is plain text: a call of `liveWeights` with a description of the layers and their weights in base64.
A page that was opened from a folder may load a script, but may fetch no other file.
"""

import json
from base64 import b64encode
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from ganbook.checkpoints import CARD, read_card, write
from ganbook.errors import InputError
from ganbook.recipes import RECIPES, load_pretrained
from ganbook.records import RECORDS

PRECISIONS = ("int8", "half")
LARGEST = 127  # of the whole numbers that a weight is rounded to in int8
KNOWN = "linear, transposed convolution, batch norm behind one of these, unflatten, ReLU, leaky ReLU, tanh"


def export(name: str, out: Path, precision: str = "int8") -> int:
    """Write the committed G of a recipe as a script; returns its size in bytes. The same G, the same bytes."""
    if out.suffix != ".js":
        raise InputError(f"--out {out} must end in .js: what is written is a script")
    if name not in exportable():
        raise InputError(f"no trained {name!r} can be exported: choose one of {', '.join(exportable())}")
    content = script(name, load_pretrained(name)[0], read_card(RECORDS / name), precision).encode()
    out.parent.mkdir(parents=True, exist_ok=True)
    write(out, content)
    return len(content)


def exportable() -> list[str]:
    """The recipes that have a record, and with it a trained G."""
    return [name for name in RECIPES if (RECORDS / name / CARD).exists()]


def script(name: str, G: nn.Module, card: dict, precision: str = "int8") -> str:
    """The text of the script: liveWeights(name, description, base64). `card` gives the labels' names."""
    tables, layers = take_apart(G)
    description = {
        "latent_dim": G.latent_dim,
        "labels": card.get("classes", {}) if tables else {},
        "embedding_dim": tables[0].embedding_dim if tables else 0,
        "precision": precision,
        "layers": [describe(layer) for layer in layers],
    }
    parts = [pack_floats(table.weight) for table in tables]
    parts += [pack(layer, precision) for layer in layers if hasattr(layer, "weight")]
    made = f"// Made by `ganbook export {name} --precision {precision}`: do not edit.\n"
    text = b64encode(b"".join(parts)).decode()
    return f'{made}liveWeights({json.dumps(name)}, {json.dumps(description)},\n"{text}");\n'


def take_apart(G: nn.Module) -> tuple[list[nn.Embedding], nn.Sequential]:
    """The embeddings of the labels, none for a G without; and the folded layers that read z and their rows."""
    tables = list(getattr(G, "embeddings", []))
    net = getattr(G.G if tables else G, "net", None)
    if not isinstance(net, nn.Sequential):
        raise InputError(f"{type(G).__name__} cannot be exported: its G is not one chain of layers")
    return tables, fold(net)


def fold(net: Iterable[nn.Module]) -> nn.Sequential:
    """The same layers in eval mode, each batch norm folded into the layer before it, in float64.

    Behind a layer W x + b, batch norm in eval mode is one more scale and shift of each channel: the layer
    diag(s) W x + s·(b - mean) + beta with s = gamma / sqrt(var + eps) does both. Leaves `net` alone.
    """
    layers: list[nn.Module] = []
    for layer in (deepcopy(layer).double().eval() for layer in net):
        before = layers[-1] if layers else None
        if isinstance(layer, nn.BatchNorm1d) and isinstance(before, nn.Linear):
            layers[-1] = fuse_linear_bn_eval(before, layer)
        elif isinstance(layer, nn.BatchNorm2d) and isinstance(before, nn.ConvTranspose2d):
            layers[-1] = fuse_conv_bn_eval(before, layer, transpose=True)
        else:
            layers.append(layer)
    return nn.Sequential(*layers).requires_grad_(False)


def describe(layer: nn.Module) -> dict:
    """A layer as forward.js knows it. Raises InputError for one that it does not know."""
    match layer:
        case nn.Linear():
            return {"kind": "linear", "in": layer.in_features, "out": layer.out_features}
        case nn.ConvTranspose2d():
            return describe_convolution(layer)
        case nn.Unflatten(dim=1):
            return {"kind": "reshape", "shape": list(layer.unflattened_size)}
        case nn.ReLU() | nn.LeakyReLU():
            return {"kind": "leaky_relu", "slope": getattr(layer, "negative_slope", 0)}
        case nn.Tanh():
            return {"kind": "tanh"}
    raise InputError(f"a layer {layer} cannot be exported: what a page can run is {KNOWN}")


def describe_convolution(layer: nn.ConvTranspose2d) -> dict:
    sides = (layer.kernel_size, layer.stride, layer.padding)
    plain = layer.dilation == (1, 1) and layer.output_padding == (0, 0) and layer.groups == 1
    if not plain or any(height != width for height, width in sides):
        raise InputError(
            f"a layer {layer} cannot be exported: take square kernels without dilation, output padding or groups"
        )
    kernel, stride, padding = (height for height, _ in sides)
    names = {"in": layer.in_channels, "out": layer.out_channels}
    return {"kind": "conv_transpose", **names, "kernel": kernel, "stride": stride, "padding": padding}


def rows_of(layer: nn.Module) -> Tensor:
    """The weights as one matrix (out, n), n inputs for each output.

    Those of a transposed convolution, (in, out, k, k), become (out, k·k·in): at each pixel of its input it is a
    linear layer with k·k outputs for each channel.
    """
    weight = layer.weight
    if isinstance(layer, nn.ConvTranspose2d):
        weight = weight.permute(1, 2, 3, 0)
    return weight.flatten(1)


def pack(layer: nn.Module, precision: str) -> bytes:
    """A layer's weights, then its biases in float32, little-endian. In int8 the scale of each row comes first."""
    rows = rows_of(layer)
    if precision == "int8":
        scales, numbers = to_int8(rows)
        weights = pack_floats(scales) + numbers.numpy().tobytes()
    else:
        weights = rows.half().numpy().astype("<f2").tobytes()
    bias = torch.zeros(len(rows)) if layer.bias is None else layer.bias
    return weights + pack_floats(bias)


def to_int8(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (out, n) as float32 scales (out, 1) times whole numbers (out, n) from -127 to 127."""
    scales = (rows.abs().amax(1, keepdim=True) / LARGEST).clamp(min=1e-12).float()
    return scales, (rows / scales.double()).round().clamp(-LARGEST, LARGEST).to(torch.int8)


def pack_floats(values: Tensor) -> bytes:
    return values.detach().float().numpy().astype("<f4").tobytes()
