// Where a sparse file has bytes of its own. The system tells it by lseek with SEEK_DATA and SEEK_HOLE, and Node has no lseek: so
// one of the programs that have one, and are on nearly every machine, is asked. Without any of them the file's size on disk
// may still tell: if it has room for nothing but the blocks that are not zeros, all others are holes.

import { spawnSync } from 'node:child_process'
import { PAGE_SIZE } from '../../assembly/abi.ts'
import { type DiskFile, refuse } from './file.ts'

/** Bytes of the file's own; all else are holes. */
export interface Extent {
  readonly offset: number
  readonly length: number
}

/** Programs that print where data begins and ends, a pair a line, of the file that is their descriptor 3. */
const PROGRAMS: readonly (readonly [name: string, ...args: string[]])[] = [
  [
    'perl',
    '-e',
    // 6 is ENXIO: there is no data any more. SEEK_DATA and SEEK_HOLE are 3 and 4 but on a Mac.
    `open(F, '<&=3') or exit 1; my ($d, $h) = $^O eq 'darwin' ? (4, 3) : (3, 4); my $at = 0;
    while (1) { my $from = sysseek(F, $at, $d); if (!defined $from) { exit($! == 6 ? 0 : 1) }
    $at = sysseek(F, $from, $h); exit 1 if !defined $at; printf("%.0f %.0f\\n", $from, $at) }`,
  ],
  [
    'python3',
    '-ISc',
    `import os
at = 0
while True:
    try: start = os.lseek(3, at, os.SEEK_DATA)
    except OSError as e: raise SystemExit(0 if e.errno == 6 else 1)
    at = os.lseek(3, start, os.SEEK_HOLE)
    print(start, at)`,
  ],
]
const MAX_OUTPUT = 2 ** 28

/**
 * Finds a sparse file's data, ascending. Throws EINVAL for a file that has no holes, or if nobody can tell them from zeros that
 * were written.
 */
export function dataOf(file: DiskFile): Extent[] {
  const extents = ask(file) ?? byItsSize(file)
  const data = extents.reduce((sum, { length }) => sum + length, 0)
  if (data >= file.size) {
    throw refuse(
      file,
      'has no holes, so there is nothing to take from the base: is it whole, or was it copied without --sparse?',
    )
  }
  return extents
}

function ask(file: DiskFile): Extent[] | undefined {
  const { PATH } = process.env
  for (const [name, ...args] of PROGRAMS) {
    const stdio = ['ignore', 'pipe', 'ignore', file.fd] as const
    const { status, stdout } = spawnSync(name, args, {
      stdio: [...stdio],
      encoding: 'utf8',
      maxBuffer: MAX_OUTPUT,
      env: PATH === undefined ? {} : { PATH },
    })
    if (status !== 0) continue
    const pairs = stdout.split('\n').filter((line) => line !== '')
    return pairs.map((line) => {
      const [start, end] = line.split(' ').map(Number) as [number, number]
      return { offset: start, length: end - start }
    })
  }
  return undefined
}

/** Throws EINVAL where zeros may have been written. */
export function byItsSize(file: DiskFile): Extent[] {
  const extents: Extent[] = []
  let data = 0
  for (let offset = 0; offset < file.size; offset += PAGE_SIZE) {
    const length = Math.min(PAGE_SIZE, file.size - offset)
    if (file.bytes(offset, length).every((byte) => byte === 0)) continue
    extents.push({ offset, length })
    data += PAGE_SIZE
  }
  if (file.allocated === undefined || file.allocated > data) {
    throw refuse(
      file,
      'holes cannot be told from zeros that were written here; install perl or python3, one of which tells them',
    )
  }
  return extents
}
