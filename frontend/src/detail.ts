// The panel at the side: what is known of what is selected.

import { h, percent, plural, readable, shown } from "./dom";
import type { ChartData, ExhibitData } from "./exhibit";
import { selectedRows, selectionOf } from "./selection";
import type { State, Store } from "./state";
import type { Neighbour, Value } from "./types";
import { channelMixer } from "./channels";
import { labelBars } from "./labels";

const MOST_SHOWN = 24;
const HIDDEN = /^(true_|answered_|candidates$|n_candidates$)|_probability$/;

/** A picture that selects itself when pressed. */
export function thumb(chart: ChartData, row: number, store: Store, note = ""): HTMLElement {
  const picture = h("img", { alt: `${chart.nouns[0]} ${row}`, loading: "lazy", width: 72, height: 72 });
  void chart.picture(row, "small").then((address) => (picture.src = address), () => picture.classList.add("gone"));
  return h(
    "button",
    {
      type: "button",
      class: "thumb",
      "data-row": row,
      title: note || `Show this ${chart.nouns[0]}`,
      onclick: () => store.update({ view: "map", chart: chart.number, thing: row, lasso: [], species: [] }),
    },
    picture,
    note && h("small", {}, note),
  );
}

export function neighbourGrid(chart: ChartData, nearest: Neighbour[], store: Store): HTMLElement {
  if (!chart.info.has_pictures) {
    const list = h("ul", { class: "plain" });
    void chart.ids().then((ids) =>
      list.append(...nearest.map(({ row, similarity }) => h("li", {}, h("button", { type: "button", class: "link", onclick: () => store.update({ thing: row }) }, readable(ids[row])), ` ${similarity.toFixed(2)}`))),
    );
    return list;
  }
  return h("div", { class: "thumbs" }, nearest.map(({ row, similarity }) => thumb(chart, row, store, similarity.toFixed(2))));
}

export class DetailPanel {
  readonly element = h("div", { class: "detail" });
  private turn = 0;

  constructor(
    private readonly exhibit: ExhibitData,
    private readonly store: Store,
  ) {}

  async update(state: State): Promise<void> {
    const turn = ++this.turn;
    const chart = this.exhibit.charts[state.chart] ?? this.exhibit.charts[0];
    const selection = selectionOf(state);
    let parts: HTMLElement[];
    if (selection.kind === "none") parts = this.aboutAll();
    else if (!chart) parts = state.species.length === 1 && this.exhibit.tree ? [h("h2", { class: "taxon" }, readable(state.species[0])), this.relativesOf(state.species[0])] : this.aboutAll();
    else if (selection.kind === "thing") parts = await this.aboutThing(chart, selection.row);
    else parts = await this.aboutMany(chart, await selectedRows(this.exhibit, chart, selection), state);
    if (turn === this.turn) this.element.replaceChildren(...parts);
  }

  private aboutAll(): HTMLElement[] {
    return [
      h("h2", {}, readable(this.exhibit.info.title)),
      ...this.exhibit.info.runs.map((run) =>
        h(
          "section",
          { class: "run" },
          h("h3", {}, run.title),
          run.truth && h("p", { class: "truth" }, run.truth),
          h("ul", { class: "headlines" }, run.headlines.slice(0, run.truth ? 1 : 3).map((line) => h("li", { class: line.verdict }, line.sentence))),
        ),
      ),
    ];
  }

  private async aboutThing(chart: ChartData, row: number): Promise<HTMLElement[]> {
    const thing = await chart.thing(row).catch(() => chart.bareThing(row));
    if (!thing) return [h("p", {}, "There is no such thing in this run.")];
    const facts = new Map(thing.facts);
    const text = (name: string) => (typeof facts.get(name) === "string" ? String(facts.get(name)) : "");
    const truth = text("species") || text("true_species");
    const parts: HTMLElement[] = [];
    const portrait = h("figure", { class: "portrait" });
    if (chart.info.has_pictures) {
      const image = h("img", { class: "large", alt: readable(thing.id) });
      void chart.picture(row, "large").then((address) => (image.src = address), () => image.remove());
      portrait.append(image);
      parts.push(portrait);
      if (chart.info.channels.length) parts.push(channelMixer(chart, row, image));
    }
    parts.push(h("h2", { class: truth ? "taxon" : "path" }, truth ? readable(truth) : thing.id));
    if (truth) parts.push(h("p", { class: "soft path" }, thing.id));
    parts.push(...this.answerOf(facts));
    const labels = labelBars(this.exhibit, chart, row, thing.id, portrait);
    parts.push(...labels);
    const isTold = (name: string) => labels.length > 0 && (name in this.exhibit.labels.columns! || name in this.exhibit.labels.texts!);
    const rest = thing.facts.filter(([name]) => !HIDDEN.test(name) && name !== "species" && name !== "answer" && !isTold(name));
    parts.push(h("dl", {}, rest.flatMap(([name, value]) => [h("dt", {}, readable(name)), h("dd", {}, typeof value === "string" ? readable(value) : shown(value))])));
    if (thing.nearest.length) parts.push(h("h3", {}, "Looks most like"), neighbourGrid(chart, thing.nearest, this.store));
    if (this.exhibit.tree?.nodeOf(truth) !== undefined) parts.push(this.relativesOf(truth));
    return parts;
  }

