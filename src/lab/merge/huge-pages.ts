// Huge pages for an arena: fewer faults where memory is touched for the first time, and fewer translations to look up afterwards. Linux
// gives them to whoever asks (madvise), which JavaScript cannot; so a package does that is installed by whoever wants them.

import { PagefoldError } from '../../errors.ts'
import type { Host } from '../../host.ts'
import { files, installed } from '../../platform.ts'

/** What is used of koffi. */
interface Koffi {
  load(library: null): { func(declaration: string): (...args: unknown[]) => number }
  errno(): number
}

const MADVISE = 'int madvise(void *address, size_t length, int advice)'
const MADV_HUGEPAGE = 14
/** Where Linux says who gets huge pages. */
const ENABLED = '/sys/kernel/mm/transparent_hugepage/enabled'

/**
 * Asks Linux for huge pages for the arena of a host, in which nothing lies yet: it is filled with fewer page faults then, and takes up memory in
 * pieces of 2 MiB. Wants the package `koffi`, which is not installed with pagefold. Throws ENOTSUP with the reason where none are to be had.
 * Linux: madvise(2), MADV_HUGEPAGE
 */
export function adviseHugePages(host: Host): void {
  const said = enabled()
  if (!areGiven(said)) throw refused(`${ENABLED} says ${said?.trim() ?? 'nothing'}`)
  const koffi = loadKoffi()
  const madvise = koffi.load(null).func(MADVISE)
  const { buffer } = host.memory.arena.memory
  if (madvise(new Uint8Array(buffer), buffer.byteLength, MADV_HUGEPAGE) !== 0)
    throw refused(`madvise says errno ${koffi.errno()}`)
}

/** Are there any for those who ask, by what Linux says? Where there is no Linux nothing is said. */
export function areGiven(said: string | undefined): boolean {
  return said !== undefined && !said.includes('[never]')
}

function loadKoffi(): Koffi {
  try {
    return installed('koffi') as Koffi
  } catch (cause) {
    throw refused('npm install koffi, which asks for them', cause)
  }
}

function enabled(): string | undefined {
  try {
    return files('hugePages').fs.readFileSync(ENABLED, 'utf8')
  } catch {
    return undefined
  }
}

function refused(why: string, cause?: unknown): PagefoldError {
  return new PagefoldError('ENOTSUP', `no huge pages for the arena: ${why}`, { cause })
}
