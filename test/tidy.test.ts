// The rules of the house, as far as a machine can hold them.

import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import binaryen from 'binaryen'
import { describe, expect, it } from 'vitest'
import * as abi from '../assembly/abi.ts'
import { CHECKSUM_NAMES, expectStrategy, INDEXES } from '../src/options.ts'
import { VERSION } from '../src/version.ts'
import { CORE_ONLY } from './support/abi-layout.ts'

const ROOT = resolve(import.meta.dirname, '..')
const { stdout } = spawnSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: ROOT,
  encoding: 'utf8',
})
const FILES = stdout.split('\n').filter((name) => name !== '' && existsSync(join(ROOT, name)))
const read = (name: string): string => readFileSync(join(ROOT, name), 'utf8')
const sources = (folder: string): string[] =>
  FILES.filter((name) => name.startsWith(`${folder}/`) && name.endsWith('.ts'))

/** What each room may import from, beside itself. Arrows point one way. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  'src/errors': [],
  'src/base64': [],
  'src/hex': [],
  'src/image': [],
  'src/memory-image': ['assembly', 'src/core', 'src/errors', 'src/image'],
  'src/inspect': [],
  'src/version': [],
  'src/platform': ['src/errors'],
  'src/options': ['assembly', 'src/core', 'src/errors'],
  'src/core': ['assembly', 'dist', 'src/hex', 'src/errors', 'src/platform'],
  'src/mm': ['assembly', 'src/core', 'src/errors', 'src/inspect', 'src/platform'],
  'src/ksm': ['assembly', 'src/core', 'src/errors', 'src/inspect', 'src/mm', 'src/platform'],
  'src/audit': ['assembly', 'src/core', 'src/ksm', 'src/mm'],
  'src/host': [
    'assembly',
    'src/audit',
    'src/core',
    'src/errors',
    'src/host-options',
    'src/image',
    'src/inspect',
    'src/ksm',
    'src/mm',
    'src/options',
  ],
  'src/host-options': ['assembly', 'src/core', 'src/errors', 'src/ksm', 'src/mm', 'src/options'],
  'src/hypervisor': ['assembly', 'src/core', 'src/errors', 'src/mm'],
  'src/index': [
    'assembly',
    'src/errors',
    'src/host',
    'src/host-options',
    'src/image',
    'src/ksm',
    'src/mm',
    'src/options',
    'src/version',
  ],
  'src/synth': ['assembly', 'dist', 'src/hex', 'src/errors', 'src/image', 'src/platform', 'src/version'],
  'src/images': ['assembly', 'src/errors', 'src/image', 'src/synth'],
  'src/lab': [
    'assembly',
    'dist',
    'src/core',
    'src/errors',
    'src/hex',
    'src/host',
    'src/host-options',
    'src/image',
    'src/ksm',
    'src/memory-image',
    'src/mm',
    'src/options',
    'src/platform',
    'src/synth',
    'src/version',
  ],
  'src/report': [
    'assembly',
    'dist',
    'src/base64',
    'src/errors',
    'src/image',
    'src/lab',
    'src/options',
    'src/platform',
  ],
  'src/store': [
    'assembly',
    'src/core',
    'src/errors',
    'src/host',
    'src/image',
    'src/images',
    'src/inspect',
    'src/mm',
    'src/platform',
  ],
  'src/cli': ['bench', 'src/images', 'src/index', 'src/lab', 'src/report', 'src/store'],
}

/** What users import: everything else is behind one of these. */
const DOORS = ['index', 'hypervisor/index', 'images/index', 'lab/index', 'report/index', 'store/index'].map(
  (door) => `src/${door}.ts`,
)
/** All of them run where there is no Node, but the one that opens files. */
const EVERYWHERE = DOORS.filter((door) => door !== 'src/images/index.ts')
/** Packages that are built into the code. */
const BUNDLED = ['fflate/browser']
/** Measure pieces that no door shows. */
const BEHIND_THE_DOORS = [
  'bench/macro/memory.ts',
  'bench/micro/groups.ts',
  'bench/micro/hash.ts',
  'bench/micro/memory.ts',
]

