// What a run of `location` says of one picture: every label with its probability.

import { h, percent, readable } from "./dom";
import type { ExhibitData } from "./exhibit";
import type { Value } from "./types";

export function labelBars(exhibit: ExhibitData, image: string): HTMLElement[] {
  const { images, columns, texts } = exhibit.labels;
  const place = images?.indexOf(image) ?? -1;
  if (place < 0 || !columns) return [];
  const told = Object.entries(columns)
    .map(([name, values]): [string, Value] => [name, values[place]])
    .filter((each): each is [string, number] => typeof each[1] === "number" && each[1] >= 0 && each[1] <= 1)
    .sort((a, b) => b[1] - a[1]);
  if (!told.length) return [];
  const words = Object.entries(texts ?? {}).filter(([, values]) => values[place] !== null && values[place] !== "");
  return [
    h("h3", {}, "Where the protein is"),
    h(
      "ul",
      { class: "bars" },
      told.slice(0, 12).map(([name, value]) =>
        h("li", {}, h("i", { style: { width: `${100 * value}%` } }), h("span", {}, readable(name.replace(/^(p|probability)_/, ""))), h("small", {}, percent(value))),
      ),
    ),
    h("dl", {}, words.flatMap(([name, values]) => [h("dt", {}, readable(name)), h("dd", {}, readable(String(values[place])).replaceAll(";", "; "))])),
  ];
}
