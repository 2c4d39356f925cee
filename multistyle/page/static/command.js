// The command line that paints what the page shows.

import { mixText } from "./mixes.js";

const WRITTEN = ["jpg", "jpeg", "png", "webp", "tif", "tiff", "avif", "bmp", "ppm"];

/** The name of the painting of a photo, without its suffix. */
export function paintingStem(photo) {
  return `${photo.parts[0]}-painted`;
}

/** `multistyle stylize ...` for a POSIX shell; `extra` are arguments that name weight and style files. */
export function stylizeCommand(photo, state, extra) {
  const [, suffix] = photo.parts;
  const kept = WRITTEN.includes(suffix.slice(1).toLowerCase()) ? suffix : ".png";
  const words = ["multistyle", "stylize", asFile(photo.name), "-o", asFile(paintingStem(photo) + kept)];
  words.push("--mix", mixText(state.whole));
  if (state.strength !== 1) words.push("--strength", `${state.strength}`);
  if (state.stroke !== "auto") words.push("--stroke", `${state.stroke}`);
  if (state.keepColors) words.push("--keep-colors");
  state.painted.forEach((region, index) => words.push("--region", `${maskName(index)}=${mixText(region.mix)}`));
  return [...words, ...extra].map(quoted).join(" ");
}

export function maskName(index) {
  return `region-${index + 1}.png`;
}

/** A name that is not taken for an option. */
function asFile(name) {
  return name.startsWith("-") ? `./${name}` : name;
}

function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
