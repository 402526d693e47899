"""The GAN that trains in the page: its arithmetic is PyTorch's, and the page does what it says."""

import re
from math import exp, log, log1p

import pytest
import torch
from torch.optim import SGD, Adam

from ganbook import metrics, objectives, penalties, toys, training
from ganbook.mlp import PointDiscriminator, PointGenerator
from tests.conftest import TOP

SOURCE = TOP / "book" / "_static" / "live" / "gan2d.js"
PAGE = "book/live-gan.html"
OBJECTIVES = {
    "minimax": objectives.Minimax(),
    "nonsaturating": objectives.NonSaturating(),
    "leastsquares": objectives.LeastSquares(),
    "hinge": objectives.Hinge(),
    "wasserstein": objectives.Wasserstein(),
}
GAMMA, LAMBDA = 0.7, 10.0

# What the tests say to gan2d.js: plain lists come in, plain lists go out.
HELPERS = """
const floats = (list) => Float64Array.from(list);
const net = ({ layers, slope }) =>
  ({ slope, layers: layers.map((l) => ({ ...l, W: floats(l.W), b: floats(l.b) })) });
const flat = (layers) => layers.flatMap(({ W, b }) => [...W, ...b]);
const game = ({ G, D, settings }) => {
  [G, D] = [net(G), net(D)];
  const optG = gan2d.makeOptimizer(G, settings.ruleG), optD = gan2d.makeOptimizer(D, settings.ruleD);
  return { G, D, optG, optD, settings, dSteps: 0, gSteps: 0 };
};
"""


@pytest.fixture(scope="module")
def js(chromium):
    """js("(given) => ...", given) runs a function beside gan2d.js, without the page."""
    page = chromium.new_page()
    page.add_script_tag(path=SOURCE)
    page.add_script_tag(content=HELPERS)
    yield page.evaluate
    page.close()


@pytest.fixture
def double(monkeypatch):
    """ganbook in double precision, in which JavaScript computes: its penalties ask for float32."""
    torch.set_default_dtype(torch.float64)
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    yield
    torch.set_default_dtype(torch.float32)


def as_lists(network) -> dict:
    linear = [layer for layer in network.net if isinstance(layer, torch.nn.Linear)]
    layers = [
        {"inputs": i.in_features, "outputs": i.out_features, "W": numbers(i.weight), "b": numbers(i.bias)}
        for i in linear
    ]
    return {"layers": layers, "slope": getattr(network.net[1], "negative_slope", 0)}


def numbers(tensor) -> list[float]:
    return tensor.detach().flatten().tolist()


def flat_weights(network):
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def flat_gradients(network):
    return torch.cat([p.grad.flatten() for p in network.parameters()])


def off(ours, theirs) -> float:
    """The largest difference, as a share of the largest number."""
    ours, theirs = torch.as_tensor(ours), torch.as_tensor(theirs)
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


def pair(seed: int, n: int = 32):
    """G and D of the package, with real points, noise and the penalty's u."""
    torch.manual_seed(seed)
    G, D = PointGenerator(latent_dim=3), PointDiscriminator()
    with torch.no_grad():
        for p in D.parameters():
            p.mul_(1.5)  # far enough from 0 that hinges bend and logits differ
    return G, D, 2 * torch.randn(n, 2), torch.randn(n, 3), torch.rand(n)


def give_u(monkeypatch, u):
    """The penalty's places between real and fake are these."""
    monkeypatch.setattr(torch, "rand", lambda *shape, device=None: u.reshape(shape))


# ------------------------------------------------------------------------------------------------ arithmetic


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("gamma, weight", [(0, 0), (GAMMA, 0), (0, LAMBDA), (GAMMA, LAMBDA)])
def test_ds_loss_and_gradients_are_pytorchs(name, gamma, weight, js, double, monkeypatch):
    G, D, x, z, u = pair(seed=len(name))
    give_u(monkeypatch, u)
    added = [penalties.R1(gamma)] * bool(gamma) + [penalties.GradientPenalty(weight)] * bool(weight)
    x_fake = G(z).detach()
    loss = penalties.Penalized(OBJECTIVES[name], *added).d_loss(D, x, x_fake)
    loss.backward()
    given = {
        "D": as_lists(D), "x": numbers(x), "fake": numbers(x_fake), "u": numbers(u),
        "settings": {"objective": name, "r1": gamma, "gp": weight},
    }  # fmt: skip
    ours, gradients = js(
        """({ D, x, fake, u, settings }) => {
          [x, fake, u] = [x, fake, u].map(floats);
          const { loss, gradients } = gan2d.discriminatorLoss(net(D), x, fake, settings, u);
          return [loss, flat(gradients)];
        }""",
        given,
    )
    assert ours == pytest.approx(loss.item(), rel=1e-9)
    assert off(gradients, flat_gradients(D)) < 1e-9


