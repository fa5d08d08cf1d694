// What tests of censuses share: images in memory.

import type { Image } from '../../src/image.ts'

/** An image whose pages are named by numbers: 0 is zeros, every other number a content of its own. */
export function namedImage(source: string, names: readonly number[]): Image {
  return {
    source,
    format: 'raw',
    pages: names.length,
    notes: [],
    addressOf: (page) => page * 4096,
    read(first, count, into) {
      into.fill(0, 0, count * 4096)
      const view = new DataView(into.buffer, into.byteOffset, into.byteLength)
      for (let i = 0; i < count; i++) view.setUint32(i * 4096 + 128, names[first + i]!)
    },
    close() {},
  }
}
