// Messages to the visitor: errors, which stay until they are closed, and notes, which go by themselves.

const SECONDS = 4;

/** Functions fail(text) and note(text) that show a message in `box`. */
export function createMessages(box) {
  function show(text, kind) {
    const message = document.createElement("div");
    message.className = `message ${kind}`;
    const words = Object.assign(document.createElement("p"), { textContent: text });
    const close = Object.assign(document.createElement("button"), { type: "button", textContent: "×" });
    close.setAttribute("aria-label", "Close this message");
    close.addEventListener("click", () => message.remove());
    message.append(words, close);
    const same = [...box.children].find((other) => other.firstChild.textContent === text);
    same?.remove();
    box.append(message);
    if (kind === "note") setTimeout(() => message.remove(), 1000 * SECONDS);
  }
  return { fail: (text) => show(text, "error"), note: (text) => show(text, "note") };
}