@pytest.mark.parametrize("name", OBJECTIVES)
def test_gs_loss_and_gradients_are_pytorchs(name, js, double):
    G, D, _, z, _ = pair(seed=len(name))
    x_fake = G(z)
    x_fake.retain_grad()
    loss = OBJECTIVES[name].g_loss(D, x_fake)
    loss.backward()
    given = {"G": as_lists(G), "D": as_lists(D), "z": numbers(z), "settings": {"objective": name}}
    ours, gradients, on_fakes, arrows = js(
        """({ G, D, z, settings }) => {
          [G, D, z] = [net(G), net(D), floats(z)];
          const { loss, gradients, onFakes } = gan2d.generatorLoss(G, D, z, settings);
          return [loss, flat(gradients), [...onFakes], [...gan2d.pull({ G, D, settings }, z).arrows]];
        }""",
        given,
    )
    assert ours == pytest.approx(loss.item(), rel=1e-9)
    assert off(gradients, flat_gradients(G)) < 1e-9
    assert off(on_fakes, x_fake.grad.flatten()) < 1e-9
    assert off(arrows, -len(z) * x_fake.grad.flatten()) < 1e-9  # each fake's own loss, downhill


@pytest.mark.parametrize("gamma, weight", [(GAMMA, 0), (0, LAMBDA)])
def test_a_penalty_alone_is_pytorchs(gamma, weight, js, double, monkeypatch):
    _, D, x, _, u = pair(seed=5)
    give_u(monkeypatch, u)
    x_fake = -x.flip(0)
    penalty = penalties.R1(gamma) if gamma else penalties.GradientPenalty(weight)
    loss = penalty(D, x, x_fake)
    theirs = torch.autograd.grad(loss, list(D.parameters()), materialize_grads=True)
    ours, gradients = js(
        """({ D, x, fake, u, gamma, weight }) => {
          [x, fake, u] = [x, fake, u].map(floats);
          const { loss, gradients } = gamma
            ? gan2d.penalty(net(D), x, gan2d.r1(gamma))
            : gan2d.penalty(net(D), gan2d.between(x, fake, u), gan2d.gradientPenalty(weight));
          return [loss, flat(gradients)];
        }""",
        {
            "D": as_lists(D),
            "x": numbers(x),
            "fake": numbers(x_fake),
            "u": numbers(u),
            "gamma": gamma,
            "weight": weight,
        },
    )
    assert ours == pytest.approx(loss.item(), rel=1e-9)
    assert off(gradients, torch.cat([g.flatten() for g in theirs])) < 1e-9


