// Snapshots: an mm as it was, to go back to. One is a child that never runs, made as fork makes one; taking it again, going back to it and
// asking what has changed since cost what differs. The mm stays the one it is, with its notifiers and virtual CPUs, which is what
// a fork cannot do.

import { mistake, PagefoldError } from '../errors.ts'
import { INSPECT, type InspectArguments, shown } from '../inspect.ts'
import { exitMm } from './calls/exit.ts'
import { forkMm } from './calls/fork.ts'
import { type ChangedRange, changedRanges, makeEqual } from './calls/make-equal.ts'
import { expectDone } from './calls/refused.ts'
import type { MmStruct } from './model/mm-struct.ts'

/** An mm as it was, to go back to; made by `mm.snapshot`, given up by `release`. Its pages are shared with the mm until one of them is written. */
export class Snapshot {
  /** @internal */
  readonly of: MmStruct
  /** A child that never runs. @internal */
  readonly mm: MmStruct
  /** Is it of a moment? Not if taking it again failed. @internal */
  whole = true

  /** @internal */
  constructor(of: MmStruct, mm: MmStruct) {
    this.of = of
    this.mm = mm
  }

  /** Gives it up: frames that only it had are free. Doing it twice does nothing. */
  release(): void {
    const { gate } = this.mm.memory
    gate.expectOutside()
    gate.look(() => {
      if (this.mm.users > 0) exitMm(this.mm)
    })
  }

  /** What console.log shows. @internal */
  [INSPECT](...context: InspectArguments): string {
    return shown('Snapshot', () => ({ of: this.of.name, released: this.mm.users === 0 }), context)
  }
}

/** Takes a snapshot in a `fresh` mm, or an `earlier` one again. Throws EINVAL, ENOMEM, EAGAIN. */
export function takeSnapshot(mm: MmStruct, earlier: Snapshot | undefined, fresh: () => MmStruct): Snapshot {
  if (earlier === undefined) {
    const child = fresh()
    expectDone(mm, forkMm(child, mm, true), 'snapshot')
    return new Snapshot(mm, child)
  }
  expectSnapshotOf(mm, earlier)
  earlier.whole = false
  expectDone(mm, makeEqual(earlier.mm, mm, 'protection_page'), 'snapshot')
  expectDone(mm, mm.cpus.synchronize() ? undefined : 'EAGAIN', 'snapshot')
  earlier.whole = true
  return earlier
}

/** Makes an mm what it was. Throws EBUSY, EINVAL, ENOMEM. */
export function restoreSnapshot(mm: MmStruct, snapshot: Snapshot): void {
  expectWhole(mm, snapshot)
  if (mm.cpus.running) throw new PagefoldError('EBUSY', `${mm.name}: a virtual CPU runs: stop it first`)
  expectDone(mm, makeEqual(mm, snapshot.mm, 'clear'), 'restore')
}

/** Where an mm differs from a snapshot. Throws EINVAL. */
export function changedSince(mm: MmStruct, snapshot: Snapshot): ChangedRange[] {
  expectWhole(mm, snapshot)
  return changedRanges(mm, snapshot.mm)
}

function expectWhole(mm: MmStruct, snapshot: Snapshot): void {
  expectSnapshotOf(mm, snapshot)
  if (!snapshot.whole)
    throw new PagefoldError('EINVAL', `${mm.name}: the snapshot is of no moment: take it again`)
}

function expectSnapshotOf(mm: MmStruct, snapshot: Snapshot): void {
  if (!(snapshot instanceof Snapshot))
    throw mistake(new TypeError('Expected `snapshot` to be what `mm.snapshot` gave'))
  if (snapshot.of === mm && snapshot.mm.users > 0) return
  const why = snapshot.of === mm ? 'has been released' : "is another mm's"
  throw new PagefoldError('EINVAL', `${mm.name}: the snapshot ${why}`)
}
