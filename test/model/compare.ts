// Holds a pagefold host against the model after the same operations: what guests see, who shares with whom, every
// counter, every mm's accounts.

import { ZERO_PFN } from '../../assembly/abi.ts'
import type { Host, HostOptions, IndexName, Mm } from '../../src/index.ts'
import { KNOBS, type Program, regionAddress, runHistory } from '../support/history.ts'
import { memoryOf } from '../support/inside.ts'
import { PAGE } from '../support/world.ts'
import { type Errno, Model } from './model.ts'
import { REGION_PAGES, REGIONS } from './programs.ts'

/** More than the processes can have at once, pinned ones included. */
const FRAMES = 160

/** Runs a program on a host, with so many helper threads, and on the model; throws at the first operation after which they differ. */
export async function runOnBoth(
  program: Program,
  options: Partial<HostOptions> & { index: IndexName },
): Promise<void> {
  const model = new Model({ order: options.index })
  for (const [name, value] of Object.entries({ ...KNOBS, ...program.knobs })) model.knob(name, value)
  await runHistory(program, { frames: FRAMES, ...options }, (host, processes, i, error) => {
    const operation = program.ops[i]!
    try {
      compare(host, processes, model, error, model.apply(operation))
      host.audit()
    } catch (cause) {
      throw new Error(`after operation ${i}, ${JSON.stringify(operation)}:\n${(cause as Error).message}`, {
        cause,
      })
    }
  })
}

/** Throws with all that differs. `error` is what the last operation failed with on the host, `expected` on the model. */
function compare(
  host: Host,
  processes: ReadonlyMap<number, Mm>,
  model: Model,
  error: Errno,
  expected: Errno,
): void {
  const wrong: string[] = []
  const equal = (what: string, found: unknown, wanted: unknown): void => {
    if (found !== wanted) wrong.push(`${what}: ${found}, the model says ${wanted}`)
  }
  equal('error', error, expected)
  const counters = host.ksm.counters()
  for (const [name, value] of Object.entries(model.counters())) {
    equal(name, counters[name as keyof typeof counters], value)
  }
  equal('frames in use', host.frames.total - host.frames.free, model.framesInUse())
  for (const [p, mm] of processes) {
    const stat = mm.ksmStat()
    for (const [name, value] of Object.entries(model.mmStat(p))) {
      equal(`process ${p}: ${name}`, stat[name as keyof typeof stat], value)
    }
  }
  comparePages(host, processes, model, equal)
  if (wrong.length > 0) throw new Error(wrong.join('\n'))
}

function comparePages(
  host: Host,
  processes: ReadonlyMap<number, Mm>,
  model: Model,
  equal: (what: string, found: unknown, wanted: unknown) => void,
): void {
  const { arena } = memoryOf(host)
  // Frames have different names on both sides: what must agree is which places have the same one.
  const firstPlace = { host: new Map<number, string>(), model: new Map<number, string>() }
  for (const [p, mm] of processes) {
    for (const r of REGIONS) {
      for (let page = 0; page < REGION_PAGES; page++) {
        const place = `process ${p}, region ${r}, page ${page}`
        // The zero page is as good as none: fork leaves it out where a fault would fill it in.
        const pfn = mm.pfn(regionAddress(r) + page * PAGE) ?? ZERO_PFN
        const frame = model.frameOf(p, r, page) ?? 0
        equal(`${place}: has a frame`, pfn !== ZERO_PFN, frame !== 0)
        if (pfn === ZERO_PFN || frame === 0) continue
        if (!firstPlace.host.has(pfn)) firstPlace.host.set(pfn, place)
        if (!firstPlace.model.has(frame)) firstPlace.model.set(frame, place)
        equal(`${place}: shares with`, firstPlace.host.get(pfn), firstPlace.model.get(frame))
        const same = Buffer.compare(arena.page(pfn), model.bytes(p, r, page)!) === 0
        equal(`${place}: bytes as in the model`, same, true)
      }
    }
  }
}
