// The browser to open pages in, where the machine has one.

import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { Browser } from 'playwright-core'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'chrome']

const executablePath = (process.env.PATH ?? '')
  .split(delimiter)
  .flatMap((folder) => NAMES.map((name) => join(folder, name)))
  .find((path) => existsSync(path))

/** Why there is no browser here, or undefined if there is one. */
export const browserUnavailable: string | undefined =
  executablePath === undefined ? `no ${NAMES.join(', ')} on PATH` : undefined

/** Starts the browser. */
export async function launchBrowser(): Promise<Browser> {
  const { chromium } = await import('playwright-core')
  // Chromium's own sandbox does not work for root, nor in most containers; what is opened here is ours.
  return chromium.launch({ executablePath: executablePath!, args: ['--no-sandbox'] })
}
