// The core of examples/hypervisor, compiled here and now by the line that it says itself.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'

/** What of it is measured. */
export interface GuestCore {
  attach(record: number): number
  scratch(): number
  sum(offset: number, count: number, stride: number): number
  sumFlat(at: number, count: number, stride: number): number
}

export function compileGuestCore(root: string): WebAssembly.Module {
  const text = readFileSync(join(root, 'examples/hypervisor/core.ts'), 'utf8')
  const dir = mkdtempSync(join(root, 'dist/guest-core-'))
  try {
    const contract = relative(dir, join(root, 'assembly/hypervisor/cpu')).replaceAll('\\', '/')
    writeFileSync(join(dir, 'core.ts'), text.replaceAll('pagefold/assembly/hypervisor/cpu', contract))
    const [, args] = /^\/\/ npx asc (.*)$/m.exec(text)!
    const asc = join(root, 'node_modules/assemblyscript/bin/asc.js')
    const { status, stderr } = spawnSync(process.execPath, [asc, ...args!.split(' ')], {
      cwd: dir,
      encoding: 'utf8',
    })
    if (status !== 0) throw new Error(`asc: ${stderr}`)
    return new WebAssembly.Module(readFileSync(join(dir, 'core.wasm')))
  } finally {
    rmSync(dir, { recursive: true })
  }
}
