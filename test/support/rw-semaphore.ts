// A read/write semaphore that never waits: what would have to wait, or gives back what it did not take, is an error. And
// one laid over each forest of anon_vmas of a machine, which shows what pagefold does to their lists, step by step.

import type { Host } from '../../src/index.ts'
import type { AnonVma } from '../../src/mm/model/anon-vma.ts'
import { memoryOf } from './inside.ts'

export class RwSemaphore {
  readers = 0
  writer = false

  downRead(): void {
    if (this.writer) throw new Error('a reader would wait for the writer')
    this.readers++
  }

  upRead(): void {
    if (this.readers === 0) throw new Error('released for reading, but not taken so')
    this.readers--
  }

  downWrite(): void {
    if (this.writer || this.readers > 0) throw new Error('a writer would wait')
    this.writer = true
  }

  upWrite(): void {
    if (!this.writer) throw new Error('released for writing, but not taken so')
    this.writer = false
  }
}

export interface ForestLocks {
  /** The semaphore of a forest lies in its root. */
  of(anonVma: AnonVma): RwSemaphore
  /** What has been done to the lists: `read` or `write`, and the root whose semaphore was taken. */
  readonly taken: { mode: 'read' | 'write'; root: number }[]
}

/** Takes the root's semaphore for reading while an anon_vma's list is read, for writing while it changes. */
export function lockForests(host: Host): ForestLocks {
  const semaphores = new Map<AnonVma, RwSemaphore>()
  const taken: ForestLocks['taken'] = []
  const of = (anonVma: AnonVma): RwSemaphore => {
    const { root } = anonVma
    if (memoryOf(host).anonVmas.find(root.id) !== root)
      throw new Error(`the root ${root.id} is gone, and its lock`)
    if (!semaphores.has(root)) semaphores.set(root, new RwSemaphore())
    return semaphores.get(root)!
  }
  const watch = (anonVma: AnonVma): void => {
    const { vmas } = anonVma
    const [add, remove, values] = [vmas.add.bind(vmas), vmas.delete.bind(vmas), vmas.values.bind(vmas)]
    const writing = <Result>(change: () => Result): Result => {
      const lock = of(anonVma)
      taken.push({ mode: 'write', root: anonVma.root.id })
      lock.downWrite()
      const result = change()
      lock.upWrite()
      return result
    }
    vmas.add = (vma) => writing(() => add(vma))
    vmas.delete = (vma) => writing(() => remove(vma))
    vmas[Symbol.iterator] = function* () {
      const lock = of(anonVma)
      taken.push({ mode: 'read', root: anonVma.root.id })
      lock.downRead()
      yield* values()
      lock.upRead()
      return undefined
    }
  }
  const watched = new Set<AnonVma>()
  const watchNew = (): void => {
    for (const anonVma of memoryOf(host).anonVmas) {
      if (watched.has(anonVma)) continue
      watched.add(anonVma)
      watch(anonVma)
    }
  }
  const { anonVmas } = memoryOf(host)
  const [prepare, fork] = [anonVmas.prepare.bind(anonVmas), anonVmas.fork.bind(anonVmas)]
  anonVmas.prepare = (vma, reusable) => {
    prepare(vma, reusable)
    watchNew()
  }
  anonVmas.fork = (vma, parentVma) => {
    fork(vma, parentVma)
    watchNew()
  }
  return { of, taken }
}
