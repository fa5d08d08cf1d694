// Ends every test run with one line that scripts can read: `N passed, N failed`.

import type { Reporter, TestModule, TestRunEndReason } from 'vitest/node'

export default class LastLineReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[], reason: TestRunEndReason): void {
    let passed = 0
    let failed = errors.length
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        if (state === 'passed') passed++
        if (state === 'failed') failed++
      }
      if (module.children.size === 0 || module.errors().length > 0) failed++
    }
    if (reason === 'interrupted') failed++
    process.on('exit', () => console.log(`${passed} passed, ${failed} failed`))
  }
}
