// Runs the property tests with a million operations, or as many as PAGEFOLD_OPERATIONS says, the fuzzer with ten million calls, or as
// many as PAGEFOLD_FUZZ_OPERATIONS says, guests on threads of their own for ten minutes, or PAGEFOLD_STRESS_SECONDS, and kills a
// store's writer two hundred times.
import { runNode, toolPath } from './tool.mjs'

process.env.PAGEFOLD_OPERATIONS ||= '1200000'
process.env.PAGEFOLD_FUZZ_OPERATIONS ||= '10000000'
process.env.PAGEFOLD_STRESS_SECONDS ||= '600'
const args = [
  toolPath('vitest', 'vitest'),
  'run',
  'test/model',
  'test/fuzz',
  'test/integration/store.test.ts',
  ...process.argv.slice(2),
]
process.exitCode = runNode(args, 'inherit').status ?? 1