@pytest.mark.parametrize(
    "name, gamma, weight, rule",
    [("nonsaturating", 0, 0, "adam"), ("minimax", GAMMA, 0, "adam"), ("leastsquares", 0, 0, "adam"),
     ("hinge", 0, 0, "sgd"), ("wasserstein", 0, LAMBDA, "adam"), ("nonsaturating", GAMMA, LAMBDA, "adam")],
)  # fmt: skip
def test_ten_steps_end_in_the_weights_of_ganbooks_train_step(name, gamma, weight, rule, js, double, monkeypatch):
    G, D, *_ = pair(seed=3)
    given = {
        "G": as_lists(G), "D": as_lists(D), "rounds": [],
        "settings": {"objective": name, "r1": gamma, "gp": weight, "ruleG": rule, "ruleD": "adam", "beta1": 0.5,
                     "rateG": 0.003, "rateD": 0.002},
    }  # fmt: skip
    opt_G = SGD(G.parameters(), lr=0.003) if rule == "sgd" else Adam(G.parameters(), lr=0.003, betas=(0.5, 0.999))
    opt_D = Adam(D.parameters(), lr=0.002, betas=(0.5, 0.999))
    added = [penalties.R1(gamma)] * bool(gamma) + [penalties.GradientPenalty(weight)] * bool(weight)
    objective = penalties.Penalized(OBJECTIVES[name], *added)
    for _ in range(10):
        x, u, *z = toys.ring().sample(16).double(), torch.rand(16), torch.randn(16, 3), torch.randn(16, 3)
        given["rounds"].append([numbers(t) for t in (x, z[0], u, z[1])])
        with monkeypatch.context() as patch:
            give_u(patch, u)
            patch.setattr(training, "draw_z", lambda G, x, z=z: z.pop(0))
            training.train_step(G, D, objective, opt_G, opt_D, x)
    ours_G, ours_D = js(
        """(given) => {
          const play = game(given);
          for (const [x, zD, u, zG] of given.rounds) {
            gan2d.updateD(play, floats(x), floats(zD), floats(u));
            gan2d.updateG(play, floats(zG));
          }
          return [flat(play.G.layers), flat(play.D.layers)];
        }""",
        given,
    )
    assert off(ours_G, flat_weights(G)) < 1e-8
    assert off(ours_D, flat_weights(D)) < 1e-8


def test_exp_log_and_softplus_are_right_to_the_last_digits(js):
    at = [x / 7 for x in range(-280, 281)]
    ours = js("(at) => at.map((x) => [gan2d.exp(x), gan2d.log(Math.abs(x) + 0.01), gan2d.softplus(x)])", at)
    for x, (e, logarithm, s) in zip(at, ours, strict=True):
        assert e == pytest.approx(exp(x), rel=1e-14)
        assert logarithm == pytest.approx(log(abs(x) + 0.01), rel=1e-14, abs=1e-15)
        assert s == pytest.approx(max(x, 0) + log1p(exp(-abs(x))), rel=1e-14)


def xoshiro(seed: int, n: int) -> list[int]:
    """The first n outputs of xoshiro128** behind splitmix32, from their definitions."""
    word, state, out = 0xFFFFFFFF, [], []
    mixed = seed * 0x85EBCA6B & word
    for _ in range(4):
        mixed = mixed + 0x9E3779B9 & word
        t = (mixed ^ mixed >> 16) * 0x21F0AAAD & word
        t = (t ^ t >> 15) * 0x735A2D97 & word
        state.append(t ^ t >> 15)
    for _ in range(n):
        a, b, c, d = state
        turned = b * 5 & word
        out.append(((turned << 7 | turned >> 25) & word) * 9 & word)
        c, d = c ^ a, d ^ b
        b, a = b ^ c, a ^ d
        c ^= state[1] << 9 & word
        state = [a, b, c, (d << 11 | d >> 21) & word]
    return out


def test_the_random_numbers_are_those_of_the_published_generator(js):
    for seed in (0, 1, 99_999):
        bits = js("(seed) => { const r = gan2d.makeRandom(seed); return [...Array(50)].map(r.bits); }", seed)
        assert bits == xoshiro(seed, 50)


def test_normals_are_normal_and_streams_differ(js):
    n = 40_000
    first, second = (
        torch.tensor(js("([s, n]) => [...gan2d.drawNormals(gan2d.makeRandom(7, s), n)]", [stream, n]))
        for stream in (0, 1)
    )
    for drawn in (first, second):
        assert drawn.mean().abs() < 5 / n**0.5
        assert drawn.var() == pytest.approx(1, abs=0.04)
        assert drawn.pow(4).mean() == pytest.approx(3, abs=0.3)
        assert (drawn.abs() < 1).double().mean() == pytest.approx(0.6827, abs=0.012)
    assert torch.corrcoef(torch.stack([first, second]))[0, 1].abs() < 5 / n**0.5


