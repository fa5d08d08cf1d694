// The whole API walked: every public method of every class goes through the door. What breaks inside one, a trap in the core
// or an invariant, closes the host, whichever method it was; and a closed host refuses whatever would change it.
//
// A method added later fails the first test here until it has its line in CALLS.

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { brokenInvariant } from '../../src/errors.ts'
import { Host, type Image, memorySwapStore, type Notifier, SecondaryMmu } from '../../src/index.ts'
import type { Ksm } from '../../src/ksm/ksmd.ts'
import { Ksm as KsmClass } from '../../src/ksm/ksmd.ts'
import { Pin } from '../../src/mm/calls/pin.ts'
import { Mm } from '../../src/mm/mm.ts'
import { errnoOf, guest, makeHost, PAGE } from '../support/world.ts'

interface Scene {
  readonly host: Host
  readonly ksm: Ksm
  readonly mm: Mm
  readonly at: number
  readonly pin: Pin
  readonly mmu: SecondaryMmu
  readonly notifier: Notifier
}

/** Looks only: answers on a closed host too. The others refuse. */
interface Call {
  readonly act: (scene: Scene) => unknown
  readonly looks?: true
}

const IMAGE: Image = {
  source: 'one page',
  format: 'raw',
  pages: 1,
  notes: [],
  addressOf: () => 0,
  read: (_, __, into) => void into.fill(1),
  close: () => {},
}
const RANGE = { event: 'clear', start: 0, end: PAGE, blockable: true } as const
const pfnOf = ({ mm, at }: Scene): number => mm.pfn(at)!

/** One call of every public method, with arguments that are in order. */
const CALLS: Record<string, { readonly of: (scene: Scene) => object; readonly calls: Record<string, Call> }> =
  {
    Host: {
      of: ({ host }) => host,
      calls: {
        createMm: { act: ({ host }) => host.createMm() },
        loadImage: { act: ({ host }) => host.loadImage(IMAGE) },
        frames: { act: ({ host }) => host.frames.free, looks: true },
        frame: { act: (scene) => scene.host.frame(FRAME), looks: true },
        migrate: { act: ({ host }) => host.migrate(FRAME, { node: 0 }) },
        offline: { act: ({ host }) => host.offline(FRAME, FRAME + 1) },
        online: { act: ({ host }) => host.online(FRAME, FRAME + 1) },
        swapOn: { act: ({ host }) => host.swapOn(memorySwapStore(4)) },
        swapOff: { act: ({ host }) => host.swapOff(memorySwapStore(4)) },
        reclaim: { act: ({ host }) => host.reclaim(FRAME) },
        memoryFailure: { act: ({ host }) => host.memoryFailure(FRAME) },
        vmstat: { act: ({ host }) => host.vmstat(), looks: true },
        warnings: { act: ({ host }) => host.warnings(), looks: true },
        metadata: { act: ({ host }) => host.metadata(), looks: true },
        on: { act: ({ host }) => host.on('ksm_enter', () => {}), looks: true },
        off: { act: ({ host }) => host.off('ksm_enter', () => {}), looks: true },
        audit: { act: ({ host }) => host.audit(), looks: true },
      },
    },
    Ksm: {
      of: ({ ksm }) => ksm,
      calls: {
        set: { act: ({ ksm }) => ksm.set('pages_to_scan', 7) },
        get: { act: ({ ksm }) => ksm.get('run'), looks: true },
        counters: { act: ({ ksm }) => ksm.counters(), looks: true },
        start: { act: ({ ksm }) => ksm.start() },
        scan: { act: ({ ksm }) => ksm.scan(1) },
        scanPages: { act: ({ ksm }) => ksm.scanPages(1) },
      },
    },
    Mm: {
      of: ({ mm }) => mm,
      calls: {
        mmap: { act: ({ mm }) => mm.mmap(PAGE) },
        munmap: { act: ({ mm, at }) => mm.munmap(at, PAGE) },
        madvise: { act: ({ mm, at }) => mm.madvise(at, PAGE, 'MADV_DONTNEED') },
        mlock: { act: ({ mm, at }) => mm.mlock(at, PAGE) },
        munlock: { act: ({ mm, at }) => mm.munlock(at, PAGE) },
        smaps: { act: ({ mm }) => mm.smaps() },
        mprotect: { act: ({ mm, at }) => mm.mprotect(at, PAGE, 'PROT_READ') },
        mremap: { act: ({ mm, at }) => mm.mremap(at, PAGE, 2 * PAGE) },
        fork: { act: ({ mm }) => mm.fork() },
        replace: { act: ({ mm }) => mm.replace() },
        exit: { act: ({ mm }) => mm.exit() },
        prctl: { act: ({ mm }) => mm.prctl('PR_SET_MEMORY_MERGE', 1) },
        write: { act: ({ mm, at }) => mm.write(at, Uint8Array.of(1)) },
        read: { act: ({ mm, at }) => mm.read(at, 1) },
        pin: { act: ({ mm, at }) => mm.pin(at, PAGE) },
        get: { act: ({ mm, at }) => mm.get(at, PAGE) },
        registerUserfault: { act: ({ mm, at }) => mm.registerUserfault(at, PAGE, { onWriteProtect() {} }) },
        userfaultWriteProtect: { act: ({ mm, at }) => mm.userfaultWriteProtect(at, PAGE, true) },
        registerNotifier: { act: ({ mm, notifier }) => mm.registerNotifier(notifier) },
        unregisterNotifier: { act: ({ mm, notifier }) => mm.unregisterNotifier(notifier), looks: true },
        pfn: { act: ({ mm, at }) => mm.pfn(at) },
        ksmStat: { act: ({ mm }) => mm.ksmStat(), looks: true },
        oomReap: { act: ({ mm }) => mm.oomReap() },
      },
    },
    Pin: {
      of: ({ pin }) => pin,
      calls: {
        read: { act: ({ pin }) => pin.read(0, 1) },
        write: { act: ({ pin }) => pin.write(0, Uint8Array.of(1)) },
        release: { act: ({ pin }) => pin.release() },
      },
    },
    SecondaryMmu: {
      of: ({ mmu }) => mmu,
      calls: {
        translate: { act: ({ mmu, at }) => mmu.translate(at) },
        peek: { act: ({ mmu, at }) => mmu.peek(at), looks: true },
        isMasked: { act: ({ mmu, at }) => mmu.isMasked(at / PAGE), looks: true },
        openRanges: { act: ({ mmu }) => mmu.openRanges.length, looks: true },
        invalidateRangeStart: { act: ({ mmu }) => mmu.invalidateRangeStart(RANGE), looks: true },
        invalidateRangeEnd: { act: ({ mmu }) => mmu.invalidateRangeEnd(RANGE), looks: true },
        close: { act: ({ mmu }) => mmu.close(), looks: true },
      },
    },
  }

