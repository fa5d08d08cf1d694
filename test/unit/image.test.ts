import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { formatOf, HEAD_BYTES, RAW } from '../../src/images/formats.ts'
import { FORMAT_NAMES, openImage } from '../../src/images/index.ts'
import { type Image, PagefoldError } from '../../src/index.ts'
import { elfCore, file, lime, pages, scratch } from '../support/files.ts'

function bytesOf(image: Image): Buffer {
  const bytes = Buffer.alloc(image.pages * 4096, 0xee)
  image.read(0, image.pages, bytes)
  return bytes
}

function refusal(path: string): string {
  try {
    openImage(path)
  } catch (error) {
    expect(error).toBeInstanceOf(PagefoldError)
    expect((error as Error).message).toContain(path)
    return (error as Error).message
  }
  throw new Error(`${path} was accepted`)
}

describe('raw images', () => {
  it('are the file as it is', () => {
    const image = openImage(file('guest.raw', pages(5)))
    expect(image).toMatchObject({ format: 'raw', pages: 5, notes: [] })
    expect(bytesOf(image)).toEqual(pages(5))
    expect(image.addressOf(3)).toBe(3 * 4096)
    image.close()
  })

  it('have their last partial page filled with zeros, and say so', () => {
    const image = openImage(file('guest.raw', pages(2).subarray(0, 5000)))
    expect(image.pages).toBe(2)
    expect(image.notes.join()).toContain('904 of 4096 bytes')
    expect(bytesOf(image)).toEqual(Buffer.concat([pages(2).subarray(0, 5000), Buffer.alloc(8192 - 5000)]))
    image.close()
  })

  it('read any part alone', () => {
    const image = openImage(file('guest.raw', pages(9)))
    const part = Buffer.alloc(3 * 4096)
    image.read(4, 3, part)
    expect(part).toEqual(pages(3, 5))
    image.close()
  })
})

describe('ELF cores', () => {
  it('are cut by physical address, not by file offset', () => {
    const core = elfCore([
      { physical: 0, virtual: 0, bytes: pages(2) },
      { physical: 0x10_0000, virtual: 0, bytes: pages(3, 10) },
    ])
    const image = openImage(file('guest.elf', core))
    expect(image).toMatchObject({ format: 'elf', pages: 5 })
    expect(bytesOf(image)).toEqual(Buffer.concat([pages(2), pages(3, 10)]))
    expect([0, 1, 2, 4].map((page) => image.addressOf(page))).toEqual([0, 0x1000, 0x10_0000, 0x10_2000])
    image.close()
  })

  it('are cut by virtual address where no physical one is given', () => {
    const core = elfCore([
      { virtual: 0xffffffffff600000n, bytes: pages(1, 9) },
      { virtual: 0x7000, bytes: pages(1, 3) },
      { virtual: 0x5000, bytes: pages(2) },
    ])
    const image = openImage(file('process.core', core))
    expect(bytesOf(image)).toEqual(Buffer.concat([pages(2), pages(1, 3), pages(1, 9)]))
    expect(image.addressOf(3)).toBe(0xffffffffff600000)
    image.close()
  })

  it('take memory that is not in the file as zeros', () => {
    const core = elfCore([
      { virtual: 0x1000, bytes: pages(1), memoryBytes: 3 * 4096 },
      { virtual: 0x9000, bytes: Buffer.alloc(0), memoryBytes: 4096 },
      { virtual: 0xb000, bytes: Buffer.from('abc'), memoryBytes: 4096 },
    ])
    const image = openImage(file('process.core', core))
    const text = Buffer.alloc(4096)
    text.write('abc')
    expect(bytesOf(image)).toEqual(Buffer.concat([pages(1), Buffer.alloc(3 * 4096), text]))
    image.close()
  })

  it('put ranges that share a page into that page', () => {
    const core = elfCore([
      { virtual: 0x1000, bytes: Buffer.alloc(100, 1) },
      { virtual: 0x1800, bytes: Buffer.alloc(0x900, 2) },
      { virtual: 0x2f00, bytes: Buffer.alloc(0x200, 3) },
    ])
    const image = openImage(file('process.core', core))
    const wanted = Buffer.alloc(3 * 4096)
    wanted.fill(1, 0, 100).fill(2, 0x800, 0x1100).fill(3, 0x1f00, 0x2100)
    expect(bytesOf(image)).toEqual(wanted)
    image.close()
  })

  it('skip what is no PT_LOAD', () => {
    const core = elfCore([
      { type: 4, virtual: 0x1000, bytes: Buffer.alloc(333) },
      { virtual: 0x2000, bytes: pages(1) },
    ])
    const image = openImage(file('guest.elf', core))
    expect(bytesOf(image)).toEqual(pages(1))
    image.close()
  })

  it('are refused when broken, with what is wrong', () => {
    const good = { virtual: 0x1000, bytes: pages(2) }
    expect(refusal(file('a', elfCore([good], { type: 2 })))).toContain('no core')
    expect(refusal(file('a', elfCore([good], { class: 1 })))).toContain('32-bit')
    expect(refusal(file('a', elfCore([good], { data: 2 })))).toContain('big-endian')
    expect(refusal(file('a', elfCore([good]).subarray(0, -1)))).toContain('truncated')
    expect(refusal(file('a', elfCore([good]).subarray(0, 40)))).toContain('truncated')
    expect(refusal(file('a', elfCore([good]).subarray(0, 90)))).toContain('truncated')
    expect(refusal(file('a', elfCore([])))).toContain('no memory')
    expect(refusal(file('a', elfCore([{ ...good, memoryBytes: 1n << 60n }])))).toContain('absurd')
    expect(refusal(file('a', elfCore([{ ...good, memoryBytes: 5 }])))).toContain('larger in the file')
    expect(refusal(file('a', elfCore([{ ...good, offset: 1n << 63n }])))).toContain('truncated')
    expect(refusal(file('a', elfCore([good, { virtual: 0x2fff, bytes: pages(1) }])))).toContain('overlaps')
  })
})

