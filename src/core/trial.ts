// Checksums of the caller's own are tried before anything depends on them: what throws, traps, has other bits than it says, is
// not a function of the page's bytes and the seed alone, or writes where it should read, is refused by name. Code that means
// harm is not found by this: a module has the run of the memory.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import {
  checksumOn,
  forTable,
  type JsChecksum,
  type OwnChecksum,
  PageCopy,
  shown,
  type TriedChecksum,
  trapped,
  type WasmChecksum,
} from './own.ts'
import { compileWasm, WASM_PAGE } from './wasm.ts'

/** So many pages: a bit of a good checksum is the same in all of them once in 2^127 trials. */
const PAGES = 128
/** The seeds that a keyed checksum must not take for one another, nor another notice. */
const SEEDS = [0n, 1n, 0x9e37_79b9_7f4a_7c15n] as const
/** Bytes of a cache line: one byte of each has its say tried. */
const LINE = 64

const NAME = /^[\w.:+-]{1,32}$/

/** Hashes pages one after another, each lying somewhere else than the last time. Throws what is to be said to the caller. */
type HashAll = (pages: readonly Uint8Array[], seed: bigint) => bigint[]

/** What a checksum says of itself. */
interface Claim {
  readonly name: string
  readonly bits: number
  readonly seeded: boolean
}

/**
 * Tries a checksum of the caller's; `taken`: names that it may not have. Rejects with TypeError for what is none, RangeError for one
 * that is not what it says, ENOENT or EIO if its module cannot be fetched.
 */
export async function tryOwn(own: OwnChecksum, taken: readonly string[]): Promise<TriedChecksum> {
  const given = own as Partial<JsChecksum & WasmChecksum> | null
  if (
    typeof given !== 'object' ||
    given === null ||
    (given.hash === undefined) === (given.module === undefined)
  ) {
    const what = `a name (${taken.join(', ')}) or an object with \`name\` and either \`bits\` and \`hash\` or \`module\``
    throw new TypeError(`Expected \`checksum\` to be ${what}, got ${shown(own)}`)
  }
  const { name } = given
  if (typeof name !== 'string' || !NAME.test(name)) {
    const what = 'up to 32 letters, digits and _ . : + -'
    throw new TypeError(`Expected \`name\` of a \`checksum\` to be ${what}, got ${shown(name)}`)
  }
  if (taken.includes(name))
    throw new RangeError(`\`checksum\` ${name}: there is a built-in one of this name; take another`)
  return given.module === undefined ? tryJs(own as JsChecksum) : tryWasm(own as WasmChecksum)
}

function tryJs(own: JsChecksum): TriedChecksum {
  const { name, bits, keyed = false, hash } = own
  if (typeof hash !== 'function') wrong(name, `\`hash\` must be a function, got ${shown(hash)}`)
  if (typeof keyed !== 'boolean') wrong(name, `\`keyed\` must be true or false, got ${shown(keyed)}`)
  const claim = { name, bits: expectBits(name, bits), seeded: keyed }
  // As it is now: nothing that is changed about the object later has been tried.
  const copy = new PageCopy({ name, bits, hash: hash.bind(own) })
  const hashAll: HashAll = (pages, seed) => pages.map((page) => hashTried(name, copy, page, seed))
  const whole = tryOut(claim, hashAll)
  return {
    ...claim,
    whole,
    bytesRead: () => placesNoticed(hashAll),
    linkTo: (memory) => copy.linkTo(memory),
    explain: (error) => error,
  }
}

function hashTried(name: string, copy: PageCopy, page: Uint8Array, seed: bigint): bigint {
  try {
    return copy.hash(page, seed)
  } catch (cause) {
    const { message } = cause as Error
    if (String(message).startsWith('`checksum`')) throw cause
    throw new TypeError(`\`checksum\` ${name}: \`hash\` threw when it was tried: ${message ?? cause}`, {
      cause,
    })
  }
}

