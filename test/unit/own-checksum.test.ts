// Checksums of one's own: good ones do what built-in ones do, wrong ones are refused by name before anything depends on them,
// and what goes wrong later breaks nothing.

import { describe, expect, it, onTestFinished } from 'vitest'
import {
  CHANGES_POLICIES,
  expectStrategy,
  Host,
  type HostOptions,
  INDEX_NAMES,
  type JsChecksum,
  type OwnChecksum,
  PagefoldError,
  stillClock,
  tryChecksum,
} from '../../src/index.ts'
import { ksmOf, memoryOf } from '../support/inside.ts'
import { js, KEYED, LOOP, type Text, wasm, wordHash } from '../support/own.ts'
import { contentBytes, guest, PAGE } from '../support/world.ts'

/** `[what is wrong, the checksum, what is said]` */
type Wrong = [what: string, own: () => unknown, said: RegExp]

const WRONG_JS: Wrong[] = [
  ['no object', () => 5, /Expected `checksum` to be one of|a name/],
  ['neither hash nor module', () => ({ name: 'mine', bits: 32 }), /either `bits` and `hash` or `module`/],
  ['both', () => ({ ...js(), module: new Uint8Array() }), /either `bits` and `hash` or `module`/],
  ['no name', () => js({ name: undefined as never }), /`name` of a `checksum` to be .*, got undefined/],
  ['a name for no table', () => js({ name: 'two words' }), /`name` of a `checksum` .*"two words"/],
  ['the name of a built-in one', () => js({ name: 'xxh3' }), /xxh3: there is a built-in one of this name/],
  [
    'no bits',
    () => js({ bits: undefined as never }),
    /mine: `bits` must be an integer in 1..64, got undefined/,
  ],
  ['too many bits', () => js({ bits: 65 }), /`bits` must be an integer in 1..64, got 65/],
  ['keyed is no boolean', () => js({ keyed: 1 as never }), /`keyed` must be true or false, got 1/],
  ['hash is no function', () => js({ hash: 'md5' as never }), /mine: `hash` must be a function, got "md5"/],
  [
    'it throws',
    () =>
      js({
        hash() {
          throw new Error('not today')
        },
      }),
    /mine: `hash` threw when it was tried: not today/,
  ],
  [
    'it forgets to return',
    () => js({ hash: (() => {}) as never }),
    /must return an integer.*returned undefined/,
  ],
  ['it returns a text', () => js({ hash: (() => 'a1') as never }), /returned "a1"/],
  ['it returns a promise', () => js({ hash: (async () => 1) as never }), /returned a Promise/],
  ['it returns a fraction', () => js({ hash: () => 0.5 }), /returned 0.5/],
  ['it returns NaN', () => js({ hash: () => Number.NaN }), /returned NaN/],
  ['it returns negative numbers', () => js({ hash: (page) => wordHash(page, 0n) | 0 }), /`>>> 0` makes/],
  ['it has more bits than it says', () => js({ bits: 16 }), /has 16 bits, but returned \d+, more than 16/],
  ['it has fewer bits than it says', () => js({ bits: 64 }), /has 64 bits, but 32 of them are the same/],
  [
    'one bit never changes',
    () => js({ hash: (page) => (wordHash(page, 0n) | 8) >>> 0 }),
    /has 32 bits, but bit 3 is the same for 128 random pages/,
  ],
  ['it is random', () => js({ hash: () => Math.floor(Math.random() * 2 ** 32) }), /two values for one page/],
  ['it counts', () => js({ hash: counting() }), /two values for one page/],
  [
    'it says that it is keyed',
    () => js({ keyed: true }),
    /says that it is keyed, but pays no heed to the seed/,
  ],
  [
    'it does not say so',
    () => js({ hash: wordHash }),
    /depends on the seed, but does not say that it is keyed/,
  ],
]

function counting(): JsChecksum['hash'] {
  let calls = 0
  return (page) => (wordHash(page, 0n) ^ calls++) >>> 0
}

const module = (text: Text) => (): unknown => wasm(text)
const AT = '(local.get $at)'

