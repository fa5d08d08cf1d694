// Strategies of the user's own, from files: a checksum from a .wasm, or from what a .js or .mjs exports by default; a policy from
// the latter.

import { readFileSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import {
  CHECKSUM_NAMES,
  type ChecksumName,
  type OwnChecksum,
  PagefoldError,
  type ScanPolicy,
  tryChecksum,
} from '../src/index.ts'

/** What a file holds is no strategy. */
export class NoStrategy extends Error {}

const CODE = /\.m?js$/
const BINARY = /\.wasm$/

/** Is a text meant to be the path of a strategy's file? */
export function isFile(text: string): boolean {
  return CODE.test(text) || BINARY.test(text)
}

/** Is it one of JavaScript? Such a checksum runs on the scan's own thread only. */
export function isJavaScript(text: string): boolean {
  return CODE.test(text)
}

/** The objects of files that have been loaded: what has been tried need not be tried again. */
const loaded = new Map<string, OwnChecksum>()

/** A checksum, by its name or from a file, which has been tried then. Rejects with NoStrategy, in a line that says what is wrong. */
export async function loadChecksum(text: string): Promise<ChecksumName | OwnChecksum> {
  if (!isFile(text)) {
    if (CHECKSUM_NAMES.includes(text as ChecksumName)) return text as ChecksumName
    throw new NoStrategy(`no checksum has this name, and it is no file: those end in .wasm, .js or .mjs`)
  }
  const known = loaded.get(text)
  if (known !== undefined) return known
  const own = BINARY.test(text) ? binary(text) : ((await exportOf(text)) as OwnChecksum)
  try {
    await tryChecksum(own)
  } catch (error) {
    throw new NoStrategy(plainly(error))
  }
  loaded.set(text, own)
  return own
}

/** A policy, from a file. Rejects with NoStrategy. */
export async function loadPolicy(file: string): Promise<ScanPolicy> {
  if (!CODE.test(file)) throw new NoStrategy('a policy is a file that ends in .js or .mjs')
  const policy = (await exportOf(file)) as Partial<ScanPolicy> | null | undefined
  if (typeof policy?.name === 'string' && typeof policy.skip === 'function') return policy as ScanPolicy
  throw new NoStrategy('a policy is an object with `name` and the function `skip`, exported by default')
}

/** A module is named after its file. */
function binary(file: string): OwnChecksum {
  try {
    const name = basename(file, '.wasm')
      .replace(/[^\w.:+-]/g, '-')
      .slice(0, 32)
    return { name, module: new Uint8Array(readFileSync(file)) }
  } catch (error) {
    throw new NoStrategy(`cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}

/** What a file exports by default. */
async function exportOf(file: string): Promise<unknown> {
  const path = resolve(file)
  try {
    readFileSync(path)
  } catch (error) {
    throw new NoStrategy(`cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
  let exported: { readonly default?: unknown }
  try {
    exported = await import(pathToFileURL(path).href)
  } catch (error) {
    throw new NoStrategy(`cannot be loaded: ${oneLine(error)}`)
  }
  if (exported.default === undefined) throw new NoStrategy('exports nothing by default')
  return exported.default
}

/** What is wrong with a checksum, without its name: the file has been named. */
function plainly(error: unknown): string {
  if (error instanceof TypeError || error instanceof RangeError || error instanceof PagefoldError)
    return oneLine(error).replace(/^(?:E[A-Z]+: )?`checksum` \S+: /, '')
  throw error
}

/** What was thrown, and where if that is said, in one line. */
export function oneLine(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.message.split('\n')[0]!
}
