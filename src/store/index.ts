// The door `pagefold/store`: snapshots of memory, equal pages of which are kept once, in memory or in a directory.

export type { WasmMemory } from '../core/wasm-memory.ts'
export type { LoadSnapshotOptions } from './loading.ts'
export { STORE_VERSION } from './records.ts'
export type { RestoredSnapshot, RestoreOptions } from './restore.ts'
export type { SavedSnapshot, SaveOptions, SaveSource, StopSignal } from './save.ts'
export type { SnapshotInfo } from './state.ts'
export type { StoreStats } from './stats.ts'
export { type CompactOptions, type OpenOptions, SnapshotStore, type WorkOptions } from './store.ts'
export type { DamagedPage, Verification, VerifiedSnapshot } from './verify.ts'
