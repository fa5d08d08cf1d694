// Whether the machine is busy while a test runs is not the test's business.

/** What a command said on standard error, but for that the machine was busy. */
export function butBusy(err: string): string {
  return err.replace(/^pagefold: this machine was busy while .*\n/gm, '')
}
