// The memory of hosts that are closed is given back when the collector finds that nobody holds it; and of shared memory it does
// not see how much there is, so it does not look. Of ordinary memory it does.

const CHUNK_BYTES = 2 ** 26

/** Has the collector look about, by asking for `bytes` of memory that nobody touches, so that they cost nothing. */
export function askToCollect(bytes: number): void {
  for (let asked = 0; asked < Math.max(bytes, 4 * CHUNK_BYTES); asked += CHUNK_BYTES)
    new ArrayBuffer(CHUNK_BYTES)
}
