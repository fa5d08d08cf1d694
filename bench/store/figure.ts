// What each measurement of the store hands over.

/** A figure, and what is to be known about it. */
export interface StoreFigure {
  readonly what: string
  readonly figure: string
}
