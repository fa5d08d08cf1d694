// Work in pieces: whoever scrolls or points meanwhile is not kept waiting.

/** How long the browser may be kept from painting and answering, in milliseconds. */
const PATIENCE = 8

let since = 0

/** Lets the browser paint and answer, and comes back. */
export function pause(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(() => {
      since = performance.now()
      resolve()
    })
  })
}

/** Has the browser waited for so long that it is time for a pause? */
export function isDue(): boolean {
  return performance.now() - since > PATIENCE
}