def test_the_data_are_those_of_the_package(js):
    for name, theirs in (("ring", toys.ring()), ("grid", toys.grid())):
        ours = js("(name) => gan2d.distributions[name]()", name)
        assert torch.allclose(torch.tensor(ours["means"], dtype=torch.float32), theirs.means, atol=1e-6)
        assert ours["sd"] == theirs.sd
        drawn = js("(n) => [...gan2d.samplePoints(gan2d.distributions[n](), gan2d.makeRandom(1), 4000)]", name)
        x = torch.tensor(drawn).reshape(-1, 2)
        assert metrics.mode_coverage(x, theirs) == (len(theirs.means), pytest.approx(0.989, abs=0.008))


def test_coverage_is_the_packages(js):
    torch.manual_seed(0)
    mixture = toys.ring()
    for share in (0.02, 0.3, 1.0):
        x = mixture.sample(400) * torch.where(torch.rand(400, 1) < share, 1.0, 0.5)
        x[:100] = mixture.means[0]
        ours = js("(x) => gan2d.modeCoverage(floats(x), gan2d.distributions.ring())", numbers(x))
        assert (ours["covered"], ours["good"]) == pytest.approx(metrics.mode_coverage(x, mixture))


def test_a_run_is_the_same_in_every_browser(js):
    """Only + - * / and sqrt are exact everywhere; so no other function may be in use, and the run is this one."""
    code = re.sub(r"/\*.*?\*/|//[^\n]*", "", SOURCE.read_text(), flags=re.S)
    used = set(re.findall(r"Math\.(\w+)", code))
    assert used - {"cos", "sin"} <= {"abs", "floor", "imul", "max", "min", "round", "sqrt"} | {
        "LN2", "PI", "SQRT1_2", "SQRT2",
    }  # fmt: skip
    assert code.count("Math.cos") == code.count("Math.sin") == code.count("round(radius") // 2 == 1
    assert "**" not in code
    run = "(n) => { const g = gan2d.startGame(gan2d.defaults); for (let i = 0; i < n; i++) gan2d.trainStep(g); "
    assert js(run + "return [g.dLoss, g.gLoss]; }", 20) == [1.37077351786214, 0.827442758053018]


def test_a_round_is_k_updates_of_d_and_one_of_g_after_the_head_start(js):
    play = """(more) => {
      const play = gan2d.startGame({ ...gan2d.defaults, ...more });
      for (let i = 0; i < 3; i++) gan2d.trainStep(play);
      return [play.dSteps, play.gSteps];
    }"""
    assert js(play, {"k": 3}) == [9, 3]
    assert js(play, {"k": 2, "headStart": 4}) == [6, 1]


def test_training_is_quick_enough_to_watch(js):
    """60 to 120 steps a second on an idle core of 2024; a busy machine has a tenth of that."""
    speed = js(
        """(n) => {
          const play = gan2d.startGame(gan2d.defaults);
          for (let i = 0; i < 20; i++) gan2d.trainStep(play);
          const started = performance.now();
          for (let i = 0; i < n; i++) gan2d.trainStep(play);
          return (1000 * n) / (performance.now() - started);
        }""",
        60,
    )
    print(f"{speed:.0f} steps a second")
    assert speed >= 5


# -------------------------------------------------------------------------------------------------- presets

# Plays a preset for some rounds and says how it stands.
PLAY = """([name, seed, rounds]) => {
  const play = gan2d.startGame({ ...gan2d.defaults, ...gan2d.presets[name].settings, seed });
  const z = gan2d.drawNormals(gan2d.makeRandom(seed, 2), 1000 * play.settings.latentDim);
  const length = (v, i) => Math.hypot(v[2 * i], v[2 * i + 1]);
  const mean = (f) => Array.from({ length: 1000 }, (_, i) => f(i)).reduce((a, b) => a + b) / 1000;
  const first = gan2d.pull(play, z).xFake, most = [], radius = [];
  for (let i = 1; i <= rounds; i++) {
    gan2d.trainStep(play);
    if (i % 20) continue;
    const x = gan2d.forward(play.G, z).output;
    most.push(gan2d.modeCoverage(x, play.data).covered);
    if (i > 100) radius.push(mean((j) => length(x, j)));
  }
  const { xFake, arrows } = gan2d.pull(play, z);
  const says = gan2d.surface(play.D, 30, 3).map(gan2d.sigmoid);
  return {
    ...gan2d.modeCoverage(xFake, play.data), most: Math.max(...most), d_loss: play.dLoss, g_loss: play.gLoss,
    d_steps: play.dSteps, g_steps: play.gSteps, arrow: mean((i) => length(arrows, i)),
    moved: mean((i) => Math.hypot(xFake[2 * i] - first[2 * i], xFake[2 * i + 1] - first[2 * i + 1])),
    swing: Math.max(...radius) - Math.min(...radius), contrast: Math.max(...says) - Math.min(...says),
  };
}"""


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_healthy_game_covers_six_modes_in_300_rounds(seed, js):
    end = js(PLAY, ["healthy", seed, 300])
    assert end["covered"] >= 6
    assert end["swing"] < 0.4  # the mean distance of the fakes from the middle, from round 100 on
    assert (end["d_loss"], end["g_loss"]) == pytest.approx((2 * log(2), log(2)), abs=0.1)


