"""Generators as scripts for a page: batch norm folded, weights rounded, and nothing else changed."""

import json
import re
import subprocess
import sys
from base64 import b64decode

import numpy as np
import pytest
import torch
from torch import nn

from ganbook import export as module
from ganbook.checkpoints import read_card
from ganbook.classifiers import label_accuracy, load_classifier
from ganbook.dcgan import ConvGenerator, StemGenerator
from ganbook.errors import InputError
from ganbook.export import describe, export, exportable, fold, script, take_apart, to_int8
from ganbook.mlp import MLPGenerator
from ganbook.recipes import load_pretrained
from ganbook.records import RECORDS
from ganbook.sampling import draw_latents, generate
from tests.conftest import TOP

WEIGHTS = TOP / "book" / "_static" / "live" / "weights"
ON_THE_PAGE = ("acgan", "cgan")
# What rounding may change in a pixel of [-1, 1]: most and mean. A level of a byte is 0.008.
LEVEL = 2 / 255  # of a pixel, and what live-generators.md says of it
ROUNDED = {"half": (2e-3, 2e-4), "int8": (16 * LEVEL, LEVEL)}  # at most, on average


class Script:
    """What a script says, read by other means than forward.js: torch's own layers, filled from its bytes."""

    def __init__(self, text: str):
        call = re.search(r'^liveWeights\("(.*?)", (\{.*\}),\n"(.*)"\);$', text, re.M)
        self.name, self.says, self.bytes = call[1], json.loads(call[2]), b64decode(call[3])
        width = self.says["embedding_dim"]
        self.tables = [
            self.take("<f4", len(names) * width).view(-1, width) for names in self.says["labels"].values()
        ]
        self.net = nn.Sequential(*map(self.layer, self.says["layers"]))
        assert not self.bytes, "bytes are left over"

    def take(self, kind, count):
        size = np.dtype(kind).itemsize * count
        values, self.bytes = np.frombuffer(self.bytes[:size], kind), self.bytes[size:]
        return torch.from_numpy(values.astype("float32"))

    def layer(self, says):
        kind = says["kind"]
        if kind == "reshape":
            return nn.Unflatten(1, says["shape"])
        if kind in ("leaky_relu", "tanh"):
            return nn.Tanh() if kind == "tanh" else nn.LeakyReLU(says["slope"])
        n_in, out, kernel = says["in"], says["out"], says.get("kernel", 1)
        if self.says["precision"] == "int8":
            rows = self.take("<f4", out)[:, None] * self.take("i1", n_in * out * kernel**2).view(out, -1)
        else:
            rows = self.take("<f2", n_in * out * kernel**2).view(out, -1)
        if kind == "linear":
            layer = nn.Linear(n_in, out)
        else:
            layer = nn.ConvTranspose2d(n_in, out, kernel, says["stride"], says["padding"])
            rows = rows.view(out, kernel, kernel, n_in).permute(3, 0, 1, 2)
        layer.weight.data, layer.bias.data = rows.contiguous(), self.take("<f4", out)
        return layer

    def __call__(self, z, y):
        with torch.no_grad():
            rows = [table[y[:, i]] for i, table in enumerate(self.tables)]
            return self.net(torch.cat([z, *rows], 1))


def some_orders(G, n, seed=0):
    """n latents and labels (n, L); L is 0 for a G without labels."""
    counts = getattr(G, "num_classes", ())
    columns = [torch.arange(n) * (3 * i + 1) % count for i, count in enumerate(counts)]
    return draw_latents(G, n, seed), torch.stack(columns, 1) if columns else torch.zeros(n, 0, dtype=torch.int64)


