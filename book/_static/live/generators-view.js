// <live-avatars> and <live-digits>: what a reader moves, and the pictures that a trained generator draws of it.
// The generator itself is in forward.js; it is loaded when the reader asks for it.
"use strict";

// ---- The noise ----

// z number 1, 2, 3, …: `count` draws from N(0, 1), the same for the same number on every machine.
// (Not those of PyTorch: its generator of random numbers is another.)
function latent(number, count) {
  let state = number >>> 0;
  const uniform = () => { // mulberry32, a small generator: in (0, 1]
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (((t ^ (t >>> 14)) >>> 0) + 1) / 2 ** 32;
  };
  // Box and Muller: a distance from the origin and an angle make a normal number.
  const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  return Float32Array.from({ length: count }, normal);
}

const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
const lengthOf = (z) => Math.sqrt(dot(z, z));
const mix = (a, b, t) => a.map((value, i) => (1 - t) * value + t * b[i]);

// The straight way from a to b, and the arc: not the line between them is divided, but the angle (Shoemake, 1985).
function between(a, b, t, arc) {
  const angle = Math.acos(Math.min(1, Math.max(-1, dot(a, b) / (lengthOf(a) * lengthOf(b)))));
  if (!arc || Math.sin(angle) < 1e-4) return mix(a, b, t);
  const [here, there] = [(1 - t) * angle, t * angle].map((part) => Math.sin(part) / Math.sin(angle));
  return a.map((value, i) => here * value + there * b[i]);
}

// ---- Pictures ----

// {values, shape (C, H, W)} in [-1, 1] on a canvas of H by W pixels, in grey or in colours; at (left, top) of it.
function paint(canvas, { values, shape: [channels, height, width] }, left = 0, top = 0) {
  const area = height * width;
  const image = new ImageData(width, height);
  for (let i = 0; i < area; i++) {
    for (let c = 0; c < 3; c++) {
      image.data[4 * i + c] = Math.round((values[(c % channels) * area + i] + 1) * 127.5); // clipped to 0 … 255
    }
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, left, top);
}

const canvasOf = (side, label) =>
  `<canvas width="${side}" height="${side}" role="img" aria-label="${label}"></canvas>`;
const stripOf = (count, side, label) =>
  Array.from({ length: count }, () => `<li>${canvasOf(side, label)}<span>&nbsp;</span></li>`).join("");
const breathe = () => new Promise((resolve) => setTimeout(resolve)); // lets the page answer before the next picture

// ---- What both have in common: loading, z, the walk, and a strip of the same z with each value of a label ----

class LiveGenerator extends HTMLElement {
  connectedCallback() {
    this.innerHTML = `
      <div class="lg-load">
        <button type="button" name="load">Load the generator of ${this.noun} (${this.getAttribute("size")})</button>
        <span role="status">Nothing is loaded yet; the pictures are empty.</span>
        <progress aria-label="Loading" hidden></progress>
      </div>
      <fieldset class="lg-all" disabled>
        <legend>${this.heading}</legend>
        <div class="lg-top">
          <div class="lg-controls">
            ${this.labelControls()}
            <label>z number <input type="number" name="from" min="1" max="99999" value="1" required></label>
            <button type="button" name="new">New z</button>
            <label>walk to z number <input type="number" name="to" min="1" max="99999" value="2" required></label>
            <label>how far <input type="range" name="way" min="0" max="1" step="0.05" value="0"></label>
            <fieldset class="lg-wide">
              <legend>along</legend>
              <label><input type="radio" name="along-${this.model}" value="arc" checked> the arc</label>
              <label><input type="radio" name="along-${this.model}" value="line"> a straight line</label>
            </fieldset>
          </div>
          <div class="lg-large">${canvasOf(this.side, "empty")}<p class="lg-caption" aria-live="polite"></p></div>
        </div>
        <p class="lg-title">${this.stripTitle}</p>
        <ol class="lg-strip lg-values">${stripOf(this.values, this.side, "empty")}</ol>
        ${this.more()}
      </fieldset>`;
    this.all = this.querySelector(".lg-all");
    this.large = this.querySelector(".lg-large canvas");
    this.caption = this.querySelector(".lg-caption");
    this.status = this.querySelector("[role=status]");
    this.turn = 0; // counts the readers' moves: what was begun for an earlier one is given up
    this.control("load").addEventListener("click", () => this.load());
    this.control("new").addEventListener("click", () => this.newLatent());
    this.all.addEventListener("input", (event) => this.moved(event.target));
  }

  control(name) {
    return this.querySelector(`[name="${name}"]`);
  }

