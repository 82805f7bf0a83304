// What the server tells, as `kinlens.explorer.queries` writes it.

export interface ColumnInfo {
  name: string;
  kind: "category" | "number";
  categories: string[];
}

export interface ChartInfo {
  name: string;
  kind: string;
  placed_by: string;
  n: number;
  has_pictures: boolean;
  channels: { name: string; tint: [number, number, number] }[];
  tiles: [number, number, number, number][];
  columns: ColumnInfo[];
}

export interface RunInfo {
  name: string;
  study: string;
  title: string;
  /** What is true, where the world was simulated. */
  truth: string;
  headlines: { sentence: string; verdict: string }[];
}

export interface ExhibitInfo {
  program: string;
  title: string;
  can_ask: { picture: boolean; sequence: boolean; attention: boolean };
  runs: RunInfo[];
  charts: ChartInfo[];
  has_tree: boolean;
}

export interface TreeRecord {
  parent: number[];
  length: number[];
  names: string[];
  has_lengths: boolean;
}

export interface TreeInfo {
  tree?: TreeRecord;
  looks?: TreeRecord | null;
  rank?: string;
  /** The chart whose things belong to the tips. */
  chart?: number | null;
  pictures?: Record<string, number>;
  counts?: Record<string, number>;
}

export type Value = string | number | null;

export interface Neighbour {
  row: number;
  similarity: number;
}

export interface Thing {
  row: number;
  id: string;
  facts: [string, Value][];
  nearest: Neighbour[];
}

export interface TableInfo {
  columns?: Record<string, Value[]>;
  name?: string;
  caption?: string;
}

export interface GenesInfo extends TableInfo {
  numbers?: (number | null)[];
  species?: string[];
}

export interface LabelsInfo {
  run?: string;
  images?: string[];
  columns?: Record<string, Value[]>;
  texts?: Record<string, Value[]>;
}

export interface FindingsInfo {
  figures: { title: string; caption: string; kind: "svg" | "png" }[];
  methods: string;
}

export interface RankName {
  rank: string;
  name: string;
  probability: number;
}

export interface Relative {
  species: string;
  distance: number;
  low: number;
  high: number | null;
}

export interface TreePlace {
  tips: string[];
  above: number;
  twig: number;
  p_value: number;
  is_in_tree: boolean;
  relatives: Relative[];
  confidence: number;
}

export interface PictureAnswer {
  names: RankName[];
  safe: RankName | null;
  candidates: string[];
  error_rate: number | null;
  facts: [string, string][];
  place: TreePlace | null;
  place_note: string;
  chart: number | null;
  nearest: Neighbour[];
  strangeness: { share: number; is_strange: boolean } | null;
  point: [number, number] | null;
}

export interface SequenceAnswer {
  hits: { query: string; reference: string; species: string; edit_distance: number }[];
  chart: number | null;
  pictures: Record<string, number[]>;
}

export interface AttentionAnswer {
  label: string;
  /** Loss of probability for each square that is blanked, from the top left. */
  cells: number[][];
}
