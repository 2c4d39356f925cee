// What the visitor takes along: the painting, the link, the command.

import { maskName, paintingStem, stylizeCommand } from "./command.js";

/** Hand a file to the browser to save it. */
export function save(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Wire the buttons; `job()` is what is painted now, `finished()` its painting at full size if that is there. */
export function createTaking(element, config, painter, state, job, finished, messages) {
  const button = element("download"), label = button.textContent;
  let running = null;

  /** Paint at full size in the photo's format, unless that has been done; a second click stops it. */
  async function download() {
    if (running) return running.abort();
    const wanted = job();
    if (!wanted) return messages.fail("Open a photo first.");
    running = new AbortController();
    button.textContent = "Painting… Stop";
    const progress = ({ done, total, waiting }) => {
      button.textContent = waiting ? `${waiting} before you. Stop` : total ? `${Math.floor((100 * done) / total)} %. Stop` : button.textContent;
    };
    try {
      const { photo, mix, options } = wanted;
      const reusable = photo.suffix !== null && finished(wanted);
      const full = { ...options, size: null, format: null, preview: false, progress };
      const blob = reusable || (await painter.paint(photo, mix, full, running.signal)).blob;
      save(blob, `${paintingStem(photo)}.${suffixOf(blob, photo)}`);
    } catch (error) {
      if (error.name !== "AbortError") messages.fail(error.message);
    } finally {
      running = null;
      button.textContent = label;
    }
  }

  async function copy(text, done) {
    try {
      await navigator.clipboard.writeText(text);
      messages.note(done);
    } catch {
      messages.fail(`The browser does not let this page copy. Copy it by hand: ${text}`);
    }
  }

  async function copyCommand() {
    if (!job()) return messages.fail("Open a photo first.");
    const { photo } = job();
    const masks = state.painted;
    await copy(stylizeCommand(photo, state, config.arguments ?? []),
      masks.length ? "The command is copied. Its masks are saved as files." : "The command is copied.");
    for (const [index, region] of masks.entries()) save(await region.mask.blob(), maskName(index));
  }

  button.addEventListener("click", download);
  element("copy-link").addEventListener("click", () =>
    copy(location.href, state.painted.length ? "The link is copied. Regions are not part of it." : "The link is copied."));
  element("copy-command").addEventListener("click", copyCommand);
  element("private").textContent = painter.privacy;
  return { download };
}

/** The photo's own suffix if the painting has its format, otherwise that of the painting's. */
function suffixOf(blob, photo) {
  const kind = blob.type.replace("image/", "").replace(/^x-portable-pixmap$/, "ppm").replace("jpeg", "jpg");
  const own = photo.parts[1].slice(1);
  const same = own.toLowerCase().replace("jpeg", "jpg").replace(/^tif$/, "tiff");
  return same === kind ? own : kind;
}
