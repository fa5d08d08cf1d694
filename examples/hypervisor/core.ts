// A virtual CPU in AssemblyScript that is no processor of anybody's: its programs are loops over words. It runs on the arena of the host,
// so it has neither strings nor arrays nor anything else that lies in memory. Compiled by
//
// npx asc core.ts --outFile core.wasm --optimizeLevel 3 --runtime stub --importMemory --sharedMemory --initialMemory 1 --maximumMemory 65536 --noExportMemory --enable threads --use abort=

import {
  attach,
  copyFromGuest,
  copyToGuest,
  failed,
  forRead,
  forWrite,
  hostAddress,
  isReadable,
  isWritable,
  noPte,
  park,
  pteAddress,
  pteAt,
  safePoint,
  scratch,
  scratchBytes,
  stale,
  unpark,
} from 'pagefold/assembly/hypervisor/cpu'

export {
  attach,
  copyFromGuest,
  copyToGuest,
  failed,
  forRead,
  forWrite,
  park,
  pteAddress,
  safePoint,
  scratch,
  scratchBytes,
  stale,
  unpark,
}

/** How many words are dealt with between two safe points. */
const SLICE: u32 = 1000

/** Adds up words, `stride` bytes apart. What cannot be read counts nothing; `failed` tells of the last. */
export function sum(offset: u32, count: u32, stride: u32): u32 {
  let total: u32 = 0
  for (let i: u32 = 0; i < count; i++) {
    if (i % SLICE == 0) safePoint()
    total += load<u32>(forRead(offset))
    offset += stride
  }
  return total
}

/** The same where no translation is needed: words of the core's own memory, for comparison. */
export function sumFlat(at: u32, count: u32, stride: u32): u32 {
  let total: u32 = 0
  for (let i: u32 = 0; i < count; i++) {
    if (i % SLICE == 0) safePoint()
    total += load<u32>(at)
    at += stride
  }
  return total
}

/** Adds 1 to each of so many words, by way of a cache of one pte's address; returns how many could be written. */
export function increment(offset: u32, count: u32, stride: u32): u32 {
  let done: u32 = 0
  let page: u32 = u32.MAX_VALUE
  let place = noPte()
  for (let i: u32 = 0; i < count; i++) {
    if (i % SLICE == 0) {
      safePoint()
      if (stale()) page = u32.MAX_VALUE
    }
    if (offset >>> 12 != page) {
      page = offset >>> 12
      place = pteAddress(offset)
    }
    let pte = pteAt(place)
    if (!isReadable(pte) || !isWritable(pte)) {
      forRead(offset)
      if (failed() == 0) forWrite(offset)
      if (stale()) page = u32.MAX_VALUE
      place = pteAddress(offset)
      pte = pteAt(place)
    }
    if (isReadable(pte) && isWritable(pte)) {
      const at = hostAddress(pte, offset)
      store<u32>(at, load<u32>(at) + 1)
      done++
    }
    offset += stride
  }
  return done
}
