// Asking with a picture or a sequence, and what is answered.

import { announce, h, percent, readable, shown } from "./dom";
import { rankBar, neighbourGrid, thumb } from "./detail";
import type { ExhibitData } from "./exhibit";
import type { Store } from "./state";
import type { PictureAnswer, SequenceAnswer } from "./types";

export interface AskEvents {
  /** A picture was answered for; null clears what was shown of the last one. */
  onPicture(answer: PictureAnswer | null): void;
}

export class AskPanel {
  readonly element: HTMLElement;
  private readonly file = h("input", { type: "file", accept: "image/*,.tif,.tiff", id: "ask-file", class: "hidden", tabindex: "-1" });
  private readonly sequence = h("textarea", { id: "ask-sequence", rows: "3", spellcheck: "false", placeholder: "ACGT… or FASTA", "aria-label": "Sequence" });
  private readonly answer = h("div", { class: "answer", "aria-live": "polite" });
  private address = "";

  constructor(
    private readonly exhibit: ExhibitData,
    private readonly store: Store,
    private readonly events: AskEvents,
  ) {
    const { picture, sequence } = exhibit.info.can_ask;
    const parts: HTMLElement[] = [];
    if (picture) {
      const drop = h("button", { type: "button", class: "drop", onclick: () => this.file.click() }, h("b", {}, "Drop a picture"), " or choose one");
      this.file.addEventListener("change", () => {
        const [chosen] = this.file.files ?? [];
        if (chosen) void this.askPicture(chosen);
        this.file.value = "";
      });
      parts.push(drop, this.file);
    }
    if (sequence) {
      const button = h("button", { type: "submit", class: "action" }, "Find nearest");
      parts.push(
        h("form", { class: "sequence", onsubmit: (event: Event) => {
          event.preventDefault();
          void this.askSequence(this.sequence.value);
        } }, h("label", { for: "ask-sequence" }, "or paste a sequence"), this.sequence, button),
      );
    }
    this.element = h("section", { class: "ask", "aria-label": "Ask" }, parts, this.answer);
    if (picture) this.listenForDrops();
  }

  get isOffered(): boolean {
    const { picture, sequence } = this.exhibit.info.can_ask;
    return this.exhibit.source.isServer && (picture || sequence);
  }

  focus(): void {
    (this.element.querySelector("button, textarea") as HTMLElement | null)?.focus();
  }

  private listenForDrops(): void {
    const body = document.body;
    body.addEventListener("dragover", (event) => {
      event.preventDefault();
      body.classList.add("dropping");
    });
    for (const end of ["dragleave", "drop"]) body.addEventListener(end, () => body.classList.remove("dropping"));
    body.addEventListener("drop", (event) => {
      event.preventDefault();
      const [dropped] = event.dataTransfer?.files ?? [];
      if (dropped) void this.askPicture(dropped);
    });
    body.addEventListener("paste", (event) => {
      const [pasted] = event.clipboardData?.files ?? [];
      if (pasted) void this.askPicture(pasted);
    });
  }

  private clear(): void {
    this.answer.replaceChildren();
    if (this.address) URL.revokeObjectURL(this.address);
    this.address = "";
    this.events.onPicture(null);
  }

  private waiting(words: string): void {
    this.answer.replaceChildren(h("p", { class: "waiting" }, words));
  }

  private refuse(error: unknown): void {
    this.answer.replaceChildren(h("p", { class: "refusal", role: "alert" }, error instanceof Error ? error.message : String(error)));
  }

  async askPicture(file: File): Promise<void> {
    this.clear();
    this.waiting("Looking …");
    const began = performance.now();
    try {
      const told = await this.exhibit.source.ask<PictureAnswer>("picture", file);
      this.address = URL.createObjectURL(file);
      this.answer.replaceChildren(...this.aboutPicture(told));
      this.answer.dataset.milliseconds = String(Math.round(performance.now() - began));
      this.answer.dataset.asked = file.name;
      this.events.onPicture(told);
      announce(told.names.length ? `Most probably ${readable(told.names[0].name)}.` : "Answered.");
    } catch (error) {
      this.refuse(error);
    }
  }

