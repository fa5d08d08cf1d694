// Signals that ask a command to end: it ends what it has begun, and then says by which signal, with 128 and its number.

const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const
type Signal = keyof typeof SIGNALS

/** A signal has ended the command; everything is tidied up. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted'
  readonly exitCode: number

  constructor(signal: Signal) {
    super(signal)
    this.exitCode = 128 + SIGNALS[signal]
  }
}

/**
 * Runs `work`, which a signal does not end in the middle: it is told by `stop`, and is to clean up and reject with its
 * reason. Work that waits for nothing is done to its end first. Throws Interrupted.
 */
export async function interruptible<Result>(
  work: (stop: AbortSignal) => Promise<Result> | Result,
): Promise<Result> {
  const controller = new AbortController()
  const heard = (signal: NodeJS.Signals): void => controller.abort(new Interrupted(signal as Signal))
  const signals = Object.keys(SIGNALS) as Signal[]
  for (const signal of signals) process.on(signal, heard)
  try {
    const result = await work(controller.signal)
    await new Promise(setImmediate) // what came meanwhile is heard here
    controller.signal.throwIfAborted()
    return result
  } finally {
    for (const signal of signals) process.off(signal, heard)
  }
}
