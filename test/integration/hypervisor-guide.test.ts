// docs/hypervisor.md followed in an empty project with the package in it: its core compiled by the line that it says, its programs run.

import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { project, ROOT } from '../support/package.ts'

it('the guide runs guests here and on another thread, and they are merged', { timeout: 120_000 }, () => {
  const user = project()
  const guide = readFileSync(join(ROOT, 'docs/hypervisor.md'), 'utf8')
  const blocks = [...guide.matchAll(/^```(?:mjs|typescript)\n(\/\/ (\w+\.\w+)\b.*?)^```$/gms)]
  expect(blocks.map(([, , name]) => name)).toEqual(['core.ts', 'emulator.mjs', 'worker.mjs', 'saved.mjs'])
  for (const [, text, name] of blocks) writeFileSync(join(user.dir, name!), text!)
  const [, args] = /^\/\/ core\.ts: npx asc (.*)$/m.exec(guide)!
  const asc = join(ROOT, 'node_modules/assemblyscript/bin/asc.js')
  const compiled = spawnSync(process.execPath, [asc, ...args!.split(' ')], {
    cwd: user.dir,
    encoding: 'utf8',
  })
  expect(compiled.stderr).toBe('')
  const ran = user.run('emulator.mjs', readFileSync(join(user.dir, 'emulator.mjs'), 'utf8'))
  expect(ran).toEqual({ code: 0, err: '', out: 'here: 100 pages\nthere: 100 pages\n1 frames\n' })
  const saved = user.run('saved.mjs', readFileSync(join(user.dir, 'saved.mjs'), 'utf8'))
  expect(saved).toEqual({ code: 0, err: '', out: 'the guest and its copy have come to the same end\n' })
})
