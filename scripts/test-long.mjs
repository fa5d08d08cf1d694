// Runs the property tests with a million operations, or as many as PAGEFOLD_OPERATIONS says, and the fuzzer with ten million calls, or as
// many as PAGEFOLD_FUZZ_OPERATIONS says, and kills a store's writer two hundred times.
import { runNode, toolPath } from './tool.mjs'

process.env.PAGEFOLD_OPERATIONS ||= '1200000'
process.env.PAGEFOLD_FUZZ_OPERATIONS ||= '10000000'
const args = [
  toolPath('vitest', 'vitest'),
  'run',
  'test/model',
  'test/fuzz',
  'test/integration/store.test.ts',
  ...process.argv.slice(2),
]
process.exitCode = runNode(args, 'inherit').status ?? 1