  async load() {
    const [button, progress] = [this.control("load"), this.querySelector("progress")];
    if (button.getAttribute("aria-disabled")) return;
    button.setAttribute("aria-disabled", true); // not `disabled`: that would take the keyboard's place away
    progress.hidden = false;
    this.status.textContent = "Loading …";
    try {
      this.G = await liveForward.load(this.model);
      this.ready();
      this.redraw(); // the first picture is slow: the browser has not translated the loops yet
      const took = this.redraw();
      button.textContent = "Loaded";
      this.status.textContent = `A picture takes about ${Math.max(1, Math.round(took))} ms here.`;
    } catch (error) {
      this.status.textContent = "The file did not come: are you offline? Nothing else on the page needs it.";
      button.textContent = `Try again (${this.getAttribute("size")})`;
      button.removeAttribute("aria-disabled");
      console.warn(error);
    }
    progress.hidden = true;
  }

  ready() {
    for (const [kind, names] of Object.entries(this.G.labels)) {
      for (const select of this.querySelectorAll(`select[data-kind="${kind}"]`)) {
        select.replaceChildren(...names.map((name, i) => new Option(name, i)));
        select.value = select.dataset.start;
      }
    }
    this.all.disabled = false;
  }

  newLatent() {
    this.control("from").value = Number(this.control("from").value) + 1;
    this.control("to").value = Number(this.control("from").value) + 1;
    this.control("way").value = 0;
    this.redraw();
  }

  moved(control) {
    if (control.checkValidity()) this.redraw();
    else this.caption.textContent = "A z number is a whole number, 1 or more.";
  }

  // The z that the controls ask for.
  z() {
    const [from, to] = ["from", "to"].map((name) => latent(Number(this.control(name).value), this.G.latentDim));
    const arc = this.querySelector("[value=arc]").checked;
    return between(from, to, Number(this.control("way").value), arc);
  }

  whereabouts(z) {
    const [from, to, way] = ["from", "to", "way"].map((name) => Number(this.control(name).value));
    const percent = Math.round(100 * way);
    const place = percent === 0 ? `z number ${from}` : percent === 100 ? `z number ${to}`
      : `${percent} % of the way from z number ${from} to ${to}`;
    return `${place}. This z is ${lengthOf(z).toFixed(1)} long; most draws are about ${Math.sqrt(z.length).toFixed(0)}.`;
  }

  picture(z, rows) {
    return liveForward.draw(this.G, z, rows);
  }

  rows(y) {
    return this.G.tables.map((table, i) => table[y[i]]);
  }

  // The large picture at once, the strips one picture after the other. Returns the milliseconds of the large one.
  redraw() {
    const turn = ++this.turn;
    const z = this.z();
    const started = performance.now();
    paint(this.large, this.picture(z, this.asked()));
    const took = performance.now() - started;
    const text = `${this.words()}, from ${this.whereabouts(z)}`;
    this.large.setAttribute("aria-label", this.words());
    this.caption.textContent = text[0].toUpperCase() + text.slice(1);
    this.setAttribute("aria-busy", "true");
    this.drawStrips(z, turn).then(() => turn === this.turn && this.setAttribute("aria-busy", "false"));
    return took;
  }

  // jobs: what to draw on each canvas of a strip, and its name. Gives up when the reader moves on.
  async drawStrip(where, jobs, z, turn) {
    const items = this.querySelectorAll(`${where} li`);
    for (const [i, { rows, name, label, chosen }] of jobs.entries()) {
      await breathe();
      if (turn !== this.turn) return;
      const [canvas, text] = items[i].children;
      paint(canvas, this.picture(z, rows));
      canvas.setAttribute("aria-label", label);
      text.textContent = name;
      items[i].classList.toggle("lg-chosen", Boolean(chosen));
    }
  }
}

// ---- Faces by hair and eyes ----

class LiveAvatars extends LiveGenerator {
  model = "acgan";
  noun = "faces";
  heading = "Faces by hair and eyes";
  side = 64;
  values = 12;
  stripTitle = "The same z with every hair colour";

  labelControls() {
    return `
      <label>hair <select name="hair" data-kind="hair" data-start="3"></select></label>
      <label>eyes <select name="eyes" data-kind="eyes" data-start="8"></select></label>`;
  }

  more() {
    const heads = (count) => "<span>&nbsp;</span>".repeat(count);
    return `
      <button type="button" name="grid">Draw all 120 of this z</button>
      <p class="lg-grid-says" role="status">Twelve hair colours by ten eye colours, row by row.</p>
      <div class="lg-grid">
        <div class="lg-columns" aria-hidden="true">${heads(10)}</div>
        <div class="lg-rows" aria-hidden="true">${heads(12)}</div>
        <canvas width="640" height="768" role="img" aria-label="empty"></canvas>
      </div>`;
  }

