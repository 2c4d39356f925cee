// Painting at several scales, as multistyle/strokes.py does. An image is {width, height, data}: float planes, [0, 1].

const BASE = 800; // px, longer side of the coarsest painting at a stroke of 1
const PHOTO_IN_SOURCE = 0.5, OWN_IN_RESULT = 0.8;
const QUARTER = [-0.03515625, 0.26171875, 0.87890625, -0.10546875]; // bicubic, a quarter of a pixel off

/** How often an image is halved for a stroke ("auto", "off" or a number). */
export function strokeDepth(stroke, width, height) {
  const number = { auto: 1, off: 0 }[stroke] ?? Number(stroke);
  return number > 0 ? Math.max(0, Math.log2((Math.max(width, height) * number) / BASE)) : 0;
}

/** Paint at several scales; `network(image, blend)` resolves to one pass, without photo's share. */
export async function paintScales(network, photo, blend, depth) {
  if (depth <= 0) return network(photo, blend);
  const { width, height } = photo;
  const start = double(await paintScales(network, halve(photo), blend, depth - 1), width, height);
  const own = Math.max(0, 1 - depth);
  const share = OWN_IN_RESULT + (1 - OWN_IN_RESULT) * own;
  const source = mixed(start, photo, PHOTO_IN_SOURCE + (1 - PHOTO_IN_SOURCE) * own);
  const finer = blend.map((weight, index) => share * weight + (index === 0 ? 1 - share : 0)); // 0 is photo
  const painted = mixed(source, await network(source, finer), share);
  const blurred = double(halve(painted), width, height);
  return made(width, height, (index) => {
    const fused = painted.data[index] + start.data[index] - blurred.data[index];
    return clamp(fused + own * (painted.data[index] - fused));
  });
}

export function mixed(one, other, share) {
  return made(one.width, one.height, (index) => one.data[index] + share * (other.data[index] - one.data[index]));
}

export function clamp(value) {
  return Math.min(1, Math.max(0, value));
}

export function made(width, height, value) {
  return { width, height, data: Float32Array.from({ length: 3 * width * height }, (_, index) => value(index)) };
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
  const tall = rowsDoubled(image, height);
  return transposed(rowsDoubled(transposed(tall), width), true);
}

function rowsDoubled({ width, height, data }, rows) {
  const doubled = { width, height: rows, data: new Float32Array(3 * width * rows) };
  for (let plane = 0; plane < 3; plane++) {
    for (let y = 0; y < rows; y++) {
      const middle = y >> 1, first = middle - (y % 2 ? 1 : 2), to = (plane * rows + y) * width;
      for (let tap = 0; tap < 4; tap++) {
        const weight = QUARTER[y % 2 ? 3 - tap : tap];
        const from = (plane * height + Math.min(height - 1, Math.max(0, first + tap))) * width;
        for (let x = 0; x < width; x++) doubled.data[to + x] += weight * data[from + x];
      }
    }
  }
  return doubled;
}

function transposed({ width, height, data }, clamped = false) {
  const turned = { width: height, height: width, data: new Float32Array(data.length) };
  for (let plane = 0; plane < 3; plane++) {
    const start = plane * width * height;
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const value = data[start + y * width + x];
        turned.data[start + x * height + y] = clamped ? clamp(value) : value;
      }
    }
  }
  return turned;
}
