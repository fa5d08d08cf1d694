// A browser to open pages in, where the machine has one.

import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { onTestFinished } from 'vitest'

export { browserUnavailable, launchBrowser } from '../../bench/store/chromium.ts'

export interface OpenedPage {
  readonly page: Page
  /** Everything that should not have happened: errors, warnings, requests for anything but the file itself. */
  readonly trouble: readonly string[]
}

/** Opens a file in a window of its own, closed when the test is over; `hash`: at an address within it. */
export async function openFile(
  browser: Browser,
  path: string,
  options: BrowserContextOptions = {},
  hash = '',
): Promise<OpenedPage> {
  const context = await browser.newContext({ ...options, offline: true })
  onTestFinished(() => context.close())
  const page = await context.newPage()
  const trouble: string[] = []
  const url = `file://${path}`
  page.on('console', (message) => trouble.push(`console: ${message.text()}`))
  page.on('pageerror', (error) => trouble.push(`error: ${error.message}`))
  page.on('request', (request) => {
    const [asked] = request.url().split('#')
    if (asked !== url && !asked!.startsWith('data:')) trouble.push(`request: ${asked}`)
  })
  await page.goto(`${url}${hash}`)
  return { page, trouble }
}
