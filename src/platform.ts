// What the platform gives beside the language: a processor clock, threads, files, a hash. One build of the engine runs in
// Node, Bun, Deno and browsers; so nothing is imported, everything is looked up here when it is needed, and what is not
// there is said in the words of whoever asked for it.

import { PagefoldError } from './errors.ts'

/** Modules of Node's that Bun and Deno have too, and browsers have not. */
interface Builtins {
  readonly 'node:crypto': typeof import('node:crypto')
  readonly 'node:fs': typeof import('node:fs')
  readonly 'node:module': typeof import('node:module')
  readonly 'node:os': typeof import('node:os')
  readonly 'node:path': typeof import('node:path')
  readonly 'node:worker_threads': typeof import('node:worker_threads')
}

export interface Files {
  readonly fs: Builtins['node:fs']
  readonly path: Builtins['node:path']
}

/** One of the platform's modules, undefined if it has none of this name. */
function builtin<Name extends keyof Builtins>(name: Name): Builtins[Name] | undefined {
  return globalThis.process?.getBuiltinModule?.(name) as Builtins[Name] | undefined
}

/** Files and what their names are made of. Throws ENOTSUP, naming `who` wanted them, where there are none. */
export function files(who: string): Files {
  const [fs, path] = [builtin('node:fs'), builtin('node:path')]
  return fs !== undefined && path !== undefined ? { fs, path } : missing(who, 'files')
}

/**
 * Writes a file whole or not at all: beside its place, and there in one step when all of it is on its way to the disk. What was
 * there stays until then. Throws what the file system does.
 */
export function writeWhole(platform: Files, name: string, bytes: Uint8Array | string): void {
  writeWholeBy(platform, name, (fd) => platform.fs.writeFileSync(fd, bytes))
}

/** The same, written by `write` to an open file. Throws what that does. */
export function writeWholeBy(platform: Files, name: string, write: (fd: number) => void): void {
  const whole = beginWhole(platform, name)
  try {
    write(whole.fd)
    whole.keep()
  } finally {
    whole.close()
  }
}

/** A file on its way to be whole. */
export interface WholeFile {
  readonly fd: number
  /** All of it is written: it takes its place. Throws what the file system does. */
  keep(): void
  /** Ends it; what was not kept is as if it had never been begun. */
  close(): void
}

/** Begins a file that is to be whole or not at all, for writers who cannot do it at once. Throws what the file system does. */
export function beginWhole({ fs, path }: Files, name: string): WholeFile {
  const existing = fs.lstatSync(name, { throwIfNoEntry: false })
  // Where a link leads to, and not the link, is replaced.
  const target = existing?.isSymbolicLink() ? fs.realpathSync(name) : name
  const mode = fs.statSync(target, { throwIfNoEntry: false })?.mode
  const beside = path.join(path.dirname(target), `.${path.basename(target)}.${ownPid()}`)
  const fd = fs.openSync(beside, 'w', mode)
  let isOpen = true
  const closeFile = (): void => {
    if (isOpen) fs.closeSync(fd)
    isOpen = false
  }
  let kept = false
  return {
    fd,
    keep() {
      fs.fsyncSync(fd)
      closeFile()
      fs.renameSync(beside, target)
      kept = true
    },
    close() {
      closeFile()
      if (!kept) fs.rmSync(beside, { force: true })
    },
  }
}

/** Writes all of some bytes to a place in a file. Throws what the file system does. */
export function writeAt({ fs }: Files, fd: number, bytes: Uint8Array, at: number): void {
  for (let done = 0; done < bytes.length; )
    done += fs.writeSync(fd, bytes, done, bytes.length - done, at + done)
}

/** Reads from a place in a file as much as is asked for, or as much as there is: returns how much. */
export function readAt({ fs }: Files, fd: number, into: Uint8Array, at: number): number {
  let done = 0
  while (done < into.length) {
    const got = fs.readSync(fd, into, done, into.length - done, at + done)
    if (got === 0) break
    done += got
  }
  return done
}

/** What the file system refuses to write, as a PagefoldError that names the place; everything else as it is. */
export function writeRefused({ fs }: Files, place: string, cause: unknown): unknown {
  const { code, message } = cause as NodeJS.ErrnoException
  if (cause instanceof PagefoldError || code === undefined) return cause
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS')
    return new PagefoldError('EACCES', `${place}: not allowed to write there`, { cause })
  if (code === 'ENOSPC') return new PagefoldError('ENOSPC', `${place}: no space left`, { cause })
  if (fs.existsSync(place) && (code === 'EEXIST' || code === 'ENOTDIR'))
    return new PagefoldError('EINVAL', `${place}: not a directory`, { cause })
  return new PagefoldError('EIO', `${place}: ${message}`, { cause })
}

