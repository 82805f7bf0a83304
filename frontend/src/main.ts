// The page: header, views, panel; who hears of what.

import "./style.css";
import { AskPanel } from "./ask";
import { ChartView } from "./chartview";
import { colouringFor, type Colouring } from "./colouring";
import { DetailPanel } from "./detail";
import { h, readable } from "./dom";
import { ExhibitData } from "./exhibit";
import { save, type Exports } from "./export";
import { FindingsView } from "./findings";
import { GenesView } from "./genes";
import { openSource } from "./source";
import { SpeciesView } from "./species";
import { Store, type State } from "./state";
import { TreeView } from "./treeview";

const THEMES: State["theme"][] = ["auto", "light", "dark"];

async function start(): Promise<void> {
  const store = new Store();
  theme(store.state);
  const exhibit = await ExhibitData.open(openSource());
  document.title = `${readable(exhibit.info.title)} · kinlens`;
  const page = new Page(exhibit, store);
  await page.open();
}

function theme(state: State): void {
  document.documentElement.dataset.theme = state.theme;
}

class Page {
  private readonly map: ChartView | null;
  private tree: TreeView | null = null;
  private genes: GenesView | null = null;
  private species: SpeciesView | null = null;
  private readonly findings: FindingsView;
  private readonly detail: DetailPanel;
  private readonly ask: AskPanel;
  private readonly nav = h("nav", { "aria-label": "Views" });
  private readonly work = h("div", { class: "work" });
  private readonly side: HTMLElement;
  private readonly main: HTMLElement;

  constructor(
    private readonly exhibit: ExhibitData,
    private readonly store: Store,
  ) {
    this.map = exhibit.charts.length ? new ChartView(exhibit, store) : null;
    this.findings = new FindingsView(exhibit);
    this.detail = new DetailPanel(exhibit, store);
    this.ask = new AskPanel(exhibit, store, {
      onPicture: (answer) => {
        if (this.map) {
          this.map.marker = answer?.point ?? null;
          if (answer && answer.chart !== null) store.update({ view: "map", chart: answer.chart });
          this.map.draw();
        }
        this.tree?.mark(answer?.place ?? null);
      },
    });
    this.side = h("aside", { class: "panel", "aria-label": "Details", tabindex: "-1" }, this.ask.isOffered && this.ask.element, this.detail.element);
    this.main = h("main", {}, this.work, this.side);
  }

  async open(): Promise<void> {
    const { exhibit, store } = this;
    const { state } = store;
    // What is chosen while the page is still coming is done when it has come.
    const early = new Set<keyof State>();
    let isOpen = false;
    store.listen((now, changed) => {
      if (isOpen) void this.update(now, changed);
      else for (const name of changed) early.add(name);
    });
    const app = document.getElementById("app")!;
    app.replaceChildren(this.header(), this.main, h("div", { id: "announcer", class: "hidden", role: "status", "aria-live": "polite" }));
    this.layOut(state);
    // The map may be drawn before the rest has come.
    const drawn = this.map?.open(state);
    await exhibit.loadRest();
    if (exhibit.tree) {
      this.tree = new TreeView(exhibit, exhibit.tree, store);
      this.map?.element.addEventListener("coloured", (event) => this.tree!.paint((event as CustomEvent<Colouring>).detail));
    }
    if (exhibit.genes.columns) this.genes = new GenesView(exhibit, store);
    if (exhibit.species.columns) this.species = new SpeciesView(exhibit, store);
    this.layOut(state);
    await drawn;
    if (exhibit.tree) await (this.map ? this.map.recolour(state) : this.paintTree());
    await this.detail.update(state);
    document.addEventListener("keydown", (event) => this.onKey(event));
    isOpen = true;
    if (early.size) await this.update(store.state, early);
    document.body.dataset.ready = "true";
  }

  private async update(state: State, changed: Set<keyof State>): Promise<void> {
    if (changed.has("theme")) theme(state);
    if (["view", "tangle", "chart"].some((name) => changed.has(name as keyof State))) this.layOut(state);
    if (changed.has("gene")) this.genes?.update(state);
    if (changed.has("species") || changed.has("view")) this.species?.draw();
    this.tree?.update(state, changed);
    if (changed.has("thing") && state.thing !== null && !changed.has("chart")) this.map?.show(state.thing);
    await this.map?.update(state, changed);
    if (!this.map && changed.has("colour")) await this.paintTree();
    if (["thing", "species", "lasso", "chart"].some((name) => changed.has(name as keyof State))) {
      // What was waited for may have taken a while: tell of what is selected now.
      await this.detail.update(this.store.state);
      if (!this.ask.element.querySelector(".answer")?.hasChildNodes()) this.side.scrollTop = 0;
    }
  }

  /** Without a map nobody else tells the tree its colours. */
  private async paintTree(): Promise<void> {
    this.tree?.paint(await colouringFor(this.exhibit, null, this.store.state.colour));
  }

