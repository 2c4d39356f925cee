// All ways in which a photo comes into the page: chosen, photographed, dropped, pasted, or the sample.

import { openPhoto } from "./photo.js";

/** Listen for photos; `opened(photo, isSample)` is called with each, `failed(error)` where one cannot be opened. */
export function createOpening(element, config, painter, opened, failed) {
  const file = element("file"), capture = element("capture");
  let newest = 0;

  async function open(blob, name, isSample = false) {
    const number = ++newest;
    try {
      const photo = await openPhoto(blob, name, config, painter);
      if (number === newest) opened(photo, isSample);
      else photo.close();
    } catch (error) {
      failed(error);
    }
  }

  async function sample() {
    try {
      const answer = await fetch("sample.jpg");
      if (!answer.ok) throw new Error("The sample cannot be loaded.");
      await open(await answer.blob(), "sample.jpg", true);
    } catch (error) {
      failed(error);
    }
  }

  for (const [button, input] of [["open", file], ["camera", capture]]) {
    element(button).addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      if (input.files.length) open(input.files[0], input.files[0].name);
      input.value = ""; // so that the same file can be chosen again
    });
  }
  element("camera").hidden = !matchMedia("(pointer: coarse)").matches;
  element("sample").addEventListener("click", sample);

  window.addEventListener("paste", (event) => {
    const pasted = [...(event.clipboardData?.files ?? [])][0];
    if (pasted) open(pasted, pasted.name || "pasted.png");
  });
  listenToDrops((dropped) => open(dropped, dropped.name), failed);
  return { sample };
}

function listenToDrops(open, failed) {
  let depth = 0; // dragenter and dragleave come for every element on the way
  const mark = (change) => {
    depth = Math.max(0, depth + change);
    document.body.classList.toggle("dropping", depth > 0);
  };
  window.addEventListener("dragenter", () => mark(1));
  window.addEventListener("dragleave", () => mark(-1));
  window.addEventListener("dragover", (event) => event.preventDefault());
  window.addEventListener("drop", (event) => {
    event.preventDefault();
    mark(-depth);
    const dropped = event.dataTransfer.files[0];
    if (dropped) open(dropped);
    else failed(new Error("Nothing was dropped that is a file. Save the picture first, then drop its file."));
  });
}
