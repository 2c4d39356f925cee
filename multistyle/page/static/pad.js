// The pad: the painters of the mix at the corners of a polygon, and a point that mixes them.

import { mixWords } from "./mixes.js";

const STEP = 0.05; // of the pad's radius, for one press of an arrow key
const NEAR = 1e-6;

const SHAPES = { // corners in [-1, 1]; the pad's sides make the triangle equilateral
  1: [[0, 0]],
  2: [[-1, 0], [1, 0]],
  3: [[0, -1], [1, 1], [-1, 1]],
  4: [[-1, -1], [1, -1], [1, 1], [-1, 1]],
};

/** Corners of the polygon for `count` painters, in [-1, 1], clockwise; two are the ends of a line. */
export function corners(count) {
  return SHAPES[count] ?? Array.from({ length: count }, (_, index) => {
    const angle = (2 * Math.PI * index) / count - Math.PI / 2;
    return [Math.cos(angle), Math.sin(angle)];
  });
}

/** The point that stands for shares: the mean of the corners. */
export function pointOf(shares, places) {
  return [0, 1].map((axis) => shares.reduce((sum, share, index) => sum + share * places[index][axis], 0));
}

/** Shares for a point in the polygon: mean value coordinates, which are barycentric in a triangle. */
export function sharesAt(point, places) {
  const count = places.length;
  if (count === 1) return [1];
  if (count === 2) return [(1 - point[0]) / 2, (1 + point[0]) / 2];
  const rays = places.map((place) => [place[0] - point[0], place[1] - point[1]]);
  const lengths = rays.map(([x, y]) => Math.hypot(x, y));
  const hit = lengths.findIndex((length) => length < NEAR);
  if (hit >= 0) return places.map((_, index) => (index === hit ? 1 : 0));
  const halves = rays.map(([x, y], index) => {
    const [u, v] = rays[(index + 1) % count];
    return Math.tan(Math.atan2(x * v - y * u, x * u + y * v) / 2);
  });
  const weights = lengths.map((length, index) => (halves[(index + count - 1) % count] + halves[index]) / length);
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => Math.max(0, weight / sum));
}

/** The nearest point in the polygon. */
export function inside(point, places) {
  if (places.length === 1) return [0, 0];
  if (places.length === 2) return [Math.min(1, Math.max(-1, point[0])), 0];
  let best = point, least = Infinity, outside = false;
  places.forEach(([x, y], index) => {
    const [u, v] = places[(index + 1) % places.length];
    const [dx, dy] = [u - x, v - y];
    if (dx * (point[1] - y) - dy * (point[0] - x) < 0) outside = true;
    const along = Math.min(1, Math.max(0, ((point[0] - x) * dx + (point[1] - y) * dy) / (dx * dx + dy * dy)));
    const near = [x + along * dx, y + along * dy];
    const distance = Math.hypot(near[0] - point[0], near[1] - point[1]);
    if (distance < least) [best, least] = [near, distance];
  });
  return outside ? best : point;
}

/** Build the pad and keep it up to date. */
export function createPad(element, config, state) {
  const pad = element("pad");
  const thumbnails = new Map(config.styles.map((style) => [style.name, style.thumbnail]));
  const outline = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  outline.setAttribute("viewBox", "-1 -1 2 2");
  outline.setAttribute("preserveAspectRatio", "none");
  const shape = document.createElementNS("http://www.w3.org/2000/svg", "polygon");
  outline.append(shape);
  const point = document.createElement("div");
  Object.assign(point, { id: "point", tabIndex: 0 });
  point.setAttribute("role", "slider");
  point.setAttribute("aria-label", "Point that mixes the painters at the corners; arrow keys move it");
  point.setAttribute("aria-valuemin", 0);
  point.setAttribute("aria-valuemax", 100);
  let drawn = "", here = [0, 0];

  function moveTo(wanted) {
    const places = corners(state.mix.length);
    here = inside(wanted, places);
    const shares = sharesAt(here, places);
    const given = here;
    state.mix = state.mix.map(([name], index) => [name, shares[index]]);
    here = given; // the mean of the corners may lie elsewhere, by rounding
    put(point, here);
  }

  function update() {
    const names = state.mix.map(([name]) => name), places = corners(names.length);
    pad.hidden = names.length === 1;
    if (names.join() !== drawn) {
      drawn = names.join();
      shape.setAttribute("points", places.map((place) => place.join()).join(" "));
      pad.dataset.corners = names.length;
      pad.replaceChildren(outline, ...names.map((name, index) => corner(name, thumbnails.get(name), places[index])), point);
    }
    here = pointOf(state.mix.map(([, share]) => share), places);
    put(point, here);
    point.setAttribute("aria-valuenow", Math.round(100 * state.mix[0][1]));
    point.setAttribute("aria-valuetext", mixWords(state.mix));
  }

  function follow(event) {
    const box = outline.getBoundingClientRect();
    moveTo([(2 * (event.clientX - box.left)) / box.width - 1, (2 * (event.clientY - box.top)) / box.height - 1]);
  }

  pad.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    point.focus();
    pad.setPointerCapture(event.pointerId);
    pad.addEventListener("pointermove", follow);
    follow(event);
  });
  for (const end of ["pointerup", "pointercancel"]) pad.addEventListener(end, () => pad.removeEventListener("pointermove", follow));
  point.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
    if (event.key === "Home") moves.Home = [-here[0], -here[1]];
    if (!(event.key in moves)) return;
    event.preventDefault();
    moveTo([here[0] + moves[event.key][0], here[1] + moves[event.key][1]]);
  });
  state.addEventListener("change", update);
}

function corner(name, thumbnail, place) {
  const figure = document.createElement("div");
  figure.className = place[1] < 0 ? "corner top" : "corner";
  const image = Object.assign(document.createElement("img"), { src: thumbnail, alt: "", width: 56, height: 56, draggable: false });
  figure.append(image, Object.assign(document.createElement("span"), { textContent: name }));
  put(figure, place);
  return figure;
}

function put(thing, [x, y]) {
  thing.style.setProperty("--x", x);
  thing.style.setProperty("--y", y);
}
