// A guest that checks its own memory, on a thread of its own: it writes pages of a few contents, so that they are merged, and reads them again,
// word by word. Odd ones are a core in WebAssembly, even ones in JavaScript. What it finds wrong it counts and tells.
import { workerData } from 'node:worker_threads'
import { GuestMemory } from '../../dist/hypervisor.js'

const { shared, control, module, first, pages, seed } = workerData
const PAGE = 4096
/** Words of the control block; stress.ts has the same. */
const [STOP, WRONG, ROUNDS, ENDED, BAD_PAGE, ERRNO] = [0, 1, 2, 3, 4, 5]
const words = new Int32Array(control)
const side = module === undefined ? javascript() : webAssembly()
const expected = new Uint32Array(pages)
const buffer = new Uint8Array(PAGE)
const numbers = new Uint32Array(buffer.buffer)

let state = seed | 1
function below(limit) {
  state ^= state << 13
  state ^= state >>> 17
  state ^= state << 5
  return (state >>> 0) % limit
}

try {
  side.unpark()
  while (Atomics.load(words, STOP) === 0) {
    for (let i = 0; i < 20; i++) step()
    side.safePoint()
    Atomics.add(words, ROUNDS, 1)
    // Somebody who waits parks first.
    if (below(50) === 0) {
      side.park()
      Atomics.wait(words, STOP, 0, 1)
      side.unpark()
    }
  }
  for (let page = 0; page < pages; page++) check(page)
} finally {
  side.park()
  Atomics.store(words, ENDED, 1)
  Atomics.notify(words, ENDED)
}

function step() {
  const page = below(pages)
  check(page)
  if (below(3) !== 0) return
  const content = below(5)
  const offset = (first + page) * PAGE
  if (below(2) === 0) {
    numbers.fill(content)
    did(side.write(offset, buffer))
  } else {
    // A word at a time, each by a translation of its own.
    numbers[0] = content
    for (let at = 0; at < PAGE; at += 4) did(side.write(offset + at, buffer.subarray(0, 4)))
  }
  expected[page] = content
  check(page)
}

function check(page) {
  did(side.read((first + page) * PAGE, buffer))
  for (let at = 0; at < numbers.length; at++) {
    if (numbers[at] === expected[page]) continue
    Atomics.store(words, BAD_PAGE, first + page)
    Atomics.add(words, WRONG, 1)
    return
  }
}

/** Nothing a guest does here may fail, but what is on its way elsewhere is asked for again. */
function did(errno) {
  if (errno === 0) return
  Atomics.store(words, ERRNO, errno)
  Atomics.add(words, WRONG, 1)
}

function javascript() {
  const memory = new GuestMemory(shared)
  const again = (act) => {
    let errno = act()
    for (let tries = 0; errno === 11 && tries < 10_000; tries++) errno = act()
    return errno
  }
  return {
    read: (offset, into) => again(() => memory.read(offset, into)),
    write: (offset, bytes) => again(() => memory.write(offset, bytes)),
    safePoint: () => memory.safePoint(),
    park: () => memory.park(),
    unpark: () => memory.unpark(),
  }
}

function webAssembly() {
  const never = () => {
    throw new Error('a CPU on another thread asks by mailbox')
  }
  const { exports } = new WebAssembly.Instance(module, {
    env: { memory: shared.memory },
    pagefold: { fault: never },
  })
  if (exports.attach(shared.record) === 0) throw new Error('another version')
  const own = new Uint8Array(shared.memory.buffer, exports.scratch() >>> 0, PAGE)
  const again = (act) => {
    let errno = act()
    for (let tries = 0; errno === 11 && tries < 10_000; tries++) errno = act()
    return errno
  }
  return {
    read(offset, into) {
      const errno = again(() => exports.copyFromGuest(own.byteOffset, BigInt(offset), into.length))
      into.set(own.subarray(0, into.length))
      return errno
    },
    write(offset, bytes) {
      own.set(bytes)
      return again(() => exports.copyToGuest(BigInt(offset), own.byteOffset, bytes.length))
    },
    safePoint: () => exports.safePoint(),
    park: () => exports.park(),
    unpark: () => exports.unpark(),
  }
}
