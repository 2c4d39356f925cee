// Mixes: lists of [name, share], the shares summing to 1, in the order in which the painters were chosen.

const LARGEST = 0.9999; // of one share, so that the others keep their proportions

/** The mix in a text such as "starry=0.7,scream=0.3"; `known` are the names allowed. Throws an Error of one line. */
export function parseMix(text, known) {
  const weights = new Map();
  for (const part of text.split(",")) {
    const [name, number] = part.split("=", 2).map((piece) => piece.trim());
    const weight = number === undefined ? 1 : Number(number || NaN);
    if (!known.includes(name)) throw new Error(`There is no painter "${name}" here.`);
    if (!(weight >= 0 && Number.isFinite(weight))) throw new Error(`The weight of ${name} should be a number from 0.`);
    weights.set(name, weight);
  }
  const mix = [...weights];
  if (!mix.some(([, weight]) => weight > 0)) throw new Error("All weights are zero.");
  return normalized(mix);
}

function normalized(mix) {
  const sum = mix.reduce((total, [, share]) => total + share, 0);
  return mix.map(([name, share]) => [name, share / sum]);
}

/** The mix as text with three digits after the point; painters of share 0 are kept if `all`. */
export function mixText(mix, all = false) {
  const parts = mix.map(([name, share]) => [name, Math.round(share * 1000) / 1000]);
  return parts.filter(([, share]) => all || share > 0).map(([name, share]) => `${name}=${share}`).join(",");
}

/** The mix for people: "starry 70 %, scream 30 %". */
export function mixWords(mix) {
  return mix.map(([name, share]) => `${name} ${percent(share)}`).join(", ");
}

export function percent(share) {
  return `${Math.round(share * 100)} %`;
}

/** The mix after one share was set; the others keep their proportions. */
export function withShare(mix, name, share) {
  const wanted = Math.min(LARGEST, Math.max(0, share));
  const rest = mix.reduce((total, [other, value]) => (other === name ? total : total + value), 0);
  return mix.map(([other, value]) => {
    if (other === name) return [other, mix.length > 1 ? wanted : 1];
    return [other, (1 - wanted) * (rest > 0 ? value / rest : 1 / (mix.length - 1))];
  });
}

/** The mix with one painter more, at an equal share. */
export function withPainter(mix, name) {
  return withShare([...mix, [name, 0]], name, 1 / (mix.length + 1));
}

/** The mix without one painter; the last one stays. */
export function withoutPainter(mix, name) {
  const rest = mix.filter(([other]) => other !== name);
  if (!rest.length) return mix;
  return rest.some(([, share]) => share > 0) ? normalized(rest) : rest.map(([other]) => [other, 1 / rest.length]);
}

/** Two or three painters drawn at random, in shares of 5 %. */
export function randomMix(names) {
  const pool = [...names];
  const count = Math.min(pool.length, 2 + Math.floor(2 * Math.random()));
  const drawn = Array.from({ length: count }, () => pool.splice(Math.floor(pool.length * Math.random()), 1)[0]);
  const weights = drawn.map(() => 1 + Math.floor(6 * Math.random()));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  const shares = weights.map((weight) => Math.max(0.05, Math.round((20 * weight) / sum) / 20));
  return normalized(drawn.map((name, index) => [name, shares[index]]));
}
