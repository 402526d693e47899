// <live-convolution>: choose the settings of a layer, and see its windows, its sizes and how often pixels are met.
// The arithmetic is in convolution.js.
"use strict";

class LiveConvolution extends HTMLElement {
  static RANGES = {
    n: ["input size", 1, 10, 3],
    kernel: ["kernel", 1, 6, 3],
    stride: ["stride", 1, 4, 2],
    padding: ["padding", 0, 4, 0],
    dilation: ["dilation", 1, 3, 1],
    output_padding: ["output padding", 0, 3, 0],
  };
  // n, kernel, stride, padding, dilation, output padding, transposed
  static EXAMPLES = {
    "Stamps on stamps: a checkerboard": [3, 3, 2, 0, 1, 0, true],
    "A multiple of the stride: even inside": [4, 4, 2, 0, 1, 0, true],
    "4, 2, 1 doubles": [4, 4, 2, 1, 1, 0, true],
    "G's first layer, from 1 to 4": [1, 4, 1, 0, 1, 0, true],
    "Output padding moves the end": [3, 3, 2, 1, 1, 1, true],
    "Output padding that is refused": [3, 3, 2, 1, 1, 2, true],
    "A convolution, plain": [5, 3, 1, 0, 1, 0, false],
    "Padding keeps the size": [5, 3, 1, 1, 1, 0, false],
    "4, 2, 1 halves": [8, 4, 2, 1, 1, 0, false],
    "A stride that leaves pixels out": [6, 3, 2, 0, 1, 0, false],
    "Dilation: few weights, far apart": [7, 3, 1, 0, 2, 0, false],
    "A kernel that does not fit": [3, 5, 1, 0, 1, 0, false],
  };
  static PACE = 500; // milliseconds for each position while it plays

  connectedCallback() {
    const sliders = Object.entries(LiveConvolution.RANGES).map(([name, [label, low, high, start]]) => `
      <label><span>${label} <b>${start}</b></span>
        <input type="range" name="${name}" min="${low}" max="${high}" value="${start}"></label>`);
    const examples = Object.keys(LiveConvolution.EXAMPLES).map((name) => `<option>${name}</option>`);
    this.innerHTML = `
      <div class="lc-controls">
        <label class="lc-wide">example <select name="example">${examples.join("")}
          <option value="" hidden>your own settings</option></select></label>
        <fieldset class="lc-wide"><legend>layer</legend>
          <label><input type="radio" name="kind" value="convolution"> convolution</label>
          <label><input type="radio" name="kind" value="transposed" checked> transposed convolution</label>
        </fieldset>
        ${sliders.join("")}
      </div>
      <p class="lc-formula" role="status"></p>
      <div class="lc-sizes"><span></span><span></span></div>
      <canvas class="lc-layer" role="img" aria-label=""></canvas>
      <fieldset class="lc-steps">
        <legend>The kernel, step by step</legend>
        <label class="lc-position">position <input type="range" name="position" min="1" max="1" value="1"></label>
        <button type="button" name="back">Back</button>
        <button type="button" name="next">Next</button>
        <button type="button" name="play">Play</button>
        <p class="lc-where" aria-live="polite"></p>
      </fieldset>
      <div class="lc-counts">
        <canvas class="lc-heat" role="img" aria-label=""></canvas>
        <div class="lc-says"></div>
      </div>`;
    this.find = (what) => this.querySelector(what);
    this.control = (name) => this.find(`[name="${name}"]`);
    this.position = this.control("position");
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.listen();
    this.change();
  }

