// The JavaScript peer: what one would write today without pagefold, with xxhash-wasm and a Map.

import { Buffer } from 'node:buffer'
import { readFileSync } from 'node:fs'
import { PAGE_SIZE } from '../../src/index.ts'
import { optional, packageUnavailable } from '../optional.ts'
import { afterWrites, canonical, type Merged, type Peer, type Task, type Trial, timed } from './peer.ts'
import { type Turn, writePage } from './writer.ts'

interface MergedContent {
  readonly checksum: bigint
  readonly frame: number
  /** Pages that joined and have not been seen to have left. */
  sharers: number
  /** Those that still lie there. */
  mapped: number
  /** The page whose own frame it is, until that is written and gets another. */
  owner: number | undefined
}

export const js: Peer = {
  name: 'js',

  unavailable: () => packageUnavailable('xxhash-wasm'),

  async run(task: Task): Promise<Trial> {
    const { h64Raw } = await (await optional('xxhash-wasm'))()
    const guests = new Guests(task, h64Raw)
    const converge = timed(() => {
      guests.fullScan()
      guests.fullScan()
    })
    const scan = () => timed(() => guests.fullScan())
    const rescan = scan()
    const merged = (): Merged => guests.merged()
    const { counters, places } = merged()
    return {
      converge_ns: converge.wall,
      converge_cpu_ns: converge.cpu,
      rescan_ns: rescan.wall,
      rescan_cpu_ns: rescan.cpu,
      counters,
      places: canonical(places),
      written: await afterWrites(task, { scan, merged, write: (turn) => guests.write(turn) }),
    }
  },
}

/** The pages of all images, merged by ksmd's rules. */
class Guests {
  private readonly hash: (page: Uint8Array) => bigint
  private readonly maxPageSharing: number
  /** As many frames again as there are pages: a frame that has its content from a page that was written goes on without it. */
  private readonly memory: Buffer
  private readonly checksums: bigint[]
  /** Where each page lies. */
  private readonly frames: Uint32Array
  /** The frame each page has to itself when it is not merged. */
  private readonly own: Uint32Array
  private readonly spare: number[] = []
  private spareEnd: number
  /** What each page has merged with, and whether it was written since. */
  private readonly nodes: (MergedContent | undefined)[]
  private readonly written: Uint8Array
  private readonly stable = new Map<bigint, MergedContent[]>()
  private waiting = new Map<bigint, number[]>()
  private readonly counters = { pages_shared: 0, pages_sharing: 0, pages_unshared: 0, pages_volatile: 0 }

  constructor({ images, pages, maxPageSharing }: Task, hash: (page: Uint8Array) => bigint) {
    this.hash = hash
    this.maxPageSharing = maxPageSharing
    this.memory = Buffer.allocUnsafeSlow(2 * pages * PAGE_SIZE)
    let at = 0
    for (const path of images) at += readFileSync(path).copy(this.memory, at)
    this.checksums = new Array<bigint>(pages).fill(0n)
    this.frames = Uint32Array.from({ length: pages }, (_, page) => page)
    this.own = this.frames.slice()
    this.spareEnd = pages
    this.nodes = new Array<MergedContent | undefined>(pages).fill(undefined)
    this.written = new Uint8Array(pages)
  }

  fullScan(): void {
    this.waiting = new Map()
    this.counters.pages_unshared = 0
    this.counters.pages_volatile = 0
    for (let page = 0; page < this.nodes.length; page++) {
      if (this.nodes[page] === undefined) this.visit(page)
      else if (this.written[page]) {
        this.leave(page)
        this.visit(page)
      }
    }
  }

  merged(): Merged {
    return { counters: { ...this.counters }, places: this.frames.slice() }
  }

  /** Has guests write: what was merged gets a frame of its own first. */
  write({ pages, words }: Turn): void {
    for (const [i, page] of pages.entries()) {
      if (this.nodes[page] !== undefined && !this.written[page]) this.breakCow(page, this.nodes[page])
      writePage(this.wordsIn(this.frames[page]!), words[i]!)
    }
  }

  private visit(page: number): void {
    const content = this.bytes(this.frames[page]!)
    const checksum = this.hash(content)
    if (checksum !== this.checksums[page]) {
      this.checksums[page] = checksum
      this.counters.pages_volatile++
    } else if (!this.joinStable(page, checksum, content) && !this.joinWaiting(page, checksum, content)) {
      const others = this.waiting.get(checksum)
      if (others === undefined) this.waiting.set(checksum, [page])
      else others.push(page)
      this.counters.pages_unshared++
    }
  }

  private joinStable(page: number, checksum: bigint, content: Buffer): boolean {
    const known = this.stable.get(checksum)
    const at = known?.findIndex((one) => this.hasRoom(one) && this.bytes(one.frame).equals(content)) ?? -1
    if (at < 0) return false
    const node = known![at]!
    // As ksmd does: it is found sooner if it can take one more after this one.
    if (at > 0 && node.sharers + 1 < this.maxPageSharing) known!.unshift(...known!.splice(at, 1))
    this.append(page, node)
    this.counters.pages_sharing++
    return true
  }

  private joinWaiting(page: number, checksum: bigint, content: Buffer): boolean {
    const others = this.waiting.get(checksum)
    const at = others?.findIndex((other) => this.bytes(this.frames[other]!).equals(content)) ?? -1
    if (at < 0) return false
    const other = others!.splice(at, 1)[0]!
    const node = { checksum, frame: this.own[page]!, sharers: 0, mapped: 0, owner: page }
    const known = this.stable.get(checksum)
    if (known === undefined) this.stable.set(checksum, [node])
    else known.unshift(node)
    this.append(page, node)
    this.append(other, node)
    this.counters.pages_shared++
    this.counters.pages_sharing++
    this.counters.pages_unshared--
    return true
  }

  private append(page: number, node: MergedContent): void {
    this.nodes[page] = node
    this.frames[page] = node.frame
    node.sharers++
    node.mapped++
  }

  /** Takes a page that was written out of what it had merged with. */
  private leave(page: number): void {
    const node = this.nodes[page]!
    this.nodes[page] = undefined
    this.written[page] = 0
    if (--node.sharers > 0) {
      this.counters.pages_sharing--
      return
    }
    this.counters.pages_shared--
    const known = this.stable.get(node.checksum)!
    known.splice(known.indexOf(node), 1)
    if (known.length === 0) this.stable.delete(node.checksum)
  }

  private breakCow(page: number, node: MergedContent): void {
    node.mapped--
    if (node.owner === page && node.mapped > 0) {
      node.owner = undefined
      this.own[page] = this.spare.pop() ?? this.spareEnd++
    }
    const own = this.own[page]!
    if (own !== node.frame) this.bytes(node.frame).copy(this.bytes(own))
    if (node.mapped === 0 && node.owner === undefined) this.spare.push(node.frame)
    this.frames[page] = own
    this.written[page] = 1
  }

  private hasRoom({ sharers, mapped }: MergedContent): boolean {
    return mapped > 0 && sharers < this.maxPageSharing
  }

  private bytes(frame: number): Buffer {
    return this.memory.subarray(frame * PAGE_SIZE, (frame + 1) * PAGE_SIZE)
  }

  private wordsIn(frame: number): Uint32Array {
    const { buffer, byteOffset } = this.memory
    return new Uint32Array(buffer, byteOffset + frame * PAGE_SIZE, PAGE_SIZE / 4)
  }
}
