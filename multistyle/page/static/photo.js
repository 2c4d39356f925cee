// A photo: opened, checked, and in reduced copies for previews.

import { pictureSize } from "./picture_size.js";

const SUFFIXES = { "image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/avif": "avif", "image/bmp": "bmp" };

/** Open a file as a photo. Throws an Error of one line for a file that cannot be painted. */
export async function openPhoto(file, name, config, painter) {
  const { bytes, pixels } = config.limits;
  if (!file.size) throw new Error(`${name} is empty.`);
  if (file.size > bytes) throw new Error(`${name} has ${megabytes(file.size)}; up to ${megabytes(bytes)} are painted.`);
  const size = await pictureSize(file);
  if (size && size[0] * size[1] > pixels) {
    const most = Math.floor(pixels / 1e6);
    throw new Error(`${name} has ${size[0]} × ${size[1]} pixels; up to ${most} million are painted.`);
  }
  const shown = await shownByBrowser(file, name, painter);
  return new Photo(file, name, shown.file, shown.bitmap);
}

function megabytes(bytes) {
  return `${(bytes / (1 << 20)).toFixed(bytes < 1 << 20 ? 1 : 0)} MB`;
}

/** The file if the browser can show it, or what the painter makes of it (a TIFF, for example). */
async function shownByBrowser(file, name, painter) {
  try {
    return { file, bitmap: await createImageBitmap(file) };
  } catch {
    if (!painter.convert) throw new Error(`${name} is not a picture that this browser can read.`);
  }
  const converted = await painter.convert(file);
  return { file: converted, bitmap: await createImageBitmap(converted) };
}

class Photo {
  constructor(file, name, shown, bitmap) {
    this.file = file; // as it came
    this.name = name;
    this.shown = shown; // what the browser can show
    this.bitmap = bitmap;
    this.width = bitmap.width;
    this.height = bitmap.height;
    this.copies = new Map();
  }

  get longer() {
    return Math.max(this.width, this.height);
  }

  /** The suffix of the photo's format, if the browser can show that format; otherwise null. */
  get suffix() {
    return this.shown === this.file ? SUFFIXES[this.file.type] ?? null : null;
  }

  /** The name without its suffix, and the suffix with its point. */
  get parts() {
    const [, stem, suffix] = this.name.match(/^(.+?)(\.[^.]*)?$/) ?? [null, "photo", ""];
    return [stem, suffix ?? ""];
  }

  /** Width and height in pixels when the longer side has `size`. */
  fitted(size) {
    const side = (length) => Math.max(1, Math.round((length * size) / this.longer));
    return [side(this.width), side(this.height)];
  }

  /** The photo as a PNG whose longer side has `size` pixels. */
  reduced(size) {
    if (!this.copies.has(size)) {
      if (this.copies.size >= 8) this.copies.clear();
      this.copies.set(size, new Promise((resolve, reject) => {
        this.canvas(size).toBlob((blob) => (blob ? resolve(blob) : reject(new Error("No memory is left."))), "image/png");
      }));
    }
    return this.copies.get(size);
  }

  /** A canvas with the photo, its longer side of `size` pixels; null: as it is. */
  canvas(size) {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = size === null ? [this.width, this.height] : this.fitted(size);
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(this.bitmap, 0, 0, canvas.width, canvas.height);
    return canvas;
  }

  close() {
    this.bitmap.close();
  }
}
