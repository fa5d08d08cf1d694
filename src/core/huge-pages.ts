// Huge pages for an arena: fewer faults where memory is touched for the first time, and fewer translations to look up afterwards. Linux
// gives them to whoever asks (madvise), which JavaScript cannot; so a package does that is installed by whoever wants them.

import { PagefoldError } from '../errors.ts'
import { files, installed, operatingSystem } from '../platform.ts'

/** What is used of koffi. */
interface Koffi {
  load(library: null): { func(declaration: string): (...args: unknown[]) => number }
  errno(): number
}

const MADVISE = 'int madvise(void *address, size_t length, int advice)'
const MADV_HUGEPAGE = 14
/** Where Linux says who gets huge pages. */
const ENABLED = '/sys/kernel/mm/transparent_hugepage/enabled'

/** Asks for huge pages for a memory. Throws ENOTSUP with the reason where none are to be had. */
export function adviseHugePages({ buffer }: WebAssembly.Memory): void {
  const system = operatingSystem()
  if (system !== 'linux') throw refused(`Linux gives them, and this is ${system ?? 'none'}`)
  const why = whyNone(enabled())
  if (why !== undefined) throw refused(why)
  const koffi = loadKoffi()
  const madvise = koffi.load(null).func(MADVISE)
  if (madvise(new Uint8Array(buffer), buffer.byteLength, MADV_HUGEPAGE) !== 0)
    throw refused(`madvise says errno ${koffi.errno()}`)
}

/** Why nobody gets huge pages, by what Linux says of them; undefined if who asks does. */
export function whyNone(enabled: string | undefined): string | undefined {
  if (enabled === undefined) return `this kernel has none (${ENABLED})`
  return enabled.includes('[never]') ? `they are switched off in ${ENABLED}` : undefined
}

function loadKoffi(): Koffi {
  try {
    return installed('koffi', 'hugePages') as Koffi
  } catch (cause) {
    throw refused('the package koffi does not load, which asks for them: npm install koffi', cause)
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
