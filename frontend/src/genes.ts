// The scan of genes as a volcano: how well each is told from looks, and how sure that is.

import { announce, h, readable, s, shown } from "./dom";
import type { ExhibitData } from "./exhibit";
import { csvOf, standalone, type Exports } from "./export";
import type { State, Store } from "./state";
import type { Value } from "./types";

/** Columns that may be an effect or a p-value, best first. */
const EFFECTS = ["mcc_clade", "mcc", "mcc_random", "auc_clade", "auc", "score", "effect"];
const CHANCES = ["q_value", "q", "p_value", "p"];
const MOST_LISTED = 200;
const [LEFT, RIGHT, TOP, BOTTOM] = [56, 20, 20, 44];

export class GenesView {
  readonly element = h("section", { class: "genes view", "aria-label": "Genes" });
  private readonly svg = s("svg", { class: "volcano", role: "img" });
  private readonly search = h("input", { type: "search", placeholder: "Find a gene", "aria-label": "Find a gene" });
  private readonly list = h("tbody");
  private readonly effectSelect = h("select", { "aria-label": "Across" });
  private readonly chanceSelect = h("select", { "aria-label": "Upwards" });
  private readonly names: string[];
  private readonly columns: Record<string, Value[]>;

  constructor(
    private readonly exhibit: ExhibitData,
    private readonly store: Store,
  ) {
    this.columns = exhibit.genes.columns ?? {};
    this.names = (this.columns[exhibit.genes.name ?? ""] ?? []).map(String);
    const numeric = Object.keys(this.columns).filter((name) => this.columns[name].some((value) => typeof value === "number"));
    const sorted = (first: string[]) => [...first.filter((name) => numeric.includes(name)), ...numeric.filter((name) => !first.includes(name))];
    for (const [select, names] of [[this.effectSelect, sorted(EFFECTS)], [this.chanceSelect, sorted(CHANCES)]] as const) {
      select.append(...names.map((name) => h("option", { value: name }, readable(name))));
      select.addEventListener("change", () => this.draw());
    }
    this.search.addEventListener("input", () => this.fillList());
    this.element.append(
      h(
        "div",
        { class: "sheet" },
        h("h2", {}, "Genes that looks tell"),
        h("p", { class: "soft" }, exhibit.genes.caption || "One dot a gene."),
        h("div", { class: "row" }, h("label", {}, "across ", this.effectSelect), h("label", {}, "upwards ", this.chanceSelect)),
        this.svg,
      ),
      h("div", { class: "sheet side" }, this.search, h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, "gene"), h("th", { class: "number" }, "score"), h("th", { class: "number" }, "chance"))), this.list))),
    );
    this.svg.addEventListener("click", (event) => this.pickAt(event));
    new ResizeObserver(() => this.draw()).observe(this.element);
    this.fillList();
  }

  update(_state: State): void {
    this.draw();
    this.fillList();
  }

  private get effect(): Value[] {
    return this.columns[this.effectSelect.value] ?? [];
  }

  private get chance(): Value[] {
    return this.columns[this.chanceSelect.value] ?? [];
  }

  /** Effect and minus the logarithm of the chance; null where one is missing. */
  private point(i: number): [number, number] | null {
    const [effect, chance] = [this.effect[i], this.chance[i]];
    if (typeof effect !== "number" || typeof chance !== "number") return null;
    return [effect, -Math.log10(Math.max(chance, 1e-12))];
  }

  private scales(): { x(v: number): number; y(v: number): number; width: number; height: number; ends: [number, number, number] } {
    const [width, height] = [this.svg.clientWidth || 640, this.svg.clientHeight || 420];
    let [low, high, most] = [0, 0.1, 1.5];
    for (let i = 0; i < this.names.length; i++) {
      const point = this.point(i);
      if (!point) continue;
      [low, high, most] = [Math.min(low, point[0]), Math.max(high, point[0]), Math.max(most, point[1])];
    }
    return {
      x: (v) => LEFT + ((v - low) / (high - low || 1)) * (width - LEFT - RIGHT),
      y: (v) => height - BOTTOM - (v / most) * (height - TOP - BOTTOM),
      width,
      height,
      ends: [low, high, most],
    };
  }

  private draw(): void {
    const { x, y, width, height, ends } = this.scales();
    const line = -Math.log10(0.05);
    let [quiet, loud] = ["", ""];
    for (let i = 0; i < this.names.length; i++) {
      const point = this.point(i);
      if (!point) continue;
      const dot = `M${x(point[0]).toFixed(1)} ${y(point[1]).toFixed(1)}h0`;
      if (point[1] >= line) loud += dot;
      else quiet += dot;
    }
    const ticks = [0, 0.25, 0.5, 0.75, 1].map((t) => ends[0] + t * (ends[1] - ends[0]));
    const steps = Array.from({ length: Math.floor(ends[2]) + 1 }, (_, i) => i);
    const every = Math.max(1, Math.ceil(steps.length / 6));
    const parts: SVGElement[] = [
      s("path", { class: "axis", d: `M${LEFT} ${height - BOTTOM}H${width - RIGHT}M${LEFT} ${TOP}V${height - BOTTOM}` }),
      ...ticks.map((t) => s("text", { class: "tick", x: x(t), y: height - BOTTOM + 18, "text-anchor": "middle" }, shown(Number(t.toPrecision(2))))),
      ...steps.filter((i) => i % every === 0).map((i) => s("text", { class: "tick", x: LEFT - 8, y: y(i) + 4, "text-anchor": "end" }, i ? `1e-${i}` : "1")),
      s("text", { class: "tick", x: (LEFT + width - RIGHT) / 2, y: height - 8, "text-anchor": "middle" }, readable(this.effectSelect.value)),
      s("path", { class: "dots", d: quiet }),
      s("path", { class: "dots loud", d: loud }),
      s("path", { class: "threshold", d: `M${LEFT} ${y(line)}H${width - RIGHT}` }),
      s("text", { class: "tick", x: width - RIGHT, y: y(line) - 5, "text-anchor": "end" }, `${readable(this.chanceSelect.value)} = 0.05`),
    ];
    const chosen = this.names.indexOf(this.store.state.gene);
    const point = chosen < 0 ? null : this.point(chosen);
    if (point) {
      parts.push(s("circle", { class: "chosen", cx: x(point[0]), cy: y(point[1]), r: 7 }));
      parts.push(s("text", { class: "chosen-label", x: Math.min(x(point[0]) + 11, width - 110), y: y(point[1]) + 4 }, this.names[chosen]));
    }
    this.svg.replaceChildren(...parts);
    this.svg.setAttribute("aria-label", `${this.names.length} genes by ${this.effectSelect.value} and ${this.chanceSelect.value}`);
  }

  private pickAt(event: MouseEvent): void {
    const box = this.svg.getBoundingClientRect();
    const [px, py] = [event.clientX - box.left, event.clientY - box.top];
    const { x, y } = this.scales();
    let [best, found] = [20 * 20, -1];
    for (let i = 0; i < this.names.length; i++) {
      const point = this.point(i);
      if (!point) continue;
      const away = (x(point[0]) - px) ** 2 + (y(point[1]) - py) ** 2;
      if (away < best) [best, found] = [away, i];
    }
    if (found >= 0) this.choose(this.names[found]);
  }

  private choose(gene: string): void {
    const isPainted = (this.exhibit.genes.numbers ?? [])[this.names.indexOf(gene)] !== null && this.exhibit.tree !== null;
    this.store.update(isPainted ? { gene, colour: `gene:${gene}` } : { gene });
    announce(isPainted ? `${gene} is painted on the tree and on the map.` : gene);
  }

  private fillList(): void {
    const wanted = this.search.value.toLowerCase();
    const order = [...this.names.keys()]
      .filter((i) => !wanted || this.names[i].toLowerCase().includes(wanted))
      .sort((a, b) => Number(this.chance[a] ?? 2) - Number(this.chance[b] ?? 2) || Number(this.effect[b] ?? -9) - Number(this.effect[a] ?? -9));
    this.list.replaceChildren(
      ...order.slice(0, MOST_LISTED).map((i) =>
        h(
          "tr",
          { class: this.names[i] === this.store.state.gene ? "chosen" : "" },
          h("td", {}, h("button", { type: "button", class: "link", onclick: () => this.choose(this.names[i]) }, this.names[i])),
          h("td", { class: "number" }, shown(this.effect[i])),
          h("td", { class: "number" }, shown(this.chance[i])),
        ),
      ),
    );
  }

  get exports(): Exports {
    const names = Object.keys(this.columns);
    return {
      name: "genes",
      svg: () => standalone(this.svg, getComputedStyle(this.element).getPropertyValue("--paper").trim()),
      csv: () => csvOf(names, this.names.map((_, i) => names.map((name) => this.columns[name][i]))),
    };
  }
}
