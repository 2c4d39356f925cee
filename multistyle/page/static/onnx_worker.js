// Paints in a worker with ONNX Runtime Web, so that the page stays responsive.

import { withColorsOf } from "./colors.js";
import { clamp, made, mixed, paintScales, strokeDepth } from "./levels.js";

let session = null, runtime = null;

async function start({ model, runtime: { script, binary } }) {
  const code = await fetched(script, (answer) => answer.blob());
  runtime = await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  runtime.env.wasm.wasmBinary = await fetched(binary, (answer) => answer.arrayBuffer());
  runtime.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(8, navigator.hardwareConcurrency) : 1;
  const file = new Uint8Array(await fetched({ url: model }, (answer) => answer.arrayBuffer()));
  session = await runtime.InferenceSession.create(file, { executionProviders: ["wasm"] });
}

/** Fetch a file; one with an integrity hash must have just that content. */
async function fetched({ url, integrity }, read) {
  const answer = await fetch(url, integrity ? { integrity } : {});
  if (!answer.ok) throw new Error(`${url} cannot be loaded (${answer.status}).`);
  return read(answer);
}

/** One pass without photo's share, which the file has added. */
async function network(image, blend) {
  const { Tensor } = runtime, share = blend[0];
  const inputs = {
    picture: new Tensor("float32", image.data, [1, 3, image.height, image.width]),
    blend: new Tensor("float32", Float32Array.from(blend), [1, blend.length]),
  };
  const { painting } = await session.run(inputs);
  return made(image.width, image.height, (index) => (painting.data[index] - share * image.data[index]) / (1 - share));
}

async function painted(photo, blend, stroke) {
  const share = blend[0];
  if (share >= 1) return photo;
  const result = await paintScales(network, photo, blend, strokeDepth(stroke, photo.width, photo.height));
  return mixed(result, photo, share);
}

/** Paint pixels (RGBA bytes); a region is painted whole and laid over the rest through its mask. */
async function paint({ pixels, width, height, blend, regions, stroke, keepColors }) {
  const size = width * height;
  const photo = made(width, height, (index) => pixels[4 * (index % size) + Math.floor(index / size)] / 255);
  let result = await painted(photo, blend, stroke);
  for (const region of regions) {
    const over = await painted(photo, region.blend, stroke), under = result;
    result = made(width, height, (index) => {
      const share = region.mask[4 * (index % size)] / 255;
      return under.data[index] + share * (over.data[index] - under.data[index]);
    });
  }
  if (keepColors) result = withColorsOf(photo, result);
  for (let pixel = 0; pixel < size; pixel++) {
    for (let plane = 0; plane < 3; plane++) {
      pixels[4 * pixel + plane] = Math.round(255 * clamp(result.data[pixel + plane * size]));
    }
  }
  return pixels;
}

let ready = null;
self.onmessage = async ({ data: { number, config, job } }) => {
  try {
    ready ??= start(config);
    await ready;
    const pixels = await paint(job);
    self.postMessage({ number, pixels }, [pixels.buffer]);
  } catch (error) {
    self.postMessage({ number, error: error.message });
  }
};
