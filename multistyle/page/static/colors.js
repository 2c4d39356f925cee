// Keep a photo's colours, as multistyle/color.py does: lightness from the painting, hue and chroma from the photo.

import { made } from "./levels.js";

const STEPS = 8; // of bisection

/** `painting` with the hue and chroma of `photo`; both {width, height, data}. */
export function withColorsOf(photo, painting) {
  const size = photo.width * photo.height, result = new Float32Array(3 * size);
  for (let pixel = 0; pixel < size; pixel++) {
    const at = ({ data }) => [data[pixel], data[pixel + size], data[pixel + 2 * size]];
    const [lightness] = toOklab(at(painting)), [, a, b] = toOklab(at(photo));
    let low = 0, high = 1;
    if (inside(lightness, a, b)) low = 1;
    else {
      for (let step = 0; step < STEPS; step++) {
        const middle = (low + high) / 2;
        if (inside(lightness, a * middle, b * middle)) low = middle;
        else high = middle;
      }
    }
    linear(lightness, a * low, b * low).forEach((value, plane) => (result[pixel + plane * size] = toScreen(value)));
  }
  return made(photo.width, photo.height, (index) => result[index]);
}

function inside(lightness, a, b) {
  return linear(lightness, a, b).every((value) => value >= -1e-4 && value <= 1 + 1e-4);
}

/** Björn Ottosson's Oklab (2020). */
function toOklab(color) {
  const [r, g, b] = color.map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

function linear(lightness, a, b) {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
}

function toScreen(value) {
  const shown = Math.min(1, Math.max(0, value));
  return shown <= 0.0031308 ? shown * 12.92 : 1.055 * shown ** (1 / 2.4) - 0.055;
}
