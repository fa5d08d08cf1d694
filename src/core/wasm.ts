// Loads the core and shakes hands with it. The only file that knows where the binary is from and what it exports.

import { ABI_VERSION } from '../../assembly/abi.ts'
import core from '../../dist/core.wasm'
import { PagefoldError } from '../errors.ts'
import { fromHex } from '../hex.ts'
import { files } from '../platform.ts'

/** Bytes of the pages that a WebAssembly memory is counted in. */
export const WASM_PAGE = 65_536

/** The number of the core's memory layout: a core of another number does not fit this code. */
export const CORE_ABI: number = ABI_VERSION

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
  passSettled(table: number, vpn: number, end: number, item: number, most: number): number
  forgetUnstable(item: number): void
  hashAhead(from: number): number
  slabAlloc(kind: number): number
  slabFree(kind: number, object: number): void
  takePages(count: number): number
  touchPages(bytes: number): void
  search(roots: number, key: number): number
  searchBelow(link: number, key: number): number
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
  passSettled: true,
  forgetUnstable: true,
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

/** The one that is embedded, compiled once: it is stateless, so it serves every host of the process. */
let embedded: Promise<WebAssembly.Module> | undefined

/**
 * Compiles the core: the one that is embedded, or another binary of it, by its URL (of a file too, where there are files), compiled already,
 * or its bytes. Throws TypeError for what is none of these, ENOENT or EIO if it cannot be fetched, EUCLEAN if it is no core.
 */
export function compileCore(wasm?: object): Promise<WebAssembly.Module> {
  if (wasm !== undefined) return compileWasm(wasm, '`wasm`', notOurs)
  embedded ??= compile(fromHex(core), 'the core that is embedded', notOurs)
  return embedded
}

/** What to throw for a binary that is not what it should be. */
type Refuse = (what: string, why: string, cause?: unknown) => Error

/**
 * Instantiates a compiled core on a shared memory; any number of instances may share one. `table`: where it looks for a checksum of an
 * embedder's. Throws EUCLEAN, in a line that says what to do, if it was built for another layout than this code.
 */
export async function instantiateCore(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  table: WebAssembly.Table,
): Promise<Core> {
  const exported = new Set(WebAssembly.Module.exports(module).map(({ name }) => name))
  const lacking = Object.keys(EXPORTS).filter((name) => !exported.has(name))
  if (lacking.length > 0) throw notOurs('the core', `lacks ${lacking.join(', ')}`)
  const instance = await WebAssembly.instantiate(module, { env: { memory, table } }).catch((cause: Error) => {
    throw notOurs('the core', `wants what it is not given (${cause.message})`, cause)
  })
  const core = instance.exports as unknown as Core
  const version = core.abiVersion()
  if (version !== ABI_VERSION) {
    throw notOurs('the core', `has layout ${version}, this code expects ${ABI_VERSION}`)
  }
  return core
}

/**
 * Compiles a binary, given by its URL, its bytes, or compiled already. `what`: whose it is, in the words of the door. Throws TypeError for what
 * is none of these, ENOENT or EIO if it cannot be fetched, and what `refuse` makes of one that does not compile.
 */
export function compileWasm(wasm: object, what: string, refuse: Refuse): Promise<WebAssembly.Module> {
  // By name: a frame or a context of its own has classes of its own.
  const kind = Object.prototype.toString.call(wasm).slice(8, -1)
  if (kind === 'WebAssembly.Module') return Promise.resolve(wasm as WebAssembly.Module)
  if (kind === 'URL') return fetched(wasm as URL, what).then((bytes) => compile(bytes, `${wasm}`, refuse))
  if (kind === 'ArrayBuffer') return compile(new Uint8Array(wasm as ArrayBuffer), what, refuse)
  if (kind === 'Uint8Array') return compile((wasm as Uint8Array).slice(), what, refuse)
  throw new TypeError(
    `Expected ${what} to be a URL, a WebAssembly.Module, a Uint8Array or an ArrayBuffer, got ${kind}`,
  )
}

async function fetched(url: URL, what: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    if (url.protocol === 'file:') return new Uint8Array(files(`${what} at ${url}`).fs.readFileSync(url))
    const response = await fetch(url)
    if (!response.ok) throw new Error(`status ${response.status}`)
    return new Uint8Array(await response.arrayBuffer())
  } catch (cause) {
    if (cause instanceof PagefoldError) throw cause
    const { code, message } = cause as Error & { code?: string }
    const errno = code === 'ENOENT' ? code : 'EIO'
    throw new PagefoldError(
      errno,
      `${url}: ${what === '`wasm`' ? 'the core' : what} cannot be read (${message})`,
      { cause },
    )
  }
}

function compile(bytes: Uint8Array<ArrayBuffer>, what: string, refuse: Refuse): Promise<WebAssembly.Module> {
  return WebAssembly.compile(bytes).catch((cause: Error) => {
    throw refuse(what, `does not compile (${cause.message})`, cause)
  })
}

function notOurs(what: string, why: string, cause?: unknown): PagefoldError {
  const todo = 'take core.wasm of this very version of pagefold, or rebuild with `npm run build`'
  return new PagefoldError('EUCLEAN', `${what} ${why}: ${todo}`, { cause })
}
