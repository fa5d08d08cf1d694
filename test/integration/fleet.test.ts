// Contents of many hosts: what is in the files, and what DuckDB, ClickHouse and Dask answer about them.

import { spawn, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { packageUnavailable } from '../../bench/optional.ts'
import { writeContentsFile } from '../../src/cli/fleet/contents-file.ts'
import { FleetDatabase } from '../../src/cli/fleet/database.ts'
import { everywhere, HOSTS, TOTAL } from '../../src/cli/fleet/queries.ts'
import type { FleetJson } from '../../src/cli/json.ts'
import { census } from '../../src/lab/index.ts'
import { namedImage } from '../support/census.ts'
import { random as seeded } from '../support/random.ts'

const MAIN = new URL('../../dist/main.js', import.meta.url).pathname
const EXAMPLES = new URL('../../examples/fleet/', import.meta.url).pathname
const KEY = '00112233445566778899aabbccddeeff'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pagefold-fleet-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

/** Writes the file of a host with some guests, whose pages are named by numbers, and returns what merging saves there. */
async function hostFile(
  dir: string,
  host: string,
  guests: readonly (readonly number[])[],
  key = KEY,
): Promise<number> {
  mkdirSync(join(folder, dir), { recursive: true })
  const names = guests.map((_, i) => `${host}-guest-${i}`)
  const images = guests.map((pages, i) => namedImage(names[i]!, pages))
  const { bytes_saved } = await census({
    images,
    key,
    knobs: { max_page_sharing: 2 ** 30 },
    onContents: (contents) => writeContentsFile(join(folder, dir, `${host}.parquet`), host, names, contents),
  })
  return bytes_saved / 4096
}

function pagefold(...args: string[]): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    encoding: 'utf8',
    cwd: folder,
  })
  return { code: status, out: stdout, err: stderr }
}

function fleetJson(dir: string): FleetJson {
  const { code, out, err } = pagefold('fleet', dir, '--json')
  expect({ code, err }).toEqual({ code: 0, err: '' })
  return JSON.parse(out) as FleetJson
}

/** Twelve hosts of four guests. Guests are of three families, and no host has two of one but by chance. */
const GUESTS = (() => {
  let next = 10_000
  return Array.from({ length: 12 }, (_, host) =>
    Array.from({ length: 4 }, (_, guest) => {
      const family = (host + guest) % 3
      const common = Array.from({ length: 60 }, (_, i) => 1000 * (family + 1) + i)
      const own = Array.from({ length: 40 }, () => next++)
      return [...common, ...own, 0, 0, 7]
    }),
  )
})()

const duckdb = packageUnavailable('@duckdb/node-api')

