// The data behind the views: loaded once, when somebody asks, and kept.

import { type Source } from "./source";
import { TreeShape } from "./treeshape";
import type { ChartInfo, ColumnInfo, ExhibitInfo, GenesInfo, LabelsInfo, TableInfo, Thing, TreeInfo, Value } from "./types";

/** Things and their columns, of one chart. */
export class ChartData {
  private readonly columns = new Map<number, Promise<Float32Array>>();
  private readonly things = new Map<number, Promise<Thing>>();
  private positionsComing: Promise<Float32Array> | null = null;
  private idsComing: Promise<string[]> | null = null;

  constructor(
    readonly source: Source,
    readonly number: number,
    readonly info: ChartInfo,
  ) {}

  column(name: string): ColumnInfo | undefined {
    return this.info.columns.find((column) => column.name === name);
  }

  values(column: ColumnInfo): Promise<Float32Array> {
    const place = this.info.columns.indexOf(column);
    return kept(this.columns, place, () => this.source.numbers(`chart/${this.number}/column/${place}.bin`));
  }

  positions(): Promise<Float32Array> {
    return (this.positionsComing ??= this.source.numbers(`chart/${this.number}/positions.bin`));
  }

  ids(): Promise<string[]> {
    return (this.idsComing ??= this.source.json<string[]>(`chart/${this.number}/ids.json`));
  }

  thing(row: number): Promise<Thing> {
    return kept(this.things, row, () => this.source.json<Thing>(`chart/${this.number}/thing/${row}.json`));
  }

  /** What the columns alone say of a thing, where its own answer was left out of an export. */
  async bareThing(row: number): Promise<Thing | null> {
    if (!(row >= 0 && row < this.info.n)) return null;
    const facts = await Promise.all(
      this.info.columns.map(async (column): Promise<[string, Value]> => {
        const value = (await this.values(column))[row];
        if (Number.isNaN(value)) return [column.name, null];
        return [column.name, column.kind === "category" ? column.categories[value] : value];
      }),
    );
    return { row, id: (await this.ids())[row], facts: facts.filter(([, value]) => value !== null), nearest: [] };
  }

  picture(row: number, size: "small" | "medium" | "large"): Promise<string> {
    return this.source.image(`chart/${this.number}/${size}/${row}.jpg`);
  }

  /** What the points are called: one, many. */
  get nouns(): [string, string] {
    const many: Record<string, [string, string]> = {
      image: ["picture", "pictures"],
      sequence: ["sequence", "sequences"],
      species: ["species", "species"],
    };
    return many[this.info.kind] ?? ["point", "points"];
  }
}

export class ExhibitData {
  readonly charts: ChartData[];
  tree: TreeShape | null = null;
  looks: TreeShape | null = null;
  treeInfo: TreeInfo = {};
  genes: GenesInfo = {};
  species: TableInfo = {};
  labels: LabelsInfo = {};
  private readonly geneValues = new Map<number, Promise<Float32Array>>();

  constructor(
    readonly source: Source,
    readonly info: ExhibitInfo,
  ) {
    this.charts = info.charts.map((chart, number) => new ChartData(source, number, chart));
  }

  static async open(source: Source): Promise<ExhibitData> {
    return new ExhibitData(source, await source.json<ExhibitInfo>("exhibit.json"));
  }

  /** What need not be there for the first picture. */
  async loadRest(): Promise<void> {
    const [tree, genes, species, labels] = await Promise.all([
      this.source.json<TreeInfo>("tree.json"),
      this.source.json<GenesInfo>("genes.json"),
      this.source.json<TableInfo>("species.json"),
      this.source.json<LabelsInfo>("labels.json"),
    ]);
    [this.treeInfo, this.genes, this.species, this.labels] = [tree, genes, species, labels];
    if (tree.tree) this.tree = new TreeShape(tree.tree);
    if (tree.tree && tree.looks) this.looks = new TreeShape(tree.looks).arrangedLike(this.tree!);
  }

  /** The column whose values are tips of the tree. */
  get tipRank(): string {
    return this.treeInfo.rank ?? "species";
  }

  /** The chart of which the tips' pictures are, if there is one. */
  get pictures(): ChartData | null {
    const chart = this.charts[this.treeInfo.chart ?? -1];
    return chart?.info.has_pictures ? chart : null;
  }

  /** Which species has a gene: 1, 0 or not known. */
  async gene(name: string): Promise<Map<string, number> | null> {
    const place = this.genes.columns?.[this.genes.name ?? ""]?.findIndex((value) => String(value) === name) ?? -1;
    const number = place < 0 ? null : (this.genes.numbers?.[place] ?? null);
    if (number === null || !this.genes.species) return null;
    const values = await kept(this.geneValues, number, () => this.source.numbers(`gene/${number}.bin`));
    return new Map(this.genes.species.map((species, i) => [species, values[i]]));
  }
}

function kept<K, V>(store: Map<K, Promise<V>>, key: K, make: () => Promise<V>): Promise<V> {
  let value = store.get(key);
  if (!value) {
    value = make();
    // What failed may be asked for again.
    value.catch(() => store.delete(key));
    store.set(key, value);
  }
  return value;
}
