// Diff snapshots: sparse files whose holes are what was in the base.

import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { DiskFile } from '../../src/images/file.ts'
import { byItsSize, dataOf } from '../../src/images/holes.ts'
import { openImage, openSource } from '../../src/images/index.ts'
import { elfCore, file, pages, scratch } from '../support/files.ts'

/** A sparse file of so many pages, with the given ones written. */
function sparse(count: number, written: Readonly<Record<number, Buffer>>, dir = scratch()): string {
  const path = join(dir, 'diff.mem')
  const fd = openSync(path, 'w')
  ftruncateSync(fd, count * 4096)
  for (const [page, bytes] of Object.entries(written)) writeSync(fd, bytes, 0, 4096, Number(page) * 4096)
  closeSync(fd)
  return path
}

/** Where a file system keeps no holes, there is nothing to test. */
const keepsHoles = (): boolean => {
  const dir = mkdtempSync(join(tmpdir(), 'pagefold-test-'))
  const { blocks } = statSync(sparse(64, {}, dir))
  rmSync(dir, { recursive: true })
  return blocks * 512 < 64 * 4096
}

const bytesOf = (image: ReturnType<typeof openImage>): Buffer => {
  const bytes = Buffer.alloc(image.pages * 4096, 0xee)
  image.read(0, image.pages, bytes)
  return bytes
}

const { PATH } = process.env
afterEach(() => {
  process.env.PATH = PATH
})

/** Leaves on the PATH only a folder with links to some programs. */
function only(...programs: string[]): void {
  const dir = scratch()
  for (const program of programs) {
    const home = PATH!.split(delimiter).find((one) => {
      try {
        return readdirSync(one).includes(program)
      } catch {
        return false
      }
    })
    writeFileSync(join(dir, program), `#!/bin/sh\nPATH='${PATH}' exec ${home}/${program} "$@"\n`, {
      mode: 0o755,
    })
  }
  process.env.PATH = dir
}

describe.skipIf(!keepsHoles())('a diff snapshot (skipped where the file system keeps no holes)', () => {
  const base = pages(64)
  const changed = Buffer.alloc(4096, 0xaa)
  const zeros = Buffer.alloc(4096)

  it('is the base where it has holes, and itself where it was written, zeros too', () => {
    const basePath = file('base.mem', base)
    const path = sparse(64, { 3: changed, 20: zeros, 63: changed })
    const wanted = Buffer.from(base)
    wanted
      .fill(0xaa, 3 * 4096, 4 * 4096)
      .fill(0, 20 * 4096, 21 * 4096)
      .fill(0xaa, 63 * 4096)
    const image = openImage(path, { base: basePath })
    expect(image).toMatchObject({ source: path, format: 'raw', pages: 64, absent: 0 })
    expect(bytesOf(image)).toEqual(wanted)
    const part = Buffer.alloc(3 * 4096)
    image.read(19, 3, part)
    expect(part).toEqual(wanted.subarray(19 * 4096, 22 * 4096))
    expect(image.addressOf(5)).toBe(5 * 4096)
    image.close()
    const [same] = openSource(path, { base: basePath })
    expect(bytesOf(same!)).toEqual(wanted)
    same!.close()
  })

  it.each(['perl', 'python3'])('is told its holes by %s alone', (program) => {
    only(program)
    const path = sparse(64, { 0: changed, 20: zeros, 21: changed })
    const fd = openSync(path, 'r')
    const data = dataOf(new DiskFile(path, fd, 64 * 4096))
    closeSync(fd)
    expect(data).toEqual([
      { offset: 0, length: 4096 },
      { offset: 20 * 4096, length: 2 * 4096 },
    ])
  })

  it('is understood by its size alone if no zeros were written, and refused if they may have been', () => {
    only()
    const openAt = (path: string): DiskFile =>
      new DiskFile(path, openSync(path, 'r'), 64 * 4096, statSync(path).blocks * 512)
    const plain = openAt(sparse(64, { 3: changed, 4: changed }))
    const written = openAt(sparse(64, { 3: changed, 20: zeros }))
    expect(dataOf(plain)).toEqual([3, 4].map((page) => ({ offset: page * 4096, length: 4096 })))
    expect(() => byItsSize(written)).toThrow('install perl or python3')
    plain.close()
    written.close()
  })

  it('is refused if it has no holes, is of another size, is no raw file, or nobody knows the base', () => {
    const path = sparse(64, { 3: changed })
    const basePath = file('base.mem', base)
    const open = (diff: string, from: string) => () => openImage(diff, { base: from })
    expect(open(basePath, basePath)).toThrow('has no holes')
    expect(open(path, file('base.mem', pages(63)))).toThrow('has 64 pages, its base')
    expect(open(path, `${basePath}.missing`)).toThrow('no such file')
    expect(open(file('a.elf', elfCore([{ virtual: 0x1000, bytes: pages(1) }])), basePath)).toThrow('none')
    expect(() => openSource('synth:demo', { base: basePath })).toThrow('not for synthetic guests')
  })
})
