// Every public operation in every state: it succeeds or is refused as documented; what is refused changes nothing; whatever
// happens, every invariant holds, no other page is touched, the host can go on, and in the end nothing is left.

import { describe, expect, it } from 'vitest'
import { unmergeAndRemoveAllRmapItems } from '../../src/ksm/unmerge.ts'
import { ksmOf, memoryOf, objectsOf } from '../support/inside.ts'
import { ALL, ON_A_HOST, ON_AN_MM, type Operation } from '../support/operations.ts'
import { AT, makeScene, picture, type Scene, STATES } from '../support/scenes.ts'
import { errnoOf, holds, PAGE } from '../support/world.ts'

/** The range's pages that must be as they were, in every mm that has them. */
function expectIntact(scene: Scene, { touches = [], reachesOthers }: Operation): void {
  const { mm, others, byte } = scene
  for (const each of new Set([mm, ...others])) {
    const touched = each === mm || reachesOthers ? touches : []
    if (each.users === 0) continue
    for (const page of ALL) {
      if (touched.includes(page)) continue
      expect(holds(each, AT + page * PAGE, 1, byte), `${each.name}, page ${page}`).toBe(true)
    }
  }
}

/** The host goes on: pages merge, and when everything has ended nothing is left but what was broken or taken away. */
function expectEnd({ host, pins }: Scene, closed: boolean): void {
  if (!closed) {
    host.ksm.set('run', 1)
    host.ksm.scan(3)
    host.audit()
  }
  for (const pin of pins) pin.release()
  host.audit()
  host.close()
  // What run=2 does, which a closed host refuses.
  expect(unmergeAndRemoveAllRmapItems(ksmOf(host))).toBeUndefined()
  host.audit()
  const lost = memoryOf(host).arena.endPfn - memoryOf(host).arena.firstPfn - host.frames.total
  const broken = Array.from(
    { length: 48 },
    (_, i) => host.frame(memoryOf(host).arena.firstPfn + i).flags,
  ).filter((flags) => flags.includes('hwpoison') && !flags.includes('offline')).length
  expect(host.frames.free, 'every frame is free').toBe(48 - lost - broken)
  expect(memoryOf(host).swap.usage.used, 'every slot is free').toBe(0)
  expect(objectsOf(host)).toEqual({ rmapItems: 0, stableNodes: 0, pageTables: 0 })
  expect(memoryOf(host).anonVmas.live).toBe(0)
  expect(memoryOf(host).notifiers).toBe(0)
  expect(host.warnings()).toEqual([])
}

describe.each([
  ['an mm', ON_AN_MM],
  ['a host', ON_A_HOST],
] as const)('on %s', (_, operations) => {
  describe.each(Object.entries(operations))('%s', (_, operation) => {
    it.each(STATES)('%s', async (state) => {
      const scene = await makeScene(state)
      scene.host.audit()
      const before = picture(scene.host)
      const errno = operation.refused?.[state]
      let result: unknown
      expect(
        errnoOf(() => {
          result = operation.act(scene)
        }),
      ).toBe(errno)
      await result
      scene.host.audit()
      if (errno !== undefined && !operation.faults) expect(picture(scene.host)).toEqual(before)
      expectIntact(scene, errno === undefined ? operation : { act: operation.act })
      scene.host.audit()
      expectEnd(scene, state === 'closed' || operation.closes === true)
    })
  })
})
