// The core of examples/hypervisor, as tests run it.

import { resolve } from 'node:path'
import { compileGuestCore } from '../../bench/cpus/core.ts'
import type { VirtualCpu } from '../../src/hypervisor/index.ts'

const ROOT = resolve(import.meta.dirname, '../..')

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
  compiled ??= compileGuestCore(ROOT)
  return compiled
}

/** An instance for a CPU on this thread. */
export function runCpu(cpu: VirtualCpu): CpuCore {
  const instance = new WebAssembly.Instance(cpuModule(), cpu.imports as never)
  const core = instance.exports as unknown as CpuCore
  if (core.attach(cpu.shared.record) === 0) throw new Error('the core is of another version')
  return core
}
