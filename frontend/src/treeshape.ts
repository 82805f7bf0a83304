// A rooted tree in preorder: what hangs where, and how far apart things are.

import type { TreeRecord } from "./types";

export class TreeShape {
  readonly parent: number[];
  readonly length: number[];
  readonly names: string[];
  readonly hasLengths: boolean;
  /** One past the last node of each subtree. */
  readonly stop: Int32Array;
  readonly depth: Float64Array;
  readonly height: number;
  /** Nodes that are tips, top to bottom. */
  readonly tips: number[] = [];
  readonly tipNames: string[];
  /** Place of each node from top to bottom, in tips. */
  readonly row: Float64Array;
  readonly firstTip: Int32Array;
  readonly lastTip: Int32Array;
  readonly children: number[][];
  private readonly tipOf: Map<string, number>;

  constructor(record: TreeRecord) {
    const n = record.parent.length;
    this.parent = record.parent;
    this.length = record.length;
    this.names = record.names;
    this.hasLengths = record.has_lengths;
    this.stop = new Int32Array(n);
    this.depth = new Float64Array(n);
    this.children = Array.from({ length: n }, () => []);
    for (let i = 1; i < n; i++) {
      this.children[this.parent[i]].push(i);
      this.depth[i] = this.depth[this.parent[i]] + this.length[i];
    }
    this.row = new Float64Array(n);
    this.firstTip = new Int32Array(n);
    this.lastTip = new Int32Array(n);
    for (let i = 0; i < n; i++) {
      if (!this.children[i].length) {
        this.row[i] = this.firstTip[i] = this.lastTip[i] = this.tips.length;
        this.tips.push(i);
      }
    }
    for (let i = n - 1; i >= 0; i--) {
      const below = this.children[i];
      this.stop[i] = below.length ? this.stop[below[below.length - 1]] : i + 1;
      if (below.length) {
        this.firstTip[i] = this.firstTip[below[0]];
        this.lastTip[i] = this.lastTip[below[below.length - 1]];
        this.row[i] = (this.row[below[0]] + this.row[below[below.length - 1]]) / 2;
      }
    }
    this.height = Math.max(...this.tips.map((tip) => this.depth[tip]), 1e-12);
    this.tipNames = this.tips.map((tip) => this.names[tip]);
    this.tipOf = new Map(this.tipNames.map((name, i) => [name, this.tips[i]]));
  }

  nodeOf(tip: string): number | undefined {
    return this.tipOf.get(tip);
  }

  tipsBelow(node: number): string[] {
    return this.tipNames.slice(this.firstTip[node], this.lastTip[node] + 1);
  }

  /** The smallest clade with all these tips; undefined when none of them is here. */
  cladeOf(names: string[]): number | undefined {
    const nodes = names.map((name) => this.tipOf.get(name)).filter((node) => node !== undefined);
    if (!nodes.length) return undefined;
    const rows = nodes.map((node) => this.row[node]);
    const [low, high] = [Math.min(...rows), Math.max(...rows)];
    let node = nodes[0];
    while (node > 0 && (this.firstTip[node] > low || this.lastTip[node] < high)) node = this.parent[node];
    return node;
  }

  /** Distance along the branches from one tip to every tip. */
  distancesFrom(tip: string): Map<string, number> {
    const start = this.tipOf.get(tip);
    const found = new Map<string, number>();
    if (start === undefined) return found;
    const away = new Float64Array(this.parent.length).fill(NaN);
    for (let node = start, far = 0; node >= 0; far += this.length[node], node = this.parent[node]) away[node] = far;
    for (let i = 0; i < away.length; i++) {
      if (Number.isNaN(away[i])) away[i] = away[this.parent[i]] + this.length[i];
    }
    for (const node of this.tips) found.set(this.names[node], away[node]);
    return found;
  }

  /** The same tree, turned at its nodes so that its tips stand near those of another. */
  arrangedLike(other: TreeShape): TreeShape {
    const wanted = new Float64Array(this.parent.length);
    const size = new Float64Array(this.parent.length);
    for (let i = this.parent.length - 1; i >= 0; i--) {
      if (!this.children[i].length) {
        const there = other.nodeOf(this.names[i]);
        wanted[i] = there === undefined ? 0 : other.row[there];
        size[i] = 1;
      } else {
        wanted[i] /= size[i];
      }
      if (i) {
        wanted[this.parent[i]] += wanted[i] * size[i];
        size[this.parent[i]] += size[i];
      }
    }
    const order: number[] = [];
    const waiting = [0];
    while (waiting.length) {
      const node = waiting.pop()!;
      order.push(node);
      waiting.push(...[...this.children[node]].sort((a, b) => wanted[b] - wanted[a]));
    }
    const place = new Map(order.map((node, i) => [node, i]));
    return new TreeShape({
      parent: order.map((node) => (node ? place.get(this.parent[node])! : -1)),
      length: order.map((node) => this.length[node]),
      names: order.map((node) => this.names[node]),
      has_lengths: this.hasLengths,
    });
  }
}