describe('LiME dumps', () => {
  it('are read range by range, ordered by address', () => {
    const dump = lime([
      { first: 0x10_0000, bytes: pages(2, 7) },
      { first: 0x1000, bytes: pages(3) },
    ])
    const image = openImage(file('guest.lime', dump))
    expect(image).toMatchObject({ format: 'lime', pages: 5 })
    expect(bytesOf(image)).toEqual(Buffer.concat([pages(3), pages(2, 7)]))
    expect(image.addressOf(3)).toBe(0x10_0000)
    image.close()
  })

  it('are refused when broken, with what is wrong', () => {
    const good = { first: 0x1000, bytes: pages(2) }
    expect(refusal(file('a', lime([good]).subarray(0, -1)))).toContain('truncated')
    expect(refusal(file('a', lime([good, good]).subarray(0, 32 + 8192 + 20)))).toContain('truncated')
    expect(refusal(file('a', lime([{ ...good, first: 0x2000, last: 0x1000 }])))).toContain('backward')
    expect(refusal(file('a', lime([{ ...good, last: 1n << 60n }])))).toContain('truncated')
    expect(refusal(file('a', lime([good, { first: 0x2000, bytes: pages(1) }])))).toContain('overlaps')
    expect(refusal(file('a', lime([{ ...good, version: 2 }])))).toContain('version 2')
    expect(refusal(file('a', Buffer.concat([lime([good]), Buffer.alloc(64)])))).toContain('no LiME magic')
  })
})

describe('what is no image', () => {
  it('is refused by what it is', () => {
    const dir = scratch()
    mkdirSync(join(dir, 'folder'))
    expect(refusal(join(dir, 'missing'))).toContain('no such file')
    expect(refusal(join(dir, 'folder'))).toContain('directory')
    expect(refusal('/dev/null')).toContain('not a regular file')
    expect(refusal(file('empty', Buffer.alloc(0)))).toContain('empty')
    expect(refusal(file('a', Buffer.from('KDUMP   more')))).toContain('kdump')
    expect(refusal(file('a', Buffer.from('makedumpfile')))).toContain('makedumpfile -R')
    expect(refusal(file('a', Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0])))).toContain('zstd')
  })
})

describe('the table of formats', () => {
  it('tells each by its beginning, and takes what it does not know for raw', () => {
    expect(FORMAT_NAMES).toEqual(expect.arrayContaining(['raw', 'ELF64 core', 'LiME']))
    expect(new Set(FORMAT_NAMES).size).toBe(FORMAT_NAMES.length)
    expect(formatOf('\x7fELF and so on')).toMatchObject({ format: 'elf' })
    expect(formatOf('EMiL')).toMatchObject({ format: 'lime' })
    expect(formatOf('makedumpfile')).toMatchObject({ advice: expect.stringContaining('-R') })
    for (const head of ['', '\x7fEL', ' EMiL', 'elf']) expect(formatOf(head)).toBe(RAW)
    expect(HEAD_BYTES).toBeGreaterThanOrEqual('makedumpfile'.length)
  })
})
