// The brush: paints the masks of regions with the mouse, a finger or the keys.

import { mixWords, withPainter } from "./mixes.js";
import { Mask } from "./masks.js";

const MOST = 4; // regions
const STEP = 0.02; // of the longer side, for one press of an arrow key
const TINT = "rgb(64 120 255 / 0.45)";

/** Handles the brush. `photo()` is the open photo. */
export class Brush {
  constructor(element, state, photo) {
    this.element = element;
    this.state = state;
    this.photo = photo;
    this.active = false;
    this.erasing = false;
    this.cursor = null; // [x, y] in parts of the longer side
    this.stroking = false;
    this.overlay = element("overlay");
    this.listen();
    state.addEventListener("change", () => this.showTargets());
  }

  get mask() {
    return this.state.regions[this.state.target]?.mask ?? null;
  }

  activate(active) {
    this.end();
    this.active = active && Boolean(this.photo());
    if (this.active && !this.mask) this.choose(0);
    this.element("brush").setAttribute("aria-pressed", this.active);
    this.element("brush-tools").hidden = !this.active;
    this.element("stage").classList.toggle("brushing", this.active);
    this.overlay.hidden = !this.active;
    this.cursor = null;
    this.show();
  }

  /** Choose the mix to edit: -1 for the whole picture, or a region, which is made if it is new. */
  choose(target) {
    const { regions } = this.state;
    if (target >= regions.length && regions.length < MOST) {
      const { width, height } = this.photo();
      const used = new Set([...this.state.whole, ...regions.flatMap((region) => region.mix)].map(([name]) => name));
      const other = this.state.names.find((name) => !used.has(name)) ?? this.state.names[0];
      regions.push({ mix: withPainter([], other), mask: new Mask(width, height) });
    }
    this.state.set({ target: Math.min(target, regions.length - 1) });
    if (this.mask) this.element("feather").value = Math.round(200 * this.mask.feather);
    if (target < 0 && this.active) this.activate(false);
    else this.show();
  }

  erase(erasing) {
    this.erasing = erasing;
    this.element("draw").setAttribute("aria-pressed", !erasing);
    this.element("erase").setAttribute("aria-pressed", erasing);
  }

  get radius() {
    return this.element("brush-size").value / 200;
  }

  resize(step) {
    this.element("brush-size").valueAsNumber += step;
    this.show();
  }

  begin(point) {
    this.stroking = true;
    this.mask.begin(this.erasing, this.radius);
    this.extend(point);
  }

  extend(point) {
    this.cursor = point;
    if (this.stroking) this.mask.extend(...point);
    this.show();
  }

  end() {
    if (!this.stroking) return;
    this.stroking = false;
    this.mask.touch();
    this.state.changed();
  }

  undo() {
    this.end();
    if (!this.active || !this.mask.strokes.length) return;
    this.mask.undo();
    this.show();
    this.state.changed();
  }

  /** Draw the region and the outline of the brush over the picture. */
  show() {
    if (!this.active || !this.mask) return;
    const { width, height } = this.mask.canvas, context = this.overlay.getContext("2d");
    if (this.overlay.width !== width || this.overlay.height !== height) Object.assign(this.overlay, { width, height });
    context.globalCompositeOperation = "copy";
    context.drawImage(this.mask.canvas, 0, 0);
    context.globalCompositeOperation = "source-in";
    context.fillStyle = TINT;
    context.fillRect(0, 0, width, height);
    context.globalCompositeOperation = "source-over";
    if (!this.cursor) return;
    const [x, y] = this.cursor.map((part) => part * this.mask.longer);
    for (const [color, line] of [["#000", 4], ["#fff", 2]]) {
      context.beginPath();
      context.arc(x, y, this.radius * this.mask.longer, 0, 2 * Math.PI);
      Object.assign(context, { strokeStyle: color, lineWidth: (line * this.mask.longer) / 1024 });
      context.stroke();
    }
  }

  /** One choice for the whole picture and one for each region. */
  showTargets() {
    const { regions, target } = this.state, box = this.element("targets");
    box.hidden = !regions.length;
    const names = ["Everywhere", ...regions.map((_, index) => `Region ${index + 1}`)];
    if (regions.length && regions.length < MOST) names.push("+ Region");
    if (box.childElementCount !== names.length) {
      box.replaceChildren(...names.map((name, index) => this.targetButton(name, index - 1)));
    }
    [...box.children].forEach((button, index) => {
      button.setAttribute("aria-checked", index - 1 === target);
      button.tabIndex = index - 1 === target ? 0 : -1;
      const mix = index ? regions[index - 1]?.mix : this.state.whole;
      button.title = mix ? mixWords(mix) : "Another region with a mix of its own";
    });
  }

  targetButton(name, target) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: name });
    button.setAttribute("role", "radio");
    button.addEventListener("click", () => {
      this.choose(target);
      if (target >= 0) this.activate(true);
    });
    button.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
      const next = step && this.element("targets").children[target + 1 + step];
      if (next) {
        event.preventDefault();
        next.focus();
      }
    });
    return button;
  }

  listen() {
    const { element, overlay } = this;
    const longer = () => Math.max(overlay.clientWidth, overlay.clientHeight);
    const place = (event) => {
      const box = overlay.getBoundingClientRect();
      return [(event.clientX - box.left) / longer(), (event.clientY - box.top) / longer()];
    };
    overlay.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      element("stage").focus();
      overlay.setPointerCapture(event.pointerId);
      this.begin(place(event));
    });
    overlay.addEventListener("pointermove", (event) => this.extend(place(event)));
    overlay.addEventListener("pointerup", () => this.end());
    overlay.addEventListener("pointercancel", () => this.end());
    element("brush").addEventListener("click", () => this.activate(!this.active));
    element("draw").addEventListener("click", () => this.erase(false));
    element("erase").addEventListener("click", () => this.erase(true));
    element("undo").addEventListener("click", () => this.undo());
    element("clear").addEventListener("click", () => {
      this.end();
      this.mask.clear();
      this.show();
      this.state.changed();
    });
    element("brush-size").addEventListener("input", () => this.show());
    element("feather").addEventListener("change", () => {
      this.mask.feather = element("feather").value / 200;
      this.mask.touch();
      this.state.changed();
    });
    element("stage").addEventListener("keydown", (event) => this.key(event));
    window.addEventListener("keyup", (event) => event.key === " " && this.end());
    window.addEventListener("blur", () => this.end());
  }

  /** The arrow keys move the brush, the space bar paints. */
  key(event) {
    if (!this.active || event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
    const size = [this.mask.canvas.width, this.mask.canvas.height].map((side) => side / this.mask.longer);
    const cursor = this.cursor ?? size.map((side) => side / 2);
    if (event.key === " " && !this.stroking) this.begin(cursor);
    else if (event.key in moves) {
      this.extend(cursor.map((part, axis) => Math.min(size[axis], Math.max(0, part + moves[event.key][axis]))));
    } else if (event.key !== " ") return;
    event.preventDefault();
  }
}
