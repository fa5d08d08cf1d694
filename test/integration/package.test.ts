// What is published: these files and no others, types that stand by themselves, and nothing else to install.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { butBusy } from '../support/busy.ts'
import { type Packed, type Project, project, ROOT } from '../support/package.ts'

const TSC = join(ROOT, 'node_modules/typescript/bin/tsc')
const DOORS = ['pagefold', 'pagefold/images', 'pagefold/lab', 'pagefold/report', 'pagefold/store']
/** More would be a surprise: what is there now, and a tenth. */
const MOST_PACKED = 560_000
const MOST_UNPACKED = 1_900_000

let folder: string
let packed: Packed
let user: Project

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pagefold-package-'))
  const made = project(folder)
  packed = made.packed
  user = made
})

afterAll(() => rmSync(folder, { recursive: true }))

const manifest = (): Record<string, unknown> =>
  JSON.parse(readFileSync(join(folder, 'node_modules/pagefold/package.json'), 'utf8'))

describe('the tarball', () => {
  it('has the code, the types, the core and the texts', () => {
    const kinds = new Set(
      packed.files.map(({ path }) =>
        path.replace(/(?<=\/|^)(?!package\.json$)[^/]+\.(js|d\.ts|c|md|json)$/, '*.$1'),
      ),
    )
    expect([...kinds].sort()).toEqual(
      [
        '*.md',
        'LICENSE',
        'assembly/hypervisor/cpu.ts',
        'assembly/hypervisor/layout.ts',
        'bench/peers/*.c',
        'dist/*.js',
        'dist/LICENSES',
        'dist/core.wasm',
        'docs/*.md',
        'package.json',
        'schemas/*.json',
        ...packed.files
          .flatMap(({ path }) => /^(dist\/types\/(?:.+\/)?)[^/]+$/.exec(path)?.[1] ?? [])
          .map((dir) => `${dir}*.d.ts`),
      ]
        .filter((kind, i, all) => all.indexOf(kind) === i)
        .sort(),
    )
    expect(packed.files.map(({ path }) => path)).not.toContain('dist/bench.js')
  })

  it('has no types of what is inside', () => {
    const types = packed.files.filter(({ path }) => path.startsWith('dist/types/'))
    expect(types.length).toBeGreaterThan(DOORS.length)
    for (const { path } of types) {
      const code = readFileSync(join(folder, 'node_modules/pagefold', path), 'utf8').replace(
        /\/\*[\s\S]*?\*\//g,
        '',
      )
      expect(code, path).not.toMatch(/\b(WebAssembly|SharedArrayBuffer|URL|Buffer|NodeJS|u32|node:\w+)\b/)
      expect(code, path).not.toMatch(/\b(Arena|Memory|KsmState|Frames|PageTables|Vma|AnonVma|Helpers)\b/)
      expect(code, path).not.toMatch(/from '\.[^']*(?<!\.js)'/)
    }
  })

  it('is small', () => {
    console.log(`packed ${packed.size} bytes, unpacked ${packed.unpackedSize}`)
    expect(packed.size).toBeLessThan(MOST_PACKED)
    expect(packed.unpackedSize).toBeLessThan(MOST_UNPACKED)
  })

  it('brings nothing else along, and runs nothing when it is installed', () => {
    const { dependencies, optionalDependencies, peerDependencies, peerDependenciesMeta, scripts } =
      manifest() as Record<string, Record<string, unknown> | undefined>
    expect(dependencies).toBeUndefined()
    expect(optionalDependencies).toBeUndefined()
    for (const name of Object.keys(peerDependencies!))
      expect(peerDependenciesMeta![name]).toEqual({ optional: true })
    expect(Object.keys(scripts!).filter((name) => /^(pre|post)?install$|^prepare$/.test(name))).toEqual([])
  })

  it('is as publint wants it', async () => {
    const { messages, pkg } = await publint({ pkgDir: join(folder, 'node_modules/pagefold'), strict: true })
    expect(messages.map((message) => formatMessage(message, pkg))).toEqual([])
  })
})

