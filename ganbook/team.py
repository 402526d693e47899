"""Several processes that train one model together, each on a device and on a share of every batch.

Lightning Fabric starts them and, after each loss, averages their gradients; the step and the loop are those of a
process that is alone.
"""

import hashlib
import io
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass
from inspect import signature
from multiprocessing import active_children, parent_process

import torch
from torch import Tensor, nn
from torch.distributed import is_torchelastic_launched
from torch.multiprocessing import ProcessRaisedException
from torch.nn.parallel import DistributedDataParallel

from ganbook.errors import InputError


@dataclass(frozen=True)
class Team:
    """The processes of a run, as one of them sees it."""

    fabric: object = None  # lightning.fabric.Fabric; None: this process is alone

    @property
    def rank(self) -> int:
        """Which of them this one is: 0, the first, writes the files and says how it goes."""
        return self.fabric.global_rank if self.fabric else 0

    @property
    def size(self) -> int:
        return self.fabric.world_size if self.fabric else 1

    def device(self, alone: torch.device) -> torch.device:
        """This process's own; the one given, where it is alone."""
        return self.fabric.device if self.fabric else alone

    def join(self, net: nn.Module) -> nn.Module:
        """The net as train_step is to call it.

        After backward() the parameters hold the mean of all processes' gradients.
        """
        return self.fabric.setup_module(net) if self.fabric else net

    def mean(self, numbers: Tensor) -> Tensor:
        """Of what each of them found."""
        return self.fabric.all_reduce(numbers, reduce_op="mean") if self.fabric else numbers

    def agreed(self, found: Callable[[], object]):
        """What the first of them finds, for all."""
        mine = found() if self.rank == 0 else None
        return self.fabric.broadcast(mine) if self.fabric else mine

    def first_alone(self) -> AbstractContextManager:
        """The first goes through this block before the others: what it fetches or caches, they find."""
        return self.fabric.rank_zero_first() if self.fabric else nullcontext()

    def vary_noise(self, seed: int, n: int) -> None:
        """Before step n: no two processes draw the same z.

        The first draws on, as a lone process does. Each other one begins every step
        anew, from a seed that is its alone: of its random state nothing need be kept.
        """
        if self.rank:
            content = hashlib.sha256(f"{seed} {n} {self.rank}".encode()).digest()
            torch.manual_seed(int.from_bytes(content[:7]))


ALONE = Team()


def launch(train: Callable, processes: int, nodes: int, kind: str):
    """Call train(team=..., progress=...) in several processes, and return what the first of them does.

    `kind` is cpu or cuda. On one machine the processes are started here; under torchrun each is there already.
    Raises InputError with the words of the process that raised one, ProcessExitedException where one died.
    """
    try:
        from lightning.fabric import Fabric
        from lightning.fabric.strategies import DDPStrategy
    except ImportError:
        raise InputError("--devices needs the package lightning: pip install lightning") from None
    check_machine(processes, nodes, kind)
    ddp = DDPStrategy(start_method="popen" if is_torchelastic_launched() else "spawn", **KEEP_BUFFERS)
    fabric = Fabric(accelerator=kind, devices=processes, num_nodes=nodes, strategy=ddp)
    try:
        with ending_children():
            return fabric.launch(take_part, train)
    except ProcessRaisedException as ended:
        raise InputError(last_words(ended)) from ended


@contextmanager
def ending_children() -> Iterator[None]:
    """However this ends, by Ctrl-C or a request to end too, the processes started inside end with it."""
    before = active_children()
    try:
        yield
    finally:
        started = [process for process in active_children() if process not in before]
        for process in started:
            process.terminate()
        for process in started:
            process.join()


def last_words(ended: ProcessRaisedException) -> str:
    """What the process said that ended first; its text is a whole traceback."""
    said = str(ended).strip().splitlines()[-1]
    return said.removeprefix(ERROR) if said.startswith(ERROR) else f"process {ended.error_index} ended: {said}"


def check_machine(processes: int, nodes: int, kind: str) -> None:
    if nodes > 1 and not is_torchelastic_launched():
        raise InputError(
            f"--nodes {nodes} needs torchrun on each machine: torchrun --nnodes {nodes} "
            f"--nproc-per-node {processes} -m ganbook train …"
        )
    if kind == "cuda" and processes > torch.cuda.device_count():
        raise InputError(f"--devices {processes} is not possible: {torch.cuda.device_count()} GPU(s) are here")


def take_part(fabric, train: Callable):
    """What each process does; the first of them speaks, and has something to return."""
    if parent_process():  # torch sends SIGINT when the parent is killed; one in the background may ignore that
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    team = Team(fabric)
    if team.rank == 0:
        return train(team=team, progress=True)
    with redirect_stdout(io.StringIO()):
        train(team=team, progress=False)


ERROR = f"{InputError.__module__}.{InputError.__name__}: "
# Left to itself, DDP copies the first process's batch-norm buffers to the others before every forward pass, into
# tensors that the pass before still needs for its gradient: D sees real data, then fakes, and then its loss falls.
# The buffers serve eval mode alone, and those of the first process are the ones that are kept.
KEEP_BUFFERS = (
    {"forward_sync_buffers": False}
    if "forward_sync_buffers" in signature(DistributedDataParallel).parameters
    else {"broadcast_buffers": False}  # its name before torch 2.13
)
