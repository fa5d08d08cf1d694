// Files that people have, made small: each read right or refused, by the command line. They lie beside the repository.

import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openImage } from '../../src/images/index.ts'
import type { MergeResult } from '../../src/lab/index.ts'
import { type FieldRecord, fieldFile, fieldRecords, fieldUnavailable } from '../support/field.ts'
import { scratch } from '../support/files.ts'
import { contentsOf, readByPython, readerUnavailable } from '../support/reader.ts'

const MAIN = new URL('../../dist/main.js', import.meta.url).pathname
const missing = fieldUnavailable()
const RECORDS = missing === undefined ? Object.entries(fieldRecords()) : []

function scan(...args: string[]): { code: number | null; result: MergeResult | undefined; err: string } {
  const all = [MAIN, 'scan', '--json', '--knob', 'max_page_sharing=1000000', ...args]
  const { status, stdout, stderr } = spawnSync(process.execPath, all, { encoding: 'utf8' })
  return { code: status, result: status === 0 ? JSON.parse(stdout) : undefined, err: stderr }
}

/** Whole commands name the file themselves; otherwise they are options behind it. */
function argsOf(name: string, { args = [] }: FieldRecord): string[] {
  const files = args.map((arg) => (existsSync(fieldFile(arg)) ? copyOf(arg) : arg))
  return args.includes(name) ? files : [fieldFile(name), ...files]
}

/** Sparse, if it ever was. */
function copyOf(name: string): string {
  const path = join(scratch(), name)
  const { status } = spawnSync('cp', ['--sparse=always', fieldFile(name), path])
  if (status !== 0) copyFileSync(fieldFile(name), path)
  return path
}

describe.skipIf(missing !== undefined)(`files of the field (${missing ?? 'here'})`, () => {
  it.each(RECORDS)('%s', (name, record) => {
    const { code, result, err } = scan(...argsOf(name, record))
    if (record.refused === true || (record.refused !== undefined && code !== 0)) {
      expect(code).toBe(2)
      expect(err.trim().split('\n')).toHaveLength(1)
      expect(err).toContain(name)
      return
    }
    expect(err.split('\n').filter((line) => line.includes('EINVAL'))).toEqual([])
    expect(code).toBe(0)
    expect(result!.pages).toBe(record.pages)
    if (record.saved !== undefined) expect(result!.bytes_saved).toBe(record.saved * 4096)
    expect(result!.images[0]!.absent_pages).toBe(record.absent_pages ?? result!.images[0]!.absent_pages)
    expect(result!.pages_written).toBe(record.pages_written)
  })

  const noPython = readerUnavailable()
  it.skipIf(noPython !== undefined)(`are what an independent reader says (${noPython ?? 'here'})`, () => {
    for (const name of ['vmcore-text.elf', 'process-core.elf']) {
      const image = openImage(fieldFile(name))
      expect(contentsOf(image), name).toEqual(readByPython(fieldFile(name)))
      image.close()
    }
  })
})
