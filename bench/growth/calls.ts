// What guests call, many times or on much memory: mappings, forks, reclaim, pins, notifiers, failures.

import { type Host, type Mm, memorySwapStore, PAGE_SIZE, SecondaryMmu } from '../../src/index.ts'
import { guestOf, hostOf, mapMany, shuffled, writePages } from './guests.ts'
import type { Growth, Prepared } from './measure.ts'

/** A measurement on a host of its own. */
function onHost(
  name: string,
  of: string,
  prepare: (host: Host, n: number) => () => unknown,
  make: (n: number) => Promise<Host> = hostOf,
): Growth {
  return {
    name,
    of,
    async prepare(n): Promise<Prepared> {
      const host = await make(n)
      return { run: prepare(host, n), done: () => host.close() }
    },
  }
}

/** The same, on an mm of it. */
function onMm(name: string, of: string, prepare: (mm: Mm, n: number) => () => unknown): Growth {
  return onHost(name, of, (host, n) => prepare(host.createMm(), n))
}

const each = (n: number, act: (i: number) => unknown): void => {
  for (let i = 0; i < n; i++) act(i)
}

const MAPPINGS: readonly Growth[] = [
  onMm(
    'mmap, one behind the other',
    'mappings',
    (mm, n) => () => each(n, (i) => mm.mmap(PAGE_SIZE, { prot: i % 2 })),
  ),
  onMm('mmap at addresses that jump about', 'mappings', (mm, n) => {
    const order = shuffled(n)
    return () => each(n, (i) => mm.mmap(PAGE_SIZE, { address: 2 ** 32 + order[i]! * 2 * PAGE_SIZE }))
  }),
  onMm('mmap into holes, the end taken', 'mappings', (mm, n) => {
    mm.mmap(PAGE_SIZE, { address: 2 ** 44 - PAGE_SIZE })
    return () => each(n, (i) => mm.mmap(PAGE_SIZE, { prot: i % 2 }))
  }),
  onMm('mmap of what fits no hole but the last', 'holes', (mm, n) => {
    const base = 0x10_0000 * PAGE_SIZE
    each(n, (i) => mm.mmap(PAGE_SIZE, { address: base + (2 * i + 1) * PAGE_SIZE }))
    mm.mmap(PAGE_SIZE, { address: 2 ** 44 - PAGE_SIZE })
    return () => each(n, (i) => mm.mmap(2 * PAGE_SIZE, { prot: i % 2 }))
  }),
  onMm('munmap from the front', 'mappings', (mm, n) => {
    const base = mapMany(mm, n, true)
    return () => each(n, (i) => mm.munmap(base + 2 * i * PAGE_SIZE, PAGE_SIZE))
  }),
  onMm('munmap in an order that jumps about', 'mappings', (mm, n) => {
    const base = mapMany(mm, n, true)
    const order = shuffled(n)
    return () => each(n, (i) => mm.munmap(base + 2 * order[i]! * PAGE_SIZE, PAGE_SIZE))
  }),
  onMm('munmap of all at once', 'mappings', (mm, n) => {
    const base = mapMany(mm, n, false)
    return () => mm.munmap(base, n * PAGE_SIZE)
  }),
  onMm('munmap of every other page', 'pages', (mm, n) => {
    const at = mm.mmap(n * PAGE_SIZE)
    writePages(mm, at, n, (page) => page)
    return () => each(n >>> 1, (i) => mm.munmap(at + 2 * i * PAGE_SIZE, PAGE_SIZE))
  }),
  onMm('madvise(MADV_MERGEABLE) over all', 'mappings', (mm, n) => {
    const base = mapMany(mm, n, false)
    return () => mm.madvise(base, n * PAGE_SIZE, 'MADV_MERGEABLE')
  }),
  onMm('madvise(MADV_MERGEABLE) of each', 'mappings', (mm, n) => {
    const base = mapMany(mm, n, true)
    return () => each(n, (i) => mm.madvise(base + 2 * i * PAGE_SIZE, PAGE_SIZE, 'MADV_MERGEABLE'))
  }),
  onMm('mprotect that splits, then joins', 'pages', (mm, n) => {
    const at = mm.mmap(n * PAGE_SIZE)
    writePages(mm, at, n, (page) => page)
    const all = (prot: string): void =>
      each(n >>> 1, (i) => mm.mprotect(at + 2 * i * PAGE_SIZE, PAGE_SIZE, prot))
    return () => {
      all('PROT_READ')
      all('PROT_READ|PROT_WRITE')
    }
  }),
  onMm('prctl(PR_SET_MEMORY_MERGE) on and off', 'mappings', (mm, n) => {
    mapMany(mm, n, false)
    return () => {
      mm.prctl('PR_SET_MEMORY_MERGE', 1)
      mm.prctl('PR_SET_MEMORY_MERGE', 0)
    }
  }),
  onMm('mremap, each to a new place', 'mappings', (mm, n) => {
    const base = mapMany(mm, n, true)
    return () =>
      each(n, (i) =>
        mm.mremap(base + 2 * i * PAGE_SIZE, PAGE_SIZE, PAGE_SIZE, { address: 2 ** 40 + 2 * i * PAGE_SIZE }),
      )
  }),
  onMm('mremap of a range', 'pages', (mm, n) => {
    const at = mm.mmap(n * PAGE_SIZE)
    writePages(mm, at, n, (page) => page)
    return () => mm.mremap(at, n * PAGE_SIZE, n * PAGE_SIZE, { address: 2 ** 40 })
  }),
  onMm('registerUserfault of each', 'mappings', (mm, n) => {
    const base = mapMany(mm, n, true)
    const handler = { onWriteProtect() {} }
    return () => each(n, (i) => mm.registerUserfault(base + 2 * i * PAGE_SIZE, PAGE_SIZE, handler))
  }),
]

