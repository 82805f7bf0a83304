// Which tiles of a chart are needed for what is on the screen, fetched coarse before fine.

import type { ChartData } from "./exhibit";
import type { Batch } from "./painter";

export interface Tile extends Batch {
  level: number;
  rows: Uint32Array;
}

interface Bounds {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** A tile is drawn from the size on which its points would lie this many pixels wide. */
const SIDE = 160;
const AT_ONCE = 6;

export class TileStore {
  private readonly held = new Map<string, Tile>();
  private readonly there: Set<string>;
  private readonly deepest: number;
  private coming = new Set<string>();
  private wanted: [number, number, number][] = [];

  constructor(
    private readonly chart: ChartData,
    private readonly dress: (tile: Tile) => void,
    private readonly onArrival: () => void,
  ) {
    this.there = new Set(chart.info.tiles.map(([level, column, row]) => `${level}-${column}-${row}`));
    this.deepest = Math.max(0, ...chart.info.tiles.map(([level]) => level));
  }

  all(): Iterable<Tile> {
    return this.held.values();
  }

  get isComplete(): boolean {
    return !this.coming.size && !this.wanted.length;
  }

  /** Tiles to draw now, coarse first; those that are missing are sent for. */
  visible(bounds: Bounds, scale: number): Tile[] {
    const level = Math.min(this.deepest, Math.max(0, Math.floor(Math.log2(scale / SIDE))));
    const found: Tile[] = [];
    this.wanted = [];
    for (let l = 0; l <= level; l++) {
      const side = 2 ** l;
      const clip = (x: number) => Math.min(Math.max(Math.floor(x * side), 0), side - 1);
      for (let row = clip(bounds.top); row <= clip(bounds.bottom); row++) {
        for (let column = clip(bounds.left); column <= clip(bounds.right); column++) {
          const name = `${l}-${column}-${row}`;
          const tile = this.held.get(name);
          if (tile) found.push(tile);
          else if (this.there.has(name) && !this.coming.has(name)) this.wanted.push([l, column, row]);
        }
      }
    }
    this.fetchNext();
    return found;
  }

  private fetchNext(): void {
    while (this.coming.size < AT_ONCE && this.wanted.length) {
      const [level, column, row] = this.wanted.shift()!;
      const name = `${level}-${column}-${row}`;
      this.coming.add(name);
      this.chart.source
        .bytes(`chart/${this.chart.number}/tile/${name}.bin`)
        .then((content) => {
          const n = content.byteLength / 12;
          const tile: Tile = {
            level,
            rows: new Uint32Array(content, 0, n),
            xy: new Float32Array(content, 4 * n, 2 * n),
            tint: new Uint32Array(n),
            isDim: new Uint8Array(n),
            version: 0,
          };
          this.dress(tile);
          this.held.set(name, tile);
        })
        .finally(() => {
          this.coming.delete(name);
          this.onArrival();
        });
    }
  }
}
