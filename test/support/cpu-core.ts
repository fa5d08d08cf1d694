// The core of examples/hypervisor, compiled for a test: by the line that it says itself, on the contract's file in this repository.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import type { VirtualCpu } from '../../src/hypervisor/index.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const SOURCE = join(ROOT, 'examples/hypervisor/core.ts')

/** What the core exports. */
export interface CpuCore {
  attach(record: number): number
  sum(offset: number, count: number, stride: number): number
  increment(offset: number, count: number, stride: number): number
  forRead(offset: bigint): number
  forWrite(offset: bigint): number
  pteAddress(offset: bigint): number
  copyFromGuest(to: number, offset: bigint, length: number): number
  copyToGuest(offset: bigint, from: number, length: number): number
  failed(): number
  stale(): number
  scratch(): number
  scratchBytes(): number
}

let compiled: WebAssembly.Module | undefined

/** Compiles it, once. */
export function cpuModule(): WebAssembly.Module {
  compiled ??= compile()
  return compiled
}

/** An instance for a CPU on this thread. */
export function runCpu(cpu: VirtualCpu): CpuCore {
  const instance = new WebAssembly.Instance(cpuModule(), cpu.imports as never)
  const core = instance.exports as unknown as CpuCore
  if (core.attach(cpu.shared.record) === 0) throw new Error('the core is of another version')
  return core
}

function compile(): WebAssembly.Module {
  const text = readFileSync(SOURCE, 'utf8')
  const dir = mkdtempSync(join(ROOT, 'dist/cpu-core-'))
  try {
    const contract = relative(dir, join(ROOT, 'assembly/hypervisor/cpu')).replaceAll('\\', '/')
    writeFileSync(join(dir, 'core.ts'), text.replaceAll('pagefold/assembly/hypervisor/cpu', contract))
    const [, args] = /^\/\/ npx asc (.*)$/m.exec(text)!
    const asc = join(ROOT, 'node_modules/assemblyscript/bin/asc.js')
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
