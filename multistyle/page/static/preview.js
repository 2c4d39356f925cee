// The preview follows the hand: a reduced picture at once, the full size when the hand rests; the newest request wins.

const SIDES = [512, 448, 384, 320, 256]; // px, longer side of the reduced picture
const FAST = 150; // ms, in which the reduced picture should be there
const STALE = 2 * FAST; // ms, after which a request is given up for a newer one; before, it may still be shown
const REST = 400; // ms without a change
const MIDDLE = 1280, LARGE = 1800; // px: a picture larger than LARGE is painted at MIDDLE before its full size

/** Chooses the size of the reduced picture by what this machine does in `FAST`. */
export class Pace {
  constructor() {
    this.rate = FAST / (384 * 256); // ms a pixel
  }

  measure(pixels, milliseconds) {
    this.rate += 0.4 * (milliseconds / pixels - this.rate);
  }

  side(photo) {
    const fits = (side) => {
      const [width, height] = photo.fitted(side);
      return width * height * this.rate <= FAST;
    };
    return Math.min(photo.longer, SIDES.find(fits) ?? SIDES.at(-1));
  }
}

/**
 * Paints what the state asks for.
 *
 * painter: see server.js.
 * job(): the newest {photo, mix, options, key}, or null without a photo.
 * on: show({blob, width, height}, job, full), busy(true or false), progress(share or null), failed(error).
 */
export class Preview {
  constructor(painter, job, on) {
    this.painter = painter;
    this.job = job;
    this.on = on;
    this.pace = new Pace();
    this.running = null; // {job, quick, started, control}
    this.finished = null; // {key, photo, painting}: the painting at full size, if it is up to date
    this.rest = 0; // a timer
    this.turn = 0; // number of the newest request
  }

  /** Something has changed: paint it soon. */
  update() {
    clearTimeout(this.rest);
    if (this.running) {
      const young = this.running.quick && performance.now() - this.running.started < STALE;
      if (young && this.running.job.photo === this.job()?.photo) {
        this.rest = setTimeout(() => this.update(), STALE);
        return; // when it is done, the newest is painted
      }
      this.running.control.abort();
    }
    const job = this.job();
    this.turn += 1;
    if (job) this.quick(job, this.turn);
  }

  async quick(job, turn) {
    const side = this.pace.side(job.photo);
    const [width, height] = job.photo.fitted(side);
    await job.photo.reduced(side); // its time does not count
    if (turn !== this.turn) return;
    const started = performance.now();
    const done = await this.run(job, side, true);
    if (turn !== this.turn) return;
    if (done) this.pace.measure(width * height, performance.now() - started);
    clearTimeout(this.rest);
    const newest = this.job();
    if (newest?.key !== job.key || newest.photo !== job.photo) this.update();
    else if (done) this.rest = setTimeout(() => this.full(job, turn), REST);
  }

  /** The full size, and for a large picture first a middle one. */
  async full(job, turn) {
    const { finished } = this;
    if (finished?.key === job.key && finished.photo === job.photo) return this.on.show(finished.painting, job, true);
    if (job.photo.longer > LARGE && !(await this.run(job, MIDDLE, false))) return;
    if (turn !== this.turn) return;
    const painting = await this.run(job, null, false);
    if (painting) this.finished = { key: job.key, photo: job.photo, painting };
  }

  /** Paint and show one picture. Returns it, or null if it failed or was given up. */
  async run(job, size, quick) {
    const running = { job, quick, started: performance.now(), control: new AbortController() };
    this.running = running;
    this.on.busy(true);
    const full = size === null;
    const progress = full ? ({ done, total }) => running === this.running && this.on.progress(total ? done / total : null) : null;
    const format = full ? job.photo.suffix ?? "png" : "png";
    const options = { ...job.options, size, format, preview: true, progress };
    try {
      const painting = await this.painter.paint(job.photo, job.mix, options, running.control.signal);
      if (running !== this.running) return null;
      await this.on.show(painting, job, full || size >= job.photo.longer);
      return painting;
    } catch (error) {
      if (error.name !== "AbortError" && running === this.running) this.on.failed(error);
      return null;
    } finally {
      if (running === this.running) {
        this.running = null;
        this.on.progress(null);
        this.on.busy(false);
      }
    }
  }
}
