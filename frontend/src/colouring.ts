// From what the state says of colour to a scale and a value for each thing.

import { categoryScale, numberScale, presenceScale, treeScale, type Scale } from "./colour";
import { readable } from "./dom";
import type { ChartData, ExhibitData } from "./exhibit";

export interface Colouring {
  scale: Scale;
  values: Float32Array;
  /** Name of the column, "" when values are not those of one. */
  column: string;
  /** A value for each tip of the tree, where it has one. */
  tip(name: string): number | undefined;
}

export interface Choice {
  key: string;
  label: string;
}

export function choicesFor(exhibit: ExhibitData, chart: ChartData, current: string): Choice[] {
  const found = chart.info.columns.map((column) => ({ key: column.name, label: readable(column.name) }));
  if (exhibit.tree && chart.column(exhibit.tipRank)) {
    const species = current.startsWith("related:") ? current.slice(8) : "";
    found.push({ key: `related:${species}`, label: species ? `distance to ${readable(species)}` : "distance to a species …" });
  }
  if (current.startsWith("gene:")) found.push({ key: current, label: `gene ${current.slice(5)}` });
  return found;
}

/** The column a chart opens with: the family or the nearest that tells groups apart. */
export function firstColour(chart: ChartData): string {
  const wanted = ["family", "genus", "species", "clade", "labels", "truth"];
  const columns = chart.info.columns;
  const good = wanted.map((name) => columns.find((c) => c.name === name)).find((c) => c && c.categories.length > 1);
  return (good ?? columns.find((c) => c.kind === "category") ?? columns[0])?.name ?? "";
}

/** Without a chart there are no things to colour, but there may be tips. */
export async function colouringFor(exhibit: ExhibitData, chart: ChartData | null, wanted: string): Promise<Colouring> {
  if (wanted.startsWith("related:") && exhibit.tree) {
    const species = wanted.slice(8) || exhibit.tree.tipNames[0];
    const distances = exhibit.tree.distancesFrom(species);
    const values = await bySpecies(exhibit, chart, (name) => distances.get(name));
    const scale = numberScale(`distance to ${readable(species)}`, chart ? values : Float32Array.from(distances.values()));
    return { scale, values, column: "", tip: (name) => distances.get(name) };
  }
  if (wanted.startsWith("gene:")) {
    const gene = await exhibit.gene(wanted.slice(5));
    if (gene) {
      const values = await bySpecies(exhibit, chart, (name) => gene.get(name));
      const count = (value: number) => values.reduce((sum, x) => sum + Number(x === value), 0);
      const scale = presenceScale(`gene ${wanted.slice(5)}`, [count(0), count(1)]);
      return { scale, values, column: "", tip: (name) => gene.get(name) };
    }
  }
  const column = chart?.column(wanted) ?? chart?.column(firstColour(chart));
  if (!chart || !column) {
    const values = new Float32Array(chart?.info.n ?? 0).fill(NaN);
    return { scale: numberScale("", values), values, column: "", tip: () => undefined };
  }
  const values = await chart.values(column);
  let scale: Scale;
  if (column.kind === "number") {
    scale = numberScale(readable(column.name), values);
  } else {
    const counts = new Uint32Array(column.categories.length);
    for (const value of values) if (!Number.isNaN(value)) counts[value] += 1;
    const isTips = exhibit.tree !== null && column.name === exhibit.tipRank;
    scale = isTips
      ? treeScale(readable(column.name), column.categories, counts, exhibit.tree!.tipNames)
      : categoryScale(readable(column.name), column.categories, counts);
  }
  const tips = await tipValues(exhibit, chart, values);
  return { scale, values, column: column.name, tip: (name) => tips.get(name) };
}

async function bySpecies(
  exhibit: ExhibitData,
  chart: ChartData | null,
  valueOf: (name: string) => number | undefined,
): Promise<Float32Array> {
  const column = chart?.column(exhibit.tipRank);
  if (!chart || !column) return new Float32Array(chart?.info.n ?? 0).fill(NaN);
  const each = column.categories.map((name) => valueOf(name) ?? NaN);
  return (await chart.values(column)).map((code) => (Number.isNaN(code) ? NaN : each[code]));
}

/** The value that all things of a species share; species whose things differ have none. */
async function tipValues(exhibit: ExhibitData, chart: ChartData, values: Float32Array): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  const column = chart.column(exhibit.tipRank);
  if (!exhibit.tree || !column) return found;
  const codes = await chart.values(column);
  const first = new Map<number, number>();
  const differs = new Set<number>();
  for (let i = 0; i < codes.length; i++) {
    if (Number.isNaN(codes[i])) continue;
    if (!first.has(codes[i])) first.set(codes[i], values[i]);
    else if (first.get(codes[i]) !== values[i]) differs.add(codes[i]);
  }
  for (const [code, value] of first) if (!differs.has(code)) found.set(column.categories[code], value);
  return found;
}
