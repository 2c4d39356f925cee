// The stage: photo and painting over each other, the divider between them, fit or 100 %.

const LARGEST = 3; // CSS pixels for a pixel of the picture
const STEP = 0.02; // of the divider, for one press of an arrow key

/** The view of the stage. `element` finds the page's elements by id. */
export class View {
  constructor(element) {
    this.stage = element("stage");
    this.picture = element("picture");
    this.before = element("before");
    this.after = element("after");
    this.divider = element("divider");
    this.share = 0.3; // of the photo, in what is visible
    this.comparing = true;
    this.actual = false; // one pixel of the picture on one of the screen
    this.photo = null;
    this.newest = { before: 0, after: 0 }; // numbers of the newest pictures; older ones that are decoded late are dropped
    this.zoomButton = element("zoom");
    this.compareButton = element("compare");
    this.zoomButton.addEventListener("click", () => this.zoom(!this.actual));
    this.compareButton.addEventListener("click", () => this.compare(!this.comparing));
    this.stage.addEventListener("scroll", () => this.place());
    new ResizeObserver(() => this.layOut()).observe(this.stage);
    this.listen();
  }

  /** Show a photo; its painting comes later. */
  open(photo) {
    this.photo = photo;
    this.newest.after += 1; // no painting of another photo
    this.after.hidden = true;
    this.replace("before", photo.shown, `The photo ${photo.name}`);
    this.layOut();
  }

  /** Show a painting of the photo. */
  async show(blob, words) {
    if (!(await this.replace("after", blob, `The painting: ${words}`))) return;
    this.after.hidden = false;
    this.place();
  }

  /** Put a decoded picture in place of the old one, so that nothing flickers; false if a newer one is on its way. */
  async replace(name, blob, alt) {
    const image = new Image(), number = ++this.newest[name];
    image.src = URL.createObjectURL(blob);
    image.id = name;
    image.alt = alt;
    await image.decode().catch(() => {
      throw new Error("The painting cannot be shown.");
    });
    if (number !== this.newest[name]) {
      URL.revokeObjectURL(image.src);
      return false;
    }
    URL.revokeObjectURL(this[name].src);
    image.hidden = this[name].hidden;
    this[name].replaceWith(image);
    this[name] = image;
    this.place();
    return true;
  }

  zoom(actual) {
    this.actual = actual;
    this.zoomButton.setAttribute("aria-pressed", actual);
    this.stage.classList.toggle("actual", actual);
    this.layOut();
    this.stage.scrollTo((this.stage.scrollWidth - this.stage.clientWidth) / 2,
      (this.stage.scrollHeight - this.stage.clientHeight) / 2);
  }

  compare(comparing) {
    this.comparing = comparing;
    this.compareButton.setAttribute("aria-pressed", comparing);
    this.place();
  }

  /** Give the picture its size. */
  layOut() {
    if (!this.photo) return;
    const { width, height } = this.photo;
    const air = 2 * parseFloat(getComputedStyle(this.stage).paddingLeft);
    const fit = Math.min((this.stage.clientWidth - air) / width, (this.stage.clientHeight - air) / height, LARGEST);
    const scale = this.actual ? 1 / devicePixelRatio : fit;
    this.picture.style.width = `${width * scale}px`;
    this.picture.style.height = `${height * scale}px`;
    this.place();
  }

  /** The visible part of the picture, in the window. */
  visible() {
    const stage = this.stage.getBoundingClientRect(), picture = this.picture.getBoundingClientRect();
    const left = Math.max(stage.left, picture.left), right = Math.min(stage.right, picture.right);
    const top = Math.max(stage.top, picture.top), bottom = Math.min(stage.bottom, picture.bottom);
    return { left, width: right - left, top, height: bottom - top, picture, stage };
  }

  /** Put the divider where it belongs, and cut the painting there. */
  place() {
    const shown = this.comparing && !this.after.hidden && !this.stage.classList.contains("brushing");
    this.divider.hidden = !shown;
    this.after.style.clipPath = "none";
    if (!shown) return;
    const { left, width, top, height, picture } = this.visible();
    const line = left + this.share * width;
    const frame = this.divider.offsetParent.getBoundingClientRect();
    this.after.style.clipPath = `inset(0 0 0 ${line - picture.left}px)`;
    this.divider.style.left = `${line - frame.left}px`;
    this.divider.style.top = `${top - frame.top}px`;
    this.divider.style.height = `${height}px`;
    this.divider.setAttribute("aria-valuenow", Math.round(100 * this.share));
    this.divider.setAttribute("aria-valuetext", `${Math.round(100 * this.share)} % photo`);
  }

  divide(share) {
    this.share = Math.min(1, Math.max(0, share));
    this.place();
  }

  listen() {
    const move = (event) => {
      const { left, width } = this.visible();
      this.divide((event.clientX - left) / width);
    };
    this.divider.addEventListener("pointerdown", (event) => {
      this.divider.setPointerCapture(event.pointerId);
      this.divider.addEventListener("pointermove", move);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      this.divider.addEventListener(end, () => this.divider.removeEventListener("pointermove", move));
    }
    const keys = { ArrowLeft: -STEP, ArrowDown: -STEP, ArrowRight: STEP, ArrowUp: STEP, PageDown: -0.1, PageUp: 0.1, Home: -1, End: 1 };
    this.divider.addEventListener("keydown", (event) => {
      if (!(event.key in keys)) return;
      event.preventDefault();
      this.divide(this.share + keys[event.key]);
    });
    this.listenToPanning();
  }

  /** At 100 %, the mouse drags the picture; fingers and arrow keys scroll anyway. */
  listenToPanning() {
    let last = null;
    this.stage.addEventListener("pointerdown", (event) => {
      if (this.actual && event.pointerType === "mouse" && !event.defaultPrevented) last = event;
    });
    window.addEventListener("pointermove", (event) => {
      if (!last) return;
      this.stage.scrollBy(last.clientX - event.clientX, last.clientY - event.clientY);
      last = event;
    });
    window.addEventListener("pointerup", () => (last = null));
    this.stage.addEventListener("dragstart", (event) => event.preventDefault());
  }
}
