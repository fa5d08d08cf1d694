// Runs the property tests with a million operations, or as many as PAGEFOLD_OPERATIONS says.
import { runNode, toolPath } from './tool.mjs'

process.env.PAGEFOLD_OPERATIONS ||= '1200000'
const args = [toolPath('vitest', 'vitest'), 'run', 'test/model', ...process.argv.slice(2)]
process.exitCode = runNode(args, 'inherit').status ?? 1
