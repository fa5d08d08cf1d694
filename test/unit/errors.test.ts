// A caller's mistakes: what is said to whom.

import { describe, expect, it } from 'vitest'
import { expectOptions } from '../../src/errors.ts'

interface Options {
  readonly frames: number
  readonly workers?: number
  readonly cowPolicy?: string
}
const KNOWN = { frames: true, workers: true, cowPolicy: true } as const
const check = (options: unknown) => (): Options => expectOptions('Host.create', options as Options, KNOWN)

describe('options', () => {
  it('are taken as they are when every name is known', () => {
    const options = { frames: 1, cowPolicy: 'x' }
    expect(check(options)()).toStrictEqual(options)
    expect(check({})()).toEqual({})
  })

  it('are read once each, and what is inherited counts', () => {
    let reads = 0
    const options = Object.create({ workers: 2 }, { frames: { enumerable: true, get: () => ++reads } })
    const taken = check(options)()
    expect([taken.frames, taken.frames, taken.workers, reads]).toEqual([1, 1, 2, 1])
    expect('cowPolicy' in taken).toBe(false)
  })

  it.each([
    ['worker', 'workers'],
    ['Frames', 'frames'],
    ['frame', 'frames'],
    ['cow_policy', 'cowPolicy'],
    ['wrokers', 'workers'],
  ])('with `%s` are refused, and `%s` is named', (wrong, right) => {
    expect(check({ frames: 1, [wrong]: 3 })).toThrow(
      new TypeError(`Host.create: no option \`${wrong}\`: did you mean \`${right}\`?`),
    )
  })

  it.each(['colour', 'toString', 'constructor', '__proto__x', 'f'])(
    'with `%s`, like none, are refused with all there are',
    (wrong) => {
      expect(check({ [wrong]: undefined })).toThrow(
        new TypeError(`Host.create: no option \`${wrong}\`: it takes frames, workers, cowPolicy`),
      )
    },
  )

  it('of which one is null, which leaves nothing out, are refused', () => {
    expect(check({ frames: 1, workers: null })).toThrow(
      new TypeError('Host.create: `workers` is null: leave it out instead'),
    )
    expect(check({ frames: 1, workers: undefined })()).toEqual({ frames: 1, workers: undefined })
  })

  it.each([null, undefined, 3, 'frames'])('that are no object, such as %s, are refused', (wrong) => {
    expect(check(wrong)).toThrow(TypeError)
    expect(check(wrong)).toThrow('Host.create: expected `options` to be an object, got')
  })
})
