// Makes one program of the instrumented sources, the tests and the process they run in.

import { readdirSync } from 'node:fs'
import { dirname, isAbsolute, join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { rolldown } from 'rolldown'
// @ts-expect-error: no types, and none needed
import { embed } from '../../scripts/embed.mjs'

const FOLDERS = ['test/unit', 'test/seeds', 'test/model', 'test/conformance']
/**
 * Test files that have nothing to say about mutants of the engine, or say it too slowly: what runs processes, threads or a kernel,
 * reads files of memory, draws pages; and the long properties, in whose place there are the programs of oracles.ts.
 */
const WITHOUT = [
  'test/conformance/guests.test.ts',
  'test/conformance/live.test.ts',
  'test/conformance/presets.test.ts',
  'test/conformance/running-guests.test.ts',
  'test/conformance/synthetic.test.ts',
  'test/model/history.test.ts',
  'test/model/race.test.ts',
  'test/unit/abi.test.ts',
  'test/unit/bench-ends.test.ts',
  'test/unit/bench.test.ts',
  'test/unit/census-table.test.ts',
  'test/unit/cli-options.test.ts',
  'test/unit/diff-snapshot.test.ts',
  'test/unit/generators.test.ts',
  'test/unit/hash-lab.test.ts',
  'test/unit/image.test.ts',
  'test/unit/kdump.test.ts',
  'test/unit/ksmd-alone.test.ts',
  'test/unit/mutants.test.ts',
  'test/unit/packed.test.ts',
  'test/unit/page.test.ts',
  'test/unit/report.test.ts',
  'test/unit/synth.test.ts',
  'test/unit/wasm.test.ts',
]
const ENTRY = '\0entry'
const ORACLES = 'test/mutants/oracles.ts'

/** The test files that mutants are tried with. */
export function testFiles(root: string): string[] {
  const all = FOLDERS.flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith('.test.ts'))
      .map((name) => `${folder}/${name}`),
  )
  return [...all.filter((name) => !WITHOUT.includes(name)), ORACLES]
}

/** Writes the program to `file`. `code`: what to take for a source, by its name from the root. */
export async function bundle(
  root: string,
  files: readonly string[],
  code: ReadonlyMap<string, string>,
  file: string,
): Promise<void> {
  const at = (name: string): string => join(root, name)
  const entry = [
    ...files.map((name) => `import ${JSON.stringify(at(name))}`),
    `import { main } from ${JSON.stringify(at('test/mutants/program.ts'))}`,
    'await main()',
  ]
  const beginFile = `import { beginFile as $begin } from ${JSON.stringify(at('test/mutants/vitest.ts'))};`
  const bundled = await rolldown({
    input: ENTRY,
    platform: 'node',
    // The package says that nothing is done by loading it; tests are there for that.
    treeshake: false,
    optimization: { inlineConst: true },
    external: (id) => /^[^./\0]/.test(id) && id !== 'vitest' && !isAbsolute(id),
    plugins: [
      embed({ core: at('dist/core.debug.wasm') }),
      {
        name: 'mutants',
        resolveId: (id) => (id === ENTRY ? ENTRY : id === 'vitest' ? at('test/mutants/vitest.ts') : null),
        load: (id) => (id === ENTRY ? entry.join('\n') : null),
        transform(text, id) {
          const name = relative(root, id)
          const mutated = code.get(name)
          if (mutated !== undefined) return { code: mutated, moduleType: 'ts' }
          if (!name.startsWith('test/')) return null
          const head = files.includes(name) ? `${beginFile} $begin(${JSON.stringify(name)});` : ''
          return {
            code: `${head}${text
              .replaceAll('import.meta.url', JSON.stringify(pathToFileURL(id).href))
              .replaceAll('import.meta.dirname', JSON.stringify(dirname(id)))}`,
            moduleType: 'ts',
          }
        },
      },
    ],
  })
  await bundled.write({ file, format: 'esm', codeSplitting: false })
  await bundled.close()
}
