// Contents of a census in a file: what may be overwritten, and that it is written whole or not at all. What is in it is its writer's business.

import { expectReplaceable, type FileKind, replaceFileBy } from './replaceable.ts'

const CENSUS: FileKind = { option: '--out', what: 'a Parquet file', beginning: 'PAR1' }

/** Makes sure that contents can be written to `path`. Throws what `expectReportPath` does. */
export function expectContentsPath(path: string): void {
  expectReplaceable(CENSUS, path)
}

/** Has `write` write a file, open as `fd`, that takes the place of `path` when all of it is there. Throws what `writeReport` does, and what `write` does. */
export function writeContentsBy(path: string, write: (fd: number) => void): void {
  replaceFileBy(CENSUS, path, write)
}
