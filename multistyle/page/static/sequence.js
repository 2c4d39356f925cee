// Save a sequence from one mix to another.

import { mixText, mixWords, randomMix } from "./mixes.js";
import { paintingStem } from "./command.js";
import { save } from "./taking.js";

const REMEMBERED = 5; // mixes

/** Wire the dialog. `job()` is what is painted now. Returns remember(mix), for mixes that may be wanted again. */
export function createSequence(element, config, painter, state, job, messages) {
  const dialog = element("sequence-dialog"), error = element("sequence-error"), bar = element("sequence-progress");
  const from = element("from"), to = element("to"), button = element("sequence-save");
  const earlier = new Map(); // by text
  let mixes = [], running = null;

  function remember(mix) {
    earlier.delete(mixText(mix));
    earlier.set(mixText(mix), mix);
    if (earlier.size > REMEMBERED) earlier.delete(earlier.keys().next().value);
  }

  function fill() {
    const now = mixText(state.whole);
    const others = [...earlier].filter(([text]) => text !== now).map(([, mix]) => mix).reverse();
    const painters = config.styles.map(({ name }) => [[name, 1]]);
    mixes = [state.whole, [["photo", 1]], ...others, randomMix(state.names), ...painters];
    const names = [`This mix: ${mixWords(state.whole)}`, "The photo", ...others.map((mix) => `Earlier: ${mixWords(mix)}`),
      `Random: ${mixWords(mixes[others.length + 2])}`, ...config.styles.map(({ name, artist }) => [name, artist].filter(Boolean).join(", "))];
    for (const list of [from, to]) {
      list.replaceChildren(...names.map((name, index) => new Option(name, index)));
    }
    from.value = 1;
    to.value = 0;
  }

  function open() {
    if (!job()) return messages.fail("Open a photo first.");
    fill();
    error.textContent = "";
    dialog.showModal();
  }

  async function make() {
    const { photo, options } = job();
    running = new AbortController();
    button.disabled = true;
    bar.hidden = false;
    bar.removeAttribute("value");
    error.textContent = "";
    const format = element("sequence-format").value;
    const progress = ({ done, total }) => total && (bar.value = done / total);
    const wanted = { ...options, frames: element("frames").value, size: element("sequence-size").valueAsNumber, format, progress };
    try {
      const blob = await painter.sequence(photo, mixes[from.value], mixes[to.value], wanted, running.signal);
      save(blob, `${paintingStem(photo)}.${format}`);
      remember(state.whole);
      dialog.close();
    } catch (failure) {
      if (failure.name !== "AbortError") error.textContent = failure.message;
    } finally {
      running = null;
      button.disabled = false;
      bar.hidden = true;
    }
  }

  element("sequence").hidden = painter.sequences.length === 0;
  element("sequence-format").append(...painter.sequences.map((format) => new Option(format.toUpperCase(), format)));
  element("sequence").addEventListener("click", open);
  element("sequence-cancel").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => running?.abort());
  dialog.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    make();
  });
  return { remember };
}