async function tryWasm({ name, module: given }: WasmChecksum): Promise<TriedChecksum> {
  const module = await compileWasm(given, '`module` of a `checksum`', (what, why, cause) => {
    return new TypeError(`\`checksum\` ${name}: ${what} ${why}`, { cause })
  })
  const others = WebAssembly.Module.imports(module).filter(
    (one) => `${one.module}.${one.name}` !== 'env.memory',
  )
  if (others.length > 0) {
    const names = others.map((one) => `${one.module}.${one.name}`).join(', ')
    wrong(name, `it imports ${names}: it may import env.memory and nothing else (asc: --use abort=)`)
  }
  const probe = new Probe(name, module)
  const { bits, keyed } = probe.exports
  const claim = {
    name,
    bits: expectBits(name, globalOf(bits)),
    seeded: keyed !== undefined && globalOf(keyed) !== 0,
  }
  const hashAll: HashAll = (pages, seed) => probe.hashAll(pages, seed)
  const whole = tryOut(claim, hashAll)
  const linkTo: TriedChecksum['linkTo'] = (memory) => {
    try {
      return checksumOn(module, memory)
    } catch (cause) {
      throw notLinked(name, cause as Error)
    }
  }
  return {
    ...claim,
    whole,
    bytesRead: () => placesNoticed(hashAll),
    module,
    linkTo,
    explain: (error) => trapped(name, error),
  }
}

function globalOf(exported: unknown): unknown {
  return exported instanceof WebAssembly.Global ? exported.value : exported
}

/** A module on a small memory of its own, where it can be seen what it does to it. */
class Probe {
  readonly exports: WebAssembly.Exports
  readonly #name: string
  readonly #checksum: ReturnType<typeof forTable>
  readonly #bytes: Uint8Array
  readonly #words: Uint32Array
  /** Moves the pages on: another place each time, with other neighbours. */
  #turn = 0

