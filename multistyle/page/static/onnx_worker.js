// Paints in a worker with ONNX Runtime Web, so that the page stays responsive.

import { keepColors } from "./colors.js";
import { levelPixels, mixInto, paintScales, strokeDepth } from "./levels.js";

const THREADS = 8; // at most
const SIDE = 128; // px, of the picture on which a GPU is tried
const AGREED = 1 / 255;

let runtime = null, session = null;

self.onmessage = async ({ data: { start, job } }) => {
  try {
    const pixels = await (start ? load(start) : paint(job, (share) => self.postMessage({ share })));
    self.postMessage({ pixels }, pixels ? [pixels.buffer] : []);
  } catch (error) {
    self.postMessage({ error: error.message });
  }
};

/** Load runtime and network. Fails for a GPU that does not paint as the processor does, and faster. */
async function load({ network, script, binary, gpu }) {
  runtime = await import(await moduleAddress(script));
  runtime.env.logLevel = "error";
  runtime.env.wasm.wasmBinary = binary;
  runtime.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(THREADS, navigator.hardwareConcurrency) : 1;
  session = await runtime.InferenceSession.create(network, { executionProviders: ["wasm"] });
  if (!gpu) return;
  const processor = await tried(session);
  session = await runtime.InferenceSession.create(network, { executionProviders: ["webgpu"] });
  const found = await tried(session);
  const agree = found.data.every((value, index) => Math.abs(value - processor.data[index]) <= AGREED);
  if (!agree || found.time > processor.time) throw new Error("The GPU is of no use.");
}

/** The address of a script; one with a hash must have just that content. */
async function moduleAddress({ url, integrity }) {
  if (!integrity) return url;
  const code = await (await fetch(url, { integrity })).blob();
  return URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
}

/** The painting of a test picture, and how long it takes the second time. */
async function tried(session) {
  const image = { width: SIDE, height: SIDE, data: new Float32Array(3 * SIDE * SIDE).map((_, index) => (index % 97) / 96) };
  const blend = Array.from({ length: session.inputMetadata[1].shape[1] }, (_, style) => (style === 1 ? 1 : 0));
  await run(session, image, blend);
  const started = performance.now(), data = await run(session, image, blend);
  return { data, time: performance.now() - started };
}

async function run(session, { width, height, data }, blend) {
  const { Tensor } = runtime;
  const inputs = {
    picture: new Tensor("float32", data, [1, 3, height, width]),
    blend: new Tensor("float32", Float32Array.from(blend), [1, blend.length]),
  };
  return (await session.run(inputs)).painting.data;
}

/** One pass without photo's share, which the file has added. */
async function network(image, blend) {
  const data = await run(session, image, blend), share = blend[0];
  for (let index = 0; index < data.length; index++) data[index] = (data[index] - share * image.data[index]) / (1 - share);
  return { width: image.width, height: image.height, data };
}

/** Paint pixels (RGBA bytes); a region is painted whole and laid over the rest through its mask. */
async function paint({ pixels, width, height, blend, regions, stroke, keepColors: keep }, progress) {
  const photo = { width, height, data: planes(pixels) }, depth = strokeDepth(stroke, width, height);
  const total = (1 + regions.length) * levelPixels(width, height, depth);
  let done = 0;

  async function counted(image, weights) {
    const painting = await network(image, weights);
    progress((done += image.width * image.height) / total);
    return painting;
  }

  async function painted(weights) {
    if (weights[0] >= 1) return photo.data.slice();
    const { data } = await paintScales(counted, photo, weights, depth);
    mixInto(data, photo.data, weights[0]);
    return data;
  }

  const result = await painted(blend);
  for (const region of regions) layOver(result, await painted(region.blend), region.mask);
  if (keep) keepColors(result, photo.data);
  toBytes(result, pixels);
  return pixels;
}

/** Red, green and blue in [0, 1]; what is transparent is white. */
function planes(pixels) {
  const size = pixels.length / 4, data = new Float32Array(3 * size);
  for (let plane = 0; plane < 3; plane++) {
    for (let pixel = 0; pixel < size; pixel++) {
      data[plane * size + pixel] = pixels[4 * pixel + 3] ? pixels[4 * pixel + plane] / 255 : 1;
    }
  }
  return data;
}

function toBytes(data, pixels) {
  const size = pixels.length / 4;
  for (let plane = 0; plane < 3; plane++) {
    for (let pixel = 0; pixel < size; pixel++) pixels[4 * pixel + plane] = Math.round(255 * data[plane * size + pixel]);
  }
}

function layOver(under, over, mask) {
  const size = under.length / 3;
  for (let index = 0; index < under.length; index++) {
    under[index] += (mask[4 * (index % size)] / 255) * (over[index] - under[index]);
  }
}
