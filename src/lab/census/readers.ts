// All pages of some images as fingerprints, in their order: read and reckoned by threads, each with a stretch of its own, and on this one while
// they are busy. Only so many stretches are under way at a time, so what this takes does not grow with the images.

import { PAGE_SIZE } from '../../../assembly/abi.ts'
import { PagefoldError } from '../../errors.ts'
import type { Image } from '../../image.ts'
import { startThread } from '../../platform.ts'
import { type CensusKey, Fingerprinter, PRINT_WORDS } from './binary.ts'
import type { ReaderAnswer, ReaderData, ReaderTask } from './reader.ts'
import program from './reader.ts?program'

/** Pages of one image, one after the other, and their fingerprints. */
export interface Stretch {
  readonly image: number
  readonly first: number
  readonly count: number
  /** Four words a page. */
  readonly prints: Uint32Array
  /** Pages that were gone when they were to be read, by their number in the stretch; a 1 says so. undefined: none can be. */
  readonly gone: Uint8Array | undefined
}

/** Pages a stretch, if threads read all of them by themselves, and if some are handed over. */
const READ_PAGES = 4096
const HANDED_PAGES = 1024
/** Stretches that a thread has before it: the next is there when it is done with one. */
const AHEAD = 2
/** Stretches under way, for each thread: if one is slow, the others go on meanwhile. */
const UNDER_WAY = 4
/** How long nobody else has his turn, where no thread has to be heard. */
const TURN_MS = 50

type Task = Pick<Stretch, 'image' | 'first' | 'count'>

/** Pages a stretch of such images: the longer they are, the less is said between threads. */
export function stretchFor(images: readonly Image[]): number {
  return images.every((image) => image.places?.(0, 1) !== undefined) ? READ_PAGES : HANDED_PAGES
}

function* stretchesOf(images: readonly Image[], most: number): Generator<Task> {
  for (const [image, { pages }] of images.entries()) {
    for (let first = 0; first < pages; first += most) {
      yield { image, first, count: Math.min(most, pages - first) }
    }
  }
}

/** How fingerprints are made. */
export interface Making {
  readonly module: WebAssembly.Module
  readonly key: CensusKey
  /** Pages a stretch: `stretchFor` them. */
  readonly stretch: number
  /** Threads beside this one. */
  readonly workers: number
}

/** A stretch that somebody has been given. */
interface Given {
  /** Once it is there. */
  stretch: Stretch | undefined
  readonly whenThere: Promise<void>
}

/** Makes the fingerprints of all pages of `images`, in their order. Throws EIO; EAGAIN if no thread starts. */
export async function* fingerprintsOf(
  images: readonly Image[],
  { module, key, stretch: most, workers }: Making,
): AsyncGenerator<Stretch> {
  const fingerprinter = new Fingerprinter(module, key)
  const readers = await Promise.all(Array.from({ length: workers }, () => Reader.start(module, key)))
  const tasks = stretchesOf(images, most)
  const given: Given[] = []
  let { value: task } = tasks.next()
  let last = performance.now()
  try {
    while (task !== undefined || given.length > 0) {
      const free = readers.find(({ asked }) => asked < AHEAD)
      if (given[0]?.stretch !== undefined) yield given.shift()!.stretch!
      else if (task === undefined || given.length === workers * UNDER_WAY + 1) await given[0]!.whenThere
      else {
        const image = images[task.image]!
        if (free !== undefined) given.push(givenTo(free, image, task))
        else given.push({ stretch: readHere(fingerprinter, image, task), whenThere: Promise.resolve() })
        task = tasks.next().value
        if (free !== undefined || (workers === 0 && performance.now() - last < TURN_MS)) continue
        await nextTurn()
        last = performance.now()
      }
    }
  } finally {
    for (const reader of readers) reader.close()
  }
}

function givenTo(reader: Reader, image: Image, task: Task): Given {
  const given: Given = {
    stretch: undefined,
    whenThere: reader.take(image, task).then((stretch) => {
      given.stretch = stretch
    }),
  }
  // If an earlier one fails, nobody waits for this one any more.
  given.whenThere.catch(() => undefined)
  return given
}

function readHere(fingerprinter: Fingerprinter, image: Image, task: Task): Stretch {
  const prints = new Uint32Array(task.count * PRINT_WORDS)
  const gone = image.gone && new Uint8Array(task.count)
  for (let done = 0; done < task.count; done += Fingerprinter.pages) {
    const some = Math.min(Fingerprinter.pages, task.count - done)
    image.read(task.first + done, some, fingerprinter.pages.subarray(0, some * PAGE_SIZE))
    for (let page = done; gone !== undefined && page < done + some; page++) {
      gone[page] = Number(image.gone!(task.first + page))
    }
    prints.set(fingerprinter.take(some), done * PRINT_WORDS)
  }
  return { ...task, prints, gone }
}

/** Others have their turn, and threads are heard. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => (globalThis.setImmediate ?? setTimeout)(resolve))
}

/** A thread, as seen from here. It answers in the order in which it is asked. */
class Reader {
  private readonly port: MessagePort
  private readonly waiting: ((answer: ReaderAnswer) => void)[] = []
  /** Bytes that are not with the thread now. */
  private readonly buffers: Uint8Array[] = []

  private constructor(port: MessagePort) {
    this.port = port
    port.onmessage = ({ data }) => {
      const answer = data as ReaderAnswer
      if ('prints' in answer && answer.bytes !== undefined) this.buffers.push(answer.bytes)
      this.waiting.shift()!(answer)
    }
  }

  /** Stretches that it has before it. */
  get asked(): number {
    return this.waiting.length
  }

  static async start(module: WebAssembly.Module, key: CensusKey): Promise<Reader> {
    const { port1, port2 } = new MessageChannel()
    const data: ReaderData = { module, key, port: port2 }
    try {
      await startThread(program, data, [port2])
    } catch (cause) {
      port1.close()
      const why = `a thread did not start: ${(cause as Error).message}: take \`workers: 0\``
      throw new PagefoldError('EAGAIN', why, { cause })
    }
    return new Reader(port1)
  }

  async take(image: Image, task: Task): Promise<Stretch> {
    const { first, count } = task
    const places = image.places?.(first, count)
    const gone = image.gone && new Uint8Array(count)
    let bytes: Uint8Array | undefined
    if (places === undefined) {
      bytes = this.buffers.pop() ?? new Uint8Array(HANDED_PAGES * PAGE_SIZE)
      image.read(first, count, bytes.subarray(0, count * PAGE_SIZE))
      for (let page = 0; gone !== undefined && page < count; page++)
        gone[page] = Number(image.gone!(first + page))
    }
    const asked = new Promise<ReaderAnswer>((resolve) => this.waiting.push(resolve))
    const message: ReaderTask = { count, places, bytes }
    this.port.postMessage(message, bytes === undefined ? [] : [bytes.buffer as ArrayBuffer])
    const answer = await asked
    if ('prints' in answer) return { ...task, prints: answer.prints, gone }
    throw new PagefoldError(
      'EIO',
      `${image.source}: cannot be read at byte ${answer.offset} (${answer.failed})`,
    )
  }

  close(): void {
    this.port.close()
  }
}
