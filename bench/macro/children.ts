// Trials, each in a process of its own and, with whatever it starts, in a process group of its own: so all of it ends when the
// bench is told to.

import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Task } from '../peers/peer.ts'

const TRIAL = fileURLToPath(new URL('./trial.js', import.meta.url))

/** A trial came to no result. */
export class TrialFailed extends Error {
  override readonly name = 'TrialFailed'
}

/** How a trial is made: of a peer, or of a curve. Rejects with TrialFailed, and with `stop`'s reason when told to. */
export type RunTrial = (name: string, task: Task, stop: AbortSignal) => Promise<unknown>

export const runTrial: RunTrial = (name, task, stop) =>
  new Promise((resolve, reject) => {
    stop.throwIfAborted()
    const child = spawn(process.execPath, [TRIAL, name, JSON.stringify(task)], {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let [out, err] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      err += text
    })
    const end = (): void => {
      if (child.pid !== undefined) endGroup(child.pid)
    }
    stop.addEventListener('abort', end)
    child.on('error', ({ message }) => reject(new TrialFailed(message)))
    child.on('close', (code, signal) => {
      stop.removeEventListener('abort', end)
      if (stop.aborted) reject(stop.reason)
      else if (code === 0) resolve(JSON.parse(out))
      else reject(new TrialFailed(`${signal ?? `exit ${code}`}: ${tellingLine(err)}`))
    })
  })

function endGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGTERM')
  } catch {
    // It has just ended by itself.
  }
}

/** What an uncaught error is about is on the line that names it; else the last line says most. */
function tellingLine(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  return lines.find((line) => /^(\w*Error|NotAlone)\b/.test(line)) ?? lines.at(-1) ?? 'it said nothing'
}
