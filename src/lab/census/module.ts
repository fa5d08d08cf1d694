// The binary of the census, embedded, and compiled once a process.

import census from '../../../dist/census.wasm'
import { fromHex } from '../../hex.ts'

let compiled: WebAssembly.Module | undefined

/** The same for everybody in this process. */
export function censusModule(): WebAssembly.Module {
  compiled ??= new WebAssembly.Module(fromHex(census))
  return compiled
}
