// The memory of a process as it was when it was opened: copied once, page by page, into a temporary file.

import { PAGE_SIZE } from '../../../assembly/abi.ts'
import type { Image } from '../../image.ts'
import { FileImage } from '../file-image.ts'
import { spool } from '../spool.ts'
import type { ProcessImage } from './process-image.ts'

const CHUNK_PAGES = 256

/** Copies a process's memory, and closes it. What was gone when it was to be copied is absent. Throws what `spool` does. */
export function copyOf(image: ProcessImage): Image {
  const extents: { page: number; address: number }[] = []
  let pages = 0
  let next = -1
  function* chunks(): Generator<Uint8Array> {
    const chunk = new Uint8Array(CHUNK_PAGES * PAGE_SIZE)
    for (let first = 0; first < image.pages; first += CHUNK_PAGES) {
      const count = Math.min(CHUNK_PAGES, image.pages - first)
      image.read(first, count, chunk)
      for (let i = 0; i < count; i++) {
        if (image.gone(first + i)) continue
        const address = image.addressOf(first + i)
        if (address !== next) extents.push({ page: pages, address })
        next = address + PAGE_SIZE
        pages++
        yield chunk.subarray(i * PAGE_SIZE, (i + 1) * PAGE_SIZE)
      }
    }
  }
  try {
    const file = spool(image.source, chunks())
    const absent = image.absent + image.pages - pages
    const layout = { pages, absent, pieces: [{ at: 0, length: pages * PAGE_SIZE, offset: 0 }], extents }
    return new FileImage(file, image.format, { ranges: [] }, layout, [])
  } finally {
    image.close()
  }
}
