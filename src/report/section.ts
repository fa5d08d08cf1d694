// What a report is made of. A command hands over figures and says what kind of picture they make; how that looks is the
// business of report/page. Plain data: it travels to the page as JSON.

/** What a number counts, which decides how it is written. `share`: of 1, shown as a percentage; `rate`: bytes a second. */
export type Unit = 'count' | 'bytes' | 'ms' | 'ns' | 'share' | 'ratio' | 'rate'

interface Titled {
  /** Stands above the section. */
  readonly title: string
  /** A sentence or two below the title: what is seen here, and what to look for. */
  readonly note?: string
}

/** A few numbers that matter most, large. */
export interface FiguresSection extends Titled {
  readonly kind: 'figures'
  readonly figures: readonly {
    readonly label: string
    readonly value: number
    readonly unit: Unit
    readonly note?: string
  }[]
}

/** One curve or one set of bars: a number for each point or label. */
export interface Series {
  /** What the legend calls it. */
  readonly label: string
  /** What its numbers count. */
  readonly unit: Unit
  /** One a point or group; null: none there. */
  readonly values: readonly (number | null)[]
  /** Where the interval of each number begins, if it has one. */
  readonly low?: readonly (number | null)[]
  /** Where it ends. */
  readonly high?: readonly (number | null)[]
  /** In the table below the picture, but not in the picture. */
  readonly tableOnly?: boolean
}

/** Curves over a common x. All that are drawn have one unit. */
export interface LinesSection extends Titled {
  readonly kind: 'lines'
  readonly x: { readonly label: string; readonly unit: Unit; readonly values: readonly number[] }
  readonly series: readonly Series[]
}

/** Bars beside each other, a group for each label. All that are drawn have one unit. */
export interface BarsSection extends Titled {
  readonly kind: 'bars'
  /** What the labels are: `peer`, `checksum`. */
  readonly label: string
  readonly labels: readonly string[]
  readonly series: readonly Series[]
}

/** A table, column by column. All columns have as many values. */
export interface TableSection extends Titled {
  readonly kind: 'table'
  readonly columns: readonly {
    readonly label: string
    /** Of numbers; text has none. */
    readonly unit?: Unit
    readonly values: readonly (number | string | null)[]
  }[]
}

/** Memory, a pixel a page. */
export interface MapSection extends Titled {
  readonly kind: 'map'
  readonly map: PageMap
}

/** One part of a report: a picture with its title. Each but a table is shown as a table too. */
export type Section = FiguresSection | LinesSection | BarsSection | TableSection | MapSection

/** What became of every page, packed. `packPageMap` makes one, report/page/page-map.ts takes it apart. */
export interface PageMap {
  /** What the states are called, by number. */
  readonly states: readonly string[]
  readonly images: readonly {
    readonly source: string
    readonly pages: number
    /** Runs of pages with adjacent addresses: the first page, and its address in bytes. */
    readonly extents: readonly (readonly [page: number, address: number])[]
  }[]
  readonly max_page_sharing: number
  /**
   * Base64 of deflate of: a byte a page, its state; then for each page a varint, its group. 0: none; 1: one more than the
   * highest before; otherwise 2 plus the zigzag difference to the group before.
   */
  readonly data: string
}

/** What `writeReport` writes: plain data, that may be made by hand or by `mergeReport`, `benchReport`, `hashReport`. */
export interface Report {
  /** Heading of the page. */
  readonly title: string
  /** One line below the title: of what. */
  readonly subtitle: string
  /** From top to bottom. */
  readonly sections: readonly Section[]
  /** What the command prints with --json. */
  readonly result: unknown
}
