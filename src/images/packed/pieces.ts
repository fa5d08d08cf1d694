// Streams cut to size.

/** The same bytes in pieces of at most `bytes`. */
export function* smaller(chunks: Iterable<Uint8Array>, bytes: number): Generator<Uint8Array> {
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += bytes) yield chunk.subarray(at, at + bytes)
  }
}

/** A stream read by one who knows how much he wants. */
export class ByteReader {
  private readonly chunks: Iterator<Uint8Array>
  private chunk: Uint8Array = new Uint8Array(0)

  constructor(chunks: Iterable<Uint8Array>) {
    this.chunks = chunks[Symbol.iterator]()
  }

  /** Up to `count` bytes, fewer only where the stream ends. */
  upTo(count: number): Uint8Array {
    if (this.chunk.length >= count) return this.take(count)
    const bytes = new Uint8Array(count)
    let done = 0
    while (done < count) {
      if (this.chunk.length === 0) {
        const { value, done: ended } = this.chunks.next()
        if (ended) break
        this.chunk = value
      }
      const part = this.take(Math.min(count - done, this.chunk.length))
      bytes.set(part, done)
      done += part.length
    }
    return bytes.subarray(0, done)
  }

  /** What is left. */
  *rest(): Generator<Uint8Array> {
    if (this.chunk.length > 0) yield this.take(this.chunk.length)
    for (;;) {
      const { value, done } = this.chunks.next()
      if (done) return
      yield value
    }
  }

  private take(count: number): Uint8Array {
    const part = this.chunk.subarray(0, count)
    this.chunk = this.chunk.subarray(count)
    return part
  }
}
