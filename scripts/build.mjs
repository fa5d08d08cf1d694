// Builds everything under dist/: the core (release and debug), the maker of synthetic pages, the census's table and the store's part of
// the core with asc, the page of reports and the code with rolldown, which embeds them all, the types with tsc.
//
// Bundling is for speed, not for size: it folds the constants of assembly/abi.ts into the code that uses them. Without
// it every one is a load at run time, and a scan takes 1.2 times as long (measured).
import { createHash } from 'node:crypto'
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { rolldown } from 'rolldown'
import { embed } from './embed.mjs'
import { root, runNode, toolPath } from './tool.mjs'
import { shipTypes } from './types.mjs'

/** Packages that go into the code: whoever installs pagefold installs nothing else. */
const BUNDLED = /^(fflate\/browser|fzstd|hyparquet(-writer)?(\/.*)?)$/

/** Files of dist beside the doors and the commands. One for the engine: what calls what should lie together. */
const CHUNKS = [
  // Of its own, or those who read a kdump would load the store for its CRC.
  { name: 'codecs', test: /[\\/]src[\\/]images[\\/]codecs[\\/]/, priority: 1 },
  {
    name: 'engine',
    test: /[\\/](assembly[\\/]|src[\\/]((core|mm|ksm)[\\/](?!(stage|onlooker)\.ts)|[^\\/]+\.ts$)|dist[\\/]core\.wasm)/,
  },
  {
    name: 'snapshots',
    test: /[\\/](src[\\/](store[\\/]|core[\\/](stage|onlooker)\.ts)|dist[\\/](store|onlooker)\.wasm)/,
  },
  { name: 'synthetic', test: /[\\/](src[\\/]synth[\\/]|dist[\\/]synth\.wasm)/ },
]

const clean = process.argv.includes('--clean')
if (clean) rmSync(join(root, 'dist'), { recursive: true, force: true })

run('assemblyscript', 'asc', 'assembly/index.ts', '--target', 'release')
run('assemblyscript', 'asc', 'assembly/index.ts', '--target', 'debug')
run('assemblyscript', 'asc', 'assembly/synth.ts', '--target', 'synth')
run('assemblyscript', 'asc', 'assembly/census.ts', '--target', 'census')
run('assemblyscript', 'asc', 'assembly/store.ts', '--target', 'store')
run('assemblyscript', 'asc', 'assembly/onlooker.ts', '--target', 'onlooker')
run('typescript', 'tsc', '-p', 'tsconfig.build.json')
shipTypes(root)
await page()
await bundle()
licences()
chmodSync(join(root, 'dist/main.js'), 0o755)

async function bundle() {
  const bundled = await rolldown({
    input: {
      index: join(root, 'src/index.ts'),
      hypervisor: join(root, 'src/hypervisor/index.ts'),
      images: join(root, 'src/images/index.ts'),
      lab: join(root, 'src/lab/index.ts'),
      report: join(root, 'src/report/index.ts'),
      store: join(root, 'src/store/index.ts'),
      main: join(root, 'src/cli/main.ts'),
      bench: join(root, 'bench/index.ts'),
      trial: join(root, 'bench/macro/trial.ts'),
    },
    plugins: [embed()],
    platform: 'node',
    external: (id) => !BUNDLED.test(id) && /^[^./]/.test(id) && !isAbsolute(id),
    // For one option in it: fields that only the constructor sets are written once. The engine is half a per cent smaller.
    tsconfig: join(root, 'tsconfig.json'),
    optimization: { inlineConst: true },
  })
  await bundled.write({
    dir: join(root, 'dist'),
    format: 'esm',
    sourcemap: true,
    entryFileNames: '[name].js',
    chunkFileNames: '[name].js',
    codeSplitting: { groups: CHUNKS },
  })
}

/** Of what is bundled: their licences want to be named wherever they go. */
function licences() {
  const texts = ['fflate', 'fzstd', 'hyparquet', 'hyparquet-writer', 'uplot'].map(
    (name) => `${name}\n\n${readFileSync(join(root, 'node_modules', name, 'LICENSE'), 'utf8').trim()}\n`,
  )
  const head = 'pagefold has these in it, uPlot in the page of reports and the others in the code.\n'
  writeFileSync(join(root, 'dist/LICENSES'), [head, ...texts].join('\n'))
}

/** One file that needs no other: src/report/write-report.ts puts the figures in. */
async function page() {
  const source = (...parts) => readFileSync(join(root, ...parts), 'utf8')
  const bundled = await rolldown({ input: join(root, 'src/report/page/main.ts'), platform: 'browser' })
  const { output } = await bundled.generate({ format: 'iife', minify: true, codeSplitting: false })
  const script = output[0].code.replaceAll('</script', '<\\/script')
  const parts = {
    'SCRIPT-HASH': `sha256-${createHash('sha256').update(script).digest('base64')}`,
    LICENSES: `Charts are drawn by uPlot.\n\n${source('node_modules/uplot/LICENSE').trim()}`,
    STYLE: source('node_modules/uplot/dist/uPlot.min.css') + source('src/report/page/style.css'),
    SCRIPT: script,
  }
  // All at once: what is put in must not be searched again.
  const names = new RegExp(Object.keys(parts).join('|'), 'g')
  const html = source('src/report/page/shell.html').replace(names, (name) => parts[name])
  writeFileSync(join(root, 'dist/report.html'), html)
}

function run(packageName, tool, ...args) {
  const result = runNode([toolPath(packageName, tool), ...args])
  if (result.status !== 0) {
    console.error(`build: ${tool} ${args.join(' ')} failed${result.error ? `: ${result.error.message}` : ''}`)
    process.exit(1)
  }
}
