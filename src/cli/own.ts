// Strategies of the user's own on the command line: what is wrong with one is said in the words of its option.

import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { isFile, isJavaScript, loadChecksum, loadPolicy, NoStrategy, oneLine } from '../../bench/own.ts'
import { CHECKSUM_NAMES, type ChecksumName, type OwnChecksum, type ScanPolicy } from '../index.ts'
import { expectName, UsageError } from './usage.ts'

/** Reads the name of a checksum, or of a file of one. */
export function readChecksum(text: string, option: string): string {
  return isFile(text) ? text : expectName(option, text, CHECKSUM_NAMES)
}

/** The checksum of `--checksum`, tried if it is a file's. Throws UsageError. */
export function givenChecksum(text: string): Promise<ChecksumName | OwnChecksum> {
  return inWordsOf(`--checksum ${text}`, () => loadChecksum(text))
}

/** The policy of `--policy`. Throws UsageError. */
export function givenPolicy(file: string): Promise<ScanPolicy> {
  return inWordsOf(`--policy ${file}`, () => loadPolicy(file))
}

/** Throws UsageError where helper threads could not run a checksum. */
export function expectHelpable(checksum: string | undefined, workers: number | undefined): void {
  if (checksum === undefined || !isJavaScript(checksum) || (workers ?? 0) === 0) return
  const why = `${checksum} is JavaScript, which runs on the scan's own thread only; a .wasm runs on theirs too`
  throw new UsageError(`--workers: ${why}`)
}

/**
 * Does what code of the user's takes part in. What that throws in the middle ends the command in one line, which says where in its file
 * it was thrown.
 */
export async function withOwn<Result>(
  files: readonly (string | undefined)[],
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    for (const file of files) {
      if (file === undefined || !isJavaScript(file) || !(error instanceof Error)) continue
      const url = pathToFileURL(resolve(file)).href
      const line = error.stack?.split('\n').find((frame) => frame.includes(url))
      const where = line === undefined ? '' : ` (${line.trim()})`
      if (where !== '' || /^`checksum` |^Expected `skip/.test(error.message))
        throw new UsageError(`${file}: in the middle of a scan: ${oneLine(error)}${where}`)
    }
    throw error
  }
}

async function inWordsOf<Result>(option: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof NoStrategy) throw new UsageError(`${option}: ${error.message}`)
    throw error
  }
}
