// The independent reader of memory images in read_memory.py, asked; and the same told of an image of pagefold's.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import type { Image } from '../../src/index.ts'

/** What is in an image, however it was read. */
export interface Contents {
  readonly pages: number
  readonly absent: number
  /** Contents. */
  readonly different: number
  /** SHA-256 of all pages in the order of their addresses. */
  readonly digest: string
}

/** Why it cannot be asked here, or undefined if it can. */
export function readerUnavailable(): string | undefined {
  return spawnSync('python3', ['--version']).status === 0
    ? undefined
    : 'no python3 to read the files again with'
}

export function readByPython(path: string): Contents {
  const script = new URL('read_memory.py', import.meta.url).pathname
  const { status, stdout, stderr } = spawnSync('python3', [script, path], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`read_memory.py ${path}: ${stderr}`)
  return JSON.parse(stdout) as Contents
}

export function contentsOf(image: Image): Contents {
  const whole = createHash('sha256')
  const contents = new Set<string>()
  const page = Buffer.alloc(4096)
  for (let i = 0; i < image.pages; i++) {
    image.read(i, 1, page)
    whole.update(page)
    contents.add(createHash('sha256').update(page).digest('base64'))
  }
  return {
    pages: image.pages,
    absent: image.absent ?? 0,
    different: contents.size,
    digest: whole.digest('hex'),
  }
}
