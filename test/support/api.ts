// Every public method of every class, called once with arguments that are in order, and a scene for them to be called in.

import type { VirtualCpu } from '../../src/hypervisor/index.ts'
import {
  type Host,
  type HostOptions,
  type Image,
  memorySwapStore,
  type Notifier,
  SecondaryMmu,
  type Snapshot,
} from '../../src/index.ts'
import type { Ksm } from '../../src/ksm/ksmd.ts'
import type { Pin } from '../../src/mm/calls/pin.ts'
import type { Mm } from '../../src/mm/mm.ts'
import { guest, makeHost, PAGE } from './world.ts'

export interface ApiScene {
  readonly host: Host
  readonly ksm: Ksm
  readonly mm: Mm
  readonly at: number
  readonly pin: Pin
  readonly mmu: SecondaryMmu
  readonly notifier: Notifier
  readonly cpu: VirtualCpu
  readonly snapshot: Snapshot
}

export interface Call {
  readonly act: (scene: ApiScene) => unknown
  /** Looks only: answers on a closed and on a broken host too. The others refuse. */
  readonly looks?: true
  /** Inside a callback: what looks answers, the others are refused, but for these. */
  readonly inCallback?: 'answers' | 'refused'
}

export const IMAGE: Image = {
  source: 'one page',
  format: 'raw',
  pages: 1,
  notes: [],
  addressOf: () => 0,
  read: (_, __, into) => void into.fill(1),
  close: () => {},
}
const RANGE = { event: 'clear', start: 0, end: PAGE, blockable: true } as const
const pfnOf = ({ mm, at }: ApiScene): number => mm.pfn(at)!

/** One call of every public method, with arguments that are in order. */
export const CALLS: Record<
  string,
  { readonly of: (scene: ApiScene) => object; readonly calls: Record<string, Call> }
> = {
  Host: {
    of: ({ host }) => host,
    calls: {
      createMm: { act: ({ host }) => host.createMm() },
      loadImage: { act: ({ host }) => host.loadImage(IMAGE) },
      serveFaults: { act: ({ host }) => host.serveFaults() },
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
      audit: { act: ({ host }) => host.audit(), looks: true, inCallback: 'refused' },
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
      mprotect: { act: ({ mm, at }) => mm.mprotect(at, PAGE, 'PROT_READ') },
      mremap: { act: ({ mm, at }) => mm.mremap(at, PAGE, 2 * PAGE) },
      fork: { act: ({ mm }) => mm.fork() },
      replace: { act: ({ mm }) => mm.replace() },
      exit: { act: ({ mm }) => mm.exit() },
      prctl: { act: ({ mm }) => mm.prctl('PR_SET_MEMORY_MERGE', 1) },
      write: { act: ({ mm, at }) => mm.write(at, Uint8Array.of(1)) },
      read: { act: ({ mm, at }) => mm.read(at, 1) },
      readInto: { act: ({ mm, at }) => mm.readInto(at, new Uint8Array(1)) },
      view: { act: ({ mm, at }) => mm.view(at) },
      markWritten: { act: ({ mm, at }) => mm.markWritten(at, PAGE) },
      pin: { act: ({ mm, at }) => mm.pin(at, PAGE) },
      get: { act: ({ mm, at }) => mm.get(at, PAGE) },
      registerUserfault: { act: ({ mm, at }) => mm.registerUserfault(at, PAGE, { onWriteProtect() {} }) },
      userfaultWriteProtect: { act: ({ mm, at }) => mm.userfaultWriteProtect(at, PAGE, true) },
      registerNotifier: { act: ({ mm, notifier }) => mm.registerNotifier(notifier) },
      unregisterNotifier: {
        act: ({ mm, notifier }) => mm.unregisterNotifier(notifier),
        looks: true,
        inCallback: 'refused',
      },
      snapshot: { act: ({ mm }) => mm.snapshot() },
      restore: { act: ({ mm }) => mm.restore(mm.snapshot()) },
      changedSince: { act: ({ mm }) => mm.changedSince(mm.snapshot()) },
      attachCpu: { act: ({ mm }) => mm.attachCpu() },
      pfn: { act: ({ mm, at }) => mm.pfn(at), inCallback: 'answers' },
      ksmStat: { act: ({ mm }) => mm.ksmStat(), looks: true },
      mlock: { act: ({ mm, at }) => mm.mlock(at, PAGE) },
      munlock: { act: ({ mm, at }) => mm.munlock(at, PAGE) },
      smaps: { act: ({ mm }) => mm.smaps(), inCallback: 'answers' },
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
      close: { act: ({ mmu }) => mmu.close(), looks: true, inCallback: 'refused' },
    },
  },
  Snapshot: {
    of: ({ snapshot }) => snapshot,
    calls: { release: { act: ({ snapshot }) => snapshot.release(), looks: true, inCallback: 'refused' } },
  },
  VirtualCpu: {
    of: ({ cpu }) => cpu,
    calls: {
      fault: { act: ({ cpu }) => cpu.fault(0, true) },
      stop: { act: ({ cpu }) => cpu.stop() },
      resume: { act: ({ cpu }) => cpu.resume() },
      isParked: { act: ({ cpu }) => cpu.isParked, looks: true },
      detach: { act: ({ cpu }) => cpu.detach(), looks: true, inCallback: 'refused' },
    },
  },
}

/** A frame that is there, whatever the scene. */
let FRAME = 0

export async function makeScene(options: Partial<HostOptions> = {}): Promise<ApiScene> {
  const host = await makeHost(options)
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
    cpu: mm.attachCpu(),
    // Of another's: pages that it shared would not be swapped out.
    snapshot: host.createMm().snapshot(),
    notifier,
  }
  FRAME = pfnOf(scene)
  return scene
}
