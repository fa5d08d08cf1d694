// Other places for pages: a database with a row a page, which is found by a hash of its content. Each is given pages that it has not
// yet, and makes them last; what they do beside that is theirs.

import { createHash } from 'node:crypto'
import { closeSync, fdatasyncSync, mkdirSync, openSync, readdirSync, statSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { PAGE_SIZE } from '../../src/index.ts'
import { SnapshotStore } from '../../src/store/index.ts'

/** A place that keeps pages. */
export interface Place {
  /** Keeps all of them, for good: they are on the disk when it resolves. */
  keep(pages: Uint8Array): Promise<void>
  close(): Promise<void>
}

export type Peer = (dir: string) => Promise<Place>

/** By name; a text says why there is none. */
export async function peers(): Promise<Record<string, Peer | string>> {
  return { pagefold, 'a file': file, lmdb: await lmdb(), 'node:sqlite': sqlite() }
}

const pagefold: Peer = async (dir) => {
  const store = await SnapshotStore.open(dir)
  let saved = 0
  return {
    keep: async (pages) => void (await store.save(String(++saved), pages)),
    close: () => store.close(),
  }
}

/** What the disk itself takes: the bytes are written to a file, a megabyte at a time, and synced. It finds nothing again. */
const file: Peer = async (dir) => {
  mkdirSync(dir)
  const fd = openSync(join(dir, 'pages'), 'w')
  return {
    async keep(pages) {
      for (let at = 0; at < pages.length; at += 2 ** 20)
        writeSync(fd, pages, at, Math.min(2 ** 20, pages.length - at))
      fdatasyncSync(fd)
    },
    close: async () => closeSync(fd),
  }
}

/** What identifies a page: the peers' own hash would be JavaScript, so it is the fastest that Node has for all of them. */
function keyOf(page: Uint8Array): Buffer {
  return createHash('sha1').update(page).digest()
}

function* eachPage(pages: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < pages.length; at += PAGE_SIZE) yield pages.subarray(at, at + PAGE_SIZE)
}

async function lmdb(): Promise<Peer | string> {
  const name = 'lmdb'
  const loaded = await import(name).catch((error: Error) => error.message)
  if (typeof loaded === 'string') return `the package lmdb is not installed: npm install lmdb`
  return async (dir) => {
    const database = loaded.open({ path: dir, encoding: 'binary', keyEncoding: 'binary', compression: false })
    return {
      async keep(pages) {
        await database.transaction(() => {
          for (const page of eachPage(pages)) database.put(keyOf(page), Buffer.from(page))
        })
        await database.flushed
      },
      close: () => database.close(),
    }
  }
}

function sqlite(): Peer | string {
  const require = createRequire(import.meta.url)
  const name = 'node:sqlite'
  let Database: new (path: string) => SqliteDatabase
  try {
    Database = require(name).DatabaseSync
  } catch {
    return `this Node, ${process.version}, has no node:sqlite: Node 22 has`
  }
  return async (dir) => {
    mkdirSync(dir)
    const database = new Database(join(dir, 'pages'))
    database.exec('PRAGMA page_size = 65536; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    database.exec('CREATE TABLE pages (number INTEGER PRIMARY KEY, key BLOB UNIQUE, bytes BLOB)')
    const insert = database.prepare('INSERT OR IGNORE INTO pages (key, bytes) VALUES (?, ?)')
    return {
      async keep(pages) {
        database.exec('BEGIN')
        for (const page of eachPage(pages)) insert.run(keyOf(page), page)
        database.exec('COMMIT')
      },
      async close() {
        database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
        database.close()
      },
    }
  }
}

interface SqliteDatabase {
  exec(sql: string): void
  prepare(sql: string): { run(...values: Uint8Array[]): void }
  close(): void
}

/** Bytes of all files in a directory, as far as they take room. */
export function bytesIn(dir: string): number {
  return readdirSync(dir).reduce((sum, name) => {
    const { size, blocks } = statSync(join(dir, name))
    return sum + Math.min(size, blocks * 512)
  }, 0)
}
