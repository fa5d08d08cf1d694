// Work in pieces: whoever scrolls or points meanwhile is not kept waiting.

/** Lets the browser paint and answer, and comes back. */
export function pause(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve)
  })
}
