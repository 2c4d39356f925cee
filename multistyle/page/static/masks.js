// The mask of a region: strokes of the brush, drawn on a canvas, with soft edges.

const SIDE = 1024; // px, longer side

let changes = 0; // of all masks, so that no two of them ever have the same version

export class Mask {
  /** For a picture of width x height px. */
  constructor(width, height) {
    const scale = Math.min(1, SIDE / Math.max(width, height));
    this.canvas = document.createElement("canvas");
    this.canvas.width = Math.max(1, Math.round(width * scale));
    this.canvas.height = Math.max(1, Math.round(height * scale));
    this.strokes = []; // {erase, radius, points}; all in parts of the longer side
    this.feather = 0.02;
    this.touch();
  }

  get longer() {
    return Math.max(this.canvas.width, this.canvas.height);
  }

  get empty() {
    return !this.strokes.some((stroke) => !stroke.erase);
  }

  begin(erase, radius) {
    this.strokes.push({ erase, radius, points: [] });
  }

  /** Go on with the last stroke to a point in parts of the longer side. */
  extend(x, y) {
    const stroke = this.strokes.at(-1);
    stroke.points.push([x, y]);
    this.draw(stroke, stroke.points.slice(-2));
  }

  /** The mask has another content now. */
  touch() {
    this.version = `${++changes}`; // a name for what the mask shows
    this.file = null;
  }

  undo() {
    this.strokes.pop();
    this.redraw();
  }

  clear() {
    this.strokes = [];
    this.redraw();
  }

  redraw() {
    this.canvas.getContext("2d").clearRect(0, 0, this.canvas.width, this.canvas.height);
    for (const stroke of this.strokes) this.draw(stroke, stroke.points);
    this.touch();
  }

  draw({ erase, radius }, points) {
    const context = this.canvas.getContext("2d");
    context.globalCompositeOperation = erase ? "destination-out" : "source-over";
    Object.assign(context, { lineCap: "round", lineJoin: "round", lineWidth: 2 * radius * this.longer, strokeStyle: "#fff" });
    context.beginPath();
    points.forEach(([x, y], index) => context[index ? "lineTo" : "moveTo"](x * this.longer, y * this.longer));
    if (points.length === 1) context.lineTo(points[0][0] * this.longer, points[0][1] * this.longer + 0.01);
    context.stroke();
  }

  /** The mask as a PNG, white inside. */
  blob() {
    this.file ??= new Promise((resolve, reject) => {
      this.softened().toBlob((blob) => (blob ? resolve(blob) : reject(new Error("No memory is left."))), "image/png");
    });
    return this.file;
  }

  /** A canvas, white inside and black outside, with blurred edges. */
  softened() {
    const { width, height } = this.canvas;
    const pixels = this.canvas.getContext("2d").getImageData(0, 0, width, height);
    let inside = Float32Array.from({ length: width * height }, (_, index) => pixels.data[4 * index + 3]);
    const radius = Math.round((this.feather * this.longer) / 2);
    for (let pass = 0; radius && pass < 3; pass++) {
      inside = blurred(inside, width, height, radius, 1, width);
      inside = blurred(inside, height, width, radius, width, 1);
    }
    inside.forEach((value, index) => pixels.data.set([value, value, value, 255], 4 * index));
    const out = Object.assign(document.createElement("canvas"), { width, height });
    out.getContext("2d").putImageData(pixels, 0, 0);
    return out;
  }
}

/** Means over 2 radius + 1 values along lines of `length` values, `step` apart; the lines are `apart` from each other. */
function blurred(values, length, lines, radius, step, apart) {
  const out = new Float32Array(values.length);
  for (let line = 0; line < lines; line++) {
    const at = (index) => values[line * apart + Math.min(length - 1, Math.max(0, index)) * step];
    let sum = 0;
    for (let index = -radius; index <= radius; index++) sum += at(index);
    for (let index = 0; index < length; index++) {
      out[line * apart + index * step] = sum / (2 * radius + 1);
      sum += at(index + radius + 1) - at(index - radius);
    }
  }
  return out;
}
