/* <live-gan>: the game of gan2d.js with a picture and controls. Nothing here computes; it asks gan2d and draws.

   The settings are in the page's address (?preset=…&seed=…): it opens the same game elsewhere. */
(function () {
  "use strict";

  // ------------------------------------------------------------------------------------- the settings

  const numbers = (...values) => values.map((value) => [value, String(value)]);
  const rates = numbers(0.00001, 0.0001, 0.0003, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1).map(([value]) => [
    value,
    value.toFixed(6).replace(/0+$/, ""), // 0.00001, not 1e-5
  ]);
  const rules = [["adam", "Adam"], ["sgd", "SGD"]];

  /** Every setting that is chosen from a list: [value, what the reader sees]. */
  const choices = {
    data: [
      ["ring", "ring of 8"],
      ["grid", "grid of 25"],
      ["bumps", "two bumps"],
      ["spiral", "spiral"],
      ["draw", "draw your own"],
    ],
    latentDim: numbers(1, 2, 4, 8, 16),
    objective: [
      ["minimax", "minimax"],
      ["nonsaturating", "non-saturating"],
      ["leastsquares", "least squares"],
      ["hinge", "hinge"],
      ["wasserstein", "Wasserstein"],
    ],
    r1: [[0, "0 (off)"], ...numbers(0.01, 0.1, 0.3, 1, 3, 10, 30, 100)],
    gp: [[0, "0 (off)"], ...numbers(0.1, 1, 10, 100)],
    ruleD: rules, rateD: rates, ruleG: rules, rateG: rates,
    beta1: numbers(0, 0.5, 0.9, 0.99),
    k: numbers(1, 2, 3, 5, 10),
    headStart: [[0, "none"], ...numbers(100, 400, 1000)],
    speed: [["slow", "slow: 2 a second"], ["steady", "steady: 15 a second"], ["fast", "fast: all it can"]],
  };
  const ROUNDS_A_SECOND = { slow: 2, steady: 15 };
  const LARGEST_SEED = 99999, MOST_POINTS = 200;
  const shows = ["real", "fakes", "arrows", "surface"]; // what the picture has, and `hide` can take away
  const defaults = { ...gan2d.defaults, speed: "fast", hide: [] };
  const restarts = ["data", "latentDim", "headStart", "seed"]; // a change of these begins a new game; others join in

  const GRAIN = 20; // drawn points stand on a lattice of 1/20, so that the address stays short
  const writePoints = (points) => points.map((point) => point.map((c) => Math.round(c * GRAIN)).join(".")).join("_");

  function readPoints(text) {
    const points = text.split("_").map((pair) => pair.split(".").map((c) => Number(c) / GRAIN));
    return points.filter(([x, y]) => Math.abs(x) <= REACH && Math.abs(y) <= REACH).slice(0, MOST_POINTS);
  }

  const withPreset = (name) => ({ ...defaults, ...gan2d.presets[name].settings });

  /** The query that restores these settings: the preset, and what differs from it. */
  function writeAddress(preset, settings) {
    const query = new URLSearchParams({ preset }), base = withPreset(preset);
    for (const key of [...Object.keys(choices), "seed"]) if (settings[key] !== base[key]) query.set(key, settings[key]);
    if (settings.data === "draw") query.set("points", writePoints(settings.points));
    if (settings.hide.length) query.set("hide", settings.hide.join("_"));
    return `?${query}`;
  }

  /** The inverse. What it cannot read it leaves at the preset's value. */
  function readAddress(query) {
    const asked = new URLSearchParams(query);
    const preset = Object.hasOwn(gan2d.presets, asked.get("preset")) ? asked.get("preset") : "healthy";
    const settings = withPreset(preset);
    for (const [key, list] of Object.entries(choices)) {
      const found = list.find(([value]) => String(value) === asked.get(key));
      if (found) settings[key] = found[0];
    }
    if (/^\d{1,5}$/.test(asked.get("seed") ?? "")) settings.seed = Number(asked.get("seed"));
    if (asked.has("points")) settings.points = readPoints(asked.get("points"));
    if (asked.has("hide")) settings.hide = asked.get("hide").split("_").filter((name) => shows.includes(name));
    return { preset, settings };
  }

  // ------------------------------------------------------------------------------------------ drawing

  const REACH = 3; // the picture goes from −3 to 3 both ways
  const CELLS = 40; // D is asked at 40 × 40 places, and the picture is smooth in between
  const FAKES = 300, ARROWS = 100, JUDGED = 1000; // points shown, those with an arrow, those that are measured
  const LONGEST_ARROW = 32, HALF_ARROW = 0.25; // pixels; the gradient at which an arrow has half of them

  const hexToRgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

  function readColours(element) {
    const style = getComputedStyle(element);
    const names = ["blue", "vermilion", "green", "grey", "ink", "paper", "heat", "line"];
    return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--live-${name}`).trim()]));
  }

  /** Fit a canvas to its place on this screen; drawing is then in CSS pixels. */
  function prepare(canvas) {
    const { clientWidth: width, clientHeight: height } = canvas, sharp = window.devicePixelRatio || 1;
    const [w, h] = [Math.round(width * sharp), Math.round(height * sharp)];
    if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
    const pen = canvas.getContext("2d");
    pen.setTransform(sharp, 0, 0, sharp, 0, 0);
    pen.clearRect(0, 0, width, height);
    return { pen, width, height };
  }

  /** What a logit means to this objective: a probability where D is one, else a score as it stands. */
  const isProbability = (objective) => objective === "minimax" || objective === "nonsaturating";

  /** D's surface as shares of the way from paper (at `low` and below) to blue (at `high` and above). Probabilities
      are shaded from ⅓ to ⅔, for in a good game D is never far from ½; scores over their own range. */
  function shade(logits, objective) {
    const values = isProbability(objective) ? logits.map(gan2d.sigmoid) : logits;
    const [low, high] = isProbability(objective) ? [1 / 3, 2 / 3] : range(values);
    return { shares: values.map((value) => Math.min(Math.max((value - low) / (high - low || 1), 0), 1)), low, high };
  }

  const tile = document.createElement("canvas"); // one pixel a cell, enlarged when it is drawn
  tile.width = tile.height = CELLS;

  function drawSurface(pen, side, shares, colours) {
    const from = hexToRgb(colours.paper), to = hexToRgb(colours.heat);
    const small = tile.getContext("2d"), image = small.createImageData(CELLS, CELLS);
    shares.forEach((share, i) => {
      for (let c = 0; c < 3; c++) image.data[4 * i + c] = from[c] + share * (to[c] - from[c]);
      image.data[4 * i + 3] = 255;
    });
    small.putImageData(image, 0, 0);
    pen.imageSmoothingEnabled = true;
    pen.imageSmoothingQuality = "high";
    pen.drawImage(tile, 0, 0, side, side);
  }

  /** The line where the values cross a level, by marching squares: in each square of four neighbours, join the two
      points of its edges where the level lies between the ends. */
  function drawLevel(pen, side, values, level) {
    const at = (row, column) => values[row * CELLS + column] - level;
    const pixel = (i) => ((i + 0.5) / CELLS) * side;
    pen.beginPath();
    for (let row = 0; row + 1 < CELLS; row++) {
      for (let column = 0; column + 1 < CELLS; column++) {
        const corners = [[row, column], [row, column + 1], [row + 1, column + 1], [row + 1, column]];
        const crossings = [];
        corners.forEach(([r, c], i) => {
          const [r2, c2] = corners[(i + 1) % 4], here = at(r, c), there = at(r2, c2);
          if (here > 0 === there > 0) return;
          const share = here / (here - there);
          crossings.push([pixel(c + share * (c2 - c)), pixel(r + share * (r2 - r))]);
        });
        for (let i = 0; i + 1 < crossings.length; i += 2) {
          pen.moveTo(...crossings[i]);
          pen.lineTo(...crossings[i + 1]);
        }
      }
    }
    pen.stroke();
  }

  const toPixel = (side, x, y) => [((x + REACH) / (2 * REACH)) * side, ((REACH - y) / (2 * REACH)) * side];

  /** Real points are small open circles, fakes are full: the two differ in more than colour. */
  function drawReal(pen, px, py, colours) {
    pen.strokeStyle = colours.ink;
    pen.lineWidth = 1;
    pen.beginPath();
    pen.arc(px, py, 2.4, 0, 7);
    pen.stroke();
  }

  function drawFake(pen, px, py, colours) {
    pen.fillStyle = colours.vermilion;
    pen.strokeStyle = colours.paper;
    pen.lineWidth = 1;
    pen.beginPath();
    pen.arc(px, py, 3.2, 0, 7);
    pen.fill();
    pen.stroke();
  }

  /** An arrow from a fake. Its length grows with the gradient, half of the longest at HALF_ARROW: so a
      gradient that vanishes is seen to, and a huge one does not leave the picture. */
  function drawArrow(pen, px, py, gx, gy, colours) {
    const size = Math.hypot(gx, gy), length = (LONGEST_ARROW * size) / (HALF_ARROW + size);
    if (length < 1.5) return;
    const [ux, uy] = [gx / size, -gy / size], [tx, ty] = [px + length * ux, py + length * uy];
    const head = Math.min(5, length / 2);
    pen.strokeStyle = colours.vermilion;
    pen.lineWidth = 1.5;
    pen.beginPath();
    pen.moveTo(px, py);
    pen.lineTo(tx, ty);
    for (const turn of [-1, 1]) {
      pen.moveTo(tx, ty);
      pen.lineTo(tx - head * (0.87 * ux - 0.5 * turn * uy), ty - head * (0.87 * uy + 0.5 * turn * ux));
    }
    pen.stroke();
  }

  function drawCross(pen, px, py, colours) {
    pen.strokeStyle = colours.ink;
    pen.lineWidth = 2;
    pen.beginPath();
    pen.moveTo(px - 10, py);
    pen.lineTo(px + 10, py);
    pen.moveTo(px, py - 10);
    pen.lineTo(px, py + 10);
    pen.stroke();
  }

  /** Means of values over `columns` equal stretches: a long run on a short line. */
  function squeeze(values, columns) {
    if (values.length <= columns) return values;
    return Array.from({ length: columns }, (_, i) => {
      const part = values.slice(Math.floor((i * values.length) / columns), Math.floor(((i + 1) * values.length) / columns));
      return part.reduce((a, b) => a + b, 0) / part.length;
    });
  }

  /** Lines over one axis of rounds. lines: [{ values, colour, dash }]. */
  function drawLines(canvas, lines, low, high, colours, name) {
    const { pen, width, height } = prepare(canvas), left = 34, top = 6, bottom = height - 16;
    const y = (value) => bottom - ((Math.min(Math.max(value, low), high) - low) / (high - low || 1)) * (bottom - top);
    pen.strokeStyle = colours.line;
    pen.lineWidth = 1;
    pen.strokeRect(left + 0.5, top + 0.5, width - left - 1, bottom - top);
    pen.fillStyle = colours.ink;
    pen.font = "11px sans-serif";
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const value of [low, high]) pen.fillText(short(value), left - 5, y(value));
    const rounds = lines[0].values.length;
    pen.textBaseline = "alphabetic";
    pen.fillText(`${rounds} ${name}`, width, height - 3);
    for (const { values, colour, dash } of lines) {
      const shown = squeeze(values, Math.floor(width - left));
      pen.strokeStyle = colour;
      pen.lineWidth = 2;
      pen.setLineDash(dash ? [5, 3] : []);
      pen.beginPath();
      shown.forEach((value, i) => pen.lineTo(left + ((width - left) * (i + 0.5)) / shown.length, y(value)));
      pen.stroke();
      pen.setLineDash([]);
    }
  }

  // -------------------------------------------------------------------------------------------- words

  const short = (value) => String(Number(value.toPrecision(Math.abs(value) < 10 ? 2 : 3))).replace("-", "−");
  const decimal = (value) => {
    if (Number.isNaN(value)) return "none yet";
    return (Math.abs(value) < 1000 ? value.toFixed(2) : value.toExponential(1)).replace("-", "−");
  };

  /** Of all values, the range that holds all but the wildest, and both `always` values. */
  function range(values, ...always) {
    const sorted = [...values].filter(Number.isFinite).sort((a, b) => a - b);
    const at = (share) => sorted[Math.floor(share * (sorted.length - 1))] ?? 0;
    return [Math.min(at(0.02), ...always), Math.max(at(0.98), ...always)];
  }

  let ids = 0;
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value !== false) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children);
    return element;
  }

  const field = (label, control) => {
    control.id ||= `live-gan-${++ids}`;
    return make("div", { class: "live-field" }, make("label", { for: control.id }, label), control);
  };

  // ---------------------------------------------------------------------------------------- the element

  class LiveGan extends HTMLElement {
    connectedCallback() {
      if (this.controls) return; // moved, not new
      this.calm = window.matchMedia("(prefers-reduced-motion: reduce)");
      this.cursor = [0, 0];
      Object.assign(this, readAddress(location.search));
      this.build();
      this.restart();
      new ResizeObserver(() => this.draw()).observe(this.plane);
      new MutationObserver(() => this.draw()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
      document.addEventListener("click", (event) => this.followLink(event));
      window.addEventListener("popstate", () => {
        const { preset, settings } = readAddress(location.search); // a jump to a section changes neither
        if (writeAddress(preset, settings) !== writeAddress(this.preset, this.settings)) this.open(location.search);
      });
    }

    // ------------------------------------------------------------------------------------ the controls

    build() {
      this.controls = {};
      const select = (key, list = choices[key]) => {
        const options = list.map(([value, text]) => make("option", { value }, text));
        this.controls[key] = make("select", { name: key, onchange: () => this.choose(key) }, ...options);
        return this.controls[key];
      };
      const chosen = (key, label) => field(label, select(key));
      const button = (name, text, act, more = {}) => {
        this.controls[name] = make("button", { type: "button", name, onclick: act, ...more }, text);
        return this.controls[name];
      };
      const group = (legend, ...fields) =>
        make("fieldset", {}, make("legend", {}, legend), make("div", { class: "live-fields" }, ...fields));

      this.plane = this.buildPlane();
      this.says = make("p", { class: "live-says", role: "status", "aria-live": "polite" });
      this.watch = make("p", { class: "live-watch" });
      this.controls.seed = make("input", {
        name: "seed", type: "number", min: 0, max: LARGEST_SEED, step: 1, inputmode: "numeric",
        onchange: () => this.choose("seed"),
      });
      const presets = Object.entries(gan2d.presets).map(([name, preset]) => [name, preset.name]);
      const preset = select("preset", presets);
      this.drawTools = make("div", { class: "live-draw" },
        make("p", { class: "live-quiet" },
          "Draw on the picture, or move the cross with the arrow keys while this button has the focus:"),
        make("div", { class: "live-row" },
          button("place", "", () => this.addPoint(...this.cursor), { onkeydown: (e) => this.moveCursor(e) }),
          button("undo", "Remove the last", () => this.setPoints(this.settings.points.slice(0, -1))),
          button("clear", "Clear", () => this.setPoints([]))));
      this.controls.place.addEventListener("focus", () => this.draw());
      this.controls.place.addEventListener("blur", () => this.draw());
      this.controls.address = make("input", { name: "address", readonly: true, onfocus: (e) => e.target.select() });

      this.replaceChildren(make("div", { class: "live" },
        make("div", { class: "live-head" }, field("Preset", preset), this.watch),
        make("div", { class: "live-stage" },
          this.plane,
          make("div", { class: "live-run" },
            make("div", { class: "live-buttons" },
              button("play", "Play", () => this.togglePlay(), { class: "live-play" }),
              button("reset", "Reset", () => this.restart()),
              button("stepD", "Step D", () => this.step(gan2d.stepD)),
              button("stepG", "Step G", () => this.step(gan2d.stepG))),
            make("div", { class: "live-pair" }, chosen("speed", "Speed"), field("Seed", this.controls.seed))),
          make("div", { class: "live-below" }, this.buildKey(), this.drawTools),
          make("div", { class: "live-side" },
            this.buildPlot("lossPlot", "The losses of both players over the rounds",
              ["d", "D’s loss"], ["g", "G’s loss"]),
            this.buildPlot("modePlot", "The number of modes that the fakes cover over the rounds",
              ["modes", "modes covered"]),
            this.says)),
        make("div", { class: "live-settings" },
          group("Data and noise", chosen("data", "Data"), chosen("latentDim", "latent_dim of z")),
          group("Objective",
            chosen("objective", "Loss"), chosen("r1", "R1, weight γ"), chosen("gp", "Gradient penalty, λ")),
          group("Updates",
            chosen("ruleD", "D’s rule"), chosen("rateD", "D’s rate"),
            chosen("ruleG", "G’s rule"), chosen("rateG", "G’s rate"),
            chosen("beta1", "Adam’s β₁"), chosen("k", "k, D’s steps a round"), chosen("headStart", "D’s head start")),
          make("div", { class: "live-address" }, field("Address of these settings", this.controls.address),
            button("copy", "Copy address", () => this.copyAddress())))));
    }

    buildPlane() {
      const point = (event) => {
        const box = this.plane.getBoundingClientRect();
        const right = (event.clientX - box.left) / box.width, down = (event.clientY - box.top) / box.height;
        return [REACH * (2 * right - 1), REACH * (1 - 2 * down)];
      };
      return make("canvas", {
        class: "live-plane", role: "img",
        onpointerdown: (event) => {
          if (this.settings.data !== "draw") return;
          this.plane.setPointerCapture(event.pointerId);
          this.stroke = point(event);
          this.addPoint(...this.stroke);
        },
        onpointermove: (event) => {
          if (!this.stroke) return;
          const [x, y] = point(event);
          if (Math.hypot(x - this.stroke[0], y - this.stroke[1]) < 0.2) return; // a stroke is a string of bumps
          this.stroke = [x, y];
          this.addPoint(x, y);
        },
        onpointerup: () => (this.stroke = null),
        onpointercancel: () => (this.stroke = null),
      });
    }

    /** What the marks mean; each can be switched off. */
    buildKey() {
      const texts = { real: "real", fakes: "fake", arrows: "G’s gradient: where its loss falls", surface: "" };
      this.surfaceSays = make("span", {});
      this.keys = {};
      return make("div", { class: "live-key" }, ...Object.entries(texts).map(([name, text]) => {
        const id = `live-gan-${++ids}`;
        this.keys[name] = make("canvas", { "aria-hidden": "true", "data-key": name });
        const change = () => this.choose("hide");
        const box = make("input", { type: "checkbox", name: `show-${name}`, id, onchange: change });
        this.controls[`show-${name}`] = box;
        const label = make("label", { for: id }, this.keys[name], text || this.surfaceSays);
        return make("div", { class: "live-check" }, box, label);
      }));
    }

    buildPlot(name, label, ...lines) {
      this[name] = make("canvas", { role: "img", "aria-label": label });
      const parts = lines.map(([kind, text]) => {
        this.controls[`said-${kind}`] = make("span", {});
        return make("span", {}, make("span", { class: `live-swatch ${kind}` }), `${text} `, this.controls[`said-${kind}`]);
      });
      return make("div", { class: "live-plot" }, this[name], make("p", {}, ...parts));
    }

    /** The controls say what the settings are. */
    showSettings() {
      const { controls, settings } = this;
      for (const key of [...Object.keys(choices), "seed"]) controls[key].value = settings[key];
      for (const name of shows) controls[`show-${name}`].checked = !settings.hide.includes(name);
      controls.preset.value = this.preset;
      this.watch.textContent = gan2d.presets[this.preset].watch;
      const drawing = settings.data === "draw", ready = !drawing || settings.points.length > 0;
      this.drawTools.hidden = !drawing;
      this.plane.classList.toggle("drawing", drawing);
      for (const name of ["play", "stepD", "stepG"]) controls[name].disabled = !ready;
      controls.undo.disabled = controls.clear.disabled = settings.points.length === 0;
      controls.place.textContent = `Place a bump at ${this.cursorPlace()}`;
      const names = Object.fromEntries(Object.values(choices.data));
      this.plane.setAttribute("aria-label",
        `The plane from −3 to 3. Data: ${names[settings.data]}. D’s surface is a blue shade, deepest where D takes ` +
        "points for real; real points are open circles, fakes are full vermilion dots with arrows for G’s " +
        "gradient. The text beside the picture gives its numbers.");
    }

    // ---------------------------------------------------------------------------------- what readers do

    /** A control was changed by the reader. */
    choose(key) {
      const { controls } = this;
      if (key === "preset") return this.open(`?preset=${controls.preset.value}`, true);
      if (key === "hide") this.settings.hide = shows.filter((name) => !controls[`show-${name}`].checked);
      else if (key === "seed") this.settings.seed = Math.min(Math.max(Math.round(Number(controls.seed.value)) || 0, 0), LARGEST_SEED);
      else this.settings[key] = choices[key].find(([value]) => String(value) === controls[key].value)[0];
      const { game } = this;
      if (restarts.includes(key)) return this.restart();
      if (key === "ruleD") game.optD = gan2d.makeOptimizer(game.D, this.settings.ruleD);
      if (key === "ruleG") game.optG = gan2d.makeOptimizer(game.G, this.settings.ruleG);
      if (key !== "hide" && key !== "speed") this.changedAt = this.rounds || null;
      this.settled();
    }

    /** Open an address: its settings, from the start. */
    open(query, push = false) {
      Object.assign(this, readAddress(query));
      if (push) this.remember("pushState");
      this.pause();
      this.restart();
    }

    /** A link to a preset, on this page, needs no new page. */
    followLink(event) {
      const link = event.target.closest?.("a[href^='?']");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      this.open(link.getAttribute("href"), true);
      this.scrollIntoView({ behavior: this.calm.matches ? "auto" : "smooth", block: "start" });
      this.controls.play.focus({ preventScroll: true });
    }

    restart() {
      this.game = gan2d.startGame(this.settings);
      this.game.settings = this.settings; // one object: what the reader changes, the game plays
      this.look = gan2d.drawNormals(gan2d.makeRandom(this.settings.seed, 2), JUDGED * this.settings.latentDim);
      this.rounds = 0;
      this.changedAt = null;
      this.history = { dLoss: [], gLoss: [], covered: [] };
      this.sampleReal();
      this.settled();
    }

    sampleReal() {
      const { data } = this.game;
      this.real = data.means.length ? gan2d.samplePoints(data, gan2d.makeRandom(this.settings.seed, 3), FAKES) : [];
    }

    /** After any change: controls, address, picture and words agree. */
    settled() {
      this.showSettings();
      this.remember("replaceState");
      this.measure();
      this.draw();
      this.say();
    }

    address() {
      return location.href.split(/[?#]/)[0] + writeAddress(this.preset, this.settings);
    }

    remember(how) {
      const address = this.address();
      this.controls.address.value = address;
      const asItCame = !location.search && address.endsWith("?preset=healthy"); // a plain address stays plain
      if (!asItCame && address !== location.href) history[how](null, "", address);
    }

    async copyAddress() {
      const { address, copy } = this.controls;
      address.select();
      try {
        await navigator.clipboard.writeText(address.value);
      } catch {
        document.execCommand("copy"); // a page from a folder may not use the clipboard otherwise
      }
      copy.textContent = "Copied";
      setTimeout(() => (copy.textContent = "Copy address"), 2000);
    }

    addPoint(x, y) {
      const onLattice = [x, y].map((c) => Math.round(Math.min(Math.max(c, -REACH), REACH) * GRAIN) / GRAIN);
      this.setPoints([...this.settings.points, onLattice].slice(-MOST_POINTS));
    }

    /** New data for the networks as they are: they may chase a moving target. */
    setPoints(points) {
      this.settings.points = points;
      this.game.data = gan2d.distributions.draw(points);
      this.changedAt = this.rounds || null;
      if (!points.length) this.pause();
      this.sampleReal();
      this.settled();
    }

    cursorPlace() {
      return `(${this.cursor.map((c) => c.toFixed(1).replace("-", "−")).join(", ")})`;
    }

    moveCursor(event) {
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!way) return;
      event.preventDefault();
      this.cursor = this.cursor.map((c, i) => Math.min(Math.max(Math.round(10 * c + 2 * way[i]) / 10, -2.8), 2.8));
      this.showSettings();
      this.draw();
      this.says.textContent = `Cross at ${this.cursorPlace()}.`;
    }

    // ------------------------------------------------------------------------------------------ running

    togglePlay() {
      if (this.playing) return this.pause();
      this.playing = true;
      this.controls.play.textContent = "Pause";
      this.due = this.drawn = this.said = performance.now();
      requestAnimationFrame((now) => this.frame(now));
    }

    pause() {
      if (!this.playing) return;
      this.playing = false;
      this.controls.play.textContent = "Play";
      this.draw();
      this.say();
    }

    frame(now) {
      if (!this.playing) return;
      const speed = ROUNDS_A_SECOND[this.settings.speed], before = this.rounds;
      if (!speed) {
        do this.round();
        while (performance.now() - now < 40);
      } else if (now >= this.due) {
        this.due = Math.max(this.due + 1000 / speed, now); // never try to make up for a long pause
        this.round();
      }
      if (this.rounds > before) this.drawSometimes(before);
      requestAnimationFrame((later) => this.frame(later));
    }

    /** At most ten pictures a second; with reduced motion, one every ten rounds and at most one a second. */
    drawSometimes(before) {
      const now = performance.now(), calm = this.calm.matches;
      const tenth = Math.floor(this.rounds / 10) > Math.floor(before / 10);
      if (calm ? tenth && now - this.drawn >= 1000 : now - this.drawn >= 100) {
        this.drawn = now;
        this.draw();
      }
      if (now - this.said < 2000) return;
      this.said = now;
      this.say();
    }

    /** One round of Algorithm 1, and what is to be remembered of it. */
    round() {
      gan2d.trainStep(this.game);
      this.note();
    }

    /** One player's update alone. */
    step(update) {
      this.pause();
      update(this.game);
      this.note(true);
      this.draw();
      this.say();
    }

    note(always = false) {
      this.rounds++;
      if (always || this.rounds % 10 === 1) this.measure();
      this.history.dLoss.push(this.game.dLoss);
      this.history.gLoss.push(this.game.gLoss);
      this.history.covered.push(this.coverage.covered);
    }

    measure() {
      const fakes = gan2d.forward(this.game.G, this.look).output;
      this.coverage = gan2d.modeCoverage(fakes, this.game.data);
    }

    // ---------------------------------------------------------------------------------------- what is seen

    draw() {
      const { game, settings } = this, colours = readColours(this);
      const { pen, width: side } = prepare(this.plane);
      if (!side) return; // not on the screen
      const shown = (name) => !settings.hide.includes(name);
      const shading = shade(gan2d.surface(game.D, CELLS, REACH), settings.objective);
      if (shown("surface")) {
        drawSurface(pen, side, shading.shares, colours);
        pen.strokeStyle = colours.grey;
        pen.lineWidth = 1;
        drawLevel(pen, side, shading.shares, 0.5);
      }
      if (shown("real")) {
        for (let i = 0; i < this.real.length; i += 2) drawReal(pen, ...toPixel(side, this.real[i], this.real[i + 1]), colours);
      }
      this.drawFakes(pen, side, colours);
      if (document.activeElement === this.controls.place) drawCross(pen, ...toPixel(side, ...this.cursor), colours);
      this.drawKey(shading, colours);
      this.drawPlots(colours);
    }

    drawFakes(pen, side, colours) {
      const { settings } = this;
      const { xFake, arrows } = gan2d.pull(this.game, this.look.subarray(0, FAKES * settings.latentDim));
      let mean = 0;
      for (let i = 0; i < FAKES; i++) {
        const [px, py] = toPixel(side, xFake[2 * i], xFake[2 * i + 1]);
        mean += Math.hypot(arrows[2 * i], arrows[2 * i + 1]) / FAKES;
        if (i < ARROWS && !settings.hide.includes("arrows")) drawArrow(pen, px, py, arrows[2 * i], arrows[2 * i + 1], colours);
        if (!settings.hide.includes("fakes")) drawFake(pen, px, py, colours);
      }
      this.meanPull = mean;
    }

    drawKey({ low, high }, colours) {
      const [real, fakes, arrows, surface] = shows.map((name) => prepare(this.keys[name]));
      drawReal(real.pen, real.width / 2, real.height / 2, colours);
      drawFake(fakes.pen, fakes.width / 2, fakes.height / 2, colours);
      drawArrow(arrows.pen, 2, arrows.height / 2, 0.6, 0, colours);
      const { pen, width, height } = surface, fill = pen.createLinearGradient(0, 0, width, 0);
      fill.addColorStop(0, colours.paper);
      fill.addColorStop(1, colours.heat);
      pen.fillStyle = fill;
      pen.fillRect(0, 0, width, height);
      pen.strokeStyle = colours.line;
      pen.strokeRect(0.5, 0.5, width - 1, height - 1);
      this.surfaceSays.textContent = isProbability(this.settings.objective)
        ? "D says “real” with ⅓ to ⅔; line: ½"
        : `D’s score, ${decimal(low)} to ${decimal(high)}; line: halfway`;
    }

    drawPlots(colours) {
      const { dLoss, gLoss, covered } = this.history, modes = this.game.data.means.length;
      drawLines(this.lossPlot,
        [{ values: dLoss, colour: colours.blue }, { values: gLoss, colour: colours.vermilion, dash: true }],
        ...range([...dLoss, ...gLoss], 0, 1), colours, "rounds");
      drawLines(this.modePlot, [{ values: covered, colour: colours.green }], 0, modes, colours, "rounds");
      this.controls["said-d"].textContent = decimal(this.game.dLoss);
      this.controls["said-g"].textContent = decimal(this.game.gLoss);
      this.controls["said-modes"].textContent = `${this.coverage.covered} of ${modes}`;
    }

    /** The state of the game in words, for those who listen and those who read. */
    say() {
      const { game, coverage, settings } = this;
      if (settings.data === "draw" && !settings.points.length) {
        this.says.textContent = "No data yet: draw on the picture.";
        return;
      }
      const words = [
        `Updates: D ${game.dSteps}, G ${game.gSteps}.`,
        game.dSteps ? `Losses: D ${decimal(game.dLoss)}, G ${decimal(game.gLoss)}.` : "",
        `Modes covered: ${coverage.covered} of ${coverage.modes}; ${Math.round(100 * coverage.good)}\u00a0% of the fakes are good.`,
        `Mean gradient on a fake: ${this.meanPull < 0.01 ? this.meanPull.toExponential(0).replace("-", "−") : decimal(this.meanPull)}.`,
        this.changedAt ? `Settings changed at round ${this.changedAt}: the address plays them from the start.` : "",
      ];
      this.says.textContent = words.filter(Boolean).join(" ");
    }
  }

  window.liveGan = { choices, defaults, readAddress, writeAddress };
  customElements.define("live-gan", LiveGan);
})();
