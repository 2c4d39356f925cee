// Painting at several scales, as multistyle/strokes.py does. An image is {width, height, data}: float planes, [0, 1].
// Pictures have millions of numbers, so loops are plain and write into arrays that they own.

const BASE = 800; // px, longer side of the coarsest painting at a stroke of 1
const PHOTO_IN_SOURCE = 0.5, OWN_IN_RESULT = 0.8;
const QUARTER = [-0.03515625, 0.26171875, 0.87890625, -0.10546875]; // bicubic, a quarter of a pixel off

/** How often an image is halved for a stroke ("auto", "off" or a number). */
export function strokeDepth(stroke, width, height) {
  const number = { auto: 1, off: 0 }[stroke] ?? Number(stroke);
  return number > 0 ? Math.max(0, Math.log2((Math.max(width, height) * number) / BASE)) : 0;
}

/** Pixels of all levels together. */
export function levelPixels(width, height, depth) {
  return width * height + (depth > 0 ? levelPixels(Math.ceil(width / 2), Math.ceil(height / 2), depth - 1) : 0);
}

/** Paint at several scales; `network(image, blend)` resolves to one pass, without photo's share, in a new array. */
export async function paintScales(network, photo, blend, depth) {
  if (depth <= 0) return network(photo, blend);
  const { width, height } = photo;
  const start = double(await paintScales(network, halve(photo), blend, depth - 1), width, height);
  const own = Math.max(0, 1 - depth);
  const share = OWN_IN_RESULT + (1 - OWN_IN_RESULT) * own;
  const source = { width, height, data: start.data.slice() };
  mixInto(source.data, photo.data, PHOTO_IN_SOURCE + (1 - PHOTO_IN_SOURCE) * own);
  const finer = blend.map((weight, index) => share * weight + (index === 0 ? 1 - share : 0)); // 0 is photo
  const painted = await network(source, finer);
  mixInto(painted.data, source.data, 1 - share);
  const blurred = double(halve(painted), width, height).data, out = painted.data;
  for (let index = 0; index < out.length; index++) {
    const change = start.data[index] - blurred[index];
    out[index] = Math.min(1, Math.max(0, out[index] + (1 - own) * change));
  }
  return painted;
}

/** Change `numbers` into a mixture with `others`, of which there is the given share. */
export function mixInto(numbers, others, share) {
  for (let index = 0; index < numbers.length; index++) numbers[index] += share * (others[index] - numbers[index]);
}

/** Means of 2 x 2 pixels. */
export function halve({ width, height, data }) {
  const across = Math.ceil(width / 2), down = Math.ceil(height / 2);
  const halved = { width: across, height: down, data: new Float32Array(3 * across * down) };
  let index = 0;
  for (let plane = 0; plane < 3; plane++) {
    for (let y = 0; y < down; y++) {
      const one = (plane * height + 2 * y) * width, other = (plane * height + Math.min(2 * y + 1, height - 1)) * width;
      for (let x = 0; x < across; x++) {
        const left = 2 * x, right = Math.min(left + 1, width - 1);
        halved.data[index++] = (data[one + left] + data[one + right] + data[other + left] + data[other + right]) / 4;
      }
    }
  }
  return halved;
}

/** Twice the size, bicubic, cut to width x height. */
export function double(image, width, height) {
  return columnsDoubled(rowsDoubled(image, height), width);
}

function rowsDoubled({ width, height, data }, rows) {
  const doubled = { width, height: rows, data: new Float32Array(3 * width * rows) };
  for (let plane = 0; plane < 3; plane++) {
    for (let y = 0; y < rows; y++) {
      const odd = y % 2, first = (y >> 1) - 2 + odd, to = (plane * rows + y) * width;
      for (let tap = 0; tap < 4; tap++) {
        const weight = QUARTER[odd ? 3 - tap : tap];
        const from = (plane * height + Math.min(height - 1, Math.max(0, first + tap))) * width;
        for (let x = 0; x < width; x++) doubled.data[to + x] += weight * data[from + x];
      }
    }
  }
  return doubled;
}

function columnsDoubled({ width, height, data }, columns) {
  const doubled = { width: columns, height, data: new Float32Array(3 * columns * height) };
  const [far, near, own, beyond] = QUARTER, last = width - 1;
  for (let row = 0; row < 3 * height; row++) {
    const from = row * width, to = row * columns;
    for (let x = 0; x < columns; x++) {
      const cell = x >> 1, side = x % 2 ? -1 : 1; // the taps of odd columns are those of even ones, mirrored
      const one = Math.min(last, Math.max(0, cell - 2 * side)), two = Math.min(last, Math.max(0, cell - side));
      const next = Math.min(last, Math.max(0, cell + side));
      const value = far * data[from + one] + near * data[from + two] + own * data[from + cell] + beyond * data[from + next];
      doubled.data[to + x] = Math.min(1, Math.max(0, value));
    }
  }
  return doubled;
}
