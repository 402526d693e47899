// Convolution arithmetic in whole numbers, along one axis: what ganbook.convolution says, in the page.
//
// Settings are {n, kernel, stride, padding, dilation, output_padding, transposed}. A convolution reads a window of the
// wide grid into one pixel of the narrow one; a transposed convolution goes the other way through the same windows.
"use strict";

const liveConvolution = (() => {
  class Impossible extends Error {}

  function checkNumbers(settings) {
    for (const [name, value] of Object.entries(settings)) {
      const least = name.endsWith("padding") ? 0 : 1;
      if (!Number.isInteger(value) || value < least) {
        throw new Impossible(`${name} ${value} must be a whole number, ${least} or more`);
      }
    }
  }

  // The positions of a kernel on n pixels.
  function convOutputSize({ n, kernel, stride, padding, dilation }) {
    checkNumbers({ n, kernel, stride, padding, dilation });
    const span = dilation * (kernel - 1) + 1;
    const padded = n + 2 * padding;
    if (span > padded) {
      throw new Impossible(
        `a kernel of ${kernel} with dilation ${dilation} spans ${span} pixels and does not fit into ${padded} ` +
          `(${n} and twice the padding ${padding}): take a smaller kernel or more padding`,
      );
    }
    return Math.floor((padded - span) / stride) + 1;
  }

  function transposedOutputSize({ n, kernel, stride, padding, output_padding, dilation }) {
    checkNumbers({ n, kernel, stride, padding, output_padding, dilation });
    if (output_padding >= Math.max(stride, dilation)) {
      throw new Impossible(
        `output_padding ${output_padding} must be smaller than the stride ${stride} or the dilation ${dilation}`,
      );
    }
    const size = (n - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1;
    if (size < 1) {
      throw new Impossible(
        `the output would have ${size} pixels: padding ${padding} cuts off everything; take less`,
      );
    }
    return size;
  }

  // The pixels of the wide grid that belong to pixel i of the narrow one. Outside lies padding, or what is cut off.
  function windowOf(i, { kernel, stride, padding, dilation }) {
    return Array.from({ length: kernel }, (_, weight) => i * stride - padding + weight * dilation);
  }

  // How many of the windows hold each of n pixels.
  function hits(n, windows) {
    const counts = new Array(n).fill(0);
    for (const pixel of windows.flat()) if (pixel >= 0 && pixel < n) counts[pixel] += 1;
    return counts;
  }

  // Everything that the page draws of a layer, or an Impossible that says why there is none.
  function layerOf(settings) {
    const { n, padding, transposed } = settings;
    const size = transposed ? transposedOutputSize(settings) : convOutputSize(settings);
    const [wide, narrow] = transposed ? [size, n] : [n, size];
    const windows = Array.from({ length: narrow }, (_, i) => windowOf(i, settings));
    const end = transposed ? wide : wide + padding;
    const last = Math.max(end - 1, windows.at(-1).at(-1)); // of the wide grid with its padding, or what is cut off
    return { ...settings, size, wide, narrow, windows, first: -padding, last, counts: hits(wide, windows) };
  }

  // The size of the output with its numbers put in.
  function formula({ n, kernel, stride, padding, dilation, output_padding, transposed, size }) {
    const line = transposed
      ? `(${n} - 1)·${stride} - 2·${padding} + ${dilation}·(${kernel} - 1) + ${output_padding} + 1`
      : `⌊(${n} + 2·${padding} - ${dilation}·(${kernel} - 1) - 1) / ${stride}⌋ + 1`;
    return `${line} = ${size}`.replaceAll("-", "−");
  }

  // How often each pixel of the wide grid has been met when the windows up to the one at (row, column) are done,
  // line by line: a list of rows.
  function hitsUpTo({ wide, windows }, row, column) {
    const [above, here] = [hits(wide, windows.slice(0, row)), hits(wide, [windows[row]])];
    const [everywhere, left] = [hits(wide, windows), hits(wide, windows.slice(0, column + 1))];
    return above.map((count, i) => everywhere.map((all, j) => count * all + here[i] * left[j]));
  }

  // Far from the border: how many windows meet pixels 0, 1, …, stride - 1 of each stride. Equal: no checkerboard.
  function inside({ kernel, stride, dilation }) {
    const counts = new Array(stride).fill(0);
    for (let weight = 0; weight < kernel; weight++) counts[(weight * dilation) % stride] += 1;
    return counts;
  }

  return { Impossible, layerOf, formula, hitsUpTo, inside };
})();
