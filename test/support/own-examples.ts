// The files of examples/own in a folder, as somebody has them who copied them from docs/strategies.md: the one in AssemblyScript
// compiled too, by the line that it says.

import { spawnSync } from 'node:child_process'
import { copyFileSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { ROOT } from './package.ts'

const OWN = join(ROOT, 'examples/own')

export function copyOwnStrategies(dir: string): void {
  for (const name of readdirSync(OWN)) copyFileSync(join(OWN, name), join(dir, name))
  const [, args] = /^\/\/ npx asc (.*)$/m.exec(readFileSync(join(OWN, 'hash.ts'), 'utf8'))!
  const asc = join(ROOT, 'node_modules/assemblyscript/bin/asc.js')
  const { status, stderr } = spawnSync(process.execPath, [asc, ...args!.split(' ')], {
    cwd: dir,
    encoding: 'utf8',
  })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
}
