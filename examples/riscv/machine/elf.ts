// Loads programs: ELF for 64 bits, little endian, by their physical addresses.

const LOAD = 1

export interface Program {
  readonly entry: number
  readonly segments: readonly { readonly address: number; readonly bytes: Uint8Array }[]
}

/** Takes an ELF file apart. Throws Error for what is no ELF for RISC-V of 64 bits. */
export function readElf(file: Uint8Array): Program {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  if (
    file.length < 64 ||
    view.getUint32(0) !== 0x7f454c46 ||
    file[4] !== 2 ||
    view.getUint16(18, true) !== 243
  )
    throw new Error('not an ELF file for 64-bit RISC-V')
  const at = Number(view.getBigUint64(32, true))
  const segments = []
  for (let i = 0; i < view.getUint16(56, true); i++) {
    const header = at + i * view.getUint16(54, true)
    if (view.getUint32(header, true) !== LOAD) continue
    const from = Number(view.getBigUint64(header + 8, true))
    const length = Number(view.getBigUint64(header + 32, true))
    if (length === 0) continue
    const address = Number(view.getBigUint64(header + 24, true))
    segments.push({ address, bytes: file.subarray(from, from + length) })
  }
  return { entry: Number(view.getBigUint64(24, true)), segments }
}
