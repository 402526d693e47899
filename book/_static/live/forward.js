// A trained generator, run in the page: what G.eval() does in PyTorch, layer by layer, in float32.
//
// `ganbook export` writes a generator as a script, weights/NAME.js, that calls liveWeights with a description of the
// layers and with their weights. Batch norm is gone by then: it is folded into the layer before it.
"use strict";

const liveForward = (() => {
  const folder = document.currentScript.src.replace(/[^/]*$/, "weights/");
  const arrived = {}; // by name: what a script of weights brought
  const asked = {}; // by name: the promise of a generator

  // Called by the scripts of weights.
  globalThis.liveWeights = (name, description, base64) => {
    arrived[name] = { description, base64 };
  };

  // The promise of the generator of this name. Its script is asked for here and nowhere else, once; after a failure
  // it may be asked for again. (A script, because a page that was opened from a folder may fetch nothing else.)
  function load(name) {
    asked[name] ??= run(`${folder}${name}.js`).then(
      () => unpack(arrived[name]),
      (error) => {
        delete asked[name];
        throw error;
      },
    );
    return asked[name];
  }

  function run(address) {
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = address;
      script.onload = resolve;
      script.onerror = () => reject(new Error(`${address} did not come`));
      document.head.append(script);
    });
  }

  // ---- From text to numbers ----

  // {labels, latentDim, tables, layers}, with all weights as float32. A table has a row for each value of a label.
  function unpack({ description, base64 }) {
    const { labels, latent_dim: latentDim, embedding_dim: width, precision } = description;
    const take = reader(base64);
    const tables = Object.values(labels).map((names) => names.map(() => take(Float32Array, width)));
    const layers = description.layers.map((layer) => {
      if (!layer.out) return layer; // it has no weights
      const count = layer.out * layer.in * (layer.kernel ?? 1) ** 2;
      const weight = precision === "half"
        ? fromHalf(take(Uint16Array, count))
        : fromInt8(take(Float32Array, layer.out), take(Int8Array, count));
      return { ...layer, weight, bias: take(Float32Array, layer.out) };
    });
    return { labels, latentDim, tables, layers };
  }

  // take(Float32Array, 16) gives the next 16 numbers.
  function reader(base64) {
    const text = atob(base64);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
    let at = 0;
    return (Numbers, count) => {
      const from = at;
      at += count * Numbers.BYTES_PER_ELEMENT;
      return new Numbers(bytes.buffer.slice(from, at));
    };
  }

  // The weights of each output are whole numbers from -127 to 127, times a scale of its own.
  function fromInt8(scales, numbers) {
    const weights = new Float32Array(numbers.length);
    const columns = numbers.length / scales.length;
    for (let i = 0; i < numbers.length; i++) weights[i] = scales[Math.floor(i / columns)] * numbers[i];
    return weights;
  }

  // Half precision: a sign, 5 bits of exponent, 10 bits of fraction.
  function fromHalf(numbers) {
    const weights = new Float32Array(numbers.length);
    for (let i = 0; i < numbers.length; i++) {
      const exponent = (numbers[i] >> 10) & 31;
      const fraction = (numbers[i] & 1023) / 1024;
      const size = exponent ? 2 ** (exponent - 15) * (1 + fraction) : 2 ** -14 * fraction;
      weights[i] = numbers[i] >> 15 ? -size : size;
    }
    return weights;
  }

  // ---- The layers: each makes {values, shape} of {values, shape} ----

  // W x, a row for each output: W is (rows, columns), x is (columns, places), and so many linear layers run at once.
  function multiply(W, x, rows, columns, places) {
    const y = new Float32Array(rows * places);
    for (let row = 0; row < rows; row++) {
      const to = row * places;
      const from = row * columns;
      let c = 0;
      for (; c + 4 <= columns; c += 4) { // four columns at once: y is read and written a quarter as often
        const w0 = W[from + c], w1 = W[from + c + 1], w2 = W[from + c + 2], w3 = W[from + c + 3];
        const x0 = c * places, x1 = x0 + places, x2 = x1 + places, x3 = x2 + places;
        for (let p = 0; p < places; p++) {
          y[to + p] += w0 * x[x0 + p] + w1 * x[x1 + p] + w2 * x[x2 + p] + w3 * x[x3 + p];
        }
      }
      for (; c < columns; c++) {
        const w = W[from + c];
        for (let p = 0; p < places; p++) y[to + p] += w * x[c * places + p];
      }
    }
    return y;
  }

  function linear({ weight, bias, in: columns, out: rows }, { values }) {
    const y = multiply(weight, values, rows, columns, 1);
    for (let row = 0; row < rows; row++) y[row] += bias[row];
    return { values: y, shape: [rows] };
  }

  // Each input pixel, times the kernel, is stamped on the output. The products are those of a linear layer at each
  // pixel, k·k of them for each output channel.
  function convTranspose({ weight, bias, in: channels, out, kernel, stride, padding }, { values, shape }) {
    const [, height, width] = shape;
    const [tall, wide] = [height, width].map((n) => (n - 1) * stride - 2 * padding + kernel);
    const stamps = multiply(weight, values, out * kernel * kernel, channels, height * width);
    const y = new Float32Array(out * tall * wide);
    for (let c = 0, from = 0; c < out; c++) {
      const picture = c * tall * wide;
      y.fill(bias[c], picture, picture + tall * wide);
      for (let ky = 0; ky < kernel; ky++) {
        for (let kx = 0; kx < kernel; kx++) {
          // Columns j whose stamp lands in the picture; what lands beside it is cut off.
          const first = Math.max(0, Math.ceil((padding - kx) / stride));
          const last = Math.min(width - 1, Math.floor((wide - 1 + padding - kx) / stride));
          for (let i = 0; i < height; i++, from += width) {
            const row = i * stride - padding + ky;
            if (row < 0 || row >= tall) continue;
            const to = picture + row * wide - padding + kx;
            for (let j = first; j <= last; j++) y[to + j * stride] += stamps[from + j];
          }
        }
      }
    }
    return { values: y, shape: [out, tall, wide] };
  }

  const layerOf = {
    linear,
    conv_transpose: convTranspose,
    reshape: ({ shape }, { values }) => ({ values, shape }),
    leaky_relu: ({ slope }, { values, shape }) => ({ values: values.map((v) => (v > 0 ? v : slope * v)), shape }),
    tanh: (_, { values, shape }) => ({ values: values.map(Math.tanh), shape }),
  };

  // G(z, y). `rows`: for each label a row of its table, or a mixture of two; none for a G that reads no labels.
  function draw({ layers }, z, rows) {
    const joined = Float32Array.from([z, ...rows].flatMap((part) => [...part]));
    return layers.reduce((x, layer) => layerOf[layer.kind](layer, x), { values: joined, shape: [joined.length] });
  }

  return { load, unpack, draw };
})();
