"""A run goes on after a cut as if it had never stopped; what it is asked for is what it does."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from ganbook import datasets, runs
from ganbook.checkpoints import STATE, read_note
from ganbook.errors import InputError
from ganbook.recipes import load_networks, recipe
from ganbook.runs import Plan, begin, fill, objective_of, picture_shape, train, updates
from tests.test_loading import state_with

SMALL = Plan(
    "dcgan64",
    data="avatars",
    networks={"image_size": 16, "width_g": 4, "width_d": 4},
    steps=8,
    batch_size=6,
    save_every=3,
)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def few_avatars(monkeypatch):
    monkeypatch.setattr(datasets, "AVATARS", 16)  # three batches an epoch: 6, 6, 4


def weights(folder):
    return [p for net in load_networks(folder) for p in net.state_dict().values()]


def same(one, other):
    return all(map(torch.equal, weights(one), weights(other)))


class Cut(Exception):
    pass


def cut_at(n, monkeypatch):
    """Stop the run when it begins step n, as a kill would: whatever was not saved is lost."""
    real, calls = runs.train_step, []

    def train_step(*args):
        calls.append(1)
        if len(calls) == n:
            raise Cut
        return real(*args)

    monkeypatch.setattr(runs, "train_step", train_step)


PLANS = {
    "plain": SMALL,
    "rests, decay, penalties": replace(
        SMALL, d_every=2, g_every=3, decay_every=2, l2=0.01, penalty="r1", penalty_weight=1.0, beta1=0.9
    ),
    "bf16": replace(SMALL, precision="bf16"),
    "D's fakes again": replace(SMALL, reuse_fakes=True),
    "labels drawn evenly, the average of G": replace(SMALL, recipe="acgan", average=0.9, even=True, g_every=2),
    "digits with a fully connected stem": replace(SMALL, recipe="dcgan28", data="digits", networks={}),
}


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
@pytest.mark.parametrize("cut", [2, 5, 8])
def test_a_cut_run_ends_with_the_same_weights_and_numbers(plan, cut, tmp_path, monkeypatch, capsys):
    card = train(tmp_path / "whole", plan, progress=False)
    with monkeypatch.context() as patch, pytest.raises(Cut):
        cut_at(cut, patch)
        train(tmp_path / "cut", plan, progress=False)
    assert not (tmp_path / "cut" / "card.json").exists()
    capsys.readouterr()
    again = train(tmp_path / "cut", plan, resume=tmp_path / "cut", progress=False)
    saved = (cut - 1) // 3 * 3  # the last multiple of save_every before the cut
    at_zero = f"{tmp_path / 'cut'} holds no complete checkpoint: starting at step 0\n"
    assert capsys.readouterr() == (f"going on at step {saved} of 8\n" if saved else at_zero, "")
    assert same(tmp_path / "whole", tmp_path / "cut")
    for file in ("losses.csv", "progress.png", "samples.png"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "cut" / file).read_bytes(), file
    assert again["last_epoch"] == card["last_epoch"] and again["progress_steps"] == card["progress_steps"]


def test_a_finished_run_changes_nothing_and_goes_on_when_asked_for_more(tmp_path, capsys):
    out = tmp_path / "run"
    train(out, SMALL, progress=False)
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    card = train(out, SMALL, resume=out, progress=False)
    assert card["steps"] == 8 and "is finished: 8 of 8 steps are done, nothing changes" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before
    train(out, replace(SMALL, steps=12), resume=out, progress=False)
    train(tmp_path / "whole", replace(SMALL, steps=12), progress=False)
    assert same(out, tmp_path / "whole") and json.loads((out / "card.json").read_text())["steps"] == 12


def test_a_run_cut_behind_its_last_step_is_finished_when_resumed(tmp_path, monkeypatch):
    train(tmp_path / "whole", SMALL, progress=False)

    def cut(*args):
        raise Cut

    with monkeypatch.context() as patch, pytest.raises(Cut):
        patch.setattr(runs, "finish", cut)
        train(tmp_path / "cut", SMALL, progress=False)
    train(tmp_path / "cut", SMALL, resume=tmp_path / "cut", progress=False)
    assert same(tmp_path / "whole", tmp_path / "cut")
    train(tmp_path / "elsewhere", SMALL, resume=tmp_path / "whole", progress=False)  # finished there, so here, too
    assert same(tmp_path / "whole", tmp_path / "elsewhere")


def test_a_run_does_not_go_on_with_other_pictures(tmp_path, monkeypatch):
    for i in range(30):
        (tmp_path / "faces").mkdir(exist_ok=True)
        Image.new("RGB", (16, 16), (8 * i, 0, 0)).save(tmp_path / "faces" / f"{i}.png")
    monkeypatch.setenv("GANBOOK_DATA", str(tmp_path / "cache"))
    plan = replace(SMALL, data=str(tmp_path / "faces"))
    train(tmp_path / "run", plan, progress=False)
    Image.new("RGB", (16, 16), "blue").save(tmp_path / "faces" / "one more.png")
    with pytest.raises(InputError, match="began with digest"):
        train(tmp_path / "run", replace(plan, steps=12), resume=tmp_path / "run", progress=False)


def tagged_pictures(folder, hair):
    """Twenty pictures: every second one has the hair of one colour, the others that of the other."""
    folder.mkdir(exist_ok=True)
    for i in range(20):
        Image.new("RGB", (16, 16), (12 * i, 0, 0)).save(folder / f"{i}.png")
    lines = (f"{i},{hair[i % 2]} hair,{('red', 'blue')[i % 2]} eyes\n" for i in range(20))
    (folder / "tags.csv").write_text("".join(lines))


def test_a_run_does_not_go_on_with_other_labels(tmp_path, monkeypatch):
    monkeypatch.setenv("GANBOOK_DATA", str(tmp_path / "cache"))
    tagged_pictures(tmp_path / "faces", ("blue", "red"))
    out, plan = tmp_path / "run", replace(SMALL, recipe="acgan", data=str(tmp_path / "faces"), steps=2)
    assert train(out, plan, progress=False)["labels"]
    tagged_pictures(tmp_path / "faces", ("red", "blue"))
    with pytest.raises(InputError, match="began with labels"):
        train(out, replace(plan, steps=4), resume=out, progress=False)
    state_with(out, lambda tensors, note, groups: note["plan"].pop("labels"))  # as they were written before
    assert train(out, replace(plan, steps=4), resume=out, progress=False)["steps"] == 4


def test_a_run_inside_its_own_data_is_refused_before_they_are_read(tmp_path, monkeypatch):
    tagged_pictures(tmp_path / "faces", ("blue", "red"))
    monkeypatch.setattr(runs, "load", lambda *args: pytest.fail("the data were read"))
    monkeypatch.chdir(tmp_path / "faces")
    for data, out in ((".", Path("runs/mine")), (str(tmp_path / "faces"), Path("run")), ("../faces", Path())):
        with pytest.raises(InputError, match=f"{out} lies inside {data}"):
            train(out, replace(SMALL, data=data), progress=False)
    with pytest.raises(InputError, match="run/samples lies inside run/samples"):  # where it puts its own pictures
        train(Path("run"), replace(SMALL, data="run/samples"), progress=False)
    assert not Path("runs").exists() and not Path("run").exists()
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets, "AVATARS", 16)
    train(Path("avatars/run"), replace(SMALL, steps=1), progress=False)  # a name, not that folder


def test_a_run_goes_on_without_the_weights_that_it_began_with(tmp_path, monkeypatch):
    train(tmp_path / "first", replace(SMALL, seed=5, steps=1), progress=False)
    plan = replace(SMALL, init_g=str(tmp_path / "first" / "G.safetensors"))
    train(tmp_path / "whole", plan, progress=False)
    with monkeypatch.context() as patch, pytest.raises(Cut):
        cut_at(5, patch)
        train(tmp_path / "cut", plan, progress=False)
    (tmp_path / "first").rename(tmp_path / "moved")
    card = train(tmp_path / "cut", plan, resume=tmp_path / "cut", progress=False)
    assert same(tmp_path / "whole", tmp_path / "cut")
    train(tmp_path / "cut", replace(SMALL, steps=9), resume=tmp_path / "cut", progress=False)
    assert card["init_g"] == json.loads((tmp_path / "cut" / "card.json").read_text())["init_g"] == plan.init_g
    other = replace(plan, init_g=str(tmp_path / "moved" / "G.safetensors"))  # would change nothing any more
    with pytest.raises(InputError, match="began with init_g .*first/G.safetensors', not .*moved"):
        train(tmp_path / "cut", other, resume=tmp_path / "cut", progress=False)


@pytest.mark.parametrize("batch_size", [1, 449])  # 1,797 = 4 · 449 + 1
def test_a_last_batch_of_one_is_refused_where_batch_norm_cannot_take_it(batch_size, tmp_path):
    plan = replace(SMALL, recipe="dcgan28", data="digits", networks={}, batch_size=batch_size)
    with pytest.raises(
        InputError, match=f"in batches of {batch_size} leave one alone.*take --batch {batch_size + 1}"
    ):
        train(tmp_path / "run", plan, progress=False)
    assert not (tmp_path / "run").exists()


def test_going_on_elsewhere_leaves_the_first_folder_alone(tmp_path):
    train(tmp_path / "a", SMALL, progress=False)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "a").iterdir()}
    train(tmp_path / "b", replace(SMALL, steps=10), resume=tmp_path / "a", progress=False)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "a").iterdir()} == before
    assert read_note(tmp_path / "b")["n"] == 10


def test_a_run_is_not_written_over_nor_resumed_as_another(tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Cut):
        cut_at(5, patch)
        train(tmp_path / "run", SMALL, progress=False)
    state = (tmp_path / "run" / STATE).read_bytes()
    with pytest.raises(InputError, match="holds a run that is not finished: go on with --resume"):
        train(tmp_path / "run", SMALL, progress=False)
    for change, message in (
        ({"batch_size": 5}, "began with batch_size 6, not 5"),
        ({"seed": 1}, "began with seed 0, not 1"),
        ({"lr_d": 0.1}, "began with lr_d 0.0002, not 0.1"),
        ({"networks": {"image_size": 16, "width_g": 4, "width_d": 8}}, "began with networks"),
    ):
        with pytest.raises(InputError, match=message):
            train(tmp_path / "run", replace(SMALL, **change), resume=tmp_path / "run", progress=False)
    assert (tmp_path / "run" / STATE).read_bytes() == state


def test_a_state_cut_short_is_not_taken_for_a_whole_one(tmp_path):
    train(tmp_path, SMALL, progress=False)
    state = (tmp_path / STATE).read_bytes()
    for length in (0, 4, 100, len(state) // 2, len(state) - 1):
        (tmp_path / STATE).write_bytes(state[:length])
        assert read_note(tmp_path) is None


def test_a_damaged_state_never_replaces_the_whole_one_before_it(tmp_path, monkeypatch):
    """Cut between the two renames of the next save, the run still has what it went on from."""
    with monkeypatch.context() as patch, pytest.raises(Cut):
        cut_at(8, patch)
        train(tmp_path, SMALL, progress=False)
    state = bytearray((tmp_path / STATE).read_bytes())
    state[-100] ^= 1
    (tmp_path / STATE).write_bytes(state)
    real = Path.replace

    def replace_once(path, target):
        if Path(target).name == STATE:
            raise Cut
        return real(path, target)

    with monkeypatch.context() as patch, pytest.raises(Cut):
        patch.setattr(Path, "replace", replace_once)
        train(tmp_path, SMALL, resume=tmp_path, progress=False)
    assert read_note(tmp_path)["n"] == 3


def test_a_step_size_that_was_halved_to_nothing_is_gone_on_with(tmp_path, monkeypatch):
    plan = replace(SMALL, lr_g=1e-322, decay_every=1)
    with monkeypatch.context() as patch, pytest.raises(Cut):
        cut_at(8, patch)
        train(tmp_path, plan, progress=False)
    assert train(tmp_path, plan, resume=tmp_path, progress=False)["steps"] == 8


def moved(net, before):
    return [not torch.equal(p, q) for p, q in zip(net.parameters(), before, strict=True)]


def test_who_rests_does_not_move():
    plan = fill(replace(SMALL, steps=6, d_every=2, g_every=3))
    run = begin(plan, CPU)
    images, _ = datasets.load("avatars", (3, 16, 16))
    before = {net: [p.clone() for p in net.parameters()] for net in (run.G, run.D)}
    turns = []
    for _ in updates(run, plan, images):
        turns.append(tuple(any(moved(net, before[net])) for net in (run.G, run.D)))
        before = {net: [p.clone() for p in net.parameters()] for net in (run.G, run.D)}
    assert turns == [(False, False), (False, True), (True, False), (False, True), (False, False), (True, True)]


def test_rates_are_halved_and_the_options_reach_the_optimizers(tmp_path):
    plan = fill(replace(SMALL, lr_g=0.01, lr_d=0.02, beta1=0.3, decay_every=3))
    run = begin(plan, CPU)
    assert run.opt_G.param_groups[0]["betas"] == (0.3, 0.999)
    tmp_path.mkdir(exist_ok=True)
    runs.follow(
        run, plan, datasets.load("avatars", (3, 16, 16))[0], tmp_path, None, False
    )  # 8 steps: halved twice
    assert run.opt_G.param_groups[0]["lr"] == pytest.approx(0.0025)
    assert run.opt_D.param_groups[0]["lr"] == pytest.approx(0.005)


@pytest.mark.parametrize("reuse_fakes", [False, True])
def test_in_bfloat16_gs_turn_meets_the_d_that_has_just_moved(reuse_fakes):
    """With autocast's cache on, D's weights of before its turn would be used in G's."""
    # a step so large that it cannot be missed
    plan = fill(replace(SMALL, steps=1, lr_d=0.5, precision="bf16", reuse_fakes=reuse_fakes))
    run = begin(plan, CPU)
    images, _ = datasets.load("avatars", (3, 16, 16))
    seen = []
    run.D.net[0].register_forward_hook(lambda layer, inputs, out: seen.append((inputs[0].clone(), out.clone())))
    list(updates(run, plan, images))
    x, out = seen[-1]  # D on G's fakes, in G's turn
    with torch.no_grad():
        now = torch.nn.functional.conv2d(x.float(), run.D.net[0].weight, stride=2, padding=1)
    assert out.dtype == torch.bfloat16 and torch.allclose(out.float(), now, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("rests", [{}, {"d_every": 2}])
def test_in_bfloat16_weights_are_cast_once_a_turn_and_g_learns(rests):
    """D's once for real and fake, again in G's turn; G's in each turn, since the first has no graph."""
    plan = fill(replace(SMALL, steps=1, precision="bf16", **rests))
    run = begin(plan, CPU)
    before = [p.clone() for p in run.G.parameters()]
    casts = []

    class Casts(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func is torch.ops.aten._to_copy.default and (kwargs or {}).get("dtype") == torch.bfloat16:
                casts.append(args[0].data_ptr())
            return func(*args, **(kwargs or {}))

    with Casts():
        list(updates(run, plan, datasets.load("avatars", (3, 16, 16))[0]))
    weights = [net.weight.data_ptr() for net in (run.G.net[1], run.D.net[0])]
    assert [casts.count(pointer) for pointer in weights] == [2, 2]
    assert not any(map(torch.equal, before, run.G.parameters()))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_reused_fakes_are_made_once_and_g_learns_from_them(precision):
    images, _ = datasets.load("avatars", (3, 16, 16))
    made = {}
    for reuse in (False, True):
        plan = fill(replace(SMALL, steps=3, precision=precision, reuse_fakes=reuse))
        run = begin(plan, CPU)
        before, fakes = [p.clone() for p in run.G.parameters()], []
        run.G.register_forward_hook(lambda net, inputs, out, fakes=fakes: fakes.append(out))
        steps = list(updates(run, plan, images))
        assert not any(map(torch.equal, before, run.G.parameters()))
        made[reuse] = len(fakes), steps[0].d_loss
    assert (made[False][0], made[True][0]) == (6, 3)
    assert torch.equal(made[False][1], made[True][1])  # D's first turn is the same


def test_a_run_that_reuses_fakes_is_not_resumed_as_one_that_does_not(tmp_path):
    train(tmp_path / "run", replace(SMALL, steps=1, reuse_fakes=True), progress=False)
    with pytest.raises(InputError, match="began with reuse_fakes True, not False"):
        train(tmp_path / "run", replace(SMALL, steps=20), resume=tmp_path / "run", progress=False)


def test_a_state_of_before_there_was_a_choice_goes_on_without_reuse(tmp_path):
    begun = {key: value for key, value in asdict(fill(SMALL)).items() if key != "reuse_fakes"}
    runs.check_plan(fill(SMALL), begun, tmp_path)
    with pytest.raises(InputError, match="reuse_fakes False, not True"):
        runs.check_plan(fill(replace(SMALL, reuse_fakes=True)), begun, tmp_path)


def test_penalties_and_starting_weights(tmp_path):
    from ganbook.penalties import R1, GradientPenalty, Penalized, WeightPenaltyOnG

    train(tmp_path / "first", replace(SMALL, seed=5), progress=False)
    plan = fill(replace(SMALL, init_g=str(tmp_path / "first" / "G.safetensors")))
    run = begin(plan, CPU)
    G, D = load_networks(tmp_path / "first")
    assert all(map(torch.equal, run.G.parameters(), G.parameters()))
    assert not all(map(torch.equal, run.D.parameters(), D.parameters()))
    for name, kind in (("r1", R1), ("gp", GradientPenalty)):
        plan = fill(replace(SMALL, penalty=name, penalty_weight=3.0, l2=0.5))
        assert plan.networks["norm_d"] == "instance"
        objective = objective_of(plan, G)
        assert isinstance(objective, WeightPenaltyOnG) and objective.weight == 0.5
        assert isinstance(objective.objective, Penalized) and isinstance(objective.objective.penalties[0], kind)


def test_samples_and_the_log(tmp_path, capsys):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(tmp_path, replace(SMALL, sample_every=4), tensorboard=True, progress=False)
    assert sorted(p.name for p in (tmp_path / "samples").iterdir()) == ["step-000004.png", "step-000008.png"]
    log = EventAccumulator(str(tmp_path / "tensorboard"))
    log.Reload()
    assert set(log.Tags()["scalars"]) == {"d_loss", "g_loss", "d_real", "d_fake"}
    assert set(log.Tags()["images"]) == {"real", "fake"}
    rows = (tmp_path / "losses.csv").read_text().splitlines()[1:]
    logged = log.Scalars("g_loss")
    assert [event.step for event in logged] == list(range(1, 9))
    assert [event.value for event in logged] == pytest.approx([float(row.split(",")[2]) for row in rows], rel=1e-4)


def test_a_folder_of_pictures_is_trained_on_and_told_about(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GANBOOK_DATA", str(tmp_path / "cache"))
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for i in range(12):
        Image.new("RGB", (20 + i, 20), (20 * i, 100, 0)).save(pictures / f"{i}.png")
    for i in range(12):
        (pictures / f"broken-{i:02}.jpg").write_text("no picture")
    card = train(tmp_path / "run", replace(SMALL, data=str(pictures), steps=2), progress=False)
    assert (card["data"], card["pictures"], card["skipped"]) == ("pictures", 10, 12)
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "12 file(s) cannot be used:" and told[-1] == "  and 2 more" and len(told) == 12
    assert "broken-00.jpg" in told[1]
    assert str(tmp_path) not in (tmp_path / "run" / "card.json").read_text()


def test_what_precision_means_is_settled_once(tmp_path, monkeypatch):
    """Auto is what is faster; a run that was cut goes on in what it began with, whatever is faster now."""
    faster = iter(["bf16", "never asked"])
    monkeypatch.setattr(runs, "pick_precision", lambda name, where: next(faster) if name == "auto" else name)
    plan = replace(SMALL, steps=2, save_every=1, precision="auto")
    card = train(tmp_path, plan, device="cpu", progress=False)
    assert card["precision"] == "bf16"
    (tmp_path / "card.json").unlink()
    longer = train(tmp_path, replace(plan, steps=3), resume=tmp_path, device="cpu", progress=False)
    assert (longer["precision"], longer["steps"]) == ("bf16", 3)


def test_what_is_kept_is_the_running_average_of_g(tmp_path, monkeypatch):
    seen, real = [], runs.train_step

    def train_step(G, *args):
        step = real(G, *args)
        seen.append([p.detach().clone() for p in G.parameters()])
        return step

    monkeypatch.setattr(runs, "train_step", train_step)
    train(tmp_path, replace(SMALL, average=0.75), progress=False)
    expected = seen[0]  # the average begins with the first G
    for weights_now in seen[1:]:
        expected = [0.75 * old + 0.25 * new for old, new in zip(expected, weights_now, strict=True)]
    G, _ = load_networks(tmp_path)
    torch.testing.assert_close(list(G.parameters()), expected)
    assert not torch.allclose(next(G.parameters()), seen[-1][0])


def test_networks_are_built_for_the_labels_of_the_data(tmp_path):
    plan = replace(SMALL, recipe="acgan", average=0.0)
    card = train(tmp_path, plan, progress=False)
    assert card["networks"]["num_classes"] == [12, 10]
    assert {kind: len(values) for kind, values in card["classes"].items()} == {"hair": 12, "eyes": 10}
    assert sum(row[-1] for row in card["combinations"]) == card["pictures"] == 16
    G, D = load_networks(tmp_path)
    assert G.num_classes == (12, 10) and D.num_classes == (12, 10)


def test_pictures_of_a_plan_are_known_before_its_networks_are_built():
    state = torch.get_rng_state()
    assert picture_shape(fill(SMALL)) == (3, 16, 16)
    assert picture_shape(fill(Plan("cgan"))) == picture_shape(fill(Plan("mlp"))) == (1, 28, 28)
    assert torch.equal(state, torch.get_rng_state())


def test_the_average_takes_in_g_after_its_own_turns_and_its_buffers_too():
    plan = fill(replace(SMALL, average=0.75, g_every=2))
    run, (images, _) = begin(plan, CPU), datasets.load("avatars", (3, 16, 16))
    assert len(list(updates(run, plan, images))) == 8 and run.average.n_averaged == 4
    averaged, now = (dict(net.named_buffers()) for net in (run.average.module, run.G))
    means = [name for name in now if name.endswith("running_mean")]
    assert means and not any(torch.equal(averaged[name], now[name]) for name in means)


def test_even_reaches_the_batches(monkeypatch):
    orders, real = [], runs.Ordered
    monkeypatch.setattr(runs, "Ordered", lambda *args, **how: orders.append(real(*args, **how)) or orders[-1])
    images, _ = datasets.load("avatars", (3, 16, 16))
    for even in (False, True):
        plan = fill(replace(SMALL, even=even, steps=1))
        list(updates(begin(plan, CPU), plan, images))
    assert [order.even for order in orders] == [False, True]


def test_the_recipes_average_is_the_plans_unless_it_says_otherwise():
    assert fill(Plan("acgan")).average == recipe("acgan").average > 0
    assert fill(Plan("acgan", average=0.0)).average == 0 == fill(Plan("mlp")).average
