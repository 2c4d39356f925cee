// Paints on the server that the page came from.

import { mixText } from "./mixes.js";

const PATIENCE = 8; // attempts while the server is busy

/**
 * A painter: what it can do, and how it does it.
 *
 * paint(photo, mix, options, signal) resolves to {blob, width, height}. Options: size (longer side in pixels, null: the
 * photo's), strength, stroke, keepColors, regions ([{mix, mask}]), format (null: the photo's), session, progress.
 */
export function createPainter(config) {
  const session = randomName();

  async function paint(photo, mix, options, signal) {
    const query = new URLSearchParams({ mix: mixText(mix), ...look(options) });
    if (options.format) query.set("format", options.format);
    if (options.preview) query.set("session", session);
    const reduced = options.size !== null && options.size < photo.longer;
    let body = reduced ? await photo.reduced(options.size) : photo.file;
    if (options.regions.length) {
      const form = new FormData();
      form.append("picture", body, "picture");
      for (const region of options.regions) {
        query.append("region", mixText(region.mix));
        form.append("mask", await region.mask.blob(), "mask.png");
      }
      body = form;
    }
    const answer = await post("paint", query, body, options.progress, signal);
    const { width, height } = JSON.parse(answer.headers.get("X-Painting"));
    return { blob: await answer.blob(), width, height };
  }

  async function sequence(photo, from, to, options, signal) {
    const { size, frames, format } = options;
    const query = new URLSearchParams({ from: mixText(from), to: mixText(to), frames, format, ...look(options) });
    query.set("size", Math.min(size, photo.longer));
    return (await post("sequence", query, photo.file, options.progress, signal)).blob();
  }

  /** A file that the browser cannot show, as a PNG. */
  async function convert(file) {
    return (await post("paint", new URLSearchParams({ mix: "photo", stroke: "off", format: "png" }), file)).blob();
  }

  return {
    paint,
    sequence,
    convert,
    sequences: config.video ? ["gif", "mp4"] : ["gif"],
    privacy: "Photos are painted by the machine that serves this page. It keeps nothing.",
  };
}

function look(options) {
  return { strength: options.strength, stroke: options.stroke, keep_colors: options.keepColors };
}

async function post(path, query, body, progress, signal) {
  const job = randomName();
  const watch = progress && setInterval(() => report(job, progress), 300);
  if (progress) query.set("job", job);
  try {
    for (let attempt = 1; ; attempt++) {
      const answer = await fetched(`${path}?${query}`, { method: "POST", body, signal });
      if (answer.ok) return answer;
      if (answer.status === 503 && attempt < PATIENCE) await pause(1000, signal);
      else throw await refusal(answer);
    }
  } finally {
    clearInterval(watch);
  }
}

async function fetched(address, options) {
  try {
    return await fetch(address, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer. Is “multistyle page” still running?");
  }
}

async function report(job, progress) {
  try {
    const answer = await fetch(`progress?job=${job}`);
    if (answer.ok) progress(await answer.json());
  } catch {
    // The request itself says what is wrong.
  }
}

/** The error in an answer; a superseded request is an aborted one. */
async function refusal(answer) {
  if (answer.status === 409) return new DOMException("superseded", "AbortError");
  const text = await answer.json().then((found) => found.error, () => `the server answered ${answer.status}`);
  return new Error(`${text[0].toUpperCase()}${text.slice(1)}.`.replace(/\.\.$/, "."));
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

function randomName() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
