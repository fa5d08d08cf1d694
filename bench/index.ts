// The benches that are no command of their own: `npm run bench:micro`, `npm run bench:cold -- IMAGE...`. Merge
// throughput beside its peers is `pagefold bench`.

import { coldStart } from './macro/cold.ts'
import { microGroups } from './micro/groups.ts'
import { type MicroResult, runGroup } from './micro/suite.ts'

const [what, ...args] = process.argv.slice(2)
const smoke = args.includes('--smoke')

if (what === 'micro') {
  for (const group of await microGroups(smoke)) {
    console.log(group.name)
    for (const result of runGroup(group, smoke)) console.log(`  ${describe(result)}`)
  }
} else if (what === 'cold' && args.length > 0) {
  const { pagefold_ms, native_ms, ratio } = coldStart(args, 9)
  console.log(
    `pagefold scan ${pagefold_ms.toFixed(0)} ms, native ${native_ms.toFixed(0)} ms, ratio ${ratio.toFixed(2)}`,
  )
} else {
  console.error('usage: node dist/bench.js micro [--smoke] | cold IMAGE...')
  process.exitCode = 2
}

function describe({ name, ns, rme, samples, bytes }: MicroResult): string {
  const rate = bytes === 0 ? '' : `, ${(bytes / ns).toFixed(1)} GB/s`
  return `${name.padEnd(42)} ${ns.toFixed(1).padStart(9)} ns ± ${rme.toFixed(1)} % (${samples} samples)${rate}`
}
