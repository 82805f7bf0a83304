// What is selected, as a question that every view can put to its own things.

import type { ChartData, ExhibitData } from "./exhibit";
import type { State } from "./state";

export type Selection =
  | { kind: "none" }
  | { kind: "thing"; row: number }
  | { kind: "species"; names: string[] }
  | { kind: "lasso"; line: number[] };

export function selectionOf(state: State): Selection {
  if (state.thing !== null) return { kind: "thing", row: state.thing };
  if (state.lasso.length) return { kind: "lasso", line: state.lasso };
  if (state.species.length) return { kind: "species", names: state.species };
  return { kind: "none" };
}

/** Whether a point lies inside a line drawn around, by the number of crossings. */
export function isInside(line: number[], x: number, y: number): boolean {
  let inside = false;
  for (let i = 0, j = line.length - 2; i < line.length; j = i, i += 2) {
    const [xi, yi, xj, yj] = [line[i], line[i + 1], line[j], line[j + 1]];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside;
  }
  return inside;
}

/** Rows of all things that are selected, ascending. */
export async function selectedRows(exhibit: ExhibitData, chart: ChartData, selection: Selection): Promise<Uint32Array> {
  if (selection.kind === "none") return new Uint32Array(0);
  if (selection.kind === "thing") return Uint32Array.of(selection.row);
  const found = new Uint32Array(chart.info.n);
  let n = 0;
  if (selection.kind === "lasso") {
    const xy = await chart.positions();
    const line = selection.line;
    const xs = line.filter((_, i) => i % 2 === 0);
    const ys = line.filter((_, i) => i % 2 === 1);
    const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    for (let i = 0; i < chart.info.n; i++) {
      const [x, y] = [xy[2 * i], xy[2 * i + 1]];
      if (x >= left && x <= right && y >= top && y <= bottom && isInside(line, x, y)) found[n++] = i;
    }
    return found.subarray(0, n);
  }
  const column = chart.column(exhibit.tipRank) ?? chart.column("species");
  if (!column) return new Uint32Array(0);
  const wanted = new Set(selection.names.map((name) => column.categories.indexOf(name)));
  const values = await chart.values(column);
  for (let i = 0; i < values.length; i++) if (wanted.has(values[i])) found[n++] = i;
  return found.subarray(0, n);
}