/** `src/mm/fault/fault.ts` is in the room `src/mm`, `src/host.ts` is a room of its own. */
function roomOf(name: string): string {
  const [first, second] = name.split('/')
  return first === 'src' ? `src/${second!.replace(/\.ts$/, '')}` : first!
}

/** Who has shared or WebAssembly memory that is no arena. */
const OTHER_MEMORY: Readonly<Record<string, string>> = {
  'bench/cpus/core.ts': 'the core of a virtual CPU',
  'bench/cpus/index.ts': 'the core of a virtual CPU',
  'bench/cpus/threads.ts': 'words to tell a thread what to do',
  'src/images/stream.ts': 'a word to sleep on',
  'src/cli/output.ts': 'a word to sleep on',
  'src/synth/generators.ts': 'a binary that makes words, in a memory of its own',
  ...Object.fromEntries(
    ['core', 'index', 'threads'].map((name) => [
      `bench/cpus/${name}.ts`,
      'cores of virtual CPUs, which are others’',
    ]),
  ),
  ...Object.fromEntries(
    ['binary', 'census', 'contents', 'module', 'reader', 'readers', 'steady'].map((name) => [
      `src/lab/census/${name}.ts`,
      'a binary that makes fingerprints and keeps them, in memories of its own',
    ]),
  ),
}

const withoutComments = (code: string): string => code.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')