@pytest.mark.parametrize("name", ["mlp", "dcgan28", "dcgan64", "cgan", "acgan"])
def test_folded_is_the_same_network_to_1e_5(name, one_thread):
    G, _ = load_pretrained(name)
    z, y = some_orders(G, 16)
    tables, folded = take_apart(G)
    assert not [layer for layer in folded if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
    with torch.no_grad():
        ours = folded.float()(torch.cat([z, *(table(y[:, i]) for i, table in enumerate(tables))], 1))
    torch.testing.assert_close(ours, generate(G, z, y if tables else None), rtol=0, atol=1e-5)


def test_folding_leaves_the_network_alone_whatever_mode_it_is_in():
    net = StemGenerator().net
    before = {key: value.clone() for key, value in net.state_dict().items()}
    folded = fold(net)
    after = net.state_dict()
    assert all(after[key].equal(value) and after[key].dtype == value.dtype for key, value in before.items())
    assert net.training and len(folded) == len(net) - 3


@pytest.mark.parametrize("name", ON_THE_PAGE)
def test_the_files_of_the_page_are_what_the_command_makes_of_the_committed_weights(name, tmp_path):
    path = tmp_path / f"{name}.js"
    assert export(name, path) == path.stat().st_size
    assert path.read_bytes() == (WEIGHTS / f"{name}.js").read_bytes(), (
        f"say: ganbook export {name} --out …/{name}.js"
    )
    says = Script(path.read_text()).says
    assert says["labels"] == read_card(RECORDS / name)["classes"]


def test_no_other_weights_lie_there():
    assert sorted(path.name for path in WEIGHTS.iterdir()) == sorted(f"{name}.js" for name in ON_THE_PAGE)


@pytest.mark.parametrize("name", ["mlp", *ON_THE_PAGE])
@pytest.mark.parametrize("precision", module.PRECISIONS)
def test_what_the_script_holds_draws_what_G_draws(name, precision, one_thread):
    G, _ = load_pretrained(name)
    net = Script(script(name, G, read_card(RECORDS / name), precision))
    z, y = some_orders(G, 60)
    off = (net(z, y) - generate(G, z, y if net.tables else None)).abs()
    most, mean = ROUNDED[precision]
    assert off.max() <= most and off.mean() <= mean, (off.max(), off.mean())


@pytest.mark.parametrize("name, judge", [("acgan", "avatars"), ("cgan", "digits")])
def test_rounding_costs_no_accuracy(name, judge, one_thread):
    G, _ = load_pretrained(name)
    z, y = some_orders(G, 240, seed=5)
    rounded = Script((WEIGHTS / f"{name}.js").read_text())
    C = load_classifier(judge)
    before, after = (label_accuracy(C, x, y) for x in (generate(G, z, y), rounded(z, y)))
    assert (after >= before - 0.005).all() and after.min() > 0.97, (before, after)


def test_int8_is_off_by_half_a_step_at_most_and_a_row_of_zeros_stays():
    rows = torch.randn(5, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows[2] = 0
    scales, numbers = to_int8(rows)
    assert numbers.dtype == torch.int8 and numbers.abs().amax(1).tolist() == [127, 127, 0, 127, 127]
    assert ((scales * numbers - rows).abs() <= scales * 0.501).all()


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(3, 3, 3),
        nn.Sigmoid(),
        nn.Dropout(),
        nn.BatchNorm2d(3),
        nn.ConvTranspose2d(4, 4, 4, groups=2),
        nn.ConvTranspose2d(4, 4, 4, dilation=2),
        nn.ConvTranspose2d(4, 4, 4, 2, output_padding=1),
        nn.ConvTranspose2d(4, 4, (3, 4)),
    ],
)
def test_a_layer_that_no_page_can_run_is_refused_by_its_name(layer):
    with pytest.raises(InputError, match=re.escape(f"a layer {layer} cannot be exported: ")):
        describe(layer)


def test_batch_norm_that_cannot_be_folded_is_refused():
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.BatchNorm1d(4))
    with pytest.raises(InputError, match="BatchNorm1d"):
        [describe(layer) for layer in fold(net)]


def test_networks_that_are_no_chain_are_refused():
    with pytest.raises(InputError, match="not one chain"):
        take_apart(nn.Linear(3, 3))
    G = MLPGenerator(20)
    G.net[-2] = nn.Sigmoid()
    with pytest.raises(InputError, match="a layer Sigmoid"):
        script("mlp", G, {})


def test_an_untrained_G_of_each_kind_can_be_exported():
    for G in (MLPGenerator(20), StemGenerator(20), ConvGenerator(96, width=4, latent_dim=20)):
        net = Script(script("new", G.eval(), {}, "half"))
        z = draw_latents(G, 3, seed=0)
        assert (net(z, z) - generate(G, z)).abs().max() < 1e-3  # without tables nobody looks at labels


def test_the_command_and_its_mistakes(tmp_path):
    def ganbook(*args):
        command = [sys.executable, "-m", "ganbook", "export", *map(str, args)]
        return subprocess.run(command, capture_output=True, text=True)

    out = tmp_path / "new" / "mlp.js"
    done = ganbook("mlp", "--out", out, "--precision", "half")
    assert done.returncode == 0 and "4.0 MB" in done.stdout, done
    assert out.read_text().startswith("// Made by `ganbook export mlp --precision half`: do not edit.\n")
    for args, part in (
        (("ring", "--out", out), "no trained 'ring' can be exported: choose one of mlp, dcgan28, "),
        (("mlp", "--out", tmp_path / "mlp.bin"), "must end in .js"),
    ):
        failed = ganbook(*args)
        assert failed.returncode == 2 and failed.stderr.count("\n") == 1 and part in failed.stderr, failed


def test_what_can_be_exported_are_the_records_with_a_G():
    assert {"mlp", "dcgan28", "dcgan64", "cgan", "acgan"} <= set(exportable())
    assert not {"ring", "guidelines", "classifier-digits"} & set(exportable())