  listen() {
    this.find(".lc-controls").addEventListener("input", (event) => {
      if (event.target.name === "example") this.showExample(event.target.value);
      else this.control("example").value = "";
      this.change();
    });
    this.position.addEventListener("input", () => this.stop(this.step()));
    this.control("back").addEventListener("click", () => this.stop(this.move(-1)));
    this.control("next").addEventListener("click", () => this.stop(this.move(1)));
    this.control("play").addEventListener("click", () => (this.timer ? this.stop() : this.play()));
    this.still.addEventListener("change", () => this.change());
    // The canvases have the size of the page and the colours of its theme.
    new ResizeObserver(() => this.draw()).observe(this);
    new MutationObserver(() => this.draw()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  }

  disconnectedCallback() {
    this.stop();
  }

  settings() {
    const names = Object.keys(LiveConvolution.RANGES);
    const values = names.map((name) => [name, Number(this.control(name).value)]);
    return { ...Object.fromEntries(values), transposed: this.find("[value=transposed]").checked };
  }

  showExample(name) {
    const values = LiveConvolution.EXAMPLES[name];
    Object.keys(LiveConvolution.RANGES).forEach((setting, i) => (this.control(setting).value = values[i]));
    this.find(`[value=${values[6] ? "transposed" : "convolution"}]`).checked = true;
  }

  // Other settings: the layer anew, at its first position.
  change() {
    this.stop();
    const settings = this.settings();
    for (const name of Object.keys(LiveConvolution.RANGES)) {
      this.control(name).parentElement.querySelector("b").textContent = settings[name];
    }
    this.control("output_padding").disabled = !settings.transposed; // a convolution has none
    try {
      this.layer = liveConvolution.layerOf(settings);
    } catch (error) {
      if (!(error instanceof liveConvolution.Impossible)) throw error;
      this.layer = null;
      this.refusal = `Impossible: ${error.message.replaceAll("_", " ")}.`;
    }
    this.find(".lc-steps").disabled = !this.layer;
    this.find(".lc-formula").classList.toggle("lc-refused", !this.layer);
    this.position.max = this.layer ? this.layer.narrow ** 2 : 1;
    this.position.value = 1;
    this.control("play").disabled = this.still.matches;
    this.layer ? this.describe() : this.refuse();
    this.step();
  }

  refuse() {
    this.find(".lc-formula").textContent = this.refusal;
    this.find(".lc-says").textContent = "";
    this.find(".lc-sizes").querySelectorAll("span").forEach((span) => (span.textContent = ""));
    for (const canvas of this.querySelectorAll("canvas")) canvas.setAttribute("aria-label", this.refusal);
  }

  describe() {
    const { layer } = this;
    this.find(".lc-formula").textContent = `Size of the output: ${liveConvolution.formula(layer)}`;
    const [left, right] = this.find(".lc-sizes").children;
    left.textContent = `input ${layer.n} × ${layer.n}`;
    right.textContent = `output ${layer.size} × ${layer.size}`;
    this.find(".lc-says").innerHTML = this.countsInWords().map((line) => `<p>${line}</p>`).join("");
    const [low, high] = [Math.min(...layer.counts) ** 2, Math.max(...layer.counts) ** 2];
    this.find(".lc-heat").setAttribute(
      "aria-label", `${layer.wide} by ${layer.wide} pixels, each with a count from ${low} to ${high}`,
    );
  }

  countsInWords() {
    const { counts, transposed, kernel, stride, dilation } = this.layer;
    const what = transposed
      ? "How many stamps each output pixel gets"
      : "How many windows read each input pixel";
    const lines = [
      `<strong>${what}.</strong> Along an axis: <span class="lc-list">${counts.join(" ")}</span>. In the picture a pixel has the product of two ` +
        "of these, one for its row and one for its column.",
    ];
    const inside = liveConvolution.inside(this.layer);
    if (new Set(inside).size === 1) lines.push(`Far from the border, every pixel is met ${inside[0]} times an axis.`);
    else {
      const why = dilation === 1 ? `since ${kernel} is no multiple of ${stride}` : "by stride and dilation";
      lines.push(`Far from the border, ${inside.join(", ")} repeat along an axis, ${why}: a checkerboard.`);
    }
    if (counts.includes(0)) lines.push(transposed ? "A pixel with 0 holds the bias only." : "A pixel with 0 is lost.");
    return lines;
  }

  // ---- Stepping ----

  place() {
    const i = Number(this.position.value) - 1;
    return [Math.floor(i / this.layer.narrow), i % this.layer.narrow];
  }

  move(by) {
    const { min, max, value } = this.position;
    const count = Number(max);
    this.position.value = ((Number(value) - Number(min) + by + count) % count) + 1; // round and round
    this.step();
  }

  step() {
    if (this.layer) {
      const words = this.placeInWords();
      const off = this.still.matches ? " (Play is off: your system asks for less motion.)" : "";
      this.find(".lc-where").textContent = words + off;
      this.find(".lc-layer").setAttribute("aria-label", `${this.layerInWords()} ${words}`);
      this.position.setAttribute("aria-valuetext", words);
    } else this.find(".lc-where").textContent = "";
    this.draw();
  }

  play() {
    this.control("play").textContent = "Pause";
    this.find(".lc-where").removeAttribute("aria-live"); // nobody can listen that fast
    this.timer = setInterval(() => this.move(1), LiveConvolution.PACE);
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.control("play").textContent = "Play";
    this.find(".lc-where").setAttribute("aria-live", "polite");
  }

  layerInWords() {
    const { n, kernel, transposed, size } = this.layer;
    const kind = transposed ? "transposed convolution" : "convolution";
    return `A ${kernel} by ${kernel} kernel of a ${kind}: ${n} by ${n} pixels become ${size} by ${size}.`;
  }

  placeInWords() {
    const [row, column] = this.place();
    const { windows, wide, narrow, transposed, kernel } = this.layer;
    const inGrid = (i) => windows[i].filter((pixel) => pixel >= 0 && pixel < wide).length;
    const outside = kernel ** 2 - inGrid(row) * inGrid(column);
    const list = (i) => windows[i].join(", ").replaceAll("-", "−");
    const to = `rows ${list(row)} and columns ${list(column)}`;
    const here = `Position ${row * narrow + column + 1} of ${narrow ** 2}:`;
    const lost = outside ? ` ${outside} of ${kernel ** 2} weights ${transposed ? "are cut off" : "meet padding"}.` : "";
    return transposed
      ? `${here} input pixel (${row}, ${column}) is stamped on ${to} of the output.${lost}`
      : `${here} output pixel (${row}, ${column}) reads ${to} of the input.${lost}`;
  }

  // ---- Drawing ----

  draw() {
    const colours = this.colours();
    const [layer, heat] = [".lc-layer", ".lc-heat"].map((name) => this.paper(this.find(name)));
    if (!this.layer) return;
    this.drawLayer(layer, colours);
    this.drawHeat(heat, colours);
  }

  colours() {
    const style = getComputedStyle(this);
    const names = ["paper", "ink", "line", "unread", "stamp", "read", "edge-stamp", "edge-read", "extra"];
    const all = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--lc-${name}`).trim()]));
    const kind = this.layer?.transposed ? "stamp" : "read";
    return { ...all, fill: all[kind], edge: all[`edge-${kind}`] };
  }

  // An empty canvas with as many pixels as the screen has there.
  paper(canvas) {
    const { clientWidth: width, clientHeight: height } = canvas;
    const ratio = window.devicePixelRatio || 1;
    [canvas.width, canvas.height] = [width, height].map((length) => Math.round(length * ratio));
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    return { pen, width, height };
  }

  // The wide grid with its border, the kernel on it, and the narrow grid: input left, output right.
  drawLayer({ pen, width, height }, colours) {
    const { layer } = this;
    const [row, column] = this.place();
    const tall = layer.last - layer.first + 1;
    const gap = 2;
    const cell = Math.min((width - 4) / (tall + gap + layer.narrow), (height - 4) / Math.max(tall, layer.narrow), 48);
    const across = cell * (tall + gap + layer.narrow);
    const left = (width - across) / 2;
    const wide = {
      x: left + (layer.transposed ? cell * (layer.narrow + gap) : 0) - cell * layer.first,
      y: (height - cell * tall) / 2 - cell * layer.first,
    };
    const narrow = {
      x: left + (layer.transposed ? 0 : cell * (tall + gap)),
      y: (height - cell * layer.narrow) / 2,
    };
    this.drawBorder(pen, wide, cell, colours);
    this.drawWide(pen, wide, cell, colours, liveConvolution.hitsUpTo(layer, row, column));
    this.drawNarrow(pen, narrow, cell, colours, row * layer.narrow + column);
    this.drawWindow(pen, wide, cell, colours, layer.windows[row], layer.windows[column]);
  }

  // Dashed: pixels that are not there, zeros for a convolution, cut off by a transposed one.
  drawBorder(pen, { x, y }, cell, colours) {
    const { first, last } = this.layer;
    pen.save();
    pen.strokeStyle = colours.line;
    pen.setLineDash([3, 2]);
    pen.lineWidth = 0.7;
    pen.beginPath();
    for (let edge = first; edge <= last + 1; edge++) {
      pen.moveTo(x + edge * cell, y + first * cell);
      pen.lineTo(x + edge * cell, y + (last + 1) * cell);
      pen.moveTo(x + first * cell, y + edge * cell);
      pen.lineTo(x + (last + 1) * cell, y + edge * cell);
    }
    pen.stroke();
    pen.restore();
  }

  drawCells(pen, { x, y }, cell, colours, count, look) {
    pen.font = `${Math.min(14, cell * 0.5)}px sans-serif`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.strokeStyle = colours.line;
    pen.lineWidth = Math.min(0.8, cell / 12);
    for (let i = 0; i < count; i++) {
      for (let j = 0; j < count; j++) {
        const { colour, share, text = "" } = look(i, j);
        const box = [x + j * cell, y + i * cell, cell, cell];
        for (const [style, alpha] of [[colours.paper, 1], [colour, share]]) {
          pen.globalAlpha = alpha;
          pen.fillStyle = style;
          pen.fillRect(...box);
        }
        pen.globalAlpha = 1;
        pen.strokeRect(...box);
        pen.fillStyle = colours.ink;
        if (cell >= 14) pen.fillText(text, x + (j + 0.5) * cell, y + (i + 0.55) * cell);
      }
    }
  }

  // A convolution: grey where no window reads. A transposed one: what has been stamped so far.
  drawWide(pen, corner, cell, colours, done) {
    const { counts, wide, transposed, output_padding: extra } = this.layer;
    const most = Math.max(...counts, 1) ** 2;
    this.drawCells(pen, corner, cell, colours, wide, (i, j) => transposed
      ? { colour: colours.stamp, share: (0.6 * done[i][j]) / most, text: done[i][j] }
      : { colour: colours.unread, share: counts[i] * counts[j] ? 0 : 1 });
    if (!transposed || !extra) return;
    const inner = cell * (wide - extra); // beyond this line lies what output padding has added
    pen.strokeStyle = colours.extra;
    pen.lineWidth = 3;
    pen.beginPath();
    pen.moveTo(corner.x + inner, corner.y);
    pen.lineTo(corner.x + inner, corner.y + inner);
    pen.lineTo(corner.x, corner.y + inner);
    pen.stroke();
  }

  // A pixel for each window: done, the one at work, and still to come.
  drawNarrow(pen, corner, cell, colours, now) {
    const { narrow } = this.layer;
    const share = (at) => (at === now ? 1 : at < now ? 0.3 : 0);
    const look = (i, j) => ({ colour: colours.fill, share: share(i * narrow + j) });
    this.drawCells(pen, corner, cell, colours, narrow, look);
  }

  drawWindow(pen, { x, y }, cell, colours, rows, columns) {
    pen.fillStyle = colours.fill;
    pen.globalAlpha = 0.35;
    for (const i of rows) for (const j of columns) pen.fillRect(x + j * cell, y + i * cell, cell, cell);
    pen.globalAlpha = 1;
    pen.strokeStyle = colours.edge;
    pen.lineWidth = 2.5;
    const span = cell * (rows.at(-1) - rows[0] + 1);
    pen.strokeRect(x + columns[0] * cell, y + rows[0] * cell, span, span);
  }

  drawHeat({ pen, width }, colours) {
    const { counts, wide } = this.layer;
    const most = Math.max(...counts, 1) ** 2;
    const cell = (width - 2) / wide;
    this.drawCells(pen, { x: 1, y: 1 }, cell, colours, wide, (i, j) => {
      const text = counts[i] * counts[j];
      return text ? { colour: colours.fill, share: (0.6 * text) / most, text } : { colour: colours.unread, share: 1, text };
    });
  }
}

customElements.define("live-convolution", LiveConvolution);