def test_what_the_first_experiment_says(js):
    losses, same = js("""() => {
      const play = gan2d.startGame(gan2d.defaults), losses = [];
      const z = gan2d.drawNormals(gan2d.makeRandom(0, 2), 200);
      const dots = () => String(gan2d.forward(play.G, z).output);
      const shade = () => String(gan2d.surface(play.D, 20, 3));
      const before = dots();
      for (let i = 0; i < 10; i++) gan2d.stepD(play);
      const same = [before === dots()], shaded = shade();
      losses.push(play.dLoss);
      for (let i = 0; i < 10; i++) gan2d.stepG(play);
      same.push(shaded === shade(), before !== dots());
      gan2d.stepD(play);
      return [[...losses, play.dLoss], same];
    }""")
    assert all(same)
    assert losses[1] > losses[0]


def test_saturating_g_hardly_moves_and_hears_hardly_anything(js):
    end = js(PLAY, ["saturating", 0, 440])
    assert (end["d_steps"], end["g_steps"]) == (440, 40)
    assert end["d_loss"] < 0.05  # D is sure
    assert end["arrow"] < 0.01 and end["moved"] < 0.15
    # The same D and the same fakes, with the other loss for G: over 100 times the pull.
    change = PLAY.replace(
        "const { xFake, arrows }", 'play.settings.objective = "nonsaturating"; const { xFake, arrows }'
    )
    assert js(change, ["saturating", 0, 440])["arrow"] > 100 * end["arrow"]


def test_with_beta1_of_09_the_cloud_swings_and_covers_next_to_nothing(js):
    end = js(PLAY, ["momentum", 0, 300])
    assert end["most"] <= 3 and end["swing"] > 0.6


def test_a_slow_d_is_chased_from_mode_to_mode(js):
    end = js(PLAY, ["slow-d", 0, 200])
    assert end["most"] <= 2 and end["swing"] > 0.6


def test_wasserstein_needs_more_than_one_step_of_d(js):
    assert js(PLAY, ["wasserstein", 0, 200])["covered"] >= 6
    assert js(PLAY, ["wasserstein-k1", 0, 240])["most"] <= 3


def test_strong_r1_makes_d_flat_and_the_losses_say_that_all_is_well(js):
    end = js(PLAY, ["strong-r1", 0, 100])
    assert (end["d_loss"], end["g_loss"]) == pytest.approx((2 * log(2), log(2)), abs=0.03)
    assert end["covered"] <= 3 and end["arrow"] < 0.03 and end["contrast"] < 0.15


def test_every_preset_says_what_to_watch_and_the_page_links_to_it(js):
    presets = js("() => gan2d.presets")
    linked = set(re.findall(r'"\?preset=([\w-]+)"', (TOP / "book" / "live-gan.md").read_text()))
    assert linked <= set(presets)
    assert set(presets) - linked <= {"grid", "spiral"}
    assert all(len(preset["watch"]) > 40 and preset["name"] for preset in presets.values())


# ------------------------------------------------------------------------------------------------- the page


@pytest.fixture
def live(visit):
    """live(query, **how): the page, its element ready."""

    def open_page(query: str = "", **how):
        page = visit(f"{PAGE}{query}", **how)
        page.locator("live-gan button[name=play]").wait_for()
        page.set_default_timeout(10_000)
        return page

    return open_page