  private aboutPicture(told: PictureAnswer): HTMLElement[] {
    const chart = told.chart === null ? null : this.exhibit.charts[told.chart];
    const parts: HTMLElement[] = [
      h("div", { class: "asked" }, h("img", { src: this.address, alt: "Your picture" }), h("button", { type: "button", class: "link", onclick: () => this.clear() }, "clear")),
    ];
    if (told.strangeness?.is_strange || (told.place && !told.place.is_in_tree)) {
      const share = told.strangeness ? `Only ${percent(told.strangeness.share)} of the known pictures are as far from all others. ` : "";
      const tree = told.place && !told.place.is_in_tree ? `Species of this tree look as strange in ${percent(told.place.p_value)}. ` : "";
      parts.push(h("p", { class: "strange", role: "alert" }, h("b", {}, "Unlike anything here. "), share, tree, "Take the names below with doubt."));
    }
    if (told.names.length) {
      const rate = told.error_rate ?? 0.05;
      parts.push(
        told.safe
          ? h("p", { class: "safe" }, "Safe to say: ", h("b", { class: "taxon" }, readable(told.safe.name)), ` (${told.safe.rank}; wrong in at most ${percent(rate)} of such names)`)
          : h("p", { class: "safe" }, `No name is safe at ${percent(rate)} error.`),
        h("ol", { class: "ranks" }, told.names.map((each) => rankBar(each.rank, each.name, each.probability, each.name === told.safe?.name ? "is-safe" : ""))),
      );
      if (told.candidates.length) {
        parts.push(
          h("h3", {}, `Among these in ${percent(1 - rate)} of cases`),
          h("p", { class: "candidates" }, told.candidates.slice(0, 20).flatMap((name, i) => [i > 0 && ", ", this.speciesLink(name)]), told.candidates.length > 20 && ` and ${told.candidates.length - 20} more`),
        );
      }
    }
    if (told.facts.length) parts.push(h("dl", {}, told.facts.flatMap(([name, value]) => [h("dt", {}, readable(name)), h("dd", {}, readable(value).replaceAll(";", "; "))])));
    if (chart && told.nearest.length) parts.push(h("h3", {}, "Looks most like"), neighbourGrid(chart, told.nearest, this.store));
    if (told.place) parts.push(...this.aboutPlace(told));
    else if (told.place_note) parts.push(h("p", { class: "soft" }, told.place_note));
    return parts;
  }

  private aboutPlace(told: PictureAnswer): HTMLElement[] {
    const place = told.place!;
    const where = place.tips.length === 1 ? [h("span", {}, "on the branch of "), this.speciesLink(place.tips[0])] : [h("span", {}, `on the branch above a clade of ${place.tips.length} species`)];
    const most = Math.max(...place.relatives.map((each) => each.high ?? each.distance), 1e-9);
    return [
      h("h3", {}, "In the tree"),
      h("p", {}, ...where),
      h("h3", {}, `Expected relatives, with ${percent(place.confidence)} intervals`),
      h(
        "ul",
        { class: "intervals" },
        place.relatives.slice(0, 8).map(({ species, distance, low, high }) => {
          const end = high ?? most;
          return h(
            "li",
            { title: `${shown(distance)} (${shown(low)} to ${high === null ? "any" : shown(high)})` },
            this.speciesLink(species),
            h("span", { class: "track" }, h("i", { style: { left: `${(100 * low) / most}%`, width: `${(100 * (end - low)) / most}%` } }), h("b", { style: { left: `${(100 * distance) / most}%` } })),
            h("small", {}, shown(distance)),
          );
        }),
      ),
    ];
  }

  private speciesLink(name: string): HTMLElement {
    return h("button", { type: "button", class: "link taxon", onclick: () => this.store.update({ species: [name], thing: null, lasso: [] }) }, readable(name));
  }

  private async askSequence(text: string): Promise<void> {
    this.clear();
    this.waiting("Comparing …");
    try {
      const told = await this.exhibit.source.ask<SequenceAnswer>("sequence", text);
      const chart = told.chart === null ? null : this.exhibit.charts[told.chart];
      const queries = [...new Set(told.hits.map((hit) => hit.query))];
      this.answer.replaceChildren(
        ...queries.flatMap((query) => {
          const hits = told.hits.filter((hit) => hit.query === query);
          const species = [...new Set(hits.map((hit) => hit.species).filter(Boolean))];
          return [
            h("h3", {}, `Nearest to ${query}`),
            h(
              "table",
              { class: "hits" },
              h("thead", {}, h("tr", {}, h("th", {}, "sequence"), h("th", {}, "species"), h("th", { class: "number" }, "letters apart"))),
              h("tbody", {}, hits.map((hit) => h("tr", {}, h("td", {}, hit.reference), h("td", {}, hit.species ? this.speciesLink(hit.species) : ""), h("td", { class: "number" }, String(hit.edit_distance))))),
            ),
            ...(chart ? species.slice(0, 3).map((name) => h("div", {}, h("p", { class: "taxon" }, readable(name)), h("div", { class: "thumbs" }, (told.pictures[name] ?? []).map((row) => thumb(chart, row, this.store))))) : []),
          ];
        }),
      );
      const best = told.hits[0];
      announce(best ? `Nearest: ${readable(best.species || best.reference)}.` : "Nothing found.");
    } catch (error) {
      this.refuse(error);
    }
  }
}
