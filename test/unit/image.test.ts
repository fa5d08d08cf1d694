import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { FOREIGN } from '../../src/images/foreign.ts'
import { FORMATS, HEAD_BYTES, kindOf, RAW, TAIL_BYTES } from '../../src/images/formats.ts'
import { FORMAT_NAMES, type ImageOptions, openImage } from '../../src/images/index.ts'
import { type Image, PagefoldError } from '../../src/index.ts'
import { elfCore, file, lime, pages, type Segment, scratch } from '../support/files.ts'

function bytesOf(image: Image): Buffer {
  const bytes = Buffer.alloc(image.pages * 4096, 0xee)
  image.read(0, image.pages, bytes)
  return bytes
}

function refusal(path: string, options?: ImageOptions): string {
  try {
    openImage(path, options)
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

  it('are asked about if they are no whole pages; said to be raw, their last page is filled with zeros', () => {
    const path = file('guest.raw', pages(2).subarray(0, 5000))
    expect(refusal(path)).toContain("format: 'raw'")
    const image = openImage(path, { format: 'raw' })
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

  it('go into shared memory as into any other, in more stretches than one', () => {
    const whole = pages(150)
    const image = openImage(file('guest.raw', whole))
    const shared = new Uint8Array(new SharedArrayBuffer(149 * 4096 + 16), 8, 149 * 4096)
    image.read(1, 149, shared)
    expect(Buffer.compare(shared, whole.subarray(4096))).toBe(0)
    const around = Buffer.from(shared.buffer)
    expect([around.readBigInt64LE(0), around.readBigInt64LE(8 + shared.length)]).toEqual([0n, 0n])
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

  it('do not count pages that are not in the file, or count them as zeros', () => {
    const core = elfCore([
      { virtual: 0x1000, bytes: pages(1), memoryBytes: 3 * 4096 },
      { virtual: 0x9000, bytes: Buffer.alloc(0), memoryBytes: 4096 },
      { virtual: 0xb000, bytes: Buffer.from('abc'), memoryBytes: 4096 },
    ])
    const path = file('process.core', core)
    const text = Buffer.alloc(4096)
    text.write('abc')
    const image = openImage(path)
    expect(image).toMatchObject({ pages: 2, absent: 3 })
    expect(image.notes.join()).toMatch(/3 pages .* absent: 'zero'/)
    expect(bytesOf(image)).toEqual(Buffer.concat([pages(1), text]))
    expect(image.addressOf(1)).toBe(0xb000)
    image.close()
    const whole = openImage(path, { absent: 'zero' })
    expect(whole).toMatchObject({ pages: 5, absent: 0, notes: [] })
    expect(bytesOf(whole)).toEqual(Buffer.concat([pages(1), Buffer.alloc(3 * 4096), text]))
    whole.close()
  })

  it('count 16 TiB that were reserved and never touched, and say so where nothing else is there', () => {
    const reserved = { virtual: 0x10000000000, bytes: Buffer.alloc(0), memoryBytes: 2 ** 44 }
    const image = openImage(file('asan.core', elfCore([{ virtual: 0x1000, bytes: pages(2) }, reserved])))
    expect(image).toMatchObject({ pages: 2, absent: 2 ** 32 })
    image.close()
    expect(refusal(file('a', elfCore([reserved])))).toContain("absent: 'zero'")
  })

  it('may name memory twice if it is the same, by place or by content', () => {
    const ram = { physical: 0x10_0000, bytes: pages(8) }
    const place = 0x508
    const text = {
      physical: 0x10_2000,
      bytes: Buffer.alloc(0),
      offset: place + 8192,
      fileBytes: 8192,
      memoryBytes: 8192,
    }
    const copy = { physical: 0x10_5000, bytes: Buffer.concat([pages(3, 6), pages(2, 50)]) }
    const inside = { physical: 0x10_1800, bytes: pages(8).subarray(0x1800, 0x2345) }
    for (const segments of [
      [ram, text],
      [ram, inside, text],
      [ram, { ...ram, bytes: pages(8) }],
    ]) {
      const image = openImage(file('vmcore', elfCore(segments)))
      expect(bytesOf(image)).toEqual(pages(8))
      image.close()
    }
    const longer = openImage(file('vmcore', elfCore([ram, copy])))
    expect(bytesOf(longer)).toEqual(Buffer.concat([pages(8), pages(2, 50)]))
    longer.close()
  })

  it('are refused where two segments say different things, naming both', () => {
    const ram = { physical: 0x10_0000, bytes: pages(8) }
    const wrong = pages(2, 3)
    wrong[5000] = 99
    const message = refusal(file('a', elfCore([ram, { physical: 0x10_2000, bytes: wrong }])))
    expect(message).toMatch(/0x100000\+0x8000 .* 0x102000\+0x2000 .* differ at 0x103388/)
  })

  it('are refused if they name the same over and over, instead of comparing for ever', () => {
    const one = { virtual: 0x1000, bytes: Buffer.alloc(2 ** 20) }
    const again = Array.from({ length: 400 }, (_, i) => ({
      virtual: 0x1000,
      bytes: Buffer.alloc(0),
      offset: 0x6000 + i,
      fileBytes: 2 ** 20 - 0x10000,
      memoryBytes: 2 ** 20 - 0x10000,
    }))
    const core = elfCore([...again, one])
    expect(refusal(file('a', core))).toContain('over and over')
  })

  it('keep whole pages exact up to the last address, and refuse what is none beyond 2^53', () => {
    const top = elfCore([{ virtual: 0xffff_ffff_ffff_f000n, bytes: pages(1) }])
    const image = openImage(file('core', top))
    expect(image.addressOf(0)).toBe(2 ** 64 - 4096)
    image.close()
    const odd = elfCore([{ virtual: 0xffff_ffff_8100_0010n, bytes: pages(1) }])
    expect(refusal(file('a', odd))).toContain('0xffffffff81000010')
    const part = elfCore([{ virtual: 0xffff_ffff_8100_0000n, bytes: pages(1).subarray(1) }])
    expect(refusal(file('a', part))).toContain('whole pages')
  })

  it('have a note when most of them are zeros that a debugger wrote', () => {
    const touched = { virtual: 0x1000, bytes: pages(2), flags: 6 }
    const reserved = { virtual: 0x10_0000, bytes: Buffer.alloc(6 * 4096), flags: 4 }
    const notesOf = (...segments: Segment[]): string => {
      const image = openImage(file('core', elfCore(segments)))
      image.close()
      return image.notes.join()
    }
    expect(notesOf(touched, reserved)).toMatch(/75 % of it are zeros in mappings that cannot be written/)
    expect(notesOf(touched, { ...reserved, flags: 0 })).not.toBe('')
    expect(notesOf(touched, { ...reserved, flags: 6 })).toBe('')
    expect(notesOf(touched, { ...reserved, bytes: pages(6) })).toBe('')
    // QEMU gives no segment any permission.
    expect(notesOf({ ...touched, physical: 0x1000 }, { ...reserved, physical: 0x10_0000 })).toBe('')
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
    expect(refusal(file('a', elfCore([good, { virtual: 0x2ffe, bytes: pages(1) }])))).toContain('overlaps')
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

  it('may reach to the last address of all', () => {
    const image = openImage(file('guest.lime', lime([{ first: 0xffff_ffff_ffff_e000n, bytes: pages(2) }])))
    expect(image).toMatchObject({ pages: 2, absent: 0 })
    expect(image.addressOf(1)).toBe(2 ** 64 - 4096)
    image.close()
  })

  it('are refused when broken, with what is wrong', () => {
    const good = { first: 0x1000, bytes: pages(2) }
    expect(refusal(file('a', lime([good]).subarray(0, -1)))).toContain('truncated')
    expect(refusal(file('a', lime([good, good]).subarray(0, 32 + 8192 + 20)))).toContain('truncated')
    expect(refusal(file('a', lime([{ ...good, first: 0x2000, last: 0x1000 }])))).toContain('backward')
    expect(refusal(file('a', lime([{ ...good, last: 1n << 60n }])))).toContain('truncated')
    expect(refusal(file('a', lime([{ first: (1n << 63n) + 1n, bytes: pages(1) }])))).toContain('no page')
    expect(refusal(file('a', lime([good, { first: 0x2000, bytes: pages(1, 9) }])))).toContain(
      'differ at 0x2000',
    )
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
    expect(refusal('/dev/null')).toContain('neither a file nor a pipe')
    expect(refusal(file('empty', Buffer.alloc(0)))).toContain('empty')
  })

  it('is refused by name if it is known, though its pages would make a number', () => {
    expect(FOREIGN.length).toBeGreaterThan(50)
    for (const { magic, at = 0, advice } of FOREIGN) {
      const bytes = pages(10)
      bytes.write(magic, at < 0 ? bytes.length + at : at, 'latin1')
      expect(refusal(file('guest.img', bytes)), magic).toContain(advice)
    }
  })

  it('is taken by its word as raw, and told what it looks like', () => {
    const bytes = pages(3)
    bytes.write('QEVM', 0, 'latin1')
    const image = openImage(file('guest.img', bytes), { format: 'raw' })
    expect(image).toMatchObject({ format: 'raw', pages: 3 })
    expect(image.notes.join()).toContain('begins like a QEMU migration stream')
    expect(bytesOf(image)).toEqual(bytes)
    image.close()
  })

  it('is asked about if all of it is packed or encrypted, and nothing like memory is', () => {
    const random = Buffer.concat(Array.from({ length: 8 }, (_, i) => noise(i)))
    const path = file('unknown', random)
    expect(refusal(path)).toMatch(/packed or encrypted .* format: 'raw'/)
    openImage(path, { format: 'raw' }).close()
    // A single page among them that is not, pages that are like each other, or too few to tell.
    openImage(file('guest.raw', Buffer.concat(Array(8).fill(noise(1).subarray(0, 16 * 4096))))).close()
    openImage(file('guest.raw', Buffer.concat([random, pages(1)]))).close()
    openImage(file('guest.raw', random.subarray(0, 31 * 4096))).close()
  })
})

/** 16 pages in which every byte is as likely as any other. */
function noise(seed: number): Buffer {
  const bytes = Buffer.alloc(16 * 4096)
  let x = seed + 1
  for (let at = 0; at < bytes.length; at++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0
    bytes[at] = x >>> 24
  }
  return bytes
}

describe('options', () => {
  it('that there are not are refused', () => {
    const path = file('guest.raw', pages(1))
    expect(() => openImage(path, { foramt: 'raw' } as never)).toThrow('did you mean `format`')
    expect(() => openImage(path, { format: 'vmdk' })).toThrow(RangeError)
    expect(() => openImage(path, { absent: 'ones' as never })).toThrow(RangeError)
    expect(() => openImage(path, { base: 5 as never })).toThrow(TypeError)
  })

  it('name a format that the file must be of', () => {
    expect(refusal(file('guest.raw', pages(1)), { format: 'elf' })).toContain('is not of format elf')
    openImage(file('guest.lime', lime([{ first: 0, bytes: pages(1) }])), { format: 'lime' }).close()
  })
})

describe('the table of formats', () => {
  it('tells each by its beginning, and takes what it does not know for raw', () => {
    expect(FORMAT_NAMES).toEqual(expect.arrayContaining(['raw', 'ELF64 core', 'LiME', 'kdump', 'AVML']))
    expect(new Set(FORMAT_NAMES).size).toBe(FORMAT_NAMES.length)
    for (const format of FORMATS) {
      expect(kindOf(`${format.magic} and so on`)).toEqual({ kind: 'format', is: format })
    }
    expect(kindOf('makedumpfile\0\0\0\0')).toMatchObject({ kind: 'view' })
    expect(kindOf('\x1f\x8b\x08')).toMatchObject({ kind: 'packing', is: { name: 'gzip' } })
    for (const head of ['', '\x7fEL', ' EMiL', 'elf'])
      expect(kindOf(head)).toEqual({ kind: 'format', is: RAW })
    expect(HEAD_BYTES).toBeGreaterThanOrEqual(4096)
    expect(TAIL_BYTES).toBe(512)
  })
})
