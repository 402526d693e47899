"""A small diffusion model on a GAN's budget, for comparison: networks and schedules are those of `diffusers`.

DDIM (Song et al., 2021) goes from noise to a picture without drawing anything on the way. What it makes of a z is
then a function of z, like a generator, and is measured as one; only that it asks its network many times.
"""

import json
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.optim import Adam
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ganbook.checkpoints import CARD, write
from ganbook.data import ImageSet, mnist
from ganbook.errors import InputError
from ganbook.evaluation import evaluate
from ganbook.machine import processor, surroundings
from ganbook.records import minutes_on, read_record
from ganbook.runs import digest, labels_of

GAN = "r3gan"  # whose minutes in the table are the budget
BATCH_SIZE, LR, AVERAGE, LEVELS, ASKED = 64, 1e-3, 0.999, 1_000, 25


def denoiser() -> nn.Module:
    """A U-Net that finds the noise in a picture (B, 1, 28, 28), given how much there is, and the label.

    1,063,777 parameters.
    """
    try:
        from diffusers import UNet2DModel
    except ImportError as error:
        raise InputError("the diffusion model needs diffusers: pip install 'ganbook[diffusion]'") from error
    return UNet2DModel(
        sample_size=28,
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=(32, 64, 64),
        down_block_types=("DownBlock2D",) * 3,
        up_block_types=("UpBlock2D",) * 3,
        norm_num_groups=8,
        num_class_embeds=10,
    )


class DDIM(nn.Module):
    """G(z, y) made of a denoiser: from z, a picture of pure noise, to a digit in [-1, 1], in ASKED steps."""

    latent_dim, num_classes = 28 * 28, (10,)

    def __init__(self, net: nn.Module):
        from diffusers import DDIMScheduler

        super().__init__()
        self.net, self.schedule = net, DDIMScheduler(LEVELS)
        self.schedule.set_timesteps(ASKED)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        x = z.view(-1, 1, 28, 28)  # (B, 784) -> (B, 1, 28, 28)
        y = None if y is None else y.flatten()  # (B,) or (B, 1)
        for t in self.schedule.timesteps:
            with torch.autocast(x.device.type, torch.bfloat16):
                noise = self.net(x, t, class_labels=y).sample
            x = self.schedule.step(noise.float(), t, x).prev_sample
        return x.clamp(-1, 1)


def train_denoiser(data: ImageSet, seed: int, minutes: float) -> tuple[nn.Module, dict]:
    """Train for so many CPU-minutes (Ho et al., 2020, with their simple loss). Returns the network's average."""
    from diffusers import DDPMScheduler

    torch.manual_seed(seed)
    net, schedule = denoiser(), DDPMScheduler(LEVELS)
    optimizer = Adam(net.parameters(), lr=LR, fused=True)
    average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(AVERAGE), use_buffers=True)
    started, n = time.process_time(), 0
    while True:
        for x, y in data.batches(BATCH_SIZE):
            noise, level = torch.randn_like(x), torch.randint(LEVELS, (len(x),))
            with torch.autocast("cpu", torch.bfloat16):
                found = net(schedule.add_noise(x, noise, level), level, class_labels=y).sample
            loss = mse_loss(found.float(), noise)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            average.update_parameters(net)
            n, spent = n + 1, (time.process_time() - started) / 60
            if spent >= minutes:
                return average.module.eval(), {"steps": n, "cpu_minutes": spent, "loss": loss.item()}


def record_diffusion(out: Path, seeds: int) -> dict:
    """The record behind the ladder's comparison with diffusion: writes card.json to `out`, returns it."""
    out.mkdir(parents=True, exist_ok=True)
    rows = read_record("table")["rows"][GAN].values()
    minutes, data = minutes_on(processor(), rows), mnist()
    if minutes is None:
        raise InputError(f"the table has no run of {GAN} on {processor()}: `ganbook table {GAN}` makes one")
    card = {
        "command": f"ganbook study diffusion --seeds {seeds}",
        "data": data.name,
        "digest": digest(data),
        "budget": minutes,
        "batch_size": BATCH_SIZE,
        "asked": ASKED,
        **labels_of(data),
        **surroundings(torch.device("cpu"), "bf16"),
        "results": [],
    }
    for seed in range(seeds):
        net, spent = train_denoiser(data, seed, minutes)
        started = time.process_time()
        measured = evaluate(DDIM(net), card, [seed])[0]
        spent["measuring_cpu_minutes"] = (time.process_time() - started) / 60
        card["results"].append(spent | {"parameters": sum(p.numel() for p in net.parameters())} | measured)
        write(out / CARD, json.dumps(card, indent=1).encode())
    return card
