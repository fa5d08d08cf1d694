// The machine's own libxxhash, in C, beside the checksums that it has too: a process that hashes pages of its own memory when it is
// told to, so that it takes its turns among the others.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { ChecksumName } from '../../src/index.ts'
import { buildC, compilerUnavailable, LIBXXHASH } from './native.ts'

/** Its checksums by our names: what hash.c is told. */
const KINDS: Partial<Record<ChecksumName, number>> = { xxh32: 32, xxh64: 64, xxh3: 3 }

/** libxxhash at work. */
export class Libxxhash {
  /** As it names itself: 0.8.1. */
  readonly version: string
  private readonly pages: number
  private readonly child: ChildProcess
  private readonly lines: AsyncIterator<string>
  private at = 0

  private constructor(pages: number, child: ChildProcess, lines: AsyncIterator<string>, version: string) {
    this.pages = pages
    this.child = child
    this.lines = lines
    this.version = version
  }

  /** Starts it on `pages` pages of its own; or returns why it cannot be had here. */
  static async start(pages: number): Promise<Libxxhash | string> {
    const why = compilerUnavailable()
    if (why !== undefined) return why
    const dir = mkdtempSync(join(tmpdir(), 'pagefold-libxxhash-'))
    try {
      const program = buildC(dir, 'hash', [[LIBXXHASH]])
      if (program === undefined) return 'no libxxhash on this machine'
      const child = spawn(program, [String(pages)], { stdio: ['pipe', 'pipe', 'inherit'] })
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
      const number = Number((await lines.next()).value)
      if (!(number > 0)) return 'libxxhash does not run on this machine'
      const version = [number / 10_000, (number / 100) % 100, number % 100].map(Math.floor).join('.')
      return new Libxxhash(pages, child, lines, version)
    } finally {
      rmSync(dir, { recursive: true })
    }
  }

  /** Has it a checksum of this name? */
  static has(checksum: string): checksum is ChecksumName {
    return Object.hasOwn(KINDS, checksum)
  }

  /** Hashes pages, always the same or one after another, and returns what that took. */
  async hash(
    checksum: ChecksumName,
    cold: boolean,
    calls: number,
  ): Promise<{ cpu_ms: number; wall_ms: number }> {
    this.child.stdin!.write(`${KINDS[checksum]} ${cold ? this.at : -1} ${calls}\n`)
    if (cold) this.at = (this.at + calls) % this.pages
    const { value, done } = await this.lines.next()
    if (done) throw new Error('the C program with libxxhash has ended')
    const [cpu, wall] = value.split(' ').map(Number) as [number, number]
    return { cpu_ms: cpu / 1e6, wall_ms: wall / 1e6 }
  }

  /** Ends it. */
  async stop(): Promise<void> {
    const ended = once(this.child, 'exit')
    this.child.stdin!.end()
    await ended
  }
}
