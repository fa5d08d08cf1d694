// Which call answers inside which callback: every pair is tried. What is refused is EDEADLK and changes nothing, and the call that
// called back goes on as if nothing had been asked. docs/callbacks.md has the table for readers; here it is held to it.

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { INDEX_NAMES, memorySwapStore } from '../../src/index.ts'
import { CALLBACKS, type Callback } from '../../src/mm/model/gate.ts'
import { type ApiScene, CALLS, type Call, IMAGE, makeScene } from '../support/api.ts'
import { js, wordHash } from '../support/own.ts'
import { contentBytes, errnoOf, expectContent, PAGE } from '../support/world.ts'

const answers = ({ looks, inCallback = looks ? 'answers' : 'refused' }: Call): boolean =>
  inCallback === 'answers'

/** What ends things: closing has to wait, stopping ksmd does not. */
const ENDS: Record<string, Call> = {
  'Host.close': { act: ({ host }) => host.close() },
  'Ksm.stop': { act: ({ ksm }) => void ksm.stop(), looks: true },
}

const METHODS: Record<string, Call> = {
  ...Object.fromEntries(
    Object.entries(CALLS).flatMap(([name, { calls }]) =>
      Object.entries(calls).map(([method, call]) => [`${name}.${method}`, call]),
    ),
  ),
  ...ENDS,
}

/** Has something of the embedder's called, in the middle of something; `attempt` is made there. */
const TRIGGERS: Record<Callback, (scene: ApiScene, attempt: () => void) => void> = {
  notifier({ host, mm, at }, attempt) {
    const told = { invalidateRangeStart: () => void attempt(), invalidateRangeEnd: attempt }
    mm.registerNotifier(told)
    mm.fork()
    host.ksm.scan(2)
    mm.write(at, contentBytes(5))
    mm.write(at, contentBytes(7))
    mm.unregisterNotifier(told)
  },
  tracepoint({ host }, attempt) {
    host.on('ksm_start_scan', attempt)
    host.on('ksm_merge_with_ksm_page', attempt)
    host.ksm.scan(2)
    host.off('ksm_start_scan', attempt)
    host.off('ksm_merge_with_ksm_page', attempt)
  },
  clock: ({ host }) => void host.ksm.scan(2),
  'swap store'({ host, mm, at }, attempt) {
    const memory = memorySwapStore(8)
    host.swapOn({
      slots: 8,
      read: (slot, into) => {
        attempt()
        memory.read(slot, into)
      },
      write: (slot, from) => {
        attempt()
        memory.write(slot, from)
      },
      close: attempt,
    })
    mm.madvise(at, 2 * PAGE, 'MADV_PAGEOUT')
    mm.read(at, 2 * PAGE)
  },
  file({ mm }, attempt) {
    const file = {
      pages: 1,
      read: (_: number, into: Uint8Array) => {
        attempt()
        into.fill(9)
      },
    }
    mm.read(mm.mmap(PAGE, { file }), 1)
  },
  image({ host }, attempt) {
    const read: typeof IMAGE.read = (first, count, into) => {
      attempt()
      IMAGE.read(first, count, into)
    }
    host.loadImage({ ...IMAGE, read })
  },
  progress: ({ host }, attempt) => void host.loadImage(IMAGE, { onProgress: attempt }),
  checksum: ({ host }) => void host.ksm.scan(3),
  policy: ({ host }) => void host.ksm.scan(3),
}

describe.each(CALLBACKS)('inside a callback: %s', (callback) => {
  describe.each(INDEX_NAMES)('trees ordered by %s', (index) => {
    it.each(callback === 'checksum' ? [0] : [0, 1])(
      'every method answers or is refused as the table says, with %s helpers',
      async (workers) => {
        const said = new Map<string, Set<string | undefined>>()
        let scene: ApiScene | undefined
        let inside = false
        const attempt = (): void => {
          if (inside || scene === undefined) return
          inside = true
          for (const [method, { act }] of Object.entries(METHODS)) {
            const errno = errnoOrWord(() => act(scene!))
            said.set(method, (said.get(method) ?? new Set()).add(errno))
          }
          inside = false
        }
        const ticking = {
          now: () => {
            if (callback === 'clock') attempt()
            return 0
          },
          cpu: () => 0,
          sleep: () => Promise.resolve(),
        }
        const checksum = js({
          hash(page) {
            if (callback === 'checksum') attempt()
            return wordHash(page, 0n)
          },
        })
        const policy = {
          name: 'all',
          skip() {
            if (callback === 'policy') attempt()
            return false
          },
        }
        // A checksum in JavaScript has no helpers.
        const own = workers === 0 ? { checksum } : {}
        const options = { index, workers, frames: 1024, clock: ticking, policy, ...own }
        const made = await makeScene(options)
        if (callback === 'policy') made.ksm.set('smart_scan', 1)
        const { host, mm, at } = made
        scene = made
        TRIGGERS[callback](made, attempt)
        scene = undefined
        expect([...said.keys()].sort()).toEqual(Object.keys(METHODS).sort())
        for (const [method, errnos] of said) {
          if (answers(METHODS[method]!)) expect(errnos, method).not.toContain('EDEADLK')
          else expect([...errnos], method).toEqual(['EDEADLK'])
        }
        expectContent(mm, at, 7)
        host.audit()
        host.ksm.scan(2)
        host.audit()
        host.close()
      },
    )
  })
})

describe('docs/callbacks.md', () => {
  const text = readFileSync(new URL('../../docs/callbacks.md', import.meta.url), 'utf8')

  it('has a row for every method, and says what is tested here', () => {
    const rows = [...text.matchAll(/^\| `(\w+\.\w+)` \| (answers|EDEADLK)/gm)].map(([, method, what]) => [
      method,
      what,
    ])
    const wanted = Object.entries(METHODS).map(([method, call]) => [
      method,
      answers(call) ? 'answers' : 'EDEADLK',
    ])
    expect(rows.sort()).toEqual(wanted.sort())
  })

  it('names every callback', () => {
    for (const callback of CALLBACKS) expect(text).toContain(`| ${callback} |`)
  })
})

/** The errno of what an action throws; the error itself if it is none of pagefold's. */
function errnoOrWord(action: () => unknown): string | undefined {
  try {
    return errnoOf(action)
  } catch (error) {
    return String(error)
  }
}
