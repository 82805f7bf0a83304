// What is being looked at. All of it is in the address, so that every view has a link.

export interface State {
  view: string;
  chart: number;
  /** A column, or `related:SPECIES`, or `gene:NAME`. */
  colour: string;
  /** Middle of the chart and magnification. */
  camera: [number, number, number] | null;
  /** One thing of the chart. */
  thing: number | null;
  /** Species that are selected, a clade of the tree mostly. */
  species: string[];
  /** A line drawn around things, in the units of the chart. */
  lasso: number[];
  gene: string;
  tangle: boolean;
  theme: "auto" | "light" | "dark";
}

const START: State = {
  view: "map",
  chart: 0,
  colour: "",
  camera: null,
  thing: null,
  species: [],
  lasso: [],
  gene: "",
  tangle: false,
  theme: "auto",
};

type Listener = (state: State, changed: Set<keyof State>) => void;

export class Store {
  state: State = read(location.hash);
  private listeners: Listener[] = [];
  private writing = 0;

  constructor() {
    window.addEventListener("hashchange", () => {
      const next = read(location.hash);
      this.update(next, { keepAddress: true });
    });
  }

  listen(listener: Listener): void {
    this.listeners.push(listener);
  }

  update(change: Partial<State>, { keepAddress = false } = {}): void {
    const changed = new Set<keyof State>();
    for (const key of Object.keys(change) as (keyof State)[]) {
      if (JSON.stringify(change[key]) !== JSON.stringify(this.state[key])) changed.add(key);
    }
    if (!changed.size) return;
    this.state = { ...this.state, ...change };
    if (!keepAddress) this.write(changed);
    for (const listener of this.listeners) listener(this.state, changed);
  }

  private write(changed: Set<keyof State>): void {
    window.clearTimeout(this.writing);
    const address = `${location.pathname}${location.search}${written(this.state)}`;
    // Moving about is not a step to come back to; everything else is.
    if (changed.size === 1 && changed.has("camera")) {
      this.writing = window.setTimeout(() => history.replaceState(null, "", address), 200);
    } else {
      history.pushState(null, "", address);
    }
  }
}

export function written(state: State): string {
  const parts = new URLSearchParams();
  if (state.view !== START.view) parts.set("view", state.view);
  if (state.chart) parts.set("chart", String(state.chart));
  if (state.colour) parts.set("colour", state.colour);
  if (state.camera) parts.set("at", state.camera.map((x) => Number(x.toPrecision(6))).join(","));
  if (state.thing !== null) parts.set("thing", String(state.thing));
  if (state.species.length) parts.set("species", state.species.join(","));
  if (state.lasso.length) parts.set("lasso", state.lasso.map((x) => x.toFixed(4)).join(","));
  if (state.gene) parts.set("gene", state.gene);
  if (state.tangle) parts.set("tangle", "1");
  if (state.theme !== "auto") parts.set("theme", state.theme);
  const text = parts.toString();
  return text ? `#${text}` : "#";
}

function read(hash: string): State {
  const parts = new URLSearchParams(hash.replace(/^#/, ""));
  const numbers = (name: string) => (parts.get(name) ?? "").split(",").map(Number).filter(Number.isFinite);
  const at = parts.has("at") ? numbers("at") : [];
  const lasso = parts.has("lasso") ? numbers("lasso") : [];
  const theme = parts.get("theme");
  return {
    view: parts.get("view") ?? START.view,
    chart: Number(parts.get("chart") ?? 0) || 0,
    colour: parts.get("colour") ?? "",
    camera: at.length === 3 && at[2] > 0 ? [at[0], at[1], at[2]] : null,
    thing: parts.has("thing") ? Number(parts.get("thing")) : null,
    species: (parts.get("species") ?? "").split(",").filter(Boolean),
    lasso: lasso.length >= 6 ? lasso.slice(0, 2 * Math.floor(lasso.length / 2)) : [],
    gene: parts.get("gene") ?? "",
    tangle: parts.get("tangle") === "1",
    theme: theme === "light" || theme === "dark" ? theme : "auto",
  };
}
