// The sample of images that is merged over and over: never one page twice, from beginning to end, each image its share.

import { describe, expect, it } from 'vitest'
import type { Image } from '../../src/index.ts'
import { sampleOf } from '../../src/lab/hash/sample.ts'

/** An image whose pages begin with their own number. */
function numbered(pages: number): Image {
  return {
    source: `${pages} pages`,
    format: 'raw',
    pages,
    notes: [],
    addressOf: (page) => page * 4096,
    read(first, count, into) {
      const words = new DataView(into.buffer, into.byteOffset)
      for (let i = 0; i < count; i++) words.setUint32(i * 4096, first + i)
    },
    close() {},
  }
}

function numbersOf(image: Image, first = 0, count = image.pages): number[] {
  const bytes = Buffer.alloc(count * 4096)
  image.read(first, count, bytes)
  return Array.from({ length: count }, (_, i) => bytes.readUInt32BE(i * 4096))
}

describe('a sample of images', () => {
  it('is all of them if they are few enough', () => {
    const images = [numbered(10), numbered(20)]
    expect(sampleOf(images, 30)).toBe(images)
  })

  it.each([
    [1000, 100],
    [1000, 999],
    [100, 99],
    [17, 16],
    [33, 17],
    [50, 3],
  ])('of %i pages takes %i, each once, ascending', (pages, limit) => {
    const [sample] = sampleOf([numbered(pages)], limit)
    const numbers = numbersOf(sample!)
    expect(numbers).toHaveLength(limit)
    expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b))
    expect(numbers.at(-1)).toBeLessThan(pages)
    expect(numbers.every((page, i) => sample!.addressOf(i) === page * 4096)).toBe(true)
    if (limit > 16) expect([numbers[0], numbers.at(-1)]).toEqual([0, pages - 1])
    const middle = Math.floor(limit / 3)
    expect(numbersOf(sample!, middle, limit - middle)).toEqual(numbers.slice(middle))
  })

  it('takes of each image its share', () => {
    const samples = sampleOf([numbered(3000), numbered(1000), numbered(1)], 400)
    expect(samples.map(({ pages }) => pages)).toEqual([299, 99])
  })
})