describe('a user', () => {
  const IMPORTS = DOORS.map((door, i) => `import * as door${i} from '${door}'`).join('\n')

  it.each(['node16', 'bundler'])('has types under %s, with no other types in the world', (resolution) => {
    const program = `
      ${IMPORTS}
      import { type Clock, Host, type Mm, type OwnChecksum, PAGE_SIZE, PagefoldError, type ScanPolicy, SecondaryMmu, tryChecksum } from 'pagefold'
      import { openImage } from 'pagefold/images'
      import { compareHashes, mergeImages, pageStates, synthImages } from 'pagefold/lab'
      import { mergeReport, renderReport } from 'pagefold/report'
      import { SnapshotStore } from 'pagefold/store'
      import core from 'pagefold/core.wasm'

      const clock: Clock = { now: () => 0, cpu: () => 0, sleep: (ms, signal) => new Promise((done) => signal.addEventListener('abort', done)) }
      const host: Host = await Host.create({ frames: 64, clock, wasm: core, cowPolicy: 'anon_exclusive' })
      // @ts-expect-error: there is no such option
      await Host.create({ frames: 64, worker: 3 })
      // @ts-expect-error: a name of a file is no URL
      await Host.create({ frames: 64, wasm: './core.wasm' })
      const own: OwnChecksum[] = [{ name: 'a', bits: 8, hash: (page) => page[0]! }, { name: 'b', module: core }]
      const policy: ScanPolicy = { name: 'c', skip: (page) => page.age > 3 && page.skips++ < 7 }
      await Host.create({ frames: 64, checksum: own[0]!, policy })
      const found: number = (await tryChecksum(own[1]!)).bits
      // @ts-expect-error: a hash returns a number
      await Host.create({ frames: 64, checksum: { name: 'a', bits: 8, hash: (page) => 'text' } })
      const mm: Mm = host.createMm({ name: 'a' })
      const pin = mm.pin(mm.mmap(PAGE_SIZE), PAGE_SIZE, { write: true })
      const bytes: Uint8Array = pin.read(0, 1)
      const pfn: number = new SecondaryMmu(mm).translate(0) + host.frames.free + bytes.length
      host.on('ksm_merge_one_page', (event) => event.pfn + pfn)
      const images = [openImage('a'), ...synthImages({ preset: 'demo' })]
      const result = await mergeImages({ images, inspect: (of, ranges) => void pageStates(of, ranges) })
      export const html: string = renderReport(mergeReport(images, result, { states: bytes, groups: new Uint32Array(1) }))
      const store: SnapshotStore = await SnapshotStore.open('dir', { readonly: false })
      const saved: number = (await store.save('a', bytes, { like: 'b' })).added_pages
      const loaded: Mm = await store.load(host, 'a', { name: String(saved) })
      // @ts-expect-error: bytes, not their name
      await store.save('a', './a.raw')
      export const all = [compareHashes, door0, door1, door2, door3, door4, loaded, new PagefoldError('EINVAL', 'why').code === 'EINVAL', found]`
    writeFileSync(join(folder, 'user.ts'), program)
    const module = resolution === 'node16' ? 'node20' : 'esnext'
    const options = { target: 'es2022', lib: ['es2022'], module, moduleResolution: resolution, types: [] }
    const strict = { strict: true, skipLibCheck: false, exactOptionalPropertyTypes: true, noEmit: true }
    const config = { compilerOptions: { ...options, ...strict }, files: ['user.ts'] }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
    const { status, stdout } = spawnSync(process.execPath, [TSC, '-p', folder], { encoding: 'utf8' })
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' })
  })

  it('with the DOM’s types, or Node’s, passes a clock’s signal on', () => {
    writeFileSync(
      join(folder, 'clock.ts'),
      `import type { Clock } from 'pagefold'
       export const sleep: Clock['sleep'] = async (_, signal) => { await fetch('/', { signal }).catch(() => {}) }`,
    )
    const options = {
      target: 'es2022',
      lib: ['es2022', 'dom'],
      module: 'esnext',
      moduleResolution: 'bundler',
      types: [],
    }
    const config = { compilerOptions: { ...options, strict: true, noEmit: true }, files: ['clock.ts'] }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
    const { status, stdout } = spawnSync(process.execPath, [TSC, '-p', folder], { encoding: 'utf8' })
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' })
  })

  it('imports every door with nothing else installed, and each has what it says', () => {
    expect(readdirSync(join(folder, 'node_modules'))).toEqual(['pagefold'])
    const { out, err } = user.run(
      'doors.js',
      `${IMPORTS}\nconsole.log(JSON.stringify([door0, door1, door2, door3, door4].map((door) => Object.keys(door))))`,
    )
    expect(err).toBe('')
    const [engine, images, lab, report, store] = JSON.parse(out) as string[][]
    for (const name of [
      'tryChecksum',
      'Host',
      'PAGE_SIZE',
      'PagefoldError',
      'SecondaryMmu',
      'fileSwapStore',
      'memorySwapStore',
    ])
      expect(engine).toContain(name)
    for (const name of ['openImage', 'openRawImage', 'openSource', 'openSources'])
      expect(images).toContain(name)
    for (const name of ['mergeImages', 'compareHashes', 'pageStates', 'synthImages', 'writeSynth'])
      expect(lab).toContain(name)
    for (const name of ['mergeReport', 'writeReport', 'expectReportPath', 'benchReport', 'hashReport'])
      expect(report).toContain(name)
    expect(store).toContain('SnapshotStore')
    expect(engine).not.toContain('mergeImages')
  })

  it('may say require()', () => {
    const { out, err } = user.run(
      'doors.cjs',
      `const { Host } = require('pagefold')
       ${DOORS.map((door) => `require('${door}')`).join('; ')}
       Host.create({ frames: 64, workers: 1 }).then((host) => console.log(host.frames, require.resolve('pagefold/core.wasm')))`,
    )
    expect(err.replace(/^.*ExperimentalWarning.*\n.*--trace-warnings.*\n/m, '')).toBe('')
    expect(out).toMatch(/^\{ free: 64, total: 64 \} .*core\.wasm\n$/)
  })

  it.each([
    ['hash', 'xxhash-wasm'],
    ['bench', 'xxhash-wasm'],
  ])('is told by `pagefold %s` that %s is missing', (command, name) => {
    const { code, out, err } = user.pagefold(
      command,
      'synth:demo,pages=64',
      ...(command === 'bench' ? ['--trials', '1', '--peers', 'js', '--json'] : []),
    )
    if (command === 'hash') {
      expect(code).toBe(2)
      expect(err).toBe(`pagefold: ENOENT: the package ${name} is not installed: npm install ${name}\n`)
    } else {
      expect(butBusy(err)).toBe('')
      expect(JSON.parse(out).peers.js).toEqual({
        unavailable: `the package ${name} is not installed: npm install ${name}`,
      })
    }
  })

  it('merges, writes guests and a report without any of them', () => {
    const report = join(folder, 'out.html')
    const { code, out, err } = user.pagefold('scan', 'synth:demo,pages=64', '--report', report)
    expect(err).toBe('')
    expect(code).toBe(0)
    expect(out).toContain('Merging saves')
    expect(readFileSync(report, 'utf8')).toContain('<!-- pagefold report -->')
  })
})
