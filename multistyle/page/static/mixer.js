// The sliders: one for each painter in the mix, shown as shares; and the options of the look.

import { percent, withShare, withoutPainter } from "./mixes.js";

/** Build the sliders of the mix and keep them up to date. */
export function createMixer(element, config, state) {
  const list = element("sliders");
  const styles = new Map(config.styles.map((style) => [style.name, style]));
  let rows = new Map();

  function update() {
    const names = state.mix.map(([name]) => name);
    if (names.join() !== [...rows.keys()].join()) {
      const focused = document.activeElement?.closest(".share")?.dataset.name;
      rows = new Map(names.map((name) => [name, row(styles.get(name), state)]));
      list.replaceChildren(...[...rows.values()].map(({ box }) => box));
      if (focused !== undefined) (rows.get(focused) ?? rows.get(names[0])).slider.focus();
    }
    element("alone").hidden = names.length > 1;
    for (const [name, share] of state.mix) {
      const { slider, value, remove } = rows.get(name);
      slider.value = Math.round(share * 100);
      slider.disabled = names.length === 1;
      slider.setAttribute("aria-valuetext", percent(share));
      remove.hidden = names.length === 1;
      value.textContent = percent(share);
    }
  }

  state.addEventListener("change", update);
}

function row({ name, title, artist, year, thumbnail }, state) {
  const box = document.createElement("div");
  box.className = "share";
  box.dataset.name = name;
  const image = Object.assign(document.createElement("img"), { src: thumbnail, alt: "", width: 48, height: 32 });
  const label = Object.assign(document.createElement("label"), { htmlFor: `share-${name}`, textContent: name });
  label.title = [title, artist, year].filter(Boolean).join(", ");
  const value = document.createElement("output");
  const slider = Object.assign(document.createElement("input"), { type: "range", id: `share-${name}`, min: 0, max: 100 });
  const remove = Object.assign(document.createElement("button"), { type: "button", className: "remove", textContent: "×" });
  remove.setAttribute("aria-label", `Remove ${name}`);
  slider.addEventListener("input", () => (state.mix = withShare(state.mix, name, slider.value / 100)));
  remove.addEventListener("click", () => (state.mix = withoutPainter(state.mix, name)));
  box.append(image, label, value, remove, slider);
  return { box, slider, value, remove };
}

/** Strength, strokes and colours. */
export function createLook(element, state) {
  const strength = element("strength"), colors = element("keep-colors");
  const kind = element("stroke"), number = element("stroke-number");
  const size = () => Math.round(2 ** (number.value / 10) * 100) / 100; // the slider is logarithmic: 1/4 to 8

  strength.addEventListener("input", () => state.set({ strength: strength.value / 100 }));
  colors.addEventListener("change", () => state.set({ keepColors: colors.checked }));
  kind.addEventListener("change", () => state.set({ stroke: kind.value === "number" ? size() : kind.value }));
  number.addEventListener("input", () => state.set({ stroke: size() }));
  state.addEventListener("change", () => {
    const numeric = typeof state.stroke === "number";
    strength.value = Math.round(state.strength * 100);
    element("strength-value").textContent = percent(state.strength);
    strength.setAttribute("aria-valuetext", percent(state.strength));
    colors.checked = state.keepColors;
    kind.value = numeric ? "number" : state.stroke;
    element("stroke-row").hidden = !numeric;
    if (numeric) number.value = Math.round(10 * Math.log2(state.stroke));
    const times = `${numeric ? state.stroke : 1} ×`;
    element("stroke-value").textContent = times;
    number.setAttribute("aria-valuetext", times);
  });
}