describe.skipIf(duckdb)(`a fleet in DuckDB${duckdb ? ` (skipped: ${duckdb})` : ''}`, () => {
  const saved = new Map<string, number>()
  beforeAll(async () => {
    for (const [host, guests] of GUESTS.entries()) {
      saved.set(`host-${host}`, await hostFile('fleet', `host-${host}`, guests))
    }
  })

  it('has in its files what the census counted', async () => {
    const pages = [
      [1, 1, 2, 0, 0],
      [1, 3, 0],
    ]
    await hostFile('rows', 'h', pages)
    const database = await FleetDatabase.open(join(folder, 'rows'))
    const rows = await database.rows('SELECT host, guest, zero, pages FROM files ORDER BY guest, zero, pages')
    expect(rows).toEqual(
      [
        ['h-guest-0', false, 1],
        ['h-guest-0', false, 2],
        ['h-guest-0', true, 2],
        ['h-guest-1', false, 1],
        ['h-guest-1', false, 1],
        ['h-guest-1', true, 1],
      ].map(([guest, zero, pages]) => ({ host: 'h', guest, zero, pages })),
    )
    const [{ count } = {}] = await database.rows('SELECT count(DISTINCT (high, low)) AS count FROM files')
    expect(count).toBe(4)
    database.close()
  })

  it('saves on each host what the census of that host says', () => {
    const { hosts, guests, pages, bytes_saved, everywhere } = fleetJson('fleet')
    expect(new Map(hosts.map(({ host, saved }) => [host, saved]))).toEqual(saved)
    expect({ guests, pages }).toEqual({ guests: 48, pages: 48 * 103 })
    expect(bytes_saved).toBe([...saved.values()].reduce((sum, pages) => sum + pages) * 4096)
    expect(everywhere[0]).toMatchObject({ hosts: 12, guests: 48, pages: 48 })
    expect(everywhere).toHaveLength(20)
  })

  it('would save most with families together, more than at random, and says who is to move', () => {
    const { placement } = fleetJson('fleet')
    expect(placement.contents_sampled_one_in).toBe(1)
    // Four of a family on each host: three of them have its sixty contents for nothing; and the one that all have.
    expect(placement.bytes_shared_if_placed).toBe(12 * 3 * 61 * 4096)
    expect(placement.bytes_shared_if_placed).toBeGreaterThan(1.5 * placement.bytes_shared_at_random)
    expect(placement.bytes_shared_now).toBeLessThan(placement.bytes_shared_if_placed)
    expect(placement.moves.length).toBeGreaterThan(0)
    expect(placement.moves.length).toBeLessThanOrEqual(36)
  })

  it('tells the same in words', () => {
    const { code, out, err } = pagefold('fleet', 'fleet')
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toContain('12 hosts, 48 guests, 4,944 pages')
    expect(out).toContain('if they were placed by what they have in common')
  })

  it('is of many groups of rows too', async () => {
    const random = seeded(2)
    const pages = Array.from({ length: 150_000 }, () => 1 + random.below(2 ** 31))
    const spared = await hostFile('large', 'h', [pages])
    expect(fleetJson('large').hosts).toEqual([
      { host: 'h', guests: 1, pages: 150_000, contents: 150_000 - spared, saved: spared },
    ])
  })

  it('is written by the command, whole or not at all', () => {
    mkdirSync(join(folder, 'command'))
    const args = ['census', 'synth:demo,pages=200', '--key', KEY, '--host', 'here']
    expect(pagefold(...args, '--out', 'command/here.parquet')).toMatchObject({ code: 0, err: '' })
    expect(pagefold(...args, '--out', 'command/here.parquet')).toMatchObject({ code: 0, err: '' })
    expect(readdirSync(join(folder, 'command'))).toEqual(['here.parquet'])
    expect(fleetJson('command').hosts).toMatchObject([{ host: 'here', guests: 3, pages: 600 }])
    writeFileSync(join(folder, 'other.txt'), 'something else')
    expect(pagefold(...args, '--out', 'other.txt').err).toContain('holds something else than a Parquet file')
    expect(pagefold('census', 'synth:demo', '--out', 'x.parquet').err).toContain('--out needs --key')
  })

  it('refuses what cannot be joined', async () => {
    await hostFile('mixed', 'a', [[1, 2]])
    await hostFile('mixed', 'b', [[1, 2]], 'ffeeddccbbaa99887766554433221100')
    mkdirSync(join(folder, 'empty'))
    mkdirSync(join(folder, 'foreign'))
    writeFileSync(join(folder, 'foreign/x.parquet'), 'PAR1, but nothing behind it')
    for (const [dir, message] of [
      ['mixed', 'made with another --key'],
      ['empty', 'no .parquet files in it'],
      ['foreign', 'cannot be read as contents of censuses'],
      ['no-such', 'no .parquet files in it'],
    ] as const) {
      const { code, out, err } = pagefold('fleet', dir)
      expect({ code, out }, dir).toEqual({ code: 2, out: '' })
      expect(err).toContain(message)
      expect(err.trim().split('\n')).toHaveLength(1)
    }
  })

  const dask =
    spawnSync('python3', ['-c', 'import dask.dataframe, pyarrow']).status !== 0 &&
    'python3 has no dask and pyarrow'
  it.skipIf(dask)(`gives the same by Dask${dask ? ` (skipped: ${dask})` : ''}`, { timeout: 120_000 }, () => {
    const { status, stdout, stderr } = spawnSync(
      'python3',
      [join(EXAMPLES, 'fleet_dask.py'), join(folder, 'fleet')],
      {
        encoding: 'utf8',
      },
    )
    expect(status, stderr).toBe(0)
    const { hosts, contents, contents_on_several_hosts, pages } = fleetJson('fleet')
    expect(JSON.parse(stdout)).toEqual({ hosts, contents, contents_on_several_hosts, pages })
  })

  const clickhouse = spawnSync('clickhouse-client', ['--version']).status !== 0 && 'no clickhouse-client'
  it.skipIf(clickhouse)(
    `gives the same by ClickHouse on two servers${clickhouse ? ` (skipped: ${clickhouse})` : ''}`,
    { timeout: 120_000 },
    async () => {
      const servers = [39_001, 39_002].map((port) => startClickhouse(port))
      try {
        for (const { port } of servers) await answering(port)
        for (const { port } of servers)
          ask(port, readFileSync(join(EXAMPLES, 'clickhouse.sql'), 'utf8'), '--multiquery')
        const database = await FleetDatabase.open(join(folder, 'fleet'))
        const [first, second] = servers.map(({ port }) => port) as [number, number]
        const rows = await database.rows(
          'SELECT host, guest, high::VARCHAR AS high, low::VARCHAR AS low, zero, pages FROM files',
        )
        const text = rows.map((row) =>
          Object.values(row).map(String).join('\t').replace('true', '1').replace('false', '0'),
        )
        ask(first, `INSERT INTO everywhere FORMAT TabSeparated\n${text.join('\n')}\n`)
        await untilAllArrived([first, second], rows.length)
        for (const port of [first, second])
          expect(Number(ask(port, 'SELECT count() FROM contents'))).toBeGreaterThan(0)
        const expectSame = async (view: string, sql: string): Promise<void> => {
          const expected = (await database.rows(sql)).map((row) => Object.values(row).map(String).join('\t'))
          expect(ask(second, `SELECT * FROM ${view}`).trim().split('\n'), view).toEqual(expected)
        }
        await expectSame('hosts', HOSTS)
        await expectSame('fleet', TOTAL)
        await expectSame('common', everywhere(20))
        database.close()
      } finally {
        for (const { child } of servers) child.kill('SIGKILL')
      }
    },
  )
})

