// examples/own/hash.ts: a checksum of one's own in AssemblyScript. npx pagefold hash --checksum ./hash.wasm
//
// npx asc hash.ts -o hash.wasm -O3 --runtime stub --importMemory --sharedMemory --enable threads --maximumMemory 65536 --noExportMemory

export const bits: i32 = 64
export const keyed: i32 = 1

export function checksum(at: u32, seed: u64): u64 {
  let hash = seed
  for (let i: u32 = 0; i < 4096; i += 8) {
    hash = (hash ^ (hash >> 29) ^ load<u64>(at + i)) * 0x9e37_79b9_7f4a_7c15
  }
  return hash ^ (hash >> 32)
}
