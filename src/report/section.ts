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
  /** Where it ends: bars have whiskers from there to there. */
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

/** Bars below each other, from 0, a group for each label, in the order given. All that are drawn have one unit. */
export interface BarsSection extends Titled {
  readonly kind: 'bars'
  /** What the labels are: `peer`, `checksum`. */
  readonly label: string
  readonly labels: readonly string[]
  readonly series: readonly Series[]
}

/** One column of a table. */
export interface Column {
  readonly label: string
  /** Of numbers; text has none. */
  readonly unit?: Unit
  readonly values: readonly (number | string | null)[]
  /** What a value is called in full, where it is shown short: the pointer brings it up. */
  readonly titles?: readonly string[]
}

/** A table, column by column. All columns have as many values. Readers may sort it by any. */
export interface TableSection extends Titled {
  readonly kind: 'table'
  readonly columns: readonly Column[]
  /** The states of pages that the rows are about: each is shown with the colour it has in the map. */
  readonly states?: readonly string[]
  /** The last row adds up the others, and stays last. */
  readonly total?: boolean
  /** Behind a line that opens it. */
  readonly folded?: boolean
}

/** What the rows of a matrix are, or its columns. */
export interface Side {
  readonly label: string
  readonly names: readonly string[]
  /** The names in full, where they are shown short. */
  readonly titles?: readonly string[]
}

/** Numbers for every row with every column, the darker the more. */
export interface MatrixSection extends Titled {
  readonly kind: 'matrix'
  readonly rows: Side
  readonly columns: Side
  readonly unit: Unit
  /** Row by row; null: none there. */
  readonly values: readonly (readonly (number | null)[])[]
  /** `log`: ten times as much is so much darker, for numbers that lie far apart. Default: linear. */
  readonly scale?: 'linear' | 'log'
  /** Rows and columns are the images of the report's only map: each number leads to the pages it counts. */
  readonly linked?: boolean
}

/**
 * Memory, page by page: all images small, one large, and a panel about a page. `#IMAGE/PAGE` leads to a page of the only map of
 * a report, `#a/IMAGE/PAGE` to one of the first of several; two in a row stand side by side.
 */
export interface MapSection extends Titled {
  readonly kind: 'map'
  readonly map: PageMap
}

/** One part of a report: a picture with its title. Each but a table is shown as a table too. */
export type Section = FiguresSection | LinesSection | BarsSection | TableSection | MatrixSection | MapSection

/** What became of every page, packed. `packPageMap` makes one, report/page/page-map.ts takes it apart. */
export interface PageMap {
  /** What the states are called, by number. */
  readonly states: readonly string[]
  readonly images: readonly {
    readonly source: string
    /** What it is called where there is little room. */
    readonly name: string
    readonly pages: number
    /** Runs of pages with adjacent addresses: the first page, and its address in bytes. */
    readonly extents: readonly (readonly [page: number, address: number])[]
  }[]
  readonly max_page_sharing: number
  /**
   * Base64 of deflate of: a byte a page, its state, and 128 more if it belongs with others; then for those that do 4 bytes
   * a page, the code of its group, all lowest bytes first, then all the next. 0: a new group; 1: the one that came after the
   * group before when that was last met; otherwise 2 plus how many are newer. (`data` in results of schema 2, otherwise packed.)
   */
  readonly packed: string
  /**
   * If a later moment was written in between: base64 of deflate of a byte a page, its state before, and 128 more if
   * it was written.
   */
  readonly before?: string
}

/** What `writeReport` writes: plain data, that may be made by hand or by `mergeReport`, `benchReport`, `hashReport`. */
export interface Report {
  /** Heading of the page. */
  readonly title: string
  /** One line below the title: of what. */
  readonly subtitle: string
  /** What is to be kept in mind of it, in a sentence or two. */
  readonly verdict?: string
  /** From top to bottom. */
  readonly sections: readonly Section[]
  /** What the command prints with --json. Of its date, command, version and machine, as far as it has them, a footer is made. */
  readonly result: unknown
}