  constructor(name: string, module: WebAssembly.Module) {
    this.#name = name
    // Room for twice the pages.
    const size = (2 * PAGES * PAGE_SIZE) / WASM_PAGE
    const memory = new WebAssembly.Memory({ initial: size, maximum: size, shared: true })
    this.#bytes = new Uint8Array(memory.buffer)
    this.#words = new Uint32Array(memory.buffer)
    try {
      this.exports = new WebAssembly.Instance(module, { env: { memory } }).exports
    } catch (cause) {
      throw notLinked(name, cause as Error)
    }
    const { checksum } = this.exports
    if (typeof checksum !== 'function') wrong(name, 'it exports no function `checksum`')
    try {
      this.#checksum = forTable(checksum as ReturnType<typeof forTable>)
    } catch {
      wrong(name, '`checksum` must be of the type (at: i32, seed: i64): i64')
    }
    if (this.#words.some((word) => word !== 0))
      wrong(name, 'it writes to memory before it is called: it may have no data in it (tables, strings)')
  }

  hashAll(pages: readonly Uint8Array[], seed: bigint): bigint[] {
    const name = this.#name
    const bytes = this.#bytes
    const words = this.#words
    const slots = bytes.length / PAGE_SIZE
    // The first time from the last page on, which has nothing behind it, the second from the first.
    const first = this.#turn % 2 === 0 ? slots - pages.length : 0
    fillRandom(words, 1000 + this.#turn++)
    for (const [i, page] of pages.entries()) bytes.set(page, (first + i) * PAGE_SIZE)
    const before = words.slice()
    const hashes = pages.map((_, i) => this.#hashAt((first + i) * PAGE_SIZE, BigInt.asIntN(64, seed)))
    if (words.some((word, at) => word !== before[at]))
      wrong(name, 'it writes to memory: it may only read the page')
    return hashes
  }

  #hashAt(at: number, seed: bigint): bigint {
    try {
      return BigInt.asUintN(64, this.#checksum(at, seed))
    } catch (cause) {
      throw trapped(this.#name, cause)
    }
  }
}

/** Throws RangeError for a checksum that is not what it claims. Returns whether every byte of a page seems to have a say. */
function tryOut({ name, bits, seeded }: Claim, hashAll: HashAll): boolean {
  const pages = Array.from({ length: PAGES }, (_, i) => randomPage(i))
  const hashes = hashAll(pages, 0n)
  expectWidth(name, bits, hashes)
  if (!equal(hashAll(pages.toReversed(), 0n).reverse(), hashes))
    wrong(name, 'it has two values for one page: it may depend on its bytes and the seed only')
  const some = pages.slice(0, 16)
  const ofSeeds = SEEDS.map((seed) => hashAll(some, seed))
  for (const other of ofSeeds.slice(1)) {
    if (seeded && equal(other, ofSeeds[0]!))
      wrong(name, 'it says that it is keyed, but pays no heed to the seed')
    if (!seeded && !equal(other, ofSeeds[0]!))
      wrong(name, 'it depends on the seed, but does not say that it is keyed')
  }
  const [page] = pages
  const variants = Array.from({ length: PAGE_SIZE / LINE }, (_, line) => {
    const variant = page!.slice()
    variant[line * LINE + ((line * 37) % LINE)]! ^= 1 + (line % 255)
    return variant
  })
  return hashAll(variants, 0n).every((hash) => hash !== hashes[0])
}

/** The places of a page where a change is noticed. */
function placesNoticed(hashAll: HashAll): number[] {
  const page = randomPage(0)
  const [before] = hashAll([page], 0n)
  const places = [...page.keys()]
  const changed = (at: number): Uint8Array => {
    const variant = page.slice()
    variant[at]! ^= 0xff
    return variant
  }
  return Array.from({ length: PAGE_SIZE / PAGES }, (_, i) =>
    places.slice(i * PAGES, (i + 1) * PAGES),
  ).flatMap((some) => {
    const hashes = hashAll(some.map(changed), 0n)
    return some.filter((_, i) => hashes[i] !== before)
  })
}

function expectWidth(name: string, bits: number, hashes: readonly bigint[]): void {
  const limit = 1n << BigInt(bits)
  const outside = hashes.find((hash) => hash < 0n || hash >= limit)
  if (outside !== undefined) {
    const hint =
      outside < 0n ? 'negative: `>>> 0` makes 32 bits of a number unsigned' : `more than ${bits} bits`
    wrong(name, `it says that it has ${bits} bits, but returned ${outside}, ${hint}`)
  }
  const [ones, zeros] = [hashes.reduce((all, hash) => all | hash), hashes.reduce((all, hash) => all & hash)]
  const still = Array.from({ length: bits }, (_, bit) => bit).filter(
    (bit) => (((ones ^ zeros) >> BigInt(bit)) & 1n) === 0n,
  )
  if (still.length === 0) return
  const which = still.length === 1 ? `bit ${still[0]} is` : `${still.length} of them are`
  wrong(
    name,
    `it says that it has ${bits} bits, but ${which} the same for ${PAGES} random pages: fewer in truth`,
  )
}

function expectBits(name: string, bits: unknown): number {
  if (typeof bits === 'number' && Number.isInteger(bits) && bits >= 1 && bits <= 64) return bits
  wrong(name, `\`bits\` must be an integer in 1..64, got ${shown(bits)}`)
}

/** What is wrong with a checksum. */
function wrong(name: string, what: string): never {
  throw new RangeError(`\`checksum\` ${name}: ${what}`)
}

function notLinked(name: string, cause: Error): TypeError {
  const todo =
    'it must import env.memory, shared, of 1 to 65536 pages (asc: --importMemory --sharedMemory --maximumMemory 65536)'
  return new TypeError(`\`checksum\` ${name}: it cannot have a host's memory (${cause.message}): ${todo}`, {
    cause,
  })
}

function equal(some: readonly bigint[], others: readonly bigint[]): boolean {
  return some.every((hash, i) => hash === others[i])
}

function randomPage(seed: number): Uint8Array {
  const words = new Uint32Array(PAGE_SIZE / 4)
  fillRandom(words, seed)
  return new Uint8Array(words.buffer)
}

/** Fills words with what follows from a seed. */
function fillRandom(words: Uint32Array, seed: number): void {
  let state = Math.imul(seed + 1, 0x9e3779b1)
  for (let at = 0; at < words.length; at++) {
    state = (state + 0x6d2b79f5) | 0
    const mixed = Math.imul(state ^ (state >>> 15), state | 1)
    words[at] = mixed ^ (mixed >>> 14)
  }
}
