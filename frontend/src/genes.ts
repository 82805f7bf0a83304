// The scan of genes as a volcano: how well each is told from looks, and how sure that is.

import { announce, h, prose, readable, shown } from "./dom";
import type { ExhibitData } from "./exhibit";
import { csvOf, standalone, type Exports } from "./export";
import { Scatter } from "./scatter";
import type { State, Store } from "./state";
import type { Value } from "./types";

/** Columns that may be an effect or a p-value, best first. */
const EFFECTS = ["mcc_clade", "mcc", "mcc_random", "auc_clade", "auc", "score", "effect"];
const CHANCES = ["q_value", "q", "p_value", "p"];
const MOST_LISTED = 200;

export class GenesView {
  readonly element = h("section", { class: "genes view", "aria-label": "Genes" });
  private readonly scatter = new Scatter((gene) => this.choose(gene));
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
        h("p", { class: "soft" }, prose(exhibit.genes.caption || "One dot a gene.")),
        h("div", { class: "row" }, h("label", {}, "across ", this.effectSelect), h("label", {}, "upwards ", this.chanceSelect)),
        this.scatter.svg,
      ),
      h("div", { class: "sheet side" }, this.search, h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, "gene"), h("th", { class: "number" }, "score"), h("th", { class: "number" }, "chance"))), this.list))),
    );
    this.draw();
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

  private draw(): void {
    const level = -Math.log10(0.05);
    const effect = (i: number) => numberOf(this.effect[i]);
    const chance = (i: number) => {
      const value = numberOf(this.chance[i]);
      return value === null ? null : -Math.log10(Math.max(value, 1e-12));
    };
    this.scatter.draw({
      names: this.names,
      across: { title: readable(this.effectSelect.value), at: effect },
      upwards: { title: readable(this.chanceSelect.value), at: chance, isWhole: true, label: (value) => (value ? `1e-${value}` : "1") },
      threshold: { value: level, words: `${readable(this.chanceSelect.value)} = 0.05` },
      isLoud: (i) => (chance(i) ?? 0) >= level,
      chosen: this.store.state.gene,
    });
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
      svg: () => standalone(this.scatter.svg, getComputedStyle(this.element).getPropertyValue("--paper").trim()),
      csv: () => csvOf(names, this.names.map((_, i) => names.map((name) => this.columns[name][i]))),
    };
  }
}

function numberOf(value: Value | undefined): number | null {
  return typeof value === "number" ? value : null;
}