def control(page, name: str):
    return page.locator(f"live-gan [name='{name}']")


def state(page) -> dict:
    return page.evaluate(
        """() => {
          const { game, settings, rounds, playing, real } = document.querySelector("live-gan");
          const { dSteps, gSteps, dLoss, gLoss } = game;
          const more = { playing: Boolean(playing), real: real.length / 2 };
          return { dSteps, gSteps, dLoss, gLoss, settings, rounds, ...more };
        }"""
    )


def picture(page) -> str:
    return page.evaluate("document.querySelector('.live-plane').toDataURL()")


def says(page) -> str:
    return page.locator(".live-says").inner_text()


def play_rounds(page, n: int):
    page.evaluate(
        "n => { const g = document.querySelector('live-gan'); for (let i = 0; i < n; i++) g.round(); }", n
    )


def test_nothing_plays_or_jumps_before_it_is_asked_to(live):
    for width in (1_440, 768, 390):
        page = live(viewport={"width": width, "height": 844})
        page.wait_for_timeout(300)
        assert state(page)["rounds"] == 0
        moved = page.evaluate(
            """() => new Promise((done) => {
              const sum = (list) => list.getEntries().reduce((all, entry) => all + entry.value, 0);
              new PerformanceObserver((list) => done(sum(list))).observe({ type: "layout-shift", buffered: true });
              setTimeout(() => done(0), 200);
            })"""
        )
        assert moved < 0.01
        needs, has = page.evaluate(
            "['.live', 'live-gan'].map((name) => document.querySelector(name).getBoundingClientRect().height)"
        )
        assert needs <= has <= needs + 60, "the height kept for the element is the height it has"


def test_driven_by_mouse(live):
    page = live()
    before = picture(page)
    control(page, "stepD").click()
    assert (state(page)["dSteps"], state(page)["gSteps"]) == (1, 0)
    after = picture(page)
    assert after != before and "Updates: D 1, G 0." in says(page)
    control(page, "stepG").click()
    assert (state(page)["dSteps"], state(page)["gSteps"]) == (1, 1)
    assert picture(page) != after

    control(page, "play").click()
    page.wait_for_function("document.querySelector('live-gan').rounds > 12")
    control(page, "play").click()
    stopped = state(page)
    assert not stopped["playing"] and control(page, "play").inner_text() == "Play"
    page.wait_for_timeout(200)
    assert state(page)["rounds"] == stopped["rounds"]
    assert f"Updates: D {stopped['dSteps']}, G" in says(page)

    control(page, "reset").click()
    assert state(page)["dSteps"] == 0 and picture(page) == before
    control(page, "show-arrows").uncheck()
    assert picture(page) != before


def test_looking_at_a_game_does_not_change_it(live):
    page = live()
    watched, alone = page.evaluate("""() => {
      const live = document.querySelector("live-gan"), alone = gan2d.startGame(gan2d.defaults);
      for (let i = 0; i < 12; i++) {
        live.round();
        live.draw();
        gan2d.trainStep(alone);
      }
      return [live.game, alone].map(({ dLoss, gLoss }) => [dLoss, gLoss]);
    }""")
    assert watched == alone


def test_slow_is_two_rounds_a_second(live):
    page = live("?speed=slow")
    control(page, "play").click()
    page.wait_for_timeout(1_700)
    assert 1 <= state(page)["rounds"] <= 5


def test_driven_by_keyboard(live):
    page = live()
    control(page, "preset").focus()
    page.keyboard.press("Tab")
    names = []
    for _ in range(30):
        names.append(page.evaluate("document.activeElement.name"))
        page.keyboard.press("Tab")
    everything = [
        "show-real",
        "show-surface",
        "play",
        "reset",
        "stepD",
        "stepG",
        "speed",
        "seed",
        "data",
        "latentDim",
    ]
    everything += ["objective", "r1", "gp", "ruleD", "rateD", "ruleG", "rateG", "beta1", "k", "headStart", "copy"]
    assert set(everything) <= set(names), "every control is reached by Tab"

    control(page, "stepD").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Space")
    assert state(page)["dSteps"] == 2
    control(page, "objective").focus()
    page.keyboard.press("ArrowDown")
    assert state(page)["settings"]["objective"] == "leastsquares"