  /** What the run said of a picture that it was tested with. */
  private answerOf(facts: Map<string, Value>): HTMLElement[] {
    const names = [...facts.keys()].filter((name) => facts.has(`${name}_probability`) && facts.has(`true_${name}`));
    if (!names.length) return [];
    return [
      h("h3", {}, "Named by the run"),
      h(
        "ol",
        { class: "ranks" },
        names.map((rank) => {
          // The answer is in the predictions; a column of the same name on the chart is the truth.
          const answer = facts.get(`answered_${rank}`) ?? facts.get(rank);
          const isRight = answer === facts.get(`true_${rank}`);
          return rankBar(rank, String(answer), Number(facts.get(`${rank}_probability`)), isRight ? "" : "wrong");
        }),
      ),
    ];
  }

  private relativesOf(species: string): HTMLElement {
    const away = [...this.exhibit.tree!.distancesFrom(species)].filter(([name]) => name !== species).sort((a, b) => a[1] - b[1]);
    return h(
      "div",
      {},
      h("h3", {}, "Nearest in the tree"),
      h("ul", { class: "plain" }, away.slice(0, 6).map(([name, far]) => h("li", {}, this.speciesLink(name), h("small", {}, ` ${shown(far)}`)))),
      h("button", { type: "button", class: "link", onclick: () => this.store.update({ view: "map", colour: `related:${species}` }) }, "Colour the map by distance to this species"),
    );
  }

  private speciesLink(name: string): HTMLElement {
    return h("button", { type: "button", class: "link taxon", onclick: () => this.store.update({ species: [name], thing: null, lasso: [] }) }, readable(name));
  }

  private async aboutMany(chart: ChartData, rows: Uint32Array, state: State): Promise<HTMLElement[]> {
    const isClade = state.species.length > 0 && !state.lasso.length;
    const [one, many] = chart.nouns;
    let title = plural(rows.length, one, many);
    const parts: HTMLElement[] = [];
    if (isClade) {
      title = state.species.length === 1 ? readable(state.species[0]) : `Clade of ${plural(state.species.length, "species", "species")}`;
      parts.push(h("h2", { class: state.species.length === 1 ? "taxon" : "" }, title), h("p", { class: "soft" }, plural(rows.length, one, many)));
    } else {
      parts.push(h("h2", {}, title), h("p", { class: "soft" }, "drawn around on the map"));
    }
    if (chart.info.has_pictures && rows.length) {
      const step = Math.max(1, rows.length / MOST_SHOWN);
      const shownRows = Array.from({ length: Math.min(MOST_SHOWN, rows.length) }, (_, i) => rows[Math.floor(i * step)]);
      parts.push(h("div", { class: "thumbs" }, shownRows.map((row) => thumb(chart, row, this.store))));
    }
    for (const name of [this.exhibit.tipRank, "genus", "family", "answer"]) {
      const column = chart.column(name);
      if (!column || (isClade && state.species.length === 1 && name !== "answer")) continue;
      const values = await chart.values(column);
      const counts = new Map<number, number>();
      for (const row of rows) if (!Number.isNaN(values[row])) counts.set(values[row], (counts.get(values[row]) ?? 0) + 1);
      if (!counts.size) continue;
      parts.push(h("h3", {}, readable(name)), this.bars(column.categories, counts, rows.length, name === this.exhibit.tipRank));
    }
    if (isClade && state.species.length === 1 && this.exhibit.tree) parts.push(this.relativesOf(state.species[0]));
    return parts;
  }

  private bars(categories: string[], counts: Map<number, number>, total: number, isSpecies: boolean): HTMLElement {
    const order = [...counts].sort((a, b) => b[1] - a[1]);
    return h(
      "ul",
      { class: "bars" },
      order.slice(0, 10).map(([code, count]) =>
        h(
          "li",
          {},
          h("i", { style: { width: `${(100 * count) / total}%` } }),
          isSpecies ? this.speciesLink(categories[code]) : h("span", {}, readable(categories[code])),
          h("small", {}, count.toLocaleString("en")),
        ),
      ),
      order.length > 10 && h("li", { class: "soft" }, `and ${order.length - 10} more`),
    );
  }
}

export function rankBar(rank: string, name: string, probability: number, note = ""): HTMLElement {
  return h(
    "li",
    { class: note },
    h("span", { class: "rank" }, rank),
    h("span", { class: "taxon" }, readable(name)),
    h("span", { class: "share" }, percent(probability)),
    h("i", { style: { width: `${100 * probability}%` } }),
  );
}
