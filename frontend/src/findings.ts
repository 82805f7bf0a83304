// What every run found, as its report says it: sentences, then figures.

import { h } from "./dom";
import type { ExhibitData } from "./exhibit";
import { csvOf, type Exports } from "./export";
import type { FindingsInfo } from "./types";

export class FindingsView {
  readonly element = h("section", { class: "findings view", "aria-label": "Findings" });
  private isFilled = false;

  constructor(private readonly exhibit: ExhibitData) {}

  fill(): void {
    if (this.isFilled) return;
    this.isFilled = true;
    this.exhibit.info.runs.forEach((run, number) => {
      const figures = h("div", { class: "figures" });
      this.element.append(
        h(
          "article",
          { class: "sheet" },
          h("h2", {}, run.title),
          run.truth && h("p", { class: "truth" }, run.truth),
          h("ul", { class: "headlines" }, run.headlines.map((line) => h("li", { class: line.verdict }, line.sentence))),
          figures,
        ),
      );
      void this.exhibit.source.json<FindingsInfo>(`run/${number}/findings.json`).then((found) => {
        found.figures.forEach(({ title, caption, kind }, place) => {
          const heading = title.endsWith("?") ? title : `${title}.`;
          const image = h("img", { alt: `${heading} ${caption}`, loading: "lazy" });
          const link = h("a", { download: `kinlens-${run.study}-${place + 1}.${kind}` }, kind.toUpperCase());
          void this.exhibit.source.image(`run/${number}/figure/${place}.${kind}`).then((address) => {
            image.src = address;
            link.href = address;
          });
          figures.append(h("figure", {}, image, h("figcaption", {}, h("b", {}, heading), " ", caption, " ", link)));
        });
      });
    });
  }

  get exports(): Exports {
    const rows = this.exhibit.info.runs.flatMap((run) => run.headlines.map((line) => [run.study, line.sentence]));
    return { name: "findings", csv: () => csvOf(["study", "sentence"], rows) };
  }
}
