// Binaries as text: what is embedded in the code. In hexadecimals every byte is as long as every other, so that what compresses the code
// on its way finds in the text what it would find in the binary; of base64 a quarter more is left (measured).

export function fromHex(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: text.length / 2 }, (_, at) =>
    Number.parseInt(text.slice(2 * at, 2 * at + 2), 16),
  )
}
