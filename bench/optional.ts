// Packages that only the benches and `pagefold fleet` use. Whoever installs pagefold gets none of them; who misses one is told which.

import { createRequire } from 'node:module'
import { PagefoldError } from '../src/index.ts'

/** What `npm install NAME` brings, if it must be there. */
interface Packages {
  readonly benchmark: typeof import('benchmark')
  readonly 'xxhash-wasm': typeof import('xxhash-wasm').default
  readonly koffi: typeof import('koffi')
  readonly '@duckdb/node-api': typeof import('@duckdb/node-api')
}

/** Why a package cannot be had, or undefined if it can. */
export function packageUnavailable(name: keyof Packages): string | undefined {
  try {
    createRequire(import.meta.url).resolve(name)
    return undefined
  } catch {
    return `the package ${name} is not installed: npm install ${name}`
  }
}

/** Loads a package. Throws ENOENT with what to do if it is not installed. */
export async function optional<Name extends keyof Packages>(name: Name): Promise<Packages[Name]> {
  const why = packageUnavailable(name)
  if (why !== undefined) throw new PagefoldError('ENOENT', why)
  const loaded = (await import(name)) as { default?: Packages[Name] } & Packages[Name]
  return loaded.default ?? loaded
}
