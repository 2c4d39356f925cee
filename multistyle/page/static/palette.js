// The palette: a thumbnail for each painter; a click puts the painter into the mix or takes it out.

import { withPainter, withoutPainter } from "./mixes.js";

/** Fill the palette and keep it up to date. */
export function createPalette(element, config, state) {
  const list = element("styles"), search = element("search"), nothing = element("nothing");
  const buttons = config.styles.map((style) => {
    const button = styleButton(style);
    button.addEventListener("click", () => toggle(state, style.name));
    list.append(button);
    return button;
  });

  function filter() {
    const words = plain(search.value).split(/\s+/);
    config.styles.forEach((style, index) => {
      const text = plain(`${style.name} ${style.title} ${style.artist} ${style.year}`);
      buttons[index].hidden = !words.every((word) => text.includes(word));
    });
    nothing.hidden = buttons.some((button) => !button.hidden);
    enter(buttons.find((button) => !button.hidden));
  }

  /** Tab stops at one painter; the arrow keys go to the others. */
  function enter(button) {
    for (const other of buttons) other.tabIndex = other === button ? 0 : -1;
  }

  list.addEventListener("keydown", (event) => {
    const shown = buttons.filter((button) => !button.hidden);
    const next = neighbour(shown, shown.indexOf(document.activeElement), event.key);
    if (!next) return;
    event.preventDefault();
    enter(next);
    next.focus();
  });
  list.addEventListener("focusin", (event) => enter(event.target));
  search.addEventListener("input", filter);
  state.addEventListener("change", () => {
    const chosen = new Set(state.mix.map(([name]) => name));
    buttons.forEach((button, index) => button.setAttribute("aria-pressed", chosen.has(config.styles[index].name)));
  });
  filter();
}

function styleButton({ name, title, artist, year, thumbnail }) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "style";
  button.dataset.name = name;
  button.title = [title, artist, year].filter(Boolean).join(", ") || name;
  const image = document.createElement("img");
  Object.assign(image, { src: thumbnail, alt: "", loading: "lazy", width: 192, height: 128 });
  button.append(image, text("strong", name), text("span", artist), text("small", [title, year].filter(Boolean).join(", ")));
  return button;
}

function text(tag, content) {
  const element = document.createElement(tag);
  element.textContent = content;
  return element;
}

function toggle(state, name) {
  const chosen = state.mix.some(([other]) => other === name);
  state.mix = chosen ? withoutPainter(state.mix, name) : withPainter(state.mix, name);
}

/** Letters without accents, in lower case. */
function plain(words) {
  return words.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase().trim();
}

/** The button that an arrow key leads to, in rows as they are laid out. */
function neighbour(buttons, index, key) {
  if (index < 0) return null;
  const columns = buttons.filter((button) => button.offsetTop === buttons[0].offsetTop).length;
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -index, End: buttons.length - 1 - index };
  return key in steps ? buttons[index + steps[key]] ?? null : null;
}