def test_drawn_by_keyboard(live):
    page = live()
    control(page, "data").focus()
    page.keyboard.press("End")
    assert state(page)["settings"]["data"] == "draw" and control(page, "play").is_disabled()
    assert says(page) == "No data yet: draw on the picture."
    blank = picture(page)
    control(page, "place").focus()
    assert picture(page) != blank, "the cross is shown"
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "Enter"):
        page.keyboard.press(key)
    for key in ("ArrowDown", "ArrowLeft"):
        page.keyboard.press(key)
    assert says(page) == "Cross at (0.2, 0.0)."
    page.keyboard.press("Space")
    assert state(page)["settings"]["points"] == [[0.4, 0.2], [0.2, 0]]
    assert state(page)["real"] == 300 and "of 2;" in says(page)
    control(page, "undo").focus()
    page.keyboard.press("Enter")
    assert state(page)["settings"]["points"] == [[0.4, 0.2]] and control(page, "play").is_enabled()


def test_drawn_with_the_mouse(live):
    page = live("?preset=draw")
    box = page.locator(".live-plane").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + box["height"] / 2, steps=20)
    page.mouse.up()
    page.mouse.move(box["x"], box["y"])  # no button: no stroke
    points = state(page)["settings"]["points"]
    assert 5 <= len(points) <= 8 and points[0] == [0, 0] and points[-1][0] == pytest.approx(1.4, abs=0.15)
    control(page, "stepD").click()
    control(page, "clear").click()
    assert state(page)["settings"]["points"] == [] and control(page, "stepD").is_disabled()


