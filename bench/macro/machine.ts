// Where a result was measured. Times mean nothing without it, and little with it.

import { arch, availableParallelism, cpus, platform, release, totalmem } from 'node:os'
import { CORE_ABI, VERSION } from '../../src/index.ts'
import type { Machine, Versions } from '../../src/report/index.ts'

export function thisMachine(): Machine {
  return {
    processor: `${cpus()[0]?.model ?? 'unknown'} (${arch()})`,
    cores: availableParallelism(),
    memory_bytes: totalmem(),
    kernel: `${platform()} ${release()}`,
  }
}

export function theseVersions(): Versions {
  return { pagefold: VERSION, node: process.versions.node, v8: process.versions.v8, core_abi: CORE_ABI }
}
