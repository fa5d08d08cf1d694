// The program of a helper thread: the core on the scan's own arena, and nothing else.

import { parentPort, workerData } from 'node:worker_threads'
import { help } from './helpers.ts'
import { instantiateCore } from './wasm.ts'

const memory = workerData as WebAssembly.Memory
const { hashAhead } = await instantiateCore(memory)
parentPort!.postMessage('ready')
help(memory, hashAhead)
