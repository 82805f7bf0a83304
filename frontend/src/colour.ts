// Colours of things: by category, by number, along the tree. Readable on light and dark paper, and
// by those who confuse red and green.

/** Okabe and Ito (2008), in the order of the report. */
const PALETTE = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#7b5ea7", "#b8a200", "#8c564b"];
export const OTHER = "#98a1ab";
const VERDICTS: Record<string, string> = { right: "#5b8fb9", wrong: "#d55e00", "not tested": "#b9c0c7" };
/** From near to far, from little to much: dark blue over green to yellow. */
const RAMP = ["#30347c", "#2a6f97", "#3aa387", "#9ac54e", "#f1d23b"];

export type Rgb = [number, number, number];

export function rgb(hex: string): Rgb {
  const n = parseInt(hex.slice(1), 16);
  return [n >> 16, (n >> 8) & 255, n & 255];
}

/** As one number in the order in which canvases keep pixels. */
export function packed([r, g, b]: Rgb): number {
  return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
}

export function css([r, g, b]: Rgb): string {
  return `rgb(${r},${g},${b})`;
}

/** A colour of the ramp, `t` from 0 to 1. */
export function ramp(t: number): Rgb {
  const at = Math.min(Math.max(t, 0), 1) * (RAMP.length - 1);
  const i = Math.min(Math.floor(at), RAMP.length - 2);
  const [a, b] = [rgb(RAMP[i]), rgb(RAMP[i + 1])];
  return a.map((x, k) => Math.round(x + (b[k] - x) * (at - i))) as Rgb;
}

export function rampCss(): string {
  return `linear-gradient(to right, ${RAMP.join(",")})`;
}

/** A hue for a place along the tree: neighbours look alike. */
export function alongTree(t: number): Rgb {
  const hue = 2 * Math.PI * (0.72 - 0.88 * t);
  // OKLCH at one lightness and chroma, which neither paper swallows.
  const [l, c] = [0.64, 0.135];
  const [a, b] = [c * Math.cos(hue), c * Math.sin(hue)];
  const m1 = (l + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m2 = (l - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const m3 = (l - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const linear = [
    4.0767416621 * m1 - 3.3077115913 * m2 + 0.2309699292 * m3,
    -1.2684380046 * m1 + 2.6097574011 * m2 - 0.3413193965 * m3,
    -0.0041960863 * m1 - 0.7034186147 * m2 + 1.707614701 * m3,
  ];
  return linear.map((x) => {
    const v = x <= 0.0031308 ? 12.92 * x : 1.055 * Math.max(x, 0) ** (1 / 2.4) - 0.055;
    return Math.round(255 * Math.min(Math.max(v, 0), 1));
  }) as Rgb;
}

export interface LegendEntry {
  label: string;
  colour: string;
  /** Code of the category, -1 for "others". */
  code: number;
  count: number;
}

/** How values become colours, and what to say of it. */
export interface Scale {
  title: string;
  colourOf(value: number): Rgb;
  entries: LegendEntry[];
  range: [number, number] | null;
}

const GREY = rgb(OTHER);

/** The commonest categories get colours of their own. */
export function categoryScale(title: string, categories: string[], counts: Uint32Array): Scale {
  const order = [...categories.keys()].sort((a, b) => counts[b] - counts[a]);
  const colours: Rgb[] = categories.map(() => GREY);
  order.slice(0, PALETTE.length).forEach((code, place) => {
    colours[code] = rgb(VERDICTS[categories[code]] ?? PALETTE[place]);
  });
  const entries = order.slice(0, PALETTE.length).map((code) => entry(categories, counts, colours, code));
  const rest = order.slice(PALETTE.length);
  if (rest.length) {
    const count = rest.reduce((sum, code) => sum + counts[code], 0);
    entries.push({ label: `${rest.length} others`, colour: OTHER, code: -1, count });
  }
  return { title, colourOf: (value) => colours[value] ?? GREY, entries, range: null };
}

/** Every tip a hue by its place along the tree; sisters look alike. */
export function treeScale(title: string, categories: string[], counts: Uint32Array, tips: string[]): Scale {
  const place = new Map(tips.map((name, i) => [name, i]));
  const colours: Rgb[] = categories.map((name) => {
    const at = place.get(name);
    return at === undefined ? GREY : alongTree(at / Math.max(tips.length - 1, 1));
  });
  const order = [...categories.keys()].sort(
    (a, b) => (place.get(categories[a]) ?? 1e9) - (place.get(categories[b]) ?? 1e9),
  );
  const entries = order.map((code) => entry(categories, counts, colours, code));
  return { title, colourOf: (value) => colours[value] ?? GREY, entries, range: null };
}

function entry(categories: string[], counts: Uint32Array, colours: Rgb[], code: number): LegendEntry {
  return { label: categories[code], colour: css(colours[code]), code, count: counts[code] };
}

/** Numbers along the ramp, from the second to the ninety-eighth of a hundred. */
export function numberScale(title: string, values: Float32Array): Scale {
  const known = values.filter((x) => !Number.isNaN(x));
  const step = Math.max(1, Math.floor(known.length / 20000));
  const sample = step === 1 ? known : known.filter((_, i) => i % step === 0);
  sample.sort();
  const low = sample.length ? sample[Math.floor(0.02 * (sample.length - 1))] : 0;
  const high = sample.length ? sample[Math.ceil(0.98 * (sample.length - 1))] : 1;
  const span = high - low || 1;
  return {
    title,
    colourOf: (value) => (Number.isNaN(value) ? GREY : ramp((value - low) / span)),
    entries: [],
    range: [low, high],
  };
}

/** Here, not here, not known. */
export function presenceScale(title: string, counts: [number, number]): Scale {
  const [absent, present] = [rgb("#b9c0c7"), rgb("#d55e00")];
  return {
    title,
    colourOf: (value) => (value === 1 ? present : value === 0 ? absent : GREY),
    entries: [
      { label: "present", colour: css(present), code: 1, count: counts[1] },
      { label: "absent", colour: css(absent), code: 0, count: counts[0] },
    ],
    range: null,
  };
}
