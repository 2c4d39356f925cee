// Paints in the visitor's browser, with the exported network. Photos never leave the device.

const LARGEST = 2048; // px, longer side of a painting: more does not fit in a browser's memory everywhere
const TYPES = { jpg: "image/jpeg", png: "image/png", webp: "image/webp" };

/** A painter; see server.js. */
export function createPainter(config) {
  const worker = new Worker(new URL("onnx_worker.js", import.meta.url), { type: "module" });
  const base = (url) => new URL(url, document.baseURI).href;
  const { script, binary } = config.runtime;
  const files = {
    model: base(config.model),
    runtime: { script: { ...script, url: base(script.url) }, binary: { ...binary, url: base(binary.url) } },
  };
  const waiting = new Map(); // by number
  let last = Promise.resolve(), count = 0;

  worker.onmessage = ({ data: { number, pixels, error } }) => {
    const { resolve, reject } = waiting.get(number);
    waiting.delete(number);
    if (error === undefined) resolve(pixels);
    else reject(new Error(error));
  };
  worker.onerror = (event) => {
    event.preventDefault();
    for (const { reject } of waiting.values()) reject(new Error("This browser cannot run the painter."));
    waiting.clear();
  };

  /** One job after the other; one that was given up meanwhile is not begun. */
  function run(job, signal) {
    const result = last.then(() => {
      signal?.throwIfAborted();
      const number = count++;
      worker.postMessage({ number, config: files, job });
      return new Promise((resolve, reject) => waiting.set(number, { resolve, reject }));
    });
    last = result.catch(() => {});
    return result;
  }

  /** A mix as weights in the order of the file's styles. */
  function blendOf(mix, strength) {
    const weights = new Map(mix.map(([name, share]) => [name, share * strength]));
    weights.set("photo", (weights.get("photo") ?? 0) + 1 - strength);
    return config.names.map((name) => weights.get(name) ?? 0);
  }

  async function paint(photo, mix, options, signal) {
    const size = Math.min(options.size ?? photo.longer, photo.longer, LARGEST);
    const canvas = photo.canvas(size === photo.longer ? null : size), { width, height } = canvas;
    const context = canvas.getContext("2d"), image = context.getImageData(0, 0, width, height);
    const regions = [];
    for (const region of options.regions) {
      regions.push({ mask: await maskPixels(region.mask, width, height), blend: blendOf(region.mix, options.strength) });
    }
    const { strength, stroke, keepColors } = options;
    const job = { pixels: image.data, width, height, blend: blendOf(mix, strength), regions, stroke, keepColors };
    const pixels = await run(job, signal);
    signal?.throwIfAborted();
    context.putImageData(new ImageData(pixels, width, height), 0, 0);
    const type = TYPES[options.format ?? photo.suffix] ?? "image/png";
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, type, 0.95));
    return { blob, width, height };
  }

  return {
    paint,
    keepsMetadata: false,
    sequences: [],
    privacy: `Photos are painted in this browser and never leave this device, at up to ${LARGEST} pixels. Date, place and other data of the photo are not kept.`,
  };
}

async function maskPixels(mask, width, height) {
  const bitmap = await createImageBitmap(await mask.blob());
  const canvas = new OffscreenCanvas(width, height), context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}