const PAGES: readonly Growth[] = [
  onMm('faults', 'pages', (mm, n) => {
    const at = mm.mmap(n * PAGE_SIZE)
    return () => writePages(mm, at, n, (page) => page)
  }),
  onMm('faults, one a mapping, in an order that jumps about', 'mappings', (mm, n) => {
    const base = mapMany(mm, n, true)
    const order = shuffled(n)
    return () => each(n, (i) => mm.write(base + 2 * order[i]! * PAGE_SIZE, Uint8Array.of(1)))
  }),
  onMm('fork and exit', 'pages', (mm, n) => {
    const at = mm.mmap(n * PAGE_SIZE)
    writePages(mm, at, n, (page) => page)
    return () => mm.fork().exit()
  }),
  onMm('fork and exit', 'mappings', (mm, n) => {
    const base = mapMany(mm, n, true)
    each(n, (i) => mm.write(base + 2 * i * PAGE_SIZE, Uint8Array.of(1)))
    return () => mm.fork().exit()
  }),
  onHost(
    'fork of one parent, and their exits',
    'children',
    (host, n) => {
      const mm = host.createMm()
      mm.write(mm.mmap(PAGE_SIZE), Uint8Array.of(1))
      return () => {
        const children = Array.from({ length: n }, () => mm.fork())
        for (const child of children) child.exit()
      }
    },
    (n) => hostOf(n, { mappings: 200 * n }),
  ),
  onMm('pin and release', 'pins', (mm, n) => {
    const at = mm.mmap(n * PAGE_SIZE)
    writePages(mm, at, n, (page) => page)
    return () => {
      const pins = Array.from({ length: n }, (_, i) => mm.pin(at + i * PAGE_SIZE, PAGE_SIZE))
      for (const pin of pins) pin.release()
    }
  }),
  onMm('pins of one page', 'pins', (mm, n) => {
    const at = mm.mmap(PAGE_SIZE)
    mm.write(at, Uint8Array.of(1))
    return () => {
      const pins = Array.from({ length: n }, () => mm.pin(at, PAGE_SIZE))
      for (const pin of pins) pin.release()
    }
  }),
  onMm('pfn', 'pages', (mm, n) => {
    const at = mm.mmap(n * PAGE_SIZE)
    writePages(mm, at, n, (page) => page)
    return () => each(n, (i) => mm.pfn(at + i * PAGE_SIZE))
  }),
]

