// The page: reads the configuration, makes the parts, and joins them.

import { Brush } from "./brush.js";
import { createKeyboard } from "./keyboard.js";
import { createLook, createMixer } from "./mixer.js";
import { createMessages } from "./messages.js";
import { mixWords, percent, randomMix } from "./mixes.js";
import { createOpening } from "./opening.js";
import { createPad } from "./pad.js";
import { createPalette } from "./palette.js";
import { Preview } from "./preview.js";
import { createSequence } from "./sequence.js";
import { State } from "./state.js";
import { createTaking } from "./taking.js";
import { View } from "./view.js";

const element = (id) => document.getElementById(id);
const messages = createMessages(element("messages"));
const failed = (error) => messages.fail(error.message);

async function start() {
  const answer = await fetch("config.json").catch(() => null);
  if (!answer?.ok) throw new Error("The list of painters cannot be loaded. Load this page again.");
  const config = await answer.json();
  const { createPainter } = await import(config.backend === "onnx" ? "./onnx.js" : "./server.js");
  join(config, createPainter(config), new State(config));
}

function join(config, painter, state) {
  let photo = null;
  const view = new View(element);
  const brush = new Brush(element, state, () => photo);
  const preview = new Preview(painter, job, { show, busy, progress, failed });

  /** What is to be painted now. */
  function job() {
    if (!photo) return null;
    const { strength, stroke, keepColors, painted, key, whole } = state;
    const regions = painted.map(({ mix, mask }) => ({ mix, mask }));
    return { photo, mix: whole, key, options: { strength, stroke, keepColors, regions } };
  }

  async function show(painting, { mix, photo: painted }, full) {
    await view.show(painting.blob, mixWords(mix));
    const { width, height } = full ? painting : painted;
    const preview = full ? "" : `, preview ${Math.max(painting.width, painting.height)} px`;
    element("status").textContent = `${width} × ${height}${preview}`;
  }

  function busy(is) {
    element("viewer").setAttribute("aria-busy", is);
  }

  function progress(share) {
    const bar = element("progress");
    bar.hidden = share === null;
    bar.firstElementChild.style.width = `${100 * (share ?? 0)}%`;
    bar.setAttribute("aria-valuenow", Math.round(100 * (share ?? 0)));
    bar.setAttribute("aria-valuetext", percent(share ?? 0));
  }

  function opened(found, fromSample) {
    photo?.close();
    photo = found;
    brush.activate(false);
    state.set({ regions: [], target: -1 });
    element("hint").hidden = !fromSample;
    element("sample").hidden = fromSample;
    element("status").textContent = `${photo.width} × ${photo.height}`;
    view.open(photo);
    preview.update();
  }

  function draw() {
    sequence.remember(state.whole);
    state.mix = randomMix(state.names);
  }

  function reset() {
    sequence.remember(state.whole);
    brush.activate(false);
    state.reset();
  }

  createPalette(element, config, state);
  createMixer(element, config, state);
  createPad(element, config, state);
  createLook(element, state);
  const opening = createOpening(element, config, painter, opened, failed);
  const finished = ({ key }) => (preview.finished?.key === key && preview.finished.photo === photo ? preview.finished.painting.blob : null);
  const taking = createTaking(element, config, painter, state, job, finished, messages);
  const sequence = createSequence(element, config, painter, state, job, messages);
  element("random").addEventListener("click", draw);
  element("reset").addEventListener("click", reset);
  createKeyboard(element, [
    ["o", "open a photo", () => element("file").click()],
    ["/", "search the palette", () => element("search").focus()],
    ["m", "go to the mix", () => element("mix").focus()],
    ["r", "random mix", draw],
    ["0", "reset", reset],
    ["c", "before and after", () => view.compare(!view.comparing)],
    ["z", "100 %, or the whole picture", () => view.zoom(!view.actual)],
    ["b", "brush", () => brush.activate(!brush.active)],
    ["e", "eraser, or brush again", () => brush.erase(!brush.erasing)],
    ["[", "smaller brush", () => brush.resize(-1)],
    ["]", "larger brush", () => brush.resize(1)],
    ["Ctrl+Z", "undo a stroke of the brush", () => brush.undo()],
    ["d", "download", taking.download],
    ["?", "this list", () => element("help-dialog").showModal()],
  ]);

  state.addEventListener("change", () => {
    const address = `?${state.address}`;
    if (address !== location.search) history.replaceState(null, "", address);
  });
  state.read(location.search).forEach(messages.fail);
  let painted = state.key;
  state.addEventListener("change", () => {
    if (state.key === painted) return;
    painted = state.key;
    preview.update();
  });
  opening.sample();
}

start().catch(failed);
