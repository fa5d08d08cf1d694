// Tries the package, as npm would publish it, on every platform that npm has as a program: Node of four versions, Bun, Deno. Each runs
// scripts/everywhere-program.mjs in an empty project with nothing else in it; Vite and esbuild bundle it without any
// configuration. Prints a table, and exits with 1 if something failed. Needs a registry. test/browser runs the bundles in a
// browser.
import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { arch, platform, tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build as esbuild } from 'esbuild'
import { build as vite } from 'vite'
import { root, runNpm } from './tool.mjs'

const exe = platform() === 'win32' ? '.exe' : ''
const os = { win32: 'win', darwin: 'darwin', linux: 'linux' }[platform()] ?? platform()
const bun = `${os === 'win' ? 'windows' : os}-${arch() === 'arm64' ? 'aarch64' : arch()}`
const deno = `${os === 'win' ? 'win32' : os}-${arch()}${os === 'linux' ? '-glibc' : ''}`
/** The packages that bring the programs for this machine, where in them they lie, and what they want to be told. */
const PLATFORMS = [
  ...['20', '22', '24', '26'].map((version) => ({
    name: `Node ${version}`,
    spec: `node-${os}-${arch()}@${version}`,
    file: `node-${os}-${arch()}/bin/node${exe}`,
    args: [],
  })),
  { name: 'Bun', spec: `@oven/bun-${bun}`, file: `@oven/bun-${bun}/bin/bun${exe}`, args: [] },
  // Without permission for anything: the engine needs none.
  { name: 'Deno', spec: `@deno/${deno}`, file: `@deno/${deno}/deno${exe}`, args: ['run', '--no-prompt'] },
]
const MAIN =
  "import { program } from './program.mjs'\nfor (const line of await program()) console.log(line)\n"

const folder = mkdtempSync(join(tmpdir(), 'pagefold-everywhere-'))
const rows = []
try {
  const project = join(folder, 'project')
  makeProject(project)
  for (const { name, spec, file, args } of PLATFORMS) {
    const home = join(folder, name.replace(' ', '-'))
    if (!install(home, spec)) {
      rows.push({ name, version: '', result: `not in the registry: ${spec}`, ms: '' })
      continue
    }
    const command = join(home, 'node_modules', file)
    const version = spawnSync(command, ['--version'], { encoding: 'utf8' }).stdout.split('\n')[0].trim()
    tryOn(name, version, command, [...args, 'main.mjs'], project)
    rmSync(home, { recursive: true })
  }
  await tryBundle('Vite', async () => {
    await vite({ root: project, logLevel: 'error' })
    return join(project, 'dist/assets')
  })
  await tryBundle('esbuild', async () => {
    const outdir = join(project, 'out')
    const entryPoints = [join(project, 'main.mjs')]
    await esbuild({ entryPoints, outdir, bundle: true, minify: true, format: 'esm' })
    return outdir
  })
} finally {
  rmSync(folder, { recursive: true, force: true })
}
print()
if (rows.some(({ failed }) => failed)) process.exitCode = 1

/** An empty project with the package from its tarball, and the program. */
function makeProject(project) {
  mkdirSync(project)
  expectSuccess(runNpm('pack', '--ignore-scripts', '--silent', '--pack-destination', folder))
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'))
  writeFileSync(join(project, 'package.json'), '{ "private": true, "type": "module" }\n')
  if (!install(project, join(folder, tarball))) throw new Error('the tarball cannot be installed')
  copyFileSync(join(root, 'scripts/everywhere-program.mjs'), join(project, 'program.mjs'))
  writeFileSync(join(project, 'main.mjs'), MAIN)
  writeFileSync(
    join(project, 'index.html'),
    '<!doctype html>\n<script type="module" src="/main.mjs"></script>\n',
  )
}

function install(home, spec) {
  mkdirSync(home, { recursive: true })
  const quiet = ['--no-fund', '--no-audit', '--no-package-lock', '--ignore-scripts', '--loglevel', 'silent']
  return runNpm('install', '--prefix', home, ...quiet, spec).status === 0
}

function tryOn(name, version, command, args, cwd) {
  const start = performance.now()
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    timeout: 120_000,
  })
  const ms = Math.round(performance.now() - start)
  if (status === 0) rows.push({ name, version, result: `${stdout.trim().split('\n').length} steps`, ms })
  else {
    rows.push({ name, version, result: 'FAILED', ms, failed: true })
    console.error(`${name} ${version}:\n${stdout}${stderr.slice(-2000)}${error ?? ''}`)
  }
}

/** Bundles main.mjs as a browser gets it; whether it runs there is for test/browser. */
async function tryBundle(name, bundle) {
  const start = performance.now()
  try {
    const out = await bundle()
    const file = join(
      out,
      readdirSync(out).find((entry) => entry.endsWith('.js')),
    )
    const size = (gzipSync(readFileSync(file), { level: 9 }).length / 1000).toFixed(1)
    const ms = Math.round(performance.now() - start)
    rows.push({ name, version: '', result: `one file, ${size} kB compressed`, ms })
  } catch (error) {
    rows.push({ name, version: '', result: 'FAILED', ms: '', failed: true })
    console.error(`${name}: ${error.message}`)
  }
}

function print() {
  const columns = ['name', 'version', 'result', 'ms']
  const widths = columns.map((column) => Math.max(...rows.map((row) => String(row[column]).length)))
  for (const row of rows) {
    console.log(
      columns
        .map((column, i) => String(row[column]).padEnd(widths[i]))
        .join('  ')
        .trimEnd(),
    )
  }
}

function expectSuccess({ status, error }) {
  if (status !== 0) throw error ?? new Error('npm failed')
}
