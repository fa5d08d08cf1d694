// Loads the core and shakes hands with it. The only file that knows where the binary lies and what it exports.

import { ABI_VERSION } from '../../assembly/abi.ts'
import { PagefoldError } from '../errors.ts'

/** The core's functions: integers in, integers out. What each does is said where it is defined, in assembly/. */
export interface Core {
  abiVersion(): number
  comparePages(pfn: number, otherPfn: number): number
  pagesIdentical(pfn: number, otherPfn: number): number
  isZeroPage(pfn: number): number
  copyPage(toPfn: number, fromPfn: number): void
  clearPage(pfn: number): void
  checksum(pfn: number, out: number): void
  digest(pfn: number, out: number): void
  resample(pfn: number, out: number, from: number, to: number): void
  hashWindow(start: number, count: number, stableRoots: number, unstableRoots: number): number
  takeBack(start: number, count: number): void
  checksumChanged(at: number): number
  hashAhead(from: number): number
  slabAlloc(kind: number): number
  slabFree(kind: number, object: number): void
  takePages(count: number): number
  touchPages(bytes: number): void
  search(roots: number): number
  searchBelow(link: number): number
  insert(node: number, link: number): void
  erase(node: number): void
  replace(old: number, fresh: number): void
  first(link: number): number
  next(node: number): number
  checkTree(slot: number, byChecksum: number): number
}

/** Every one that must be there: a binary that lacks one is another core's. */
const EXPORTS: Readonly<Record<keyof Core, true>> = {
  abiVersion: true,
  comparePages: true,
  pagesIdentical: true,
  isZeroPage: true,
  copyPage: true,
  clearPage: true,
  checksum: true,
  digest: true,
  resample: true,
  hashWindow: true,
  takeBack: true,
  checksumChanged: true,
  hashAhead: true,
  slabAlloc: true,
  slabFree: true,
  takePages: true,
  touchPages: true,
  search: true,
  searchBelow: true,
  insert: true,
  erase: true,
  replace: true,
  first: true,
  next: true,
  checkTree: true,
}

const modules = new Map<string, Promise<WebAssembly.Module>>()

/**
 * Instantiates the core on a shared memory. The module is stateless, so any number of instances may share one memory,
 * and one compiled module serves every host of the process.
 *
 * Throws EUCLEAN, in a line that says what to do, if the binary was built from other sources than this code.
 */
export async function instantiateCore(memory: WebAssembly.Memory): Promise<Core> {
  const url = coreUrl()
  const key = url.href
  let module = modules.get(key)
  if (module === undefined) {
    module = compile(url)
    modules.set(key, module)
    module.catch(() => modules.delete(key))
  }
  const instance = await WebAssembly.instantiate(await module, { env: { memory } })
  const core = instance.exports as unknown as Core
  const lacking = Object.keys(EXPORTS).filter((name) => !(name in core))
  if (lacking.length > 0) throw stale(key, `lacks ${lacking.join(', ')}`)
  const version = core.abiVersion()
  if (version !== ABI_VERSION) throw stale(key, `has layout ${version}, this code expects ${ABI_VERSION}`)
  return core
}

function stale(what: string, why: string): PagefoldError {
  return new PagefoldError('EUCLEAN', `${what} ${why}: rebuild with \`npm run build\``)
}

/** A file that was built beside the core. */
export function besideCore(name: string): URL {
  return new URL(name, coreUrl())
}

/** The release build beside this file once built, or the one PAGEFOLD_CORE names, for tests. */
function coreUrl(): URL {
  const other = globalThis.process?.env.PAGEFOLD_CORE
  return other ? new URL(other, `file://${process.cwd()}/`) : new URL('./core.wasm', import.meta.url)
}

async function compile(url: URL): Promise<WebAssembly.Module> {
  if (url.protocol !== 'file:') return WebAssembly.compileStreaming(fetch(url))
  const { readFile } = await import('node:fs/promises')
  return WebAssembly.compile(await readFile(url))
}