  connectedCallback() {
    super.connectedCallback();
    this.gridTurn = 0;
    this.grid = this.querySelector(".lg-grid canvas");
    this.control("grid").addEventListener("click", () => this.drawGrid());
    this.grid.addEventListener("click", (event) => this.take(event));
  }

  ready() {
    super.ready();
    const { hair, eyes } = this.G.labels;
    const name = (where, names) => this.querySelectorAll(where).forEach((span, i) => (span.textContent = names[i]));
    name(".lg-rows span", hair);
    name(".lg-columns span", eyes);
  }

  y() {
    return [this.control("hair").value, this.control("eyes").value].map(Number);
  }

  asked() {
    return this.rows(this.y());
  }

  words() {
    const [hair, eyes] = this.y();
    return `a drawn face with ${this.G.labels.hair[hair]} hair and ${this.G.labels.eyes[eyes]} eyes`;
  }

  drawStrips(z, turn) {
    const [chosen, eyes] = this.y();
    const jobs = this.G.labels.hair.map((name, hair) => ({
      rows: this.rows([hair, eyes]), name, label: `the same z with ${name} hair`, chosen: hair === chosen,
    }));
    return this.drawStrip(".lg-values", jobs, z, turn);
  }

  // Row by row; the reader may go on meanwhile, and may begin another.
  async drawGrid() {
    const turn = ++this.gridTurn;
    const z = this.z();
    const says = this.querySelector(".lg-grid-says");
    const { hair, eyes } = this.G.labels;
    const started = performance.now();
    this.grid.getContext("2d").clearRect(0, 0, this.grid.width, this.grid.height);
    for (const row of hair.keys()) {
      says.textContent = `Row ${row + 1} of ${hair.length}: ${hair[row]} hair`;
      for (const column of eyes.keys()) {
        await breathe();
        if (turn !== this.gridTurn) return;
        paint(this.grid, this.picture(z, this.rows([row, column])), column * this.side, row * this.side);
      }
    }
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    says.textContent = `120 faces in ${seconds} s. One z, so the face should stay and the colours change.`;
    this.grid.setAttribute(
      "aria-label", "12 rows of 10 drawn faces of one z: a row for each hair colour, a column for each eye colour",
    );
  }

  // A click on a face of the grid asks for its labels; the menus do the same.
  take(event) {
    const box = this.grid.getBoundingClientRect();
    this.control("hair").value = Math.floor(((event.clientY - box.top) / box.height) * 12);
    this.control("eyes").value = Math.floor(((event.clientX - box.left) / box.width) * 10);
    this.redraw();
  }
}

// ---- Digits ----

class LiveDigits extends LiveGenerator {
  model = "cgan";
  noun = "digits";
  heading = "Digits by request";
  side = 28;
  values = 10;
  stripTitle = "The same z as every digit";

  labelControls() {
    return `
      <label>digit <select name="digit" data-kind="digit" data-start="7"></select></label>
      <label>mix with digit <select name="other" data-kind="digit" data-start="1"></select></label>
      <label class="lg-wide">how much of it <input type="range" name="share" min="0" max="1" step="0.05" value="0"></label>`;
  }

  more() {
    return `<p class="lg-title">From digit to digit in eight steps: embeddings mixed, the same z</p>
      <ol class="lg-strip lg-steps">${stripOf(9, this.side, "empty")}</ol>`;
  }

  named(digit) {
    return `${Number(digit) === 8 ? "an" : "a"} ${digit}`;
  }

  // The row of the table for each of two digits, mixed.
  mixed(share) {
    const [table] = this.G.tables;
    const [digit, other] = ["digit", "other"].map((name) => table[this.control(name).value]);
    return [mix(digit, other, share)];
  }

  asked() {
    return this.mixed(Number(this.control("share").value));
  }

  words() {
    const [digit, other, share] = ["digit", "other", "share"].map((name) => this.control(name).value);
    const [here, there] = [digit, other].map(this.named);
    return Number(share) === 0 ? here : `${Math.round(100 * share)} % of ${there} mixed into ${here}`;
  }

  async drawStrips(z, turn) {
    const chosen = Number(this.control("digit").value);
    const all = this.G.labels.digit.map((name, digit) => ({
      rows: this.rows([digit]), name, label: `the same z as ${this.named(name)}`, chosen: digit === chosen,
    }));
    await this.drawStrip(".lg-values", all, z, turn);
    const steps = Array.from({ length: 9 }, (_, i) => ({
      rows: this.mixed(i / 8), name: `${i}/8`, label: `${i} eighths of the way from digit to digit`,
    }));
    await this.drawStrip(".lg-steps", steps, z, turn);
  }
}

customElements.define("live-avatars", LiveAvatars);
customElements.define("live-digits", LiveDigits);