/** These end things, and have to work on whatever is left of a host. */
const ENDS: Record<string, readonly string[]> = { Host: ['close'], Ksm: ['stop'] }

const CLASSES = { Host, Ksm: KsmClass, Mm, Pin, SecondaryMmu }
const SOURCES: Record<keyof typeof CLASSES, string> = {
  Host: 'host.ts',
  Ksm: 'ksm/ksmd.ts',
  Mm: 'mm/mm.ts',
  Pin: 'mm/calls/pin.ts',
  SecondaryMmu: 'mm/watch/secondary-mmu.ts',
}

/** What a class has on its prototype and does not keep to itself. */
function publicMethods(name: keyof typeof CLASSES): string[] {
  const source = readFileSync(new URL(`../../src/${SOURCES[name]}`, import.meta.url), 'utf8')
  const kept = new Set([...source.matchAll(/^ {2}private (?:get )?(\w+)/gm)].map(([, method]) => method))
  return Object.getOwnPropertyNames(CLASSES[name].prototype).filter(
    (method) => method !== 'constructor' && !kept.has(method),
  )
}

/** A frame that is there, whatever the scene. */
let FRAME = 0

async function makeScene(): Promise<Scene> {
  const host = await makeHost()
  const { mm, at } = guest(host, 'a', [7, 7, 8])
  const notifier = {}
  mm.registerNotifier(notifier)
  const scene = {
    host,
    ksm: host.ksm,
    mm,
    at,
    pin: mm.pin(at + 2 * PAGE, PAGE, { write: true }),
    mmu: new SecondaryMmu(mm),
    notifier,
  }
  FRAME = pfnOf(scene)
  return scene
}

/** Stands for a part of the engine of which nothing works any more. */
function breaking(error: Error, kept: object = {}): object {
  return new Proxy(kept, {
    get(target, key) {
      if (key in target) return Reflect.get(target, key)
      throw error
    },
  })
}