  // Parts -------------------------------------------------------------------------------------

  private get views(): [string, string][] {
    const found: [string, string][] = [];
    if (this.map) found.push(["map", this.tree ? "Map and tree" : "Map"]);
    else if (this.tree) found.push(["map", "Tree"]);
    if (this.genes) found.push(["genes", "Genes"]);
    if (this.species) found.push(["species", "Rare species"]);
    found.push(["findings", "Findings"]);
    return found;
  }

  private get view(): string {
    const known = this.views.map(([name]) => name);
    return known.includes(this.store.state.view) ? this.store.state.view : known[0];
  }

  /** Whether the things on the map, if there is one, belong to tips of the tree. */
  private hasTips(state: State): boolean {
    const chart = this.exhibit.charts[state.chart] ?? this.exhibit.charts[0];
    return !chart || chart.column(this.exhibit.tipRank) !== undefined;
  }

  private layOut(state: State): void {
    const view = this.view;
    if (view === "findings") this.findings.fill();
    const content: Record<string, (HTMLElement | null | undefined)[]> = {
      map: [this.map?.element, this.hasTips(state) ? this.tree?.element : null],
      genes: [this.genes?.element, this.tree?.element],
      species: [this.species?.element],
      findings: [this.findings.element],
    };
    const wanted = content[view].filter((element) => element !== null && element !== undefined);
    if (wanted.length !== this.work.children.length || wanted.some((element, i) => this.work.children[i] !== element)) {
      this.work.replaceChildren(...wanted);
    }
    this.main.dataset.view = view;
    this.main.classList.toggle("tangled", state.tangle && this.exhibit.looks !== null);
    this.nav.replaceChildren(
      ...this.views.map(([name, label]) =>
        h("button", { type: "button", "aria-current": name === view ? "page" : null, onclick: () => this.store.update({ view: name }) }, label),
      ),
    );
  }

  private header(): HTMLElement {
    const menu = h("div", { class: "menu", hidden: true, role: "group", "aria-label": "Export" });
    const toggle = h("button", { type: "button", "aria-expanded": "false", id: "export" }, "Export");
    toggle.addEventListener("click", () => {
      menu.hidden = !menu.hidden;
      toggle.setAttribute("aria-expanded", String(!menu.hidden));
      if (!menu.hidden) {
        menu.replaceChildren(...this.offers(() => toggle.click()));
        (menu.querySelector("button") as HTMLElement | null)?.focus();
      }
    });
    const themeButton = h("button", { type: "button", id: "theme", title: "Light or dark" }, "◐");
    themeButton.setAttribute("aria-label", `Theme: ${this.store.state.theme}`);
    themeButton.addEventListener("click", () => {
      const next = THEMES[(THEMES.indexOf(this.store.state.theme) + 1) % THEMES.length];
      this.store.update({ theme: next });
      themeButton.setAttribute("aria-label", `Theme: ${next}`);
    });
    return h(
      "header",
      {},
      h("h1", {}, h("span", { class: "mark" }, "kinlens"), h("span", {}, readable(this.exhibit.info.title))),
      this.nav,
      h("div", { class: "actions" }, this.ask.isOffered && h("button", { type: "button", id: "ask", onclick: () => this.ask.focus() }, "Ask"), h("div", { class: "dropdown" }, toggle, menu), themeButton),
    );
  }

  /** What can be exported of the views on the page. */
  private offers(done: () => void): HTMLElement[] {
    const sources: Record<string, (Exports | undefined)[]> = {
      map: [this.map?.exports, this.tree?.exports],
      genes: [this.genes?.exports, this.tree?.exports],
      species: [this.species?.exports],
      findings: [this.findings.exports],
    };
    return sources[this.view]
      .filter((exports) => exports !== undefined)
      .flatMap((exports) =>
        (["svg", "png", "csv"] as const)
          .filter((kind) => exports[kind] ?? (kind === "png" && exports.svg))
          .map((kind) =>
            h("button", { type: "button", "data-export": `${exports.name}.${kind}`, onclick: () => {
              done();
              void save(exports, kind);
            } }, `${exports.name}, ${kind.toUpperCase()}`),
          ),
      );
  }

  private onKey(event: KeyboardEvent): void {
    const isTyping = event.target instanceof HTMLElement && event.target.matches("input, textarea, select");
    if (event.key === "Escape") {
      const menu = document.querySelector<HTMLElement>(".menu:not([hidden])");
      if (menu) document.getElementById("export")!.click();
      else if (!isTyping) this.store.update({ thing: null, species: [], lasso: [] });
    } else if (event.key === "/" && !isTyping && this.ask.isOffered) {
      event.preventDefault();
      this.ask.focus();
    }
  }
}

start().catch((error: unknown) => {
  document.getElementById("app")!.replaceChildren(
    h("p", { class: "refusal", role: "alert" }, `The explorer could not start: ${error instanceof Error ? error.message : String(error)}`),
  );
});
