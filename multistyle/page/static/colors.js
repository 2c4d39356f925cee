// Keep a photo's colours, as multistyle/color.py does: lightness from the painting, hue and chroma from the photo.

const STEPS = 8; // of bisection
const SLACK = 1e-4;

/** Give `painting` the hue and chroma of `photo`; both are three planes of numbers in [0, 1]. */
export function keepColors(painting, photo) {
  const size = painting.length / 3, painted = new Float64Array(3), colored = new Float64Array(3);
  for (let red = 0; red < size; red++) {
    const green = red + size, blue = green + size;
    toOklab(painting[red], painting[green], painting[blue], painted);
    toOklab(photo[red], photo[green], photo[blue], colored);
    const [lightness] = painted, [, a, b] = colored;
    let low = 1;
    if (!isShown(lightness, a, b, painted)) {
      low = 0;
      let high = 1;
      for (let step = 0; step < STEPS; step++) {
        const middle = (low + high) / 2;
        if (isShown(lightness, a * middle, b * middle, painted)) low = middle;
        else high = middle;
      }
    }
    toLinear(lightness, a * low, b * low, painted);
    painting[red] = toScreen(painted[0]);
    painting[green] = toScreen(painted[1]);
    painting[blue] = toScreen(painted[2]);
  }
}

/** Whether a screen can show the colour. */
function isShown(lightness, a, b, out) {
  toLinear(lightness, a, b, out);
  return Math.min(out[0], out[1], out[2]) >= -SLACK && Math.max(out[0], out[1], out[2]) <= 1 + SLACK;
}

/** Björn Ottosson's Oklab (2020). */
function toOklab(red, green, blue, out) {
  const r = fromScreen(red), g = fromScreen(green), b = fromScreen(blue);
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  out[0] = 0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s;
  out[1] = 1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s;
  out[2] = 0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s;
}

function toLinear(lightness, a, b, out) {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  out[0] = 4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s;
  out[1] = -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s;
  out[2] = -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s;
}

function fromScreen(value) {
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
}

function toScreen(value) {
  const shown = Math.min(1, Math.max(0, value));
  return shown <= 0.0031308 ? shown * 12.92 : 1.055 * shown ** (1 / 2.4) - 0.055;
}