def test_driven_by_touch_on_a_phone(live):
    page = live("?preset=draw", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    plane = page.locator(".live-plane")
    plane.scroll_into_view_if_needed()
    box, scrolled = plane.bounding_box(), page.evaluate("scrollY")
    touch = page.context.new_cdp_session(page)
    x, y = box["x"] + 60, box["y"] + 60
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    for i in range(1, 11):
        at = [{"x": x, "y": y + 10 * i}]
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": at})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    points = state(page)["settings"]["points"]
    assert len(points) >= 5
    assert points[0][0] == pytest.approx(-2, abs=0.2) and points[0][1] == pytest.approx(2, abs=0.2)
    assert points[-1][1] < points[0][1], "down is down"
    assert page.evaluate("scrollY") == scrolled, "a finger that draws does not scroll"
    control(page, "stepD").tap()
    assert state(page)["dSteps"] == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("width, least", [(1_440, 24), (390, 44)])
def test_targets_are_large_enough(width, least, live):
    page = live("?preset=draw", viewport={"width": width, "height": 844})
    sizes = page.evaluate(
        """() => {
          const controls = [...document.querySelectorAll("live-gan :is(button, select, input)")];
          return Object.fromEntries(controls.map((c) => {
            const { width, height } = (c.type === "checkbox" ? c.parentElement : c).getBoundingClientRect();
            return [c.name, Math.min(width, height)];
          }));
        }"""
    )
    assert len(sizes) > 20 and min(sizes.values()) >= least, sizes


def test_the_address_restores_the_game(live):
    page = live("?preset=momentum")
    chosen = {
        "data": "spiral", "objective": "hinge", "r1": "0.3", "gp": "1", "ruleG": "sgd", "rateG": "0.05",
        "beta1": "0", "k": "2", "latentDim": "4", "speed": "steady",
    }  # fmt: skip
    for name, value in chosen.items():
        control(page, name).select_option(value)
    control(page, "seed").fill("17")
    control(page, "seed").press("Enter")
    control(page, "show-surface").uncheck()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    control(page, "copy").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.url == control(page, "address").input_value()
    control(page, "reset").click()
    play_rounds(page, 15)
    here = state(page)

    other = live(copied.split(PAGE)[1])
    assert state(other)["settings"] == here["settings"]
    for name, value in chosen.items():
        assert control(other, name).input_value() == value
    assert control(other, "preset").input_value() == "momentum"
    assert not control(other, "show-surface").is_checked()
    play_rounds(other, 15)
    assert state(other) == here and here["gSteps"] == 15


def test_drawn_data_travel_in_the_address(live):
    page = live("?preset=draw&points=-20.35_0.0_60.-60")
    assert state(page)["settings"]["points"] == [[-1, 1.75], [0, 0], [3, -3]]
    again = live(page.url.split(PAGE)[1])
    assert state(again)["settings"]["points"] == [[-1, 1.75], [0, 0], [3, -3]]


def test_a_wrong_address_gives_the_healthy_game(live):
    page = live("?preset=constructor&k=7&seed=-1&data=cats&rateD=__proto__&points=1.x_99.99&hide=all")
    settings = state(page)["settings"]
    assert (settings["k"], settings["seed"], settings["data"], settings["rateD"]) == (1, 0, "ring", 0.003)
    assert control(page, "preset").input_value() == "healthy" and settings["points"] == []
    control(page, "stepD").click()
    assert state(page)["dSteps"] == 1


def test_a_link_opens_its_preset_without_a_new_page(live):
    page = live()
    play_rounds(page, 3)
    page.evaluate("window.same = true")
    page.evaluate("location.hash = 'six-things-to-try'")
    page.wait_for_timeout(50)
    assert state(page)["rounds"] == 3, "a jump within the page leaves the game alone"
    page.locator("a[href='?preset=saturating']").first.click()
    assert state(page)["settings"]["headStart"] == 400 and state(page)["rounds"] == 0
    assert page.evaluate("window.same") and page.url.endswith("?preset=saturating")
    page.go_back()
    page.wait_for_function("document.querySelector('live-gan').settings.headStart === 0")


def test_a_change_joins_in_and_says_so(live):
    page = live()
    play_rounds(page, 5)
    control(page, "objective").select_option("minimax")
    control(page, "ruleG").select_option("sgd")
    assert state(page)["rounds"] == 5 and "Settings changed at round 5" in says(page)
    play_rounds(page, 2)
    assert state(page)["gSteps"] == 7
    control(page, "data").select_option("grid")
    assert state(page)["rounds"] == 0 and "of 25;" in says(page)


def test_it_speaks_at_most_every_two_seconds(live):
    page = live()
    page.evaluate("""() => {
      window.spoken = 0;
      const says = document.querySelector(".live-says");
      new MutationObserver(() => window.spoken++).observe(says, { childList: true });
    }""")
    control(page, "play").click()
    page.wait_for_timeout(2_600)
    assert page.evaluate("window.spoken") <= 2
    assert page.locator(".live-says").get_attribute("aria-live") == "polite"
    unnamed = page.evaluate(
        """[...document.querySelectorAll("live-gan :is(select, input)")].filter((c) => !c.labels.length).length"""
    )
    assert unnamed == 0
    for canvas in page.locator("live-gan canvas[role=img]").all():
        assert len(canvas.get_attribute("aria-label")) > 40


def test_reduced_motion_draws_every_tenth_round_at_most(live):
    page = live(reduced_motion="reduce")
    page.evaluate("""() => {
      const live = document.querySelector("live-gan"), draw = live.draw;
      window.drawn = [];
      live.draw = () => { window.drawn.push(live.rounds); draw.call(live); };
    }""")
    control(page, "play").click()
    page.wait_for_timeout(1_500)
    drawn, rounds = page.evaluate("window.drawn"), state(page)["rounds"]
    assert len(drawn) <= 2 and len(drawn) <= rounds / 10 + 1


def test_light_and_dark(live):
    light, dark = live(color_scheme="light"), live(color_scheme="dark")
    assert picture(light) != picture(dark)
    before = picture(light)
    light.evaluate("document.documentElement.dataset.theme = 'dark'")
    light.wait_for_timeout(100)
    assert picture(light) != before


def test_it_works_from_a_folder(chromium, site):
    page = chromium.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"file://{site / PAGE}?preset=slow-d")
    control(page, "stepD").click()
    control(page, "k").select_option("3")
    assert state(page)["dSteps"] == 1 and page.url.endswith("?preset=slow-d&k=3")
    page.close()
    assert not errors


def test_no_other_page_loads_it(site):
    others = [page for page in site.rglob("*.html") if "gan2d" in page.read_text()]
    assert [page.name for page in others] == ["live-gan.html"]
