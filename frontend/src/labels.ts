// What a run of `location` says of one picture: every label with its probability, and, when asked,
// where the network looked.

import { h, percent, readable, shown } from "./dom";
import type { ChartData, ExhibitData } from "./exhibit";
import type { AttentionAnswer, Value } from "./types";

export function labelBars(exhibit: ExhibitData, chart: ChartData, row: number, image: string, portrait: HTMLElement): HTMLElement[] {
  const { images, columns, texts, run } = exhibit.labels;
  const place = run === chart.info.name ? (images?.indexOf(image) ?? -1) : -1;
  if (place < 0 || !columns) return [];
  const told = Object.entries(columns)
    .map(([name, values]): [string, Value] => [name, values[place]])
    .filter((each): each is [string, number] => typeof each[1] === "number" && each[1] >= 0 && each[1] <= 1)
    .sort((a, b) => b[1] - a[1]);
  if (!told.length) return [];
  const words = Object.entries(texts ?? {}).filter(([, values]) => values[place] !== null && values[place] !== "");
  const canAsk = exhibit.source.isServer && exhibit.info.can_ask.attention;
  const note = h("p", { class: "soft", "aria-live": "polite" }, canAsk && "Press a label to see where the network looks.");
  const name = (label: string) =>
    canAsk
      ? h("button", { type: "button", class: "link", onclick: () => void showAttention(exhibit, chart, row, label, portrait, note) }, readable(label))
      : h("span", {}, readable(label));
  return [
    h("h3", {}, "Where the protein is"),
    h("ul", { class: "bars labels" }, told.slice(0, 12).map(([label, value]) => h("li", {}, h("i", { style: { width: `${100 * value}%` } }), name(label), h("small", {}, percent(value))))),
    note,
    h("dl", {}, words.flatMap(([key, values]) => [h("dt", {}, readable(key)), h("dd", {}, readable(String(values[place])).replaceAll(";", "; "))])),
  ];
}

/** Lays over the picture what the label loses when a square of it is blanked. */
async function showAttention(exhibit: ExhibitData, chart: ChartData, row: number, label: string, portrait: HTMLElement, note: HTMLElement): Promise<void> {
  note.textContent = "Looking …";
  try {
    const question = JSON.stringify({ chart: chart.number, row, label });
    const told = await exhibit.source.ask<AttentionAnswer>("attention", question);
    const n = told.cells.length;
    const most = Math.max(...told.cells.flat().map(Math.abs), 1e-9);
    const squares = h("canvas", { width: n, height: n });
    const context = squares.getContext("2d")!;
    told.cells.forEach((line, y) =>
      line.forEach((loss, x) => {
        // By its root, so that weaker squares are seen as well.
        const share = Math.round(200 * Math.sqrt(Math.abs(loss) / most)) / 255;
        context.fillStyle = loss > 0 ? `rgba(255,150,40,${share})` : `rgba(90,140,255,${share})`;
        context.fillRect(x, y, 1, 1);
      }),
    );
    const heat = h("img", { class: "heat", alt: `Where the network looks for ${readable(label)}`, src: squares.toDataURL() });
    portrait.querySelector(".heat")?.remove();
    const picture = portrait.querySelector(".large") as HTMLElement;
    Object.assign(heat.style, { left: `${picture.offsetLeft}px`, top: `${picture.offsetTop}px`, width: `${picture.offsetWidth}px`, height: `${picture.offsetHeight}px` });
    portrait.append(heat);
    portrait.classList.add("is-under");
    note.textContent = `Orange speaks for ${readable(label)}, blue against it; at most ${shown(Number(most.toPrecision(2)))} of its probability in one square.`;
  } catch (error) {
    note.textContent = error instanceof Error ? error.message : String(error);
  }
}
