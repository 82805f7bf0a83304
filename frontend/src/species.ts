// Rare species: how well each is named from how few specimens, and what it looks like.

import { h, prose, readable, shown } from "./dom";
import { thumb } from "./detail";
import type { ExhibitData } from "./exhibit";
import { csvOf, standalone, type Exports } from "./export";
import { Scatter } from "./scatter";
import type { Store } from "./state";
import type { Value } from "./types";

const MOST_ROWS = 600;

export class SpeciesView {
  readonly element = h("section", { class: "species view", "aria-label": "Rare species" });
  private readonly body = h("tbody");
  private readonly names: string[];
  private readonly others: string[];
  private readonly columns: Record<string, Value[]>;
  private sortBy: string;
  private isRising = true;
  private readonly scatter = new Scatter((name) => this.store.update({ view: "map", species: [name], thing: null, lasso: [] }));
  private readonly acrossSelect = h("select", { "aria-label": "Across" });
  private readonly upwardsSelect = h("select", { "aria-label": "Upwards" });

  constructor(
    private readonly exhibit: ExhibitData,
    private readonly store: Store,
  ) {
    this.columns = exhibit.species.columns ?? {};
    const key = exhibit.species.name ?? "species";
    this.names = (this.columns[key] ?? []).map(String);
    this.others = Object.keys(this.columns).filter((name) => name !== key);
    this.sortBy = this.others.find((name) => /shots|train/.test(name)) ?? this.others[0] ?? "";
    const numeric = this.others.filter((name) => this.columns[name].some((value) => typeof value === "number"));
    const first = [numeric.find((name) => name === this.sortBy), numeric.find((name) => /accuracy|right|top_1/.test(name) && name !== this.sortBy)];
    [this.acrossSelect, this.upwardsSelect].forEach((select, k) => {
      const wanted = first[k] ?? numeric[k] ?? "";
      select.append(...numeric.map((name) => h("option", { value: name, selected: name === wanted }, readable(name))));
      select.addEventListener("change", () => this.draw());
    });
    this.element.append(
      h(
        "div",
        { class: "sheet" },
        h("h2", {}, "Species, the rarest first"),
        h("p", { class: "soft" }, prose(exhibit.species.caption ?? "")),
        numeric.length > 1 && [h("div", { class: "row" }, h("label", {}, "across ", this.acrossSelect), h("label", {}, "upwards ", this.upwardsSelect)), this.scatter.svg],
        h(
          "div",
          { class: "scroll" },
          h("table", { class: "wide" }, h("thead", {}, h("tr", {}, h("th", {}), h("th", {}, "species"), this.others.map((name) => this.heading(name)))), this.body),
        ),
      ),
    );
    this.fill();
    this.draw();
  }

  /** Called when something else was selected. */
  draw(): void {
    const [across, upwards] = [this.acrossSelect.value, this.upwardsSelect.value];
    const axis = (name: string) => ({
      title: readable(name),
      at: (i: number) => {
        const value = this.columns[name]?.[i];
        return typeof value === "number" ? value : null;
      },
    });
    this.scatter.draw({
      names: this.names,
      across: axis(across),
      upwards: axis(upwards),
      isLoud: () => true,
      chosen: this.store.state.species[0] ?? "",
      nameOf: readable,
    });
  }

  private heading(name: string): HTMLElement {
    const isNumber = this.columns[name].some((value) => typeof value === "number");
    return h(
      "th",
      { class: isNumber ? "number" : "" },
      h("button", { type: "button", class: "link", onclick: () => {
        this.isRising = this.sortBy === name ? !this.isRising : true;
        this.sortBy = name;
        this.fill();
      } }, readable(name)),
    );
  }

  private fill(): void {
    const values = this.columns[this.sortBy] ?? [];
    const sign = this.isRising ? 1 : -1;
    const compare = (a: Value, b: Value) => {
      if (a === null || b === null) return Number(a === null) - Number(b === null);
      return sign * (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
    };
    const order = [...this.names.keys()].sort((a, b) => compare(values[a], values[b]));
    const pictures = this.exhibit.pictures;
    this.body.replaceChildren(
      ...order.slice(0, MOST_ROWS).map((i) => {
        const name = this.names[i];
        const shownRow = this.exhibit.treeInfo.pictures?.[name];
        return h(
          "tr",
          {},
          h("td", {}, pictures && shownRow !== undefined && thumb(pictures, shownRow, this.store)),
          h("td", {}, h("button", { type: "button", class: "link taxon", onclick: () => this.store.update({ view: "map", species: [name], thing: null, lasso: [] }) }, readable(name))),
          this.others.map((column) => {
            const value = this.columns[column][i];
            return h("td", { class: typeof value === "number" ? "number" : "" }, typeof value === "number" ? shown(value) : readable(String(value ?? "")).replaceAll(";", ", "));
          }),
        );
      }),
    );
  }

  get exports(): Exports {
    const names = Object.keys(this.columns);
    const paper = () => getComputedStyle(this.element).getPropertyValue("--paper").trim();
    return { name: "species", svg: () => standalone(this.scatter.svg, paper()), csv: () => csvOf(names, this.names.map((_, i) => names.map((name) => this.columns[name][i]))) };
  }
}
