// What is painted: the mix, the regions with mixes of their own, and the options; and the same as an address.

import { mixText, parseMix } from "./mixes.js";

const SMALLEST = 0.25, LARGEST = 8; // strokes

/** Holds the state and tells listeners of "change". */
export class State extends EventTarget {
  constructor(config) {
    super();
    this.names = config.styles.map((style) => style.name);
    this.start = [[config.default, 1]];
    this.reset();
  }

  reset() {
    this.whole = this.start;
    this.regions = []; // {mix, mask}
    this.target = -1; // the region whose mix is edited; -1: the whole picture
    this.strength = 1;
    this.stroke = "auto"; // "auto", "off" or a number
    this.keepColors = false;
    this.changed();
  }

  get mix() {
    return this.target < 0 ? this.whole : this.regions[this.target].mix;
  }

  set mix(mix) {
    if (this.target < 0) this.whole = mix;
    else this.regions[this.target].mix = mix;
    this.changed();
  }

  /** Set some fields and tell the listeners once. */
  set(fields) {
    Object.assign(this, fields);
    this.changed();
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }

  /** The regions that have a painted mask. */
  get painted() {
    return this.regions.filter((region) => !region.mask.empty);
  }

  /** A text that is the same for two states exactly if they paint the same. */
  get key() {
    const regions = this.painted.map((region) => `${mixText(region.mix)}#${region.mask.version}`);
    return [mixText(this.whole), this.strength, this.stroke, this.keepColors, ...regions].join("&");
  }

  /** The part of an address after "?", without what has its default. Masks do not fit into an address. */
  get address() {
    const parts = [`mix=${mixText(this.whole, true).split(/([=,])/).map(escaped).join("")}`];
    if (this.strength !== 1) parts.push(`strength=${this.strength}`);
    if (this.stroke !== "auto") parts.push(`stroke=${this.stroke}`);
    if (this.keepColors) parts.push("keep_colors=true");
    return parts.join("&");
  }

  /** Take the state from an address; returns a line for each part that is wrong, which is left out. */
  read(address) {
    const wrong = [];
    const found = new URLSearchParams(address);
    const take = (name, convert) => {
      try {
        if (found.has(name)) convert(found.get(name));
      } catch (error) {
        wrong.push(error.message);
      }
    };
    take("strength", (text) => (this.strength = numberIn(text, 0, 1, "strength")));
    take("stroke", (text) => {
      this.stroke = text === "auto" || text === "off" ? text : numberIn(text, SMALLEST, LARGEST, "size of strokes");
    });
    take("keep_colors", (text) => (this.keepColors = text === "true"));
    take("mix", (text) => this.readMix(text));
    this.changed();
    return wrong.map((line) => `The link is not quite right. ${line}`);
  }

  /** In a mix, the style photo is what strength leaves. */
  readMix(text) {
    const mix = parseMix(text, [...this.names, "photo"]);
    const photo = mix.find(([name]) => name === "photo")?.[1] ?? 0;
    const painters = mix.filter(([name]) => name !== "photo");
    this.strength = Math.round(this.strength * (1 - photo) * 1000) / 1000;
    if (photo < 1) this.whole = painters.map(([name, share]) => [name, share / (1 - photo)]);
  }
}

function escaped(piece) {
  return piece === "=" || piece === "," ? piece : encodeURIComponent(piece);
}

function numberIn(text, least, most, name) {
  const number = Number(text.trim() || NaN);
  if (!(number >= least && number <= most)) throw new Error(`The ${name} is a number from ${least} to ${most}.`);
  return number;
}
