// Paints in the visitor's browser, with the exported network. Photos never leave the device.

const LARGEST = 2048; // px, longer side of a painting: more does not fit in a browser's memory everywhere
const LONG = 300_000; // pixels; a painting of more that is given up is stopped, with its worker
const TYPES = { jpg: "image/jpeg", png: "image/png", webp: "image/webp" };

/** A painter; see server.js. */
export function createPainter(config) {
  let worker = new PaintingWorker(config, "wasm"), gpu = null;

  /** WebAssembly starts sooner. After the first painting, the GPU is tried. */
  async function tryGpu() {
    const other = await onGpu(config), old = worker;
    if (!other) return;
    worker = other;
    old.last.then(() => old.stop());
  }

  /** Paint. A GPU that fails, such as for lack of memory, is given up for the processor. */
  async function painted(job, signal, progress) {
    const asked = worker;
    try {
      return await asked.paint(job, signal, progress);
    } catch (error) {
      if (signal?.aborted || asked.kind === "wasm") throw error;
      asked.stop(error);
      if (worker === asked) worker = new PaintingWorker(config, "wasm");
      return worker.paint(job, signal, progress);
    }
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
    const regions = options.regions.map((region) => ({
      mask: maskPixels(region.mask, width, height),
      blend: blendOf(region.mix, options.strength),
    }));
    const { strength, stroke, keepColors } = options;
    const job = { pixels: image.data, width, height, blend: blendOf(mix, strength), regions, stroke, keepColors };
    const pixels = await painted(job, signal, options.progress);
    gpu ??= tryGpu();
    context.putImageData(new ImageData(pixels, width, height), 0, 0);
    const type = TYPES[options.format ?? photo.suffix] ?? "image/png";
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, type, 0.95));
    return { blob, width, height };
  }

  return {
    paint,
    sequences: [],
    privacy: `Photos are painted in this browser and never leave this device, at up to ${LARGEST} pixels. Date, place and other data of the photo are not kept.`,
  };
}

function maskPixels(mask, width, height) {
  const canvas = new OffscreenCanvas(width, height), context = canvas.getContext("2d");
  context.drawImage(mask.softened(), 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}

/** A worker that paints on the GPU, started; null where there is none, or where it paints worse than the processor. */
async function onGpu(config) {
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  if (!adapter || adapter.info?.isFallbackAdapter) return null; // a fallback is the processor again
  const worker = new PaintingWorker(config, "webgpu");
  return worker.start().then(() => worker, () => null);
}

/** Runs one job after the other in a worker. */
class PaintingWorker {
  /** kind: "wasm" or "webgpu". */
  constructor(config, kind) {
    this.config = config;
    this.kind = kind;
    this.files = null; // the worker's, once they are loaded
    this.worker = null;
    this.running = null; // {resolve, reject, progress}
    this.last = Promise.resolve();
  }

  /** Paint, unless the job was given up before its turn. */
  paint(job, signal, progress) {
    const result = this.last.then(async () => {
      signal?.throwIfAborted();
      if (!this.worker) await this.start();
      signal?.throwIfAborted();
      const giveUp = () => job.width * job.height > LONG && this.stop(signal.reason);
      signal?.addEventListener("abort", giveUp, { once: true });
      try {
        const pixels = await this.ask({ job }, progress);
        signal?.throwIfAborted();
        return pixels;
      } finally {
        signal?.removeEventListener("abort", giveUp);
      }
    });
    this.last = result.catch(() => {});
    return result;
  }

  async start() {
    this.files ??= await loadFiles(this.config, this.kind);
    this.worker = new Worker(new URL("onnx_worker.js", import.meta.url), { type: "module" });
    this.worker.onmessage = ({ data }) => this.answer(data);
    this.worker.onerror = (event) => {
      event.preventDefault();
      this.stop(new Error("This browser cannot run the painter."));
    };
    try {
      await this.ask({ start: { ...this.files, gpu: this.kind === "webgpu" } });
    } catch (error) {
      this.stop(error);
      throw error;
    }
  }

  ask(message, progress) {
    return new Promise((resolve, reject) => {
      this.running = { resolve, reject, progress };
      this.worker.postMessage(message);
    });
  }

  answer({ pixels, share, error }) {
    if (share !== undefined) this.running?.progress?.({ done: share, total: 1 });
    else if (error === undefined) this.running?.resolve(pixels);
    else this.running?.reject(new Error(error));
  }

  /** End the worker; the next job starts another. */
  stop(reason) {
    this.worker?.terminate();
    this.running?.reject(reason);
    this.worker = this.running = null;
  }
}

/** The network, and the runtime for the GPU or the processor. Hashes are checked where there are any. */
async function loadFiles({ model, runtime }, kind) {
  const { script, binary } = runtime[kind];
  const [network, compiled] = await Promise.all([load({ url: model }), load(binary)]);
  return { network, binary: compiled, script: { ...script, url: new URL(script.url, document.baseURI).href } };
}

async function load({ url, integrity }) {
  const answer = await fetch(url, integrity ? { integrity } : {}).catch(() => null);
  if (!answer?.ok) throw new Error(`${url} cannot be loaded, or is not the file that it should be.`);
  return new Uint8Array(await answer.arrayBuffer());
}
