// Names for contents: gives every page of a plan its kind, number and patch, and sees to it that what is meant to be
// unequal has unequal names.

import { PagefoldError } from '../errors.ts'
import { FILL_WORDS } from './content.ts'
import { parseEntropy, runLength, type SynthParameters } from './parameters.ts'
import { CLASS, KIND, NEAR_PATCH, type PageClass, type Plan } from './plan.ts'
import { below, chance, decisions, mix, type Next } from './random.ts'

const LAST_ID = 0xffff_ff00
const LAST_PATCH = NEAR_PATCH - 1

export class Names {
  private readonly plan: Plan
  private readonly entropy: { kind: number; upTo: number }[]
  private readonly family: number
  /** Runs of duplicates begin at multiples of this, so that a number tells its run. */
  readonly run: number
  private readonly seed: number
  private readonly filled: Next
  private nextId: number
  private nextWrite = 1
  private nextNear = 0
  private familyId = 0
  private collisions = 0

  constructor(plan: Plan, parameters: SynthParameters, seed: number, filledStream: number, firstId = 1) {
    this.plan = plan
    this.entropy = parseEntropy(parameters.entropy)
    this.family = parameters.nearFamily
    this.run = Math.max(1, runLength(parameters.dupLayout))
    this.seed = seed
    this.filled = decisions(seed, filledStream)
    this.nextId = firstId
  }

  /** Gives a page, counted over all images, a new content of its own as its class has it. */
  renew(page: number, pageClass: PageClass): void {
    this.plan.classes[page] = CLASS[pageClass]
    switch (pageClass) {
      case 'zero':
        this.set(page, KIND.zero, 0, 0)
        break
      case 'same-filled':
        this.set(page, KIND['same-filled'], this.fillWord(), 0)
        break
      case 'near':
        this.nameNear(page)
        break
      case 'similar':
        this.set(page, KIND.similar, this.fresh(1), 0)
        break
      case 'colliding':
        this.nameColliding(page)
        break
      case 'volatile':
        // Two numbers, even and odd: the page can go back to the other one.
        this.nameOrdinary(page, 2 * Math.ceil(this.fresh(3) / 2))
        break
      default:
        this.nameOrdinary(page, this.fresh(1))
    }
  }

  /** Gives a page the content of this number, which others have too. */
  duplicate(page: number, id: number): void {
    this.plan.classes[page] = CLASS.duplicate
    this.nameOrdinary(page, id)
  }

  /** Changes some words of a page, otherwise than any write before. */
  touch(page: number): void {
    if (this.nextWrite > LAST_PATCH) throw tooMany('writes')
    this.plan.patches[page] = this.nextWrite++
  }

  /** The first of `run` new numbers in a row, a multiple of `run`. */
  freshRun(): number {
    const first = this.fresh(2 * this.run - 1)
    return Math.ceil(first / this.run) * this.run
  }

  private fresh(count: number): number {
    const first = this.nextId
    if (first + count > LAST_ID) throw tooMany('contents')
    this.nextId = first + count
    return first
  }

  private nameOrdinary(page: number, id: number): void {
    this.set(page, this.kindOf(id), id, 0)
  }

  private nameNear(page: number): void {
    const member = this.nextNear++ % this.family
    if (member === 0) this.familyId = this.fresh(1)
    this.set(page, this.kindOf(this.familyId), this.familyId, member === 0 ? 0 : NEAR_PATCH + member)
  }

  private nameColliding(page: number): void {
    const kind = this.collisions++ % 2 === 0 ? KIND['collide-xxh64'] : KIND['collide-xxh3']
    this.set(page, kind, this.fresh(1), 0)
  }

  private kindOf(id: number): number {
    const drawn = mix(id ^ mix(this.seed)) / 2 ** 32
    return (this.entropy.find(({ upTo }) => drawn < upTo) ?? this.entropy.at(-1)!).kind
  }

  private fillWord(): number {
    return chance(this.filled, 0.5)
      ? FILL_WORDS[0]
      : FILL_WORDS[1 + below(this.filled, FILL_WORDS.length - 1)]!
  }

  private set(page: number, kind: number, id: number, patch: number): void {
    const { kinds, ids, patches } = this.plan
    kinds[page] = kind
    ids[page] = id
    patches[page] = patch
  }
}

function tooMany(what: string): PagefoldError {
  return new PagefoldError('ERANGE', `more ${what} than can be numbered; take fewer pages or moments`)
}