function importsOf(name: string, typesToo: boolean): string[] {
  const found = read(name).matchAll(/^(?:import|export)\s+(type\s)?[^'"]*?from '(\.[^']+)'/gms)
  return [...found]
    .filter(([, type]) => typesToo || type === undefined)
    .map(([, , path]) => relative(ROOT, join(ROOT, dirname(name), path!)))
}

/** The strongly connected parts of a graph that have more than one member, sorted. Tarjan's algorithm. */
function ringsOf(arrows: ReadonlyMap<string, readonly string[]>): string[][] {
  const rings: string[][] = []
  const order = new Map<string, number>()
  const lowest = new Map<string, number>()
  const path: string[] = []
  const visit = (name: string): void => {
    order.set(name, order.size)
    lowest.set(name, order.get(name)!)
    path.push(name)
    for (const target of arrows.get(name) ?? []) {
      if (!arrows.has(target)) continue
      if (!order.has(target)) visit(target)
      if (path.includes(target)) lowest.set(name, Math.min(lowest.get(name)!, lowest.get(target)!))
    }
    if (lowest.get(name) !== order.get(name)) return
    const ring = path.splice(path.indexOf(name))
    if (ring.length > 1) rings.push(ring.sort())
  }
  for (const name of arrows.keys()) if (!order.has(name)) visit(name)
  return rings
}

describe('the rooms', () => {
  it.each(sources('src').filter((name) => !name.endsWith('.d.ts')))(
    '%s imports only from where it may',
    (name) => {
      const room = roomOf(name)
      const allowed = MAY_IMPORT[room]
      expect(allowed, `${room} is not among the rooms`).toBeDefined()
      for (const target of importsOf(name, true)) {
        const other = roomOf(target)
        if (other !== room) expect(allowed, `${name} imports ${target}`).toContain(other)
      }
    },
  )

  it.each([...sources('src/cli'), ...sources('bench')])(
    '%s uses the doors and nothing behind them',
    (name) => {
      const behind = importsOf(name, true).filter(
        (target) => target.startsWith('src/') && !target.startsWith('src/cli/') && !DOORS.includes(target),
      )
      if (BEHIND_THE_DOORS.includes(name)) expect(behind, `${name} need not be an exception`).not.toEqual([])
      else expect(behind).toEqual([])
    },
  )

  it.each(EVERYWHERE)(
    'behind %s run everywhere: nothing of a platform is imported or taken for granted',
    (door) => {
      const seen = new Set<string>()
      const visit = (name: string): void => {
        if (seen.has(name) || !name.endsWith('.ts')) return
        seen.add(name)
        const code = read(name).replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
        for (const [, from] of code.matchAll(
          /^(?:import|export)\s(?!type\s)(?:[^'"]*?from )?'([^.'][^']*)'/gm,
        )) {
          expect(BUNDLED, `${name} imports ${from}`).toContain(from)
        }
        expect(code, `${name} imports at run time`).not.toMatch(
          /(?<!typeof |async |\.)\bimport\(|\brequire\(/,
        )
        if (name !== 'src/platform.ts') {
          expect(code, `${name} takes for granted what src/platform.ts may give`).not.toMatch(
            /(?<!typeof )\b(process|Buffer)\.(?!ts\b)|import\.meta/,
          )
        }
        for (const target of importsOf(name, false)) visit(target)
      }
      visit(door)
      expect(seen.size).toBeGreaterThan(2)
    },
  )

  it.each(sources('src/report/page'))(
    '%s runs in a browser: it brings nothing of the engine along',
    (name) => {
      for (const target of importsOf(name, false)) {
        expect(target).toMatch(/^src\/report\/page\/|^src\/lab\/states\/page-state\.ts$|^assembly\/abi\.ts$/)
      }
      expect(read(name)).not.toContain("from 'node:")
    },
  )

  it('have no circular imports at run time', () => {
    const visiting: string[] = []
    const done = new Set<string>()
    const visit = (name: string): void => {
      if (done.has(name) || !existsSync(join(ROOT, name))) return
      expect(visiting, `${[...visiting, name].join(' -> ')}`).not.toContain(name)
      visiting.push(name)
      for (const target of importsOf(name, false)) visit(target)
      visiting.pop()
      done.add(name)
    }
    for (const name of [...sources('src'), ...sources('bench')]) visit(name)
  })

  it('have one ring, of the types that are what an mm is made of', () => {
    const rings = ringsOf(
      new Map([...sources('src'), ...sources('bench')].map((name) => [name, importsOf(name, true)])),
    )
    expect(rings).toEqual([
      ['anon-vma', 'hooks', 'memory', 'mm-struct', 'shared-object', 'vma-list', 'vma'].map(
        (name) => `src/mm/model/${name}.ts`,
      ),
    ])
  })

  // What has one owner: who it is, and by what one would see that somebody else did its work.
  const OWNERS: readonly (readonly [what: string, owner: string, sign: RegExp])[] = [
    ['the bits of a pte', 'src/mm/page/pte.ts', /\bPTE_\w+|\bPAGE_SHIFT\b|\b0xfff\b|(?:<<|>>>?) 12\b/],
    ['the writing of ptes', 'src/mm/page/ptes.ts', /\bpageTables\.set\(|\btables\.setEntry\(/],
    ['the bytes of frames', 'src/mm/page/bytes.ts', /\b(?:copyPage|clearPage|byteAt)\(|\barena\.pages?\(/],
  ]
  /** Below the owners: what they are made of. The other side of the contract. And who has an arena of its own, whose pages are no guest's. */
  const NO_GUESTS = /^src\/(core\/|hypervisor\/|lab\/hash\/|mm\/page\/page-table\.ts)|^bench\//

  it.each([...sources('src'), ...sources('bench')])('%s leaves to the owners what is theirs', (name) => {
    const code = withoutComments(read(name))
    for (const [what, owner, sign] of OWNERS) {
      if (name === owner || NO_GUESTS.test(name)) continue
      expect(sign.exec(code)?.[0], `${what}, in ${name}: that is for ${owner}`).toBeUndefined()
    }
  })

  /** Classes that an embedder holds, and may wrap; and such as the tests of limits and doors set. */
  const SOFT = [
    'src/core/window.ts',
    'src/host.ts',
    'src/ksm/ksmd.ts',
    'src/mm/calls/pin.ts',
    'src/mm/model/anon-vma.ts',
    'src/mm/model/memory.ts',
    'src/mm/mm.ts',
    'src/mm/reclaim/swap.ts',
    'src/mm/vcpu/virtual-cpu.ts',
    'src/mm/watch/secondary-mmu.ts',
  ]

  // Bundlers shorten what has a `#`, and what is `private` to TypeScript they cannot.
  it.each([...sources('src/core'), ...sources('src/mm'), ...sources('src/ksm'), 'src/host.ts'])(
    '%s says what is private with a #',
    (name) => {
      const soft = /^ +private (?!constructor\b)/m.test(withoutComments(read(name)))
      expect(soft).toBe(SOFT.includes(name))
    },
  )

  // What is built sets no field that nobody sets (`useDefineForClassFields`): one that came later would change the shape of its
  // object, and with it throw away the code that was compiled for the shape before.
  it('sets every field where it is declared, or in the constructor', () => {
    const late: string[] = []
    for (const name of sources('src')) {
      for (const [, body] of withoutComments(read(name)).matchAll(
        /^(?:export )?class [^\n]*\{\n(.*?)^\}/gms,
      )) {
        const made = /^ {2}(?:private )?constructor\(.*?^ {2}\}/ms.exec(body!)?.[0] ?? ''
        for (const [, field] of body!.matchAll(/^ {2}(?:readonly |private )*(\w+)[?!]?: [^=(\n]*$/gm)) {
          if (!made.includes(`this.${field} =`)) late.push(`${name}: ${field}`)
        }
      }
    }
    expect(late).toEqual([])
  })

  it.each(sources('bench'))('%s reads and writes ptes as the engine does', (name) => {
    for (const [, , sign] of OWNERS.slice(0, 2)) expect(withoutComments(read(name))).not.toMatch(sign)
  })

  // The arena's words are for the core's door alone; the bytes of frames have one owner.
  const LAYOUT: readonly (readonly [RegExp, (name: string) => boolean])[] = [
    [/\b(WebAssembly|SharedArrayBuffer)\b/, (name) => !(name in OTHER_MEMORY)],
    [/\/core\/key\.ts\b/, () => true],
    [/\bmemory\.buffer\b/, (name) => !(name in OTHER_MEMORY)],
    [/\b(u16|i32|u32)\b/, () => true],
    [/\bu8\b/, (name) => name !== 'src/mm/page/bytes.ts'],
    [/\bnew Uint32Array\(/, (name) => /^src\/(mm|ksm|host\.ts)/.test(name)],
    [new RegExp(`\\b(${CORE_ONLY.join('|')})\\b`), () => true],
  ]

  const outside = [...sources('src'), ...sources('bench')].filter(
    (name) => !/^src\/(core|hypervisor)\//.test(name) && !name.endsWith('.d.ts'),
  )

  it.each(outside)('%s knows no layout', (name) => {
    const code = withoutComments(read(name))
    for (const [banned, where] of LAYOUT) {
      if (where(name))
        expect(banned.exec(code)?.[0], `${name} says ${banned.exec(code)?.[0]}`).toBeUndefined()
    }
  })
})

describe('the core', () => {
  const BANNED = [
    /\bstring\b/,
    /\bArray\b/,
    /\bStaticArray\b/,
    /\bMap\b/,
    /\bnew\s/,
    /\bfence\b/,
    /@inline/,
    /^let /m,
    /=>/,
  ]

  /** Compiled into cores of others, never into ours. */
  const OF_OTHERS = 'assembly/hypervisor/cpu.ts'

  /** Has no memory, only what it looks at: what it knows stands in globals. */
  const ONLOOKER = 'assembly/onlooker.ts'

  it.each(sources('assembly').filter((name) => name !== OF_OTHERS))('%s uses nothing managed', (name) => {
    const code = withoutComments(read(name))
    const banned = BANNED.filter(({ source }) => name !== ONLOOKER || source !== '^let ')
    for (const one of banned) expect(code, `${name}: ${one}`).not.toMatch(one)
  })

  it('looks on at the memory of others, and writes nothing there', () => {
    const text = binaryen.readBinary(readFileSync(join(ROOT, 'dist/onlooker.wasm'))).emitText()
    expect(text).toMatch(/v128\.load/)
    expect(text).toMatch(/\(import "env" "memory" \(memory \$\S+ 0\)\)/)
    expect(text).not.toMatch(/\.store|memory\.(fill|copy|init|grow)|\(data|\(memory \d/)
  })

  it('is a release binary of exactly five sections: type, import, function, export, code', () => {
    const binary = readFileSync(join(ROOT, 'dist/core.wasm'))
    const sections: number[] = []
    for (let at = 8; at < binary.length; ) {
      sections.push(binary[at]!)
      let size = 0
      let shift = 0
      for (at++; ; at++) {
        size |= (binary[at]! & 127) << shift
        shift += 7
        if (binary[at]! < 128) break
      }
      at += 1 + size
    }
    expect(sections).toEqual([1, 2, 3, 7, 10])
    expect(binary.length).toBeLessThan(32_768)
    const module = new WebAssembly.Module(binary)
    expect(WebAssembly.Module.imports(module)).toEqual([
      { module: 'env', name: 'memory', kind: 'memory' },
      { module: 'env', name: 'table', kind: 'table' },
    ])
  })

  it('has an abi.ts of constants and comments only', () => {
    for (const line of read('assembly/abi.ts').split('\n')) {
      expect(line).toMatch(/^$|^\/\/|^export const [A-Z0-9_]+: u32 = [0-9a-fx <|+*]+(\/\/.*)?$/)
    }
  })
})

describe('strategies', () => {
  it('have a name, a file and a case each', () => {
    // One has no name here: whoever brings it gives it one.
    const numbers = Object.entries(abi).filter(
      ([name]) => name.startsWith('CHECKSUM_') && name !== 'CHECKSUM_OWN',
    )
    const named = CHECKSUM_NAMES.map((checksum) => expectStrategy({ checksum }).checksum)
    expect(named.sort()).toEqual(numbers.map(([, number]) => number).sort())
    for (const name of CHECKSUM_NAMES) {
      expect(existsSync(join(ROOT, `assembly/${name}.ts`)), `assembly/${name}.ts`).toBe(true)
      expect(read('assembly/checksum.ts')).toMatch(new RegExp(`(case|==) CHECKSUM_${name.toUpperCase()}\\b`))
    }
    expect(Object.keys(INDEXES)).toEqual(['content', 'hash'])
  })

  it('count only what is shown', () => {
    const counters = Object.keys(abi).filter(
      (name) => name.startsWith('COUNTER_') && name !== 'COUNTER_COUNT',
    )
    const shown = read('src/ksm/stats.ts') + read('src/host.ts')
    for (const counter of counters) expect(shown.includes(counter), counter).toBe(true)
  })
})

describe('the text', () => {
  const texts = FILES.filter(
    (name) => /\.(ts|mjs|c|md|json|sh|css|html)$/.test(name) && name !== 'package-lock.json',
  )

  it.each([...sources('src'), ...sources('assembly'), ...sources('bench')])(
    '%s says first what it is for',
    (name) => {
      if (name.endsWith('.d.ts')) return
      expect(read(name)).toMatch(/^(#!.*\n)?\/\//)
    },
  )

  it.each([...sources('src'), ...sources('assembly')])('%s can be read in one sitting', (name) => {
    expect(read(name).split('\n').length).toBeLessThanOrEqual(400)
  })

  it('has no loose ends and names no machine', () => {
    const words = [
      ['TO', 'DO'],
      ['FIX', 'ME'],
      ['X', 'XX'],
      ['/wo', 'rk/'],
      ['farm', '-'],
    ].map((parts) => parts.join(''))
    for (const name of texts) {
      const text = read(name)
      for (const word of words) expect(text.includes(word), `${name} contains ${word}`).toBe(false)
    }
  })

  it('shows every line of the seeds where docs/seed-systems.md says so', () => {
    const lines = [...read('docs/seed-systems.md').matchAll(/^\| (\d\.\d+) \|.*\| ([^|]+) \|$/gm)]
    expect(lines.length).toBeGreaterThan(0)
    for (const [, number, shownIn] of lines) {
      for (const [, file] of shownIn!.matchAll(/`([^`]+)`/g)) {
        const named = new RegExp(`(?<![\\d.])${number!.replace('.', '\\.')}(?!\\d)`)
        expect(read(`test/seeds/${file}.test.ts`), `${number} in ${file}`).toMatch(named)
      }
    }
  })

  it('names the version once more than package.json, and the same', () => {
    expect(VERSION).toBe(JSON.parse(read('package.json')).version)
  })

  it.each(FILES.filter((name) => name.endsWith('.md')))('%s links to what exists', (name) => {
    for (const [, target] of read(name).matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)) {
      if (/^[a-z]+:/.test(target!)) continue
      expect(existsSync(join(ROOT, dirname(name), target!)), `${name} links to ${target}`).toBe(true)
    }
  })
})
