/* A GAN on points in the plane, every line of arithmetic in the open.

   No library and no page: this file is numbers in, numbers out, and gan2d-view.js draws them. Read it from the
   end: `trainStep` is Algorithm 1, `updateD` and `updateG` are its two updates, and everything above them is what
   PyTorch does for the book's chapters. tests/test_live_gan.py holds each part to PyTorch and to ganbook.

   A batch of n points in d dimensions is one Float64Array of n·d numbers, point after point.

   The same seed gives the same run, bit for bit, in every browser: only + − × ÷ and √ are used, which the standard
   fixes to the last digit. It does not fix Math.exp, log, sin or cos, hence the next thirty lines. */
var gan2d = (function () {
  "use strict";

  // ---------------------------------------------------------------------------------------- exp and log

  const LN2_HIGH = 6.9314718036912381649e-1, LN2_LOW = 1.90821492927058770002e-10; // their sum is log 2

  function exp(x) {
    const clipped = Math.min(Math.max(x, -700), 700);
    const k = Math.round(clipped / Math.LN2); // e^x = 2^k e^r with |r| ≤ log(2)/2
    const r = clipped - k * LN2_HIGH - k * LN2_LOW;
    let sum = 1;
    for (let n = 14; n > 0; n--) sum = 1 + (r / n) * sum; // 1 + r + r²/2! + …
    for (let i = k; i > 0; i--) sum *= 2;
    for (let i = k; i < 0; i++) sum /= 2;
    return sum;
  }

  /** log((1 + s) / (1 − s)) = 2 (s + s³/3 + s⁵/5 + …), for |s| ≤ 1/3. */
  function logRatio(s) {
    let sum = 0;
    for (let n = 35; n > 0; n -= 2) sum = 1 / n + s * s * sum;
    return 2 * s * sum;
  }

  function log(x) {
    let k = 0;
    for (; x < Math.SQRT1_2; k--) x *= 2;
    for (; x > Math.SQRT2; k++) x /= 2;
    return k * Math.LN2 + logRatio((x - 1) / (x + 1));
  }

  const squared = (x) => x * x; // ** is not fixed to the last digit either
  const sigmoid = (l) => 1 / (1 + exp(-l));

  /** log(1 + e^l), without overflow: −log D(x) = softplus(−l) and −log(1 − D(x)) = softplus(l). */
  function softplus(l) {
    const e = exp(-Math.abs(l));
    return Math.max(l, 0) + logRatio(e / (2 + e)); // the second term is log(1 + e)
  }

  // ------------------------------------------------------------------------------------- random numbers

  /** xoshiro128** (Blackman and Vigna, 2018), its state filled by splitmix32. `stream` gives one seed several
      independent sequences, so that looking at a run takes no number away from it. */
  function makeRandom(seed, stream = 0) {
    let mixed = (Math.imul(seed, 0x85ebca6b) + stream) | 0;
    const splitmix = () => {
      mixed = (mixed + 0x9e3779b9) | 0;
      let t = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
      t = Math.imul(t ^ (t >>> 15), 0x735a2d97);
      return t ^ (t >>> 15);
    };
    const s = Int32Array.from([splitmix(), splitmix(), splitmix(), splitmix()]);
    const rotate = (x, by) => (x << by) | (x >>> (32 - by));

    function bits() { // 32 of them
      const result = Math.imul(rotate(Math.imul(s[1], 5), 7), 9);
      const t = s[1] << 9;
      s[2] ^= s[0];
      s[3] ^= s[1];
      s[1] ^= s[2];
      s[0] ^= s[3];
      s[2] ^= t;
      s[3] = rotate(s[3], 11);
      return result >>> 0;
    }

    function uniform() { // in [0, 1), 53 bits
      const high = bits() >>> 5, low = bits() >>> 6;
      return (high * 67108864 + low) / 9007199254740992;
    }

    let spare = null;
    function normal() { // Box and Muller's transform in Marsaglia's polar form, which needs no sine
      if (spare !== null) {
        const kept = spare;
        spare = null;
        return kept;
      }
      let u, v, square;
      do {
        u = 2 * uniform() - 1;
        v = 2 * uniform() - 1;
        square = u * u + v * v;
      } while (square >= 1 || square === 0);
      const scale = Math.sqrt((-2 * log(square)) / square);
      spare = v * scale;
      return u * scale;
    }

    return { bits, uniform, normal };
  }

  const drawNormals = (random, count) => Float64Array.from({ length: count }, random.normal);
  const drawUniforms = (random, count) => Float64Array.from({ length: count }, random.uniform);

  // ----------------------------------------------------------------------------------------------- data

  /** Equally likely round Gaussians of one width, as ganbook.toys.Mixture: means are [x, y] pairs. */
  const mixture = (means, sd) => ({ means, sd });

  const CIRCLE = [[1, 0], [Math.SQRT1_2, Math.SQRT1_2], [0, 1], [-Math.SQRT1_2, Math.SQRT1_2]];
  const ring = () => mixture([...CIRCLE, ...CIRCLE.map(([x, y]) => [-x, -y])].map(([x, y]) => [2 * x, 2 * y]), 0.1);

  const LINE = [-2, -1, 0, 1, 2];
  const grid = () => mixture(LINE.flatMap((x) => LINE.map((y) => [x, y])), 0.05);

  const bumps = () => mixture([[-1.5, 0], [1.5, 0]], 0.3);

  /** One and a half turns, the bumps so close that they run together. */
  function spiral() {
    const round = (x) => Math.round(1e6 * x) / 1e6; // where browsers' sines could differ
    const means = [];
    for (let i = 0; i < 36; i++) {
      const turns = Math.sqrt(0.14 + 3.4 * (i / 35)); // 0.37 to 1.88; the root keeps the distances even
      const angle = 2 * Math.PI * turns, radius = 1.25 * turns;
      means.push([round(radius * Math.cos(angle)), round(radius * Math.sin(angle))]);
    }
    return mixture(means, 0.1);
  }

  const DRAWN_SD = 0.12;
  const distributions = { ring, grid, bumps, spiral, draw: (points) => mixture(points, DRAWN_SD) };

  /** n points of a mixture: n·2 numbers. */
  function samplePoints(data, random, n) {
    const x = new Float64Array(2 * n);
    for (let i = 0; i < n; i++) {
      const mean = data.means[Math.floor(random.uniform() * data.means.length)];
      x[2 * i] = mean[0] + data.sd * random.normal();
      x[2 * i + 1] = mean[1] + data.sd * random.normal();
    }
    return x;
  }

  /** How many modes the points cover, and the share of good ones: ganbook.metrics.mode_coverage.
      A point is good within 3 sd of the nearest mode; a mode is covered if it gets a fifth of its fair share. */
  function modeCoverage(x, data) {
    const n = x.length / 2, hits = new Array(data.means.length).fill(0);
    let good = 0;
    for (let i = 0; i < n; i++) {
      let nearest = 0, least = Infinity;
      data.means.forEach(([mx, my], k) => {
        const square = squared(x[2 * i] - mx) + squared(x[2 * i + 1] - my);
        if (square < least) [nearest, least] = [k, square];
      });
      if (least > squared(3 * data.sd)) continue;
      good++;
      hits[nearest]++;
    }
    const covered = hits.filter((h) => h >= (0.2 * n) / hits.length).length;
    return { covered, modes: hits.length, good: good / n };
  }

  // ------------------------------------------------------------------------------------------- matrices

  /** A Bᵀ: each of A's n rows times each of B's m rows, all rows `inner` long. The result is n × m.

      The plain way is `dot` for every cell. Two rows by four at a time are three times as fast: each number that is
      fetched serves several sums, and no sum has to wait for another. */
  function timesTransposed(A, B, n, m, inner) {
    const C = new Float64Array(n * m);
    for (let i = 0; i < n; i += 2) {
      for (let j = 0; j < m; j += 4) {
        if (i + 2 <= n && j + 4 <= m) block(i, j);
        else edge(i, j); // what is left over at the end of rows and columns
      }
    }
    return C;

    function edge(i, j) {
      for (let p = i; p < Math.min(i + 2, n); p++) for (let q = j; q < Math.min(j + 4, m); q++) dot(p, q);
    }

    function dot(i, j) {
      let sum = 0;
      for (let k = 0; k < inner; k++) sum += A[i * inner + k] * B[j * inner + k];
      C[i * m + j] = sum;
    }

    function block(i, j) {
      const a = i * inner, aNext = a + inner;
      const b0 = j * inner, b1 = b0 + inner, b2 = b1 + inner, b3 = b2 + inner;
      let s0 = 0, s1 = 0, s2 = 0, s3 = 0, t0 = 0, t1 = 0, t2 = 0, t3 = 0;
      for (let k = 0; k < inner; k++) {
        const s = A[a + k], t = A[aNext + k];
        const x0 = B[b0 + k], x1 = B[b1 + k], x2 = B[b2 + k], x3 = B[b3 + k];
        s0 += s * x0; s1 += s * x1; s2 += s * x2; s3 += s * x3;
        t0 += t * x0; t1 += t * x1; t2 += t * x2; t3 += t * x3;
      }
      const c = i * m + j, cNext = c + m;
      C[c] = s0; C[c + 1] = s1; C[c + 2] = s2; C[c + 3] = s3;
      C[cNext] = t0; C[cNext + 1] = t1; C[cNext + 2] = t2; C[cNext + 3] = t3;
    }
  }

  function transpose(A, n, m) {
    const T = new Float64Array(n * m);
    for (let i = 0; i < n; i++) for (let j = 0; j < m; j++) T[j * n + i] = A[i * m + j];
    return T;
  }

  function columnSums(A, n, m) {
    const sums = new Float64Array(m);
    for (let i = 0; i < n; i++) for (let j = 0; j < m; j++) sums[j] += A[i * m + j];
    return sums;
  }

  // ------------------------------------------------------------------------------------------- networks

  /** A perceptron: sizes [2, 64, 64, 1] have two hidden layers of 64. Behind every layer but the last stands a
      LeakyReLU with this slope below zero; slope 0 is the ReLU. Drawn as PyTorch draws nn.Linear: U(−1/√in, 1/√in). */
  function makeNet(sizes, slope, random) {
    const layers = [];
    for (let l = 0; l + 1 < sizes.length; l++) {
      const [inputs, outputs] = [sizes[l], sizes[l + 1]];
      const bound = 1 / Math.sqrt(inputs);
      const draw = (count) => drawUniforms(random, count).map((u) => bound * (2 * u - 1));
      layers.push({ inputs, outputs, W: draw(outputs * inputs), b: draw(outputs) }); // W: outputs × inputs
    }
    return { layers, slope };
  }

  const WIDTH = 64;
  const makeG = (latentDim, random) => makeNet([latentDim, WIDTH, WIDTH, 2], 0, random);
  const makeD = (random) => makeNet([2, WIDTH, WIDTH, 1], 0.2, random);

  /** n inputs through the net. `reads[l]` is what layer l read, kept for the way back; `output` the answer. */
  function forward(net, x) {
    const n = x.length / net.layers[0].inputs;
    const reads = [];
    let h = x;
    net.layers.forEach((layer, l) => {
      reads.push(h);
      h = timesTransposed(h, layer.W, n, layer.outputs, layer.inputs);
      const hidden = l + 1 < net.layers.length;
      for (let i = 0; i < h.length; ) {
        for (const bias of layer.b) {
          const sum = h[i] + bias;
          h[i++] = hidden && sum < 0 ? net.slope * sum : sum;
        }
      }
    });
    return { net, n, reads, output: h };
  }

  /** Multiply by the derivative of LeakyReLU, which is 1 where its answer is above 0, else the slope. */
  function throughLeaky(d, answers, slope) {
    for (let i = 0; i < d.length; i++) if (!(answers[i] > 0)) d[i] *= slope;
    return d;
  }

  /** The way back. Given the gradient of some loss by the output, `deltas[l]` is its gradient by what layer l sums
      up (before the LeakyReLU), `dInput` that by the input. */
  function pullBack(pass, dOutput) {
    const { net, n, reads } = pass, deltas = [];
    let d = dOutput;
    for (let l = net.layers.length - 1; l >= 0; l--) {
      const { W, inputs, outputs } = net.layers[l];
      deltas[l] = d;
      d = timesTransposed(d, transpose(W, outputs, inputs), n, inputs, outputs); // the chain rule: d W
      if (l > 0) throughLeaky(d, reads[l], net.slope);
    }
    return { deltas, dInput: d };
  }

  /** How a small change v of the input changes what each layer reads, to first order: the same layers without
      biases, with the LeakyReLU's derivative where the LeakyReLU was. */
  function pushForward(pass, v) {
    const { net, n, reads } = pass, tangents = [v];
    for (let l = 0; l + 1 < net.layers.length; l++) {
      const { W, inputs, outputs } = net.layers[l];
      const t = timesTransposed(tangents[l], W, n, outputs, inputs);
      tangents.push(throughLeaky(t, reads[l + 1], net.slope));
    }
    return tangents;
  }

  /** Gradients by the weights: layer l sums up W·read + b, so its W gets delta × read, summed over the batch. */
  function weightGradients(net, n, deltas, reads) {
    return net.layers.map(({ inputs, outputs }, l) => ({
      W: timesTransposed(transpose(deltas[l], n, outputs), transpose(reads[l], n, inputs), outputs, inputs, n),
      b: columnSums(deltas[l], n, outputs),
    }));
  }

  function addInto(gradients, more) {
    gradients.forEach((layer, l) => {
      for (const part of ["W", "b"]) for (let i = 0; i < layer[part].length; i++) layer[part][i] += more[l][part][i];
    });
  }

  // ----------------------------------------------------------------------------------------- objectives

  /** What each player minimises, by one logit l = D(x): [loss, its derivative by l]. The losses of a batch are means
      over it: D's of `real` on data plus `fake` on fakes, G's of `g` on fakes. As in ganbook.objectives. */
  const minimax = {
    real: (l) => [softplus(-l), -sigmoid(-l)], // −log D(x)
    fake: (l) => [softplus(l), sigmoid(l)], // −log(1 − D(G(z)))
    g: (l) => [-softplus(l), -sigmoid(l)], // log(1 − D(G(z))): flat where D is sure of a fake
  };
  const nonsaturating = { ...minimax, g: (l) => [softplus(-l), -sigmoid(-l)] }; // −log D(G(z))
  const leastsquares = {
    real: (l) => [squared(l - 1) / 2, l - 1],
    fake: (l) => [squared(l) / 2, l],
    g: (l) => [squared(l - 1) / 2, l - 1],
  };
  const wasserstein = { real: (l) => [-l, -1], fake: (l) => [l, 1], g: (l) => [-l, -1] };
  const hinge = {
    ...wasserstein,
    real: (l) => (l < 1 ? [1 - l, -1] : [0, 0]),
    fake: (l) => (l > -1 ? [1 + l, 1] : [0, 0]),
  };
  const objectives = { minimax, nonsaturating, leastsquares, hinge, wasserstein };

  /** The mean of a rule over a batch of logits, and its gradient by each logit. */
  function score(rule, logits) {
    const n = logits.length, slopes = new Float64Array(n);
    let loss = 0;
    for (let i = 0; i < n; i++) {
      const [value, slope] = rule(logits[i]);
      loss += value / n;
      slopes[i] = slope / n;
    }
    return { loss, slopes };
  }

  // ------------------------------------------------------------------------------------------ penalties

  /** What a penalty says of one slope of length s: [penalty, its derivative by s]. As in ganbook.penalties. */
  const r1 = (gamma) => (s) => [(gamma / 2) * squared(s), gamma * s]; // γ/2 ‖∇D‖²
  const gradientPenalty = (lambda) => (s) => [lambda * squared(s - 1), 2 * lambda * (s - 1)]; // λ (‖∇D‖ − 1)²

  /** The mean of a rule over the slopes ∇D at the points x, and its gradient by D's weights.

      The slope is itself a gradient, so this is a derivative of a derivative. It needs no new machine. Let v be the
      gradient of the penalty by the slope. The weights change v·∇D, which is how fast the logit changes when x moves
      along v: push v forward, W₃ M₂ W₂ M₁ W₁ v, with the LeakyReLUs' derivatives M. That is a product, and its
      gradient by W_l is what stands to the left of W_l (the deltas of the logit) times what stands to the right (the
      tangents). M does not change with the weights: a LeakyReLU is straight on both sides. So biases get nothing. */
  function penalty(D, x, rule) {
    const pass = forward(D, x), { n } = pass;
    const { deltas, dInput: slopes } = pullBack(pass, new Float64Array(n).fill(1));
    const v = new Float64Array(2 * n);
    let loss = 0;
    for (let i = 0; i < n; i++) {
      const length = Math.sqrt(squared(slopes[2 * i]) + squared(slopes[2 * i + 1]));
      const [value, derivative] = rule(length);
      loss += value / n;
      for (const c of [2 * i, 2 * i + 1]) v[c] = length > 0 ? ((derivative / n) * slopes[c]) / length : 0;
    }
    const gradients = weightGradients(D, n, deltas, pushForward(pass, v));
    gradients.forEach(({ b }) => b.fill(0));
    return { loss, gradients };
  }

  /** Points between real ones and fakes, a share u of the way from the fake, one u a pair. */
  const between = (x, xFake, u) => x.map((value, i) => u[i >> 1] * value + (1 - u[i >> 1]) * xFake[i]);

  // -------------------------------------------------------------------------------- the two players' losses

  /** D's loss on data and fakes, with its penalties, and the gradients by D's weights. u: see `between`. */
  function discriminatorLoss(D, x, xFake, { objective, r1: gamma, gp: lambda }, u) {
    const real = forward(D, x), fake = forward(D, xFake);
    const ofReal = score(objectives[objective].real, real.output);
    const ofFake = score(objectives[objective].fake, fake.output);
    const gradients = weightGradients(D, real.n, pullBack(real, ofReal.slopes).deltas, real.reads);
    addInto(gradients, weightGradients(D, fake.n, pullBack(fake, ofFake.slopes).deltas, fake.reads));
    let loss = ofReal.loss + ofFake.loss;
    const penalties = [];
    if (gamma > 0) penalties.push(penalty(D, x, r1(gamma)));
    if (lambda > 0) penalties.push(penalty(D, between(x, xFake, u), gradientPenalty(lambda)));
    for (const more of penalties) {
      loss += more.loss;
      addInto(gradients, more.gradients);
    }
    return { loss, gradients };
  }

  /** G's loss, the gradients by G's weights, and on the way to them the gradient on each fake: D's only message. */
  function generatorLoss(G, D, z, { objective }) {
    const made = forward(G, z), judged = forward(D, made.output);
    const { loss, slopes } = score(objectives[objective].g, judged.output);
    const onFakes = pullBack(judged, slopes).dInput; // through D, whose weights stay as they are
    const gradients = weightGradients(G, made.n, pullBack(made, onFakes).deltas, made.reads);
    return { loss, gradients, onFakes, xFake: made.output };
  }

  // ----------------------------------------------------------------------------------------- optimizers

  /** rule "adam" (Kingma and Ba, 2015, as torch.optim.Adam) or "sgd", with the memory that Adam needs. */
  function makeOptimizer(net, rule) {
    const zeros = () => net.layers.map(({ W, b }) => ({ W: new Float64Array(W.length), b: new Float64Array(b.length) }));
    return { rule, mean: zeros(), square: zeros(), power1: 1, power2: 1 };
  }

  /** One step down the gradients, in place. */
  function descend(net, optimizer, gradients, { rate, beta1, beta2 = 0.999, epsilon = 1e-8 }) {
    optimizer.power1 *= beta1; // β₁ᵗ and β₂ᵗ after t steps
    optimizer.power2 *= beta2;
    const step = rate / (1 - optimizer.power1), whole = 1 / (1 - optimizer.power2); // both means began at 0
    net.layers.forEach((layer, l) => {
      for (const part of ["W", "b"]) {
        const w = layer[part], g = gradients[l][part];
        const m = optimizer.mean[l][part], v = optimizer.square[l][part];
        if (optimizer.rule === "sgd") {
          for (let i = 0; i < w.length; i++) w[i] -= rate * g[i];
          continue;
        }
        for (let i = 0; i < w.length; i++) {
          m[i] = beta1 * m[i] + (1 - beta1) * g[i];
          v[i] = beta2 * v[i] + (1 - beta2) * g[i] * g[i];
          w[i] -= (step * m[i]) / (Math.sqrt(whole * v[i]) + epsilon);
        }
      }
    });
  }

  // ------------------------------------------------------------------------------------------- training

  const BATCH = 128;

  const defaults = {
    data: "ring", // a name in `distributions`
    points: [], // for data "draw": its means
    objective: "nonsaturating", // a name in `objectives`
    r1: 1, // weight γ of the penalty R1, 0: none
    gp: 0, // weight λ of the gradient penalty, 0: none
    ruleD: "adam",
    rateD: 0.003,
    ruleG: "adam",
    rateG: 0.003,
    beta1: 0, // Adam's memory for gradients, of both players
    k: 1, // D's updates for each of G's
    headStart: 0, // D's updates before G's first
    latentDim: 2,
    seed: 0,
  };

  /** A game at its start. The three streams: weights, batches, and points that are only looked at. */
  function startGame(settings) {
    const weights = makeRandom(settings.seed, 0);
    const G = makeG(settings.latentDim, weights), D = makeD(weights);
    return {
      settings, G, D,
      data: distributions[settings.data](settings.points),
      optG: makeOptimizer(G, settings.ruleG), optD: makeOptimizer(D, settings.ruleD),
      random: makeRandom(settings.seed, 1),
      dSteps: 0, gSteps: 0, dLoss: NaN, gLoss: NaN,
    };
  }

  /** D's update on data x and on fakes of z, while G stays as it is. */
  function updateD(game, x, z, u) {
    const { G, D, settings } = game;
    const xFake = forward(G, z).output; // to D they are plain numbers: nothing flows back to G
    const { loss, gradients } = discriminatorLoss(D, x, xFake, settings, u);
    descend(D, game.optD, gradients, { rate: settings.rateD, beta1: settings.beta1 });
    game.dLoss = loss;
    game.dSteps++;
  }

  /** G's update against the D that has just moved, while D stays as it is. */
  function updateG(game, z) {
    const { G, D, settings } = game;
    const { loss, gradients } = generatorLoss(G, D, z, settings);
    descend(G, game.optG, gradients, { rate: settings.rateG, beta1: settings.beta1 });
    game.gLoss = loss;
    game.gSteps++;
  }

  const drawZ = (game) => drawNormals(game.random, BATCH * game.settings.latentDim);

  function stepD(game) {
    const x = samplePoints(game.data, game.random, BATCH), z = drawZ(game);
    updateD(game, x, z, drawUniforms(game.random, BATCH));
  }

  function stepG(game) {
    updateG(game, drawZ(game));
  }

  /** Algorithm 1 of Goodfellow et al. (2014), one round: k steps of D, then one of G. */
  function trainStep(game) {
    for (let i = 0; i < game.settings.k; i++) stepD(game);
    if (game.dSteps > game.settings.headStart) stepG(game);
  }

  // -------------------------------------------------------------------------------------------- looking

  /** D's logits on a square of cells × cells points, rows from the top, from −reach to reach. */
  function surface(D, cells, reach) {
    const x = new Float64Array(2 * cells * cells);
    for (let row = 0; row < cells; row++) {
      for (let column = 0; column < cells; column++) {
        const i = 2 * (row * cells + column);
        x[i] = reach * ((2 * column + 1) / cells - 1);
        x[i + 1] = -reach * ((2 * row + 1) / cells - 1);
      }
    }
    return forward(D, x).output;
  }

  /** Fakes of z, and for each the direction in which G's loss falls: minus the gradient of its own loss, which is n
      times its share of the batch's mean. */
  function pull(game, z) {
    const { onFakes, xFake } = generatorLoss(game.G, game.D, z, game.settings);
    const n = xFake.length / 2;
    return { xFake, arrows: onFakes.map((g) => -n * g) };
  }

  // -------------------------------------------------------------------------------------------- presets

  /** Games worth watching: settings that differ from the defaults, and what to watch. The book's tests play each. */
  const presets = {
    healthy: {
      name: "Healthy: non-saturating with R1",
      settings: {},
      watch: "Arrows pull the fakes outward, then apart, onto the bumps. As they arrive D’s shade turns flat: its loss " +
        "nears log 4 = 1.39, G’s log 2 = 0.69.",
    },
    saturating: {
      name: "Fails: minimax, D far ahead",
      settings: { objective: "minimax", r1: 0, ruleG: "sgd", rateG: 0.05, headStart: 400 },
      watch: "D alone has 400 updates. Then G may move, by plain gradient descent, and hardly does: where D is sure " +
        "of a fake, the minimax loss is flat. No arrow is long enough to be drawn.",
    },
    momentum: {
      name: "Fails: Adam with β₁ = 0.9",
      settings: { beta1: 0.9 },
      watch: "The cloud swings back and forth over the ring instead of settling on it, and the losses swing with it. " +
        "Each player walks on to where the other was.",
    },
    "slow-d": {
      name: "Fails: D thirty times slower than G",
      settings: { rateD: 0.0001 },
      watch: "All fakes run to the place that D likes best. When D has learned better, they run to the next. At any one " +
        "moment G covers a mode or none, never the ring.",
    },
    wasserstein: {
      name: "Wasserstein with k = 5",
      settings: { objective: "wasserstein", r1: 0, gp: 1, k: 5 },
      watch: "D’s answer is a score without limits; the penalty keeps its slope near 1. The arrows do not shrink where " +
        "D is sure. Five steps of D a round: slower rounds, but they lead to the ring.",
    },
    "wasserstein-k1": {
      name: "Fails: Wasserstein with k = 1",
      settings: { objective: "wasserstein", r1: 0, gp: 1, k: 1 },
      watch: "The same with one step of D a round: the critic is never near the best one, and its arrows point to where " +
        "the fakes should have gone some rounds ago.",
    },
    "strong-r1": {
      name: "Misleads: R1 with weight 100",
      settings: { r1: 100 },
      watch: "The penalty wants D flat at the data, and it wins: no shade, no arrows. Within 100 rounds both losses stand " +
        "at log 4 and log 2, as if the game were over. It has hardly begun.",
    },
    grid: {
      name: "Hard: twenty-five narrow bumps",
      settings: { data: "grid", r1: 0.1 },
      watch: "G soon spreads over the whole square. That looks well and is not: the bumps are narrow, and after 600 " +
        "rounds fewer than five of them are covered.",
    },
    spiral: {
      name: "A spiral",
      settings: { data: "spiral" },
      watch: "Not bumps but a curve, made of 36 bumps that touch. G bends its cloud of noise along it; watch the ends.",
    },
    draw: {
      name: "Draw your own",
      settings: { data: "draw" },
      watch: "Draw on the picture with mouse, finger or keys, then play. You may go on drawing while they train.",
    },
  };

  return {
    presets, exp, log, sigmoid, softplus, makeRandom, drawNormals, drawUniforms,
    distributions, samplePoints, modeCoverage,
    makeNet, makeG, makeD, forward, pullBack, pushForward, weightGradients,
    objectives, score, r1, gradientPenalty, penalty, between, discriminatorLoss, generatorLoss,
    makeOptimizer, descend, BATCH, defaults, startGame, updateD, updateG, stepD, stepG, trainStep,
    surface, pull,
  };
})();
