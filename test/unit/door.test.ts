// The whole API walked: every public method of every class goes through the door. What breaks inside one, a trap in the core
// or an invariant, closes the host, whichever method it was; and a closed host refuses whatever would change it.
//
// A method added later fails the first test here until it has its line in CALLS.

import { describe, expect, it } from 'vitest'
import { brokenInvariant } from '../../src/errors.ts'
import { memorySwapStore } from '../../src/index.ts'
import { CALLS, IMAGE, makeScene } from '../support/api.ts'
import { CLASS_NAMES, ENDS, publicMethods } from '../support/public-methods.ts'
import { errnoOf, PAGE } from '../support/world.ts'

/** What gives back may be done on a closed host too. */
const CLOSES = new Set(['Pin.release'])

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

describe.each(CLASS_NAMES)('%s', (name) => {
  const { of, calls } = CALLS[name]!

  it('has a line here for every public method', () => {
    expect(Object.keys(calls).sort()).toEqual(
      publicMethods(name)
        .filter((method) => !(ENDS[name] ?? []).includes(method))
        .sort(),
    )
  })

  describe.each(Object.entries(calls))('%s', (method, { act, looks }) => {
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

    const answers = looks === true || CLOSES.has(`${name}.${method}`)
    it(`${answers ? 'answers' : 'is refused'} on a closed host`, async () => {
      const scene = await makeScene()
      scene.host.close()
      const thrown = thrownBy(() => act(scene))
      if (answers) expect(String(thrown)).not.toContain('the host is closed')
      else expect(String(thrown)).toMatch(/EINVAL: the host is closed|ESRCH: a has exited/)
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
