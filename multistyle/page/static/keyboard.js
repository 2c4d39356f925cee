// Keys for what is done often. Everything else is reached with Tab, and moved with the arrow keys.

/** Listen for keys; `actions` holds [key, words, function] for each, which the help lists.. */
export function createKeyboard(element, actions) {
  const list = element("keys");
  for (const [key, words] of [...actions, ["Tab", "next control"], ["arrow keys", "move the control"],
    ["Space", "paint with the brush, on the picture"]]) {
    const term = document.createElement("dt");
    term.append(Object.assign(document.createElement("kbd"), { textContent: key }));
    list.append(term, Object.assign(document.createElement("dd"), { textContent: words }));
  }
  element("help").addEventListener("click", () => element("help-dialog").showModal());

  window.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") || event.altKey || isTyping(event.target)) return;
    const pressed = event.ctrlKey || event.metaKey ? `Ctrl+${event.key.toUpperCase()}` : event.key;
    const action = actions.find(([key]) => key === pressed);
    if (!action) return;
    event.preventDefault();
    action[2]();
  });
}

function isTyping(target) {
  return target.matches("textarea, select, input:not([type=range], [type=checkbox])");
}