/** Puts such parts in the place of all that an object holds, but for the way to the door. */
function breakParts(object: object, error: Error): void {
  for (const [key, part] of Object.entries(object)) {
    // What `frames` gives is a face, not a part: it reads through the door.
    if (typeof part !== 'object' || part === null || key === 'counts') continue
    Reflect.defineProperty(object, key, { value: breaking(error, wayToTheDoor(part)), configurable: true })
  }
}

/** Of a part that leads to the gate (the memory itself, or what holds it), only that way. */
function wayToTheDoor(part: object): object {
  if ('gate' in part) return { gate: part.gate }
  if ('memory' in part) return { memory: wayToTheDoor(part.memory as object) }
  if ('ksm' in part) return { ksm: wayToTheDoor(part.ksm as object) }
  return {}
}

const TRAP = new WebAssembly.RuntimeError('unreachable')
const INVARIANT = brokenInvariant('a count is off')

describe.each(Object.keys(CLASSES) as (keyof typeof CLASSES)[])('%s', (name) => {
  const { of, calls } = CALLS[name]!

  it('has a line here for every public method', () => {
    expect(Object.keys(calls).sort()).toEqual(
      publicMethods(name)
        .filter((method) => !(ENDS[name] ?? []).includes(method))
        .sort(),
    )
  })

  describe.each(Object.entries(calls))('%s', (_, { act, looks }) => {
    it.each([
      ['a trap in the core', TRAP],
      ['a broken invariant', INVARIANT],
      ['a mistake of ours', new TypeError('x is undefined')],
    ])('%s inside closes the host', async (_, error) => {
      const scene = await makeScene()
      breakParts(of(scene), error)
      expect(errnoOf(() => act(scene))).toBe('EUCLEAN')
      const other = await makeScene()
      expect(errnoOf(() => other.host.createMm())).toBeUndefined()
      // The scene's own host may be the object taken apart: its gate is asked through another of its parts.
      expect(errnoOf(() => scene.pin.release.call(scene.pin))).toBe('EUCLEAN')
    })

    it(looks ? 'looks, and answers on a broken host' : 'is refused on a broken host', async () => {
      const scene = await makeScene()
      scene.host.memory.race = () => {
        throw new Error('in the middle of a scan')
      }
      expect(errnoOf(() => scene.host.ksm.scan(1))).toBe('EUCLEAN')
      scene.host.memory.race = undefined
      if (looks) {
        // Whatever it says, it does not say that the host is closed: a range that ends must have begun, and so on.
        expect(String(thrownBy(() => act(scene)))).not.toContain('in the middle of a scan')
      } else {
        expect(errnoOf(() => act(scene))).toBe('EUCLEAN')
      }
    })
  })
})

describe('what ends things works on a broken host', () => {
  it('close and stop', async () => {
    const { host, ksm } = await makeScene()
    ksm.start()
    breakParts(ksm.state, TRAP)
    expect(errnoOf(() => ksm.scan(1))).toBe('EUCLEAN')
    await expect(Promise.resolve(ksm.stop())).resolves.toBeUndefined()
    host.close()
    host.close()
    expect(errnoOf(() => host.createMm())).toBe('EUCLEAN')
  })
})

describe("a caller's own error is not the engine's", () => {
  it('what an image, a handler or a store throws goes through, and the host works on', async () => {
    const { host, mm, at } = await makeScene()
    const mine = new TypeError('mine')
    const throwing = (): never => {
      throw mine
    }
    expect(() => host.loadImage({ ...IMAGE, read: throwing })).toThrow(mine)
    mm.registerUserfault(at, PAGE, { onWriteProtect: throwing })
    mm.userfaultWriteProtect(at, PAGE, true)
    expect(() => mm.write(at, Uint8Array.of(1))).toThrow(mine)
    const store = { ...memorySwapStore(4), close: throwing }
    host.swapOn(store)
    expect(() => host.swapOff(store)).toThrow(mine)
    expect(() => mm.mmap(-1)).toThrow(RangeError)
    expect(() => mm.mmap('1' as never)).toThrow(TypeError)
    expect(errnoOf(() => host.createMm())).toBeUndefined()
    host.audit()
  })
})

function thrownBy(action: () => unknown): unknown {
  try {
    action()
  } catch (error) {
    return error
  }
  return undefined
}