const WRONG_WASM: Wrong[] = [
  ['no binary', () => ({ name: 'mine', module: new Uint8Array(8) }), /mine: .*does not compile/],
  [
    'no kind of binary',
    () => ({ name: 'mine', module: {} }),
    /Expected `module` of a `checksum` to be a URL/,
  ],
  ['plain memory', module({ memory: '1 65536' }), /cannot have a host's memory .*shared, of 1 to 65536/],
  ['much memory', module({ memory: '4096 65536 shared' }), /cannot have a host's memory/],
  [
    'other imports',
    module({ imports: '(import "env" "abort" (func $abort))' }),
    /imports env.abort: it may import env.memory and nothing else/,
  ],
  ['no bits', module({ bits: '' }), /`bits` must be an integer in 1..64, got undefined/],
  [
    'bits of 64 bits',
    module({ bits: '(global (export "bits") i64 (i64.const 64))' }),
    /`bits` must be .*, got 64/,
  ],
  ['no checksum', () => ({ ...wasm(), module: wasm({ beside: '' }).module, name: 'bad name' }), /`name`/],
  [
    'another type',
    module({ type: '(param $at i32) (param $seed i32) (result i64)' }),
    /`checksum` must be of the type \(at: i32, seed: i64\): i64/,
  ],
  [
    'a result of 32 bits',
    module({
      type: '(param $at i32) (param $seed i64) (result i32)',
      body: `${LOOP} (i32.wrap_i64 (local.get $h))`,
    }),
    /must be of the type/,
  ],
  ['it traps', module({ body: 'unreachable' }), /EFAULT: `checksum` mine trapped: /],
  [
    'it reads behind the page',
    module({ body: `${LOOP} (i64.add (local.get $h) (i64.load offset=4096 ${AT}))` }),
    /trapped: memory access out of bounds|two values/,
  ],
  [
    'it reads before the page',
    module({ body: `${LOOP} (i64.add (local.get $h) (i64.load (i32.sub ${AT} (i32.const 8))))` }),
    /trapped: memory access out of bounds|two values/,
  ],
  [
    'it looks where the page lies',
    module({ body: `${LOOP} (i64.add (local.get $h) (i64.extend_i32_u ${AT}))` }),
    /two values for one page/,
  ],
  [
    'it keeps something from call to call',
    module({
      beside: '(global $n (mut i64) (i64.const 0))',
      body: `${LOOP} (global.set $n (i64.add (global.get $n) (i64.const 1))) (i64.add (local.get $h) (global.get $n))`,
    }),
    /two values for one page/,
  ],
  [
    'it writes into the page',
    module({ body: `${LOOP} (i64.store ${AT} (i64.const 0)) (local.get $h)` }),
    /writes to memory: /,
  ],
  [
    'it writes elsewhere',
    module({ body: `${LOOP} (i64.store (i32.const 1024) (i64.const 7)) (local.get $h)` }),
    /writes to memory: it may only read/,
  ],
  [
    'it has data',
    module({ beside: '(data (i32.const 1024) "table")' }),
    /writes to memory before it is called/,
  ],
  [
    'it has fewer bits',
    module({ body: `${LOOP} (i64.and (local.get $h) (i64.const 0xffffffff))` }),
    /has 64 bits, but 32 of them are the same/,
  ],
  [
    'it has more bits',
    module({ bits: '(global (export "bits") i32 (i32.const 32))' }),
    /has 32 bits, but returned \d+, more than 32/,
  ],
  ['it says that it is keyed', module({ keyed: KEYED.keyed! }), /says that it is keyed, but pays no heed/],
  ['it does not say so', module({ body: KEYED.body! }), /depends on the seed, but does not say/],
]

describe('a checksum that is wrong', () => {
  it.each([
    ...WRONG_JS.map((one) => ['JavaScript', ...one] as const),
    ...WRONG_WASM.map((one) => ['WebAssembly', ...one] as const),
  ])('is refused, in %s: %s', async (_, what, own, said) => {
    const refused = await tryChecksum(own() as OwnChecksum).catch((error: unknown) => error)
    expect(refused, what).toBeInstanceOf(Error)
    expect((refused as Error).message).toMatch(said)
    expect((refused as Error).message).not.toContain('\n')
    const isMistake = refused instanceof TypeError || refused instanceof RangeError
    expect(isMistake || refused instanceof PagefoldError, String(refused)).toBe(true)
    await expect(Host.create({ frames: 64, checksum: own() as OwnChecksum })).rejects.toThrow(/checksum/)
  })

  it('is tried again after it was mended', async () => {
    const own = { ...js(), bits: 64 }
    await expect(tryChecksum(own)).rejects.toThrow(/64 bits/)
    own.bits = 32
    expect(await tryChecksum(own)).toEqual({ name: 'mine', bits: 32, seeded: false, whole: true })
  })

  it('has to be tried before a strategy is made of it', async () => {
    const own = js()
    expect(() => expectStrategy({ checksum: own })).toThrow(/tried: await tryChecksum/)
    await tryChecksum(own)
    expect(expectStrategy({ checksum: own, checksumBits: 16 })).toMatchObject({ checksumBits: 16 })
  })

  it('takes a seed only if it is keyed', async () => {
    await expect(Host.create({ frames: 64, checksum: js(), seed: 1 })).rejects.toThrow(
      /checksum mine takes none/,
    )
    const host = await Host.create({
      frames: 64,
      checksum: js({ keyed: true, hash: wordHash }),
      seed: 'random',
    })
    host.close()
  })

  it('in JavaScript takes no helpers, in WebAssembly it does', async () => {
    await expect(Host.create({ frames: 64, checksum: js(), workers: 1 })).rejects.toThrow(
      /no `workers`: `checksum` mine is JavaScript, .*one in a module runs on theirs too/,
    )
    const host = await Host.create({ frames: 64, checksum: wasm(), workers: 1 })
    host.close()
  })

  it('in a module that takes less memory than a host has is refused by that host', async () => {
    const checksum = wasm({ memory: '1 20 shared' })
    await tryChecksum(checksum)
    await expect(Host.create({ frames: 4096, checksum })).rejects.toThrow(
      /`checksum` mine: it cannot have a host's memory .*65536/,
    )
  })
})

describe('what is found', () => {
  it.each<[string, OwnChecksum, object]>([
    ['32 bits of JavaScript', js(), { bits: 32, seeded: false, whole: true }],
    ['keyed', js({ keyed: true, hash: wordHash }), { bits: 32, seeded: true, whole: true }],
    [
      'bigints',
      js({ bits: 40, hash: (p) => (BigInt(wordHash(p, 0n)) * 257n) & 0xff_ffff_ffffn }),
      { bits: 40 },
    ],
    ['a few bits', js({ bits: 5, hash: (p) => wordHash(p, 0n) & 31 }), { bits: 5 }],
    ['a part of the page', js({ hash: (p) => wordHash(p.fill(0, 2048), 0n) }), { whole: false }],
    ['WebAssembly', wasm(), { bits: 64, seeded: false, whole: true }],
    ['keyed WebAssembly', wasm(KEYED), { bits: 64, seeded: true, whole: true }],
  ])('%s', async (_, own, traits) => {
    expect(await tryChecksum(own)).toMatchObject({ name: 'mine', ...traits })
  })

  it('a module may be given compiled, as bytes in either form, and by its URL', async () => {
    const { module } = wasm() as { module: Uint8Array<ArrayBuffer> }
    const url = new URL(`data:application/wasm;base64,${Buffer.from(module).toString('base64')}`)
    for (const one of [module, module.slice().buffer, new WebAssembly.Module(module), url])
      expect(await tryChecksum({ name: 'mine', module: one })).toMatchObject({ bits: 64 })
  })
})

const GOOD: readonly [string, OwnChecksum, Partial<HostOptions>][] = [
  ['JavaScript', js({ keyed: true, hash: wordHash }), {}],
  ['JavaScript, with a seed', js({ keyed: true, hash: wordHash }), { seed: 2n ** 64n - 1n }],
  [
    'JavaScript that scribbles on the page',
    js({ hash: (page) => [wordHash(page, 0n), page.fill(1)][0] as number }),
    {},
  ],
  [
    'a sum that is 0 for zeros',
    js({ bits: 19, hash: (p) => p.reduce((sum, byte) => sum + byte * 129, 0) % 2 ** 19 }),
    {},
  ],
  ['WebAssembly', wasm(), {}],
  ['WebAssembly, with a seed', wasm(KEYED), { seed: 2n ** 63n + 5n }],
  ['WebAssembly with helpers', wasm(KEYED), { workers: 2, seed: 1n }],
]

async function made(options: Partial<HostOptions>): Promise<Host> {
  const host = await Host.create({ frames: 4096, clock: stillClock, ...options })
  onTestFinished(() => host.close())
  host.ksm.set('smart_scan', 0)
  host.ksm.set('run', 1)
  return host
}

describe.each(INDEX_NAMES)('trees ordered by %s', (index) => {
  it.each(GOOD)('%s: counts after every scan what a built-in one counts', async (_, checksum, options) => {
    const picture = async (strategy: Partial<HostOptions>): Promise<unknown[]> => {
      const host = await made({ index, ...strategy })
      const contents = Array.from({ length: 900 }, (_, i) => (i % 7 === 0 ? 0 : i % 90))
      const guests = ['a', 'b'].map((name) => guest(host, name, contents))
      const rows: unknown[] = []
      for (let round = 0; round < 4; round++) {
        host.ksm.scan(1)
        rows.push(host.ksm.counters())
        guests[0]!.mm.write(guests[0]!.at + round * PAGE, contentBytes(100 + round))
      }
      host.audit()
      return rows
    }
    expect(await picture({ checksum, ...options })).toEqual(await picture({}))
  })
})

describe('the page', () => {
  it('is the same array in every call, of every host, with a buffer of its own', async () => {
    const arrays = new Set<Uint8Array>()
    const checksum = js({
      hash(page) {
        arrays.add(page)
        return wordHash(page, 0n)
      },
    })
    for (let i = 0; i < 2; i++) {
      const host = await made({ checksum })
      guest(host, 'a', [1, 2, 3])
      host.ksm.scan(2)
    }
    expect(arrays.size).toBe(1)
    const [page] = arrays
    expect(page!.byteLength).toBe(PAGE)
    expect(page!.buffer.byteLength).toBe(PAGE)
    expect(page!.buffer).toBeInstanceOf(ArrayBuffer)
  })
})

describe('a scan', () => {
  it('asks for it once a page at most, however many were written', async () => {
    let calls = 0
    const checksum = js({
      bits: 64,
      hash(page) {
        calls++
        const low = wordHash(page, 0n)
        return (BigInt(Math.imul(low, 0x9e3779b1) >>> 0) << 32n) | BigInt(low)
      },
    })
    const contents = Array.from({ length: 200 }, (_, i) => i)
    for (const content of [(page: number) => page, (page: number) => 1000 + page]) {
      const host = await made({ checksum })
      const { mm, at } = guest(host, 'a', contents)
      host.ksm.scan(3)
      for (const page of contents) mm.write(at + page * PAGE, contentBytes(content(page)))
      calls = 0
      host.ksm.scan(1)
      expect(calls).toBe(contents.length)
    }
  })
})

it('a checksum that throws makes a scan forget what was to be visited after all, for the page being visited', async () => {
  let fails = false
  const hash = (page: Uint8Array): bigint => {
    if (fails) throw new Error('not today')
    return (BigInt(wordHash(page, 0n)) << 32n) | BigInt(wordHash(page, 1n))
  }
  const host = await made({ checksum: js({ bits: 64, hash }), index: 'hash' })
  const { mm, at } = guest(host, 'a', [1, 2, 3])
  host.ksm.scan(4)
  const ksm = ksmOf(host)
  expect(ksm.settles).toBe(true)
  // As when it is met ahead of its turn, behind the pages of a window that is hashed only then.
  const [slot] = ksm.slots
  const first = slot!.rmapList
  ksm.core.erase(first)
  ksm.items.unlink(first)
  ksm.items.unsettle(first)
  slot!.settledTables.clear()
  ksm.unsettled.push(first)
  mm.write(at + 2 * PAGE, contentBytes(4))
  fails = true
  expect(() => host.ksm.scan(1)).toThrow('not today')
  expect(ksm.unsettled).toEqual([])
  expect(() => host.audit(), 'which takes checksums too').toThrow(/^not today$/)
  fails = false
  host.ksm.scan(3)
  expect(host.ksm.counters()).toMatchObject({ pages_unshared: 3, pages_volatile: 0 })
  host.audit()
})

/** A checksum that begins to go wrong when it is told to. */
function fickle(): { checksum: JsChecksum; fail: ((page: Uint8Array) => number | bigint) | undefined } {
  const self: ReturnType<typeof fickle> = {
    checksum: js({ hash: (page) => self.fail?.(page) ?? wordHash(page, 0n) }),
    fail: undefined,
  }
  return self
}

describe.each(INDEX_NAMES)(
  'a checksum that goes wrong in the middle of a scan, trees ordered by %s',
  (index) => {
    it.each([
      [
        'throws',
        () => {
          throw new Error('not today')
        },
        /^not today$/,
      ],
      ['returns nothing', () => undefined as never, undefined],
      ['returns what is no integer', () => Number.NaN, /`checksum` mine: `hash` must return an integer.*NaN/],
    ] as const)('%s: comes out of the scan, and the host goes on', async (_, fail, said) => {
      // With a log only what was written since is hashed at all.
      const cases = [false, true].flatMap((watched) =>
        CHANGES_POLICIES.map((changes) => ({ watched, changes })),
      )
      for (const { watched, changes } of cases) {
        const own = fickle()
        const host = await made({ checksum: own.checksum, index, changes })
        if (watched) host.on('ksm_merge_with_ksm_page', () => {})
        const a = guest(
          host,
          'a',
          Array.from({ length: 300 }, (_, i) => i),
        )
        const b = guest(
          host,
          'b',
          Array.from({ length: 300 }, (_, i) => i + 250),
        )
        host.ksm.scan(1)
        for (let round = 0; round < 8; round++) {
          a.mm.write(a.at + round * PAGE, contentBytes(1000 + round))
          let calls = 0
          own.fail = (page) =>
            calls++ === (changes === 'log' ? 0 : 40 * round) ? fail() : wordHash(page, 0n)
          if (said === undefined) host.ksm.scan(1)
          else expect(() => host.ksm.scan(1)).toThrow(said)
          own.fail = undefined
          // What has been in the unstable tree since an earlier scan must be gone from it before the next.
          host.audit()
        }
        host.ksm.scan(3)
        host.audit()
        expect(host.ksm.counters().pages_shared).toBe(50)
        expect(b.mm.pfn(b.at)).toBe(a.mm.pfn(a.at + 250 * PAGE))
        const { frames } = memoryOf(host)
        a.mm.exit()
        b.mm.exit()
        host.ksm.scan(1)
        expect(frames.free, 'no reference is left behind').toBe(frames.total)
      }
    })

    it('makes nothing merge that is not equal, and loses nothing, if it tells lies', async () => {
      const own = fickle()
      const host = await made({ checksum: own.checksum, index })
      const { mm, at } = guest(
        host,
        'a',
        Array.from({ length: 300 }, (_, i) => i % 40),
      )
      let calls = 0
      own.fail = () => calls++ % 5
      for (let round = 0; round < 6; round++) host.ksm.scan(1)
      host.audit()
      for (let page = 0; page < 300; page++)
        expect(Buffer.compare(mm.read(at + page * PAGE, PAGE), contentBytes(page % 40))).toBe(0)
    })
  },
)

describe('a module that traps in the middle of a scan', () => {
  // Pages that begin with this word are none that it is tried on.
  const TRAPS: Text = {
    body: `(if (i32.eq (i32.load ${AT}) (i32.const 0x2a2a2a2a)) (then unreachable)) ${LOOP} (local.get $h)`,
  }

  it.each([0, 2])('is EFAULT, and the host goes on, with %i helpers', async (workers) => {
    const host = await made({ checksum: wasm(TRAPS), workers, frames: 4096 })
    const a = guest(
      host,
      'a',
      Array.from({ length: 1200 }, (_, i) => i % 1000),
    )
    const bad = host.createMm()
    const at = bad.mmap(PAGE)
    bad.write(at, new Uint8Array(PAGE).fill(0x2a))
    bad.madvise(at, PAGE, 'MADV_MERGEABLE')
    for (let round = 0; round < 3; round++) {
      expect(() => host.ksm.scan(1)).toThrow(/^EFAULT: `checksum` mine trapped: /)
      host.audit()
    }
    bad.exit()
    host.ksm.scan(3)
    expect(host.ksm.counters().pages_shared).toBe(200)
    expect(a.mm.pfn(a.at)).toBe(a.mm.pfn(a.at + 1000 * PAGE))
    host.audit()
  })

  it('is what stop() of a ksmd on its own rejects with', async () => {
    const own = fickle()
    const host = await made({ checksum: own.checksum })
    guest(host, 'a', [1, 2, 3])
    const asked = new Promise<void>((resolve) => {
      own.fail = () => {
        resolve()
        throw new Error('not today')
      }
    })
    host.ksm.start()
    await asked
    await expect(host.ksm.stop()).rejects.toThrow('not today')
    own.fail = undefined
    host.ksm.scan(2)
  })
})