const WATCHERS: readonly Growth[] = [
  onMm('notifiers come, hear a range, and go', 'notifiers', (mm, n) => {
    const at = mm.mmap(PAGE_SIZE)
    const notifiers = Array.from({ length: n }, () => ({
      invalidateRangeStart() {},
      invalidateRangeEnd() {},
    }))
    return () => {
      for (const notifier of notifiers) mm.registerNotifier(notifier)
      mm.madvise(at, PAGE_SIZE, 'MADV_DONTNEED')
      for (const notifier of notifiers.reverse()) mm.unregisterNotifier(notifier)
    }
  }),
  onMm('a secondary MMU loses its translations one by one', 'translations', (mm, n) => {
    const at = mm.mmap(n * PAGE_SIZE)
    writePages(mm, at, n, (page) => page)
    const mmu = new SecondaryMmu(mm)
    each(n, (i) => mmu.translate(at + i * PAGE_SIZE))
    return () => each(n, (i) => mm.madvise(at + i * PAGE_SIZE, PAGE_SIZE, 'MADV_DONTNEED'))
  }),
  onHost(
    'listeners at a tracepoint come and go',
    'listeners',
    (host, n) => {
      const listeners = Array.from({ length: n }, () => () => {})
      return () => {
        for (const listener of listeners) host.on('ksm_enter', listener)
        for (const listener of listeners.reverse()) host.off('ksm_enter', listener)
      }
    },
    () => hostOf(16),
  ),
]

const RECLAIM: readonly Growth[] = [
  onHost('reclaim, swap in, swap off', 'pages', (host, n) => {
    const { mm, at } = guestOf(host, n, (page) => page)
    const store = memorySwapStore(n)
    host.swapOn(store)
    return () => {
      each(n, (i) => host.reclaim(mm.pfn(at + i * PAGE_SIZE)!))
      each(n >>> 1, (i) => mm.read(at + i * PAGE_SIZE, 1))
      host.swapOff(store)
    }
  }),
  onHost('reclaim into a swap that is nearly full', 'slots', (host, n) => {
    const { mm, at } = guestOf(host, n, (page) => page)
    host.swapOn(memorySwapStore(n))
    mm.madvise(at, n * PAGE_SIZE, 'MADV_PAGEOUT')
    const order = shuffled(n)
    return () =>
      each(n >>> 1, (i) => {
        const page = at + order[i]! * PAGE_SIZE
        mm.write(page, Uint8Array.of(1))
        mm.madvise(page, PAGE_SIZE, 'MADV_PAGEOUT')
      })
  }),
  onHost(
    'migrate',
    'pages',
    (host, n) => {
      const { mm, at } = guestOf(host, n, (page) => page)
      return () => each(n, (i) => host.migrate(mm.pfn(at + i * PAGE_SIZE)!, { node: 1 }))
    },
    (n) => hostOf(2 * n, { numaNodes: 2 }),
  ),
  onHost(
    'memoryFailure',
    'frames',
    (host, n) => {
      const other = guestOf(host, n, (page) => page)
      const { mm, at } = guestOf(host, n, (page) => page)
      other.mm.exit()
      return () => each(n, (i) => host.memoryFailure(mm.pfn(at + i * PAGE_SIZE)!))
    },
    (n) => hostOf(2 * n),
  ),
  onHost('memoryFailure of shared pages', 'frames', (host, n) => {
    const mm = host.createMm()
    const at = mm.mmap(n * PAGE_SIZE, { shared: true })
    writePages(mm, at, n, (page) => page)
    return () => each(n, (i) => host.memoryFailure(mm.pfn(at + i * PAGE_SIZE)!))
  }),
  onHost('offline and online', 'frames', (host, n) => {
    const { mm, at } = guestOf(host, n, (page) => page)
    const first = Math.min(...Array.from({ length: n }, (_, i) => mm.pfn(at + i * PAGE_SIZE)!))
    return () => {
      host.offline(first, first + n)
      host.online(first, first + n)
    }
  }),
]

const HOSTS: readonly Growth[] = [
  onHost(
    'createMm and exit',
    'mms',
    (host, n) => {
      return () => {
        const mms = Array.from({ length: n }, () => host.createMm())
        for (const mm of mms) mm.exit()
      }
    },
    (n) => hostOf(n, { mappings: 200 * n }),
  ),
  onHost('audit', 'pages', (host, n) => {
    guestOf(host, n, (page) => page >>> 1)
    host.ksm.set('run', 1)
    host.ksm.scan(2)
    return () => host.audit()
  }),
  onHost('close', 'pages', (host, n) => {
    guestOf(host, n, (page) => page >>> 1)
    host.ksm.set('run', 1)
    host.ksm.scan(2)
    return () => host.close()
  }),
]

export const CALLS: readonly Growth[] = [...MAPPINGS, ...PAGES, ...WATCHERS, ...RECLAIM, ...HOSTS]