/** Are these bytes equal? */
export type SameBytes = (one: Uint8Array, other: Uint8Array) => boolean

/** Compares bytes at the speed of memory; undefined where the platform has nothing for it. */
export function sameBytes(): SameBytes | undefined {
  const compare = globalThis.Buffer?.compare
  return compare === undefined ? undefined : (one, other) => compare(one, other) === 0
}

/** The number of this process. */
export function ownPid(): number {
  return globalThis.process.pid
}

/**
 * When a process began, as the system tells, so that another of the same number is told apart; empty where nobody tells.
 */
export function beginningOf({ fs }: Files, pid: number): string {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  } catch {
    return ''
  }
}

/** Lets everything else have its turn. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0))
}

/** A number of 64 bits that nobody knows. */
export function randomSeed(): bigint {
  return globalThis.crypto.getRandomValues(new BigUint64Array(1))[0]!
}

/** Is there a process of this number? */
export function isRunning(pid: number): boolean {
  try {
    return globalThis.process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Cryptographic hashes that come at once. Throws ENOTSUP, naming `who` wanted them, where they come only later. */
export function hashes(who: string): Builtins['node:crypto'] {
  return builtin('node:crypto') ?? missing(who, 'SHA-256 that does not have to be waited for')
}

function missing(who: string, what: string): never {
  throw new PagefoldError('ENOTSUP', `${who} needs ${what}, as Node, Bun and Deno have: there is none here`)
}

/** A package that whoever wants it installs beside pagefold. Throws what loading it does. */
export function installed(name: string): unknown {
  return builtin('node:module')!.createRequire(import.meta.url)(name)
}

/** How many threads can run at a time; 1 where nobody tells. */
export function processors(): number {
  return builtin('node:os')?.availableParallelism?.() ?? globalThis.navigator?.hardwareConcurrency ?? 1
}

/** The most memory that this process has had at a time, in bytes; undefined where nobody tells. */
export function peakMemory(): number | undefined {
  const kibibytes = globalThis.process?.resourceUsage?.().maxRSS
  return kibibytes === undefined ? undefined : kibibytes * 1024
}

/** Bytes that nobody can foretell. */
export function randomBytes(count: number): Uint8Array {
  return globalThis.crypto.getRandomValues(new Uint8Array(count))
}

/** Milliseconds of processor time this process has spent; where nobody counts it, milliseconds. */
export function cpuTime(): number {
  const usage = globalThis.process?.cpuUsage?.()
  return usage === undefined ? performance.now() : (usage.user + usage.system) / 1000
}

/** Milliseconds that all processors of this machine together were busy, whoever kept them so; undefined where nobody tells. */
export function machineCpuTime(): number | undefined {
  const processors = cpus()
  if (processors.length === 0) return undefined
  return processors.reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0)
}

function cpus(): ReturnType<Builtins['node:os']['cpus']> {
  try {
    return builtin('node:os')?.cpus() ?? []
  } catch {
    return [] // Deno tells only whom it was allowed to tell.
  }
}

/**
 * Runs a program, a classic script, on a thread of its own, with `data` for it to look at, and resolves when it says that it is ready. The
 * thread keeps no process alive; the ports among the data go over to it. Rejects with what kept it from starting. How a program finds its data: core/helper.ts.
 */
export function startThread(program: string, data: unknown, transfer: MessagePort[] = []): Promise<void> {
  const threads = builtin('node:worker_threads')
  return new Promise((resolve, reject) => {
    if (threads !== undefined) {
      // Not with the flags of the process: some are for its main program alone, and refused.
      const worker = new threads.Worker(program, {
        eval: true,
        workerData: data,
        execArgv: [],
        transferList: transfer as never,
      })
      worker.unref()
      worker.once('message', () => resolve())
      worker.once('error', reject)
      return
    }
    const url = URL.createObjectURL(new Blob([program], { type: 'text/javascript' }))
    const worker = new Worker(url)
    const settled = (settle: () => void): void => {
      URL.revokeObjectURL(url)
      settle()
    }
    worker.addEventListener('message', () => settled(resolve), { once: true })
    worker.addEventListener('error', ({ message }) =>
      settled(() => reject(new Error(message || 'the page does not allow it'))),
    )
    worker.postMessage(data, transfer)
  })
}

/** Why memory cannot be shared with threads here, if that may be the reason of a failure: pages must ask for it. */
export function sharingRefused(): PagefoldError | undefined {
  if (globalThis.crossOriginIsolated !== false) return undefined
  const headers = 'Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp'
  return new PagefoldError('ENOTSUP', `a page has shared memory only if it is served with ${headers}`)
}