function startClickhouse(port: number) {
  const dir = join(folder, `clickhouse-${port}`)
  mkdirSync(dir)
  const replicas = [39_001, 39_002]
    .map((one) => `<shard><replica><host>127.0.0.1</host><port>${one}</port></replica></shard>`)
    .join('')
  const config = join(dir, 'config.xml')
  writeFileSync(
    config,
    `<yandex><logger><level>fatal</level><console>1</console></logger><tcp_port>${port}</tcp_port><listen_host>127.0.0.1</listen_host>
    <path>${dir}/</path><tmp_path>${dir}/tmp/</tmp_path><mark_cache_size>100000000</mark_cache_size><users_config>users.xml</users_config>
    <default_profile>default</default_profile><default_database>default</default_database>
    <remote_servers><fleet>${replicas}</fleet></remote_servers></yandex>`,
  )
  writeFileSync(
    join(dir, 'users.xml'),
    `<yandex><profiles><default/></profiles><users><default><password></password><networks><ip>::/0</ip></networks>
    <profile>default</profile><quota>default</quota></default></users><quotas><default/></quotas></yandex>`,
  )
  return {
    port,
    child: spawn('clickhouse-server', [`--config-file=${config}`], { stdio: 'ignore', cwd: dir }),
  }
}

function ask(port: number, query: string, ...args: string[]): string {
  const given = ['--host', '127.0.0.1', '--port', String(port), ...args]
  const { status, stdout, stderr } = spawnSync('clickhouse-client', given, { input: query, encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  return stdout
}

async function answering(port: number): Promise<void> {
  for (let tried = 0; ; tried++) {
    try {
      ask(port, 'SELECT 1')
      return
    } catch (error) {
      if (tried === 100) throw error
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }
}

/** What goes to another server goes there in its own time. */
async function untilAllArrived(ports: readonly number[], rows: number): Promise<void> {
  for (let tried = 0; tried < 100; tried++) {
    const arrived = ports.reduce((sum, port) => sum + Number(ask(port, 'SELECT count() FROM contents')), 0)
    if (arrived === rows) return
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  throw new Error('rows did not arrive')
}

describe('without DuckDB', () => {
  it('the command names the package that is missing', () => {
    // A copy of the build with no packages beside it.
    cpSync(new URL('../../dist', import.meta.url).pathname, join(folder, 'bare/dist'), {
      recursive: true,
      filter: (name) => !name.includes('types') && !name.endsWith('.map'),
    })
    writeFileSync(join(folder, 'bare/package.json'), '{"type": "module"}')
    const { status, stderr } = spawnSync(
      process.execPath,
      [join(folder, 'bare/dist/main.js'), 'fleet', folder],
      {
        encoding: 'utf8',
      },
    )
    expect(status).toBe(2)
    expect(stderr).toContain('the package @duckdb/node-api is not installed: npm install @duckdb/node-api')
  })
})
